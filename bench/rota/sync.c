/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: tasks that talk to each other, or wait for many
 */
#include "micro.h"
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>

struct ends {
    rota_queue *in;
    rota_queue *out;
    long rounds;
};

static intptr_t pong(void *arg)
{
    const struct ends *ends = arg;
    intptr_t ball;

    for (long left = ends->rounds; left > 0; left--) {
        micro_must(rota_queue_get(ends->in, &ball));
        micro_must(rota_queue_put(ends->out, &ball));
    }
    return 0;
}

static double queue_body(long n)
{
    struct ends ends = {NULL, NULL, n / 2};
    intptr_t ball = 7;
    int64_t start;
    double figure;
    rota_task task;

    micro_must(rota_queue_new(&ends.in, sizeof ball, 1));
    micro_must(rota_queue_new(&ends.out, sizeof ball, 1));
    micro_must(rota_create_task(&task, pong, &ends));
    start = peer_cpu_ns();
    for (long left = ends.rounds; left > 0; left--) {
        micro_must(rota_queue_put(ends.in, &ball));
        micro_must(rota_queue_get(ends.out, &ball));
    }
    figure = peer_ns_per_op(start, ends.rounds * 2);
    micro_must(rota_await(task));
    rota_queue_free(ends.in);
    rota_queue_free(ends.out);
    return figure;
}

double queue(long n)
{
    return micro_run(queue_body, n);
}

static double lock_body(long n)
{
    rota_lock lock;
    int64_t start;

    rota_lock_init(&lock);
    start = peer_cpu_ns();
    for (long left = n; left > 0; left--) {
        micro_must(rota_lock_acquire(&lock));
        micro_must(rota_lock_release(&lock));
    }
    return peer_ns_per_op(start, n);
}

double lock(long n)
{
    return micro_run(lock_body, n);
}

static intptr_t nothing(void *arg)
{
    (void)arg;
    return 0;
}

static double gather_body(long n)
{
    static rota_task tasks[PEER_BATCH];
    long rounds = n / PEER_BATCH;
    int64_t start = peer_cpu_ns();

    for (long i = 0; i < rounds; i++) {
        for (long j = 0; j < PEER_BATCH; j++)
            micro_must(rota_create_task(&tasks[j], nothing, NULL));
        micro_must(rota_gather(tasks, PEER_BATCH, NULL, false));
    }
    return peer_ns_per_op(start, rounds * PEER_BATCH);
}

double gather(long n)
{
    return micro_run(gather_body, n);
}

static double timeout_body(long n)
{
    int64_t start = peer_cpu_ns();
    rota_timeout timeout;

    for (long left = n; left > 0; left--) {
        micro_must(rota_timeout_begin(&timeout, 60));
        micro_must(rota_timeout_end(&timeout, 0));
    }
    return peer_ns_per_op(start, n);
}

double timeout_scope(long n)
{
    return micro_run(timeout_body, n);
}

static intptr_t sleep_long(void *arg)
{
    (void)arg;
    return rota_sleep(3600);
}

/* Of all n tasks, in milliseconds. */
static double print_body(long n)
{
    rota_task *tasks = peer_alloc(n, sizeof(*tasks));
    FILE *out = fopen("/dev/null", "w");
    int64_t start;
    double figure;

    for (long i = 0; i < n; i++)
        micro_must(rota_create_task(&tasks[i], sleep_long, NULL));
    micro_must(rota_sleep(0));
    start = peer_cpu_ns();
    micro_must(rota_print_tasks(rota_get_running_loop(), out));
    figure = (double)(peer_cpu_ns() - start) / 1e6;
    for (long i = 0; i < n; i++)
        micro_must(rota_task_cancel(tasks[i]));
    micro_must(rota_gather(tasks, (size_t)n, NULL, true));
    fclose(out);
    free(tasks);
    return figure;
}

double print_tasks(long n)
{
    return micro_run(print_body, n);
}
