/* SPDX-License-Identifier: MIT */
/*
 * Forks: a copy of this process that works for it
 *
 *     parent  ---- socket ----  child
 *       `--- pidfd, if there is one ---'
 *
 * The child has one thread, a copy of all memory, fds 0, 1, 2 and its end of
 * the socket. When the parent has gone, the socket ends. Ends of the socket may
 * be in other hands too, of a process that somebody has forked meanwhile, so a
 * child's end is also seen by its pidfd, and ours is made by shutdown().
 */
#ifndef ROTA_OS_FORK_H
#define ROTA_OS_FORK_H

#include "os/os.h"
#include "os/spawn.h"

struct rota__fork {
    struct rota__process_id id; /* of the child; in the child -1 */
    int fd;                     /* this side's end of the socket */
};

/*
 * 1 in the child, 0 in the parent, or an error: -EAGAIN, -ENOMEM, -EMFILE,
 * -ENFILE. From a thread whose signals are all blocked. In the child none is;
 * what handled a signal is gone, but for faults, and SIGINT is ignored. exit()
 * flushes stdout and stderr there, and runs only what atexit() was given in
 * the child itself.
 */
int rota__fork(struct rota__fork *fork);

/*
 * Sends, and receives, all of the parts, whose array is used up. The child
 * waits for ever. 0, -ETIMEDOUT, -EPIPE (the other side has gone), or
 * -ECONNRESET: it has gone without having read all that was sent to it. Other
 * systems than Linux do not tell the two apart.
 */
int rota__fork_send(const struct rota__fork *fork, struct iovec *parts,
                    int count, int64_t deadline);
int rota__fork_receive(const struct rota__fork *fork, struct iovec *parts,
                       int count, int64_t deadline);
/* In the parent: it has not ended and says nothing. */
bool rota__fork_is_quiet(const struct rota__fork *fork);

/* In the parent: waits until the bell rings (0, and it is silent again), the
   process, unless that is NULL, has ended or says something (1), or until
   `deadline` (-ETIMEDOUT). */
int rota__fork_idle(const struct rota__fork *fork,
                    const struct rota__wake *bell, int64_t deadline);

/* Ends the connection, waits until the child has ended, and gives how (as
   rota__process_reap() does; 0 if somebody else has reaped it). */
int rota__fork_end(struct rota__fork *fork);
void rota__fork_kill(const struct rota__fork *fork);

/* In the child: ends it, and runs nothing. */
_Noreturn void rota__fork_leave(int code);

/* For the child, in their files: their locks may be held by threads that it
   does not have, and what they watch is its parent's. */
void rota__overflow_forget(void);
void rota__halt_forget(void);
void rota__symbols_forget(void);

#endif
