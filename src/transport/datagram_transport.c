/* SPDX-License-Identifier: MIT */
/*
 * Datagram transports: the public face for protocols
 *
 * Made and lost are each told by a handle of their own, in a turn. A transport
 * receives at most one batch a turn, so that a busy one starves nobody. It
 * holds a reference to itself until it is lost.
 */
#include "transport/datagram.h"
#include "transport/transport.h"

struct rota_datagram_transport {
    struct rota__datagram socket;
    struct rota__handle on_readable;
    struct rota__handle on_writable;
    struct rota__handle news; /* made, or lost */
    rota_loop *loop;
    const rota_datagram_protocol *protocol;
    void *arg;
    size_t high;
    size_t low;
    struct rota__bindings *bindings; /* the context of its callbacks */
    struct rota__at_close at_close;
    unsigned references;
    int error; /* for connection_lost */
    bool made; /* connection_made was called */
    bool paused;
    bool closing;
};

static rota_datagram_transport *transport_of(struct rota__datagram *socket)
{
    return rota__container_of(socket, rota_datagram_transport, socket);
}

/* Lets the callbacks that come next run in the transport's context. */
static void enter(rota_datagram_transport *transport)
{
    if (rota__unlikely(transport->bindings))
        rota__context_lend(transport->loop,
                           rota__bindings_ref(transport->bindings));
}

static void queue(rota_datagram_transport *transport,
                  struct rota__handle *handle)
{
    if (rota__list_empty(&handle->link))
        rota__ready(transport->loop, handle);
}

void rota_datagram_transport_ref(rota_datagram_transport *transport)
{
    transport->references++;
}

void rota_datagram_transport_unref(rota_datagram_transport *transport)
{
    if (--transport->references > 0)
        return;
    rota__bindings_unref(transport->bindings);
    rota__free(transport);
}

static void tell_error(rota_datagram_transport *transport, int error)
{
    if (transport->protocol->error_received)
        transport->protocol->error_received(transport, error, transport->arg);
}

/* --- Receiving ---------------------------------------------------------- */

static void read_soon(rota_datagram_transport *transport)
{
    if (transport->made && !transport->closing &&
        rota__datagram_has_more(&transport->socket))
        queue(transport, &transport->on_readable);
}

static void deliver(rota_datagram_transport *transport,
                    const struct rota__packet *packet)
{
    struct rota__batch *batch = rota__datagram_hold(&transport->socket);

    if (transport->protocol->datagram_received)
        transport->protocol->datagram_received(transport, packet->data,
                                               packet->size, &packet->address,
                                               transport->arg);
    rota__datagram_let_go(&transport->socket, batch);
}

static void on_readable(struct rota__handle *handle)
{
    rota_datagram_transport *transport =
        rota__container_of(handle, rota_datagram_transport, on_readable);
    struct rota__packet *packet;
    int err = 0;

    rota_datagram_transport_ref(transport);
    enter(transport);
    for (int i = 0; i < ROTA__PACKETS && !transport->closing; i++) {
        err = rota__datagram_take(&transport->socket, &packet);
        if (err < 0)
            break;
        deliver(transport, packet);
    }
    if (err < 0 && err != -EAGAIN)
        tell_error(transport, err);
    read_soon(transport);
    rota_datagram_transport_unref(transport);
}

static void readable(struct rota__datagram *socket)
{
    read_soon(transport_of(socket));
}

/* --- Made and lost ------------------------------------------------------ */

static void lost(rota_datagram_transport *transport, int error)
{
    transport->closing = true;
    rota__at_close_remove(&transport->at_close);
    rota__unready(&transport->on_readable);
    rota__unready(&transport->on_writable);
    rota__unready(&transport->news);
    enter(transport);
    if (transport->protocol->connection_lost)
        transport->protocol->connection_lost(transport, error, transport->arg);
    rota_datagram_transport_unref(transport);
}

static void made(rota_datagram_transport *transport)
{
    transport->made = true;
    enter(transport);
    if (transport->protocol->connection_made)
        transport->protocol->connection_made(transport, transport->arg);
    read_soon(transport);
}

static void on_news(struct rota__handle *handle)
{
    rota_datagram_transport *transport =
        rota__container_of(handle, rota_datagram_transport, news);

    rota_datagram_transport_ref(transport);
    if (transport->socket.closed)
        lost(transport, transport->error);
    else
        made(transport);
    rota_datagram_transport_unref(transport);
}

static void close_now(rota_datagram_transport *transport, int error)
{
    transport->closing = true;
    transport->error = error;
    rota__datagram_close(&transport->socket);
    rota__unready(&transport->on_readable);
    rota__unready(&transport->on_writable);
    queue(transport, &transport->news);
}

void rota_datagram_transport_close(rota_datagram_transport *transport)
{
    if (transport->closing)
        return;
    transport->closing = true;
    rota__unready(&transport->on_readable);
    if (rota__buffer_size(&transport->socket.out) == 0)
        close_now(transport, 0);
}

void rota_datagram_transport_abort(rota_datagram_transport *transport)
{
    if (!transport->socket.closed)
        close_now(transport, -ECONNABORTED);
}

static intptr_t lose(void *transport)
{
    lost(transport, ((rota_datagram_transport *)transport)->error);
    return 0;
}

static void loop_closes(struct rota__at_close *at_close)
{
    rota_datagram_transport *transport =
        rota__container_of(at_close, rota_datagram_transport, at_close);

    if (!transport->socket.closed)
        transport->error = -ROTA_ECLOSING;
    rota__datagram_close(&transport->socket);
    rota__context_run_at_close(transport->loop, transport->bindings, lose,
                               transport);
}

/* --- Sending ------------------------------------------------------------ */

static void pause_if_full(rota_datagram_transport *transport)
{
    if (transport->paused || transport->socket.queued <= transport->high)
        return;
    transport->paused = true;
    if (transport->protocol->pause_writing)
        transport->protocol->pause_writing(transport, transport->arg);
}

static void resume_if_low(rota_datagram_transport *transport)
{
    if (!transport->paused || transport->socket.queued > transport->low)
        return;
    transport->paused = false;
    if (transport->protocol->resume_writing)
        transport->protocol->resume_writing(transport, transport->arg);
}

/* An error is one datagram's; the others are sent all the same. */
static void flush(rota_datagram_transport *transport)
{
    int err;

    do {
        err = rota__datagram_flush(&transport->socket);
        if (err < 0 && err != -EAGAIN)
            tell_error(transport, err);
    } while (err < 0 && err != -EAGAIN);
}

static void on_writable(struct rota__handle *handle)
{
    rota_datagram_transport *transport =
        rota__container_of(handle, rota_datagram_transport, on_writable);

    rota_datagram_transport_ref(transport);
    enter(transport);
    flush(transport);
    if (!transport->socket.closed)
        resume_if_low(transport);
    if (transport->closing && !transport->socket.closed &&
        rota__buffer_size(&transport->socket.out) == 0)
        close_now(transport, 0);
    rota_datagram_transport_unref(transport);
}

static void writable(struct rota__datagram *socket)
{
    if (rota__buffer_size(&socket->out) > 0)
        queue(transport_of(socket), &transport_of(socket)->on_writable);
}

static int keep(rota_datagram_transport *transport, const void *data,
                size_t size, const rota_address *to)
{
    int err = rota__datagram_keep(&transport->socket, data, size, to);

    if (err == 0)
        pause_if_full(transport);
    return err;
}

int rota_datagram_transport_sendto(rota_datagram_transport *transport,
                                   const void *data, size_t size,
                                   const rota_address *to)
{
    int err = rota__datagram_check(&transport->socket, to);
    intptr_t n;

    if (rota__unlikely(transport->closing))
        return -ROTA_ECLOSING;
    if (rota__unlikely(err < 0))
        return err;
    n = rota__datagram_send(&transport->socket, data, size, to);
    if (rota__likely(n >= 0))
        return 0;
    if (n == -EAGAIN)
        return keep(transport, data, size, to);
    tell_error(transport, (int)n);
    return 0;
}

int rota_datagram_transport_set_write_buffer_limits(
    rota_datagram_transport *transport, size_t high, size_t low)
{
    if (low > high)
        return -EINVAL;
    transport->high = high;
    transport->low = low;
    pause_if_full(transport);
    return 0;
}

size_t rota_datagram_transport_get_write_buffer_size(
    const rota_datagram_transport *transport)
{
    return transport->socket.queued;
}

/* --- Making ------------------------------------------------------------- */

static const struct rota__datagram_events socket_events = {
    .readable = readable,
    .writable = writable,
};

static void init(rota_datagram_transport *transport, rota_loop *loop,
                 const rota_datagram_protocol *protocol, void *arg)
{
    transport->loop = loop;
    transport->protocol = protocol;
    transport->arg = arg;
    transport->high = ROTA__HIGH_WATER;
    transport->low = ROTA__LOW_WATER;
    transport->references = 1;
    transport->bindings = rota__bindings_capture();
    transport->on_readable.run = on_readable;
    transport->on_writable.run = on_writable;
    transport->news.run = on_news;
    rota__list_init(&transport->on_readable.link);
    rota__list_init(&transport->on_writable.link);
    rota__list_init(&transport->news.link);
    rota__at_close_add(loop, &transport->at_close, loop_closes);
}

int rota_create_datagram_endpoint(rota_datagram_transport **out,
                                  rota_loop *loop,
                                  const rota_datagram_protocol *protocol,
                                  void *arg,
                                  const rota_datagram_options *options)
{
    rota_datagram_transport *transport;
    int err = rota__check(loop, "rota_create_datagram_endpoint");

    if (err < 0)
        return err;
    if (loop->closing) /* a connection_lost must not hold up the close */
        return -ROTA_ECLOSED;
    if (!protocol)
        return -EINVAL;
    transport = rota__zalloc(sizeof *transport);
    if (!transport)
        return -ENOMEM;
    err =
        rota__datagram_open(&transport->socket, loop, options, &socket_events);
    if (err < 0) {
        rota__free(transport);
        return err;
    }
    init(transport, loop, protocol, arg);
    queue(transport, &transport->news);
    *out = transport;
    return 0;
}

/* --- Looking at it ------------------------------------------------------ */

bool rota_datagram_transport_is_closing(
    const rota_datagram_transport *transport)
{
    return transport->closing;
}

int rota_datagram_transport_local_address(
    const rota_datagram_transport *transport, rota_address *out)
{
    return rota__datagram_local(&transport->socket, out);
}

int rota_datagram_transport_peer_address(
    const rota_datagram_transport *transport, rota_address *out)
{
    return rota__datagram_peer(&transport->socket, out);
}

int rota_datagram_transport_fileno(const rota_datagram_transport *transport)
{
    return rota__datagram_fileno(&transport->socket);
}
