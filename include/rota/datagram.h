/* SPDX-License-Identifier: MIT */
/*
 * Datagrams: UDP and Unix datagram sockets, for protocols and for tasks
 *
 * Mirrors loop.create_datagram_endpoint() of asyncio's manual. The first part
 * is for callbacks, the second (rota_datagram) for tasks. A datagram arrives
 * whole, or not at all; one that is longer than the memory given, or over a
 * Unix socket than 256 KiB, is cut off.
 */
#ifndef ROTA_DATAGRAM_H
#define ROTA_DATAGRAM_H

#include <rota/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_datagram_transport rota_datagram_transport;
typedef struct rota_datagram rota_datagram;

/*
 * Where an endpoint stands. All zero is an IPv4 socket, which gets a free port
 * when it first sends. What is pointed to is copied. A Unix socket's file that
 * nobody has bound any more is replaced; none is removed at the end.
 */
typedef struct rota_datagram_options {
    const rota_address *local;  /* to bind to; NULL: nowhere yet */
    const rota_address *remote; /* to connect to: only its datagrams come, and
                                   sends need no address */
    int family;                 /* when neither is given; 0: AF_INET */
    bool reuse_port;
    bool broadcast; /* asyncio: allow_broadcast */
} rota_datagram_options;

/*
 * What an endpoint tells, in turns of the loop, but error_received and
 * pause_writing also from inside of sendto(). NULL for what does not matter.
 * asyncio: DatagramProtocol.
 */
typedef struct rota_datagram_protocol {
    void (*connection_made)(rota_datagram_transport *transport, void *arg);
    /* The data and the address are the loop's and gone when this returns. A
       Unix socket without a name gives an address with nothing in it. */
    void (*datagram_received)(rota_datagram_transport *transport,
                              const void *data, size_t size,
                              const rota_address *from, void *arg);
    /* A send or receive has failed; the endpoint goes on. */
    void (*error_received)(rota_datagram_transport *transport, int error,
                           void *arg);
    /* The last call, once: 0 after a close, -ECONNABORTED after an abort,
       -ROTA_ECLOSING when the loop closes. */
    void (*connection_lost)(rota_datagram_transport *transport, int error,
                            void *arg);
    /* More than the high-water mark is queued; no more than the low one. */
    void (*pause_writing)(rota_datagram_transport *transport, void *arg);
    void (*resume_writing)(rota_datagram_transport *transport, void *arg);
} rota_datagram_protocol;

/*
 * Makes an endpoint, which lives until connection_lost() has returned; it can
 * send at once. Errors: -EINVAL (no protocol, addresses of two families),
 * -EADDRINUSE and the others of bind and connect, -EMFILE, -ENOMEM,
 * -ROTA_ECLOSED.
 * asyncio: loop.create_datagram_endpoint().
 */
int rota_create_datagram_endpoint(rota_datagram_transport **transport,
                                  rota_loop *loop,
                                  const rota_datagram_protocol *protocol,
                                  void *arg,
                                  const rota_datagram_options *options);

/*
 * Sends to `to`, or, with NULL, to the remote address. What the system does
 * not take at once is kept as a copy and sent later, in order. What the system
 * refuses (-EMSGSIZE, -ECONNREFUSED...) comes by error_received, here or later,
 * and this returns 0. Errors: -ROTA_ECLOSING, -EDESTADDRREQ (no address),
 * -EISCONN (another than the remote one), -ENOMEM.  asyncio: sendto().
 */
int rota_datagram_transport_sendto(rota_datagram_transport *transport,
                                   const void *data, size_t size,
                                   const rota_address *to);

/* Closes once everything is sent; nothing is received any more.
   asyncio: close(). */
void rota_datagram_transport_close(rota_datagram_transport *transport);

/* Closes at once and drops what is queued. asyncio: abort(). */
void rota_datagram_transport_abort(rota_datagram_transport *transport);
bool rota_datagram_transport_is_closing(
    const rota_datagram_transport *transport);

/*
 * Above `high` queued bytes the protocol is paused, at `low` or below it goes
 * on; 65,536 and 16,384 at first. Each datagram counts 8 bytes more than it
 * has. -EINVAL if low > high.
 * asyncio: set_write_buffer_limits(), get_write_buffer_size().
 */
int rota_datagram_transport_set_write_buffer_limits(
    rota_datagram_transport *transport, size_t high, size_t low);
size_t rota_datagram_transport_get_write_buffer_size(
    const rota_datagram_transport *transport);

/* 0, -ROTA_ECLOSING, or what the system says (-ENOTCONN); the fd stays its
   own. asyncio: get_extra_info() of "sockname", "peername", "socket". */
int rota_datagram_transport_local_address(
    const rota_datagram_transport *transport, rota_address *out);
int rota_datagram_transport_peer_address(
    const rota_datagram_transport *transport, rota_address *out);
int rota_datagram_transport_fileno(const rota_datagram_transport *transport);

/* Keeps the handle usable after connection_lost; each ref wants an unref. */
void rota_datagram_transport_ref(rota_datagram_transport *transport);
void rota_datagram_transport_unref(rota_datagram_transport *transport);

/*
 * For tasks: makes an endpoint on the running loop; free it with
 * rota_datagram_free(). Does not await. Errors as above, -ROTA_ENOLOOP.
 */
int rota_datagram_open(rota_datagram **datagram,
                       const rota_datagram_options *options) ROTA_MUST_USE;

/*
 * Awaits a datagram; returns how much of it is in buf[size], which may be 0.
 * `from` and `truncated` may be NULL; with *truncated it was longer. A
 * cancelled call has taken none. Errors: what became of earlier sends of a
 * connected one (-ECONNREFUSED), once, and the endpoint goes on; -EBUSY
 * (another task is receiving), -ROTA_ECLOSING, -ENOMEM, -EINVAL (another
 * loop's), -ECANCELED, -ROTA_ENOTASK.
 */
intptr_t rota_datagram_recv(rota_datagram *datagram, void *buf, size_t size,
                            rota_address *from, bool *truncated) ROTA_MUST_USE;

/*
 * Sends, and awaits only while the system takes nothing; returns size. `to`
 * NULL: the remote address. Those who wait send in the order in which they
 * came; a cancelled one has sent nothing. Errors: -EMSGSIZE, -EDESTADDRREQ,
 * -EISCONN, -ECONNREFUSED, -ENETUNREACH and the others of the system,
 * -ROTA_ECLOSING, -EINVAL (another loop's), -ECANCELED, -ROTA_ENOTASK.
 */
intptr_t rota_datagram_send(rota_datagram *datagram, const void *data,
                            size_t size, const rota_address *to) ROTA_MUST_USE;

/* Closes at once; tasks that wait on it get -ROTA_ECLOSING. Again does
   nothing. */
void rota_datagram_close(rota_datagram *datagram);

/* Closes it if need be and gives the handle back. NULL is ignored. */
void rota_datagram_free(rota_datagram *datagram);

/* 0, -ROTA_ECLOSING, or what the system says; the fd stays its own. */
int rota_datagram_local_address(const rota_datagram *datagram,
                                rota_address *out);
int rota_datagram_peer_address(const rota_datagram *datagram,
                               rota_address *out);
int rota_datagram_fileno(const rota_datagram *datagram);

#ifdef __cplusplus
}
#endif

#endif
