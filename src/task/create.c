/* SPDX-License-Identifier: MIT */
/*
 * Making tasks, freeing them, letting them go
 *
 * A task gets a stack from the pool of its size and lives at the top of it. A
 * stack gets its slot, the place in the table by which handles find the task,
 * with its first task, and keeps it.
 */
#include "task/task.h"
#include <stdio.h>

static struct rota__stack_pool *pool_for(struct rota__tasks *tasks,
                                         size_t stack_size)
{
    struct rota__stack_class *class;

    if (stack_size == 0)
        return &tasks->pool;
    if (stack_size < rota__stack_minimum())
        stack_size = rota__stack_minimum();
    stack_size = rota__stack_round(stack_size);
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

    task->loop = tasks->loop;
    rota__actor_init(&task->actor);
    task->actor.own.bindings = rota__bindings_capture();
    task->waiting = NULL;
    task->wake = 0;
    task->owner = NULL;
    task->leaving = NULL;
    rota__list_init(&task->siblings);
    rota__list_init(&task->borrowers);
    rota__list_init(&task->scopes);
    task->id = ++tasks->last_id;
    task->stack = stack;
    task->pool = pool;
    task->cancelling = 0;
    task->attention = 0;
    task->begun = false;
    task->told_cancelled = false;
    task->ending = false;
    task->done = false;
    return task;
}

/* What the first entry needs stands on the stack already. */
static void paint(const struct rota__task *task)
{
    uintptr_t used = rota__context_stack(&task->context);

    if (used == 0)
        used = (uintptr_t)task - 1024;
    rota__stack_paint(task->stack->low, (void *)(used / 16 * 16));
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
    if (options && options->context)
        task->actor.context = options->context;
    set_name(task, options ? options->name : NULL);
    rota__task_prepare(task);
    task->painted = loop->debug;
    if (rota__unlikely(task->painted))
        paint(task);
    rota__ready(loop, &task->handle);
    *out = task;
    return 0;
}

void rota__task_release(struct rota__task *task)
{
    task->id = 0;
    if (rota__unlikely(task->actor.own.bindings != NULL))
        rota__actor_fini(&task->actor);
    rota__context_fini(&task->context);
    rota__stack_put(task->pool, task->stack);
}

bool rota__begins_eagerly(const rota_loop *loop,
                          const rota_task_options *options)
{
    bool eager = loop->eager_start;

    if (options)
        eager = (eager || options->eager_start) && !options->lazy_start;
    return eager && loop == rota__running_loop;
}

int rota__create_task(rota_loop *loop, rota_task *out,
                      const rota_task_options *options,
                      rota_task_function *function, void *arg,
                      const char *where)
{
    struct rota__task *task;
    int err;

    if (!loop)
        loop = rota__running_loop;
    if (rota__unlikely(!loop))
        return -ROTA_ENOLOOP;
    if (rota__unlikely(!function || !out))
        return -EINVAL;
    err = rota__check(loop, "rota_create_task");
    if (rota__unlikely(err < 0))
        return err;
    err = rota__task_create(loop, &task, options, function, arg, where);
    if (rota__unlikely(err < 0))
        return err;
    *out = rota__task_handle(task);
    if (rota__unlikely(rota__begins_eagerly(loop, options)))
        rota__task_begin(task);
    return 0;
}

/* The functions behind the macros, for who takes their address. */
#undef rota_create_task
#undef rota_create_task_with
#undef rota_loop_create_task

int rota_create_task(rota_task *task, rota_task_function *function, void *arg)
{
    return rota__create_task(NULL, task, NULL, function, arg, "?");
}

int rota_create_task_with(rota_task *task, const rota_task_options *options,
                          rota_task_function *function, void *arg)
{
    return rota__create_task(NULL, task, options, function, arg, "?");
}

int rota_loop_create_task(rota_loop *loop, rota_task *task,
                          rota_task_function *function, void *arg)
{
    return rota__create_task(loop, task, NULL, function, arg, "?");
}

int rota_detach(rota_task handle)
{
    struct rota__task *task;
    int err = rota__task_claim(handle, "rota_detach", &task);

    if (err == 0)
        rota__detach(task);
    return err;
}
