/* SPDX-License-Identifier: MIT */
/*
 * Running: the main task, what it leaves behind, and what is said of that
 */
#include "scenario.h"

#include <pthread.h>

/* --- Running ------------------------------------------------------------ */

static void run_returns_what_the_main_task_returns(void)
{
    int here;

    assert_int_equal(rota_run(return_arg, (void *)42), 42);
    assert_ptr_equal((void *)rota_run(return_arg, &here), &here);
    assert_int_equal(rota_run(fail_with_eio, NULL), -EIO);
    assert_int_equal(rota_run(return_arg, (void *)(intptr_t)-4096), -4096);
    assert_null(rota_get_running_loop());
}

static void run_without_a_function_is_refused(void)
{
    assert_int_equal(rota_run(NULL, NULL), -EINVAL);
}

static intptr_t run_again(void *arg)
{
    return rota_run(return_arg, arg);
}

static void a_nested_run_is_refused(void)
{
    assert_int_equal(rota_run(run_again, (void *)1), -ROTA_ERUNNING);
}

static intptr_t complete_again(void *loop)
{
    return rota_loop_run_until_complete(loop, return_arg, NULL);
}

static void a_nested_run_until_complete_is_refused(void)
{
    rota_loop *other;

    assert_int_equal(rota_new_event_loop(&other, NULL), 0);
    assert_int_equal(rota_run(complete_again, other), -ROTA_ERUNNING);
    assert_int_equal(rota_loop_run_until_complete(other, complete_again, other),
                     -ROTA_ERUNNING);
    rota_loop_free(other);
}

static void a_nested_run_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(run_again, NULL);
}

static intptr_t leave_a_ticker(void *arg)
{
    (void)arg;
    (void)start(ticker, (void *)"t");
    return 1;
}

static intptr_t leave_a_sleeper(void *arg)
{
    (void)start(sleep_for_ever, arg);
    pass_turns(1);
    return 1;
}

static void run_cancels_what_is_left_and_waits_for_it(void)
{
    assert_int_equal(rota_run(leave_a_sleeper, (void *)"ended"), 1);
    assert_noted("ended");
}

/* asyncio: "t0 ..." too: what is ready with the end of main still runs. */
static void what_main_leaves_ready_runs_for_one_more_turn(void)
{
    assert_int_equal(rota_run(leave_a_ticker, NULL), 1);
    assert_noted("t0");
}

static intptr_t do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static intptr_t yield_twice(void *arg)
{
    (void)arg;
    pass_turns(2);
    return 2;
}

/* The same steps as in asyncio's run_until_complete(). */
static void tasks_left_over_go_on_in_the_next_run(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, leave_a_ticker, NULL),
                     1);
    assert_noted("t0");
    assert_int_equal(rota_loop_run_until_complete(loop, do_nothing, NULL), 0);
    assert_noted("t1 t2");
    assert_int_equal(rota_loop_run_until_complete(loop, yield_twice, NULL), 2);
    assert_noted("t3 t4 t5");
    rota_loop_free(loop);
}

static intptr_t stop_and_sleep(void *arg)
{
    rota_loop_stop(rota_get_running_loop());
    return sleep_for_ever(arg);
}

static void a_loop_that_stops_too_early_is_an_error(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, stop_and_sleep, (void *)"main"),
        -ROTA_ESTOPPED);
    assert_noted("");
    rota_loop_free(loop);
    assert_int_equal(rota_run(stop_and_sleep, (void *)"main"), -ROTA_ESTOPPED);
    assert_noted("main");
}

static intptr_t stop_and_return(void *arg)
{
    rota_loop_stop(rota_get_running_loop());
    return (intptr_t)arg;
}

static void a_stop_in_the_last_turn_does_no_harm(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, stop_and_return, (void *)3), 3);
    assert_int_equal(rota_loop_run_until_complete(loop, yield_twice, NULL), 2);
    rota_loop_free(loop);
}

static void a_closed_loop_runs_nothing(void)
{
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, do_nothing, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_loop_create_task(loop, &task, do_nothing, NULL),
                     -ROTA_ECLOSED);
    rota_loop_free(loop);
}

/* --- What is left behind, and what is said of it ------------------------ */

static void note_report(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)arg;
    note("[%s: %s: %d]", context->message, context->name ? context->name : "-",
         (int)context->error);
}

/* A loop whose reports are noted. */
static rota_loop *loop_with_reports(bool debug)
{
    const rota_loop_options options = {.virtual_clock = true, .debug = debug};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    rota_set_exception_handler(loop, note_report, NULL);
    return loop;
}

static void must_complete(rota_loop *loop, rota_task_function *function)
{
    assert_int_equal(rota_loop_run_until_complete(loop, function, NULL), 0);
}

static void start_named(rota_task *task, const char *name,
                        rota_task_function *function)
{
    assert_int_equal(rota_create_task_with(task,
                                           &(rota_task_options){.name = name},
                                           function, NULL),
                     0);
}

static intptr_t detach_failing(void *arg)
{
    rota_task task;

    (void)arg;
    start_named(&task, "failing", fail_with_eio);
    assert_int_equal(rota_detach(task), 0);
    pass_turns(1);
    start_named(&task, "failed", fail_with_eio);
    pass_turns(1);
    assert_int_equal(rota_detach(task), 0);
    return 0;
}

static void an_error_of_a_detached_task_goes_to_the_exception_handler(void)
{
    rota_loop *loop = loop_with_reports(false);

    must_complete(loop, detach_failing);
    assert_noted("[a detached task has failed: failing: -5] "
                 "[a detached task has failed: failed: -5]");
    rota_loop_free(loop);
    assert_noted("");
}

static void without_a_handler_the_error_goes_to_standard_error(void)
{
    scenario(detach_failing);
}

static intptr_t detach_unnamed(void *arg)
{
    (void)arg;
    assert_int_equal(rota_detach(start(fail_with_eio, NULL)), 0);
    pass_turns(1);
    return 0;
}

static void a_report_names_a_task_that_was_given_no_name(void)
{
    rota_loop *loop = loop_with_reports(false);

    must_complete(loop, detach_unnamed);
    assert_noted("[a detached task has failed: Task-2: -5]");
    rota_loop_free(loop);
}

static intptr_t detach_cancelled(void *arg)
{
    rota_task task = start(sleep_for_ever, arg);

    assert_int_equal(rota_detach(task), 0);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    pass_turns(2);
    return 0;
}

static void a_cancelled_detached_task_is_no_error(void)
{
    rota_loop *loop = loop_with_reports(false);

    must_complete(loop, detach_cancelled);
    rota_loop_free(loop);
    assert_noted("");
}

static intptr_t leave_a_failure(void *arg)
{
    rota_task task;

    (void)arg;
    start_named(&task, "lost", fail_with_eio);
    pass_turns(1);
    return 0;
}

static void an_error_that_nobody_retrieved_is_reported_at_the_end(void)
{
    rota_loop *loop = loop_with_reports(false);

    must_complete(loop, leave_a_failure);
    assert_noted("");
    rota_loop_free(loop);
    assert_noted("[the error of a task was never retrieved: lost: -5]");
}

static intptr_t leave_a_result(void *arg)
{
    rota_task task;

    (void)arg;
    start_named(&task, "lost", do_nothing);
    pass_turns(1);
    return 0;
}

static void a_task_that_nobody_awaited_is_reported_in_debug_mode(void)
{
    rota_loop *loop = loop_with_reports(true);

    must_complete(loop, leave_a_result);
    rota_loop_free(loop);
    assert_noted("[a task was never awaited: lost: 0]");
    loop = loop_with_reports(false);
    must_complete(loop, leave_a_result);
    rota_loop_free(loop);
    assert_noted("");
}

static intptr_t leave_a_pending_one(void *arg)
{
    rota_task task;

    (void)arg;
    start_named(&task, "pending", sleep_for_ever);
    pass_turns(1);
    return 0;
}

static void a_task_that_is_destroyed_while_pending_is_reported(void)
{
    rota_loop *loop = loop_with_reports(false);

    must_complete(loop, leave_a_pending_one);
    rota_loop_free(loop);
    assert_noted("[a task was destroyed but it is pending: pending: 0]");
}

static void debug_mode_says_where_a_lost_task_was_made(void)
{
    rota_loop *loop = loop_with_reports(true);

    must_complete(loop, leave_a_pending_one);
    rota_loop_free(loop);
}

/* --- Destroyed in the middle of a wait ---------------------------------- */

static rota_future shared_future;

static intptr_t await_shared(void *arg)
{
    (void)arg;
    return rota_await_future(&shared_future, NULL);
}

static intptr_t sleep_in_scopes(void *arg)
{
    rota_timeout timeout;
    rota_task_group group;

    assert_int_equal(rota_timeout_begin(&timeout, 50), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, sleep_for_ever, arg, NULL), 0);
    return rota_timeout_end(&timeout, rota_task_group_end(&group, 0));
}

static intptr_t await_sleeper(void *arg)
{
    return rota_await(start(sleep_for_ever, arg));
}

static intptr_t gather_sleepers(void *arg)
{
    rota_task tasks[2] = {start(sleep_for_ever, arg),
                          start(sleep_for_ever, arg)};

    return rota_gather(tasks, 2, NULL, false);
}

static intptr_t shield_sleeper(void *arg)
{
    rota_task task = start(sleep_for_ever, arg);
    int err = (int)rota_shield(task);

    assert_int_equal(rota_detach(task), 0); /* it is still ours */
    return err;
}

static intptr_t end_with_the_main_task(void *arg)
{
    (void)arg;
    return rota_await(start(do_nothing, NULL));
}

static intptr_t start_all_kinds(void *arg)
{
    (void)start(await_shared, NULL);
    (void)start(await_sleeper, arg);
    (void)start(gather_sleepers, arg);
    (void)start(shield_sleeper, arg);
    (void)start(sleep_in_scopes, arg);
    pass_turns(3);
    (void)start(end_with_the_main_task, NULL);
    return 0;
}

static void close_in_the_middle_of_every_wait(bool debug)
{
    const rota_loop_options options = {.virtual_clock = true, .debug = debug};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    rota_future_init(&shared_future, loop);
    must_complete(loop, start_all_kinds);
    assert_int_equal(rota_all_tasks(loop, NULL, 0), 12);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_noted("");
    rota_future_fini(&shared_future);
    rota_loop_free(loop);
}

static void a_loop_may_close_in_the_middle_of_every_wait(void)
{
    close_in_the_middle_of_every_wait(false);
}

static void so_it_may_in_debug_mode(void)
{
    close_in_the_middle_of_every_wait(true);
}

static intptr_t wait_in_all_kinds(void *arg)
{
    rota_future_init(&shared_future, rota_get_running_loop());
    return start_all_kinds(arg);
}

static void run_cancels_every_kind_of_wait(void)
{
    assert_int_equal(run_virtually(wait_in_all_kinds, (void *)"x"), 0);
    assert_noted("x x x x x");
    assert_true(rota_future_cancelled(&shared_future));
    assert_int_equal(run_in_debug_mode(wait_in_all_kinds, (void *)"y"), 0);
    assert_noted("y y y y y");
}

/* --- Checks of debug mode ----------------------------------------------- */

static intptr_t leave_a_scope_open(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    return rota_timeout_begin(&timeout, 1);
}

static void a_scope_that_is_left_open_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(leave_a_scope_open, NULL);
}

static intptr_t end_in_wrong_order(void *arg)
{
    rota_timeout outer, inner;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&outer, 1), 0);
    assert_int_equal(rota_timeout_begin(&inner, 1), 0);
    return rota_timeout_end(&outer, 0);
}

static void scopes_that_end_in_the_wrong_order_stop_in_debug_mode(void)
{
    (void)run_in_debug_mode(end_in_wrong_order, NULL);
}

static void *create_here(void *loop)
{
    rota_task task;

    return rota_loop_create_task(loop, &task, do_nothing, NULL) < 0 ? loop
                                                                    : NULL;
}

static intptr_t create_elsewhere(void *arg)
{
    pthread_t thread;

    (void)arg;
    assert_int_equal(
        pthread_create(&thread, NULL, create_here, rota_get_running_loop()), 0);
    pthread_join(thread, NULL);
    return 0;
}

static void a_task_made_from_another_thread_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(create_elsewhere, NULL);
}

static void *run_a_loop(void *result)
{
    *(intptr_t *)result = rota_run(yield_twice, NULL);
    return NULL;
}

static intptr_t run_on_a_thread(void *arg)
{
    intptr_t result = 0;
    pthread_t thread;

    (void)arg;
    assert_int_equal(pthread_create(&thread, NULL, run_a_loop, &result), 0);
    pthread_join(thread, NULL);
    return result;
}

static void each_thread_may_run_a_loop_of_its_own(void)
{
    assert_int_equal(rota_run(run_on_a_thread, NULL), 2);
}

static intptr_t begin_anew_when_cancelled(void *arg)
{
    rota_task task;
    int err = rota_sleep(INFINITY);

    (void)arg;
    assert_int_equal(rota_create_task(&task, sleep_for_ever, NULL), 0);
    assert_int_equal(rota_task_set_name(task, "late"), 0);
    return err;
}

static intptr_t leave_a_stubborn_one(void *arg)
{
    rota_task task;

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), note_report, NULL);
    assert_int_equal(rota_create_task(&task, begin_anew_when_cancelled, NULL),
                     0);
    return rota_sleep(0);
}

static void a_task_made_during_the_shutdown_is_not_waited_for(void)
{
    assert_int_equal(rota_run(leave_a_stubborn_one, NULL), 0);
    assert_noted("[a task was destroyed but it is pending: late: 0]");
}

HARNESS_MAIN(
    TEST(a_task_made_during_the_shutdown_is_not_waited_for),
    TEST(run_returns_what_the_main_task_returns),
    TEST(run_without_a_function_is_refused), TEST(a_nested_run_is_refused),
    TEST(a_nested_run_until_complete_is_refused),
    TEST_EXPECT_SIGNAL(a_nested_run_stops_in_debug_mode, SIGABRT,
                       "rota_run: an event loop is already running"),
    TEST(run_cancels_what_is_left_and_waits_for_it),
    TEST(what_main_leaves_ready_runs_for_one_more_turn),
    TEST(tasks_left_over_go_on_in_the_next_run),
    TEST(a_loop_that_stops_too_early_is_an_error),
    TEST(a_stop_in_the_last_turn_does_no_harm),
    TEST(a_closed_loop_runs_nothing),
    TEST(an_error_of_a_detached_task_goes_to_the_exception_handler),
    TEST_EXPECT_STDERR(without_a_handler_the_error_goes_to_standard_error,
                       "a detached task has failed: failing: "),
    TEST(a_report_names_a_task_that_was_given_no_name),
    TEST(a_cancelled_detached_task_is_no_error),
    TEST(an_error_that_nobody_retrieved_is_reported_at_the_end),
    TEST(a_task_that_nobody_awaited_is_reported_in_debug_mode),
    TEST(a_task_that_is_destroyed_while_pending_is_reported),
    TEST_EXPECT_STDERR(debug_mode_says_where_a_lost_task_was_made,
                       "it was made at"),
    TEST(a_loop_may_close_in_the_middle_of_every_wait),
    TEST(so_it_may_in_debug_mode), TEST(run_cancels_every_kind_of_wait),
    TEST_EXPECT_SIGNAL(a_scope_that_is_left_open_stops_in_debug_mode, SIGABRT,
                       "returned with a timeout still open"),
    TEST_EXPECT_SIGNAL(scopes_that_end_in_the_wrong_order_stop_in_debug_mode,
                       SIGABRT, "end the inner scope first"),
    TEST_EXPECT_SIGNAL(a_task_made_from_another_thread_stops_in_debug_mode,
                       SIGABRT, "use rota_call_soon_threadsafe"),
    TEST(each_thread_may_run_a_loop_of_its_own))
