/* SPDX-License-Identifier: MIT */
/*
 * The public transport, from inside
 *
 *     CONNECTING ---> MADE_SOON ---> OPEN <---> SECURING (start_tls)
 *         |               |            |            |
 *         `---------------`------------`------------`---> LOST
 *
 * Between MADE_SOON and OPEN the protocol hears connection_made, on the way
 * to LOST connection_lost, each from a handle in a turn of its own. The
 * transport holds a reference to itself until it is lost.
 */
#ifndef ROTA_TRANSPORT_CALLBACK_H
#define ROTA_TRANSPORT_CALLBACK_H

#include "transport/transport.h"

enum rota__stage {
    ROTA__CONNECTING,
    ROTA__MADE_SOON,
    ROTA__OPEN,
    ROTA__SECURING,
    ROTA__LOST,
};

struct rota__opening; /* what a connect needs for as long as it lasts */

struct rota_transport {
    struct rota__conn conn;
    struct rota__handle on_readable; /* reads */
    struct rota__handle news;        /* made, or lost */
    rota_loop *loop;
    const rota_protocol *protocol;
    void *arg;
    size_t high;
    size_t low;
    struct rota__bindings *bindings; /* the context of its callbacks */
    struct rota__opening *opening;
    rota_server *server; /* that has accepted it, or NULL */
    struct rota__link client;
    struct rota__at_close at_close;
    void (*secured)(rota_transport *transport, int error, void *arg);
    unsigned references;
    int error; /* for connection_lost */
    enum rota__stage stage;
    bool known; /* its user has a handle, or has heard connection_made */
    bool reads_only;
    bool writes_only; /* then it "reads" to hear that the reader has gone */
    bool reading_paused;
    bool writing_paused;
    bool closing;
    bool eof; /* heard, and it goes on writing */
};

/* 0, or -EINVAL for one that cannot be told what it wants. */
int rota__protocol_check(const rota_protocol *protocol);
/* One with nothing in it yet; NULL: no memory. */
rota_transport *rota__transport_new(rota_loop *loop,
                                    const rota_protocol *protocol, void *arg);
/* Frees one that has never been shown to anybody. */
void rota__transport_discard(rota_transport *transport);
extern const struct rota__conn_events rota__transport_events;
/* The connection is there: connection_made comes in a turn, or now. */
void rota__transport_made_soon(rota_transport *transport);
void rota__transport_made(rota_transport *transport);
/* It is over for this reason, without waiting for what is queued. */
void rota__transport_fail(rota_transport *transport, int error);
/* connection_lost, and the end. */
void rota__transport_lost(rota_transport *transport, int error);
/* Reads in a turn, if there may be something and it is wanted. */
void rota__transport_read_soon(rota_transport *transport);
void rota__transport_on_readable(struct rota__handle *handle);
/* Encrypts one that is not OPEN yet, as an accepting or connecting end. */
int rota__transport_secure(rota_transport *transport, rota_tls_context *tls,
                           const rota_tls_options *options, const char *host);
/* Ends the connect that is under way. */
void rota__transport_stop_opening(rota_transport *transport);

/* Debug mode stops a foreign thread; of a lost one the loop may be gone. */
static inline void rota__transport_check_thread(const rota_transport *transport,
                                                const char *function)
{
    if (transport->stage != ROTA__LOST)
        rota__check_thread(transport->loop, function);
}

/* Lets the callback that comes next run in the transport's context. */
static inline void rota__transport_enter(rota_transport *transport)
{
    if (rota__unlikely(transport->bindings))
        rota__context_lend(transport->loop,
                           rota__bindings_ref(transport->bindings));
}

#endif
