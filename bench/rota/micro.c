/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: tasks, callbacks and memory
 */
#include "micro.h"
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>

struct body {
    double (*run)(long n);
    long n;
    double figure;
};

void micro_must(intptr_t result)
{
    if (!rota_is_error(result))
        return;
    fprintf(stderr, "rota_micro: %s\n", rota_strerror(result));
    exit(1);
}

static intptr_t run_body(void *arg)
{
    struct body *body = arg;

    body->figure = body->run(body->n);
    return 0;
}

double micro_run(double (*run)(long n), long n)
{
    struct body body = {run, n, 0};

    micro_must(rota_run(run_body, &body));
    return body.figure;
}

/* --- Tasks --------------------------------------------------------------- */

static intptr_t yield_many(void *arg)
{
    for (long left = *(long *)arg; left > 0; left--)
        micro_must(rota_sleep(0));
    return 0;
}

static double yield_among(long n, long tasks)
{
    rota_task *all = peer_alloc(tasks, sizeof(*all));
    long times = n / tasks;
    int64_t start;
    double figure;

    for (long i = 0; i < tasks; i++)
        micro_must(rota_create_task(&all[i], yield_many, &times));
    start = peer_cpu_ns();
    micro_must(rota_gather(all, (size_t)tasks, NULL, false));
    figure = peer_ns_per_op(start, times * tasks);
    free(all);
    return figure;
}

static double yield2_body(long n)
{
    return yield_among(n, 2);
}

static double yield1000_body(long n)
{
    return yield_among(n, 1000);
}

static double yield2(long n)
{
    return micro_run(yield2_body, n);
}

static double yield1000(long n)
{
    return micro_run(yield1000_body, n);
}

static intptr_t nothing(void *arg)
{
    (void)arg;
    return 0;
}

static double spawn1_body(long n)
{
    int64_t start = peer_cpu_ns();
    rota_task task;

    for (long i = 0; i < n; i++) {
        micro_must(rota_create_task(&task, nothing, NULL));
        micro_must(rota_await(task));
    }
    return peer_ns_per_op(start, n);
}

static double spawn1(long n)
{
    return micro_run(spawn1_body, n);
}

static double spawn1000_body(long n)
{
    static rota_task tasks[PEER_BATCH];
    long rounds = n / PEER_BATCH;
    int64_t start = peer_cpu_ns();

    for (long i = 0; i < rounds; i++) {
        for (long j = 0; j < PEER_BATCH; j++)
            micro_must(rota_create_task(&tasks[j], nothing, NULL));
        for (long j = 0; j < PEER_BATCH; j++)
            micro_must(rota_await(tasks[j]));
    }
    return peer_ns_per_op(start, rounds * PEER_BATCH);
}

static double spawn1000(long n)
{
    return micro_run(spawn1000_body, n);
}

/* --- Callbacks ----------------------------------------------------------- */

static void tick(void *arg)
{
    ++*(long *)arg;
}

static double call_soon_body(long n)
{
    static rota_handle handles[PEER_BATCH];
    rota_loop *loop = rota_get_running_loop();
    int64_t start = peer_cpu_ns();
    long ticks = 0;

    while (ticks < n) {
        for (long j = 0; j < PEER_BATCH; j++)
            micro_must(rota_call_soon(loop, &handles[j], tick, &ticks));
        micro_must(rota_sleep(0));
    }
    return peer_ns_per_op(start, ticks);
}

static double call_soon(long n)
{
    return micro_run(call_soon_body, n);
}

/* --- Memory -------------------------------------------------------------- */

static intptr_t sleep_long(void *arg)
{
    (void)arg;
    return rota_sleep(3600);
}

static double rss_body(long n)
{
    rota_task *tasks = peer_alloc(n, sizeof(*tasks));
    size_t before = peer_resident();
    double figure;

    for (long i = 0; i < n; i++)
        micro_must(rota_create_task(&tasks[i], sleep_long, NULL));
    micro_must(rota_sleep(0));
    micro_must(rota_sleep(0));
    figure = (double)(peer_resident() - before) / (double)n;
    for (long i = 0; i < n; i++)
        micro_must(rota_task_cancel(tasks[i]));
    micro_must(rota_gather(tasks, (size_t)n, NULL, true));
    free(tasks);
    return figure;
}

static double rss(long n)
{
    return micro_run(rss_body, n);
}

static const struct peer_work works[] = {
    {"switch", raw_switch, 50000000},
    {"yield2", yield2, 20000000},
    {"yield1000", yield1000, 20000000},
    {"spawn1", spawn1, 5000000},
    {"spawn1000", spawn1000, 5000000},
    {"gather1000", gather, 5000000},
    {"queue", queue, 10000000},
    {"lock", lock, 50000000},
    {"timeout", timeout_scope, 10000000},
    {"print", print_tasks, 10000},
    {"call_soon", call_soon, 20000000},
    {"timer_arm", timer_arm, PEER_MILLION},
    {"timer_cancel", timer_cancel, PEER_MILLION},
    {"timer_fire", timer_fire, PEER_MILLION},
    {"timer_churn", timer_churn, 10000000},
    {"rss", rss, PEER_SLEEPERS},
    {"million", rss, PEER_MILLION},
    {"echo", echo_in_process, 100000},
    {"executor-1", executor_1, 200000},
    {"executor-64", executor_64, 1000000},
    {"executor-1-wall", executor_1_wall, 100000},
    {"executor-64-wall", executor_64_wall, 500000},
    {"executor-own", executor_own, 5000000},
    {"processes-1", processes_1, 50000},
    {"processes-map", processes_map, 1000000},
    {"child-1", child_1, 1000},
    {"child-big", child_big, 1000},
    {"child-1000", child_1000, PEER_BATCH},
    {"pipe-out", pipe_out, PEER_PIPED},
    {"pipe-in", pipe_in, PEER_PIPED},
    {"pipe-both", pipe_both, PEER_PIPED},
    {"file-pread", file_pread, 1000000},
    {"file-small", file_small, 50000},
    {"file-sync", file_sync, 200},
    {"signal", raise_signals, 200000},
    {NULL, NULL, 0},
};

int main(int argc, char **argv)
{
    return peer_main(argc, argv, works, NULL);
}
