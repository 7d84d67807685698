/* SPDX-License-Identifier: MIT */
/*
 * Sends each datagram back to whom it came from: `echo_udp [PORT]`
 *
 * Port 7000 by default, 0 for any free one. One task receives and answers; a
 * send waits only while the system takes nothing.
 */
#include "announce.h"

static int port = 7000;

static int say_where(const rota_datagram *endpoint)
{
    rota_address address;
    int err = rota_datagram_local_address(endpoint, &address);

    return err < 0 ? err : announce_address(&address);
}

/* What cannot be answered is lost, as datagrams are now and then. */
static intptr_t echo(rota_datagram *endpoint)
{
    static char buf[65536];
    rota_address from;
    intptr_t n = say_where(endpoint);

    while (n >= 0) {
        n = rota_datagram_recv(endpoint, buf, sizeof buf, &from, NULL);
        if (n < 0)
            break;
        n = rota_datagram_send(endpoint, buf, (size_t)n, &from);
        if (n < 0 && n != -ECANCELED && n != -ROTA_ECLOSING)
            n = 0;
    }
    return n;
}

static intptr_t amain(void *arg)
{
    rota_datagram_options options = {.local = arg};
    rota_datagram *endpoint;
    intptr_t err = rota_datagram_open(&endpoint, &options);

    if (err < 0)
        return err;
    err = echo(endpoint);
    rota_datagram_free(endpoint);
    return err;
}

int main(int argc, char **argv)
{
    rota_address local;
    intptr_t err;

    if (argc > 1)
        port = parse_port(argv[1]);
    err = rota_address_parse(&local, "127.0.0.1", port);
    if (err == 0)
        err = rota_run(amain, &local);
    if (err == -EINTR) /* Ctrl-C */
        err = 0;
    if (err < 0)
        fprintf(stderr, "echo_udp: port %d: %s\n", port, rota_strerror(err));
    return err < 0;
}
