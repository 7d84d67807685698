/* SPDX-License-Identifier: MIT */
/*
 * Running a main task: rota_run and run_until_complete
 */
#include "task/interrupt.h"
#include <math.h>
#include <rota/executor.h>
#include <rota/run.h>

struct runner {
    struct rota__owner owner;
    struct rota__handle stop; /* runs in the turn after the end, as asyncio's */
    struct rota__interrupt interrupt;
    rota_loop *loop;
    intptr_t result;
    int cancelling;
    bool done;
};

static void main_done(struct rota__owner *owner, struct rota__task *task)
{
    struct runner *runner = rota__container_of(owner, struct runner, owner);

    runner->result = task->result;
    runner->cancelling = task->cancelling;
    runner->done = true;
    task->loop->tasks->zombie = task;
    rota__ready(task->loop, &runner->stop);
}

static void stop_loop(struct rota__handle *handle)
{
    rota_loop_stop(rota__container_of(handle, struct runner, stop)->loop);
}

static intptr_t run_until_complete(rota_loop *loop,
                                   const rota_task_options *options,
                                   rota_task_function *function, void *arg,
                                   bool interruptible)
{
    struct runner runner = {
        .owner = {main_done, NULL},
        .stop = {.run = stop_loop},
        .loop = loop,
    };
    struct rota__task *task;
    rota_task handle;
    int err = rota__task_create(loop, &task, options, function, arg, "its run");

    if (err < 0)
        return err;
    task->owner = &runner.owner;
    rota__list_init(&runner.stop.link);
    handle = rota__task_handle(task);
    if (interruptible)
        rota__interrupt_begin(&runner.interrupt, loop, handle);
    err = rota_loop_run_forever(loop);
    rota__unready(&runner.stop);
    if (!runner.done) {
        runner.result = err < 0 ? err : -ROTA_ESTOPPED;
        if (task->id == handle.id)
            task->owner = &rota__detached;
    }
    return rota__interrupt_end(&runner.interrupt, runner.result,
                               runner.cancelling);
}

/* Before anything is made: a run that cannot begin must leave no task. */
static int check_run(const rota_loop *loop, const char *function)
{
    int err = 0;

    if (loop && loop->closed)
        err = -ROTA_ECLOSED;
    else if (rota__running_loop || (loop && rota_loop_is_running(loop)))
        err = -ROTA_ERUNNING;
    if (err < 0)
        return rota__misuse(rota__running_loop ? rota__running_loop : loop, err,
                            function,
                            "create a task on the running loop and await it");
    return 0;
}

intptr_t rota_loop_run_until_complete(rota_loop *loop,
                                      rota_task_function *function, void *arg)
{
    int err = check_run(loop, "rota_loop_run_until_complete");

    if (err == 0 && !function)
        err = -EINVAL;
    return err < 0 ? err : run_until_complete(loop, NULL, function, arg, false);
}

/* They keep their owners: their makers' cleanup may still await them. */
static void cancel_each(struct rota__tasks *tasks)
{
    for (size_t i = 0; i < tasks->slot_count; i++) {
        struct rota__task *task = tasks->slots[i];

        if (task->id == 0 || task->done)
            continue;
        task->ending = true;
        tasks->ending++;
        rota__task_cancel(task);
    }
}

/* As asyncio's: a task made from now on is not waited for. */
int rota__tasks_cancel_all(rota_loop *loop)
{
    int err = 0;

    if (!loop->tasks)
        return 0;
    cancel_each(loop->tasks);
    while (err == 0 && loop->tasks->ending > 0)
        err = rota_loop_run_forever(loop);
    return err;
}

static intptr_t empty_executor(void *arg)
{
    (void)arg;
    return rota_shutdown_default_executor((double)INFINITY);
}

/* Before a loop is closed: nothing is left to run on it. */
static int end_all(rota_loop *loop)
{
    int err = rota__tasks_cancel_all(loop);

    if (err == 0 && loop->default_jobs > 0)
        err = (int)run_until_complete(loop, NULL, empty_executor, NULL, false);
    return err;
}

intptr_t rota_run_with(const rota_loop_options *options,
                       rota_task_function *function, void *arg)
{
    rota_loop *loop;
    intptr_t result;
    int err = check_run(NULL, "rota_run");

    if (err == 0 && !function)
        err = -EINVAL;
    if (err == 0)
        err = rota_new_event_loop(&loop, options);
    if (err != 0)
        return err;
    result = run_until_complete(loop, NULL, function, arg, true);
    err = end_all(loop);
    rota_loop_free(loop);
    return rota_is_error(err) && !rota_is_error(result) ? err : result;
}

intptr_t rota_run(rota_task_function *function, void *arg)
{
    return rota_run_with(NULL, function, arg);
}

int rota_runner_open(rota_runner *runner, const rota_loop_options *options)
{
    int err = rota_new_event_loop(&runner->loop, options);

    if (err < 0)
        return err;
    err = rota_copy_context(&runner->context);
    if (err < 0)
        rota_loop_free(runner->loop);
    return err;
}

intptr_t rota_runner_run(rota_runner *runner, rota_task_function *function,
                         void *arg)
{
    rota_task_options options = {.context = runner->context};
    int err = runner->loop ? check_run(runner->loop, "rota_runner_run")
                           : -ROTA_ECLOSED;

    if (err == 0 && !function)
        err = -EINVAL;
    if (err < 0)
        return err;
    return run_until_complete(runner->loop, &options, function, arg, true);
}

rota_loop *rota_runner_get_loop(const rota_runner *runner)
{
    return runner->loop;
}

int rota_runner_close(rota_runner *runner)
{
    int err;

    if (!runner->loop)
        return 0;
    if (!runner->loop->closed) {
        err = check_run(runner->loop, "rota_runner_close");
        if (err == 0)
            err = end_all(runner->loop);
        if (err < 0)
            return err;
    }
    rota_loop_free(runner->loop);
    rota_context_free(runner->context);
    *runner = (rota_runner){NULL, NULL};
    return 0;
}
