/* SPDX-License-Identifier: MIT */
/*
 * A task for each way to wait, to be looked at from outside
 *
 * One after the other they wait; the last, `blocker`, then holds the loop in a
 * read() of standard input, so that nothing moves any more: one task runs,
 * one has begun that one at once, one is ready, one is new. Says "ready" when
 * it is so, and ends at the end of its input.
 */
#include "outside.h"
#include <errno.h>
#include <rota.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LONG 1e9
#define KEPT __attribute__((noinline, noclone)) /* in the traces */

/* Keeps a call from being the last thing that a function does. */
static intptr_t after(intptr_t result)
{
    __asm__ volatile("" : : : "memory");
    return result;
}

static rota_task make(const char *name, rota_task_function *function, void *arg)
{
    rota_task_options options = {.name = name};
    rota_task task;

    if (rota_create_task_with(&task, &options, function, arg) != 0)
        abort();
    return task;
}

KEPT static intptr_t nap(int depth)
{
    return after(depth == 0 ? rota_sleep(LONG) : nap(depth - 1));
}

KEPT static intptr_t sleeper(void *arg)
{
    return after(nap(arg ? 3 : 0));
}

static inline __attribute__((always_inline)) intptr_t in_line(void)
{
    return after(rota_sleep(LONG));
}

KEPT static intptr_t inliner(void *arg)
{
    (void)arg;
    return after(in_line());
}

KEPT static intptr_t awaiter(void *arg)
{
    return after(rota_await(make("awaited", sleeper, arg)));
}

KEPT static intptr_t gatherer(void *arg)
{
    rota_task tasks[2];

    tasks[0] = make("fetch-1", sleeper, arg);
    tasks[1] = make("fetch-2", awaiter, arg);
    return after(rota_gather(tasks, 2, NULL, false));
}

KEPT static intptr_t grouper(void *arg)
{
    rota_task_group group;
    int err = rota_task_group_begin(&group);

    if (err == 0)
        err = rota_task_group_create_task(&group, sleeper, arg, NULL);
    if (err == 0)
        err = rota_task_group_create_task(&group, inliner, arg, NULL);
    return after(rota_task_group_end(&group, err));
}

KEPT static intptr_t shielder(void *arg)
{
    return after(rota_shield(make("shielded", sleeper, arg)));
}

KEPT static intptr_t limited(void *arg)
{
    return after(rota_wait_for(make("slow", sleeper, arg), LONG));
}

KEPT static intptr_t of_a_future(void *arg)
{
    static rota_future future;
    intptr_t result = 0;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    return after(rota_await_future(&future, &result));
}

/* Does not heed its cancellation. */
KEPT static intptr_t stubborn(void *arg)
{
    intptr_t err = rota_sleep(LONG);

    return after(err == -ECANCELED ? sleeper(arg) : err);
}

KEPT static intptr_t finished(void *arg)
{
    return (intptr_t)arg;
}

KEPT static intptr_t turning(void *arg)
{
    (void)arg;
    while (rota_sleep(0) == 0)
        ;
    return after(0);
}

KEPT static intptr_t blocker(void *arg)
{
    char byte;

    (void)make("fresh", sleeper, arg);
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    _exit(0);
}

KEPT static intptr_t starter(void *arg)
{
    rota_task_options options = {.name = "blocker", .eager_start = true};
    rota_task task;

    for (int i = 0; i < 20; i++)
        if (rota_sleep(0) != 0)
            abort();
    return after(rota_create_task_with(&task, &options, blocker, arg));
}

KEPT static intptr_t amain(void *arg)
{
    rota_task tasks[5];
    rota_task detached = make("alone", sleeper, NULL);
    rota_task cancelled = make("stubborn", stubborn, NULL);

    tasks[0] = make("gatherer", gatherer, arg);
    tasks[1] = make("grouper", grouper, NULL);
    tasks[2] = make("limited", limited, NULL);
    tasks[3] = make("of a future", of_a_future, NULL);
    (void)make("shielder", shielder, NULL);
    (void)make("finished", finished, NULL);
    (void)make("turning", turning, NULL);
    (void)make("twin", sleeper, NULL);
    (void)make("twin", sleeper, NULL);
    if (rota_sleep(0) != 0 || rota_detach(detached) != 0 ||
        rota_task_cancel(cancelled) < 0)
        abort();
    tasks[4] = make("starter", starter, NULL);
    return after(rota_gather(tasks, 5, NULL, false));
}

int main(void)
{
    let_others_look();
    return rota_run(amain, "deep") < 0;
}
