/* SPDX-License-Identifier: MIT */
/*
 * The set of fds that poll(2) is given, shared by the pollers poll and sim
 */
#ifndef ROTA_OS_POLL_SET_H
#define ROTA_OS_POLL_SET_H

#include "os/os.h"

struct pollfd;

struct rota__poll_set {
    struct pollfd *fds; /* dense */
    unsigned *asked;    /* beside it: READABLE... ONCE; 0: reported once */
    size_t count;
    size_t capacity;
    size_t *places; /* by fd: index + 1, 0 when absent */
    size_t place_count;
};

void rota__poll_set_fini(struct rota__poll_set *set);
/* Adds, changes or (events == 0) removes an fd. 0, -ENOMEM, -EBADF, or -EPERM
   for a regular file. */
int rota__poll_set_change(struct rota__poll_set *set, int fd, unsigned events);
/* Asks again for these of the events that the owner wants. */
void rota__poll_set_rearm(struct rota__poll_set *set, int fd, unsigned events);
/* poll(2): how many are ready, or -errno. */
int rota__poll_set_wait(struct rota__poll_set *set, int64_t timeout);
/* Reports that many to the poller. */
void rota__poll_set_deliver(struct rota__poll_set *set,
                            struct rota__poller *poller, int count);

#endif
