/* SPDX-License-Identifier: MIT */
/*
 * Running a loop until a future is done
 */
#include "loops.h"

static rota_loop *begin(rota_future *future)
{
    rota_loop *loop = new_loop();

    rota_future_init(future, loop);
    return loop;
}

static void end(rota_loop *loop, rota_future *future)
{
    rota_future_fini(future);
    rota_loop_free(loop);
}

static void set_five(void *future)
{
    rota_future_set_result(future, 5);
}

static void set_error(void *future)
{
    rota_future_set_exception(future, -EIO);
}

static void cancel_future(void *future)
{
    rota_future_cancel(future);
}

static void a_run_until_a_future_gives_its_result(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    intptr_t result = 0;

    rota_call_later(loop, NULL, 0.001, set_five, &future);
    assert_int_equal(rota_loop_run_until_future(loop, &future, &result), 0);
    assert_int_equal(result, 5);
    assert_false(rota_loop_is_running(loop));
    result = 0;
    assert_int_equal(rota_loop_run_until_future(loop, &future, &result), 0);
    assert_int_equal(result, 5); /* again, for one that is done */
    end(loop, &future);
}

static void a_run_until_a_future_gives_its_error(void)
{
    rota_future futures[2];
    rota_loop *loop = begin(&futures[0]);
    intptr_t result = 7;

    rota_future_init(&futures[1], loop);
    rota_call_soon(loop, NULL, set_error, &futures[0]);
    rota_call_soon(loop, NULL, cancel_future, &futures[1]);
    assert_int_equal(rota_loop_run_until_future(loop, &futures[0], &result),
                     -EIO);
    assert_int_equal(rota_loop_run_until_future(loop, &futures[1], &result),
                     -ECANCELED);
    assert_int_equal(result, 7);
    rota_future_fini(&futures[1]);
    end(loop, &futures[0]);
}

static void a_stop_before_the_future_is_done_is_an_error(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    intptr_t result = 7;

    rota_call_soon(loop, NULL, stop, loop);
    assert_int_equal(rota_loop_run_until_future(loop, &future, &result),
                     -ROTA_ESTOPPED);
    assert_int_equal(result, 7);
    rota_future_set_result(&future, 1); /* stops nothing any more */
    rota_call_soon(loop, NULL, note, "a");
    rota_call_later(loop, NULL, 0.001, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("a");
    end(loop, &future);
}

static void done_in_the_turn_of_a_stop_counts_as_done(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    intptr_t result = 0;

    rota_call_soon(loop, NULL, stop, loop);
    rota_call_soon(loop, NULL, set_five, &future);
    assert_int_equal(rota_loop_run_until_future(loop, &future, &result), 0);
    assert_int_equal(result, 5);
    end(loop, &future);
}

static void run_inside(void *arg)
{
    rota_future *future = arg;
    intptr_t result;

    assert_int_equal(rota_loop_run_until_future(future->loop, future, &result),
                     -ROTA_ERUNNING);
    rota_future_set_result(future, 1);
}

static void a_run_until_a_future_inside_a_run_is_refused(void)
{
    rota_future future;
    rota_loop *loop = begin(&future);
    intptr_t result = 0;

    rota_call_soon(loop, NULL, run_inside, &future);
    assert_int_equal(rota_loop_run_until_future(loop, &future, &result), 0);
    assert_int_equal(result, 1);
    end(loop, &future);
}

HARNESS_MAIN(TEST(a_run_until_a_future_gives_its_result),
             TEST(a_run_until_a_future_gives_its_error),
             TEST(a_stop_before_the_future_is_done_is_an_error),
             TEST(done_in_the_turn_of_a_stop_counts_as_done),
             TEST(a_run_until_a_future_inside_a_run_is_refused))
