/* SPDX-License-Identifier: MIT */
/*
 * The peer libuv: callbacks only, so it has no tasks
 *
 * call_soon is an idle handle that is started and stops itself. Delays are
 * rounded up to libuv's milliseconds. Other works are in libuv_executor.c and
 * libuv_child.c, the services in libuv_net.c and libuv_http.c.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "libuv_net.h"
#include "libuv_works.h"
#include "peer.h"

static uv_loop_t loop;
static long calls;

/* call_soon */

static void on_idle(uv_idle_t *idle)
{
    calls++;
    uv_idle_stop(idle);
}

static double call_soon(long n)
{
    uv_idle_t *batch = peer_alloc(PEER_BATCH, sizeof *batch);
    long rounds = n / PEER_BATCH;
    int64_t start;

    for (long i = 0; i < PEER_BATCH; i++)
        uv_idle_init(&loop, &batch[i]);
    start = peer_cpu_ns();
    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < PEER_BATCH; i++)
            uv_idle_start(&batch[i], on_idle);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    peer_check(calls == rounds * PEER_BATCH, "a callback did not run");
    return peer_ns_per_op(start, calls);
}

/* Timers */

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
    calls++;
}

static uv_timer_t *new_timers(long n)
{
    uv_timer_t *timers = peer_alloc(n, sizeof *timers);

    for (long i = 0; i < n; i++)
        uv_timer_init(&loop, &timers[i]);
    uv_update_time(&loop);
    return timers;
}

static void arm(uv_timer_t *timers, const int64_t *delays, long n)
{
    for (long i = 0; i < n; i++) {
        int64_t ms = (delays[i] + PEER_NS_PER_MS - 1) / PEER_NS_PER_MS;

        uv_timer_start(&timers[i], on_timer, (uint64_t)ms, 0);
    }
}

static double timer_arm(long n)
{
    uv_timer_t *timers = new_timers(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    int64_t start = peer_cpu_ns();

    arm(timers, delays, n);
    return peer_ns_per_op(start, n);
}

static double timer_cancel(long n)
{
    uv_timer_t *timers = new_timers(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    long *order = peer_order(n);
    int64_t start;

    arm(timers, delays, n);
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++)
        uv_timer_stop(&timers[order[i]]);
    return peer_ns_per_op(start, n);
}

static double timer_fire(long n)
{
    uv_timer_t *timers = new_timers(n);
    int64_t *delays = peer_delays(n, PEER_NEAR_FROM, PEER_NEAR_SPAN);
    int64_t start;

    arm(timers, delays, n);
    peer_sleep_until(peer_wall_ns() + PEER_ALL_DUE);
    start = peer_cpu_ns();
    uv_run(&loop, UV_RUN_DEFAULT);
    peer_check(calls == n, "a timer did not fire");
    return peer_ns_per_op(start, n);
}

static double timer_churn(long n)
{
    uv_timer_t *timers = new_timers(PEER_CHURN);
    int64_t *delays = peer_delays(PEER_CHURN, PEER_FAR_FROM, PEER_FAR_SPAN);
    int64_t start;

    arm(timers, delays, PEER_CHURN);
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++) {
        if (i % PEER_TURN == 0)
            uv_update_time(&loop);
        uv_timer_start(&timers[i % PEER_CHURN], on_timer, PEER_TIMEOUT_S * 1000,
                       0);
    }
    return peer_ns_per_op(start, n);
}

int main(int argc, char **argv)
{
    static const struct peer_work works[] = {
        {"call_soon", call_soon, 50000000},
        {"timer_arm", timer_arm, PEER_MILLION},
        {"timer_cancel", timer_cancel, PEER_MILLION},
        {"timer_fire", timer_fire, PEER_MILLION},
        {"timer_churn", timer_churn, 5000000},
        {"executor-1", libuv_executor_1, 200000},
        {"executor-64", libuv_executor_64, 1000000},
        {"executor-1-wall", libuv_executor_1_wall, 100000},
        {"executor-64-wall", libuv_executor_64_wall, 500000},
        {"child-1", libuv_child_1, 1000},
        {"child-big", libuv_child_big, 1000},
        {"child-1000", libuv_child_1000, PEER_BATCH},
        {"pipe-out", libuv_pipe_out, PEER_PIPED},
        {"pipe-in", libuv_pipe_in, PEER_PIPED},
        {"pipe-both", libuv_pipe_both, PEER_PIPED},
        {"file-pread", libuv_file_pread, 1000000},
        {"file-small", libuv_file_small, 50000},
        {"file-sync", libuv_file_sync, 200},
        {"signal", libuv_signal, 200000},
        {NULL, NULL, 0},
    };
    static const struct peer_service services[] = {
        {"echo", libuv_echo}, {"relay", libuv_echo},
        {"unix", libuv_unix}, {"udp", libuv_udp},
#ifdef BENCH_HTTP_PARSER
        {"http", libuv_http},
#endif
        {NULL, NULL},
    };

    uv_loop_init(&loop);
    return peer_main(argc, argv, works, services);
}
