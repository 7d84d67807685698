/* SPDX-License-Identifier: MIT */
/*
 * Task groups: children that end together
 *
 * The scenarios are those that CPython's own tests of TaskGroup look at. In C
 * the first error stands for asyncio's group of errors.
 */
#include "scenario.h"

static void add(rota_task_group *group, struct job *job, intptr_t *result)
{
    assert_int_equal(rota_task_group_create_task(group, do_job, job, result),
                     0);
}

/* --- All is well -------------------------------------------------------- */

static intptr_t join_two(void *arg)
{
    struct job jobs[] = {{2, 42, "a", 0}, {1, 11, "b", 0}};
    rota_task_group group;
    intptr_t results[2] = {0, 0};

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &jobs[0], &results[0]);
    assert_int_equal(rota_sleep(0.5), 0);
    add(&group, &jobs[1], &results[1]);
    assert_int_equal(rota_task_group_end(&group, -5000), -5000);
    note("end");
    assert_int_equal(results[0], 42);
    assert_int_equal(results[1], 11);
    return 0;
}

static void the_end_waits_for_all_and_gives_the_bodys_result(void)
{
    scenario(join_two);
    assert_noted("b a end");
}

static intptr_t join_none(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;

    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_end(&group, (intptr_t)arg), (intptr_t)arg);
    note("at-once");
    assert_int_equal(rota_task_cancel(t), 1);
    return rota_gather(&t, 1, NULL, true);
}

static void an_empty_group_ends_without_a_turn(void)
{
    assert_int_equal(run_virtually(join_none, (void *)3), 0);
    assert_noted("at-once");
}

static intptr_t end_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, return_arg, NULL, NULL), 0);
    assert_int_equal(rota_task_group_end(&group, 0), 0);
    note("end");
    return rota_await(t);
}

/* asyncio: the same line. */
static void the_parent_wakes_two_turns_after_the_last_child(void)
{
    scenario(end_beside_a_ticker);
    assert_noted("t0 t1 t2 end t3 t4 t5");
}

static intptr_t ignore_a_cancelled_child(void *arg)
{
    struct job slow = {9, 1, "a", 0}, quick = {2, 11, "b", 0};
    rota_task_group group;
    intptr_t results[2];
    rota_task all[3];

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &slow, &results[0]);
    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_all_tasks(rota_get_running_loop(), all, 3), 2);
    assert_int_equal(rota_task_cancel(all[all[0].id == rota_current_task().id]),
                     1);
    add(&group, &quick, &results[1]);
    assert_int_equal(rota_task_group_end(&group, 0), 0);
    assert_int_equal(results[0], -ECANCELED);
    assert_int_equal(results[1], 11);
    return 0;
}

static void a_child_that_is_cancelled_does_not_disturb_the_others(void)
{
    scenario(ignore_a_cancelled_child);
    assert_noted("a-cancelled b");
}

static intptr_t stream_children(void *arg)
{
    struct job job = {3, 0, NULL, 0};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    for (int i = 0; i < 100; i++) {
        add(&group, &job, NULL);
        assert_int_equal(rota_sleep(1), 0);
        assert_in_range(rota_all_tasks(rota_get_running_loop(), NULL, 0), 2, 4);
    }
    return rota_task_group_end(&group, 0);
}

static void children_that_are_done_are_freed_while_the_group_lives(void)
{
    scenario(stream_children);
}

static rota_task_group *shared_group;

static intptr_t breed(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    int err = rota_sleep(1);

    note("%d", (int)depth);
    for (int i = 0; err == 0 && i < 2 && depth > 0; i++)
        err = rota_task_group_create_task(shared_group, breed,
                                          (void *)(depth - 1), NULL);
    return err;
}

static intptr_t breed_three(void *arg)
{
    rota_task_group group;

    (void)arg;
    shared_group = &group;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, breed, (void *)2, NULL), 0);
    return rota_task_group_end(&group, 0);
}

static void children_may_make_more_while_the_group_ends(void)
{
    scenario(breed_three);
    assert_noted("2 1 1 0 0 0 0");
}

/* --- A child fails ------------------------------------------------------ */

static intptr_t fail_while_ending(void *arg)
{
    struct job bad = {1, -EIO, "bad", 0}, slow = {9, 1, "slow", 0};
    struct job worse = {1, -EPIPE, "worse", 0};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &bad, NULL);
    add(&group, &slow, NULL);
    add(&group, &worse, NULL);
    assert_int_equal(rota_task_group_end(&group, 5), -EIO);
    note("end");
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(20);
}

static void the_first_error_cancels_the_others_and_is_returned(void)
{
    scenario(fail_while_ending);
    assert_noted("bad worse slow-cancelled end");
}

static intptr_t fail_in_the_body(void *arg)
{
    struct job bad = {1, -EIO, "bad", 0}, slow = {9, 1, "slow", 0};
    rota_task_group group;
    int err;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &bad, NULL);
    add(&group, &slow, NULL);
    err = rota_sleep(10);
    note("body:%s", rota_errname(err));
    assert_int_equal(rota_task_cancelling(rota_current_task()), 1);
    assert_int_equal(rota_task_group_create_task(&group, do_job, &slow, NULL),
                     -ROTA_ESCOPE);
    assert_int_equal(rota_task_group_end(&group, err), -EIO);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(20);
}

static void an_error_cancels_the_body_as_well(void)
{
    scenario(fail_in_the_body);
    assert_noted("bad slow-cancelled body:ECANCELED");
}

static intptr_t end_just_then(void *arg)
{
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, fail_with_eio, NULL, NULL), 0);
    pass_turns(1);
    assert_int_equal(rota_task_group_end(&group, 0), -EIO);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(1);
}

static void a_body_that_ends_just_then_is_not_cancelled_afterwards(void)
{
    scenario(end_just_then);
}

static intptr_t note_and_sleep(void *word)
{
    note("%s", (const char *)word);
    return sleep_for_ever((void *)"told");
}

static intptr_t fail_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, fail_with_eio, NULL, NULL), 0);
    assert_int_equal(rota_task_group_create_task(&group, note_and_sleep,
                                                 (void *)"sibling", NULL),
                     0);
    assert_int_equal(rota_task_group_end(&group, 0), -EIO);
    note("end");
    return rota_await(t);
}

/* asyncio: the same line. The group hears of the error in the next turn. */
static void a_sibling_that_was_ready_begins_before_it_is_cancelled(void)
{
    scenario(fail_beside_a_ticker);
    assert_noted("t0 sibling t1 t2 told t3 t4 end t5");
}

static intptr_t replace_the_error(void *arg)
{
    struct job bad = {1, -EIO, NULL, 0};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &bad, NULL);
    assert_int_equal(rota_sleep(10), -ECANCELED);
    assert_int_equal(rota_task_group_end(&group, -EPIPE), -EIO);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(1);
}

static void the_childs_error_wins_over_what_the_body_makes_of_it(void)
{
    scenario(replace_the_error);
}

static intptr_t try_to_breed(void *arg)
{
    struct job job = {1, 0, NULL, 0};

    (void)arg;
    assert_int_equal(rota_sleep(10), -ECANCELED);
    assert_int_equal(
        rota_task_group_create_task(shared_group, do_job, &job, NULL),
        -ROTA_ESCOPE);
    return -ECANCELED;
}

static intptr_t breed_too_late(void *arg)
{
    struct job bad = {1, -EIO, NULL, 0};
    rota_task_group group;

    (void)arg;
    shared_group = &group;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &bad, NULL);
    assert_int_equal(
        rota_task_group_create_task(&group, try_to_breed, NULL, NULL), 0);
    assert_int_equal(rota_task_group_end(&group, 0), -EIO);
    return rota_task_group_create_task(&group, do_job, &bad, NULL);
}

static void a_group_that_aborts_or_has_ended_takes_no_children(void)
{
    assert_int_equal(run_virtually(breed_too_late, NULL), -ROTA_ESCOPE);
}

/* --- The body fails ----------------------------------------------------- */

static intptr_t fail_the_body(void *arg)
{
    struct job slow = {9, 1, "a", 0}, grim = {9, 1, "b", -EPIPE};
    rota_task_group group;

    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &slow, NULL);
    if (arg) /* one that fails when it is cancelled */
        add(&group, &grim, NULL);
    assert_int_equal(rota_sleep(1), 0);
    return rota_task_group_end(&group, -EIO);
}

static void an_error_of_the_body_cancels_the_children(void)
{
    assert_int_equal(run_virtually(fail_the_body, NULL), -EIO);
    assert_noted("a-cancelled");
}

/* asyncio has both in its group; the child's came first. */
static void a_childs_error_comes_before_the_bodys(void)
{
    assert_int_equal(run_virtually(fail_the_body, (void *)1), -EPIPE);
    assert_noted("a-cancelled b-cancelled");
}

static intptr_t fail_the_body_at_once(void *arg)
{
    struct job slow = {9, 1, "a", 0};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, &slow, NULL);
    return rota_task_group_end(&group, -EIO);
}

static void children_that_have_not_begun_never_do(void)
{
    assert_int_equal(run_virtually(fail_the_body_at_once, NULL), -EIO);
    assert_noted("");
}

HARNESS_MAIN(TEST(the_end_waits_for_all_and_gives_the_bodys_result),
             TEST(an_empty_group_ends_without_a_turn),
             TEST(the_parent_wakes_two_turns_after_the_last_child),
             TEST(a_child_that_is_cancelled_does_not_disturb_the_others),
             TEST(children_that_are_done_are_freed_while_the_group_lives),
             TEST(children_may_make_more_while_the_group_ends),
             TEST(the_first_error_cancels_the_others_and_is_returned),
             TEST(an_error_cancels_the_body_as_well),
             TEST(a_body_that_ends_just_then_is_not_cancelled_afterwards),
             TEST(a_sibling_that_was_ready_begins_before_it_is_cancelled),
             TEST(the_childs_error_wins_over_what_the_body_makes_of_it),
             TEST(a_group_that_aborts_or_has_ended_takes_no_children),
             TEST(an_error_of_the_body_cancels_the_children),
             TEST(a_childs_error_comes_before_the_bodys),
             TEST(children_that_have_not_begun_never_do))
