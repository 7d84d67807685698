/* SPDX-License-Identifier: MIT */
/*
 * Asks starttls_server, or a mail server: `starttls_client CA HOST PORT`
 *
 * Begins in the clear, asks for encryption, verifies that the certificate is
 * for HOST and of the authority in the PEM file CA, and shows what is said. A
 * server that offers no encryption is left: someone on the way may have struck
 * the offer out.
 */
#include "announce.h"
#include <string.h>

struct call {
    const char *host;
    int port;
    rota_tls_context *context;
    rota_stream *stream;
    bool offered;               /* STARTTLS, by the last answer */
    char why[ROTA_TLS_MESSAGE]; /* "", or what was wrong */
};

static intptr_t fail(struct call *call, intptr_t err, const char *why)
{
    snprintf(call->why, sizeof call->why, "%s", why);
    return err;
}

/* An answer has several lines, "250-first", "250 last"; its number. */
static intptr_t hear(struct call *call)
{
    char line[512];
    intptr_t n;

    call->offered = false;
    do {
        n = rota_read_line(call->stream, line, sizeof line - 1);
        if (n < 0)
            return n;
        line[n] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        if (strlen(line) < 3)
            return -EPROTO;
        printf("< %s\n", line);
        call->offered |= strcmp(line + 3, " STARTTLS") == 0 ||
                         strcmp(line + 3, "-STARTTLS") == 0;
    } while (line[3] == '-');
    return strtol(line, NULL, 10);
}

static intptr_t expect(struct call *call, long number)
{
    intptr_t n = hear(call);

    return n < 0 || n == number ? n : -EPROTO;
}

static intptr_t ask(struct call *call, const char *command, long number)
{
    struct iovec parts[] = {
        {(void *)(uintptr_t)command, strlen(command)},
        {"\r\n", 2},
    };
    intptr_t n = rota_writelines(call->stream, parts, 2);

    printf("> %s\n", command);
    return n < 0 ? n : expect(call, number);
}

static intptr_t encrypt(struct call *call)
{
    const rota_tls_options options = {
        .server_name = call->host,
        .why = call->why,
    };
    intptr_t n = ask(call, "STARTTLS", 220);

    return n < 0 ? n : rota_start_tls(call->stream, call->context, &options);
}

/* All that was said in the clear is forgotten, so greetings come again. */
static intptr_t converse(struct call *call)
{
    intptr_t n = expect(call, 220);

    if (n > 0)
        n = ask(call, "EHLO localhost", 250);
    if (n > 0 && !call->offered)
        n = fail(call, -EPROTO, "no encryption is offered");
    if (n > 0)
        n = encrypt(call);
    if (n < 0)
        return n;
    n = ask(call, "EHLO localhost", 250);
    if (n > 0)
        n = ask(call, "HOW", 250);
    return n > 0 ? ask(call, "QUIT", 221) : n;
}

static intptr_t amain(void *arg)
{
    struct call *call = arg;
    intptr_t n = rota_open_connection(&call->stream, call->host, call->port);

    if (n < 0)
        return n;
    n = converse(call);
    rota_stream_free(call->stream);
    return n;
}

int main(int argc, char **argv)
{
    rota_tls_context_options options = {0};
    struct call call = {0};
    intptr_t err;

    if (argc != 4) {
        fprintf(stderr, "usage: starttls_client CA HOST PORT\n");
        return 2;
    }
    options.ca_file = argv[1];
    call.host = argv[2];
    call.port = parse_port(argv[3]);
    err = rota_tls_context_new(&call.context, &options, call.why);
    if (err == 0) {
        err = rota_run(amain, &call);
        rota_tls_context_free(call.context);
    }
    if (err < 0)
        fprintf(stderr, "starttls_client: %s\n",
                call.why[0] ? call.why : rota_strerror(err));
    return err < 0;
}
