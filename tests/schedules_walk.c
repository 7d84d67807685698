/* SPDX-License-Identifier: MIT */
/*
 * Schedules: all runs
 *
 *     for each seed: undisturbed --its steps and waits--> one disturbed run
 *                    after the other
 *
 * The steps of an undisturbed run and of a disturbed one with the same seed
 * are the same up to the disturbance, so a walk over the numbers of steps is
 * a walk over all states of all tasks. For the first seeds it is complete;
 * the others go on where the one before has stopped. In the end every place
 * and state (parked there; ready there) that an undisturbed run has shown, and
 * that no cancellation has met yet, is met by one.
 */
#include "schedules_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPLETE = 12, /* seeds whose walk is over all steps and waits */
    CANCELS = 10,  /* of one step, for each other seed */
    LIMITS = 3,    /* of one wait */
    LUCKS = 1,     /* of each mode that disturbs several times */
    STRIDE = 7919, /* of the walk; a prime greater than any run is long */
};

static unsigned long walked;

static uint64_t number_of_seeds(void)
{
    const char *value = getenv("ROTA_TEST_SCHEDULES");
    uint64_t seeds = value ? strtoull(value, NULL, 0) : 0;

    if (seeds == 0)
        seeds = (uint64_t)(1000 / harness_slowness());
    return seeds < COMPLETE ? COMPLETE : seeds;
}

/* A part of all `count` numbers, or all of them. */
static bool walk(const schedules_scenario *scenario, enum schedules_mode mode,
                 uint64_t seed, unsigned long count, unsigned long some)
{
    unsigned long n = seed < COMPLETE ? count : some;

    for (unsigned long i = 0; i < n && count > 0; i++) {
        struct schedule next = {mode, seed, i};

        if (seed >= COMPLETE)
            next.at = walked++ * STRIDE % count;
        if (!schedules_holds(scenario, &next))
            return false;
    }
    return true;
}

static bool seed_holds(const schedules_scenario *scenario, uint64_t seed)
{
    struct schedule undisturbed = {UNDISTURBED, seed, 0};
    unsigned long steps, waits;

    if (!schedules_holds(scenario, &undisturbed))
        return false;
    steps = schedules_steps();
    waits = schedules_waits();
    return walk(scenario, CANCEL, seed, steps, CANCELS) &&
           walk(scenario, LIMIT, seed, waits, LIMITS) &&
           walk(scenario, SEVERAL_CANCELS, seed, LUCKS, LUCKS) &&
           walk(scenario, SEVERAL_LIMITS, seed, LUCKS, LUCKS) &&
           walk(scenario, STORM, seed, LUCKS, LUCKS);
}

/* What was seen, and has not been cancelled in the walk, is. */
static bool sites_hold(const schedules_scenario *scenario)
{
    const struct schedule *next;
    size_t at = 0;

    while ((next = schedules_site_left(&at)) != NULL) {
        if (!schedules_holds(scenario, next))
            return false;
        if (schedules_site_left(&at) == next)
            fail_msg("a run is not the same each time");
    }
    return true;
}

static bool all_hold(const schedules_scenario *scenario)
{
    uint64_t seeds = number_of_seeds();

    schedules_watch_death();
    schedules_forget_sites();
    walked = 0;
    for (uint64_t seed = 0; seed < seeds + SCHEDULES_IN_ORDER; seed++)
        if (!seed_holds(scenario, seed))
            return false;
    return sites_hold(scenario);
}

static enum schedules_mode mode_of(const char *name, size_t length)
{
    enum schedules_mode mode = UNDISTURBED;

    while (mode < SCHEDULES_MODES &&
           (strlen(schedules_modes[mode]) != length ||
            strncmp(name, schedules_modes[mode], length) != 0))
        mode++;
    return mode;
}

const char *schedules_run(const schedules_scenario *scenario, const char *name)
{
    size_t length = strcspn(name, ":");
    struct schedule schedule = {.mode = mode_of(name, length)};

    if (schedule.mode == SCHEDULES_MODES ||
        sscanf(name + length, ":%" SCNu64 ":%lu", &schedule.seed,
               &schedule.at) != 2)
        fail_msg("ROTA_TEST_SCHEDULE is not MODE:SEED:AT: %s", name);
    return schedules_holds(scenario, &schedule) ? NULL : schedules_complaint();
}

const char *schedules_break(const schedules_scenario *scenario)
{
    return all_hold(scenario) ? NULL : schedules_complaint();
}

void schedules_hold(const schedules_scenario *scenario)
{
    const char *name = getenv("ROTA_TEST_SCHEDULE");
    const char *what =
        name ? schedules_run(scenario, name) : schedules_break(scenario);

    if (what)
        fail_msg("%s", what);
}
