/* SPDX-License-Identifier: MIT */
/*
 * The peer libuv: files by HTTP, with Node's former parser
 *
 * GET with keep-alive. A file of up to 64 KiB is opened, looked at, read and
 * closed by libuv's synchronous calls, which for small files that are cached
 * are its quickest, and sent with its head by one write.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "libuv_net.h"
#include "peer.h"

enum { LARGEST = 65536, HEAD = 256 };

struct client {
    uv_tcp_t tcp; /* first: a handle is its client */
    http_parser parser;
    size_t path_size;
    char path[1024];
};

struct answer {
    uv_write_t write;
    char bytes[];
};

static const char *root;

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_client(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *)&client->tcp))
        uv_close((uv_handle_t *)&client->tcp, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
    if (status < 0)
        close_client((struct client *)write->handle);
    free(write);
}

static void send_answer(struct client *client, const char *bytes, size_t size)
{
    uv_stream_t *stream = (uv_stream_t *)&client->tcp;
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)size);
    int sent = uv_try_write(stream, &buf, 1);
    struct answer *rest;

    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent == size)
        return;
    size -= (size_t)sent;
    rest = malloc(sizeof *rest + size);
    peer_check(rest != NULL, "out of memory");
    memcpy(rest->bytes, bytes + sent, size);
    buf = uv_buf_init(rest->bytes, (unsigned)size);
    uv_write(&rest->write, stream, &buf, 1, on_written);
}

/* The size of a file that can be sent, or negative. */
static ssize_t size_of(uv_loop_t *loop, uv_file file)
{
    uv_fs_t call;
    ssize_t size = uv_fs_fstat(loop, &call, file, NULL);

    if (size == 0)
        size = (ssize_t)call.statbuf.st_size;
    if (size > LARGEST || !S_ISREG(call.statbuf.st_mode))
        size = UV_EFBIG;
    uv_fs_req_cleanup(&call);
    return size;
}

static ssize_t read_file(uv_loop_t *loop, uv_file file, char *buf)
{
    ssize_t size = size_of(loop, file);
    uv_buf_t into = uv_buf_init(buf, size < 0 ? 0 : (unsigned)size);
    uv_fs_t call;

    if (size < 0)
        return size;
    size = uv_fs_read(loop, &call, file, &into, 1, 0, NULL);
    uv_fs_req_cleanup(&call);
    return size;
}

/* The size of the client's file, its bytes into buf[LARGEST]; or negative. */
static ssize_t load_file(struct client *client, char *buf)
{
    uv_loop_t *loop = client->tcp.loop;
    char path[2048];
    uv_fs_t call;
    uv_file file;
    ssize_t got;

    if (memmem(client->path, client->path_size, "..", 2) != NULL)
        return UV_EACCES;
    snprintf(path, sizeof path, "%s%.*s", root, (int)client->path_size,
             client->path);
    file = uv_fs_open(loop, &call, path, O_RDONLY, 0, NULL);
    uv_fs_req_cleanup(&call);
    if (file < 0)
        return file;
    got = read_file(loop, file, buf);
    uv_fs_close(loop, &call, file, NULL);
    uv_fs_req_cleanup(&call);
    return got;
}

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct client *client = parser->data;

    if (client->path_size + length > sizeof client->path)
        return -1;
    memcpy(client->path + client->path_size, at, length);
    client->path_size += length;
    return 0;
}

/* The time of day as HTTP writes it, made anew each second. */
static const char *date(void)
{
    static char text[64];
    static time_t made;
    time_t now = time(NULL);

    if (now != made) {
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
        made = now;
    }
    return text;
}

/* The head is put right before the body, wherever that makes it begin. */
static int on_complete(http_parser *parser)
{
    static char answer[HEAD + LARGEST];
    char head[HEAD];
    struct client *client = parser->data;
    ssize_t size = load_file(client, answer + HEAD);
    size_t body = size < 0 ? 0 : (size_t)size, length;

    length =
        (size_t)snprintf(head, sizeof head,
                         "HTTP/1.1 %s\r\nDate: %s\r\nContent-Length: %zu\r\n"
                         "Content-Type: application/octet-stream\r\n\r\n",
                         size < 0 ? "404 Not Found" : "200 OK", date(), body);
    client->path_size = 0;
    memcpy(answer + HEAD - length, head, length);
    send_answer(client, answer + HEAD - length, length + body);
    if (!http_should_keep_alive(parser))
        close_client(client);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_message_complete = on_complete,
};

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    static char buffer[65536];

    (void)handle, (void)hint;
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct client *client = (struct client *)stream;

    if (got < 0 || http_parser_execute(&client->parser, &settings, buf->base,
                                       (size_t)got) != (size_t)got)
        close_client(client);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct client *client = peer_alloc(1, sizeof *client);

    peer_check(status == 0, "accept failed");
    uv_tcp_init(server->loop, &client->tcp);
    uv_accept(server, (uv_stream_t *)&client->tcp);
    uv_tcp_nodelay(&client->tcp, 1);
    http_parser_init(&client->parser, HTTP_REQUEST);
    client->parser.data = client;
    uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
}

void libuv_http(const char *port, const char *folder)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t server;

    peer_check(folder != NULL, "which folder?");
    root = folder;
    uv_tcp_init(loop, &server);
    uv_tcp_open(&server, peer_listen(atoi(port)));
    uv_listen((uv_stream_t *)&server, 1024, on_connection);
    uv_run(loop, UV_RUN_DEFAULT);
}
