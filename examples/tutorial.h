/* SPDX-License-Identifier: MIT */
/*
 * The parts of the tutorial, one function each, in their order
 */
#ifndef EXAMPLES_TUTORIAL_H
#define EXAMPLES_TUTORIAL_H

#include <rota.h>

intptr_t explain_event_loop(void *arg);
intptr_t visualize_event_loop(void *arg);
intptr_t access_event_loop(void *arg);
intptr_t demonstrate_event_loop_lifecycle(void *arg); /* not inside a loop */
intptr_t demonstrate_scheduling(void *arg);
intptr_t compare_sequential_vs_concurrent(void *arg);
intptr_t debug_event_loop(void *arg);
intptr_t event_loop_best_practices(void *arg);
intptr_t event_loop_mental_models(void *arg);

#endif
