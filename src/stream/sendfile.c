/* SPDX-License-Identifier: MIT */
/*
 * Sending files through a stream
 *
 * The task has the writer's turn from the first byte to the last, as
 * rota_write() has, so nothing comes in between. The system sends the file by
 * itself when nothing is queued before it; through a filter, or to what the
 * system cannot send files to, the pieces are read and written.
 */
#include "stream/file.h"
#include "stream/stream.h"

static intptr_t still_open(const rota_stream *stream)
{
    return stream->closing ? -ROTA_ECLOSING : stream->conn.error;
}

static intptr_t wait_for_room(rota_stream *stream, struct rota__task *self)
{
    struct rota__waiter waiter;
    intptr_t err = rota__stream_wait(stream, self, &waiter, &stream->flow);

    return err < 0 ? err : still_open(stream);
}

/* A peer that keeps up must not keep the loop. */
static intptr_t let_others_run(rota_stream *stream, struct rota__task *self)
{
    intptr_t err;

    stream->users++;
    err = rota__yield(self);
    stream->users--;
    return err < 0 ? err : still_open(stream);
}

/* Or else the file is to blame, or the call. */
static bool is_of_connection(intptr_t error)
{
    return error == -EPIPE || error == -ECONNRESET || error == -ECONNABORTED ||
           error == -ETIMEDOUT || error == -EHOSTUNREACH ||
           error == -ENETUNREACH || error == -ENETDOWN;
}

/* Bytes, 0 at the end of the file, or an error; -EAGAIN: wait for room. */
static intptr_t send_piece(struct rota__conn *conn,
                           const struct rota__parcel *parcel, size_t size)
{
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

static intptr_t send_by_the_system(rota_stream *stream, struct rota__task *self,
                                   struct rota__parcel *parcel)
{
    size_t size = rota__parcel_next(parcel, ROTA__PARCEL_PIECE);
    intptr_t err = 0;

    while (err == 0 && size > 0) {
        intptr_t n = send_piece(&stream->conn, parcel, size);

        if (n == 0)
            break;
        if (n > 0)
            rota__parcel_advance(parcel, (size_t)n);
        if (n == -EAGAIN)
            err = wait_for_room(stream, self);
        else if (n < 0)
            err = n;
        else if ((size_t)n == size)
            err = let_others_run(stream, self);
        size = rota__parcel_next(parcel, ROTA__PARCEL_PIECE);
    }
    return err;
}

/* --- In pieces ---------------------------------------------------------- */

static intptr_t write_piece(rota_stream *stream, struct rota__task *self,
                            struct rota__parcel *parcel, const char *data,
                            size_t size)
{
    while (size > 0) {
        intptr_t n = rota__conn_write(&stream->conn, data, size);

        if (n == 0)
            n = wait_for_room(stream, self);
        if (n < 0)
            return n;
        rota__parcel_advance(parcel, (size_t)n);
        data += n;
        size -= (size_t)n;
    }
    return let_others_run(stream, self);
}

static intptr_t read_piece(rota_stream *stream, struct rota__task *self,
                           const struct rota__parcel *parcel,
                           struct rota__file_reader *reader, const char **data)
{
    size_t size = rota__parcel_next(parcel, ROTA__FILE_PIECE);
    intptr_t err;
    intptr_t n;

    if (size == 0)
        return 0;
    stream->users++;
    n = rota__file_reader_read(reader, self, parcel->offset, size, data);
    stream->users--;
    err = still_open(stream);
    return n < 0 || err == 0 ? n : err;
}

static intptr_t send_in_pieces(rota_stream *stream, struct rota__task *self,
                               struct rota__parcel *parcel)
{
    struct rota__file_reader *reader;
    const char *data;
    intptr_t n = rota__file_reader_open(&reader, self->loop, parcel->file);

    if (n < 0)
        return n;
    while ((n = read_piece(stream, self, parcel, reader, &data)) > 0) {
        n = write_piece(stream, self, parcel, data, (size_t)n);
        if (n < 0)
            break;
    }
    rota__file_reader_close(reader);
    return n;
}

static intptr_t send_file(rota_stream *stream, struct rota__task *self,
                          struct rota__parcel *parcel)
{
    intptr_t err = rota__stream_get_turn(stream, self);

    if (err < 0)
        return err;
    if (stream->conn.filter)
        err = -EOPNOTSUPP;
    else
        err = send_by_the_system(stream, self, parcel);
    if (rota__sendfile_cannot(err))
        err = send_in_pieces(stream, self, parcel);
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
