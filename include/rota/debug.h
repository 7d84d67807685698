/* SPDX-License-Identifier: MIT */
/*
 * Debug mode
 *
 * Mirrors "Developing with asyncio". On by ROTA_DEBUG=1, by the loop's option
 * or by rota_set_debug(). It reports callbacks that hold the loop for longer
 * than the slow callback duration, and stops the program with a message that
 * names the function and the fix for misuse: a call from the wrong thread, a
 * task that was awaited twice, a scope that a function left open.
 */
#ifndef ROTA_DEBUG_H
#define ROTA_DEBUG_H

#include <rota/task.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any context of the loop's thread; from the next step on. */
void rota_set_debug(rota_loop *loop, bool on);
bool rota_get_debug(const rota_loop *loop);

/* Seconds; 0.1 at first. asyncio: loop.slow_callback_duration. */
void rota_set_slow_callback_duration(rota_loop *loop, double seconds);
double rota_get_slow_callback_duration(const rota_loop *loop);

/*
 * The watchdog: when one callback, or one step of a task, has held the loop
 * for `seconds` (a millisecond at least), another thread prints what it is and
 * where it stands just then, call by call, to stderr; again whenever it has
 * lasted twice as long. 0 takes the watchdog away. Debug mode is not needed,
 * and tells only afterwards. Also by the loop's option, and ROTA_WATCHDOG=.
 * Any context of the loop's thread; from the next step on.
 *
 * To look, it sends the loop's thread the signal SIGURG, which may end a sleep
 * or a poll of the callback that blocks early (EINTR); other system calls go
 * on. SIGURGs that are not its own go to the handler from before.
 * Errors: -EINVAL (negative or not finite), -ENOMEM, -EAGAIN (no thread),
 * -EMFILE, -ROTA_ECLOSED.
 */
int rota_set_watchdog(rota_loop *loop, double seconds);

/*
 * Prints the tasks of a loop as a tree: below each task those that it waits
 * for, with their names, where they were made, what they do, and the
 * functions on the stack of each. On the loop's thread, from a task, a
 * callback or while it does not run; rota-ps does the same from outside.
 * Errors: -ENOMEM, -ROTA_ECLOSED.
 * asyncio: print_call_graph(), python -m asyncio pstree.
 */
int rota_print_tasks(rota_loop *loop, FILE *out);

/* The functions on one task's stack. 0 or -ROTA_EAWAITED.
 * asyncio: Task.print_stack(). */
int rota_task_print_stack(rota_task task, FILE *out);

/*
 * How many bytes of its stack a task has ever used. Known of tasks made in
 * debug mode, which fills their stacks with a pattern; -ROTA_ESTATE of others,
 * -ROTA_EAWAITED.
 */
intptr_t rota_task_stack_high_water(rota_task task);

#ifdef __cplusplus
}
#endif

#endif
