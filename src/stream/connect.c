/* SPDX-License-Identifier: MIT */
/*
 * Opening a connection: a task waits until the transport has opened it
 *
 * What the task waits for stands on its stack, with a hook for a loop that
 * closes: then the task does not run again, and what has been opened so far
 * must go all the same.
 */
#include "stream/stream.h"

struct opening {
    struct rota__waiter waiter;
    struct rota__at_close at_close;
    struct rota__open open;
    rota_stream *stream;
    int result;
    bool done;
};

static void opened(struct rota__open *open, int result)
{
    struct opening *self = rota__container_of(open, struct opening, open);

    self->done = true;
    self->result = result;
    rota__unpark(&self->waiter, 0);
}

/* A loop that closes drops it first, and then cancels the wait. */
static void drop(struct opening *self)
{
    if (!self->stream)
        return;
    if (!self->done)
        rota__open_cancel(&self->open);
    if (!self->done || self->result < 0) {
        rota__stream_discard(self->stream);
    } else {
        rota__conn_drop(&self->stream->conn);
        rota_stream_free(self->stream);
    }
    self->stream = NULL;
}

static bool stop(struct rota__waiter *waiter)
{
    struct opening *self = rota__container_of(waiter, struct opening, waiter);

    drop(self);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

static void loop_closes(struct rota__at_close *at_close)
{
    drop(rota__container_of(at_close, struct opening, at_close));
}

/* The opening has begun: waits for its end. */
static int wait(rota_stream **out, struct rota__task *task,
                struct opening *self)
{
    int err;

    rota__list_init(&self->waiter.link);
    self->waiter.cancel = stop;
    rota__at_close_add(task->loop, &self->at_close, loop_closes);
    err = (int)rota__park(task, &self->waiter);
    rota__at_close_remove(&self->at_close);
    if (err == 0)
        err = self->result;
    if (err < 0)
        drop(self); /* the answer may have come with a cancellation */
    else if (err == 0)
        *out = self->stream;
    return err;
}

static int prepare(struct opening *self, struct rota__task *task,
                   const char *function)
{
    if (!task)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK, function,
                            "connect in a task, not in a callback");
    self->stream = rota__stream_new(task->loop);
    return self->stream ? 0 : -ENOMEM;
}

int rota_open_connection_with(rota_stream **out, const char *host, int port,
                              const rota_connect_options *options)
{
    struct rota__task *task = rota__current();
    struct opening self;
    int err = prepare(&self, task, "rota_open_connection");

    if (err < 0)
        return err;
    self.done = false;
    err = rota__open_start(&self.open, task->loop, &self.stream->conn,
                           &rota__stream_events, host, port, options, opened);
    if (err == 0)
        return wait(out, task, &self);
    rota__stream_discard(self.stream);
    return err;
}

int rota_open_connection(rota_stream **out, const char *host, int port)
{
    return rota_open_connection_with(out, host, port, NULL);
}

int rota_open_unix_connection(rota_stream **out, const char *path,
                              const rota_connect_options *options)
{
    struct rota__task *task = rota__current();
    struct opening self;
    int err = prepare(&self, task, "rota_open_unix_connection");

    if (err < 0)
        return err;
    self.done = false;
    err = rota__open_start_unix(&self.open, task->loop, &self.stream->conn,
                                &rota__stream_events, path, options, opened);
    if (err == 0)
        return wait(out, task, &self);
    rota__stream_discard(self.stream);
    return err;
}
