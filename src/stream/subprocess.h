/* SPDX-License-Identifier: MIT */
/*
 * A process, as tasks see it: between subprocess.c and communicate.c
 */
#ifndef ROTA_STREAM_SUBPROCESS_H
#define ROTA_STREAM_SUBPROCESS_H

#include "stream/stream.h"
#include "transport/process.h"

struct rota_process {
    struct rota__process base;
    rota_stream *streams[3]; /* over its pipes, or NULL */
    struct rota__link waiters;
    struct rota__at_close at_close;
    unsigned users; /* tasks inside */
    bool freed;     /* and so are the streams */
    bool given_up;  /* the child is the loop's, until it is reaped */
};

/* One that is zero, and whose child is still to be started. */
void rota__process_init(rota_process *process, rota_loop *loop);
/* 0, -ROTA_ENOTASK or -EINVAL (another loop's). */
int rota__process_check(const rota_process *process,
                        const struct rota__task *self, const char *function);
/* Parks until it has ended: 0, -ECANCELED, or -ROTA_ECLOSING if it was freed.
   For one who is inside. */
int rota__process_wait(rota_process *process, struct rota__task *self);
/* A task comes in, and leaves; the last one of a freed process releases it. */
void rota__process_enter(rota_process *process);
void rota__process_leave(rota_process *process);

#endif
