/* SPDX-License-Identifier: MIT */
/*
 * Processes of ours: signals, their end, their pipes
 *
 * A child keeps its number until it was waited for, so a signal by number
 * cannot go astray before that; one by pidfd cannot at all.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/spawn_plan.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include "os/valgrind.h"
#include <sys/syscall.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define BY_PIDFD ((idtype_t)3) /* P_PIDFD */

/* valgrind would complain of a call that it does not know. */
int rota__process_open(pid_t pid)
{
    return rota__valgrind_runs_us() ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
}

int rota__process_signal(const struct rota__process_id *id, int signal)
{
    if (id->pid <= 0)
        return -ESRCH;
    if (id->fd >= 0) {
        if (syscall(SYS_pidfd_send_signal, id->fd, signal, NULL, 0) == 0)
            return 0;
        if (errno != ENOSYS)
            return -errno;
    }
    return kill(id->pid, signal) < 0 ? -errno : 0;
}

static int wait_for(const struct rota__process_id *id, siginfo_t *info,
                    int options)
{
    int result = -1;

    errno = EINVAL;
    if (id->fd >= 0)
        result = waitid(BY_PIDFD, (id_t)id->fd, info, options);
    if (result < 0 && errno == EINVAL) /* before Linux 5.4 */
        result = waitid(P_PID, (id_t)id->pid, info, options);
    return result;
}
#else
int rota__process_open(pid_t pid)
{
    (void)pid;
    return -1;
}

int rota__process_signal(const struct rota__process_id *id, int signal)
{
    if (id->pid <= 0)
        return -ESRCH;
    return kill(id->pid, signal) < 0 ? -errno : 0;
}

static int wait_for(const struct rota__process_id *id, siginfo_t *info,
                    int options)
{
    return waitid(P_PID, (id_t)id->pid, info, options);
}
#endif

int rota__process_reap(const struct rota__process_id *id, bool wait,
                       int *returncode)
{
    siginfo_t info;
    int result;

    if (id->pid <= 0)
        return -ECHILD;
    memset(&info, 0, sizeof info);
    do
        result = wait_for(id, &info, WEXITED | (wait ? 0 : WNOHANG));
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    *returncode = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}

void rota__process_close(struct rota__process_id *id)
{
    if (id->fd >= 0)
        (void)close(id->fd);
    id->fd = -1;
    id->pid = -1;
}

int rota__null_open(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : rota__fd_above_2(fd);
}

static int open_pair(int fds[2])
{
#if defined(__APPLE__)
    if (pipe(fds) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    return 0;
#else
    return pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
#endif
}

int rota__pipe_pair(int fds[2])
{
    int err = open_pair(fds);

    if (err < 0)
        return err;
    for (int i = 0; i < 2; i++) {
        fds[i] = rota__fd_above_2(fds[i]);
        if (fds[i] < 0) {
            err = fds[i];
            (void)close(fds[1 - i]);
            return err;
        }
    }
    return 0;
}

int rota__pipe_open(bool write, int *ours, int *theirs)
{
    int fds[2];
    int err = rota__pipe_pair(fds);

    if (err < 0)
        return err;
    if (fcntl(fds[write], F_SETFL, O_NONBLOCK) < 0) {
        err = -errno;
        (void)close(fds[0]);
        (void)close(fds[1]);
        return err;
    }
    *ours = fds[write];
    *theirs = fds[!write];
    return 0;
}
