/* SPDX-License-Identifier: MIT */
/*
 * Sending files through a stream
 *
 * The task has the writer's turn from the first byte to the last, as
 * rota_write() has, so nothing comes in between. The system sends by itself
 * what it has in memory, when nothing is queued before it. What a disk must be
 * asked for, what goes through a filter, or to where the system cannot send
 * files, is read, by a thread if need be, and written.
 */
#include "stream/parcel.h"
#include "stream/stream.h"

static intptr_t still_open(const rota_stream *stream)
{
    return stream->closing ? -ROTA_ECLOSING : stream->conn.error;
}

struct stream_sending {
    struct rota__sending sending;
    rota_stream *stream;
};

static rota_stream *stream_of(struct rota__sending *it)
{
    return rota__container_of(it, struct stream_sending, sending)->stream;
}

static intptr_t wait_for_room(struct rota__sending *it)
{
    rota_stream *stream = stream_of(it);
    struct rota__waiter waiter;
    intptr_t err = rota__stream_wait(stream, it->self, &waiter, &stream->flow);

    return err < 0 ? err : still_open(stream);
}

/* A peer that keeps up must not keep the loop. */
static intptr_t let_others_run(struct rota__sending *it)
{
    intptr_t err = rota__yield(it->self);

    return err < 0 ? err : still_open(stream_of(it));
}

/* Or else the file is to blame, or the call. */
static bool is_of_connection(intptr_t error)
{
    return error == -EPIPE || error == -ECONNRESET || error == -ECONNABORTED ||
           error == -ETIMEDOUT || error == -EHOSTUNREACH ||
           error == -ENETUNREACH || error == -ENETDOWN;
}

/* -EAGAIN: wait for room. */
static intptr_t send_piece(struct rota__sending *it, size_t size)
{
    const struct rota__parcel *parcel = it->parcel;
    struct rota__conn *conn = &stream_of(it)->conn;
    intptr_t n;

    if (!conn->may_write || rota__buffer_size(&conn->out) > 0)
        return -EAGAIN;
    n = rota__sendfile(conn->watch.fd, parcel->file, parcel->offset, size);
    if (n == -EAGAIN)
        rota__conn_drained(conn, ROTA__WRITABLE);
    else if (is_of_connection(n))
        rota__conn_fail(conn, n);
    return n;
}

static intptr_t write_piece(struct rota__sending *it, const char *data,
                            size_t size)
{
    rota_stream *stream = stream_of(it);
    intptr_t n = still_open(stream);

    while (n >= 0 && size > 0) {
        n = rota__conn_write(&stream->conn, data, size);
        if (n == 0)
            n = wait_for_room(it);
        if (n <= 0)
            continue;
        rota__parcel_advance(it->parcel, (size_t)n);
        data += n;
        size -= (size_t)n;
    }
    return n < 0 ? n : 0;
}

static const struct rota__sending_ops ops = {send_piece, write_piece,
                                             wait_for_room, let_others_run};

/* The stream stays, whoever frees it meanwhile. */
static intptr_t send_file(rota_stream *stream, struct rota__task *self,
                          struct rota__parcel *parcel)
{
    struct stream_sending it = {
        .sending = {.ops = &ops,
                    .self = self,
                    .parcel = parcel,
                    .by_system = !stream->conn.filter},
        .stream = stream,
    };
    intptr_t err = rota__stream_get_turn(stream, self);

    if (err < 0)
        return err;
    stream->users++;
    err = rota__parcel_send(&it.sending);
    stream->users--;
    rota__stream_release_writer(stream);
    return err;
}

intptr_t rota_sendfile(rota_stream *stream, int file, int64_t offset,
                       size_t count, size_t *sent)
{
    struct rota__task *self = rota__current();
    struct rota__parcel parcel;
    intptr_t err = rota__parcel_init(&parcel, file, offset, count);

    if (err == 0)
        err = rota__stream_check(stream, self, "rota_sendfile");
    if (err == 0) {
        err = send_file(stream, self, &parcel);
        rota__stream_leave(stream);
    }
    if (sent)
        *sent = parcel.sent;
    return err < 0 ? err : (intptr_t)parcel.sent;
}
