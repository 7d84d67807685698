/* SPDX-License-Identifier: MIT */
/*
 * Waiting for some of many tasks, turn by turn: ends, timeouts, cancellations
 */
#include "waits.h"

/* --- When we hear of it ------------------------------------------------- */

static intptr_t wait_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_after(0);

    (void)arg;
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, &task, 1, NULL), 1);
    note("waited");
    assert_int_equal(rota_await(task), 0);
    return rota_await(t);
}

/* asyncio: the same line. */
static void the_waiter_wakes_two_turns_after_the_end(void)
{
    scenario(wait_beside_a_ticker);
    assert_noted("t0 e0 t1 t2 waited t3 t4 t5");
}

static intptr_t wait_for_the_done(void *timeout)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_after(0);

    pass_turns(2);
    note("begin");
    assert_int_equal(
        rota_wait(&task, 1, *(double *)timeout, ROTA_ALL_COMPLETED, NULL), 1);
    note("waited");
    assert_int_equal(rota_await(task), 0);
    return rota_await(t);
}

/* asyncio: the same line, whatever the timeout. */
static void two_turns_pass_for_tasks_that_are_done_already(void)
{
    double timeout = (double)INFINITY;

    assert_int_equal(run_virtually(wait_for_the_done, &timeout), 0);
    assert_noted("t0 e0 t1 begin t2 t3 waited t4 t5");
    timeout = 0;
    assert_int_equal(run_virtually(wait_for_the_done, &timeout), 0);
    assert_noted("t0 e0 t1 begin t2 t3 waited t4 t5");
}

static intptr_t wait_for_several(void *arg)
{
    rota_task tasks[4];
    bool done[4];

    (void)arg;
    for (int i = 0; i < 4; i++)
        tasks[i] = start_after(i);
    assert_int_equal(wait_until(ROTA_FIRST_COMPLETED, tasks, 4, done), 2);
    note("waited:%04d", digits(done, 4));
    return rota_gather(tasks, 4, NULL, false);
}

/* asyncio: the same line, and as many. */
static void who_ends_before_we_wake_is_done_as_well(void)
{
    scenario(wait_for_several);
    assert_noted("e0 e1 waited:1100 e2 e3");
}

static intptr_t await_and_call(void *task)
{
    intptr_t result = rota_await(*(rota_task *)task);

    note("awaiter");
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    note_callback, (void *)"soon"),
                     0);
    return result;
}

static intptr_t wait_and_note(void *task)
{
    intptr_t result =
        wait_until(ROTA_ALL_COMPLETED, (rota_task *)task, 1, NULL);

    note(result == 1 ? "waiter" : "%s", rota_errname(result));
    return result == 1 ? 0 : result;
}

static intptr_t await_then_wait(void *awaiter_first)
{
    rota_task task = start_after(3);
    rota_task others[2];

    others[0] = start(awaiter_first ? await_and_call : wait_and_note, &task);
    others[1] = start(awaiter_first ? wait_and_note : await_and_call, &task);
    assert_int_equal(rota_gather(others, 2, NULL, false), 0);
    pass_turns(1);
    return 0;
}

/* asyncio: the same lines. */
static void awaiter_and_waiter_hear_of_it_in_the_order_in_which_they_came(void)
{
    assert_int_equal(run_virtually(await_then_wait, (void *)1), 0);
    assert_noted("e3 awaiter soon waiter");
    assert_int_equal(run_virtually(await_then_wait, NULL), 0);
    assert_noted("e3 awaiter waiter soon");
}

static intptr_t wait_for_one_of_a_group(void *all)
{
    rota_task *tasks = all;
    rota_task_group group;
    int err = rota_task_group_begin(&group);

    if (err == 0)
        err = rota_task_group_create_task(&group, yield_and_note, (void *)3,
                                          NULL);
    assert_int_equal(rota_all_tasks(rota_get_running_loop(), tasks, 2), 2);
    if (tasks[0].id == rota_current_task().id)
        tasks[0] = tasks[1];
    tasks[1] = start(wait_and_note, &tasks[0]);
    err = (int)rota_task_group_end(&group, err);
    note("group");
    return rota_await(tasks[1]) + err;
}

/* asyncio: the same line. A group's child is gone before the waiter wakes. */
static void a_group_hears_of_its_child_first(void)
{
    rota_task tasks[2];

    assert_int_equal(run_virtually(wait_for_one_of_a_group, tasks), 0);
    assert_noted("e3 group waiter");
}

/* --- Timeouts ----------------------------------------------------------- */

static intptr_t wait_no_time(void *timeout)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start(sleep_for_ever, NULL);
    bool done = true;

    pass_turns(1);
    note("begin");
    assert_int_equal(
        rota_wait(&task, 1, *(double *)timeout, ROTA_ALL_COMPLETED, &done), 0);
    note("waited");
    assert_false(done);
    assert_false(rota_task_done(task));
    end_all(&task, 1);
    return rota_await(t);
}

/* asyncio: the same line. */
static void no_time_or_less_still_lets_two_turns_pass(void)
{
    double timeout = 0;

    assert_int_equal(run_virtually(wait_no_time, &timeout), 0);
    assert_noted("t0 begin t1 t2 waited t3 t4 t5");
    timeout = -1;
    assert_int_equal(run_virtually(wait_no_time, &timeout), 0);
    assert_noted("t0 begin t1 t2 waited t3 t4 t5");
}

static intptr_t wait_a_while(void *arg)
{
    struct job jobs[] = {{3, 1, "a", 0}, {1, 2, "b", 0}, {2, 3, "c", 0}};
    double before = now();
    rota_task tasks[3];
    bool done[3];

    (void)arg;
    start_jobs(tasks, jobs, 3);
    assert_int_equal(rota_wait(tasks, 3, 2.5, ROTA_ALL_COMPLETED, done), 2);
    note("%03d", digits(done, 3));
    assert_true(now() - before >= 2.5 - 1e-6 && now() - before < 2.6);
    assert_int_equal(rota_wait(tasks, 3, 9, ROTA_ALL_COMPLETED, done), 3);
    assert_true(now() - before < 3.1);
    return rota_gather(tasks, 3, NULL, false);
}

static void when_the_time_has_passed_it_says_who_is_done(void)
{
    scenario(wait_a_while);
    assert_noted("b c 011 a");
}

static intptr_t wait_as_long_as_it_takes(void *arg)
{
    struct job jobs[] = {{1, 1, "a", 0}, {1.5, 2, "b", 0}};
    rota_task tasks[2];
    bool done[2];

    (void)arg;
    start_jobs(tasks, jobs, 2);
    pass_turns(1);
    assert_int_equal(rota_wait(tasks, 2, 1, ROTA_ALL_COMPLETED, done), 1);
    note("%02d", digits(done, 2));
    return rota_gather(tasks, 2, NULL, false);
}

/* CPython: test_wait_concurrent_complete. */
static void an_end_beside_the_timeout_counts(void)
{
    scenario(wait_as_long_as_it_takes);
    assert_noted("a 10 b");
}

static intptr_t wait_nan(void *arg)
{
    rota_task task = start(return_arg, (void *)4);

    (void)arg;
    assert_int_equal(rota_wait(&task, 1, (double)NAN, ROTA_ALL_COMPLETED, NULL),
                     -EINVAL);
    return rota_await(task) - 4;
}

static void nan_is_refused(void)
{
    scenario(wait_nan);
}

static intptr_t wait_in_a_scope(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start(sleep_for_ever, (void *)"sleeper");
    rota_timeout timeout;
    intptr_t result;

    pass_turns(1);
    (void)rota_timeout_begin(&timeout, *(double *)arg);
    result = wait_until(ROTA_ALL_COMPLETED, &task, 1, NULL);
    assert_int_equal(rota_timeout_end(&timeout, result), -ETIMEDOUT);
    note("timeout");
    assert_false(rota_task_done(task));
    assert_int_equal(rota_await(t), 0);
    end_all(&task, 1);
    return 0;
}

/* asyncio: the same line for no time at all. */
static void a_timeout_scope_ends_the_wait_and_not_the_tasks(void)
{
    double seconds = 0;

    assert_int_equal(run_virtually(wait_in_a_scope, &seconds), 0);
    assert_noted("t0 t1 t2 timeout t3 t4 t5 sleeper");
    seconds = 5;
    assert_int_equal(run_virtually(wait_in_a_scope, &seconds), 0);
    assert_noted("t0 t1 t2 t3 t4 t5 timeout sleeper");
}

/* --- Cancelling --------------------------------------------------------- */

static intptr_t cancel_a_waiter(void *arg)
{
    rota_task task = start(sleep_for_ever, (void *)"sleeper");
    rota_task waiter = start(wait_and_note, &task);

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_task_cancel(waiter), 1);
    assert_int_equal(rota_await(waiter), -ECANCELED);
    assert_int_equal(rota_task_cancelling(task), 0);
    assert_false(rota_task_done(task));
    end_all(&task, 1);
    return 0;
}

static void a_cancelled_waiter_leaves_the_tasks_alone(void)
{
    scenario(cancel_a_waiter);
    assert_noted("ECANCELED sleeper");
}

static intptr_t cancel_on_the_way(void *turns)
{
    rota_task task = start_after(1);
    rota_task waiter = start(wait_and_note, &task);

    pass_turns(*(int *)turns);
    (void)rota_task_cancel(waiter);
    note("%s", rota_await(waiter) < 0 ? "cancelled" : "well");
    return rota_await(task);
}

/* asyncio: the same, from turn to turn. The first one never begins. */
static void a_cancel_wins_until_the_waiter_has_woken(void)
{
    for (int turns = 0; turns <= 4; turns++)
        assert_int_equal(run_virtually(cancel_on_the_way, &turns), 0);
    assert_noted("e1 cancelled e1 ECANCELED cancelled e1 ECANCELED cancelled "
                 "e1 ECANCELED cancelled e1 waiter well");
}

static intptr_t wait_though_cancelled(void *task)
{
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    return wait_and_note(task);
}

static intptr_t begin_cancelled(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start(sleep_for_ever, NULL);
    rota_task waiter = start(wait_though_cancelled, &task);

    (void)arg;
    assert_int_equal(rota_await(waiter), -ECANCELED);
    end_all(&task, 1);
    return rota_await(t);
}

static void who_is_cancelled_before_it_waits_is_told_a_turn_later(void)
{
    scenario(begin_cancelled);
    assert_noted("t0 t1 ECANCELED t2 t3 t4 t5");
}

/* --- Closing ------------------------------------------------------------ */

static void say_nothing(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

static struct {
    rota_task tasks[20];
    size_t count;
    double timeout;
} left;

static intptr_t wait_for_the_left(void *arg)
{
    (void)arg;
    return rota_wait(left.tasks, left.count, left.timeout, ROTA_FIRST_COMPLETED,
                     NULL);
}

static intptr_t leave_a_waiter(void *turns)
{
    left.tasks[0] = start_after(2);
    for (size_t i = 1; i < left.count; i++)
        left.tasks[i] = start(sleep_for_ever, NULL);
    (void)start(wait_for_the_left, NULL);
    pass_turns(*(int *)turns);
    return 0;
}

/* The waiter waits, or has been woken and not run, or is done. */
static void close_after(int turns)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    rota_set_exception_handler(loop, say_nothing, NULL);
    assert_int_equal(rota_loop_run_until_complete(loop, leave_a_waiter, &turns),
                     0);
    rota_loop_free(loop);
    assert_int_equal(harness_live_blocks(), 0);
}

static void a_loop_that_closes_takes_the_wait_with_it(void)
{
    for (left.count = 1; left.count <= 20; left.count += 19) {
        left.timeout = (double)INFINITY;
        for (int turns = 0; turns < 7; turns++)
            close_after(turns);
        left.timeout = 1;
        for (int turns = 0; turns < 7; turns++)
            close_after(turns);
    }
}

HARNESS_MAIN(
    TEST(the_waiter_wakes_two_turns_after_the_end),
    TEST(two_turns_pass_for_tasks_that_are_done_already),
    TEST(who_ends_before_we_wake_is_done_as_well),
    TEST(awaiter_and_waiter_hear_of_it_in_the_order_in_which_they_came),
    TEST(a_group_hears_of_its_child_first),
    TEST(no_time_or_less_still_lets_two_turns_pass),
    TEST(when_the_time_has_passed_it_says_who_is_done),
    TEST(an_end_beside_the_timeout_counts), TEST(nan_is_refused),
    TEST(a_timeout_scope_ends_the_wait_and_not_the_tasks),
    TEST(a_cancelled_waiter_leaves_the_tasks_alone),
    TEST(a_cancel_wins_until_the_waiter_has_woken),
    TEST(who_is_cancelled_before_it_waits_is_told_a_turn_later),
    TEST(a_loop_that_closes_takes_the_wait_with_it))
