/* SPDX-License-Identifier: MIT */
/*
 * Pools of threads: many calls, many loops
 */
#include "thread_pools.h"

#include <stdlib.h>

/* --- Two loops, two pools ----------------------------------------------- */

enum { IN_FLIGHT = 20, ROUNDS = 25 };

struct party {
    rota_executor *pools[2];
    intptr_t base; /* of its numbers */
    bool cancels;
};

struct sum {
    intptr_t base;
    intptr_t number;
    intptr_t sum;
};

static intptr_t add(void *arg)
{
    struct sum *sum = arg;

    sum->sum = sum->base + sum->number;
    return sum->sum;
}

static intptr_t ask_for_a_sum(void *arg)
{
    struct sum *sum = ((struct call *)arg)->arg;
    intptr_t result = run_call(arg);

    if (result == -ECANCELED)
        return result;
    assert_int_equal(result, sum->base + sum->number);
    assert_int_equal(sum->sum, result);
    return 0;
}

static void make_a_round(const struct party *party, int round)
{
    struct call many[IN_FLIGHT];
    struct sum sums[IN_FLIGHT];
    rota_task tasks[IN_FLIGHT];

    for (int i = 0; i < IN_FLIGHT; i++) {
        sums[i] = (struct sum){party->base, round * IN_FLIGHT + i, 0};
        many[i] = (struct call){party->pools[i % 2], add,  &sums[i],
                                sizeof sums[i],      NULL, 0};
        tasks[i] = start(ask_for_a_sum, &many[i]);
    }
    if (party->cancels) {
        pass_turns(1 + round % 3);
        for (int i = 0; i < IN_FLIGHT; i += 3)
            rota_task_cancel(tasks[i]);
    }
    assert_int_equal(rota_gather(tasks, IN_FLIGHT, NULL, true), 0);
}

static intptr_t make_rounds(void *party)
{
    for (int round = 0; round < ROUNDS; round++)
        make_a_round(party, round);
    return 0;
}

static void *run_party(void *party)
{
    assert_int_equal(rota_run(make_rounds, party), 0);
    return NULL;
}

static void share(bool cancels)
{
    rota_executor *pools[2] = {new_pool(2), new_pool(3)};
    struct party parties[3];
    pthread_t threads[3];

    for (int i = 0; i < 3; i++) {
        parties[i] = (struct party){{pools[0], pools[1]}, 1000000 * i, cancels};
        threads[i] = start_thread(run_party, &parties[i]);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    rota_executor_free(pools[0]);
    rota_executor_free(pools[1]);
}

static void loops_that_share_pools_get_their_own_results(void)
{
    share(false);
}

static void loops_that_share_pools_may_cancel(void)
{
    share(true);
}

/* --- A hundred thousand ------------------------------------------------- */

enum { MANY = 100000, CALLERS = 64 };

static intptr_t call_again_and_again(void *pool)
{
    for (intptr_t i = 0; i < MANY / CALLERS; i++)
        if (rota_run_in_executor(pool, count_calls, (void *)i, 0) != i)
            return -EIO;
    return 0;
}

static intptr_t call_in_many_tasks(void *pool)
{
    rota_task tasks[CALLERS];

    for (int i = 0; i < CALLERS; i++)
        tasks[i] = start(call_again_and_again, pool);
    return rota_gather(tasks, CALLERS, NULL, false);
}

static void a_hundred_thousand_calls_each_come_back(void)
{
    rota_executor *pool = new_pool(4);

    assert_int_equal(rota_run(call_in_many_tasks, pool), 0);
    assert_int_equal(atomic_load(&calls), MANY / CALLERS * CALLERS);
    rota_executor_free(pool);
}

static intptr_t call_all_at_once(void *pool)
{
    const size_t count = 20000;
    rota_task *tasks = calloc(count, sizeof *tasks);
    struct call *many = calloc(count, sizeof *many);
    const rota_task_options small = {.stack_size = 16384};
    intptr_t err;

    for (size_t i = 0; i < count; i++) {
        many[i] = (struct call){pool, count_calls, (void *)i, 0, NULL, -1};
        assert_int_equal(
            rota_create_task_with(&tasks[i], &small, run_call, &many[i]), 0);
    }
    err = rota_gather(tasks, count, NULL, true);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(many[i].result, i);
    free(many);
    free(tasks);
    return err;
}

static void twenty_thousand_calls_may_wait_at_once(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(call_all_at_once, pool), 0);
    assert_int_equal(atomic_load(&calls), 20000);
    rota_executor_free(pool);
}

/* --- Many pools --------------------------------------------------------- */

static void many_pools_may_come_and_go(void)
{
    for (intptr_t i = 0; i < 200; i++) {
        rota_executor *pool = new_pool(1 + (int)i % 4);
        rota_concurrent_future *futures[4];

        for (intptr_t j = 0; j < 4; j++)
            futures[j] = submit(pool, return_arg, (void *)(i + j));
        if (i % 2)
            rota_executor_free(pool);
        for (intptr_t j = 0; j < 4; j++)
            assert_int_equal(result_of(futures[j]), i + j);
        if (i % 2 == 0)
            rota_executor_free(pool);
    }
}

/* Each begins two others, until there are enough. */
static intptr_t grow(void *pool)
{
    rota_concurrent_future *future;

    if (atomic_fetch_add(&calls, 1) >= 2000)
        return 0;
    for (int i = 0; i < 2; i++) {
        int err = rota_executor_submit(pool, &future, grow, pool, 0);

        if (err == 0)
            rota_concurrent_future_free(future);
        else
            assert_int_equal(err, -ROTA_ESHUTDOWN);
    }
    return 0;
}

static intptr_t see_growth(void *arg)
{
    (void)arg;
    return atomic_load(&calls) >= 2000;
}

static void calls_may_begin_calls_in_their_own_pool(void)
{
    rota_executor *pool = new_pool(3);

    assert_int_equal(result_of(submit(pool, grow, pool)), 0);
    while (!result_of(submit(pool, see_growth, NULL)))
        ;
    assert_int_equal(rota_executor_shutdown(pool, true, true), 0);
    rota_executor_free(pool);
}

HARNESS_MAIN(TEST_TIMEOUT(loops_that_share_pools_get_their_own_results, 60),
             TEST_TIMEOUT(loops_that_share_pools_may_cancel, 60),
             TEST_TIMEOUT(a_hundred_thousand_calls_each_come_back, 100),
             TEST_WITH(twenty_thousand_calls_may_wait_at_once, .seconds = 60,
                       .skip_under = HARNESS_ASAN | HARNESS_TSAN |
                                     HARNESS_VALGRIND,
                       .skip_reason = "its stacks are larger there"),
             TEST_TIMEOUT(many_pools_may_come_and_go, 60),
             TEST_TIMEOUT(calls_may_begin_calls_in_their_own_pool, 60))
