/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for tasks, futures and time, under all schedules
 *
 * Whoever waits for a task comes back when it has ended, and not before; a
 * request to cancel reaches those that it is for and nobody else.
 */
#include "schedules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rota_task make(rota_task_function *function, void *arg)
{
    rota_task task;

    if (rota_create_task(&task, function, arg) < 0)
        abort();
    return task;
}

/* --- Sleep --------------------------------------------------------------- */

static int slept;

static intptr_t sleep_often(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    int number = (int)(intptr_t)arg;
    intptr_t err = 0;

    for (int i = 0; err != -ECANCELED && i < 3; i++) {
        double until = rota_loop_time(loop) + (number + i) % 3;

        err = AWAIT(rota_sleep((number + i) % 3));
        CHECK(err != 0 || rota_loop_time(loop) >= until - 1e-6);
        slept += err == 0;
    }
    return schedules_outcome(err);
}

static void begin_sleeps(rota_loop *loop)
{
    (void)loop;
    slept = 0;
    for (intptr_t i = 0; i < 3; i++)
        schedules_start(sleep_often, (void *)i);
}

static void end_sleeps(void)
{
    CHECK(slept == 9 || schedules_disturbed());
}

static void a_sleep_is_never_short_but_when_cancelled(void)
{
    static const schedules_scenario scenario = {.begin = begin_sleeps,
                                                .end = end_sleeps};

    schedules_hold(&scenario);
}

/* --- Await --------------------------------------------------------------- */

enum { DEPTH = 3 };

static int depth_ended; /* how many of a chain have */
static intptr_t chain_result;

static intptr_t descend(void *arg);

static intptr_t await_next(int depth)
{
    rota_task child = make(descend, (void *)(intptr_t)(depth + 1));
    intptr_t err = AWAIT(rota_sleep(depth % 2));
    intptr_t result;

    if (err < 0)
        CHECK(rota_task_cancel(child) >= 0);
    result = AWAIT_RESULT(rota_await(child));
    CHECK(rota_task_done(child));
    CHECK(rota_task_cancel(child) == -ROTA_EAWAITED);
    if (err < 0)
        return err;
    return result < 0 ? result : result + 1;
}

static intptr_t descend(void *arg)
{
    int depth = (int)(intptr_t)arg;
    intptr_t result =
        depth < DEPTH ? await_next(depth) : AWAIT(rota_sleep(2)) * 1;

    depth_ended++;
    return schedules_outcome(result);
}

static intptr_t begin_descent(void *arg)
{
    intptr_t result = AWAIT_RESULT(descend(arg));

    chain_result = result;
    return result < 0 ? schedules_outcome(result) : 0;
}

static void begin_chain(rota_loop *loop)
{
    (void)loop;
    depth_ended = 0;
    chain_result = 0;
    schedules_start(begin_descent, NULL);
    schedules_start(begin_descent, NULL);
}

static void end_chain(void)
{
    CHECK(schedules_disturbed() ||
          (depth_ended == 2 * (DEPTH + 1) && chain_result == DEPTH));
}

static void an_await_comes_back_when_the_task_has_ended(void)
{
    static const schedules_scenario scenario = {.begin = begin_chain,
                                                .end = end_chain};

    schedules_hold(&scenario);
}

/* --- wait_for ------------------------------------------------------------ */

/* A child, and what it knows of its own end. */
struct child {
    double seconds;
    bool tidies_up; /* when it is cancelled */
    bool begun;
    bool ended;
    bool asked;
    intptr_t result;
};

static intptr_t live(void *arg)
{
    struct child *child = arg;
    intptr_t err;

    child->begun = true;
    err = AWAIT(rota_sleep(child->seconds));
    if (err == -ECANCELED && child->tidies_up)
        err = AWAIT(rota_sleep(1)) < 0 ? -ECANCELED : 0;
    child->asked = schedules_asked();
    child->ended = true;
    child->result = err < 0 ? schedules_outcome(err) : 7;
    return child->result;
}

static void check_wait_for(const struct child *child, intptr_t result)
{
    bool cancelled = !child->begun || child->result == -ECANCELED;

    CHECK(child->ended || !child->begun);
    CHECK(result != -ETIMEDOUT || cancelled || schedules_disturbed());
    CHECK(result < 0 || result == child->result);
    CHECK(result != -ECANCELED || schedules_asked() || child->asked ||
          (!child->begun && schedules_disturbed()));
}

static intptr_t limit_children(void *arg)
{
    static const double seconds[] = {0, 1, 1, 2};
    static const double limits[] = {1, 1, 0, 1};
    int number = (int)(intptr_t)arg;
    intptr_t result = 0;

    for (int i = 0; result != -ECANCELED && i < 4; i++) {
        struct child child = {.seconds = seconds[i], .tidies_up = number == 1};
        rota_task task = make(live, &child);

        result = AWAIT_RESULT(rota_wait_for(task, limits[i]));
        CHECK(rota_task_done(task));
        check_wait_for(&child, result);
    }
    return result == -ECANCELED ? result : 0;
}

static void begin_limits(rota_loop *loop)
{
    (void)loop;
    schedules_start(limit_children, (void *)0);
    schedules_start(limit_children, (void *)1);
}

static void wait_for_waits_for_the_end_also_when_time_is_up(void)
{
    static const schedules_scenario scenario = {.begin = begin_limits};

    schedules_hold(&scenario);
}

/* --- Gather -------------------------------------------------------------- */

enum { GATHERED = 3 };

static struct child gathered[2][GATHERED];

static intptr_t gather_all(void *arg)
{
    struct child *children = gathered[(intptr_t)arg];
    rota_task tasks[GATHERED];
    intptr_t results[GATHERED];
    bool cancelled;
    intptr_t err;

    for (int i = 0; i < GATHERED; i++) {
        children[i] = (struct child){.seconds = i, .tidies_up = i == 1};
        tasks[i] = make(live, &children[i]);
    }
    err = AWAIT_RESULT(rota_gather(tasks, GATHERED, results, true));
    for (int i = 0; i < GATHERED; i++) {
        CHECK(rota_task_done(tasks[i]));
        CHECK(children[i].ended || !children[i].begun);
        CHECK(!children[i].ended || results[i] == children[i].result);
        CHECK(children[i].begun || results[i] == -ECANCELED);
        CHECK(results[i] == 7 || schedules_disturbed());
    }
    cancelled = rota_task_cancelling(rota_current_task()) > 0;
    CHECK(cancelled == (err == -ECANCELED));
    return schedules_outcome(err);
}

static intptr_t gather_gathers(void *arg)
{
    rota_task tasks[2];
    intptr_t err;

    (void)arg;
    for (intptr_t i = 0; i < 2; i++)
        tasks[i] = make(gather_all, (void *)i);
    err = AWAIT_RESULT(rota_gather(tasks, 2, NULL, true));
    CHECK(rota_task_done(tasks[0]) && rota_task_done(tasks[1]));
    return schedules_outcome(err);
}

static void begin_gathers(rota_loop *loop)
{
    (void)loop;
    schedules_start(gather_gathers, NULL);
}

static void a_gather_of_all_results_waits_for_all(void)
{
    static const schedules_scenario scenario = {.begin = begin_gathers};

    schedules_hold(&scenario);
}

static bool has_failed, is_over;

static intptr_t fail_after_a_second(void *arg)
{
    intptr_t err = AWAIT(rota_sleep(1));

    (void)arg;
    if (err < 0 || is_over)
        return schedules_outcome(err);
    has_failed = true;
    return -EIO;
}

/*
 * As in asyncio, a request that comes between the failure and the end of the
 * gather is passed on to those that are left, and the failure wins.
 */
static bool heard(rota_task task, const struct child *child)
{
    return rota_task_cancelling(task) > 0 || !child->begun ||
           child->result == -ECANCELED;
}

static intptr_t gather_until_one_fails(void *arg)
{
    static struct child others[2];
    intptr_t err;
    rota_task tasks[3];

    (void)arg;
    for (int i = 0; i < 2; i++)
        others[i] = (struct child){.seconds = 1 + i};
    has_failed = false;
    is_over = false;
    tasks[0] = make(live, &others[0]);
    tasks[1] = make(fail_after_a_second, NULL);
    tasks[2] = make(live, &others[1]);
    err = AWAIT_RESULT(rota_gather(tasks, 3, NULL, false));
    is_over = true;
    CHECK(err != -EIO || has_failed);
    CHECK(err != 0 || !has_failed);
    CHECK(err == -EIO || schedules_disturbed());
    CHECK(err != -EIO || !schedules_asked() || heard(tasks[0], &others[0]) ||
          heard(tasks[2], &others[1]));
    if (schedules_asked())
        return -ECANCELED;
    return schedules_outcome(AWAIT(rota_sleep(0)));
}

static void begin_failing_gather(rota_loop *loop)
{
    (void)loop;
    schedules_start(gather_until_one_fails, NULL);
}

static void a_gather_until_one_fails_loses_no_request(void)
{
    static const schedules_scenario scenario = {.begin = begin_failing_gather};

    schedules_hold(&scenario);
}

/* --- Shield -------------------------------------------------------------- */

static rota_task shielded;

static intptr_t work_behind_a_shield(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 0; err == 0 && i < 3; i++) {
        err = AWAIT(rota_sleep(i));
        CHECK(err != -ECANCELED || schedules_asked());
    }
    return err < 0 ? schedules_outcome(err) : 7;
}

static intptr_t look_over_the_shield(void *arg)
{
    intptr_t result = AWAIT_RESULT(rota_shield(shielded));

    (void)arg;
    CHECK(result < 0 || rota_task_done(shielded));
    CHECK(result != -ECANCELED || schedules_asked() ||
          rota_task_done(shielded));
    CHECK(result == -ECANCELED || !schedules_asked());
    return result < 0 ? schedules_outcome(result) : 0;
}

/* The one that ends it, when nobody looks at it any more. */
static intptr_t own_the_shielded(void *arg)
{
    rota_task watchers[2];
    intptr_t result, err;

    (void)arg;
    shielded = make(work_behind_a_shield, NULL);
    for (int i = 0; i < 2; i++)
        watchers[i] = make(look_over_the_shield, NULL);
    do
        result = AWAIT_RESULT(rota_shield(shielded));
    while (!rota_task_done(shielded));
    CHECK(result == 7 || schedules_disturbed());
    err = AWAIT_RESULT(rota_gather(watchers, 2, NULL, true));
    CHECK(rota_await(shielded) == 7 || schedules_disturbed());
    return schedules_asked() ? -ECANCELED : schedules_outcome(err);
}

static void begin_shield(rota_loop *loop)
{
    (void)loop;
    schedules_start(own_the_shielded, NULL);
}

static void a_shield_lets_no_request_through(void)
{
    static const schedules_scenario scenario = {.begin = begin_shield};

    schedules_hold(&scenario);
}

/* --- Timeouts ------------------------------------------------------------ */

static intptr_t sleep_in_two_scopes(double outer_limit, double inner_limit)
{
    rota_timeout outer, inner;
    intptr_t result, inside;

    (void)rota_timeout_begin(&outer, outer_limit);
    (void)rota_timeout_begin(&inner, inner_limit);
    inside = AWAIT(rota_sleep(1));
    inside = rota_timeout_end(&inner, inside);
    result = inside < 0 ? inside : AWAIT(rota_sleep(1));
    result = rota_timeout_end(&outer, result);
    CHECK(result != -ECANCELED || schedules_asked());
    CHECK(result == -ECANCELED || !schedules_asked());
    CHECK(!rota_timeout_expired(&inner) || inside < 0);
    return result;
}

static intptr_t nest_timeouts(void *arg)
{
    double limits[] = {0.5, 1, 1.5, 2, 3};
    int number = (int)(intptr_t)arg;
    rota_task self = rota_current_task();
    intptr_t err = 0;

    for (int i = 0; err != -ECANCELED && i < 5; i++) {
        err = sleep_in_two_scopes(limits[(2 * i + number) % 5], limits[i]);
        CHECK(err == -ECANCELED || rota_task_cancelling(self) == 0);
        CHECK(err == 0 || limits[i] < 2 || limits[(2 * i + number) % 5] < 2.5 ||
              schedules_disturbed());
    }
    return schedules_outcome(err);
}

static void begin_timeouts(rota_loop *loop)
{
    (void)loop;
    schedules_start(nest_timeouts, (void *)0);
    schedules_start(nest_timeouts, (void *)1);
}

static void a_timeout_hides_no_request_and_makes_none(void)
{
    static const schedules_scenario scenario = {.begin = begin_timeouts};

    schedules_hold(&scenario);
}

/* --- Futures ------------------------------------------------------------- */

static struct {
    rota_future futures[2];
    rota_handle called[2];
    int calls[2];
    int waiting[2];
} promise;

static void count_call(rota_future *future, void *arg)
{
    CHECK(rota_future_done(future));
    ++*(int *)arg;
}

static intptr_t await_both(void *arg)
{
    int first = (int)(intptr_t)arg;
    intptr_t err = 0;

    for (int i = 0; err != -ECANCELED && i < 2; i++) {
        rota_future *future = &promise.futures[(first + i) % 2];
        intptr_t result = 0;

        promise.waiting[(first + i) % 2]++;
        err = AWAIT_RESULT(rota_await_future(future, &result));
        promise.waiting[(first + i) % 2]--;
        CHECK(rota_future_done(future));
        CHECK(err != 0 || (result == 42 && !rota_future_cancelled(future)));
        CHECK(err != -ECANCELED || schedules_asked() ||
              rota_future_cancelled(future));
        CHECK(err == -ECANCELED || !schedules_asked());
    }
    return schedules_outcome(err);
}

static intptr_t keep_promises(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 0; err != -ECANCELED && i < 2; i++) {
        bool done = rota_future_done(&promise.futures[i]);

        CHECK(rota_future_set_result(&promise.futures[i], 42) ==
              (done ? -ROTA_ESTATE : 0));
        err = AWAIT(rota_sleep(i));
    }
    return schedules_outcome(err);
}

static void begin_futures(rota_loop *loop)
{
    memset(&promise, 0, sizeof promise);
    for (int i = 0; i < 2; i++) {
        rota_future_init(&promise.futures[i], loop);
        if (rota_future_add_done_callback(&promise.futures[i],
                                          &promise.called[i], count_call,
                                          &promise.calls[i]) < 0)
            abort();
    }
    for (intptr_t i = 0; i < 3; i++)
        schedules_start(await_both, (void *)i);
    schedules_start(keep_promises, NULL);
}

static void check_promise(void)
{
    for (int i = 0; i < 2; i++)
        CHECK(promise.waiting[i] == 0 ||
              !rota_future_done(&promise.futures[i]));
}

/* Its keeper may have been cancelled: then somebody else keeps it. */
static bool keep_one(void)
{
    for (int i = 0; i < 2; i++)
        if (rota_future_set_result(&promise.futures[i], 42) == 0)
            return true;
    return false;
}

static void end_futures(void)
{
    for (int i = 0; i < 2; i++) {
        CHECK(promise.calls[i] <= 1);
        CHECK(promise.calls[i] == 1 || schedules_disturbed());
        rota_future_fini(&promise.futures[i]);
    }
}

static void a_future_wakes_all_that_wait_for_it(void)
{
    static const schedules_scenario scenario = {.begin = begin_futures,
                                                .rest = check_promise,
                                                .idle = keep_one,
                                                .end = end_futures};

    schedules_hold(&scenario);
}

HARNESS_MAIN(TEST_TIMEOUT(a_sleep_is_never_short_but_when_cancelled, 60),
             TEST_TIMEOUT(an_await_comes_back_when_the_task_has_ended, 60),
             TEST_TIMEOUT(wait_for_waits_for_the_end_also_when_time_is_up, 60),
             TEST_TIMEOUT(a_gather_of_all_results_waits_for_all, 60),
             TEST_TIMEOUT(a_gather_until_one_fails_loses_no_request, 60),
             TEST_TIMEOUT(a_shield_lets_no_request_through, 60),
             TEST_TIMEOUT(a_timeout_hides_no_request_and_makes_none, 60),
             TEST_TIMEOUT(a_future_wakes_all_that_wait_for_it, 60))
