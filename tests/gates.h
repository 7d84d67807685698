/* SPDX-License-Identifier: MIT */
/*
 * A gate that calls are held at
 *
 * No test sleeps to let something happen: a call that is to run meanwhile
 * waits at the gate, and who needs it there waits until it has come.
 */
#ifndef TESTS_GATES_H
#define TESTS_GATES_H

#include <pthread.h>
#include <stdbool.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int waiting;
    int most_waiting;
    int passed; /* calls that have been held and have gone on */
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, 0};

static inline void wait_at_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.waiting++;
    if (gate.waiting > gate.most_waiting)
        gate.most_waiting = gate.waiting;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.waiting--;
    gate.passed++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static inline void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Once those that were there have gone on. */
static inline void close_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting > 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.open = false;
    pthread_mutex_unlock(&gate.lock);
}

/* Returns when so many threads wait at the gate. */
static inline void see_waiting(int count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

#endif
