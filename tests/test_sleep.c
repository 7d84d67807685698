/* SPDX-License-Identifier: MIT */
/*
 * Sleeping: never too short, and in order
 */
#include "scenario.h"

#include <time.h>

static double real_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static intptr_t sleep_and_measure(void *arg)
{
    static const double times[] = {1e-9,   1e-6,   1e-4,  3.3e-4, 9.99e-4,
                                   1.3e-3, 2.5e-3, 1e-2,  1e-9,   7e-5,
                                   1e-3,   1e-3,   5.5e-3};

    (void)arg;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        double before = real_time();

        assert_int_equal(rota_sleep(times[i]), 0);
        assert_true(real_time() - before >= times[i]);
    }
    return 0;
}

static void a_sleep_is_never_too_short(void)
{
    assert_int_equal(rota_run(sleep_and_measure, NULL), 0);
}

static intptr_t sleep_long(void *arg)
{
    double before = real_time();

    (void)arg;
    assert_int_equal(rota_sleep(0.05), 0);
    assert_true(real_time() - before < 1 * harness_slowness());
    return 0;
}

static void a_sleep_is_about_as_long_as_asked(void)
{
    assert_int_equal(rota_run(sleep_long, NULL), 0);
}

static intptr_t sleep_oddly(void *arg)
{
    rota_task t = start(ticker, (void *)"t");

    (void)arg;
    assert_int_equal(rota_sleep(NAN), -EINVAL);
    note("nan");
    assert_int_equal(rota_sleep(-1), 0);
    note("negative");
    assert_int_equal(rota_sleep(0), 0);
    note("zero");
    assert_int_equal(rota_sleep(-(double)INFINITY), 0);
    note("minus-infinity");
    return rota_await(t);
}

static void zero_and_less_let_the_others_run_once(void)
{
    scenario(sleep_oddly);
    assert_noted("nan t0 negative t1 zero t2 minus-infinity t3 t4 t5");
}

struct nap {
    double seconds;
    const char *word;
};

static intptr_t nap(void *arg)
{
    const struct nap *nap = arg;
    int err = rota_sleep(nap->seconds);

    note("%s", nap->word);
    return err;
}

static intptr_t nap_together(void *arg)
{
    struct nap naps[] = {{3, "c"},  {1, "a1"}, {2, "b1"},
                         {1, "a2"}, {2, "b2"}, {1, "a3"}};
    rota_task tasks[6];

    (void)arg;
    for (int i = 0; i < 6; i++)
        tasks[i] = start(nap, &naps[i]);
    return rota_gather(tasks, 6, NULL, false);
}

static void sleepers_wake_by_deadline_and_equal_ones_in_order(void)
{
    scenario(nap_together);
    assert_noted("a1 a2 a3 b1 b2 c");
}

static intptr_t sleep_beside_callbacks(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    struct nap one = {1, "task"};
    rota_task task;

    (void)arg;
    assert_int_equal(
        rota_call_later(loop, NULL, 1, note_callback, (void *)"before"), 0);
    task = start(nap, &one);
    pass_turns(1);
    assert_int_equal(
        rota_call_later(loop, NULL, 1, note_callback, (void *)"after"), 0);
    return rota_await(task);
}

/* asyncio: the timer wakes a future, and that one the task a turn later. */
static void a_sleeper_runs_in_the_turn_after_its_timer(void)
{
    scenario(sleep_beside_callbacks);
    assert_noted("before after task");
}

static intptr_t sleep_for_centuries(void *arg)
{
    rota_task task = start(sleep_for_ever, arg);
    double before = now();

    assert_int_equal(rota_sleep(2e9), 0);
    assert_true(now() - before > 2e9 - 1e-3);
    assert_true(now() - before < 2e9 + 1e-3);
    assert_true(rota_task_done(task));
    assert_int_equal(rota_await(task), 0);
    return 0;
}

static void centuries_pass_in_virtual_time(void)
{
    scenario(sleep_for_centuries);
    assert_noted("");
}

static intptr_t sleep_infinitely(void *arg)
{
    (void)arg;
    return rota_sleep((double)INFINITY);
}

static intptr_t end_infinity(void *arg)
{
    rota_task task = start(sleep_infinitely, NULL);

    (void)arg;
    assert_int_equal(rota_sleep(2e9), 0);
    assert_int_equal(rota_sleep(2e9), 0);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static void an_infinite_sleep_ends_by_cancelling(void)
{
    scenario(end_infinity);
}

static intptr_t sleep_to_deadlines(void *arg)
{
    double begin = now();

    (void)arg;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(rota_sleep(0.25), 0); /* what the work takes */
        assert_int_equal(rota_sleep_until(begin + i), 0);
        assert_true(now() >= begin + i && now() < begin + i + 1e-3);
    }
    return 0;
}

static void absolute_deadlines_do_not_drift(void)
{
    scenario(sleep_to_deadlines);
}

static intptr_t sleep_until_the_past(void *arg)
{
    rota_task other = start(ticker, "t");

    (void)arg;
    note("before");
    assert_int_equal(rota_sleep_until(now() - 1), 0);
    note("after");
    assert_int_equal(rota_sleep_until(-(double)INFINITY), 0);
    assert_int_equal(rota_sleep_until((double)NAN), -EINVAL);
    assert_int_equal(rota_task_cancel(other), 1);
    assert_int_equal(rota_await(other), -ECANCELED);
    return 0;
}

static void a_deadline_in_the_past_lets_the_others_run_once(void)
{
    scenario(sleep_until_the_past);
    assert_noted("before t0 after t1");
}

static intptr_t cancel_a_deadline(void *until)
{
    rota_task task = start((rota_task_function *)(uintptr_t)until, NULL);

    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static intptr_t sleep_until_the_end(void *arg)
{
    (void)arg;
    return rota_sleep_until((double)INFINITY);
}

static intptr_t sleep_until_tomorrow(void *arg)
{
    (void)arg;
    return rota_sleep_until(now() + 86400);
}

static intptr_t cancel_deadlines(void *arg)
{
    (void)arg;
    cancel_a_deadline((void *)(uintptr_t)sleep_until_tomorrow);
    return cancel_a_deadline((void *)(uintptr_t)sleep_until_the_end);
}

static void a_sleep_until_a_deadline_can_be_cancelled(void)
{
    scenario(cancel_deadlines);
}

static void only_a_task_sleeps_until_a_deadline(void)
{
    assert_int_equal(rota_sleep_until(0), -ROTA_ENOTASK);
}

HARNESS_MAIN(TEST_SKIP_UNDER(a_sleep_is_never_too_short, HARNESS_SIM,
                             "its time is not the clock's"),
             TEST_SKIP_UNDER(a_sleep_is_about_as_long_as_asked, HARNESS_SIM,
                             "its time is not the clock's"),
             TEST(zero_and_less_let_the_others_run_once),
             TEST(sleepers_wake_by_deadline_and_equal_ones_in_order),
             TEST(a_sleeper_runs_in_the_turn_after_its_timer),
             TEST(centuries_pass_in_virtual_time),
             TEST(an_infinite_sleep_ends_by_cancelling),
             TEST(absolute_deadlines_do_not_drift),
             TEST(a_deadline_in_the_past_lets_the_others_run_once),
             TEST(a_sleep_until_a_deadline_can_be_cancelled),
             TEST(only_a_task_sleeps_until_a_deadline))
