/* SPDX-License-Identifier: MIT */
/*
 * Semaphore, bounded or not
 *
 * A release takes the value down again at once for the task that it wakes, so
 * that nobody is admitted too many; a woken one that was cancelled puts its
 * part back, and whoever leaves the queue wakes as many as the value allows.
 */
#include "task/task.h"

void rota_semaphore_init(rota_semaphore *semaphore, size_t value)
{
    rota__queue_open(&semaphore->queue);
    semaphore->value = value;
    semaphore->bound = SIZE_MAX;
}

void rota_bounded_semaphore_init(rota_semaphore *semaphore, size_t value)
{
    rota_semaphore_init(semaphore, value);
    semaphore->bound = value;
}

void rota_semaphore_fini(rota_semaphore *semaphore)
{
    rota__queue_end(&semaphore->queue, "rota_semaphore_fini");
}

bool rota_semaphore_locked(const rota_semaphore *semaphore)
{
    return semaphore->value == 0 || !rota__queue_idle(&semaphore->queue);
}

static bool admit_next(rota_semaphore *semaphore)
{
    if (semaphore->value == 0 || !rota__queue_wake(&semaphore->queue))
        return false;
    semaphore->value--;
    return true;
}

static int wait_in_turn(rota_semaphore *semaphore, struct rota__task *self)
{
    struct rota__place place;
    int err = rota__queue_wait(self, &semaphore->queue, &place);

    if (err == -ROTA_ECLOSING)
        return err;
    if (err < 0 && place.woken)
        semaphore->value++;
    while (admit_next(semaphore))
        ;
    return err;
}

int rota_semaphore_acquire(rota_semaphore *semaphore)
{
    int err = 0;
    struct rota__task *self =
        rota__waiting_task("rota_semaphore_acquire", &err);

    if (rota__likely(self != NULL))
        err = rota__queue_bind(&semaphore->queue, self->loop);
    if (rota__unlikely(err < 0))
        return err;
    if (rota__unlikely(rota_semaphore_locked(semaphore)))
        return wait_in_turn(semaphore, self);
    semaphore->value--;
    return 0;
}

int rota_semaphore_release(rota_semaphore *semaphore)
{
    if (rota__unlikely(semaphore->value >= semaphore->bound))
        return semaphore->bound == SIZE_MAX
                   ? -EOVERFLOW
                   : rota__misuse(rota__running_loop, -ROTA_ESTATE,
                                  "rota_semaphore_release",
                                  "release it once for each acquire");
    semaphore->value++;
    (void)admit_next(semaphore);
    return 0;
}
