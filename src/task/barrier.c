/* SPDX-License-Identifier: MIT */
/*
 * Barrier
 *
 *     FILLING --the last has come--> DRAINING --the last has left--> FILLING
 *        |-----reset--> RESETTING --the last has left-----------------^
 *        `-----abort--> BROKEN ---reset--> as above
 *
 * Tasks that come while it drains or resets wait before it.
 */
#include "task/task.h"

enum { FILLING, DRAINING, RESETTING, BROKEN };

int rota_barrier_init(rota_barrier *barrier, size_t parties)
{
    if (parties == 0)
        return -EINVAL;
    rota_condition_init(&barrier->condition, NULL);
    barrier->parties = parties;
    barrier->count = 0;
    barrier->state = FILLING;
    return 0;
}

void rota_barrier_fini(rota_barrier *barrier)
{
    rota__queue_end(&barrier->condition.queue, "rota_barrier_fini");
    rota__queue_end(&barrier->condition.own.queue, "rota_barrier_fini");
}

static bool is_open(void *arg)
{
    const rota_barrier *barrier = arg;

    return barrier->state != DRAINING && barrier->state != RESETTING;
}

static bool is_over(void *arg)
{
    const rota_barrier *barrier = arg;

    return barrier->state != FILLING;
}

static int enter(rota_barrier *barrier)
{
    int err = rota_condition_wait_for(&barrier->condition, is_open, barrier);

    return err == 0 && barrier->state == BROKEN ? -ROTA_EBROKEN : err;
}

static int wait_for_others(rota_barrier *barrier)
{
    int err = rota_condition_wait_for(&barrier->condition, is_over, barrier);

    if (err == 0 && barrier->state != DRAINING)
        return -ROTA_EBROKEN;
    return err;
}

static int pass(rota_barrier *barrier)
{
    if (barrier->count < barrier->parties)
        return wait_for_others(barrier);
    barrier->state = DRAINING;
    return rota_condition_notify_all(&barrier->condition);
}

static void leave(rota_barrier *barrier)
{
    if (--barrier->count > 0)
        return;
    if (barrier->state == RESETTING || barrier->state == DRAINING)
        barrier->state = FILLING;
    (void)rota_condition_notify_all(&barrier->condition);
}

/* With the lock, and not while tasks of another loop are inside. */
static int take_lock(rota_barrier *barrier, const char *function)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task(function, &err);

    if (self)
        err = rota_condition_acquire(&barrier->condition);
    if (err < 0)
        return err;
    err = rota__queue_bind(&barrier->condition.queue, rota__running_loop);
    if (err < 0)
        (void)rota_condition_release(&barrier->condition);
    return err;
}

/* With the lock held; it is held after, unless the barrier is gone. */
static intptr_t wait_inside(rota_barrier *barrier)
{
    size_t index;
    int err = enter(barrier);

    if (err < 0)
        return err;
    index = barrier->count++;
    err = pass(barrier);
    if (err == -ROTA_ECLOSING)
        return err;
    leave(barrier);
    return err < 0 ? err : (intptr_t)index;
}

intptr_t rota_barrier_wait(rota_barrier *barrier)
{
    intptr_t result = take_lock(barrier, "rota_barrier_wait");

    if (result < 0)
        return result;
    result = wait_inside(barrier);
    if (result != -ROTA_ECLOSING)
        (void)rota_condition_release(&barrier->condition);
    return result;
}

/* Tells all of another state, and whether that can be done at once. */
static int change_state(rota_barrier *barrier, int state, const char *function)
{
    int err = take_lock(barrier, function);

    if (err < 0)
        return err;
    if (state == RESETTING && barrier->count == 0)
        state = FILLING;
    barrier->state = state;
    (void)rota_condition_notify_all(&barrier->condition);
    return rota_condition_release(&barrier->condition);
}

int rota_barrier_reset(rota_barrier *barrier)
{
    return change_state(barrier, RESETTING, "rota_barrier_reset");
}

int rota_barrier_abort(rota_barrier *barrier)
{
    return change_state(barrier, BROKEN, "rota_barrier_abort");
}

size_t rota_barrier_parties(const rota_barrier *barrier)
{
    return barrier->parties;
}

size_t rota_barrier_n_waiting(const rota_barrier *barrier)
{
    return barrier->state == FILLING ? barrier->count : 0;
}

bool rota_barrier_broken(const rota_barrier *barrier)
{
    return barrier->state == BROKEN;
}
