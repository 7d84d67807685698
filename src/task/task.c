/* SPDX-License-Identifier: MIT */
/*
 * Switching: park, unpark, and the life of a task from entry to end
 *
 * The loop resumes a task by running its handle. A task that parks looks at
 * what the loop would run next: if that is a task too, it switches there
 * directly, and the loop's own stack is not visited at all. In debug mode it
 * always is, because each step is timed there.
 */
#include "task/task.h"
#include <stdio.h>

static struct rota__task *task_of(struct rota__handle *handle)
{
    return rota__container_of(handle, struct rota__task, handle);
}

static void reap(struct rota__tasks *tasks)
{
    struct rota__task *zombie = tasks->zombie;

    tasks->zombie = NULL;
    rota__task_release(zombie);
}

static void resume(struct rota__handle *handle)
{
    struct rota__task *task = task_of(handle);
    struct rota__tasks *tasks = task->loop->tasks;

    tasks->current = task;
    rota__context_adopt(&tasks->loop_context);
    rota__context_switch(&tasks->loop_context, &task->context);
    tasks->current = NULL;
    if (tasks->zombie)
        reap(tasks);
}

struct rota__task *rota__task_of(struct rota__handle *handle)
{
    return handle->run == resume ? task_of(handle) : NULL;
}

/* Where to go from a task that cannot go on: another task, or the loop. */
static struct rota__context *next_context(rota_loop *loop)
{
    struct rota__handle *next = rota__next_running(loop);

    if (!next && !loop->debug && rota__turn_on(loop))
        next = rota__next_running(loop);
    if (!next || next->run != resume || rota__unlikely(loop->debug))
        return &loop->tasks->loop_context;
    rota__unready(next);
    loop->tasks->current = task_of(next);
    return &task_of(next)->context;
}

static intptr_t woken(struct rota__task *self)
{
    if (rota__unlikely(self->must_cancel)) {
        self->must_cancel = false;
        return -ECANCELED;
    }
    return self->wake;
}

static bool cancel_wait(struct rota__task *task)
{
    struct rota__waiter *waiter = task->waiting;

    if (!waiter)
        return false;
    if (waiter->cancel)
        return waiter->cancel(waiter);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

intptr_t rota__park(struct rota__task *self, struct rota__waiter *waiter)
{
    waiter->task = self;
    self->waiting = waiter;
    if (rota__unlikely(self->must_cancel) && cancel_wait(self))
        self->must_cancel = false;
    rota__context_switch(&self->context, next_context(self->loop));
    return woken(self);
}

intptr_t rota__park_in(struct rota__task *self, struct rota__waiter *waiter,
                       struct rota__link *queue)
{
    rota__list_push(queue, &waiter->link);
    waiter->cancel = NULL;
    return rota__park(self, waiter);
}

void rota__unpark(struct rota__waiter *waiter, intptr_t result)
{
    struct rota__task *task = waiter->task;

    rota__list_cut(&waiter->link);
    task->waiting = NULL;
    task->wake = result;
    rota__ready(task->loop, &task->handle);
}

bool rota__unpark_first(struct rota__link *queue, intptr_t result)
{
    if (rota__list_empty(queue))
        return false;
    rota__unpark(rota__container_of(queue->next, struct rota__waiter, link),
                 result);
    return true;
}

void rota__unpark_all(struct rota__link *queue, intptr_t result)
{
    while (rota__unpark_first(queue, result))
        ;
}

int rota__yield(struct rota__task *self)
{
    self->wake = 0;
    rota__ready(self->loop, &self->handle);
    rota__context_switch(&self->context, next_context(self->loop));
    return (int)woken(self);
}

bool rota__task_cancel(struct rota__task *task)
{
    if (task->done)
        return false;
    task->cancelling++;
    if (!cancel_wait(task))
        task->must_cancel = true;
    return true;
}

int rota__task_uncancel(struct rota__task *task)
{
    if (task->cancelling > 0 && --task->cancelling == 0)
        task->must_cancel = false;
    return task->cancelling;
}

const char *rota__task_name(struct rota__task *task)
{
    if (!task->name[0])
        snprintf(task->name, sizeof task->name, "Task-%llu",
                 (unsigned long long)task->id);
    return task->name;
}

static void report_error(struct rota__task *task)
{
    if (!rota_is_error(task->result) || task->result == -ECANCELED)
        return;
    rota_call_exception_handler(task->loop,
                                &(rota_exception_context){
                                    .message = "a detached task has failed",
                                    .error = task->result,
                                    .name = rota__task_name(task),
                                });
}

/* It still stands on the stack that is to be freed: the loop does it. */
static void detached_done(struct rota__owner *owner, struct rota__task *child)
{
    (void)owner;
    report_error(child);
    child->loop->tasks->zombie = child;
}

struct rota__owner rota__detached = {detached_done};

/* As in asyncio they wake in the turn after the next: a future is between. */
static void tell_borrowers(struct rota__task *task)
{
    struct rota__link *link;

    while ((link = rota__list_pop(&task->borrowers)) != NULL) {
        struct rota__handle *handle =
            rota__container_of(link, struct rota__handle, link);

        rota__container_of(handle, struct rota__borrower, handle)->result =
            task->result;
        rota__ready(task->loop, handle);
    }
}

static void tell(struct rota__task *task)
{
    struct rota__tasks *tasks = task->loop->tasks;

    if (rota__unlikely(!rota__list_empty(&task->borrowers)))
        tell_borrowers(task);
    if (task->owner)
        task->owner->child_done(task->owner, task);
    if (rota__unlikely(task->ending) && --tasks->ending == 0)
        rota_loop_stop(task->loop);
}

/* A zombie must be reaped before anything else runs on this loop. */
static struct rota__context *context_after(struct rota__tasks *tasks)
{
    return tasks->zombie ? &tasks->loop_context : next_context(tasks->loop);
}

/* What every task runs. One that was cancelled before it began never does. */
static void task_main(void *arg)
{
    struct rota__task *self = arg;

    rota__context_arrive(&self->context);
    if (rota__unlikely(self->must_cancel)) {
        self->must_cancel = false;
        self->result = -ECANCELED;
    } else {
        self->result = self->function(self->arg);
    }
    if (rota__unlikely(!rota__list_empty(&self->scopes)))
        rota__scopes_check(self);
    self->done = true;
    tell(self);
    rota__context_end(&self->context, context_after(self->loop->tasks));
    rota__fatal("a task that has ended was resumed: %s", self->name);
}

static struct rota__stack_pool *pool_for(struct rota__tasks *tasks,
                                         size_t stack_size)
{
    struct rota__stack_class *class;

    if (stack_size == 0)
        return &tasks->pool;
    if (stack_size < rota__stack_minimum())
        stack_size = rota__stack_minimum();
    for (class = tasks->classes; class; class = class->next)
        if (class->pool.wanted_size == stack_size)
            return &class->pool;
    class = rota__alloc(sizeof *class);
    if (!class)
        return NULL;
    rota__stack_pool_init(&class->pool, stack_size);
    class->pool.allow_unguarded = tasks->loop->allow_unguarded_stacks;
    class->next = tasks->classes;
    tasks->classes = class;
    return &class->pool;
}

static struct rota__task *place(struct rota__stack *stack)
{
    uintptr_t top = (uintptr_t)stack - sizeof(struct rota__task);

    return (struct rota__task *)(top / 64 * 64);
}

static int give_slot(struct rota__tasks *tasks, struct rota__stack *stack)
{
    if (tasks->slot_count == tasks->slot_capacity) {
        size_t capacity = tasks->slot_capacity ? 2 * tasks->slot_capacity : 64;
        struct rota__task **slots =
            rota__realloc(tasks->slots, capacity * sizeof(*slots));

        if (!slots)
            return -ENOMEM;
        tasks->slots = slots;
        tasks->slot_capacity = capacity;
    }
    stack->slot = (uint32_t)tasks->slot_count++;
    tasks->slots[stack->slot] = place(stack);
    return 0;
}

static struct rota__stack *get_stack(struct rota__tasks *tasks,
                                     struct rota__stack_pool *pool)
{
    struct rota__stack *stack = rota__stack_get(pool);

    if (rota__unlikely(stack && stack->slot == UINT32_MAX) &&
        give_slot(tasks, stack) < 0) {
        rota__stack_put(pool, stack);
        return NULL;
    }
    return stack;
}

static void set_name(struct rota__task *task, const char *name)
{
    if (name)
        snprintf(task->name, sizeof task->name, "%s", name);
    else
        task->name[0] = '\0'; /* made up when somebody asks */
}

static struct rota__task *init(struct rota__tasks *tasks,
                               struct rota__stack_pool *pool,
                               struct rota__stack *stack)
{
    struct rota__task *task = place(stack);

    task->handle.run = resume;
    task->loop = tasks->loop;
    task->waiting = NULL;
    task->wake = 0;
    task->owner = NULL;
    rota__list_init(&task->siblings);
    rota__list_init(&task->borrowers);
    rota__list_init(&task->scopes);
    task->id = ++tasks->last_id;
    task->stack = stack;
    task->pool = pool;
    task->cancelling = 0;
    task->must_cancel = false;
    task->ending = false;
    task->done = false;
    return task;
}

int rota__task_create(rota_loop *loop, struct rota__task **out,
                      const rota_task_options *options,
                      rota_task_function *function, void *arg,
                      const char *where)
{
    struct rota__stack_pool *pool;
    struct rota__stack *stack;
    struct rota__task *task;
    int err = loop->tasks ? 0 : rota__tasks_make(loop);

    if (rota__unlikely(err < 0))
        return err;
    pool = pool_for(loop->tasks, options ? options->stack_size : 0);
    stack = rota__likely(pool != NULL) ? get_stack(loop->tasks, pool) : NULL;
    if (rota__unlikely(!stack))
        return -ENOMEM;
    task = init(loop->tasks, pool, stack);
    task->function = function;
    task->arg = arg;
    task->where = where;
    set_name(task, options ? options->name : NULL);
    rota__context_init(&task->context, stack->low, task, task_main, task);
    rota__ready(loop, &task->handle);
    *out = task;
    return 0;
}

void rota__task_release(struct rota__task *task)
{
    task->id = 0;
    rota__context_fini(&task->context);
    rota__stack_put(task->pool, task->stack);
}

void rota__detach(struct rota__task *task)
{
    if (task->done) {
        report_error(task);
        rota__task_release(task);
    } else {
        task->owner = &rota__detached;
    }
}
