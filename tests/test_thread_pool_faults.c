/* SPDX-License-Identifier: MIT */
/*
 * Pools of threads, when there is no thread or no memory to be had
 */
#include "thread_pools.h"

#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

/* --- No memory ---------------------------------------------------------- */

static void without_memory_there_is_no_pool(void)
{
    rota_executor *pool = NULL;
    int err = -ENOMEM;

    for (long nth = 1; err == -ENOMEM; nth++) {
        assert_in_range(nth, 1, 20);
        assert_null(pool);
        harness_fail_allocation(nth);
        err = rota_thread_pool_new(&pool, NULL);
        harness_fail_allocation(-1);
    }
    assert_int_equal(err, 0);
    rota_executor_free(pool);
}

static intptr_t call_without_memory(void *pool)
{
    char text[100] = "";
    intptr_t result = -ENOMEM;
    long nth;

    for (nth = 1; result == -ENOMEM; nth++) {
        assert_in_range(nth, 1, 20);
        harness_fail_allocation(nth);
        result = rota_run_in_executor(pool, count_calls, text, sizeof text);
        harness_fail_allocation(-1);
    }
    assert_false(rota_is_error(result));
    assert_in_range(nth, 3, 20);
    assert_int_equal(atomic_load(&calls), 1);
    return 0;
}

static void without_memory_a_call_is_refused(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(call_without_memory, pool), 0);
    rota_executor_free(pool);
}

static void the_default_executor_is_made_when_there_is_memory(void)
{
    assert_int_equal(run_virtually(call_without_memory, NULL), 0);
}

/* With one thread there, a job that another one cannot be made for waits. */
static void with_a_thread_at_hand_a_call_needs_no_other(void)
{
    rota_executor *pool = new_pool(4);
    rota_concurrent_future *first = submit(pool, held, NULL);
    rota_concurrent_future *second;

    see_waiting(1);
    harness_fail_allocation(2); /* the first is the call, then the worker */
    second = submit(pool, return_arg, (void *)2);
    harness_fail_allocation(-1);
    open_gate();
    assert_int_equal(result_of(first), 0);
    assert_int_equal(result_of(second), 2);
    rota_executor_free(pool);
}

/* --- No threads --------------------------------------------------------- */

static void *nothing(void *arg)
{
    return arg;
}

static struct rlimit limit_before;

/* From here on this user has as many threads as allowed. */
static void forbid_threads(void)
{
    struct rlimit limit;
    pthread_t thread;
    int err;

    if (geteuid() == 0 && (setgid(54321) != 0 || setuid(54321) != 0))
        harness_skip("root may not become somebody else here");
#if defined(__linux__)
    prctl(PR_SET_DUMPABLE, 1); /* or /proc is closed to the harness */
#endif
    assert_int_equal(getrlimit(RLIMIT_NPROC, &limit), 0);
    limit_before = limit;
    limit.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_NPROC, &limit), 0);
    err = pthread_create(&thread, NULL, nothing, NULL);
    if (err == 0) {
        pthread_join(thread, NULL);
        harness_skip("threads are not limited here");
    }
    assert_int_equal(err, EAGAIN);
}

static void allow_threads(void)
{
    assert_int_equal(setrlimit(RLIMIT_NPROC, &limit_before), 0);
}

static void without_a_thread_a_call_is_refused(void)
{
    rota_executor *pool = new_pool(2);
    rota_concurrent_future *future = NULL;

    forbid_threads();
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_executor_submit(pool, &future, must_not_begin, NULL, 0),
            -EAGAIN);
    assert_null(future);
    allow_threads();
    assert_int_equal(result_of(submit(pool, return_arg, (void *)4)), 4);
    rota_executor_free(pool);
}

static intptr_t call_without_threads(void *pool)
{
    forbid_threads();
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_run_in_executor(pool, must_not_begin, NULL, 0),
                         -EAGAIN);
    allow_threads();
    return rota_run_in_executor(pool, return_arg, (void *)4, 0);
}

static void without_a_thread_a_tasks_call_is_refused(void)
{
    assert_int_equal(run_virtually(call_without_threads, NULL), 4);
}

static intptr_t map_without_threads(void *pool)
{
    intptr_t results[5];
    char items[5] = "";

    forbid_threads();
    assert_int_equal(
        rota_executor_map(pool, must_not_begin, items, 5, 1, 1, results),
        -EAGAIN);
    for (int i = 0; i < 5; i++)
        assert_int_equal(results[i], -EAGAIN);
    allow_threads();
    return 0;
}

static void without_a_thread_nothing_is_mapped(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(map_without_threads, pool), 0);
    rota_executor_free(pool);
}

static void with_one_thread_calls_wait_for_it(void)
{
    rota_executor *pool = new_pool(4);
    rota_concurrent_future *first = submit(pool, held, NULL);
    rota_concurrent_future *others[5];

    see_waiting(1);
    forbid_threads();
    for (intptr_t i = 0; i < 5; i++)
        others[i] = submit(pool, held, (void *)i);
    open_gate();
    assert_int_equal(result_of(first), 0);
    for (intptr_t i = 0; i < 5; i++)
        assert_int_equal(result_of(others[i]), i);
    assert_int_equal(gate.most_waiting, 1);
    allow_threads();
    rota_executor_free(pool);
}

/* A stack that no system has: the thread cannot be made, at any time. */
static rota_executor *new_pool_of_giants(void)
{
    return new_pool_with((rota_thread_pool_options){
        .max_workers = 4,
        .stack_size = (size_t)1 << 62,
    });
}

/* It may have counted on a thread that another submit could not make. */
static void *submit_in_vain(void *pool)
{
    rota_concurrent_future *future;

    for (int i = 0; i < 1000; i++) {
        intptr_t err =
            rota_executor_submit(pool, &future, must_not_begin, NULL, 0);

        if (err == 0)
            err = result_of(future);
        assert_int_equal(err, -EAGAIN);
    }
    return NULL;
}

static void threads_that_submit_in_vain_are_all_refused(void)
{
    rota_executor *pool = new_pool_of_giants();
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(submit_in_vain, pool);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    rota_executor_free(pool);
}

HARNESS_MAIN(TEST(without_memory_there_is_no_pool),
             TEST(without_memory_a_call_is_refused),
             TEST(the_default_executor_is_made_when_there_is_memory),
             TEST(with_a_thread_at_hand_a_call_needs_no_other),
             TEST(without_a_thread_a_call_is_refused),
             TEST(without_a_thread_a_tasks_call_is_refused),
             TEST(without_a_thread_nothing_is_mapped),
             TEST(with_one_thread_calls_wait_for_it),
             TEST(threads_that_submit_in_vain_are_all_refused))
