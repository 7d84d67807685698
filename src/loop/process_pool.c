/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes
 *
 *     a thread of a pool  ---- socket ----  its process
 *
 * Each thread owns one process, forked for its first job, and serves it in
 * plain blocking calls: send a job, wait for the answer. So no loop is needed,
 * and what befalls a process is the affair of one thread and its one caller.
 * A thread that ends takes its process with it.
 *
 * A process that died while it had nothing to do is replaced unseen; so is one
 * that died before it had read all of a request, for then the function cannot
 * have begun. Otherwise the caller is told, since it may have.
 */
#include "loop/job.h"
#include "loop/process_worker.h"
#include <math.h>

struct process_pool {
    rota_process_pool_options options;
    int64_t timeout; /* ns, or ROTA__FOREVER */
};

struct process {
    struct rota__fork fork;
    bool exists;
    int calls;
};

static int error_of(int returncode)
{
    if (returncode < 0 && returncode > -32)
        return -(ROTA_EBROKENPOOL - returncode);
    return -ROTA_EBROKENPOOL;
}

/* How it has ended, as an error. */
static int end_process(struct process *process)
{
    process->exists = false;
    return error_of(rota__fork_end(&process->fork));
}

/* One whose connection has ended is ending itself: the signal comes too late
   to change how. */
static int kill_process(struct process *process)
{
    rota__fork_kill(&process->fork);
    return end_process(process);
}

static int wait_until_ready(struct process *process)
{
    struct rota__work_answer hello;
    struct iovec part = {&hello, sizeof hello};

    if (rota__fork_receive(&process->fork, &part, 1, ROTA__FOREVER) < 0)
        return kill_process(process);
    return 0;
}

static int make_process(const struct process_pool *pool,
                        struct process *process)
{
    int err = rota__fork(&process->fork);

    if (err < 0)
        return err;
    if (err > 0)
        rota__process_work(&process->fork, &pool->options);
    process->exists = true;
    process->calls = 0;
    return wait_until_ready(process);
}

static int have_process(const struct process_pool *pool,
                        struct process *process)
{
    if (process->exists && !rota__fork_is_quiet(&process->fork))
        (void)kill_process(process);
    return process->exists ? 0 : make_process(pool, process);
}

static int send_job(const struct process *process, const rota_job *job,
                    int64_t deadline)
{
    struct rota__work_request request = {job->function, job->arg, job->size};
    struct iovec parts[] = {{&request, sizeof request}, {job->arg, job->size}};

    return rota__fork_send(&process->fork, parts, job->size > 0 ? 2 : 1,
                           deadline);
}

static int receive_answer(const struct process *process, const rota_job *job,
                          int64_t deadline, intptr_t *result)
{
    struct rota__work_answer answer;
    struct iovec head = {&answer, sizeof answer};
    struct iovec block = {job->arg, job->size};
    int err = rota__fork_receive(&process->fork, &head, 1, deadline);

    if (err == 0 && answer.size > 0)
        err = rota__fork_receive(&process->fork, &block, 1, deadline);
    *result = answer.result;
    return err;
}

/* 0 and the function's result, or an error; -ECONNRESET: the process has
   ended, and the function has not begun. */
static int call(const struct process_pool *pool, struct process *process,
                const rota_job *job, intptr_t *result)
{
    int64_t deadline = pool->timeout;
    int err = process->exists ? 0 : make_process(pool, process);

    if (err < 0)
        return err;
    if (deadline != ROTA__FOREVER)
        deadline += rota__clock_now();
    err = send_job(process, job, deadline);
    if (err == -EPIPE)
        return -ECONNRESET;
    return err < 0 ? err : receive_answer(process, job, deadline, result);
}

/* --- What each thread does ----------------------------------------------- */

static int begin(rota_executor *executor, void **worker)
{
    (void)executor;
    *worker = rota__zalloc(sizeof(struct process));
    return *worker ? 0 : -ENOMEM;
}

static int prepare(rota_executor *executor, void *worker)
{
    return have_process(rota__thread_pool_arg(executor), worker);
}

/* A process that dies while it has nothing to do is reaped. */
static bool idle(rota_executor *executor, void *worker,
                 const struct rota__wake *bell, int64_t deadline)
{
    struct process *process = worker;
    int news;

    (void)executor;
    if (!process || !process->exists)
        return rota__fork_idle(NULL, bell, deadline) >= 0;
    news = rota__fork_idle(&process->fork, bell, deadline);
    if (news > 0)
        (void)kill_process(process);
    return news >= 0;
}

static void end(rota_executor *executor, void *worker)
{
    struct process *process = worker;

    (void)executor;
    if (process->exists)
        (void)end_process(process);
    rota__free(process);
}

static intptr_t give_up(struct process *process, int err)
{
    int how;

    if (!process->exists)
        return err;
    how = kill_process(process);
    return err == -EPIPE || err == -ECONNRESET ? how : err;
}

static intptr_t run(rota_executor *executor, void *worker, rota_job *job)
{
    const struct process_pool *pool = rota__thread_pool_arg(executor);
    struct process *process = worker;
    intptr_t result = 0;
    int err = call(pool, process, job, &result);

    if (err == -ECONNRESET) {
        (void)kill_process(process);
        err = call(pool, process, job, &result);
    }
    if (err < 0)
        return give_up(process, err);
    if (++process->calls == pool->options.max_tasks_per_child)
        (void)end_process(process);
    return result;
}

static int check(rota_executor *executor, const rota_job *job)
{
    (void)executor;
    return job->size > ROTA_PROCESS_POOL_MAX_SIZE ? -EMSGSIZE : 0;
}

static void free_pool(rota_executor *executor)
{
    rota__free(rota__thread_pool_arg(executor));
}

static const struct rota__work_ops work_ops = {
    .prepare = prepare,
    .idle = idle,
    .run = run,
    .begin = begin,
    .end = end,
    .check = check,
    .free = free_pool,
};

/* --- Making one ---------------------------------------------------------- */

static bool are_valid(const rota_process_pool_options *options)
{
    return options->max_workers >= 0 && options->max_queue >= 0 &&
           options->max_tasks_per_child >= 0 && options->timeout >= 0 &&
           options->idle_timeout >= 0;
}

static rota_thread_pool_options
threads_for(const rota_process_pool_options *options)
{
    rota_thread_pool_options threads = {
        .max_workers = options->max_workers,
        .max_queue = options->max_queue,
        .idle_timeout = options->idle_timeout,
    };

    if (threads.max_workers == 0)
        threads.max_workers = rota__processors();
    if (threads.idle_timeout == 0)
        threads.idle_timeout = (double)INFINITY;
    return threads;
}

int rota_process_pool_new(rota_executor **out,
                          const rota_process_pool_options *options)
{
    static const rota_process_pool_options defaults;
    rota_thread_pool_options threads;
    struct process_pool *pool;
    int err;

    if (!options)
        options = &defaults;
    if (!are_valid(options))
        return -EINVAL;
    pool = rota__zalloc(sizeof *pool);
    if (!pool)
        return -ENOMEM;
    pool->options = *options;
    pool->timeout = ROTA__FOREVER;
    if (options->timeout > 0 && options->timeout < (double)INFINITY)
        pool->timeout = rota__to_ns(options->timeout);
    threads = threads_for(options);
    err = rota__thread_pool_new(out, &threads, &work_ops, pool);
    if (err < 0)
        rota__free(pool);
    return err;
}
