/* SPDX-License-Identifier: MIT */
/*
 * Tasks for other threads
 *
 *     a thread --begin--> inbox --turn--> a task --its end--> result, told
 *              --cancel-> inbox --turn--> cancels the task
 *
 * The future belongs to whoever holds a reference: the thread that asked, and
 * the loop until the task is done. A message on its way to the loop holds one
 * as well, and hears of it when the loop closes first.
 */
#include "task/concurrent.h"

struct cancel_message {
    struct rota__message message;
    struct errand *errand;
};

struct errand {
    rota_concurrent_future future;
    struct rota__message begin;
    struct cancel_message cancel;
    struct rota__owner owner;
    struct rota__at_close at_close;
    struct rota__bindings *bindings;
    struct rota__task *task; /* of the loop's thread, while it runs */
    rota_task_function *function;
    void *arg;
};

static struct errand *errand_of(rota_concurrent_future *future)
{
    return rota__container_of(future, struct errand, future);
}

static void unref(struct errand *errand)
{
    rota__concurrent_unref(&errand->future);
}

static void free_errand(rota_concurrent_future *future)
{
    rota__bindings_unref(errand_of(future)->bindings);
    rota__free(errand_of(future));
}

/* With the only reference left nobody will ask, nor after a cancellation. */
static void report_unless_told(struct errand *errand, struct rota__task *task,
                               bool told)
{
    if (!rota_is_error(task->result) || task->result == -ECANCELED ||
        (told && atomic_load(&errand->future.references) > 1))
        return;
    rota_call_exception_handler(
        errand->future.loop,
        &(rota_exception_context){
            .message = "a task that another thread has started "
                       "has failed",
            .error = task->result,
            .name = rota__task_name(task),
        });
}

static void task_done(struct rota__owner *owner, struct rota__task *task)
{
    struct errand *errand = rota__container_of(owner, struct errand, owner);
    bool told;

    rota__at_close_remove(&errand->at_close);
    errand->task = NULL;
    task->loop->tasks->zombie = task;
    told = rota__concurrent_finish(&errand->future, task->result,
                                   task->result == -ECANCELED);
    report_unless_told(errand, task, told);
    unref(errand);
}

static void loop_closes(struct rota__at_close *at_close)
{
    struct errand *errand =
        rota__container_of(at_close, struct errand, at_close);

    errand->task->owner = NULL;
    errand->task = NULL;
    rota__concurrent_finish(&errand->future, -ROTA_ECLOSED, false);
    unref(errand);
}

/* From here on the task holds the loop's reference, and may give it back. */
static int start(struct errand *errand)
{
    struct rota__task *task;
    int err =
        rota__task_create(errand->future.loop, &task, NULL, errand->function,
                          errand->arg, "another thread");

    if (err < 0)
        return err;
    rota__bindings_unref(task->actor.own.bindings);
    task->actor.own.bindings = rota__bindings_ref(errand->bindings);
    task->owner = &errand->owner;
    errand->task = task;
    rota__at_first_add(errand->future.loop, &errand->at_close, loop_closes);
    if (rota__unlikely(rota__begins_eagerly(task->loop, NULL)))
        rota__task_begin(task);
    return 0;
}

static void begin(struct rota__message *message, bool dropped)
{
    struct errand *errand = rota__container_of(message, struct errand, begin);
    int err = dropped ? -ROTA_ECLOSED : -ECANCELED;

    if (!dropped && !rota_concurrent_future_done(&errand->future))
        err = start(errand);
    if (err == 0)
        return;
    rota__concurrent_finish(&errand->future, err, false);
    unref(errand);
}

static void cancel(struct rota__message *message, bool dropped)
{
    struct errand *errand =
        rota__container_of(message, struct cancel_message, message)->errand;

    if (!dropped && errand->task)
        rota__task_cancel(errand->task);
    unref(errand);
}

static bool cancel_errand(rota_concurrent_future *future)
{
    struct errand *errand = errand_of(future);

    if (!rota__concurrent_finish(future, -ECANCELED, true))
        return false;
    rota__concurrent_ref(future);
    rota__send(future->loop, &errand->cancel.message, cancel);
    return true;
}

static const struct rota__concurrent_ops errand_ops = {cancel_errand,
                                                       free_errand};

int rota_run_coroutine_threadsafe(rota_loop *loop, rota_concurrent_future **out,
                                  rota_task_function *function, void *arg)
{
    struct errand *errand;
    int err;

    if (!function)
        return -EINVAL;
    if (loop->closing)
        return -ROTA_ECLOSED;
    errand = rota__zalloc(sizeof *errand);
    if (!errand)
        return -ENOMEM;
    err = rota__concurrent_init(&errand->future, &errand_ops, loop);
    if (err < 0) {
        rota__free(errand);
        return err;
    }
    errand->owner.child_done = task_done;
    errand->function = function;
    errand->arg = arg;
    errand->bindings = rota__bindings_capture();
    errand->cancel.errand = errand;
    *out = &errand->future;
    if (!rota__send_if_open(loop, &errand->begin, begin))
        begin(&errand->begin, true);
    return 0;
}
