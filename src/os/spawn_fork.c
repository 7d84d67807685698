/* SPDX-License-Identifier: MIT */
/*
 * Spawn by fork: where memory cannot or must not be shared
 *
 * The child's error comes by a pipe, which execve() closes: no byte says that
 * all is well.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/spawn_plan.h"
#include <signal.h>
#include <unistd.h>

static pid_t fork_quietly(struct rota__spawn_plan *plan)
{
    sigset_t all, before;
    pid_t pid;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    error = errno;
    if (pid == 0)
        rota__spawn_child(plan);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

/* What the child has to say, or 0. */
static int read_report(int fd)
{
    int error = 0;
    ssize_t n;

    do
        n = read(fd, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof error ? error : 0;
}

int rota__spawn_fork(struct rota__spawn_plan *plan,
                     struct rota__process_id *out)
{
    struct rota__process_id id = {-1, -1};
    int ends[2];
    int ignored;
    int err = rota__pipe_pair(ends);

    if (err < 0)
        return err;
    plan->report = ends[1];
    id.pid = fork_quietly(plan);
    err = id.pid < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (err == 0) {
        err = read_report(ends[0]);
        if (err < 0)
            (void)rota__process_reap(&id, true, &ignored);
    }
    (void)close(ends[0]);
    if (err < 0)
        return err;
    id.fd = rota__process_open(id.pid);
    *out = id;
    return 0;
}
