/* SPDX-License-Identifier: MIT */
/*
 * The echo server with a protocol instead of a task for each connection:
 * `echo_protocol [PORT]`
 *
 * Who does not read what it is sent back is not read from either. Port 7000 by
 * default, 0 for any free one.
 */
#include "announce.h"

/* An error is told by connection_lost as well. */
static void echo(rota_transport *transport, const void *data, size_t size,
                 void *arg)
{
    (void)arg;
    (void)rota_transport_write(transport, data, size);
}

static void hold_back(rota_transport *transport, void *arg)
{
    (void)arg;
    (void)rota_transport_pause_reading(transport);
}

static void go_on(rota_transport *transport, void *arg)
{
    (void)arg;
    (void)rota_transport_resume_reading(transport);
}

static const rota_protocol protocol = {
    .data_received = echo,
    .pause_writing = hold_back,
    .resume_writing = go_on,
};

static int serve(rota_loop *loop, int port)
{
    rota_server *server;
    int err = rota_create_server(&server, loop, &protocol, NULL, "127.0.0.1",
                                 port, NULL);

    if (err < 0)
        return err;
    err = announce(server);
    if (err == 0)
        err = rota_loop_run_forever(loop);
    rota_server_free(server);
    return err;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? parse_port(argv[1]) : 7000;
    rota_loop *loop;
    int err = rota_new_event_loop(&loop, NULL);

    if (err == 0) {
        err = serve(loop, port);
        rota_loop_free(loop);
    }
    if (err < 0)
        fprintf(stderr, "echo_protocol: port %d: %s\n", port,
                rota_strerror(err));
    return err < 0;
}
