/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures: files and signals
 */
#include "micro.h"
#include "peer.h"

#include <fcntl.h>
#include <signal.h>

static rota_file *new_file(void)
{
    rota_file *file;

    micro_must(rota_file_open_fd(&file, peer_file()));
    return file;
}

static double pread_body(long n)
{
    rota_file *file = new_file();
    char page[PEER_PAGE];
    int64_t begin = peer_cpu_ns();
    double ns;

    for (long i = 0; i < n; i++)
        peer_check(rota_file_pread(file, page, sizeof page,
                                   i % PEER_PAGES * PEER_PAGE) == PEER_PAGE,
                   "a short read");
    ns = peer_ns_per_op(begin, n);
    rota_file_free(file);
    return ns;
}

double file_pread(long n)
{
    return micro_run(pread_body, n);
}

static void read_small(const char *path)
{
    char bytes[PEER_FILE_SIZE];
    rota_file *file;
    struct stat stat;

    micro_must(rota_file_open(&file, path, O_RDONLY, 0));
    micro_must(rota_file_stat(file, &stat));
    peer_check(rota_file_read(file, bytes, sizeof bytes) == stat.st_size,
               "a short read");
    micro_must(rota_file_close(file));
    rota_file_free(file);
}

static double small_body(long n)
{
    char path[PEER_PATH];
    int64_t begin;
    double ns;

    peer_files_make();
    begin = peer_cpu_ns();
    for (long i = 0; i < n; i++) {
        peer_files_path(path, i);
        read_small(path);
    }
    ns = peer_ns_per_op(begin, n);
    peer_files_remove();
    return ns;
}

double file_small(long n)
{
    return micro_run(small_body, n);
}

static double sync_body(long n)
{
    rota_file *file = new_file();
    char page[PEER_PAGE] = {0};
    int64_t begin = peer_wall_ns();
    double us;

    for (long i = 0; i < n; i++) {
        micro_must(rota_file_pwrite(file, page, sizeof page,
                                    i % PEER_PAGES * PEER_PAGE));
        micro_must(rota_file_sync(file));
    }
    us = peer_wall_ns_per_op(begin, n) / 1e3;
    rota_file_free(file);
    return us;
}

double file_sync(long n)
{
    return micro_run(sync_body, n);
}

/* --- Signals ------------------------------------------------------------- */

struct raising {
    long left;
    rota_event done;
};

static void on_signal(void *arg)
{
    struct raising *raising = arg;

    if (--raising->left > 0)
        raise(SIGUSR1);
    else
        rota_event_set(&raising->done);
}

static double signal_body(long n)
{
    rota_loop *loop = rota_get_running_loop();
    struct raising raising = {.left = n};
    int64_t begin;

    rota_event_init(&raising.done);
    micro_must(rota_add_signal_handler(loop, SIGUSR1, on_signal, &raising));
    begin = peer_cpu_ns();
    raise(SIGUSR1);
    micro_must(rota_event_wait(&raising.done));
    return peer_ns_per_op(begin, n);
}

double raise_signals(long n)
{
    return micro_run(signal_body, n);
}
