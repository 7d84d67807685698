/* SPDX-License-Identifier: MIT */
/*
 * Futures between threads: their result, and who waits for it
 */
#include "task/concurrent.h"
#include <math.h>

int rota__concurrent_init(rota_concurrent_future *future,
                          const struct rota__concurrent_ops *ops,
                          rota_loop *loop)
{
    int err = rota__cond_init(&future->news);

    if (err < 0)
        return err;
    pthread_mutex_init(&future->lock, NULL);
    atomic_init(&future->references, 2);
    future->ops = ops;
    future->loop = loop;
    return 0;
}

void rota__concurrent_ref(rota_concurrent_future *future)
{
    atomic_fetch_add(&future->references, 1);
}

void rota__concurrent_unref(rota_concurrent_future *future)
{
    if (atomic_fetch_sub(&future->references, 1) > 1)
        return;
    pthread_cond_destroy(&future->news);
    pthread_mutex_destroy(&future->lock);
    future->ops->free(future);
}

/* Errors are the future's errors. */
static void pass_on(rota_future *wrapper, intptr_t result)
{
    if (rota_is_error(result))
        (void)rota_future_set_exception_threadsafe(wrapper, (int)result);
    else
        (void)rota_future_set_result_threadsafe(wrapper, result);
}

bool rota__concurrent_finish(rota_concurrent_future *future, intptr_t result,
                             bool cancelled)
{
    bool first;

    pthread_mutex_lock(&future->lock);
    first = !future->done;
    if (first) {
        future->done = true;
        future->cancelled = cancelled;
        future->result = result;
        pthread_cond_broadcast(&future->news);
        if (future->wrapper)
            pass_on(future->wrapper, result);
        future->wrapper = NULL;
    }
    pthread_mutex_unlock(&future->lock);
    return first;
}

static bool wait_until(rota_concurrent_future *future, int64_t deadline)
{
    bool in_time = true;

    while (!future->done && in_time)
        in_time = rota__cond_wait(&future->news, &future->lock, deadline);
    return future->done;
}

static int64_t deadline_of(double timeout)
{
    if (timeout == (double)INFINITY)
        return ROTA__FOREVER;
    return rota__clock_now() + rota__to_ns(timeout);
}

intptr_t rota_concurrent_future_result(rota_concurrent_future *future,
                                       double timeout)
{
    intptr_t result = -ETIMEDOUT;

    if (isnan(timeout))
        return -EINVAL;
    pthread_mutex_lock(&future->lock);
    if (!future->done && future->loop && rota__running_loop == future->loop) {
        pthread_mutex_unlock(&future->lock);
        return rota__misuse(future->loop, -EDEADLK,
                            "rota_concurrent_future_result",
                            "the loop's own thread must not wait for it");
    }
    if (wait_until(future, deadline_of(timeout)))
        result = future->cancelled ? -ECANCELED : future->result;
    pthread_mutex_unlock(&future->lock);
    return result;
}

bool rota_concurrent_future_cancel(rota_concurrent_future *future)
{
    return future->ops->cancel(future);
}

/*
 * The wrapper is done, by us or by somebody else. The lock also waits for the
 * thread that has passed the result on and is still on its way out.
 */
static void unwrap(struct rota__future_waiter *waiter, rota_future *wrapper)
{
    rota_concurrent_future *future =
        rota__container_of(waiter, rota_concurrent_future, wrapper_done);

    pthread_mutex_lock(&future->lock);
    future->wrapper = NULL;
    pthread_mutex_unlock(&future->lock);
    if (rota_future_cancelled(wrapper))
        (void)rota_concurrent_future_cancel(future);
    rota__concurrent_unref(future);
}

static int wrap(rota_concurrent_future *concurrent, rota_future *future)
{
    if (concurrent->wrapper)
        return -EBUSY;
    if (concurrent->done) {
        pass_on(future, concurrent->result);
        return 0;
    }
    rota__concurrent_ref(concurrent);
    concurrent->wrapper = future;
    concurrent->wrapper_done.wake = unwrap;
    rota__list_push(&future->callbacks, &concurrent->wrapper_done.link);
    return 0;
}

int rota_wrap_future(rota_concurrent_future *concurrent, rota_future *future)
{
    int err = rota__check(future->loop, "rota_wrap_future");

    if (err < 0)
        return err;
    if (rota_future_done(future))
        return -ROTA_ESTATE;
    pthread_mutex_lock(&concurrent->lock);
    err = wrap(concurrent, future);
    pthread_mutex_unlock(&concurrent->lock);
    return err;
}

bool rota_concurrent_future_done(rota_concurrent_future *future)
{
    bool done;

    pthread_mutex_lock(&future->lock);
    done = future->done;
    pthread_mutex_unlock(&future->lock);
    return done;
}

bool rota_concurrent_future_cancelled(rota_concurrent_future *future)
{
    bool cancelled;

    pthread_mutex_lock(&future->lock);
    cancelled = future->cancelled;
    pthread_mutex_unlock(&future->lock);
    return cancelled;
}

void rota_concurrent_future_free(rota_concurrent_future *future)
{
    if (future)
        rota__concurrent_unref(future);
}
