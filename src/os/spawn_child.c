/* SPDX-License-Identifier: MIT */
/*
 * Spawn: what the child does, from its birth to execve()
 *
 * In our memory, or in a copy of it: system calls only (see spawn_plan.h). All
 * fds above 2 are marked close-on-exec first, by one call where there is
 * close_range(), and those to be passed are unmarked; so nothing that is
 * opened later, nor the pipe for errors, can be inherited.
 */
#define _GNU_SOURCE
#include "os/spawn_plan.h"
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

static int failed(int result)
{
    return result < 0 ? -errno : 0;
}

/* The mask comes last: until then none of our handlers may run. */
static void reset_signals(const struct rota__spawn_plan *plan)
{
    struct sigaction action;

    for (int number = 1; number < NSIG && !plan->clean; number++) {
        if (sigaction(number, NULL, &action) < 0 ||
            action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
            continue;
        action.sa_handler = SIG_DFL;
        action.sa_flags = 0;
        (void)sigaction(number, &action, NULL);
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    (void)sigaction(SIGPIPE, &action, NULL);
#if defined(SIGXFSZ)
    (void)sigaction(SIGXFSZ, &action, NULL);
#endif
}

static int join_group(const struct rota__spawn *spawn)
{
    int err = 0;

    if (spawn->new_session)
        err = failed(setsid());
    if (err == 0 && spawn->set_group)
        err = failed(setpgid(0, spawn->process_group));
    return err;
}

static void mark_up_to_the_limit(void)
{
    long limit = sysconf(_SC_OPEN_MAX);

    for (int fd = 3; fd < limit; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

#if defined(__linux__)
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define MARK_ONLY 4u /* CLOSE_RANGE_CLOEXEC */

struct entry {
    uint64_t number;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* Not readdir(), which allocates. */
static void mark_listed(const char *entries, long size)
{
    for (long at = 0; at < size;) {
        const struct entry *entry = (const void *)(entries + at);
        int fd = 0;

        for (const char *c = entry->name; *c >= '0' && *c <= '9'; c++)
            fd = fd * 10 + (*c - '0');
        if (fd > 2)
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        at += entry->size;
    }
}

static void mark_open_fds(void)
{
    _Alignas(struct entry) char entries[2048];
    long size;
    long dir;

    if (syscall(SYS_close_range, 3u, ~0u, MARK_ONLY) == 0)
        return;
    dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while ((size = syscall(SYS_getdents64, dir, entries, sizeof entries)) > 0)
        mark_listed(entries, size);
    if (size < 0)
        mark_up_to_the_limit();
    if (dir >= 0)
        (void)close((int)dir);
}
#else
static void mark_open_fds(void)
{
    mark_up_to_the_limit();
}
#endif

static int pass_fds(const struct rota__spawn *spawn)
{
    if (!spawn->keep_fds)
        mark_open_fds();
    for (size_t i = 0; i < spawn->pass_fd_count; i++) {
        int fd = spawn->pass_fds[i];
        int flags = fcntl(fd, F_GETFD);

        if (flags < 0 ||
            (flags & FD_CLOEXEC && fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0))
            return -errno;
    }
    return 0;
}

/* A source that another one takes the place of before it is copied. */
static bool in_the_way(const int *wanted, int target)
{
    int source = wanted[target];

    return source >= 0 && source < target && wanted[source] >= 0 &&
           wanted[source] != source;
}

static int place_streams(const int *wanted)
{
    int source[3];
    int err = 0;

    for (int i = 0; i < 3 && err == 0; i++) {
        source[i] = wanted[i];
        if (in_the_way(wanted, i)) {
            source[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 3);
            err = failed(source[i]);
        }
    }
    for (int i = 0; i < 3 && err == 0; i++) {
        if (source[i] == i)
            err = failed(fcntl(i, F_SETFD, 0));
        else if (source[i] >= 0)
            err = failed(dup2(source[i], i));
    }
    return err;
}

/* Only after a fork: see rota__spawn(). */
static int change_ids(const struct rota__spawn *spawn)
{
    int err = 0;

    if (spawn->extra_groups)
#if defined(__linux__)
        err = failed(setgroups(spawn->extra_group_count, spawn->extra_groups));
#else
        err = failed(
            setgroups((int)spawn->extra_group_count, spawn->extra_groups));
#endif
    if (err == 0 && spawn->group)
        err = failed(setregid(*spawn->group, *spawn->group));
    if (err == 0 && spawn->user)
        err = failed(setreuid(*spawn->user, *spawn->user));
    return err;
}

/* Python's rules: of what is there but cannot be run, the first one counts. */
static int become(const struct rota__spawn_plan *plan)
{
    char *const *argv = (char *const *)(uintptr_t)plan->spawn->argv;
    int first = 0;
    int err = -ENOENT;

    for (size_t i = 0; plan->paths[i]; i++) {
        execve(plan->paths[i], argv, plan->env);
        err = -errno;
        if (first == 0 && err != -ENOENT && err != -ENOTDIR)
            first = err;
    }
    return first ? first : err;
}

static int prepare(const struct rota__spawn_plan *plan)
{
    const struct rota__spawn *spawn = plan->spawn;
    int err;

    reset_signals(plan);
    err = join_group(spawn);
    if (err == 0)
        err = pass_fds(spawn);
    if (err == 0)
        err = place_streams(spawn->fds);
    if (err == 0 && spawn->cwd)
        err = failed(chdir(spawn->cwd));
    if (spawn->umask)
        (void)umask(*spawn->umask);
    if (err == 0)
        err = change_ids(spawn);
    return err;
}

void rota__spawn_child(struct rota__spawn_plan *plan)
{
    sigset_t none;
    int err = prepare(plan);

    if (err == 0) {
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        err = become(plan);
    }
    plan->error = err;
    if (plan->report >= 0)
        while (write(plan->report, &err, sizeof err) < 0 && errno == EINTR)
            ;
    _exit(127);
}
