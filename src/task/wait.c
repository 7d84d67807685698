/* SPDX-License-Identifier: MIT */
/*
 * Waiting for some of many tasks
 *
 * A borrower for each task stands in that task's list until the end, then
 * runs as a handle, a turn later, and counts. When the count says so, or the
 * time has passed, or the waiting task is cancelled, every borrower leaves and
 * the task is woken: nothing of the wait is left, should the task be destroyed
 * before it runs.
 */
#include "task/task.h"
#include <math.h>

#define FEW 16 /* as many borrowers stand on the stack */

struct member {
    struct rota__borrower borrower;
    struct wait *wait;
};

struct wait {
    struct rota__waiter waiter;
    struct rota__timer timer;
    struct member *members; /* few, or an allocation */
    size_t count;
    size_t left;
    rota_return_when when;
    struct member few[FEW];
};

static void leave_all(struct wait *wait)
{
    rota__timer_cancel(wait->waiter.task->loop, &wait->timer);
    for (size_t i = 0; i < wait->count; i++)
        rota__unready(&wait->members[i].borrower.handle);
    if (wait->members != wait->few)
        rota__free(wait->members);
}

static void finish(struct wait *wait, intptr_t result)
{
    leave_all(wait);
    rota__unpark(&wait->waiter, result);
}

static bool was_the_last(const struct wait *wait, intptr_t result)
{
    if (wait->left == 0 || wait->when == ROTA_FIRST_COMPLETED)
        return true;
    return wait->when == ROTA_FIRST_EXCEPTION && rota_is_error(result) &&
           result != -ECANCELED;
}

static void member_done(struct rota__handle *handle)
{
    struct rota__borrower *borrower =
        rota__container_of(handle, struct rota__borrower, handle);
    struct member *member =
        rota__container_of(borrower, struct member, borrower);
    struct wait *wait = member->wait;

    wait->left--;
    if (was_the_last(wait, borrower->result))
        finish(wait, 0);
}

static void time_is_over(struct rota__handle *handle)
{
    struct rota__timer *timer =
        rota__container_of(handle, struct rota__timer, handle);

    finish(rota__container_of(timer, struct wait, timer), 0);
}

static bool cancel_wait(struct rota__waiter *waiter)
{
    finish(rota__container_of(waiter, struct wait, waiter), -ECANCELED);
    return true;
}

int rota__tasks_check(const struct rota__task *self, const rota_task *tasks,
                      size_t count, const char *function)
{
    struct rota__task *task;
    int err = 0;

    for (size_t i = 0; i < count && err == 0; i++) {
        if (self && rota__task_is(self, tasks[i]))
            err = -EDEADLK;
        else
            err = rota__task_find(tasks[i], &task);
    }
    if (err < 0)
        return rota__misuse(rota__running_loop, err, function,
                            "give it other tasks that nobody has ended");
    return 0;
}

/* A task that is done is heard of in the next turn, as in asyncio. */
void rota__borrow(rota_task handle, struct rota__borrower *borrower,
                  void (*run)(struct rota__handle *))
{
    struct rota__task *task;

    borrower->handle.run = run;
    borrower->task = rota__current();
    borrower->task_id = borrower->task ? borrower->task->id : 0;
    if (rota__task_find(handle, &task) < 0)
        return;
    borrower->after_owner = task->owner != NULL;
    if (task->done) {
        borrower->result = task->result;
        rota__ready(task->loop, &borrower->handle);
    } else {
        rota__list_push(&task->borrowers, &borrower->handle.link);
    }
}

static int set_timer(struct wait *wait, rota_loop *loop, double timeout)
{
    rota__timer_init(&wait->timer, time_is_over);
    if (timeout == (double)INFINITY)
        return 0;
    return rota__timer_arm(loop, &wait->timer,
                           rota__now_at_most(loop) + rota__to_ns(timeout));
}

static int prepare(struct wait *wait, rota_loop *loop, double timeout)
{
    int err;

    wait->members = wait->few;
    if (wait->count > FEW)
        wait->members = rota__alloc(wait->count * sizeof(wait->few[0]));
    if (!wait->members)
        return -ENOMEM;
    err = set_timer(wait, loop, timeout);
    if (err < 0 && wait->members != wait->few)
        rota__free(wait->members);
    return err;
}

static intptr_t wait_for_them(struct rota__task *self, struct wait *wait,
                              const rota_task *tasks)
{
    for (size_t i = 0; i < wait->count; i++) {
        wait->members[i].wait = wait;
        rota__borrow(tasks[i], &wait->members[i].borrower, member_done);
    }
    rota__list_init(&wait->waiter.link);
    wait->waiter.cancel = cancel_wait;
    return rota__park(self, &wait->waiter);
}

static intptr_t count_done(const rota_task *tasks, size_t count, bool *done)
{
    intptr_t ended = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_done = rota_task_done(tasks[i]);

        ended += is_done;
        if (done)
            done[i] = is_done;
    }
    return ended;
}

static int check(const struct rota__task *self, const rota_task *tasks,
                 size_t count, double timeout, rota_return_when when)
{
    if (isnan(timeout) || count == 0 || (unsigned)when > ROTA_FIRST_EXCEPTION)
        return -EINVAL;
    return rota__tasks_check(self, tasks, count, "rota_wait");
}

intptr_t rota_wait(const rota_task *tasks, size_t count, double timeout,
                   rota_return_when when, bool *done)
{
    struct wait wait;
    intptr_t result;
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_wait", &err);

    if (self)
        err = check(self, tasks, count, timeout, when);
    if (err < 0)
        return err;
    wait.count = count;
    wait.left = count;
    wait.when = when;
    err = prepare(&wait, self->loop, timeout);
    if (err < 0)
        return err;
    result = wait_for_them(self, &wait, tasks);
    return result < 0 ? result : count_done(tasks, count, done);
}
