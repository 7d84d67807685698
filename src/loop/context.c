/* SPDX-License-Identifier: MIT */
/*
 * Context variables
 *
 *     actor --in force--> context --> bindings (shared, counted, unchanging)
 *
 * An actor is whoever runs: a task, the callbacks of a loop, or a thread
 * without a loop. Its context holds bindings, an array of variables and their
 * values. Copying a context is one more reference to them; setting a variable
 * makes new ones, unless nobody else refers to the old. Contexts have few
 * variables, so a search is a walk.
 *
 * Until the first variable of the process is set, `rota__contexts_used` is
 * false, and nobody looks further.
 */
#include "loop/loop.h"

struct binding {
    const rota_context_var *var;
    void *value;
};

struct rota__bindings {
    atomic_size_t references;
    size_t count;
    struct binding pairs[];
};

atomic_bool rota__contexts_used;
static atomic_uint last_id;
static _Thread_local struct rota__actor thread_actor;

/* --- Bindings ------------------------------------------------------------ */

struct rota__bindings *rota__bindings_ref(struct rota__bindings *bindings)
{
    if (bindings)
        atomic_fetch_add_explicit(&bindings->references, 1,
                                  memory_order_relaxed);
    return bindings;
}

void rota__bindings_unref(struct rota__bindings *bindings)
{
    if (bindings && atomic_fetch_sub_explicit(&bindings->references, 1,
                                              memory_order_acq_rel) == 1)
        rota__free(bindings);
}

static struct binding *find(struct rota__bindings *bindings,
                            const rota_context_var *var)
{
    for (size_t i = 0; bindings && i < bindings->count; i++)
        if (bindings->pairs[i].var == var)
            return &bindings->pairs[i];
    return NULL;
}

/* A copy, with room for one more and without one that is to go. */
static struct rota__bindings *copy(struct rota__bindings *from,
                                   const rota_context_var *without)
{
    size_t count = from ? from->count : 0;
    struct rota__bindings *to =
        rota__alloc(sizeof *to + (count + 1) * sizeof(to->pairs[0]));

    if (!to)
        return NULL;
    atomic_init(&to->references, 1);
    to->count = 0;
    for (size_t i = 0; i < count; i++)
        if (from->pairs[i].var != without)
            to->pairs[to->count++] = from->pairs[i];
    return to;
}

static void replace(rota_context *context, struct rota__bindings *bindings)
{
    rota__bindings_unref(context->bindings);
    context->bindings = bindings;
}

static int set(rota_context *context, const rota_context_var *var, void *value)
{
    struct binding *binding = find(context->bindings, var);
    struct rota__bindings *changed;

    if (binding && atomic_load_explicit(&context->bindings->references,
                                        memory_order_acquire) == 1) {
        binding->value = value;
        return 0;
    }
    changed = copy(context->bindings, var);
    if (!changed)
        return -ENOMEM;
    changed->pairs[changed->count++] = (struct binding){var, value};
    replace(context, changed);
    return 0;
}

static int unset(rota_context *context, const rota_context_var *var)
{
    struct rota__bindings *changed;

    if (!find(context->bindings, var))
        return 0;
    changed =
        context->bindings->count > 1 ? copy(context->bindings, var) : NULL;
    if (!changed && context->bindings->count > 1)
        return -ENOMEM;
    replace(context, changed);
    return 0;
}

/* --- Actors -------------------------------------------------------------- */

void rota__actor_init(struct rota__actor *actor)
{
    actor->context = &actor->own;
    actor->own = (rota_context){0};
}

void rota__actor_fini(struct rota__actor *actor)
{
    replace(&actor->own, NULL);
    actor->context = &actor->own;
}

/* Gives back a thread's own bindings when the thread ends. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;
static bool has_key;

/* What other ends of the thread set after this comes here once more. */
static void thread_ends(void *arg)
{
    struct rota__actor *actor = arg;

    rota__actor_fini(actor);
    actor->context = NULL;
}

static void make_key(void)
{
    has_key = pthread_key_create(&at_thread_end, thread_ends) == 0;
}

static struct rota__actor *this_thread(void)
{
    if (!thread_actor.context) {
        rota__actor_init(&thread_actor);
        pthread_once(&once, make_key);
        if (has_key)
            (void)pthread_setspecific(at_thread_end, &thread_actor);
    }
    return &thread_actor;
}

static struct rota__actor *present_actor(void)
{
    rota_loop *loop = rota__running_loop;
    struct rota__actor *task = NULL;

    if (!loop)
        return this_thread();
    if (loop->running_actor)
        task = loop->running_actor(loop);
    return task ? task : &loop->callbacks;
}

struct rota__bindings *rota__bindings_capture_used(void)
{
    return rota__bindings_ref(present_actor()->context->bindings);
}

void rota__context_lend(rota_loop *loop, struct rota__bindings *bindings)
{
    replace(&loop->callbacks.own, bindings);
    loop->callbacks.own.id = 0; /* another context, in the same place */
}

/* --- The public calls ---------------------------------------------------- */

void *rota_context_get(const rota_context *context, const rota_context_var *var)
{
    struct binding *binding = find(context->bindings, var);

    return binding ? binding->value : var->initial;
}

static bool used(void)
{
    return atomic_load_explicit(&rota__contexts_used, memory_order_relaxed);
}

void *rota_context_var_get(const rota_context_var *var)
{
    if (!used())
        return var->initial;
    return rota_context_get(present_actor()->context, var);
}

bool rota_context_var_is_set(const rota_context_var *var)
{
    return used() && find(present_actor()->context->bindings, var);
}

/* Contexts follow each other in the same memory; a token tells them apart. */
static unsigned id_of(rota_context *context)
{
    while (context->id == 0)
        context->id = atomic_fetch_add(&last_id, 1) + 1;
    return context->id;
}

int rota_context_var_set(const rota_context_var *var, void *value,
                         rota_context_token *token)
{
    rota_context *context = present_actor()->context;
    struct binding *before = find(context->bindings, var);
    rota_context_token filled = {
        .var = var,
        .context = context,
        .id = token ? id_of(context) : 0,
        .before = before ? before->value : NULL,
        .had = before != NULL,
    };
    int err;

    atomic_store_explicit(&rota__contexts_used, true, memory_order_relaxed);
    err = set(context, var, value);
    if (err == 0 && token)
        *token = filled;
    return err;
}

int rota_context_var_reset(const rota_context_var *var,
                           rota_context_token *token)
{
    rota_context *context = present_actor()->context;
    int err;

    if (!token->var)
        return -ROTA_ESTATE;
    if (token->var != var || token->context != context ||
        token->id != context->id)
        return -EINVAL;
    err = token->had ? set(context, var, token->before) : unset(context, var);
    if (err == 0)
        token->var = NULL;
    return err;
}

int rota__context_new(rota_context **out, struct rota__bindings *bindings)
{
    rota_context *context = rota__zalloc(sizeof *context);

    if (!context)
        return -ENOMEM;
    context->bindings = rota__bindings_ref(bindings);
    *out = context;
    return 0;
}

int rota_copy_context(rota_context **out)
{
    return rota__context_new(out, present_actor()->context->bindings);
}

void rota_context_free(rota_context *context)
{
    if (!context)
        return;
    replace(context, NULL);
    rota__free(context);
}

/* What an await inside switches to is another actor, so this one stays. */
intptr_t rota_context_run(rota_context *context, intptr_t (*function)(void *),
                          void *arg)
{
    struct rota__actor *actor = present_actor();
    rota_context *before = actor->context;
    intptr_t result;

    if (context->entered || context == before)
        return -EBUSY;
    context->entered = true;
    actor->context = context;
    result = function(arg);
    actor->context = before;
    context->entered = false;
    return result;
}

/* The function may free what holds the bindings. */
intptr_t rota__context_run_in(struct rota__bindings *bindings,
                              intptr_t (*function)(void *), void *arg)
{
    rota_context context = {.bindings = rota__bindings_ref(bindings)};
    intptr_t result = rota_context_run(&context, function, arg);

    rota__bindings_unref(context.bindings);
    return result;
}

void rota__context_run_at_close(rota_loop *loop,
                                struct rota__bindings *bindings,
                                intptr_t (*function)(void *), void *arg)
{
    (void)rota__context_run_in(bindings, function, arg);
    rota__context_lend(loop, NULL);
}
