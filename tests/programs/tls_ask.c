/* SPDX-License-Identifier: MIT */
/*
 * Asks a server over TLS: `tls_ask PORT AUTHORITY NAME [CERTIFICATE KEY]`
 *
 * Sends what is on its standard input and prints what comes back, at the same
 * time; ends with the connection, or when as much has come as was sent.
 */
#include <rota.h>
#include <stdio.h>
#include <stdlib.h>

static char *input;
static size_t input_size;
static const char *port, *name;

static void read_input(void)
{
    size_t capacity = 1 << 16;
    size_t n;

    input = malloc(capacity);
    while ((n = fread(input + input_size, 1, capacity - input_size, stdin)) >
           0) {
        input_size += n;
        if (input_size == capacity) {
            capacity *= 2;
            input = realloc(input, capacity);
        }
    }
}

static intptr_t send_all(void *stream)
{
    return rota_write(stream, input, input_size);
}

static intptr_t receive(rota_stream *stream)
{
    static char buf[50000];
    size_t sum = 0;
    intptr_t n = 1;

    while (n > 0 && sum < input_size) {
        n = rota_read(stream, buf, sizeof buf);
        if (n > 0)
            sum += fwrite(buf, 1, (size_t)n, stdout);
    }
    return n;
}

static intptr_t talk(rota_stream *stream)
{
    rota_tls_info info;
    rota_task task;
    intptr_t n = rota_create_task(&task, send_all, stream);
    intptr_t sent;

    if (n < 0)
        return n;
    n = receive(stream);
    sent = rota_await(task);
    if (rota_stream_tls_info(stream, &info) == 0)
        fprintf(stderr, "%s %s %s\n", info.version, info.alpn,
                info.peer_subject);
    rota_close(stream);
    if (n >= 0 && sent >= 0)
        n = rota_wait_closed(stream);
    return n < 0 ? n : sent < 0 ? sent : 0;
}

static intptr_t amain(void *context)
{
    char why[ROTA_TLS_MESSAGE] = "";
    const rota_connect_options options = {
        .tls = context,
        .tls_options = {.server_name = name, .why = why},
    };
    rota_stream *stream;
    intptr_t n =
        rota_open_connection_with(&stream, "127.0.0.1", atoi(port), &options);

    if (n < 0) {
        fprintf(stderr, "%s: %s\n", rota_errname(n), why);
        return n;
    }
    n = talk(stream);
    if (n < 0)
        fprintf(stderr, "%s\n", rota_errname(n));
    rota_stream_free(stream);
    return n;
}

int main(int argc, char **argv)
{
    rota_tls_context_options options = {
        .ca_file = argc > 3 ? argv[2] : NULL,
        .certificate = argc > 5 ? argv[4] : NULL,
        .key = argc > 5 ? argv[5] : NULL,
        .alpn = "echo",
    };
    rota_tls_context *context;
    intptr_t n;

    if (argc < 4 || rota_tls_context_new(&context, &options, NULL) < 0)
        return 2;
    port = argv[1];
    name = argv[3];
    read_input();
    n = rota_run(amain, context);
    rota_tls_context_free(context);
    free(input);
    return n < 0;
}
