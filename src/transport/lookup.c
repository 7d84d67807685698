/* SPDX-License-Identifier: MIT */
/*
 * Looking names up, on the pool
 *
 * The system's resolver cannot be interrupted. A look-up that is abandoned
 * goes on in its thread and then frees itself.
 */
#include "transport/transport.h"
#include <stdio.h>

/* --- Names to addresses --------------------------------------------------- */

static struct rota__lookup *lookup_of(struct rota__job *job)
{
    return rota__container_of(job, struct rota__lookup, job);
}

static intptr_t look_up(void *arg)
{
    struct rota__lookup *self = arg;

    self->error = rota__getaddrinfo(&self->query, &self->addresses);
    return 0;
}

static void looked_up(struct rota__job *job)
{
    struct rota__lookup *self = lookup_of(job);

    if (self->abandoned || job->dropped) {
        rota_addresses_free(&self->addresses);
        self->error = -ECANCELED;
    }
    if (!self->abandoned)
        self->done(self);
}

static void free_lookup(struct rota__job *job)
{
    rota__free(lookup_of(job));
}

/* Copies a text to where there is room, which moves on. */
static const char *keep(char **room, const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    const char *kept = text ? memcpy(*room, text, size) : NULL;

    *room += size;
    return kept;
}

int rota__lookup_ask(struct rota__lookup **out, rota_loop *loop,
                     const struct rota__name_query *query,
                     void (*done)(struct rota__lookup *), void *user)
{
    size_t host = query->host ? strlen(query->host) + 1 : 0;
    size_t service = query->service ? strlen(query->service) + 1 : 0;
    struct rota__lookup *self = rota__zalloc(sizeof *self + host + service);
    char *room = (char *)(self + 1);
    int err;

    if (!self)
        return -ENOMEM;
    self->job.call.function = look_up;
    self->job.call.arg = self;
    self->job.ended = looked_up;
    self->job.release = free_lookup;
    self->query = *query;
    self->query.host = keep(&room, query->host);
    self->query.service = keep(&room, query->service);
    self->done = done;
    self->user = user;
    err = rota__pool_submit(&self->job, loop, ROTA__NAMES);
    if (err < 0) {
        rota__free(self);
        return err;
    }
    *out = self;
    return 0;
}

int rota__lookup_start(struct rota__lookup **out, rota_loop *loop,
                       const char *host, int port, int family, bool passive,
                       void (*done)(struct rota__lookup *), void *user)
{
    char service[16];
    struct rota__name_query query = {
        .host = host,
        .service = service,
        .family = family,
        .flags = rota__port_flags(passive),
    };

    snprintf(service, sizeof service, "%d", port);
    return rota__lookup_ask(out, loop, &query, done, user);
}

void rota__lookup_abandon(struct rota__lookup *self)
{
    self->abandoned = true;
    (void)rota__job_cancel(&self->job);
}

/* --- Addresses to names --------------------------------------------------- */

static struct rota__naming *naming_of(struct rota__job *job)
{
    return rota__container_of(job, struct rota__naming, job);
}

static intptr_t name(void *arg)
{
    struct rota__naming *self = arg;

    self->error = rota__getnameinfo(
        &self->address, self->host, self->wants_host ? sizeof self->host : 0,
        self->service, self->wants_service ? sizeof self->service : 0,
        self->flags);
    return 0;
}

static void named(struct rota__job *job)
{
    struct rota__naming *self = naming_of(job);

    if (job->dropped)
        self->error = -ECANCELED;
    if (!self->abandoned)
        self->done(self);
}

static void free_naming(struct rota__job *job)
{
    rota__free(naming_of(job));
}

int rota__naming_start(struct rota__naming **out, rota_loop *loop,
                       const rota_address *address, bool host, bool service,
                       int flags, void (*done)(struct rota__naming *),
                       void *user)
{
    struct rota__naming *self = rota__zalloc(sizeof *self);
    int err;

    if (!self)
        return -ENOMEM;
    self->job.call.function = name;
    self->job.call.arg = self;
    self->job.ended = named;
    self->job.release = free_naming;
    self->address = *address;
    self->wants_host = host;
    self->wants_service = service;
    self->flags = flags;
    self->done = done;
    self->user = user;
    err = rota__pool_submit(&self->job, loop, ROTA__NAMES);
    if (err < 0) {
        rota__free(self);
        return err;
    }
    *out = self;
    return 0;
}

void rota__naming_abandon(struct rota__naming *self)
{
    self->abandoned = true;
    (void)rota__job_cancel(&self->job);
}
