/* SPDX-License-Identifier: MIT */
/*
 * Looking names up, on the pool
 *
 * getaddrinfo() cannot be interrupted. A look-up that is abandoned goes on in
 * its thread and then frees itself.
 */
#include "transport/transport.h"

static struct rota__lookup *lookup_of(struct rota__job *job)
{
    return rota__container_of(job, struct rota__lookup, job);
}

static void look_up(struct rota__job *job)
{
    struct rota__lookup *self = lookup_of(job);

    self->error = rota__resolve_now(self->host, self->port, self->passive,
                                    false, &self->addresses);
}

static void looked_up(struct rota__job *job)
{
    struct rota__lookup *self = lookup_of(job);

    if (self->abandoned || job->dropped) {
        rota__free(self->addresses.items);
        self->addresses = (struct rota__addresses){0};
        self->error = -ECANCELED;
    }
    if (!self->abandoned)
        self->done(self);
    rota__free(self);
}

int rota__lookup_start(struct rota__lookup **out, rota_loop *loop,
                       const char *host, int port, bool passive,
                       void (*done)(struct rota__lookup *), void *user)
{
    size_t host_size = host ? strlen(host) + 1 : 0;
    struct rota__lookup *self = rota__zalloc(sizeof *self + host_size);
    int err;

    if (!self)
        return -ENOMEM;
    self->job.work = look_up;
    self->job.done = looked_up;
    self->port = port;
    self->passive = passive;
    self->done = done;
    self->user = user;
    if (host)
        self->host = memcpy(self + 1, host, host_size);
    err = rota__pool_submit(loop, &self->job);
    if (err < 0) {
        rota__free(self);
        return err;
    }
    *out = self;
    return 0;
}

void rota__lookup_abandon(struct rota__lookup *self)
{
    if (rota__pool_cancel(&self->job))
        rota__free(self);
    else
        self->abandoned = true;
}
