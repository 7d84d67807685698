/* SPDX-License-Identifier: MIT */
/*
 * Tasks in the order of their ends
 *
 *     a borrower in each task --its end, a turn later--> finished --next--> out
 *
 * The borrowers are an allocation, which the loop takes back if it closes
 * before the iterator ends.
 */
#include "task/task.h"
#include <math.h>

struct completion {
    struct rota__borrower borrower; /* then its link stands in `finished` */
    rota_task task;
    rota_as_completed *iterator;
    bool finished;
};

struct rota__completions {
    struct rota__at_close at_close;
    rota_as_completed *iterator;
    size_t count;
    struct completion each[];
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

static struct completion *completion_of(struct rota__handle *handle)
{
    struct rota__borrower *borrower =
        rota__container_of(handle, struct rota__borrower, handle);

    return rota__container_of(borrower, struct completion, borrower);
}

static void task_done(struct rota__handle *handle)
{
    struct completion *completion = completion_of(handle);
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
    struct rota__completions *all = iterator->completions;

    iterator->timed_out = true;
    for (size_t i = 0; i < all->count; i++)
        if (!all->each[i].finished)
            rota__unready(&all->each[i].borrower.handle);
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
    struct rota__completions *all = iterator->completions;

    for (size_t i = 0; i < all->count; i++) {
        all->each[i].task = tasks[i];
        all->each[i].iterator = iterator;
        all->each[i].finished = false;
        rota__borrow(tasks[i], &all->each[i].borrower, task_done);
    }
}

static void unwatch(rota_as_completed *iterator)
{
    struct rota__completions *all = iterator->completions;

    rota__timer_cancel(iterator->loop, timer_of(iterator));
    for (size_t i = 0; i < all->count; i++)
        rota__unready(&all->each[i].borrower.handle);
    rota__queue_close(&iterator->queue);
    rota__free(all);
    iterator->completions = NULL;
}

static void loop_closes(struct rota__at_close *at_close)
{
    unwatch(rota__container_of(at_close, struct rota__completions, at_close)
                ->iterator);
}

static int check(const rota_task *tasks, size_t count, double timeout)
{
    if (!rota__running_loop)
        return -ROTA_ENOLOOP;
    if (isnan(timeout))
        return -EINVAL;
    return rota__tasks_check(rota__current(), tasks, count,
                             "rota_as_completed_begin");
}

int rota_as_completed_begin(rota_as_completed *iterator, const rota_task *tasks,
                            size_t count, double timeout)
{
    struct rota__completions *all;
    int err = check(tasks, count, timeout);

    if (err < 0)
        return err;
    all = rota__alloc(sizeof *all + count * sizeof(all->each[0]));
    if (!all)
        return -ENOMEM;
    *iterator = (rota_as_completed){
        .loop = rota__running_loop,
        .completions = all,
        .left = count,
    };
    err = set_timer(iterator, count > 0 ? timeout : (double)INFINITY);
    if (err < 0) {
        rota__free(all);
        return err;
    }
    rota__queue_open(&iterator->queue);
    rota__list_init(&iterator->finished);
    all->iterator = iterator;
    all->count = count;
    watch(iterator, tasks);
    rota__at_close_add(iterator->loop, &all->at_close, loop_closes);
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
    if (!iterator->completions)
        return -ROTA_ECLOSING;
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
    if (!iterator->completions)
        return;
    rota__at_close_remove(&iterator->completions->at_close);
    unwatch(iterator);
}
