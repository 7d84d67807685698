/* SPDX-License-Identifier: MIT */
/*
 * Signals: what the process does with them
 */
#ifndef ROTA_OS_SIGNAL_H
#define ROTA_OS_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

#define ROTA__SIGNALS 129 /* above the greatest number of any system */

typedef void rota__signal_handler(int number);

bool rota__signal_exists(int number);
bool rota__signal_is_default(int number);
/*
 * Installs the handler, during which all signals are blocked; *before is what
 * was there, unless it was the same handler. 0, or -EINVAL for what is no
 * signal, cannot be caught or would come again at once.
 */
int rota__signal_install(int number, rota__signal_handler *handler,
                         struct sigaction *before);
/* Puts that back, unless somebody has come after the handler. */
void rota__signal_restore(int number, rota__signal_handler *handler,
                          const struct sigaction *before);
/* Ends the process by the signal's default action; in a handler, too. */
_Noreturn void rota__signal_die(int number);

/* All of them, for this thread. */
void rota__signals_block(sigset_t *before);
void rota__signals_unblock(const sigset_t *before);
/* Lets a handler on another thread go on, whatever its priority. */
void rota__signals_pause(void);

/* "SIGTERM", "SIGRTMIN+1"; NULL for what this system has no name for. */
const char *rota__signal_name(int number);

/* Whether this is the thread that the program began with. */
bool rota__thread_is_main(void);
/* Calls them around each fork(), on its thread, from now on. */
int rota__fork_watch(void (*before)(void), void (*in_parent)(void),
                     void (*in_child)(void));

#endif
