/* SPDX-License-Identifier: MIT */
/*
 * Transports and protocols: connections with callbacks
 *
 * Mirrors "Transports and Protocols" of asyncio's manual: the layer for those
 * who want no task. A transport carries bytes; its protocol, a table of
 * functions, is told what happens, on the loop's thread and never from inside
 * the call that caused it, but for pause_writing.
 *
 *     connection_made -> (data | buffer)* -> eof_received? -> connection_lost
 *
 * A transport is made by one of the rota_create_... and rota_connect_... calls
 * and lives until connection_lost() has returned, which is called exactly
 * once for each. Who needs the handle longer takes a reference.
 *
 * Data that was written and not yet taken by the system is kept as a copy;
 * pause_writing() and resume_writing() tell when that becomes too much.
 */
#ifndef ROTA_TRANSPORT_H
#define ROTA_TRANSPORT_H

#include <rota/address.h>
#include <rota/loop.h>
#include <rota/tls.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_transport rota_transport;

/*
 * What a transport calls, with its `arg`; NULL for what does not matter.
 * asyncio: Protocol and BufferedProtocol.
 */
typedef struct rota_protocol {
    void (*connection_made)(rota_transport *transport, void *arg);

    /* Bytes have come; they are the loop's and gone when this returns. */
    void (*data_received)(rota_transport *transport, const void *data,
                          size_t size, void *arg);

    /*
     * Instead of data_received: lends memory for the next bytes, *size of it,
     * which was set to what is sensible; then says how much was filled.
     * NULL, or a size of 0, is a fault: the connection is lost, -ENOBUFS.
     */
    void *(*get_buffer)(rota_transport *transport, size_t *size, void *arg);
    void (*buffer_updated)(rota_transport *transport, size_t size, void *arg);

    /* The peer has ended. False, or no function: the transport closes; true:
       it goes on writing (not over TLS, nor where there is one direction). */
    bool (*eof_received)(rota_transport *transport, void *arg);

    /*
     * The last call. `error` is 0 after an orderly close, -ECONNABORTED after
     * rota_transport_abort() or a close while it connects, -ROTA_ECLOSING when
     * the loop closes, or what went wrong: also why a connect has failed. One
     * that ends before its first turn has heard no connection_made.
     */
    void (*connection_lost)(rota_transport *transport, int error, void *arg);

    /* More than the high-water mark is queued; no more than the low one. */
    void (*pause_writing)(rota_transport *transport, void *arg);
    void (*resume_writing)(rota_transport *transport, void *arg);
} rota_protocol;

/* How to connect; all zero is the default. */
typedef struct rota_connect_options {
    int family;             /* AF_INET or AF_INET6 only; 0: both */
    const char *local_host; /* to connect from: a number, not a name; passes
                               over addresses of another family */
    int local_port;
    double happy_eyeballs_delay; /* seconds after which the next address is
                                    tried beside the ones before, 0.25 by RFC
                                    8305; 0: one after the other */
    int interleave;        /* how many addresses of the first family come before
                              families alternate; 0: 1 with a delay, and without
                              one they keep their order */
    rota_tls_context *tls; /* encrypt; NULL: do not */
    rota_tls_options tls_options;
} rota_connect_options;

/*
 * Connects to a host (a name, an IPv4 or IPv6 address) and port, with the
 * protocol to be told; `options` may be NULL. The transport can be closed or
 * aborted at once; writing waits for connection_made. What the options point
 * to must stay until connection_made or connection_lost. Errors: -EINVAL,
 * -ROTA_EFAMILY (a number of another family), -ENOMEM, -ROTA_ECLOSED, -EAGAIN
 * (no thread to look the name up); all others
 * come by connection_lost: -ROTA_ENONAME..., -ECONNREFUSED and the others of
 * connect, -ROTA_ECERT... of TLS.  asyncio: loop.create_connection().
 */
int rota_create_connection(rota_transport **transport, rota_loop *loop,
                           const rota_protocol *protocol, void *arg,
                           const char *host, int port,
                           const rota_connect_options *options);

/* The same to a Unix socket; '@' begins an abstract name.
   asyncio: loop.create_unix_connection(). */
int rota_create_unix_connection(rota_transport **transport, rota_loop *loop,
                                const rota_protocol *protocol, void *arg,
                                const char *path,
                                const rota_connect_options *options);

/*
 * A transport over a stream socket that is connected, which is the
 * transport's from now on (on an error it is still the caller's). With
 * options->tls this end accepts. Errors: -EBADF, -ENOTSOCK, -EINVAL (no
 * stream, or one that listens), -EEXIST (the loop watches it already),
 * -ENOMEM, -ROTA_ECLOSED.
 * asyncio: loop.connect_accepted_socket().
 */
int rota_connect_accepted_socket(rota_transport **transport, rota_loop *loop,
                                 const rota_protocol *protocol, void *arg,
                                 int fd, const rota_connect_options *options);

/*
 * A transport that only reads, or only writes: a pipe, FIFO, socket or
 * character device, which is the transport's from now on. Calls for the other
 * direction give -EBADF. One that only writes is lost when its reader has
 * gone: -EPIPE if something was queued, else 0; a terminal's is not watched.
 * Errors as above; -EBADF for an fd that is not open in this direction, -EPERM
 * for a regular file.
 * asyncio: loop.connect_read_pipe(), loop.connect_write_pipe().
 */
int rota_connect_read_pipe(rota_transport **transport, rota_loop *loop,
                           const rota_protocol *protocol, void *arg, int fd);
int rota_connect_write_pipe(rota_transport **transport, rota_loop *loop,
                            const rota_protocol *protocol, void *arg, int fd);

/*
 * Writes: sends what the system takes at once and keeps a copy of the rest.
 * Errors: -ROTA_ECLOSING, -EPIPE (after write_eof), -ENOTCONN (before
 * connection_made), -EBUSY (during a handshake), -ENOMEM (nothing was taken,
 * or, when a part had been sent, the connection is lost), or what the
 * connection met, which connection_lost is told as well.
 * asyncio: WriteTransport.write(), writelines().
 */
int rota_transport_write(rota_transport *transport, const void *data,
                         size_t size);
int rota_transport_writelines(rota_transport *transport,
                              const struct iovec *parts, int count);

/*
 * Ends our direction after what was written; closes one that only writes. 0,
 * -EOPNOTSUPP (over TLS: asyncio's can_write_eof()), or as of write.
 * asyncio: write_eof().
 */
int rota_transport_write_eof(rota_transport *transport);
bool rota_transport_can_write_eof(const rota_transport *transport);

/* Closes once everything is sent. asyncio: close(). */
void rota_transport_close(rota_transport *transport);

/* Closes at once; the peer sees a reset. asyncio: abort(). */
void rota_transport_abort(rota_transport *transport);
bool rota_transport_is_closing(const rota_transport *transport);

/*
 * Stops and goes on with receiving; again does nothing. -ROTA_ECLOSING.
 * asyncio: pause_reading(), resume_reading(), is_reading().
 */
int rota_transport_pause_reading(rota_transport *transport);
int rota_transport_resume_reading(rota_transport *transport);
bool rota_transport_is_reading(const rota_transport *transport);

/*
 * Above `high` queued bytes the protocol is paused, at `low` or below it goes
 * on; 65,536 and 16,384 at first. -EINVAL if low > high.
 * asyncio: set_write_buffer_limits(), get_write_buffer_size(), ..._limits().
 */
int rota_transport_set_write_buffer_limits(rota_transport *transport,
                                           size_t high, size_t low);
void rota_transport_get_write_buffer_limits(const rota_transport *transport,
                                            size_t *high, size_t *low);
size_t rota_transport_get_write_buffer_size(const rota_transport *transport);

/* Another protocol from the next call on; -EINVAL for one with half of a
   buffer. asyncio: set_protocol(). */
int rota_transport_set_protocol(rota_transport *transport,
                                const rota_protocol *protocol, void *arg);
void *rota_transport_get_protocol_arg(const rota_transport *transport);

/*
 * Encrypts a connection that has begun in the clear. When the handshake is
 * over, done(transport, error, arg) is called; on an error connection_lost
 * follows. No data comes before. Errors: -ROTA_ECLOSING, -EBUSY (data is
 * still queued, or it has begun), -EINVAL, -ENOMEM, -ROTA_ENOTLS.
 * asyncio: loop.start_tls().
 */
int rota_transport_start_tls(rota_transport *transport, rota_tls_context *tls,
                             const rota_tls_options *options,
                             void (*done)(rota_transport *transport, int error,
                                          void *arg));

/*
 * asyncio: get_extra_info(). "peername" and "sockname": 0, -ROTA_ECLOSING, or
 * what the system says. "socket" and "pipe": the fd, or -ROTA_ECLOSING; it
 * stays the transport's. "cipher", "peercert"...: -ENOENT without TLS.
 */
int rota_transport_peer_address(const rota_transport *transport,
                                rota_address *out);
int rota_transport_local_address(const rota_transport *transport,
                                 rota_address *out);
int rota_transport_fileno(const rota_transport *transport);
int rota_transport_tls_info(const rota_transport *transport,
                            rota_tls_info *out);

/* The peer's certificate and a client's session, as of a stream
   (rota_stream_peer_certificate(), rota_stream_tls_session()). */
intptr_t rota_transport_peer_certificate(const rota_transport *transport,
                                         void *out, size_t size);
int rota_transport_tls_session(const rota_transport *transport,
                               rota_tls_session **out);

rota_loop *rota_transport_get_loop(const rota_transport *transport);

/* Keeps the handle usable after connection_lost; each ref wants an unref. */
void rota_transport_ref(rota_transport *transport);
void rota_transport_unref(rota_transport *transport);

#ifdef __cplusplus
}
#endif

#endif
