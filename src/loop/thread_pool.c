/* SPDX-License-Identifier: MIT */
/*
 * Pools of threads
 *
 *     submit --> jobs (first come, first served) --> a worker: begin, run, end
 *
 * A worker without a job waits on a condition of its own, and the one that
 * came last is woken first: it is the warmest, and those that nobody needs
 * grow old and end. A job that finds nobody free makes a worker, up to the
 * pool's size. No thread ever polls.
 *
 * A worker that ends joins the one that ended before it, so that only one is
 * ever left to be joined, and that one by the pool's end.
 */
#include "loop/job.h"
#include <math.h>

#define MOST_WORKERS 32
#define IDLE_SECONDS 10.0

struct thread_pool {
    rota_executor executor;
    const struct rota__work_ops *ops;
    void *arg;
    rota_thread_pool_options options;
    int64_t idle_timeout;
    pthread_mutex_t lock;
    struct rota__link jobs;
    struct rota__link idle;  /* the last that came first */
    struct rota__link spare; /* workers without a thread */
    bool waking;             /* a worker that was idle is on its way */
    int waiting;             /* jobs */
    int workers;             /* that take jobs */
    int busy;                /* of these */
    int threads;             /* that have not ended */
    bool closing;
    bool has_ended;
    pthread_t ended; /* the last thread that did, still to be joined */
    pthread_cond_t all_ended;
};

/* Lives as long as its pool: who has let go of the lock may still wake it. */
struct worker {
    struct rota__link link; /* idle or spare */
    struct thread_pool *pool;
    void *own; /* of the ops */
    bool begun;
    bool busy;
    pthread_cond_t wake;
    struct rota__wake bell; /* instead, where the ops wait */
};

static _Thread_local const struct thread_pool *working_for;

static struct thread_pool *pool_of(const rota_executor *executor)
{
    return rota__container_of(executor, struct thread_pool, executor);
}

static struct worker *pop_worker(struct rota__link *list)
{
    struct rota__link *link = rota__list_pop(list);

    return link ? rota__container_of(link, struct worker, link) : NULL;
}

/* --- A worker ------------------------------------------------------------ */

static bool sleep_until(struct worker *self, int64_t deadline)
{
    struct thread_pool *pool = self->pool;
    bool in_time;

    if (!pool->ops)
        return rota__cond_wait(&self->wake, &pool->lock, deadline);
    pthread_mutex_unlock(&pool->lock);
    in_time =
        pool->ops->idle(&pool->executor, self->own, &self->bell, deadline);
    pthread_mutex_lock(&pool->lock);
    return in_time;
}

/* With the lock; false if it has waited long enough. */
static bool wait_for_work(struct worker *self)
{
    struct thread_pool *pool = self->pool;
    int64_t deadline = ROTA__FOREVER;
    bool in_time = true;

    if (pool->idle_timeout != ROTA__FOREVER)
        deadline = rota__clock_now() + pool->idle_timeout;
    rota__list_push(pool->idle.next, &self->link); /* before the first */
    while (in_time && !rota__list_empty(&self->link))
        in_time = sleep_until(self, deadline);
    if (!rota__list_empty(&self->link)) {
        rota__list_remove(&self->link);
        return false;
    }
    pool->waking = false;
    return true;
}

/*
 * With the lock: who is to be woken, once it is let go of. One at a time, who
 * wakes the next one if there is more to do: a woken one may well have done
 * all that there is before the others could begin.
 */
static struct worker *one_to_wake(struct thread_pool *pool)
{
    struct worker *worker;

    if (pool->waking || rota__list_empty(&pool->jobs))
        return NULL;
    worker = pop_worker(&pool->idle);
    pool->waking = worker != NULL;
    return worker;
}

static void wake(struct worker *worker)
{
    if (worker && worker->pool->ops)
        rota__wake_signal(&worker->bell);
    else if (worker)
        pthread_cond_signal(&worker->wake);
}

static void set_busy(struct worker *self, bool busy)
{
    self->pool->busy += busy - self->busy;
    self->busy = busy;
}

/* NULL: there is none, and it must not take any more. */
static rota_job *next_job(struct worker *self)
{
    struct thread_pool *pool = self->pool;
    struct worker *next = NULL;
    struct rota__link *link;
    bool stays = true;

    pthread_mutex_lock(&pool->lock);
    set_busy(self, false);
    while (stays && rota__list_empty(&pool->jobs))
        stays = !pool->closing && wait_for_work(self);
    link = rota__list_pop(&pool->jobs);
    if (link) {
        pool->waiting--;
        set_busy(self, true);
        next = one_to_wake(pool);
    } else {
        pool->workers--;
    }
    pthread_mutex_unlock(&pool->lock);
    wake(next);
    return link ? rota__container_of(link, rota_job, link) : NULL;
}

/* What it needs to work: for other pools this may fail. */
static int prepare(struct worker *self)
{
    struct thread_pool *pool = self->pool;
    int err = 0;

    if (pool->ops && !self->begun)
        err = pool->ops->begin(&pool->executor, &self->own);
    else if (!self->begun && pool->options.initializer)
        pool->options.initializer(pool->options.initializer_arg);
    if (err < 0)
        return err;
    self->begun = true;
    return pool->ops ? pool->ops->prepare(&pool->executor, self->own) : 0;
}

/*
 * One that cannot work leaves the job to the others; the last one tells. False
 * if it is to end.
 */
static bool leave_job(struct worker *self, rota_job *job)
{
    struct thread_pool *pool = self->pool;
    struct worker *next = NULL;
    bool leaves;

    pthread_mutex_lock(&pool->lock);
    leaves = pool->workers > 1;
    if (leaves) {
        set_busy(self, false);
        pool->workers--;
        pool->waiting++;
        rota__list_push(pool->jobs.next, &job->link); /* before the first */
        next = one_to_wake(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    wake(next);
    return leaves;
}

/* False if the worker is to end. */
static bool work_on(struct worker *self, rota_job *job)
{
    struct thread_pool *pool = self->pool;
    int err = prepare(self);

    if (err < 0 && leave_job(self, job))
        return false;
    if (!rota_job_begin(job))
        return true;
    if (err < 0)
        rota_job_end(job, err);
    else if (pool->ops)
        rota_job_end(job, pool->ops->run(&pool->executor, self->own, job));
    else
        rota_job_end(job, rota_job_run(job));
    return true;
}

static void join_the_one_before(struct thread_pool *pool)
{
    pthread_t before;
    bool join;

    pthread_mutex_lock(&pool->lock);
    join = pool->has_ended;
    before = pool->ended;
    pool->has_ended = true;
    pool->ended = pthread_self();
    pthread_mutex_unlock(&pool->lock);
    if (join)
        pthread_join(before, NULL);
}

static void end_work(struct worker *self)
{
    struct thread_pool *pool = self->pool;

    if (pool->ops && self->begun)
        pool->ops->end(&pool->executor, self->own);
    join_the_one_before(pool);
    pthread_mutex_lock(&pool->lock);
    self->begun = false;
    self->own = NULL;
    rota__list_push(&pool->spare, &self->link);
    pool->threads--;
    pthread_cond_broadcast(&pool->all_ended);
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *arg)
{
    struct worker *self = arg;
    rota_job *job;

    working_for = self->pool;
    do
        job = next_job(self);
    while (job && work_on(self, job));
    end_work(self);
    return NULL;
}

/* --- Taking jobs --------------------------------------------------------- */

static void free_worker(struct worker *worker)
{
    if (worker->pool->ops)
        rota__wake_close(&worker->bell);
    else
        pthread_cond_destroy(&worker->wake);
    rota__free(worker);
}

static int make_worker(struct thread_pool *pool, struct worker **out)
{
    struct worker *worker = rota__zalloc(sizeof *worker);
    int err;

    if (!worker)
        return -ENOMEM;
    worker->pool = pool;
    rota__list_init(&worker->link);
    err = pool->ops ? rota__wake_open(&worker->bell)
                    : rota__cond_init(&worker->wake);
    if (err < 0)
        rota__free(worker);
    else
        *out = worker;
    return err;
}

/* Without the lock; a worker that gets no thread becomes a spare one. */
static int start_worker(struct thread_pool *pool, struct worker *worker)
{
    pthread_t thread;
    int err = worker ? 0 : make_worker(pool, &worker);

    if (err < 0)
        return err;
    err = rota__thread_start_sized(&thread, work, worker,
                                   pool->options.stack_size);
    if (err < 0) {
        pthread_mutex_lock(&pool->lock);
        rota__list_push(&pool->spare, &worker->link);
        pthread_mutex_unlock(&pool->lock);
    }
    return err;
}

/* With the lock, which is let go of meanwhile; false if there is none. */
static bool end_one_waiting(struct thread_pool *pool, int error)
{
    struct rota__link *link = rota__list_pop(&pool->jobs);
    rota_job *job;

    if (!link)
        return false;
    job = rota__container_of(link, rota_job, link);
    pool->waiting--;
    pthread_mutex_unlock(&pool->lock);
    if (rota_job_begin(job))
        rota_job_end(job, error);
    pthread_mutex_lock(&pool->lock);
    return true;
}

static void count_worker(struct thread_pool *pool, int change)
{
    pool->workers += change;
    pool->threads += change;
    if (change < 0)
        pthread_cond_broadcast(&pool->all_ended);
}

/* With the lock, which is let go of meanwhile. */
static int hire(struct thread_pool *pool)
{
    struct worker *spare;
    int err;

    count_worker(pool, 1);
    spare = pop_worker(&pool->spare);
    pthread_mutex_unlock(&pool->lock);
    err = start_worker(pool, spare);
    pthread_mutex_lock(&pool->lock);
    if (err < 0)
        count_worker(pool, -1);
    /* Other threads' jobs may have relied on it. */
    while (err < 0 && pool->workers == 0 && end_one_waiting(pool, err))
        continue;
    return err;
}

/*
 * A worker more, if this job would find none free. With one at hand, a job is
 * never refused for want of another. A new one may be gone before we look.
 */
static int have_worker(struct thread_pool *pool)
{
    int err = 0;

    while (err == 0 && !pool->closing &&
           pool->waiting >= pool->workers - pool->busy &&
           pool->workers < pool->options.max_workers)
        err = hire(pool);
    if (pool->closing)
        return -ROTA_ESHUTDOWN;
    return pool->workers > 0 ? 0 : err;
}

static bool is_full(const struct thread_pool *pool)
{
    int free = pool->options.max_workers - pool->busy;

    return pool->options.max_queue > 0 &&
           pool->waiting - free >= pool->options.max_queue;
}

static int may_take(struct thread_pool *pool)
{
    if (pool->closing)
        return -ROTA_ESHUTDOWN;
    return is_full(pool) ? -ROTA_EFULL : 0;
}

/* The lock is let go of first, so that who wakes up finds it free. */
static void queue(struct thread_pool *pool, rota_job *job)
{
    struct worker *worker;

    rota__list_push(&pool->jobs, &job->link);
    pool->waiting++;
    worker = one_to_wake(pool);
    pthread_mutex_unlock(&pool->lock);
    wake(worker);
}

static int submit(rota_executor *executor, rota_job *job)
{
    struct thread_pool *pool = pool_of(executor);
    int err = 0;

    if (pool->ops && pool->ops->check)
        err = pool->ops->check(executor, job);
    if (err < 0)
        return err;
    pthread_mutex_lock(&pool->lock);
    err = may_take(pool);
    if (err == 0)
        err = have_worker(pool);
    if (err == 0)
        err = may_take(pool); /* the lock was open */
    if (err == 0)
        queue(pool, job);
    else
        pthread_mutex_unlock(&pool->lock);
    return err;
}

static bool cancel(rota_executor *executor, rota_job *job)
{
    struct thread_pool *pool = pool_of(executor);
    bool waiting;

    pthread_mutex_lock(&pool->lock);
    waiting = !rota__list_empty(&job->link);
    if (waiting) {
        rota__list_remove(&job->link);
        pool->waiting--;
    }
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

/* --- The end of a pool --------------------------------------------------- */

static void wait_for_all(struct thread_pool *pool)
{
    pthread_t last;
    bool join;

    pthread_mutex_lock(&pool->lock);
    while (pool->threads > 0)
        pthread_cond_wait(&pool->all_ended, &pool->lock);
    last = pool->ended;
    join = pool->has_ended;
    pool->has_ended = false;
    pthread_mutex_unlock(&pool->lock);
    if (join)
        pthread_join(last, NULL);
}

static int shut_down(rota_executor *executor, bool wait, bool cancel)
{
    struct thread_pool *pool = pool_of(executor);
    struct worker *worker;

    if (wait && working_for == pool)
        return -EDEADLK;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    while ((worker = pop_worker(&pool->idle)) != NULL)
        wake(worker);
    while (cancel && end_one_waiting(pool, -ECANCELED))
        continue;
    pthread_mutex_unlock(&pool->lock);
    if (wait)
        wait_for_all(pool);
    return 0;
}

static void free_workers(struct thread_pool *pool)
{
    struct worker *worker;

    while ((worker = pop_worker(&pool->spare)) != NULL)
        free_worker(worker);
}

static void free_pool(rota_executor *executor)
{
    struct thread_pool *pool = pool_of(executor);

    if (shut_down(executor, true, false) < 0)
        return;
    free_workers(pool);
    if (pool->ops)
        pool->ops->free(executor);
    pthread_cond_destroy(&pool->all_ended);
    pthread_mutex_destroy(&pool->lock);
    rota__free(pool);
}

/* --- Making one ---------------------------------------------------------- */

static const rota_executor_ops thread_pool_ops = {
    .submit = submit,
    .cancel = cancel,
    .shutdown = shut_down,
    .free = free_pool,
};

static int default_workers(void)
{
    int count = rota__processors() + 4;

    return count < MOST_WORKERS ? count : MOST_WORKERS;
}

static int init(struct thread_pool *pool)
{
    int err = rota__cond_init(&pool->all_ended);

    if (err < 0)
        return err;
    pthread_mutex_init(&pool->lock, NULL);
    rota__list_init(&pool->jobs);
    rota__list_init(&pool->idle);
    rota__list_init(&pool->spare);
    pool->executor.ops = &thread_pool_ops;
    if (pool->options.max_workers == 0)
        pool->options.max_workers = default_workers();
    if (pool->options.idle_timeout == 0)
        pool->options.idle_timeout = IDLE_SECONDS;
    pool->idle_timeout = ROTA__FOREVER;
    if (pool->options.idle_timeout < (double)INFINITY)
        pool->idle_timeout = rota__to_ns(pool->options.idle_timeout);
    return 0;
}

int rota__thread_pool_new(rota_executor **out,
                          const rota_thread_pool_options *options,
                          const struct rota__work_ops *ops, void *arg)
{
    struct thread_pool *pool = rota__zalloc(sizeof *pool);
    int err;

    if (!pool)
        return -ENOMEM;
    pool->options = *options;
    pool->ops = ops;
    pool->arg = arg;
    err = init(pool);
    if (err < 0) {
        rota__free(pool);
        return err;
    }
    *out = &pool->executor;
    return 0;
}

bool rota__is_thread_pool(const rota_executor *executor)
{
    return executor->ops == &thread_pool_ops;
}

void *rota__thread_pool_arg(const rota_executor *pool)
{
    return pool_of(pool)->arg;
}

int rota_thread_pool_new(rota_executor **out,
                         const rota_thread_pool_options *options)
{
    static const rota_thread_pool_options defaults;

    if (!options)
        options = &defaults;
    if (options->max_workers < 0 || options->max_queue < 0 ||
        !(options->idle_timeout >= 0))
        return -EINVAL;
    return rota__thread_pool_new(out, options, NULL, NULL);
}
