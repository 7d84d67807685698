/* SPDX-License-Identifier: MIT */
/*
 * Pools: executors of threads and of processes
 *
 * Mirrors ThreadPoolExecutor and ProcessPoolExecutor of concurrent.futures.
 * A pool may be used by any number of loops and threads at once. See
 * rota/executor.h for what can be done with one.
 */
#ifndef ROTA_POOL_H
#define ROTA_POOL_H

#include <rota/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is the default. */
typedef struct rota_thread_pool_options {
    int max_workers;     /* threads; 0: the processors and 4, up to 32 */
    int max_queue;       /* calls that may wait for a thread, more of them are
                            refused: -ROTA_EFULL; 0: any number */
    double idle_timeout; /* s after which a thread without work ends; 0: 10;
                            INFINITY: it stays */
    /* Runs on each new thread before its first call; NULL: nothing. */
    void (*initializer)(void *arg);
    void *initializer_arg;
    size_t stack_size; /* of a thread, in bytes; 0: the system's */
} rota_thread_pool_options;

/*
 * Makes a pool of threads, which begin when they are needed and block all
 * signals but those of faults; `options` may be NULL. End it with
 * rota_executor_free(). From any thread. Errors: -EINVAL (a negative number, a
 * NaN), -ENOMEM.
 * Python: ThreadPoolExecutor().
 */
int rota_thread_pool_new(rota_executor **pool,
                         const rota_thread_pool_options *options);

/* The largest argument block of a process pool's call: 64 MiB. */
#define ROTA_PROCESS_POOL_MAX_SIZE ((size_t)64 << 20)

/* All zero is the default. */
typedef struct rota_process_pool_options {
    int max_workers;         /* processes; 0: one for each processor */
    int max_queue;           /* as above */
    int max_tasks_per_child; /* calls (a chunk is one), after which a process
                                is replaced; 0: any number */
    double timeout; /* s that a call may take; then its process is killed and
                       replaced, and the caller gets -ETIMEDOUT; 0: no limit.
                       To make a process, and its initializer, do not count */
    double idle_timeout; /* as above, for processes; 0: they stay */
    /* Runs in each new process before its first call; an error ends it, and
       the caller gets a broken pool. */
    int (*initializer)(void *arg);
    void *initializer_arg;
} rota_process_pool_options;

/*
 * Makes a pool of processes, forked from this program when they are needed; a
 * function is called there with a copy of its argument block, and the block
 * is copied back. So results beside the number belong into the block, pointers
 * in it mean nothing to the caller, and what a call does to other memory stays
 * in its process. End the pool with rota_executor_free(). Errors: -EINVAL,
 * -ENOMEM.  Python: ProcessPoolExecutor().
 *
 * A process begins as a copy of the program at that moment, with one thread,
 * stdin, stdout and stderr, and no other fd; signals are as after exec(), but
 * handlers of faults stay, and SIGINT is ignored: the pool's owner decides what
 * an interrupt means. It ends with the pool, and when the program has died. A
 * function must not count on locks that other threads of the program may have
 * held. malloc and stdio are safe, and it may run a loop of its own:
 * rota_run(). A look-up of names may hang if another thread was in one: set a
 * timeout.
 *
 * A process that crashes, exits or is killed breaks the one call that it was
 * making, with the signal's name (see rota_is_broken_pool()), and is replaced;
 * the block of that call may have come back in part.
 * Errors of a call besides: -EMSGSIZE (a block above the largest), -ETIMEDOUT,
 * -EAGAIN, -ENOMEM and -EMFILE (there is no process, and none can be made).
 */
int rota_process_pool_new(rota_executor **pool,
                          const rota_process_pool_options *options);

/*
 * True for the error of a call whose process has ended: -ROTA_EBROKENPOOL if
 * it exited, -(ROTA_EBROKENPOOL + n) if signal n killed it, which
 * rota_strerror() and rota_errname() name.  Python: BrokenProcessPool.
 */
static inline bool rota_is_broken_pool(intptr_t result)
{
    return result <= -ROTA_EBROKENPOOL && result > -(ROTA_EBROKENPOOL + 32);
}

#ifdef __cplusplus
}
#endif

#endif
