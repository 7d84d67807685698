/* SPDX-License-Identifier: MIT */
/*
 * Condition: a lock, and a queue of tasks that have given it up to be told
 * of a change
 *
 * A task that was notified and then fails to return normally, because it was
 * cancelled meanwhile, notifies another: the notification is not lost.
 *
 * It keeps its place in the queue until it has the lock again, so that the end
 * of the condition finds it there as well.
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
    rota__queue_end(&condition->own.queue, "rota_condition_fini");
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
static int take_lock_back(rota_lock *lock, const struct rota__place *place,
                          int *err)
{
    int locked;

    do {
        locked = rota_lock_acquire(lock);
        if (locked == -ECANCELED)
            *err = locked;
    } while (locked == -ECANCELED && !place->gone);
    return locked;
}

/*
 * Without a condition there is nothing that the lock would be held for. And a
 * lock that cannot be had, whatever the reason, is gone for the caller.
 */
static int come_back(rota_condition *condition, rota_lock *lock,
                     struct rota__task *self, struct rota__place *place,
                     int err)
{
    int locked =
        place->gone ? -ROTA_ECLOSING : take_lock_back(lock, place, &err);

    err = rota__queue_leave(self, place, err);
    if (err == -ROTA_ECLOSING) {
        if (locked == 0)
            (void)rota_lock_release(lock);
        return err;
    }
    if (err < 0 || locked < 0)
        notify(condition, 1);
    if (err < 0 && locked < 0)
        rota__cancel_next_wait(self);
    return locked < 0 ? -ROTA_ECLOSING : err;
}

int rota_condition_wait(rota_condition *condition)
{
    rota_lock *lock = condition->lock;
    struct rota__place place;
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_condition_wait", &err);

    if (!self)
        return err;
    if (!lock->locked)
        return not_held("rota_condition_wait");
    err = rota__queue_bind(&condition->queue, self->loop);
    if (err < 0)
        return err;
    (void)rota_lock_release(lock);
    err = rota__queue_stay(self, &condition->queue, &place);
    return come_back(condition, lock, self, &place, err);
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
