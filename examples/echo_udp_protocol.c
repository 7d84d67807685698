/* SPDX-License-Identifier: MIT */
/*
 * The same as echo_udp, with a protocol instead of a task:
 * `echo_udp_protocol [PORT]`
 *
 * Port 7000 by default, 0 for any free one.
 */
#include "announce.h"

static void say_where(rota_datagram_transport *transport, void *arg)
{
    rota_address address;

    (void)arg;
    if (rota_datagram_transport_local_address(transport, &address) == 0)
        (void)announce_address(&address);
}

/* What cannot be answered is lost, as datagrams are now and then. */
static void echo(rota_datagram_transport *transport, const void *data,
                 size_t size, const rota_address *from, void *arg)
{
    (void)arg;
    (void)rota_datagram_transport_sendto(transport, data, size, from);
}

static const rota_datagram_protocol protocol = {
    .connection_made = say_where,
    .datagram_received = echo,
};

static int serve(rota_loop *loop, int port)
{
    rota_datagram_transport *transport;
    rota_address local;
    int err = rota_address_parse(&local, "127.0.0.1", port);

    if (err == 0)
        err = rota_create_datagram_endpoint(
            &transport, loop, &protocol, NULL,
            &(rota_datagram_options){.local = &local});
    return err < 0 ? err : rota_loop_run_forever(loop);
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
        fprintf(stderr, "echo_udp_protocol: port %d: %s\n", port,
                rota_strerror(err));
    return err < 0;
}
