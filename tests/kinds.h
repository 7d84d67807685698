/* SPDX-License-Identifier: MIT */
/*
 * Kinds: the same stream over everything that a stream can be over
 *
 * A kind opens a pair: a stream that reads what its bare end writes, or one
 * that writes what its bare end reads. A table of kinds runs one test over all.
 */
#ifndef TESTS_KINDS_H
#define TESTS_KINDS_H

#include "readings.h"

#include <sys/stat.h>
#include <sys/un.h>

struct kind {
    const char *name;
    void (*open_reader)(struct pair *pair);
    void (*open_writer)(struct pair *pair);
    bool socket;
};

/* The stream has its end over now. */
static inline void pair_adopt(struct pair *pair, int ours, int peer)
{
    assert_int_equal(rota_open_fd(&pair->stream, ours), 0);
    pair->peer = peer;
}

static inline void pair_open_unix(struct pair *pair)
{
    char path[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(path, sizeof path, "/tmp/rota-kinds-%ld", (long)getpid());
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(
        bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(rota_open_unix_connection(&pair->stream, path, NULL), 0);
    pair->peer = accept(listener, NULL, NULL);
    assert_true(pair->peer >= 0);
    assert_int_equal(unlink(path), 0);
    close(listener);
}

static inline void pair_open_socketpair(struct pair *pair)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pair_adopt(pair, ends[0], ends[1]);
}

static inline void pair_open_pipe_reader(struct pair *pair)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pair_adopt(pair, ends[0], ends[1]);
}

static inline void pair_open_pipe_writer(struct pair *pair)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pair_adopt(pair, ends[1], ends[0]);
}

/* The two ends of a FIFO, the reader first. */
static inline void open_fifo(int ends[2])
{
    char path[64];

    snprintf(path, sizeof path, "/tmp/rota-fifo-%ld", (long)getpid());
    assert_int_equal(mkfifo(path, 0600), 0);
    ends[0] = open(path, O_RDONLY | O_NONBLOCK);
    ends[1] = open(path, O_WRONLY);
    assert_true(ends[0] >= 0 && ends[1] >= 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
    assert_int_equal(unlink(path), 0);
}

static inline void pair_open_fifo_reader(struct pair *pair)
{
    int ends[2];

    open_fifo(ends);
    pair_adopt(pair, ends[0], ends[1]);
}

static inline void pair_open_fifo_writer(struct pair *pair)
{
    int ends[2];

    open_fifo(ends);
    pair_adopt(pair, ends[1], ends[0]);
}

static const struct kind kinds[] = {
    {"tcp", pair_open, pair_open_narrow, true},
    {"unix", pair_open_unix, pair_open_unix, true},
    {"socketpair", pair_open_socketpair, pair_open_socketpair, true},
    {"pipe", pair_open_pipe_reader, pair_open_pipe_writer, false},
    {"fifo", pair_open_fifo_reader, pair_open_fifo_writer, false},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* --- The bare end of any kind ------------------------------------------- */

static inline void kind_say(const struct pair *pair, const char *text)
{
    assert_int_equal(write(pair->peer, text, strlen(text)), strlen(text));
}

/* The peer has nothing more to say. */
static inline void kind_end(const struct kind *kind, struct pair *pair)
{
    if (kind->socket) {
        shutdown(pair->peer, SHUT_WR);
        return;
    }
    close(pair->peer);
    pair->peer = -1;
}

/* Takes what is there; 0 at the end, -1 when there is nothing yet. */
static inline ssize_t kind_hear(const struct pair *pair, void *buf, size_t size)
{
    fcntl(pair->peer, F_SETFL, O_NONBLOCK);
    return read(pair->peer, buf, size);
}

#endif
