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

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_stream rota_stream;
typedef struct rota_server rota_server;

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
 * Reads a line with its '\n'; at the end of the stream what is left, without
 * one, and then 0. Not terminated with a zero byte. -ROTA_ELIMIT as above.
 * asyncio: StreamReader.readline().
 */
intptr_t rota_read_line(rota_stream *stream, void *buf,
                        size_t size) ROTA_MUST_USE;

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
 * Takes all of it without waiting: what the system does not take at once is
 * copied. From callbacks too. Pair it with rota_drain(). Errors as above, and
 * -EBUSY while a rota_write() is under way.
 * asyncio: writer.write().
 */
int rota_write_nowait(rota_stream *stream, const void *data, size_t size);

/*
 * Waits while more is queued than the high-water mark (64 KiB), until it is
 * below the low one (16 KiB).  asyncio: writer.drain().
 */
int rota_drain(rota_stream *stream) ROTA_MUST_USE;

/* Bytes that are queued and that the system has not taken yet. */
size_t rota_stream_write_buffer_size(const rota_stream *stream);

/*
 * Ends our direction after everything that was written; reading goes on.
 * 0, -ROTA_ECLOSING, -EBUSY (a rota_write() is under way), or the connection's
 * error.  asyncio: write_eof().
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
 * Who is at both ends. 0, -ROTA_ECLOSING once the stream is closed, or what
 * the system says. asyncio: get_extra_info("peername"), ("sockname").
 */
int rota_stream_peer_address(const rota_stream *stream, rota_address *out);
int rota_stream_local_address(const rota_stream *stream, rota_address *out);

/* What a server runs as a task for each connection. */
typedef intptr_t rota_client_connected(rota_stream *stream, void *arg);

/*
 * Listens on host and port and runs client(stream, arg) as a task for each
 * connection; when that returns, the stream is closed and freed. Awaits only
 * to resolve a name. `host` NULL: all addresses of the machine, IPv4 and
 * IPv6. `port` 0: any free one (see rota_server_address()).
 *
 * What client() returns is reported to the exception handler if it is an
 * error, other than -ECANCELED and what a peer can cause by going away or
 * being silent (-ECONNRESET, -EPIPE, -ETIMEDOUT). A lack of fds is reported
 * too; listening goes on a second later.
 *
 * Free it with rota_server_free(), or let rota_serve_forever() do so. Errors:
 * -ROTA_ENOLOOP, -ROTA_ENOTASK (a name to look up, outside a task), -EINVAL,
 * -EADDRINUSE and the others of bind, -ROTA_ENONAME..., -EMFILE,
 * -ENOMEM.  asyncio: start_server().
 */
int rota_start_server(rota_server **server, rota_client_connected *client,
                      void *arg, const char *host, int port) ROTA_MUST_USE;

/*
 * Serves until its task is cancelled (or another one closes the server), then
 * closes the server, cancels the tasks of its connections, waits for them and
 * frees the server. Returns -ECANCELED, or 0 when it was closed.
 * asyncio: Server.serve_forever().
 */
int rota_serve_forever(rota_server *server) ROTA_MUST_USE;

/* Stops listening; connections go on. asyncio: Server.close(). */
void rota_server_close(rota_server *server);

/*
 * Waits until the server is closed and all tasks of its connections are done.
 * asyncio: Server.wait_closed().
 */
int rota_server_wait_closed(rota_server *server) ROTA_MUST_USE;

/* Cancels the task of every connection. */
void rota_server_cancel_clients(rota_server *server);

/* Closes the server if need be and gives it back; connections go on. */
void rota_server_free(rota_server *server);

/*
 * The address of the i-th socket that is listened on, in order; -ENOENT
 * behind the last one.  asyncio: Server.sockets.
 */
int rota_server_address(const rota_server *server, size_t i, rota_address *out);

#ifdef __cplusplus
}
#endif

#endif
