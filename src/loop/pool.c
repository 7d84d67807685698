/* SPDX-License-Identifier: MIT */
/*
 * Pools: threads for calls that block
 *
 * One for names and one for files, each made by its first job, with a thread
 * more for each job that finds none idle, up to MAX_THREADS. A thread takes a
 * job, does its work and posts the job's handle to the loop. Closing the loop
 * joins the threads and drops the jobs that have not begun or whose end has not
 * been seen.
 */
#include "loop/loop.h"

#define MAX_THREADS 8

struct rota__pool {
    rota_loop *loop;
    enum rota__pool_kind kind;
    struct rota__at_close at_close;
    pthread_mutex_t lock;
    pthread_cond_t work_to_do;
    struct rota__link jobs;
    size_t idle;
    size_t waiting; /* jobs in the queue */
    bool closing;
    size_t busy; /* of the loop's thread: submitted and not yet done */
    size_t thread_count;
    pthread_t threads[MAX_THREADS];
};

static struct rota__job *next_job(struct rota__pool *pool)
{
    struct rota__link *link;

    pthread_mutex_lock(&pool->lock);
    pool->idle++;
    while (rota__list_empty(&pool->jobs) && !pool->closing)
        pthread_cond_wait(&pool->work_to_do, &pool->lock);
    pool->idle--;
    link = pool->closing ? NULL : rota__list_pop(&pool->jobs);
    if (link)
        pool->waiting--;
    pthread_mutex_unlock(&pool->lock);
    return link ? rota__container_of(link, struct rota__job, link) : NULL;
}

static void *work(void *arg)
{
    struct rota__pool *pool = arg;
    struct rota__job *job;

    while ((job = next_job(pool)) != NULL) {
        job->work(job);
        rota__post(pool->loop, &job->handle);
    }
    return NULL;
}

static struct rota__job *job_of(struct rota__handle *handle)
{
    return rota__container_of(handle, struct rota__job, handle);
}

static void finish_job(struct rota__handle *handle)
{
    struct rota__job *job = job_of(handle);

    job->pool->busy--;
    job->done(job);
}

static void drop(struct rota__job *job)
{
    job->dropped = true;
    job->done(job);
}

static void drop_waiting(struct rota__pool *pool)
{
    struct rota__link *link;

    while ((link = rota__list_pop(&pool->jobs)) != NULL)
        drop(rota__container_of(link, struct rota__job, link));
}

/* Jobs that are done, but whose loop will not turn again. */
static void drop_unseen(const struct rota__pool *pool)
{
    rota_loop *loop = pool->loop;
    struct rota__link *at;

    rota__take_from_threads(loop);
    for (at = loop->ready.next; at != &loop->ready;) {
        struct rota__handle *handle =
            rota__container_of(at, struct rota__handle, link);

        at = at->next;
        if (handle->run != finish_job || job_of(handle)->pool != pool)
            continue;
        rota__unready(handle);
        drop(job_of(handle));
    }
}

static void close_pool(struct rota__at_close *at_close)
{
    struct rota__pool *pool =
        rota__container_of(at_close, struct rota__pool, at_close);

    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work_to_do);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    drop_waiting(pool);
    drop_unseen(pool);
    pthread_cond_destroy(&pool->work_to_do);
    pthread_mutex_destroy(&pool->lock);
    pool->loop->pools[pool->kind] = NULL;
    rota__free(pool);
}

static int make_pool(rota_loop *loop, enum rota__pool_kind kind)
{
    struct rota__pool *pool = rota__zalloc(sizeof *pool);

    if (!pool)
        return -ENOMEM;
    pool->loop = loop;
    pool->kind = kind;
    rota__list_init(&pool->jobs);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work_to_do, NULL);
    rota__at_close_add(loop, &pool->at_close, close_pool);
    loop->pools[kind] = pool;
    return 0;
}

/* With a thread at hand, a job is never refused for want of another. */
static int hire(struct rota__pool *pool, bool needed)
{
    int err;

    if (!needed || pool->thread_count == MAX_THREADS)
        return 0;
    err = rota__thread_start(&pool->threads[pool->thread_count], work, pool);
    if (err == 0)
        pool->thread_count++;
    return pool->thread_count > 0 ? 0 : err;
}

int rota__pool_submit(rota_loop *loop, enum rota__pool_kind kind,
                      struct rota__job *job)
{
    struct rota__pool *pool;
    bool needed;
    int err = loop->pools[kind] ? 0 : make_pool(loop, kind);

    if (err < 0)
        return err;
    pool = loop->pools[kind];
    pthread_mutex_lock(&pool->lock);
    needed = pool->idle <= pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    err = hire(pool, needed);
    if (err < 0)
        return err;
    job->loop = loop;
    job->pool = pool;
    job->dropped = false;
    job->handle.run = finish_job;
    pool->busy++;
    pthread_mutex_lock(&pool->lock);
    rota__list_push(&pool->jobs, &job->link);
    pool->waiting++;
    pthread_cond_signal(&pool->work_to_do);
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

bool rota__pool_cancel(struct rota__job *job)
{
    struct rota__pool *pool = job->pool;
    bool waiting;

    pthread_mutex_lock(&pool->lock);
    waiting = !rota__list_empty(&job->link);
    if (waiting) {
        rota__list_remove(&job->link);
        pool->waiting--;
        pool->busy--;
    }
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

size_t rota__pool_busy(const rota_loop *loop)
{
    size_t busy = 0;

    for (int kind = 0; kind < ROTA__POOLS; kind++)
        if (loop->pools[kind])
            busy += loop->pools[kind]->busy;
    return busy;
}
