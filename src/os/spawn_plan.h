/* SPDX-License-Identifier: MIT */
/*
 * A spawn's plan: all that the child needs, made before there is one
 *
 * The child may share our memory, or have a copy of it in which other threads
 * have stopped anywhere. Either way it must not allocate, lock or unwind.
 */
#ifndef ROTA_OS_SPAWN_PLAN_H
#define ROTA_OS_SPAWN_PLAN_H

#include "os/spawn.h"

struct rota__spawn_plan {
    const struct rota__spawn *spawn;
    char *const *env;
    const char *const *paths; /* to be tried in turn, up to a NULL */
    char *stack;              /* the child's, while our memory is its own */
    size_t stack_size;
    bool clean;         /* it was born with no handler of a signal */
    int report;         /* the pipe for errors, or -1: memory is shared */
    volatile int error; /* why there is no new program */
};

/* What the child does: never comes back. */
void rota__spawn_child(struct rota__spawn_plan *plan);

/* The ways. 0, an error of the child's (then reaped), or of the system.
   -ENOSYS: not by clone here. */
int rota__spawn_clone(struct rota__spawn_plan *plan,
                      struct rota__process_id *out);
int rota__spawn_fork(struct rota__spawn_plan *plan,
                     struct rota__process_id *out);

/* Close-on-exec, both above 2. */
int rota__pipe_pair(int fds[2]);

#endif
