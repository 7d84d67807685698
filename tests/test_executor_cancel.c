/* SPDX-License-Identifier: MIT */
/*
 * Calls whose task is cancelled, and loops that close before they end
 */
#include "executors.h"

/* --- Before it begins --------------------------------------------------- */

static intptr_t cancel_what_waits(void *arg)
{
    rota_executor *pool = new_pool(1);
    struct call first = {pool, held, (void *)1, 0, "first", 0};
    struct call second = {pool, must_not_begin, NULL, 0, "second", 0};
    struct call third = {pool, count_calls, NULL, 0, "third", 0};
    rota_task tasks[3] = {start(run_call, &first), start(run_call, &second),
                          start(run_call, &third)};

    (void)arg;
    pass_turns(1);
    see_waiting(1);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    pass_turns(2);
    note("opened");
    open_gate();
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    assert_int_equal(atomic_load(&calls), 1);
    rota_executor_free(pool);
    return 0;
}

static void a_call_cancelled_before_it_begins_never_begins(void)
{
    scenario(cancel_what_waits);
    assert_noted("second:ECANCELED opened first:1 third:0");
}

static intptr_t cancel_before_the_task_begins(void *pool)
{
    struct call call = {pool, must_not_begin, NULL, 0, NULL, 0};
    rota_task task = start(run_call, &call);

    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static void a_task_cancelled_before_it_begins_calls_nothing(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(cancel_before_the_task_begins, NULL), 0);
    assert_int_equal(run_virtually(cancel_before_the_task_begins, pool), 0);
    rota_executor_free(pool);
}

static intptr_t call_with_a_cancel_at_hand(void *pool)
{
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    assert_int_equal(rota_run_in_executor(pool, count_calls, NULL, 0),
                     -ECANCELED);
    assert_int_equal(rota_run_in_executor(pool, return_arg, (void *)3, 0), 3);
    return 0;
}

static void a_cancellation_that_is_due_ends_the_next_call(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(call_with_a_cancel_at_hand, NULL), 0);
    assert_int_equal(run_virtually(call_with_a_cancel_at_hand, pool), 0);
    rota_executor_free(pool);
}

/* --- While it runs ------------------------------------------------------ */

static char seen[16];

static intptr_t write_late(void *arg)
{
    char *text = arg;

    wait_at_gate();
    strcat(text, "+late");
    strcpy(seen, text);
    return 0;
}

static intptr_t call_with_a_short_life(void *pool)
{
    char text[16] = "mine";
    intptr_t err = rota_run_in_executor(pool, write_late, text, sizeof text);

    assert_string_equal(text, "mine");
    memset(text, 'x', sizeof text);
    return err;
}

static intptr_t cancel_what_runs(void *pool)
{
    rota_task task = start(call_with_a_short_life, pool);

    pass_turns(1);
    see_waiting(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(gate.waiting, 1);
    open_gate();
    return 0;
}

static void a_task_goes_on_at_once_and_the_function_ends_with_its_copy(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(cancel_what_runs, pool), 0);
    rota_executor_free(pool);
    assert_string_equal(seen, "mine+late");
    assert_int_equal(gate.passed, 1);
}

static void the_same_on_the_default_executor(void)
{
    assert_int_equal(run_virtually(cancel_what_runs, NULL), 0);
    assert_string_equal(seen, "mine+late");
    assert_int_equal(gate.passed, 1);
}

static intptr_t cancel_again_and_again(void *pool)
{
    for (int i = 0; i < 3; i++) {
        struct call call = {pool, held, NULL, 0, NULL, 0};
        rota_task task = start(run_call, &call);

        pass_turns(1);
        see_waiting(i + 1);
        rota_task_cancel(task);
        assert_int_equal(rota_await(task), -ECANCELED);
    }
    open_gate();
    return rota_run_in_executor(pool, return_arg, (void *)8, 0);
}

static void a_call_that_runs_on_keeps_its_thread_and_no_other(void)
{
    rota_executor *pool = new_pool(4);

    assert_int_equal(run_virtually(cancel_again_and_again, pool), 8);
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 3);
}

/* It has ended on its thread, and the loop has not turned since. */
static intptr_t cancel_what_has_ended(void *arg)
{
    rota_executor *pool = new_pool(1);
    char text[16] = "mine";
    struct call call = {pool, count_calls, text, sizeof text, NULL, 0};
    rota_task task = start(run_call, &call);
    rota_concurrent_future *next;

    (void)arg;
    pass_turns(1);
    next = submit(pool, held, NULL);
    see_waiting(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(atomic_load(&calls), 1);
    open_gate();
    assert_int_equal(result_of(next), 0);
    rota_executor_free(pool);
    return 0;
}

static void a_call_that_has_ended_but_was_not_told_is_cancelled_too(void)
{
    scenario(cancel_what_has_ended);
}

/* --- Time limits and groups --------------------------------------------- */

static intptr_t limit_calls(void *pool)
{
    struct call call = {pool, held, NULL, 0, NULL, 0};
    rota_timeout limit;
    intptr_t result;

    assert_int_equal(rota_wait_for(start(run_call, &call), 0.01), -ETIMEDOUT);
    assert_int_equal(rota_timeout_begin(&limit, 0.01), 0);
    result = rota_run_in_executor(pool, held, NULL, 0);
    assert_int_equal(rota_timeout_end(&limit, result), -ETIMEDOUT);
    assert_int_equal(rota_timeout_begin(&limit, 60), 0);
    result = rota_run_in_executor(pool, return_arg, (void *)5, 0);
    assert_int_equal(rota_timeout_end(&limit, result), 5);
    open_gate();
    return 0;
}

static void a_time_limit_ends_the_wait_for_a_call(void)
{
    rota_executor *pool = new_pool(3);

    need_real_time();
    assert_int_equal(rota_run(limit_calls, pool), 0);
    rota_executor_free(pool);
}

enum { GATHERED = 6 };

static intptr_t gather_calls(void *pool)
{
    struct call held_calls[GATHERED];
    rota_task tasks[GATHERED];
    intptr_t results[GATHERED] = {0};
    int err;

    for (int i = 0; i < GATHERED; i++) {
        held_calls[i] = (struct call){
            pool, i < 2 ? held : must_not_begin, NULL, 0, NULL, 0};
        tasks[i] = start(run_call, &held_calls[i]);
    }
    err = rota_gather(tasks, GATHERED, results, false);
    for (int i = 0; i < GATHERED; i++)
        assert_int_equal(held_calls[i].result, -ECANCELED);
    return err;
}

static intptr_t cancel_a_gather(void *pool)
{
    rota_task gatherer = start(gather_calls, pool);

    pass_turns(2);
    see_waiting(2);
    rota_task_cancel(gatherer);
    assert_int_equal(rota_await(gatherer), -ECANCELED);
    assert_int_equal(gate.waiting, 2);
    open_gate();
    return 0;
}

static void a_cancelled_gather_of_calls_cancels_each(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(cancel_a_gather, pool), 0);
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 2);
}

static intptr_t call_in_the_group(void *pool)
{
    return rota_run_in_executor(pool, held, NULL, 0);
}

static intptr_t fail_beside_a_call(void *pool)
{
    rota_task_group group;
    intptr_t err;

    assert_int_equal(rota_task_group_begin(&group), 0);
    err = rota_task_group_create_task(&group, call_in_the_group, pool, NULL);
    if (err == 0)
        err = rota_sleep(0);
    see_waiting(1);
    assert_int_equal(err, 0);
    assert_int_equal(rota_task_group_end(&group, -EIO), -EIO);
    open_gate();
    return 0;
}

static void a_group_that_fails_does_not_wait_for_its_calls(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(fail_beside_a_call, pool), 0);
    rota_executor_free(pool);
}

HARNESS_MAIN(TEST(a_call_cancelled_before_it_begins_never_begins),
             TEST(a_task_cancelled_before_it_begins_calls_nothing),
             TEST(a_cancellation_that_is_due_ends_the_next_call),
             TEST(a_task_goes_on_at_once_and_the_function_ends_with_its_copy),
             TEST(the_same_on_the_default_executor),
             TEST(a_call_that_runs_on_keeps_its_thread_and_no_other),
             TEST(a_call_that_has_ended_but_was_not_told_is_cancelled_too),
             TEST(a_time_limit_ends_the_wait_for_a_call),
             TEST(a_cancelled_gather_of_calls_cancels_each),
             TEST(a_group_that_fails_does_not_wait_for_its_calls))
