/* SPDX-License-Identifier: MIT */
/*
 * Threads and symbols
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>

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

void rota__name_function(const void *function, char *out, size_t size)
{
    Dl_info info;

    if (dladdr(function, &info) == 0)
        snprintf(out, size, "at %p", function);
    else if (info.dli_sname)
        snprintf(out, size, "%s", info.dli_sname);
    else
        snprintf(out, size, "at %s+0x%tx", info.dli_fname,
                 (const char *)function - (const char *)info.dli_fbase);
}
