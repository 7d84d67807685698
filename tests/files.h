/* SPDX-License-Identifier: MIT */
/*
 * Files that are sent: what the tests of sendfile share
 */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include "sockets.h"

#define SIZE 1000003 /* of an ordinary file: no multiple of anything */
#define HIGH_WATER 65536

/* --- Files -------------------------------------------------------------- */

static inline char byte_at(size_t offset)
{
    return (char)(offset * 7 + offset / 251 + offset / 65537);
}

static inline int make_file(size_t size)
{
    static char block[65536];
    char path[] = "/tmp/rota-test-XXXXXX";
    int fd = mkstemp(path);
    size_t at = 0;

    assert_true(fd >= 0);
    unlink(path);
    while (at < size) {
        size_t n = size - at < sizeof block ? size - at : sizeof block;

        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(at + i);
        assert_int_equal(write(fd, block, n), n);
        at += n;
    }
    /* Where /tmp is on a disk, it must now be read from there. */
    assert_int_equal(fdatasync(fd), 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return fd;
}

static inline void assert_bytes_of_file(const char *data, size_t size,
                                        size_t offset)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != byte_at(offset + i))
            fail_msg("wrong byte at %zu", offset + i);
}

/* --- Both calls, one test ----------------------------------------------- */

/* Linux sends no file to what appends: it must be read and written. */
enum way { STREAM, SOCK, STREAM_IN_PIECES, SOCK_IN_PIECES, WAYS };

static inline bool by_stream(enum way way)
{
    return way == STREAM || way == STREAM_IN_PIECES;
}

static inline void append(enum way way, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (way == STREAM_IN_PIECES || way == SOCK_IN_PIECES)
        assert_int_equal(fcntl(fd, F_SETFL, flags | O_APPEND), 0);
}

struct scene {
    enum way way;
    struct pair pair; /* of a stream */
    int fd;           /* of a plain socket */
    int peer;
};

static inline void scene_open(struct scene *scene, enum way way)
{
    int fds[2];

    scene->way = way;
    if (by_stream(way)) {
        pair_open_narrow(&scene->pair);
        append(way, rota_stream_fileno(scene->pair.stream));
        scene->peer = scene->pair.peer;
        return;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    append(way, fds[0]);
    scene->fd = fds[0];
    scene->peer = fds[1];
}

/* Our end; the peer's stays, to be read to the end. */
static inline void scene_end(struct scene *scene)
{
    if (by_stream(scene->way))
        rota_stream_free(scene->pair.stream);
    else
        close(scene->fd);
}

static inline intptr_t scene_send(struct scene *scene, int file, int64_t offset,
                                  size_t count, size_t *sent)
{
    if (by_stream(scene->way))
        return rota_sendfile(scene->pair.stream, file, offset, count, sent);
    return rota_sock_sendfile(scene->fd, file, offset, count, sent);
}

static inline void each_way(rota_task_function *function)
{
    for (int way = 0; way < WAYS; way++) {
        const rota_loop_options options = {0};

        assert_int_equal(
            rota_run_with(&options, function, (void *)(intptr_t)way), 0);
    }
}

/* A task that sends. */
struct sending {
    struct scene *scene;
    int file;
    int64_t offset;
    size_t count;
    size_t sent;
};

static inline intptr_t send_it(void *arg)
{
    struct sending *self = arg;

    return scene_send(self->scene, self->file, self->offset, self->count,
                      &self->sent);
}

/* It has begun, and cannot end: bytes have come and are not taken. */
static inline void wait_for_bytes(const struct scene *scene)
{
    char byte;

    while (recv(scene->peer, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 1)
        pass_turns(1);
}

static inline void send_and_compare(struct scene *scene, int file,
                                    int64_t offset, size_t count, size_t wanted)
{
    struct sending sending = {scene, file, offset, count, 77};
    struct sink sink = {.fd = scene->peer, .wanted = wanted};
    rota_task task = start(send_it, &sending);

    if (wanted > 0)
        assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), wanted);
    assert_int_equal(sending.sent, wanted);
    assert_int_equal(sink.size, wanted);
    assert_bytes_of_file(sink.data, wanted, (size_t)offset);
    assert_string_equal(bare_hear(scene->peer), "");
    free(sink.data);
}

#endif
