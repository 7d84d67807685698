/* SPDX-License-Identifier: MIT */
/*
 * Sleeping: a waiter and a timer, both on the sleeper's stack
 */
#include "task/task.h"
#include <math.h>

struct sleeper {
    struct rota__waiter waiter;
    struct rota__timer timer;
};

static void awake(struct rota__handle *handle)
{
    struct rota__timer *timer =
        rota__container_of(handle, struct rota__timer, handle);

    rota__unpark(&rota__container_of(timer, struct sleeper, timer)->waiter, 0);
}

/* The timer may have fired already, in this turn, without having run. */
static bool cancel_sleep(struct rota__waiter *waiter)
{
    struct sleeper *sleeper =
        rota__container_of(waiter, struct sleeper, waiter);

    rota__timer_cancel(waiter->task->loop, &sleeper->timer);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

/* ROTA__FOREVER: no timer. Inlined, so that traces name the public call. */
static inline __attribute__((always_inline)) int
sleep_until(struct rota__task *self, int64_t when)
{
    struct sleeper sleeper;

    rota__timer_init(&sleeper.timer, awake);
    if (rota__likely(when != ROTA__FOREVER)) {
        int err = rota__timer_arm(self->loop, &sleeper.timer, when);

        if (rota__unlikely(err < 0))
            return err;
    }
    rota__list_init(&sleeper.waiter.link);
    sleeper.waiter.cancel = cancel_sleep;
    return (int)rota__park(self, &sleeper.waiter);
}

int rota_sleep(double seconds)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_sleep", &err);

    if (rota__unlikely(!self))
        return err;
    if (rota__unlikely(isnan(seconds)))
        return -EINVAL;
    if (seconds <= 0)
        return rota__yield(self);
    if (rota__unlikely(seconds == (double)INFINITY))
        return sleep_until(self, ROTA__FOREVER);
    return sleep_until(self,
                       rota__now_at_most(self->loop) + rota__to_ns(seconds));
}

int rota_sleep_until(double time)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_sleep_until", &err);
    int64_t now, when;

    if (!self)
        return err;
    if (isnan(time))
        return -EINVAL;
    now = rota__now(self->loop);
    when = rota__time_at(time, now);
    if (when <= now)
        return rota__yield(self);
    return sleep_until(self, when);
}
