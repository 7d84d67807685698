/* SPDX-License-Identifier: MIT */
/*
 * Handles: call_soon, call_later and their cancelling
 *
 * A caller may keep the handle itself; then nothing is allocated. For one
 * that passes NULL the loop lends a handle from a free list, and one that
 * comes from another thread is allocated there and freed here.
 */
#include "loop/loop.h"
#include <math.h>

enum { KEPT, LENT, LENT_TIMER, POSTED };

_Static_assert(offsetof(rota_timer_handle, node) ==
                   offsetof(struct rota__timer, node),
               "a public timer begins like an internal one");
_Static_assert(offsetof(rota_timer_handle, handle) ==
                   offsetof(struct rota__timer, handle),
               "a public timer begins like an internal one");

static rota_handle *handle_of(struct rota__handle *base)
{
    return rota__container_of(base, rota_handle, base);
}

static rota_loop *loop_of(const rota_handle *handle)
{
    if (handle->base.run == rota__handle_run_future)
        return ((const rota_future *)handle->owner)->loop;
    return handle->owner;
}

/* The callback that is about to run takes the handle's context over. */
void rota__handle_enter(rota_handle *handle, rota_loop *loop)
{
    if (rota__likely(!handle->bindings))
        return;
    rota__context_lend(loop, handle->bindings);
    handle->bindings = NULL;
}

static void leave(rota_handle *handle)
{
    if (rota__likely(!handle->bindings))
        return;
    rota__bindings_unref(handle->bindings);
    handle->bindings = NULL;
}

static void run_kept(struct rota__handle *base)
{
    rota_handle *handle = handle_of(base);

    handle->state = ROTA__DONE;
    rota__handle_enter(handle, handle->owner);
    handle->callback(handle->arg);
}

static void run_lent(struct rota__handle *base)
{
    rota_handle *handle = handle_of(base);
    rota_callback *callback = handle->callback;
    void *arg = handle->arg;
    rota_loop *loop = handle->owner;

    rota__handle_enter(handle, loop);
    rota__list_push(&loop->free_handles, &base->link);
    callback(arg);
}

static void run_other(struct rota__handle *base)
{
    rota_handle *handle = handle_of(base);
    rota_callback *callback = handle->callback;
    void *arg = handle->arg;

    rota__handle_enter(handle, loop_of(handle));
    rota__handle_finish(handle);
    callback(arg);
}

static bool is_public(const struct rota__handle *base)
{
    return base->run == run_kept || base->run == run_lent ||
           base->run == run_other || base->run == rota__handle_run_future;
}

const void *rota__handle_function(struct rota__handle *base)
{
    if (!is_public(base))
        return (const void *)(uintptr_t)base->run;
    return (const void *)(uintptr_t)handle_of(base)->callback;
}

static rota_timer_handle *timer_handle_of(rota_handle *handle)
{
    return rota__container_of(handle, rota_timer_handle, handle);
}

void rota__handle_finish(rota_handle *handle)
{
    rota_loop *loop = loop_of(handle);

    handle->state = ROTA__DONE;
    if (handle->memory == LENT)
        rota__list_push(&loop->free_handles, &handle->base.link);
    else if (handle->memory == LENT_TIMER)
        rota__list_push(&loop->free_timers, &handle->base.link);
    else if (handle->memory == POSTED)
        rota__free(handle);
}

void rota__handle_drop(rota_handle *handle)
{
    bool kept = handle->memory == KEPT;

    leave(handle);
    rota__list_init(&handle->base.link);
    rota__handle_finish(handle); /* may free it */
    if (kept)
        handle->state = ROTA__CANCELLED;
}

static void fill(rota_handle *handle, rota_loop *loop, rota_callback *callback,
                 void *arg, void (*run)(struct rota__handle *))
{
    handle->base.run = run;
    handle->callback = callback;
    handle->arg = arg;
    handle->owner = loop;
    handle->state = ROTA__PENDING;
    handle->bindings = rota__bindings_capture();
}

static rota_handle *lend(rota_loop *loop)
{
    struct rota__link *link = rota__list_pop(&loop->free_handles);

    if (rota__likely(link != NULL))
        return rota__container_of(link, rota_handle, base.link);
    return rota__alloc(sizeof(rota_handle));
}

rota_handle *rota__handle_prepare(rota_loop *loop, rota_handle *handle,
                                  rota_callback *callback, void *arg,
                                  void (*run)(struct rota__handle *))
{
    short memory = handle ? KEPT : LENT;

    if (!handle)
        handle = lend(loop);
    if (rota__unlikely(!handle))
        return NULL;
    handle->memory = memory;
    fill(handle, loop, callback, arg, run);
    return handle;
}

static int check_call(const rota_loop *loop, const rota_handle *handle,
                      rota_callback *callback, const char *function)
{
    int err = rota__check(loop, function);

    if (rota__unlikely(err < 0))
        return err;
    if (rota__unlikely(!callback))
        return -EINVAL;
    if (rota__unlikely(handle && handle->state == ROTA__PENDING))
        return -EBUSY;
    return 0;
}

int rota_call_soon(rota_loop *loop, rota_handle *handle,
                   rota_callback *callback, void *arg)
{
    int err = check_call(loop, handle, callback, "rota_call_soon");

    if (rota__unlikely(err < 0))
        return err;
    handle = rota__handle_prepare(loop, handle, callback, arg,
                                  handle ? run_kept : run_lent);
    if (rota__unlikely(!handle))
        return -ENOMEM;
    rota__ready(loop, &handle->base);
    return 0;
}

int rota_call_soon_threadsafe(rota_loop *loop, rota_handle *handle,
                              rota_callback *callback, void *arg)
{
    short memory = handle ? KEPT : POSTED;

    if (loop->closed)
        return -ROTA_ECLOSED;
    if (!callback)
        return -EINVAL;
    if (handle && handle->state == ROTA__PENDING)
        return -EBUSY;
    if (!handle)
        handle = rota__alloc(sizeof *handle);
    if (!handle)
        return -ENOMEM;
    fill(handle, loop, callback, arg, memory == KEPT ? run_kept : run_other);
    handle->memory = memory;
    if (loop->thread == rota__thread_self()) {
        rota__take_from_threads(loop); /* those were first */
        rota__ready(loop, &handle->base);
    } else {
        rota__post(loop, &handle->base);
    }
    return 0;
}

static struct rota__timer *timer_of(rota_timer_handle *handle)
{
    return (struct rota__timer *)(void *)handle;
}

static rota_timer_handle *lend_timer(rota_loop *loop)
{
    struct rota__link *link = rota__list_pop(&loop->free_timers);

    if (link)
        return rota__container_of(link, rota_timer_handle, handle.base.link);
    return rota__alloc(sizeof(rota_timer_handle));
}

static int call_when(rota_loop *loop, rota_timer_handle *handle, int64_t when,
                     rota_callback *callback, void *arg)
{
    bool kept = handle != NULL;
    struct rota__timer *timer;
    int err;

    if (!kept)
        handle = lend_timer(loop);
    if (!handle)
        return -ENOMEM;
    timer = timer_of(handle);
    rota__timer_init(timer, NULL);
    fill(&handle->handle, loop, callback, arg, kept ? run_kept : run_other);
    handle->handle.memory = kept ? KEPT : LENT_TIMER;
    err = rota__timer_arm(loop, timer, when);
    if (rota__unlikely(err < 0)) {
        leave(&handle->handle);
        rota__handle_finish(&handle->handle);
    }
    return err;
}

static int check_timer(const rota_loop *loop, const rota_timer_handle *handle,
                       double time, rota_callback *callback,
                       const char *function)
{
    if (rota__unlikely(isnan(time)))
        return -EINVAL;
    return check_call(loop, handle ? &handle->handle : NULL, callback,
                      function);
}

int rota_call_later(rota_loop *loop, rota_timer_handle *handle, double delay,
                    rota_callback *callback, void *arg)
{
    int err = check_timer(loop, handle, delay, callback, "rota_call_later");
    int64_t ns;

    if (rota__unlikely(err < 0))
        return err;
    ns = rota__to_ns(delay);
    return call_when(loop, handle, rota__now_at_most(loop) + (ns > 0 ? ns : 0),
                     callback, arg);
}

int rota_call_at(rota_loop *loop, rota_timer_handle *handle, double when,
                 rota_callback *callback, void *arg)
{
    int err = check_timer(loop, handle, when, callback, "rota_call_at");

    if (rota__unlikely(err < 0))
        return err;
    return call_when(loop, handle, rota__to_ns(when), callback, arg);
}

static int reschedule(rota_timer_handle *handle, double time, int64_t start)
{
    rota__check_thread(handle->handle.owner, "rota_timer_handle_reschedule");
    if (rota__unlikely(isnan(time)))
        return -EINVAL;
    return rota__timer_rearm(handle->handle.owner, timer_of(handle),
                             start + rota__to_ns(time));
}

int rota_timer_handle_reschedule(rota_timer_handle *handle, double when)
{
    if (handle->handle.state != ROTA__PENDING)
        return -ROTA_ESTATE;
    return reschedule(handle, when, 0);
}

int rota_timer_handle_reschedule_later(rota_timer_handle *handle, double delay)
{
    if (rota__unlikely(handle->handle.state != ROTA__PENDING))
        return -ROTA_ESTATE;
    return reschedule(handle, delay, rota__now_at_most(handle->handle.owner));
}

/* One from another thread's call may still be in the inbox. */
static void unlink_handle(rota_handle *handle)
{
    rota__take_from_threads(loop_of(handle));
    rota__unready(&handle->base);
}

void rota_handle_cancel(rota_handle *handle)
{
    if (handle->state != ROTA__PENDING)
        return;
    rota__check_thread(loop_of(handle), "rota_handle_cancel");
    unlink_handle(handle);
    if (handle->base.run == rota__handle_run_future)
        rota__future_unschedule(handle);
    leave(handle);
    handle->state = ROTA__CANCELLED;
}

bool rota_handle_cancelled(const rota_handle *handle)
{
    return handle->state == ROTA__CANCELLED;
}

void rota_timer_handle_cancel(rota_timer_handle *handle)
{
    if (handle->handle.state != ROTA__PENDING)
        return;
    rota__check_thread(handle->handle.owner, "rota_timer_handle_cancel");
    rota__timer_cancel(handle->handle.owner, timer_of(handle));
    leave(&handle->handle);
    handle->handle.state = ROTA__CANCELLED;
}

bool rota_timer_handle_cancelled(const rota_timer_handle *handle)
{
    return handle->handle.state == ROTA__CANCELLED;
}

double rota_timer_handle_when(const rota_timer_handle *handle)
{
    return (double)handle->node.key / (double)ROTA__SECOND;
}

/* Pending handles end, and those that are not ours go to their owner. */
static void drop_list(rota_loop *loop, struct rota__link *list)
{
    struct rota__link *link;

    while ((link = rota__list_pop(list)) != NULL) {
        struct rota__handle *base =
            rota__container_of(link, struct rota__handle, link);

        if (is_public(base))
            rota__handle_drop(handle_of(base));
        else if (!rota__message_drop(base) && loop->drop)
            loop->drop(base);
    }
}

static void free_lent(struct rota__link *list, bool timers)
{
    struct rota__link *link;

    while ((link = rota__list_pop(list)) != NULL) {
        rota_handle *handle = rota__container_of(link, rota_handle, base.link);

        rota__free(timers ? (void *)timer_handle_of(handle) : handle);
    }
}

void rota__handles_free(rota_loop *loop)
{
    struct rota__heap_node *node;

    while ((node = rota__heap_min(&loop->timers)) != NULL) {
        struct rota__timer *timer =
            rota__container_of(node, struct rota__timer, node);

        rota__heap_remove(&loop->timers, node);
        rota__ready(loop, &timer->handle);
    }
    drop_list(loop, &loop->running);
    drop_list(loop, &loop->ready);
    free_lent(&loop->free_handles, false);
    free_lent(&loop->free_timers, true);
}

void rota__visit(const rota_loop *loop, rota__visitor *visitor, void *arg)
{
    size_t timers = rota__heap_count(&loop->timers);
    const struct rota__link *queues[] = {&loop->running, &loop->ready};

    rota__visit_posts(loop, visitor, arg);
    for (size_t i = 0; i < rota__countof(queues); i++)
        for (const struct rota__link *at = queues[i]->next; at != queues[i];
             at = at->next)
            visitor(rota__container_of(at, struct rota__handle, link), arg);
    for (size_t i = 0; i < timers; i++) {
        struct rota__heap_node *node = rota__heap_at(&loop->timers, i);

        visitor(&rota__container_of(node, struct rota__timer, node)->handle,
                arg);
    }
}
