/* SPDX-License-Identifier: MIT */
/*
 * What a test must not leave behind; between harness.c and harness_leaks.c.
 */
#ifndef TESTS_HARNESS_LEAKS_H
#define TESTS_HARNESS_LEAKS_H

#include <stdbool.h>

/* Remembers what is open, and puts the counting allocator below rota. */
void harness_leaks_begin(void);

/* Says on stderr what is open that was not; true when nothing is. */
bool harness_leaks_none(void);

#endif
