/* SPDX-License-Identifier: MIT */
/*
 * rota's echo server, a task for each connection: PROGRAM PORT
 */
#include <rota.h>
#include <stdlib.h>

static intptr_t client(rota_stream *stream, void *arg)
{
    char buf[16384 + 1]; /* one more than a message: it comes back short */
    intptr_t n;

    (void)arg;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        if ((n = rota_write(stream, buf, (size_t)n)) < 0)
            break;
    return n;
}

static intptr_t amain(void *arg)
{
    rota_server *server;
    int err = rota_start_server(&server, client, NULL, "127.0.0.1", atoi(arg));

    return err < 0 ? err : rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    return rota_run(amain, argv[1]) < 0;
}
