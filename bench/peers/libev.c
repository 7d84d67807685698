/* SPDX-License-Identifier: MIT */
/*
 * The peer libev: callbacks only, so it has no tasks
 *
 * call_soon is ev_feed_event, the pushed-back timeout ev_timer_again. libev
 * leaves reading and writing to its user, so the echo is recv and send.
 */
#include <ev.h>
#include <stdlib.h>

#include "fdecho.h"
#include "peer.h"

static struct ev_loop *loop;
static long calls;

/* call_soon */

static void on_event(struct ev_loop *l, ev_prepare *w, int events)
{
    (void)l, (void)w, (void)events;
    calls++;
}

static double call_soon(long n)
{
    ev_prepare *batch = peer_alloc(PEER_BATCH, sizeof *batch);
    long rounds = n / PEER_BATCH;
    int64_t start;

    for (long i = 0; i < PEER_BATCH; i++)
        ev_prepare_init(&batch[i], on_event);
    start = peer_cpu_ns();
    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < PEER_BATCH; i++)
            ev_feed_event(loop, &batch[i], EV_CUSTOM);
        ev_run(loop, EVRUN_NOWAIT);
    }
    peer_check(calls == rounds * PEER_BATCH, "a callback did not run");
    return peer_ns_per_op(start, calls);
}

/* Timers */

static void on_timer(struct ev_loop *l, ev_timer *timer, int events)
{
    (void)l, (void)timer, (void)events;
    calls++;
}

static ev_timer *new_timers(long n)
{
    ev_timer *timers = peer_alloc(n, sizeof *timers);

    for (long i = 0; i < n; i++)
        ev_timer_init(&timers[i], on_timer, 0., 0.);
    ev_now_update(loop);
    return timers;
}

static void arm(ev_timer *timers, const int64_t *delays, long n)
{
    for (long i = 0; i < n; i++) {
        ev_timer_set(&timers[i], (double)delays[i] * 1e-9, 0.);
        ev_timer_start(loop, &timers[i]);
    }
}

static double timer_arm(long n)
{
    ev_timer *timers = new_timers(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    int64_t start = peer_cpu_ns();

    arm(timers, delays, n);
    return peer_ns_per_op(start, n);
}

static double timer_cancel(long n)
{
    ev_timer *timers = new_timers(n);
    int64_t *delays = peer_delays(n, PEER_FAR_FROM, PEER_FAR_SPAN);
    long *order = peer_order(n);
    int64_t start;

    arm(timers, delays, n);
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++)
        ev_timer_stop(loop, &timers[order[i]]);
    return peer_ns_per_op(start, n);
}

static double timer_fire(long n)
{
    ev_timer *timers = new_timers(n);
    int64_t *delays = peer_delays(n, PEER_NEAR_FROM, PEER_NEAR_SPAN);
    int64_t start;

    arm(timers, delays, n);
    peer_sleep_until(peer_wall_ns() + PEER_ALL_DUE);
    start = peer_cpu_ns();
    ev_run(loop, 0);
    peer_check(calls == n, "a timer did not fire");
    return peer_ns_per_op(start, n);
}

static double timer_churn(long n)
{
    ev_timer *timers = new_timers(PEER_CHURN);
    int64_t *delays = peer_delays(PEER_CHURN, PEER_FAR_FROM, PEER_FAR_SPAN);
    int64_t start;

    arm(timers, delays, PEER_CHURN);
    for (long i = 0; i < PEER_CHURN; i++)
        timers[i].repeat = PEER_TIMEOUT_S;
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++) {
        if (i % PEER_TURN == 0)
            ev_now_update(loop);
        ev_timer_again(loop, &timers[i % PEER_CHURN]);
    }
    return peer_ns_per_op(start, n);
}

/* echo */

struct connection {
    ev_io io;
    struct fdecho echo;
};

static void want(struct connection *connection, int events)
{
    ev_io_stop(loop, &connection->io);
    ev_io_set(&connection->io, connection->echo.fd, events);
    ev_io_start(loop, &connection->io);
}

static void on_ready(struct ev_loop *l, ev_io *io, int events)
{
    struct connection *connection = (struct connection *)io;
    bool writing = events & EV_WRITE;
    enum fdecho_next next = writing ? fdecho_writable(&connection->echo)
                                    : fdecho_readable(&connection->echo);

    if (next == FDECHO_CLOSE) {
        ev_io_stop(l, io);
        fdecho_close(&connection->echo);
        free(connection);
    } else if (writing != (next == FDECHO_WRITE)) {
        want(connection, writing ? EV_READ : EV_WRITE);
    }
}

static void on_connection(struct ev_loop *l, ev_io *listener, int events)
{
    int fd;

    (void)events;
    while ((fd = fdecho_accept(listener->fd)) >= 0) {
        struct connection *connection = peer_alloc(1, sizeof *connection);

        connection->echo.fd = fd;
        ev_io_init(&connection->io, on_ready, fd, EV_READ);
        ev_io_start(l, &connection->io);
    }
}

static void serve(int fd)
{
    ev_io listener;

    ev_io_init(&listener, on_connection, fd, EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
}

static void echo(const char *port, const char *what)
{
    (void)what;
    serve(peer_listen(atoi(port)));
}

static void echo_unix(const char *path, const char *what)
{
    (void)what;
    serve(peer_listen_unix(path));
}

int main(int argc, char **argv)
{
    static const struct peer_work works[] = {
        {"call_soon", call_soon, 50000000},
        {"timer_arm", timer_arm, PEER_MILLION},
        {"timer_cancel", timer_cancel, PEER_MILLION},
        {"timer_fire", timer_fire, PEER_MILLION},
        {"timer_churn", timer_churn, 20000000},
        {NULL, NULL, 0},
    };
    static const struct peer_service services[] = {
        {"echo", echo},
        {"relay", echo},
        {"unix", echo_unix},
        {NULL, NULL},
    };

    loop = ev_default_loop(0);
    return peer_main(argc, argv, works, services);
}
