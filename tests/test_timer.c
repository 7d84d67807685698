/* SPDX-License-Identifier: MIT */
/*
 * Timers: never early, in order, cancelled and moved in every state
 */
#include "loops.h"

#include <math.h>
#include <stdlib.h>

/* Time */

struct shot {
    rota_timer_handle handle;
    int64_t deadline; /* ns of the system's clock */
    int64_t fired;
};

static int shots_left;

static void fire(void *arg)
{
    struct shot *shot = arg;

    shot->fired = rota__clock_now();
    if (--shots_left == 0)
        rota_loop_stop(rota_get_running_loop());
}

#define SHOTS 200

static void two_hundred_timers_are_never_early(void)
{
    static struct shot shots[SHOTS];
    rota_loop *loop = new_loop_in_real_time();
    uint64_t random = 3;

    for (int i = 0; i < SHOTS; i++) {
        double delay = (double)(rota__random(&random) % 20000) / 1e6;
        struct shot *shot = &shots[i];
        int64_t now = rota__clock_now();

        assert_int_equal(
            rota_call_later(loop, &shot->handle, delay, fire, shot), 0);
        shot->deadline = now + (int64_t)(delay * 1e9);
        shots_left++;
    }
    assert_int_equal(rota_loop_run_forever(loop), 0);
    for (int i = 0; i < SHOTS; i++) {
        int64_t late = shots[i].fired - shots[i].deadline;

        assert_true(late >= 0);
        assert_true(late < ROTA__SECOND * 10);
    }
    rota_loop_free(loop);
}

static void a_timer_is_not_early_by_the_loops_own_clock(void)
{
    rota_loop *loop = new_loop_in_real_time();

    for (int i = 1; i <= 30; i++) {
        double when = rota_loop_time(loop) + i * 37e-6;

        assert_int_equal(rota_call_at(loop, NULL, when, stop, loop), 0);
        assert_int_equal(rota_loop_run_forever(loop), 0);
        assert_true(rota_loop_time(loop) >= when);
    }
    rota_loop_free(loop);
}

/* The best of many: another process may have the processor meanwhile. */
static void a_short_timer_is_precise(void)
{
    rota_loop *loop = new_loop_in_real_time();
    double least = 1;

    for (int i = 0; i < 30; i++) {
        double begin = rota_loop_time(loop);

        assert_int_equal(rota_call_later(loop, NULL, 0.0003, stop, loop), 0);
        assert_int_equal(rota_loop_run_forever(loop), 0);
        least = fmin(least, rota_loop_time(loop) - begin);
    }
    assert_true(least > 0.0003 - 1e-9);
    assert_true(least < 0.0009 * harness_slowness());
    rota_loop_free(loop);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms = alarms + 1;
}

static void send_signals(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        raise(SIGUSR1);
}

static void signals_make_no_timer_early(void)
{
    const struct sigaction action = {.sa_handler = count_alarm};
    rota_loop *loop = new_loop_in_real_time();
    double begin;

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    begin = rota_loop_time(loop);
    rota_call_later(loop, NULL, 0.001, send_signals, NULL);
    rota_call_later(loop, NULL, 0.003, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(alarms, 3);
    assert_true(rota_loop_time(loop) - begin > 0.003 - 1e-9);
    rota_loop_free(loop);
}

static void delay_of_zero_or_less_means_the_next_turn(void)
{
    rota_loop *loop = new_loop_in_real_time();

    rota_call_later(loop, NULL, -5, note, "b");
    rota_call_later(loop, NULL, 0, note, "c");
    rota_call_at(loop, NULL, -1e300, note, "a");
    rota_call_later(loop, NULL, -INFINITY, note, "d");
    rota_call_later(loop, NULL, 0.00001, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("abcd");
    rota_loop_free(loop);
}

static void a_timer_set_by_a_timer_waits_for_the_next_turn(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    rota_timer_handle handle = {0};

    rota_call_later(loop, &handle, 1, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_call_later(loop, &handle, 0, note, "x");
    rota_call_soon(loop, NULL, note, "y");
    run_one_turn(loop);
    expect_noted("yx");
    rota_loop_free(loop);
}

static void huge_delays_are_far_away_and_nan_is_refused(void)
{
    static const double huge[] = {1e10, 1e100, 1e300, INFINITY};
    rota_loop *loop = new_loop_in_real_time();
    rota_timer_handle handle = {0};

    for (size_t i = 0; i < rota__countof(huge); i++) {
        assert_int_equal(
            rota_call_later(loop, &handle, huge[i], must_not_run, NULL), 0);
        run_one_turn(loop);
        assert_true(rota_timer_handle_when(&handle) >= 1e9);
        assert_int_equal(rota_timer_handle_reschedule(&handle, huge[i]), 0);
        assert_int_equal(rota_timer_handle_reschedule_later(&handle, huge[i]),
                         0);
        run_one_turn(loop);
        rota_timer_handle_cancel(&handle);
    }
    assert_int_equal(rota_call_later(loop, &handle, NAN, must_not_run, NULL),
                     -EINVAL);
    assert_int_equal(rota_call_at(loop, NULL, NAN, must_not_run, NULL),
                     -EINVAL);
    rota_loop_free(loop);
}

static void when_says_for_which_time_it_is_set(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    rota_timer_handle handle = {0};
    double when = rota_loop_time(loop) + 12.5;

    rota_call_at(loop, &handle, when, must_not_run, NULL);
    assert_true(fabs(rota_timer_handle_when(&handle) - when) < 1e-6);
    rota_timer_handle_reschedule(&handle, when + 1);
    assert_true(fabs(rota_timer_handle_when(&handle) - when - 1) < 1e-6);
    rota_timer_handle_cancel(&handle);
    assert_true(fabs(rota_timer_handle_when(&handle) - when - 1) < 1e-6);
    rota_loop_free(loop);
}

static void seconds_become_nanoseconds_and_never_fewer(void)
{
    assert_int_equal(rota__to_ns(0), 0);
    assert_int_equal(rota__to_ns(1.5), 1500000000);
    assert_int_equal(rota__to_ns(1e-9), 1);
    assert_int_equal(rota__to_ns(1.1e-9), 2);
    assert_int_equal(rota__to_ns(1e-30), 1);
    assert_int_equal(rota__to_ns(-1e-10), 0);
    assert_int_equal(rota__to_ns(-2), -2000000000);
    assert_true(rota__to_ns(1e300) > INT64_MAX / 8);
    assert_true(rota__to_ns(-1e300) < INT64_MIN / 8);
    assert_true(rota__to_ns(INFINITY) < INT64_MAX / 2); /* room to add now */
}

/* Order */

static void timers_fire_in_the_order_of_their_deadlines(void)
{
    rota_loop *loop = new_loop_in_virtual_time();

    rota_call_later(loop, NULL, 3, note, "c");
    rota_call_later(loop, NULL, 1, note, "a");
    rota_call_later(loop, NULL, 4, stop, loop);
    rota_call_later(loop, NULL, 2, note, "b");
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("abc");
    rota_loop_free(loop);
}

static void equal_deadlines_fire_in_the_order_of_arming(void)
{
    static char *const letters[] = {"a", "b", "c", "d", "e", "f", "g"};
    rota_loop *loop = new_loop();
    rota_timer_handle handles[7] = {0};
    double when = rota_loop_time(loop) - 1; /* all due at once */

    for (size_t i = 0; i < 7; i++)
        rota_call_at(loop, &handles[i], when, note, letters[i]);
    rota_timer_handle_reschedule(&handles[1], when); /* armed anew */
    rota_timer_handle_cancel(&handles[3]);
    run_one_turn(loop);
    expect_noted("acefgb");
    rota_loop_free(loop);
}

static void late_timers_run_in_order_in_one_turn(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    double now = rota_loop_time(loop);

    rota_call_at(loop, NULL, now - 1, note, "b");
    rota_call_at(loop, NULL, now - 2, note, "a");
    rota_call_at(loop, NULL, now - 0.5, note, "c");
    rota_call_at(loop, NULL, now + 1, must_not_run, NULL);
    run_one_turn(loop);
    expect_noted("abc");
    rota_loop_free(loop);
}

/* Cancel and reschedule, in each state */

static void a_cancelled_timer_does_not_fire(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    rota_timer_handle handle = {0};

    rota_timer_handle_cancel(&handle); /* was never set */
    assert_false(rota_timer_handle_cancelled(&handle));
    assert_int_equal(rota_call_later(loop, &handle, 1, must_not_run, NULL), 0);
    rota_timer_handle_cancel(&handle);
    rota_timer_handle_cancel(&handle);
    assert_true(rota_timer_handle_cancelled(&handle));
    rota_call_later(loop, NULL, 2, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(rota_call_later(loop, &handle, 1, stop, loop), 0);
    assert_false(rota_timer_handle_cancelled(&handle));
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_timer_handle_cancel(&handle); /* has fired */
    assert_false(rota_timer_handle_cancelled(&handle));
    rota_loop_free(loop);
}

/* What the first of two timers does to the second, which is due as well. */
struct victim {
    rota_loop *loop;
    rota_timer_handle handle;
};

static void cancel_victim(void *arg)
{
    struct victim *victim = arg;

    note("c");
    rota_timer_handle_cancel(&victim->handle);
    assert_true(rota_timer_handle_cancelled(&victim->handle));
}

static void put_victim_off(void *arg)
{
    struct victim *victim = arg;

    note("p");
    assert_int_equal(rota_timer_handle_reschedule(
                         &victim->handle, rota_loop_time(victim->loop) + 5),
                     0);
}

static void put_victim_off_without_memory(void *arg)
{
    struct victim *victim = arg;

    while (victim->loop->timers.end < victim->loop->timers.capacity)
        rota_call_later(victim->loop, NULL, 1000, must_not_run, NULL);
    harness_fail_allocation(1);
    assert_int_equal(rota_timer_handle_reschedule_later(&victim->handle, 5),
                     -ENOMEM);
    harness_fail_allocation(-1);
    note("p");
}

static rota_loop *meet_victim(rota_callback *act)
{
    static struct victim victim;
    rota_loop *loop = new_loop_in_virtual_time();

    victim = (struct victim){.loop = loop};
    rota_call_later(loop, NULL, 1, act, &victim);
    rota_call_later(loop, &victim.handle, 1, note, "v");
    rota_call_later(loop, NULL, 2, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    return loop;
}

static void a_timer_that_is_due_can_be_cancelled(void)
{
    rota_loop *loop = meet_victim(cancel_victim);

    expect_noted("c");
    rota_loop_free(loop);
}

static void a_timer_that_is_due_can_be_put_off(void)
{
    rota_loop *loop = meet_victim(put_victim_off);

    expect_noted("p");
    rota_call_later(loop, NULL, 4.5, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("v");
    rota_loop_free(loop);
}

static void without_memory_a_due_timer_stays_due(void)
{
    rota_loop *loop = meet_victim(put_victim_off_without_memory);

    expect_noted("pv");
    rota_loop_free(loop);
}

static void rescheduling_moves_a_timer_both_ways(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    rota_timer_handle a = {0};
    rota_timer_handle b = {0};
    rota_timer_handle c = {0};
    double now = rota_loop_time(loop);

    rota_call_at(loop, &a, now + 1, note, "a");
    rota_call_at(loop, &b, now + 2, note, "b");
    rota_call_at(loop, &c, now + 3, note, "c");
    rota_call_at(loop, NULL, now + 9, stop, loop);
    assert_int_equal(rota_timer_handle_reschedule(&a, now + 4), 0);
    assert_int_equal(rota_timer_handle_reschedule(&a, now + 5), 0);
    assert_int_equal(rota_timer_handle_reschedule(&c, now + 0.5), 0);
    assert_int_equal(rota_timer_handle_reschedule_later(&b, 4.5), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("cba");
    rota_loop_free(loop);
}

static void rescheduling_into_the_past_makes_it_due(void)
{
    rota_loop *loop = new_loop_in_real_time();
    rota_timer_handle handle = {0};

    rota_call_later(loop, &handle, 1000, stop, loop);
    assert_int_equal(rota_timer_handle_reschedule(&handle, 0), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_call_later(loop, &handle, 1000, stop, loop);
    assert_int_equal(rota_timer_handle_reschedule_later(&handle, -1), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
}

static void only_a_pending_timer_is_rescheduled(void)
{
    rota_loop *loop = new_loop();
    rota_timer_handle handle = {0};

    assert_int_equal(rota_timer_handle_reschedule(&handle, 1), -ROTA_ESTATE);
    assert_int_equal(rota_timer_handle_reschedule_later(&handle, 1),
                     -ROTA_ESTATE);
    rota_call_at(loop, &handle, 0, note, "x");
    assert_int_equal(rota_timer_handle_reschedule(&handle, NAN), -EINVAL);
    assert_int_equal(rota_timer_handle_reschedule_later(&handle, NAN), -EINVAL);
    run_one_turn(loop);
    expect_noted("x"); /* a refusal changes nothing */
    assert_int_equal(rota_timer_handle_reschedule(&handle, 1), -ROTA_ESTATE);
    rota_call_later(loop, &handle, 1000, must_not_run, NULL);
    rota_timer_handle_cancel(&handle);
    assert_int_equal(rota_timer_handle_reschedule(&handle, 1), -ROTA_ESTATE);
    rota_loop_free(loop);
}

struct periodic {
    rota_loop *loop;
    rota_timer_handle handle;
    int left;
};

static void tick(void *arg)
{
    struct periodic *periodic = arg;

    note("t");
    if (--periodic->left == 0)
        rota_loop_stop(periodic->loop);
    else
        assert_int_equal(rota_call_later(periodic->loop, &periodic->handle, 1,
                                         tick, periodic),
                         0);
}

static void a_timer_sets_itself_again_when_it_fires(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    struct periodic periodic = {.loop = loop, .left = 5};
    double begin = rota_loop_time(loop);

    rota_call_later(loop, &periodic.handle, 1, tick, &periodic);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("ttttt");
    assert_true(fabs(rota_loop_time(loop) - begin - 5) < 1e-6);
    rota_loop_free(loop);
}

/* A hundred thousand, beside a sorted array */

#define MANY 100000

struct entry {
    rota_timer_handle handle;
    int64_t key;
    int order; /* of its last arming; -1 when cancelled */
};

static struct entry entries[MANY];
static int fired[MANY];
static int fired_count;
static int order_of_arming;

static void note_firing(void *arg)
{
    fired[fired_count++] = (int)((struct entry *)arg - entries);
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = &entries[*(const int *)left];
    const struct entry *b = &entries[*(const int *)right];

    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->order - b->order;
}

/* Some thousand different times, so that many are equal. */
static int64_t some_time(uint64_t *random)
{
    return (int64_t)(rota__random(random) % 5000) * 1000000;
}

static void arm_all(rota_loop *loop, double base, uint64_t *random)
{
    for (int i = 0; i < MANY; i++) {
        entries[i].key = some_time(random);
        entries[i].order = order_of_arming++;
        assert_int_equal(rota_call_at(loop, &entries[i].handle,
                                      base + (double)entries[i].key / 1e9,
                                      note_firing, &entries[i]),
                         0);
    }
}

static void move_and_cancel_some(double base, uint64_t *random)
{
    for (int i = 0; i < MANY; i++) {
        struct entry *entry = &entries[rota__random(random) % MANY];

        if (entry->order < 0)
            continue;
        if (rota__random(random) % 4 == 0) {
            rota_timer_handle_cancel(&entry->handle);
            entry->order = -1;
            continue;
        }
        entry->key = some_time(random);
        entry->order = order_of_arming++;
        assert_int_equal(rota_timer_handle_reschedule(
                             &entry->handle, base + (double)entry->key / 1e9),
                         0);
    }
}

static void run_beside_the_model(rota_loop *loop, double base, uint64_t seed)
{
    static int wanted[MANY];
    uint64_t random = seed;
    int count = 0;

    fired_count = 0;
    arm_all(loop, base, &random);
    move_and_cancel_some(base, &random);
    for (int i = 0; i < MANY; i++) {
        if (entries[i].order >= 0)
            wanted[count++] = i;
    }
    qsort(wanted, (size_t)count, sizeof wanted[0], compare_entries);
    rota_call_at(loop, NULL, base + 10, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(fired_count, count);
    assert_memory_equal(fired, wanted, (size_t)count * sizeof wanted[0]);
    rota_loop_free(loop);
}

static void a_hundred_thousand_timers_fire_one_time_after_the_other(void)
{
    rota_loop *loop = new_loop_in_virtual_time();

    run_beside_the_model(loop, ceil(rota_loop_time(loop)), 5);
}

/* All are due at once, which the loop may do in another way. */
static void a_hundred_thousand_late_timers_fire_in_order(void)
{
    rota_loop *loop = new_loop_in_virtual_time();

    run_beside_the_model(loop, floor(rota_loop_time(loop)) - 20, 6);
}

HARNESS_MAIN(TEST(two_hundred_timers_are_never_early),
             TEST(a_timer_is_not_early_by_the_loops_own_clock),
             TEST(a_short_timer_is_precise), TEST(signals_make_no_timer_early),
             TEST(delay_of_zero_or_less_means_the_next_turn),
             TEST(a_timer_set_by_a_timer_waits_for_the_next_turn),
             TEST(huge_delays_are_far_away_and_nan_is_refused),
             TEST(when_says_for_which_time_it_is_set),
             TEST(seconds_become_nanoseconds_and_never_fewer),
             TEST(timers_fire_in_the_order_of_their_deadlines),
             TEST(equal_deadlines_fire_in_the_order_of_arming),
             TEST(late_timers_run_in_order_in_one_turn),
             TEST(a_cancelled_timer_does_not_fire),
             TEST(a_timer_that_is_due_can_be_cancelled),
             TEST(a_timer_that_is_due_can_be_put_off),
             TEST(without_memory_a_due_timer_stays_due),
             TEST(rescheduling_moves_a_timer_both_ways),
             TEST(rescheduling_into_the_past_makes_it_due),
             TEST(only_a_pending_timer_is_rescheduled),
             TEST(a_timer_sets_itself_again_when_it_fires),
             TEST(a_hundred_thousand_timers_fire_one_time_after_the_other),
             TEST(a_hundred_thousand_late_timers_fire_in_order))
