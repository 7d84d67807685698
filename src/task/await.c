/* SPDX-License-Identifier: MIT */
/*
 * Making tasks and waiting for them: await, gather, shield, futures, sleep
 */
#include "task/task.h"
#include <math.h>

int rota__create_task(rota_loop *loop, rota_task *out,
                      const rota_task_options *options,
                      rota_task_function *function, void *arg,
                      const char *where)
{
    struct rota__task *task;
    int err;

    if (!loop)
        loop = rota__running_loop;
    if (rota__unlikely(!loop))
        return -ROTA_ENOLOOP;
    if (rota__unlikely(!function || !out))
        return -EINVAL;
    err = rota__check(loop, "rota_create_task");
    if (rota__unlikely(err < 0))
        return err;
    err = rota__task_create(loop, &task, options, function, arg, where);
    if (rota__unlikely(err < 0))
        return err;
    *out = rota__task_handle(task);
    return 0;
}

/* The functions behind the macros, for who takes their address. */
#undef rota_create_task
#undef rota_create_task_with
#undef rota_loop_create_task

int rota_create_task(rota_task *task, rota_task_function *function, void *arg)
{
    return rota__create_task(NULL, task, NULL, function, arg, "?");
}

int rota_create_task_with(rota_task *task, const rota_task_options *options,
                          rota_task_function *function, void *arg)
{
    return rota__create_task(NULL, task, options, function, arg, "?");
}

int rota_loop_create_task(rota_loop *loop, rota_task *task,
                          rota_task_function *function, void *arg)
{
    return rota__create_task(loop, task, NULL, function, arg, "?");
}

int rota_detach(rota_task handle)
{
    struct rota__task *task;
    int err = rota__task_claim(handle, "rota_detach", &task);

    if (err == 0)
        rota__detach(task);
    return err;
}

/* --- await -------------------------------------------------------------- */

struct join {
    struct rota__waiter waiter;
    struct rota__owner owner;
    struct rota__task *child;
};

static void joined(struct rota__owner *owner, struct rota__task *child)
{
    struct join *join = rota__container_of(owner, struct join, owner);

    (void)child;
    rota__unpark(&join->waiter, 0);
}

static bool cancel_child(struct rota__waiter *waiter)
{
    return rota__task_cancel(
        rota__container_of(waiter, struct join, waiter)->child);
}

static intptr_t await(struct rota__task *self, struct rota__task *child)
{
    struct join join;
    intptr_t result = 0;

    if (!child->done) {
        rota__list_init(&join.waiter.link);
        join.waiter.cancel = cancel_child;
        join.owner.child_done = joined;
        join.child = child;
        child->owner = &join.owner;
        result = rota__park(self, &join.waiter);
    }
    if (rota__likely(result == 0))
        result = child->result;
    rota__task_release(child);
    return result;
}

static bool is_handle_of(const struct rota__task *task, rota_task handle)
{
    return task->id == handle.id && task->stack->slot == handle.slot &&
           task->loop->tasks->number == handle.loop;
}

static int claim_other(rota_task handle, const char *function,
                       struct rota__task **self, struct rota__task **other)
{
    *self = rota__current();
    if (rota__unlikely(!*self))
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK, function,
                            "wait in a task, not in a callback");
    if (rota__unlikely(is_handle_of(*self, handle)))
        return rota__misuse(rota__running_loop, -EDEADLK, function,
                            "a task cannot wait for itself");
    return rota__task_claim(handle, function, other);
}

intptr_t rota_await(rota_task handle)
{
    struct rota__task *self, *child;
    int err = claim_other(handle, "rota_await", &self, &child);

    return rota__unlikely(err < 0) ? err : await(self, child);
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
    struct rota__task *self, *child;
    rota_timeout timeout;
    int err = claim_other(handle, "rota_wait_for", &self, &child);

    if (err == 0 && limit <= 0 && !child->done)
        return cancel_and_await(self, child);
    if (err == 0)
        err = rota_timeout_begin(&timeout, limit);
    if (err < 0)
        return err;
    return rota_timeout_end(&timeout, await(self, child));
}

static void shielded_done(struct rota__handle *handle)
{
    struct rota__borrower *borrower =
        rota__container_of(handle, struct rota__borrower, handle);

    rota__unpark(&borrower->waiter, borrower->result);
}

static bool leave_shield(struct rota__waiter *waiter)
{
    struct rota__borrower *borrower =
        rota__container_of(waiter, struct rota__borrower, waiter);

    rota__unready(&borrower->handle);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

intptr_t rota_shield(rota_task handle)
{
    struct rota__task *self = rota__current();
    struct rota__borrower borrower;
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
    rota__list_push(&task->borrowers, &borrower.handle.link);
    borrower.handle.run = shielded_done;
    rota__list_init(&borrower.waiter.link);
    borrower.waiter.cancel = leave_shield;
    return rota__park(self, &borrower.waiter);
}

/* --- gather ------------------------------------------------------------- */

/*
 * The tasks' owner while the gathering task is parked. A child that is done
 * waits, unreleased, until the gather ends. As in asyncio, where the children
 * wake a future and that one the task, it ends a turn later than the child.
 */
struct gather {
    struct rota__owner owner;
    struct rota__handle over; /* runs in that turn */
    struct rota__waiter waiter;
    struct rota__task *self;
    const rota_task *tasks;
    size_t count;
    size_t left;
    intptr_t *results;
    bool return_exceptions;
    bool parked;
    bool cancelled;
    intptr_t error;
};

static struct rota__task *child_at(const struct gather *gather, size_t i)
{
    return gather->self->loop->tasks->slots[gather->tasks[i].slot];
}

static bool gather_is_over(const struct gather *gather)
{
    return gather->left == 0 ||
           (gather->error != 0 && !gather->return_exceptions);
}

static void note_end(struct gather *gather, struct rota__task *child)
{
    gather->left--;
    if (rota_is_error(child->result) && gather->error == 0)
        gather->error = child->result;
}

static void gathered(struct rota__owner *owner, struct rota__task *child)
{
    struct gather *gather = rota__container_of(owner, struct gather, owner);

    note_end(gather, child);
    if (gather->parked && gather_is_over(gather)) {
        gather->parked = false;
        rota__ready(child->loop, &gather->over);
    }
}

static void gather_over(struct rota__handle *handle)
{
    rota__unpark(&rota__container_of(handle, struct gather, over)->waiter, 0);
}

static bool cancel_gather(struct rota__waiter *waiter)
{
    struct gather *gather = rota__container_of(waiter, struct gather, waiter);
    bool any = false;

    for (size_t i = 0; i < gather->count; i++)
        any |= rota__task_cancel(child_at(gather, i));
    gather->cancelled = any;
    return any;
}

/* All or none become the gather's. */
static int claim_all(struct gather *gather)
{
    for (size_t i = 0; i < gather->count; i++) {
        struct rota__task *child;
        int err =
            is_handle_of(gather->self, gather->tasks[i])
                ? -EDEADLK
                : rota__task_claim(gather->tasks[i], "rota_gather", &child);

        if (err < 0) {
            while (i-- > 0)
                child_at(gather, i)->owner = NULL;
            return err;
        }
        child->owner = &gather->owner;
    }
    for (size_t i = 0; i < gather->count; i++)
        if (child_at(gather, i)->done)
            note_end(gather, child_at(gather, i));
    return 0;
}

static void collect(struct gather *gather)
{
    for (size_t i = 0; i < gather->count; i++) {
        struct rota__task *child = child_at(gather, i);

        if (gather->results)
            gather->results[i] = child->done ? child->result : 0;
        if (child->done)
            rota__task_release(child);
        else
            child->owner = &rota__detached;
    }
}

int rota_gather(const rota_task *tasks, size_t count, intptr_t *results,
                bool return_exceptions)
{
    struct gather gather = {
        .owner = {gathered},
        .over = {.run = gather_over},
        .self = rota__current(),
        .tasks = tasks,
        .count = count,
        .left = count,
        .results = results,
        .return_exceptions = return_exceptions,
    };
    intptr_t err = 0;

    if (!gather.self)
        return -ROTA_ENOTASK;
    err = claim_all(&gather);
    if (err < 0)
        return (int)err;
    if (!gather_is_over(&gather)) {
        rota__list_init(&gather.waiter.link);
        gather.waiter.cancel = cancel_gather;
        gather.parked = true;
        err = rota__park(gather.self, &gather.waiter);
    }
    collect(&gather);
    if (err < 0)
        return (int)err;
    if (gather.error != 0 && !return_exceptions)
        return (int)gather.error;
    return gather.cancelled ? -ECANCELED : 0;
}

/* --- futures ------------------------------------------------------------ */

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

/* --- sleep -------------------------------------------------------------- */

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
