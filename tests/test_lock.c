/* SPDX-License-Identifier: MIT */
/*
 * Locks: one task at a time
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
 * Cancellations have a file of their own, tests/test_lock_cancel.c.
 */
#include "locks.h"

static rota_lock lock;

/* Takes it, and keeps it. */
static intptr_t take(void *name)
{
    return note_result(name, rota_lock_acquire(&lock));
}

/* Takes it, and gives it back a turn later. */
static intptr_t borrow(void *name)
{
    int err = note_result(name, rota_lock_acquire(&lock));

    if (err < 0)
        return err;
    err = rota_sleep(0);
    assert_int_equal(rota_lock_release(&lock), 0);
    return err;
}

static void take_it(void)
{
    rota_lock_init(&lock);
    assert_int_equal(rota_lock_acquire(&lock), 0);
}

static void give_it_back(void *arg)
{
    (void)arg;
    assert_int_equal(rota_lock_release(&lock), 0);
}

static intptr_t end_of(rota_task task)
{
    intptr_t result = rota_await(task);

    assert_false(rota_lock_locked(&lock));
    rota_lock_fini(&lock);
    return result;
}

/* --- Taking and giving back ---------------------------------------------- */

static intptr_t take_a_free_one(void *arg)
{
    rota_lock_init(&lock);
    assert_false(rota_lock_locked(&lock));
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, note_callback, arg), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_lock_acquire(&lock), 0);
        assert_true(rota_lock_locked(&lock));
        assert_int_equal(rota_lock_release(&lock), 0);
        assert_false(rota_lock_locked(&lock));
    }
    assert_noted("");
    rota_lock_fini(&lock);
    return rota_sleep(0);
}

static void a_free_lock_is_taken_without_a_turn(void)
{
    assert_int_equal(run_virtually(take_a_free_one, "later"), 0);
    assert_noted("later");
}

static intptr_t release_a_free_one(void *arg)
{
    (void)arg;
    rota_lock_init(&lock);
    assert_int_equal(rota_lock_release(&lock), -ROTA_ESTATE);
    assert_int_equal(rota_lock_acquire(&lock), 0);
    assert_int_equal(rota_lock_release(&lock), 0);
    return rota_lock_release(&lock);
}

static void releasing_a_free_lock_is_an_error(void)
{
    assert_int_equal(run_virtually(release_a_free_one, NULL), -ROTA_ESTATE);
}

static void releasing_a_free_lock_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(release_a_free_one, NULL);
}

static intptr_t wait_in_line(void *arg)
{
    rota_task a, b, c;

    (void)arg;
    take_it();
    a = start(take, "a");
    b = start(take, "b");
    pass_turns(1);
    assert_noted("");
    give_it_back(NULL);
    pass_turns(1);
    assert_noted("a");
    pass_turns(1);
    assert_noted("");
    c = start(take, "c");
    give_it_back(NULL);
    pass_turns(1);
    assert_noted("b");
    give_it_back(NULL);
    pass_turns(1);
    assert_noted("c");
    assert_true(rota_task_done(a) && rota_task_done(b) && rota_task_done(c));
    give_it_back(NULL);
    rota_lock_fini(&lock);
    return rota_gather((rota_task[]){a, b, c}, 3, NULL, false);
}

static void a_released_lock_goes_to_those_who_wait_in_their_order(void)
{
    scenario(wait_in_line);
}

/* The lock is free, and still a newcomer waits. */
static intptr_t come_late(void *arg)
{
    rota_task a, b;

    (void)arg;
    take_it();
    a = start(borrow, "a");
    b = start(borrow, "b");
    pass_turns(1);
    give_it_back(NULL);
    assert_false(rota_lock_locked(&lock));
    assert_int_equal(rota_lock_acquire(&lock), 0);
    note("main");
    give_it_back(NULL);
    assert_int_equal(rota_await(a), 0);
    return end_of(b);
}

static void a_newcomer_does_not_overtake_who_was_woken(void)
{
    scenario(come_late);
    assert_noted("a b main");
}

static intptr_t take_in_turns(void *arg)
{
    static rota_task tasks[1000];
    static intptr_t order;

    for (intptr_t i = 0; arg && i < 3; i++) {
        assert_int_equal(rota_lock_acquire(&lock), 0);
        assert_int_equal(order++ % 1000, (intptr_t)arg - 1);
        assert_int_equal(rota_sleep((double)(i % 2)), 0);
        assert_int_equal(rota_lock_release(&lock), 0);
    }
    if (arg)
        return 0;
    rota_lock_init(&lock);
    for (intptr_t i = 0; i < 1000; i++)
        tasks[i] = start(take_in_turns, (void *)(i + 1));
    assert_int_equal(rota_gather(tasks, 1000, NULL, false), 0);
    assert_int_equal(order, 3000);
    rota_lock_fini(&lock);
    return 0;
}

static void a_thousand_tasks_take_it_in_turns(void)
{
    scenario(take_in_turns);
}

static intptr_t release_from_elsewhere(void *arg)
{
    rota_task task;

    (void)arg;
    take_it();
    task = start(take, "a");
    pass_turns(1);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, give_it_back, NULL), 0);
    assert_int_equal(rota_await(task), 0);
    give_it_back(NULL);
    rota_lock_fini(&lock);
    return 0;
}

static void who_releases_need_not_be_who_took_it_nor_a_task(void)
{
    scenario(release_from_elsewhere);
    assert_noted("a");
}

static intptr_t take_twice(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    take_it();
    assert_int_equal(rota_timeout_begin(&timeout, 1000), 0);
    assert_int_equal(rota_timeout_end(&timeout, rota_lock_acquire(&lock)),
                     -ETIMEDOUT);
    give_it_back(NULL);
    rota_lock_fini(&lock);
    return 0;
}

static void who_takes_it_a_second_time_waits_for_ever(void)
{
    scenario(take_twice);
}

static intptr_t count_allocations(void *arg)
{
    rota_task tasks[3];
    long before;

    (void)arg;
    take_it();
    for (int i = 0; i < 3; i++)
        tasks[i] = start(borrow, "a");
    before = harness_allocations();
    pass_turns(1);
    give_it_back(NULL);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    pass_turns(4);
    assert_noted("a a:ECANCELED a");
    assert_int_equal(harness_allocations(), before);
    rota_lock_fini(&lock);
    return rota_gather(tasks, 3, NULL, true);
}

static void waiting_allocates_nothing(void)
{
    scenario(count_allocations);
}

/* --- Misuse -------------------------------------------------------------- */

static void take_in_callback(void *err)
{
    *(int *)err = rota_lock_acquire(&lock);
}

static intptr_t take_outside(void *arg)
{
    int err = 0;

    (void)arg;
    rota_lock_init(&lock);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, take_in_callback, &err),
        0);
    pass_turns(1);
    assert_false(rota_lock_locked(&lock));
    rota_lock_fini(&lock);
    return err;
}

static void only_a_task_takes_a_lock(void)
{
    rota_lock_init(&lock);
    assert_int_equal(rota_lock_acquire(&lock), -ROTA_ENOTASK);
    assert_int_equal(run_virtually(take_outside, NULL), -ROTA_ENOTASK);
}

static void taking_it_outside_a_task_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(take_outside, NULL);
}

/* --- Ends, loops, threads ------------------------------------------------ */

static void init(void *thing)
{
    rota_lock_init(thing);
}

static void block(void *thing)
{
    assert_int_equal(rota_lock_acquire(thing), 0);
}

static intptr_t take_and_give_back(void *thing)
{
    int err = rota_lock_acquire(thing);

    return err < 0 ? err : rota_lock_release(thing);
}

static void wake(void *thing)
{
    assert_int_equal(rota_lock_release(thing), 0);
}

static void fini(void *thing)
{
    rota_lock_fini(thing);
}

static const struct kind kind = {init, block, take_and_give_back, wake, fini};

static void who_waits_for_a_lock_that_ends_is_told_and_looks_away(void)
{
    end_in_all_ways(&kind);
}

static void ending_a_lock_under_a_waiter_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(end_under_one, (void *)(uintptr_t)&kind);
}

static void a_lock_outlives_loops(void)
{
    outlive_loops(&kind, &lock);
}

static void a_lock_that_a_task_of_another_thread_holds_is_refused(void)
{
    use_from_two_threads(&kind, &lock);
}

/* Nobody waits, but the lock is held by a task of a loop that stands still. */
static void a_lock_that_a_task_of_another_loop_holds_is_refused(void)
{
    rota_loop *loop = NULL;

    rota_lock_init(&lock);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, take, "one"), 0);
    assert_int_equal(run_virtually(take, "refused"), -EINVAL);
    assert_int_equal(rota_lock_release(&lock), 0);
    assert_int_equal(run_virtually(borrow, "other"), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, borrow, "one"), 0);
    assert_noted("one refused:EINVAL other one");
    rota_loop_free(loop);
    rota_lock_fini(&lock);
}

static intptr_t hold_for_ever(void *arg)
{
    (void)arg;
    rota_lock_init(&lock);
    return rota_lock_acquire(&lock);
}

/* As its task is gone, nobody but a release frees it. */
static void a_lock_that_a_closed_loop_has_left_locked_can_be_released(void)
{
    assert_int_equal(run_virtually(hold_for_ever, NULL), 0);
    assert_true(rota_lock_locked(&lock));
    assert_int_equal(rota_lock_release(&lock), 0);
    assert_int_equal(run_virtually(borrow, "taken"), 0);
    assert_noted("taken");
    rota_lock_fini(&lock);
}

HARNESS_MAIN(
    TEST(a_free_lock_is_taken_without_a_turn),
    TEST(releasing_a_free_lock_is_an_error),
    TEST_EXPECT_SIGNAL(releasing_a_free_lock_stops_in_debug_mode, SIGABRT,
                       "rota_lock_release"),
    TEST(a_released_lock_goes_to_those_who_wait_in_their_order),
    TEST(a_newcomer_does_not_overtake_who_was_woken),
    TEST(a_thousand_tasks_take_it_in_turns),
    TEST(who_releases_need_not_be_who_took_it_nor_a_task),
    TEST(who_takes_it_a_second_time_waits_for_ever),
    TEST(waiting_allocates_nothing), TEST(only_a_task_takes_a_lock),
    TEST_EXPECT_SIGNAL(taking_it_outside_a_task_stops_in_debug_mode, SIGABRT,
                       "rota_lock_acquire"),
    TEST(who_waits_for_a_lock_that_ends_is_told_and_looks_away),
    TEST_EXPECT_SIGNAL(ending_a_lock_under_a_waiter_stops_in_debug_mode,
                       SIGABRT, "rota_lock_fini"),
    TEST(a_lock_outlives_loops),
    TEST(a_lock_that_a_task_of_another_thread_holds_is_refused),
    TEST(a_lock_that_a_task_of_another_loop_holds_is_refused),
    TEST(a_lock_that_a_closed_loop_has_left_locked_can_be_released))
