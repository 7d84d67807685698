/* SPDX-License-Identifier: MIT */
/*
 * Opening a connection: look the name up, connect, become a stream
 */
#include "stream/stream.h"

/* A task that waits for one callback of the transport. */
struct answer {
    struct rota__waiter waiter;
    struct rota__connect connect;
    struct rota__addresses *addresses;
    int result;
};

static void answered(struct answer *answer, int result)
{
    answer->result = result;
    rota__unpark(&answer->waiter, 0);
}

/* --- Names -------------------------------------------------------------- */

static void looked_up(struct rota__lookup *lookup)
{
    struct answer *answer = lookup->user;

    *answer->addresses = lookup->addresses;
    answered(answer, lookup->error);
}

static int look_up(struct rota__task *self, const char *host, int port,
                   bool passive, struct rota__addresses *out)
{
    struct answer answer = {.addresses = out, .result = 1};
    struct rota__lookup *lookup;
    int err = rota__lookup_start(&lookup, self->loop, host, port, passive,
                                 looked_up, &answer);

    if (err < 0)
        return err;
    rota__list_init(&answer.waiter.link);
    err = (int)rota__park(self, &answer.waiter);
    if (err == 0)
        return answer.result;
    if (answer.result == 1)
        rota__lookup_abandon(lookup);
    else
        rota__free(out->items); /* it came, and so did the cancellation */
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

static void connected(struct rota__connect *connect, int result)
{
    answered(rota__container_of(connect, struct answer, connect), result);
}

/* Also when the loop closes, and the task will not run to clean up. */
static bool stop_connecting(struct rota__waiter *waiter)
{
    struct answer *answer = rota__container_of(waiter, struct answer, waiter);

    rota__connect_cancel(&answer->connect);
    rota__free(answer->addresses->items);
    answer->addresses->items = NULL;
    rota__unpark(waiter, -ECANCELED);
    return true;
}

static int open_stream(rota_stream **out, struct rota__task *self,
                       struct rota__addresses *addresses)
{
    struct answer answer = {.addresses = addresses, .result = 1};
    rota_stream *stream = NULL;
    int err;

    rota__list_init(&answer.waiter.link);
    answer.waiter.cancel = stop_connecting;
    rota__connect_start(&answer.connect, self->loop, addresses, connected);
    err = (int)rota__park(self, &answer.waiter);
    if (err == 0)
        err = answer.result;
    if (err == 0 && !(stream = rota__stream_new(self->loop)))
        err = -ENOMEM;
    if (err < 0) {
        rota__connect_cancel(&answer.connect);
        return err;
    }
    rota__conn_take_over(&stream->conn, &rota__stream_events, &answer.connect);
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
