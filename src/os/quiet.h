/* SPDX-License-Identifier: MIT */
/*
 * Quiet: "nothing is ready" as a flag in user memory (Linux)
 *
 * A one-shot POLL_ADD of an fd on a small io_uring. While it has not
 * completed, the fd is not readable, and finding that out takes two loads.
 * With COOP_TASKRUN the kernel does not interrupt us: it sets a bit in the
 * ring (TASKRUN_FLAG) and completes the request at our next system call.
 */
#ifndef ROTA_OS_QUIET_H
#define ROTA_OS_QUIET_H

#include "os/os.h"

struct rota__quiet {
    int ring_fd; /* -1: not tried; -2: the kernel does not allow it */
    bool set;    /* a request is under way or its answer is untaken */
    uintptr_t thread;
    const unsigned *sq_flags;
    const unsigned *cq_tail;
    unsigned *cq_head;
    void *rings;
    size_t rings_size;
    void *entries;
    size_t entries_size;
    unsigned *sq_tail;
    unsigned sq_mask;
    unsigned *sq_array;
};

void rota__quiet_init(struct rota__quiet *quiet);
void rota__quiet_fini(struct rota__quiet *quiet);
/* Starts watching; an error if this system has no such thing. */
int rota__quiet_set(struct rota__quiet *quiet, int fd);
/* Takes the answer, so that it can be set again. */
void rota__quiet_take(struct rota__quiet *quiet);

static inline bool rota__quiet_is_set(const struct rota__quiet *quiet)
{
    return quiet->set;
}

#define ROTA__SQ_TASKRUN 4u /* IORING_SQ_TASKRUN */

/* True when it is set and the fd is certainly not readable. */
static inline bool rota__quiet_holds(const struct rota__quiet *quiet)
{
    return quiet->set &&
           __atomic_load_n(quiet->cq_tail, __ATOMIC_ACQUIRE) ==
               *quiet->cq_head &&
           !(__atomic_load_n(quiet->sq_flags, __ATOMIC_RELAXED) &
             ROTA__SQ_TASKRUN);
}

#endif
