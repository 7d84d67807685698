/* SPDX-License-Identifier: MIT */
/*
 * stream: connections for tasks
 *
 * A stream joins a transport's connection to waiting tasks. A read first
 * takes what is buffered, then asks the kernel, then parks; bytes go from the
 * kernel straight into the caller's memory wherever they can.
 *
 * Writes are one at a time: a writer holds the stream (`writing`) while the
 * kernel takes its bytes from the caller's own memory, and the others queue
 * behind it. What is left when it may go is copied into the connection.
 *
 * `users` counts the tasks inside; a stream that is freed while some are
 * there is released by the last to leave.
 */
#ifndef ROTA_STREAM_STREAM_H
#define ROTA_STREAM_STREAM_H

#include "base/base.h"
#include "loop/loop.h"
#include "task/task.h"
#include "transport/transport.h"
#include <rota/dns.h>
#include <rota/stream.h>

/* What a server needs to know of a stream that it has accepted. */
struct rota__client {
    struct rota__link link; /* in server->clients */
    rota_server *server;
    struct rota__task *task; /* NULL while the handshake lasts */
    struct rota__owner owner;
};

/* What every read and write looks at comes first. */
struct rota_stream {
    struct rota__conn conn;
    struct rota__buffer in;
    struct rota__waiter *reader; /* the task that waits for bytes, if any */
    unsigned users;
    bool writing;
    bool paused; /* above the high-water mark and not yet below the low one */
    bool closing;
    bool freed;
    size_t limit;
    size_t high;
    size_t low;
    struct rota__link flow;    /* wait for the kernel to take bytes */
    struct rota__link writers; /* wait for their turn */
    struct rota__link closers; /* wait for the close */
    struct rota__at_close at_close;
    struct rota__client client;
};

/* A stream whose conn is still to be opened or taken over; NULL: no memory. */
rota_stream *rota__stream_new(rota_loop *loop);
extern const struct rota__conn_events rota__stream_events;
/* Frees one whose conn was never opened. */
void rota__stream_discard(rota_stream *stream);
/* A stream over an fd, which is its own from now on; on an error it is not. */
int rota__stream_open_fd(rota_stream **out, rota_loop *loop, int fd);

/* Why a task may not use the stream; in debug mode a misuse stops. */
int rota__stream_refuse(const rota_stream *stream,
                        const struct rota__task *self, const char *function);

/* 0, or why a task may not use the stream in this function. */
static inline int rota__stream_check(const rota_stream *stream,
                                     const struct rota__task *self,
                                     const char *function)
{
    if (rota__likely(self && !stream->closing &&
                     self->loop == stream->conn.loop))
        return 0;
    return rota__stream_refuse(stream, self, function);
}

/* For the calls that need no task: debug mode stops a foreign thread. */
static inline void rota__stream_check_thread(const rota_stream *stream,
                                             const char *function)
{
    if (!stream->conn.closed) /* else the loop may be gone */
        rota__check_thread(stream->conn.loop, function);
}

/* Parks in a queue of the stream; the stream may be freed afterwards only if
   the task leaves it. */
intptr_t rota__stream_wait(rota_stream *stream, struct rota__task *self,
                           struct rota__waiter *waiter,
                           struct rota__link *queue);
/* Yields in the midst of a call of a task that is greedy; 0 or an error. */
int rota__stream_give_way(rota_stream *stream, struct rota__task *self,
                          bool reading);
/* A task goes away: the last one of a freed stream releases it. */
void rota__stream_leave(rota_stream *stream);

/* What waits in stream->writers: the turn is handed over, not left open. */
struct rota__turn {
    struct rota__waiter waiter;
    bool given;
};

/* Becomes the one writer, in the order of asking; on an error it has not. */
int rota__stream_get_turn(rota_stream *stream, struct rota__task *self);
/* The writer's turn is over; goes on with a close that waited for it. */
void rota__stream_release_writer(rota_stream *stream);
void rota__stream_update_paused(rota_stream *stream);

/* Resolves a name, awaiting the pool only if it is not a literal. */
int rota__resolve(struct rota__task *self, const char *host, int port,
                  int family, bool passive, rota_addresses *out);

/* A server for tasks on these addresses. */
int rota__start_server_at(rota_server **out, rota_loop *loop,
                          const rota_addresses *addresses,
                          rota_client_connected *client, void *arg,
                          const rota_server_options *options);

#endif
