/* SPDX-License-Identifier: MIT */
/*
 * Waiting for some of many tasks
 *
 * Mirrors "Waiting Primitives" of asyncio's manual, beside rota_gather(),
 * rota_wait_for() and rota_shield() of <rota/task.h>. What is here only looks
 * on: it neither cancels nor ends a task, also when the waiting task is
 * cancelled. Each task is still to be awaited, or detached, by its owner.
 *
 * Errors of all: -ROTA_EAWAITED for a task that was ended, -EDEADLK for the
 * waiting task itself, -EINVAL (no tasks, a NaN, no such rota_return_when, a
 * task of another loop), -ENOMEM.
 */
#ifndef ROTA_WAIT_H
#define ROTA_WAIT_H

#include <rota/sync.h>
#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What rota_wait() waits for. */
typedef enum rota_return_when {
    ROTA_ALL_COMPLETED,
    ROTA_FIRST_COMPLETED,
    ROTA_FIRST_EXCEPTION /* one that fails, other than by a cancellation */
} rota_return_when;

/*
 * Waits for the tasks, at most `timeout` seconds (INFINITY: no limit; that
 * the time has passed is no error). Returns how many are done, and into
 * done[], unless that is NULL, for each whether it is. More than 16 tasks
 * take one allocation.  asyncio: wait().
 */
intptr_t rota_wait(const rota_task *tasks, size_t count, double timeout,
                   rota_return_when when, bool *done) ROTA_MUST_USE;

/* Tasks in the order of their ends; memory of the caller's, private. */
typedef struct rota_as_completed {
    struct rota__heap_node node;
    struct rota__handle handle;
    struct rota__queue_of_waiters queue;
    struct rota__link finished;
    struct rota__completions *completions;
    rota_loop *loop;
    size_t left;
    bool timed_out;
} rota_as_completed;

/*
 * Begins to watch the tasks, for `timeout` seconds (INFINITY: no limit). One
 * allocation, given back by rota_as_completed_end(). Errors besides:
 * -ROTA_ENOLOOP.  asyncio: as_completed().
 */
int rota_as_completed_begin(rota_as_completed *iterator, const rota_task *tasks,
                            size_t count, double timeout) ROTA_MUST_USE;

/*
 * Waits for the next one that is done. 1 with its handle in *task, of which
 * rota_await() gives the result at once; 0 when there are no more; -ETIMEDOUT
 * when the time has passed before all were done. Several tasks may share one
 * iterator; one that is cancelled while it waits has got nothing.
 */
int rota_as_completed_next(rota_as_completed *iterator,
                           rota_task *task) ROTA_MUST_USE;

/*
 * Stops watching; tasks that still wait for a next one get -ROTA_ECLOSING. In
 * any context of the loop's thread, also after the loop was closed.
 */
void rota_as_completed_end(rota_as_completed *iterator);

#ifdef __cplusplus
}
#endif

#endif
