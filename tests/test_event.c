/* SPDX-License-Identifier: MIT */
/*
 * Events: a flag that tasks wait for
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
 */
#include "locks.h"

static rota_event event;

static intptr_t wait_for_it(void *name)
{
    return note_result(name, rota_event_wait(&event));
}

static void set_it(void *arg)
{
    (void)arg;
    rota_event_set(&event);
}

/* --- Setting and clearing ------------------------------------------------ */

static void an_event_is_set_and_cleared_as_often_as_one_likes(void)
{
    rota_event_init(&event);
    assert_false(rota_event_is_set(&event));
    rota_event_clear(&event);
    assert_false(rota_event_is_set(&event));
    for (int i = 0; i < 3; i++)
        rota_event_set(&event);
    assert_true(rota_event_is_set(&event));
    rota_event_clear(&event);
    assert_false(rota_event_is_set(&event));
    rota_event_fini(&event);
}

static intptr_t wait_on_a_set_one(void *arg)
{
    rota_event_init(&event);
    rota_event_set(&event);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, note_callback, arg), 0);
    assert_int_equal(rota_event_wait(&event), 0);
    assert_int_equal(rota_event_wait(&event), 0);
    assert_noted("");
    assert_true(rota_event_is_set(&event));
    rota_event_fini(&event);
    return rota_sleep(0);
}

static void a_set_event_is_waited_for_without_a_turn(void)
{
    assert_int_equal(run_virtually(wait_on_a_set_one, "later"), 0);
    assert_noted("later");
}

/* "c" has not begun when the event is set: it finds it set. */
static intptr_t set_under_two(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_event_init(&event);
    tasks[0] = start(wait_for_it, "a");
    tasks[1] = start(wait_for_it, "b");
    pass_turns(1);
    assert_noted("");
    tasks[2] = start(wait_for_it, "c");
    rota_event_set(&event);
    pass_turns(1);
    assert_noted("c a b");
    rota_event_fini(&event);
    return rota_gather(tasks, 3, NULL, false);
}

static void setting_it_wakes_all_in_their_order_a_turn_later(void)
{
    scenario(set_under_two);
}

static intptr_t set_and_clear(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_event_init(&event);
    tasks[0] = start(wait_for_it, "a");
    tasks[1] = start(wait_for_it, "b");
    pass_turns(1);
    rota_event_set(&event);
    rota_event_clear(&event);
    tasks[2] = start(wait_for_it, "late");
    pass_turns(2);
    assert_noted("a b");
    assert_false(rota_event_is_set(&event));
    assert_false(rota_task_done(tasks[2]));
    rota_event_set(&event);
    rota_event_set(&event);
    assert_int_equal(rota_gather(tasks, 3, NULL, false), 0);
    rota_event_fini(&event);
    return 0;
}

static void who_was_woken_stays_so_when_it_is_cleared_at_once(void)
{
    scenario(set_and_clear);
    assert_noted("late");
}

static intptr_t set_from_callbacks(void *arg)
{
    rota_task task;

    (void)arg;
    rota_event_init(&event);
    task = start(wait_for_it, "a");
    assert_int_equal(
        rota_call_later(rota_get_running_loop(), NULL, 60, set_it, NULL), 0);
    assert_int_equal(rota_await(task), 0);
    rota_event_fini(&event);
    return 0;
}

static void a_callback_may_set_it(void)
{
    scenario(set_from_callbacks);
    assert_noted("a");
}

static intptr_t wait_among_many(void *number)
{
    static intptr_t next;
    int err = rota_event_wait(&event);

    assert_int_equal(next++, (intptr_t)number);
    return err;
}

static intptr_t wake_many(void *arg)
{
    static rota_task tasks[1000];
    long before;

    (void)arg;
    rota_event_init(&event);
    for (intptr_t i = 0; i < 1000; i++)
        tasks[i] = start(wait_among_many, (void *)i);
    before = harness_allocations();
    pass_turns(1);
    rota_event_set(&event);
    pass_turns(1);
    assert_int_equal(harness_allocations(), before);
    for (int i = 0; i < 1000; i++)
        assert_true(rota_task_done(tasks[i]));
    rota_event_fini(&event);
    return rota_gather(tasks, 1000, NULL, false);
}

static void a_thousand_are_woken_in_one_turn_without_an_allocation(void)
{
    scenario(wake_many);
}

/* --- Cancellation and limits --------------------------------------------- */

static void cancel_it(void *task)
{
    assert_int_equal(rota_task_cancel(*(rota_task *)task), 1);
}

static intptr_t cancel_one_of_two(void *arg)
{
    rota_task a, b;

    (void)arg;
    rota_event_init(&event);
    a = start(wait_for_it, "a");
    b = start(wait_for_it, "b");
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, cancel_it, &a), 0);
    assert_int_equal(rota_await(a), -ECANCELED);
    assert_false(rota_task_done(b));
    rota_event_set(&event);
    assert_int_equal(rota_await(b), 0);
    rota_event_fini(&event);
    return 0;
}

static void a_cancelled_wait_does_not_touch_the_others(void)
{
    scenario(cancel_one_of_two);
    assert_noted("a:ECANCELED b");
}

/* "a" is cancelled after its wake-up, "c" before. */
static intptr_t cancel_beside_set(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_event_init(&event);
    tasks[0] = start(wait_for_it, "a");
    tasks[1] = start(wait_for_it, "b");
    tasks[2] = start(wait_for_it, "c");
    pass_turns(1);
    assert_int_equal(rota_task_cancel(tasks[2]), 1);
    rota_event_set(&event);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    rota_event_fini(&event);
    return 0;
}

static void a_cancellation_beside_the_wake_up_wins(void)
{
    scenario(cancel_beside_set);
    assert_noted("c:ECANCELED a:ECANCELED b");
}

static intptr_t wait_while_cancelled(void *arg)
{
    (void)arg;
    rota_event_init(&event);
    rota_event_set(&event);
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    assert_int_equal(rota_event_wait(&event), 0);
    rota_event_clear(&event);
    assert_int_equal(rota_event_wait(&event), -ECANCELED);
    rota_event_fini(&event);
    return rota_sleep(1);
}

static void a_cancelled_task_hears_of_it_when_it_has_to_wait(void)
{
    scenario(wait_while_cancelled);
}

static intptr_t wait_with_a_limit(void *arg)
{
    rota_timeout timeout;
    intptr_t err;

    (void)arg;
    rota_event_init(&event);
    assert_int_equal(rota_wait_for(start(wait_for_it, "a"), 5), -ETIMEDOUT);
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    err = rota_event_wait(&event);
    assert_int_equal(rota_timeout_end(&timeout, err), -ETIMEDOUT);
    assert_int_equal(
        rota_call_later(rota_get_running_loop(), NULL, 4, set_it, NULL), 0);
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    err = rota_event_wait(&event);
    assert_int_equal(rota_timeout_end(&timeout, err), 0);
    rota_event_fini(&event);
    return 0;
}

static void a_wait_may_have_a_limit(void)
{
    scenario(wait_with_a_limit);
    assert_noted("a:ECANCELED");
}

/* --- Misuse, ends, loops, threads ---------------------------------------- */

static void wait_in_callback(void *err)
{
    *(int *)err = rota_event_wait(&event);
}

static intptr_t wait_outside(void *arg)
{
    int err = 0;

    (void)arg;
    rota_event_init(&event);
    rota_event_set(&event);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, wait_in_callback, &err),
        0);
    pass_turns(1);
    rota_event_fini(&event);
    return err;
}

static void only_a_task_waits_for_an_event_even_if_it_is_set(void)
{
    rota_event_init(&event);
    assert_int_equal(rota_event_wait(&event), -ROTA_ENOTASK);
    assert_int_equal(run_virtually(wait_outside, NULL), -ROTA_ENOTASK);
}

static void waiting_outside_a_task_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(wait_outside, NULL);
}

static void init(void *thing)
{
    rota_event_init(thing);
}

static void block(void *thing)
{
    rota_event_clear(thing);
}

static intptr_t wait(void *thing)
{
    return rota_event_wait(thing);
}

static void wake(void *thing)
{
    rota_event_set(thing);
}

static void fini(void *thing)
{
    rota_event_fini(thing);
}

static const struct kind kind = {init, block, wait, wake, fini};

static void who_waits_for_an_event_that_ends_is_told_and_looks_away(void)
{
    end_in_all_ways(&kind);
}

static void ending_an_event_under_a_waiter_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(end_under_one, (void *)(uintptr_t)&kind);
}

static void an_event_outlives_loops(void)
{
    outlive_loops(&kind, &event);
}

static void an_event_that_another_thread_waits_for_is_refused(void)
{
    use_from_two_threads(&kind, &event);
}

HARNESS_MAIN(
    TEST(an_event_is_set_and_cleared_as_often_as_one_likes),
    TEST(a_set_event_is_waited_for_without_a_turn),
    TEST(setting_it_wakes_all_in_their_order_a_turn_later),
    TEST(who_was_woken_stays_so_when_it_is_cleared_at_once),
    TEST(a_callback_may_set_it),
    TEST(a_thousand_are_woken_in_one_turn_without_an_allocation),
    TEST(a_cancelled_wait_does_not_touch_the_others),
    TEST(a_cancellation_beside_the_wake_up_wins),
    TEST(a_cancelled_task_hears_of_it_when_it_has_to_wait),
    TEST(a_wait_may_have_a_limit),
    TEST(only_a_task_waits_for_an_event_even_if_it_is_set),
    TEST_EXPECT_SIGNAL(waiting_outside_a_task_stops_in_debug_mode, SIGABRT,
                       "rota_event_wait"),
    TEST(who_waits_for_an_event_that_ends_is_told_and_looks_away),
    TEST_EXPECT_SIGNAL(ending_an_event_under_a_waiter_stops_in_debug_mode,
                       SIGABRT, "rota_event_fini"),
    TEST(an_event_outlives_loops),
    TEST(an_event_that_another_thread_waits_for_is_refused))
