/* SPDX-License-Identifier: MIT */
/*
 * Waiting: what the tests of tasks that wait for an fd share
 */
#ifndef TESTS_WAITING_H
#define TESTS_WAITING_H

#include "sockets.h"

/* A connected pair of non-blocking sockets. */
static inline void open_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
}

static inline void open_pipe(int ends[2])
{
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
}

static inline void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static inline void fill_up(int fd)
{
    static const char bytes[65536];

    while (write(fd, bytes, sizeof bytes) > 0)
        ;
}

static inline void read_all(int fd)
{
    static char bytes[65536];

    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

/* A task that waits once and notes its word, an error behind it. */
struct waiting {
    int fd;
    bool writing;
    const char *word;
};

static inline intptr_t wait_once(void *arg)
{
    const struct waiting *waiting = arg;
    int err = waiting->writing ? rota_wait_writable(waiting->fd)
                               : rota_wait_readable(waiting->fd);

    if (err < 0)
        note("%s:%s", waiting->word, rota_errname(err));
    else
        note("%s", waiting->word);
    return err;
}

/* Begun, and waiting by the next line. */
static inline rota_task start_waiting(struct waiting *waiting)
{
    rota_task task = start(wait_once, waiting);

    pass_turns(1);
    return task;
}

#endif
