/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for an executor
 *
 * A call is a block of memory of its own, with the copy of the arguments
 * behind it: a task that is cancelled goes on at once, and leaves the block to
 * the executor, which may be in the midst of it.
 */
#include "loop/job.h"
#include "task/task.h"
#include <math.h>
#include <stdalign.h>

struct calling;

struct call {
    struct rota__job job;
    struct calling *calling; /* NULL: nobody waits */
    alignas(max_align_t) char block[];
};

/* On the stack of the task that waits. */
struct calling {
    struct rota__waiter waiter;
    struct call *call;
    void *arg;
};

static struct call *call_of(struct rota__job *job)
{
    return rota__container_of(job, struct call, job);
}

static void ended(struct rota__job *job)
{
    struct calling *calling = call_of(job)->calling;

    if (!calling)
        return;
    call_of(job)->calling = NULL;
    if (!job->dropped && job->call.size > 0)
        memcpy(calling->arg, job->call.arg, job->call.size);
    rota__unpark(&calling->waiter, job->dropped ? -ROTA_ECLOSED : job->result);
}

static void release(struct rota__job *job)
{
    rota__bindings_unref(job->bindings);
    rota__free(call_of(job));
}

static bool cancel(struct rota__waiter *waiter)
{
    struct calling *calling =
        rota__container_of(waiter, struct calling, waiter);

    calling->call->calling = NULL;
    (void)rota__job_cancel(&calling->call->job);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

static struct call *make_call(rota_work_function *function, void *arg,
                              size_t size)
{
    struct call *call = size <= SIZE_MAX - sizeof *call
                            ? rota__alloc(sizeof *call + size)
                            : NULL;

    if (!call)
        return NULL;
    call->job = (struct rota__job){
        .call = {.function = function, .arg = arg, .size = size},
        .ended = ended,
        .release = release,
    };
    if (size > 0)
        call->job.call.arg = memcpy(call->block, arg, size);
    return call;
}

static intptr_t await_call(struct rota__task *self, rota_executor *executor,
                           struct call *call, void *arg)
{
    struct calling calling = {
        .waiter.cancel = cancel, .call = call, .arg = arg};
    int err;

    call->calling = &calling;
    err = rota__job_submit(&call->job, self->loop, executor);
    if (err < 0) {
        release(&call->job);
        return err;
    }
    rota__list_init(&calling.waiter.link);
    return rota__park(self, &calling.waiter);
}

static int check_call(struct rota__task *self, rota_work_function *function,
                      const void *arg, size_t size)
{
    if (!function || (size > 0 && !arg))
        return -EINVAL;
    return rota__check(self->loop, "rota_run_in_executor");
}

intptr_t rota_run_in_executor(rota_executor *executor,
                              rota_work_function *function, void *arg,
                              size_t size)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_run_in_executor", &err);
    struct call *call;

    if (self)
        err = check_call(self, function, arg, size);
    if (err < 0)
        return err;
    call = make_call(function, arg, size);
    if (!call)
        return -ENOMEM;
    return await_call(self, executor, call, arg);
}

intptr_t rota_to_thread(rota_work_function *function, void *arg, size_t size)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_to_thread", &err);
    struct call *call;

    if (self)
        err = check_call(self, function, arg, size);
    if (err < 0)
        return err;
    call = make_call(function, arg, size);
    if (!call)
        return -ENOMEM;
    call->job.in_context = true;
    call->job.bindings = rota__bindings_capture();
    return await_call(self, NULL, call, arg);
}

/* --- The default executor ------------------------------------------------ */

int rota_set_default_executor(rota_loop *loop, rota_executor *executor)
{
    int err = rota__check(loop, "rota_set_default_executor");

    if (err == 0 && loop->executor_shut)
        err = -ROTA_ESHUTDOWN;
    if (err == 0)
        loop->executor = executor;
    return err;
}

struct emptying {
    struct rota__job_watcher watcher;
    struct rota__waiter waiter;
    struct rota__timer timer;
    rota_loop *loop;
};

static void leave(struct emptying *self, intptr_t result)
{
    rota__list_remove(&self->watcher.link);
    rota__timer_cancel(self->loop, &self->timer);
    rota__unpark(&self->waiter, result);
}

static void job_gone(struct rota__job_watcher *watcher)
{
    struct emptying *self =
        rota__container_of(watcher, struct emptying, watcher);

    if (self->loop->default_jobs == 0)
        leave(self, 0);
}

static void too_late(struct rota__handle *handle)
{
    leave(rota__container_of(handle, struct emptying, timer.handle),
          -ETIMEDOUT);
}

static bool cancel_emptying(struct rota__waiter *waiter)
{
    leave(rota__container_of(waiter, struct emptying, waiter), -ECANCELED);
    return true;
}

static int wait_until_empty(struct rota__task *self, double timeout)
{
    struct emptying emptying = {
        .watcher.gone = job_gone,
        .waiter.cancel = cancel_emptying,
        .loop = self->loop,
    };
    int err = 0;

    rota__timer_init(&emptying.timer, too_late);
    if (timeout < (double)INFINITY)
        err = rota__timer_arm(self->loop, &emptying.timer,
                              rota__now_at_most(self->loop) +
                                  rota__to_ns(timeout));
    if (err < 0)
        return err;
    rota__list_push(&self->loop->job_watchers, &emptying.watcher.link);
    rota__list_init(&emptying.waiter.link);
    return (int)rota__park(self, &emptying.waiter);
}

int rota_shutdown_default_executor(double timeout)
{
    int err = 0;
    struct rota__task *self =
        rota__waiting_task("rota_shutdown_default_executor", &err);

    if (self && isnan(timeout))
        err = -EINVAL;
    if (err < 0)
        return err;
    self->loop->executor_shut = true;
    if (self->loop->default_jobs == 0)
        return 0;
    return wait_until_empty(self, timeout);
}
