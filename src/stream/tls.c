/* SPDX-License-Identifier: MIT */
/*
 * TLS of streams
 *
 * Who starts TLS is the stream's one reader and its one writer until the
 * handshake is over: nobody else gets between the clear bytes and the rest.
 */
#include "stream/stream.h"

static rota_stream *stream_of(struct rota__conn *conn)
{
    return rota__container_of(conn, rota_stream, conn);
}

/* It may have been cancelled before, and not have run yet. */
static void agreed(struct rota__conn *conn, int error)
{
    struct rota__waiter *waiter = stream_of(conn)->reader;

    if (waiter->task->waiting == waiter)
        rota__unpark(waiter, error);
}

static int check(const rota_stream *stream, const struct rota__task *self,
                 const rota_tls_context *tls)
{
    int err = rota__stream_check(stream, self, "rota_start_tls");

    if (err < 0)
        return err;
    if (!tls)
        return -EINVAL;
    if (stream->reader || stream->writing || stream->conn.filter)
        return -EBUSY;
    if (rota__buffer_size(&stream->in) > 0)
        return -EPROTO;
    if (stream->conn.ended || stream->conn.end_after_out)
        return -EPIPE;
    return stream->conn.error;
}

/* What was written before belongs to the clear. */
static int drain(rota_stream *stream, struct rota__task *self)
{
    struct rota__waiter waiter;
    intptr_t err = 0;

    while (err == 0 && rota__buffer_size(&stream->conn.out) > 0) {
        err = rota__stream_wait(stream, self, &waiter, &stream->flow);
        if (err == 0)
            err = stream->closing ? -ROTA_ECLOSING : stream->conn.error;
    }
    return (int)err;
}

static int shake_hands(rota_stream *stream, struct rota__task *self,
                       rota_tls_context *tls, const rota_tls_options *options)
{
    struct rota__waiter waiter = {.task = self};
    intptr_t err;

    rota__list_init(&waiter.link);
    stream->reader = &waiter;
    err = drain(stream, self);
    if (err == 0)
        err = rota__tls_start(&stream->conn, tls, options, NULL, agreed);
    if (err == 0) {
        err = rota__park(self, &waiter);
        if (err == 0 && stream->closing)
            err = -ROTA_ECLOSING;
        if (err == -ECANCELED)
            rota_abort(stream);
        else if (err < 0)
            rota_close(stream); /* no reset: it would overtake the alert */
    }
    stream->reader = NULL;
    return (int)err;
}

int rota_start_tls(rota_stream *stream, rota_tls_context *tls,
                   const rota_tls_options *options)
{
    struct rota__task *self = rota__current();
    int err = check(stream, self, tls);

    if (err < 0)
        return err;
    stream->users++;
    stream->writing = true;
    err = shake_hands(stream, self, tls, options);
    rota__stream_release_writer(stream);
    stream->users--;
    rota__stream_leave(stream);
    return err;
}

int rota_stream_tls_info(const rota_stream *stream, rota_tls_info *out)
{
    return rota__tls_info(&stream->conn, out);
}

intptr_t rota_stream_peer_certificate(const rota_stream *stream, void *out,
                                      size_t size)
{
    return rota__tls_peer_certificate(&stream->conn, out, size);
}

int rota_stream_tls_session(const rota_stream *stream, rota_tls_session **out)
{
    return rota__tls_session(&stream->conn, out);
}
