/* SPDX-License-Identifier: MIT */
/*
 * Barriers that are reset or aborted
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
 */
#include "locks.h"

enum { PARTIES = 5, HALF = PARTIES / 2 };

static rota_barrier barrier;

/* What became of those who were there. */
static int through;
static int broken;

static void begin(size_t parties)
{
    assert_int_equal(rota_barrier_init(&barrier, parties), 0);
}

static void end(void)
{
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    rota_barrier_fini(&barrier);
}

static void start_all(rota_task *tasks, int count, rota_task_function *function)
{
    for (int i = 0; i < count; i++)
        tasks[i] = start(function, NULL);
}

static void gather(rota_task_function *function)
{
    rota_task tasks[PARTIES];

    start_all(tasks, PARTIES, function);
    assert_int_equal(rota_gather(tasks, PARTIES, NULL, false), 0);
}

static void reset(void)
{
    assert_int_equal(rota_barrier_reset(&barrier), 0);
}

static void break_it(void)
{
    assert_int_equal(rota_barrier_abort(&barrier), 0);
}

static intptr_t reset_it(void *arg)
{
    (void)arg;
    return rota_barrier_reset(&barrier);
}

/* Counts what comes of a wait; true if it came through. */
static bool wait_and_count(void)
{
    intptr_t result = rota_barrier_wait(&barrier);

    if (result >= 0) {
        through++;
        return true;
    }
    assert_int_equal(result, -ROTA_EBROKEN);
    broken++;
    return false;
}

static void must_pass(void)
{
    assert_true(wait_and_count());
}

static intptr_t pass(void *name)
{
    intptr_t index = rota_barrier_wait(&barrier);

    if (index < 0)
        return note_result(name, (int)index);
    note("%s=%d", (const char *)name, (int)index);
    return index;
}

static intptr_t come_once(void *arg)
{
    (void)arg;
    (void)wait_and_count();
    return 0;
}

/* --- Reset --------------------------------------------------------------- */

static intptr_t reset_an_empty_one(void *arg)
{
    (void)arg;
    begin(1);
    reset();
    assert_false(rota_barrier_broken(&barrier));
    assert_int_equal(rota_barrier_wait(&barrier), 0);
    end();
    return 0;
}

static void resetting_an_empty_barrier_changes_nothing(void)
{
    scenario(reset_an_empty_one);
}

static intptr_t reset_under_waiters(void *arg)
{
    rota_task tasks[PARTIES];

    (void)arg;
    begin(PARTIES);
    start_all(tasks, PARTIES - 1, come_once);
    pass_turns(1);
    assert_int_equal(rota_barrier_n_waiting(&barrier), PARTIES - 1);
    tasks[PARTIES - 1] = start(reset_it, NULL);
    assert_int_equal(rota_gather(tasks, PARTIES, NULL, false), 0);
    assert_int_equal(broken, PARTIES - 1);
    assert_false(rota_barrier_broken(&barrier));
    gather(come_once);
    assert_int_equal(through, PARTIES);
    end();
    return 0;
}

static void a_reset_breaks_the_wait_of_all_but_not_the_barrier(void)
{
    scenario(reset_under_waiters);
}

static intptr_t note_a_reset(void *arg)
{
    rota_task tasks[6];

    (void)arg;
    begin(3);
    tasks[0] = start(pass, "a");
    tasks[1] = start(pass, "b");
    pass_turns(1);
    tasks[5] = start(ticker, "t");
    reset();
    tasks[2] = start(pass, "c");
    tasks[3] = start(pass, "d");
    tasks[4] = start(pass, "e");
    assert_int_equal(rota_gather(tasks, 6, NULL, true), 0);
    end();
    return 0;
}

/* Who comes before the last has left waits for that. */
static void who_comes_while_it_resets_waits_before_it(void)
{
    scenario(note_a_reset);
    assert_noted("t0 a:ROTA_EBROKEN b:ROTA_EBROKEN e=2 t1 c=0 d=1 t2 t3 t4 "
                 "t5");
}

/* The third of five to come through resets it before two who follow. */
static intptr_t reset_when_half_have_left(void *arg)
{
    (void)arg;
    if (wait_and_count() && through == PARTIES - HALF)
        reset();
    return 0;
}

static intptr_t reset_half_drained(void *arg)
{
    (void)arg;
    begin(PARTIES);
    gather(reset_when_half_have_left);
    assert_int_equal(through, PARTIES - HALF);
    assert_int_equal(broken, HALF);
    assert_false(rota_barrier_broken(&barrier));
    end();
    return 0;
}

static void a_reset_while_it_drains_breaks_those_who_have_not_left(void)
{
    scenario(reset_half_drained);
}

/* As above, and all come again: those who were let through wait before it. */
static intptr_t reset_and_come_again(void *arg)
{
    (void)arg;
    if (wait_and_count() && through == PARTIES - HALF)
        reset();
    must_pass();
    return 0;
}

static intptr_t reset_half_blocked(void *arg)
{
    (void)arg;
    begin(PARTIES);
    gather(reset_and_come_again);
    assert_int_equal(through, PARTIES - HALF + PARTIES);
    assert_int_equal(broken, HALF);
    end();
    return 0;
}

static void a_reset_does_not_break_those_who_wait_before_it(void)
{
    scenario(reset_half_blocked);
}

static intptr_t come_twice(void *arg)
{
    (void)arg;
    assert_false(wait_and_count());
    must_pass();
    return 0;
}

static intptr_t reset_then_fill(void *arg)
{
    rota_task tasks[PARTIES + 1];

    (void)arg;
    begin(PARTIES);
    start_all(tasks, PARTIES - 1, come_twice);
    tasks[PARTIES - 1] = start(reset_it, NULL);
    pass_turns(1);
    tasks[PARTIES] = start(come_once, NULL);
    assert_int_equal(rota_gather(tasks, PARTIES + 1, NULL, false), 0);
    assert_int_equal(broken, PARTIES - 1);
    assert_int_equal(through, PARTIES);
    end();
    return 0;
}

static void who_was_broken_by_a_reset_may_come_again(void)
{
    scenario(reset_then_fill);
}

static int first_round;

/* The last to leave resets a barrier that is whole: nobody is broken. */
static intptr_t reset_as_the_last(void *arg)
{
    (void)arg;
    must_pass();
    if (++first_round == PARTIES)
        reset();
    must_pass();
    must_pass();
    return 0;
}

static intptr_t reset_drained(void *arg)
{
    (void)arg;
    begin(PARTIES);
    gather(reset_as_the_last);
    assert_int_equal(through, 3 * PARTIES);
    assert_int_equal(broken, 0);
    end();
    return 0;
}

static void a_reset_by_the_last_who_leaves_breaks_nobody(void)
{
    scenario(reset_drained);
}

/* --- Abort --------------------------------------------------------------- */

static intptr_t break_an_empty_one(void *arg)
{
    (void)arg;
    begin(1);
    break_it();
    assert_true(rota_barrier_broken(&barrier));
    assert_int_equal(rota_barrier_wait(&barrier), -ROTA_EBROKEN);
    break_it();
    assert_true(rota_barrier_broken(&barrier));
    reset();
    assert_false(rota_barrier_broken(&barrier));
    assert_int_equal(rota_barrier_wait(&barrier), 0);
    end();
    return 0;
}

static void an_aborted_barrier_stays_broken_until_a_reset(void)
{
    scenario(break_an_empty_one);
}

static intptr_t break_under_waiters(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    begin(3);
    tasks[0] = start(pass, "a");
    tasks[1] = start(pass, "b");
    pass_turns(1);
    tasks[2] = start(pass, "c");
    tasks[3] = start(ticker, "t");
    break_it();
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    assert_int_equal(rota_gather(tasks, 4, NULL, true), 0);
    end();
    return 0;
}

static void an_abort_breaks_who_waits_and_who_comes(void)
{
    scenario(break_under_waiters);
    assert_noted("c:ROTA_EBROKEN t0 a:ROTA_EBROKEN b:ROTA_EBROKEN t1 t2 t3 t4 "
                 "t5");
}

/* Two pass and wait again, the third aborts; nobody comes through any more. */
static intptr_t break_when_half_have_left(void *arg)
{
    (void)arg;
    if (!wait_and_count())
        return 0;
    if (through > HALF)
        break_it();
    else
        assert_false(wait_and_count());
    return 0;
}

static intptr_t break_half_drained(void *arg)
{
    (void)arg;
    begin(PARTIES);
    gather(break_when_half_have_left);
    assert_true(rota_barrier_broken(&barrier));
    assert_int_equal(through, PARTIES - HALF);
    assert_int_equal(broken, 2 * HALF);
    end();
    return 0;
}

static void an_abort_breaks_also_who_waits_before_it(void)
{
    scenario(break_half_drained);
}

static intptr_t fail_in_the_middle(void *arg)
{
    intptr_t index = rota_barrier_wait(&barrier);

    (void)arg;
    if (index == HALF)
        break_it();
    else if (index == -ROTA_EBROKEN)
        broken++;
    else
        assert_false(wait_and_count());
    return 0;
}

static intptr_t break_by_one(void *arg)
{
    (void)arg;
    begin(PARTIES);
    gather(fail_in_the_middle);
    assert_true(rota_barrier_broken(&barrier));
    assert_int_equal(broken, PARTIES - 1);
    assert_int_equal(through, 0);
    end();
    return 0;
}

static void one_who_fails_breaks_the_barrier_for_all(void)
{
    scenario(break_by_one);
}

static rota_barrier second;

/* All meet at another barrier, and one of them resets the first. */
static intptr_t fail_and_repair(void *arg)
{
    intptr_t index;

    (void)fail_in_the_middle(arg);
    index = rota_barrier_wait(&second);
    assert_true(index >= 0);
    if (index == HALF)
        reset();
    assert_true(rota_barrier_wait(&second) >= 0);
    must_pass();
    return 0;
}

static intptr_t break_and_reset(void *arg)
{
    (void)arg;
    begin(PARTIES);
    assert_int_equal(rota_barrier_init(&second, PARTIES), 0);
    gather(fail_and_repair);
    assert_false(rota_barrier_broken(&barrier));
    assert_int_equal(broken, PARTIES - 1);
    assert_int_equal(through, PARTIES);
    rota_barrier_fini(&second);
    end();
    return 0;
}

static void a_reset_mends_what_an_abort_has_broken(void)
{
    scenario(break_and_reset);
}

/* --- Both, and cancellation ---------------------------------------------- */

static intptr_t change_again_and_again(void *arg)
{
    rota_task tasks[7];

    (void)arg;
    begin(3);
    tasks[0] = start(pass, "a");
    tasks[1] = start(pass, "b");
    tasks[2] = start(pass, "c");
    pass_turns(1);
    tasks[3] = start(pass, "d");
    tasks[4] = start(pass, "e");
    pass_turns(1);
    reset();
    tasks[5] = start(pass, "f");
    tasks[6] = start(pass, "g");
    pass_turns(1);
    break_it();
    assert_true(rota_barrier_broken(&barrier));
    assert_int_equal(rota_gather(tasks, 7, NULL, true), 0);
    end();
    return 0;
}

static void it_may_be_reset_and_aborted_in_any_state(void)
{
    scenario(change_again_and_again);
    assert_noted("c=2 a=0 b=1 d:ROTA_EBROKEN e:ROTA_EBROKEN f:ROTA_EBROKEN "
                 "g:ROTA_EBROKEN");
}

/* "a" hears of the reset and of its cancellation at once. */
static intptr_t cancel_the_broken(void *arg)
{
    rota_task tasks[2];

    (void)arg;
    begin(3);
    tasks[0] = start(pass, "a");
    tasks[1] = start(pass, "b");
    pass_turns(1);
    reset();
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    assert_int_equal(rota_gather(tasks, 2, NULL, true), 0);
    assert_int_equal(rota_barrier_n_waiting(&barrier), 0);
    assert_false(rota_barrier_broken(&barrier));
    end();
    return 0;
}

static void a_cancellation_beside_a_reset_leaves_the_barrier_empty(void)
{
    scenario(cancel_the_broken);
    assert_noted("a:ECANCELED b:ROTA_EBROKEN");
}

HARNESS_MAIN(TEST(resetting_an_empty_barrier_changes_nothing),
             TEST(a_reset_breaks_the_wait_of_all_but_not_the_barrier),
             TEST(who_comes_while_it_resets_waits_before_it),
             TEST(a_reset_while_it_drains_breaks_those_who_have_not_left),
             TEST(a_reset_does_not_break_those_who_wait_before_it),
             TEST(who_was_broken_by_a_reset_may_come_again),
             TEST(a_reset_by_the_last_who_leaves_breaks_nobody),
             TEST(an_aborted_barrier_stays_broken_until_a_reset),
             TEST(an_abort_breaks_who_waits_and_who_comes),
             TEST(an_abort_breaks_also_who_waits_before_it),
             TEST(one_who_fails_breaks_the_barrier_for_all),
             TEST(a_reset_mends_what_an_abort_has_broken),
             TEST(it_may_be_reset_and_aborted_in_any_state),
             TEST(a_cancellation_beside_a_reset_leaves_the_barrier_empty))
