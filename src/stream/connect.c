/* SPDX-License-Identifier: MIT */
/*
 * Opening a connection: look the name up, connect, become a stream
 */
#include "stream/stream.h"

/*
 * What a task waits for stands on its stack, with a hook for a loop that
 * closes: then the task does not run again, also if its answer has come, and
 * what the answer brought must go all the same.
 */

/* --- Names -------------------------------------------------------------- */

struct naming {
    struct rota__waiter waiter;
    struct rota__at_close at_close;
    struct rota__lookup *lookup; /* NULL once it has answered */
    struct rota__addresses addresses;
    int error;
};

static void looked_up(struct rota__lookup *lookup)
{
    struct naming *naming = lookup->user;

    naming->lookup = NULL;
    naming->addresses = lookup->addresses;
    naming->error = lookup->error;
    rota__unpark(&naming->waiter, 0);
}

static void drop_naming(struct naming *naming)
{
    if (naming->lookup)
        rota__lookup_abandon(naming->lookup);
    naming->lookup = NULL;
    rota__free(naming->addresses.items);
    naming->addresses.items = NULL;
}

static bool stop_naming(struct rota__waiter *waiter)
{
    drop_naming(rota__container_of(waiter, struct naming, waiter));
    rota__unpark(waiter, -ECANCELED);
    return true;
}

static void loop_closes_naming(struct rota__at_close *at_close)
{
    drop_naming(rota__container_of(at_close, struct naming, at_close));
}

static int look_up(struct rota__task *self, const char *host, int port,
                   bool passive, struct rota__addresses *out)
{
    struct naming naming = {.waiter.cancel = stop_naming};
    int err = rota__lookup_start(&naming.lookup, self->loop, host, port,
                                 passive, looked_up, &naming);

    if (err < 0)
        return err;
    rota__list_init(&naming.waiter.link);
    rota__at_close_add(self->loop, &naming.at_close, loop_closes_naming);
    err = (int)rota__park(self, &naming.waiter);
    rota__at_close_remove(&naming.at_close);
    if (err == 0)
        err = naming.error;
    if (err < 0)
        drop_naming(&naming); /* it may have come with a cancellation */
    else
        *out = naming.addresses;
    return err;
}

int rota__resolve(struct rota__task *self, const char *host, int port,
                  bool passive, struct rota__addresses *out)
{
    *out = (struct rota__addresses){0};
    if (port < 0 || port > 65535)
        return -EINVAL;
    if (rota__resolve_now(host, port, passive, true, out) == 0)
        return 0;
    if (!self)
        return -ROTA_ENOTASK;
    return look_up(self, host, port, passive, out);
}

/* --- Connecting --------------------------------------------------------- */

struct connecting {
    struct rota__waiter waiter;
    struct rota__at_close at_close;
    struct rota__connect connect;
    struct rota__addresses *addresses;
    int result;
};

static void connected(struct rota__connect *connect, int result)
{
    struct connecting *self =
        rota__container_of(connect, struct connecting, connect);

    self->result = result;
    rota__unpark(&self->waiter, 0);
}

static bool stop_connecting(struct rota__waiter *waiter)
{
    struct connecting *self =
        rota__container_of(waiter, struct connecting, waiter);

    rota__connect_cancel(&self->connect);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

static void loop_closes_connecting(struct rota__at_close *at_close)
{
    struct connecting *self =
        rota__container_of(at_close, struct connecting, at_close);

    rota__connect_cancel(&self->connect);
    rota__free(self->addresses->items);
    self->addresses->items = NULL;
}

static int connect_one(struct connecting *self, struct rota__task *task)
{
    int err;

    rota__list_init(&self->waiter.link);
    self->waiter.cancel = stop_connecting;
    rota__at_close_add(task->loop, &self->at_close, loop_closes_connecting);
    rota__connect_start(&self->connect, task->loop, self->addresses, connected);
    err = (int)rota__park(task, &self->waiter);
    rota__at_close_remove(&self->at_close);
    return err < 0 ? err : self->result;
}

static int open_stream(rota_stream **out, struct rota__task *task,
                       struct rota__addresses *addresses)
{
    struct connecting self = {.addresses = addresses};
    rota_stream *stream = NULL;
    int err = connect_one(&self, task);

    if (err == 0)
        stream = rota__stream_new(task->loop);
    if (!stream) {
        rota__connect_cancel(&self.connect);
        return err < 0 ? err : -ENOMEM;
    }
    rota__conn_take_over(&stream->conn, &rota__stream_events, &self.connect);
    rota__socket_no_delay(stream->conn.watch.fd);
    *out = stream;
    return 0;
}

int rota_open_connection(rota_stream **out, const char *host, int port)
{
    struct rota__task *self = rota__current();
    struct rota__addresses addresses;
    int err;

    if (!self)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK,
                            "rota_open_connection",
                            "connect in a task, not in a callback");
    if (!host || port == 0)
        return -EINVAL;
    err = rota__resolve(self, host, port, false, &addresses);
    if (err < 0)
        return err;
    err = open_stream(out, self, &addresses);
    rota__free(addresses.items);
    return err;
}
