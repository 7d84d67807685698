/* SPDX-License-Identifier: MIT */
/*
 * Task groups in groups and in other tasks, and children that make more
 */
#include "scenario.h"

static void add(rota_task_group *group, rota_task_function *function, void *arg)
{
    assert_int_equal(rota_task_group_create_task(group, function, arg, NULL),
                     0);
}

static void note_end(const char *word, intptr_t result)
{
    note("%s:%s:%d", word, rota_errname(result),
         rota_task_cancelling(rota_current_task()));
}

static rota_task_function *victim;

/* Runs the victim as a task, cancels it after a second and awaits it. */
static intptr_t cancel_the_victim(void *arg)
{
    rota_task task = start(victim, arg);

    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

/* --- In one another ----------------------------------------------------- */

static intptr_t nest_children_that_fail(void *outer_child)
{
    struct job grim = {9, 0, NULL, -EPROTO};
    rota_task_group outer, inner;
    intptr_t n;

    assert_int_equal(rota_task_group_begin(&outer), 0);
    if (outer_child)
        add(&outer, sleep_for_ever, outer_child);
    assert_int_equal(rota_task_group_begin(&inner), 0);
    for (int i = 0; i < 5; i++)
        add(&inner, do_job, &grim);
    n = rota_sleep(10);
    note_end("body", n);
    n = rota_task_group_end(&inner, n);
    note_end("inner", n);
    n = rota_task_group_end(&outer, n);
    note_end("outer", n);
    return n;
}

static void a_cancel_from_outside_becomes_the_error_of_the_inner_group(void)
{
    victim = nest_children_that_fail;
    assert_int_equal(run_virtually(cancel_the_victim, NULL), -EPROTO);
    assert_noted("body:ECANCELED:1 inner:EPROTO:1 outer:EPROTO:1");
    assert_int_equal(run_virtually(cancel_the_victim, (void *)"child"),
                     -EPROTO);
    assert_noted("body:ECANCELED:1 inner:EPROTO:1 child outer:EPROTO:1");
}

static intptr_t fail_in_the_cleanup(void *arg)
{
    struct job bad = {3, -EIO, NULL, 0};
    rota_task_group group;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, do_job, &bad);
    note_end("body", rota_sleep(10));
    n = rota_sleep(5);
    note_end("cleanup", n);
    return rota_task_group_end(&group, n);
}

static intptr_t await_one_with_a_group(void *arg)
{
    return rota_await(start(fail_in_the_cleanup, arg));
}

static void a_cancel_reaches_the_group_of_an_awaited_task(void)
{
    victim = await_one_with_a_group;
    assert_int_equal(run_virtually(cancel_the_victim, NULL), -EIO);
    assert_noted("body:ECANCELED:1 cleanup:ECANCELED:2");
}

static intptr_t sleep_in_an_empty_group(void *arg)
{
    rota_task_group group;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    n = rota_task_group_end(&group, rota_sleep(10));
    note_end("group", n);
    return n;
}

static void the_body_of_an_empty_group_can_be_cancelled(void)
{
    victim = sleep_in_an_empty_group;
    assert_int_equal(run_virtually(cancel_the_victim, NULL), -ECANCELED);
    assert_noted("group:ECANCELED:1");
}

static intptr_t end_and_begin_again(void *arg)
{
    rota_task_group group;

    for (intptr_t i = 0; i < 3; i++) {
        assert_int_equal(rota_task_group_begin(&group), 0);
        add(&group, return_arg, arg);
        assert_int_equal(rota_task_group_end(&group, i), i);
    }
    return 0;
}

/* asyncio refuses: there the object is made anew each time. */
static void one_that_has_ended_may_begin_again(void)
{
    scenario(end_and_begin_again);
    assert_int_equal(run_in_debug_mode(end_and_begin_again, NULL), 0);
}

/* --- In the same turn --------------------------------------------------- */

/* Fails in the turn in which the body is cancelled. */
static intptr_t wake_and_fail(void *future)
{
    assert_int_equal(rota_future_set_result(future, 0), 0);
    return rota_sleep(0) < 0 ? -ECANCELED : -EIO;
}

static intptr_t sleep_beside_a_failure(void *future)
{
    rota_task_group group;
    intptr_t n;

    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, wake_and_fail, future);
    n = rota_task_group_end(&group, rota_sleep(1));
    note_end("group", n);
    return rota_sleep(1);
}

static intptr_t cancel_when_told(void *arg)
{
    rota_future told;
    rota_task task;
    intptr_t n;

    (void)arg;
    rota_future_init(&told, rota_get_running_loop());
    task = start(sleep_beside_a_failure, &told);
    assert_int_equal(rota_await_future(&told, NULL), 0);
    assert_int_equal(rota_task_cancelling(task), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    n = rota_await(task);
    rota_future_fini(&told);
    return n;
}

/* asyncio: test_error_and_cancel. */
static void a_cancel_in_the_turn_of_the_error_is_told_after_it(void)
{
    assert_int_equal(run_virtually(cancel_when_told, NULL), -ECANCELED);
    assert_noted("group:EIO:1");
}

/* --- Children that make more -------------------------------------------- */

static rota_task_group *shared_group;

static intptr_t make_one_that_fails(void *arg)
{
    add(shared_group, fail_with_eio, arg);
    note("made");
    for (int i = 0; i < 5; i++)
        if (rota_sleep(0) < 0) {
            note("cancelled%d", i);
            return -ECANCELED;
        }
    return 0;
}

static intptr_t group_one_that_makes_another(void *arg)
{
    rota_task_group group;

    shared_group = &group;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, make_one_that_fails, arg);
    assert_int_equal(rota_task_group_end(&group, 0), -EIO);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(0);
}

/* asyncio: the same turn. */
static void who_made_a_child_that_fails_is_cancelled_like_others(void)
{
    scenario(group_one_that_makes_another);
    assert_noted("made cancelled1");
}

static int hydras;

static intptr_t hydra(void *arg)
{
    int err;

    hydras++;
    err = rota_sleep(1);
    for (int i = 0; err == 0 && i < 2; i++)
        err = rota_task_group_create_task(shared_group, hydra, arg, NULL);
    return err;
}

static intptr_t hercules(void *arg)
{
    (void)arg;
    while (hydras < 10)
        assert_int_equal(rota_sleep(1.5), 0);
    return -EIO;
}

static intptr_t fight(void *arg)
{
    rota_task_group group;
    intptr_t n;

    shared_group = &group;
    hydras = 0;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, hydra, arg);
    add(&group, hercules, arg);
    n = rota_task_group_end(&group, 0);
    assert_in_range(hydras, 10, 100);
    assert_int_equal(rota_all_tasks(rota_get_running_loop(), NULL, 0), 1);
    return n;
}

static void children_that_make_ever_more_end_with_the_first_error(void)
{
    assert_int_equal(run_virtually(fight, NULL), -EIO);
}

HARNESS_MAIN(TEST(a_cancel_from_outside_becomes_the_error_of_the_inner_group),
             TEST(a_cancel_reaches_the_group_of_an_awaited_task),
             TEST(the_body_of_an_empty_group_can_be_cancelled),
             TEST(one_that_has_ended_may_begin_again),
             TEST(a_cancel_in_the_turn_of_the_error_is_told_after_it),
             TEST(who_made_a_child_that_fails_is_cancelled_like_others),
             TEST(children_that_make_ever_more_end_with_the_first_error))
