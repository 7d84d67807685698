/* SPDX-License-Identifier: MIT */
/*
 * Children: processes whose end a loop waits for
 *
 * By a pidfd where the system has them, else by SIGCHLD, which asks each of
 * the loop's own children in turn and never waits for "any child": others of
 * the program may belong to another library. ROTA_CHILD_WATCHER=signal
 * chooses the second.
 */
#ifndef ROTA_LOOP_CHILD_H
#define ROTA_LOOP_CHILD_H

#include "loop/loop.h"
#include "os/spawn.h"

struct rota__child {
    struct rota__process_id id; /* -1 once it was reaped */
    rota_loop *loop;
    struct rota__watch watch;
    struct rota__handle handle;
    struct rota__link siblings;
    int returncode;
    bool ended; /* and reaped */
    bool given_up;
    bool lent;    /* somebody else has started it, and will look after it */
    bool unknown; /* somebody else has waited for it: returncode is 255 */
    /* In a turn of the loop, once; not when the loop closes, which ends it. */
    void (*exited)(struct rota__child *child);
};

/* Takes over a child that was spawned; exited is set. On an error (-ENOMEM,
   -ENOSPC) the child was killed and reaped. */
int rota__child_begin(struct rota__child *child, rota_loop *loop,
                      const struct rota__process_id *id);
/*
 * The same for a child that somebody else has started: nobody kills it. It is
 * reaped as ours are. `unknown` tells when that was done already. -ENOMEM or
 * -ENOSPC, and then it is as it was.
 */
int rota__child_watch(struct rota__child *child, rota_loop *loop, pid_t pid);
/* Ends that: the child is its owner's to reap. Again does nothing. */
void rota__child_leave(struct rota__child *child);
/* 0, -ESRCH if it has been reaped or -EINVAL. */
int rota__child_signal(struct rota__child *child, int signal);
/* Kills it if it still runs, and waits for it: blocks, but for a killed
   process only, not for one that we may not kill. exited() is not called. Again
   does nothing. */
void rota__child_end(struct rota__child *child);
/*
 * The same without blocking: its memory goes to the loop, which kills it, reaps
 * it in some turn, at the latest when it closes, and then calls release().
 */
void rota__child_give_up(struct rota__child *child,
                         void (*release)(struct rota__child *child));

#endif
