/* SPDX-License-Identifier: MIT */
/*
 * Threads
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <signal.h>

static _Thread_local char identity;

uintptr_t rota__thread_self(void)
{
    return (uintptr_t)&identity;
}

/* Signals stay with the threads that the program made. */
int rota__thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}
