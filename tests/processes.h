/* SPDX-License-Identifier: MIT */
/*
 * What the tests of process pools share: calls in other processes
 *
 * The board is memory that all of them see. A call that is to be under way
 * while something else happens stands at it, tells who it is and waits until
 * it is let go; nothing here sleeps to let something happen.
 */
#ifndef TESTS_PROCESSES_H
#define TESTS_PROCESSES_H

#include "harness.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACES = 8 };

static struct board {
    sem_t come;
    sem_t go;
    atomic_int count; /* of whatever a test counts */
    atomic_int places;
    atomic_int pids[PLACES];
} * board;

/* Before the first process is made. */
static inline void put_up_board(void)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(board != MAP_FAILED);
    assert_int_equal(sem_init(&board->come, 1, 0), 0);
    assert_int_equal(sem_init(&board->go, 1, 0), 0);
}

static inline void down(sem_t *sem)
{
    while (sem_wait(sem) < 0)
        ;
}

/* A call that is held, and gives its argument back. */
static inline intptr_t held(void *arg)
{
    atomic_store(&board->pids[atomic_fetch_add(&board->places, 1)], getpid());
    sem_post(&board->come);
    down(&board->go);
    return (intptr_t)arg;
}

static inline void see_held(int count)
{
    for (int i = 0; i < count; i++)
        down(&board->come);
}

static inline void let_go(int count)
{
    for (int i = 0; i < count; i++)
        sem_post(&board->go);
}

static inline rota_executor *
new_processes(const rota_process_pool_options *options)
{
    rota_executor *pool = NULL;

    assert_int_equal(rota_process_pool_new(&pool, options), 0);
    assert_non_null(pool);
    return pool;
}

static inline rota_executor *new_workers(int max_workers)
{
    return new_processes(
        &(rota_process_pool_options){.max_workers = max_workers});
}

static inline rota_concurrent_future *submit(rota_executor *pool,
                                             rota_work_function *function,
                                             void *arg, size_t size)
{
    rota_concurrent_future *future = NULL;

    assert_int_equal(rota_executor_submit(pool, &future, function, arg, size),
                     0);
    assert_non_null(future);
    return future;
}

/* The result, when it is there; ends the future. */
static inline intptr_t result_of(rota_concurrent_future *future)
{
    intptr_t result = rota_concurrent_future_result(future, (double)INFINITY);

    rota_concurrent_future_free(future);
    return result;
}

static inline intptr_t call(rota_executor *pool, rota_work_function *function,
                            void *arg, size_t size)
{
    return result_of(submit(pool, function, arg, size));
}

/*
 * Has all processes made one by one, while no other thread moves: a
 * sanitizer's malloc, unlike the system's, does not survive a fork in the
 * midst of it. For calls that allocate.
 */
static inline void warm_up(rota_executor *pool, int workers)
{
    rota_concurrent_future *futures[PLACES];

    for (int i = 0; i < workers; i++) {
        futures[i] = submit(pool, held, NULL, 0);
        see_held(1);
    }
    let_go(workers);
    for (int i = 0; i < workers; i++)
        assert_int_equal(result_of(futures[i]), 0);
}

static inline intptr_t who_am_i(void *arg)
{
    (void)arg;
    return getpid();
}

/* The pid of the process that the next call of a pool of one will have. */
static inline pid_t process_of(rota_executor *pool)
{
    pid_t pid = (pid_t)call(pool, who_am_i, NULL, 0);

    assert_true(pid > 0);
    assert_int_not_equal(pid, getpid());
    return pid;
}

/* Until it has ended and was reaped, though nobody has called. */
static inline void see_dead(pid_t pid)
{
    siginfo_t info;

    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0)
        sched_yield();
    assert_int_equal(errno, ECHILD);
}

static inline intptr_t give_back(void *arg)
{
    return (intptr_t)arg;
}

/* Neither a process nor what is left of one. */
static inline void assert_no_process(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static inline void end_pool(rota_executor *pool)
{
    rota_executor_free(pool);
    assert_no_process();
    if (board)
        munmap(board, sizeof *board);
}

static inline pthread_t start_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

#endif
