/* SPDX-License-Identifier: MIT */
/*
 * Signal handlers of a loop: add_signal_handler and its like
 *
 * Each is a watch, and a hook that ends it when the loop closes; by that hook
 * it is found again.
 */
#include "loop/signal.h"

struct signal_handler {
    struct rota__signal_watch watch;
    struct rota__at_close at_close;
    rota_callback *callback;
    void *arg;
    struct rota__bindings *bindings;
    bool *current; /* while it runs: whether it is still the same one */
};

/* It goes, or another takes its place. */
static void forget(struct signal_handler *self)
{
    if (self->current)
        *self->current = false;
    rota__bindings_unref(self->bindings);
    self->current = NULL;
    self->bindings = NULL;
}

/* As in asyncio, what it sets is there when it is called again. */
static void caught(struct rota__signal_watch *watch)
{
    struct signal_handler *self =
        rota__container_of(watch, struct signal_handler, watch);
    rota_loop *loop = watch->loop;
    bool current = true;

    if (self->bindings)
        rota__context_lend(loop, rota__bindings_ref(self->bindings));
    self->current = &current;
    self->callback(self->arg);
    if (!current)
        return;
    self->current = NULL;
    rota__bindings_unref(self->bindings);
    self->bindings = rota__bindings_ref(loop->callbacks.own.bindings);
}

static void end(struct signal_handler *self)
{
    rota__signal_watch_end(&self->watch);
    forget(self);
    rota__free(self);
}

static struct signal_handler *handler_of(struct rota__at_close *hook)
{
    return rota__container_of(hook, struct signal_handler, at_close);
}

static void loop_closes(struct rota__at_close *hook)
{
    end(handler_of(hook));
}

static struct signal_handler *find(const rota_loop *loop, int number)
{
    const struct rota__link *hooks = &loop->at_close;

    for (struct rota__link *at = hooks->next; at != hooks; at = at->next) {
        struct rota__at_close *hook =
            rota__container_of(at, struct rota__at_close, link);

        if (hook->run == loop_closes &&
            handler_of(hook)->watch.number == number)
            return handler_of(hook);
    }
    return NULL;
}

static int make(rota_loop *loop, int number, struct signal_handler **out)
{
    struct signal_handler *self = rota__zalloc(sizeof *self);
    int err;

    if (!self)
        return -ENOMEM;
    self->watch.loop = loop;
    self->watch.number = number;
    self->watch.caught = caught;
    err = rota__signal_watch_begin(&self->watch);
    if (err < 0) {
        rota__free(self);
        return err;
    }
    rota__at_close_add(loop, &self->at_close, loop_closes);
    *out = self;
    return 0;
}

int rota_add_signal_handler(rota_loop *loop, int signal,
                            rota_callback *callback, void *arg)
{
    int err = rota__check(loop, "rota_add_signal_handler");
    struct signal_handler *self;

    if (err == 0 && !callback)
        err = -EINVAL;
    if (err < 0)
        return err;
    self = find(loop, signal);
    if (!self)
        err = make(loop, signal, &self);
    if (err < 0)
        return err;
    forget(self);
    self->callback = callback;
    self->arg = arg;
    self->bindings = rota__bindings_capture();
    return 0;
}

int rota_remove_signal_handler(rota_loop *loop, int signal)
{
    int err = rota__check(loop, "rota_remove_signal_handler");
    struct signal_handler *self;

    if (err == 0 && !rota__signal_exists(signal))
        err = -EINVAL;
    if (err < 0)
        return err;
    self = find(loop, signal);
    if (!self)
        return 0;
    rota__at_close_remove(&self->at_close);
    end(self);
    return 1;
}

const char *rota_signal_name(int signal)
{
    const char *name = rota__signal_name(signal);

    return name ? name : "UNKNOWN";
}
