/* SPDX-License-Identifier: MIT */
/*
 * Waiting for one thing: a task (await, wait_for, shield) or a future
 *
 * An await is the task's owner until it is done. A shield only looks on, and
 * hears of the end through a handle, in the turn in which asyncio would.
 */
#include "task/task.h"

static void joined(struct rota__owner *owner, struct rota__task *child)
{
    struct rota__join *join =
        rota__container_of(owner, struct rota__join, owner);

    (void)child;
    rota__unpark(&join->waiter, 0);
}

static intptr_t await(struct rota__task *self, struct rota__task *child)
{
    struct rota__join join;
    intptr_t result = 0;

    if (!child->done) {
        rota__list_init(&join.waiter.link);
        join.waiter.cancel = rota__join_cancel;
        join.owner = (struct rota__owner){joined, self};
        join.child = child;
        child->owner = &join.owner;
        result = rota__park(self, &join.waiter);
    }
    if (rota__likely(result == 0))
        result = child->result;
    if (rota__unlikely(result == -ECANCELED && self->cancelling > 0))
        self->told_cancelled = true;
    rota__task_release(child);
    return result;
}

static int claim_other(rota_task handle, const char *function,
                       struct rota__task **self, struct rota__task **other)
{
    *self = rota__current();
    if (rota__unlikely(!*self))
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK, function,
                            "wait in a task, not in a callback");
    if (rota__unlikely(rota__task_is(*self, handle)))
        return rota__misuse(rota__running_loop, -EDEADLK, function,
                            "a task cannot wait for itself");
    return rota__task_claim(handle, function, other);
}

intptr_t rota_await(rota_task handle)
{
    struct rota__task *self;
    struct rota__task *child = NULL;
    int err = claim_other(handle, "rota_await", &self, &child);

    return rota__unlikely(err != 0 || !child) ? err : await(self, child);
}

/* No time at all: one that has not begun never does. */
static intptr_t cancel_and_await(struct rota__task *self,
                                 struct rota__task *child)
{
    int cancelling = self->cancelling;
    intptr_t result;

    rota__task_cancel(child);
    result = await(self, child);
    return result == -ECANCELED && self->cancelling == cancelling ? -ETIMEDOUT
                                                                  : result;
}

intptr_t rota_wait_for(rota_task handle, double limit)
{
    struct rota__task *self;
    struct rota__task *child = NULL;
    rota_timeout timeout;
    int err = claim_other(handle, "rota_wait_for", &self, &child);

    if (err != 0 || !child)
        return err;
    if (limit <= 0 && !child->done)
        return cancel_and_await(self, child);
    err = rota_timeout_begin(&timeout, limit);
    if (err != 0)
        return err;
    return rota_timeout_end(&timeout, await(self, child));
}

struct shield {
    struct rota__borrower borrower;
    struct rota__waiter waiter;
};

static void shielded_done(struct rota__handle *handle)
{
    struct rota__borrower *borrower =
        rota__container_of(handle, struct rota__borrower, handle);

    rota__unpark(&rota__container_of(borrower, struct shield, borrower)->waiter,
                 borrower->result);
}

static bool leave_shield(struct rota__waiter *waiter)
{
    struct shield *shield = rota__container_of(waiter, struct shield, waiter);

    rota__unready(&shield->borrower.handle);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

intptr_t rota_shield(rota_task handle)
{
    struct rota__task *self = rota__current();
    struct shield shield;
    struct rota__task *task;
    int err;

    if (!self)
        return -ROTA_ENOTASK;
    err = rota__task_find(handle, &task);
    if (err < 0)
        return rota__misuse(self->loop, err, "rota_shield",
                            "the task has been ended already");
    if (task == self)
        return -EDEADLK;
    if (task->done)
        return task->result;
    rota__borrow(handle, &shield.borrower, shielded_done);
    rota__list_init(&shield.waiter.link);
    shield.waiter.cancel = leave_shield;
    return rota__park(self, &shield.waiter);
}

struct future_wait {
    struct rota__future_waiter waiter;
    struct rota__waiter parked;
    rota_future *future; /* may be gone when the task runs again */
    int error;
    intptr_t result;
};

static void future_done(struct rota__future_waiter *waiter, rota_future *future)
{
    struct future_wait *wait =
        rota__container_of(waiter, struct future_wait, waiter);

    wait->error = rota_future_result(future, &wait->result);
    rota__unpark(&wait->parked, 0);
}

static bool cancel_future(struct rota__waiter *parked)
{
    struct future_wait *wait =
        rota__container_of(parked, struct future_wait, parked);

    return rota_future_cancel(wait->future);
}

int rota_await_future(rota_future *future, intptr_t *result)
{
    struct rota__task *self = rota__current();
    struct future_wait wait = {.waiter.wake = future_done, .future = future};
    intptr_t err;

    if (!self)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK,
                            "rota_await_future",
                            "wait in a task, not in a callback");
    if (future->loop != self->loop)
        return -EINVAL;
    if (!rota_future_done(future)) {
        rota__list_push(&future->callbacks, &wait.waiter.link);
        rota__list_init(&wait.parked.link);
        wait.parked.cancel = cancel_future;
        err = rota__park(self, &wait.parked);
        if (err < 0)
            return (int)err;
    } else {
        wait.error = rota_future_result(future, &wait.result);
    }
    if (wait.error == 0 && result)
        *result = wait.result;
    return wait.error;
}
