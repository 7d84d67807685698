/* SPDX-License-Identifier: MIT */
/*
 * The life of a transport: made, closing, lost
 */
#include "transport/callback.h"

static rota_transport *transport_of(struct rota__conn *conn)
{
    return rota__container_of(conn, rota_transport, conn);
}

void rota_transport_ref(rota_transport *transport)
{
    transport->references++;
}

void rota_transport_unref(rota_transport *transport)
{
    if (--transport->references > 0)
        return;
    rota__bindings_unref(transport->bindings);
    rota__free(transport);
}

/* --- Made and lost ------------------------------------------------------ */

void rota__transport_made(rota_transport *transport)
{
    transport->stage = ROTA__OPEN;
    transport->known = true;
    rota__transport_enter(transport);
    if (transport->protocol->connection_made)
        transport->protocol->connection_made(transport, transport->arg);
    rota__transport_read_soon(transport);
}

void rota__transport_made_soon(rota_transport *transport)
{
    transport->stage = ROTA__MADE_SOON;
    rota__ready(transport->loop, &transport->news);
}

void rota__transport_lost(rota_transport *transport, int error)
{
    transport->stage = ROTA__LOST;
    transport->closing = true;
    transport->conn.closed = true; /* also if it was never opened */
    rota__at_close_remove(&transport->at_close);
    rota__unready(&transport->on_readable);
    rota__unready(&transport->news);
    if (transport->known && transport->protocol->connection_lost) {
        rota__transport_enter(transport);
        transport->protocol->connection_lost(transport, error, transport->arg);
    }
    if (transport->server)
        rota__server_remove(transport->server, &transport->client);
    transport->server = NULL;
    rota_transport_unref(transport);
}

static void on_news(struct rota__handle *handle)
{
    rota_transport *transport =
        rota__container_of(handle, rota_transport, news);

    rota_transport_ref(transport);
    if (transport->conn.closed)
        rota__transport_lost(transport, transport->error);
    else if (transport->stage == ROTA__MADE_SOON)
        rota__transport_made(transport);
    rota_transport_unref(transport);
}

void rota__transport_fail(rota_transport *transport, int error)
{
    if (transport->error == 0)
        transport->error = error;
    transport->closing = true;
    rota__conn_drop(&transport->conn);
}

/* --- What the connection tells ------------------------------------------ */

static void readable(struct rota__conn *conn)
{
    rota__transport_read_soon(transport_of(conn));
}

static void resume_writing(rota_transport *transport)
{
    transport->writing_paused = false;
    rota__transport_enter(transport);
    if (transport->protocol->resume_writing)
        transport->protocol->resume_writing(transport, transport->arg);
}

static void writable(struct rota__conn *conn)
{
    rota_transport *transport = transport_of(conn);
    bool resume = transport->writing_paused &&
                  rota__buffer_size(&conn->out) <= transport->low;

    if (conn->error) {
        rota__transport_fail(transport, conn->error);
        return;
    }
    if (resume)
        resume_writing(transport);
}

/* Flushed, in a turn, or at any time by a call of the user's. */
static void closed(struct rota__conn *conn)
{
    rota_transport *transport = transport_of(conn);

    if (transport->error == 0)
        transport->error = conn->error;
    transport->closing = true;
    rota__unready(&transport->on_readable);
    if (rota__list_empty(&transport->news.link))
        rota__ready(transport->loop, &transport->news);
    if (transport->writing_paused && transport->error == 0)
        resume_writing(transport);
}

const struct rota__conn_events rota__transport_events = {
    .readable = readable,
    .writable = writable,
    .closed = closed,
};

static intptr_t lose(void *transport)
{
    rota__transport_lost(transport, ((rota_transport *)transport)->error);
    return 0;
}

static void loop_closes(struct rota__at_close *at_close)
{
    rota_transport *transport =
        rota__container_of(at_close, rota_transport, at_close);

    if (!transport->conn.closed)
        transport->error = -ROTA_ECLOSING;
    if (transport->stage == ROTA__CONNECTING)
        rota__transport_stop_opening(transport);
    else
        rota__conn_destroy(&transport->conn);
    rota__context_run_at_close(transport->loop, transport->bindings, lose,
                               transport);
}

/* --- Making ------------------------------------------------------------- */

rota_transport *rota__transport_new(rota_loop *loop,
                                    const rota_protocol *protocol, void *arg)
{
    rota_transport *transport = rota__zalloc(sizeof *transport);

    if (!transport)
        return NULL;
    transport->loop = loop;
    transport->protocol = protocol;
    transport->arg = arg;
    transport->high = ROTA__HIGH_WATER;
    transport->low = ROTA__LOW_WATER;
    transport->references = 1;
    transport->bindings = rota__bindings_capture();
    transport->on_readable.run = rota__transport_on_readable;
    transport->news.run = on_news;
    rota__list_init(&transport->on_readable.link);
    rota__list_init(&transport->news.link);
    rota__list_init(&transport->client);
    rota__at_close_add(loop, &transport->at_close, loop_closes);
    return transport;
}

void rota__transport_discard(rota_transport *transport)
{
    rota__at_close_remove(&transport->at_close);
    rota_transport_unref(transport);
}

/* --- Closing ------------------------------------------------------------ */

void rota_transport_close(rota_transport *transport)
{
    rota__transport_check_thread(transport, "rota_transport_close");
    if (transport->closing)
        return;
    if (transport->stage == ROTA__CONNECTING) {
        rota_transport_abort(transport);
        return;
    }
    transport->closing = true;
    rota__unready(&transport->on_readable);
    if (transport->stage == ROTA__SECURING) /* nobody to say good-bye to */
        rota__conn_drop(&transport->conn);
    else
        rota__conn_close(&transport->conn);
}

void rota_transport_abort(rota_transport *transport)
{
    rota__transport_check_thread(transport, "rota_transport_abort");
    if (transport->stage == ROTA__LOST || transport->conn.closed)
        return;
    transport->closing = true;
    transport->error = -ECONNABORTED;
    if (transport->stage == ROTA__CONNECTING) {
        rota__transport_stop_opening(transport);
        transport->conn.closed = true;
        rota__ready(transport->loop, &transport->news);
    } else {
        rota__conn_abort(&transport->conn);
    }
}

bool rota_transport_is_closing(const rota_transport *transport)
{
    return transport->closing;
}

/* --- TLS ---------------------------------------------------------------- */

static void secured(struct rota__conn *conn, int error)
{
    rota_transport *transport = transport_of(conn);
    bool first = !transport->secured;

    rota_transport_ref(transport);
    transport->stage = ROTA__OPEN;
    if (!first) {
        rota__transport_enter(transport);
        transport->secured(transport, error, transport->arg);
    }
    if (error < 0)
        rota__transport_fail(transport, error);
    else if (first)
        rota__transport_made(transport);
    else
        rota__transport_read_soon(transport);
    rota_transport_unref(transport);
}

int rota__transport_secure(rota_transport *transport, rota_tls_context *tls,
                           const rota_tls_options *options, const char *host)
{
    int err = rota__tls_start(&transport->conn, tls, options, host, secured);

    if (err == 0)
        transport->stage = ROTA__SECURING;
    return err;
}

int rota_transport_start_tls(rota_transport *transport, rota_tls_context *tls,
                             const rota_tls_options *options,
                             void (*done)(rota_transport *transport, int error,
                                          void *arg))
{
    int err;

    if (transport->closing)
        return -ROTA_ECLOSING;
    if (!tls || !done)
        return -EINVAL;
    if (transport->stage != ROTA__OPEN || transport->conn.filter ||
        rota__buffer_size(&transport->conn.out) > 0)
        return -EBUSY;
    if (transport->conn.ended)
        return -EPIPE;
    err = rota__transport_secure(transport, tls, options, NULL);
    if (err < 0)
        return err;
    transport->secured = done;
    rota__unready(&transport->on_readable);
    return 0;
}
