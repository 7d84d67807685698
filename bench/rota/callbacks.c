/* SPDX-License-Identifier: MIT */
/*
 * rota's services by transports and protocols: no task but the main one
 */
#include <errno.h>
#include <stdlib.h>

#include "serve.h"

#define LOCALHOST "127.0.0.1"

static void on_data(rota_transport *transport, const void *data, size_t size,
                    void *arg)
{
    (void)arg;
    rota_transport_write(transport, data, size); /* an error closes it */
}

static const rota_protocol echo_protocol = {.data_received = on_data};

static intptr_t serve(const char *port, const rota_server_options *options)
{
    rota_server *server;
    int err =
        rota_create_server(&server, rota_get_running_loop(), &echo_protocol,
                           NULL, LOCALHOST, atoi(port), options);

    return err < 0 ? err : rota_serve_forever(server);
}

static intptr_t echo(const char *port, const char *what)
{
    rota_server_options options = {.backlog = 1024};

    (void)what;
    return serve(port, &options);
}

static intptr_t echo_tls(const char *port, const char *pem)
{
    rota_server_options options = {.backlog = 1024, .tls = serve_tls(pem)};

    return options.tls == NULL ? -EINVAL : serve(port, &options);
}

static intptr_t echo_unix(const char *path, const char *what)
{
    rota_server_options options = {.backlog = 1024};
    rota_server *server;
    int err = rota_create_unix_server(&server, rota_get_running_loop(),
                                      &echo_protocol, NULL, path, &options);

    (void)what;
    return err < 0 ? err : rota_serve_forever(server);
}

static void on_datagram(rota_datagram_transport *transport, const void *data,
                        size_t size, const rota_address *from, void *arg)
{
    (void)arg;
    rota_datagram_transport_sendto(transport, data, size, from);
}

static intptr_t echo_datagrams(const char *port, const char *what)
{
    static const rota_datagram_protocol protocol = {.datagram_received =
                                                        on_datagram};
    rota_address local;
    rota_datagram_options options = {.local = &local};
    rota_datagram_transport *transport;
    int err = rota_address_parse(&local, LOCALHOST, atoi(port));

    (void)what;
    if (err == 0)
        err = rota_create_datagram_endpoint(&transport, rota_get_running_loop(),
                                            &protocol, NULL, &options);
    return err < 0 ? err : rota_sleep(1e9);
}

int main(int argc, char **argv)
{
    static const struct service services[] = {
        {"echo", echo},    {"unix", echo_unix}, {"udp", echo_datagrams},
        {"tls", echo_tls}, {NULL, NULL},
    };

    return serve_main(argc, argv, services);
}
