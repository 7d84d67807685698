/* SPDX-License-Identifier: MIT */
/*
 * What goes through a transport, and how much
 *
 * One read a turn for each transport, so that a busy one starves nobody; its
 * edge is used up only when the kernel has said that it has no more.
 */
#include "transport/callback.h"

/* --- Reading ------------------------------------------------------------ */

static bool wants_data(const rota_transport *transport)
{
    return transport->stage == ROTA__OPEN && !transport->reading_paused &&
           !transport->closing && !transport->eof;
}

/* A filter may hold data that the kernel knows nothing of. */
void rota__transport_read_soon(rota_transport *transport)
{
    if (wants_data(transport) &&
        (transport->conn.may_read || transport->conn.filter) &&
        rota__list_empty(&transport->on_readable.link))
        rota__ready(transport->loop, &transport->on_readable);
}

static void end_of_data(rota_transport *transport)
{
    const rota_protocol *protocol = transport->protocol;
    bool stay = false;

    if (protocol->eof_received)
        stay = protocol->eof_received(transport, transport->arg);
    if (stay && !transport->conn.filter && !transport->reads_only)
        transport->eof = true;
    else
        rota_transport_close(transport);
}

/* All that one that only writes can hear is that its reader has gone, which
   is an error if something was still to be sent. */
static void look_for_reader(rota_transport *transport)
{
    bool lost = rota__buffer_size(&transport->conn.out) > 0;

    if (transport->conn.hung_up)
        rota__transport_fail(transport, lost ? -EPIPE : 0);
}

/* True if there may be more. */
static bool received(rota_transport *transport, intptr_t n)
{
    if (n > 0)
        return true;
    if (n == 0)
        end_of_data(transport);
    else if (n != -EAGAIN)
        rota__transport_fail(transport, (int)n);
    return false;
}

/* Whoever has lent the memory hears of it, also if it has set another protocol
   meanwhile. */
static bool read_into_buffer(rota_transport *transport)
{
    const rota_protocol *protocol = transport->protocol;
    void *arg = transport->arg;
    size_t size = ROTA__SCRATCH;
    void *buf = protocol->get_buffer(transport, &size, arg);
    intptr_t n = -ENOBUFS;

    if (!wants_data(transport)) /* any more */
        return false;
    if (buf && size > 0)
        n = rota__conn_read(&transport->conn, buf, size);
    if (!received(transport, n))
        return false;
    protocol->buffer_updated(transport, (size_t)n, arg);
    return true;
}

static bool read_data(rota_transport *transport)
{
    rota_loop *loop = transport->loop;
    char *scratch = rota__scratch_take(loop);
    intptr_t n = -ENOMEM;
    bool more;

    if (scratch)
        n = rota__conn_read(&transport->conn, scratch, ROTA__SCRATCH);
    more = received(transport, n);
    if (more && transport->protocol->data_received)
        transport->protocol->data_received(transport, scratch, (size_t)n,
                                           transport->arg);
    if (scratch)
        rota__scratch_return(loop, scratch);
    return more;
}

void rota__transport_on_readable(struct rota__handle *handle)
{
    rota_transport *transport =
        rota__container_of(handle, rota_transport, on_readable);
    bool more;

    if (!wants_data(transport))
        return;
    if (rota__unlikely(transport->writes_only)) {
        look_for_reader(transport);
        return;
    }
    rota_transport_ref(transport);
    rota__transport_enter(transport);
    if (transport->protocol->get_buffer)
        more = read_into_buffer(transport);
    else
        more = read_data(transport);
    if (more)
        rota__transport_read_soon(transport);
    rota_transport_unref(transport);
}

static int check_read(const rota_transport *transport)
{
    if (transport->closing)
        return -ROTA_ECLOSING;
    return transport->writes_only ? -EBADF : 0;
}

int rota_transport_pause_reading(rota_transport *transport)
{
    int err = check_read(transport);

    if (err < 0)
        return err;
    transport->reading_paused = true;
    rota__unready(&transport->on_readable);
    return 0;
}

int rota_transport_resume_reading(rota_transport *transport)
{
    int err = check_read(transport);

    if (err < 0)
        return err;
    transport->reading_paused = false;
    rota__transport_read_soon(transport);
    return 0;
}

bool rota_transport_is_reading(const rota_transport *transport)
{
    return !transport->reading_paused && !transport->closing &&
           !transport->writes_only;
}

/* --- Writing ------------------------------------------------------------ */

static int check_write(const rota_transport *transport, const char *function)
{
    rota__transport_check_thread(transport, function);
    if (rota__unlikely(transport->closing))
        return -ROTA_ECLOSING;
    if (rota__unlikely(transport->reads_only))
        return -EBADF;
    if (rota__unlikely(transport->stage != ROTA__OPEN))
        return transport->stage == ROTA__SECURING ? -EBUSY : -ENOTCONN;
    if (rota__unlikely(transport->conn.ended || transport->conn.end_after_out))
        return -EPIPE;
    return 0;
}

static void pause_if_full(rota_transport *transport)
{
    if (transport->writing_paused ||
        rota__buffer_size(&transport->conn.out) <= transport->high)
        return;
    transport->writing_paused = true;
    if (transport->protocol->pause_writing)
        transport->protocol->pause_writing(transport, transport->arg);
}

/* A message of which a part is lost must not be followed by another. */
static int settle(rota_transport *transport, int err, bool begun)
{
    if (err < 0 && (begun || transport->conn.error))
        rota__transport_fail(transport, err);
    else
        pause_if_full(transport);
    return err;
}

/* What a send has left over is kept. */
static int keep_rest(rota_transport *transport, const struct iovec *parts,
                     int count, size_t sent, bool *begun)
{
    int err = 0;

    *begun |= sent > 0;
    for (int i = 0; i < count && err == 0; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        size_t left = parts[i].iov_len - skip;

        sent -= skip;
        if (left > 0)
            err = rota__conn_queue(
                &transport->conn, (const char *)parts[i].iov_base + skip, left);
        *begun |= left > 0 && err == 0;
    }
    return err;
}

int rota_transport_writelines(rota_transport *transport,
                              const struct iovec *parts, int count)
{
    int err = check_write(transport, "rota_transport_writelines");
    bool begun = false;

    if (err < 0 || count == 0)
        return err;
    if (rota__parts_size(parts, count) < 0)
        return -EINVAL;
    for (int some; count > 0 && err == 0; parts += some, count -= some) {
        intptr_t n;

        some = count < ROTA__PARTS_AT_ONCE ? count : ROTA__PARTS_AT_ONCE;
        n = rota__conn_writev(&transport->conn, parts, some);
        err = n < 0 ? (int)n
                    : keep_rest(transport, parts, some, (size_t)n, &begun);
    }
    return settle(transport, err, begun);
}

int rota_transport_write(rota_transport *transport, const void *data,
                         size_t size)
{
    int err = check_write(transport, "rota_transport_write");
    intptr_t n;

    if (rota__unlikely(err < 0 || size == 0))
        return err;
    n = rota__conn_write(&transport->conn, data, size);
    if (rota__likely(n == (intptr_t)size))
        return 0;
    if (n < 0)
        return settle(transport, (int)n, false);
    err = rota__conn_queue(&transport->conn, (const char *)data + n,
                           size - (size_t)n);
    return settle(transport, err, n > 0);
}

int rota_transport_write_eof(rota_transport *transport)
{
    int err = check_write(transport, "rota_transport_write_eof");

    if (err == -EPIPE)
        return 0; /* asked for again */
    if (err < 0)
        return err;
    if (!transport->writes_only)
        return rota__conn_write_eof(&transport->conn);
    rota_transport_close(transport); /* there is no other direction */
    return 0;
}

bool rota_transport_can_write_eof(const rota_transport *transport)
{
    return !transport->conn.filter && !transport->reads_only;
}

int rota_transport_set_write_buffer_limits(rota_transport *transport,
                                           size_t high, size_t low)
{
    if (low > high)
        return -EINVAL;
    transport->high = high;
    transport->low = low;
    pause_if_full(transport);
    return 0;
}

void rota_transport_get_write_buffer_limits(const rota_transport *transport,
                                            size_t *high, size_t *low)
{
    *high = transport->high;
    *low = transport->low;
}

size_t rota_transport_get_write_buffer_size(const rota_transport *transport)
{
    return rota__buffer_size(&transport->conn.out);
}

/* --- Looking at it ------------------------------------------------------ */

int rota_transport_set_protocol(rota_transport *transport,
                                const rota_protocol *protocol, void *arg)
{
    int err = rota__protocol_check(protocol);

    if (err < 0)
        return err;
    transport->protocol = protocol;
    transport->arg = arg;
    return 0;
}

void *rota_transport_get_protocol_arg(const rota_transport *transport)
{
    return transport->arg;
}

rota_loop *rota_transport_get_loop(const rota_transport *transport)
{
    return transport->loop;
}

int rota_transport_fileno(const rota_transport *transport)
{
    if (transport->conn.closed || transport->stage == ROTA__CONNECTING)
        return -ROTA_ECLOSING;
    return transport->conn.watch.fd;
}

int rota_transport_peer_address(const rota_transport *transport,
                                rota_address *out)
{
    int fd = rota_transport_fileno(transport);

    return fd < 0 ? fd : rota__socket_peer(fd, out);
}

int rota_transport_local_address(const rota_transport *transport,
                                 rota_address *out)
{
    int fd = rota_transport_fileno(transport);

    return fd < 0 ? fd : rota__socket_local(fd, out);
}

intptr_t rota_transport_peer_certificate(const rota_transport *transport,
                                         void *out, size_t size)
{
    return rota__tls_peer_certificate(&transport->conn, out, size);
}

int rota_transport_tls_session(const rota_transport *transport,
                               rota_tls_session **out)
{
    return rota__tls_session(&transport->conn, out);
}

int rota_transport_tls_info(const rota_transport *transport, rota_tls_info *out)
{
    return rota__tls_info(&transport->conn, out);
}
