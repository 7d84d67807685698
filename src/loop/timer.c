/* SPDX-License-Identifier: MIT */
/*
 * Timers and time
 *
 * A timer sits in loop->timers, a heap ordered by (deadline, order of
 * arming), so that equal deadlines fire in the order in which they were set.
 * When it is due its handle joins the ready queue; until that has run, the
 * timer can still be cancelled.
 */
#include "loop/loop.h"
#include <math.h>

int64_t rota__now(const rota_loop *loop)
{
    return rota__unlikely(loop->virtual_clock) ? loop->virtual_now
                                               : rota__clock_now();
}

int64_t rota__clip_ns(double ns)
{
    return ns > 0 ? ROTA__FAR : -ROTA__FAR;
}

double rota_loop_time(const rota_loop *loop)
{
    return (double)rota__now(loop) / (double)ROTA__SECOND;
}

void rota__timer_init(struct rota__timer *timer,
                      void (*run)(struct rota__handle *))
{
    rota__list_init(&timer->handle.link);
    timer->handle.run = run;
    timer->node.index = 0;
}

int rota__timer_arm(rota_loop *loop, struct rota__timer *timer, int64_t when)
{
    return rota__heap_insert(&loop->timers, &timer->node, when);
}

/* Without memory, one that is due already stays so. */
int rota__timer_rearm(rota_loop *loop, struct rota__timer *timer, int64_t when)
{
    int err;

    if (rota__heap_contains(&timer->node)) {
        rota__heap_move(&loop->timers, &timer->node, when);
        return 0;
    }
    err = rota__timer_arm(loop, timer, when);
    if (err == 0)
        rota__unready(&timer->handle);
    return err;
}

void rota__timer_cancel(rota_loop *loop, struct rota__timer *timer)
{
    if (rota__heap_contains(&timer->node))
        rota__heap_remove(&loop->timers, &timer->node);
    else
        rota__unready(&timer->handle);
}

int64_t rota__time_at(double time, int64_t now)
{
    if (time == (double)INFINITY)
        return ROTA__FOREVER;
    if (time == (double)now / (double)ROTA__SECOND)
        return now;
    return rota__to_ns(time);
}
