/* SPDX-License-Identifier: MIT */
/*
 * Task groups
 *
 * A group owns its children and frees each as soon as it is done, so that a
 * group may live for long. The first error aborts: all other children are
 * cancelled, and so is the parent if it is still in the body. That request is
 * the group's own, and its end takes it back.
 *
 * The news of a child's end reach the group in the next turn, as in asyncio:
 * what was ready together with a child that failed runs before it is
 * cancelled.
 */
#include "task/task.h"

static void abort_group(rota_task_group *group)
{
    struct rota__link *at = group->children.next;

    group->aborting = true;
    while (at != &group->children) {
        struct rota__task *child =
            rota__container_of(at, struct rota__task, siblings);

        at = at->next;
        rota__task_cancel(child);
    }
}

static void report(struct rota__task *task, intptr_t error)
{
    rota_call_exception_handler(
        task->loop, &(rota_exception_context){
                        .message = "an error of a task group was not kept",
                        .error = error,
                        .name = rota__task_name(task),
                    });
}

/* The first is returned; others are kept, if there is room, or reported. */
static void note_error(rota_task_group *group, struct rota__task *task,
                       intptr_t error)
{
    size_t i = group->error_count++;

    if (i == 0)
        group->error = (int)error;
    if (i < group->room) {
        group->errors[i].error = error;
        memcpy(group->errors[i].name, rota__task_name(task),
               sizeof group->errors[i].name);
    } else if (i > 0) {
        report(task, error);
    }
}

static void child_failed(rota_task_group *group)
{
    group->failed = false;
    if (group->aborting || group->parent_cancelled)
        return;
    abort_group(group);
    if (group->ending)
        return;
    group->parent_cancelled = true;
    rota__task_cancel(group->parent);
}

/* A cancellation may have woken the parent, in this turn. */
static bool still_waits(const rota_task_group *group)
{
    return group->waiting && group->parent->waiting == group->waiting;
}

static void take_news(struct rota__handle *handle)
{
    rota_task_group *group = rota__container_of(handle, rota_task_group, news);

    group->has_news = false;
    if (group->failed)
        child_failed(group);
    if (still_waits(group) && rota__list_empty(&group->children))
        rota__unpark(group->waiting, 0);
}

static void bring_news(rota_task_group *group)
{
    if (group->has_news)
        return;
    group->has_news = true;
    rota__ready(group->parent->loop, &group->news);
}

static void child_done(struct rota__owner *owner, struct rota__task *child)
{
    rota_task_group *group = rota__container_of(owner, rota_task_group, owner);
    intptr_t *result = (intptr_t *)child->index;

    rota__list_remove(&child->siblings);
    if (result)
        *result = child->result;
    if (rota_is_error(child->result) && child->result != -ECANCELED) {
        note_error(group, child, child->result);
        group->failed = true;
    }
    if (group->failed || rota__list_empty(&group->children))
        bring_news(group);
    child->loop->tasks->zombie = child;
}

int rota__task_group_begin(rota_task_group *group, const char *where)
{
    struct rota__task *self = rota__current();

    *group = (rota_task_group){.parent = NULL};
    if (!self)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK,
                            "rota_task_group_begin", "use it in a task");
    *group = (rota_task_group){
        .owner = {child_done, self},
        .news = {.run = take_news},
        .parent = self,
    };
    rota__list_init(&group->children);
    rota__scope_opened(self, group, "task group", where);
    return 0;
}

/* The functions behind the macros, for who takes their address. */
#undef rota_task_group_begin
#undef rota_task_group_create_task
#undef rota_task_group_create_task_with

int rota_task_group_begin(rota_task_group *group)
{
    return rota__task_group_begin(group, "?");
}

/* An ending group takes new children only while it has some, or thinks so. */
static bool takes_children(const rota_task_group *group)
{
    return group->parent && !group->aborting &&
           !(group->ending && !group->has_news &&
             rota__list_empty(&group->children));
}

int rota_task_group_keep_errors(rota_task_group *group, rota_task_error *errors,
                                size_t room)
{
    if (!group->parent)
        return -ROTA_ESCOPE;
    if (group->error_count > 0)
        return -ROTA_ESTATE;
    group->errors = errors;
    group->room = room;
    return 0;
}

size_t rota_task_group_error_count(const rota_task_group *group)
{
    return group->error_count;
}

int rota__task_group_create_task(rota_task_group *group,
                                 const rota_task_options *options,
                                 rota_task_function *function, void *arg,
                                 intptr_t *result, const char *where)
{
    struct rota__task *child;
    int err;

    if (!rota__current())
        return -ROTA_ENOTASK;
    if (!function)
        return -EINVAL;
    if (!takes_children(group))
        return -ROTA_ESCOPE;
    if (group->parent->loop != rota__running_loop)
        return rota__misuse(rota__running_loop, -ROTA_ETHREAD,
                            "rota_task_group_create_task",
                            "a group is for the tasks of one loop");
    err = rota__task_create(group->parent->loop, &child, options, function, arg,
                            where);
    if (err < 0)
        return err;
    child->owner = &group->owner;
    child->index = (size_t)result;
    rota__list_push(&group->children, &child->siblings);
    if (rota__unlikely(rota__begins_eagerly(child->loop, options)))
        rota__task_begin(child);
    return 0;
}

int rota_task_group_create_task(rota_task_group *group,
                                rota_task_function *function, void *arg,
                                intptr_t *result)
{
    return rota__task_group_create_task(group, NULL, function, arg, result,
                                        "?");
}

int rota_task_group_create_task_with(rota_task_group *group,
                                     const rota_task_options *options,
                                     rota_task_function *function, void *arg,
                                     intptr_t *result)
{
    return rota__task_group_create_task(group, options, function, arg, result,
                                        "?");
}

/* Waits for the children; the first cancellation meanwhile aborts them. */
static bool join_children(rota_task_group *group)
{
    bool cancelled = false;

    while (group->has_news || !rota__list_empty(&group->children)) {
        struct rota__waiter waiter = {0};

        rota__list_init(&waiter.link);
        group->waiting = &waiter;
        if (rota__park(group->parent, &waiter) == -ECANCELED) {
            cancelled = true;
            if (!group->aborting)
                abort_group(group);
        }
        group->waiting = NULL;
    }
    return cancelled;
}

/* Keeps a cancellation from outside visible in the count. */
static void settle_parent(rota_task_group *group, bool *cancelled)
{
    if (group->parent_cancelled && rota__task_uncancel(group->parent) == 0)
        *cancelled = false;
}

/*
 * The error hides a cancellation from outside: it is asked for again, so that
 * the parent's next wait tells of it.
 */
static intptr_t keep_cancelled(struct rota__task *parent, intptr_t error)
{
    if (parent->cancelling > 0) {
        rota__task_uncancel(parent);
        rota__task_cancel(parent);
    }
    return error;
}

intptr_t rota_task_group_end(rota_task_group *group, intptr_t result)
{
    struct rota__task *self = rota__current();
    bool cancelled = result == -ECANCELED;

    if (!self || group->parent != self)
        return rota__misuse(rota__running_loop, -ROTA_ESCOPE,
                            "rota_task_group_end",
                            "call it once, in the task that began the group");
    rota__scope_closed(self, group, "rota_task_group_end");
    group->ending = true;
    if (rota_is_error(result) && !group->aborting)
        abort_group(group);
    cancelled |= join_children(group);
    settle_parent(group, &cancelled);
    group->parent = NULL;
    if (rota_is_error(result) && result != -ECANCELED)
        note_error(group, self, result);
    if (group->error != 0)
        return keep_cancelled(self, group->error);
    if (cancelled)
        return -ECANCELED;
    return result == -ECANCELED ? 0 : result;
}

/* The errors of the children come too late for anybody to be told. */
void rota__task_group_leave(rota_task_group *group)
{
    struct rota__task *self = rota__current();
    bool cancelled;

    if (!group->parent || group->parent != self)
        return;
    rota__scope_closed(self, group, "the end of a block");
    group->ending = true;
    if (!group->aborting)
        abort_group(group);
    cancelled = join_children(group);
    settle_parent(group, &cancelled);
    group->parent = NULL;
    if (group->error != 0 && group->room == 0)
        report(self, group->error);
    if (cancelled)
        rota__cancel_next_wait(self);
}
