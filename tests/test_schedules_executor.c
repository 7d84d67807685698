/* SPDX-License-Identifier: MIT */
/*
 * Calls to an executor, under all schedules
 *
 * The executor is the test's own, and keeps what it takes. In each turn a
 * callback begins, or runs and ends, one job of its choice, so that a
 * cancellation meets a call that waits, that runs, or that has ended and was
 * not told. One kind takes a job back when its caller has gone, one does not.
 */
#include "schedules.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 32, CALLERS = 3, CALLS = 3, ITEMS = 7 };

struct numbers {
    int a;
    int b;
    int sum;
};

static struct {
    rota_executor executor;
    rota_job *waiting[MOST];
    rota_job *begun[MOST];
    int waiting_count;
    int begun_count;
    rota_handle handle;
    rota_loop *loop;
} all;

/* --- The executor -------------------------------------------------------- */

static int take(rota_executor *executor, rota_job *job)
{
    (void)executor;
    if (all.waiting_count == MOST)
        abort();
    all.waiting[all.waiting_count++] = job;
    return 0;
}

static rota_job *remove_at(rota_job **jobs, int *count, int at)
{
    rota_job *job = jobs[at];

    memmove(&jobs[at], &jobs[at + 1],
            (size_t)(--*count - at) * sizeof(jobs[0]));
    return job;
}

static bool take_back(rota_executor *executor, rota_job *job)
{
    (void)executor;
    for (int i = 0; i < all.waiting_count; i++) {
        if (all.waiting[i] != job)
            continue;
        remove_at(all.waiting, &all.waiting_count, i);
        return true;
    }
    return false;
}

static const rota_executor_ops attentive = {.submit = take,
                                            .cancel = take_back};
static const rota_executor_ops careless = {.submit = take};

static void begin_one(void)
{
    int at = (int)schedules_pick((unsigned)all.waiting_count);
    rota_job *job = remove_at(all.waiting, &all.waiting_count, at);

    if (rota_job_begin(job))
        all.begun[all.begun_count++] = job;
}

static void end_one(void)
{
    int at = (int)schedules_pick((unsigned)all.begun_count);
    rota_job *job = remove_at(all.begun, &all.begun_count, at);

    rota_job_end(job, rota_job_run(job));
}

/* In each turn, as long as there is somebody to work for. */
static void work(void *arg)
{
    unsigned choice = schedules_pick(3);

    if (choice == 1 && all.waiting_count > 0)
        begin_one();
    if (choice == 2 && all.begun_count > 0)
        end_one();
    if (schedules_alive() > 0 &&
        rota_call_soon(all.loop, &all.handle, work, arg) < 0)
        abort();
}

static void begin_with(rota_loop *loop, const rota_executor_ops *ops)
{
    memset(&all, 0, sizeof all);
    all.executor.ops = ops;
    all.loop = loop;
    if (rota_set_default_executor(loop, &all.executor) < 0 ||
        rota_call_soon(loop, &all.handle, work, NULL) < 0)
        abort();
}

/* What waits has no caller any more; what was begun is still to be ended. */
static void end_with_nobody_there(void)
{
    while (all.waiting_count > 0)
        CHECK(!rota_job_begin(remove_at(all.waiting, &all.waiting_count, 0)));
    while (all.begun_count > 0)
        end_one();
    rota_handle_cancel(&all.handle);
}

/* --- Single calls -------------------------------------------------------- */

static rota_context_var owner = ROTA_CONTEXT_VAR("owner", NULL);

static intptr_t add(void *arg)
{
    struct numbers *numbers = arg;

    numbers->sum = numbers->a + numbers->b;
    return numbers->sum;
}

static intptr_t get_owner(void *arg)
{
    (void)arg;
    return (intptr_t)rota_context_var_get(&owner);
}

/* It may be cancelled when the block has come back, but not yet its turn. */
static intptr_t call_once(intptr_t caller, int i)
{
    struct numbers numbers = {(int)caller * 10, i, -1};
    intptr_t sum = AWAIT(
        rota_run_in_executor(&all.executor, add, &numbers, sizeof numbers));

    CHECK(numbers.sum == caller * 10 + i || (sum < 0 && numbers.sum == -1));
    CHECK(sum < 0 || sum == caller * 10 + i);
    return sum < 0 ? sum : 0;
}

static intptr_t call_in_context(intptr_t caller)
{
    intptr_t whose;

    if (rota_context_var_set(&owner, (void *)(caller + 1), NULL) < 0)
        abort();
    whose = AWAIT(rota_to_thread(get_owner, NULL, 0));
    CHECK(whose < 0 || whose == caller + 1);
    return whose < 0 ? whose : 0;
}

static intptr_t call_again_and_again(void *arg)
{
    intptr_t caller = (intptr_t)arg;
    intptr_t err = 0;

    for (int i = 0; i < CALLS && err != -ECANCELED; i++)
        err = call_once(caller, i);
    if (err != -ECANCELED)
        err = call_in_context(caller);
    return schedules_outcome(err);
}

static void start_callers(void)
{
    for (intptr_t i = 0; i < CALLERS; i++)
        schedules_start(call_again_and_again, (void *)i);
}

static void begin_attentive(rota_loop *loop)
{
    begin_with(loop, &attentive);
    start_callers();
}

static void begin_careless(rota_loop *loop)
{
    begin_with(loop, &careless);
    start_callers();
}

static void a_call_comes_back_once_or_is_cancelled(void)
{
    static const schedules_scenario scenario = {.begin = begin_attentive,
                                                .end = end_with_nobody_there};

    schedules_hold(&scenario);
}

static void so_it_does_from_an_executor_that_takes_nothing_back(void)
{
    static const schedules_scenario scenario = {.begin = begin_careless,
                                                .end = end_with_nobody_there};

    schedules_hold(&scenario);
}

/* --- Maps ---------------------------------------------------------------- */

static intptr_t map(void *arg)
{
    struct numbers items[ITEMS];
    intptr_t results[ITEMS];
    size_t chunk = 1 + (size_t)(intptr_t)arg;
    intptr_t err;

    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct numbers){i, 100, -1};
    err = AWAIT(rota_executor_map(NULL, add, items, ITEMS, sizeof items[0],
                                  chunk, results));
    for (int i = 0; i < ITEMS; i++) {
        CHECK(items[i].sum == -1 || items[i].sum == 100 + i);
        CHECK(err != 0 || (items[i].sum == 100 + i && results[i] == 100 + i));
    }
    return schedules_outcome(err);
}

static void begin_maps(rota_loop *loop)
{
    begin_with(loop, schedules_pick(2) ? &attentive : &careless);
    for (intptr_t i = 0; i < 2; i++)
        schedules_start(map, (void *)(2 * i));
}

static void a_map_has_all_its_results_or_was_cancelled(void)
{
    static const schedules_scenario scenario = {.begin = begin_maps,
                                                .end = end_with_nobody_there};

    schedules_hold(&scenario);
}

/* --- Shutting down ------------------------------------------------------- */

static intptr_t call_the_default(void *arg)
{
    struct numbers numbers = {1, 2, -1};
    intptr_t err =
        AWAIT(rota_run_in_executor(NULL, add, &numbers, sizeof numbers));

    (void)arg;
    CHECK(err == 3 || err == -ROTA_ESHUTDOWN || err == -ECANCELED ||
          err == -ETIMEDOUT);
    return err == 3 || err == -ROTA_ESHUTDOWN ? 0 : schedules_outcome(err);
}

/* A cancelled call that runs is still under way, and awaited. */
static intptr_t shut_down(void *arg)
{
    intptr_t err = AWAIT(rota_sleep(0));

    (void)arg;
    if (err == 0)
        err = AWAIT(rota_shutdown_default_executor(1e9));
    CHECK(err != 0 || (all.begun_count == 0 && all.waiting_count == 0));
    return schedules_outcome(err);
}

static void begin_shutdown(rota_loop *loop)
{
    begin_with(loop, &attentive);
    for (int i = 0; i < CALLERS; i++)
        schedules_start(call_the_default, NULL);
    for (int i = 0; i < 2; i++)
        schedules_start(shut_down, NULL);
}

static void a_shutdown_returns_when_nothing_is_under_way(void)
{
    static const schedules_scenario scenario = {.begin = begin_shutdown,
                                                .end = end_with_nobody_there};

    schedules_hold(&scenario);
}

HARNESS_MAIN(TEST_TIMEOUT(a_call_comes_back_once_or_is_cancelled, 60),
             TEST_TIMEOUT(so_it_does_from_an_executor_that_takes_nothing_back,
                          60),
             TEST_TIMEOUT(a_map_has_all_its_results_or_was_cancelled, 60),
             TEST_TIMEOUT(a_shutdown_returns_when_nothing_is_under_way, 60))
