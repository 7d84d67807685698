/* SPDX-License-Identifier: MIT */
/*
 * Task groups that are cancelled, or stand in one another
 */
#include "scenario.h"

static void add(rota_task_group *group, struct job *job, intptr_t *result)
{
    assert_int_equal(rota_task_group_create_task(group, do_job, job, result),
                     0);
}

/* Runs `function` as a task and cancels it after a second. */
static intptr_t cancel_after_a_second(rota_task_function *function, void *arg)
{
    rota_task task = start(function, arg);

    assert_int_equal(rota_sleep(1), 0);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

/* --- Cancelled from outside --------------------------------------------- */

static intptr_t sleep_in_group(void *in_the_body)
{
    struct job slow = {9, 1, "a", 0};
    rota_task_group group;
    intptr_t n = 0;

    assert_int_equal(rota_task_group_begin(&group), 0);
    for (int i = 0; i < 3; i++)
        add(&group, &slow, NULL);
    if (in_the_body) {
        n = rota_sleep(10);
        note("body");
    }
    n = rota_task_group_end(&group, n);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 1);
    return n;
}

static intptr_t cancel_sleeping(void *in_the_body)
{
    return cancel_after_a_second(sleep_in_group, in_the_body);
}

static void a_cancel_reaches_all_children(void)
{
    assert_int_equal(run_virtually(cancel_sleeping, NULL), -ECANCELED);
    assert_noted("a-cancelled a-cancelled a-cancelled");
    assert_int_equal(run_virtually(cancel_sleeping, (void *)1), -ECANCELED);
    assert_noted("body a-cancelled a-cancelled a-cancelled");
}

static intptr_t fail_when_cancelled(void *in_the_body)
{
    struct job grim = {9, 1, NULL, -EPIPE};
    rota_task_group group;
    intptr_t n = 0;

    assert_int_equal(rota_task_group_begin(&group), 0);
    for (int i = 0; i < 3; i++)
        add(&group, &grim, NULL);
    if (in_the_body)
        n = rota_sleep(10);
    n = rota_task_group_end(&group, n);
    assert_int_equal(n, -EPIPE);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 1);
    /* The error has hidden the cancellation: it comes again. */
    assert_int_equal(rota_sleep(0), -ECANCELED);
    assert_int_equal(rota_sleep(0), 0);
    return n;
}

static intptr_t cancel_grim(void *in_the_body)
{
    return cancel_after_a_second(fail_when_cancelled, in_the_body);
}

static void an_error_wins_and_the_cancel_comes_again(void)
{
    assert_int_equal(run_virtually(cancel_grim, NULL), -EPIPE);
    assert_int_equal(run_virtually(cancel_grim, (void *)1), -EPIPE);
}

static intptr_t swallow_in_group(void *arg)
{
    struct job quick = {2, 1, "a", 0};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &quick, NULL);
    assert_int_equal(rota_sleep(10), -ECANCELED);
    return rota_task_group_end(&group, 6);
}

static intptr_t cancel_swallowing(void *arg)
{
    return cancel_after_a_second(swallow_in_group, arg);
}

static void a_body_that_swallows_the_cancel_keeps_its_children(void)
{
    assert_int_equal(run_virtually(cancel_swallowing, NULL), 6);
    assert_noted("a");
}

static intptr_t clean_up_slowly(void *arg)
{
    (void)arg;
    assert_int_equal(rota_sleep(20), -ECANCELED);
    assert_int_equal(rota_sleep(3), 0);
    note("cleaned");
    return -ECANCELED;
}

static intptr_t group_slow_cleanup(void *arg)
{
    rota_task_group group;

    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, clean_up_slowly, arg, NULL), 0);
    return rota_task_group_end(&group, 0);
}

static intptr_t cancel_twice(void *arg)
{
    rota_task task = start(group_slow_cleanup, arg);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(rota_sleep(1), 0);
        assert_int_equal(rota_task_cancel(task), 1);
    }
    return rota_await(task);
}

static void a_second_cancel_does_not_disturb_the_childrens_cleanup(void)
{
    assert_int_equal(run_virtually(cancel_twice, NULL), -ECANCELED);
    assert_noted("cleaned");
}

/* --- Nested ------------------------------------------------------------- */

static intptr_t nest(void *arg)
{
    struct job *jobs = arg;
    rota_task_group outer, inner;
    intptr_t n;

    assert_int_equal(rota_task_group_begin(&outer), 0);
    add(&outer, &jobs[0], NULL);
    assert_int_equal(rota_task_group_begin(&inner), 0);
    add(&inner, &jobs[1], NULL);
    n = rota_task_group_end(&inner, 0);
    note("inner:%s", rota_errname(n));
    n = rota_task_group_end(&outer, n);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    assert_int_equal(rota_sleep(20), 0);
    return n;
}

static void an_error_of_the_outer_group_cancels_the_inner_one(void)
{
    struct job jobs[] = {{1, -EIO, "a", 0}, {9, 1, "b", 0}};

    assert_int_equal(run_virtually(nest, jobs), -EIO);
    assert_noted("a b-cancelled inner:ECANCELED");
}

static void an_error_of_the_inner_group_ends_the_outer_one(void)
{
    struct job jobs[] = {{9, 1, "a", 0}, {1, -EIO, "b", 0}};

    assert_int_equal(run_virtually(nest, jobs), -EIO);
    assert_noted("b inner:EIO a-cancelled");
}

static intptr_t group_in_a_timeout(void *arg)
{
    struct job slow = {9, 1, "a", 0};
    rota_task_group group;
    rota_timeout timeout;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 1), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &slow, NULL);
    n = rota_task_group_end(&group, 0);
    assert_int_equal(n, -ECANCELED);
    assert_int_equal(rota_timeout_end(&timeout, n), -ETIMEDOUT);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(1);
}

static void a_timeout_around_a_group_cancels_its_children(void)
{
    scenario(group_in_a_timeout);
    assert_noted("a-cancelled");
}

/* --- Just before the end ------------------------------------------------ */

static rota_task parent;

static void cancel_parent(void *arg)
{
    (void)arg;
    assert_int_equal(rota_task_cancel(parent), 1);
}

/* The parent is cancelled in the turn in which its group hears of the end. */
static intptr_t end_and_cancel(void *arg)
{
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, cancel_parent, NULL), 0);
    return (intptr_t)arg;
}

static intptr_t join_it(void *arg)
{
    rota_task_group group;

    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, end_and_cancel, arg, NULL), 0);
    return rota_task_group_end(&group, 4);
}

static intptr_t start_joining(void *arg)
{
    intptr_t result;

    parent = start(join_it, arg);
    result = rota_await(parent);
    assert_int_equal(rota_sleep(1), 0);
    return result;
}

static void a_cancel_beats_the_end_of_the_last_child(void)
{
    assert_int_equal(run_virtually(start_joining, NULL), -ECANCELED);
    assert_int_equal(run_virtually(start_joining, (void *)-EIO), -EIO);
}

HARNESS_MAIN(TEST(a_cancel_reaches_all_children),
             TEST(an_error_wins_and_the_cancel_comes_again),
             TEST(a_body_that_swallows_the_cancel_keeps_its_children),
             TEST(a_second_cancel_does_not_disturb_the_childrens_cleanup),
             TEST(an_error_of_the_outer_group_cancels_the_inner_one),
             TEST(an_error_of_the_inner_group_ends_the_outer_one),
             TEST(a_timeout_around_a_group_cancels_its_children),
             TEST(a_cancel_beats_the_end_of_the_last_child))
