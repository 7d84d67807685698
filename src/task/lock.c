/* SPDX-License-Identifier: MIT */
/*
 * Lock
 *
 * A release does not hand the lock over: it wakes the first that waits, and
 * the lock stays free until that task runs. Meanwhile nobody else takes it,
 * because somebody is woken; and if the woken one was cancelled instead, it
 * wakes the next. If the first in line has been cancelled and does not know
 * yet, the release wakes nobody, as in asyncio: that one does when it runs.
 */
#include "task/task.h"

void rota_lock_init(rota_lock *lock)
{
    rota__queue_open(&lock->queue);
    lock->locked = false;
}

void rota_lock_fini(rota_lock *lock)
{
    rota__queue_end(&lock->queue, "rota_lock_fini");
}

static void wake_first(rota_lock *lock)
{
    if (rota__list_empty(&lock->queue.woken) &&
        !rota__queue_first_leaves(&lock->queue))
        (void)rota__queue_wake(&lock->queue);
}

static int wait_for_lock(rota_lock *lock, struct rota__task *self)
{
    struct rota__place place;
    int err = rota__queue_wait(self, &lock->queue, &place);

    if (err == 0)
        lock->locked = true;
    else if (err == -ECANCELED && !lock->locked)
        wake_first(lock);
    return err;
}

/* Held by a task of another loop, it cannot be waited for. */
static int bind_lock(rota_lock *lock, rota_loop *loop)
{
    if (lock->queue.loop == loop)
        return 0;
    if (lock->locked && lock->queue.loop)
        return rota__misuse(loop, -EINVAL, "rota_lock_acquire",
                            "a lock is for the tasks of one loop");
    return rota__queue_rebind(&lock->queue, loop);
}

static ROTA__SLOW int acquire_slowly(rota_lock *lock)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_lock_acquire", &err);

    if (self)
        err = bind_lock(lock, self->loop);
    if (err < 0)
        return err;
    if (lock->locked || !rota__queue_idle(&lock->queue))
        return wait_for_lock(lock, self);
    lock->locked = true;
    return 0;
}

int rota_lock_acquire(rota_lock *lock)
{
    const struct rota__task *self = rota__current();

    if (rota__unlikely(lock->locked || !self ||
                       lock->queue.loop != self->loop ||
                       !rota__queue_idle(&lock->queue)))
        return acquire_slowly(lock);
    lock->locked = true;
    return 0;
}

static ROTA__SLOW int release_slowly(rota_lock *lock)
{
    if (!lock->locked)
        return rota__misuse(rota__running_loop, -ROTA_ESTATE,
                            "rota_lock_release",
                            "release a lock once, after it was acquired");
    lock->locked = false;
    wake_first(lock);
    return 0;
}

int rota_lock_release(rota_lock *lock)
{
    if (rota__unlikely(!lock->locked || !rota__queue_idle(&lock->queue)))
        return release_slowly(lock);
    lock->locked = false;
    return 0;
}

bool rota_lock_locked(const rota_lock *lock)
{
    return lock->locked;
}
