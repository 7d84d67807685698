/* SPDX-License-Identifier: MIT */
/*
 * What tests of the watchdog share
 *
 * What blocks here reads standard error until the watchdog has told of it,
 * and so ends itself; if it is not told of, the test never ends.
 */
#ifndef TESTS_WATCHDOGS_H
#define TESTS_WATCHDOGS_H

#include "loops.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define SOON 0.005 /* seconds */

/* Standard error, in a pipe. */
static int stderr_before;
static int stderr_reader;
static char told[65536];

static inline void begin_to_read(void)
{
    int fds[2];

    fflush(stderr);
    assert_int_equal(pipe(fds), 0);
    stderr_before = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    stderr_reader = fds[0];
    told[0] = '\0';
}

/* By poll(), where ThreadSanitizer lets a signal in; that ends it early. */
static inline void block_until_readable(int fd)
{
    struct pollfd more = {.fd = fd, .events = POLLIN};

    while (poll(&more, 1, -1) < 0)
        ;
}

static inline bool read_more(void)
{
    size_t used = strlen(told);
    ssize_t n;

    block_until_readable(stderr_reader);
    n = read(stderr_reader, told + used, sizeof told - 1 - used);

    if (n > 0)
        told[used + (size_t)n] = '\0';
    return n > 0;
}

static inline int times_told(const char *text)
{
    int times = 0;

    for (const char *at = told; (at = strstr(at, text)) != NULL; at++)
        times++;
    return times;
}

__attribute__((noinline, unused)) static void block_until_told(const char *text,
                                                               int times)
{
    while (times_told(text) < times)
        assert_true(read_more());
}

/* The loop is freed, so nobody writes any more. */
static inline void read_the_rest(void)
{
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    while (read_more())
        ;
    close(stderr_reader);
    fputs(told, stderr);
}

static inline rota_loop *new_watched_loop(double seconds)
{
    rota_loop *loop = new_loop();

    loop->virtual_clock = false;
    rota_set_debug(loop, false);
    assert_int_equal(rota_set_watchdog(loop, seconds), 0);
    return loop;
}

static atomic_int blocked; /* callbacks that did, and have ended */

/* Runs one callback on a loop with a watchdog. */
static inline void run_watched(rota_callback *callback)
{
    rota_loop *loop = new_watched_loop(SOON);

    begin_to_read();
    assert_int_equal(rota_call_soon(loop, NULL, callback, loop), 0);
    run_one_turn(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_int_equal(blocked, 1);
}

static inline void block_in_a_callback(void *arg)
{
    (void)arg;
    block_until_told("rota:   block_in_a_callback+0x", 1);
    blocked++;
}

#endif
