/* SPDX-License-Identifier: MIT */
/*
 * Waiting in turn
 *
 *     waiting --wake---> woken ----its task runs--> gone from all
 *        `----cancel--> leaving --------------------^
 *
 * What locks, events, conditions, semaphores and queues have in common. A
 * place stands on the stack of the task that waits. That it stays among the
 * woken until its task runs is what keeps others from overtaking it. That it
 * is in one of the three until then lets whoever ends the queue tell it that
 * there is nothing left to look at.
 *
 * asyncio has one list for all three. Only a lock can tell the difference: it
 * wakes nobody as long as the first in that list was woken or cancelled. Who
 * was cancelled behind somebody who waits never gets to be that first one,
 * since it runs before the one in front of it does. So it is enough to know
 * of each whether it was the first, and to keep those in front.
 */
#include "task/task.h"

int rota__not_a_task(const char *function)
{
    return rota__misuse(rota__running_loop, -ROTA_ENOTASK, function,
                        "wait in a task, not in a callback");
}

void rota__queue_open(struct rota__queue_of_waiters *queue)
{
    rota__list_init(&queue->waiting);
    rota__list_init(&queue->woken);
    rota__list_init(&queue->leaving);
    queue->loop = NULL;
}

static struct rota__place *place_at(struct rota__link *link)
{
    struct rota__waiter *waiter =
        rota__container_of(link, struct rota__waiter, link);

    return rota__container_of(waiter, struct rota__place, waiter);
}

static bool is_used(const struct rota__queue_of_waiters *queue)
{
    return !rota__queue_idle(queue) || !rota__list_empty(&queue->leaving);
}

/* With waiters its loop lives, and in debug mode tells a foreign thread. */
static void check_thread(const struct rota__queue_of_waiters *queue)
{
    if (is_used(queue))
        rota__check_thread(queue->loop, "a wake-up of a waiting task");
}

static void be_gone(struct rota__link *places)
{
    struct rota__link *link;

    while ((link = rota__list_pop(places)) != NULL)
        place_at(link)->gone = true;
}

void rota__queue_close(struct rota__queue_of_waiters *queue)
{
    check_thread(queue);
    be_gone(&queue->woken);
    be_gone(&queue->leaving);
    while (!rota__list_empty(&queue->waiting)) {
        struct rota__place *place = place_at(queue->waiting.next);

        place->gone = true;
        rota__unpark(&place->waiter, -ROTA_ECLOSING);
        rota__list_init(&place->waiter.link);
    }
}

void rota__queue_end(struct rota__queue_of_waiters *queue, const char *function)
{
    if (!is_used(queue))
        return;
    (void)rota__misuse(queue->loop, -EBUSY, function,
                       "end it after the last task that waits for it");
    rota__queue_close(queue);
}

int rota__queue_rebind(struct rota__queue_of_waiters *queue, rota_loop *loop)
{
    if (is_used(queue))
        return rota__misuse(loop, -EINVAL, "a wait",
                            "tasks of another loop wait for the same thing");
    queue->loop = loop;
    return 0;
}

/* It stands before `link` until its task runs. */
static void stand(struct rota__place *place, struct rota__link *link)
{
    struct rota__task *task = place->waiter.task;

    rota__list_push(link, &place->waiter.link);
    place->outer = task->leaving;
    task->leaving = place;
}

static bool leave(struct rota__waiter *waiter)
{
    struct rota__place *place =
        rota__container_of(waiter, struct rota__place, waiter);
    struct rota__queue_of_waiters *queue = place->queue;

    place->first = queue->waiting.next == &waiter->link;
    rota__unpark(waiter, -ECANCELED);
    stand(place, place->first ? queue->leaving.next : &queue->leaving);
    return true;
}

bool rota__queue_first_leaves(const struct rota__queue_of_waiters *queue)
{
    return !rota__list_empty(&queue->leaving) &&
           place_at(queue->leaving.next)->first;
}

int rota__queue_stay(struct rota__task *self,
                     struct rota__queue_of_waiters *queue,
                     struct rota__place *place)
{
    place->queue = queue;
    place->woken = false;
    place->gone = false;
    place->waiter.cancel = leave;
    rota__list_push(&queue->waiting, &place->waiter.link);
    return (int)rota__park(self, &place->waiter);
}

/* The next wait of the task tells of a request that this one cannot. */
static int closed(struct rota__task *self, int err)
{
    if (err == -ECANCELED)
        rota__cancel_next_wait(self);
    return -ROTA_ECLOSING;
}

int rota__queue_leave(struct rota__task *self, struct rota__place *place,
                      int err)
{
    if (self->leaving == place)
        self->leaving = place->outer;
    if (rota__unlikely(place->gone))
        return closed(self, err);
    rota__list_cut(&place->waiter.link);
    return err;
}

int rota__queue_wait(struct rota__task *self,
                     struct rota__queue_of_waiters *queue,
                     struct rota__place *place)
{
    int err = rota__queue_stay(self, queue, place);

    return rota__queue_leave(self, place, err);
}

void rota__queue_wake_first(struct rota__queue_of_waiters *queue)
{
    struct rota__place *first = place_at(queue->waiting.next);

    check_thread(queue);
    first->woken = true;
    rota__unpark(&first->waiter, 0);
    stand(first, &queue->woken);
}

void rota__queue_wake_all(struct rota__queue_of_waiters *queue)
{
    while (rota__queue_wake(queue))
        ;
}
