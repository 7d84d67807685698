/* SPDX-License-Identifier: MIT */
/*
 * What the tests of executors share: calls, pools, futures
 */
#ifndef TESTS_EXECUTORS_H
#define TESTS_EXECUTORS_H

#include "gates.h"
#include "scenario.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A call that is held, and gives its argument back. */
static inline intptr_t held(void *arg)
{
    wait_at_gate();
    return (intptr_t)arg;
}

static inline void call_open_gate(void *arg)
{
    (void)arg;
    open_gate();
}

static atomic_int calls;

static inline intptr_t count_calls(void *arg)
{
    atomic_fetch_add(&calls, 1);
    return (intptr_t)arg;
}

static inline intptr_t must_not_begin(void *arg)
{
    (void)arg;
    fail_msg("a call began that should not");
    return 0;
}

/* The identity of a thread: the address of what is its own. */
static inline intptr_t this_thread(void *arg)
{
    static _Thread_local char mine;

    (void)arg;
    return (intptr_t)&mine;
}

/* For limits on calls: virtual time stands still while one is under way. */
static inline void need_real_time(void)
{
    const char *clock = getenv("ROTA_CLOCK");

    if (harness_under(HARNESS_SIM) || (clock && strcmp(clock, "virtual") == 0))
        harness_skip("there is no real time here");
}

/* A call as the argument of a task. */
struct call {
    rota_executor *executor;
    rota_work_function *function;
    void *arg;
    size_t size;
    const char *word; /* noted when it has come back; or NULL */
    intptr_t result;
};

static inline intptr_t run_call(void *arg)
{
    struct call *call = arg;

    call->result = rota_run_in_executor(call->executor, call->function,
                                        call->arg, call->size);
    if (call->word && rota_is_error(call->result))
        note("%s:%s", call->word, rota_errname(call->result));
    else if (call->word)
        note("%s:%d", call->word, (int)call->result);
    return call->result;
}

static inline rota_executor *new_pool(int max_workers)
{
    const rota_thread_pool_options options = {.max_workers = max_workers};
    rota_executor *pool = NULL;

    assert_int_equal(rota_thread_pool_new(&pool, &options), 0);
    assert_non_null(pool);
    return pool;
}

static inline rota_concurrent_future *
submit(rota_executor *executor, rota_work_function *function, void *arg)
{
    rota_concurrent_future *future = NULL;

    assert_int_equal(rota_executor_submit(executor, &future, function, arg, 0),
                     0);
    assert_non_null(future);
    return future;
}

/* The result, when it is there; ends the future. */
static inline intptr_t result_of(rota_concurrent_future *future)
{
    intptr_t result = rota_concurrent_future_result(future, (double)INFINITY);

    rota_concurrent_future_free(future);
    return result;
}

static inline pthread_t start_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

#endif
