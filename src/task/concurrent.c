/* SPDX-License-Identifier: MIT */
/*
 * Tasks for other threads
 *
 *     a thread --begin--> inbox --turn--> a task --its end--> result, told
 *              --cancel-> inbox --turn--> cancels the task
 *
 * The future belongs to whoever holds a reference: the thread that asked, and
 * the loop until the task is done. A message on its way to the loop holds one
 * as well, and hears of it when the loop closes first.
 */
#include "task/task.h"
#include <rota/concurrent.h>
#include <math.h>

struct cancel_message {
    struct rota__message message;
    rota_concurrent_future *future;
};

struct rota_concurrent_future {
    struct rota__message begin;
    struct cancel_message cancel;
    struct rota__owner owner;
    struct rota__at_close at_close;
    struct rota__bindings *bindings;
    rota_loop *loop;
    struct rota__task *task; /* of the loop's thread, while it runs */
    rota_future *wrapper;    /* of any loop, under the lock */
    struct rota__future_waiter wrapper_done;
    rota_task_function *function;
    void *arg;
    atomic_uint references;
    pthread_mutex_t lock;
    pthread_cond_t news;
    intptr_t result;
    bool done;
    bool cancelled;
};

static void unref(rota_concurrent_future *future)
{
    if (atomic_fetch_sub(&future->references, 1) > 1)
        return;
    rota__bindings_unref(future->bindings);
    pthread_cond_destroy(&future->news);
    pthread_mutex_destroy(&future->lock);
    rota__free(future);
}

/* Errors of a task are the future's errors. */
static void pass_on(rota_future *wrapper, intptr_t result)
{
    if (rota_is_error(result))
        (void)rota_future_set_exception_threadsafe(wrapper, (int)result);
    else
        (void)rota_future_set_result_threadsafe(wrapper, result);
}

/* False if it was done: a cancellation came first. */
static bool finish(rota_concurrent_future *future, intptr_t result,
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

/* With the only reference left nobody will ask, nor after a cancellation. */
static void report_unless_told(rota_concurrent_future *future,
                               struct rota__task *task, bool told)
{
    if (!rota_is_error(task->result) || task->result == -ECANCELED ||
        (told && atomic_load(&future->references) > 1))
        return;
    rota_call_exception_handler(
        future->loop, &(rota_exception_context){
                          .message = "a task that another thread has started "
                                     "has failed",
                          .error = task->result,
                          .name = rota__task_name(task),
                      });
}

static void task_done(struct rota__owner *owner, struct rota__task *task)
{
    rota_concurrent_future *future =
        rota__container_of(owner, rota_concurrent_future, owner);
    bool told;

    rota__at_close_remove(&future->at_close);
    future->task = NULL;
    task->loop->tasks->zombie = task;
    told = finish(future, task->result, task->result == -ECANCELED);
    report_unless_told(future, task, told);
    unref(future);
}

static void loop_closes(struct rota__at_close *at_close)
{
    rota_concurrent_future *future =
        rota__container_of(at_close, rota_concurrent_future, at_close);

    future->task->owner = NULL;
    future->task = NULL;
    finish(future, -ROTA_ECLOSED, false);
    unref(future);
}

/* From here on the task holds the loop's reference, and may give it back. */
static int start(rota_concurrent_future *future)
{
    struct rota__task *task;
    int err = rota__task_create(future->loop, &task, NULL, future->function,
                                future->arg, "another thread");

    if (err < 0)
        return err;
    rota__bindings_unref(task->actor.own.bindings);
    task->actor.own.bindings = rota__bindings_ref(future->bindings);
    task->owner = &future->owner;
    future->task = task;
    rota__at_close_add(future->loop, &future->at_close, loop_closes);
    if (rota__unlikely(rota__begins_eagerly(task->loop, NULL)))
        rota__task_begin(task);
    return 0;
}

static void begin(struct rota__message *message, bool dropped)
{
    rota_concurrent_future *future =
        rota__container_of(message, rota_concurrent_future, begin);
    int err = dropped ? -ROTA_ECLOSED : -ECANCELED;

    if (!dropped && !rota_concurrent_future_done(future))
        err = start(future);
    if (err == 0)
        return;
    finish(future, err, false);
    unref(future);
}

static void cancel(struct rota__message *message, bool dropped)
{
    rota_concurrent_future *future =
        rota__container_of(message, struct cancel_message, message)->future;

    if (!dropped && future->task)
        rota__task_cancel(future->task);
    unref(future);
}

static int init(rota_concurrent_future *future)
{
    int err = rota__cond_init(&future->news);

    if (err < 0)
        return err;
    pthread_mutex_init(&future->lock, NULL);
    atomic_init(&future->references, 2);
    return 0;
}

int rota_run_coroutine_threadsafe(rota_loop *loop, rota_concurrent_future **out,
                                  rota_task_function *function, void *arg)
{
    rota_concurrent_future *future;
    int err;

    if (!function)
        return -EINVAL;
    if (loop->closed)
        return -ROTA_ECLOSED;
    future = rota__zalloc(sizeof *future);
    if (!future)
        return -ENOMEM;
    err = init(future);
    if (err < 0) {
        rota__free(future);
        return err;
    }
    future->loop = loop;
    future->owner.child_done = task_done;
    future->function = function;
    future->arg = arg;
    future->bindings = rota__bindings_capture();
    future->cancel.future = future;
    *out = future;
    rota__send(loop, &future->begin, begin);
    if (loop->closed) /* the message may lie there until the loop is freed */
        finish(future, -ROTA_ECLOSED, false);
    return 0;
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
    if (!future->done && rota__running_loop == future->loop) {
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
    if (!finish(future, -ECANCELED, true))
        return false;
    atomic_fetch_add(&future->references, 1);
    rota__send(future->loop, &future->cancel.message, cancel);
    return true;
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
    unref(future);
}

static int wrap(rota_concurrent_future *concurrent, rota_future *future)
{
    if (concurrent->wrapper)
        return -EBUSY;
    if (concurrent->done) {
        pass_on(future, concurrent->result);
        return 0;
    }
    atomic_fetch_add(&concurrent->references, 1);
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
        unref(future);
}
