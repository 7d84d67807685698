/* SPDX-License-Identifier: MIT */
/*
 * Waiting with a limit, and limits that move
 */
#include "scenario.h"

static intptr_t work(void *arg)
{
    int err = rota_sleep(5);

    note("work%s", err < 0 ? "-cancelled" : "");
    return err < 0 ? err : (intptr_t)arg;
}

/* --- wait_for ----------------------------------------------------------- */

static intptr_t wait_long_enough(void *arg)
{
    rota_task task = start(work, (void *)3);

    (void)arg;
    assert_int_equal(rota_wait_for(task, 6), 3);
    assert_int_equal(rota_detach(task), -ROTA_EAWAITED);
    task = start(work, (void *)-5000);
    assert_int_equal(rota_wait_for(task, (double)INFINITY), -5000);
    assert_int_equal(rota_wait_for(start(fail_with_eio, NULL), 1), -EIO);
    return 0;
}

static void a_task_in_time_gives_its_result(void)
{
    scenario(wait_long_enough);
    assert_noted("work work");
}

static intptr_t wait_too_short(void *arg)
{
    rota_task task = start(work, arg);
    double before = now();

    assert_int_equal(rota_wait_for(task, 2), -ETIMEDOUT);
    assert_true(now() - before < 2.1);
    assert_int_equal(rota_detach(task), -ROTA_EAWAITED);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(9);
}

static void a_task_that_is_late_is_cancelled(void)
{
    scenario(wait_too_short);
    assert_noted("work-cancelled");
}

static intptr_t clean_up(void *arg)
{
    assert_int_equal(rota_sleep(5), -ECANCELED);
    assert_int_equal(rota_sleep(3), 0);
    note("cleaned");
    return (intptr_t)arg;
}

static intptr_t wait_for_cleanup(void *arg)
{
    double before = now();
    intptr_t result = rota_wait_for(start(clean_up, arg), 1);

    note("waited");
    assert_true(now() - before >= 4 - 1e-6);
    return result;
}

static void a_late_task_is_waited_for_and_its_result_counts(void)
{
    intptr_t cancelled = -ECANCELED;

    assert_int_equal(run_virtually(wait_for_cleanup, (void *)cancelled),
                     -ETIMEDOUT);
    assert_int_equal(run_virtually(wait_for_cleanup, (void *)7), 7);
    assert_int_equal(run_virtually(wait_for_cleanup, (void *)-EIO), -EIO);
    assert_noted("cleaned waited cleaned waited cleaned waited");
}

static intptr_t wait_no_time(void *limit)
{
    rota_task task = start(work, NULL);
    rota_task done = start(return_arg, (void *)4);

    assert_int_equal(rota_wait_for(task, *(double *)limit), -ETIMEDOUT);
    pass_turns(1);
    assert_int_equal(rota_wait_for(done, *(double *)limit), 4);
    return rota_sleep(6);
}

/* asyncio: neither does the task begin, and a done one gives its result. */
static void without_any_time_a_new_task_never_begins(void)
{
    double zero = 0, negative = -1;

    assert_int_equal(run_virtually(wait_no_time, &zero), 0);
    assert_int_equal(run_virtually(wait_no_time, &negative), 0);
    assert_noted("");
}

static intptr_t wait_no_time_for_cleanup(void *arg)
{
    rota_task task = start(clean_up, arg);

    pass_turns(1);
    return rota_wait_for(task, 0);
}

static intptr_t stay_cancelled(void *arg)
{
    (void)arg;
    assert_int_equal(rota_sleep(5), -ECANCELED);
    return rota_sleep(5);
}

static intptr_t wait_no_time_for_that(void *arg)
{
    rota_task task = start(stay_cancelled, arg);

    pass_turns(1);
    return rota_wait_for(task, 0);
}

static intptr_t cancel_that(void *arg)
{
    rota_task task = start(wait_no_time_for_that, arg);

    pass_turns(3);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_real_cancel_during_that_is_no_timeout(void)
{
    assert_int_equal(run_virtually(wait_no_time_for_cleanup, (void *)2), 2);
    assert_noted("cleaned");
    assert_int_equal(run_virtually(cancel_that, NULL), -ECANCELED);
}

static intptr_t wait_with_nan(void *arg)
{
    rota_task task = start(return_arg, arg);

    assert_int_equal(rota_wait_for(task, NAN), -EINVAL);
    return rota_await(task);
}

static void a_refused_limit_leaves_the_task_ours(void)
{
    assert_int_equal(run_virtually(wait_with_nan, (void *)8), 8);
}

static intptr_t wait_ten(void *arg)
{
    return rota_wait_for(start(work, arg), 10);
}

static intptr_t cancel_the_waiter(void *arg)
{
    rota_task task = start(wait_ten, arg);

    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void cancelling_the_waiter_cancels_the_task(void)
{
    assert_int_equal(run_virtually(cancel_the_waiter, NULL), -ECANCELED);
    assert_noted("work-cancelled");
}

/* --- Limits that move --------------------------------------------------- */

static intptr_t reschedule(void *arg)
{
    double start_time = now();
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 2), 0);
    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, start_time + 10), 0);
    assert_true(fabs(rota_timeout_when(&timeout) - start_time - 10) < 1e-6);
    assert_int_equal(rota_sleep(5), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, start_time + 7), 0);
    assert_int_equal(rota_timeout_end(&timeout, rota_sleep(5)), -ETIMEDOUT);
    assert_true(fabs(now() - start_time - 7) < 1e-3);
    return 0;
}

static void a_limit_may_move_out_and_in(void)
{
    scenario(reschedule);
}

static intptr_t lift(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 2), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, (double)INFINITY), 0);
    assert_true(isinf(rota_timeout_when(&timeout)));
    assert_int_equal(rota_sleep(100), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() + 1), 0);
    assert_int_equal(rota_timeout_end(&timeout, rota_sleep(5)), -ETIMEDOUT);
    return 0;
}

static void a_limit_may_be_lifted_and_set_again(void)
{
    scenario(lift);
}

static intptr_t move_to_the_past(void *arg)
{
    rota_timeout timeout;
    int err;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 50), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() - 1), 0);
    assert_false(rota_timeout_expired(&timeout));
    err = rota_sleep(0);
    assert_int_equal(err, -ECANCELED);
    return rota_timeout_end(&timeout, err);
}

static void a_limit_moved_to_the_past_ends_the_next_wait(void)
{
    assert_int_equal(run_virtually(move_to_the_past, NULL), -ETIMEDOUT);
}

static intptr_t back_from_the_past(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 0), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() + 5), 0);
    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() - 1), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, (double)INFINITY), 0);
    assert_int_equal(rota_timeout_end(&timeout, rota_sleep(1)), 0);
    return rota_sleep(10);
}

static void a_limit_that_is_due_may_still_move(void)
{
    scenario(back_from_the_past);
}

static intptr_t reschedule_late(void *arg)
{
    rota_timeout timeout;
    int err;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    err = rota_sleep(2);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() + 1),
                     -ROTA_ESTATE);
    return rota_timeout_end(&timeout, err);
}

static void a_limit_that_has_expired_cannot_move(void)
{
    assert_int_equal(run_virtually(reschedule_late, NULL), -ETIMEDOUT);
}

static intptr_t keep_moving(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rota_sleep(0.5), 0);
        assert_int_equal(rota_timeout_reschedule(&timeout, now() + 1), 0);
    }
    return rota_timeout_end(&timeout, rota_sleep(2));
}

static void an_idle_limit_may_move_again_and_again(void)
{
    assert_int_equal(run_virtually(keep_moving, NULL), -ETIMEDOUT);
}

HARNESS_MAIN(TEST(a_task_in_time_gives_its_result),
             TEST(a_task_that_is_late_is_cancelled),
             TEST(a_late_task_is_waited_for_and_its_result_counts),
             TEST(without_any_time_a_new_task_never_begins),
             TEST(a_real_cancel_during_that_is_no_timeout),
             TEST(a_refused_limit_leaves_the_task_ours),
             TEST(cancelling_the_waiter_cancels_the_task),
             TEST(a_limit_may_move_out_and_in),
             TEST(a_limit_may_be_lifted_and_set_again),
             TEST(a_limit_moved_to_the_past_ends_the_next_wait),
             TEST(a_limit_that_is_due_may_still_move),
             TEST(a_limit_that_has_expired_cannot_move),
             TEST(an_idle_limit_may_move_again_and_again))
