/* SPDX-License-Identifier: MIT */
/*
 * Waiting in turn
 *
 *     waiting --wake--> woken --its task runs--> gone from both
 *        `----cancel---------------------------^
 *
 * What locks, events, conditions, semaphores and queues have in common. A
 * place stands on the stack of the task that waits. That it stays among the
 * woken until its task runs is what keeps others from overtaking it, and lets
 * whoever ends the queue tell it that there is nothing left to look at.
 */
#include "task/task.h"

struct rota__task *rota__waiting_task(const char *function, int *err)
{
    struct rota__task *self = rota__current();

    if (rota__unlikely(!self))
        *err = rota__misuse(rota__running_loop, -ROTA_ENOTASK, function,
                            "wait in a task, not in a callback");
    return self;
}

void rota__queue_open(struct rota__queue_of_waiters *queue)
{
    rota__list_init(&queue->waiting);
    rota__list_init(&queue->woken);
    queue->loop = NULL;
}

static struct rota__place *place_at(struct rota__link *link)
{
    struct rota__waiter *waiter =
        rota__container_of(link, struct rota__waiter, link);

    return rota__container_of(waiter, struct rota__place, waiter);
}

/* With waiters its loop lives, and in debug mode tells a foreign thread. */
static void check_thread(const struct rota__queue_of_waiters *queue)
{
    if (!rota__queue_idle(queue))
        rota__check_thread(queue->loop, "a wake-up of a waiting task");
}

void rota__queue_close(struct rota__queue_of_waiters *queue)
{
    struct rota__link *link;

    check_thread(queue);
    while ((link = rota__list_pop(&queue->woken)) != NULL)
        place_at(link)->gone = true;
    while (!rota__list_empty(&queue->waiting)) {
        struct rota__place *place = place_at(queue->waiting.next);

        place->gone = true;
        rota__unpark(&place->waiter, -ROTA_ECLOSING);
        rota__list_init(&place->waiter.link);
    }
}

void rota__queue_end(struct rota__queue_of_waiters *queue, const char *function)
{
    if (rota__queue_idle(queue))
        return;
    (void)rota__misuse(queue->loop, -EBUSY, function,
                       "end it after the last task that waits for it");
    rota__queue_close(queue);
}

int rota__queue_rebind(struct rota__queue_of_waiters *queue, rota_loop *loop)
{
    if (!rota__queue_idle(queue))
        return rota__misuse(loop, -EINVAL, "a wait",
                            "tasks of another loop wait for the same thing");
    queue->loop = loop;
    return 0;
}

/* The request must not be lost: the task's next wait tells of it. */
static int closed(struct rota__task *self, intptr_t err)
{
    if (err == -ECANCELED)
        rota__cancel_next_wait(self);
    return -ROTA_ECLOSING;
}

int rota__queue_wait(struct rota__task *self,
                     struct rota__queue_of_waiters *queue,
                     struct rota__place *place)
{
    intptr_t err;

    place->woken = false;
    place->gone = false;
    err = rota__park_in(self, &place->waiter, &queue->waiting);
    self->woken_in = NULL;
    if (rota__unlikely(place->gone))
        return closed(self, err);
    if (place->woken)
        rota__list_cut(&place->waiter.link);
    return (int)err;
}

bool rota__queue_wake(struct rota__queue_of_waiters *queue)
{
    struct rota__link *first = queue->waiting.next;

    if (first == &queue->waiting)
        return false;
    check_thread(queue);
    place_at(first)->woken = true;
    rota__unpark(&place_at(first)->waiter, 0);
    rota__list_push(&queue->woken, first);
    place_at(first)->waiter.task->woken_in = first;
    return true;
}

void rota__queue_wake_all(struct rota__queue_of_waiters *queue)
{
    while (rota__queue_wake(queue))
        ;
}
