/* SPDX-License-Identifier: MIT */
/*
 * Timeouts in timeouts, in cleanups and around groups, and a loop that is
 * busy when they are due
 */
#include "scenario.h"

#include "loop/loop.h"

static void note_end(const char *word, intptr_t result)
{
    note("%s:%s:%d", word, result == 0 ? "0" : rota_errname(result),
         rota_task_cancelling(rota_current_task()));
}

/* What takes so long that the loop cannot look at its timers meanwhile. */
static void crunch(double seconds)
{
    rota_get_running_loop()->virtual_now += rota__to_ns(seconds);
}

/* --- A busy loop -------------------------------------------------------- */

static intptr_t crunch_within(void *arg)
{
    const double *limits = arg;
    rota_timeout outer, inner;
    intptr_t n;

    assert_int_equal(rota_timeout_begin(&outer, limits[0]), 0);
    assert_int_equal(rota_timeout_begin(&inner, limits[1]), 0);
    crunch(10);
    note_end("inner", n = rota_timeout_end(&inner, rota_sleep(100)));
    if (n == -ETIMEDOUT)
        n = rota_sleep(100);
    note_end("outer", n = rota_timeout_end(&outer, n));
    assert_true(rota_timeout_expired(&outer));
    return rota_sleep(500);
}

/* asyncio: the same outcomes. */
static void of_two_that_are_due_after_hard_work_the_outer_one_says_so(void)
{
    double outer_alone[] = {2, 100}, inner_first[] = {3, 2};
    double outer_first[] = {2, 3}, inner_alone[] = {20, 2};

    assert_int_equal(run_virtually(crunch_within, outer_alone), 0);
    assert_noted("inner:ECANCELED:1 outer:ETIMEDOUT:0");
    assert_int_equal(run_virtually(crunch_within, inner_first), 0);
    assert_noted("inner:ECANCELED:1 outer:ETIMEDOUT:0");
    assert_int_equal(run_virtually(crunch_within, outer_first), 0);
    assert_noted("inner:ECANCELED:1 outer:ETIMEDOUT:0");
    assert_int_equal(run_virtually(crunch_within, inner_alone), 0);
    assert_noted("inner:ETIMEDOUT:0 outer:ETIMEDOUT:0");
}

static intptr_t time_out_at_once(void *delay)
{
    double began = now();
    rota_timeout timeout;
    intptr_t n;

    assert_int_equal(rota_timeout_begin(&timeout, *(double *)delay), 0);
    n = rota_timeout_end(&timeout, rota_sleep(100));
    assert_true(rota_timeout_when(&timeout) <= now());
    assert_true(now() == began);
    return n;
}

static void no_time_at_all_ends_a_long_sleep_at_once(void)
{
    double delays[] = {0, -11};

    for (int i = 0; i < 2; i++)
        assert_int_equal(run_virtually(time_out_at_once, &delays[i]),
                         -ETIMEDOUT);
}

/* --- In a cleanup ------------------------------------------------------- */

static intptr_t clean_up_within(double seconds)
{
    rota_timeout timeout;

    assert_int_equal(rota_timeout_begin(&timeout, seconds), 0);
    return rota_timeout_end(&timeout, rota_sleep(100));
}

static intptr_t clean_up_after_a_timeout(void *arg)
{
    rota_timeout timeout;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    n = rota_sleep(100);
    note_end("body", n);
    note_end("cleanup", clean_up_within(1));
    note_end("end", rota_timeout_end(&timeout, n));
    return rota_sleep(100);
}

static void a_cleanup_may_time_out_by_itself(void)
{
    scenario(clean_up_after_a_timeout);
    assert_noted("body:ECANCELED:1 cleanup:ETIMEDOUT:1 end:ETIMEDOUT:0");
}

static intptr_t be_cancelled_once_more(void *arg)
{
    rota_task self = rota_current_task();
    rota_timeout timeout;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_task_cancel(self), 1);
    assert_int_equal(rota_sleep(1), -ECANCELED);
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_task_cancel(self), 1);
    n = rota_timeout_end(&timeout, rota_sleep(2));
    assert_false(rota_timeout_expired(&timeout));
    note_end("cleanup", n);
    return n;
}

static void a_second_cancel_in_a_cleanup_is_no_timeout(void)
{
    assert_int_equal(run_virtually(be_cancelled_once_more, NULL), -ECANCELED);
    assert_noted("cleanup:ECANCELED:2");
}

/* --- The task, and groups ----------------------------------------------- */

static intptr_t time_out_inside(void *arg)
{
    (void)arg;
    return clean_up_within(1) == -ETIMEDOUT ? 6 : 0;
}

static intptr_t await_who_timed_out(void *arg)
{
    rota_task task = start(time_out_inside, arg);

    assert_int_equal(rota_sleep(5), 0);
    assert_true(rota_task_done(task));
    return rota_await(task);
}

static void a_task_that_timed_out_inside_is_not_cancelled(void)
{
    assert_int_equal(run_virtually(await_who_timed_out, NULL), 6);
}

static intptr_t time_out_around_a_group(void *arg)
{
    struct job grim = {100, 0, NULL, -EPROTO};
    rota_timeout timeout;
    rota_task_group group;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_create_task(&group, do_job, &grim, NULL),
                     0);
    n = rota_sleep(50);
    note_end("group", n = rota_task_group_end(&group, n));
    note_end("timeout", n = rota_timeout_end(&timeout, n));
    assert_true(rota_timeout_expired(&timeout));
    return rota_sleep(100);
}

/* asyncio: test_timeout_taskgroup. */
static void a_child_that_fails_in_its_cleanup_hides_the_timeout(void)
{
    scenario(time_out_around_a_group);
    assert_noted("group:EPROTO:1 timeout:EPROTO:0");
}

static intptr_t begin_one_again_and_again(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
        assert_int_equal(rota_timeout_end(&timeout, rota_sleep(2 * (i % 2))),
                         i % 2 ? -ETIMEDOUT : 0);
        assert_int_equal(rota_timeout_expired(&timeout), i % 2);
    }
    return rota_sleep(100);
}

/* asyncio refuses: there the object is made anew each time. */
static void one_that_has_ended_may_begin_again(void)
{
    scenario(begin_one_again_and_again);
    assert_int_equal(run_in_debug_mode(begin_one_again_and_again, NULL), 0);
}

HARNESS_MAIN(TEST(of_two_that_are_due_after_hard_work_the_outer_one_says_so),
             TEST(no_time_at_all_ends_a_long_sleep_at_once),
             TEST(a_cleanup_may_time_out_by_itself),
             TEST(a_second_cancel_in_a_cleanup_is_no_timeout),
             TEST(a_task_that_timed_out_inside_is_not_cancelled),
             TEST(a_child_that_fails_in_its_cleanup_hides_the_timeout),
             TEST(one_that_has_ended_may_begin_again))
