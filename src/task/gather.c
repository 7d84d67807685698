/* SPDX-License-Identifier: MIT */
/*
 * Gathering: waiting for many tasks at once
 */
#include "task/task.h"

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
    bool cancelling; /* just now */
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

/* A child may wait, in the end, for the gathering task: a ring. */
static bool cancel_gather(struct rota__waiter *waiter)
{
    struct gather *gather = rota__container_of(waiter, struct gather, waiter);
    bool any = false;

    if (gather->cancelling)
        return true;
    gather->cancelling = true;
    for (size_t i = 0; i < gather->count; i++)
        any |= rota__task_cancel(child_at(gather, i));
    gather->cancelling = false;
    gather->cancelled = any;
    return any;
}

/* All or none become the gather's. */
static int claim_all(struct gather *gather)
{
    for (size_t i = 0; i < gather->count; i++) {
        struct rota__task *child;
        int err =
            rota__task_is(gather->self, gather->tasks[i])
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
        .owner = {gathered, rota__current()},
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
    gather.self->told_cancelled |= gather.cancelled;
    return gather.cancelled ? -ECANCELED : 0;
}
