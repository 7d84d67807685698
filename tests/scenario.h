/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: what the tests of tasks share
 *
 * A test notes what happens, word by word, and compares the line in the end.
 * Where the comment says so, the line is what the same program prints on
 * CPython's asyncio.
 */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H

#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char scenario_line[4096];

/* Adds a word to the line. */
__attribute__((format(printf, 1, 2))) static inline void
note(const char *format, ...)
{
    size_t used = strlen(scenario_line);
    va_list args;

    if (used > 0 && used < sizeof scenario_line - 1)
        scenario_line[used++] = ' ';
    va_start(args, format);
    vsnprintf(scenario_line + used, sizeof scenario_line - used, format, args);
    va_end(args);
}

static inline void note_callback(void *word)
{
    note("%s", (const char *)word);
}

/* Compares the line, and begins a new one. */
#define assert_noted(expected)                                                 \
    do {                                                                       \
        assert_string_equal(scenario_line, expected);                          \
        scenario_line[0] = '\0';                                               \
    } while (0)

/* Runs a main task in virtual time: hours of sleep take no time. */
static inline intptr_t run_virtually(rota_task_function *function, void *arg)
{
    const rota_loop_options options = {.virtual_clock = true};

    return rota_run_with(&options, function, arg);
}

static inline intptr_t run_in_debug_mode(rota_task_function *function,
                                         void *arg)
{
    const rota_loop_options options = {.virtual_clock = true, .debug = true};

    return rota_run_with(&options, function, arg);
}

/* A main task that must return 0. */
static inline void scenario(rota_task_function *function)
{
    assert_int_equal(run_virtually(function, NULL), 0);
}

static inline rota_task start(rota_task_function *function, void *arg)
{
    rota_task task;

    assert_int_equal(rota_create_task(&task, function, arg), 0);
    return task;
}

static inline double now(void)
{
    return rota_loop_time(rota_get_running_loop());
}

/* Notes "a0", "a1"... a turn each, for arg "a": a clock of turns. */
static inline intptr_t ticker(void *name)
{
    for (int i = 0; i < 6; i++) {
        note("%s%d", (const char *)name, i);
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    }
    return 0;
}

static inline intptr_t return_arg(void *arg)
{
    return (intptr_t)arg;
}

static inline intptr_t fail_with_eio(void *arg)
{
    (void)arg;
    return -EIO;
}

/* Sleeps for ever; notes its name when it is cancelled. */
static inline intptr_t sleep_for_ever(void *name)
{
    int err = rota_sleep(1e9);

    if (err < 0 && name)
        note("%s", (const char *)name);
    return err;
}

/* Sleeps, notes its word and has a result. */
struct job {
    double seconds;
    intptr_t result;
    const char *word;
    int end; /* what it makes of a cancellation, if not 0 */
};

static inline intptr_t do_job(void *arg)
{
    const struct job *job = arg;
    int err = rota_sleep(job->seconds);

    if (job->word)
        note("%s%s", job->word, err < 0 ? "-cancelled" : "");
    if (err < 0)
        return job->end ? job->end : err;
    return job->result;
}

/* Lets `count` turns pass. */
static inline void pass_turns(int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(rota_sleep(0), 0);
}

#endif
