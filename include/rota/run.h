/* SPDX-License-Identifier: MIT */
/*
 * Running a main task
 *
 * Mirrors "Runners" of asyncio's manual: from a program without a loop to its
 * first task, and back when everything is over.
 *
 * Ctrl-C: while rota_run(), rota_run_with() or rota_runner_run() runs a main
 * task on the program's first thread, and SIGINT has its default action, the
 * first SIGINT cancels the main task. If that ends with -ECANCELED then, and
 * nobody else has cancelled it as well, the run returns -EINTR; one that goes
 * on has its own result. A SIGINT that comes as the main task ends takes the
 * place of its result, unless that is an error. The second SIGINT ends the
 * process at once, by the signal's default action, whatever the loop does; so
 * does the first while the other tasks are cancelled. A handler that was added
 * for SIGINT is called instead.
 */
#ifndef ROTA_RUN_H
#define ROTA_RUN_H

#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a loop, runs function(arg) as its main task, and returns what that
 * returns. Then every task that is left is cancelled and waited for, and the
 * loop is closed; a task that is made meanwhile is destroyed with a report.
 * Errors besides: those of rota_new_event_loop(); -EINVAL without a function;
 * -ROTA_ERUNNING if a loop runs on this thread; -EINTR after Ctrl-C.
 * asyncio: run().
 */
intptr_t rota_run(rota_task_function *function, void *arg);

/* The same with options for the loop. */
intptr_t rota_run_with(const rota_loop_options *options,
                       rota_task_function *function, void *arg);

/*
 * Runs function(arg) as a task on a loop that does not run, until it is done.
 * Other tasks stay as they are. Errors besides: -ROTA_ESTOPPED,
 * -ROTA_ERUNNING, -ROTA_ECLOSED, -EINVAL, -ENOMEM.
 * asyncio: loop.run_until_complete().
 */
intptr_t rota_loop_run_until_complete(rota_loop *loop,
                                      rota_task_function *function, void *arg);

/* One loop for several main tasks in turn; memory of the caller's, private. */
typedef struct rota_runner {
    rota_loop *loop;
    rota_context *context;
} rota_runner;

/*
 * Makes a loop and a context for all that the runner runs: what one main task
 * sets, the next one sees. Close it with rota_runner_close(). Errors: those of
 * rota_new_event_loop().  asyncio: Runner().
 */
int rota_runner_open(rota_runner *runner, const rota_loop_options *options);

/*
 * Runs function(arg) as a main task and returns what it returns; other tasks
 * stay, and go on in the next run. Errors besides: as for
 * rota_loop_run_until_complete(); -EINTR after Ctrl-C.  asyncio: Runner.run().
 */
intptr_t rota_runner_run(rota_runner *runner, rota_task_function *function,
                         void *arg);

/* The runner's loop; NULL once it is closed. asyncio: Runner.get_loop(). */
rota_loop *rota_runner_get_loop(const rota_runner *runner);

/*
 * Cancels the tasks that are left, waits for them, and closes and frees the
 * loop. Again does nothing. Errors: -ROTA_ERUNNING (the loop runs, or another
 * one on this thread), or what the poller met.  asyncio: Runner.close().
 */
int rota_runner_close(rota_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
