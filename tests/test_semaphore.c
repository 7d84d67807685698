/* SPDX-License-Identifier: MIT */
/*
 * Semaphores: as many tasks at a time as one says
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
 * Cancellations have a file of their own, tests/test_semaphore_cancel.c.
 */
#include "locks.h"

static rota_semaphore semaphore;

/* Acquires it, and never releases it. */
static intptr_t take(void *name)
{
    return note_result(name, rota_semaphore_acquire(&semaphore));
}

static void release(void)
{
    assert_int_equal(rota_semaphore_release(&semaphore), 0);
}

static void begin(rota_task *tasks, int count, rota_task_function *function)
{
    static char names[8][2] = {"a", "b", "c", "d", "e", "f", "g", "h"};

    for (int i = 0; i < count; i++)
        tasks[i] = start(function, names[i]);
}

static void cancel(rota_task task)
{
    assert_int_equal(rota_task_cancel(task), 1);
}

/* How many it admits before one has to wait. */
static int room(void)
{
    int count = 0;

    while (!rota_semaphore_locked(&semaphore)) {
        assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
        count++;
    }
    return count;
}

/* --- Values -------------------------------------------------------------- */

static intptr_t take_and_release(void *arg)
{
    rota_semaphore_init(&semaphore, 2);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, note_callback, arg), 0);
    assert_false(rota_semaphore_locked(&semaphore));
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    assert_false(rota_semaphore_locked(&semaphore));
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    assert_true(rota_semaphore_locked(&semaphore));
    release();
    assert_false(rota_semaphore_locked(&semaphore));
    assert_noted("");
    rota_semaphore_fini(&semaphore);
    return rota_sleep(0);
}

static void it_admits_as_many_as_its_value_without_a_turn(void)
{
    assert_int_equal(run_virtually(take_and_release, "later"), 0);
    assert_noted("later");
}

static intptr_t begin_at_zero(void *arg)
{
    rota_task task;

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    assert_true(rota_semaphore_locked(&semaphore));
    task = start(take, "a");
    pass_turns(3);
    assert_false(rota_task_done(task));
    release();
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(room(), 0);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_value_of_zero_admits_who_is_released_alone(void)
{
    scenario(begin_at_zero);
    assert_noted("a");
}

static intptr_t release_more(void *arg)
{
    (void)arg;
    rota_semaphore_init(&semaphore, 1);
    for (int i = 0; i < 4; i++)
        release();
    assert_int_equal(room(), 5);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void releases_beyond_the_first_value_admit_more(void)
{
    scenario(release_more);
}

static intptr_t reach_the_top(void *arg)
{
    (void)arg;
    rota_semaphore_init(&semaphore, SIZE_MAX);
    assert_int_equal(rota_semaphore_release(&semaphore), -EOVERFLOW);
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    release();
    assert_int_equal(rota_semaphore_release(&semaphore), -EOVERFLOW);
    assert_false(rota_semaphore_locked(&semaphore));
    rota_semaphore_init(&semaphore, SIZE_MAX - 1);
    release();
    assert_int_equal(rota_semaphore_release(&semaphore), -EOVERFLOW);
    rota_bounded_semaphore_init(&semaphore, SIZE_MAX);
    assert_int_equal(rota_semaphore_release(&semaphore), -EOVERFLOW);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_value_does_not_overflow(void)
{
    scenario(reach_the_top);
}

static intptr_t release_a_bounded_one(void *arg)
{
    rota_task task;

    (void)arg;
    rota_bounded_semaphore_init(&semaphore, 2);
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    task = start(take, "a");
    pass_turns(1);
    for (int i = 0; i < 3; i++)
        release();
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(room(), 2);
    release();
    release();
    return rota_semaphore_release(&semaphore);
}

static void a_bounded_one_refuses_a_release_too_many(void)
{
    assert_int_equal(run_virtually(release_a_bounded_one, NULL), -ROTA_ESTATE);
}

static void a_release_too_many_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(release_a_bounded_one, NULL);
}

static intptr_t bound_by_zero(void *arg)
{
    (void)arg;
    rota_bounded_semaphore_init(&semaphore, 0);
    assert_true(rota_semaphore_locked(&semaphore));
    assert_int_equal(rota_semaphore_release(&semaphore), -ROTA_ESTATE);
    assert_int_equal(rota_wait_for(start(take, "a"), 5), -ETIMEDOUT);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_bound_of_zero_never_admits_anybody(void)
{
    scenario(bound_by_zero);
    assert_noted("a:ECANCELED");
}

/* --- Order --------------------------------------------------------------- */

static intptr_t admit_three(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    rota_semaphore_init(&semaphore, 3);
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    begin(tasks, 3, take);
    pass_turns(1);
    assert_noted("a");
    assert_true(rota_semaphore_locked(&semaphore));
    tasks[3] = start(take, "d");
    release();
    release();
    pass_turns(1);
    assert_noted("b c");
    assert_true(rota_semaphore_locked(&semaphore));
    release();
    assert_int_equal(rota_gather(tasks, 4, NULL, false), 0);
    assert_noted("d");
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void each_release_admits_the_next_in_line(void)
{
    scenario(admit_three);
}

static intptr_t enter_twice(void *name)
{
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
        note("%s%d", (const char *)name, i);
        assert_int_equal(rota_sleep(0.01), 0);
        release();
    }
    return 0;
}

static intptr_t go_round(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_semaphore_init(&semaphore, 1);
    begin(tasks, 3, enter_twice);
    assert_int_equal(rota_gather(tasks, 3, NULL, false), 0);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void who_comes_again_waits_behind_those_who_wait(void)
{
    scenario(go_round);
    assert_noted("a1 b1 c1 a2 b2 c2");
}

static intptr_t release_and_come_again(void *name)
{
    (void)take(name);
    release();
    return take("again");
}

static intptr_t do_not_overtake(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_semaphore_init(&semaphore, 1);
    tasks[0] = start(take, "a");
    tasks[1] = start(release_and_come_again, "b");
    tasks[2] = start(take, "c");
    pass_turns(1);
    release();
    release();
    assert_int_equal(rota_gather(tasks, 3, NULL, false), 0);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_release_does_not_let_its_own_task_overtake(void)
{
    scenario(do_not_overtake);
    assert_noted("a b c again");
}

static rota_task fourth;

static intptr_t take_and_start(void *name)
{
    int err = rota_semaphore_acquire(&semaphore);

    fourth = start(return_arg, NULL);
    note_result(name, err);
    return err;
}

static intptr_t release_three(void *name)
{
    for (int i = 0; i < 3; i++)
        release();
    assert_true(rota_semaphore_locked(&semaphore));
    return take(name);
}

/* Two are free while the first, for whom the third is, has not run yet. */
static intptr_t let_many_in(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    tasks[0] = start(take_and_start, "a");
    tasks[1] = start(release_three, "b");
    tasks[2] = start(take, "c");
    pass_turns(1);
    assert_noted("");
    pass_turns(1);
    assert_noted("a");
    pass_turns(1);
    assert_noted("b c");
    assert_int_equal(room(), 0);
    assert_int_equal(rota_await(fourth), 0);
    rota_semaphore_fini(&semaphore);
    return rota_gather(tasks, 3, NULL, false);
}

static void who_is_admitted_wakes_as_many_as_there_is_room_for(void)
{
    scenario(let_many_in);
}

static intptr_t count_allocations(void *arg)
{
    rota_task tasks[3];
    long before;

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    begin(tasks, 3, take);
    before = harness_allocations();
    pass_turns(1);
    release();
    release();
    cancel(tasks[1]);
    pass_turns(3);
    assert_noted("a b:ECANCELED c");
    assert_int_equal(harness_allocations(), before);
    rota_semaphore_fini(&semaphore);
    return rota_gather(tasks, 3, NULL, true);
}

static void waiting_allocates_nothing(void)
{
    scenario(count_allocations);
}

/* --- Misuse, ends, loops, threads ---------------------------------------- */

static void take_in_callback(void *err)
{
    *(int *)err = rota_semaphore_acquire(&semaphore);
}

static intptr_t take_outside(void *arg)
{
    int err = 0;

    (void)arg;
    rota_semaphore_init(&semaphore, 1);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, take_in_callback, &err),
        0);
    pass_turns(1);
    assert_int_equal(room(), 1);
    rota_semaphore_fini(&semaphore);
    return err;
}

static void only_a_task_acquires_a_semaphore(void)
{
    rota_semaphore_init(&semaphore, 1);
    assert_int_equal(rota_semaphore_acquire(&semaphore), -ROTA_ENOTASK);
    assert_int_equal(run_virtually(take_outside, NULL), -ROTA_ENOTASK);
}

static void acquiring_outside_a_task_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(take_outside, NULL);
}

static void init(void *thing)
{
    rota_semaphore_init(thing, 0);
}

static void block(void *thing)
{
    assert_true(rota_semaphore_locked(thing));
}

static intptr_t acquire(void *thing)
{
    return rota_semaphore_acquire(thing);
}

static void wake(void *thing)
{
    assert_int_equal(rota_semaphore_release(thing), 0);
}

static void fini(void *thing)
{
    rota_semaphore_fini(thing);
}

static const struct kind kind = {init, block, acquire, wake, fini};

static void who_waits_for_a_semaphore_that_ends_is_told_and_looks_away(void)
{
    end_in_all_ways(&kind);
}

static void ending_a_semaphore_under_a_waiter_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(end_under_one, (void *)(uintptr_t)&kind);
}

static void a_semaphore_outlives_loops(void)
{
    outlive_loops(&kind, &semaphore);
}

static void a_semaphore_that_another_thread_waits_for_is_refused(void)
{
    use_from_two_threads(&kind, &semaphore);
}

HARNESS_MAIN(
    TEST(it_admits_as_many_as_its_value_without_a_turn),
    TEST(a_value_of_zero_admits_who_is_released_alone),
    TEST(releases_beyond_the_first_value_admit_more),
    TEST(a_value_does_not_overflow),
    TEST(a_bounded_one_refuses_a_release_too_many),
    TEST_EXPECT_SIGNAL(a_release_too_many_stops_in_debug_mode, SIGABRT,
                       "rota_semaphore_release"),
    TEST(a_bound_of_zero_never_admits_anybody),
    TEST(each_release_admits_the_next_in_line),
    TEST(who_comes_again_waits_behind_those_who_wait),
    TEST(a_release_does_not_let_its_own_task_overtake),
    TEST(who_is_admitted_wakes_as_many_as_there_is_room_for),
    TEST(waiting_allocates_nothing), TEST(only_a_task_acquires_a_semaphore),
    TEST_EXPECT_SIGNAL(acquiring_outside_a_task_stops_in_debug_mode, SIGABRT,
                       "rota_semaphore_acquire"),
    TEST(who_waits_for_a_semaphore_that_ends_is_told_and_looks_away),
    TEST_EXPECT_SIGNAL(ending_a_semaphore_under_a_waiter_stops_in_debug_mode,
                       SIGABRT, "rota_semaphore_fini"),
    TEST(a_semaphore_outlives_loops),
    TEST(a_semaphore_that_another_thread_waits_for_is_refused))
