/* SPDX-License-Identifier: MIT */
/*
 * Jobs: calls that an executor makes for a loop
 *
 *                       .--- cancel ---> CANCELLED --(begin: false)--> gone
 *     WAITING --begin--> RUNNING --end--> ENDED --a turn--> ended(), gone
 *                           `--- the loop closes ---> ORPHAN --end--> gone
 *
 * ended() tells its maker, in a turn of its loop, or, `dropped` and without a
 * result, when the loop closes first; then release() gives its memory back,
 * once, at the very last: perhaps on the executor's thread and after the loop
 * was freed. A job without a loop is told and released by the thread that ends
 * it.
 */
#ifndef ROTA_LOOP_JOB_H
#define ROTA_LOOP_JOB_H

#include "loop/loop.h"
#include <rota/pool.h>

struct rota__job {
    rota_job call; /* what the executor sees */
    struct rota__handle handle;
    struct rota__link siblings; /* of the same loop */
    rota_executor *executor;
    rota_loop *loop; /* or NULL */
    atomic_int state;
    bool by_default; /* its executor was the loop's default one */
    bool by_pool;    /* it was one of threads or processes */
    bool dropped;
    bool in_context; /* the call is to have these bindings, and not those of
                        the thread that makes it; they are the maker's */
    struct rota__bindings *bindings;
    intptr_t result;
    void (*ended)(struct rota__job *job);
    void (*release)(struct rota__job *job);
};

/* call.function, arg and size, ended and release are set, perhaps the context.
   On an error the job was not taken and is still the caller's. `executor` NULL:
   the loop's default one. */
int rota__job_submit(struct rota__job *job, rota_loop *loop,
                     rota_executor *executor);
/*
 * The maker wants it no more. True if it had not begun: it never will, ended()
 * is not called, and release() was called or will be. False: it runs or has
 * ended, and ended() will be called.
 */
bool rota__job_cancel(struct rota__job *job);

/* Who wants to know when a job of the loop is gone; see loop->job_watchers. */
struct rota__job_watcher {
    struct rota__link link;
    void (*gone)(struct rota__job_watcher *watcher);
};

/* rota__job_submit() to one of the loop's own pools. */
int rota__pool_submit(struct rota__job *job, rota_loop *loop,
                      enum rota__pool_kind kind);

/* Ends all jobs of a loop that closes, and its own pools. */
void rota__jobs_close(rota_loop *loop);

/*
 * A pool of threads, with what each of them does: for other pools. All are
 * called on the worker's thread.
 */
struct rota__work_ops {
    /* NULL, or: sees to it that the worker can make calls. An error ends it,
       and another one gets the job; the last one's job has that result. */
    int (*prepare)(rota_executor *pool, void *worker);
    /* Waits until the bell rings, or up to `deadline`: false then. It may come
       back for nothing. */
    bool (*idle)(rota_executor *pool, void *worker,
                 const struct rota__wake *bell, int64_t deadline);
    /* Makes the call of a job that has begun, and gives its result. */
    intptr_t (*run)(rota_executor *pool, void *worker, rota_job *job);
    /* Of a new thread: *worker is its own; an error ends the thread, and the
       job for which it was made has that result. */
    int (*begin)(rota_executor *pool, void **worker);
    void (*end)(rota_executor *pool, void *worker);
    /* NULL, or: whether a job can be taken at all; 0 or an error. By the
       thread that submits it. */
    int (*check)(rota_executor *pool, const rota_job *job);
    /* When the last thread has ended and the pool is freed. */
    void (*free)(rota_executor *pool);
};

/* Also of one with ops. */
bool rota__is_thread_pool(const rota_executor *executor);
/* `arg` is what rota__thread_pool_arg() gives; `ops` NULL: plain threads. */
int rota__thread_pool_new(rota_executor **out,
                          const rota_thread_pool_options *options,
                          const struct rota__work_ops *ops, void *arg);
void *rota__thread_pool_arg(const rota_executor *pool);

#endif
