/* SPDX-License-Identifier: MIT */
/*
 * Pools of threads: shutting down
 */
#include "thread_pools.h"

static int shut_down(rota_executor *pool, bool wait, bool cancel)
{
    return rota_executor_shutdown(pool, wait, cancel);
}

static void *open_when_one_waits(void *arg)
{
    see_waiting(1);
    open_gate();
    return arg;
}

static void a_shutdown_that_waits_returns_when_all_is_done(void)
{
    rota_executor *pool = new_counted_pool(2, 0);
    rota_concurrent_future *futures[5];
    pthread_t opener = start_thread(open_when_one_waits, NULL);

    for (intptr_t i = 0; i < 5; i++)
        futures[i] = submit(pool, held, (void *)i);
    assert_int_equal(shut_down(pool, true, false), 0);
    assert_int_equal(gate.passed, 5);
    see_ended(threads_begun());
    for (intptr_t i = 0; i < 5; i++) {
        assert_true(rota_concurrent_future_done(futures[i]));
        assert_int_equal(result_of(futures[i]), i);
    }
    pthread_join(opener, NULL);
    rota_executor_free(pool);
}

static void a_shutdown_that_does_not_wait_lets_all_go_on(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *running = submit(pool, held, (void *)1);
    rota_concurrent_future *waiting = submit(pool, return_arg, (void *)2);
    rota_concurrent_future *refused = NULL;

    see_waiting(1);
    assert_int_equal(shut_down(pool, false, false), 0);
    assert_false(rota_concurrent_future_done(running));
    assert_false(rota_concurrent_future_done(waiting));
    assert_int_equal(
        rota_executor_submit(pool, &refused, must_not_begin, NULL, 0),
        -ROTA_ESHUTDOWN);
    open_gate();
    assert_int_equal(result_of(running), 1);
    assert_int_equal(result_of(waiting), 2);
    rota_executor_free(pool);
}

static void a_shutdown_may_cancel_what_has_not_begun(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *running = submit(pool, held, (void *)1);
    rota_concurrent_future *waiting[3];

    for (int i = 0; i < 3; i++)
        waiting[i] = submit(pool, must_not_begin, NULL);
    see_waiting(1);
    assert_int_equal(shut_down(pool, false, true), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(rota_concurrent_future_cancelled(waiting[i]));
        assert_int_equal(result_of(waiting[i]), -ECANCELED);
    }
    assert_false(rota_concurrent_future_done(running));
    open_gate();
    assert_int_equal(result_of(running), 1);
    rota_executor_free(pool);
}

static void a_shutdown_may_cancel_and_wait(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *running = submit(pool, held, (void *)1);
    rota_concurrent_future *waiting;
    pthread_t opener;

    see_waiting(1);
    waiting = submit(pool, must_not_begin, NULL);
    assert_int_equal(shut_down(pool, false, true), 0);
    opener = start_thread(open_when_one_waits, NULL);
    assert_int_equal(shut_down(pool, true, true), 0);
    assert_int_equal(gate.passed, 1);
    pthread_join(opener, NULL);
    assert_int_equal(result_of(running), 1);
    assert_int_equal(result_of(waiting), -ECANCELED);
    rota_executor_free(pool);
}

static intptr_t be_shut_down(void *pool)
{
    struct call running = {pool, held, (void *)5, 0, "running", 0};
    struct call waiting = {pool, must_not_begin, NULL, 0, "waiting", 0};
    rota_task tasks[2] = {start(run_call, &running), start(run_call, &waiting)};

    pass_turns(1);
    see_waiting(1);
    assert_int_equal(shut_down(pool, false, true), 0);
    assert_int_equal(rota_await(tasks[1]), -ECANCELED);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    open_gate();
    return rota_await(tasks[0]);
}

static void a_task_whose_call_a_shutdown_cancels_is_told(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(be_shut_down, pool), 5);
    assert_noted("waiting:ECANCELED running:5");
    rota_executor_free(pool);
}

static void a_pool_may_be_shut_down_again(void)
{
    rota_executor *pool = new_pool(2);

    for (int i = 0; i < 8; i++)
        assert_int_equal(shut_down(pool, i & 1, i & 2), 0);
    rota_executor_free(pool);
    pool = new_pool(2);
    assert_int_equal(result_of(submit(pool, return_arg, (void *)3)), 3);
    for (int i = 0; i < 8; i++)
        assert_int_equal(shut_down(pool, i & 1, i & 2), 0);
    rota_executor_free(pool);
}

static void *shut_down_and_wait(void *pool)
{
    assert_int_equal(shut_down(pool, true, false), 0);
    assert_int_equal(gate.passed, 2);
    return NULL;
}

static void several_threads_may_wait_for_the_end(void)
{
    rota_executor *pool = new_pool(2);
    rota_concurrent_future *futures[2];
    pthread_t threads[3];

    for (int i = 0; i < 2; i++)
        futures[i] = submit(pool, held, NULL);
    see_waiting(2);
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(shut_down_and_wait, pool);
    open_gate();
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(result_of(futures[i]), 0);
    rota_executor_free(pool);
}

static void freeing_a_pool_waits_for_its_calls(void)
{
    rota_executor *pool = new_counted_pool(2, 0);
    rota_concurrent_future *futures[4];
    pthread_t opener;

    for (intptr_t i = 0; i < 4; i++)
        futures[i] = submit(pool, held, (void *)i);
    see_waiting(2);
    opener = start_thread(open_when_one_waits, NULL);
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 4);
    assert_int_equal(counted.ended, counted.begun);
    pthread_join(opener, NULL);
    for (intptr_t i = 0; i < 4; i++)
        assert_int_equal(result_of(futures[i]), i);
}

static void a_pool_that_was_never_used_is_freed_too(void)
{
    rota_executor_free(new_pool(4));
}

static intptr_t shut_down_from_inside(void *pool)
{
    assert_int_equal(shut_down(pool, true, false), -EDEADLK);
    assert_int_equal(shut_down(pool, true, true), -EDEADLK);
    return 1;
}

static intptr_t shut_down_without_waiting(void *pool)
{
    return shut_down(pool, false, false);
}

static intptr_t shut_down_another(void *other)
{
    return shut_down(other, true, false);
}

static void a_call_cannot_wait_for_the_end_of_its_own_pool(void)
{
    rota_executor *pool = new_pool(1);
    rota_executor *other = new_pool(1);

    assert_int_equal(result_of(submit(pool, shut_down_from_inside, pool)), 1);
    assert_int_equal(result_of(submit(pool, return_arg, (void *)2)), 2);
    assert_int_equal(result_of(submit(other, return_arg, (void *)3)), 3);
    assert_int_equal(result_of(submit(pool, shut_down_another, other)), 0);
    assert_int_equal(result_of(submit(pool, shut_down_without_waiting, pool)),
                     0);
    rota_executor_free(pool);
    rota_executor_free(other);
}

static intptr_t submit_to_what_ends(void *pool)
{
    rota_concurrent_future *future;

    wait_at_gate();
    return rota_executor_submit(pool, &future, must_not_begin, NULL, 0);
}

static void a_call_that_is_left_can_begin_no_other(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *future = submit(pool, submit_to_what_ends, pool);

    assert_int_equal(shut_down(pool, false, false), 0);
    open_gate();
    assert_int_equal(result_of(future), -ROTA_ESHUTDOWN);
    rota_executor_free(pool);
}

/* --- At any moment ------------------------------------------------------ */

static void *submit_until_it_ends(void *pool)
{
    intptr_t accepted = 0;
    rota_concurrent_future *future;

    while (rota_executor_submit(pool, &future, count_calls, NULL, 0) == 0) {
        rota_concurrent_future_free(future);
        accepted++;
    }
    return (void *)accepted;
}

/* What was accepted is called, and nothing else. */
static void a_shutdown_may_meet_those_who_submit(void)
{
    for (int round = 0; round < 100; round++) {
        rota_executor *pool = new_pool(1 + round % 3);
        pthread_t threads[3];
        intptr_t accepted = 0;

        atomic_store(&calls, 0);
        for (int i = 0; i < 3; i++)
            threads[i] = start_thread(submit_until_it_ends, pool);
        if (round % 2)
            assert_int_equal(result_of(submit(pool, return_arg, NULL)), 0);
        assert_int_equal(shut_down(pool, round % 4 == 0, false), 0);
        for (int i = 0; i < 3; i++) {
            void *count;

            pthread_join(threads[i], &count);
            accepted += (intptr_t)count;
        }
        rota_executor_free(pool);
        assert_int_equal(atomic_load(&calls), accepted);
    }
}

HARNESS_MAIN(TEST(a_shutdown_that_waits_returns_when_all_is_done),
             TEST(a_shutdown_that_does_not_wait_lets_all_go_on),
             TEST(a_shutdown_may_cancel_what_has_not_begun),
             TEST(a_shutdown_may_cancel_and_wait),
             TEST(a_task_whose_call_a_shutdown_cancels_is_told),
             TEST(a_pool_may_be_shut_down_again),
             TEST(several_threads_may_wait_for_the_end),
             TEST(freeing_a_pool_waits_for_its_calls),
             TEST(a_pool_that_was_never_used_is_freed_too),
             TEST(a_call_cannot_wait_for_the_end_of_its_own_pool),
             TEST(a_call_that_is_left_can_begin_no_other),
             TEST_TIMEOUT(a_shutdown_may_meet_those_who_submit, 60))
