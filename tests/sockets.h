/* SPDX-License-Identifier: MIT */
/*
 * Sockets: what the tests of streams and servers share
 *
 * The other end of a stream is a bare socket that the test drives by hand, so
 * that each byte, end and reset comes when the test says so. What is sent on
 * the loopback interface has arrived when the call returns.
 */
#ifndef TESTS_SOCKETS_H
#define TESTS_SOCKETS_H

#include "scenario.h"
#include "stream/stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static inline intptr_t run_in_order(void *function)
{
    rota_loop *loop = rota_get_running_loop();

    loop->keep_order = true;
    loop->debug = false;
    return ((rota_task_function *)function)(NULL);
}

/* Runs a main task on a loop as the environment wants it, but in order. */
static inline void run(rota_task_function *function)
{
    assert_int_equal(rota_run(run_in_order, (void *)function), 0);
}

/* The same in twenty other orders. */
static inline void run_shuffled(rota_task_function *function)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const rota_loop_options options = {.seed = seed};

        assert_int_equal(rota_run_with(&options, function, NULL), 0);
    }
}

/* --- The bare end ------------------------------------------------------- */

static inline struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static inline void set_option(int fd, int name, int value)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, name, &value, sizeof value), 0);
}

/* Listens on a free port; `room` bytes to receive, or 0 for what is usual. */
static inline int bare_listen(int *port, int room, int backlog)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    if (room)
        set_option(fd, SO_RCVBUF, room);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline int bare_connect(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address),
                     0);
    return fd;
}

/* Where nobody listens: no system gives this port to who asks for any. */
#define REFUSED_PORT 1

/* A port on which nobody listens. */
static inline int unused_port(void)
{
    int port;

    close(bare_listen(&port, 0, 1));
    return port;
}

static inline void bare_send(int fd, const void *data, size_t size)
{
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
}

static inline void bare_say(int fd, const char *text)
{
    bare_send(fd, text, strlen(text));
}

/* The end is told as "EOF", a reset as "RESET", nothing at all as "". */
static inline const char *bare_hear(int fd)
{
    static char heard[1024];
    ssize_t n = recv(fd, heard, sizeof heard - 1, MSG_DONTWAIT);

    if (n == 0)
        return "EOF";
    if (n < 0)
        return errno == ECONNRESET ? "RESET" : "";
    heard[n] = '\0';
    return heard;
}

/* Of one who does not accept: the next to connect has to wait. */
static inline void bare_fill_backlog(int port, int *fds, int count)
{
    struct sockaddr_in address = loopback(port);

    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&address, sizeof address);
    }
}

/* Closes with a reset. */
static inline void bare_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now),
                     0);
    assert_int_equal(close(fd), 0);
}

/* --- A stream and its bare end ------------------------------------------ */

struct pair {
    rota_stream *stream;
    int peer;
};

static inline void pair_open_with(struct pair *pair, int room)
{
    int port;
    int listener = bare_listen(&port, room, 1);

    assert_int_equal(rota_open_connection(&pair->stream, "127.0.0.1", port), 0);
    pair->peer = accept(listener, NULL, NULL);
    assert_true(pair->peer >= 0);
    close(listener);
    if (room)
        set_option(pair->stream->conn.watch.fd, SO_SNDBUF, room);
}

static inline void pair_open(struct pair *pair)
{
    pair_open_with(pair, 0);
}

/* One whose kernel buffers are soon full. */
#define NARROW 65536
static inline void pair_open_narrow(struct pair *pair)
{
    pair_open_with(pair, NARROW);
}

static inline void pair_close(struct pair *pair)
{
    rota_stream_free(pair->stream);
    if (pair->peer >= 0)
        close(pair->peer);
}

/* The peer is gone with a reset. */
static inline void pair_reset(struct pair *pair)
{
    bare_reset(pair->peer);
    pair->peer = -1;
}

/* Writes without waiting until the kernel takes no more; returns how much. */
static inline size_t pair_fill(struct pair *pair, char letter)
{
    char block[4096];
    size_t sum = 0;

    memset(block, letter, sizeof block);
    while (rota_stream_write_buffer_size(pair->stream) == 0) {
        assert_int_equal(rota_write_nowait(pair->stream, block, sizeof block),
                         0);
        sum += sizeof block;
    }
    return sum;
}

/* --- A task that empties the bare end ----------------------------------- */

struct sink {
    int fd;
    size_t wanted; /* ends with so many bytes, or with the stream */
    char *data;
    size_t size;
    size_t capacity;
};

/* Takes what is there; false at the end of the stream. */
static inline bool sink_take(struct sink *sink)
{
    ssize_t n;

    do {
        if (sink->capacity - sink->size < NARROW) {
            sink->capacity = 2 * sink->capacity + NARROW;
            sink->data = realloc(sink->data, sink->capacity);
            assert_non_null(sink->data);
        }
        n = recv(sink->fd, sink->data + sink->size, NARROW, MSG_DONTWAIT);
        if (n > 0)
            sink->size += (size_t)n;
    } while (n > 0 && sink->size < sink->wanted);
    return n != 0;
}

static inline intptr_t sink_run(void *arg)
{
    struct sink *sink = arg;

    while (sink_take(sink) && sink->size < sink->wanted)
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    return 0;
}

/* The length of the run of one letter that begins at `from`. */
static inline size_t sink_run_of(const struct sink *sink, size_t from,
                                 char letter)
{
    size_t at = from;

    while (at < sink->size && sink->data[at] == letter)
        at++;
    return at - from;
}

/* --- Limits ------------------------------------------------------------- */

/* Leaves room for `more` descriptors; returns the limit that was. */
static inline rlim_t limit_fds(int more)
{
    struct rlimit limit;
    rlim_t before;
    int next = dup(0);

    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)(next + more);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static inline void unlimit_fds(rlim_t before)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

#endif
