/* SPDX-License-Identifier: MIT */
/*
 * Connections
 */
#include "transport/transport.h"

static void note_error(struct rota__conn *conn, intptr_t error)
{
    if (conn->error == 0)
        conn->error = (int)error;
}

static void drained(struct rota__conn *conn, unsigned events)
{
    rota__poller_drained(&conn->loop->poller, &conn->watch, events);
}

/* In the middle of polling: flags at once, everything else in its turn. */
static void conn_ready(struct rota__watch *watch, unsigned events)
{
    struct rota__conn *conn =
        rota__container_of(watch, struct rota__conn, watch);

    if (events & ROTA__HANGUP)
        conn->hung_up = true;
    if (events & (ROTA__READABLE | ROTA__HANGUP)) {
        conn->may_read = true;
        conn->events->readable(conn);
    }
    if (conn->may_write && !(events & ROTA__HANGUP))
        return; /* nobody waits for it */
    if (events & (ROTA__WRITABLE | ROTA__HANGUP)) {
        conn->may_write = true;
        if (rota__list_empty(&conn->on_writable.link))
            rota__ready(conn->loop, &conn->on_writable);
    }
}

static void finish(struct rota__conn *conn)
{
    rota__unready(&conn->on_writable);
    rota__poller_forget(&conn->loop->poller, &conn->watch);
    (void)rota__fd_close(conn->watch.fd);
    rota__buffer_fini(&conn->out);
    conn->closed = true;
}

static void close_now(struct rota__conn *conn)
{
    finish(conn);
    conn->events->closed(conn);
}

static void end_now(struct rota__conn *conn)
{
    conn->end_after_out = false;
    conn->ended = true;
    (void)rota__socket_shutdown_write(conn->watch.fd);
}

static void flush(struct rota__conn *conn)
{
    while (conn->error == 0 && conn->may_write &&
           rota__buffer_size(&conn->out) > 0) {
        size_t size = rota__buffer_size(&conn->out);
        intptr_t n = rota__socket_send(conn->watch.fd,
                                       rota__buffer_data(&conn->out), size);

        if (n < 0 && n != -EAGAIN) {
            note_error(conn, n);
            return;
        }
        if (n > 0)
            rota__buffer_consume(&conn->out, (size_t)n);
        if (n < (intptr_t)size) {
            conn->may_write = false;
            drained(conn, ROTA__WRITABLE);
        }
    }
    if (conn->end_after_out && rota__buffer_size(&conn->out) == 0)
        end_now(conn);
}

static void on_writable(struct rota__handle *handle)
{
    struct rota__conn *conn =
        rota__container_of(handle, struct rota__conn, on_writable);

    flush(conn);
    if (conn->flushing &&
        (conn->error != 0 || rota__buffer_size(&conn->out) == 0))
        close_now(conn);
    else
        conn->events->writable(conn);
}

static void init(struct rota__conn *conn, rota_loop *loop,
                 const struct rota__conn_events *events)
{
    *conn = (struct rota__conn){
        .loop = loop,
        .events = events,
        .may_write = true,
        .watch.ready = conn_ready,
        .on_writable.run = on_writable,
    };
    rota__list_init(&conn->on_writable.link);
    rota__buffer_init(&conn->out);
}

int rota__conn_open(struct rota__conn *conn, rota_loop *loop, int fd,
                    const struct rota__conn_events *events)
{
    init(conn, loop, events);
    conn->watch.fd = fd;
    return rota__poller_add(&loop->poller, &conn->watch,
                            ROTA__READABLE | ROTA__WRITABLE | ROTA__EDGE);
}

void rota__conn_take_over(struct rota__conn *conn,
                          const struct rota__conn_events *events,
                          struct rota__connect *from)
{
    init(conn, from->loop, events);
    rota__unready(&from->on_event);
    rota__poller_hand_over(&from->loop->poller, &from->watch, &conn->watch);
    drained(conn, ROTA__WRITABLE | ROTA__READABLE);
    conn->hung_up = (from->seen & ROTA__HANGUP) != 0;
    conn->may_read = (from->seen & (ROTA__READABLE | ROTA__HANGUP)) != 0;
}

static intptr_t read_failed(struct rota__conn *conn, intptr_t error)
{
    if (error == -EAGAIN) {
        conn->may_read = false;
        drained(conn, ROTA__READABLE);
    } else {
        note_error(conn, error);
    }
    return error;
}

intptr_t rota__conn_read(struct rota__conn *conn, void *buf, size_t size)
{
    intptr_t n;

    if (!conn->may_read)
        return conn->error ? conn->error : -EAGAIN;
    if (conn->at_end)
        return conn->error;
    n = rota__socket_recv(conn->watch.fd, buf, size);
    if (rota__unlikely(n < 0))
        return read_failed(conn, n);
    if (rota__unlikely(n == 0)) {
        if (conn->error) /* told once by the kernel: this is no orderly end */
            return conn->error;
        conn->at_end = true;
    } else if ((size_t)n < size && !conn->hung_up) {
        conn->may_read = false;
        drained(conn, ROTA__READABLE);
    }
    return n;
}

intptr_t rota__conn_write(struct rota__conn *conn, const void *data,
                          size_t size)
{
    intptr_t n;

    if (rota__unlikely(conn->error))
        return conn->error;
    if (!conn->may_write || rota__buffer_size(&conn->out) > 0)
        return 0;
    n = rota__socket_send(conn->watch.fd, data, size);
    if (rota__unlikely(n < 0 && n != -EAGAIN)) {
        note_error(conn, n);
        return n;
    }
    if (rota__unlikely(n < (intptr_t)size)) {
        conn->may_write = false;
        drained(conn, ROTA__WRITABLE);
    }
    return n < 0 ? 0 : n;
}

int rota__conn_queue(struct rota__conn *conn, const void *data, size_t size)
{
    return rota__buffer_append(&conn->out, data, size);
}

int rota__conn_write_eof(struct rota__conn *conn)
{
    if (conn->error)
        return conn->error;
    if (conn->ended || conn->end_after_out)
        return 0;
    if (rota__buffer_size(&conn->out) > 0)
        conn->end_after_out = true;
    else
        end_now(conn);
    return 0;
}

void rota__conn_close(struct rota__conn *conn)
{
    if (conn->closed || conn->flushing)
        return;
    if (conn->error == 0 && rota__buffer_size(&conn->out) > 0)
        conn->flushing = true;
    else
        close_now(conn);
}

void rota__conn_abort(struct rota__conn *conn)
{
    if (conn->closed)
        return;
    (void)rota__socket_reset_on_close(conn->watch.fd);
    close_now(conn);
}

void rota__conn_destroy(struct rota__conn *conn)
{
    if (!conn->closed)
        finish(conn);
}
