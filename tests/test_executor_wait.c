/* SPDX-License-Identifier: MIT */
/*
 * Waiting for some of many calls
 *
 * A call is a task's, so what waits for tasks waits for calls.
 */
#include "executors.h"
#include "waits.h"

enum { CALLS = 4 };

static struct call many[CALLS];
static rota_task tasks[CALLS];

/* One thread for each: all begin. */
static void start_calls(rota_executor *pool,
                        rota_work_function *const functions[CALLS])
{
    for (int i = 0; i < CALLS; i++) {
        many[i] = (struct call){pool, functions[i], NULL, 0, NULL, 0};
        tasks[i] = start(run_call, &many[i]);
    }
}

static void end_calls(void)
{
    open_gate();
    end_all(tasks, CALLS);
}

static void with_pool(rota_task_function *function, int threads)
{
    rota_executor *pool = new_pool(threads);

    assert_int_equal(run_virtually(function, pool), 0);
    rota_executor_free(pool);
}

static intptr_t wait_for_the_first(void *pool)
{
    rota_work_function *const functions[CALLS] = {held, held, return_arg, held};
    bool done[CALLS];

    start_calls(pool, functions);
    assert_int_equal(wait_until(ROTA_FIRST_COMPLETED, tasks, CALLS, done), 1);
    assert_int_equal(digits(done, CALLS), 10);
    assert_int_equal(wait_until(ROTA_FIRST_COMPLETED, tasks, CALLS, done), 1);
    end_calls();
    return 0;
}

static void the_first_call_that_ends_ends_a_wait(void)
{
    with_pool(wait_for_the_first, CALLS);
}

static intptr_t wait_for_an_error(void *pool)
{
    rota_work_function *const functions[CALLS] = {held, return_arg,
                                                  fail_with_eio, held};
    bool done[CALLS];

    start_calls(pool, functions);
    assert_in_range(wait_until(ROTA_FIRST_EXCEPTION, tasks, CALLS, done), 1, 2);
    assert_true(done[2] && !done[0] && !done[3]);
    end_calls();
    return 0;
}

static void the_first_call_that_fails_ends_a_wait(void)
{
    with_pool(wait_for_an_error, CALLS);
}

static intptr_t open_in_a_while(void *arg)
{
    (void)arg;
    see_waiting(2);
    pass_turns(3);
    open_gate();
    return 0;
}

static intptr_t wait_for_all_calls(void *pool)
{
    rota_work_function *const functions[CALLS] = {held, return_arg,
                                                  fail_with_eio, held};
    rota_task opener;
    bool done[CALLS];

    start_calls(pool, functions);
    opener = start(open_in_a_while, NULL);
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, CALLS, done), CALLS);
    assert_int_equal(digits(done, CALLS), 1111);
    assert_int_equal(rota_await(opener), 0);
    end_calls();
    return 0;
}

static void a_wait_for_all_waits_for_each_call(void)
{
    with_pool(wait_for_all_calls, CALLS);
}

static intptr_t wait_for_too_long(void *pool)
{
    rota_work_function *const functions[CALLS] = {held, held, held, held};
    bool done[CALLS];

    start_calls(pool, functions);
    assert_int_equal(rota_wait(tasks, CALLS, 0.01, ROTA_ALL_COMPLETED, done),
                     0);
    assert_int_equal(digits(done, CALLS), 0);
    end_calls();
    return 0;
}

static void a_wait_for_calls_may_have_a_time_limit(void)
{
    rota_executor *pool = new_pool(2);

    need_real_time();
    assert_int_equal(rota_run(wait_for_too_long, pool), 0);
    rota_executor_free(pool);
}

static intptr_t take_as_completed(void *pool)
{
    rota_work_function *const functions[CALLS] = {held, return_arg, held,
                                                  return_arg};
    rota_as_completed iterator;
    rota_task task;

    start_calls(pool, functions);
    assert_int_equal(
        rota_as_completed_begin(&iterator, tasks, CALLS, (double)INFINITY), 0);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
        assert_int_equal(i < 2,
                         task.id == tasks[1].id || task.id == tasks[3].id);
        if (i == 1)
            open_gate();
    }
    assert_int_equal(rota_as_completed_next(&iterator, &task), 0);
    rota_as_completed_end(&iterator);
    end_calls();
    return 0;
}

static void calls_come_as_they_are_completed(void)
{
    with_pool(take_as_completed, CALLS);
}

static intptr_t take_none_in_time(void *pool)
{
    rota_work_function *const functions[CALLS] = {held, held, held, held};
    rota_as_completed iterator;
    rota_task task;

    start_calls(pool, functions);
    assert_int_equal(rota_as_completed_begin(&iterator, tasks, CALLS, 0), 0);
    assert_int_equal(rota_as_completed_next(&iterator, &task), -ETIMEDOUT);
    rota_as_completed_end(&iterator);
    end_calls();
    return 0;
}

static void calls_that_are_not_completed_in_time_do_not_come(void)
{
    rota_executor *pool = new_pool(1);

    need_real_time();
    assert_int_equal(rota_run(take_none_in_time, pool), 0);
    rota_executor_free(pool);
}

HARNESS_MAIN(TEST(the_first_call_that_ends_ends_a_wait),
             TEST(the_first_call_that_fails_ends_a_wait),
             TEST(a_wait_for_all_waits_for_each_call),
             TEST(a_wait_for_calls_may_have_a_time_limit),
             TEST(calls_come_as_they_are_completed),
             TEST(calls_that_are_not_completed_in_time_do_not_come))
