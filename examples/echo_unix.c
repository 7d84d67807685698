/* SPDX-License-Identifier: MIT */
/*
 * Sends back what it gets, on a Unix socket: `echo_unix PATH`
 *
 * A path that begins with '@' names an abstract socket. Try it with
 * `nc -U PATH`. Between its reads a connection has no buffer: what it reads is
 * the loop's, until it waits again.
 */
#include <rota.h>
#include <stdio.h>

static intptr_t client(rota_stream *stream, void *arg)
{
    const void *data;
    intptr_t n;

    (void)arg;
    while ((n = rota_read_borrowed(stream, &data)) > 0)
        if ((n = rota_write(stream, data, (size_t)n)) < 0)
            break;
    return n;
}

static intptr_t amain(void *path)
{
    rota_server *server;
    int err = rota_start_unix_server(&server, client, NULL, path, NULL);

    if (err < 0)
        return err;
    printf("listening on %s\n", (char *)path);
    fflush(stdout);
    return rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    intptr_t err;

    if (argc != 2) {
        fprintf(stderr, "usage: echo_unix PATH\n");
        return 2;
    }
    err = rota_run(amain, argv[1]);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "echo_unix: %s: %s\n", argv[1], rota_strerror(err));
    return err < 0;
}
