/* SPDX-License-Identifier: MIT */
/*
 * Futures: results, errors, callbacks, waiters
 */
#include "loops.h"

#include <stdlib.h>

static void note_done(rota_future *future, void *text)
{
    assert_true(rota_future_done(future));
    note(text);
}

static void must_not_be_called(rota_future *future, void *arg)
{
    (void)future;
    must_not_run(arg);
}

static int errors_reported;
static intptr_t last_error;

static void count_report(rota_loop *loop, const rota_exception_context *context,
                         void *arg)
{
    (void)loop;
    (void)arg;
    assert_non_null(strstr(context->message, "never retrieved"));
    last_error = context->error;
    errors_reported++;
}

/* A loop whose reports are counted, and a future. */
static rota_loop *begin(rota_future *future)
{
    rota_loop *loop = new_loop();

    rota_set_exception_handler(loop, count_report, NULL);
    rota_future_init(future, loop);
    return loop;
}

static void end(rota_loop *loop, rota_future *future)
{
    rota_future_fini(future);
    rota_loop_free(loop);
}

/* States */

static void a_new_future_is_pending(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    intptr_t result = 7;

    assert_false(rota_future_done(&future));
    assert_false(rota_future_cancelled(&future));
    assert_int_equal(rota_future_result(&future, &result), -ROTA_ESTATE);
    assert_int_equal(rota_future_exception(&future), -ROTA_ESTATE);
    assert_int_equal(result, 7);
    end(loop, &future);
    assert_int_equal(errors_reported, 0);
}

static void a_result_can_be_read_again_and_again(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);

    assert_int_equal(rota_future_set_result(&future, 42), 0);
    assert_true(rota_future_done(&future));
    assert_false(rota_future_cancelled(&future));
    for (int i = 0; i < 2; i++) {
        intptr_t result = 0;

        assert_int_equal(rota_future_result(&future, &result), 0);
        assert_int_equal(result, 42);
        assert_int_equal(rota_future_exception(&future), 0);
    }
    end(loop, &future);
}

static void any_value_is_a_result_also_one_like_an_error(void)
{
    const intptr_t values[] = {0,          -1,        -ECANCELED, -ROTA_ESTATE,
                               INTPTR_MIN, INTPTR_MAX};

    for (size_t i = 0; i < rota__countof(values); i++) {
        rota_future future;
        rota_loop *loop = begin(&future);
        intptr_t result = 1;

        assert_int_equal(rota_future_set_result(&future, values[i]), 0);
        assert_int_equal(rota_future_result(&future, &result), 0);
        assert_true(result == values[i]);
        assert_int_equal(rota_future_exception(&future), 0);
        assert_false(rota_future_cancelled(&future));
        end(loop, &future);
    }
    assert_int_equal(errors_reported, 0);
}

static void an_error_comes_out_of_result_and_exception(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    intptr_t result = 7;

    assert_int_equal(rota_future_set_exception(&future, -EIO), 0);
    assert_true(rota_future_done(&future));
    assert_int_equal(rota_future_result(&future, &result), -EIO);
    assert_int_equal(rota_future_exception(&future), -EIO);
    assert_int_equal(result, 7);
    end(loop, &future);
    assert_int_equal(errors_reported, 0);
}

static void what_is_no_error_is_refused_as_one(void)
{
    static const int values[] = {0, 1, EIO, -4096, -5000};
    rota_future future;
    rota_loop *loop = begin(&future);

    for (size_t i = 0; i < rota__countof(values); i++)
        assert_int_equal(rota_future_set_exception(&future, values[i]),
                         -EINVAL);
    assert_false(rota_future_done(&future));
    end(loop, &future);
}

static void a_future_is_done_only_once(void)
{
    rota_future futures[3];
    rota_loop *loop = begin(&futures[0]);
    intptr_t result;

    rota_future_init(&futures[1], loop);
    rota_future_init(&futures[2], loop);
    assert_int_equal(rota_future_set_result(&futures[0], 1), 0);
    assert_int_equal(rota_future_set_exception(&futures[1], -EIO), 0);
    assert_true(rota_future_cancel(&futures[2]));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_future_set_result(&futures[i], 2), -ROTA_ESTATE);
        assert_int_equal(rota_future_set_exception(&futures[i], -EPERM),
                         -ROTA_ESTATE);
        assert_false(rota_future_cancel(&futures[i]));
    }
    assert_int_equal(rota_future_result(&futures[0], &result), 0);
    assert_int_equal(result, 1);
    assert_int_equal(rota_future_exception(&futures[1]), -EIO);
    rota_future_fini(&futures[2]);
    rota_future_fini(&futures[1]);
    end(loop, &futures[0]);
}

static void a_cancelled_future_says_so(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    intptr_t result;

    assert_true(rota_future_cancel(&future));
    assert_true(rota_future_done(&future));
    assert_true(rota_future_cancelled(&future));
    assert_int_equal(rota_future_result(&future, &result), -ECANCELED);
    assert_int_equal(rota_future_exception(&future), -ECANCELED);
    end(loop, &future);
    assert_int_equal(errors_reported, 0);
}

/* Errors that nobody looked at */

static void an_error_that_nobody_looked_at_is_reported_at_the_end(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);

    rota_future_set_exception(&future, -EPIPE);
    assert_int_equal(errors_reported, 0);
    end(loop, &future);
    assert_int_equal(errors_reported, 1);
    assert_int_equal(last_error, -EPIPE);
}

static void the_default_report_names_the_error(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);

    rota_set_exception_handler(loop, NULL, NULL);
    rota_future_set_exception(&future, -ROTA_ELIMIT);
    end(loop, &future);
}

/* asyncio: a cancel that comes too late counts as one, too. */
static void looking_at_the_error_in_any_way_is_enough(void)
{
    for (int way = 0; way < 3; way++) {
        rota_future future;
        rota_loop *loop = begin(&future);
        intptr_t result;

        rota_future_set_exception(&future, -EPIPE);
        if (way == 0)
            rota_future_exception(&future);
        else if (way == 1)
            rota_future_result(&future, &result);
        else
            assert_false(rota_future_cancel(&future));
        end(loop, &future);
    }
    assert_int_equal(errors_reported, 0);
}

static void a_cancelled_future_is_not_reported(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);

    rota_future_cancel(&future);
    end(loop, &future);
    assert_int_equal(errors_reported, 0);
}

/* Callbacks */

static void callbacks_run_in_order_in_the_turn_after_it_is_done(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    rota_handle handle = {0};

    rota_future_add_done_callback(&future, NULL, note_done, "a");
    rota_future_add_done_callback(&future, &handle, note_done, "b");
    rota_future_add_done_callback(&future, NULL, note_done, "c");
    run_one_turn(loop);
    expect_noted("");
    rota_call_soon(loop, NULL, note, "1");
    rota_future_set_result(&future, 1);
    rota_call_soon(loop, NULL, note, "2");
    expect_noted("");
    run_one_turn(loop);
    expect_noted("1abc2");
    run_one_turn(loop);
    expect_noted("");
    end(loop, &future);
}

static void a_callback_for_a_done_future_runs_in_the_next_turn(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);

    rota_future_set_result(&future, 1);
    rota_future_add_done_callback(&future, NULL, note_done, "x");
    expect_noted("");
    run_one_turn(loop);
    expect_noted("x");
    end(loop, &future);
}

static void callbacks_run_for_each_kind_of_end(void)
{
    for (int way = 0; way < 3; way++) {
        rota_future future;
        rota_loop *loop = begin(&future);

        rota_future_add_done_callback(&future, NULL, note_done, "x");
        if (way == 0)
            rota_future_set_result(&future, 0);
        else if (way == 1)
            rota_future_set_exception(&future, -EIO);
        else
            rota_future_cancel(&future);
        run_one_turn(loop);
        expect_noted("x");
        rota_future_exception(&future);
        end(loop, &future);
    }
}

static void add_two_more(rota_future *future, void *text)
{
    note(text);
    rota_future_add_done_callback(future, NULL, note_done, "b");
    rota_future_add_done_callback(future, NULL, note_done, "c");
}

static void a_callback_added_by_a_callback_runs_in_the_next_turn(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);

    rota_future_add_done_callback(&future, NULL, add_two_more, "a");
    rota_future_set_result(&future, 1);
    run_one_turn(loop);
    expect_noted("a");
    run_one_turn(loop);
    expect_noted("bc");
    end(loop, &future);
}

static void free_future(rota_future *future, void *text)
{
    note(text);
    rota_future_fini(future);
    memset(future, 0xEE, sizeof *future);
    free(future);
}

static void a_callback_may_end_and_free_the_future(void)
{
    rota_future *future = malloc(sizeof *future);
    rota_loop *loop = begin(future);

    rota_future_add_done_callback(future, NULL, note_done, "a");
    rota_future_add_done_callback(future, NULL, free_future, "b");
    rota_future_add_done_callback(future, NULL, must_not_be_called, NULL);
    rota_future_set_result(future, 1);
    rota_call_soon(loop, NULL, note, "c");
    run_one_turn(loop);
    expect_noted("abc");
    rota_loop_free(loop);
}

static void a_callback_can_be_cancelled_by_its_handle(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    rota_handle handles[2] = {0};

    rota_future_add_done_callback(&future, &handles[0], must_not_be_called,
                                  NULL);
    rota_future_add_done_callback(&future, &handles[1], must_not_be_called,
                                  NULL);
    rota_future_add_done_callback(&future, NULL, note_done, "x");
    rota_handle_cancel(&handles[0]); /* before it is done */
    rota_future_set_result(&future, 1);
    rota_handle_cancel(&handles[1]); /* and after */
    run_one_turn(loop);
    expect_noted("x");
    assert_true(rota_handle_cancelled(&handles[0]));
    assert_true(rota_handle_cancelled(&handles[1]));
    end(loop, &future);
}

static void removing_takes_all_with_that_function(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    rota_handle handle = {0};

    rota_future_add_done_callback(&future, NULL, must_not_be_called, NULL);
    rota_future_add_done_callback(&future, NULL, note_done, "a");
    rota_future_add_done_callback(&future, &handle, must_not_be_called, NULL);
    rota_future_add_done_callback(&future, NULL, note_done, "b");
    assert_int_equal(
        rota_future_remove_done_callback(&future, must_not_be_called), 2);
    assert_int_equal(
        rota_future_remove_done_callback(&future, must_not_be_called), 0);
    assert_int_equal(rota_future_remove_done_callback(&future, add_two_more),
                     0);
    assert_true(rota_handle_cancelled(&handle));
    rota_future_set_result(&future, 1);
    run_one_turn(loop);
    expect_noted("ab");
    end(loop, &future);
}

/* asyncio's: what is scheduled already is no longer the future's. */
static void removing_does_not_take_back_what_is_scheduled(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);

    rota_future_add_done_callback(&future, NULL, note_done, "a");
    rota_future_set_result(&future, 1);
    assert_int_equal(rota_future_remove_done_callback(&future, note_done), 0);
    run_one_turn(loop);
    expect_noted("a");
    end(loop, &future);
}

static void bad_callbacks_are_refused(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    rota_handle handle = {0};

    assert_int_equal(rota_future_add_done_callback(&future, NULL, NULL, NULL),
                     -EINVAL);
    assert_int_equal(
        rota_future_add_done_callback(&future, &handle, note_done, "a"), 0);
    assert_int_equal(
        rota_future_add_done_callback(&future, &handle, note_done, "b"),
        -EBUSY);
    assert_int_equal(rota_call_soon(loop, &handle, note, "b"), -EBUSY);
    harness_fail_allocation(1);
    assert_int_equal(
        rota_future_add_done_callback(&future, NULL, note_done, "c"), -ENOMEM);
    rota_future_set_result(&future, 1);
    run_one_turn(loop);
    expect_noted("a");
    rota_loop_close(loop);
    assert_int_equal(
        rota_future_add_done_callback(&future, NULL, note_done, "d"),
        -ROTA_ECLOSED);
    end(loop, &future);
}

/* The end of a future */

static void ending_a_pending_future_drops_its_callbacks(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    rota_handle handle = {0};

    rota_future_add_done_callback(&future, &handle, must_not_be_called, NULL);
    rota_future_add_done_callback(&future, NULL, must_not_be_called, NULL);
    rota_future_fini(&future);
    assert_true(rota_handle_cancelled(&handle));
    run_one_turn(loop);
    rota_loop_free(loop);
}

static void ending_a_done_future_drops_what_has_not_run(void)
{
    rota_future futures[2];
    rota_loop *loop = begin(&futures[0]);
    rota_handle handle = {0};

    rota_future_init(&futures[1], loop);
    rota_future_add_done_callback(&futures[0], &handle, must_not_be_called,
                                  NULL);
    rota_future_add_done_callback(&futures[0], NULL, must_not_be_called, NULL);
    rota_future_add_done_callback(&futures[1], NULL, note_done, "b");
    rota_call_soon(loop, NULL, note, "a");
    rota_future_set_result(&futures[0], 1);
    rota_future_set_result(&futures[1], 1);
    rota_future_fini(&futures[0]);
    assert_true(rota_handle_cancelled(&handle));
    run_one_turn(loop);
    expect_noted("ab");
    end(loop, &futures[1]);
}

static void closing_the_loop_first_does_no_harm(void)
{
    rota_future futures[2];
    rota_loop *loop = begin(&futures[0]);
    rota_handle handles[2] = {0};

    rota_future_init(&futures[1], loop);
    for (int i = 0; i < 2; i++) {
        rota_future_add_done_callback(&futures[i], &handles[i],
                                      must_not_be_called, NULL);
        rota_future_add_done_callback(&futures[i], NULL, must_not_be_called,
                                      NULL);
    }
    rota_future_set_result(&futures[0], 1);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_true(rota_handle_cancelled(&handles[0]));
    rota_future_cancel(&futures[1]);
    rota_future_fini(&futures[0]);
    rota_future_fini(&futures[1]);
    rota_loop_free(loop);
}

/* Waiters: how tasks wait */

static void wake(struct rota__future_waiter *waiter, rota_future *future)
{
    (void)waiter;
    assert_true(rota_future_done(future));
    note("w");
}

static void a_waiter_is_woken_at_once_among_the_callbacks(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    struct rota__future_waiter waiters[2] = {{.wake = wake}, {.wake = wake}};

    rota_future_add_done_callback(&future, NULL, note_done, "a");
    rota__list_push(&future.callbacks, &waiters[0].link);
    rota_future_add_done_callback(&future, NULL, note_done, "b");
    rota__list_push(&future.callbacks, &waiters[1].link);
    rota__list_remove(&waiters[1].link);
    assert_int_equal(rota_future_remove_done_callback(&future, note_done), 2);
    rota_future_add_done_callback(&future, NULL, note_done, "c");
    rota_future_set_result(&future, 1);
    expect_noted("w");
    run_one_turn(loop);
    expect_noted("c");
    end(loop, &future);
}

static void ending_a_pending_future_wakes_its_waiters(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    struct rota__future_waiter waiter = {.wake = wake};

    rota__list_push(&future.callbacks, &waiter.link);
    end(loop, &future);
    expect_noted("w");
}

HARNESS_MAIN(TEST(a_new_future_is_pending),
             TEST(a_result_can_be_read_again_and_again),
             TEST(any_value_is_a_result_also_one_like_an_error),
             TEST(an_error_comes_out_of_result_and_exception),
             TEST(what_is_no_error_is_refused_as_one),
             TEST(a_future_is_done_only_once), TEST(a_cancelled_future_says_so),
             TEST(an_error_that_nobody_looked_at_is_reported_at_the_end),
             TEST_EXPECT_STDERR(the_default_report_names_the_error,
                                "never retrieved: separator not found within "
                                "the limit (ROTA_ELIMIT)"),
             TEST(looking_at_the_error_in_any_way_is_enough),
             TEST(a_cancelled_future_is_not_reported),
             TEST(callbacks_run_in_order_in_the_turn_after_it_is_done),
             TEST(a_callback_for_a_done_future_runs_in_the_next_turn),
             TEST(callbacks_run_for_each_kind_of_end),
             TEST(a_callback_added_by_a_callback_runs_in_the_next_turn),
             TEST(a_callback_may_end_and_free_the_future),
             TEST(a_callback_can_be_cancelled_by_its_handle),
             TEST(removing_takes_all_with_that_function),
             TEST(removing_does_not_take_back_what_is_scheduled),
             TEST(bad_callbacks_are_refused),
             TEST(ending_a_pending_future_drops_its_callbacks),
             TEST(ending_a_done_future_drops_what_has_not_run),
             TEST(closing_the_loop_first_does_no_harm),
             TEST(a_waiter_is_woken_at_once_among_the_callbacks),
             TEST(ending_a_pending_future_wakes_its_waiters))
