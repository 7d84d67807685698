/* SPDX-License-Identifier: MIT */
/*
 * Bytes in and out of a connection
 *
 * The raw calls go to the kernel; the others pass through the filter, if the
 * connection has one.
 */
#include "transport/transport.h"

/* It is full for the first time: from now on it is asked. */
static void watch_writable(struct rota__conn *conn)
{
    int err = rota__poller_change(&conn->loop->poller, &conn->watch,
                                  conn->watch.events | ROTA__WRITABLE);

    if (err < 0)
        rota__conn_fail(conn, err);
}

void rota__conn_drained(struct rota__conn *conn, unsigned events)
{
    if (events & ROTA__READABLE)
        conn->may_read = false;
    if (events & ROTA__WRITABLE)
        conn->may_write = false;
    if (events & ROTA__WRITABLE && !(conn->watch.events & ROTA__WRITABLE))
        watch_writable(conn);
    rota__poller_drained(&conn->loop->poller, &conn->watch, events);
}

/* --- Reading ------------------------------------------------------------ */

/* The connection's error is its first one, whatever the system says later.
   EBADF: not this way; no fault of the connection. */
static intptr_t failed(struct rota__conn *conn, intptr_t error)
{
    if (error == -EBADF)
        return error;
    rota__conn_fail(conn, error);
    return conn->error;
}

static intptr_t read_failed(struct rota__conn *conn, intptr_t error)
{
    if (error != -EAGAIN)
        return failed(conn, error);
    rota__conn_drained(conn, ROTA__READABLE);
    return error;
}

/* *more: a short read does not say that there is no more. */
static intptr_t receive(struct rota__conn *conn, void *buf, size_t size,
                        bool *more)
{
    int fd = conn->watch.fd;

    *more = conn->pieces;
    if (conn->pipe)
        return rota__fd_read(fd, buf, size);
    if (conn->local && !conn->pieces)
        return rota__unix_recv(fd, buf, size, more);
    return rota__socket_recv(fd, buf, size);
}

intptr_t rota__conn_recv_raw(struct rota__conn *conn, void *buf, size_t size)
{
    bool more;
    intptr_t n;

    if (!conn->may_read)
        return conn->error ? conn->error : -EAGAIN;
    if (conn->at_end)
        return conn->error;
    n = receive(conn, buf, size, &more);
    if (rota__unlikely(n < 0))
        return read_failed(conn, n);
    if (rota__unlikely(n == 0)) {
        if (conn->error) /* told once by the kernel: this is no orderly end */
            return conn->error;
        conn->at_end = true;
    } else if ((size_t)n < size && !conn->hung_up && !more) {
        rota__conn_drained(conn, ROTA__READABLE);
    }
    return n;
}

intptr_t rota__conn_read(struct rota__conn *conn, void *buf, size_t size)
{
    if (rota__unlikely(conn->filter))
        return conn->filter->ops->read(conn, buf, size);
    return rota__conn_recv_raw(conn, buf, size);
}

/* --- Writing ------------------------------------------------------------ */

/* What a send has taken, or the error; `all` was offered. */
static intptr_t sent(struct rota__conn *conn, intptr_t n, size_t all)
{
    if (rota__unlikely(n < 0 && n != -EAGAIN))
        return failed(conn, n);
    if (rota__unlikely(n < (intptr_t)all))
        rota__conn_drained(conn, ROTA__WRITABLE);
    return n < 0 ? 0 : n;
}

intptr_t rota__conn_send_raw(struct rota__conn *conn, const void *data,
                             size_t size)
{
    int fd = conn->watch.fd;

    return sent(conn,
                conn->pipe ? rota__pipe_write(fd, data, size)
                           : rota__socket_send(fd, data, size),
                size);
}

static bool held_back(const struct rota__conn *conn)
{
    return !conn->may_write || rota__buffer_size(&conn->out) > 0;
}

intptr_t rota__conn_write(struct rota__conn *conn, const void *data,
                          size_t size)
{
    if (rota__unlikely(conn->error))
        return conn->error;
    if (rota__unlikely(conn->filter))
        return conn->filter->ops->write(conn, data, size);
    if (held_back(conn))
        return 0;
    return rota__conn_send_raw(conn, data, size);
}

intptr_t rota__parts_size(const struct iovec *parts, int count)
{
    size_t size = 0;

    if (count < 0 || (count > 0 && !parts))
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > (size_t)INTPTR_MAX - size)
            return -EINVAL;
        size += parts[i].iov_len;
    }
    return (intptr_t)size;
}

#define JOINED 4096

/* To a filter each write costs; small parts go as one. */
static intptr_t write_joined(struct rota__conn *conn, const struct iovec *parts,
                             int count)
{
    char joined[JOINED];
    size_t size = 0;

    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > 0)
            memcpy(joined + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    return rota__conn_write(conn, joined, size);
}

static intptr_t write_each(struct rota__conn *conn, const struct iovec *parts,
                           int count)
{
    intptr_t all = 0;

    for (int i = 0; i < count; i++) {
        intptr_t n;

        if (parts[i].iov_len == 0)
            continue;
        n = rota__conn_write(conn, parts[i].iov_base, parts[i].iov_len);
        if (n < 0)
            return n;
        all += n;
        if ((size_t)n < parts[i].iov_len)
            break;
    }
    return all;
}

intptr_t rota__conn_writev(struct rota__conn *conn, const struct iovec *parts,
                           int count)
{
    int fd = conn->watch.fd;
    intptr_t size;

    if (rota__unlikely(conn->error))
        return conn->error;
    if (count > ROTA__PARTS_AT_ONCE)
        count = ROTA__PARTS_AT_ONCE;
    size = rota__parts_size(parts, count);
    if (rota__unlikely(size < 0))
        return size;
    if (conn->filter && size <= JOINED)
        return write_joined(conn, parts, count);
    if (conn->filter)
        return write_each(conn, parts, count);
    if (held_back(conn))
        return 0;
    return sent(conn,
                conn->pipe ? rota__pipe_writev(fd, parts, count)
                           : rota__socket_sendv(fd, parts, count),
                (size_t)size);
}

/* A kernel that may take it will not say so again. */
int rota__conn_keep_raw(struct rota__conn *conn, const void *data, size_t size)
{
    int err = rota__buffer_append(&conn->out, data, size);

    if (err == 0 && conn->may_write &&
        rota__list_empty(&conn->on_writable.link))
        rota__ready(conn->loop, &conn->on_writable);
    return err;
}

int rota__conn_queue(struct rota__conn *conn, const void *data, size_t size)
{
    if (conn->filter)
        return conn->filter->ops->queue(conn, data, size);
    return rota__conn_keep_raw(conn, data, size);
}
