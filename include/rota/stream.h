/* SPDX-License-Identifier: MIT */
/*
 * Streams: connections that tasks read and write
 *
 * Mirrors "Streams" of asyncio's manual; reader and writer are one handle.
 * One task may read a stream at a time, any number may write; a write is
 * never mixed with another's. A stream belongs to its loop's thread.
 *
 * Reads give bytes; 0 is the end of the stream. After an error of the
 * connection (-ECONNRESET, -EPIPE, -ETIMEDOUT...) every call gives that
 * error. Closing a stream wakes the tasks that wait on it with
 * -ROTA_ECLOSING. Every call that awaits returns -ECANCELED when its task is
 * cancelled, with nothing lost: what was not returned is still in the stream,
 * and a cancelled write has taken all of its bytes or none.
 */
#ifndef ROTA_STREAM_H
#define ROTA_STREAM_H

#include <rota/address.h>
#include <rota/task.h>
#include <rota/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_stream rota_stream;

/*
 * Connects to a host (a name, an IPv4 or IPv6 address) and port; awaits. The
 * addresses of a name are tried in turn; if none answers, the error is the
 * first one's. Free the stream with rota_stream_free(). Errors: -EINVAL (no
 * host, a port outside 1..65535), -ROTA_ENONAME and the others of name
 * resolution, -ECONNREFUSED and the others of connect, -EMFILE, -ENOMEM.
 * asyncio: open_connection().
 */
int rota_open_connection(rota_stream **stream, const char *host,
                         int port) ROTA_MUST_USE;

/*
 * The same with options, which may be NULL: local address, happy eyeballs,
 * TLS. Errors besides: -ROTA_ECERT... and -ROTA_ETLS of a handshake,
 * -ETIMEDOUT, -EADDRINUSE, -EADDRNOTAVAIL and the others of bind.
 */
int rota_open_connection_with(rota_stream **stream, const char *host, int port,
                              const rota_connect_options *options)
    ROTA_MUST_USE;

/* Connects to a Unix socket; '@' begins an abstract name. Awaits, also while
   the backlog is full. Besides: -ENAMETOOLONG, -ENOENT.
   asyncio: open_unix_connection(). */
int rota_open_unix_connection(rota_stream **stream, const char *path,
                              const rota_connect_options *options)
    ROTA_MUST_USE;

/*
 * A stream over an fd that is open: a connected stream socket, a pipe, FIFO
 * or character device, in the directions that it has: -EBADF in others. It is
 * the stream's from now on; on an error still the caller's. Does not await.
 * Sets O_NONBLOCK, also for those who share the file. Errors: -EBADF, -EINVAL
 * (another socket), -EPERM (a regular file), -EEXIST (the loop watches it),
 * -ENOMEM, -ROTA_ENOLOOP.  asyncio: open_connection(sock=...),
 * connect_accepted_socket(), connect_read_pipe(), connect_write_pipe().
 */
int rota_open_fd(rota_stream **stream, int fd) ROTA_MUST_USE;

/*
 * Reads up to `size` bytes, at least one unless the stream ends. Errors
 * besides the connection's: -EBUSY (another task is reading),
 * -ROTA_ECLOSING, -EINVAL (size 0).  asyncio: StreamReader.read(n).
 */
intptr_t rota_read(rota_stream *stream, void *buf, size_t size) ROTA_MUST_USE;

/*
 * Reads exactly `size` bytes; returns size. -ROTA_EINCOMPLETE if the stream
 * ends before: what has come is still to be read with rota_read(). -ENOMEM.
 * asyncio: StreamReader.readexactly().
 */
intptr_t rota_read_exactly(rota_stream *stream, void *buf,
                           size_t size) ROTA_MUST_USE;

/*
 * Reads up to and with `separator`; returns the number of bytes put into
 * buf[size], the separator included. -ROTA_EINCOMPLETE if the stream ends
 * before; -ROTA_ELIMIT if no separator is found within the stream's limit or
 * within `size`. In both cases nothing is taken from the stream.
 * asyncio: StreamReader.readuntil().
 */
intptr_t rota_read_until(rota_stream *stream, const void *separator,
                         size_t separator_size, void *buf,
                         size_t size) ROTA_MUST_USE;

/*
 * The same with several separators: up to and with the one that ends first.
 * None, or an empty one: -EINVAL.  asyncio: readuntil(tuple), of 3.13.
 */
typedef struct rota_separator {
    const void *data;
    size_t size;
} rota_separator;

intptr_t rota_read_until_any(rota_stream *stream,
                             const rota_separator *separators, int count,
                             void *buf, size_t size) ROTA_MUST_USE;

/*
 * Reads a line with its '\n'; at the end of the stream what is left, without
 * one, and then 0. Not terminated with a zero byte. -ROTA_ELIMIT as above.
 * asyncio: StreamReader.readline().
 */
intptr_t rota_read_line(rota_stream *stream, void *buf,
                        size_t size) ROTA_MUST_USE;

/*
 * Reads all up to the end of the stream into buf[size]; returns how many.
 * -ROTA_ELIMIT if there is more: what has come is still to be read.
 * asyncio: StreamReader.read(-1).
 */
intptr_t rota_read_all(rota_stream *stream, void *buf,
                       size_t size) ROTA_MUST_USE;

/*
 * Reads what has come without memory of the caller's: *data is the loop's and
 * holds until this task next awaits. It may be given to one rota_write() or
 * rota_writelines(), all or a part, to any stream of the loop: what must wait
 * there is copied; what is not part of that write is gone then. An idle task
 * without a buffer costs one page. Errors and end as rota_read(), and -ENOMEM.
 */
intptr_t rota_read_borrowed(rota_stream *stream,
                            const void **data) ROTA_MUST_USE;

/* True when the peer has ended and everything has been read. */
bool rota_at_eof(const rota_stream *stream);

/* How far read_until and read_line look, in bytes; 65,536 at first. */
int rota_stream_set_limit(rota_stream *stream, size_t limit);

/*
 * Writes all of it; returns size. It waits while the peer is slow, so that
 * never more than the high-water mark is kept in memory. Errors besides the
 * connection's: -ROTA_ECLOSING, -EPIPE (after rota_write_eof()), -ENOMEM.
 * asyncio: writer.write() and await writer.drain().
 */
intptr_t rota_write(rota_stream *stream, const void *data,
                    size_t size) ROTA_MUST_USE;

/*
 * Writes several pieces as one, by one system call where it can.
 * asyncio: writer.writelines() and await writer.drain().
 */
intptr_t rota_writelines(rota_stream *stream, const struct iovec *parts,
                         int count) ROTA_MUST_USE;

/*
 * Takes all of it without waiting: what the system does not take at once is
 * copied. From callbacks too. Pair it with rota_drain(). Errors as above, and
 * -EBUSY while a rota_write() is under way.
 * asyncio: writer.write().
 */
int rota_write_nowait(rota_stream *stream, const void *data, size_t size);

/*
 * Above `high` queued bytes writers wait, at `low` or below they go on;
 * 65,536 and 16,384 at first. -EINVAL if low > high.
 * asyncio: transport.set_write_buffer_limits().
 */
int rota_stream_set_write_buffer_limits(rota_stream *stream, size_t high,
                                        size_t low);

/*
 * Waits while more is queued than the high-water mark, until it is no more
 * than the low one.  asyncio: writer.drain().
 */
int rota_drain(rota_stream *stream) ROTA_MUST_USE;

/* Bytes that are queued and that the system has not taken yet. */
size_t rota_stream_write_buffer_size(const rota_stream *stream);

/*
 * Ends our direction after everything that was written; reading goes on.
 * 0, -ROTA_ECLOSING, -EBUSY (a rota_write() is under way), -EOPNOTSUPP (over
 * TLS) or the connection's error. Of what is no socket it is rota_close().
 * asyncio: write_eof().
 */
int rota_write_eof(rota_stream *stream);

/*
 * Begins to close: what is queued is still sent, in the background; nothing
 * more is read or written. Again does nothing.  asyncio: writer.close().
 */
void rota_close(rota_stream *stream);

/* The same at once: what is queued is dropped, the peer sees a reset. */
void rota_abort(rota_stream *stream);

bool rota_is_closing(const rota_stream *stream);

/*
 * Waits until a stream that is closing is closed. 0 or the error that the
 * connection had; -EINVAL if it is not closing.
 * asyncio: writer.wait_closed().
 */
int rota_wait_closed(rota_stream *stream) ROTA_MUST_USE;

/*
 * Closes the stream if need be and gives its handle back. NULL is ignored.
 * What is queued is sent in the background as long as the loop lives: await
 * rota_wait_closed() first if it must arrive.
 */
void rota_stream_free(rota_stream *stream);

/*
 * Sends `count` bytes of a file from `offset` on, or with count 0 all up to
 * its end, after what was written; returns how many, which are fewer if the
 * file ends before. What is in memory goes without a copy where the system
 * can (sendfile); all else, and over TLS, in pieces, which a thread reads if a
 * disk must be asked. Writes of other tasks come before or after it. *sent (may
 * be NULL) says how much has gone, also after an error or cancelled. Errors
 * besides those of rota_write() and of reading: -EBADF, -EINVAL (a negative
 * offset), -ESPIPE (not a file).  asyncio: loop.sendfile().
 */
intptr_t rota_sendfile(rota_stream *stream, int file, int64_t offset,
                       size_t count, size_t *sent) ROTA_MUST_USE;

/*
 * Encrypts a connection that has begun in the clear; awaits until what was
 * written is sent, and the handshake. Errors with nothing changed: -EINVAL
 * (see rota_tls_options), -EBUSY (somebody reads or writes, or it is encrypted
 * already), -EPROTO (more has come in the clear than was read: an injected
 * command would hide there), -EPIPE (after rota_write_eof()), -ENOMEM,
 * -ROTA_ENOTLS. Those of the handshake close the stream: -ROTA_ECERT... and
 * -ROTA_ETLS..., -ETIMEDOUT, -ECONNRESET.  asyncio: StreamWriter.start_tls().
 */
int rota_start_tls(rota_stream *stream, rota_tls_context *tls,
                   const rota_tls_options *options) ROTA_MUST_USE;

/*
 * asyncio: get_extra_info(). "peername" and "sockname": 0, -ROTA_ECLOSING once
 * the stream is closed, or what the system says. "socket" and "pipe": the fd,
 * which stays the stream's. "cipher", "peercert"...: -ENOENT without TLS.
 */
int rota_stream_peer_address(const rota_stream *stream, rota_address *out);
int rota_stream_local_address(const rota_stream *stream, rota_address *out);
int rota_stream_fileno(const rota_stream *stream);
int rota_stream_tls_info(const rota_stream *stream, rota_tls_info *out);

/* The peer's certificate in DER into out[size]; its size, 0 if it gave none.
   -ENOENT without TLS, -ENOSPC. asyncio: get_extra_info("peercert"). */
intptr_t rota_stream_peer_certificate(const rota_stream *stream, void *out,
                                      size_t size);

/* A client's session, for tls_options.session; free it. 0 or -ENOENT (none
   yet: TLS 1.3 gives it with the first bytes that are read). */
int rota_stream_tls_session(const rota_stream *stream, rota_tls_session **out);

#ifdef __cplusplus
}
#endif

#endif
