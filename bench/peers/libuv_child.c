/* SPDX-License-Identifier: MIT */
/*
 * The peer libuv: children
 *
 * uv_spawn; its pipes are Unix sockets. It tries to write at once and queues
 * only what the pipe did not take.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <uv.h>

#include "libuv_works.h"
#include "peer.h"

struct child {
    uv_process_t process;
    uv_pipe_t in, out;
    uv_stdio_container_t stdio[3];
};

static uv_loop_t *loop;
static long left; /* children or bytes to come */

static void on_end(uv_process_t *process, int64_t status, int signal)
{
    peer_check(status == 0 && signal == 0, "the child failed");
    uv_close((uv_handle_t *)process, NULL);
}

static void give_pipe(uv_stdio_container_t *stdio, uv_pipe_t *pipe, int flag)
{
    uv_pipe_init(loop, pipe, 0);
    stdio->flags = (uv_stdio_flags)(UV_CREATE_PIPE | flag);
    stdio->data.stream = (uv_stream_t *)pipe;
}

static void spawn(struct child *child, char **argv, uv_exit_cb exited,
                  bool writes, bool reads)
{
    uv_process_options_t options = {.file = argv[0],
                                    .args = argv,
                                    .exit_cb = exited,
                                    .stdio_count = 3,
                                    .stdio = child->stdio};

    for (int fd = 0; fd < 3; fd++) {
        child->stdio[fd].flags = UV_INHERIT_FD;
        child->stdio[fd].data.fd = fd;
    }
    if (writes)
        give_pipe(&child->stdio[0], &child->in, UV_READABLE_PIPE);
    if (reads)
        give_pipe(&child->stdio[1], &child->out, UV_WRITABLE_PIPE);
    peer_check(uv_spawn(loop, &child->process, &options) == 0, "no child");
}

/* child-1, child-big */

static char *true_argv[] = {"/bin/true", NULL};
static struct child one;

static void on_true(uv_process_t *process, int64_t status, int signal);

static void on_gone(uv_handle_t *handle)
{
    (void)handle;
    if (--left > 0)
        spawn(&one, true_argv, on_true, false, false);
}

static void on_true(uv_process_t *process, int64_t status, int signal)
{
    peer_check(status == 0 && signal == 0, "the child failed");
    uv_close((uv_handle_t *)process, on_gone);
}

double libuv_child_1(long n)
{
    int64_t begin = peer_wall_ns();

    loop = uv_default_loop();
    left = n;
    spawn(&one, true_argv, on_true, false, false);
    uv_run(loop, UV_RUN_DEFAULT);
    peer_check(left == 0, "a child is missing");
    return peer_wall_ns_per_op(begin, n) / 1e3;
}

double libuv_child_big(long n)
{
    void *memory = peer_alloc(PEER_BIG, 1);
    double us = libuv_child_1(n);

    free(memory);
    return us;
}

double libuv_child_1000(long n)
{
    char *argv[] = {"/bin/cat", NULL};
    struct child *children = peer_alloc(n, sizeof *children);
    int64_t begin = peer_wall_ns();

    loop = uv_default_loop();
    for (long i = 0; i < n; i++)
        spawn(&children[i], argv, on_end, true, false);
    for (long i = 0; i < n; i++)
        uv_close((uv_handle_t *)&children[i].in, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    return peer_wall_ns_per_op(begin, 1) / PEER_NS_PER_MS;
}

/* Pipes */

static char chunk[PEER_CHUNK], received[PEER_CHUNK];
static uv_write_t rest;
static long got_all;

static void write_on(uv_stream_t *stream);

static void on_written(uv_write_t *write, int status)
{
    peer_check(status == 0, "write failed");
    write_on(write->handle);
}

/* As much as the pipe takes now; of a chunk that it takes in part, the rest is
   queued, and writing goes on when that is gone. */
static void write_on(uv_stream_t *stream)
{
    while (left > 0) {
        size_t size = left < PEER_CHUNK ? (size_t)left : sizeof chunk;
        uv_buf_t buf = uv_buf_init(chunk, (unsigned)size);
        int sent = uv_try_write(stream, &buf, 1);

        sent = sent < 0 ? 0 : sent;
        left -= (long)size;
        if ((size_t)sent < size) {
            buf = uv_buf_init(chunk + sent, (unsigned)size - (unsigned)sent);
            uv_write(&rest, stream, &buf, 1, on_written);
            return;
        }
    }
    uv_close((uv_handle_t *)stream, NULL);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    (void)handle, (void)hint;
    *buf = uv_buf_init(received, sizeof received);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    (void)buf;
    peer_check(got >= 0 || got == UV_EOF, "read failed");
    got_all += got > 0 ? got : 0;
    if (got < 0)
        uv_close((uv_handle_t *)stream, NULL);
}

static double talk_to(char *command, long n, bool writes, bool reads)
{
    char *argv[] = {"/bin/sh", "-c", command, NULL};
    int64_t begin = peer_wall_ns();

    loop = uv_default_loop();
    spawn(&one, argv, on_end, writes, reads);
    if (reads)
        uv_read_start((uv_stream_t *)&one.out, on_alloc, on_read);
    left = writes ? n : 0;
    if (writes)
        write_on((uv_stream_t *)&one.in);
    uv_run(loop, UV_RUN_DEFAULT);
    free(command);
    peer_check(left == 0 && got_all == (reads ? n : 0), "bytes are lost");
    return peer_mib_per_s(begin, n);
}

double libuv_pipe_out(long n)
{
    return talk_to(peer_child_that_writes(n), n, false, true);
}

double libuv_pipe_in(long n)
{
    return talk_to(peer_child_that_reads(), n, true, false);
}

double libuv_pipe_both(long n)
{
    return talk_to(peer_child_that_passes_on(), n, true, true);
}
