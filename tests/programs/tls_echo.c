/* SPDX-License-Identifier: MIT */
/*
 * Sends back what it gets, over TLS: `tls_echo CERTIFICATE KEY [AUTHORITY]`;
 * with an authority its clients must show a certificate of it
 *
 * A request of HTTP is answered instead, and that is the end. "quit" ends the
 * program.
 */
#include <rota.h>
#include <stdio.h>
#include <string.h>

static rota_server *server;

static intptr_t answer(rota_stream *stream)
{
    char text[256];
    rota_tls_info info;
    int n = rota_stream_tls_info(stream, &info);

    if (n < 0)
        return n;
    n = snprintf(text, sizeof text,
                 "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s %s %s\n",
                 info.version, info.alpn, info.server_name);
    return rota_write(stream, text, (size_t)n);
}

static intptr_t serve(rota_stream *stream, void *arg)
{
    char buf[16384];
    intptr_t n;

    (void)arg;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0) {
        if (n >= 4 && memcmp(buf, "GET ", 4) == 0)
            return answer(stream);
        if (n == 5 && memcmp(buf, "quit\n", 5) == 0) {
            rota_server_close(server);
            return 0;
        }
        n = rota_write(stream, buf, (size_t)n);
        if (n < 0)
            break;
    }
    if (n < 0)
        fprintf(stderr, "%s\n", rota_errname(n));
    return 0;
}

static intptr_t amain(void *context)
{
    const rota_server_options options = {.tls = context};
    rota_address address;
    int err =
        rota_start_server_with(&server, serve, NULL, "127.0.0.1", 0, &options);

    if (err < 0)
        return err;
    err = rota_server_address(server, 0, &address);
    if (err < 0)
        return err;
    printf("%d\n", rota_address_port(&address));
    fflush(stdout);
    err = rota_server_wait_closed(server);
    rota_server_free(server);
    return err;
}

int main(int argc, char **argv)
{
    const rota_tls_context_options options = {
        .server = true,
        .certificate = argc > 2 ? argv[1] : NULL,
        .key = argc > 2 ? argv[2] : NULL,
        .client_certificate = argc > 3,
        .ca_file = argc > 3 ? argv[3] : NULL,
        .alpn = "http/1.1,echo",
    };
    char why[ROTA_TLS_MESSAGE];
    rota_tls_context *context;
    intptr_t n = rota_tls_context_new(&context, &options, why);

    if (n < 0) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    n = rota_run(amain, context);
    rota_tls_context_free(context);
    return n < 0;
}
