/* SPDX-License-Identifier: MIT */
/*
 * Calls from any thread, and their futures
 *
 * The job is part of its future, which it holds a reference of.
 */
#include "loop/job.h"
#include "task/concurrent.h"
#include <stdalign.h>

struct submitted {
    rota_concurrent_future future;
    struct rota__job job;
    void *arg; /* where the block goes back to */
    alignas(max_align_t) char block[];
};

static struct submitted *submitted_of(struct rota__job *job)
{
    return rota__container_of(job, struct submitted, job);
}

/* On the thread that ends it. */
static void ended(struct rota__job *job)
{
    struct submitted *self = submitted_of(job);

    if (job->call.size > 0)
        memcpy(self->arg, job->call.arg, job->call.size);
    (void)rota__concurrent_finish(&self->future, job->result,
                                  job->result == -ECANCELED);
}

static void release(struct rota__job *job)
{
    rota__concurrent_unref(&submitted_of(job)->future);
}

/* What has begun cannot be cancelled. */
static bool cancel(rota_concurrent_future *future)
{
    struct submitted *self =
        rota__container_of(future, struct submitted, future);

    return !rota_concurrent_future_done(future) &&
           rota__job_cancel(&self->job) &&
           rota__concurrent_finish(future, -ECANCELED, true);
}

static void free_submitted(rota_concurrent_future *future)
{
    rota__free(rota__container_of(future, struct submitted, future));
}

static const struct rota__concurrent_ops submitted_ops = {cancel,
                                                          free_submitted};

static struct submitted *make(rota_work_function *function, void *arg,
                              size_t size)
{
    struct submitted *self = size <= SIZE_MAX - sizeof *self
                                 ? rota__zalloc(sizeof *self + size)
                                 : NULL;

    if (!self)
        return NULL;
    if (rota__concurrent_init(&self->future, &submitted_ops, NULL) < 0) {
        rota__free(self);
        return NULL;
    }
    self->job.call.function = function;
    self->job.call.arg = size > 0 ? memcpy(self->block, arg, size) : arg;
    self->job.call.size = size;
    self->job.ended = ended;
    self->job.release = release;
    self->arg = arg;
    return self;
}

int rota_executor_submit(rota_executor *executor, rota_concurrent_future **out,
                         rota_work_function *function, void *arg, size_t size)
{
    struct submitted *self;
    int err;

    if (!executor || !function || (size > 0 && !arg))
        return -EINVAL;
    self = make(function, arg, size);
    if (!self)
        return -ENOMEM;
    err = rota__job_submit(&self->job, NULL, executor);
    if (err < 0) {
        release(&self->job);
        rota__concurrent_unref(&self->future);
        return err;
    }
    *out = &self->future;
    return 0;
}
