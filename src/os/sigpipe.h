/* SPDX-License-Identifier: MIT */
/*
 * Calls that raise SIGPIPE and have no flag against it
 *
 * A library must not change what the process does with signals, so the signal
 * is blocked around the call, and taken back if it came: it is sent to the
 * thread that writes, so nobody else sees it.
 */
#ifndef ROTA_OS_SIGPIPE_H
#define ROTA_OS_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct rota__sigpipe {
    sigset_t before;
    bool pending; /* an older one, which is not ours to take */
};

void rota__sigpipe_block(struct rota__sigpipe *self);
/* `broken`: the call may have raised the signal. Keeps errno. */
void rota__sigpipe_unblock(const struct rota__sigpipe *self, bool broken);

#endif
