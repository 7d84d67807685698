/* SPDX-License-Identifier: MIT */
/*
 * A conversation in lines that becomes encrypted, as SMTP's does:
 * `starttls_server CERTIFICATE KEY [PORT]`
 *
 * It knows EHLO, STARTTLS, NOOP and QUIT, and HOW, which asks how it is spoken
 * to. Port 7025 by default, 0 for any free one. Talk to it in the clear with
 * `nc 127.0.0.1 7025`, or otherwise with starttls_client or
 * `openssl s_client -starttls smtp -connect 127.0.0.1:7025`.
 *
 * After STARTTLS the client must not say a word before the answer. If it does,
 * rota_start_tls() gives -EPROTO: somebody on the way may have put that word
 * there, for us to believe that it came encrypted.
 */
#include "announce.h"
#include <string.h>
#include <strings.h>

static int port = 7025;

/* What a client does wrong is its own affair; ours is to hang up. */
static bool is_fault_of_peer(intptr_t err)
{
    return err == -EPROTO || err == -ROTA_ELIMIT;
}

static intptr_t say(rota_stream *stream, const char *line)
{
    return rota_write(stream, line, strlen(line));
}

static intptr_t encrypt(rota_stream *stream, rota_tls_context *context)
{
    const rota_tls_options options = {.server_side = true};
    intptr_t n = say(stream, "220 ready\r\n");
    int err;

    if (n < 0)
        return n;
    err = rota_start_tls(stream, context, &options);
    return err < 0 ? err : n;
}

static intptr_t tell_how(rota_stream *stream)
{
    rota_tls_info info;
    char line[128];

    if (rota_stream_tls_info(stream, &info) < 0)
        return say(stream, "250 in the clear\r\n");
    snprintf(line, sizeof line, "250 %s %s\r\n", info.version, info.cipher);
    return say(stream, line);
}

static intptr_t hang_up(rota_stream *stream)
{
    intptr_t n = say(stream, "221 good-bye\r\n");

    return n < 0 ? n : 0;
}

static bool is(const char *line, const char *command)
{
    size_t length = strlen(command);

    return strncasecmp(line, command, length) == 0 &&
           strchr(" \r\n", line[length]);
}

/* Less than 0 is an error, 0 the end. */
static intptr_t answer(rota_stream *stream, const char *line, void *context)
{
    rota_tls_info info;
    bool encrypted = rota_stream_tls_info(stream, &info) == 0;

    if (is(line, "EHLO"))
        return say(stream, encrypted ? "250 localhost\r\n"
                                     : "250-localhost\r\n250 STARTTLS\r\n");
    if (is(line, "STARTTLS"))
        return encrypted ? say(stream, "503 it is encrypted already\r\n")
                         : encrypt(stream, context);
    if (is(line, "HOW"))
        return tell_how(stream);
    if (is(line, "NOOP"))
        return say(stream, "250 nothing done\r\n");
    if (is(line, "QUIT"))
        return hang_up(stream);
    return say(stream, "500 pardon?\r\n");
}

static intptr_t client(rota_stream *stream, void *context)
{
    char line[512];
    intptr_t n = say(stream, "220 localhost\r\n");

    while (n > 0) {
        n = rota_read_line(stream, line, sizeof line - 1);
        if (n <= 0)
            break;
        line[n] = '\0';
        n = answer(stream, line, context);
    }
    return is_fault_of_peer(n) ? 0 : n;
}

static intptr_t amain(void *context)
{
    rota_server *server;
    int err = rota_start_server(&server, client, context, "127.0.0.1", port);

    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

int main(int argc, char **argv)
{
    rota_tls_context_options options = {.server = true};
    rota_tls_context *context;
    char why[ROTA_TLS_MESSAGE];
    intptr_t err;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: starttls_server CERTIFICATE KEY [PORT]\n");
        return 2;
    }
    options.certificate = argv[1];
    options.key = argv[2];
    if (argc == 4)
        port = parse_port(argv[3]);
    err = rota_tls_context_new(&context, &options, why);
    if (err < 0) {
        fprintf(stderr, "starttls_server: %s\n", why);
        return 1;
    }
    err = rota_run(amain, context);
    rota_tls_context_free(context);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "starttls_server: port %d: %s\n", port,
                rota_strerror(err));
    return err < 0;
}
