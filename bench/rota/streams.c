/* SPDX-License-Identifier: MIT */
/*
 * rota's services by tasks and streams, a task for each connection
 *
 * The echo lends the loop's memory for what has come, so a task that waits has
 * nothing but its frames on its stack.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "serve.h"

enum { CHUNK = 65536, BACKLOG = 1024 };
#define LOCALHOST "127.0.0.1"

static const rota_server_options plain = {.backlog = BACKLOG};

static intptr_t echo_client(rota_stream *stream, void *arg)
{
    const void *data;
    intptr_t n;

    (void)arg;
    while ((n = rota_read_borrowed(stream, &data)) > 0)
        if ((n = rota_write(stream, data, (size_t)n)) < 0)
            break;
    return n;
}

static intptr_t relay_client(rota_stream *stream, void *arg)
{
    char *chunk = malloc(CHUNK);
    intptr_t n = -ENOMEM;

    (void)arg;
    while (chunk != NULL && (n = rota_read(stream, chunk, CHUNK)) > 0)
        if ((n = rota_write(stream, chunk, (size_t)n)) < 0)
            break;
    free(chunk);
    return n;
}

static intptr_t serve(const char *port, rota_client_connected *client,
                      void *arg, const rota_server_options *options)
{
    rota_server *server;
    int err = rota_start_server_with(&server, client, arg, LOCALHOST,
                                     atoi(port), options);

    return err < 0 ? err : rota_serve_forever(server);
}

static intptr_t echo(const char *port, const char *what)
{
    (void)what;
    return serve(port, echo_client, NULL, &plain);
}

static intptr_t relay(const char *port, const char *what)
{
    (void)what;
    return serve(port, relay_client, NULL, &plain);
}

static intptr_t echo_unix(const char *path, const char *what)
{
    rota_server *server;
    int err = rota_start_unix_server(&server, echo_client, NULL, path, &plain);

    (void)what;
    return err < 0 ? err : rota_serve_forever(server);
}

static intptr_t echo_tls(const char *port, const char *pem)
{
    rota_server_options options = plain;

    options.tls = serve_tls(pem);
    return options.tls == NULL ? -1 : serve(port, echo_client, NULL, &options);
}

/* Long transfers */

static intptr_t write_client(rota_stream *stream, void *arg)
{
    static char chunk[CHUNK];
    long left = *(long *)arg;
    intptr_t n = 0;

    while (left > 0 && n >= 0) {
        n = rota_write(stream, chunk, left < CHUNK ? (size_t)left : CHUNK);
        left -= n;
    }
    return n < 0 ? n : 0;
}

static intptr_t sendfile_client(rota_stream *stream, void *arg)
{
    return rota_sendfile(stream, *(int *)arg, 0, 0, NULL);
}

static intptr_t write_bytes(const char *port, const char *bytes)
{
    long wanted = bytes == NULL ? 0 : atol(bytes);

    return serve(port, write_client, &wanted, &plain);
}

static intptr_t send_file(const char *port, const char *path)
{
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    return file < 0 ? -ENOENT : serve(port, sendfile_client, &file, &plain);
}

int main(int argc, char **argv)
{
    static const struct service services[] = {
        {"echo", echo},           {"relay", relay},  {"unix", echo_unix},
        {"udp", serve_datagrams}, {"tls", echo_tls}, {"write", write_bytes},
        {"sendfile", send_file},  {NULL, NULL},
    };

    return serve_main(argc, argv, services);
}
