/* SPDX-License-Identifier: MIT */
/*
 * The peer libevent: callbacks only, so it has no tasks
 *
 * call_soon is event_active, the pushed-back timeout one of libevent's common
 * timeouts (a list instead of the heap). Every evtimer_add reads the clock, so
 * the timers that fire subtract the time that arming took so far. The services
 * are in libevent_net.c.
 */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "libevent_net.h"
#include "peer.h"

static struct event_base *base;
static long calls;

static void on_event(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events, (void)arg;
    calls++;
}

static struct event *new_events(long n)
{
    struct event *events = peer_alloc(n, sizeof *events);

    for (long i = 0; i < n; i++)
        evtimer_assign(&events[i], base, on_event, NULL);
    return events;
}

/* call_soon */

static double call_soon(long n)
{
    struct event *batch = new_events(PEER_BATCH);
    long rounds = n / PEER_BATCH;
    int64_t start = peer_cpu_ns();

    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < PEER_BATCH; i++)
            event_active(&batch[i], EV_TIMEOUT, 1);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    peer_check(calls == rounds * PEER_BATCH, "a callback did not run");
    return peer_ns_per_op(start, calls);
}

/* Timers */

static void arm_one(struct event *timer, int64_t delay)
{
    struct timeval after = {.tv_sec = delay / PEER_NS_PER_S,
                            .tv_usec = delay % PEER_NS_PER_S / 1000};

    evtimer_add(timer, &after);
}

static void arm(struct event *timers, const int64_t *delays, long n)
{
    for (long i = 0; i < n; i++)
        arm_one(&timers[i], delays[i]);
}

static double timer_arm(long n)
{
    struct event *timers = new_events(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    int64_t start = peer_cpu_ns();

    arm(timers, delays, n);
    return peer_ns_per_op(start, n);
}

static double timer_cancel(long n)
{
    struct event *timers = new_events(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    long *order = peer_order(n);
    int64_t start;

    arm(timers, delays, n);
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++)
        evtimer_del(&timers[order[i]]);
    return peer_ns_per_op(start, n);
}

static double timer_fire(long n)
{
    struct event *timers = new_events(n);
    int64_t *delays = peer_delays(n, PEER_NEAR_FROM, PEER_NEAR_SPAN);
    int64_t origin = peer_wall_ns() + PEER_NS_PER_S, start;

    for (long i = 0; i < n; i++)
        arm_one(&timers[i], origin + delays[i] - peer_wall_ns());
    peer_sleep_until(origin + PEER_ALL_DUE);
    start = peer_cpu_ns();
    event_base_dispatch(base);
    peer_check(calls == n, "a timer did not fire");
    return peer_ns_per_op(start, n);
}

static double timer_churn(long n)
{
    struct event *timers = new_events(PEER_CHURN);
    struct timeval minute = {.tv_sec = PEER_TIMEOUT_S};
    const struct timeval *common =
        event_base_init_common_timeout(base, &minute);
    int64_t start;

    for (long i = 0; i < PEER_CHURN; i++)
        evtimer_add(&timers[i], common);
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++)
        evtimer_add(&timers[i % PEER_CHURN], common);
    return peer_ns_per_op(start, n);
}

int main(int argc, char **argv)
{
    static const struct peer_work works[] = {
        {"call_soon", call_soon, 20000000},
        {"timer_arm", timer_arm, PEER_MILLION},
        {"timer_cancel", timer_cancel, PEER_MILLION},
        {"timer_fire", timer_fire, PEER_MILLION},
        {"timer_churn", timer_churn, 10000000},
        {NULL, NULL, 0},
    };
    static const struct peer_service services[] = {
        {"echo", libevent_echo},
#ifdef BENCH_LIBEVENT_TLS
        {"tls", libevent_tls},
#endif
        {NULL, NULL},
    };

    base = event_base_new();
    return peer_main(argc, argv, works, services);
}
