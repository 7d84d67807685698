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

#include <rota/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any context of the loop's thread; from the next step on. */
void rota_set_debug(rota_loop *loop, bool on);
bool rota_get_debug(const rota_loop *loop);

/* Seconds; 0.1 at first. asyncio: loop.slow_callback_duration. */
void rota_set_slow_callback_duration(rota_loop *loop, double seconds);
double rota_get_slow_callback_duration(const rota_loop *loop);

#ifdef __cplusplus
}
#endif

#endif
