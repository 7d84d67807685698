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

int rota_sleep(double seconds)
{
    struct rota__task *self = rota__current();
    struct sleeper sleeper;

    if (rota__unlikely(!self))
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK, "rota_sleep",
                            "sleep in a task, not in a callback");
    if (rota__unlikely(isnan(seconds)))
        return -EINVAL;
    if (seconds <= 0)
        return rota__yield(self);
    rota__timer_init(&sleeper.timer, awake);
    if (rota__likely(seconds < (double)INFINITY)) {
        int64_t when = rota__now_at_most(self->loop) + rota__to_ns(seconds);
        int err = rota__timer_arm(self->loop, &sleeper.timer, when);

        if (rota__unlikely(err < 0))
            return err;
    }
    rota__list_init(&sleeper.waiter.link);
    sleeper.waiter.cancel = cancel_sleep;
    return (int)rota__park(self, &sleeper.waiter);
}
