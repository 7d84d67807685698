/* SPDX-License-Identifier: MIT */
/*
 * Tasks in the order of their ends
 *
 *     a borrower in each task --its end, a turn later--> finished --next--> out
 */
#include "task/task.h"
#include <math.h>

struct rota__completion {
    struct rota__borrower borrower; /* then its link stands in `finished` */
    rota_task task;
    rota_as_completed *iterator;
    bool finished;
};

_Static_assert(offsetof(rota_as_completed, node) ==
                       offsetof(struct rota__timer, node) &&
                   offsetof(rota_as_completed, handle) ==
                       offsetof(struct rota__timer, handle),
               "an iterator begins like a timer");

static struct rota__timer *timer_of(rota_as_completed *iterator)
{
    return (struct rota__timer *)(void *)iterator;
}

static struct rota__completion *completion_of(struct rota__handle *handle)
{
    struct rota__borrower *borrower =
        rota__container_of(handle, struct rota__borrower, handle);

    return rota__container_of(borrower, struct rota__completion, borrower);
}

static void task_done(struct rota__handle *handle)
{
    struct rota__completion *completion = completion_of(handle);
    rota_as_completed *iterator = completion->iterator;

    completion->finished = true;
    rota__list_push(&iterator->finished, &handle->link);
    (void)rota__queue_wake(&iterator->queue);
    if (--iterator->left > 0)
        return;
    rota__timer_cancel(iterator->loop, timer_of(iterator));
    rota__queue_wake_all(&iterator->queue);
}

/* Those that have not finished by now are not heard of any more. */
static void time_is_over(struct rota__handle *handle)
{
    rota_as_completed *iterator =
        rota__container_of(handle, rota_as_completed, handle);

    iterator->timed_out = true;
    for (size_t i = 0; i < iterator->count; i++) {
        struct rota__completion *completion = &iterator->completions[i];

        if (!completion->finished)
            rota__unready(&completion->borrower.handle);
    }
    rota__queue_wake_all(&iterator->queue);
}

static int set_timer(rota_as_completed *iterator, double timeout)
{
    rota__timer_init(timer_of(iterator), time_is_over);
    if (timeout == (double)INFINITY)
        return 0;
    return rota__timer_arm(iterator->loop, timer_of(iterator),
                           rota__now_at_most(iterator->loop) +
                               rota__to_ns(timeout));
}

static void watch(rota_as_completed *iterator, const rota_task *tasks)
{
    for (size_t i = 0; i < iterator->count; i++) {
        struct rota__completion *completion = &iterator->completions[i];

        completion->task = tasks[i];
        completion->iterator = iterator;
        completion->finished = false;
        rota__borrow(tasks[i], &completion->borrower, task_done);
    }
}

static int check(const rota_task *tasks, size_t count, double timeout)
{
    if (!rota__running_loop)
        return -ROTA_ENOLOOP;
    if (isnan(timeout))
        return -EINVAL;
    return rota__tasks_check(NULL, tasks, count, "rota_as_completed_begin");
}

int rota_as_completed_begin(rota_as_completed *iterator, const rota_task *tasks,
                            size_t count, double timeout)
{
    int err = check(tasks, count, timeout);

    if (err < 0)
        return err;
    *iterator = (rota_as_completed){
        .loop = rota__running_loop,
        .completions =
            rota__alloc((count + 1) * sizeof(struct rota__completion)),
        .count = count,
        .left = count,
    };
    if (!iterator->completions)
        return -ENOMEM;
    rota__queue_open(&iterator->queue);
    rota__list_init(&iterator->finished);
    err = set_timer(iterator, timeout);
    if (err < 0) {
        rota__free(iterator->completions);
        return err;
    }
    watch(iterator, tasks);
    return 0;
}

/* 1 with a task that has finished; 0 if none will; -EAGAIN to wait. */
static int take(rota_as_completed *iterator, rota_task *task)
{
    struct rota__link *link = rota__list_pop(&iterator->finished);

    if (link) {
        struct rota__handle *handle =
            rota__container_of(link, struct rota__handle, link);

        *task = completion_of(handle)->task;
        return 1;
    }
    if (iterator->left == 0)
        return 0;
    return iterator->timed_out ? -ETIMEDOUT : -EAGAIN;
}

int rota_as_completed_next(rota_as_completed *iterator, rota_task *task)
{
    struct rota__place place;
    int err = 0;
    struct rota__task *self =
        rota__waiting_task("rota_as_completed_next", &err);

    if (!self)
        return err;
    if (self->loop != iterator->loop)
        return -EINVAL;
    iterator->queue.loop = self->loop;
    while ((err = take(iterator, task)) == -EAGAIN) {
        err = rota__queue_wait(self, &iterator->queue, &place);
        if (err == -ECANCELED && place.woken)
            (void)rota__queue_wake(&iterator->queue);
        if (err < 0)
            return err;
    }
    return err;
}

void rota_as_completed_end(rota_as_completed *iterator)
{
    rota__timer_cancel(iterator->loop, timer_of(iterator));
    for (size_t i = 0; i < iterator->count; i++)
        rota__unready(&iterator->completions[i].borrower.handle);
    rota__queue_close(&iterator->queue);
    rota__free(iterator->completions);
    iterator->completions = NULL;
    iterator->count = 0;
}
