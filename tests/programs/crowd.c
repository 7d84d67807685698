/* SPDX-License-Identifier: MIT */
/*
 * Many tasks, to be looked at from outside: `crowd KIND [COUNT]`
 *
 *     many    COUNT tasks that sleep
 *     chain   COUNT tasks, each awaits the next
 *     ring    two that await each other
 *     loops   two loops on two threads
 *     idle    a loop without tasks
 *     busy    tasks that are made and end all the time, in numbers
 *
 * Says "ready" when it is so, and for each line that comes how many tasks of
 * the busy ones have ended. Ends at the end of its input.
 */
#include "outside.h"
#include <pthread.h>
#include <rota.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG 1e9

static unsigned long ended;

static rota_task make(rota_task_function *function, void *arg)
{
    rota_task task;

    if (rota_create_task(&task, function, arg) != 0)
        abort();
    return task;
}

static intptr_t sleeper(void *arg)
{
    (void)arg;
    return rota_sleep(LONG);
}

static intptr_t link_of_chain(void *arg)
{
    intptr_t left = (intptr_t)arg;

    if (left <= 1)
        return sleeper(NULL);
    return rota_await(make(link_of_chain, (void *)(left - 1)));
}

static rota_task ring[2];

static intptr_t part_of_ring(void *arg)
{
    return rota_await(ring[(intptr_t)arg]);
}

static intptr_t brief(void *arg)
{
    int err = rota_sleep((double)((intptr_t)arg % 3) * 1e-6);

    ended++;
    return err;
}

static intptr_t parent_of_brief(void *arg)
{
    rota_task tasks[8];

    while (rota_sleep(0) == 0) {
        for (intptr_t i = 0; i < 8; i++)
            tasks[i] = make(brief, (void *)((intptr_t)arg + i));
        if (rota_gather(tasks, 8, NULL, false) != 0)
            break;
    }
    return 0;
}

/* Says how many tasks have ended, or ends itself. */
static void input_has_come(void *arg)
{
    char bytes[64];

    (void)arg;
    if (read(0, bytes, sizeof bytes) <= 0)
        _exit(0);
    printf("%lu\n", ended);
    fflush(stdout);
}

static void say_ready(void *arg)
{
    (void)arg;
    puts("ready");
    fflush(stdout);
}

/* Calls when this task waits, and each other one has had many turns for it. */
static intptr_t settle(rota_callback *settled)
{
    for (int i = 0; i < 5; i++)
        if (rota_sleep(0) != 0)
            abort();
    if (rota_call_soon(rota_get_running_loop(), NULL, settled, NULL) != 0)
        abort();
    return rota_sleep(LONG);
}

static void begin(const char *kind, intptr_t count)
{
    if (!strcmp(kind, "many"))
        while (count-- > 0)
            (void)make(sleeper, NULL);
    if (!strcmp(kind, "chain"))
        (void)make(link_of_chain, (void *)count);
    if (!strcmp(kind, "ring"))
        for (intptr_t i = 0; i < 2; i++)
            ring[i] = make(part_of_ring, (void *)(1 - i));
    if (!strcmp(kind, "busy"))
        for (intptr_t i = 0; i < 100; i++)
            (void)make(parent_of_brief, (void *)i);
}

static intptr_t amain(void *arg)
{
    char **argv = arg;
    intptr_t count = argv[2] ? atol(argv[2]) : 0;

    if (rota_add_reader(rota_get_running_loop(), 0, input_has_come, NULL) != 0)
        abort();
    begin(argv[1], count);
    if (!strcmp(argv[1], "chain"))
        while (count-- > 0)
            if (rota_sleep(0) != 0)
                abort();
    return settle(say_ready);
}

static sem_t other_waits;

static void say_that_it_waits(void *arg)
{
    (void)arg;
    sem_post(&other_waits);
}

static intptr_t other_main(void *arg)
{
    (void)arg;
    return settle(say_that_it_waits);
}

static void *other_loop(void *arg)
{
    (void)rota_run(other_main, arg);
    return NULL;
}

static int run_two(char **argv)
{
    pthread_t thread;

    if (sem_init(&other_waits, 0, 0) != 0 ||
        pthread_create(&thread, NULL, other_loop, NULL) != 0 ||
        sem_wait(&other_waits) != 0)
        return 1;
    return rota_run(amain, argv) < 0;
}

static int run_idle(void)
{
    rota_loop *loop;

    if (rota_new_event_loop(&loop, NULL) != 0 ||
        rota_add_reader(loop, 0, input_has_come, NULL) != 0)
        return 1;
    say_ready(NULL);
    return rota_loop_run_forever(loop);
}

int main(int argc, char **argv)
{
    let_others_look();
    if (argc < 2)
        return 2;
    if (!strcmp(argv[1], "idle"))
        return run_idle();
    if (!strcmp(argv[1], "loops"))
        return run_two(argv);
    return rota_run(amain, argv) < 0;
}
