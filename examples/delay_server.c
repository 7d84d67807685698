/* SPDX-License-Identifier: MIT */
/*
 * Answers after a while: `delay_server [--host HOST] [PORT]`
 *
 * GET /delay/2 answers after two seconds with JSON that repeats the request,
 * as httpbin.org/delay/2 does; 1.5 will do as well, 60 is the most. Port 7000
 * by default, 0 for any free one.
 */
#include "delay.h"
#include <stdlib.h>
#include <string.h>

static int announce(const rota_server *server)
{
    rota_address address;
    char host[64];
    int err = rota_server_address(server, 0, &address);

    if (err == 0)
        err = rota_address_host(&address, host, sizeof host);
    if (err < 0)
        return err;
    printf("listening on %s port %d\n", host, rota_address_port(&address));
    fflush(stdout);
    return 0;
}

struct place {
    const char *host;
    int port;
};

static intptr_t client(rota_stream *stream, void *arg)
{
    (void)arg;
    return http_serve(stream, delay_answer);
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

/* A port, or -1, which nobody can listen on. */
static int parse_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);

    return *end || port < 0 || port > 65535 ? -1 : (int)port;
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
    if (err < 0)
        fprintf(stderr, "delay_server: %s port %d: %s\n", place.host,
                place.port, rota_strerror(err));
    return err < 0;
}
