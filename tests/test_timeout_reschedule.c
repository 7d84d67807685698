/* SPDX-License-Identifier: MIT */
/*
 * Timeouts that are given another time
 */
#include "scenario.h"

/* Waits, and notes what became of the wait, of the timeout, and when. */
static intptr_t note_end(rota_timeout *timeout, double began)
{
    intptr_t n = rota_timeout_end(timeout, rota_sleep(50));

    note("%s:%d:%g", n == 0 ? "0" : rota_errname(n),
         rota_timeout_expired(timeout), round(now() - began));
    return n;
}

static intptr_t give_another_time(double delay, double other)
{
    double began = now();
    rota_timeout timeout;

    assert_int_equal(rota_timeout_begin(&timeout, delay), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, began + other), 0);
    if (isinf(other))
        assert_true(isinf(rota_timeout_when(&timeout)));
    else
        assert_true(fabs(rota_timeout_when(&timeout) - began - other) < 1e-6);
    assert_false(rota_timeout_expired(&timeout));
    return note_end(&timeout, began);
}

static intptr_t give_other_times(void *arg)
{
    const double never = (double)INFINITY;

    (void)arg;
    assert_int_equal(give_another_time(9, 3), -ETIMEDOUT);
    assert_int_equal(give_another_time(3, 9), -ETIMEDOUT);
    assert_int_equal(give_another_time(3, 3), -ETIMEDOUT);
    assert_int_equal(give_another_time(3, never), 0);
    assert_int_equal(give_another_time(never, 3), -ETIMEDOUT);
    assert_int_equal(give_another_time(never, never), 0);
    assert_int_equal(give_another_time(0, never), 0);
    assert_int_equal(give_another_time(0, 3), -ETIMEDOUT);
    return rota_sleep(100);
}

static void the_last_time_that_it_was_given_counts(void)
{
    scenario(give_other_times);
    assert_noted("ETIMEDOUT:1:3 ETIMEDOUT:1:9 ETIMEDOUT:1:3 0:0:50 "
                 "ETIMEDOUT:1:3 0:0:50 0:0:50 ETIMEDOUT:1:3");
}

static intptr_t give_a_time_that_has_passed(void *delay)
{
    rota_timeout timeout;
    int err;

    assert_int_equal(rota_timeout_begin(&timeout, *(double *)delay), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() - 1), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, now()), 0);
    err = rota_sleep(0);
    assert_int_equal(err, -ECANCELED);
    return rota_timeout_end(&timeout, err);
}

/* asyncio: it fires in the next turn. */
static void a_time_that_has_passed_ends_the_next_wait(void)
{
    double delays[] = {9, 0, (double)INFINITY};

    for (int i = 0; i < 3; i++)
        assert_int_equal(run_virtually(give_a_time_that_has_passed, &delays[i]),
                         -ETIMEDOUT);
}

static intptr_t push_it_back(void *arg)
{
    double began = now();
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rota_sleep(4), 0);
        assert_int_equal(rota_timeout_reschedule(&timeout, now() + 5), 0);
    }
    assert_int_equal(note_end(&timeout, began), -ETIMEDOUT);
    return 0;
}

static void a_timeout_may_be_pushed_back_again_and_again(void)
{
    scenario(push_it_back);
    assert_noted("ETIMEDOUT:1:4005");
}

static void never_mind(void *timeout)
{
    assert_int_equal(rota_timeout_reschedule(timeout, now() + 7), 0);
    note("pushed");
}

/* The callback runs when the timeout is due and has not fired yet. */
static intptr_t push_back_what_is_due(void *arg)
{
    double began = now();
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_call_at(rota_get_running_loop(), NULL, began + 5,
                                  never_mind, &timeout),
                     0);
    assert_int_equal(rota_timeout_begin_at(&timeout, began + 5), 0);
    return note_end(&timeout, began) == -ETIMEDOUT ? 0 : -EIO;
}

static void one_that_is_due_may_still_be_pushed_back(void)
{
    scenario(push_back_what_is_due);
    assert_noted("pushed ETIMEDOUT:1:12");
}

static intptr_t limit_myself(void *timeout)
{
    assert_int_equal(rota_timeout_begin(timeout, 10), 0);
    return note_end(timeout, now());
}

static intptr_t limit_another(void *arg)
{
    rota_timeout timeout;
    rota_task task = start(limit_myself, &timeout);

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() + 20), 0);
    assert_int_equal(rota_sleep(15), 0);
    assert_int_equal(rota_timeout_reschedule(&timeout, (double)INFINITY), 0);
    assert_true(isinf(rota_timeout_when(&timeout)));
    assert_int_equal(rota_sleep(15), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_false(rota_timeout_expired(&timeout));
    return 0;
}

/* asyncio: test_reschedule does the same. */
static void another_task_may_give_it_another_time(void)
{
    scenario(limit_another);
    assert_noted("ECANCELED:0:30");
}

static intptr_t reschedule_too_late(void *arg)
{
    rota_timeout timeout;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    n = rota_sleep(9);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() + 5),
                     -ROTA_ESTATE);
    assert_int_equal(rota_timeout_end(&timeout, n), -ETIMEDOUT);
    assert_int_equal(rota_timeout_reschedule(&timeout, now() + 5),
                     -ROTA_ESCOPE);
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_timeout_end(&timeout, 4), 4);
    return rota_timeout_reschedule(&timeout, now() + 5);
}

static void what_has_fired_or_ended_is_given_no_other_time(void)
{
    assert_int_equal(run_virtually(reschedule_too_late, NULL), -ROTA_ESCOPE);
}

static void after_the_end_debug_mode_stops(void)
{
    run_in_debug_mode(reschedule_too_late, NULL);
}

/* The heap of a loop's first timer has no memory yet. */
static intptr_t reschedule_without_memory(void *arg)
{
    rota_timeout timeout;
    double began = now();

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, (double)INFINITY), 0);
    harness_fail_allocation(1);
    assert_int_equal(rota_timeout_reschedule(&timeout, began + 5), -ENOMEM);
    assert_true(isinf(rota_timeout_when(&timeout)));
    assert_int_equal(note_end(&timeout, began), 0);
    return 0;
}

static void without_memory_it_keeps_the_time_that_it_had(void)
{
    scenario(reschedule_without_memory);
    assert_noted("0:0:50");
}

HARNESS_MAIN(TEST(the_last_time_that_it_was_given_counts),
             TEST(a_time_that_has_passed_ends_the_next_wait),
             TEST(a_timeout_may_be_pushed_back_again_and_again),
             TEST(one_that_is_due_may_still_be_pushed_back),
             TEST(another_task_may_give_it_another_time),
             TEST(what_has_fired_or_ended_is_given_no_other_time),
             TEST_EXPECT_SIGNAL(after_the_end_debug_mode_stops, SIGABRT,
                                "rota_timeout_reschedule: "),
             TEST(without_memory_it_keeps_the_time_that_it_had))
