/* SPDX-License-Identifier: MIT */
/*
 * The bare limit: files by calls that block, and signals by a signalfd
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limit.h"
#include "peer.h"

double limit_file_pread(long n)
{
    char page[PEER_PAGE];
    int fd = peer_file();
    int64_t begin = peer_cpu_ns();

    for (long i = 0; i < n; i++)
        peer_check(pread(fd, page, sizeof page, i % PEER_PAGES * PEER_PAGE) ==
                       sizeof page,
                   "pread failed");
    return peer_ns_per_op(begin, n);
}

static void read_small(const char *path)
{
    char bytes[PEER_FILE_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;

    peer_check(fd >= 0 && fstat(fd, &stat) == 0 &&
                   read(fd, bytes, sizeof bytes) == stat.st_size,
               "cannot read a file");
    close(fd);
}

double limit_file_small(long n)
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

double limit_file_sync(long n)
{
    char page[PEER_PAGE] = {0};
    int fd = peer_file();
    int64_t begin = peer_wall_ns();

    for (long i = 0; i < n; i++)
        peer_check(pwrite(fd, page, sizeof page, i % PEER_PAGES * PEER_PAGE) ==
                           sizeof page &&
                       fsync(fd) == 0,
                   "cannot write a file");
    return peer_wall_ns_per_op(begin, n) / 1e3;
}

double limit_signal(long n)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct signalfd_siginfo info;
    sigset_t signals;
    int epoll = epoll_create1(EPOLL_CLOEXEC), fd;
    int64_t begin;

    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    peer_check(epoll >= 0 && fd >= 0, "no epoll, no signalfd");
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    begin = peer_cpu_ns();
    for (long i = 0; i < n; i++) {
        raise(SIGUSR1);
        epoll_wait(epoll, &event, 1, -1);
        peer_check(read(fd, &info, sizeof info) == sizeof info &&
                       info.ssi_signo == SIGUSR1,
                   "no signal");
    }
    return peer_ns_per_op(begin, n);
}
