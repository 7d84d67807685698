/* SPDX-License-Identifier: MIT */
/*
 * Tasks: straight-line code that waits
 *
 * Mirrors "Coroutines and Tasks" of asyncio's manual. A task is a C function
 * on a stack of its own. It may await in any function, at any depth; while it
 * waits, others run. What it returns reads like a system call's result: an
 * error in [-4095, -1], else a value.
 *
 * Every task that rota_create_task() makes is ended by exactly one of
 * rota_await(), rota_wait_for(), rota_gather() and rota_detach(); one made in
 * a task group belongs to the group. A handle is plain data and knows its
 * task's generation: using one whose task has been ended gives
 * -ROTA_EAWAITED (and stops in debug mode), one of another loop -EINVAL.
 *
 * Every function here that awaits returns -ECANCELED when the waiting task is
 * cancelled, -ROTA_ENOTASK outside a task; these are not repeated below.
 */
#ifndef ROTA_TASK_H
#define ROTA_TASK_H

#include <rota/future.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_task {
    uint64_t id; /* 0: no task */
    uint32_t slot;
    uint32_t loop;
} rota_task;

typedef intptr_t rota_task_function(void *arg);

typedef struct rota_task_options {
    const char *name;  /* copied, up to 31 bytes; NULL: "Task-N" */
    size_t stack_size; /* bytes, rounded up to pages; 0: the loop's default */
    bool eager_start;  /* begins at once, inside the call, and until its first
                          wait; only on a running loop */
    bool lazy_start;   /* in the next turn, also on a loop whose tasks begin at
                          once: asyncio's eager_start=False */
    rota_context *context; /* to run in, which must outlive the task and may be
                              shared; NULL: a copy of the maker's */
} rota_task_options;

#define ROTA__STRING(x) #x
#define ROTA__LINE(x) ROTA__STRING(x)
#define ROTA__HERE __FILE__ ":" ROTA__LINE(__LINE__)

/*
 * Makes a task on the running loop; it begins in the next turn. From tasks
 * and callbacks. Errors: -ROTA_ENOLOOP, -ROTA_ECLOSED, -EINVAL, -ENOMEM (no
 * stack to be had).  asyncio: create_task().
 */
int rota_create_task(rota_task *task, rota_task_function *function,
                     void *arg) ROTA_MUST_USE;

/*
 * The same with options: a name, a stack size, an eager start, a context.
 * asyncio: create_task(name=, eager_start=, context=).
 */
int rota_create_task_with(rota_task *task, const rota_task_options *options,
                          rota_task_function *function,
                          void *arg) ROTA_MUST_USE;

/* The same on any loop of this thread, running or not. */
int rota_loop_create_task(rota_loop *loop, rota_task *task,
                          rota_task_function *function,
                          void *arg) ROTA_MUST_USE;

/* What the macros below fill in: who made it, for messages. */
int rota__create_task(rota_loop *loop, rota_task *task,
                      const rota_task_options *options,
                      rota_task_function *function, void *arg,
                      const char *where) ROTA_MUST_USE;
#define rota_create_task(task, function, arg)                                  \
    rota__create_task(NULL, task, NULL, function, arg, ROTA__HERE)
#define rota_create_task_with(task, options, function, arg)                    \
    rota__create_task(NULL, task, options, function, arg, ROTA__HERE)
#define rota_loop_create_task(loop, task, function, arg)                       \
    rota__create_task(loop, task, NULL, function, arg, ROTA__HERE)

/*
 * Waits until the task is done, ends it and returns its result. When the
 * waiting task is cancelled, the awaited one is cancelled and its result is
 * still waited for, as in asyncio. Errors besides the result:
 * -ROTA_EAWAITED, -EDEADLK (a task that awaits itself), -EINVAL (another
 * loop's).  asyncio: await task.
 */
intptr_t rota_await(rota_task task) ROTA_MUST_USE;

/*
 * Lets the task run on its own; its end frees it, and an error of it goes to
 * the exception handler. 0, -ROTA_EAWAITED or -EINVAL. Any context.
 */
int rota_detach(rota_task task);

/*
 * Waits for all tasks, in their order into results[] (which may be NULL).
 * With return_exceptions, errors are results like others and 0 is returned
 * when all are done. Without, the first error is returned at once, and the
 * other tasks go on by themselves as if detached: WHAT THEY USE MUST OUTLIVE
 * THEM, so give such tasks nothing of this function's own stack. A cancelled
 * gather cancels them all. All are ended in any case, unless a handle is
 * refused (-ROTA_EAWAITED, -EINVAL, -EDEADLK): then none is. asyncio: gather().
 */
int rota_gather(const rota_task *tasks, size_t count, intptr_t *results,
                bool return_exceptions) ROTA_MUST_USE;

/*
 * rota_await() with a time limit in seconds: when it has passed, the task is
 * cancelled and waited for, and -ETIMEDOUT is returned. INFINITY: no limit.
 * With -EINVAL (a NaN) or -ENOMEM (no timer) the task is not ended.
 * asyncio: wait_for().
 */
intptr_t rota_wait_for(rota_task task, double timeout) ROTA_MUST_USE;

/*
 * Waits for the task without ending it; a cancellation of the waiting task
 * does not reach it. Afterwards it is still to be awaited or detached. Errors
 * besides the result: -ROTA_EAWAITED, -EDEADLK (the task itself).
 * asyncio: await shield(task).
 */
intptr_t rota_shield(rota_task task) ROTA_MUST_USE;

/*
 * Waits for a future; its result into *result, which may be NULL. Cancelling
 * the waiting task cancels the future, as in asyncio. Errors: the future's;
 * -EINVAL for a future of another loop.
 */
int rota_await_future(rota_future *future, intptr_t *result) ROTA_MUST_USE;

/*
 * Sleeps; never shorter than asked. 0 lets every other ready task run once.
 * Errors: -EINVAL for a NaN, -ENOMEM.  asyncio: sleep().
 */
int rota_sleep(double seconds) ROTA_MUST_USE;

/*
 * Sleeps until a time of rota_loop_time(); one that has passed lets every
 * other ready task run once. INFINITY: for ever. Errors as above.
 */
int rota_sleep_until(double when) ROTA_MUST_USE;

/*
 * Asks a task to end: its present or next wait returns -ECANCELED, once. A
 * task that waits no more keeps its result, unlike asyncio's, because that may
 * own something. 1, or 0 if it was done, or -ROTA_EAWAITED. Any context of the
 * loop's thread.
 * asyncio: Task.cancel().
 */
int rota_task_cancel(rota_task task);

/* Requests not yet taken back by rota_task_uncancel(), or -ROTA_EAWAITED. */
int rota_task_cancelling(rota_task task);

/*
 * Takes one request back; returns how many are left, or -ROTA_EAWAITED.
 * asyncio: Task.uncancel().
 */
int rota_task_uncancel(rota_task task);

/* True for a task that is done, or was and has been ended. */
bool rota_task_done(rota_task task);

/* The name, valid while the task is; NULL for one that was ended. */
const char *rota_task_get_name(rota_task task);
/* Copied, up to 31 bytes. 0, -EINVAL without a name, or -ROTA_EAWAITED. */
int rota_task_set_name(rota_task task, const char *name);

/*
 * A copy of the task's context; free it with rota_context_free(). 0, -ENOMEM,
 * or -ROTA_EAWAITED.  asyncio: Task.get_context().
 */
int rota_task_copy_context(rota_task task, rota_context **context);

/* The running task; id 0 in a callback or without a loop. */
rota_task rota_current_task(void);

/*
 * All tasks of the loop that are not done, as many as there is room for;
 * returns how many there are.  asyncio: all_tasks().
 */
size_t rota_all_tasks(rota_loop *loop, rota_task *tasks, size_t room);

#ifdef __cplusplus
}
#endif

#endif
