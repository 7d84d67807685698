/* SPDX-License-Identifier: MIT */
/*
 * Forks: making a child, and what it leaves behind at once
 */
#define _GNU_SOURCE
#include "os/fork.h"
#include "os/spawn_plan.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <dirent.h>
#include <stdio_ext.h>
#include <sys/syscall.h>
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#endif

#define CHILD_FD 3

/* --- The two ends -------------------------------------------------------- */

/* Above 2, so that a program without stdout does not print into it. */
static int move_up(int *fd)
{
    int moved;

    if (*fd < 0 || *fd > STDERR_FILENO)
        return 0;
    moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved < 0)
        return -errno;
    close(*fd);
    *fd = moved;
    return 0;
}

static int open_pidfd(pid_t pid)
{
    int fd = rota__process_open(pid);

    if (move_up(&fd) == 0)
        return fd;
    close(fd);
    return -1;
}

static int make_pair(int ends[2])
{
#if defined(SOCK_CLOEXEC)
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
#else
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
#endif
#if defined(SO_NOSIGPIPE)
    for (int i = 0; i < 2; i++)
        (void)rota__socket_option(ends[i], SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    return 0;
}

static int open_pair(int ends[2])
{
    int err = make_pair(ends);

    if (err < 0)
        return err;
    err = move_up(&ends[0]);
    if (err == 0)
        err = move_up(&ends[1]);
    if (err < 0) {
        close(ends[0]);
        close(ends[1]);
    }
    return err;
}

/* --- In the child -------------------------------------------------------- */

#if defined(__linux__)

/* Where close_range() is missing or forbidden. */
static void close_listed(void)
{
    DIR *list = opendir("/proc/self/fd");
    struct dirent *entry;

    while (list && (entry = readdir(list)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (fd > CHILD_FD && fd != dirfd(list))
            close(fd);
    }
    if (list)
        closedir(list);
}

static void close_above(void)
{
    if (syscall(SYS_close_range, CHILD_FD + 1, ~0U, 0) < 0)
        close_listed();
}

static void drop_output(FILE *file)
{
    __fpurge(file);
}

#else

static void close_above(void)
{
    int limit = (int)sysconf(_SC_OPEN_MAX);

    for (int fd = CHILD_FD + 1; fd < limit; fd++)
        close(fd);
}

static void drop_output(FILE *file)
{
    fpurge(file);
}

#endif

static int keep_one_fd(int fd)
{
    if (fd != CHILD_FD)
        (void)dup2(fd, CHILD_FD);
    (void)fcntl(CHILD_FD, F_SETFD, FD_CLOEXEC);
    close_above();
    return CHILD_FD;
}

/* The first file that a function opens must not become its stdout. */
static void fill_standard_fds(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR);
}

static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
           number == SIGILL;
}

/* As exec() does: what is ignored stays so. */
static void drop_handlers(void)
{
    struct sigaction now;

    for (int number = 1; number < NSIG; number++) {
        if (is_fault(number) || sigaction(number, NULL, &now) < 0)
            continue;
        if ((now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_IGN)
            (void)signal(number, SIG_DFL);
    }
    (void)signal(SIGINT, SIG_IGN);
}

static void unblock_all(void)
{
    sigset_t none;

    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* The first that exit() runs, but for what a function has added: what the
   parent has left to do at its own end is no business of the child's. */
static void exit_here(void)
{
    fflush(stdout);
    fflush(stderr);
    _exit(EXIT_FAILURE);
}

static void become_child(struct rota__fork *self, int fd)
{
    self->id.pid = -1;
    self->id.fd = -1;
    self->fd = keep_one_fd(fd);
    fill_standard_fds();
    drop_handlers();
    drop_output(stdout);
    drop_output(stderr);
    rota__overflow_forget();
    rota__halt_forget();
    rota__symbols_forget();
    (void)atexit(exit_here);
    unblock_all();
}

/* --- In the parent ------------------------------------------------------- */

int rota__fork(struct rota__fork *self)
{
    int ends[2];
    int err = open_pair(ends);
    pid_t pid;

    if (err < 0)
        return err;
    pid = fork();
    if (pid == 0) {
        become_child(self, ends[1]);
        return 1;
    }
    err = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (err < 0) {
        close(ends[0]);
        return err;
    }
    self->fd = ends[0];
    self->id.pid = pid;
    self->id.fd = open_pidfd(pid);
    return 0;
}

void rota__fork_kill(const struct rota__fork *self)
{
    (void)rota__process_signal(&self->id, SIGKILL);
}

/* A child that somebody has stopped would never see the end. */
int rota__fork_end(struct rota__fork *self)
{
    int returncode = 0;

    (void)shutdown(self->fd, SHUT_RDWR);
    (void)rota__fd_close(self->fd);
    (void)rota__process_signal(&self->id, SIGCONT);
    if (rota__process_reap(&self->id, true, &returncode) < 0)
        returncode = 0;
    rota__process_close(&self->id);
    return returncode;
}

void rota__fork_leave(int code)
{
    _exit(code);
}
