/* SPDX-License-Identifier: MIT */
/*
 * Sends back what it gets, over TLS: `echo_tls CERTIFICATE KEY [PORT]`
 *
 * Port 7443 by default, 0 for any free one; the two are PEM files. Try it with
 * `openssl s_client -quiet -connect 127.0.0.1:7443`. What a connection runs is
 * what it would run in the clear: the server makes the handshakes.
 */
#include "announce.h"

static int port = 7443;

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

static intptr_t amain(void *context)
{
    const rota_server_options options = {.tls = context};
    rota_server *server;
    int err = rota_start_server_with(&server, client, NULL, "127.0.0.1", port,
                                     &options);

    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

static rota_tls_context *load(const char *certificate, const char *key)
{
    const rota_tls_context_options options = {
        .server = true,
        .certificate = certificate,
        .key = key,
    };
    rota_tls_context *context;
    char why[ROTA_TLS_MESSAGE];

    if (rota_tls_context_new(&context, &options, why) == 0)
        return context;
    fprintf(stderr, "echo_tls: %s\n", why);
    return NULL;
}

int main(int argc, char **argv)
{
    rota_tls_context *context;
    intptr_t err;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: echo_tls CERTIFICATE KEY [PORT]\n");
        return 2;
    }
    if (argc == 4)
        port = parse_port(argv[3]);
    context = load(argv[1], argv[2]);
    if (!context)
        return 1;
    err = rota_run(amain, context);
    rota_tls_context_free(context);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "echo_tls: port %d: %s\n", port, rota_strerror(err));
    return err < 0;
}
