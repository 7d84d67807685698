/* SPDX-License-Identifier: MIT */
/*
 * Calls begun from any thread, with concurrent futures
 */
#include "executors.h"

/* --- Results ------------------------------------------------------------ */

static void a_thread_without_a_loop_gets_the_result(void)
{
    rota_executor *pool = new_pool(2);
    rota_concurrent_future *future = submit(pool, return_arg, (void *)7);

    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_concurrent_future_result(future, (double)INFINITY), 7);
    assert_true(rota_concurrent_future_done(future));
    assert_false(rota_concurrent_future_cancelled(future));
    rota_concurrent_future_free(future);
    assert_int_equal(result_of(submit(pool, fail_with_eio, NULL)), -EIO);
    assert_int_equal(result_of(submit(pool, return_arg, (void *)-5000)), -5000);
    rota_executor_free(pool);
}

static void a_result_may_be_asked_for_with_a_time_limit(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *future = submit(pool, held, (void *)7);

    see_waiting(1);
    assert_false(rota_concurrent_future_done(future));
    assert_int_equal(rota_concurrent_future_result(future, 0), -ETIMEDOUT);
    assert_int_equal(rota_concurrent_future_result(future, 0.001), -ETIMEDOUT);
    assert_int_equal(rota_concurrent_future_result(future, (double)NAN),
                     -EINVAL);
    open_gate();
    assert_int_equal(result_of(future), 7);
    rota_executor_free(pool);
}

static void a_call_that_was_cancelled_itself_is_an_error_like_others(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(result_of(submit(pool, return_arg, (void *)-ECANCELED)),
                     -ECANCELED);
    rota_executor_free(pool);
}

struct sum {
    const struct sum *caller;
    int a;
    int b;
    int sum;
};

static intptr_t add(void *arg)
{
    struct sum *sum = arg;

    if (sum == sum->caller)
        return -EFAULT;
    sum->sum = sum->a + sum->b;
    wait_at_gate();
    return 5;
}

static void a_copy_comes_back_when_the_future_is_done(void)
{
    rota_executor *pool = new_pool(1);
    struct sum sum = {&sum, 2, 3, 0};
    rota_concurrent_future *future;

    assert_int_equal(rota_executor_submit(pool, &future, add, &sum, sizeof sum),
                     0);
    see_waiting(1);
    assert_int_equal(sum.sum, 0);
    open_gate();
    assert_int_equal(result_of(future), 5);
    assert_int_equal(sum.sum, 5);
    rota_executor_free(pool);
}

static void what_is_no_call_is_refused(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *future;
    int number;

    assert_int_equal(rota_executor_submit(pool, &future, NULL, &number, 0),
                     -EINVAL);
    assert_int_equal(
        rota_executor_submit(pool, &future, must_not_begin, NULL, 4), -EINVAL);
    assert_int_equal(
        rota_executor_submit(NULL, &future, must_not_begin, NULL, 0), -EINVAL);
    assert_int_equal(
        rota_executor_submit(pool, &future, must_not_begin, &number, SIZE_MAX),
        -ENOMEM);
    rota_executor_free(pool);
}

static void after_a_shutdown_nothing_is_begun(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *future;

    assert_int_equal(rota_executor_shutdown(pool, true, false), 0);
    assert_int_equal(
        rota_executor_submit(pool, &future, must_not_begin, NULL, 0),
        -ROTA_ESHUTDOWN);
    rota_executor_free(pool);
}

static void a_future_may_be_freed_at_any_time(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *futures[3];

    for (int i = 0; i < 3; i++)
        futures[i] = submit(pool, held, NULL);
    see_waiting(1);
    rota_concurrent_future_free(futures[1]);
    rota_concurrent_future_free(futures[0]);
    open_gate();
    rota_executor_free(pool);
    rota_concurrent_future_free(futures[2]);
    assert_int_equal(gate.passed, 3);
}

static void an_allocation_that_fails_is_an_error(void)
{
    rota_executor *pool = new_pool(1);
    char text[8] = "";
    int err = -ENOMEM;

    assert_int_equal(result_of(submit(pool, return_arg, NULL)), 0);
    for (long nth = 1; err == -ENOMEM; nth++) {
        rota_concurrent_future *future;

        assert_in_range(nth, 1, 20);
        harness_fail_allocation(nth);
        err = rota_executor_submit(pool, &future, count_calls, text, 8);
        harness_fail_allocation(-1);
        if (err == 0)
            assert_true(result_of(future) != 0);
    }
    assert_int_equal(err, 0);
    assert_int_equal(atomic_load(&calls), 1);
    rota_executor_free(pool);
}

/* --- Cancelling --------------------------------------------------------- */

static void only_what_has_not_begun_can_be_cancelled(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *running = submit(pool, held, (void *)1);
    rota_concurrent_future *waiting = submit(pool, must_not_begin, NULL);

    see_waiting(1);
    assert_false(rota_concurrent_future_cancel(running));
    assert_false(rota_concurrent_future_done(running));
    assert_true(rota_concurrent_future_cancel(waiting));
    assert_false(rota_concurrent_future_cancel(waiting));
    assert_true(rota_concurrent_future_done(waiting));
    assert_true(rota_concurrent_future_cancelled(waiting));
    assert_int_equal(rota_concurrent_future_result(waiting, 0), -ECANCELED);
    open_gate();
    assert_int_equal(rota_concurrent_future_result(running, (double)INFINITY),
                     1);
    assert_false(rota_concurrent_future_cancel(running));
    assert_false(rota_concurrent_future_cancelled(running));
    rota_concurrent_future_free(running);
    rota_concurrent_future_free(waiting);
    rota_executor_free(pool);
}

static void a_cancelled_call_leaves_its_place_to_the_next(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *running = submit(pool, held, (void *)1);
    rota_concurrent_future *waiting[3];

    for (intptr_t i = 0; i < 3; i++)
        waiting[i] = submit(pool, i == 1 ? must_not_begin : return_arg,
                            (void *)(i + 10));
    assert_true(rota_concurrent_future_cancel(waiting[1]));
    open_gate();
    assert_int_equal(result_of(running), 1);
    assert_int_equal(result_of(waiting[0]), 10);
    assert_int_equal(result_of(waiting[1]), -ECANCELED);
    assert_int_equal(result_of(waiting[2]), 12);
    rota_executor_free(pool);
}

static void *ask_for_it(void *future)
{
    return (void *)rota_concurrent_future_result(future, (double)INFINITY);
}

static void who_waits_for_a_call_hears_that_it_is_cancelled(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *running = submit(pool, held, NULL);
    rota_concurrent_future *waiting = submit(pool, must_not_begin, NULL);
    pthread_t thread = start_thread(ask_for_it, waiting);
    void *result;

    see_waiting(1);
    assert_true(rota_concurrent_future_cancel(waiting));
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, -ECANCELED);
    rota_concurrent_future_free(waiting);
    open_gate();
    assert_int_equal(result_of(running), 0);
    rota_executor_free(pool);
}

/* --- Calls inside of calls ---------------------------------------------- */

static intptr_t submit_inside(void *pool)
{
    return result_of(submit(pool, return_arg, (void *)6)) + 1;
}

static void a_call_may_begin_another_and_wait_for_it(void)
{
    rota_executor *pool = new_pool(2);
    rota_executor *other = new_pool(1);

    assert_int_equal(result_of(submit(pool, submit_inside, pool)), 7);
    assert_int_equal(result_of(submit(pool, submit_inside, other)), 7);
    rota_executor_free(pool);
    rota_executor_free(other);
}

static intptr_t main_of_a_call(void *arg)
{
    return rota_run_in_executor(NULL, return_arg, arg, 0);
}

static intptr_t run_a_loop(void *arg)
{
    return rota_run(main_of_a_call, arg);
}

static void a_call_may_run_a_loop_of_its_own(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(result_of(submit(pool, run_a_loop, (void *)11)), 11);
    rota_executor_free(pool);
}

/* --- A future of a loop that follows ------------------------------------ */

static intptr_t follow(rota_concurrent_future *concurrent)
{
    rota_future future;
    intptr_t result = 0;
    int err;

    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(rota_wrap_future(concurrent, &future), 0);
    rota_concurrent_future_free(concurrent);
    err = rota_await_future(&future, &result);
    rota_future_fini(&future);
    return err < 0 ? err : result;
}

static intptr_t wrap_calls(void *pool)
{
    assert_int_equal(follow(submit(pool, return_arg, (void *)8)), 8);
    assert_int_equal(follow(submit(pool, fail_with_eio, NULL)), -EIO);
    return 0;
}

static void a_future_of_a_loop_may_follow_a_call(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(wrap_calls, pool), 0);
    rota_executor_free(pool);
}

static intptr_t cancel_a_wrapper(void *pool)
{
    rota_concurrent_future *running = submit(pool, held, (void *)4);
    rota_concurrent_future *waiting = submit(pool, must_not_begin, NULL);
    rota_future futures[2];

    see_waiting(1);
    for (int i = 0; i < 2; i++)
        rota_future_init(&futures[i], rota_get_running_loop());
    assert_int_equal(rota_wrap_future(running, &futures[0]), 0);
    assert_int_equal(rota_wrap_future(waiting, &futures[1]), 0);
    assert_true(rota_future_cancel(&futures[0]));
    assert_true(rota_future_cancel(&futures[1]));
    pass_turns(2);
    assert_true(rota_concurrent_future_cancelled(waiting));
    assert_false(rota_concurrent_future_cancelled(running));
    open_gate();
    assert_int_equal(result_of(running), 4);
    assert_int_equal(result_of(waiting), -ECANCELED);
    for (int i = 0; i < 2; i++)
        rota_future_fini(&futures[i]);
    return 0;
}

static void cancelling_what_follows_cancels_a_call_that_has_not_begun(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(cancel_a_wrapper, pool), 0);
    rota_executor_free(pool);
}

/* --- Many --------------------------------------------------------------- */

enum { THREADS = 4, CALLS = 500 };

static void *submit_many(void *pool)
{
    for (intptr_t i = 0; i < CALLS; i++) {
        rota_concurrent_future *future = submit(pool, count_calls, (void *)i);
        bool cancelled = i % 3 == 0 && rota_concurrent_future_cancel(future);

        if (cancelled)
            atomic_fetch_add(&calls, 1);
        assert_int_equal(result_of(future), cancelled ? -ECANCELED : i);
    }
    return NULL;
}

static void many_threads_may_share_a_pool(void)
{
    rota_executor *pool = new_pool(3);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = start_thread(submit_many, pool);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&calls), THREADS * CALLS);
    rota_executor_free(pool);
}

static void several_threads_may_wait_for_one_call(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *future = submit(pool, held, (void *)9);
    pthread_t threads[THREADS];
    void *result;

    for (int i = 0; i < THREADS; i++)
        threads[i] = start_thread(ask_for_it, future);
    open_gate();
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, 9);
    }
    rota_concurrent_future_free(future);
    rota_executor_free(pool);
}

HARNESS_MAIN(TEST(a_thread_without_a_loop_gets_the_result),
             TEST(a_result_may_be_asked_for_with_a_time_limit),
             TEST(a_call_that_was_cancelled_itself_is_an_error_like_others),
             TEST(a_copy_comes_back_when_the_future_is_done),
             TEST(what_is_no_call_is_refused),
             TEST(after_a_shutdown_nothing_is_begun),
             TEST(a_future_may_be_freed_at_any_time),
             TEST(an_allocation_that_fails_is_an_error),
             TEST(only_what_has_not_begun_can_be_cancelled),
             TEST(a_cancelled_call_leaves_its_place_to_the_next),
             TEST(who_waits_for_a_call_hears_that_it_is_cancelled),
             TEST(a_call_may_begin_another_and_wait_for_it),
             TEST(a_call_may_run_a_loop_of_its_own),
             TEST(a_future_of_a_loop_may_follow_a_call),
             TEST(cancelling_what_follows_cancels_a_call_that_has_not_begun),
             TEST(many_threads_may_share_a_pool),
             TEST(several_threads_may_wait_for_one_call))
