/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: an echo inside one process, for counting instructions
 */
#include "micro.h"
#include "peer.h"

static intptr_t echo(rota_stream *stream, void *arg)
{
    char buf[256];
    intptr_t n;

    (void)arg;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        if ((n = rota_write(stream, buf, (size_t)n)) < 0)
            break;
    return n;
}

static double echo_body(long n)
{
    char buf[64] = {0};
    rota_address address;
    rota_server *server;
    rota_stream *stream;
    int64_t start;
    double figure;

    micro_must(rota_start_server(&server, echo, NULL, "127.0.0.1", 0));
    micro_must(rota_server_address(server, 0, &address));
    micro_must(rota_open_connection(&stream, "127.0.0.1",
                                    rota_address_port(&address)));
    start = peer_cpu_ns();
    for (long i = 0; i < n; i++) {
        micro_must(rota_write(stream, buf, sizeof buf));
        micro_must(rota_read_exactly(stream, buf, sizeof buf));
    }
    figure = peer_ns_per_op(start, n);
    rota_stream_free(stream);
    rota_server_free(server);
    return figure;
}

double echo_in_process(long n)
{
    return micro_run(echo_body, n);
}
