/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets
 *
 * All connections that wait are accepted in one go. When the process has no
 * more fds (or the system no memory), listening pauses for a second, as
 * asyncio's does: else a level-triggered poller would report the same
 * connection for ever.
 */
#include "transport/transport.h"
#include <netinet/in.h>

#define RETRY_DELAY ROTA__SECOND
#define AT_ONCE 100

static void listener_ready(struct rota__watch *watch, unsigned events)
{
    struct rota__listener *listener =
        rota__container_of(watch, struct rota__listener, watch);

    (void)events;
    if (rota__list_empty(&listener->on_readable.link))
        rota__ready(listener->loop, &listener->on_readable);
}

static int watch_again(struct rota__listener *listener)
{
    return rota__poller_add(&listener->loop->poller, &listener->watch,
                            ROTA__READABLE);
}

/* Without memory for the timer, rather a busy loop than a deaf server. */
static int retry_later(struct rota__listener *listener)
{
    rota_loop *loop = listener->loop;

    return rota__timer_rearm(loop, &listener->retry,
                             rota__now(loop) + RETRY_DELAY);
}

static void retry(struct rota__handle *handle)
{
    struct rota__timer *timer =
        rota__container_of(handle, struct rota__timer, handle);
    struct rota__listener *listener =
        rota__container_of(timer, struct rota__listener, retry);

    if (watch_again(listener) < 0)
        (void)retry_later(listener);
}

/* The handler comes last: it may close the server, or free it. */
static void pause_listening(struct rota__listener *listener, int error)
{
    rota_loop *loop = listener->loop;

    if (retry_later(listener) == 0)
        rota__poller_remove(&loop->poller, &listener->watch);
    rota_call_exception_handler(
        loop, &(rota_exception_context){
                  .message = "accept is out of resources; listening goes on "
                             "in a second",
                  .error = error,
              });
}

static void accept_all(struct rota__handle *handle)
{
    struct rota__listener *listener =
        rota__container_of(handle, struct rota__listener, on_readable);

    for (int i = 0; i < AT_ONCE && listener->watch.events; i++) {
        int fd = rota__socket_accept(listener->watch.fd);

        if (rota__socket_out_of_resources(fd)) {
            pause_listening(listener, fd);
            return;
        }
        if (fd == -EAGAIN)
            return;
        if (fd >= 0 && !listener->accepted(listener, fd))
            return;
        /* Else a connection that is gone already: look at the next one. */
    }
}

static int prepare_inet(int fd, const rota_address *address,
                        const rota_server_options *options)
{
    int err = 0;

    if (!options->no_reuse_address)
        err = rota__socket_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (err == 0 && options->reuse_port)
        err = rota__socket_reuse_port(fd);
    if (err == 0 && options->keep_alive)
        err = rota__socket_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (err == 0 && address->storage.ss_family == AF_INET6)
        err = rota__socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    return err;
}

static int prepare(int fd, const rota_address *address,
                   const rota_server_options *options)
{
    int err = 0;

    if (address->storage.ss_family != AF_UNIX)
        err = prepare_inet(fd, address, options);
    return err < 0 ? err : rota__socket_bind(fd, address);
}

int rota__listener_open(struct rota__listener *listener, rota_loop *loop,
                        const rota_address *address,
                        const rota_server_options *options)
{
    int fd = rota__socket_open(address->storage.ss_family, SOCK_STREAM, 0);
    int err;

    if (fd < 0)
        return fd;
    err = prepare(fd, address, options);
    if (err < 0) {
        (void)rota__fd_close(fd);
        return err;
    }
    listener->loop = loop;
    listener->watch = (struct rota__watch){.ready = listener_ready, .fd = fd};
    listener->on_readable.run = accept_all;
    rota__list_init(&listener->on_readable.link);
    rota__timer_init(&listener->retry, retry);
    return 0;
}

int rota__listener_start(struct rota__listener *listener, int backlog)
{
    int err = 0;

    if (listener->watch.events == 0)
        err = rota__socket_listen(listener->watch.fd, backlog);
    if (err == 0 && listener->watch.events == 0)
        err = watch_again(listener);
    return err;
}

void rota__listener_close(struct rota__listener *listener)
{
    rota__timer_cancel(listener->loop, &listener->retry);
    rota__unready(&listener->on_readable);
    /* Not forgotten: a forked child may keep the socket, and a level with it.
     */
    rota__poller_remove(&listener->loop->poller, &listener->watch);
    (void)rota__fd_close(listener->watch.fd);
}
