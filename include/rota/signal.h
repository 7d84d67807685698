/* SPDX-License-Identifier: MIT */
/*
 * Signals: callbacks of a loop for them
 *
 * Mirrors "Unix signals" of asyncio's manual. The callback runs in a turn of
 * its loop, so it may do whatever callbacks do: make tasks, cancel, stop.
 * Several loops, also of several threads, may handle the same signal: each is
 * told. rota_run() handles SIGINT by itself, unless a handler is added: see
 * rota/run.h. SIGPIPE needs no handler: nothing of rota's raises it.
 */
#ifndef ROTA_SIGNAL_H
#define ROTA_SIGNAL_H

#include <rota/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Calls callback(arg), in the caller's context, in a turn of the loop after
 * the signal has come, once for each time that the system tells (it may fold
 * several into one) and in a turn each. Again for a signal that has one
 * replaces it. Unlike in asyncio any thread's loop may do so; a signal for
 * which all threads are blocked never comes. What the signal did before comes
 * back when the last handler of it is removed, at the latest when the loop
 * closes, and in a forked child. Errors: -EINVAL (no callback, no such signal,
 * one that cannot be caught: SIGKILL, SIGSTOP, or one that would come again at
 * once: SIGSEGV, SIGBUS, SIGFPE, SIGILL), -ENOMEM, -ROTA_ECLOSED.
 * asyncio: loop.add_signal_handler().
 */
int rota_add_signal_handler(rota_loop *loop, int signal,
                            rota_callback *callback, void *arg);

/*
 * 1 if there was one to remove, 0 if not; -EINVAL or -ROTA_ECLOSED. A signal
 * that has come and was not told yet is forgotten.
 * asyncio: loop.remove_signal_handler().
 */
int rota_remove_signal_handler(rota_loop *loop, int signal);

/* "SIGTERM", "SIGRTMIN+1" and so on, or "UNKNOWN". Static text; any thread.
   Python: signal.Signals(n).name. */
const char *rota_signal_name(int signal);

#ifdef __cplusplus
}
#endif

#endif
