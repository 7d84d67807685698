/* SPDX-License-Identifier: MIT */
/*
 * Processes: started at the speed of vfork, signalled and waited for
 *
 * The child borrows our memory until it has become the new program, so its
 * errors are told without a pipe; it may do nothing but system calls. Where
 * that is not possible it is forked and tells them by a pipe; ROTA_SPAWN=fork
 * asks for that. Neither file of the two ways knows what the child does:
 *
 *     spawn.c --> spawn_clone.c, else spawn_fork.c --> spawn_child.c
 */
#ifndef ROTA_OS_SPAWN_H
#define ROTA_OS_SPAWN_H

#include "base/base.h"
#include <sys/types.h>

/* A process of ours; fd -1 where there are no pidfds, or not for this one. */
struct rota__process_id {
    pid_t pid;
    int fd;
};

struct rota__spawn {
    const char *const *argv; /* argv[0] is looked for in PATH of env */
    char *const *env;        /* NULL: ours */
    const char *cwd;
    int fds[3]; /* what the child's 0, 1 and 2 are copies of; -1: as it is */
    const int *pass_fds; /* under the same numbers */
    size_t pass_fd_count;
    bool keep_fds; /* all that are not close-on-exec */
    bool new_session;
    bool set_group;
    pid_t process_group; /* 0: its own */
    const uid_t *user;
    const gid_t *group;
    const gid_t *extra_groups;
    size_t extra_group_count;
    const mode_t *umask;
};

/*
 * 0, or -EBADF: an fd that is asked for is not open. For before the first of
 * ours is opened, which might get its number.
 */
int rota__spawn_check_fds(const struct rota__spawn *spawn);
/* 0 when the new program runs, or why it does not, and then no process is
   left: errors of exec, chdir, setuid..., fork. */
int rota__spawn(const struct rota__spawn *spawn, struct rota__process_id *out);

/* A pidfd of a child; -1 where there are none, or no such child. */
int rota__process_open(pid_t pid);
/* 0 (also of a zombie), -ESRCH, -EPERM, -EINVAL. */
int rota__process_signal(const struct rota__process_id *id, int signal);
/*
 * 1 and *returncode (as Python's: -n for a signal) when it has ended, and it is
 * a zombie no more; 0 when it has not, unless `wait`; -ECHILD when somebody
 * else has waited for it.
 */
int rota__process_reap(const struct rota__process_id *id, bool wait,
                       int *returncode);
/* Of one that was reaped. */
void rota__process_close(struct rota__process_id *id);
/* Close-on-exec, both above 2; one end, ours, is non-blocking: the one to
   write to if `write`. 0 or -EMFILE. */
int rota__pipe_open(bool write, int *ours, int *theirs);
/* /dev/null, for both directions, likewise: an fd or an error. */
int rota__null_open(void);

#endif
