/* SPDX-License-Identifier: MIT */
/*
 * DNS for tasks
 *
 * What needs no answer from anybody is done at once; the rest waits for the
 * pool. What a task waits for stands on its stack, with a hook for a loop that
 * closes: then the task does not run again, also if its answer has come, and
 * what the answer brought must go all the same.
 */
#include "stream/stream.h"
#include <rota/dns.h>
#include <stdio.h>

struct asking {
    struct rota__waiter waiter;
    struct rota__at_close at_close;
    /* Ends the look-up that is under way, if one is, and frees its answer. */
    void (*drop)(struct asking *self);
    int error;
};

static bool stop_asking(struct rota__waiter *waiter)
{
    struct asking *self = rota__container_of(waiter, struct asking, waiter);

    self->drop(self);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

static void loop_closes(struct rota__at_close *at_close)
{
    struct asking *self = rota__container_of(at_close, struct asking, at_close);

    self->drop(self);
}

/* The answer may have come with a cancellation. */
static int await_answer(struct asking *self, struct rota__task *task)
{
    int err;

    self->waiter.cancel = stop_asking;
    rota__list_init(&self->waiter.link);
    rota__at_close_add(task->loop, &self->at_close, loop_closes);
    err = (int)rota__park(task, &self->waiter);
    rota__at_close_remove(&self->at_close);
    if (err == 0)
        err = self->error;
    if (err < 0)
        self->drop(self);
    return err;
}

/* --- Names to addresses --------------------------------------------------- */

struct resolving {
    struct asking asking;
    struct rota__lookup *lookup; /* NULL once it has answered */
    rota_addresses addresses;
};

static void resolved(struct rota__lookup *lookup)
{
    struct resolving *self = lookup->user;

    self->lookup = NULL;
    self->addresses = lookup->addresses;
    self->asking.error = lookup->error;
    rota__unpark(&self->asking.waiter, 0);
}

static void drop_resolving(struct asking *asking)
{
    struct resolving *self =
        rota__container_of(asking, struct resolving, asking);

    if (self->lookup)
        rota__lookup_abandon(self->lookup);
    self->lookup = NULL;
    rota_addresses_free(&self->addresses);
}

static int resolve(struct rota__task *task,
                   const struct rota__name_query *query, rota_addresses *out)
{
    struct resolving self = {.asking.drop = drop_resolving};
    int err = rota__getaddrinfo_literal(query, &self.addresses);

    /* Whatever else it says of a number, the pool would say as well. */
    if (err == -ROTA_ENONAME && !task)
        return -ROTA_ENOTASK;
    if (err == -ROTA_ENONAME)
        err =
            rota__lookup_ask(&self.lookup, task->loop, query, resolved, &self);
    if (err == 0 && self.lookup)
        err = await_answer(&self.asking, task);
    if (err == 0)
        *out = self.addresses;
    return err;
}

int rota__resolve(struct rota__task *task, const char *host, int port,
                  int family, bool passive, rota_addresses *out)
{
    char service[16];
    struct rota__name_query query = {
        .host = host,
        .service = service,
        .family = family,
        .flags = rota__port_flags(passive),
    };

    *out = (rota_addresses){0};
    if (port < 0 || port > 65535)
        return -EINVAL;
    snprintf(service, sizeof service, "%d", port);
    return resolve(task, &query, out);
}

int rota_getaddrinfo(rota_addresses *addresses, const char *host,
                     const char *service, const rota_addrinfo_options *options)
{
    struct rota__task *self = rota__current();
    struct rota__name_query query = {.host = host, .service = service};

    if (!self)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK,
                            "rota_getaddrinfo",
                            "look names up in a task, not in a callback");
    if (!host && !service)
        return -EINVAL;
    if (options) {
        query.family = options->family;
        query.type = options->type;
        query.flags = options->flags;
    }
    return resolve(self, &query, addresses);
}

/* --- Addresses to names --------------------------------------------------- */

/* Where the caller wants a name; size 0: nowhere. */
struct text {
    char *out;
    size_t size;
};

struct naming {
    struct asking asking;
    struct rota__naming *lookup; /* NULL once it has answered */
    struct text host;
    struct text service;
};

static int put(const struct text *text, const char *name)
{
    size_t size = text->size > 0 ? strlen(name) + 1 : 0;

    if (size > text->size)
        return -ENOSPC;
    if (size > 0)
        memcpy(text->out, name, size);
    return 0;
}

static int put_both(const struct naming *self, const char *host,
                    const char *service)
{
    int err = put(&self->host, host);

    return err < 0 ? err : put(&self->service, service);
}

static void named(struct rota__naming *lookup)
{
    struct naming *self = lookup->user;

    self->lookup = NULL;
    self->asking.error = lookup->error;
    if (lookup->error == 0)
        self->asking.error = put_both(self, lookup->host, lookup->service);
    rota__unpark(&self->asking.waiter, 0);
}

static void drop_naming(struct asking *asking)
{
    struct naming *self = rota__container_of(asking, struct naming, asking);

    if (self->lookup)
        rota__naming_abandon(self->lookup);
    self->lookup = NULL;
}

/* The system's own check of sizes is stricter than need be. */
static int name_at_once(const struct naming *self, const rota_address *address,
                        int flags)
{
    char host[ROTA__HOST_SIZE];
    char service[ROTA__SERVICE_SIZE];
    int err = rota__getnameinfo(
        address, host, self->host.size > 0 ? sizeof host : 0, service,
        self->service.size > 0 ? sizeof service : 0, flags);

    return err < 0 ? err : put_both(self, host, service);
}

int rota_getnameinfo(const rota_address *address, char *host, size_t host_size,
                     char *service, size_t service_size, int flags)
{
    struct rota__task *task = rota__current();
    struct naming self = {
        .asking.drop = drop_naming,
        .host = {host, host ? host_size : 0},
        .service = {service, service ? service_size : 0},
    };
    bool wants_host = self.host.size > 0;
    bool wants_service = self.service.size > 0;
    int err;

    if (!task)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK,
                            "rota_getnameinfo",
                            "look names up in a task, not in a callback");
    if (!wants_host && !wants_service)
        return -EINVAL;
    if (!rota__getnameinfo_asks(wants_host, wants_service, flags))
        return name_at_once(&self, address, flags);
    err = rota__naming_start(&self.lookup, task->loop, address, wants_host,
                             wants_service, flags, named, &self);
    return err < 0 ? err : await_answer(&self.asking, task);
}
