/* SPDX-License-Identifier: MIT */
/*
 * Sends one file to whoever asks: `send_file PORT FILE [CERTIFICATE KEY]`
 *
 * Try it with `curl -o copy http://127.0.0.1:7000/`, or https:// and a
 * certificate. The system sends the file by itself; through TLS, threads read
 * it in pieces. Port 0 is any free one.
 */
#include "announce.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct offer {
    int port;
    int file;
    rota_server_options options;
};

static intptr_t client(rota_stream *stream, void *arg)
{
    const struct offer *offer = arg;
    struct stat status;
    char line[8192];
    intptr_t n;

    do /* whatever is asked for */
        n = rota_read_line(stream, line, sizeof line);
    while (n > 2);
    if (n <= 0 || fstat(offer->file, &status) < 0)
        return n;
    n = snprintf(line, sizeof line,
                 "HTTP/1.0 200 OK\r\nContent-Length: %lld\r\n\r\n",
                 (long long)status.st_size);
    n = rota_write(stream, line, (size_t)n);
    return n < 0 ? n : rota_sendfile(stream, offer->file, 0, 0, NULL);
}

static intptr_t amain(void *arg)
{
    struct offer *offer = arg;
    rota_server *server;
    int err = rota_start_server_with(&server, client, offer, "127.0.0.1",
                                     offer->port, &offer->options);

    if (err == 0)
        err = announce(server);
    return err < 0 ? err : rota_serve_forever(server);
}

static int encrypt(struct offer *offer, char **files)
{
    const rota_tls_context_options options = {
        .server = true, .certificate = files[0], .key = files[1]};
    char why[ROTA_TLS_MESSAGE];
    int err = rota_tls_context_new(&offer->options.tls, &options, why);

    if (err < 0)
        fprintf(stderr, "send_file: %s\n", why);
    return err;
}

int main(int argc, char **argv)
{
    struct offer offer = {0};
    intptr_t err = 0;

    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: send_file PORT FILE [CERTIFICATE KEY]\n");
        return 2;
    }
    offer.port = parse_port(argv[1]);
    offer.file = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (offer.file < 0) {
        perror(argv[2]);
        return 1;
    }
    if (argc == 5)
        err = encrypt(&offer, argv + 3);
    if (err == 0)
        err = rota_run(amain, &offer);
    rota_tls_context_free(offer.options.tls);
    close(offer.file);
    if (err < 0)
        fprintf(stderr, "send_file: %s\n", rota_strerror(err));
    return err < 0;
}
