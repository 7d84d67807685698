/* SPDX-License-Identifier: MIT */
/*
 * Scopes that a function left open: debug mode's notes
 */
#include "task/task.h"

/* Kept apart from the scope, whose own memory may be gone when it is asked. */
struct open_scope {
    struct rota__link link;
    const void *scope;
    const char *what;
    const char *where;
};

static struct open_scope *innermost(struct rota__task *task)
{
    return rota__container_of(task->scopes.prev, struct open_scope, link);
}

void rota__scope_opened(struct rota__task *task, const void *scope,
                        const char *what, const char *where)
{
    struct open_scope *note;

    if (rota__likely(!task->loop->debug))
        return;
    note = rota__alloc(sizeof *note);
    if (!note)
        return;
    note->scope = scope;
    note->what = what;
    note->where = where;
    rota__list_push(&task->scopes, &note->link);
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
    rota__list_remove(&note->link);
    rota__free(note);
}

void rota__scopes_check(struct rota__task *task)
{
    struct open_scope *note = innermost(task);

    rota__fatal("task %s returned with a %s still open, begun at %s",
                rota__task_name(task), note->what, note->where);
}

void rota__scopes_forget(struct rota__task *task)
{
    while (!rota__list_empty(&task->scopes)) {
        struct open_scope *note = innermost(task);

        rota__list_remove(&note->link);
        rota__free(note);
    }
}
