/* SPDX-License-Identifier: MIT */
/*
 * What the tests of servers' options and clients share
 */
#ifndef TESTS_SERVERS_H
#define TESTS_SERVERS_H

#include "kinds.h"

static int clients; /* in their function */

static inline intptr_t echo_client(rota_stream *stream, void *arg)
{
    char buf[1024];
    intptr_t n;

    (void)arg;
    clients++;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        if ((n = rota_write(stream, buf, (size_t)n)) < 0)
            break;
    clients--;
    return n;
}

static inline int port_of(const rota_server *server, size_t i)
{
    rota_address address;

    assert_int_equal(rota_server_address(server, i, &address), 0);
    return rota_address_port(&address);
}

static inline rota_server *serve_with(rota_client_connected *client,
                                      const rota_server_options *options)
{
    rota_server *server;

    assert_int_equal(
        rota_start_server_with(&server, client, NULL, "127.0.0.1", 0, options),
        0);
    return server;
}

static inline void await_clients(int count)
{
    while (clients != count)
        assert_int_equal(rota_sleep(0), 0);
}

/* What the peer hears once it hears something. */
static inline const char *await_word(int fd)
{
    const char *heard;

    while (*(heard = bare_hear(fd)) == '\0')
        assert_int_equal(rota_sleep(0), 0);
    return heard;
}

static inline void expect_echo(int fd)
{
    bare_say(fd, "hello");
    assert_string_equal(await_word(fd), "hello");
}

/* The error of a connect that cannot wait; or 0, and it is closed again. */
static inline int try_connect(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int err = connect(fd, (struct sockaddr *)&address, sizeof address);

    err = err < 0 ? -errno : 0;
    close(fd);
    return err;
}

static inline const char *own_path(const char *name)
{
    static char path[100];

    snprintf(path, sizeof path, "/tmp/rota-%ld-%s", (long)getpid(), name);
    return path;
}

/* A connect to the path of a Unix socket, '@' for an abstract one. */
static inline int bare_connect_unix(const char *path)
{
    rota_address address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_int_equal(rota_address_unix(&address, path), 0);
    if (connect(fd, (struct sockaddr *)&address.storage, address.size) < 0) {
        int err = -errno;

        close(fd);
        return err;
    }
    return fd;
}

static inline intptr_t serve_forever_task(void *server)
{
    return rota_serve_forever(server);
}

static inline intptr_t wait_closed_task(void *server)
{
    return rota_server_wait_closed(server);
}

#endif
