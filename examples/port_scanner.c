/* SPDX-License-Identifier: MIT */
/*
 * Which ports are open: `port_scanner HOST FIRST LAST`
 *
 * A task for each port, a semaphore that lets a hundred of them be there at
 * once, and a timeout for each that gets no answer. The name is looked up
 * once, by rota_getaddrinfo().
 */
#include "announce.h"
#include <string.h>

#define AT_ONCE 100
#define PATIENCE 1.0

struct scan {
    char host[64];
    int first;
    int last;
    rota_semaphore turn;
};

struct port {
    struct scan *scan;
    int number;
};

/* Who calls a port of this machine may be given that very port, and answer. */
static bool is_itself(const rota_stream *stream)
{
    rota_address here;
    rota_address there;

    return rota_stream_local_address(stream, &here) == 0 &&
           rota_stream_peer_address(stream, &there) == 0 &&
           rota_address_equal(&here, &there);
}

/* 0 if somebody answers. */
static intptr_t try_port(const struct port *port)
{
    rota_stream *stream = NULL;
    rota_timeout timeout;
    intptr_t err = rota_timeout_begin(&timeout, PATIENCE);

    if (err == 0)
        err = rota_open_connection(&stream, port->scan->host, port->number);
    err = rota_timeout_end(&timeout, err);
    if (err == 0 && is_itself(stream))
        err = -ECONNREFUSED;
    rota_stream_free(stream);
    return err;
}

static intptr_t look_at(void *arg)
{
    struct port *port = arg;
    intptr_t err = try_port(port);

    rota_semaphore_release(&port->scan->turn);
    if (err == 0)
        printf("%d\n", port->number);
    return err == -ECONNREFUSED || err == -ETIMEDOUT ? 0 : err;
}

static intptr_t scan_all(struct scan *scan, struct port *ports)
{
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    if (err < 0)
        return err;
    for (int i = 0; err == 0 && i <= scan->last - scan->first; i++) {
        err = rota_semaphore_acquire(&scan->turn);
        if (err < 0)
            break;
        ports[i] = (struct port){scan, scan->first + i};
        err = rota_task_group_create_task(&group, look_at, &ports[i], NULL);
    }
    return rota_task_group_end(&group, err);
}

static intptr_t amain(void *arg)
{
    char **argv = arg;
    struct scan scan = {.first = parse_port(argv[2]),
                        .last = parse_port(argv[3])};
    rota_addresses addresses;
    struct port *ports;
    intptr_t err;

    if (scan.first < 1 || scan.last < scan.first)
        return -EINVAL;
    err = rota_getaddrinfo(&addresses, argv[1], NULL, NULL);
    if (err < 0)
        return err;
    err = rota_address_host(&addresses.items[0], scan.host, sizeof scan.host);
    rota_addresses_free(&addresses);
    ports = calloc((size_t)(scan.last - scan.first + 1), sizeof *ports);
    if (!ports)
        err = -ENOMEM;
    rota_semaphore_init(&scan.turn, AT_ONCE);
    if (err == 0)
        err = scan_all(&scan, ports);
    rota_semaphore_fini(&scan.turn);
    free(ports);
    return err;
}

int main(int argc, char **argv)
{
    intptr_t err;

    if (argc != 4) {
        fprintf(stderr, "usage: port_scanner HOST FIRST LAST\n");
        return 2;
    }
    err = rota_run(amain, argv);
    if (err < 0)
        fprintf(stderr, "port_scanner: %s\n", rota_strerror(err));
    return err < 0;
}
