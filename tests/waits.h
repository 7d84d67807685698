/* SPDX-License-Identifier: MIT */
/*
 * What the tests of rota_wait() and its sisters share: many tasks at once
 */
#ifndef TESTS_WAITS_H
#define TESTS_WAITS_H

#include "scenario.h"

static inline void start_jobs(rota_task *tasks, struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tasks[i] = start(do_job, &jobs[i]);
}

static inline void end_all(const rota_task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)rota_task_cancel(tasks[i]);
    assert_int_equal(rota_gather(tasks, count, NULL, true), 0);
}

static inline intptr_t yield_and_note(void *turns)
{
    int err = 0;

    for (intptr_t i = 0; i < (intptr_t)turns && err == 0; i++)
        err = rota_sleep(0);
    note("e%d", (int)(intptr_t)turns);
    return err;
}

static inline rota_task start_after(int turns)
{
    return start(yield_and_note, (void *)(intptr_t)turns);
}

static inline intptr_t wait_until(rota_return_when when, const rota_task *tasks,
                                  size_t count, bool *done)
{
    return rota_wait(tasks, count, (double)INFINITY, when, done);
}

/* The flags as a number, the first task's the highest digit. */
static inline int digits(const bool *done, size_t count)
{
    int number = 0;

    for (size_t i = 0; i < count; i++)
        number = 10 * number + done[i];
    return number;
}

#endif
