/* SPDX-License-Identifier: MIT */
/*
 * Timeouts
 *
 *     ACTIVE --timer--> EXPIRING --end--> EXPIRED
 *        `-------------end--------------> ENDED
 *
 * When the timer fires, it cancels the task like anybody else would. The end
 * takes that request back, and says "timed out" only if no other request is
 * left that came after the beginning: so timeouts nest, and a real cancel is
 * never mistaken for one.
 */
#include "task/task.h"
#include <math.h>

enum { ACTIVE, EXPIRING, EXPIRED, ENDED, FAILED };

_Static_assert(offsetof(rota_timeout, node) ==
                       offsetof(struct rota__timer, node) &&
                   offsetof(rota_timeout, handle) ==
                       offsetof(struct rota__timer, handle),
               "a timeout begins like a timer");

static struct rota__timer *timer_of(rota_timeout *timeout)
{
    return (struct rota__timer *)(void *)timeout;
}

static void fire(struct rota__handle *handle)
{
    rota_timeout *timeout = rota__container_of(handle, rota_timeout, handle);

    timeout->state = EXPIRING;
    rota__task_cancel(timeout->task);
}

/* A time that has come already fires in the next turn, before what follows. */
static int arm(rota_timeout *timeout, int64_t when, int64_t now)
{
    rota_loop *loop = timeout->task->loop;

    if (when == ROTA__FOREVER) {
        rota__timer_cancel(loop, timer_of(timeout));
    } else if (when <= now) {
        rota__timer_cancel(loop, timer_of(timeout));
        rota__ready(loop, &timeout->handle);
    } else {
        int err = rota__timer_rearm(loop, timer_of(timeout), when);

        if (err < 0)
            return err;
    }
    timeout->when = when;
    return 0;
}

static int64_t time_after(double delay, int64_t now)
{
    return delay == (double)INFINITY ? ROTA__FOREVER : now + rota__to_ns(delay);
}

/* The end of one that could not begin says so, whatever the body did. */
static int fail(rota_timeout *timeout, int error)
{
    timeout->state = FAILED;
    timeout->cancelling = error;
    timeout->when = ROTA__FOREVER;
    return error;
}

int rota__timeout_begin(rota_timeout *timeout, double time, bool absolute,
                        const char *where)
{
    struct rota__task *self = rota__current();
    int64_t now;
    int err;

    timeout->task = self;
    rota__timer_init(timer_of(timeout), fire);
    if (rota__unlikely(!self))
        return fail(timeout,
                    rota__misuse(rota__running_loop, -ROTA_ENOTASK,
                                 "rota_timeout_begin", "use it in a task"));
    if (rota__unlikely(isnan(time)))
        return fail(timeout, -EINVAL);
    rota__scope_opened(self, timeout, "timeout", where);
    timeout->cancelling = self->cancelling;
    timeout->state = ACTIVE;
    now = rota__now_at_most(self->loop);
    err = arm(timeout,
              absolute ? rota__time_at(time, now) : time_after(time, now), now);
    if (rota__likely(err == 0))
        return 0;
    rota__scope_closed(self, timeout, "rota_timeout_begin");
    return fail(timeout, err);
}

/* The functions behind the macros, for who takes their address. */
#undef rota_timeout_begin
#undef rota_timeout_begin_at

int rota_timeout_begin(rota_timeout *timeout, double delay)
{
    return rota__timeout_begin(timeout, delay, false, "?");
}

int rota_timeout_begin_at(rota_timeout *timeout, double when)
{
    return rota__timeout_begin(timeout, when, true, "?");
}

static int check_mine(const rota_timeout *timeout, const char *function)
{
    struct rota__task *self = rota__current();

    if (rota__likely(self && timeout->task == self &&
                     timeout->state <= EXPIRING))
        return 0;
    return rota__misuse(rota__running_loop, -ROTA_ESCOPE, function,
                        "call it once, in the task that began the timeout");
}

intptr_t rota_timeout_end(rota_timeout *timeout, intptr_t result)
{
    int err = timeout->state == FAILED
                  ? timeout->cancelling
                  : check_mine(timeout, "rota_timeout_end");

    if (rota__unlikely(err < 0))
        return err;
    rota__scope_closed(timeout->task, timeout, "rota_timeout_end");
    if (rota__likely(timeout->state == ACTIVE)) {
        rota__timer_cancel(timeout->task->loop, timer_of(timeout));
        timeout->state = ENDED;
        return result;
    }
    timeout->state = EXPIRED;
    if (rota__task_uncancel(timeout->task) <= timeout->cancelling &&
        result == -ECANCELED)
        return -ETIMEDOUT;
    return result;
}

void rota__timeout_leave(rota_timeout *timeout)
{
    if (timeout->state <= EXPIRING)
        (void)!rota_timeout_end(timeout, 0);
}

int rota_timeout_reschedule(rota_timeout *timeout, double when)
{
    int64_t now;

    if (timeout->state > EXPIRING)
        return rota__misuse(rota__running_loop, -ROTA_ESCOPE,
                            "rota_timeout_reschedule",
                            "call it between the begin and the end");
    rota__check_thread(timeout->task->loop, "rota_timeout_reschedule");
    if (isnan(when))
        return -EINVAL;
    if (timeout->state != ACTIVE)
        return -ROTA_ESTATE;
    now = rota__now(timeout->task->loop);
    return arm(timeout, rota__time_at(when, now), now);
}

double rota_timeout_when(const rota_timeout *timeout)
{
    if (timeout->when == ROTA__FOREVER)
        return (double)INFINITY;
    return (double)timeout->when / (double)ROTA__SECOND;
}

bool rota_timeout_expired(const rota_timeout *timeout)
{
    return timeout->state == EXPIRING || timeout->state == EXPIRED;
}
