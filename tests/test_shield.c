/* SPDX-License-Identifier: MIT */
/*
 * Shielding: waiting for a task that a cancellation does not reach
 */
#include "scenario.h"

static intptr_t work(void *arg)
{
    int err = rota_sleep(5);

    note("work%s", err < 0 ? "-cancelled" : "");
    return err < 0 ? err : (intptr_t)arg;
}

static intptr_t shield_results(void *arg)
{
    rota_task task = start(return_arg, (void *)7);
    rota_task failing = start(fail_with_eio, NULL);

    (void)arg;
    assert_int_equal(rota_shield(task), 7);
    assert_true(rota_task_done(task));
    assert_int_equal(rota_shield(task), 7);
    assert_int_equal(rota_await(task), 7);
    assert_int_equal(rota_shield(failing), -EIO);
    assert_int_equal(rota_await(failing), -EIO);
    assert_int_equal(rota_shield(failing), -ROTA_EAWAITED);
    return 0;
}

static void a_shield_gives_the_result_and_leaves_the_task_ours(void)
{
    scenario(shield_results);
}

static intptr_t shield_it(void *task)
{
    intptr_t result = rota_shield(*(rota_task *)task);

    note("shield:%s", result < 0 ? rota_errname(result) : "ok");
    return result;
}

static intptr_t cancel_the_shielder(void *arg)
{
    rota_task task = start(work, (void *)3);
    rota_task shielder = start(shield_it, &task);

    (void)arg;
    pass_turns(2);
    assert_int_equal(rota_task_cancel(shielder), 1);
    assert_int_equal(rota_await(shielder), -ECANCELED);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancelling(task), 0);
    return rota_await(task);
}

static void a_cancelled_shield_leaves_the_task_running(void)
{
    assert_int_equal(run_virtually(cancel_the_shielder, NULL), 3);
    assert_noted("shield:ECANCELED work");
}

static intptr_t cancel_the_shielded(void *arg)
{
    rota_task task = start(work, arg);
    rota_task shielder = start(shield_it, &task);

    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(shielder), -ECANCELED);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static void a_cancelled_task_ends_its_shields(void)
{
    scenario(cancel_the_shielded);
    assert_noted("work-cancelled shield:ECANCELED");
}

static intptr_t shield_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task c = start(return_arg, NULL);

    (void)arg;
    assert_int_equal(rota_shield(c), 0);
    note("shielded");
    assert_int_equal(rota_await(c), 0);
    return rota_await(t);
}

/* asyncio: the same line. */
static void the_shielder_wakes_two_turns_after_the_end(void)
{
    scenario(shield_beside_a_ticker);
    assert_noted("t0 t1 t2 shielded t3 t4 t5");
}

static intptr_t shield_many_times(void *arg)
{
    rota_task task = start(work, (void *)9);
    rota_task shielders[3];
    intptr_t results[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        shielders[i] = start(shield_it, &task);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(shielders[1]), 1);
    assert_int_equal(rota_gather(shielders, 3, results, true), 0);
    assert_int_equal(results[0], 9);
    assert_int_equal(results[1], -ECANCELED);
    assert_int_equal(results[2], 9);
    return rota_await(task) - 9;
}

static void several_may_shield_one_task(void)
{
    scenario(shield_many_times);
    assert_noted("shield:ECANCELED work shield:ok shield:ok");
}

static intptr_t await_it(void *task)
{
    return rota_await(*(rota_task *)task);
}

static intptr_t shield_awaited(void *arg)
{
    rota_task task = start(work, (void *)2);
    rota_task awaiter = start(await_it, &task);

    (void)arg;
    pass_turns(2);
    assert_int_equal(rota_shield(task), 2);
    return rota_await(awaiter) - 2;
}

static void a_task_that_another_awaits_can_be_shielded(void)
{
    scenario(shield_awaited);
    assert_noted("work");
}

static intptr_t shield_detached(void *arg)
{
    rota_task task = start(work, (void *)2);

    (void)arg;
    assert_int_equal(rota_detach(task), 0);
    assert_int_equal(rota_shield(task), 2);
    assert_int_equal(rota_shield(task), -ROTA_EAWAITED);
    return 0;
}

/* Its end frees it before the shield wakes. */
static void a_detached_task_can_be_shielded_until_its_end(void)
{
    scenario(shield_detached);
    assert_noted("work");
}

static intptr_t cancel_after_the_end(void *turns)
{
    rota_task task = start(return_arg, (void *)5);
    rota_task shielder = start(shield_it, &task);

    pass_turns(*(int *)turns);
    assert_int_equal(rota_task_cancel(shielder), 1);
    assert_int_equal(rota_await(shielder), -ECANCELED);
    return rota_await(task) - 5;
}

static intptr_t yield_and_return(void *arg)
{
    pass_turns(1);
    return (intptr_t)arg;
}

static intptr_t cancel_on_the_way(void *turns)
{
    rota_task task = start(yield_and_return, (void *)5);
    rota_task shielder = start(shield_it, &task);

    pass_turns(*(int *)turns);
    assert_int_equal(rota_task_cancel(shielder), 1);
    assert_int_equal(rota_await(shielder), -ECANCELED);
    return rota_await(task) - 5;
}

static void a_cancel_wins_until_the_shielder_has_woken(void)
{
    int turns = 0;

    assert_int_equal(run_virtually(cancel_after_the_end, &turns), 0);
    assert_noted("");
    for (turns = 1; turns <= 3; turns++)
        assert_int_equal(run_virtually(cancel_on_the_way, &turns), 0);
    assert_noted("shield:ECANCELED shield:ECANCELED shield:ECANCELED");
}

static intptr_t gather_shields(void *works)
{
    rota_task *tasks = works;
    rota_task shielders[] = {start(shield_it, &tasks[0]),
                             start(shield_it, &tasks[1])};
    int err = rota_gather(shielders, 2, NULL, false);

    note("gather:%s", rota_errname(err));
    return err;
}

static intptr_t cancel_gathered_shields(void *arg)
{
    rota_task works[] = {start(work, (void *)1), start(work, (void *)2)};
    rota_task gatherer = start(gather_shields, works);

    (void)arg;
    pass_turns(2);
    assert_int_equal(rota_task_cancel(gatherer), 1);
    assert_int_equal(rota_await(gatherer), -ECANCELED);
    assert_false(rota_task_done(works[0]) || rota_task_done(works[1]));
    return rota_gather(works, 2, NULL, false);
}

/* CPython: test_gather_shield. */
static void a_cancelled_gather_of_shields_leaves_the_tasks_running(void)
{
    scenario(cancel_gathered_shields);
    assert_noted(
        "shield:ECANCELED shield:ECANCELED gather:ECANCELED work work");
}

static intptr_t gather_works(void *arg)
{
    rota_task works[] = {start(work, (void *)1), start(work, (void *)2)};
    intptr_t results[2];
    int err = rota_gather(works, 2, results, false);

    (void)arg;
    return err < 0 ? err : 10 * results[0] + results[1];
}

static intptr_t cancel_the_shield_of_a_gather(void *arg)
{
    rota_task gatherer = start(gather_works, arg);
    rota_task shielder = start(shield_it, &gatherer);

    pass_turns(2);
    assert_int_equal(rota_task_cancel(shielder), 1);
    assert_int_equal(rota_await(shielder), -ECANCELED);
    return rota_await(gatherer);
}

/* CPython: test_shield_gather. */
static void a_cancelled_shield_leaves_a_gather_running(void)
{
    assert_int_equal(run_virtually(cancel_the_shield_of_a_gather, NULL), 12);
    assert_noted("shield:ECANCELED work work");
}

static intptr_t shield_within_a_timeout(void *arg)
{
    rota_task task = start(work, (void *)6);
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_timeout_end(&timeout, rota_shield(task)), -ETIMEDOUT);
    note("timeout");
    return rota_await(task) - 6;
}

static void a_timeout_ends_the_shield_and_not_the_task(void)
{
    scenario(shield_within_a_timeout);
    assert_noted("timeout work");
}

HARNESS_MAIN(TEST(a_shield_gives_the_result_and_leaves_the_task_ours),
             TEST(a_cancelled_shield_leaves_the_task_running),
             TEST(a_cancelled_task_ends_its_shields),
             TEST(the_shielder_wakes_two_turns_after_the_end),
             TEST(several_may_shield_one_task),
             TEST(a_task_that_another_awaits_can_be_shielded),
             TEST(a_detached_task_can_be_shielded_until_its_end),
             TEST(a_cancel_wins_until_the_shielder_has_woken),
             TEST(a_cancelled_gather_of_shields_leaves_the_tasks_running),
             TEST(a_cancelled_shield_leaves_a_gather_running),
             TEST(a_timeout_ends_the_shield_and_not_the_task))
