/* SPDX-License-Identifier: MIT */
/*
 * Scopes that end themselves: ROTA_TASK_GROUP and ROTA_TIMEOUT
 *
 * Each scenario runs twice, the second time in debug mode, which must find
 * nothing to stop.
 */
#include "scenario.h"

static void in_both_modes(rota_task_function *function, intptr_t result,
                          const char *noted)
{
    assert_int_equal(run_virtually(function, NULL), result);
    assert_noted(noted);
    assert_int_equal(run_in_debug_mode(function, NULL), result);
    assert_noted(noted);
}

static int cancels_of_mine(void)
{
    return rota_task_cancelling(rota_current_task());
}

static void add(rota_task_group *group, rota_task_function *function, void *arg)
{
    assert_int_equal(rota_task_group_create_task(group, function, arg, NULL),
                     0);
}

static void note_report(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)arg;
    note("reported:%s", rota_errname(context->error));
}

static void note_reports(void)
{
    rota_set_exception_handler(rota_get_running_loop(), note_report, NULL);
}

/* Nothing is left that would cancel it. */
static intptr_t expect_peace(void)
{
    assert_int_equal(cancels_of_mine(), 0);
    assert_int_equal(rota_task_uncancel(rota_current_task()), 0);
    return rota_sleep(100);
}

/* Runs `function` as a task and cancels it after a second. */
static intptr_t cancel_after_a_second(rota_task_function *function)
{
    rota_task task = start(function, NULL);

    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

/* --- Groups ------------------------------------------------------------- */

static intptr_t return_from_a_group(intptr_t result)
{
    ROTA_TASK_GROUP(group);

    assert_int_equal(group_begun, 0);
    add(&group, sleep_for_ever, (void *)"a");
    add(&group, sleep_for_ever, (void *)"b");
    assert_int_equal(rota_sleep(1), 0);
    note("return");
    if (result)
        return result;
    return rota_task_group_end(&group, 0);
}

static intptr_t leave_a_group(void *arg)
{
    (void)arg;
    assert_int_equal(return_from_a_group(5), 5);
    note("returned");
    return expect_peace();
}

static void an_early_return_cancels_the_children_and_waits_for_them(void)
{
    in_both_modes(leave_a_group, 0, "return a b returned");
}

static intptr_t leave_blocks(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        ROTA_TASK_GROUP(group);

        add(&group, sleep_for_ever, (void *)"child");
        pass_turns(1);
        if (i == 1)
            continue;
        if (i == 2)
            break;
        note("%d", i);
    }
    note("after");
    return expect_peace();
}

static void every_way_out_of_the_block_ends_the_group(void)
{
    in_both_modes(leave_blocks, 0, "0 child child child after");
}

static intptr_t clean_up_slowly(void *arg)
{
    (void)arg;
    assert_int_equal(rota_sleep(90), -ECANCELED);
    assert_int_equal(rota_sleep(3), 0);
    note("cleaned");
    return -ECANCELED;
}

static intptr_t return_while_one_cleans_up(intptr_t result)
{
    ROTA_TASK_GROUP(group);

    add(&group, clean_up_slowly, NULL);
    pass_turns(1);
    return result;
}

static intptr_t be_cancelled_while_joining(void *arg)
{
    (void)arg;
    assert_int_equal(return_while_one_cleans_up(7), 7);
    assert_int_equal(cancels_of_mine(), 1);
    assert_int_equal(rota_sleep(9), -ECANCELED);
    assert_int_equal(rota_sleep(9), 0);
    return -ECANCELED;
}

static intptr_t cancel_while_joining(void *arg)
{
    (void)arg;
    return cancel_after_a_second(be_cancelled_while_joining);
}

static void a_cancel_during_the_join_comes_with_the_next_wait(void)
{
    in_both_modes(cancel_while_joining, -ECANCELED, "cleaned");
}

static intptr_t time_out_while_joining(void *arg)
{
    rota_timeout limit;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&limit, 1), 0);
    n = return_while_one_cleans_up(7);
    assert_true(rota_timeout_expired(&limit));
    assert_int_equal(rota_timeout_end(&limit, n), 7);
    return expect_peace();
}

static void a_timeout_during_the_join_is_taken_back_by_its_own_end(void)
{
    in_both_modes(time_out_while_joining, 0, "cleaned");
}

static intptr_t time_out_after_joining(void *arg)
{
    rota_timeout limit;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&limit, 1), 0);
    n = return_while_one_cleans_up(7);
    if (n == 7)
        n = rota_sleep(9);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    return expect_peace();
}

static void a_timeout_during_the_join_ends_what_waits_after_it(void)
{
    in_both_modes(time_out_after_joining, 0, "cleaned");
}

static intptr_t fail_grimly(void *arg)
{
    (void)arg;
    return rota_sleep(90) < 0 ? -EPROTO : 0;
}

static intptr_t return_before_two_fail(rota_task_error *errors, size_t room)
{
    ROTA_TASK_GROUP(group);

    if (room > 0)
        assert_int_equal(rota_task_group_keep_errors(&group, errors, room), 0);
    add(&group, fail_grimly, NULL);
    add(&group, fail_grimly, NULL);
    pass_turns(1);
    return 4;
}

static intptr_t leave_two_that_fail(void *arg)
{
    rota_task_error errors[2];

    (void)arg;
    note_reports();
    assert_int_equal(return_before_two_fail(NULL, 0), 4);
    note("kept-none");
    assert_int_equal(return_before_two_fail(errors, 1), 4);
    note("kept-one");
    assert_int_equal(return_before_two_fail(errors, 2), 4);
    assert_int_equal(errors[1].error, -EPROTO);
    return expect_peace();
}

static void errors_that_come_after_the_return_are_kept_or_reported(void)
{
    in_both_modes(leave_two_that_fail, 0,
                  "reported:EPROTO reported:EPROTO kept-none "
                  "reported:EPROTO kept-one");
}

static intptr_t return_because_of_a_child(void)
{
    ROTA_TASK_GROUP(group);
    int err;

    add(&group, fail_with_eio, NULL);
    add(&group, sleep_for_ever, (void *)"sibling");
    err = rota_sleep(9);
    if (err < 0)
        return err;
    return rota_task_group_end(&group, err);
}

static intptr_t leave_an_aborting_group(void *arg)
{
    (void)arg;
    note_reports();
    assert_int_equal(return_because_of_a_child(), -ECANCELED);
    return expect_peace();
}

/* Only the end can turn the group's own request into the child's error. */
static void a_return_because_of_a_child_takes_the_groups_request_back(void)
{
    in_both_modes(leave_an_aborting_group, 0, "sibling reported:EIO");
}

static intptr_t fail_and_return_slowly(void *arg)
{
    ROTA_TASK_GROUP(group);

    (void)arg;
    note_reports();
    add(&group, clean_up_slowly, NULL);
    add(&group, fail_with_eio, NULL);
    assert_int_equal(rota_sleep(9), -ECANCELED);
    return -ECANCELED;
}

static intptr_t be_cancelled_beside_a_failure(void *arg)
{
    assert_int_equal(fail_and_return_slowly(arg), -ECANCELED);
    assert_int_equal(cancels_of_mine(), 1);
    assert_int_equal(rota_sleep(9), -ECANCELED);
    return -ECANCELED;
}

static intptr_t cancel_beside_a_failure(void *arg)
{
    (void)arg;
    return cancel_after_a_second(be_cancelled_beside_a_failure);
}

static void the_groups_request_and_that_of_another_are_told_apart(void)
{
    in_both_modes(cancel_beside_a_failure, -ECANCELED, "cleaned reported:EIO");
}

static intptr_t end_by_hand(void *arg)
{
    ROTA_TASK_GROUP(group);
    ROTA_TIMEOUT(limit, 50);
    intptr_t n = rota_sleep(1);

    (void)arg;
    assert_int_equal(limit_begun, 0);
    add(&group, sleep_for_ever, (void *)"child");
    assert_int_equal(rota_timeout_end(&limit, n), 0);
    assert_int_equal(rota_task_group_end(&group, -EIO), -EIO);
    assert_int_equal(rota_sleep(100), 0);
    note("end");
    return 3;
}

static void what_was_ended_by_hand_is_left_alone(void)
{
    in_both_modes(end_by_hand, 3, "end");
}

static int leave_what_could_not_begin(void)
{
    ROTA_TASK_GROUP(group);
    ROTA_TIMEOUT(limit, 5);

    assert_int_equal(limit_begun, -ROTA_ENOTASK);
    return group_begun;
}

static void what_could_not_begin_needs_no_end(void)
{
    assert_int_equal(leave_what_could_not_begin(), -ROTA_ENOTASK);
}

/* --- Timeouts ----------------------------------------------------------- */

static intptr_t return_within(double seconds)
{
    ROTA_TIMEOUT(limit, seconds);

    assert_int_equal(limit_begun, 0);
    return rota_sleep(1);
}

static intptr_t leave_a_timeout(void *arg)
{
    (void)arg;
    assert_int_equal(return_within(5), 0);
    return expect_peace();
}

static void an_early_return_disarms_the_timeout(void)
{
    in_both_modes(leave_a_timeout, 0, "");
}

static intptr_t leave_one_that_fired(void *arg)
{
    (void)arg;
    assert_int_equal(return_within(0.5), -ECANCELED);
    return expect_peace();
}

/* Only the end can make it -ETIMEDOUT. */
static void a_return_after_the_time_takes_the_request_back(void)
{
    in_both_modes(leave_one_that_fired, 0, "");
}

/* The group's error hides the cancellation, which is asked for again. */
static intptr_t hide_a_timeout(void)
{
    ROTA_TIMEOUT(limit, 1);
    ROTA_TASK_GROUP(group);
    int err;

    add(&group, fail_grimly, NULL);
    err = rota_sleep(9);
    err = (int)rota_task_group_end(&group, err);
    assert_int_equal(cancels_of_mine(), 1);
    return err;
}

static intptr_t leave_one_that_is_to_be_told(void *arg)
{
    (void)arg;
    assert_int_equal(hide_a_timeout(), -EPROTO);
    return expect_peace();
}

static void a_request_that_was_not_told_yet_does_not_leak_out(void)
{
    in_both_modes(leave_one_that_is_to_be_told, 0, "");
}

static intptr_t return_with_a_cancel_under_way(void)
{
    ROTA_TIMEOUT(limit, 5);

    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    return 2;
}

static intptr_t leave_with_a_cancel_under_way(void *arg)
{
    (void)arg;
    assert_int_equal(return_with_a_cancel_under_way(), 2);
    assert_int_equal(cancels_of_mine(), 1);
    return rota_sleep(9);
}

static void the_request_of_another_outlives_the_timeout(void)
{
    in_both_modes(leave_with_a_cancel_under_way, -ECANCELED, "");
}

static intptr_t return_from_nested(double outer_limit, double inner_limit)
{
    ROTA_TIMEOUT(outer, outer_limit);
    ROTA_TIMEOUT(inner, inner_limit);
    int err = rota_sleep(3);

    note("%d%d", rota_timeout_expired(&outer), rota_timeout_expired(&inner));
    return err;
}

static intptr_t leave_nested(void *arg)
{
    (void)arg;
    assert_int_equal(return_from_nested(9, 9), 0);
    assert_int_equal(return_from_nested(1, 9), -ECANCELED);
    assert_int_equal(return_from_nested(9, 1), -ECANCELED);
    assert_int_equal(return_from_nested(1, 1), -ECANCELED);
    return expect_peace();
}

static void nested_timeouts_are_left_one_after_the_other(void)
{
    in_both_modes(leave_nested, 0, "00 10 01 11");
}

static intptr_t time_out_by_hand(double outer_limit)
{
    ROTA_TIMEOUT(outer, outer_limit);
    ROTA_TIMEOUT(inner, 1);
    intptr_t n = rota_timeout_end(&inner, rota_sleep(9));

    note("%s", rota_errname(n));
    return n;
}

static intptr_t end_the_inner_one(void *arg)
{
    (void)arg;
    assert_int_equal(time_out_by_hand(5), -ETIMEDOUT);
    assert_int_equal(time_out_by_hand(0.5), -ECANCELED);
    return expect_peace();
}

static void an_inner_timeout_may_be_ended_by_hand(void)
{
    in_both_modes(end_the_inner_one, 0, "ETIMEDOUT ECANCELED");
}

static intptr_t begin_badly(void)
{
    ROTA_TIMEOUT(limit, NAN);

    return limit_begun;
}

static intptr_t begin_without_memory(void)
{
    bool debug = rota_get_debug(rota_get_running_loop());

    harness_fail_allocation(debug ? 2 : 1);
    ROTA_TIMEOUT(limit, 5);
    harness_fail_allocation(-1);

    return limit_begun;
}

/*
 * The first timer of its loop: the heap has no memory yet. In debug mode the
 * note of the scope asks for some before it.
 */
static intptr_t begin_in_vain(void *arg)
{
    (void)arg;
    assert_int_equal(begin_without_memory(), -ENOMEM);
    assert_int_equal(begin_badly(), -EINVAL);
    return expect_peace();
}

static void a_timeout_that_could_not_begin_is_no_limit(void)
{
    in_both_modes(begin_in_vain, 0, "");
}

HARNESS_MAIN(TEST(an_early_return_cancels_the_children_and_waits_for_them),
             TEST(every_way_out_of_the_block_ends_the_group),
             TEST(a_cancel_during_the_join_comes_with_the_next_wait),
             TEST(a_timeout_during_the_join_is_taken_back_by_its_own_end),
             TEST(a_timeout_during_the_join_ends_what_waits_after_it),
             TEST(errors_that_come_after_the_return_are_kept_or_reported),
             TEST(a_return_because_of_a_child_takes_the_groups_request_back),
             TEST(the_groups_request_and_that_of_another_are_told_apart),
             TEST(what_was_ended_by_hand_is_left_alone),
             TEST(what_could_not_begin_needs_no_end),
             TEST(an_early_return_disarms_the_timeout),
             TEST(a_return_after_the_time_takes_the_request_back),
             TEST(a_request_that_was_not_told_yet_does_not_leak_out),
             TEST(the_request_of_another_outlives_the_timeout),
             TEST(nested_timeouts_are_left_one_after_the_other),
             TEST(an_inner_timeout_may_be_ended_by_hand),
             TEST(a_timeout_that_could_not_begin_is_no_limit))
