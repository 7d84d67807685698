/* SPDX-License-Identifier: MIT */
/*
 * Signals: who wants to know of them
 *
 *     the handler --count, post--> inbox --a turn--> ready --a turn--> caught()
 *
 * One registry for the process, as dispositions are the process's: a list of
 * watches for each signal. The handler walks it without a lock; who takes a
 * watch out waits until no handler is under way that may have seen it. A
 * forked child watches nothing, and has the dispositions that were there
 * before: it must not wake its parent's loops.
 */
#ifndef ROTA_LOOP_SIGNAL_H
#define ROTA_LOOP_SIGNAL_H

#include "loop/loop.h"
#include "os/signal.h"
#include <rota/signal.h>

struct rota__signal_watch {
    struct rota__handle handle;
    rota_loop *loop;
    int number;
    atomic_uint count; /* that have come and were not told */
    _Atomic(struct rota__signal_watch *) next;
    /* In a turn of the loop, once for each; it may end the watch. */
    void (*caught)(struct rota__signal_watch *watch);
    /* NULL, or called by the handler itself, with no other thread's leave:
       only what a signal handler may do. */
    void (*at_once)(struct rota__signal_watch *watch);
    bool reserve; /* not told while another one watches the signal */
};

/* From the loop's thread; loop, number, caught, at_once and reserve are set. 0,
   -EINVAL or -ENOMEM. The first of a signal installs the handler, the last
   puts back what was there. */
int rota__signal_watch_begin(struct rota__signal_watch *watch);
/* Nothing of it is queued any more; again does nothing. */
void rota__signal_watch_end(struct rota__signal_watch *watch);

/* Whether a program's run may take a signal over: nobody else has it, and this
   is the thread that the program began with. */
bool rota__signal_is_free(int number);

#endif
