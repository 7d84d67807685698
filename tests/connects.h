/* SPDX-License-Identifier: MIT */
/*
 * Connects: what the tests of connecting share
 *
 * A listening socket whose backlog is full is a black hole: it answers
 * nobody.
 */
#ifndef TESTS_CONNECTS_H
#define TESTS_CONNECTS_H

#include "sockets.h"

#define HAPPY .happy_eyeballs_delay = 0.25

static const rota_connect_options happy = {HAPPY};

static inline int listen_at(const char *host, int port, int backlog)
{
    rota_address address;
    int fd;

    assert_int_equal(rota_address_parse(&address, host, port), 0);
    fd = socket(address.storage.ss_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    set_option(fd, SO_REUSEADDR, 1);
    if (bind(fd, (struct sockaddr *)&address.storage, address.size) < 0)
        harness_skip("this machine has no such address");
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static inline int port_of(int fd)
{
    rota_address address;

    assert_int_equal(rota__socket_local(fd, &address), 0);
    return rota_address_port(&address);
}

struct hole {
    int listener;
    int filling[4];
};

static inline void hole_open(struct hole *hole, const char *host, int port)
{
    rota_address address;

    hole->listener = listen_at(host, port, 0);
    assert_int_equal(
        rota_address_parse(&address, host, port_of(hole->listener)), 0);
    for (int i = 0; i < 4; i++) {
        hole->filling[i] =
            socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(hole->filling[i], (struct sockaddr *)&address.storage,
                      address.size);
    }
}

static inline void hole_close(struct hole *hole)
{
    for (int i = 0; i < 4; i++)
        close(hole->filling[i]);
    close(hole->listener);
}

static inline int open_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 1000; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Both ends say something; closes them. */
static inline void expect_talk(rota_stream *stream, int listener)
{
    char buf[16];
    int peer = accept(listener, NULL, NULL);

    assert_true(peer >= 0);
    assert_int_equal(rota_write(stream, "ping", 4), 4);
    assert_string_equal(bare_hear(peer), "ping");
    bare_say(peer, "pong");
    assert_int_equal(rota_read(stream, buf, sizeof buf), 4);
    assert_memory_equal(buf, "pong", 4);
    rota_stream_free(stream);
    close(peer);
}

#endif
