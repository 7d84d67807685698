/* SPDX-License-Identifier: MIT */
/*
 * Datagram: a socket for messages, registered once with edges
 *
 *     may_read   the kernel may have datagrams, or an error, for us
 *     may_write  the kernel may take more
 *     batch      what has been received and not been taken yet
 *     out        datagrams that the kernel did not take, each with its
 *                address; while there is one, none may be sent past it
 *
 * Datagrams are received several at a time into memory that the loop lends. A
 * batch that is not full says that the kernel has no more: no system call is
 * made to hear "try again". The memory goes back with the last datagram.
 *
 * Errors belong to one datagram, or to nobody; the socket lives on.
 */
#ifndef ROTA_TRANSPORT_DATAGRAM_H
#define ROTA_TRANSPORT_DATAGRAM_H

#include "base/base.h"
#include "loop/loop.h"
#include "os/os.h"
#include <rota/datagram.h>

/* Both may be called in the middle of polling: take notes, queue handles. */
struct rota__datagram;
struct rota__datagram_events {
    void (*readable)(struct rota__datagram *datagram);
    void (*writable)(struct rota__datagram *datagram);
};

/* At the beginning of the lent memory; the datagrams' bytes lie behind it. */
struct rota__batch {
    unsigned held; /* by callbacks that still look at one of them */
    int next;      /* to be taken */
    int count;
    struct rota__packet packets[ROTA__PACKETS];
};

struct rota__datagram {
    struct rota__watch watch;
    struct rota__timer retry;
    rota_loop *loop;
    const struct rota__datagram_events *events;
    struct rota__batch *batch; /* or NULL */
    struct rota__buffer out;
    size_t queued;       /* what `out` counts for, in bytes */
    rota_address remote; /* size 0: not connected */
    bool local;          /* a Unix socket */
    bool may_read;
    bool may_write;
    bool lent; /* the fd: its owner closes it */
    bool closed;
};

/* A socket as the options (NULL: the default) want it; 0 or an error. */
int rota__datagram_open(struct rota__datagram *datagram, rota_loop *loop,
                        const rota_datagram_options *options,
                        const struct rota__datagram_events *events);
/* The same for a socket of somebody else's, who closes it after the close. */
int rota__datagram_adopt(struct rota__datagram *datagram, rota_loop *loop,
                         int fd, bool local,
                         const struct rota__datagram_events *events);
/* The one that has this fd, or NULL. */
struct rota__datagram *rota__datagram_of(rota_loop *loop, int fd);
/* Drops what is queued or not taken, and closes. Again does nothing. */
void rota__datagram_close(struct rota__datagram *datagram);

/* Whether there may be something to take. */
static inline bool rota__datagram_has_more(const struct rota__datagram *self)
{
    return self->batch || self->may_read;
}

/*
 * The next datagram, which is there until the next call unless the batch is
 * held; -EAGAIN when there is none yet, or an error.
 */
int rota__datagram_take(struct rota__datagram *datagram,
                        struct rota__packet **out);
/* Keeps what was just taken for as long as a callback looks at it. */
struct rota__batch *rota__datagram_hold(struct rota__datagram *datagram);
/* The datagram may be closed meanwhile, but not its memory gone. */
void rota__datagram_let_go(struct rota__datagram *datagram,
                           struct rota__batch *batch);

/* 0, or why nothing can be sent there (NULL: to the remote one). */
int rota__datagram_check(const struct rota__datagram *datagram,
                         const rota_address *to);
/* How much was sent: all, or -EAGAIN when nothing can be now, or an error. */
intptr_t rota__datagram_send(struct rota__datagram *datagram, const void *data,
                             size_t size, const rota_address *to);
/* Somebody else's attempt (to one that was named) has been told to wait. */
void rota__datagram_full(struct rota__datagram *datagram, bool named);
/* Keeps a copy to be sent when the kernel takes more. 0 or -ENOMEM. */
int rota__datagram_keep(struct rota__datagram *datagram, const void *data,
                        size_t size, const rota_address *to);
/*
 * Sends what is kept: 0 when all of it is gone, -EAGAIN, or the error of one
 * datagram, which is dropped; there may be more then.
 */
int rota__datagram_flush(struct rota__datagram *datagram);

/* 0, -ROTA_ECLOSING, or what the system says. */
int rota__datagram_local(const struct rota__datagram *datagram,
                         rota_address *out);
int rota__datagram_peer(const struct rota__datagram *datagram,
                        rota_address *out);
int rota__datagram_fileno(const struct rota__datagram *datagram);

#endif
