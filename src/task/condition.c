/* SPDX-License-Identifier: MIT */
/*
 * Condition: a lock, and a queue of tasks that have given it up to be told
 * of a change
 *
 * A task that was notified and then fails to return normally, because it was
 * cancelled meanwhile, notifies another: the notification is not lost.
 */
#include "task/task.h"

void rota_condition_init(rota_condition *condition, rota_lock *lock)
{
    rota__queue_open(&condition->queue);
    rota_lock_init(&condition->own);
    condition->lock = lock ? lock : &condition->own;
}

void rota_condition_fini(rota_condition *condition)
{
    rota__queue_end(&condition->queue, "rota_condition_fini");
    rota_lock_fini(&condition->own);
}

int rota_condition_acquire(rota_condition *condition)
{
    return rota_lock_acquire(condition->lock);
}

int rota_condition_release(rota_condition *condition)
{
    return rota_lock_release(condition->lock);
}

bool rota_condition_locked(const rota_condition *condition)
{
    return condition->lock->locked;
}

static int not_held(const char *function)
{
    return rota__misuse(rota__running_loop, -ROTA_ESTATE, function,
                        "acquire the condition's lock first");
}

static void notify(rota_condition *condition, size_t count)
{
    while (count > 0 && rota__queue_wake(&condition->queue))
        count--;
}

/* Cancellations do not keep it from taking the lock; they are told later. */
static int take_lock_back(rota_condition *condition, int err)
{
    int locked;

    while ((locked = rota_lock_acquire(condition->lock)) == -ECANCELED)
        err = locked;
    if (locked < 0)
        return locked;
    if (err < 0)
        notify(condition, 1);
    return err;
}

int rota_condition_wait(rota_condition *condition)
{
    struct rota__place place;
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_condition_wait", &err);

    if (!self)
        return err;
    if (!condition->lock->locked)
        return not_held("rota_condition_wait");
    err = rota__queue_bind(&condition->queue, self->loop);
    if (err < 0)
        return err;
    (void)rota_lock_release(condition->lock);
    err = rota__queue_wait(self, &condition->queue, &place);
    return err == -ROTA_ECLOSING ? err : take_lock_back(condition, err);
}

int rota_condition_wait_for(rota_condition *condition,
                            rota_predicate *predicate, void *arg)
{
    int err = 0;

    if (!predicate)
        return -EINVAL;
    while (err == 0 && !predicate(arg))
        err = rota_condition_wait(condition);
    return err;
}

int rota_condition_notify(rota_condition *condition, size_t count)
{
    if (!condition->lock->locked)
        return not_held("rota_condition_notify");
    notify(condition, count);
    return 0;
}

int rota_condition_notify_all(rota_condition *condition)
{
    return rota_condition_notify(condition, SIZE_MAX);
}
