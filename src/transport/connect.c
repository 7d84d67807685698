/* SPDX-License-Identifier: MIT */
/*
 * Connecting: each address in turn, until one answers
 *
 * The socket is registered with everything that the connection will want, so
 * that it is registered once: the connection takes the registration over,
 * with the events that came before it was there.
 */
#include "transport/transport.h"

static void note_error(struct rota__connect *self, int error)
{
    if (self->first_error == 0)
        self->first_error = error;
}

static void wake(struct rota__connect *self)
{
    if (rota__list_empty(&self->on_event.link))
        rota__ready(self->loop, &self->on_event);
}

static void connect_ready(struct rota__watch *watch, unsigned events)
{
    struct rota__connect *self =
        rota__container_of(watch, struct rota__connect, watch);

    self->seen |= events;
    if (!self->connected && (events & (ROTA__WRITABLE | ROTA__HANGUP)))
        wake(self);
}

static void drop_socket(struct rota__connect *self)
{
    if (self->watch.fd < 0)
        return;
    rota__poller_forget(&self->loop->poller, &self->watch);
    (void)rota__fd_close(self->watch.fd);
    self->watch.fd = -1;
    self->connected = false; /* the next address is still to answer */
}

static int try_address(struct rota__connect *self, const rota_address *address)
{
    int fd = rota__socket_open(address->storage.ss_family, SOCK_STREAM, 0);
    int err;

    if (fd < 0)
        return fd;
    self->watch.fd = fd;
    self->seen = 0;
    err = rota__socket_connect(fd, address);
    if (err < 0 && err != -EINPROGRESS)
        return err;
    if (err == 0)
        self->connected = true;
    return rota__poller_add(&self->loop->poller, &self->watch,
                            ROTA__READABLE | ROTA__WRITABLE | ROTA__EDGE);
}

/* Starts with the next address that does not fail at once. */
static void try_next(struct rota__connect *self)
{
    while (self->next < self->addresses->count) {
        int err = try_address(self, &self->addresses->items[self->next++]);

        if (err == 0) {
            if (self->connected)
                wake(self);
            return;
        }
        note_error(self, err);
        drop_socket(self);
    }
    wake(self);
}

static void on_event(struct rota__handle *handle)
{
    struct rota__connect *self =
        rota__container_of(handle, struct rota__connect, on_event);
    int err;

    if (self->watch.fd < 0) {
        self->done(self, self->first_error ? self->first_error : -ROTA_ENONAME);
        return;
    }
    err = rota__socket_error(self->watch.fd);
    if (err == 0) {
        self->connected = true;
        self->done(self, 0);
        return;
    }
    note_error(self, err);
    drop_socket(self);
    try_next(self);
}

void rota__connect_start(struct rota__connect *self, rota_loop *loop,
                         const struct rota__addresses *addresses,
                         void (*done)(struct rota__connect *, int))
{
    *self = (struct rota__connect){
        .watch = {.ready = connect_ready, .fd = -1},
        .on_event.run = on_event,
        .loop = loop,
        .addresses = addresses,
        .done = done,
    };
    rota__list_init(&self->on_event.link);
    try_next(self);
}

void rota__connect_cancel(struct rota__connect *self)
{
    rota__unready(&self->on_event);
    drop_socket(self);
}
