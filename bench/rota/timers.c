/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: timers
 */
#include "micro.h"
#include "peer.h"
#include <stdlib.h>

struct timers {
    rota_loop *loop;
    rota_timer_handle *handles;
    long n;
    long fired;
};

static void fire(void *arg)
{
    ++*(long *)arg;
}

static void arm(struct timers *timers, const int64_t *delays)
{
    for (long i = 0; i < timers->n; i++)
        micro_must(rota_call_later(timers->loop, &timers->handles[i],
                                   (double)delays[i] * 1e-9, fire,
                                   &timers->fired));
}

static struct timers make(long n)
{
    return (struct timers){
        .loop = rota_get_running_loop(),
        .handles = peer_alloc(n, sizeof(rota_timer_handle)),
        .n = n,
    };
}

static void end(struct timers *timers)
{
    for (long i = 0; i < timers->n; i++)
        rota_timer_handle_cancel(&timers->handles[i]);
    free(timers->handles);
}

static double arm_body(long n)
{
    struct timers timers = make(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    int64_t start = peer_cpu_ns();
    double figure;

    arm(&timers, delays);
    figure = peer_ns_per_op(start, n);
    end(&timers);
    free(delays);
    return figure;
}

double timer_arm(long n)
{
    return micro_run(arm_body, n);
}

static double cancel_body(long n)
{
    struct timers timers = make(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    long *order = peer_order(n);
    int64_t start;
    double figure;

    arm(&timers, delays);
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++)
        rota_timer_handle_cancel(&timers.handles[order[i]]);
    figure = peer_ns_per_op(start, n);
    end(&timers);
    free(delays);
    free(order);
    return figure;
}

double timer_cancel(long n)
{
    return micro_run(cancel_body, n);
}

static double fire_body(long n)
{
    struct timers timers = make(n);
    int64_t *delays = peer_delays(n, PEER_NEAR_FROM, PEER_NEAR_SPAN);
    int64_t start;
    double figure;

    arm(&timers, delays);
    peer_sleep_until(peer_wall_ns() + PEER_ALL_DUE);
    start = peer_cpu_ns();
    while (timers.fired < n)
        micro_must(rota_sleep(0));
    figure = peer_ns_per_op(start, n);
    end(&timers);
    free(delays);
    return figure;
}

double timer_fire(long n)
{
    return micro_run(fire_body, n);
}

static double churn_body(long n)
{
    struct timers timers = make(PEER_CHURN);
    int64_t *delays = peer_delays(PEER_CHURN, PEER_FAR_FROM, PEER_FAR_SPAN);
    int64_t start;
    double figure;

    arm(&timers, delays);
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++)
        micro_must(rota_timer_handle_reschedule_later(
            &timers.handles[i % PEER_CHURN], PEER_TIMEOUT_S));
    figure = peer_ns_per_op(start, n);
    end(&timers);
    free(delays);
    return figure;
}

double timer_churn(long n)
{
    return micro_run(churn_body, n);
}
