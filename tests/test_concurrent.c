/* SPDX-License-Identifier: MIT */
/*
 * Tasks for other threads: their results, turn by turn
 *
 * Here the other thread is this one, while the loop does not run: so each
 * order of events is a test. The races are in test_concurrent_threads.c.
 */
#include "loops.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>

static rota_concurrent_future *start_on(rota_loop *loop,
                                        rota_task_function *function, void *arg)
{
    rota_concurrent_future *future = NULL;

    assert_int_equal(
        rota_run_coroutine_threadsafe(loop, &future, function, arg), 0);
    assert_non_null(future);
    return future;
}

static void run_turns(rota_loop *loop, int count)
{
    for (int i = 0; i < count; i++)
        run_one_turn(loop);
}

static void expect_result(rota_concurrent_future *future, intptr_t result)
{
    assert_int_equal(rota_concurrent_future_result(future, 0), result);
}

static intptr_t return_it(void *arg)
{
    note("ran");
    return (intptr_t)arg;
}

/* Until it is cancelled; then it returns its argument. */
static intptr_t wait_and_return(void *arg)
{
    note("begun");
    while (rota_sleep((double)INFINITY) == 0)
        ;
    note("-ended");
    return (intptr_t)arg;
}

#define FAILED "a task that another thread has started has failed: "

static char reported[256];

static void note_report(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)arg;
    snprintf(reported, sizeof reported, "%s%s%s", context->message,
             context->error ? ": " : "",
             context->error ? rota_errname(context->error) : "");
}

static rota_loop *new_loop_with_reports(void)
{
    rota_loop *loop = new_loop_in_virtual_time();

    rota_set_exception_handler(loop, note_report, NULL);
    return loop;
}

/* --- Results ------------------------------------------------------------ */

/* asyncio: the task is made in the next turn and begins in the one after. */
static void a_task_for_another_thread_has_a_result_for_it(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *future = start_on(loop, return_it, (void *)7);

    run_one_turn(loop);
    expect_noted("");
    assert_false(rota_concurrent_future_done(future));
    run_one_turn(loop);
    expect_noted("ran");
    assert_true(rota_concurrent_future_done(future));
    assert_false(rota_concurrent_future_cancelled(future));
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_concurrent_future_result(future, (double)INFINITY), 7);
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
}

static void an_error_is_a_result_and_not_reported_to_the_loop(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *future = start_on(loop, return_it, (void *)-EIO);

    run_turns(loop, 2);
    expect_result(future, -EIO);
    assert_false(rota_concurrent_future_cancelled(future));
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
    assert_string_equal(reported, "");
}

static void a_result_that_is_late_can_be_asked_for_again(void)
{
    rota_loop *loop = new_loop();
    rota_concurrent_future *future = start_on(loop, return_it, (void *)7);

    assert_int_equal(rota_concurrent_future_result(future, NAN), -EINVAL);
    assert_int_equal(rota_concurrent_future_result(future, -1), -ETIMEDOUT);
    assert_int_equal(rota_concurrent_future_result(future, 1e-3), -ETIMEDOUT);
    expect_result(future, -ETIMEDOUT);
    run_turns(loop, 2);
    expect_result(future, 7);
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
}

static void a_task_that_timed_out_itself_is_done(void)
{
    rota_loop *loop = new_loop();
    rota_concurrent_future *future =
        start_on(loop, return_it, (void *)-ETIMEDOUT);

    run_turns(loop, 2);
    expect_result(future, -ETIMEDOUT);
    assert_true(rota_concurrent_future_done(future));
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
}

/* --- Cancelling --------------------------------------------------------- */

static void a_task_cancelled_before_it_is_made_never_is(void)
{
    rota_loop *loop = new_loop();
    rota_concurrent_future *future = start_on(loop, return_it, NULL);

    assert_true(rota_concurrent_future_cancel(future));
    assert_false(rota_concurrent_future_cancel(future));
    assert_true(rota_concurrent_future_done(future));
    assert_true(rota_concurrent_future_cancelled(future));
    expect_result(future, -ECANCELED);
    run_turns(loop, 3);
    expect_noted("");
    assert_int_equal(rota_all_tasks(loop, NULL, 0), 0);
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
}

static void a_cancel_ends_what_the_task_waits_for(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *future =
        start_on(loop, wait_and_return, (void *)-ECANCELED);

    run_turns(loop, 2);
    assert_true(rota_concurrent_future_cancel(future));
    expect_result(future, -ECANCELED);
    run_turns(loop, 2);
    expect_noted("begun-ended");
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
    assert_string_equal(reported, "");
}

static void what_the_task_returns_after_a_cancel_is_not_the_result(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *future = start_on(loop, wait_and_return, (void *)7);

    run_turns(loop, 2);
    assert_true(rota_concurrent_future_cancel(future));
    run_turns(loop, 2);
    expect_noted("begun-ended");
    expect_result(future, -ECANCELED);
    assert_true(rota_concurrent_future_cancelled(future));
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
    assert_string_equal(reported, "");
}

/* asyncio: "Task exception was never retrieved". */
static void an_error_of_a_cancelled_task_is_reported(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *future =
        start_on(loop, wait_and_return, (void *)-EIO);

    run_turns(loop, 2);
    assert_true(rota_concurrent_future_cancel(future));
    run_turns(loop, 2);
    expect_result(future, -ECANCELED);
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
    assert_string_equal(reported, FAILED "EIO");
}

static void what_is_done_cannot_be_cancelled(void)
{
    rota_loop *loop = new_loop();
    rota_concurrent_future *future = start_on(loop, return_it, (void *)7);

    run_turns(loop, 2);
    assert_false(rota_concurrent_future_cancel(future));
    assert_false(rota_concurrent_future_cancelled(future));
    expect_result(future, 7);
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
}

static intptr_t be_cancelled(void *arg)
{
    (void)arg;
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    return rota_sleep(1);
}

static void a_task_that_its_own_loop_cancels_is_cancelled(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *future = start_on(loop, be_cancelled, NULL);

    run_turns(loop, 3);
    assert_true(rota_concurrent_future_cancelled(future));
    expect_result(future, -ECANCELED);
    assert_false(rota_concurrent_future_cancel(future));
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
    assert_string_equal(reported, "");
}

static rota_concurrent_future *left;

static intptr_t leave_one(void *arg)
{
    left = start_on(rota_get_running_loop(), wait_and_return, arg);
    assert_int_equal(rota_sleep(1), 0);
    return 0;
}

static void the_end_of_a_run_cancels_the_task(void)
{
    const rota_loop_options options = {.virtual_clock = true};

    assert_int_equal(rota_run_with(&options, leave_one, (void *)-ECANCELED), 0);
    expect_noted("begun-ended");
    assert_true(rota_concurrent_future_cancelled(left));
    expect_result(left, -ECANCELED);
    rota_concurrent_future_free(left);
}

/* --- Freeing ------------------------------------------------------------ */

static void a_future_may_be_freed_at_any_time(void)
{
    for (int turns = 0; turns < 4; turns++) {
        rota_loop *loop = new_loop_with_reports();
        rota_concurrent_future *future = start_on(loop, return_it, (void *)7);

        run_turns(loop, turns);
        rota_concurrent_future_free(future);
        run_turns(loop, 3);
        expect_noted("ran");
        rota_loop_free(loop);
    }
    rota_concurrent_future_free(NULL);
    assert_string_equal(reported, "");
}

static void an_error_that_nobody_can_ask_for_is_reported(void)
{
    for (int turns = 0; turns < 4; turns++) {
        rota_loop *loop = new_loop_with_reports();
        rota_concurrent_future *future =
            start_on(loop, return_it, (void *)-EPIPE);

        reported[0] = '\0';
        run_turns(loop, turns);
        rota_concurrent_future_free(future);
        run_turns(loop, 3);
        rota_loop_free(loop);
        /* Once it is done, the future's holder might have asked. */
        assert_string_equal(reported, turns < 2 ? FAILED "EPIPE" : "");
    }
}

/* --- The loop closes ---------------------------------------------------- */

static void a_loop_that_closes_first_leaves_an_error(void)
{
    for (int turns = 0; turns < 3; turns++) {
        rota_loop *loop = new_loop_with_reports();
        rota_concurrent_future *future = start_on(loop, wait_and_return, NULL);

        reported[0] = '\0';
        run_turns(loop, turns);
        assert_int_equal(rota_loop_close(loop), 0);
        assert_true(rota_concurrent_future_done(future));
        assert_false(rota_concurrent_future_cancelled(future));
        expect_result(future, -ROTA_ECLOSED);
        assert_false(rota_concurrent_future_cancel(future));
        rota_loop_free(loop);
        expect_result(future, -ROTA_ECLOSED);
        rota_concurrent_future_free(future);
        assert_string_equal(
            reported, turns ? "a task was destroyed but it is pending" : "");
    }
}

static void a_cancel_on_its_way_is_dropped_with_the_loop(void)
{
    for (int turns = 0; turns < 3; turns++) {
        rota_loop *loop = new_loop_with_reports();
        rota_concurrent_future *future = start_on(loop, wait_and_return, NULL);

        run_turns(loop, turns);
        assert_true(rota_concurrent_future_cancel(future));
        rota_loop_free(loop);
        expect_result(future, -ECANCELED);
        rota_concurrent_future_free(future);
    }
}

static void a_future_that_was_freed_does_not_hold_back_its_loop(void)
{
    for (int turns = 0; turns < 3; turns++) {
        rota_loop *loop = new_loop_with_reports();

        rota_concurrent_future_free(start_on(loop, wait_and_return, NULL));
        run_turns(loop, turns);
        rota_loop_free(loop);
    }
}

static rota_loop *loop_to_close;

/* Another thread closes the loop in the midst of the call. */
static void *allocate_and_close(void *ctx, size_t size)
{
    rota_loop *loop = loop_to_close;

    loop_to_close = NULL;
    if (loop)
        assert_int_equal(rota_loop_close(loop), 0);
    return harness_allocator.allocate(ctx, size);
}

static void a_loop_that_closes_during_the_call_leaves_nobody_waiting(void)
{
    rota_allocator allocator = harness_allocator;
    rota_loop *loop = new_loop();
    rota_concurrent_future *future;

    allocator.allocate = allocate_and_close;
    assert_int_equal(rota_set_allocator(&allocator), 0);
    loop_to_close = loop;
    future = start_on(loop, return_it, NULL);
    assert_true(rota_loop_is_closed(loop));
    assert_int_equal(rota_set_allocator(&harness_allocator), 0);
    expect_result(future, -ROTA_ECLOSED);
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
}

/* --- Refused ------------------------------------------------------------ */

static void what_cannot_be_run_is_refused(void)
{
    rota_loop *loop = new_loop();
    rota_concurrent_future *future = NULL;

    assert_int_equal(rota_run_coroutine_threadsafe(loop, &future, NULL, NULL),
                     -EINVAL);
    harness_fail_allocation(1);
    assert_int_equal(
        rota_run_coroutine_threadsafe(loop, &future, return_it, NULL), -ENOMEM);
    rota_loop_close(loop);
    assert_int_equal(
        rota_run_coroutine_threadsafe(loop, &future, return_it, NULL),
        -ROTA_ECLOSED);
    assert_null(future);
    rota_loop_free(loop);
}

static void a_task_that_cannot_be_made_has_an_error_for_a_result(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *future = start_on(loop, return_it, NULL);

    harness_fail_allocation(1);
    run_one_turn(loop);
    harness_fail_allocation(-1);
    expect_result(future, -ENOMEM);
    expect_noted("");
    rota_concurrent_future_free(future);
    rota_loop_free(loop);
}

static intptr_t wait_for_oneself(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    rota_concurrent_future *future = start_on(loop, return_it, (void *)7);

    (void)arg;
    assert_int_equal(rota_concurrent_future_result(future, 5), -EDEADLK);
    assert_int_equal(rota_concurrent_future_result(future, 0), -EDEADLK);
    assert_int_equal(rota_sleep(1), 0);
    expect_result(future, 7);
    rota_concurrent_future_free(future);
    return 0;
}

static void the_loops_own_thread_cannot_wait_for_what_is_not_done(void)
{
    rota_loop *loop = new_loop_in_virtual_time();

    assert_int_equal(rota_loop_run_until_complete(loop, wait_for_oneself, NULL),
                     0);
    rota_loop_free(loop);
}

static void debug_mode_stops_who_waits_on_the_loops_own_thread(void)
{
    const rota_loop_options options = {.debug = true};

    rota_run_with(&options, wait_for_oneself, NULL);
}

/* --- What the task is given --------------------------------------------- */

static rota_context_var colour = ROTA_CONTEXT_VAR("colour", "none");

static intptr_t note_colour(void *arg)
{
    (void)arg;
    note(rota_context_var_get(&colour));
    return rota_context_var_set(&colour, (void *)"green", NULL);
}

struct caller {
    rota_loop *loop;
    rota_concurrent_future *future;
};

static intptr_t call_in_red(void *arg)
{
    struct caller *caller = arg;

    assert_int_equal(rota_context_var_set(&colour, (void *)"red", NULL), 0);
    caller->future = start_on(caller->loop, note_colour, NULL);
    assert_int_equal(rota_context_var_set(&colour, (void *)"blue", NULL), 0);
    run_turns(caller->loop, 2);
    expect_noted("red");
    assert_string_equal(rota_context_var_get(&colour), "blue");
    return 0;
}

static void the_task_runs_in_a_copy_of_the_callers_context(void)
{
    struct caller caller = {.loop = new_loop()};
    rota_context *context;

    assert_int_equal(rota_copy_context(&context), 0);
    assert_int_equal(rota_context_run(context, call_in_red, &caller), 0);
    rota_context_free(context);
    rota_concurrent_future_free(caller.future);
    rota_loop_free(caller.loop);
}

/* asyncio, with its eager_task_factory: the same turn. */
static void on_an_eager_loop_the_task_begins_as_soon_as_it_is_made(void)
{
    rota_loop *loop = new_loop_with_reports();
    rota_concurrent_future *futures[3];

    loop->eager_start = true;
    futures[0] = start_on(loop, return_it, (void *)7);
    futures[1] = start_on(loop, wait_and_return, (void *)8);
    futures[2] = start_on(loop, return_it, (void *)-EIO);
    rota_concurrent_future_free(futures[2]);
    run_one_turn(loop);
    expect_noted("ranbegunran");
    assert_string_equal(reported, FAILED "EIO");
    expect_result(futures[0], 7);
    assert_true(rota_concurrent_future_cancel(futures[1]));
    run_turns(loop, 2);
    expect_noted("-ended");
    for (int i = 0; i < 2; i++)
        rota_concurrent_future_free(futures[i]);
    rota_loop_free(loop);
}

/* --- Every order -------------------------------------------------------- */

enum { TURN, CANCEL, ASK, KINDS };

static bool cancelled;

static void take_step(rota_loop *loop, rota_concurrent_future *future, int kind)
{
    bool done = rota_concurrent_future_done(future);
    intptr_t result;

    if (kind == TURN) {
        run_one_turn(loop);
    } else if (kind == CANCEL) {
        assert_int_equal(rota_concurrent_future_cancel(future), !done);
        cancelled |= !done;
    } else {
        result = rota_concurrent_future_result(future, 0);
        assert_int_equal(result, cancelled ? -ECANCELED
                                 : done    ? 7
                                           : -ETIMEDOUT);
    }
    assert_true(!done || rota_concurrent_future_done(future));
    assert_int_equal(rota_concurrent_future_cancelled(future), cancelled);
}

/* A number whose digits are the steps; then the end, in either order. */
static void run_in_order(int steps, bool free_first)
{
    rota_loop *loop = new_loop();
    rota_concurrent_future *future = start_on(loop, return_it, (void *)7);

    cancelled = false;
    for (int i = 0; i < 5; i++) {
        take_step(loop, future, steps % KINDS);
        steps /= KINDS;
    }
    if (free_first)
        rota_concurrent_future_free(future);
    rota_loop_free(loop);
    if (!free_first)
        rota_concurrent_future_free(future);
    noted[0] = '\0';
}

static void every_order_of_turns_cancels_and_questions_is_fine(void)
{
    for (int steps = 0; steps < KINDS * KINDS * KINDS * KINDS * KINDS; steps++)
        for (int free_first = 0; free_first < 2; free_first++)
            run_in_order(steps, free_first);
}

HARNESS_MAIN(
    TEST(a_task_for_another_thread_has_a_result_for_it),
    TEST(an_error_is_a_result_and_not_reported_to_the_loop),
    TEST(a_result_that_is_late_can_be_asked_for_again),
    TEST(a_task_that_timed_out_itself_is_done),
    TEST(a_task_cancelled_before_it_is_made_never_is),
    TEST(a_cancel_ends_what_the_task_waits_for),
    TEST(what_the_task_returns_after_a_cancel_is_not_the_result),
    TEST(an_error_of_a_cancelled_task_is_reported),
    TEST(what_is_done_cannot_be_cancelled),
    TEST(a_task_that_its_own_loop_cancels_is_cancelled),
    TEST(the_end_of_a_run_cancels_the_task),
    TEST(a_future_may_be_freed_at_any_time),
    TEST(an_error_that_nobody_can_ask_for_is_reported),
    TEST(a_loop_that_closes_first_leaves_an_error),
    TEST(a_cancel_on_its_way_is_dropped_with_the_loop),
    TEST(a_future_that_was_freed_does_not_hold_back_its_loop),
    TEST(a_loop_that_closes_during_the_call_leaves_nobody_waiting),
    TEST(what_cannot_be_run_is_refused),
    TEST(a_task_that_cannot_be_made_has_an_error_for_a_result),
    TEST(the_loops_own_thread_cannot_wait_for_what_is_not_done),
    TEST_EXPECT_SIGNAL(debug_mode_stops_who_waits_on_the_loops_own_thread,
                       SIGABRT, "rota_concurrent_future_result: "),
    TEST(the_task_runs_in_a_copy_of_the_callers_context),
    TEST(on_an_eager_loop_the_task_begins_as_soon_as_it_is_made),
    TEST(every_order_of_turns_cancels_and_questions_is_fine))
