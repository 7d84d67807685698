/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection: opened, told of events, closed
 */
#include "transport/transport.h"

void rota__conn_fail(struct rota__conn *conn, intptr_t error)
{
    if (conn->error == 0)
        conn->error = (int)error;
}

/* A pipe with nothing to flush; a hang-up may be an error, and is told. */
static bool has_only_room(const struct rota__conn *conn, unsigned events)
{
    return conn->pipe && conn->events->room && !(events & ROTA__HANGUP) &&
           rota__buffer_size(&conn->out) == 0 && !conn->end_after_out &&
           !conn->flushing;
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
        if (has_only_room(conn, events))
            conn->events->room(conn);
        else if (rota__list_empty(&conn->on_writable.link))
            rota__ready(conn->loop, &conn->on_writable);
    }
}

struct rota__conn *rota__conn_of(rota_loop *loop, int fd)
{
    struct rota__watch *watch = rota__poller_find(&loop->poller, fd);

    if (!watch || watch->ready != conn_ready)
        return NULL;
    return rota__container_of(watch, struct rota__conn, watch);
}

static void let_go(struct rota__conn *conn)
{
    if (conn->filter)
        conn->filter->ops->fini(conn);
    rota__unready(&conn->on_writable);
    rota__buffer_fini(&conn->out);
    conn->closing = true;
    conn->closed = true;
}

void rota__conn_release(struct rota__conn *conn)
{
    let_go(conn);
    rota__poller_remove(&conn->loop->poller, &conn->watch);
}

static void finish(struct rota__conn *conn)
{
    let_go(conn);
    rota__poller_forget(&conn->loop->poller, &conn->watch);
    if (!conn->lent)
        (void)rota__fd_close(conn->watch.fd);
}

static void close_now(struct rota__conn *conn)
{
    finish(conn);
    conn->events->closed(conn);
}

/* --- Sending what is queued --------------------------------------------- */

static void end_now(struct rota__conn *conn)
{
    conn->end_after_out = false;
    conn->ended = true;
    if (conn->pipe) /* has no direction that could end alone */
        rota__conn_close(conn);
    else
        (void)rota__socket_shutdown_write(conn->watch.fd);
}

static void flush(struct rota__conn *conn)
{
    while (conn->error == 0 && conn->may_write &&
           rota__buffer_size(&conn->out) > 0) {
        intptr_t n = rota__conn_send_raw(conn, rota__buffer_data(&conn->out),
                                         rota__buffer_size(&conn->out));

        if (n > 0)
            rota__buffer_consume(&conn->out, (size_t)n);
    }
}

/* True if it may close now. */
static bool has_drained(struct rota__conn *conn)
{
    if (conn->error == 0 && conn->events->drained)
        conn->events->drained(conn);
    return !conn->closed &&
           (conn->error != 0 || rota__buffer_size(&conn->out) == 0);
}

static void on_writable(struct rota__handle *handle)
{
    struct rota__conn *conn =
        rota__container_of(handle, struct rota__conn, on_writable);
    bool empty;

    flush(conn);
    empty = rota__buffer_size(&conn->out) == 0;
    if (conn->flushing && (conn->error != 0 || empty)) {
        if (has_drained(conn))
            close_now(conn);
    } else if (conn->end_after_out && empty && conn->pipe) {
        end_now(conn);
    } else {
        if (conn->end_after_out && empty)
            end_now(conn);
        conn->events->writable(conn);
    }
}

/* --- Opening ------------------------------------------------------------ */

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

/* A socket would say at once that it takes bytes, and a Unix socket again after
   each message that its peer has read. So that is asked for only once it has
   not. */
int rota__conn_open(struct rota__conn *conn, rota_loop *loop, int fd,
                    const struct rota__conn_events *events)
{
    init(conn, loop, events);
    conn->watch.fd = fd;
    return rota__poller_add(&loop->poller, &conn->watch,
                            ROTA__READABLE | ROTA__EDGE);
}

void rota__conn_set_unix(struct rota__conn *conn)
{
    conn->local = true;
    (void)rota__poller_change(&conn->loop->poller, &conn->watch,
                              ROTA__READABLE | ROTA__EDGE);
}

int rota__conn_open_unix(struct rota__conn *conn, rota_loop *loop, int fd,
                         const struct rota__conn_events *events)
{
    int err = rota__conn_open(conn, loop, fd, events);

    conn->local = true;
    return err;
}

static unsigned directions(const struct rota__fd_kind *kind)
{
    unsigned events = ROTA__EDGE;

    if (kind->readable)
        events |= ROTA__READABLE;
    if (kind->writable && !kind->local)
        events |= ROTA__WRITABLE;
    return events;
}

int rota__conn_open_fd(struct rota__conn *conn, rota_loop *loop, int fd,
                       const struct rota__conn_events *events)
{
    struct rota__fd_kind kind;
    int err = rota__fd_kind(fd, &kind);

    if (err == 0)
        err = rota__fd_set_nonblocking(fd);
    if (err < 0)
        return err;
    init(conn, loop, events);
    conn->watch.fd = fd;
    conn->pipe = !kind.socket;
    conn->pieces = kind.pieces;
    conn->local = kind.local;
    conn->may_read = !kind.readable; /* to be told so at once */
    return rota__poller_add(&loop->poller, &conn->watch, directions(&kind));
}

void rota__conn_take_over(struct rota__conn *conn, rota_loop *loop,
                          const struct rota__conn_events *events,
                          struct rota__watch *from, unsigned seen)
{
    init(conn, loop, events);
    rota__poller_hand_over(&loop->poller, from, &conn->watch);
    rota__conn_drained(conn, ROTA__WRITABLE | ROTA__READABLE);
    conn->may_write = true;
    conn->hung_up = (seen & ROTA__HANGUP) != 0;
    conn->may_read = (seen & (ROTA__READABLE | ROTA__HANGUP)) != 0;
}

/* --- Closing ------------------------------------------------------------ */

int rota__conn_write_eof(struct rota__conn *conn)
{
    if (conn->error)
        return conn->error;
    if (conn->filter)
        return -EOPNOTSUPP;
    if (conn->ended || conn->end_after_out)
        return 0;
    if (rota__buffer_size(&conn->out) > 0)
        conn->end_after_out = true;
    else
        end_now(conn);
    return 0;
}

void rota__conn_close_raw(struct rota__conn *conn)
{
    if (conn->closed || conn->flushing)
        return;
    if (conn->error == 0 && rota__buffer_size(&conn->out) > 0)
        conn->flushing = true;
    else
        close_now(conn);
}

void rota__conn_close(struct rota__conn *conn)
{
    if (conn->closing)
        return;
    conn->closing = true;
    if (conn->filter && conn->error == 0)
        conn->filter->ops->close(conn);
    else
        rota__conn_close_raw(conn);
}

void rota__conn_drop(struct rota__conn *conn)
{
    if (!conn->closed)
        close_now(conn);
}

void rota__conn_abort(struct rota__conn *conn)
{
    if (!conn->closed && !conn->pipe)
        (void)rota__socket_reset_on_close(conn->watch.fd);
    rota__conn_drop(conn);
}

void rota__conn_destroy(struct rota__conn *conn)
{
    if (!conn->closed)
        finish(conn);
}
