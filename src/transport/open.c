/* SPDX-License-Identifier: MIT */
/*
 * Opening a connection: look the name up, connect, agree on TLS
 *
 *     start --literal--> CONNECT --> [TLS] --> done
 *         `--LOOK_UP-----^
 *
 * Each stage may fail, and may be cancelled; nothing is left then. Whoever
 * starts hears of it in a later turn, never from inside the call.
 */
#include "transport/transport.h"

enum { IDLE, LOOK_UP, CONNECT, TLS };

static struct rota__open *of_connect(struct rota__connect *connect)
{
    return rota__container_of(connect, struct rota__open, connect);
}

static void finish(struct rota__open *self, int error)
{
    self->stage = IDLE;
    rota_addresses_free(&self->addresses);
    self->done(self, error);
}

/* --- TLS ---------------------------------------------------------------- */

/* Where the handshake finds the opening again: behind the user's events. */
static void agreed(struct rota__conn *conn, int error)
{
    struct rota__open *self = conn->opening;

    conn->opening = NULL;
    if (error < 0)
        rota__conn_destroy(conn);
    finish(self, error);
}

static int start_tls(struct rota__open *self)
{
    int err = rota__tls_start(self->conn, self->options.tls,
                              &self->options.tls_options, self->host, agreed);

    if (err < 0) {
        rota__conn_destroy(self->conn);
        return err;
    }
    self->conn->opening = self;
    self->stage = TLS;
    return 0;
}

/* --- Connecting --------------------------------------------------------- */

static void connected(struct rota__connect *connect, int result)
{
    struct rota__open *self = of_connect(connect);
    struct rota__attempt *winner = connect->winner;

    if (result == 0) {
        rota__conn_take_over(self->conn, self->loop, self->events,
                             &winner->watch, winner->seen);
        winner->watch.fd = -1;
        rota__connect_cancel(connect);
        if (self->host)
            rota__socket_no_delay(self->conn->watch.fd);
        else
            rota__conn_set_unix(self->conn);
        if (self->options.tls) {
            result = start_tls(self);
            if (result == 0)
                return;
        }
    }
    finish(self, result);
}

static int start_connect(struct rota__open *self)
{
    int err = rota__connect_start(&self->connect, self->loop, &self->addresses,
                                  &self->options, connected);

    if (err == 0)
        self->stage = CONNECT;
    return err;
}

/* --- Names -------------------------------------------------------------- */

static void looked_up(struct rota__lookup *lookup)
{
    struct rota__open *self = lookup->user;
    int err = lookup->error;

    self->lookup = NULL;
    self->addresses = lookup->addresses;
    if (err == 0)
        err = start_connect(self);
    if (err < 0)
        finish(self, err);
}

/* Whatever else the resolver says of a number, it would say on the pool. */
static int look_up(struct rota__open *self, const char *host, int port)
{
    int family = self->options.family;
    int err =
        rota__resolve_now(host, port, family, false, true, &self->addresses);

    if (err == 0)
        return start_connect(self);
    if (err != -ROTA_ENONAME)
        return err;
    self->stage = LOOK_UP;
    return rota__lookup_start(&self->lookup, self->loop, host, port, family,
                              false, looked_up, self);
}

static int prepare(struct rota__open *self, rota_loop *loop,
                   struct rota__conn *conn,
                   const struct rota__conn_events *events,
                   const rota_connect_options *options,
                   void (*done)(struct rota__open *, int))
{
    *self = (struct rota__open){
        .loop = loop,
        .conn = conn,
        .events = events,
        .done = done,
    };
    if (options)
        self->options = *options;
    if (self->options.tls && rota__tls_context_is_server(self->options.tls))
        return -EINVAL;
    return self->options.happy_eyeballs_delay >= 0 ? 0 : -EINVAL;
}

int rota__open_start(struct rota__open *self, rota_loop *loop,
                     struct rota__conn *conn,
                     const struct rota__conn_events *events, const char *host,
                     int port, const rota_connect_options *options,
                     void (*done)(struct rota__open *, int))
{
    int err = prepare(self, loop, conn, events, options, done);

    if (err == 0 && (!host || port <= 0 || port > 65535))
        err = -EINVAL;
    if (err < 0)
        return err;
    self->host = host;
    err = look_up(self, host, port);
    if (err < 0)
        rota_addresses_free(&self->addresses);
    return err;
}

int rota__open_start_unix(struct rota__open *self, rota_loop *loop,
                          struct rota__conn *conn,
                          const struct rota__conn_events *events,
                          const char *path, const rota_connect_options *options,
                          void (*done)(struct rota__open *, int))
{
    rota_address address;
    int err = prepare(self, loop, conn, events, options, done);

    if (err == 0)
        err = path ? rota_address_unix(&address, path) : -EINVAL;
    if (err < 0)
        return err;
    self->addresses.items = rota__alloc(sizeof address);
    if (!self->addresses.items)
        return -ENOMEM;
    self->addresses.items[0] = address;
    self->addresses.count = 1;
    err = start_connect(self);
    if (err < 0)
        rota_addresses_free(&self->addresses);
    return err;
}

void rota__open_cancel(struct rota__open *self)
{
    if (self->stage == LOOK_UP)
        rota__lookup_abandon(self->lookup);
    else if (self->stage == CONNECT)
        rota__connect_cancel(&self->connect);
    else if (self->stage == TLS)
        rota__conn_destroy(self->conn);
    rota_addresses_free(&self->addresses);
    self->stage = IDLE;
}
