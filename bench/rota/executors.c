/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: calls on other threads and in other processes
 */
#include "micro.h"
#include "peer.h"

#include <stdlib.h>

enum { MAP_CHUNK = 100 };

static intptr_t add_one(void *arg)
{
    return (intptr_t)arg + 1;
}

/* Each waits for its call and makes the next. */
static intptr_t ask(void *arg)
{
    for (intptr_t i = 0; i < *(long *)arg; i++) {
        intptr_t answer = rota_run_in_executor(NULL, add_one, (void *)i, 0);

        micro_must(answer);
        peer_check(answer == i + 1, "not called");
    }
    return 0;
}

static void round_trips(long n, int in_flight)
{
    rota_task tasks[PEER_IN_FLIGHT];
    long each = n / in_flight;

    if (in_flight == 1) {
        ask(&each);
        return;
    }
    for (int i = 0; i < in_flight; i++)
        micro_must(rota_create_task(&tasks[i], ask, &each));
    micro_must(rota_gather(tasks, (size_t)in_flight, NULL, false));
}

static double cpu_of(long n, int in_flight)
{
    int64_t begin;

    round_trips(PEER_BATCH, in_flight);
    begin = peer_cpu_ns();
    round_trips(n, in_flight);
    return peer_ns_per_op(begin, n);
}

static double wall_of(long n, int in_flight)
{
    int64_t begin;

    round_trips(PEER_BATCH, in_flight);
    begin = peer_wall_ns();
    round_trips(n, in_flight);
    return peer_wall_ns_per_op(begin, n);
}

static double one_body(long n)
{
    return cpu_of(n, 1);
}

static double many_body(long n)
{
    return cpu_of(n, PEER_IN_FLIGHT);
}

static double one_wall_body(long n)
{
    return wall_of(n, 1);
}

static double many_wall_body(long n)
{
    return wall_of(n, PEER_IN_FLIGHT);
}

double executor_1(long n)
{
    return micro_run(one_body, n);
}

double executor_64(long n)
{
    return micro_run(many_body, n);
}

double executor_1_wall(long n)
{
    return micro_run(one_wall_body, n);
}

double executor_64_wall(long n)
{
    return micro_run(many_wall_body, n);
}

/* An application's executor, which makes each call at once: what a call costs
   without threads. */

static int make_at_once(rota_executor *executor, rota_job *job)
{
    (void)executor;
    if (rota_job_begin(job))
        rota_job_end(job, rota_job_run(job));
    return 0;
}

static double own_body(long n)
{
    static const rota_executor_ops ops = {.submit = make_at_once};
    rota_executor executor = {&ops};
    int64_t begin = peer_cpu_ns();

    for (intptr_t i = 0; i < n; i++)
        peer_check(rota_run_in_executor(&executor, add_one, (void *)i, 0) ==
                       i + 1,
                   "not called");
    return peer_ns_per_op(begin, n);
}

double executor_own(long n)
{
    return micro_run(own_body, n);
}

/* Processes */

static intptr_t answer(void *block)
{
    ++*(char *)block;
    return 0;
}

static rota_executor *one_process(void)
{
    rota_process_pool_options options = {.max_workers = 1};
    rota_executor *pool;
    char block[PEER_BLOCK] = {0};

    micro_must(rota_process_pool_new(&pool, &options));
    micro_must(rota_run_in_executor(pool, answer, block, sizeof block));
    return pool;
}

static double processes_1_body(long n)
{
    rota_executor *pool = one_process();
    char block[PEER_BLOCK] = {0};
    int64_t begin = peer_wall_ns();
    double ns;

    for (long i = 0; i < n; i++) {
        micro_must(rota_run_in_executor(pool, answer, block, sizeof block));
        peer_check(block[0] == (char)(i + 1), "not called");
    }
    ns = peer_wall_ns_per_op(begin, n);
    rota_executor_free(pool);
    return ns;
}

double processes_1(long n)
{
    return micro_run(processes_1_body, n);
}

static intptr_t add_one_to(void *item)
{
    return (intptr_t)(*(long *)item + 1);
}

static double processes_map_body(long n)
{
    rota_executor *pool = one_process();
    long *items = peer_alloc(n, sizeof *items);
    intptr_t *results = peer_alloc(n, sizeof *results);
    int64_t begin;
    double ns;

    for (long i = 0; i < n; i++)
        items[i] = i;
    begin = peer_wall_ns();
    micro_must(rota_executor_map(pool, add_one_to, items, (size_t)n,
                                 sizeof *items, MAP_CHUNK, results));
    ns = peer_wall_ns_per_op(begin, n);
    for (long i = 0; i < n; i++)
        peer_check(results[i] == i + 1, "not called");
    rota_executor_free(pool);
    free(items);
    free(results);
    return ns;
}

double processes_map(long n)
{
    return micro_run(processes_map_body, n);
}
