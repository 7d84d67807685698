/* SPDX-License-Identifier: MIT */
/*
 * Context variables: values that follow the flow of work
 *
 * Mirrors Python's "contextvars". A context variable has a value in each
 * context. A task runs in a copy of the context that it was made in, a
 * callback in a copy of the one in which it was scheduled, so that what a
 * task sets is seen by all that it calls and starts, and by nobody else. A
 * thread without a running loop has a context of its own.
 *
 *     static rota_context_var request_id = ROTA_CONTEXT_VAR("request_id", "-");
 *
 *     rota_context_var_set(&request_id, "7f3a", NULL);
 *     log("request %s", (const char *)rota_context_var_get(&request_id));
 *
 * Values are pointers; what they point to belongs to the caller and must
 * outlive whoever can still see it. A copy costs nothing but a reference, and
 * a program that sets no variable pays nothing at all. All calls concern the
 * context of what is running on the calling thread, from any context of it.
 */
#ifndef ROTA_CONTEXT_H
#define ROTA_CONTEXT_H

#include <rota/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A variable: static memory, which outlives every context. Private. */
typedef struct rota_context_var {
    const char *name;
    void *initial;
} rota_context_var;

/* A variable with a name, for messages, and the value where none is set. */
#define ROTA_CONTEXT_VAR(name, initial)                                        \
    {                                                                          \
        (name), (void *)(initial)                                              \
    }

/* A context as an object of its own. asyncio: contextvars.Context. */
typedef struct rota_context rota_context;

/* What a set has replaced. Private; plain memory of the caller's. */
typedef struct rota_context_token {
    const rota_context_var *var;
    rota_context *context;
    void *before;
    unsigned id; /* of the context */
    bool had;
} rota_context_token;

/* The value here, or the variable's first one. asyncio: ContextVar.get(). */
void *rota_context_var_get(const rota_context_var *var);

/* True if it was set in this context. */
bool rota_context_var_is_set(const rota_context_var *var);

/*
 * Sets the value in this context. `token`, unless it is NULL, is to go back by.
 * Errors: -ENOMEM.  asyncio: ContextVar.set().
 */
int rota_context_var_set(const rota_context_var *var, void *value,
                         rota_context_token *token);

/*
 * Brings back what the variable was before the set that filled the token.
 * Errors: -ROTA_ESTATE (the token was used), -EINVAL (of another variable or
 * another context), -ENOMEM.  asyncio: ContextVar.reset().
 */
int rota_context_var_reset(const rota_context_var *var,
                           rota_context_token *token);

/*
 * A copy of the present context; free it with rota_context_free(). It may go
 * to another thread. -ENOMEM.  asyncio: copy_context().
 */
int rota_copy_context(rota_context **context);
/* Not while something runs in it. NULL is ignored. */
void rota_context_free(rota_context *context);

/* The value in a context, or the first one. asyncio: context[var]. */
void *rota_context_get(const rota_context *context,
                       const rota_context_var *var);

/*
 * Runs function(arg) in the context and returns what it returns; what it sets
 * stays in the context. It may await. Errors besides: -EBUSY (something runs
 * in it already, the caller too).  asyncio: Context.run().
 */
intptr_t rota_context_run(rota_context *context, intptr_t (*function)(void *),
                          void *arg);

#ifdef __cplusplus
}
#endif

#endif
