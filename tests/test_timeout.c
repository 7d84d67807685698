/* SPDX-License-Identifier: MIT */
/*
 * Timeouts: a limit of time for whatever is waited for in a scope
 */
#include "scenario.h"

/* --- One ---------------------------------------------------------------- */

static intptr_t time_out(void *arg)
{
    double before = now();
    rota_timeout timeout;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 2), 0);
    assert_true(fabs(rota_timeout_when(&timeout) - (before + 2)) < 1e-6);
    assert_false(rota_timeout_expired(&timeout));
    n = rota_sleep(10);
    assert_int_equal(n, -ECANCELED);
    assert_true(rota_timeout_expired(&timeout));
    assert_int_equal(rota_task_cancelling(rota_current_task()), 1);
    assert_int_equal(rota_timeout_end(&timeout, n), -ETIMEDOUT);
    assert_true(rota_timeout_expired(&timeout));
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    assert_true(now() - before >= 2 - 1e-6 && now() - before < 2.1);
    return rota_sleep(20);
}

static void a_wait_that_takes_too_long_is_cut_off(void)
{
    scenario(time_out);
}

static intptr_t be_quick(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 2), 0);
    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_timeout_end(&timeout, -5000), -5000);
    assert_false(rota_timeout_expired(&timeout));
    assert_int_equal(rota_sleep(20), 0);
    assert_false(rota_timeout_expired(&timeout));
    return 0;
}

static void a_body_in_time_passes_its_result_on(void)
{
    scenario(be_quick);
}

static intptr_t time_out_at(void *arg)
{
    double when = now() + 3;
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin_at(&timeout, when), 0);
    assert_true(fabs(rota_timeout_when(&timeout) - when) < 1e-6);
    assert_int_equal(rota_timeout_end(&timeout, rota_sleep(5)), -ETIMEDOUT);
    assert_true(fabs(now() - when) < 0.1);
    return 0;
}

static void a_timeout_may_be_set_for_a_time_of_the_loop(void)
{
    scenario(time_out_at);
}

static intptr_t never_time_out(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, (double)INFINITY), 0);
    assert_true(isinf(rota_timeout_when(&timeout)));
    assert_int_equal(rota_timeout_end(&timeout, rota_sleep(1e9)), 0);
    assert_false(rota_timeout_expired(&timeout));
    assert_int_equal(rota_timeout_begin_at(&timeout, (double)INFINITY), 0);
    assert_int_equal(rota_timeout_end(&timeout, rota_sleep(1e9)), 0);
    return 0;
}

static void infinity_is_no_limit(void)
{
    scenario(never_time_out);
}

static intptr_t begin_with_nan(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, NAN), -EINVAL);
    assert_int_equal(rota_timeout_begin_at(&timeout, NAN), -EINVAL);
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, NAN), -EINVAL);
    return rota_timeout_end(&timeout, 0);
}

static void nan_is_refused(void)
{
    scenario(begin_with_nan);
}

static intptr_t time_out_now(void *delay)
{
    rota_timeout timeout;
    int err;

    assert_int_equal(rota_timeout_begin(&timeout, *(double *)delay), 0);
    err = rota_sleep(0);
    assert_int_equal(err, -ECANCELED);
    return rota_timeout_end(&timeout, err);
}

/* asyncio: zero and less time out in the next turn, also a sleep(0). */
static void no_time_at_all_ends_the_first_wait(void)
{
    double zero = 0, negative = -1, minus_infinity = -(double)INFINITY;

    assert_int_equal(run_virtually(time_out_now, &zero), -ETIMEDOUT);
    assert_int_equal(run_virtually(time_out_now, &negative), -ETIMEDOUT);
    assert_int_equal(run_virtually(time_out_now, &minus_infinity), -ETIMEDOUT);
}

static intptr_t do_not_wait(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 0), 0);
    assert_int_equal(rota_timeout_end(&timeout, 3), 3);
    assert_false(rota_timeout_expired(&timeout));
    assert_int_equal(rota_timeout_begin_at(&timeout, now() - 1), 0);
    assert_int_equal(rota_timeout_end(&timeout, 3), 3);
    return rota_sleep(1);
}

static void a_body_that_does_not_wait_cannot_time_out(void)
{
    scenario(do_not_wait);
}

static intptr_t fail_in_time(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_timeout_end(&timeout, -EIO), -EIO);
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_sleep(2), -ECANCELED);
    assert_int_equal(rota_timeout_end(&timeout, -EIO), -EIO);
    assert_true(rota_timeout_expired(&timeout));
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(1);
}

static void another_error_of_the_body_is_not_hidden(void)
{
    scenario(fail_in_time);
}

static intptr_t swallow(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_sleep(2), -ECANCELED);
    assert_int_equal(rota_timeout_end(&timeout, 5), 5);
    assert_true(rota_timeout_expired(&timeout));
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(1);
}

static void a_body_that_saves_itself_has_its_result(void)
{
    scenario(swallow);
}

/* --- Fired, and not yet delivered --------------------------------------- */

static intptr_t busy_wait(void *arg)
{
    rota_timeout timeout;
    int err;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 0.001), 0);
    for (double until = now() + 0.005; now() < until;)
        ;
    err = rota_sleep(0);
    assert_int_equal(rota_timeout_end(&timeout, err), err);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    assert_int_equal(rota_sleep(0.001), 0);
    return 0;
}

static intptr_t expire_together(void *arg)
{
    rota_timeout timeout;
    int err;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    err = rota_sleep(5);
    assert_int_equal(err, -ECANCELED);
    assert_int_equal(rota_timeout_end(&timeout, err), -ETIMEDOUT);
    return rota_sleep(5);
}

static void a_timeout_that_was_set_first_beats_an_equal_sleep(void)
{
    scenario(expire_together);
}

static void set_future(void *future)
{
    assert_int_equal(rota_future_set_result(future, 4), 0);
}

/* The future wakes the task; then, in the same turn, the timer fires. */
static intptr_t wake_then_expire(void *arg)
{
    double when = now() + 5;
    rota_future future;
    rota_timeout timeout;
    intptr_t err;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(
        rota_call_at(rota_get_running_loop(), NULL, when, set_future, &future),
        0);
    assert_int_equal(rota_timeout_begin_at(&timeout, when), 0);
    err = rota_await_future(&future, NULL);
    assert_int_equal(err, -ECANCELED);
    assert_int_equal(rota_timeout_end(&timeout, err), -ETIMEDOUT);
    assert_int_equal(rota_future_exception(&future), 0);
    rota_future_fini(&future);
    return rota_sleep(5);
}

static void a_timeout_after_the_wake_up_still_counts(void)
{
    scenario(wake_then_expire);
}

/* The task runs between its timer's becoming due and its running. */
static intptr_t end_while_due(void *arg)
{
    rota_timeout timeout;
    rota_future future;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, set_future, &future), 0);
    assert_int_equal(rota_await_future(&future, NULL), 0);
    assert_int_equal(rota_timeout_begin(&timeout, -1), 0);
    assert_int_equal(rota_timeout_end(&timeout, 1), 1);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    rota_future_fini(&future);
    return rota_sleep(1);
}

static void a_timer_that_is_due_is_disarmed_by_the_end(void)
{
    scenario(end_while_due);
}

static void a_timer_that_is_late_does_no_harm_to_what_follows(void)
{
    assert_int_equal(rota_run(busy_wait, NULL), 0);
}

/* --- Real cancellations ------------------------------------------------- */

static intptr_t sleep_within(void *seconds)
{
    rota_timeout timeout;
    intptr_t n;

    assert_int_equal(rota_timeout_begin(&timeout, *(double *)seconds), 0);
    n = rota_timeout_end(&timeout, rota_sleep(50));
    note("%s:%d", rota_errname(n), rota_timeout_expired(&timeout));
    return n;
}

static intptr_t cancel_within(void *seconds)
{
    rota_task task = start(sleep_within, seconds);

    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_real_cancel_is_not_taken_for_a_timeout(void)
{
    double seconds = 10;

    assert_int_equal(run_virtually(cancel_within, &seconds), -ECANCELED);
    assert_noted("ECANCELED:0");
}

static rota_task parent_task;

static void cancel_parent(void *arg)
{
    (void)arg;
    assert_int_equal(rota_task_cancel(parent_task), 1);
}

static intptr_t cancel_and_expire(void *before)
{
    double when = now() + 5;
    rota_timeout timeout;
    intptr_t n;

    parent_task = rota_current_task();
    if (before)
        assert_int_equal(rota_call_at(rota_get_running_loop(), NULL, when,
                                      cancel_parent, NULL),
                         0);
    assert_int_equal(rota_timeout_begin_at(&timeout, when), 0);
    if (!before)
        assert_int_equal(rota_call_at(rota_get_running_loop(), NULL, when,
                                      cancel_parent, NULL),
                         0);
    n = rota_timeout_end(&timeout, rota_sleep(50));
    assert_true(rota_timeout_expired(&timeout));
    assert_int_equal(rota_task_cancelling(rota_current_task()), 1);
    return n;
}

static void a_real_cancel_beside_the_timeout_wins_in_either_order(void)
{
    assert_int_equal(run_virtually(cancel_and_expire, (void *)1), -ECANCELED);
    assert_int_equal(run_virtually(cancel_and_expire, NULL), -ECANCELED);
}

/* Cleaning up after a cancel, with a limit: only the new request counts. */
static intptr_t time_out_in_cleanup(void *arg)
{
    double seconds = 3;

    (void)arg;
    assert_int_equal(rota_sleep(50), -ECANCELED);
    assert_int_equal(sleep_within(&seconds), -ETIMEDOUT);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 1);
    return -ECANCELED;
}

static intptr_t cancel_then_time_out(void *arg)
{
    rota_task task = start(time_out_in_cleanup, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_timeout_works_in_the_cleanup_after_a_cancel(void)
{
    assert_int_equal(run_virtually(cancel_then_time_out, NULL), -ECANCELED);
    assert_noted("ETIMEDOUT:1");
}

/* --- Nested ------------------------------------------------------------- */

static intptr_t nest(void *arg)
{
    const double *limits = arg;
    rota_timeout outer, inner;
    intptr_t n;

    assert_int_equal(rota_timeout_begin(&outer, limits[0]), 0);
    assert_int_equal(rota_timeout_begin(&inner, limits[1]), 0);
    n = rota_timeout_end(&inner, rota_sleep(10));
    note("inner:%s:%d", rota_errname(n), rota_timeout_expired(&inner));
    n = rota_timeout_end(&outer, n);
    note("outer:%s:%d", rota_errname(n), rota_timeout_expired(&outer));
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(50);
}

static void the_timeout_that_expires_first_is_the_one_that_says_so(void)
{
    double inner_first[] = {5, 2}, outer_first[] = {2, 5}, together[] = {2, 2};

    assert_int_equal(run_virtually(nest, inner_first), 0);
    assert_noted("inner:ETIMEDOUT:1 outer:ETIMEDOUT:0");
    assert_int_equal(run_virtually(nest, outer_first), 0);
    assert_noted("inner:ECANCELED:0 outer:ETIMEDOUT:1");
    assert_int_equal(run_virtually(nest, together), 0);
    assert_noted("inner:ECANCELED:1 outer:ETIMEDOUT:1");
}

static intptr_t expire_inside(void *arg)
{
    rota_timeout outer, inner;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&outer, 5), 0);
    assert_int_equal(rota_timeout_begin(&inner, 2), 0);
    assert_int_equal(rota_timeout_end(&inner, rota_sleep(9)), -ETIMEDOUT);
    assert_int_equal(rota_sleep(1), 0);
    n = rota_sleep(9);
    assert_int_equal(n, -ECANCELED);
    assert_int_equal(rota_timeout_end(&outer, n), -ETIMEDOUT);
    return 0;
}

static void the_outer_limit_goes_on_after_the_inner_one_has_expired(void)
{
    scenario(expire_inside);
}

static intptr_t end_wrongly(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    assert_int_equal(rota_timeout_end(&timeout, 0), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, 5), -ROTA_ESCOPE);
    return rota_timeout_end(&timeout, 0);
}

static intptr_t end_anothers(void *timeout)
{
    return rota_timeout_end(timeout, 0);
}

static intptr_t let_another_end(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    assert_int_equal(rota_await(start(end_anothers, &timeout)), -ROTA_ESCOPE);
    return rota_timeout_end(&timeout, 0);
}

static void only_its_own_task_ends_a_timeout_and_only_once(void)
{
    assert_int_equal(run_virtually(end_wrongly, NULL), -ROTA_ESCOPE);
    assert_int_equal(run_virtually(let_another_end, NULL), 0);
}

static intptr_t end_what_never_began(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, NAN), -EINVAL);
    return rota_timeout_end(&timeout, 7);
}

static void the_end_of_one_that_could_not_begin_says_why(void)
{
    assert_int_equal(rota_run(end_what_never_began, NULL), -EINVAL);
}

HARNESS_MAIN(TEST(the_end_of_one_that_could_not_begin_says_why),
             TEST(a_wait_that_takes_too_long_is_cut_off),
             TEST(a_body_in_time_passes_its_result_on),
             TEST(a_timeout_may_be_set_for_a_time_of_the_loop),
             TEST(infinity_is_no_limit), TEST(nan_is_refused),
             TEST(no_time_at_all_ends_the_first_wait),
             TEST(a_body_that_does_not_wait_cannot_time_out),
             TEST(another_error_of_the_body_is_not_hidden),
             TEST(a_body_that_saves_itself_has_its_result),
             TEST(a_timeout_that_was_set_first_beats_an_equal_sleep),
             TEST(a_timeout_after_the_wake_up_still_counts),
             TEST(a_timer_that_is_due_is_disarmed_by_the_end),
             TEST_SKIP_UNDER(a_timer_that_is_late_does_no_harm_to_what_follows,
                             HARNESS_SIM, "its time does not pass by itself"),
             TEST(a_real_cancel_is_not_taken_for_a_timeout),
             TEST(a_real_cancel_beside_the_timeout_wins_in_either_order),
             TEST(a_timeout_works_in_the_cleanup_after_a_cancel),
             TEST(the_timeout_that_expires_first_is_the_one_that_says_so),
             TEST(the_outer_limit_goes_on_after_the_inner_one_has_expired),
             TEST(only_its_own_task_ends_a_timeout_and_only_once))
