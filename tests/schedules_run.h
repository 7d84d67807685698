/* SPDX-License-Identifier: MIT */
/*
 * One run of a scenario; between schedules.c and schedules_walk.c.
 */
#ifndef TESTS_SCHEDULES_RUN_H
#define TESTS_SCHEDULES_RUN_H

#include "schedules.h"

/* The seeds below do not shuffle. */
#define SCHEDULES_IN_ORDER 4

enum schedules_mode {
    UNDISTURBED,
    CANCEL,
    LIMIT,
    SEVERAL_CANCELS,
    SEVERAL_LIMITS,
    STORM,
    SCHEDULES_MODES
};

extern const char *const schedules_modes[SCHEDULES_MODES];

struct schedule {
    enum schedules_mode mode;
    uint64_t seed;
    unsigned long at;
};

/* True if it holds; else schedules_complaint() says why. */
bool schedules_holds(const schedules_scenario *scenario,
                     const struct schedule *schedule);

/* Of the last run. */
const char *schedules_complaint(void);
unsigned long schedules_steps(void);
unsigned long schedules_waits(void);

/* Forgets which lines and states cancellations have met. */
void schedules_forget_sites(void);

/*
 * The next line and state, from *at on, that was seen and met by none, as the
 * run that will meet it; NULL if there is none left.
 */
const struct schedule *schedules_site_left(size_t *at);

/* From now on a run that ends the program says on stderr which one it is. */
void schedules_watch_death(void);

#endif
