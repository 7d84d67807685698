/* SPDX-License-Identifier: MIT */
/*
 * What all programs need that are looked at from outside
 */
#ifndef PROGRAMS_OUTSIDE_H
#define PROGRAMS_OUTSIDE_H

#include <sys/prctl.h>

/* Whoever has the same user may, also where the system would say no. */
static inline void let_others_look(void)
{
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

#endif
