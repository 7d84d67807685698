/* SPDX-License-Identifier: MIT */
/*
 * What tests of pollers have in common: a pair of sockets with a watch on one
 * of them, and each test once for every poller that this system has.
 *
 * `x_natively` runs x on the system's best, `x_by_poll` on poll(2) and
 * `x_simulated` on the simulated poller, which knows real fds as well.
 */
#ifndef TESTS_POLLERS_H
#define TESTS_POLLERS_H

#include "harness.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__)
#define NATIVE "epoll"
#else
#define NATIVE "kqueue"
#endif

#define ON_EACH(test)                                                          \
    static void test##_natively(void)                                          \
    {                                                                          \
        test(NATIVE);                                                          \
    }                                                                          \
    static void test##_by_poll(void)                                           \
    {                                                                          \
        test("poll");                                                          \
    }                                                                          \
    static void test##_simulated(void)                                         \
    {                                                                          \
        test("sim");                                                           \
    }
#define TESTS(test)                                                            \
    TEST(test##_natively), TEST(test##_by_poll), TEST(test##_simulated)

/* A watch that notes what it is told. */
struct noted {
    struct rota__watch watch;
    unsigned events;
    int times;
};

/* A poller, and a pair of sockets of which ours is the watched one. */
struct scene {
    struct rota__poller poller;
    struct noted noted;
    int ours;
    int theirs;
};

static inline void take_note(struct rota__watch *watch, unsigned events)
{
    struct noted *noted = rota__container_of(watch, struct noted, watch);

    noted->events |= events;
    noted->times++;
}

static inline struct noted noted_for(int fd)
{
    return (struct noted){.watch = {.ready = take_note, .fd = fd}};
}

static inline void open_scene(struct scene *scene, const char *poller,
                              unsigned events)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    scene->ours = fds[0];
    scene->theirs = fds[1];
    scene->noted = noted_for(fds[0]);
    assert_int_equal(rota__poller_open(&scene->poller, poller), 0);
    if (events)
        assert_int_equal(
            rota__poller_add(&scene->poller, &scene->noted.watch, events), 0);
}

static inline void close_scene(struct scene *scene)
{
    rota__poller_remove(&scene->poller, &scene->noted.watch);
    rota__poller_close(&scene->poller);
    close(scene->ours);
    if (scene->theirs >= 0)
        close(scene->theirs);
}

/* What the watch is told by one look. */
static inline unsigned look(struct rota__poller *poller, struct noted *noted)
{
    noted->events = 0;
    noted->times = 0;
    assert_int_equal(rota__poller_wait(poller, ROTA__ASK), 0);
    assert_true(noted->times <= 1);
    return noted->events;
}

static inline unsigned look_at(struct scene *scene)
{
    return look(&scene->poller, &scene->noted);
}

static inline void send_byte(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static inline void read_all(int fd)
{
    char bytes[65536];

    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static inline void fill_up(int fd)
{
    static const char bytes[65536];

    while (write(fd, bytes, sizeof bytes) > 0)
        ;
}

#endif
