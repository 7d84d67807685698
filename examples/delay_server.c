/* SPDX-License-Identifier: MIT */
/*
 * Answers after a while: `delay_server [--host HOST] [PORT]`
 *
 * GET /delay/2 answers after two seconds with JSON that repeats the request,
 * as httpbin.org/delay/2 does; 1.5 will do as well, 60 is the most. Port 7000
 * by default, 0 for any free one.
 */
#include "announce.h"
#include "delay.h"
#include <string.h>

struct place {
    const char *host;
    int port;
};

static intptr_t client(rota_stream *stream, void *arg)
{
    return http_serve(stream, delay_answer, arg);
}

static intptr_t amain(void *arg)
{
    const struct place *place = arg;
    rota_server *server;
    int err;

    err = rota_start_server(&server, client, NULL, place->host, place->port);
    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    struct place place = {"127.0.0.1", 7000};
    intptr_t err;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--host") == 0 && i + 1 < argc)
            place.host = argv[++i];
        else
            place.port = parse_port(argv[i]);
    }
    err = rota_run(amain, &place);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "delay_server: %s port %d: %s\n", place.host,
                place.port, rota_strerror(err));
    return err < 0;
}
