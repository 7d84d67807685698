/* SPDX-License-Identifier: MIT */
/*
 * Process: a child and our ends of its pipes, for both faces
 *
 * Starting one opens the pipes, spawns, and watches for its end; whatever
 * fails on the way leaves nothing behind. What the ends become, streams or
 * transports, is the user's.
 */
#ifndef ROTA_TRANSPORT_PROCESS_H
#define ROTA_TRANSPORT_PROCESS_H

#include "loop/child.h"
#include "transport/transport.h"
#include <rota/subprocess.h>

struct rota__process {
    struct rota__child child;
    pid_t pid;
    int pipes[3]; /* ours, non-blocking, or -1; whoever opens a stream on one
                     sets it to -1 */
};

/* child.exited is set. 0 or an error of rota_create_subprocess_exec(). With
   `command`, argv is not looked at. */
int rota__process_start(struct rota__process *process, rota_loop *loop,
                        const char *const *argv, const char *command,
                        const rota_subprocess_options *options);
/* Closes the pipes that nobody has taken. */
void rota__process_close_pipes(struct rota__process *process);

#endif
