/* SPDX-License-Identifier: MIT */
/*
 * All tasks of a loop: made with the first, gone with the loop
 */
#include "task/task.h"
#include <stdio.h>

#define DEFAULT_STACK 65536
#if defined(ROTA__ASAN) || defined(ROTA__TSAN)
#define SANITIZER_FACTOR 4 /* instrumented frames are bigger */
#else
#define SANITIZER_FACTOR 1
#endif

static atomic_uint loops_with_tasks;

/*
 * A handle names its loop by number, so that one of a closed loop is only
 * unknown and never followed. The running loop is at hand; for a loop that
 * does not run there is this list, the one thing that loops share.
 */
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
struct rota__tasks *rota__known_tasks;

static void make_known(struct rota__tasks *tasks)
{
    pthread_mutex_lock(&known_lock);
    tasks->next_known = rota__known_tasks;
    rota__known_tasks = tasks;
    pthread_mutex_unlock(&known_lock);
}

static void make_unknown(const struct rota__tasks *tasks)
{
    struct rota__tasks **at = &rota__known_tasks;

    pthread_mutex_lock(&known_lock);
    while (*at != tasks)
        at = &(*at)->next_known;
    *at = tasks->next_known;
    pthread_mutex_unlock(&known_lock);
}

/* One that runs on another thread is not ours to touch. */
static struct rota__tasks *tasks_of_idle_loop(uint32_t number)
{
    struct rota__tasks *tasks;

    pthread_mutex_lock(&known_lock);
    tasks = rota__known_tasks;
    while (tasks && tasks->number != number)
        tasks = tasks->next_known;
    if (tasks && rota_loop_is_running(tasks->loop))
        tasks = NULL;
    pthread_mutex_unlock(&known_lock);
    return tasks;
}

/* In a process of a pool: they are loops of its parent. */
static void forget_all(void)
{
    pthread_mutex_init(&known_lock, NULL);
    rota__known_tasks = NULL;
}

static bool describe_task(rota_loop *loop, struct rota__handle *handle,
                          char *out, size_t size);

/* Runs in a signal handler, on a stack of its own. */
static size_t describe_fault(const char *address, char *out, size_t size)
{
    struct rota__task *task = rota__current();
    const char *low = task ? task->stack->low : NULL;
    int n;

    if (!task || address >= low || address < low - 65536)
        return 0;
    n = snprintf(out, size,
                 "rota: stack overflow in task %s (stack of %zu bytes, made "
                 "at %s); give it more with rota_task_options.stack_size\n",
                 rota__task_name(task), task->stack->size, task->where);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size;
}

/* What there is to say of a task that the loop did not see ended, or NULL. */
static const char *complaint_about(const struct rota__task *task)
{
    if (!task->done)
        return "a task was destroyed but it is pending";
    if (task->owner)
        return NULL;
    if (rota_is_error(task->result) && task->result != -ECANCELED)
        return "the error of a task was never retrieved";
    return task->loop->debug ? "a task was never awaited" : NULL;
}

static void report_left(struct rota__task *task)
{
    rota_exception_context context = {
        .message = complaint_about(task),
        .name = rota__task_name(task),
    };

    if (!context.message)
        return;
    context.error = task->done ? task->result : 0;
    rota_call_exception_handler(task->loop, &context);
    if (task->loop->debug)
        rota__report("  it was made at %s", task->where);
}

/* It will not run again: nobody must find it waiting. */
static void leave_queues(struct rota__task *task)
{
    struct rota__waiter *waiter = task->waiting;
    struct rota__place *place;

    if (waiter && waiter->cancel)
        (void)waiter->cancel(waiter);
    else if (waiter)
        rota__list_remove(&waiter->link);
    for (place = task->leaving; place; place = place->outer)
        rota__list_remove(&place->waiter.link);
}

static void destroy(struct rota__task *task)
{
    rota__scopes_forget(task);
    while (rota__list_pop(&task->borrowers))
        ;
    rota__unready(&task->handle);
    rota__task_release(task);
}

/* What is queued on the stacks, timers above all, has been dropped. */
static void free_tasks(struct rota__at_close *at_close)
{
    struct rota__tasks *tasks =
        rota__container_of(at_close, struct rota__tasks, at_close);
    struct rota__stack_class *class = tasks->classes;

    make_unknown(tasks);
    for (size_t i = 0; i < tasks->slot_count; i++)
        if (tasks->slots[i]->id != 0)
            destroy(tasks->slots[i]);
    rota__overflow_watch_end();
    rota__stack_pool_fini(&tasks->pool);
    while (class) {
        struct rota__stack_class *next = class->next;

        rota__stack_pool_fini(&class->pool);
        rota__free(class);
        class = next;
    }
    tasks->loop->tasks = NULL;
    tasks->loop->running_actor = NULL;
    rota__free(tasks->slots);
    rota__free(tasks);
}

static void close_tasks(struct rota__at_close *at_close)
{
    struct rota__tasks *tasks =
        rota__container_of(at_close, struct rota__tasks, at_close);

    for (size_t i = 0; i < tasks->slot_count; i++)
        if (tasks->slots[i]->id != 0)
            report_left(tasks->slots[i]);
    for (size_t i = 0; i < tasks->slot_count; i++)
        if (tasks->slots[i]->id != 0)
            leave_queues(tasks->slots[i]);
    rota__at_end_add(tasks->loop, at_close, free_tasks);
}

static size_t default_stack_size(const rota_loop *loop)
{
    size_t size = loop->stack_size ? loop->stack_size : DEFAULT_STACK;

    size *= SANITIZER_FACTOR;
    return size < rota__stack_minimum() ? rota__stack_minimum() : size;
}

static struct rota__actor *running_actor(rota_loop *loop)
{
    struct rota__task *task = loop->tasks->current;

    return task ? &task->actor : NULL;
}

int rota__tasks_make(rota_loop *loop)
{
    struct rota__tasks *tasks = rota__zalloc(sizeof *tasks);

    if (!tasks)
        return -ENOMEM;
    rota__signal_stack_ensure();
    tasks->anchor = &rota__anchor;
    tasks->loop = loop;
    tasks->number = atomic_fetch_add(&loops_with_tasks, 1) + 1;
    rota__stack_pool_init(&tasks->pool, default_stack_size(loop));
    tasks->pool.allow_unguarded = loop->allow_unguarded_stacks;
    rota__overflow_watch_begin(describe_fault);
    rota__at_close_add(loop, &tasks->at_close, close_tasks);
    loop->describe = describe_task;
    loop->running_actor = running_actor;
    loop->tasks = tasks;
    make_known(tasks);
    atomic_store(&rota__forget_tasks, forget_all);
    return 0;
}

rota_task rota__task_handle(const struct rota__task *task)
{
    return (rota_task){
        .id = task->id,
        .slot = task->stack->slot,
        .loop = task->loop->tasks->number,
    };
}

static struct rota__tasks *tasks_of(rota_task handle)
{
    rota_loop *loop = rota__running_loop;

    if (rota__unlikely(!loop))
        return tasks_of_idle_loop(handle.loop);
    if (rota__unlikely(!loop->tasks || loop->tasks->number != handle.loop))
        return NULL;
    return loop->tasks;
}

bool rota__task_is(const struct rota__task *task, rota_task handle)
{
    return task->id == handle.id && task->stack->slot == handle.slot &&
           task->loop->tasks->number == handle.loop;
}

int rota__task_find(rota_task handle, struct rota__task **out)
{
    struct rota__tasks *tasks = tasks_of(handle);
    struct rota__task *task;

    if (rota__unlikely(!tasks || handle.slot >= tasks->slot_count ||
                       handle.id == 0))
        return -EINVAL;
    task = tasks->slots[handle.slot];
    if (rota__unlikely(task->id != handle.id))
        return -ROTA_EAWAITED;
    *out = task;
    return 0;
}

int rota__task_claim(rota_task handle, const char *function,
                     struct rota__task **out)
{
    int err = rota__task_find(handle, out);

    if (rota__likely(err == 0)) {
        if (rota__likely(!(*out)->owner))
            return 0;
        err = -ROTA_EAWAITED;
    }
    return rota__misuse(rota__running_loop, err, function,
                        "a task is ended once: by one await, gather, detach "
                        "or its group");
}

static bool is_live(const struct rota__task *task)
{
    return task->id != 0 && !task->done;
}

size_t rota_all_tasks(rota_loop *loop, rota_task *out, size_t room)
{
    struct rota__tasks *tasks = loop->tasks;
    size_t count = 0;

    for (size_t i = 0; tasks && i < tasks->slot_count; i++) {
        if (!is_live(tasks->slots[i]))
            continue;
        if (count < room)
            out[count] = rota__task_handle(tasks->slots[i]);
        count++;
    }
    return count;
}

rota_task rota_current_task(void)
{
    struct rota__task *task = rota__current();

    return task ? rota__task_handle(task) : (rota_task){0};
}

int rota_task_cancel(rota_task handle)
{
    struct rota__task *task;
    int err = rota__task_find(handle, &task);

    return err < 0 ? err : rota__task_cancel(task);
}

int rota_task_cancelling(rota_task handle)
{
    struct rota__task *task;
    int err = rota__task_find(handle, &task);

    return err < 0 ? err : task->cancelling;
}

int rota_task_uncancel(rota_task handle)
{
    struct rota__task *task;
    int err = rota__task_find(handle, &task);

    return err < 0 ? err : rota__task_uncancel(task);
}

bool rota_task_done(rota_task handle)
{
    struct rota__task *task;

    return rota__task_find(handle, &task) < 0 || task->done;
}

const char *rota_task_get_name(rota_task handle)
{
    struct rota__task *task;

    if (rota__task_find(handle, &task) < 0)
        return NULL;
    return rota__task_name(task);
}

int rota_task_set_name(rota_task handle, const char *name)
{
    struct rota__task *task;
    int err = rota__task_find(handle, &task);

    if (err < 0)
        return err;
    if (!name)
        return -EINVAL;
    snprintf(task->name, sizeof task->name, "%s", name);
    return 0;
}

intptr_t rota_task_stack_high_water(rota_task handle)
{
    struct rota__task *task;
    int err = rota__task_find(handle, &task);

    if (err < 0)
        return err;
    if (!task->painted)
        return -ROTA_ESTATE;
    return (intptr_t)rota__stack_used(task->stack->low, task);
}

int rota_task_copy_context(rota_task handle, rota_context **context)
{
    struct rota__task *task;
    int err = rota__task_find(handle, &task);

    return err < 0 ? err
                   : rota__context_new(context, task->actor.context->bindings);
}

static bool describe_task(rota_loop *loop, struct rota__handle *handle,
                          char *out, size_t size)
{
    struct rota__task *task =
        handle ? rota__task_of(handle) : loop->tasks->current;

    if (task && size > 0)
        snprintf(out, size, "task %s (made at %s)", rota__task_name(task),
                 task->where);
    return task != NULL;
}
