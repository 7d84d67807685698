/* SPDX-License-Identifier: MIT */
/*
 * Barriers: tasks that wait for each other
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
 * Resets and aborts have a file of their own, tests/test_barrier_broken.c.
 */
#include "locks.h"

enum { PARTIES = 5 };

static rota_barrier barrier;

static void begin(size_t parties)
{
    assert_int_equal(rota_barrier_init(&barrier, parties), 0);
    assert_int_equal(rota_barrier_parties(&barrier), parties);
}

/* It stands as it was in the beginning. */
static void end(void)
{
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    assert_false(rota_barrier_broken(&barrier));
    rota_barrier_fini(&barrier);
}

/* Notes its name and which one it was. */
static intptr_t pass(void *name)
{
    intptr_t index = rota_barrier_wait(&barrier);

    if (index < 0)
        return note_result(name, (int)index);
    note("%s=%d", (const char *)name, (int)index);
    return index;
}

static void cancel(rota_task task)
{
    assert_int_equal(rota_task_cancel(task), 1);
}

static void gather(rota_task_function *function)
{
    rota_task tasks[PARTIES];

    for (intptr_t i = 0; i < PARTIES; i++)
        tasks[i] = start(function, (void *)i);
    assert_int_equal(rota_gather(tasks, PARTIES, NULL, true), 0);
}

/* --- Filling ------------------------------------------------------------- */

static void a_barrier_for_nobody_is_refused(void)
{
    assert_int_equal(rota_barrier_init(&barrier, 0), -EINVAL);
    begin(1);
    end();
    begin(SIZE_MAX);
    end();
}

static intptr_t pass_alone(void *arg)
{
    begin(1);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, note_callback, arg), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_barrier_wait(&barrier), 0);
        assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    }
    assert_noted("");
    end();
    return rota_sleep(0);
}

static void a_barrier_for_one_is_passed_without_a_turn(void)
{
    assert_int_equal(run_virtually(pass_alone, "later"), 0);
    assert_noted("later");
}

static intptr_t fill_one_by_one(void *arg)
{
    static char names[3][2] = {"a", "b", "c"};
    rota_task tasks[4];

    (void)arg;
    begin(3);
    tasks[3] = start(ticker, "t");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rota_barrier_n_waiting(&barrier), i);
        tasks[i] = start(pass, names[i]);
        pass_turns(1);
    }
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    assert_int_equal(rota_gather(tasks, 4, NULL, false), 0);
    end();
    return 0;
}

/* The last comes through first, and the others a turn later. */
static void the_last_to_come_lets_all_pass_in_the_order_of_arrival(void)
{
    scenario(fill_one_by_one);
    assert_noted("t0 t1 t2 c=2 t3 a=0 b=1 t4 t5");
}

static int passed[2];
static int indices;

static intptr_t pass_twice(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        intptr_t index = rota_barrier_wait(&barrier);

        assert_true(index >= 0 && index < PARTIES);
        assert_true(passed[0] >= i * PARTIES);
        passed[i]++;
        indices += 1 << (4 * index);
    }
    return 0;
}

static intptr_t fill_twice(void *arg)
{
    (void)arg;
    begin(PARTIES);
    gather(pass_twice);
    assert_int_equal(passed[0], PARTIES);
    assert_int_equal(passed[1], PARTIES);
    assert_int_equal(indices, 0x22222);
    end();
    return 0;
}

static void it_can_be_passed_again_and_each_index_is_given_once(void)
{
    scenario(fill_twice);
}

static intptr_t go_through_gates(void *arg)
{
    static int inside;

    (void)arg;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(inside++ / PARTIES, 2 * i);
        assert_true(rota_barrier_wait(&barrier) >= 0);
        assert_int_equal(inside++ / PARTIES, 2 * i + 1);
        assert_true(rota_barrier_wait(&barrier) >= 0);
    }
    return 0;
}

static intptr_t go_far(void *arg)
{
    (void)arg;
    begin(PARTIES);
    gather(go_through_gates);
    end();
    return 0;
}

static void nobody_is_a_round_ahead_of_the_others(void)
{
    scenario(go_far);
}

/* --- Draining ------------------------------------------------------------ */

static int left_to_come_again = 2;
static rota_barrier nobody_waits;

/* Two come again while the others are still leaving, and wait for them. */
static intptr_t come_again(void *arg)
{
    (void)arg;
    assert_true(rota_barrier_wait(&barrier) >= 0);
    if (left_to_come_again > 0) {
        left_to_come_again--;
        return rota_barrier_wait(&barrier) < 0;
    }
    assert_true(rota_barrier_wait(&nobody_waits) >= 0);
    return rota_barrier_wait(&barrier) < 0;
}

static intptr_t come_while_it_drains(void *arg)
{
    (void)arg;
    begin(PARTIES);
    assert_int_equal(rota_barrier_init(&nobody_waits, PARTIES - 2), 0);
    gather(come_again);
    assert_int_equal(left_to_come_again, 0);
    rota_barrier_fini(&nobody_waits);
    end();
    return 0;
}

static void who_comes_while_it_drains_waits_before_it(void)
{
    scenario(come_while_it_drains);
}

static intptr_t look_while_it_drains(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    begin(2);
    tasks[0] = start(pass, "a");
    tasks[1] = start(pass, "b");
    tasks[2] = start(pass, "c");
    pass_turns(1);
    assert_noted("b=1");
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    pass_turns(2);
    assert_noted("a=0");
    assert_int_equal(rota_barrier_n_waiting(&barrier), 1);
    assert_int_equal(rota_barrier_wait(&barrier), 1);
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    end();
    return 0;
}

static void nobody_counts_as_waiting_while_it_drains(void)
{
    scenario(look_while_it_drains);
    assert_noted("c=0");
}

/* --- Cancellation and limits --------------------------------------------- */

static intptr_t cancel_one(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    begin(3);
    tasks[0] = start(pass, "a");
    tasks[1] = start(pass, "b");
    pass_turns(1);
    assert_int_equal(rota_barrier_n_waiting(&barrier), 2);
    cancel(tasks[0]);
    pass_turns(1);
    assert_int_equal(rota_barrier_n_waiting(&barrier), 1);
    tasks[2] = start(pass, "c");
    pass_turns(1);
    assert_int_equal(rota_barrier_n_waiting(&barrier), 2);
    tasks[3] = start(pass, "d");
    assert_int_equal(rota_gather(tasks, 4, NULL, true), 0);
    end();
    return 0;
}

static void who_is_cancelled_counts_no_more(void)
{
    scenario(cancel_one);
    assert_noted("a:ECANCELED d=2 b=1 c=1");
}

/* The barrier has filled, and "a" does not get to know any more. */
static intptr_t cancel_while_it_drains(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    begin(3);
    tasks[0] = start(pass, "a");
    tasks[1] = start(pass, "b");
    pass_turns(1);
    tasks[2] = start(pass, "c");
    pass_turns(1);
    assert_noted("c=2");
    cancel(tasks[0]);
    tasks[3] = start(pass, "d");
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    assert_noted("a:ECANCELED b=1");
    pass_turns(1);
    assert_int_equal(rota_barrier_n_waiting(&barrier), 1);
    cancel(tasks[3]);
    assert_int_equal(rota_await(tasks[3]), -ECANCELED);
    end();
    return 0;
}

static void a_cancellation_while_it_drains_does_not_keep_the_others(void)
{
    scenario(cancel_while_it_drains);
    assert_noted("d:ECANCELED");
}

static intptr_t wait_with_a_limit(void *arg)
{
    rota_timeout timeout;
    intptr_t result;

    (void)arg;
    begin(2);
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    result = rota_barrier_wait(&barrier);
    assert_int_equal(rota_timeout_end(&timeout, result), -ETIMEDOUT);
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    assert_int_equal(rota_wait_for(start(pass, "a"), 5), -ETIMEDOUT);
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    end();
    return 0;
}

static void who_has_waited_long_enough_leaves_the_barrier_whole(void)
{
    scenario(wait_with_a_limit);
    assert_noted("a:ECANCELED");
}

static intptr_t count_allocations(void *arg)
{
    rota_task tasks[4];
    long before;

    (void)arg;
    begin(3);
    for (int i = 0; i < 4; i++)
        tasks[i] = start(pass, "a");
    before = harness_allocations();
    pass_turns(5);
    assert_noted("a=2 a=0 a=1");
    assert_int_equal(rota_barrier_abort(&barrier), 0);
    assert_int_equal(rota_barrier_reset(&barrier), 0);
    pass_turns(2);
    assert_noted("a:ROTA_EBROKEN");
    assert_int_equal(harness_allocations(), before);
    end();
    return rota_gather(tasks, 4, NULL, true);
}

static void waiting_allocates_nothing(void)
{
    scenario(count_allocations);
}

/* --- Misuse, ends, loops, threads ---------------------------------------- */

static void use_in_callback(void *arg)
{
    intptr_t *errors = arg;

    errors[0] = rota_barrier_wait(&barrier);
    errors[1] = rota_barrier_reset(&barrier);
    errors[2] = rota_barrier_abort(&barrier);
}

static intptr_t use_outside(void *arg)
{
    intptr_t errors[3] = {0};

    (void)arg;
    begin(1);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, use_in_callback, errors),
        0);
    pass_turns(1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(errors[i], -ROTA_ENOTASK);
    end();
    return 0;
}

static void only_a_task_uses_a_barrier(void)
{
    scenario(use_outside);
}

static void using_it_outside_a_task_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(use_outside, NULL);
}

static void init(void *thing)
{
    assert_int_equal(rota_barrier_init(thing, PARTIES), 0);
}

static void init_for_two(void *thing)
{
    assert_int_equal(rota_barrier_init(thing, 2), 0);
}

static void block(void *thing)
{
    assert_int_equal(rota_barrier_reset(thing), 0);
}

static intptr_t wait(void *thing)
{
    intptr_t result = rota_barrier_wait(thing);

    return result == -ROTA_EBROKEN ? 0 : result;
}

static void wake(void *thing)
{
    assert_int_equal(rota_barrier_abort(thing), 0);
}

static void fini(void *thing)
{
    rota_barrier_fini(thing);
}

static const struct kind kind = {init, block, wait, wake, fini};
static const struct kind for_two = {init_for_two, block, wait, wake, fini};

static void who_waits_for_a_barrier_that_ends_is_told_and_looks_away(void)
{
    end_in_all_ways(&kind);
}

static void ending_a_barrier_under_a_waiter_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(end_under_one, (void *)(uintptr_t)&kind);
}

static void a_barrier_outlives_loops(void)
{
    outlive_loops(&kind, &barrier);
}

/* Also one that would not have to wait. */
static void a_barrier_that_another_thread_waits_at_is_refused(void)
{
    use_from_two_threads(&kind, &barrier);
    use_from_two_threads(&for_two, &barrier);
}

HARNESS_MAIN(
    TEST(a_barrier_for_nobody_is_refused),
    TEST(a_barrier_for_one_is_passed_without_a_turn),
    TEST(the_last_to_come_lets_all_pass_in_the_order_of_arrival),
    TEST(it_can_be_passed_again_and_each_index_is_given_once),
    TEST(nobody_is_a_round_ahead_of_the_others),
    TEST(who_comes_while_it_drains_waits_before_it),
    TEST(nobody_counts_as_waiting_while_it_drains),
    TEST(who_is_cancelled_counts_no_more),
    TEST(a_cancellation_while_it_drains_does_not_keep_the_others),
    TEST(who_has_waited_long_enough_leaves_the_barrier_whole),
    TEST(waiting_allocates_nothing), TEST(only_a_task_uses_a_barrier),
    TEST_EXPECT_SIGNAL(using_it_outside_a_task_stops_in_debug_mode, SIGABRT,
                       "rota_barrier_wait"),
    TEST(who_waits_for_a_barrier_that_ends_is_told_and_looks_away),
    TEST_EXPECT_SIGNAL(ending_a_barrier_under_a_waiter_stops_in_debug_mode,
                       SIGABRT, "rota_barrier_fini"),
    TEST(a_barrier_outlives_loops),
    TEST(a_barrier_that_another_thread_waits_at_is_refused))
