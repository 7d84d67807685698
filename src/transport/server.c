/* SPDX-License-Identifier: MIT */
/*
 * Servers: listening sockets and the list of their clients
 *
 * What a client is (a transport with a protocol, or a stream with a task) is
 * its maker's: `ops`. A server lives as long as its handle, one of its
 * clients, or a task that waits for it.
 */
#include "transport/transport.h"

#define BACKLOG 100

void rota__server_release(rota_server *server)
{
    if (!server->freed || server->users > 0 || server->client_count > 0)
        return;
    rota__at_close_remove(&server->at_close);
    rota__bindings_unref(server->bindings);
    if (server->options.tls)
        rota_tls_context_free(server->options.tls);
    rota__free(server->path);
    rota__free(server->ports);
    rota__free(server);
}

/* --- Clients ------------------------------------------------------------ */

void rota__server_add(rota_server *server, struct rota__link *client)
{
    rota__list_push(&server->clients, client);
    server->client_count++;
}

static void tell(rota_server *server)
{
    if (server->changed)
        server->changed(server);
}

void rota__server_remove(rota_server *server, struct rota__link *client)
{
    if (client)
        rota__list_remove(client);
    server->client_count--;
    if (server->client_count == 0)
        tell(server);
    rota__server_release(server);
}

/* A client may end, and so may the server, in any of these calls. */
static void say_to_all(rota_server *server, enum rota__farewell how)
{
    struct rota__link told;

    server->users++;
    rota__list_init(&told);
    while (!rota__list_empty(&server->clients)) {
        struct rota__link *client = rota__list_pop(&server->clients);

        rota__list_push(&told, client);
        server->ops->say(client, how);
    }
    rota__list_append(&server->clients, &told);
    server->users--;
    rota__server_release(server);
}

void rota_server_close_clients(rota_server *server)
{
    say_to_all(server, ROTA__CLOSE);
}

void rota_server_abort_clients(rota_server *server)
{
    say_to_all(server, ROTA__ABORT);
}

void rota_server_cancel_clients(rota_server *server)
{
    say_to_all(server, ROTA__CANCEL);
}

size_t rota_server_client_count(const rota_server *server)
{
    return server->client_count;
}

int rota__conn_open_accepted(struct rota__conn *conn, const rota_server *server,
                             int fd, const struct rota__conn_events *events)
{
    if (server->local)
        return rota__conn_open_unix(conn, server->loop, fd, events);
    rota__socket_no_delay(fd);
    return rota__conn_open(conn, server->loop, fd, events);
}

void rota__server_tls_options(const rota_server *server, rota_tls_options *out)
{
    *out = (rota_tls_options){
        .server_side = true,
        .handshake_timeout = server->options.handshake_timeout,
        .shutdown_timeout = server->options.shutdown_timeout,
    };
}

/* The handler comes last: it may close the server, or free it. */
static bool accepted(struct rota__listener *listener, int fd)
{
    rota_server *server =
        rota__container_of(listener, struct rota__port, listener)->server;
    int err = server->ops->accepted(server, fd);

    if (err == 0)
        return true;
    rota_call_exception_handler(
        server->loop, &(rota_exception_context){
                          .message = "a connection could not be served",
                          .error = err,
                      });
    return false;
}

/* --- Listening ---------------------------------------------------------- */

static void close_ports(rota_server *server)
{
    for (size_t i = 0; i < server->port_count; i++)
        rota__listener_close(&server->ports[i].listener);
    server->port_count = 0;
}

static void stop_listening(rota_server *server)
{
    if (server->path && server->port_count > 0)
        rota__unix_remove(server->path, server->path_id);
    close_ports(server);
}

/* With port 0 the first socket's port holds for all. */
static int open_port(rota_server *server, rota_address address)
{
    struct rota__port *port = &server->ports[server->port_count];
    rota_address first;
    int err;

    if (rota_address_port(&address) == 0 &&
        rota_server_address(server, 0, &first) == 0)
        rota__address_set_port(&address, rota_address_port(&first));
    port->server = server;
    port->listener.accepted = accepted;
    err = rota__listener_open(&port->listener, server->loop, &address,
                              &server->options);
    if (err == 0)
        server->port_count++;
    return err;
}

static bool not_here(int err)
{
    return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

static bool wanted(const rota_server *server, const rota_address *address)
{
    int family = server->options.family;

    return family == 0 || address->storage.ss_family == family;
}

static bool seen_before(const rota_addresses *addresses, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (rota_address_equal(&addresses->items[i], &addresses->items[j]))
            return true;
    return false;
}

/* A family that this machine has not is passed over, as asyncio does. */
static int try_ports(rota_server *server, const rota_addresses *addresses)
{
    int err = -EADDRNOTAVAIL;

    for (size_t i = 0; i < addresses->count; i++) {
        if (!wanted(server, &addresses->items[i]) || seen_before(addresses, i))
            continue;
        err = open_port(server, addresses->items[i]);
        if (err < 0 && !not_here(err))
            break;
    }
    return not_here(err) && server->port_count > 0 ? 0 : err;
}

#define TRIES 20

/* Port 0 is given for one family, and somebody may have it for another. */
static int open_ports(rota_server *server, const rota_addresses *addresses)
{
    int err = try_ports(server, addresses);

    for (int i = 1; i < TRIES && err == -EADDRINUSE && addresses->count > 1 &&
                    rota_address_port(&addresses->items[0]) == 0;
         i++) {
        close_ports(server);
        err = try_ports(server, addresses);
    }
    return err;
}

int rota_server_start_serving(rota_server *server)
{
    int backlog = server->options.backlog ? server->options.backlog : BACKLOG;
    int err = server->closed ? -ROTA_ECLOSING : 0;

    if (server->serving)
        return err;
    for (size_t i = 0; err == 0 && i < server->port_count; i++)
        err = rota__listener_start(&server->ports[i].listener, backlog);
    server->serving = err == 0;
    return err;
}

bool rota_server_is_serving(const rota_server *server)
{
    return server->serving && !server->closed;
}

/* --- Making ------------------------------------------------------------- */

static void loop_closes(struct rota__at_close *at_close)
{
    rota_server *server = rota__container_of(at_close, rota_server, at_close);

    server->users++;
    rota_server_close(server);
    while (!rota__list_empty(&server->clients)) {
        server->client_count--;
        server->ops->drop(rota__list_pop(&server->clients));
    }
    tell(server);
    server->users = 0; /* tasks that wait never run again */
    rota__server_release(server);
}

static rota_server *make(rota_loop *loop, const struct rota__server_ops *ops,
                         size_t ports, const rota_server_options *options)
{
    rota_server *server = rota__zalloc(sizeof *server);

    if (!server)
        return NULL;
    server->ports = rota__zalloc(ports * sizeof(*server->ports));
    if (!server->ports) {
        rota__free(server);
        return NULL;
    }
    server->loop = loop;
    server->ops = ops;
    if (options)
        server->options = *options;
    server->options.hosts = NULL;
    server->options.name = NULL;
    if (server->options.tls)
        rota__tls_context_ref(server->options.tls);
    server->bindings = rota__bindings_capture();
    rota__list_init(&server->clients);
    rota__list_init(&server->waiters);
    rota__at_close_add(loop, &server->at_close, loop_closes);
    return server;
}

static int check_options(const rota_server_options *options)
{
    if (options && (options->backlog < 0 || options->handshake_timeout < 0 ||
                    options->shutdown_timeout < 0))
        return -EINVAL;
    if (options && options->tls && !rota__tls_context_is_server(options->tls))
        return -EINVAL;
    return 0;
}

int rota__server_new(rota_server **out, rota_loop *loop,
                     const struct rota__server_ops *ops,
                     const rota_addresses *addresses,
                     const rota_server_options *options)
{
    rota_server *server;
    int err = check_options(options);

    if (err < 0)
        return err;
    server = make(loop, ops, addresses->count, options);
    if (!server)
        return -ENOMEM;
    err = open_ports(server, addresses);
    if (err < 0)
        rota_server_free(server);
    else
        *out = server;
    return err;
}

static int bind_path(rota_server *server, const char *path)
{
    rota_address address;
    rota_addresses one = {&address, 1};
    int err = rota_address_unix(&address, path);

    if (err == 0 && path[0] != '@') {
        size_t size = strlen(path) + 1;

        server->path = rota__alloc(size);
        if (!server->path)
            return -ENOMEM;
        memcpy(server->path, path, size);
        err = rota__unix_remove_stale(path);
    }
    if (err == 0)
        err = open_ports(server, &one);
    if (err == 0 && server->path)
        rota__unix_identify(path, server->path_id);
    return err;
}

int rota__server_new_unix(rota_server **out, rota_loop *loop,
                          const struct rota__server_ops *ops, const char *path,
                          const rota_server_options *options)
{
    rota_server *server;
    int err = path ? check_options(options) : -EINVAL;

    if (err < 0)
        return err;
    server = make(loop, ops, 1, options);
    if (!server)
        return -ENOMEM;
    server->local = true;
    server->options.family = 0;
    err = bind_path(server, path);
    if (err < 0)
        rota_server_free(server);
    else
        *out = server;
    return err;
}

int rota__server_begin(rota_server *server)
{
    int err = 0;

    if (!server->options.do_not_serve)
        err = rota_server_start_serving(server);
    if (err < 0)
        rota_server_free(server);
    return err;
}

/* --- Looking at it ------------------------------------------------------ */

int rota_server_fileno(const rota_server *server, size_t i)
{
    if (i >= server->port_count)
        return -ENOENT;
    return server->ports[i].listener.watch.fd;
}

int rota_server_address(const rota_server *server, size_t i, rota_address *out)
{
    int fd = rota_server_fileno(server, i);

    return fd < 0 ? fd : rota__socket_local(fd, out);
}

rota_loop *rota_server_get_loop(const rota_server *server)
{
    return server->loop;
}

/* --- Closing ------------------------------------------------------------ */

void rota_server_close(rota_server *server)
{
    if (server->closed)
        return;
    server->closed = true;
    stop_listening(server);
    tell(server);
}

void rota_server_free(rota_server *server)
{
    if (!server)
        return;
    rota_server_close(server);
    server->freed = true;
    rota__server_release(server);
}
