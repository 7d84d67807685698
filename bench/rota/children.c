/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: children, and bytes through their pipes
 */
#include "micro.h"
#include "peer.h"

#include <stdlib.h>

static void succeed(rota_process *process)
{
    int status;

    micro_must(rota_process_wait(process, &status));
    peer_check(status == 0, "the child failed");
    rota_process_free(process);
}

static double child_1_body(long n)
{
    static const char *const argv[] = {"/bin/true", NULL};
    int64_t begin = peer_wall_ns();

    for (long i = 0; i < n; i++) {
        rota_process *process;

        micro_must(rota_create_subprocess_exec(&process, argv, NULL));
        succeed(process);
    }
    return peer_wall_ns_per_op(begin, n) / 1e3;
}

double child_1(long n)
{
    return micro_run(child_1_body, n);
}

double child_big(long n)
{
    void *memory = peer_alloc(PEER_BIG, 1);
    double us = micro_run(child_1_body, n);

    free(memory);
    return us;
}

static double child_1000_body(long n)
{
    static const char *const argv[] = {"/bin/cat", NULL};
    rota_subprocess_options options = {.in = ROTA_PIPE};
    rota_process **children = peer_alloc(n, sizeof(*children));
    int64_t begin = peer_wall_ns();

    for (long i = 0; i < n; i++)
        micro_must(rota_create_subprocess_exec(&children[i], argv, &options));
    for (long i = 0; i < n; i++)
        rota_close(rota_process_stdin(children[i]));
    for (long i = 0; i < n; i++)
        succeed(children[i]);
    free(children);
    return peer_wall_ns_per_op(begin, 1) / PEER_NS_PER_MS;
}

double child_1000(long n)
{
    return micro_run(child_1000_body, n);
}

/* --- Pipes --------------------------------------------------------------- */

static void write_all(rota_stream *stream, long n)
{
    static char chunk[PEER_CHUNK];

    for (long left = n; left > 0; left -= PEER_CHUNK) {
        size_t size = left < PEER_CHUNK ? (size_t)left : sizeof chunk;

        micro_must(rota_write(stream, chunk, size));
    }
    rota_close(stream);
}

/* How many bytes there were until the end. */
static intptr_t read_all(void *stream)
{
    const void *data;
    intptr_t got, all = 0;

    while ((got = rota_read_borrowed(stream, &data)) > 0)
        all += got;
    micro_must(got);
    return all;
}

static void talk(rota_process *process, long n)
{
    rota_stream *in = rota_process_stdin(process);
    rota_stream *out = rota_process_stdout(process);
    rota_task reader;

    if (out != NULL)
        micro_must(rota_create_task(&reader, read_all, out));
    if (in != NULL)
        write_all(in, n);
    if (out != NULL)
        peer_check(rota_await(reader) == n, "bytes are lost");
    succeed(process);
}

static double talk_to(char *command, const rota_subprocess_options *options,
                      long n)
{
    int64_t begin = peer_wall_ns();
    rota_process *process;

    micro_must(rota_create_subprocess_shell(&process, command, options));
    talk(process, n);
    free(command);
    return peer_mib_per_s(begin, n);
}

static double pipe_out_body(long n)
{
    rota_subprocess_options options = {.out = ROTA_PIPE};

    return talk_to(peer_child_that_writes(n), &options, n);
}

static double pipe_in_body(long n)
{
    rota_subprocess_options options = {.in = ROTA_PIPE};

    return talk_to(peer_child_that_reads(), &options, n);
}

static double pipe_both_body(long n)
{
    rota_subprocess_options options = {.in = ROTA_PIPE, .out = ROTA_PIPE};

    return talk_to(peer_child_that_passes_on(), &options, n);
}

double pipe_out(long n)
{
    return micro_run(pipe_out_body, n);
}

double pipe_in(long n)
{
    return micro_run(pipe_in_body, n);
}

double pipe_both(long n)
{
    return micro_run(pipe_both_body, n);
}
