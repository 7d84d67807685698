/* SPDX-License-Identifier: MIT */
/*
 * Futures: a result that is not there yet
 *
 * Mirrors "Futures" of asyncio's manual. A future is plain memory of the
 * caller's between rota_future_init() and rota_future_fini(), on the thread
 * of its loop.
 */
#ifndef ROTA_FUTURE_H
#define ROTA_FUTURE_H

#include <rota/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_future {
    rota_loop *loop;
    struct rota__link callbacks;
    intptr_t result;
    unsigned scheduled; /* callbacks in the ready queue */
    short state;
    bool retrieved;
    struct rota__handle posted; /* from another thread */
    intptr_t posted_result;
    int posted_state;
} rota_future;

/* A callback for a future that is done. */
typedef void rota_future_callback(rota_future *future, void *arg);

/* Prepares a pending future. asyncio: loop.create_future(). */
void rota_future_init(rota_future *future, rota_loop *loop);

/*
 * Ends it, before its loop is freed: callbacks that have not run are dropped,
 * waiting tasks get -ECANCELED, and an error that nobody looked at is reported
 * to the loop's exception handler.
 */
void rota_future_fini(rota_future *future);

/*
 * Makes it done. An error value given to set_result is a value like any
 * other. Errors: -ROTA_ESTATE if it is done already; -EINVAL if `error` is
 * not an error.  asyncio: Future.set_result(), Future.set_exception().
 */
int rota_future_set_result(rota_future *future, intptr_t result);
int rota_future_set_exception(rota_future *future, int error);

/*
 * The same from any thread: the loop does it in its next turn, unless the
 * future is done by then; -ECANCELED cancels it. The future and its loop must
 * live that long.
 * Errors besides: -ROTA_ESTATE also if a thread has done so already;
 * -ROTA_ECLOSED.  asyncio: call_soon_threadsafe(future.set_result, result).
 */
int rota_future_set_result_threadsafe(rota_future *future, intptr_t result);
int rota_future_set_exception_threadsafe(rota_future *future, int error);

/*
 * Cancels a pending future. False if it was done; but nobody will report an
 * error of it any more.  asyncio: Future.cancel().
 */
bool rota_future_cancel(rota_future *future);

/* asyncio: Future.get_loop(). */
rota_loop *rota_future_get_loop(const rota_future *future);

bool rota_future_done(const rota_future *future);
bool rota_future_cancelled(const rota_future *future);

/*
 * The result into *result. Errors: -ROTA_ESTATE while it is pending,
 * -ECANCELED if it was cancelled, or the error that it was given.
 * asyncio: Future.result().
 */
int rota_future_result(rota_future *future, intptr_t *result);

/*
 * The error that it was given, 0 if it has a result; -ROTA_ESTATE while it is
 * pending, -ECANCELED if it was cancelled.  asyncio: Future.exception().
 */
int rota_future_exception(rota_future *future);

/*
 * Calls callback(future, arg) in the turn after it is done; at once means in
 * the next turn. `handle` as in rota_call_soon(), and with its errors.
 * asyncio: Future.add_done_callback().
 */
int rota_future_add_done_callback(rota_future *future, rota_handle *handle,
                                  rota_future_callback *callback, void *arg);

/* Removes all that have this function; returns how many there were. */
int rota_future_remove_done_callback(rota_future *future,
                                     rota_future_callback *callback);

/*
 * Runs the loop until the future is done, then returns as
 * rota_future_result() does. Errors besides: -ROTA_ESTOPPED (the loop was
 * stopped before), and those of rota_loop_run_forever().
 * asyncio: loop.run_until_complete(future).
 */
int rota_loop_run_until_future(rota_loop *loop, rota_future *future,
                               intptr_t *result);

#ifdef __cplusplus
}
#endif

#endif
