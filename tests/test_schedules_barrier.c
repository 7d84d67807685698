/* SPDX-License-Identifier: MIT */
/*
 * Barriers under all schedules
 *
 * Whoever comes too few is let go by an abort, when nothing else goes on.
 */
#include "schedules.h"

#include <stdlib.h>
#include <string.h>

#include "task/task.h"

enum { PARTIES = 3 };

static struct {
    rota_barrier barrier;
    size_t inside;
    int passed;
    int broken;
} start_line;

static intptr_t line_up(void)
{
    intptr_t index;

    start_line.inside++;
    index = AWAIT(rota_barrier_wait(&start_line.barrier));
    start_line.inside--;
    if (index == -ROTA_EBROKEN)
        start_line.broken++;
    CHECK(index < PARTIES);
    if (index < 0)
        return index;
    start_line.passed++;
    if (index == PARTIES - 1)
        CHECK(start_line.inside >= PARTIES - 1);
    return 0;
}

static intptr_t race(void *arg)
{
    int i = (int)(intptr_t)arg;
    intptr_t err = 0;

    for (int round = 0; err != -ECANCELED && round < 3; round++) {
        err = line_up();
        if (err != -ECANCELED)
            err = AWAIT(rota_sleep((i + round) % 2));
    }
    return schedules_outcome(err);
}

static intptr_t abort_race(void *arg)
{
    (void)arg;
    return schedules_outcome(AWAIT(rota_barrier_abort(&start_line.barrier)));
}

static intptr_t restart(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int round = 0; err != -ECANCELED && round < 3; round++) {
        err = AWAIT(rota_sleep(round % 2));
        if (err == 0 && round == 1)
            err = AWAIT(rota_barrier_abort(&start_line.barrier));
        if (err == 0)
            err = AWAIT(rota_barrier_reset(&start_line.barrier));
    }
    return schedules_outcome(err);
}

static void begin_race(rota_loop *loop)
{
    (void)loop;
    memset(&start_line, 0, sizeof start_line);
    if (rota_barrier_init(&start_line.barrier, PARTIES) < 0)
        abort();
    for (intptr_t i = 0; i < PARTIES; i++)
        schedules_start(race, (void *)i);
}

static void begin_restarted_race(rota_loop *loop)
{
    begin_race(loop);
    schedules_start(race, NULL);
    schedules_start(restart, NULL);
}

/* All who are inside stand in line, and are too few. */
static void check_line(void)
{
    CHECK(!rota_barrier_broken(&start_line.barrier) || start_line.inside == 0);
    CHECK(rota_barrier_n_waiting(&start_line.barrier) == start_line.inside);
    CHECK(start_line.inside < PARTIES);
}

static bool call_off(void)
{
    if (rota_barrier_broken(&start_line.barrier))
        return false;
    schedules_start(abort_race, NULL);
    return true;
}

static void end_restarted_race(void)
{
    CHECK(start_line.inside == 0);
    CHECK(start_line.barrier.count == 0);
    CHECK(!rota_condition_locked(&start_line.barrier.condition));
    CHECK(rota__queue_idle(&start_line.barrier.condition.queue));
    rota_barrier_fini(&start_line.barrier);
}

static void end_race(void)
{
    CHECK(start_line.passed == 3 * PARTIES || schedules_disturbed());
    CHECK(start_line.broken == 0 || schedules_disturbed());
    end_restarted_race();
}

static void a_barrier_opens_for_all_or_is_broken(void)
{
    static const schedules_scenario scenario = {.begin = begin_race,
                                                .rest = check_line,
                                                .idle = call_off,
                                                .end = end_race};

    schedules_hold(&scenario);
}

static void a_barrier_that_is_reset_and_broken_holds_nobody(void)
{
    static const schedules_scenario scenario = {.begin = begin_restarted_race,
                                                .rest = check_line,
                                                .idle = call_off,
                                                .end = end_restarted_race};

    schedules_hold(&scenario);
}

HARNESS_MAIN(TEST_TIMEOUT(a_barrier_opens_for_all_or_is_broken, 60),
             TEST_TIMEOUT(a_barrier_that_is_reset_and_broken_holds_nobody, 60))
