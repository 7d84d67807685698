/* SPDX-License-Identifier: MIT */
/*
 * What the tests of pools of threads share: the threads, counted
 *
 * A thread that runs the initializer is counted when it begins, and once more
 * when it has ended.
 */
#ifndef TESTS_THREAD_POOLS_H
#define TESTS_THREAD_POOLS_H

#include "executors.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_key_t key;
    int begun;
    int ended;
} counted = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};

static inline void count_end(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&counted.lock);
    counted.ended++;
    pthread_cond_broadcast(&counted.changed);
    pthread_mutex_unlock(&counted.lock);
}

/* An initializer. */
static inline void count_thread(void *arg)
{
    (void)arg;
    pthread_setspecific(counted.key, &counted);
    pthread_mutex_lock(&counted.lock);
    counted.begun++;
    pthread_mutex_unlock(&counted.lock);
}

static inline int threads_begun(void)
{
    int begun;

    pthread_mutex_lock(&counted.lock);
    begun = counted.begun;
    pthread_mutex_unlock(&counted.lock);
    return begun;
}

/* Returns when so many threads have ended. */
static inline void see_ended(int count)
{
    pthread_mutex_lock(&counted.lock);
    while (counted.ended < count)
        pthread_cond_wait(&counted.changed, &counted.lock);
    pthread_mutex_unlock(&counted.lock);
}

static inline rota_executor *new_pool_with(rota_thread_pool_options options)
{
    rota_executor *pool = NULL;

    assert_int_equal(rota_thread_pool_new(&pool, &options), 0);
    return pool;
}

/* A pool whose threads are counted. */
static inline rota_executor *new_counted_pool(int max_workers,
                                              double idle_timeout)
{
    assert_int_equal(pthread_key_create(&counted.key, count_end), 0);
    return new_pool_with((rota_thread_pool_options){
        .max_workers = max_workers,
        .idle_timeout = idle_timeout,
        .initializer = count_thread,
    });
}

#endif
