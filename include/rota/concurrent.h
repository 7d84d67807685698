/* SPDX-License-Identifier: MIT */
/*
 * Between threads: results that another thread waits for
 *
 * Mirrors concurrent.futures.Future of Python, and asyncio's
 * run_coroutine_threadsafe(). The calls here may be made from any thread.
 */
#ifndef ROTA_CONCURRENT_H
#define ROTA_CONCURRENT_H

#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_concurrent_future rota_concurrent_future;

/*
 * Runs function(arg) as a task on a loop of another thread, in a copy of the
 * caller's context, and gives a future of its result, which is to be freed
 * with rota_concurrent_future_free(). The loop must not be freed while a call
 * here is under way, except one that waits; if it closes first, the result is
 * -ROTA_ECLOSED. Errors: -ROTA_ECLOSED, -EINVAL, -ENOMEM (also as the result:
 * no stack to be had).  asyncio: run_coroutine_threadsafe().
 */
int rota_run_coroutine_threadsafe(rota_loop *loop,
                                  rota_concurrent_future **future,
                                  rota_task_function *function,
                                  void *arg) ROTA_MUST_USE;

/*
 * Blocks this thread until the task is done, and returns its result, as often
 * as it is asked. Errors besides: -ETIMEDOUT after `timeout` seconds of real
 * time (INFINITY: no limit; 0 only looks; the task goes on), -ECANCELED,
 * -EDEADLK (on the thread that runs the loop), -EINVAL (a NaN).
 * asyncio: Future.result(timeout).
 */
intptr_t rota_concurrent_future_result(rota_concurrent_future *future,
                                       double timeout) ROTA_MUST_USE;

/*
 * Cancels it at once, and with it the task, a turn later; an error that this
 * returns nevertheless goes to the exception handler of its loop. False if it
 * was done.  asyncio: Future.cancel().
 */
bool rota_concurrent_future_cancel(rota_concurrent_future *future);

bool rota_concurrent_future_done(rota_concurrent_future *future);
bool rota_concurrent_future_cancelled(rota_concurrent_future *future);

/*
 * Lets a pending future of this thread's loop become what this one becomes.
 * Cancelling `future`, or ending it before, cancels this one, which may be
 * freed at once. Errors: -EBUSY (another future is waiting already),
 * -ROTA_ESTATE (`future` is done), -ROTA_ECLOSED.  asyncio: wrap_future().
 */
int rota_wrap_future(rota_concurrent_future *concurrent, rota_future *future);

/*
 * Gives it back; the task goes on, and an error of it that nobody has asked
 * for goes to the exception handler of its loop. NULL is ignored.
 */
void rota_concurrent_future_free(rota_concurrent_future *future);

#ifdef __cplusplus
}
#endif

#endif
