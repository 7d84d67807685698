/* SPDX-License-Identifier: MIT */
/*
 * Futures of one loop for results of another
 *
 * One loop makes the results, the other waits for them. Both are turned by
 * hand here, so each order of events is a test; the threads are in
 * test_concurrent_threads.c.
 */
#include "loops.h"

#include <errno.h>

struct pair {
    rota_loop *maker;
    rota_loop *waiter;
    rota_concurrent_future *concurrent;
    rota_future future; /* of the waiter */
};

static intptr_t return_it(void *arg)
{
    return (intptr_t)arg;
}

static intptr_t wait_to_be_cancelled(void *arg)
{
    int err = rota_sleep(1e9);

    (void)arg;
    note("cancelled");
    return err;
}

static void note_done(rota_future *future, void *text)
{
    assert_true(rota_future_done(future));
    note(text);
}

static struct pair *make_pair(rota_task_function *function, void *arg)
{
    static struct pair pair;

    pair.maker = new_loop_in_virtual_time();
    pair.waiter = new_loop_in_virtual_time();
    assert_int_equal(rota_run_coroutine_threadsafe(pair.maker, &pair.concurrent,
                                                   function, arg),
                     0);
    rota_future_init(&pair.future, pair.waiter);
    return &pair;
}

static struct pair *wrap(rota_task_function *function, void *arg)
{
    struct pair *pair = make_pair(function, arg);

    assert_int_equal(rota_wrap_future(pair->concurrent, &pair->future), 0);
    return pair;
}

static void free_pair(struct pair *pair)
{
    rota_future_fini(&pair->future);
    rota_concurrent_future_free(pair->concurrent);
    rota_loop_free(pair->waiter);
    rota_loop_free(pair->maker);
}

static void turn(rota_loop *loop, int count)
{
    for (int i = 0; i < count; i++)
        run_one_turn(loop);
}

static intptr_t result_of(rota_future *future)
{
    intptr_t result = 0;
    int err = rota_future_result(future, &result);

    return err < 0 ? err : result;
}

/* --- Results ------------------------------------------------------------ */

static void the_result_comes_in_the_next_turn_of_the_waiting_loop(void)
{
    struct pair *pair = wrap(return_it, (void *)7);

    rota_future_add_done_callback(&pair->future, NULL, note_done, "done");
    turn(pair->maker, 2);
    assert_false(rota_future_done(&pair->future));
    turn(pair->waiter, 1);
    expect_noted("");
    assert_int_equal(result_of(&pair->future), 7);
    turn(pair->waiter, 1);
    expect_noted("done");
    assert_int_equal(rota_concurrent_future_result(pair->concurrent, 0), 7);
    free_pair(pair);
}

static void an_error_of_the_task_is_the_futures_error(void)
{
    struct pair *pair = wrap(return_it, (void *)-EIO);

    turn(pair->maker, 2);
    turn(pair->waiter, 1);
    assert_int_equal(rota_future_exception(&pair->future), -EIO);
    free_pair(pair);
}

static void what_is_done_already_comes_in_the_next_turn_too(void)
{
    struct pair *pair = make_pair(return_it, (void *)7);

    turn(pair->maker, 2);
    assert_int_equal(rota_wrap_future(pair->concurrent, &pair->future), 0);
    assert_false(rota_future_done(&pair->future));
    turn(pair->waiter, 1);
    assert_int_equal(result_of(&pair->future), 7);
    free_pair(pair);
}

static intptr_t await_it(void *arg)
{
    intptr_t result = 0;
    int err = rota_await_future(arg, &result);

    return err < 0 ? err : result;
}

static void a_task_may_wait_on_one_loop_for_a_task_on_the_same(void)
{
    struct pair *pair = wrap(return_it, (void *)7);
    rota_future future;
    rota_concurrent_future *concurrent;

    rota_future_init(&future, pair->maker);
    assert_int_equal(rota_run_coroutine_threadsafe(pair->maker, &concurrent,
                                                   return_it, (void *)8),
                     0);
    assert_int_equal(rota_wrap_future(concurrent, &future), 0);
    rota_concurrent_future_free(concurrent);
    assert_int_equal(
        rota_loop_run_until_complete(pair->maker, await_it, &future), 8);
    rota_future_fini(&future);
    free_pair(pair);
}

/* --- Cancelling --------------------------------------------------------- */

static void cancelling_the_future_cancels_the_task(void)
{
    struct pair *pair = wrap(wait_to_be_cancelled, NULL);

    turn(pair->maker, 2);
    assert_true(rota_future_cancel(&pair->future));
    assert_true(rota_concurrent_future_cancelled(pair->concurrent));
    turn(pair->maker, 2);
    expect_noted("cancelled");
    free_pair(pair);
}

static void cancelling_the_task_cancels_the_future(void)
{
    struct pair *pair = wrap(wait_to_be_cancelled, NULL);

    turn(pair->maker, 2);
    assert_true(rota_concurrent_future_cancel(pair->concurrent));
    turn(pair->waiter, 1);
    assert_true(rota_future_cancelled(&pair->future));
    turn(pair->maker, 2);
    expect_noted("cancelled");
    free_pair(pair);
}

/* asyncio: test_wrap_future_cancel2. */
static void a_cancel_after_the_result_leaves_the_result_alone(void)
{
    struct pair *pair = wrap(return_it, (void *)7);

    turn(pair->maker, 2);
    assert_true(rota_future_cancel(&pair->future));
    assert_false(rota_concurrent_future_cancelled(pair->concurrent));
    assert_int_equal(rota_concurrent_future_result(pair->concurrent, 0), 7);
    turn(pair->waiter, 2);
    assert_true(rota_future_cancelled(&pair->future));
    free_pair(pair);
}

static void ending_the_future_before_cancels_the_task(void)
{
    struct pair *pair = wrap(wait_to_be_cancelled, NULL);

    turn(pair->maker, 2);
    rota_future_fini(&pair->future);
    memset(&pair->future, 0xEE, sizeof pair->future);
    assert_true(rota_concurrent_future_cancelled(pair->concurrent));
    turn(pair->maker, 2);
    turn(pair->waiter, 2);
    expect_noted("cancelled");
    rota_future_init(&pair->future, pair->waiter);
    free_pair(pair);
}

static void a_result_on_its_way_to_a_future_that_ends_is_dropped(void)
{
    struct pair *pair = wrap(return_it, (void *)7);

    turn(pair->maker, 2);
    rota_future_fini(&pair->future);
    memset(&pair->future, 0xEE, sizeof pair->future);
    turn(pair->waiter, 2);
    assert_int_equal(rota_concurrent_future_result(pair->concurrent, 0), 7);
    rota_future_init(&pair->future, pair->waiter);
    free_pair(pair);
}

static void a_future_that_others_make_done_lets_go_of_the_task(void)
{
    struct pair *pair = wrap(return_it, (void *)7);

    assert_int_equal(rota_future_set_result(&pair->future, 3), 0);
    rota_future_fini(&pair->future);
    rota_future_init(&pair->future, pair->waiter);
    assert_int_equal(rota_wrap_future(pair->concurrent, &pair->future), 0);
    turn(pair->maker, 2);
    turn(pair->waiter, 1);
    assert_int_equal(result_of(&pair->future), 7);
    free_pair(pair);
}

/* --- Lives -------------------------------------------------------------- */

static void the_concurrent_future_may_be_freed_at_once(void)
{
    struct pair *pair = wrap(return_it, (void *)-EIO);

    rota_concurrent_future_free(pair->concurrent);
    pair->concurrent = NULL;
    turn(pair->maker, 2);
    turn(pair->waiter, 1);
    assert_int_equal(rota_future_exception(&pair->future), -EIO);
    free_pair(pair);
}

static void a_makers_loop_that_closes_tells_the_future(void)
{
    for (int turns = 0; turns < 3; turns++) {
        struct pair *pair = wrap(wait_to_be_cancelled, NULL);

        turn(pair->maker, turns);
        assert_int_equal(rota_loop_close(pair->maker), 0);
        turn(pair->waiter, 1);
        assert_int_equal(rota_future_exception(&pair->future), -ROTA_ECLOSED);
        free_pair(pair);
    }
}

static void a_waiters_loop_that_closes_leaves_the_task_alone(void)
{
    struct pair *pair = wrap(return_it, (void *)7);

    assert_int_equal(rota_loop_close(pair->waiter), 0);
    turn(pair->maker, 2);
    assert_false(rota_future_done(&pair->future));
    assert_int_equal(rota_concurrent_future_result(pair->concurrent, 0), 7);
    free_pair(pair);
}

static void only_one_pending_future_of_an_open_loop_can_wait(void)
{
    struct pair *pair = wrap(return_it, (void *)7);
    rota_future other;

    rota_future_init(&other, pair->waiter);
    assert_int_equal(rota_wrap_future(pair->concurrent, &other), -EBUSY);
    assert_int_equal(rota_future_set_result(&other, 1), 0);
    assert_int_equal(rota_wrap_future(pair->concurrent, &other), -ROTA_ESTATE);
    rota_future_fini(&other);
    rota_future_init(&other, pair->waiter);
    assert_int_equal(rota_loop_close(pair->waiter), 0);
    assert_int_equal(rota_wrap_future(pair->concurrent, &other), -ROTA_ECLOSED);
    rota_future_fini(&other);
    free_pair(pair);
}

HARNESS_MAIN(TEST(the_result_comes_in_the_next_turn_of_the_waiting_loop),
             TEST(an_error_of_the_task_is_the_futures_error),
             TEST(what_is_done_already_comes_in_the_next_turn_too),
             TEST(a_task_may_wait_on_one_loop_for_a_task_on_the_same),
             TEST(cancelling_the_future_cancels_the_task),
             TEST(cancelling_the_task_cancels_the_future),
             TEST(a_cancel_after_the_result_leaves_the_result_alone),
             TEST(ending_the_future_before_cancels_the_task),
             TEST(a_result_on_its_way_to_a_future_that_ends_is_dropped),
             TEST(a_future_that_others_make_done_lets_go_of_the_task),
             TEST(the_concurrent_future_may_be_freed_at_once),
             TEST(a_makers_loop_that_closes_tells_the_future),
             TEST(a_waiters_loop_that_closes_leaves_the_task_alone),
             TEST(only_one_pending_future_of_an_open_loop_can_wait))
