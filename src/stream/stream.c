/* SPDX-License-Identifier: MIT */
/*
 * The life of a stream: made, closing, closed, freed
 */
#include "stream/stream.h"

#define DEFAULT_LIMIT 65536

static rota_stream *stream_of(struct rota__conn *conn)
{
    return rota__container_of(conn, rota_stream, conn);
}

/* --- What the connection tells ------------------------------------------ */

/* It stays the reader until it has run: nobody may overtake it. */
static void wake_reader(rota_stream *stream, intptr_t result)
{
    struct rota__waiter *reader = stream->reader;

    if (reader && reader->task->waiting == reader)
        rota__unpark(reader, result);
}

static void readable(struct rota__conn *conn)
{
    wake_reader(stream_of(conn), 0);
}

void rota__stream_update_paused(rota_stream *stream)
{
    size_t queued = rota__buffer_size(&stream->conn.out);

    if (queued > stream->high)
        stream->paused = true;
    else if (queued <= stream->low)
        stream->paused = false;
}

static void writable(struct rota__conn *conn)
{
    rota_stream *stream = stream_of(conn);

    rota__stream_update_paused(stream);
    rota__unpark_all(&stream->flow, 0);
    if (conn->error)
        wake_reader(stream, 0);
}

static void room(struct rota__conn *conn)
{
    rota_stream *stream = stream_of(conn);

    rota__stream_update_paused(stream);
    rota__unpark_all(&stream->flow, 0);
}

static void release(rota_stream *stream)
{
    rota__at_close_remove(&stream->at_close);
    rota__buffer_fini(&stream->in);
    rota__free(stream);
}

static void release_if_over(rota_stream *stream)
{
    if (stream->freed && stream->conn.closed && stream->users == 0)
        release(stream);
}

static void closed(struct rota__conn *conn)
{
    rota_stream *stream = stream_of(conn);

    rota__unpark_all(&stream->closers, 0);
    release_if_over(stream);
}

const struct rota__conn_events rota__stream_events = {
    .readable = readable,
    .writable = writable,
    .room = room,
    .closed = closed,
};

/* The loop closes first: the fd goes, the handle stays its owner's. */
static void loop_closes(struct rota__at_close *at_close)
{
    rota_stream *stream = rota__container_of(at_close, rota_stream, at_close);

    rota__conn_destroy(&stream->conn);
    stream->closing = true;
    rota__unpark_all(&stream->writers, -ROTA_ECLOSING);
    rota__unpark_all(&stream->flow, -ROTA_ECLOSING);
    rota__unpark_all(&stream->closers, -ROTA_ECLOSING);
    stream->users = 0; /* those never run again */
    release_if_over(stream);
}

/* --- Making ------------------------------------------------------------- */

rota_stream *rota__stream_new(rota_loop *loop)
{
    rota_stream *stream = rota__alloc(sizeof *stream);

    if (!stream)
        return NULL;
    rota__buffer_init(&stream->in);
    stream->limit = DEFAULT_LIMIT;
    stream->high = ROTA__HIGH_WATER;
    stream->low = ROTA__LOW_WATER;
    stream->reader = NULL;
    rota__list_init(&stream->writers);
    rota__list_init(&stream->flow);
    rota__list_init(&stream->closers);
    stream->client = (struct rota__client){0};
    stream->users = 0;
    stream->writing = false;
    stream->paused = false;
    stream->closing = false;
    stream->freed = false;
    rota__at_close_add(loop, &stream->at_close, loop_closes);
    return stream;
}

void rota__stream_discard(rota_stream *stream)
{
    release(stream);
}

/* Of sockets only those that are one end of a stream of bytes. */
static int check_fd(int fd)
{
    struct rota__fd_kind kind;
    int err = rota__fd_kind(fd, &kind);

    if (err == 0 && kind.socket && (kind.type != SOCK_STREAM || kind.listening))
        err = -EINVAL;
    return err;
}

int rota__stream_open_fd(rota_stream **out, rota_loop *loop, int fd)
{
    rota_stream *stream = rota__stream_new(loop);
    int err;

    if (!stream)
        return -ENOMEM;
    err = rota__conn_open_fd(&stream->conn, loop, fd, &rota__stream_events);
    if (err < 0) {
        rota__stream_discard(stream);
        return err;
    }
    *out = stream;
    return 0;
}

int rota_open_fd(rota_stream **out, int fd)
{
    rota_loop *loop = rota_get_running_loop();
    int err;

    if (!loop)
        return -ROTA_ENOLOOP;
    err = check_fd(fd);
    if (err == 0)
        err = rota__stream_open_fd(out, loop, fd);
    if (err == 0 && !(*out)->conn.pipe)
        rota__socket_no_delay(fd);
    return err;
}

/* --- Waiting ------------------------------------------------------------ */

int rota__stream_refuse(const rota_stream *stream,
                        const struct rota__task *self, const char *function)
{
    if (!self)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK, function,
                            "wait in a task, not in a callback");
    if (stream->closing)
        return -ROTA_ECLOSING;
    return rota__misuse(self->loop, -EINVAL, function,
                        "a stream belongs to the loop that opened it");
}

intptr_t rota__stream_wait(rota_stream *stream, struct rota__task *self,
                           struct rota__waiter *waiter,
                           struct rota__link *queue)
{
    intptr_t result;

    stream->users++;
    result = rota__park_in(self, waiter, queue);
    stream->users--;
    return result;
}

/* Who reads stays the reader meanwhile: nobody may overtake it. */
int rota__stream_give_way(rota_stream *stream, struct rota__task *self,
                          bool reading)
{
    struct rota__waiter place = {.task = self};
    int err;

    if (reading)
        stream->reader = &place;
    stream->users++;
    err = rota__yield(self);
    stream->users--;
    if (reading)
        stream->reader = NULL;
    return err == 0 && stream->closing ? -ROTA_ECLOSING : err;
}

void rota__stream_leave(rota_stream *stream)
{
    release_if_over(stream);
}

/* --- Closing ------------------------------------------------------------ */

static void wake_all(rota_stream *stream)
{
    wake_reader(stream, -ROTA_ECLOSING);
    rota__unpark_all(&stream->flow, -ROTA_ECLOSING);
    rota__unpark_all(&stream->writers, -ROTA_ECLOSING);
}

void rota_close(rota_stream *stream)
{
    if (stream->closing)
        return;
    rota__stream_check_thread(stream, "rota_close");
    stream->closing = true;
    wake_all(stream);
    if (!stream->writing) /* else the writer closes when it leaves */
        rota__conn_close(&stream->conn);
}

void rota_abort(rota_stream *stream)
{
    if (stream->conn.closed)
        return;
    rota__stream_check_thread(stream, "rota_abort");
    stream->closing = true;
    wake_all(stream);
    rota__conn_abort(&stream->conn);
}

void rota__stream_release_writer(rota_stream *stream)
{
    struct rota__link *next = stream->writers.next;

    if (stream->closing || rota__list_empty(&stream->writers)) {
        stream->writing = false;
        stream->users++; /* the caller, until it leaves */
        if (stream->closing)
            rota__conn_close(&stream->conn);
        stream->users--;
        return;
    }
    rota__container_of(next, struct rota__turn, waiter.link)->given = true;
    rota__unpark_first(&stream->writers, 0);
}

bool rota_is_closing(const rota_stream *stream)
{
    return stream->closing;
}

int rota_wait_closed(rota_stream *stream)
{
    struct rota__task *self = rota__current();
    struct rota__waiter waiter;
    intptr_t err = 0;

    if (!self)
        return rota__not_a_task("rota_wait_closed");
    if (!stream->closing)
        return rota__misuse(self->loop, -EINVAL, "rota_wait_closed",
                            "call rota_close() first");
    if (!stream->conn.closed)
        err = rota__stream_wait(stream, self, &waiter, &stream->closers);
    if (err == 0)
        err = stream->conn.error;
    rota__stream_leave(stream);
    return (int)err;
}

void rota_stream_free(rota_stream *stream)
{
    if (!stream)
        return;
    rota_close(stream);
    stream->freed = true;
    release_if_over(stream);
}

/* --- Looking at it ------------------------------------------------------ */

int rota_stream_fileno(const rota_stream *stream)
{
    return stream->conn.closed ? -ROTA_ECLOSING : stream->conn.watch.fd;
}

int rota_stream_peer_address(const rota_stream *stream, rota_address *out)
{
    if (stream->conn.closed)
        return -ROTA_ECLOSING;
    return rota__socket_peer(stream->conn.watch.fd, out);
}

int rota_stream_local_address(const rota_stream *stream, rota_address *out)
{
    if (stream->conn.closed)
        return -ROTA_ECLOSING;
    return rota__socket_local(stream->conn.watch.fd, out);
}
