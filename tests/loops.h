/* SPDX-License-Identifier: MIT */
/*
 * What tests of the loop have in common: a loop, single turns, and a log of
 * what ran in which order.
 */
#ifndef TESTS_LOOPS_H
#define TESTS_LOOPS_H

#include "harness.h"
#include "loop/loop.h"

#include <string.h>

/* Also when the environment asks for debug mode or for a shuffled order. */
static inline rota_loop *new_loop(void)
{
    rota_loop *loop = NULL;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_non_null(loop);
    loop->debug = false;
    loop->keep_order = true;
    return loop;
}

/* Also when the environment asks for the simulated poller. */
static inline rota_loop *new_loop_in_real_time(void)
{
    rota_loop *loop = new_loop();

    loop->virtual_clock = false;
    return loop;
}

static inline rota_loop *new_loop_in_virtual_time(void)
{
    rota_loop *loop = new_loop();

    loop->virtual_clock = true;
    return loop;
}

/* What stop() before run_forever() means: just one turn. */
static inline void run_one_turn(rota_loop *loop)
{
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
}

/* For rota_call_soon() and its like. */
static inline void stop(void *loop)
{
    rota_loop_stop(loop);
}

static inline void count_call(void *counter)
{
    ++*(int *)counter;
}

/* A callback that must not run. */
static inline void must_not_run(void *arg)
{
    (void)arg;
    fail_msg("a callback ran that should not");
}

/* The order in which callbacks ran: note("a"), note("b") gives "ab". */
static char noted[256];

static inline void note(void *text)
{
    size_t used = strlen(noted);
    size_t size = strlen(text);

    assert_true(used + size < sizeof noted);
    memcpy(noted + used, text, size + 1);
}

/* What was noted since the last look must be this. */
static inline void expect_noted(const char *wanted)
{
    assert_string_equal(noted, wanted);
    noted[0] = '\0';
}

#endif
