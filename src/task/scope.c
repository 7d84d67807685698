/* SPDX-License-Identifier: MIT */
/*
 * Scopes that a function left open: debug mode's notes
 *
 * A scope that was not ended is told of at the next wait, or when another
 * begins, because the call in whose frame it lies is no longer among those
 * under way; and at the latest when its task returns.
 *
 * Its memory tells nothing: it may lie below the stack pointer, or in the
 * frame of whoever was called since, overwritten or not.
 */
#include "task/task.h"

#define ROOM_TO_UNWIND 8192 /* of stack: about four times what it takes */

/* Kept apart from the scope, whose own memory may be gone when it is asked. */
struct open_scope {
    struct rota__link link;
    const void *scope;
    const char *what;
    const char *where;
    struct rota__frame call; /* of its function; zeros: not known */
};

static struct open_scope *innermost(struct rota__task *task)
{
    return rota__container_of(task->scopes.prev, struct open_scope, link);
}

/* None, if debug mode was off or memory had run out when it was opened. */
static struct open_scope *note_of(struct rota__task *task, const void *scope)
{
    struct rota__link *at;

    for (at = task->scopes.prev; at != &task->scopes; at = at->prev) {
        struct open_scope *note =
            rota__container_of(at, struct open_scope, link);

        if (note->scope == scope)
            return note;
    }
    return NULL;
}

static void stop_for(struct rota__task *task, const struct open_scope *note)
{
    rota__fatal("task %s: a function returned with a %s still open, begun at "
                "%s; end it, or declare it with the macro that does",
                rota__task_name(task), note->what, note->where);
}

/* Another place, static or allocated, may be left open by a function. */
static bool on_stack(const struct rota__task *task, const void *scope)
{
    const char *at = scope;

    return at >= (const char *)task->stack->low && at < (const char *)task;
}

static struct rota__frame call_around(const struct rota__task *task,
                                      const void *scope)
{
    const char *here = __builtin_frame_address(0);

    if (!on_stack(task, scope) ||
        here - (const char *)task->stack->low < ROOM_TO_UNWIND)
        return (struct rota__frame){0, 0};
    return rota__frame_above(scope);
}

void rota__scope_opened(struct rota__task *task, const void *scope,
                        const char *what, const char *where)
{
    struct open_scope *note;

    if (rota__likely(!task->loop->debug))
        return;
    if (note_of(task, scope))
        stop_for(task, note_of(task, scope));
    rota__scopes_check_left(task);
    note = rota__alloc(sizeof *note);
    if (!note)
        return;
    note->scope = scope;
    note->what = what;
    note->where = where;
    note->call = call_around(task, scope);
    rota__list_push(&task->scopes, &note->link);
    task->attention |= ROTA__HAS_SCOPES;
}

static void forget(struct rota__task *task, struct open_scope *note)
{
    rota__list_remove(&note->link);
    rota__free(note);
    if (rota__list_empty(&task->scopes))
        task->attention &= ~(unsigned)ROTA__HAS_SCOPES;
}

void rota__scope_closed(struct rota__task *task, const void *scope,
                        const char *function)
{
    struct open_scope *note;

    if (rota__likely(rota__list_empty(&task->scopes)))
        return;
    note = note_of(task, scope);
    if (!note)
        return;
    if (note != innermost(task) && task->loop->debug)
        rota__fatal("%s: the %s of %s is still open; end the inner scope "
                    "first",
                    function, innermost(task)->what, innermost(task)->where);
    forget(task, note);
}

static bool was_left(const struct rota__task *task,
                     const struct open_scope *note)
{
    struct rota__frame call;

    if (note->call.pc == 0)
        return false;
    call = call_around(task, note->scope);
    return call.pc != 0 &&
           (call.pc != note->call.pc || call.sp != note->call.sp);
}

void rota__scopes_check_left(struct rota__task *task)
{
    struct rota__link *at;

    for (at = task->scopes.prev; at != &task->scopes; at = at->prev) {
        const struct open_scope *note =
            rota__container_of(at, struct open_scope, link);

        if (was_left(task, note))
            stop_for(task, note);
    }
}

void rota__scopes_check(struct rota__task *task)
{
    struct open_scope *note = innermost(task);

    rota__fatal("task %s returned with a %s still open, begun at %s",
                rota__task_name(task), note->what, note->where);
}

void rota__scopes_forget(struct rota__task *task)
{
    while (!rota__list_empty(&task->scopes))
        forget(task, innermost(task));
}
