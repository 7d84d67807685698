/* SPDX-License-Identifier: MIT */
/*
 * Interrupt: Ctrl-C while a main task runs
 *
 *     1st SIGINT --> the main task is cancelled
 *     2nd SIGINT --> the process ends, also when the loop is stuck
 *
 * Only on the program's main thread, where SIGINT has its default action. A
 * handler that the program adds to a loop goes first.
 */
#ifndef ROTA_TASK_INTERRUPT_H
#define ROTA_TASK_INTERRUPT_H

#include "loop/signal.h"
#include "task/task.h"

struct rota__interrupt {
    struct rota__signal_watch watch;
    rota_task main;
    atomic_uint times;
    bool on;
    bool told; /* the main task was cancelled */
};

void rota__interrupt_begin(struct rota__interrupt *self, rota_loop *loop,
                           rota_task main);
/* SIGINT does what it did before. Gives the result of the run, where the main
   task has this one, with so many requests to cancel it. */
intptr_t rota__interrupt_end(struct rota__interrupt *self, intptr_t result,
                             int cancelling);

#endif
