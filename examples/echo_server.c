/* SPDX-License-Identifier: MIT */
/*
 * Sends back what it gets: `echo_server [PORT [IDLE_SECONDS]]`
 *
 * Port 7000 by default, 0 for any free one. A connection that is silent for
 * half a minute is closed.
 */
#include "announce.h"

static int port = 7000;
static double patience = 30.0;

static intptr_t client(rota_stream *s, void *arg)
{
    char buf[16384]; /* on the task's own 64 KiB stack */
    rota_timeout idle;
    intptr_t n;

    (void)arg;
    do {
        n = rota_timeout_begin(&idle, patience);
        if (n < 0)
            return n;
        n = rota_read(s, buf, sizeof buf);
        if (n > 0)
            n = rota_write(s, buf, (size_t)n);
        n = rota_timeout_end(&idle, n);
    } while (n > 0);
    return n == -ETIMEDOUT ? 0 : n; /* the server closes and frees s */
}

static intptr_t amain(void *arg)
{
    rota_server *server;
    int err = rota_start_server(&server, client, arg, "127.0.0.1", port);

    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    intptr_t err;

    if (argc > 1)
        port = parse_port(argv[1]);
    if (argc > 2)
        patience = strtod(argv[2], NULL);
    err = rota_run(amain, NULL);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "echo_server: port %d: %s\n", port, rota_strerror(err));
    return err < 0;
}
