/* SPDX-License-Identifier: MIT */
/*
 * Plain sockets: what the tests of the calls on them share
 *
 * Most of them are blocking: the loop must not mind.
 */
#ifndef TESTS_PLAIN_SOCKETS_H
#define TESTS_PLAIN_SOCKETS_H

#include "sockets.h"

#define MUCH ((size_t)4 << 20)

static inline void open_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static inline void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* A connected pair of TCP sockets. */
static inline void open_tcp(int fds[2])
{
    int port;
    int listener = bare_listen(&port, 0, 1);

    fds[0] = bare_connect(port);
    fds[1] = accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listener);
}

static inline rota_address address_of(int port)
{
    rota_address address;

    assert_int_equal(rota_address_parse(&address, "127.0.0.1", port), 0);
    return address;
}

static inline bool is_blocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

/* A task that receives once. */
struct receiving {
    int fd;
    char heard[16];
};

static inline intptr_t receive(void *arg)
{
    struct receiving *self = arg;
    intptr_t n = rota_sock_recv(self->fd, self->heard, sizeof self->heard - 1);

    if (n < 0)
        note("%s", rota_errname(n));
    else
        note("%.*s;", (int)n, self->heard);
    return n;
}

static inline rota_task start_receiving(struct receiving *self)
{
    rota_task task = start(receive, self);

    pass_turns(1);
    return task;
}

/* A task that sends. */
struct sending {
    int fd;
    char *data;
    size_t size;
    size_t sent;
};

static inline intptr_t send_it(void *arg)
{
    struct sending *self = arg;

    return rota_sock_sendall(self->fd, self->data, self->size, &self->sent);
}

static inline char *make_bytes(size_t size)
{
    char *data = malloc(size);

    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7 + i / 251 + i / 65537);
    return data;
}

#endif
