/* SPDX-License-Identifier: MIT */
/*
 * transport: callbacks over fds
 *
 * Four mechanisms, none of which knows a task: a connection (struct
 * rota__conn), a listening socket, a connect that tries several addresses,
 * and a look-up of a name. Each is a struct of its user's, with the functions
 * to be called back; those run in a turn of the loop, never from inside the
 * call that started them, but for conn's `readable`, which only takes a note.
 */
#ifndef ROTA_TRANSPORT_TRANSPORT_H
#define ROTA_TRANSPORT_TRANSPORT_H

#include "base/base.h"
#include "loop/loop.h"
#include "os/os.h"
#include <rota/stream.h>

/*
 * Connection: a stream socket, registered once with edges.
 *
 *     may_read   the kernel may have bytes, or the end, for us
 *     may_write  the kernel may take more
 *     out        what it did not take; while there is some, nothing may be
 *                sent past it
 *
 * A read that comes back short, and a write that is taken only in part, say
 * that the kernel has no more: no system call is made to hear "try again".
 *
 *     OPEN --close--> FLUSHING --out is sent--> CLOSED
 *        `--abort, or close with nothing queued--^
 */
struct rota__conn;

struct rota__conn_events {
    /* May be called in the middle of polling: take notes, queue handles. */
    void (*readable)(struct rota__conn *conn);
    /* The kernel takes bytes again and `out` may be shorter; or an error. */
    void (*writable)(struct rota__conn *conn);
    /* The fd is closed; the last call. */
    void (*closed)(struct rota__conn *conn);
};

struct rota__conn {
    struct rota__watch watch;
    struct rota__handle on_writable;
    rota_loop *loop;
    const struct rota__conn_events *events;
    struct rota__buffer out;
    int error; /* the first that the connection had */
    bool may_read;
    bool may_write;
    bool hung_up; /* the kernel has said that the peer's end is over */
    bool at_end;  /* and we have read up to it */
    bool end_after_out;
    bool ended; /* our direction is shut down */
    bool flushing;
    bool closed;
};

/* Registers the socket; on an error the fd is still the caller's. */
int rota__conn_open(struct rota__conn *conn, rota_loop *loop, int fd,
                    const struct rota__conn_events *events);
/* Bytes, 0 at the end, -EAGAIN when there is nothing yet, or the error. */
intptr_t rota__conn_read(struct rota__conn *conn, void *buf, size_t size);
/* How much the kernel took, 0 if it takes nothing now, or the error. */
intptr_t rota__conn_write(struct rota__conn *conn, const void *data,
                          size_t size);
/* Keeps a copy to be sent when the kernel takes more. 0 or -ENOMEM. */
int rota__conn_queue(struct rota__conn *conn, const void *data, size_t size);
/* Ends our direction once `out` is empty. */
int rota__conn_write_eof(struct rota__conn *conn);
/* Closes once `out` is empty; events->closed tells. */
void rota__conn_close(struct rota__conn *conn);
void rota__conn_abort(struct rota__conn *conn);
/* Without events->closed, for a loop that closes. */
void rota__conn_destroy(struct rota__conn *conn);

/* Listener */
struct rota__listener {
    struct rota__watch watch;
    struct rota__handle on_readable;
    struct rota__timer retry; /* after a lack of fds */
    rota_loop *loop;
    /* A new non-blocking socket, which is now the user's. False: no more in
       this turn; the listener may be gone. */
    bool (*accepted)(struct rota__listener *listener, int fd);
};

/* Binds and listens; 0 or an error. */
int rota__listener_open(struct rota__listener *listener, rota_loop *loop,
                        const rota_address *address, int backlog);
void rota__listener_close(struct rota__listener *listener);

/* Connect: tries each address in turn. */
struct rota__connect {
    struct rota__watch watch;
    struct rota__handle on_event;
    rota_loop *loop;
    const struct rota__addresses *addresses;
    size_t next;
    int first_error;
    unsigned seen; /* events so far, for the connection that takes over */
    bool connected;
    /* 0: take it with rota__conn_take_over(); or the first error. */
    void (*done)(struct rota__connect *self, int result);
};

void rota__connect_start(struct rota__connect *self, rota_loop *loop,
                         const struct rota__addresses *addresses,
                         void (*done)(struct rota__connect *, int));
void rota__connect_cancel(struct rota__connect *self);
/* Makes the connected socket a conn, with its registration. */
void rota__conn_take_over(struct rota__conn *conn,
                          const struct rota__conn_events *events,
                          struct rota__connect *from);

/* Look-up of a name, on the pool. */
struct rota__lookup {
    struct rota__job job;
    char *host; /* behind the struct; NULL: any address */
    int port;
    bool passive;
    bool abandoned;
    int error;
    struct rota__addresses addresses; /* the taker's */
    void (*done)(struct rota__lookup *self);
    void *user;
};

/* 0 and *out, which lives until done() returns; or an error. */
int rota__lookup_start(struct rota__lookup **out, rota_loop *loop,
                       const char *host, int port, bool passive,
                       void (*done)(struct rota__lookup *), void *user);
/* done() will not be called any more. */
void rota__lookup_abandon(struct rota__lookup *self);

#endif
