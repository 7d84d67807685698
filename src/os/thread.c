/* SPDX-License-Identifier: MIT */
/*
 * Threads
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static _Thread_local char identity;

uintptr_t rota__thread_self(void)
{
    return (uintptr_t)&identity;
}

/* Signals stay with the threads that the program made, but for faults. */
static void fill_mask(sigset_t *mask)
{
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE,
                                 SIGILL,  SIGTRAP, SIGSYS};

    sigfillset(mask);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(mask, faults[i]);
}

static int start(pthread_t *thread, const pthread_attr_t *attributes,
                 void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    int err;

    fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(thread, attributes, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

int rota__thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    return start(thread, NULL, run, arg);
}

static size_t stack_size_of(size_t wanted)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t least = (size_t)PTHREAD_STACK_MIN;

    if (wanted < least)
        wanted = least;
    return (wanted + page - 1) / page * page;
}

int rota__thread_start_sized(pthread_t *thread, void *(*run)(void *), void *arg,
                             size_t stack_size)
{
    pthread_attr_t attributes;
    int err;

    if (stack_size == 0)
        return rota__thread_start(thread, run, arg);
    err = -pthread_attr_init(&attributes);
    if (err < 0)
        return err;
    err = -pthread_attr_setstacksize(&attributes, stack_size_of(stack_size));
    if (err == 0)
        err = start(thread, &attributes, run, arg);
    pthread_attr_destroy(&attributes);
    return err;
}

void rota__thread_yield(void)
{
    sched_yield();
}

int rota__processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
    cpu_set_t allowed;

    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        count = CPU_COUNT(&allowed);
#endif
    return count > 0 ? (int)count : 1;
}

#if defined(__APPLE__)

int rota__cond_init(pthread_cond_t *cond)
{
    return -pthread_cond_init(cond, NULL);
}

static int wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
                      int64_t deadline)
{
    int64_t left = deadline - rota__clock_now();
    struct timespec time = {0};

    if (left > 0) {
        time.tv_sec = (time_t)(left / ROTA__SECOND);
        time.tv_nsec = (long)(left % ROTA__SECOND);
    }
    return pthread_cond_timedwait_relative_np(cond, lock, &time);
}

#else

int rota__cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    int err;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    err = pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return -err;
}

static int wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
                      int64_t deadline)
{
    struct timespec time = {
        .tv_sec = (time_t)(deadline / ROTA__SECOND),
        .tv_nsec = (long)(deadline % ROTA__SECOND),
    };

    return pthread_cond_timedwait(cond, lock, &time);
}

#endif

bool rota__cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock,
                     int64_t deadline)
{
    if (deadline < 0)
        deadline = 0;
    if (deadline == ROTA__FOREVER)
        return pthread_cond_wait(cond, lock) == 0;
    return wait_until(cond, lock, deadline) != ETIMEDOUT;
}
