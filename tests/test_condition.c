/* SPDX-License-Identifier: MIT */
/*
 * Conditions: waiting for a change of what a lock protects
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
 * Cancellations have a file of their own, tests/test_condition_cancel.c.
 */
#include "locks.h"

static rota_condition condition;

static void hold(void)
{
    assert_int_equal(rota_condition_acquire(&condition), 0);
}

static void let_go(void)
{
    assert_int_equal(rota_condition_release(&condition), 0);
}

static void notify(size_t count)
{
    assert_int_equal(rota_condition_notify(&condition, count), 0);
}

/* Waits once, and keeps the lock. */
static intptr_t wait_and_keep(void *name)
{
    hold();
    return note_result(name, rota_condition_wait(&condition));
}

static intptr_t wait_and_let_go(void *name)
{
    int err;

    hold();
    err = note_result(name, rota_condition_wait(&condition));
    assert_true(rota_condition_locked(&condition));
    let_go();
    return err;
}

static void begin_three(rota_task *tasks, rota_task_function *function)
{
    rota_condition_init(&condition, NULL);
    tasks[0] = start(function, "a");
    tasks[1] = start(function, "b");
    tasks[2] = start(function, "c");
    pass_turns(1);
    assert_noted("");
    assert_false(rota_condition_locked(&condition));
}

static intptr_t end_three(const rota_task *tasks)
{
    intptr_t err = rota_gather(tasks, 3, NULL, false);

    assert_false(rota_condition_locked(&condition));
    rota_condition_fini(&condition);
    return err;
}

/* --- Notifying ----------------------------------------------------------- */

/* Who was notified returns when it has the lock, one after the other. */
static intptr_t keep_the_lock(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    begin_three(tasks, wait_and_keep);
    hold();
    notify(1);
    pass_turns(1);
    assert_noted("");
    assert_true(rota_condition_locked(&condition));
    let_go();
    pass_turns(1);
    assert_noted("a");
    assert_true(rota_condition_locked(&condition));
    notify(2);
    pass_turns(1);
    assert_noted("");
    let_go();
    pass_turns(1);
    assert_noted("b");
    let_go();
    pass_turns(1);
    assert_noted("c");
    assert_true(rota_condition_locked(&condition));
    let_go();
    return end_three(tasks);
}

static void who_is_notified_returns_when_it_has_the_lock(void)
{
    scenario(keep_the_lock);
}

static intptr_t notify_some(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    begin_three(tasks, wait_and_let_go);
    hold();
    notify(0);
    let_go();
    pass_turns(3);
    assert_noted("");
    hold();
    notify(1);
    let_go();
    pass_turns(1);
    assert_noted("a");
    hold();
    notify(1);
    notify(2048);
    let_go();
    pass_turns(1);
    assert_noted("b c");
    return end_three(tasks);
}

static void notify_wakes_as_many_as_it_says_and_no_more_than_wait(void)
{
    scenario(notify_some);
}

static intptr_t notify_everybody(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    begin_three(tasks, wait_and_let_go);
    hold();
    assert_int_equal(rota_condition_notify_all(&condition), 0);
    let_go();
    pass_turns(1);
    assert_noted("a b c");
    begin_three(tasks, wait_and_let_go);
    hold();
    notify(SIZE_MAX);
    let_go();
    return end_three(tasks);
}

static void notify_all_wakes_everybody_in_order(void)
{
    scenario(notify_everybody);
    assert_noted("a b c");
}

static intptr_t notify_nobody(void *arg)
{
    rota_task task;

    (void)arg;
    rota_condition_init(&condition, NULL);
    hold();
    assert_int_equal(rota_condition_notify_all(&condition), 0);
    notify(3);
    let_go();
    task = start(wait_and_let_go, "a");
    pass_turns(3);
    assert_false(rota_task_done(task));
    hold();
    notify(1);
    let_go();
    assert_int_equal(rota_await(task), 0);
    rota_condition_fini(&condition);
    return 0;
}

static void a_notification_that_nobody_waits_for_is_gone(void)
{
    scenario(notify_nobody);
    assert_noted("a");
}

static void notify_and_let_go(void *arg)
{
    (void)arg;
    notify(1);
    let_go();
}

static intptr_t notify_from_a_callback(void *arg)
{
    rota_task task;

    (void)arg;
    rota_condition_init(&condition, NULL);
    task = start(wait_and_let_go, "a");
    pass_turns(1);
    hold();
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, notify_and_let_go, NULL),
        0);
    assert_int_equal(rota_await(task), 0);
    rota_condition_fini(&condition);
    return 0;
}

static void a_callback_may_notify_while_the_lock_is_held(void)
{
    scenario(notify_from_a_callback);
    assert_noted("a");
}

static intptr_t count_allocations(void *arg)
{
    rota_task tasks[3];
    long before;

    (void)arg;
    begin_three(tasks, wait_and_let_go);
    before = harness_allocations();
    hold();
    notify(2);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    let_go();
    pass_turns(5);
    assert_noted("b a:ECANCELED c");
    assert_int_equal(harness_allocations(), before);
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    rota_condition_fini(&condition);
    return 0;
}

static void waiting_and_waking_allocate_nothing(void)
{
    scenario(count_allocations);
}

/* --- Predicates ---------------------------------------------------------- */

static int looks;

static bool is_true(void *flag)
{
    looks++;
    return *(bool *)flag;
}

static intptr_t wait_for_flag(void *flag)
{
    int err;

    hold();
    err = note_result("a", rota_condition_wait_for(&condition, is_true, flag));
    assert_true(rota_condition_locked(&condition));
    let_go();
    return err;
}

static void notify_once(void)
{
    hold();
    notify(1);
    let_go();
}

static intptr_t change_in_time(void *arg)
{
    bool flag = false;
    rota_task task;

    (void)arg;
    rota_condition_init(&condition, NULL);
    task = start(wait_for_flag, &flag);
    pass_turns(1);
    assert_int_equal(looks, 1);
    notify_once();
    pass_turns(1);
    assert_int_equal(looks, 2);
    assert_noted("");
    flag = true;
    pass_turns(3);
    assert_int_equal(looks, 2);
    notify_once();
    pass_turns(1);
    assert_int_equal(looks, 3);
    assert_noted("a");
    rota_condition_fini(&condition);
    return rota_await(task);
}

static void wait_for_looks_again_at_each_notification(void)
{
    scenario(change_in_time);
}

static intptr_t wait_for_what_is_true(void *arg)
{
    bool flag = true;

    (void)arg;
    rota_condition_init(&condition, NULL);
    assert_int_equal(rota_condition_wait_for(&condition, is_true, &flag), 0);
    assert_false(rota_condition_locked(&condition));
    flag = false;
    assert_int_equal(rota_condition_wait_for(&condition, is_true, &flag),
                     -ROTA_ESTATE);
    assert_int_equal(rota_condition_wait_for(&condition, NULL, NULL), -EINVAL);
    rota_condition_fini(&condition);
    return 0;
}

static void wait_for_needs_the_lock_only_if_it_has_to_wait(void)
{
    scenario(wait_for_what_is_true);
}

/* --- The lock ------------------------------------------------------------ */

static intptr_t do_without_the_lock(void *arg)
{
    (void)arg;
    rota_condition_init(&condition, NULL);
    assert_int_equal(rota_condition_wait(&condition), -ROTA_ESTATE);
    assert_int_equal(rota_condition_notify(&condition, 1), -ROTA_ESTATE);
    assert_int_equal(rota_condition_notify_all(&condition), -ROTA_ESTATE);
    assert_int_equal(rota_condition_release(&condition), -ROTA_ESTATE);
    rota_condition_fini(&condition);
    return 0;
}

static void without_the_lock_one_neither_waits_nor_notifies(void)
{
    scenario(do_without_the_lock);
}

static intptr_t wait_without_the_lock(void *arg)
{
    (void)arg;
    rota_condition_init(&condition, NULL);
    return rota_condition_wait(&condition);
}

static void waiting_without_the_lock_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(wait_without_the_lock, NULL);
}

static intptr_t notify_without_the_lock(void *arg)
{
    (void)arg;
    rota_condition_init(&condition, NULL);
    return rota_condition_notify(&condition, 1);
}

static void notifying_without_the_lock_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(notify_without_the_lock, NULL);
}

static intptr_t use_either(void *arg)
{
    rota_lock lock;

    (void)arg;
    rota_lock_init(&lock);
    rota_condition_init(&condition, &lock);
    assert_false(rota_condition_locked(&condition));
    hold();
    assert_true(rota_lock_locked(&lock));
    assert_int_equal(rota_lock_release(&lock), 0);
    assert_false(rota_condition_locked(&condition));
    assert_int_equal(rota_lock_acquire(&lock), 0);
    assert_true(rota_condition_locked(&condition));
    let_go();
    assert_false(rota_lock_locked(&lock));
    rota_condition_fini(&condition);
    rota_lock_fini(&lock);
    return 0;
}

static void a_condition_may_have_a_lock_of_the_callers(void)
{
    scenario(use_either);
}

static rota_condition other;

static intptr_t wait_for_the_other(void *name)
{
    assert_int_equal(rota_condition_acquire(&other), 0);
    note_result(name, rota_condition_wait(&other));
    return rota_condition_release(&other);
}

static intptr_t share_a_lock(void *arg)
{
    rota_task tasks[2];
    rota_lock lock;

    (void)arg;
    rota_lock_init(&lock);
    rota_condition_init(&condition, &lock);
    rota_condition_init(&other, &lock);
    tasks[0] = start(wait_and_let_go, "one");
    tasks[1] = start(wait_for_the_other, "other");
    pass_turns(1);
    assert_int_equal(rota_lock_acquire(&lock), 0);
    assert_int_equal(rota_condition_notify_all(&other), 0);
    assert_int_equal(rota_lock_release(&lock), 0);
    pass_turns(2);
    assert_noted("other");
    notify_once();
    assert_int_equal(rota_gather(tasks, 2, NULL, false), 0);
    rota_condition_fini(&other);
    rota_condition_fini(&condition);
    rota_lock_fini(&lock);
    return 0;
}

static void two_conditions_may_share_a_lock(void)
{
    scenario(share_a_lock);
    assert_noted("one");
}

/* --- Misuse, ends, loops, threads ---------------------------------------- */

static void wait_in_callback(void *err)
{
    *(int *)err = rota_condition_wait(&condition);
}

static intptr_t wait_outside(void *arg)
{
    int err = 0;

    (void)arg;
    rota_condition_init(&condition, NULL);
    hold();
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, wait_in_callback, &err),
        0);
    pass_turns(1);
    assert_true(rota_condition_locked(&condition));
    let_go();
    rota_condition_fini(&condition);
    return err;
}

static void only_a_task_waits_for_a_condition(void)
{
    rota_condition_init(&condition, NULL);
    assert_int_equal(rota_condition_acquire(&condition), -ROTA_ENOTASK);
    assert_int_equal(rota_condition_wait(&condition), -ROTA_ENOTASK);
    assert_int_equal(run_virtually(wait_outside, NULL), -ROTA_ENOTASK);
}

static void waiting_outside_a_task_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(wait_outside, NULL);
}

static void init(void *thing)
{
    rota_condition_init(thing, NULL);
}

static void block(void *thing)
{
    assert_false(rota_condition_locked(thing));
}

/* Without the condition there is no lock to give back. */
static intptr_t wait(void *thing)
{
    int err = rota_condition_acquire(thing);

    if (err == 0)
        err = rota_condition_wait(thing);
    if (err != -ROTA_ECLOSING)
        assert_int_equal(rota_condition_release(thing), 0);
    return err;
}

static void wake(void *thing)
{
    assert_int_equal(rota_condition_acquire(thing), 0);
    assert_int_equal(rota_condition_notify(thing, 1), 0);
    assert_int_equal(rota_condition_release(thing), 0);
}

static void fini(void *thing)
{
    rota_condition_fini(thing);
}

static const struct kind kind = {init, block, wait, wake, fini};

static void who_waits_for_a_condition_that_ends_is_told_and_looks_away(void)
{
    end_in_all_ways(&kind);
}

static void ending_a_condition_under_a_waiter_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(end_under_one, (void *)(uintptr_t)&kind);
}

static void a_condition_outlives_loops(void)
{
    outlive_loops(&kind, &condition);
}

static void a_condition_that_another_thread_waits_for_is_refused(void)
{
    use_from_two_threads(&kind, &condition);
}

HARNESS_MAIN(
    TEST(who_is_notified_returns_when_it_has_the_lock),
    TEST(notify_wakes_as_many_as_it_says_and_no_more_than_wait),
    TEST(notify_all_wakes_everybody_in_order),
    TEST(a_notification_that_nobody_waits_for_is_gone),
    TEST(a_callback_may_notify_while_the_lock_is_held),
    TEST(waiting_and_waking_allocate_nothing),
    TEST(wait_for_looks_again_at_each_notification),
    TEST(wait_for_needs_the_lock_only_if_it_has_to_wait),
    TEST(without_the_lock_one_neither_waits_nor_notifies),
    TEST_EXPECT_SIGNAL(waiting_without_the_lock_stops_in_debug_mode, SIGABRT,
                       "rota_condition_wait"),
    TEST_EXPECT_SIGNAL(notifying_without_the_lock_stops_in_debug_mode, SIGABRT,
                       "rota_condition_notify"),
    TEST(a_condition_may_have_a_lock_of_the_callers),
    TEST(two_conditions_may_share_a_lock),
    TEST(only_a_task_waits_for_a_condition),
    TEST_EXPECT_SIGNAL(waiting_outside_a_task_stops_in_debug_mode, SIGABRT,
                       "rota_condition_wait"),
    TEST(who_waits_for_a_condition_that_ends_is_told_and_looks_away),
    TEST_EXPECT_SIGNAL(ending_a_condition_under_a_waiter_stops_in_debug_mode,
                       SIGABRT, "rota_condition_fini"),
    TEST(a_condition_outlives_loops),
    TEST(a_condition_that_another_thread_waits_for_is_refused))
