/* SPDX-License-Identifier: MIT */
/*
 * Making transports: by a connect, from an fd, by a server
 */
#include "transport/callback.h"

/* Lives while the connect lasts, the name behind it. */
struct rota__opening {
    struct rota__open open;
    rota_transport *transport;
    char name[];
};

int rota__protocol_check(const rota_protocol *protocol)
{
    if (!protocol || !protocol->get_buffer != !protocol->buffer_updated)
        return -EINVAL;
    return 0;
}

/* A connection_lost that connects again must not hold up a loop that closes. */
static int check(rota_loop *loop, const rota_protocol *protocol,
                 const char *function)
{
    int err = rota__check(loop, function);

    if (err < 0)
        return err;
    return loop->closing ? -ROTA_ECLOSED : rota__protocol_check(protocol);
}

/* --- Connecting --------------------------------------------------------- */

static void opened(struct rota__open *open, int error)
{
    struct rota__opening *opening =
        rota__container_of(open, struct rota__opening, open);
    rota_transport *transport = opening->transport;

    transport->opening = NULL;
    rota__free(opening);
    if (transport->loop->closing) /* the look-up was dropped: our turn comes */
        return;
    rota_transport_ref(transport);
    if (error == 0)
        rota__transport_made(transport);
    else
        rota__transport_lost(transport, error);
    rota_transport_unref(transport);
}

void rota__transport_stop_opening(rota_transport *transport)
{
    if (!transport->opening)
        return;
    rota__open_cancel(&transport->opening->open);
    rota__free(transport->opening);
    transport->opening = NULL;
}

static rota_transport *begin(rota_loop *loop, const rota_protocol *protocol,
                             void *arg, const char *name)
{
    size_t size = strlen(name) + 1;
    struct rota__opening *opening = rota__zalloc(sizeof *opening + size);
    rota_transport *transport;

    if (!opening)
        return NULL;
    transport = rota__transport_new(loop, protocol, arg);
    if (!transport) {
        rota__free(opening);
        return NULL;
    }
    memcpy(opening->name, name, size);
    opening->transport = transport;
    transport->opening = opening;
    transport->known = true;
    return transport;
}

static int begun(rota_transport **out, rota_transport *transport, int err)
{
    if (err == 0) {
        *out = transport;
    } else {
        rota__free(transport->opening);
        rota__transport_discard(transport);
    }
    return err;
}

int rota_create_connection(rota_transport **out, rota_loop *loop,
                           const rota_protocol *protocol, void *arg,
                           const char *host, int port,
                           const rota_connect_options *options)
{
    rota_transport *transport;
    int err = check(loop, protocol, "rota_create_connection");

    if (err == 0 && !host)
        err = -EINVAL;
    if (err < 0)
        return err;
    transport = begin(loop, protocol, arg, host);
    if (!transport)
        return -ENOMEM;
    err = rota__open_start(&transport->opening->open, loop, &transport->conn,
                           &rota__transport_events, transport->opening->name,
                           port, options, opened);
    return begun(out, transport, err);
}

int rota_create_unix_connection(rota_transport **out, rota_loop *loop,
                                const rota_protocol *protocol, void *arg,
                                const char *path,
                                const rota_connect_options *options)
{
    rota_transport *transport;
    int err = check(loop, protocol, "rota_create_unix_connection");

    if (err == 0 && !path)
        err = -EINVAL;
    if (err < 0)
        return err;
    transport = begin(loop, protocol, arg, path);
    if (!transport)
        return -ENOMEM;
    err = rota__open_start_unix(&transport->opening->open, loop,
                                &transport->conn, &rota__transport_events,
                                transport->opening->name, options, opened);
    return begun(out, transport, err);
}

/* --- From an fd --------------------------------------------------------- */

/* The fd is the transport's from here on, or still the caller's. */
static int adopt(rota_transport **out, rota_loop *loop,
                 const rota_protocol *protocol, void *arg, int fd)
{
    rota_transport *transport = rota__transport_new(loop, protocol, arg);
    int err;

    if (!transport)
        return -ENOMEM;
    err =
        rota__conn_open_fd(&transport->conn, loop, fd, &rota__transport_events);
    if (err < 0) {
        rota__transport_discard(transport);
        return err;
    }
    *out = transport;
    return 0;
}

static void give_back(rota_transport *transport)
{
    rota__conn_release(&transport->conn);
    rota__transport_discard(transport);
}

int rota_connect_accepted_socket(rota_transport **out, rota_loop *loop,
                                 const rota_protocol *protocol, void *arg,
                                 int fd, const rota_connect_options *options)
{
    rota_transport *transport = NULL;
    struct rota__fd_kind kind;
    int err = check(loop, protocol, "rota_connect_accepted_socket");

    if (err == 0)
        err = rota__fd_kind(fd, &kind);
    if (err == 0 && !kind.socket)
        err = -ENOTSOCK;
    if (err == 0 && (kind.type != SOCK_STREAM || kind.listening))
        err = -EINVAL;
    if (err == 0)
        err = adopt(&transport, loop, protocol, arg, fd);
    if (err != 0)
        return err;
    transport->known = true;
    rota__socket_no_delay(fd);
    if (options && options->tls) {
        rota_tls_options tls = options->tls_options;

        tls.server_side = true;
        err = rota__transport_secure(transport, options->tls, &tls, NULL);
        if (err < 0) {
            give_back(transport);
            return err;
        }
    } else {
        rota__transport_made_soon(transport);
    }
    *out = transport;
    return 0;
}

static int connect_pipe(rota_transport **out, rota_loop *loop,
                        const rota_protocol *protocol, void *arg, int fd,
                        bool write, const char *function)
{
    struct rota__fd_kind kind;
    int err = check(loop, protocol, function);

    if (err == 0)
        err = rota__fd_kind(fd, &kind);
    if (err == 0 && !(write ? kind.writable : kind.readable))
        err = -EBADF;
    if (err == 0)
        err = adopt(out, loop, protocol, arg, fd);
    if (err < 0)
        return err;
    (*out)->known = true;
    (*out)->reads_only = !write;
    (*out)->writes_only = write;
    (*out)->reading_paused = write && kind.readable && !kind.socket;
    rota__transport_made_soon(*out);
    return 0;
}

int rota_connect_read_pipe(rota_transport **out, rota_loop *loop,
                           const rota_protocol *protocol, void *arg, int fd)
{
    return connect_pipe(out, loop, protocol, arg, fd, false,
                        "rota_connect_read_pipe");
}

int rota_connect_write_pipe(rota_transport **out, rota_loop *loop,
                            const rota_protocol *protocol, void *arg, int fd)
{
    return connect_pipe(out, loop, protocol, arg, fd, true,
                        "rota_connect_write_pipe");
}

/* --- From a server ------------------------------------------------------ */

static int accept_secured(rota_transport *transport, rota_server *server)
{
    rota_tls_options tls;

    rota__server_tls_options(server, &tls);
    return rota__transport_secure(transport, server->options.tls, &tls, NULL);
}

static int begin_accepted(rota_transport *transport, rota_server *server)
{
    rota__bindings_unref(transport->bindings);
    transport->bindings = rota__bindings_ref(server->bindings);
    if (server->options.tls)
        return accept_secured(transport, server);
    rota__transport_made_soon(transport);
    return 0;
}

/* The fd is the transport's, or closed. */
static int accepted(rota_server *server, int fd)
{
    rota_transport *transport =
        rota__transport_new(server->loop, server->protocol, server->arg);
    int err = -ENOMEM;

    if (!transport)
        goto close_fd;
    err = rota__conn_open_accepted(&transport->conn, server, fd,
                                   &rota__transport_events);
    if (err < 0)
        goto discard;
    err = begin_accepted(transport, server);
    if (err < 0)
        goto release;
    transport->server = server;
    rota__server_add(server, &transport->client);
    return 0;
release:
    rota__conn_release(&transport->conn);
discard:
    rota__transport_discard(transport);
close_fd:
    (void)rota__fd_close(fd);
    return err;
}

static rota_transport *of_client(struct rota__link *client)
{
    return rota__container_of(client, rota_transport, client);
}

static void say(struct rota__link *client, enum rota__farewell how)
{
    if (how == ROTA__CLOSE)
        rota_transport_close(of_client(client));
    else
        rota_transport_abort(of_client(client));
}

/* Its own hook ends it. */
static void drop(struct rota__link *client)
{
    of_client(client)->server = NULL;
}

static const struct rota__server_ops server_ops = {
    .accepted = accepted,
    .say = say,
    .drop = drop,
};

static int serve(rota_server **out, rota_server *server,
                 const rota_protocol *protocol, void *arg)
{
    int err;

    server->protocol = protocol;
    server->arg = arg;
    err = rota__server_begin(server);
    if (err == 0)
        *out = server;
    return err;
}

static int add_host(rota_addresses *all, const char *host, int port,
                    const rota_server_options *options)
{
    rota_addresses more;
    int err = rota__resolve_now(host, port, options ? options->family : 0, true,
                                true, &more);

    return err < 0 ? err : rota__addresses_append(all, &more);
}

int rota_create_server(rota_server **out, rota_loop *loop,
                       const rota_protocol *protocol, void *arg,
                       const char *host, int port,
                       const rota_server_options *options)
{
    const char *const *more = options ? options->hosts : NULL;
    rota_addresses addresses = {0};
    rota_server *server = NULL;
    int err = check(loop, protocol, "rota_create_server");

    if (err == 0 && (port < 0 || port > 65535))
        err = -EINVAL;
    if (err == 0 && (host || !more))
        err = add_host(&addresses, host, port, options);
    for (; err == 0 && more && *more; more++)
        err = add_host(&addresses, *more, port, options);
    if (err == 0)
        err = rota__server_new(&server, loop, &server_ops, &addresses, options);
    if (err == 0)
        err = serve(out, server, protocol, arg);
    rota_addresses_free(&addresses);
    return err;
}

int rota_create_unix_server(rota_server **out, rota_loop *loop,
                            const rota_protocol *protocol, void *arg,
                            const char *path,
                            const rota_server_options *options)
{
    rota_server *server;
    int err = check(loop, protocol, "rota_create_unix_server");

    if (err == 0)
        err = rota__server_new_unix(&server, loop, &server_ops, path, options);
    return err < 0 ? err : serve(out, server, protocol, arg);
}
