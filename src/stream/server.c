/* SPDX-License-Identifier: MIT */
/*
 * Servers with tasks: each connection has a stream and a task
 *
 * The server owns the tasks of its connections. With TLS the handshake comes
 * first: until it is over, the stream stands among the clients without a task.
 */
#include "stream/stream.h"
#include <rota/server.h>
#include <stdio.h>

static rota_stream *stream_of(struct rota__link *link)
{
    return rota__container_of(link, rota_stream, client.link);
}

/* The stream and its place among the clients go; so may the server. */
static void end_client(rota_stream *stream)
{
    rota_server *server = stream->client.server;
    struct rota__link *link = &stream->client.link;

    rota__list_remove(link); /* the stream may be freed next */
    rota_stream_free(stream);
    rota__server_remove(server, NULL);
}

/* --- Tasks -------------------------------------------------------------- */

/* What a peer can cause is no news. */
static bool worth_telling(intptr_t result)
{
    static const int known[] = {ECANCELED,     ECONNRESET,      EPIPE,
                                ETIMEDOUT,     ROTA_ETRUNCATED, ROTA_ETLS,
                                ROTA_ETLSALERT};

    for (size_t i = 0; i < rota__countof(known); i++)
        if (result == -known[i])
            return false;
    return rota_is_error(result);
}

static void client_done(struct rota__owner *owner, struct rota__task *task)
{
    rota_stream *stream = rota__container_of(owner, rota_stream, client.owner);
    rota_server *server = stream->client.server;

    server->users++;
    end_client(stream);
    if (worth_telling(task->result))
        rota_call_exception_handler(
            task->loop, &(rota_exception_context){
                            .message = "the task of a connection has failed",
                            .error = task->result,
                            .name = rota_task_get_name(rota__task_handle(task)),
                        });
    task->loop->tasks->zombie = task;
    server->users--;
    rota__server_release(server);
}

static intptr_t run_client(void *arg)
{
    rota_stream *stream = arg;
    rota_server *server = stream->client.server;

    return server->client(stream, server->arg);
}

static int start_task(rota_stream *stream)
{
    rota_server *server = stream->client.server;
    rota_task_options options = {
        .name = server->name[0] ? server->name : NULL,
        .stack_size = server->options.stack_size,
    };
    struct rota__task *task;
    int err = rota__task_create(server->loop, &task, &options, run_client,
                                stream, "a server");

    if (err < 0)
        return err;
    rota__bindings_unref(task->actor.own.bindings);
    task->actor.own.bindings = rota__bindings_ref(server->bindings);
    stream->client.owner.child_done = client_done;
    task->owner = &stream->client.owner;
    stream->client.task = task;
    return 0;
}

/* --- Accepting ---------------------------------------------------------- */

/* A handshake that fails is the peer's affair, and no news. */
static void agreed(struct rota__conn *conn, int error)
{
    rota_stream *stream = rota__container_of(conn, rota_stream, conn);
    rota_server *server = stream->client.server;
    int err = error < 0 ? error : start_task(stream);

    if (err == 0)
        return;
    server->users++;
    end_client(stream);
    if (error == 0)
        rota_call_exception_handler(
            server->loop, &(rota_exception_context){
                              .message = "a connection could not be served",
                              .error = err,
                          });
    server->users--;
    rota__server_release(server);
}

static int begin(rota_stream *stream, rota_server *server)
{
    rota_tls_options tls;

    if (!server->options.tls)
        return start_task(stream);
    rota__server_tls_options(server, &tls);
    return rota__tls_start(&stream->conn, server->options.tls, &tls, NULL,
                           agreed);
}

/* The fd is the stream's, or closed. */
static int accepted(rota_server *server, int fd)
{
    rota_stream *stream = rota__stream_new(server->loop);
    int err = -ENOMEM;

    if (!stream)
        goto close_fd;
    err = rota__conn_open_accepted(&stream->conn, server, fd,
                                   &rota__stream_events);
    if (err < 0)
        goto discard;
    stream->client.server = server;
    err = begin(stream, server);
    if (err < 0)
        goto release;
    rota__server_add(server, &stream->client.link);
    return 0;
release:
    rota__conn_release(&stream->conn);
discard:
    rota__stream_discard(stream);
close_fd:
    (void)rota__fd_close(fd);
    return err;
}

/* One without a task yet has nothing that could be asked politely. */
static void say(struct rota__link *link, enum rota__farewell how)
{
    rota_stream *stream = stream_of(link);

    if (!stream->client.task) {
        rota_abort(stream);
        end_client(stream);
    } else if (how == ROTA__CLOSE) {
        rota_close(stream);
    } else if (how == ROTA__ABORT) {
        rota_abort(stream);
    } else {
        rota__task_cancel(stream->client.task);
    }
}

/* The loop closes, and its tasks with it. */
static void drop(struct rota__link *link)
{
    rota_stream_free(stream_of(link));
}

static const struct rota__server_ops server_ops = {
    .accepted = accepted,
    .say = say,
    .drop = drop,
};

/* --- Making ------------------------------------------------------------- */

static int serve(rota_server **out, rota_server *server,
                 rota_client_connected *client, void *arg,
                 const rota_server_options *options)
{
    int err;

    server->client = client;
    server->arg = arg;
    if (options && options->name)
        snprintf(server->name, sizeof server->name, "%s", options->name);
    err = rota__server_begin(server);
    if (err == 0)
        *out = server;
    return err;
}

/* Adds the addresses of a host; awaits its name. */
static int add_host(rota_addresses *all, const char *host, int port, int family)
{
    rota_addresses more;
    int err = rota__resolve(rota__current(), host, port, family, true, &more);

    return err < 0 ? err : rota__addresses_append(all, &more);
}

static int resolve_all(rota_addresses *all, const char *host, int port,
                       const rota_server_options *options)
{
    const char *const *more = options ? options->hosts : NULL;
    int family = options ? options->family : 0;
    int err = 0;

    if (host || !more)
        err = add_host(all, host, port, family);
    for (; err == 0 && more && *more; more++)
        err = add_host(all, *more, port, family);
    return err;
}

int rota__start_server_at(rota_server **out, rota_loop *loop,
                          const rota_addresses *addresses,
                          rota_client_connected *client, void *arg,
                          const rota_server_options *options)
{
    rota_server *server;
    int err = rota__server_new(&server, loop, &server_ops, addresses, options);

    return err < 0 ? err : serve(out, server, client, arg, options);
}

/* What a loop that closes during a look-up finds. */
struct looking_up {
    struct rota__at_close at_close;
    rota_addresses addresses;
};

static void forget_addresses(struct rota__at_close *at_close)
{
    rota_addresses_free(
        &rota__container_of(at_close, struct looking_up, at_close)->addresses);
}

int rota_start_server_with(rota_server **out, rota_client_connected *client,
                           void *arg, const char *host, int port,
                           const rota_server_options *options)
{
    rota_loop *loop = rota_get_running_loop();
    struct looking_up self = {.addresses = {0}};
    int err;

    if (!loop)
        return -ROTA_ENOLOOP;
    if (!client)
        return -EINVAL;
    rota__at_close_add(loop, &self.at_close, forget_addresses);
    err = resolve_all(&self.addresses, host, port, options);
    rota__at_close_remove(&self.at_close);
    if (err == 0)
        err = rota__start_server_at(out, loop, &self.addresses, client, arg,
                                    options);
    rota_addresses_free(&self.addresses);
    return err;
}

int rota_start_server(rota_server **out, rota_client_connected *client,
                      void *arg, const char *host, int port)
{
    return rota_start_server_with(out, client, arg, host, port, NULL);
}

int rota_start_unix_server(rota_server **out, rota_client_connected *client,
                           void *arg, const char *path,
                           const rota_server_options *options)
{
    rota_loop *loop = rota_get_running_loop();
    rota_server *server = NULL;
    int err = loop ? 0 : -ROTA_ENOLOOP;

    if (err == 0 && !client)
        err = -EINVAL;
    if (err == 0)
        err = rota__server_new_unix(&server, loop, &server_ops, path, options);
    return err < 0 ? err : serve(out, server, client, arg, options);
}

/* --- Waiting ------------------------------------------------------------ */

static void wake(rota_server *server)
{
    rota__unpark_all(&server->waiters, 0);
}

static int wait_for_news(rota_server *server, struct rota__task *self)
{
    struct rota__waiter waiter;
    intptr_t err;

    server->changed = wake;
    server->users++;
    err = rota__park_in(self, &waiter, &server->waiters);
    server->users--;
    return (int)err;
}

/* 0, or why this task cannot wait for the end of all connections. */
static int check_wait(const rota_server *server, const struct rota__task *self,
                      const char *function)
{
    const struct rota__owner *owner = self ? self->owner : NULL;

    if (!self)
        return rota__not_a_task(function);
    if (owner && owner->child_done == client_done &&
        rota__container_of(owner, rota_stream, client.owner)->client.server ==
            server)
        return rota__misuse(self->loop, -EDEADLK, function,
                            "a connection cannot wait for its own end");
    if (self->loop != server->loop)
        return rota__misuse(self->loop, -EINVAL, function,
                            "a server belongs to the loop that made it");
    return 0;
}

int rota_server_wait_closed(rota_server *server)
{
    struct rota__task *self = rota__current();
    int err = check_wait(server, self, "rota_server_wait_closed");

    while (err == 0 && (!server->closed || server->client_count > 0))
        err = wait_for_news(server, self);
    rota__server_release(server);
    return err;
}

int rota_serve_forever(rota_server *server)
{
    struct rota__task *self = rota__current();
    int result = check_wait(server, self, "rota_serve_forever");
    int err = 0;

    if (result < 0)
        return result;
    server->users++; /* another task may free it, or serve it too */
    if (!server->closed)
        result = rota_server_start_serving(server);
    while (result == 0 && !server->closed)
        result = wait_for_news(server, self);
    rota_server_close(server);
    rota_server_cancel_clients(server);
    while (err == 0 && server->client_count > 0)
        err = wait_for_news(server, self);
    server->users--;
    rota_server_free(server);
    return result < 0 ? result : err;
}
