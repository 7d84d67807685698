/* SPDX-License-Identifier: MIT */
/*
 * The bare limit: children
 *
 * posix_spawn, pidfd_open, the pidfd and the pipes in a level-triggered epoll,
 * waitid. A step of a pipe is one read or write of 64 KiB; pipes have the size
 * that the system gives them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit.h"
#include "peer.h"

static int epoll;

static void open_epoll(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    peer_check(epoll >= 0, "no epoll");
}

static void watch(int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = fd}};

    peer_check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "no watch");
}

/* Gives the pidfd of a child whose stdin and stdout are these, -1: ours. */
static int spawn(char **argv, int in, int out)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int err, pidfd;

    posix_spawn_file_actions_init(&actions);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&actions, in, 0);
    if (out >= 0)
        posix_spawn_file_actions_adddup2(&actions, out, 1);
    err = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    peer_check(err == 0, "no child");
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    peer_check(pidfd >= 0, "no pidfd");
    watch(pidfd, EPOLLIN);
    return pidfd;
}

static void reap(int pidfd)
{
    siginfo_t info;

    peer_check(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0 &&
                   info.si_code == CLD_EXITED && info.si_status == 0,
               "the child failed");
    close(pidfd);
}

double limit_child_1(long n)
{
    char *argv[] = {"/bin/true", NULL};
    struct epoll_event event;
    int64_t begin;

    open_epoll();
    begin = peer_wall_ns();
    for (long i = 0; i < n; i++) {
        int pidfd = spawn(argv, -1, -1);

        epoll_wait(epoll, &event, 1, -1);
        reap(pidfd);
    }
    return peer_wall_ns_per_op(begin, n) / 1e3;
}

double limit_child_big(long n)
{
    void *memory = peer_alloc(PEER_BIG, 1);
    double us = limit_child_1(n);

    free(memory);
    return us;
}

/* child-1000 */

static void reap_all(long left)
{
    struct epoll_event events[PEER_BATCH];

    while (left > 0) {
        int count = epoll_wait(epoll, events, PEER_BATCH, -1);

        for (int i = 0; i < count; i++)
            reap(events[i].data.fd);
        left -= count;
    }
}

double limit_child_1000(long n)
{
    char *argv[] = {"/bin/cat", NULL};
    int *doors = peer_alloc(n, sizeof *doors);
    int64_t begin;

    open_epoll();
    begin = peer_wall_ns();
    for (long i = 0; i < n; i++) {
        int ends[2];

        peer_check(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
        spawn(argv, ends[0], -1);
        close(ends[0]);
        doors[i] = ends[1];
    }
    for (long i = 0; i < n; i++)
        close(doors[i]);
    reap_all(n);
    free(doors);
    return peer_wall_ns_per_op(begin, 1) / PEER_NS_PER_MS;
}

/* Pipes */

struct talk {
    int in, out, pidfd; /* the first two -1: none */
    long to_write, was_read;
};

static struct talk begin_talk(char *command, long to_write, bool reads)
{
    char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct talk talk = {.in = -1, .out = -1, .to_write = to_write};
    int in[2] = {-1, -1}, out[2] = {-1, -1};

    peer_check(to_write == 0 || pipe2(in, O_CLOEXEC) == 0, "no pipe");
    peer_check(!reads || pipe2(out, O_CLOEXEC) == 0, "no pipe");
    talk.pidfd = spawn(argv, in[0], out[1]);
    if (to_write > 0) {
        close(in[0]);
        talk.in = in[1];
        fcntl(talk.in, F_SETFL, O_NONBLOCK);
        watch(talk.in, EPOLLOUT);
    }
    if (reads) {
        close(out[1]);
        talk.out = out[0];
        fcntl(talk.out, F_SETFL, O_NONBLOCK);
        watch(talk.out, EPOLLIN);
    }
    free(command);
    return talk;
}

static void write_some(struct talk *talk)
{
    static char chunk[PEER_CHUNK];
    size_t size =
        talk->to_write < PEER_CHUNK ? (size_t)talk->to_write : sizeof chunk;
    ssize_t written = write(talk->in, chunk, size);

    peer_check(written > 0 || errno == EAGAIN, "write failed");
    talk->to_write -= written > 0 ? written : 0;
    if (talk->to_write == 0)
        close(talk->in);
}

static void read_some(struct talk *talk)
{
    static char chunk[PEER_CHUNK];
    ssize_t got = read(talk->out, chunk, sizeof chunk);

    peer_check(got >= 0 || errno == EAGAIN, "read failed");
    talk->was_read += got > 0 ? got : 0;
    if (got == 0)
        close(talk->out);
}

static double talk_to(char *command, long n, bool writes, bool reads)
{
    int64_t begin = peer_wall_ns();
    struct talk talk;
    bool ended = false;

    open_epoll();
    talk = begin_talk(command, writes ? n : 0, reads);
    while (!ended) {
        struct epoll_event events[3];
        int count = epoll_wait(epoll, events, 3, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == talk.pidfd)
                ended = count == 1; /* the pipes first */
            else if (events[i].data.fd == talk.in)
                write_some(&talk);
            else
                read_some(&talk);
        }
    }
    reap(talk.pidfd);
    peer_check(talk.to_write == 0 && talk.was_read == (reads ? n : 0),
               "bytes are lost");
    return peer_mib_per_s(begin, n);
}

double limit_pipe_out(long n)
{
    return talk_to(peer_child_that_writes(n), n, false, true);
}

double limit_pipe_in(long n)
{
    return talk_to(peer_child_that_reads(), n, true, false);
}

double limit_pipe_both(long n)
{
    return talk_to(peer_child_that_passes_on(), n, true, true);
}
