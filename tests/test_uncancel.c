/* SPDX-License-Identifier: MIT */
/*
 * Cancelling: requests that are taken back, and tasks that wait for futures
 *
 * What is asserted here was compared with CPython's asyncio.
 */
#include "scenario.h"

/* --- Taking requests back ----------------------------------------------- */

static intptr_t sleep_twice(void *arg)
{
    rota_task self = rota_current_task();

    assert_int_equal(rota_sleep(10), -ECANCELED);
    note("told");
    assert_int_equal(rota_task_uncancel(self), 0);
    note("%d", rota_sleep(10) == -ECANCELED);
    return arg ? (intptr_t)arg : -ECANCELED;
}

static intptr_t cancel_both_sleeps(void *arg)
{
    rota_task task = start(sleep_twice, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancelling(task), 1);
    assert_false(rota_task_done(task));
    pass_turns(1);
    assert_int_equal(rota_task_cancelling(task), 0);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancelling(task), 1);
    pass_turns(1);
    assert_true(rota_task_done(task));
    assert_int_equal(rota_task_uncancel(task), 0);
    return rota_await(task);
}

/* CPython: test_uncancel_basic. */
static void who_takes_a_request_back_can_be_cancelled_again(void)
{
    assert_int_equal(run_virtually(cancel_both_sleeps, NULL), -ECANCELED);
    assert_noted("told 1");
}

static intptr_t await_it(void *future)
{
    intptr_t result = 0;
    int err = rota_await_future(future, &result);

    note("%s", err < 0 ? rota_errname(err) : "well");
    return err < 0 ? err : result;
}

static intptr_t uncancel_the_woken(void *arg)
{
    rota_future future;
    rota_task task;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    task = start(await_it, &future);
    pass_turns(1);
    assert_int_equal(rota_future_set_result(&future, 42), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancelling(task), 1);
    assert_int_equal(rota_task_uncancel(task), 0);
    assert_int_equal(rota_await(task), 42);
    rota_future_fini(&future);
    return 0;
}

/* CPython: test_uncancel_resets_must_cancel. */
static void a_woken_task_is_not_told_of_a_request_that_was_taken_back(void)
{
    scenario(uncancel_the_woken);
    assert_noted("well");
}

/* A time limit by hand, with nothing but a timer and the two calls. */
struct limit {
    rota_task task;
    bool passed;
};

static void time_is_over(void *arg)
{
    struct limit *limit = arg;

    limit->passed = true;
    assert_int_equal(rota_task_cancel(limit->task), 1);
}

static int sleep_within(double limit_seconds, double seconds)
{
    struct limit limit = {rota_current_task(), false};
    rota_timer_handle timer = {0};
    int err;

    assert_int_equal(rota_call_later(rota_get_running_loop(), &timer,
                                     limit_seconds, time_is_over, &limit),
                     0);
    err = rota_sleep(seconds);
    rota_timer_handle_cancel(&timer);
    if (limit.passed && rota_task_uncancel(limit.task) == 0 &&
        err == -ECANCELED)
        return -ETIMEDOUT;
    return err;
}

static intptr_t limit_by_hand(void *arg)
{
    (void)arg;
    assert_int_equal(sleep_within(0.1, 10), -ETIMEDOUT);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    assert_int_equal(sleep_within(10, 0), 0);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(0);
}

static intptr_t cancel_within_a_limit(void *arg)
{
    (void)arg;
    return sleep_within(10, 20);
}

static intptr_t cancel_from_outside(void *arg)
{
    rota_task task = start(cancel_within_a_limit, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

/* CPython: test_uncancel_structured_blocks. */
static void who_takes_its_own_request_back_makes_a_time_limit(void)
{
    scenario(limit_by_hand);
    assert_int_equal(run_virtually(cancel_from_outside, NULL), -ECANCELED);
}

/* --- Futures ------------------------------------------------------------ */

static intptr_t cancel_the_future(void *arg)
{
    rota_future future;
    rota_task task;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    task = start(await_it, &future);
    pass_turns(1);
    assert_true(rota_future_cancel(&future));
    pass_turns(1);
    assert_true(rota_task_done(task));
    assert_int_equal(rota_task_cancelling(task), 0);
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_future_fini(&future);
    return 0;
}

/* CPython: test_cancel_inner_future. */
static void a_cancelled_future_ends_its_waiter_like_a_cancellation(void)
{
    scenario(cancel_the_future);
    assert_noted("ECANCELED");
}

static intptr_t await_and_go_on(void *future)
{
    assert_int_equal(await_it(future), -ECANCELED);
    note("%d", rota_sleep(0) == -ECANCELED);
    return -ECANCELED;
}

static intptr_t cancel_both(void *task_first)
{
    rota_future future;
    rota_task task;

    rota_future_init(&future, rota_get_running_loop());
    task = start(await_and_go_on, &future);
    pass_turns(1);
    if (task_first)
        assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_future_cancel(&future), !task_first);
    if (!task_first)
        assert_int_equal(rota_task_cancel(task), 1);
    assert_true(rota_future_cancelled(&future));
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_future_fini(&future);
    return 0;
}

/* CPython: test_cancel_both_task_and_inner_future. */
static void cancelling_the_future_as_well_is_told_once(void)
{
    assert_int_equal(run_virtually(cancel_both, NULL), 0);
    assert_int_equal(run_virtually(cancel_both, (void *)1), 0);
    assert_noted("ECANCELED 0 ECANCELED 0");
}

static rota_future three[3];

/* What it makes of the second one's end: a result, or it goes on. */
static intptr_t await_three(void *result)
{
    intptr_t value = 0;

    assert_int_equal(rota_await_future(&three[0], NULL), 0);
    assert_int_equal(rota_await_future(&three[1], NULL), -ECANCELED);
    if (result)
        return (intptr_t)result;
    assert_int_equal(rota_await_future(&three[2], &value), 0);
    return value;
}

static intptr_t cancel_at_the_second(void *result)
{
    rota_task task;
    intptr_t value;

    for (int i = 0; i < 3; i++)
        rota_future_init(&three[i], rota_get_running_loop());
    task = start(await_three, result);
    pass_turns(1);
    assert_int_equal(rota_future_set_result(&three[0], 1), 0);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_true(rota_future_cancelled(&three[1]));
    pass_turns(1);
    assert_int_equal(rota_task_done(task), result != NULL);
    assert_int_equal(rota_future_set_result(&three[2], 43), 0);
    value = rota_await(task);
    assert_false(rota_future_cancelled(&three[2]));
    for (int i = 0; i < 3; i++)
        rota_future_fini(&three[i]);
    return value;
}

/* CPython: test_cancel_task_catching, test_cancel_task_ignoring. */
static void who_catches_a_cancellation_may_return_or_wait_for_more(void)
{
    assert_int_equal(run_virtually(cancel_at_the_second, (void *)42), 42);
    assert_int_equal(run_virtually(cancel_at_the_second, NULL), 43);
}

static intptr_t fail_when_told(void *arg)
{
    (void)arg;
    return rota_sleep(10) == -ECANCELED ? -EIO : 0;
}

static intptr_t cancel_into_an_error(void *arg)
{
    rota_task task = start(fail_when_told, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_false(rota_task_done(task));
    return rota_await(task);
}

/* CPython: test_baseexception_during_cancel. */
static void an_error_after_a_cancellation_is_an_error(void)
{
    assert_int_equal(run_virtually(cancel_into_an_error, NULL), -EIO);
}

HARNESS_MAIN(TEST(who_takes_a_request_back_can_be_cancelled_again),
             TEST(a_woken_task_is_not_told_of_a_request_that_was_taken_back),
             TEST(who_takes_its_own_request_back_makes_a_time_limit),
             TEST(a_cancelled_future_ends_its_waiter_like_a_cancellation),
             TEST(cancelling_the_future_as_well_is_told_once),
             TEST(who_catches_a_cancellation_may_return_or_wait_for_more),
             TEST(an_error_after_a_cancellation_is_an_error))
