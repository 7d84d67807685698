/* SPDX-License-Identifier: MIT */
/*
 * The errors of task groups: all of them, and what children may be given
 *
 * asyncio raises them together as an ExceptionGroup. Here the first one is
 * the group's result, and the others are kept or reported.
 */
#include "scenario.h"

static void add(rota_task_group *group, const char *name, struct job *job)
{
    const rota_task_options options = {.name = name};

    assert_int_equal(
        rota_task_group_create_task_with(group, &options, do_job, job, NULL),
        0);
}

static void note_errors(const rota_task_error *errors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        note("%s:%s", errors[i].name, rota_errname(errors[i].error));
}

static void note_report(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)arg;
    note("reported:%s:%s", context->name, rota_errname(context->error));
}

static void note_reports(void)
{
    rota_set_exception_handler(rota_get_running_loop(), note_report, NULL);
}

static void name_myself(const char *name)
{
    assert_int_equal(rota_task_set_name(rota_current_task(), name), 0);
}

static int cancels_of_mine(void)
{
    return rota_task_cancelling(rota_current_task());
}

/* --- Kept --------------------------------------------------------------- */

static intptr_t keep_all(void *arg)
{
    struct job bad = {1, -EIO, NULL, 0}, worse = {1, -EPIPE, NULL, 0};
    struct job grim = {9, 0, NULL, -EPROTO}, meek = {9, 0, NULL, 0};
    rota_task_error errors[9];
    rota_task_group group;

    (void)arg;
    note_reports();
    name_myself("body");
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_keep_errors(&group, errors, 9), 0);
    assert_int_equal(rota_task_group_error_count(&group), 0);
    add(&group, "grim", &grim);
    add(&group, "meek", &meek);
    add(&group, "bad", &bad);
    add(&group, "worse", &worse);
    assert_int_equal(rota_sleep(10), -ECANCELED);
    assert_int_equal(rota_task_group_error_count(&group), 3);
    assert_int_equal(rota_task_group_end(&group, -ENODEV), -EIO);
    note_errors(errors, rota_task_group_error_count(&group));
    assert_int_equal(cancels_of_mine(), 0);
    return rota_sleep(1);
}

/* asyncio: the same errors in the same order. */
static void all_errors_are_kept_as_they_came_and_the_bodys_is_last(void)
{
    scenario(keep_all);
    assert_noted("bad:EIO worse:EPIPE grim:EPROTO body:ENODEV");
}

static intptr_t keep_what_a_failing_body_leaves(void *arg)
{
    struct job grim = {9, 0, NULL, -EPROTO}, meek = {9, 0, NULL, 0};
    rota_task_error errors[9];
    rota_task_group group;

    (void)arg;
    note_reports();
    name_myself("body");
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_keep_errors(&group, errors, 9), 0);
    add(&group, "first", &grim);
    add(&group, "meek", &meek);
    add(&group, "second", &grim);
    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_group_end(&group, -EIO), -EPROTO);
    note_errors(errors, rota_task_group_error_count(&group));
    return 0;
}

static void a_body_that_fails_first_still_comes_after_its_children(void)
{
    scenario(keep_what_a_failing_body_leaves);
    assert_noted("first:EPROTO second:EPROTO body:EIO");
}

static intptr_t keep_the_bodys_alone(void *arg)
{
    rota_task_error error;
    rota_task_group group;

    (void)arg;
    name_myself("body");
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_keep_errors(&group, &error, 1), 0);
    assert_int_equal(rota_task_group_end(&group, -EIO), -EIO);
    note_errors(&error, rota_task_group_error_count(&group));
    return 0;
}

static void the_bodys_error_alone_is_kept_as_well(void)
{
    scenario(keep_the_bodys_alone);
    assert_noted("body:EIO");
}

static intptr_t keep_none(void *arg)
{
    struct job quick = {1, 7, NULL, 0};
    rota_task_error errors[2] = {{1, "untouched"}, {1, "untouched"}};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_keep_errors(&group, errors, 2), 0);
    add(&group, "quick", &quick);
    assert_int_equal(rota_task_group_end(&group, 5), 5);
    assert_int_equal(rota_task_group_error_count(&group), 0);
    assert_string_equal(errors[0].name, "untouched");
    return rota_task_group_keep_errors(&group, errors, 2);
}

static void without_errors_nothing_is_kept_and_an_ended_group_refuses(void)
{
    assert_int_equal(run_virtually(keep_none, NULL), -ROTA_ESCOPE);
}

static intptr_t keep_too_late(void *arg)
{
    struct job bad = {1, -EIO, NULL, 0};
    rota_task_error error;
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, "bad", &bad);
    assert_int_equal(rota_sleep(2), -ECANCELED);
    assert_int_equal(rota_task_group_keep_errors(&group, &error, 1),
                     -ROTA_ESTATE);
    return rota_task_group_end(&group, 0);
}

static void errors_cannot_be_kept_once_there_was_one(void)
{
    assert_int_equal(run_virtually(keep_too_late, NULL), -EIO);
}

/* --- Reported ----------------------------------------------------------- */

/* arg: how many errors find room, or NULL. */
static intptr_t fail_five_times(void *arg)
{
    struct job jobs[5] = {{1, -EIO, NULL, 0},
                          {1, -EPIPE, NULL, 0},
                          {1, -EPROTO, NULL, 0},
                          {1, -EPERM, NULL, 0},
                          {1, -ENODEV, NULL, 0}};
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    rota_task_error errors[5];
    rota_task_group group;
    const size_t *room = arg;

    note_reports();
    assert_int_equal(rota_task_group_begin(&group), 0);
    if (room)
        assert_int_equal(rota_task_group_keep_errors(&group, errors, *room), 0);
    for (int i = 0; i < 5; i++)
        add(&group, names[i], &jobs[i]);
    assert_int_equal(rota_task_group_end(&group, 0), -EIO);
    assert_int_equal(rota_task_group_error_count(&group), 5);
    if (room)
        note_errors(errors, *room);
    return 0;
}

static void what_finds_no_room_is_reported_and_nothing_twice(void)
{
    size_t two = 2, one = 1, none = 0;

    assert_int_equal(run_virtually(fail_five_times, &two), 0);
    assert_noted("reported:c:EPROTO reported:d:EPERM reported:e:ENODEV "
                 "a:EIO b:EPIPE");
    assert_int_equal(run_virtually(fail_five_times, &one), 0);
    assert_noted("reported:b:EPIPE reported:c:EPROTO reported:d:EPERM "
                 "reported:e:ENODEV a:EIO");
    assert_int_equal(run_virtually(fail_five_times, &none), 0);
    assert_noted("reported:b:EPIPE reported:c:EPROTO reported:d:EPERM "
                 "reported:e:ENODEV");
}

static void without_a_place_all_but_the_first_are_reported(void)
{
    assert_int_equal(run_virtually(fail_five_times, NULL), 0);
    assert_noted("reported:b:EPIPE reported:c:EPROTO reported:d:EPERM "
                 "reported:e:ENODEV");
}

static intptr_t fail_in_the_body_as_well(void *arg)
{
    struct job bad = {1, -EIO, NULL, 0};
    rota_task_group group;

    (void)arg;
    note_reports();
    name_myself("body");
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, "bad", &bad);
    assert_int_equal(rota_sleep(2), -ECANCELED);
    return rota_task_group_end(&group, -ENODEV);
}

static void the_bodys_error_is_reported_like_the_others(void)
{
    assert_int_equal(run_virtually(fail_in_the_body_as_well, NULL), -EIO);
    assert_noted("reported:body:ENODEV");
}

/* --- While the group is closing ----------------------------------------- */

static rota_task_group *shared_group;

static intptr_t start_another(void *arg)
{
    int err = rota_sleep(1);

    if (err == 0)
        add(shared_group, "late", arg);
    return err;
}

static intptr_t start_while_closing(void *arg)
{
    struct job bad = {1, -EIO, NULL, 0};
    rota_task_error error;
    rota_task_group group;

    (void)arg;
    note_reports();
    shared_group = &group;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_keep_errors(&group, &error, 1), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, start_another, &bad, NULL), 0);
    assert_int_equal(rota_task_group_end(&group, 0), -EIO);
    note_errors(&error, rota_task_group_error_count(&group));
    return 0;
}

static void a_child_started_while_the_group_closes_is_one_like_others(void)
{
    scenario(start_while_closing);
    assert_noted("late:EIO");
}

/* Its last child is done, which the group has not heard of yet. */
static intptr_t end_and_start_another(void *arg)
{
    rota_task_group group;
    intptr_t result = 0;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, return_arg, NULL, NULL), 0);
    pass_turns(1);
    assert_int_equal(
        rota_task_group_create_task(&group, return_arg, (void *)8, &result), 0);
    assert_int_equal(rota_task_group_end(&group, 0), 0);
    assert_int_equal(result, 8);
    return rota_task_group_create_task(&group, return_arg, NULL, NULL);
}

static void a_group_whose_children_are_done_takes_more_until_its_end(void)
{
    assert_int_equal(run_virtually(end_and_start_another, NULL), -ROTA_ESCOPE);
}

/* --- The group's request and that of others ----------------------------- */

static intptr_t fail_a_turn_later(void *error)
{
    int err = rota_sleep(0);

    return err < 0 ? err : (intptr_t)error;
}

static intptr_t fail_in_both(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task_group outer, inner;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&outer), 0);
    assert_int_equal(rota_task_group_begin(&inner), 0);
    assert_int_equal(rota_task_group_create_task(&inner, fail_a_turn_later,
                                                 (void *)-EIO, NULL),
                     0);
    assert_int_equal(rota_task_group_create_task(&outer, fail_a_turn_later,
                                                 (void *)-EPIPE, NULL),
                     0);
    assert_int_equal(rota_task_group_end(&inner, 0), -EIO);
    note("inner:%d", cancels_of_mine());
    assert_int_equal(rota_task_group_end(&outer, 0), -EPIPE);
    note("outer:%d", cancels_of_mine());
    return rota_await(t);
}

/* asyncio, from 3.13 on: the same line. */
static void two_groups_that_fail_together_count_their_requests_apart(void)
{
    scenario(fail_in_both);
    assert_noted("t0 t1 t2 t3 inner:1 outer:0 t4 t5");
}

static intptr_t end_in_an_outer_group(void *arg)
{
    rota_task_group outer, inner;
    intptr_t result;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&outer), 0);
    assert_int_equal(rota_task_group_begin(&inner), 0);
    assert_int_equal(rota_task_group_create_task(&outer, fail_a_turn_later,
                                                 (void *)-EPIPE, NULL),
                     0);
    assert_int_equal(rota_task_group_create_task(&inner, sleep_for_ever,
                                                 (void *)"child", NULL),
                     0);
    result = rota_sleep(9);
    assert_int_equal(result, -ECANCELED);
    result = rota_task_group_end(&inner, result);
    note("inner:%s:%d", rota_errname(result), cancels_of_mine());
    result = rota_task_group_end(&outer, result);
    note("outer:%s:%d", rota_errname(result), cancels_of_mine());
    return rota_sleep(1);
}

static void the_outer_groups_request_is_a_cancellation_to_the_inner_one(void)
{
    scenario(end_in_an_outer_group);
    assert_noted("child inner:ECANCELED:1 outer:EPIPE:0");
}

static intptr_t fail_and_be_cancelled(void *arg)
{
    struct job bad = {2, -EIO, NULL, 0};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, "bad", &bad);
    assert_int_equal(rota_sleep(9), -ECANCELED);
    assert_int_equal(rota_sleep(9), -ECANCELED); /* the group's own */
    assert_int_equal(cancels_of_mine(), 2);
    assert_int_equal(rota_task_group_end(&group, -ECANCELED), -EIO);
    assert_int_equal(cancels_of_mine(), 1);
    return rota_sleep(9);
}

static intptr_t cancel_what_fails(void *function)
{
    rota_task task = start((rota_task_function *)(uintptr_t)function, NULL);

    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancelling(task), 1);
    return rota_await(task);
}

#define FUNCTION(f) ((void *)(uintptr_t)(f))

/* asyncio, from 3.13 on: the sleep after the group is cancelled too. */
static void a_cancel_before_the_error_is_asked_for_again_after_it(void)
{
    assert_int_equal(
        run_virtually(cancel_what_fails, FUNCTION(fail_and_be_cancelled)),
        -ECANCELED);
}

static intptr_t fail_at_a_cancel(void *arg)
{
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_sleep(9), -ECANCELED);
    assert_int_equal(rota_task_group_end(&group, -EPROTO), -EPROTO);
    assert_int_equal(cancels_of_mine(), 1);
    return -EPROTO;
}

static void a_body_that_turns_its_cancel_into_an_error_has_failed(void)
{
    assert_int_equal(
        run_virtually(cancel_what_fails, FUNCTION(fail_at_a_cancel)), -EPROTO);
}

static intptr_t fail_during_the_cleanup(void *arg)
{
    struct job bad = {2, -EIO, NULL, 0};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    add(&group, "bad", &bad);
    assert_int_equal(rota_sleep(9), -ECANCELED);
    assert_int_equal(rota_sleep(0.5), 0);
    assert_int_equal(rota_sleep(3), -ECANCELED);
    assert_int_equal(rota_task_group_end(&group, -ECANCELED), -EIO);
    assert_int_equal(cancels_of_mine(), 1);
    return -EIO;
}

static void an_error_cuts_the_cleanup_of_a_cancelled_body_short(void)
{
    assert_int_equal(
        run_virtually(cancel_what_fails, FUNCTION(fail_during_the_cleanup)),
        -EIO);
}

/* --- What children are given -------------------------------------------- */

static intptr_t use_much_stack(void *arg)
{
    volatile char big[200 * 1024];

    big[0] = 1;
    big[sizeof big - 1] = 1;
    note("%s", rota_task_get_name(rota_current_task()));
    return (intptr_t)arg + big[0] + big[sizeof big - 1];
}

static intptr_t give_options(void *arg)
{
    const rota_task_options big = {.name = "big", .stack_size = 512 * 1024};
    rota_task_group group;
    intptr_t results[2] = {0, 0};

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_create_task_with(
                         &group, &big, use_much_stack, (void *)5, &results[0]),
                     0);
    assert_int_equal(rota_task_group_create_task_with(&group, NULL, return_arg,
                                                      (void *)9, &results[1]),
                     0);
    assert_int_equal(rota_task_group_end(&group, 0), 0);
    assert_int_equal(results[0], 7);
    assert_int_equal(results[1], 9);
    return 0;
}

static void a_child_has_the_name_and_the_stack_that_it_was_given(void)
{
    scenario(give_options);
    assert_noted("big");
}

static rota_context_var colour = ROTA_CONTEXT_VAR("colour", "none");

static intptr_t paint(void *value)
{
    pass_turns(1);
    return rota_context_var_set(&colour, value, NULL);
}

static intptr_t give_context(void *arg)
{
    rota_task_options options = {.name = "painter"};
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_copy_context(&options.context), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_create_task_with(&group, &options, paint,
                                                      (void *)"red", NULL),
                     0);
    assert_int_equal(
        rota_task_group_create_task(&group, paint, (void *)"blue", NULL), 0);
    assert_int_equal(rota_task_group_end(&group, 0), 0);
    note("%s", (char *)rota_context_get(options.context, &colour));
    note("%s", (char *)rota_context_var_get(&colour));
    rota_context_free(options.context);
    return 0;
}

static void a_child_runs_in_the_context_that_it_was_given(void)
{
    scenario(give_context);
    assert_noted("red none");
}

static void create_outside_a_task(void *group)
{
    assert_int_equal(rota_task_group_create_task(group, return_arg, NULL, NULL),
                     -ROTA_ENOTASK);
    note("refused");
}

static intptr_t refuse_children(void *arg)
{
    rota_task_group group;

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_create_task(&group, NULL, NULL, NULL),
                     -EINVAL);
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    create_outside_a_task, &group),
                     0);
    pass_turns(2);
    return rota_task_group_end(&group, 6);
}

static void bad_children_are_refused_and_the_group_goes_on(void)
{
    assert_int_equal(run_virtually(refuse_children, NULL), 6);
    assert_noted("refused");
}

static void a_group_that_could_not_begin_is_closed_and_has_no_errors(void)
{
    rota_task_group group;

    memset(&group, 0xEE, sizeof group);
    assert_int_equal(rota_task_group_begin(&group), -ROTA_ENOTASK);
    assert_int_equal(rota_task_group_error_count(&group), 0);
    assert_int_equal(rota_task_group_keep_errors(&group, NULL, 0),
                     -ROTA_ESCOPE);
    assert_int_equal(rota_task_group_end(&group, 3), -ROTA_ESCOPE);
}

HARNESS_MAIN(TEST(all_errors_are_kept_as_they_came_and_the_bodys_is_last),
             TEST(a_body_that_fails_first_still_comes_after_its_children),
             TEST(the_bodys_error_alone_is_kept_as_well),
             TEST(without_errors_nothing_is_kept_and_an_ended_group_refuses),
             TEST(errors_cannot_be_kept_once_there_was_one),
             TEST(what_finds_no_room_is_reported_and_nothing_twice),
             TEST(without_a_place_all_but_the_first_are_reported),
             TEST(the_bodys_error_is_reported_like_the_others),
             TEST(a_child_started_while_the_group_closes_is_one_like_others),
             TEST(a_group_whose_children_are_done_takes_more_until_its_end),
             TEST(two_groups_that_fail_together_count_their_requests_apart),
             TEST(the_outer_groups_request_is_a_cancellation_to_the_inner_one),
             TEST(a_cancel_before_the_error_is_asked_for_again_after_it),
             TEST(a_body_that_turns_its_cancel_into_an_error_has_failed),
             TEST(an_error_cuts_the_cleanup_of_a_cancelled_body_short),
             TEST(a_child_has_the_name_and_the_stack_that_it_was_given),
             TEST(a_child_runs_in_the_context_that_it_was_given),
             TEST(bad_children_are_refused_and_the_group_goes_on),
             TEST(a_group_that_could_not_begin_is_closed_and_has_no_errors))
