/* SPDX-License-Identifier: MIT */
/*
 * Waiting for some of many tasks, under all schedules
 *
 * Who only looks on cancels nobody, ends nobody, and hears of every end once.
 */
#include "schedules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "task/task.h"

enum { WATCHED = 4 };

static struct {
    rota_task tasks[WATCHED];
    bool released; /* from here on they may be cancelled by their owner */
    bool heard_of[WATCHED];
    int heard;
    bool open;
    rota_as_completed iterator;
    double limit;
} all;

static rota_task make(rota_task_function *function, void *arg)
{
    rota_task task;

    if (rota_create_task(&task, function, arg) < 0)
        abort();
    return task;
}

static intptr_t work(void *arg)
{
    intptr_t seconds = (intptr_t)arg;
    intptr_t err = AWAIT(rota_sleep((double)(seconds % 3)));

    CHECK(err != -ECANCELED || schedules_asked() || all.released);
    if (err < 0)
        return schedules_outcome(err);
    return seconds == 2 ? -EIO : seconds;
}

static void make_all(void)
{
    all.released = false;
    for (intptr_t i = 0; i < WATCHED; i++)
        all.tasks[i] = make(work, (void *)i);
}

static intptr_t end_all(intptr_t err)
{
    intptr_t ended;

    all.released = true;
    ended = AWAIT_RESULT(rota_gather(all.tasks, WATCHED, NULL, true));
    for (int i = 0; i < WATCHED; i++)
        CHECK(rota_task_done(all.tasks[i]));
    return err < 0 ? err : ended;
}

static void begin_with(rota_task_function *function)
{
    memset(&all, 0, sizeof all);
    schedules_start(function, NULL);
}

/* --- wait ---------------------------------------------------------------- */

static void check_done(intptr_t count, const bool *done)
{
    intptr_t really = 0;

    for (int i = 0; i < WATCHED; i++) {
        CHECK(done[i] == rota_task_done(all.tasks[i]));
        really += done[i];
    }
    CHECK(count == really);
}

static intptr_t wait_for_some(double limit, rota_return_when when)
{
    rota_loop *loop = rota_get_running_loop();
    double end = rota_loop_time(loop) + limit;
    bool done[WATCHED];
    intptr_t count = AWAIT(rota_wait(all.tasks, WATCHED, limit, when, done));

    if (count < 0)
        return count;
    check_done(count, done);
    if (rota_loop_time(loop) < end - 1e-6) {
        CHECK(count == WATCHED || when != ROTA_ALL_COMPLETED);
        CHECK(count > 0);
        CHECK(count == WATCHED || when != ROTA_FIRST_EXCEPTION || done[2]);
    }
    return 0;
}

static intptr_t watch_too(void *arg)
{
    (void)arg;
    return schedules_outcome(wait_for_some(1.5, ROTA_ALL_COMPLETED));
}

static intptr_t watch(void *arg)
{
    rota_task other;
    intptr_t err = 0;

    (void)arg;
    make_all();
    other = make(watch_too, NULL);
    err = wait_for_some(0.5, ROTA_FIRST_COMPLETED);
    if (err != -ECANCELED)
        err = wait_for_some(1, ROTA_FIRST_EXCEPTION);
    if (err != -ECANCELED)
        err = wait_for_some((double)INFINITY, ROTA_FIRST_EXCEPTION);
    if (err != -ECANCELED)
        err = wait_for_some((double)INFINITY, ROTA_ALL_COMPLETED);
    if (err == -ECANCELED)
        CHECK(rota_task_cancel(other) >= 0);
    CHECK(AWAIT_RESULT(rota_await(other)) <= 0);
    err = end_all(err);
    return schedules_asked() ? -ECANCELED : schedules_outcome(err);
}

static void begin_watch(rota_loop *loop)
{
    (void)loop;
    begin_with(watch);
}

static void a_wait_tells_who_is_done_and_touches_nobody(void)
{
    static const schedules_scenario scenario = {.begin = begin_watch};

    schedules_hold(&scenario);
}

/* --- as_completed -------------------------------------------------------- */

static void hear_of(rota_task task)
{
    int i = 0;

    while (i < WATCHED && all.tasks[i].id != task.id)
        i++;
    CHECK(i < WATCHED && !all.heard_of[i % WATCHED]);
    CHECK(rota_task_done(task));
    all.heard_of[i % WATCHED] = true;
    all.heard++;
}

/* Until there are no more, or no more in time, or the owner has left. */
static intptr_t iterate(void)
{
    intptr_t found = 1;

    while (found == 1 || found == -ETIMEDOUT) {
        rota_task task;

        if (!all.open)
            return 0;
        found = AWAIT(rota_as_completed_next(&all.iterator, &task));
        if (found == 1)
            hear_of(task);
        if (found == -ETIMEDOUT &&
            rota_loop_time(rota_get_running_loop()) >= all.limit - 1e-6)
            return 0;
    }
    CHECK(found != 0 || all.heard == WATCHED);
    CHECK(found != -ROTA_ECLOSING || !all.open);
    return found == -ROTA_ECLOSING ? 0 : found;
}

static intptr_t iterate_too(void *arg)
{
    (void)arg;
    return schedules_outcome(iterate());
}

static intptr_t iterate_for(double seconds)
{
    rota_task others[2];
    intptr_t err;

    make_all();
    all.limit = rota_loop_time(rota_get_running_loop()) + seconds;
    if (rota_as_completed_begin(&all.iterator, all.tasks, WATCHED, seconds) < 0)
        abort();
    all.open = true;
    for (int i = 0; i < 2; i++)
        others[i] = make(iterate_too, NULL);
    err = iterate();
    all.open = false;
    rota_as_completed_end(&all.iterator);
    CHECK(AWAIT_RESULT(rota_gather(others, 2, NULL, true)) <= 0);
    err = end_all(err);
    return schedules_asked() ? -ECANCELED : schedules_outcome(err);
}

static intptr_t iterate_to_the_end(void *arg)
{
    (void)arg;
    return iterate_for((double)INFINITY);
}

static intptr_t iterate_for_a_second(void *arg)
{
    (void)arg;
    return iterate_for(1);
}

static void begin_iteration(rota_loop *loop)
{
    (void)loop;
    begin_with(iterate_to_the_end);
}

static void begin_limited_iteration(rota_loop *loop)
{
    (void)loop;
    begin_with(iterate_for_a_second);
}

/* Nobody waits while one that has finished is to be had. */
static void check_iteration(void)
{
    if (all.open)
        CHECK(rota__list_empty(&all.iterator.finished) ||
              rota__queue_idle(&all.iterator.queue));
}

static void end_iteration(void)
{
    CHECK(all.heard == WATCHED || schedules_disturbed());
}

static void every_end_is_heard_of_once(void)
{
    static const schedules_scenario scenario = {.begin = begin_iteration,
                                                .rest = check_iteration,
                                                .end = end_iteration};

    schedules_hold(&scenario);
}

static void an_iteration_ends_when_its_time_has_passed(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_limited_iteration, .rest = check_iteration};

    schedules_hold(&scenario);
}

HARNESS_MAIN(TEST_TIMEOUT(a_wait_tells_who_is_done_and_touches_nobody, 60),
             TEST_TIMEOUT(every_end_is_heard_of_once, 60),
             TEST_TIMEOUT(an_iteration_ends_when_its_time_has_passed, 60))
