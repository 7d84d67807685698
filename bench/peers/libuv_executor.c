/* SPDX-License-Identifier: MIT */
/*
 * The peer libuv: calls on its thread pool, files (which go there, too) and
 * signals
 *
 * Each callback asks for the next call. A pool has four threads unless
 * UV_THREADPOOL_SIZE says otherwise. libuv has no pool of processes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "libuv_works.h"
#include "peer.h"

struct call {
    uv_work_t work;
    long arg, result;
};

static uv_loop_t *loop;
static long left, answered;

static void add_one(uv_work_t *work)
{
    struct call *call = (struct call *)work;

    call->result = call->arg + 1;
}

static void on_answer(uv_work_t *work, int status)
{
    struct call *call = (struct call *)work;

    peer_check(status == 0 && call->result == call->arg + 1, "not called");
    call->arg = call->result;
    answered++;
    if (left-- > 0)
        uv_queue_work(loop, work, add_one, on_answer);
}

static void round_trips(long n, int in_flight)
{
    static struct call calls[PEER_IN_FLIGHT];

    loop = uv_default_loop();
    left = n - in_flight;
    answered = 0;
    for (int i = 0; i < in_flight; i++)
        uv_queue_work(loop, &calls[i].work, add_one, on_answer);
    uv_run(loop, UV_RUN_DEFAULT);
    peer_check(answered == n, "a call was not answered");
}

static double cpu_of(long n, int in_flight)
{
    int64_t begin;

    round_trips(PEER_BATCH, in_flight);
    begin = peer_cpu_ns();
    round_trips(n, in_flight);
    return peer_ns_per_op(begin, n);
}

static double wall_of(long n, int in_flight)
{
    int64_t begin;

    round_trips(PEER_BATCH, in_flight);
    begin = peer_wall_ns();
    round_trips(n, in_flight);
    return peer_wall_ns_per_op(begin, n);
}

double libuv_executor_1(long n)
{
    return cpu_of(n, 1);
}

double libuv_executor_64(long n)
{
    return cpu_of(n, PEER_IN_FLIGHT);
}

double libuv_executor_1_wall(long n)
{
    return wall_of(n, 1);
}

double libuv_executor_64_wall(long n)
{
    return wall_of(n, PEER_IN_FLIGHT);
}

/* Files */

static char bytes[PEER_PAGE];
static uv_fs_t request;
static long total, at;
static uv_file fd;

static long answer(uv_fs_t *fs)
{
    long result = (long)fs->result;

    peer_check(result >= 0, "a call of a file failed");
    uv_fs_req_cleanup(fs);
    return result;
}

static void on_page(uv_fs_t *fs)
{
    uv_buf_t buf = uv_buf_init(bytes, PEER_PAGE);

    peer_check(answer(fs) == PEER_PAGE, "a short read");
    if (++at < total)
        uv_fs_read(loop, fs, fd, &buf, 1, at % PEER_PAGES * PEER_PAGE, on_page);
}

double libuv_file_pread(long n)
{
    uv_buf_t buf = uv_buf_init(bytes, PEER_PAGE);
    int64_t begin;

    loop = uv_default_loop();
    fd = peer_file();
    total = n;
    begin = peer_cpu_ns();
    uv_fs_read(loop, &request, fd, &buf, 1, 0, on_page);
    uv_run(loop, UV_RUN_DEFAULT);
    return peer_ns_per_op(begin, at);
}

static void open_next(void);

static void on_close(uv_fs_t *fs)
{
    answer(fs);
    if (++at < total)
        open_next();
}

static void on_read(uv_fs_t *fs)
{
    peer_check(answer(fs) == PEER_FILE_SIZE, "a short read");
    uv_fs_close(loop, fs, fd, on_close);
}

static void on_stat(uv_fs_t *fs)
{
    uv_buf_t buf = uv_buf_init(bytes, PEER_FILE_SIZE);

    peer_check(fs->statbuf.st_size == PEER_FILE_SIZE, "a wrong size");
    answer(fs);
    uv_fs_read(loop, fs, fd, &buf, 1, -1, on_read);
}

static void on_open(uv_fs_t *fs)
{
    fd = (uv_file)answer(fs);
    uv_fs_fstat(loop, fs, fd, on_stat);
}

static void open_next(void)
{
    char path[PEER_PATH];

    peer_files_path(path, at);
    uv_fs_open(loop, &request, path, O_RDONLY, 0, on_open);
}

double libuv_file_small(long n)
{
    int64_t begin;
    double ns;

    loop = uv_default_loop();
    peer_files_make();
    total = n;
    begin = peer_cpu_ns();
    open_next();
    uv_run(loop, UV_RUN_DEFAULT);
    ns = peer_ns_per_op(begin, at);
    peer_files_remove();
    return ns;
}

static void on_sync(uv_fs_t *fs);

static void on_write(uv_fs_t *fs)
{
    peer_check(answer(fs) == PEER_PAGE, "a short write");
    uv_fs_fsync(loop, fs, fd, on_sync);
}

static void write_next(uv_fs_t *fs)
{
    uv_buf_t buf = uv_buf_init(bytes, PEER_PAGE);

    uv_fs_write(loop, fs, fd, &buf, 1, at % PEER_PAGES * PEER_PAGE, on_write);
}

static void on_sync(uv_fs_t *fs)
{
    answer(fs);
    if (++at < total)
        write_next(fs);
}

double libuv_file_sync(long n)
{
    int64_t begin;

    loop = uv_default_loop();
    fd = peer_file();
    total = n;
    begin = peer_wall_ns();
    write_next(&request);
    uv_run(loop, UV_RUN_DEFAULT);
    return peer_wall_ns_per_op(begin, at) / 1e3;
}

/* signal */

static void on_signal(uv_signal_t *handle, int number)
{
    peer_check(number == SIGUSR1, "another signal");
    if (++at < total)
        raise(SIGUSR1);
    else
        uv_signal_stop(handle);
}

double libuv_signal(long n)
{
    uv_signal_t handle;
    int64_t begin;

    loop = uv_default_loop();
    uv_signal_init(loop, &handle);
    uv_signal_start(&handle, on_signal, SIGUSR1);
    total = n;
    begin = peer_cpu_ns();
    raise(SIGUSR1);
    uv_run(loop, UV_RUN_DEFAULT);
    peer_check(at == n, "a signal was not told");
    return peer_ns_per_op(begin, n);
}
