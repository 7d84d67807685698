/* SPDX-License-Identifier: MIT */
/*
 * Writing
 *
 * In the ordinary case the kernel takes everything at once and that is all. A
 * writer that has to wait keeps its bytes where they are, in its caller's
 * memory, and sends from there as the kernel takes them; only a rest below
 * the high-water mark is copied, so that its task can go on. A cancellation
 * before the first byte takes none; after it, the rest is copied whatever its
 * size, because half of a message must never be sent.
 */
#include "stream/stream.h"

static int check_write(const rota_stream *stream)
{
    if (rota__unlikely(stream->closing))
        return -ROTA_ECLOSING;
    if (rota__unlikely(stream->conn.ended || stream->conn.end_after_out))
        return -EPIPE;
    return stream->conn.error;
}

/* Becomes the one writer, in the order of asking; on an error it has not. */
static int get_turn(rota_stream *stream, struct rota__task *self)
{
    struct rota__turn turn = {.given = !stream->writing};
    struct rota__waiter waiter;
    intptr_t err = 0;

    stream->writing = true;
    if (!turn.given)
        err = rota__stream_wait(stream, self, &turn.waiter, &stream->writers);
    if (err == 0)
        err = check_write(stream);
    while (err == 0 && stream->paused) {
        err = rota__stream_wait(stream, self, &waiter, &stream->flow);
        if (err == 0)
            err = check_write(stream);
    }
    if (err < 0 && turn.given)
        rota__stream_release_writer(stream);
    return (int)err;
}

struct rest {
    const char *data;
    size_t size;
    bool begun; /* some of it is sent: all of it must be */
};

static int send_some(rota_stream *stream, struct rest *rest)
{
    intptr_t n = rota__conn_write(&stream->conn, rest->data, rest->size);

    if (n < 0)
        return (int)n;
    rest->data += n;
    rest->size -= (size_t)n;
    rest->begun |= n > 0;
    return 0;
}

static int keep_rest(rota_stream *stream, struct rest *rest)
{
    int err = rota__conn_queue(&stream->conn, rest->data, rest->size);

    if (err == 0)
        rest->size = 0;
    else if (rest->begun)
        stream->conn.error = err; /* nothing may follow half a message */
    rota__stream_update_paused(stream);
    return err;
}

static bool fits(const rota_stream *stream, const struct rest *rest)
{
    return rota__buffer_size(&stream->conn.out) + rest->size <=
           ROTA__HIGH_WATER;
}

static int send_all(rota_stream *stream, struct rota__task *self,
                    struct rest *rest)
{
    struct rota__waiter waiter;
    intptr_t err;

    for (;;) {
        err = send_some(stream, rest);
        if (err < 0 || rest->size == 0)
            return (int)err;
        if (fits(stream, rest))
            return keep_rest(stream, rest);
        err = rota__stream_wait(stream, self, &waiter, &stream->flow);
        if (err < 0)
            break;
    }
    if (rest->begun && stream->conn.error == 0 && !stream->conn.closed) {
        int kept = keep_rest(stream, rest);

        return kept < 0 ? kept : err == -ECANCELED ? -ECANCELED : 0;
    }
    return (int)err;
}

static intptr_t write_slowly(rota_stream *stream, struct rota__task *self,
                             struct rest *rest, size_t size, bool my_turn)
{
    int err = my_turn ? 0 : get_turn(stream, self);

    if (err == 0) {
        stream->writing = true;
        err = send_all(stream, self, rest);
        rota__stream_release_writer(stream);
    }
    rota__stream_leave(stream);
    return err < 0 ? err : (intptr_t)size;
}

intptr_t rota_write(rota_stream *stream, const void *data, size_t size)
{
    struct rota__task *self = rota__current();
    struct rest rest = {data, size, false};
    int err = rota__stream_check(stream, self);
    bool my_turn = !stream->writing && !stream->paused;

    if (rota__likely(err == 0))
        err = check_write(stream);
    if (rota__unlikely(err < 0 || size == 0))
        return err;
    if (rota__likely(my_turn)) {
        err = send_some(stream, &rest);
        if (rota__unlikely(err < 0))
            return err;
        if (rota__likely(rest.size == 0))
            return (intptr_t)size;
    }
    return write_slowly(stream, self, &rest, size, my_turn);
}

int rota_write_nowait(rota_stream *stream, const void *data, size_t size)
{
    struct rest rest = {data, size, false};
    int err = check_write(stream);

    if (err < 0)
        return err;
    if (stream->writing)
        return -EBUSY;
    err = send_some(stream, &rest);
    if (err == 0 && rest.size > 0)
        err = keep_rest(stream, &rest);
    return err;
}

int rota_drain(rota_stream *stream)
{
    struct rota__task *self = rota__current();
    struct rota__waiter waiter;
    intptr_t err = rota__stream_check(stream, self);

    if (err == 0)
        err = stream->conn.error;
    while (err == 0 && stream->paused) {
        err = rota__stream_wait(stream, self, &waiter, &stream->flow);
        if (err == 0)
            err = stream->closing ? -ROTA_ECLOSING : stream->conn.error;
    }
    rota__stream_leave(stream);
    return (int)err;
}

size_t rota_stream_write_buffer_size(const rota_stream *stream)
{
    return rota__buffer_size(&stream->conn.out);
}

int rota_write_eof(rota_stream *stream)
{
    if (stream->closing)
        return -ROTA_ECLOSING;
    if (stream->writing)
        return -EBUSY;
    return rota__conn_write_eof(&stream->conn);
}
