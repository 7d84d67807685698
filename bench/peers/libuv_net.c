/* SPDX-License-Identifier: MIT */
/*
 * The peer libuv: the echo by TCP, Unix socket and UDP
 *
 * It tries to write at once and queues only what the socket did not take; then
 * it reads no more until that is written.
 */
#define _GNU_SOURCE
#include "libuv_net.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "peer.h"

struct pending {
    uv_write_t write;
    char bytes[];
};

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    static char buffer[65536];

    (void)handle, (void)hint;
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void on_written(uv_write_t *write, int status)
{
    if (status == 0)
        uv_read_start(write->handle, on_alloc, on_read);
    else if (!uv_is_closing((uv_handle_t *)write->handle))
        uv_close((uv_handle_t *)write->handle, on_closed);
    free(write);
}

static void write_later(uv_stream_t *stream, const char *bytes, size_t length)
{
    struct pending *pending = malloc(sizeof *pending + length);
    uv_buf_t buf;

    peer_check(pending != NULL, "out of memory");
    memcpy(pending->bytes, bytes, length);
    buf = uv_buf_init(pending->bytes, (unsigned)length);
    uv_read_stop(stream);
    uv_write(&pending->write, stream, &buf, 1, on_written);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    uv_buf_t out;
    int sent;

    if (got < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    out = uv_buf_init(buf->base, (unsigned)got);
    sent = got == 0 ? 0 : uv_try_write(stream, &out, 1);
    sent = sent < 0 ? 0 : sent;
    if (sent < got)
        write_later(stream, buf->base + sent, (size_t)(got - sent));
}

static void on_connection(uv_stream_t *server, int status)
{
    uv_tcp_t *tcp = peer_alloc(1, sizeof *tcp);

    peer_check(status == 0, "accept failed");
    uv_tcp_init(server->loop, tcp);
    uv_accept(server, (uv_stream_t *)tcp);
    uv_tcp_nodelay(tcp, 1);
    uv_read_start((uv_stream_t *)tcp, on_alloc, on_read);
}

void libuv_echo(const char *port, const char *what)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t server;

    (void)what;
    uv_tcp_init(loop, &server);
    uv_tcp_open(&server, peer_listen(atoi(port)));
    uv_listen((uv_stream_t *)&server, 1024, on_connection);
    uv_run(loop, UV_RUN_DEFAULT);
}

/* unix */

static void on_unix_connection(uv_stream_t *server, int status)
{
    uv_pipe_t *pipe = peer_alloc(1, sizeof *pipe);

    peer_check(status == 0, "accept failed");
    uv_pipe_init(server->loop, pipe, 0);
    uv_accept(server, (uv_stream_t *)pipe);
    uv_read_start((uv_stream_t *)pipe, on_alloc, on_read);
}

void libuv_unix(const char *path, const char *what)
{
    uv_loop_t *loop = uv_default_loop();
    uv_pipe_t server;

    (void)what;
    uv_pipe_init(loop, &server, 0);
    uv_pipe_open(&server, peer_listen_unix(path));
    uv_listen((uv_stream_t *)&server, 1024, on_unix_connection);
    uv_run(loop, UV_RUN_DEFAULT);
}

/* udp */

static void on_datagram(uv_udp_t *udp, ssize_t got, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    uv_buf_t out;

    (void)flags;
    if (got <= 0 || from == NULL)
        return;
    out = uv_buf_init(buf->base, (unsigned)got);
    uv_udp_try_send(udp, &out, 1, from);
}

void libuv_udp(const char *port, const char *what)
{
    uv_loop_t *loop = uv_default_loop();
    uv_udp_t udp;

    (void)what;
    uv_udp_init(loop, &udp);
    uv_udp_open(&udp, peer_udp(atoi(port)));
    uv_udp_recv_start(&udp, on_alloc, on_datagram);
    uv_run(loop, UV_RUN_DEFAULT);
}
