/* SPDX-License-Identifier: MIT */
/*
 * Servers: listening sockets, and a task for each connection
 *
 * The server owns the tasks of its connections. It lives as long as its
 * handle, one of them, or a task that waits for it.
 */
#include "stream/stream.h"

#define BACKLOG 100

struct port {
    struct rota__listener listener;
    rota_server *server;
};

struct rota_server {
    rota_loop *loop;
    struct rota__owner owner;
    rota_client_connected *client;
    void *arg;
    struct rota__bindings *bindings; /* the context of the clients */
    struct rota__link clients;       /* their tasks */
    struct rota__link waiters;       /* for the close, or for the last client */
    struct rota__at_close at_close;
    size_t port_count;
    struct port *ports;
    unsigned users; /* tasks that wait for news */
    bool closed;
    bool freed;
};

static void release_if_over(rota_server *server)
{
    if (!server->freed || server->users > 0 ||
        !rota__list_empty(&server->clients))
        return;
    rota__at_close_remove(&server->at_close);
    rota__bindings_unref(server->bindings);
    rota__free(server->ports);
    rota__free(server);
}

/* --- Connections -------------------------------------------------------- */

static bool worth_telling(intptr_t result)
{
    return rota_is_error(result) && result != -ECANCELED &&
           result != -ECONNRESET && result != -EPIPE && result != -ETIMEDOUT;
}

static void client_done(struct rota__owner *owner, struct rota__task *task)
{
    rota_server *server = rota__container_of(owner, rota_server, owner);

    rota_stream_free(task->arg);
    if (worth_telling(task->result))
        rota_call_exception_handler(
            server->loop,
            &(rota_exception_context){
                .message = "the task of a connection has failed",
                .error = task->result,
                .name = rota_task_get_name(rota__task_handle(task)),
            });
    rota__list_remove(&task->siblings);
    task->loop->tasks->zombie = task;
    if (rota__list_empty(&server->clients))
        rota__unpark_all(&server->waiters, 0);
    release_if_over(server);
}

static intptr_t run_client(void *arg)
{
    rota_stream *stream = arg;
    struct rota__task *self = rota__current();
    rota_server *server = rota__container_of(self->owner, rota_server, owner);

    return server->client(stream, server->arg);
}

static int start_client(rota_server *server, rota_stream *stream)
{
    struct rota__task *task;
    int err = rota__task_create(server->loop, &task, NULL, run_client, stream,
                                "a server");

    if (err < 0)
        return err;
    rota__bindings_unref(task->actor.own.bindings);
    task->actor.own.bindings = rota__bindings_ref(server->bindings);
    task->owner = &server->owner;
    rota__list_push(&server->clients, &task->siblings);
    return 0;
}

/* The fd is the stream's, or closed. */
static int open_client(rota_server *server, int fd)
{
    rota_stream *stream = rota__stream_new(server->loop);
    int err = -ENOMEM;

    if (!stream)
        goto close_fd;
    err =
        rota__conn_open(&stream->conn, server->loop, fd, &rota__stream_events);
    if (err < 0)
        goto discard;
    rota__socket_no_delay(fd);
    err = start_client(server, stream);
    if (err == 0)
        return 0;
    rota__conn_destroy(&stream->conn);
    rota__stream_discard(stream);
    return err;
discard:
    rota__stream_discard(stream);
close_fd:
    (void)rota__fd_close(fd);
    return err;
}

/* The handler comes last: it may close the server, or free it. */
static bool accepted(struct rota__listener *listener, int fd)
{
    rota_server *server =
        rota__container_of(listener, struct port, listener)->server;
    int err = open_client(server, fd);

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

static void stop_listening(rota_server *server)
{
    for (size_t i = 0; i < server->port_count; i++)
        rota__listener_close(&server->ports[i].listener);
    server->port_count = 0;
}

/* With port 0 the first socket's port holds for all. */
static int listen_on(rota_server *server, rota_address *address)
{
    struct port *port = &server->ports[server->port_count];
    rota_address first;
    int err;

    if (rota_address_port(address) == 0 &&
        rota_server_address(server, 0, &first) == 0)
        rota__address_set_port(address, rota_address_port(&first));
    port->server = server;
    port->listener.accepted = accepted;
    err = rota__listener_open(&port->listener, server->loop, address, BACKLOG);
    if (err == 0)
        server->port_count++;
    return err;
}

static bool not_here(int err)
{
    return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

/* A family that this machine has not is passed over, as asyncio does. */
static int listen_on_all(rota_server *server,
                         const struct rota__addresses *addresses)
{
    int err = -EADDRNOTAVAIL;

    for (size_t i = 0; i < addresses->count; i++) {
        err = listen_on(server, &addresses->items[i]);
        if (err < 0 && !not_here(err))
            break;
    }
    if (not_here(err) && server->port_count > 0)
        err = 0;
    if (err < 0)
        stop_listening(server);
    return err;
}

static void loop_closes(struct rota__at_close *at_close)
{
    rota_server *server = rota__container_of(at_close, rota_server, at_close);

    rota_server_close(server);
    while (!rota__list_empty(&server->clients)) {
        struct rota__link *client = rota__list_pop(&server->clients);

        rota_stream_free(
            rota__container_of(client, struct rota__task, siblings)->arg);
    }
    rota__unpark_all(&server->waiters, -ROTA_ECLOSING);
    server->users = 0; /* those never run again */
    release_if_over(server);
}

static rota_server *make_server(rota_loop *loop, size_t ports,
                                rota_client_connected *client, void *arg)
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
    server->owner.child_done = client_done;
    server->client = client;
    server->arg = arg;
    server->bindings = rota__bindings_capture();
    rota__list_init(&server->clients);
    rota__list_init(&server->waiters);
    rota__at_close_add(loop, &server->at_close, loop_closes);
    return server;
}

int rota_start_server(rota_server **out, rota_client_connected *client,
                      void *arg, const char *host, int port)
{
    rota_loop *loop = rota_get_running_loop();
    struct rota__addresses addresses;
    rota_server *server;
    int err = loop ? 0 : -ROTA_ENOLOOP;

    if (err == 0 && !client)
        err = -EINVAL;
    if (err == 0)
        err = rota__resolve(rota__current(), host, port, true, &addresses);
    if (err < 0)
        return err;
    server = make_server(loop, addresses.count, client, arg);
    err = server ? listen_on_all(server, &addresses) : -ENOMEM;
    rota__free(addresses.items);
    if (err == 0)
        *out = server;
    else
        rota_server_free(server);
    return err;
}

int rota_server_address(const rota_server *server, size_t i, rota_address *out)
{
    if (i >= server->port_count)
        return -ENOENT;
    return rota__socket_local(server->ports[i].listener.watch.fd, out);
}

/* --- Closing ------------------------------------------------------------ */

void rota_server_close(rota_server *server)
{
    if (server->closed)
        return;
    server->closed = true;
    stop_listening(server);
    rota__unpark_all(&server->waiters, 0);
}

static int wait_for_news(rota_server *server, struct rota__task *self)
{
    struct rota__waiter waiter;
    intptr_t err;

    server->users++;
    err = rota__park_in(self, &waiter, &server->waiters);
    server->users--;
    return (int)err;
}

int rota_server_wait_closed(rota_server *server)
{
    struct rota__task *self = rota__current();
    int err = self ? 0 : -ROTA_ENOTASK;

    while (err == 0 && (!server->closed || !rota__list_empty(&server->clients)))
        err = wait_for_news(server, self);
    release_if_over(server);
    return err;
}

void rota_server_cancel_clients(rota_server *server)
{
    struct rota__link *at = server->clients.next;

    while (at != &server->clients) {
        struct rota__task *task =
            rota__container_of(at, struct rota__task, siblings);

        at = at->next;
        rota__task_cancel(task);
    }
}

int rota_serve_forever(rota_server *server)
{
    struct rota__task *self = rota__current();
    int result = self ? 0 : -ROTA_ENOTASK;
    int err = 0;

    while (result == 0 && !server->closed)
        result = wait_for_news(server, self);
    if (!self)
        return result;
    rota_server_close(server);
    rota_server_cancel_clients(server);
    while (err == 0 && !rota__list_empty(&server->clients))
        err = wait_for_news(server, self);
    rota_server_free(server);
    return result < 0 ? result : err;
}

void rota_server_free(rota_server *server)
{
    if (!server)
        return;
    rota_server_close(server);
    server->freed = true;
    release_if_over(server);
}
