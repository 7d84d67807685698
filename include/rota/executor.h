/* SPDX-License-Identifier: MIT */
/*
 * Executors: calls that block, on other threads and in other processes
 *
 * Mirrors loop.run_in_executor(), asyncio.to_thread() and the executors of
 * concurrent.futures. A task hands a call to an executor and waits for it,
 * while the loop goes on:
 *
 *     n = rota_run_in_executor(NULL, blocking_io, NULL, 0);
 *
 * The executor is the loop's own pool of threads (NULL), a pool of threads or
 * of processes, or an application's own kind: see the end of this file.
 *
 * What a function works on. With a `size`, it is given a copy of the `size`
 * bytes at `arg`, and what it has made of them is copied back to `arg` when it
 * has returned. A task that is cancelled goes on at once, as in asyncio: a
 * function that has begun runs to its end with its copy, and nobody hears of
 * it. With `size` 0 the pointer itself is passed; then what it points to must
 * live until the function returns, also if the task is cancelled before.
 */
#ifndef ROTA_EXECUTOR_H
#define ROTA_EXECUTOR_H

#include <rota/concurrent.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_executor rota_executor;

/* A call that may block. It runs on no loop, and must not wait as tasks do.
   A result that is an error is an error of the caller's. */
typedef intptr_t rota_work_function(void *arg);

/*
 * Awaits function(arg) on an executor, NULL for the loop's default one, and
 * returns its result. Cancelled before it has begun, the call never begins.
 * Errors besides the function's: -EINVAL, -ENOMEM, -EAGAIN (no thread, no
 * process), -ROTA_EFULL (a bounded queue), -ROTA_ESHUTDOWN, -ROTA_ECLOSED,
 * -EMSGSIZE, -ETIMEDOUT and broken pools (of processes; see there),
 * -ROTA_ENOTASK.  asyncio: loop.run_in_executor().
 */
intptr_t rota_run_in_executor(rota_executor *executor,
                              rota_work_function *function, void *arg,
                              size_t size) ROTA_MUST_USE;

/*
 * The same on the default executor, in a copy of the caller's context.
 * asyncio: to_thread().
 */
intptr_t rota_to_thread(rota_work_function *function, void *arg,
                        size_t size) ROTA_MUST_USE;

/*
 * Awaits function(item) for each of `count` items of `size` bytes, which lie
 * one after the other at `items`, `chunk` of them (0: 1) in one job. Each
 * result goes to results[i] (NULL: nowhere), and each item is copied back.
 * Returns 0, or the error of the first item that has one; cancelled, it
 * cancels what has not begun. A bounded queue is filled and filled again; when
 * others have filled it, an item's result is -ROTA_EFULL. Errors besides:
 * -EINVAL, -ENOMEM.
 * asyncio's neighbour: Executor.map(function, items, chunksize=chunk).
 */
int rota_executor_map(rota_executor *executor, rota_work_function *function,
                      void *items, size_t count, size_t size, size_t chunk,
                      intptr_t *results) ROTA_MUST_USE;

/*
 * Begins a call from any thread, with or without a loop, and gives its future,
 * to be freed with rota_concurrent_future_free(). With a `size`, `arg` must
 * stay until the call is over, also when the future was freed before. A call
 * that has begun cannot be cancelled.
 * rota_wrap_future() lets a future of a loop follow it. Errors: -EINVAL,
 * -ENOMEM, -EAGAIN, -ROTA_EFULL, -ROTA_ESHUTDOWN, -EMSGSIZE.
 * Python: Executor.submit().
 */
int rota_executor_submit(rota_executor *executor,
                         rota_concurrent_future **future,
                         rota_work_function *function, void *arg,
                         size_t size) ROTA_MUST_USE;

/*
 * Makes `executor` the one that NULL stands for; it stays the caller's, and
 * must live until the loop is closed. NULL: the loop's own pool of threads
 * again, which is made on demand, as rota_thread_pool_new() makes one without
 * options. Errors: -ROTA_ECLOSED, -ROTA_ESHUTDOWN.
 * asyncio: loop.set_default_executor().
 */
int rota_set_default_executor(rota_loop *loop, rota_executor *executor);

/*
 * Lets no new call into the default executor and awaits those that are under
 * way, for `timeout` seconds (INFINITY: no limit; then -ETIMEDOUT). rota_run()
 * does so at its end, and a loop that closes joins the threads of its own.
 * Errors: -EINVAL (a NaN), -ENOMEM, -ECANCELED, -ROTA_ENOTASK.
 * asyncio: loop.shutdown_default_executor().
 */
int rota_shutdown_default_executor(double timeout) ROTA_MUST_USE;

/* --- Any executor --------------------------------------------------------- */

/*
 * No new calls are accepted. `cancel`: those that have not begun are
 * cancelled, and their callers get -ECANCELED. `wait`: blocks this thread
 * until all are done. Again does nothing, or waits. From any thread, but not
 * with `wait` from a call of its own (-EDEADLK).
 * Python: Executor.shutdown(wait, cancel_futures).
 */
int rota_executor_shutdown(rota_executor *executor, bool wait, bool cancel);

/* Shuts it down, waits, and frees it. NULL is ignored. Not from a call of its
   own, and after the last use.  Python: the end of `with`. */
void rota_executor_free(rota_executor *executor);

/* What an executor is given: a call to be made. The executor may use `link`
   and `data` as it likes from submit to begin, and `data` until the end. */
typedef struct rota_job {
    rota_work_function *function;
    void *arg;   /* the executor's own copy, when size is not 0 */
    size_t size; /* of what lies at arg; 0: the pointer itself is meant */
    struct rota__link link;
    void *data;
} rota_job;

/*
 * An application's executor: these functions, and rota_executor as the first
 * member of its own struct. All may be called from any thread.
 */
typedef struct rota_executor_ops {
    /*
     * Takes a job: 0, or an error for the caller, and then it has not taken
     * it. Must not block. A job that was taken is to be begun, once, on any
     * thread, and then ended.
     */
    int (*submit)(rota_executor *executor, rota_job *job);

    /* NULL, or: the caller of a job has gone. True if the executor has it in
       its queue, and forgets it; false if it will begin it nevertheless.
       rota_job_begin() waits for it: so not with a lock that it takes. */
    bool (*cancel)(rota_executor *executor, rota_job *job);

    /* As rota_executor_shutdown() and _free() are to do. NULL: nothing. */
    int (*shutdown)(rota_executor *executor, bool wait, bool cancel);
    void (*free)(rota_executor *executor);
} rota_executor_ops;

struct rota_executor {
    const rota_executor_ops *ops;
};

/*
 * An executor is about to make the call. False: its caller has gone, and the
 * job with it. True: from now on it cannot be cancelled, and must be ended.
 * Any thread.  Python: Future.set_running_or_notify_cancel().
 */
bool rota_job_begin(rota_job *job) ROTA_MUST_USE;

/* Makes the call on this thread, in the context that it is to have, and
   returns its result. */
intptr_t rota_job_run(rota_job *job);

/*
 * Ends a job that was begun with its result, or an error (-ECANCELED: it was
 * given up): the caller hears of it on its own loop, and the job is gone. Any
 * thread.  Python: Future.set_result(), Future.set_exception().
 */
void rota_job_end(rota_job *job, intptr_t result);

#ifdef __cplusplus
}
#endif

#endif
