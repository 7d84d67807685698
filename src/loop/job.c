/* SPDX-License-Identifier: MIT */
/*
 * Jobs, from the side of their loop
 *
 * Nothing here waits for a job, but a loop that closes: it joins the threads
 * of its own pools, and leaves what other executors are still busy with to
 * them, as orphans that find no loop.
 */
#include "loop/job.h"

#define OWN_THREADS 8 /* at most, for names and for files */

enum { WAITING, ASKED, RUNNING, ENDED, CANCELLED, ORPHAN };

static struct rota__job *job_of(rota_job *call)
{
    return rota__container_of(call, struct rota__job, call);
}

static bool turns(struct rota__job *job, int from, int to)
{
    return atomic_compare_exchange_strong(&job->state, &from, to);
}

/* --- For executors ------------------------------------------------------- */

/* While it is ASKED, its executor must live, and so must not have ended it. */
bool rota_job_begin(rota_job *call)
{
    struct rota__job *job = job_of(call);

    while (rota__unlikely(!turns(job, WAITING, RUNNING))) {
        if (atomic_load(&job->state) == CANCELLED) {
            job->release(job);
            return false;
        }
        rota__thread_yield();
    }
    return true;
}

intptr_t rota_job_run(rota_job *call)
{
    const struct rota__job *job = job_of(call);

    if (job->in_context)
        return rota__context_run_in(job->bindings, call->function, call->arg);
    return call->function(call->arg);
}

/* A loop does not close between the two counts. */
static void post_end(struct rota__job *job)
{
    rota_loop *loop = job->loop;

    atomic_fetch_add(&loop->posters, 1);
    rota__post(loop, &job->handle);
    atomic_fetch_sub(&loop->posters, 1);
}

void rota_job_end(rota_job *call, intptr_t result)
{
    struct rota__job *job = job_of(call);

    job->result = result;
    if (!job->loop) {
        job->ended(job);
        job->release(job);
    } else if (rota__likely(turns(job, RUNNING, ENDED)) ||
               turns(job, WAITING, ENDED)) {
        post_end(job);
    } else {
        job->release(job);
    }
}

int rota_executor_shutdown(rota_executor *executor, bool wait, bool cancel)
{
    if (!executor->ops->shutdown)
        return 0;
    return executor->ops->shutdown(executor, wait, cancel);
}

void rota_executor_free(rota_executor *executor)
{
    if (executor && executor->ops->free)
        executor->ops->free(executor);
}

/* --- For the loop -------------------------------------------------------- */

static void count(const struct rota__job *job, int change)
{
    job->loop->job_count += (size_t)change;
    if (job->by_pool)
        job->loop->pool_jobs += (size_t)change;
    if (job->by_default)
        job->loop->default_jobs += (size_t)change;
}

/* The job itself may be gone. */
static void tell_watchers(rota_loop *loop)
{
    struct rota__link *at = loop->job_watchers.next;

    while (at != &loop->job_watchers) {
        struct rota__job_watcher *watcher =
            rota__container_of(at, struct rota__job_watcher, link);

        at = at->next;
        watcher->gone(watcher);
    }
}

static void forget(struct rota__job *job)
{
    rota__list_remove(&job->siblings);
    count(job, -1);
    tell_watchers(job->loop);
}

static void tell(struct rota__handle *handle)
{
    struct rota__job *job =
        rota__container_of(handle, struct rota__job, handle);

    forget(job);
    if (!job->dropped)
        job->ended(job);
    job->release(job);
}

static void remember(struct rota__job *job)
{
    rota__list_push(&job->loop->jobs, &job->siblings);
    count(job, 1);
}

int rota__job_submit(struct rota__job *job, rota_loop *loop,
                     rota_executor *executor)
{
    int err;

    if (!executor && loop->executor_shut)
        return -ROTA_ESHUTDOWN;
    if (!executor && !loop->executor)
        return rota__pool_submit(job, loop, ROTA__DEFAULT);
    if (loop && loop->closing)
        return -ROTA_ECLOSED;
    job->executor = executor ? executor : loop->executor;
    job->by_default |= !executor;
    job->by_pool = rota__is_thread_pool(job->executor);
    job->dropped = false;
    job->loop = loop;
    job->handle.run = tell;
    rota__list_init(&job->handle.link);
    rota__list_init(&job->call.link);
    atomic_init(&job->state, WAITING);
    if (loop)
        remember(job);
    err = job->executor->ops->submit(job->executor, &job->call);
    if (err < 0 && loop)
        forget(job);
    return err;
}

static int make_pool(rota_loop *loop, enum rota__pool_kind kind)
{
    rota_thread_pool_options options = {
        .max_workers = kind == ROTA__DEFAULT ? 0 : OWN_THREADS,
    };

    return rota__thread_pool_new(&loop->pools[kind], &options, NULL, NULL);
}

int rota__pool_submit(struct rota__job *job, rota_loop *loop,
                      enum rota__pool_kind kind)
{
    int err = 0;

    if (loop->closing)
        return -ROTA_ECLOSED;
    if (!loop->pools[kind])
        err = make_pool(loop, kind);
    if (err < 0)
        return err;
    job->by_default = kind == ROTA__DEFAULT;
    return rota__job_submit(job, loop, loop->pools[kind]);
}

/* One that is not withdrawn is the executor's, who will begin it. */
bool rota__job_cancel(struct rota__job *job)
{
    const rota_executor_ops *ops;

    if (!turns(job, WAITING, ASKED))
        return false;
    ops = job->executor->ops;
    if (job->loop)
        forget(job);
    if (ops->cancel && ops->cancel(job->executor, &job->call))
        job->release(job);
    else
        atomic_store(&job->state, CANCELLED);
    return true;
}

/* --- The end of a loop --------------------------------------------------- */

static void close_pool(rota_loop *loop, enum rota__pool_kind kind)
{
    rota_executor *pool = loop->pools[kind];

    if (!pool)
        return;
    (void)rota_executor_shutdown(pool, false, true);
    if (loop->wait_hooks.before)
        loop->wait_hooks.before(loop->wait_hooks.arg);
    rota_executor_free(pool);
    if (loop->wait_hooks.after)
        loop->wait_hooks.after(loop->wait_hooks.arg);
    loop->pools[kind] = NULL;
}

/* Jobs that have ended, but whose loop will not turn again. */
static void drop_ended(rota_loop *loop)
{
    struct rota__link *at;

    rota__take_from_threads(loop);
    for (at = loop->ready.next; at != &loop->ready;) {
        struct rota__handle *handle =
            rota__container_of(at, struct rota__handle, link);

        at = at->next;
        if (handle->run != tell)
            continue;
        rota__unready(handle);
        tell(handle);
    }
}

/* Who is told may cancel others. */
static void tell_dropped(rota_loop *loop)
{
    struct rota__link untold;
    struct rota__link *link;

    rota__list_init(&untold);
    rota__list_append(&untold, &loop->jobs);
    while ((link = rota__list_pop(&untold)) != NULL) {
        struct rota__job *job =
            rota__container_of(link, struct rota__job, siblings);

        rota__list_push(&loop->jobs, link);
        job->dropped = true;
        job->ended(job);
    }
}

/* What cannot be left to its executor has ended, and its post is coming. */
static void abandon(struct rota__job *job)
{
    if (rota__job_cancel(job))
        return;
    rota__list_remove(&job->siblings);
    count(job, -1);
    if (!turns(job, RUNNING, ORPHAN))
        remember(job);
}

static void abandon_all(rota_loop *loop)
{
    struct rota__link *at = loop->jobs.next;

    for (size_t left = loop->job_count; left > 0; left--) {
        struct rota__job *job =
            rota__container_of(at, struct rota__job, siblings);

        at = at->next;
        abandon(job);
    }
}

/* A matter of a few instructions of another thread. */
static void wait_for_posts(rota_loop *loop)
{
    while (drop_ended(loop), loop->job_count > 0)
        rota__thread_yield();
    rota__wait_for_posters(loop);
}

void rota__jobs_close(rota_loop *loop)
{
    for (int kind = 0; kind < ROTA__POOLS; kind++)
        close_pool(loop, (enum rota__pool_kind)kind);
    tell_dropped(loop);
    drop_ended(loop); /* of pools that are gone */
    abandon_all(loop);
    wait_for_posts(loop);
}
