/* SPDX-License-Identifier: MIT */
/*
 * Futures
 *
 *     PENDING --set_result--> RESULT
 *        |-----set_exception--> ERROR
 *        `-----cancel---------> CANCELLED
 *
 * Callbacks are handles that wait in future->callbacks until it is done and
 * then join the ready queue: they run in the next turn, as asyncio's do.
 * Tasks wait among them as waiters and are woken directly, so that all run in
 * the order in which they came. A waiter is told from a handle by its
 * function.
 */
#include "loop/loop.h"

enum { PENDING, RESULT, ERROR, CANCELLED };

void rota_future_init(rota_future *future, rota_loop *loop)
{
    future->loop = loop;
    future->result = 0;
    future->state = PENDING;
    future->scheduled = 0;
    future->retrieved = false;
    future->posted_state = PENDING;
    rota__list_init(&future->posted.link);
    rota__list_init(&future->callbacks);
}

_Static_assert(offsetof(struct rota__future_waiter, wake) ==
                   offsetof(struct rota__handle, run),
               "a waiter looks like a handle");

/* The handle of a future's callback, or NULL for anything else. */
static rota_handle *callback_at(struct rota__link *link)
{
    struct rota__handle *base =
        rota__container_of(link, struct rota__handle, link);

    return base->run == rota__handle_run_future
               ? rota__container_of(base, rota_handle, base)
               : NULL;
}

static void schedule(rota_future *future, rota_handle *handle)
{
    future->scheduled++;
    rota__ready(future->loop, &handle->base);
}

void rota__future_unschedule(const rota_handle *handle)
{
    rota_future *future = handle->owner;

    if (future->state != PENDING)
        future->scheduled--;
}

static void tell(rota_future *future)
{
    struct rota__link *link;

    while ((link = rota__list_pop(&future->callbacks)) != NULL) {
        struct rota__future_waiter *waiter =
            rota__container_of(link, struct rota__future_waiter, link);

        if (callback_at(link))
            schedule(future, callback_at(link));
        else
            waiter->wake(waiter, future);
    }
}

static void finish(rota_future *future, short state, intptr_t result)
{
    future->state = state;
    future->result = result;
    tell(future);
}

static void unlink_callbacks(rota_future *future, struct rota__link *list)
{
    struct rota__link *at = list->next;

    while (at != list) {
        struct rota__link *next = at->next;
        rota_handle *handle = callback_at(at);

        if (handle && handle->owner == future) {
            rota__list_cut(at);
            rota__future_unschedule(handle);
            rota__handle_drop(handle);
        }
        at = next;
    }
}

/*
 * What another thread has sent may still be on its way. Waiters have been told
 * before, and may have waited for that thread to come to an end with it.
 */
static void withdraw(rota_future *future)
{
    if (rota__likely(__atomic_load_n(&future->posted_state, __ATOMIC_ACQUIRE) ==
                     PENDING))
        return;
    rota__take_from_threads(future->loop);
    rota__unready(&future->posted);
}

void rota_future_fini(rota_future *future)
{
    rota__check_thread(future->loop, "rota_future_fini");
    if (future->state == PENDING) {
        unlink_callbacks(future, &future->callbacks);
        finish(future, CANCELLED, -ECANCELED);
    } else if (future->scheduled > 0) {
        /* Those of a done future stand in the ready queue. */
        unlink_callbacks(future, &future->loop->ready);
        unlink_callbacks(future, &future->loop->running);
    }
    withdraw(future);
    if (future->state == ERROR && !future->retrieved)
        rota_call_exception_handler(
            future->loop,
            &(rota_exception_context){
                .message = "the error of a future was never retrieved",
                .error = future->result,
            });
}

int rota_future_set_result(rota_future *future, intptr_t result)
{
    rota__check_thread(future->loop, "rota_future_set_result");
    if (future->state != PENDING)
        return -ROTA_ESTATE;
    finish(future, RESULT, result);
    return 0;
}

int rota_future_set_exception(rota_future *future, int error)
{
    rota__check_thread(future->loop, "rota_future_set_exception");
    if (!rota_is_error(error))
        return -EINVAL;
    if (future->state != PENDING)
        return -ROTA_ESTATE;
    finish(future, ERROR, error);
    return 0;
}

static void deliver(struct rota__handle *handle)
{
    rota_future *future = rota__container_of(handle, rota_future, posted);
    int state = __atomic_load_n(&future->posted_state, __ATOMIC_RELAXED);

    if (future->state == PENDING)
        finish(future, (short)state, future->posted_result);
}

/* The first thread that comes has the say. */
static int post(rota_future *future, int state, intptr_t result)
{
    int nobody = PENDING;

    if (future->loop->closed)
        return -ROTA_ECLOSED;
    if (!__atomic_compare_exchange_n(&future->posted_state, &nobody, state,
                                     false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return -ROTA_ESTATE;
    future->posted_result = result;
    future->posted.run = deliver;
    rota__post(future->loop, &future->posted);
    return 0;
}

int rota_future_set_result_threadsafe(rota_future *future, intptr_t result)
{
    return post(future, RESULT, result);
}

int rota_future_set_exception_threadsafe(rota_future *future, int error)
{
    if (!rota_is_error(error))
        return -EINVAL;
    return post(future, error == -ECANCELED ? CANCELLED : ERROR, error);
}

bool rota_future_cancel(rota_future *future)
{
    rota__check_thread(future->loop, "rota_future_cancel");
    future->retrieved = true;
    if (future->state != PENDING)
        return false;
    finish(future, CANCELLED, -ECANCELED);
    return true;
}

rota_loop *rota_future_get_loop(const rota_future *future)
{
    return future->loop;
}

bool rota_future_done(const rota_future *future)
{
    return future->state != PENDING;
}

bool rota_future_cancelled(const rota_future *future)
{
    return future->state == CANCELLED;
}

int rota_future_result(rota_future *future, intptr_t *result)
{
    if (future->state == PENDING)
        return -ROTA_ESTATE;
    future->retrieved = true;
    if (future->state != RESULT)
        return (int)future->result;
    *result = future->result;
    return 0;
}

int rota_future_exception(rota_future *future)
{
    intptr_t ignored;

    return rota_future_result(future, &ignored);
}

void rota__handle_run_future(struct rota__handle *base)
{
    rota_handle *handle = rota__container_of(base, rota_handle, base);
    rota_future *future = handle->owner;
    rota_future_callback *callback =
        (rota_future_callback *)(uintptr_t)handle->callback;
    void *arg = handle->arg;

    rota__future_unschedule(handle);
    rota__handle_enter(handle, future->loop);
    rota__handle_finish(handle);
    callback(future, arg);
}

int rota_future_add_done_callback(rota_future *future, rota_handle *handle,
                                  rota_future_callback *callback, void *arg)
{
    rota_loop *loop = future->loop;
    int err = rota__check(loop, "rota_future_add_done_callback");

    if (err < 0)
        return err;
    if (!callback)
        return -EINVAL;
    if (handle && handle->state == ROTA__PENDING)
        return -EBUSY;
    handle =
        rota__handle_prepare(loop, handle, (rota_callback *)(uintptr_t)callback,
                             arg, rota__handle_run_future);
    if (!handle)
        return -ENOMEM;
    handle->owner = future;
    if (future->state == PENDING)
        rota__list_push(&future->callbacks, &handle->base.link);
    else
        schedule(future, handle);
    return 0;
}

int rota_future_remove_done_callback(rota_future *future,
                                     rota_future_callback *callback)
{
    struct rota__link *at = future->callbacks.next;
    int removed = 0;

    while (at != &future->callbacks) {
        struct rota__link *next = at->next;
        rota_handle *handle = callback_at(at);

        if (handle &&
            handle->callback == (rota_callback *)(uintptr_t)callback) {
            rota__list_cut(at);
            rota__handle_drop(handle);
            removed++;
        }
        at = next;
    }
    return removed;
}

static void stop_loop(rota_future *future, void *arg)
{
    (void)arg;
    rota_loop_stop(future->loop);
}

int rota_loop_run_until_future(rota_loop *loop, rota_future *future,
                               intptr_t *result)
{
    rota_handle done = {0};
    int err = future->loop == loop ? 0 : -EINVAL;

    if (err == 0)
        err = rota_future_add_done_callback(future, &done, stop_loop, NULL);
    if (err < 0)
        return err;
    err = rota_loop_run_forever(loop);
    rota_handle_cancel(&done);
    if (err < 0)
        return err;
    if (!rota_future_done(future))
        return -ROTA_ESTOPPED;
    return rota_future_result(future, result);
}
