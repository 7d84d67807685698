/* SPDX-License-Identifier: MIT */
/*
 * The pool that files have, held at a gate
 */
#ifndef TESTS_HELD_FILES_H
#define TESTS_HELD_FILES_H

#include "gates.h"
#include "loop/job.h"
#include "scenario.h"

#define FILE_THREADS 8

struct held_job {
    struct rota__job job;
};

static inline intptr_t hold(void *arg)
{
    (void)arg;
    wait_at_gate();
    return 0;
}

static inline void hold_ended(struct rota__job *job)
{
    (void)job;
}

static struct held_job held_jobs[FILE_THREADS];

/* Whatever is asked of the pool now waits until open_gate(). */
static inline void hold_files(void)
{
    close_gate();
    for (int i = 0; i < FILE_THREADS; i++) {
        held_jobs[i] = (struct held_job){
            .job.call.function = hold,
            .job.ended = hold_ended,
            .job.release = hold_ended,
        };
        assert_int_equal(rota__pool_submit(&held_jobs[i].job,
                                           rota_get_running_loop(),
                                           ROTA__FILES),
                         0);
    }
    see_waiting(FILE_THREADS);
}

#endif
