/* SPDX-License-Identifier: MIT */
/*
 * Schedules: a scenario in every order, cancelled at every await
 *
 * A scenario is a few functions: begin() makes what its tasks share, and the
 * tasks, on a loop that does not run yet; rest() says what must be true when
 * nothing is ready, before time moves on; idle() is asked when there is no
 * timer either, and may set, release, shut down or start something; end() runs
 * when all tasks have ended. Each run is on a loop of its own, in virtual time,
 * and named by MODE:SEED:AT, by which it can be run again:
 *
 *     undisturbed:SEED:0    nothing is done to it; its steps and waits are
 *                           counted (a step: one task, looked at in one turn)
 *     cancel:SEED:AT        the task of one step is cancelled
 *     limit:SEED:AT         one wait has a time limit
 *     cancels:SEED:LUCK     several steps, by a luck of its own
 *     limits:SEED:LUCK      several waits
 *     storm:SEED:LUCK       both
 *
 * The seeds below 4 keep the ready order as it is; all others shuffle each
 * turn. Some seeds also start tasks eagerly, or are in debug mode. What looks
 * at the tasks is itself one of the handles of each turn, so that a
 * cancellation finds a task parked in some runs, and woken in others.
 *
 * A run breaks if nothing goes on any more (a deadlock), if it never ends, if
 * a CHECK() is not true, if a cancellation is lost, comes twice or comes
 * without a request, if something reaches the loop's exception handler, or if
 * it leaves memory behind.
 *
 * The environment: ROTA_TEST_SCHEDULES=N is the number of seeds, 1000 where
 * the machine is not slower than usual; ROTA_TEST_SCHEDULE=MODE:SEED:AT runs
 * this one alone.
 */
#ifndef TESTS_SCHEDULES_H
#define TESTS_SCHEDULES_H

#include "harness.h"

typedef struct schedules_scenario {
    void (*begin)(rota_loop *loop);
    void (*rest)(void); /* or NULL */
    bool (*idle)(void); /* false: there is nothing to do; or NULL */
    void (*end)(void);  /* or NULL */
} schedules_scenario;

/* Runs it under all schedules; the first that breaks fails the test. */
void schedules_hold(const schedules_scenario *scenario);

/* For one that must break: which schedule did, and why. */
const char *schedules_break(const schedules_scenario *scenario);

/* Only this run; why it breaks, or NULL. */
const char *schedules_run(const schedules_scenario *scenario, const char *name);

/* --- In a scenario ------------------------------------------------------- */

/* A task that nobody awaits; to be called in begin() or later. */
rota_task schedules_start(rota_task_function *function, void *arg);

/*
 * Around everything that waits. AWAIT(): what the request to cancel ends,
 * here and now. AWAIT_RESULT(): what may have -ECANCELED as a result, or pass
 * the request on. AWAIT_UNLIMITED(): the same, but never with a time limit of
 * the harness: for the end of a scope, which that would be inside of, and for
 * the wait after it, which tells of a request that the end could not tell of.
 */
#define AWAIT(wait) SCHEDULES__AWAIT(wait, true, true)
#define AWAIT_RESULT(wait) SCHEDULES__AWAIT(wait, false, true)
#define AWAIT_UNLIMITED(wait) SCHEDULES__AWAIT(wait, false, false)
#define SCHEDULES__AWAIT(wait, strictly, limitable)                            \
    ({                                                                         \
        struct schedules_wait wait_ = {                                        \
            .what = #wait,                                                     \
            .line = __LINE__,                                                  \
            .strict = (strictly),                                              \
        };                                                                     \
                                                                               \
        schedules_wait_begin(&wait_, (limitable));                             \
        schedules_wait_end(&wait_, (wait));                                    \
    })

/* One of them, on the stack of the task that waits. */
struct schedules_wait {
    const struct schedules_wait *outer;
    rota_timeout limit;
    const char *what;
    int line;
    bool strict;
    bool limited;
};
void schedules_wait_begin(struct schedules_wait *wait, bool limitable);
intptr_t schedules_wait_end(struct schedules_wait *wait, intptr_t result);

/* Breaks the run if it is not true; goes on. */
#define CHECK(condition) schedules_check((condition), #condition, __LINE__)
void schedules_check(bool ok, const char *what, int line);

/* True if the injector has cancelled the running task. */
bool schedules_asked(void);

/* True if anything has been cancelled or limited in this run. */
bool schedules_disturbed(void);

/* What a task makes of its last wait: that a time limit has passed is fine. */
static inline intptr_t schedules_outcome(intptr_t err)
{
    return err == -ETIMEDOUT ? 0 : err;
}

/* A number in [0, below), the same for the same run. */
unsigned schedules_pick(unsigned below);

/* How many tasks are alive. */
size_t schedules_alive(void);

#endif
