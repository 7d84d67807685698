/* SPDX-License-Identifier: MIT */
/*
 * Interrupt: Ctrl-C while a main task runs
 */
#include "task/interrupt.h"

static struct rota__interrupt *interrupt_of(struct rota__signal_watch *watch)
{
    return rota__container_of(watch, struct rota__interrupt, watch);
}

static void count(struct rota__signal_watch *watch)
{
    if (atomic_fetch_add(&interrupt_of(watch)->times, 1) > 0)
        rota__signal_die(watch->number);
}

static void cancel_main(struct rota__signal_watch *watch)
{
    struct rota__interrupt *self = interrupt_of(watch);

    self->told = rota_task_cancel(self->main) > 0;
}

/* Where it cannot be watched, it does what it always did. */
void rota__interrupt_begin(struct rota__interrupt *self, rota_loop *loop,
                           rota_task main)
{
    self->watch.loop = loop;
    self->watch.number = SIGINT;
    self->watch.caught = cancel_main;
    self->watch.at_once = count;
    self->watch.reserve = true;
    self->main = main;
    self->on = rota__signal_is_free(SIGINT) &&
               rota__signal_watch_begin(&self->watch) == 0;
}

/*
 * As asyncio's KeyboardInterrupt, if nobody else has cancelled the task too. A
 * signal that came as the task ended takes its result's place, unless that is
 * an error; for a loop that was stopped, the task hears of it in the next run.
 */
intptr_t rota__interrupt_end(struct rota__interrupt *self, intptr_t result,
                             int cancelling)
{
    if (!self->on)
        return result;
    rota__signal_watch_end(&self->watch);
    if (atomic_load(&self->times) == 0)
        return result;
    if (self->told)
        return result == -ECANCELED && cancelling <= 1 ? -EINTR : result;
    (void)rota_task_cancel(self->main);
    return rota_is_error(result) ? result : -EINTR;
}
