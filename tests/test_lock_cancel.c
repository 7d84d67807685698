/* SPDX-License-Identifier: MIT */
/*
 * Locks and those who are cancelled while they wait
 *
 * Whoever was woken in vain wakes the next.
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
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

static intptr_t cancel_the_only_one(void *arg)
{
    rota_task task;

    (void)arg;
    take_it();
    task = start(take, "a");
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_true(rota_lock_locked(&lock));
    give_it_back(NULL);
    rota_lock_fini(&lock);
    return 0;
}

static void a_cancelled_acquire_leaves_the_line(void)
{
    scenario(cancel_the_only_one);
    assert_noted("a:ECANCELED");
}

static intptr_t cancel_before_it_waits(void *arg)
{
    (void)arg;
    rota_lock_init(&lock);
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    assert_int_equal(rota_lock_acquire(&lock), 0);
    assert_int_equal(rota_lock_acquire(&lock), -ECANCELED);
    assert_true(rota_lock_locked(&lock));
    give_it_back(NULL);
    rota_lock_fini(&lock);
    return rota_sleep(1);
}

static void a_cancelled_task_still_takes_a_free_lock(void)
{
    scenario(cancel_before_it_waits);
}

/* Four tasks: "a" is cancelled beside the release, before or after it. */
static intptr_t cancel_beside_release(void *after)
{
    rota_task tasks[4];

    take_it();
    tasks[0] = start(borrow, "a");
    tasks[1] = start(borrow, "b");
    tasks[2] = start(borrow, "c");
    tasks[3] = start(ticker, "t");
    pass_turns(1);
    if (after)
        give_it_back(NULL);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    if (!after)
        give_it_back(NULL);
    assert_false(rota_lock_locked(&lock));
    assert_int_equal(rota_gather(tasks, 4, NULL, true), 0);
    assert_false(rota_lock_locked(&lock));
    rota_lock_fini(&lock);
    return 0;
}

/* The first in line passes it on when it hears of its own end. */
static void a_release_after_a_cancellation_reaches_the_next_a_turn_later(void)
{
    assert_int_equal(run_virtually(cancel_beside_release, NULL), 0);
    assert_noted("t0 t1 a:ECANCELED t2 b t3 t4 c t5");
}

static void a_woken_waiter_that_is_cancelled_wakes_the_next(void)
{
    assert_int_equal(run_virtually(cancel_beside_release, (void *)1), 0);
    assert_noted("t0 t1 a:ECANCELED t2 b t3 t4 c t5");
}

static intptr_t cancel_the_second(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    take_it();
    tasks[0] = start(borrow, "a");
    tasks[1] = start(borrow, "b");
    tasks[2] = start(borrow, "c");
    tasks[3] = start(ticker, "t");
    pass_turns(1);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    give_it_back(NULL);
    assert_int_equal(rota_gather(tasks, 4, NULL, true), 0);
    rota_lock_fini(&lock);
    return 0;
}

static void a_cancellation_further_back_does_not_hold_the_release_up(void)
{
    scenario(cancel_the_second);
    assert_noted("t0 t1 b:ECANCELED a t2 t3 c t4 t5");
}

static intptr_t cancel_all_in_line(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    take_it();
    tasks[0] = start(take, "a");
    tasks[1] = start(take, "b");
    tasks[2] = start(take, "c");
    pass_turns(1);
    for (int i = 2; i >= 0; i--)
        assert_int_equal(rota_task_cancel(tasks[i]), 1);
    give_it_back(NULL);
    assert_int_equal(rota_lock_acquire(&lock), 0);
    note("main");
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    assert_true(rota_lock_locked(&lock));
    give_it_back(NULL);
    rota_lock_fini(&lock);
    return 0;
}

static void who_comes_when_all_in_line_are_cancelled_takes_it_at_once(void)
{
    scenario(cancel_all_in_line);
    assert_noted("main c:ECANCELED b:ECANCELED a:ECANCELED");
}

static void cancel_and_release(void *task)
{
    assert_int_equal(rota_task_cancel(*(rota_task *)task), 1);
    give_it_back(NULL);
}

static intptr_t take_only_once(void *arg)
{
    rota_task a, b, c;

    (void)arg;
    take_it();
    a = start(take, "a");
    b = start(take, "b");
    c = start(take, "c");
    pass_turns(1);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, cancel_and_release, &a),
        0);
    assert_int_equal(rota_await(a), -ECANCELED);
    assert_true(rota_task_done(b));
    assert_false(rota_task_done(c));
    assert_int_equal(rota_task_cancel(c), 1);
    assert_int_equal(rota_await(c), -ECANCELED);
    give_it_back(NULL);
    rota_lock_fini(&lock);
    return rota_await(b);
}

static void a_cancellation_beside_a_release_lets_one_in_not_two(void)
{
    scenario(take_only_once);
    assert_noted("a:ECANCELED b c:ECANCELED");
}

/* --- Time limits --------------------------------------------------------- */

static intptr_t wait_with_a_limit(void *arg)
{
    rota_task late, patient;

    (void)arg;
    take_it();
    late = start(borrow, "late");
    patient = start(borrow, "patient");
    assert_int_equal(rota_wait_for(late, 5), -ETIMEDOUT);
    assert_true(rota_lock_locked(&lock));
    give_it_back(NULL);
    return end_of(patient);
}

static void an_acquire_that_times_out_leaves_the_next_in_line(void)
{
    scenario(wait_with_a_limit);
    assert_noted("late:ECANCELED patient");
}

/* Both come due in the same turn, the release first. */
static intptr_t release_in_the_last_moment(void *arg)
{
    double when = now() + 5;
    rota_loop *loop = rota_get_running_loop();
    rota_timeout timeout;
    rota_task next;
    intptr_t err;

    (void)arg;
    take_it();
    assert_int_equal(rota_call_at(loop, NULL, when, give_it_back, NULL), 0);
    assert_int_equal(rota_timeout_begin_at(&timeout, when), 0);
    next = start(borrow, "next");
    err = rota_timeout_end(&timeout, rota_lock_acquire(&lock));
    assert_int_equal(err, -ETIMEDOUT);
    return end_of(next);
}

static void a_limit_that_meets_the_wake_up_passes_it_on(void)
{
    scenario(release_in_the_last_moment);
    assert_noted("next");
}

HARNESS_MAIN(TEST(a_cancelled_acquire_leaves_the_line),
             TEST(a_cancelled_task_still_takes_a_free_lock),
             TEST(a_release_after_a_cancellation_reaches_the_next_a_turn_later),
             TEST(a_woken_waiter_that_is_cancelled_wakes_the_next),
             TEST(a_cancellation_further_back_does_not_hold_the_release_up),
             TEST(who_comes_when_all_in_line_are_cancelled_takes_it_at_once),
             TEST(a_cancellation_beside_a_release_lets_one_in_not_two),
             TEST(an_acquire_that_times_out_leaves_the_next_in_line),
             TEST(a_limit_that_meets_the_wake_up_passes_it_on))
