/* SPDX-License-Identifier: MIT */
/*
 * valgrind is told of each stack, and to look away from what is no error,
 * where its header is at hand
 */
#ifndef ROTA_OS_VALGRIND_H
#define ROTA_OS_VALGRIND_H

#if defined(ROTA_HAVE_VALGRIND)
#include <valgrind/memcheck.h>

static inline unsigned rota__valgrind_stack_begin(void *low, void *high)
{
    return (unsigned)VALGRIND_STACK_REGISTER(low, high);
}

static inline void rota__valgrind_stack_end(unsigned id)
{
    VALGRIND_STACK_DEREGISTER(id);
    (void)id;
}

/* Around accesses below the top of a stack, which belong to nobody. */
static inline void rota__valgrind_look_away(void)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
}

static inline void rota__valgrind_look_again(void)
{
    VALGRIND_ENABLE_ERROR_REPORTING;
}

/* What was found out meanwhile is meant. */
static inline void rota__valgrind_trust(const void *value, size_t size)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(value, size);
}

static inline bool rota__valgrind_runs_us(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

#else

static inline unsigned rota__valgrind_stack_begin(void *low, void *high)
{
    (void)low;
    (void)high;
    return 0;
}

static inline void rota__valgrind_stack_end(unsigned id)
{
    (void)id;
}

static inline void rota__valgrind_look_away(void)
{
}

static inline void rota__valgrind_look_again(void)
{
}

static inline void rota__valgrind_trust(const void *value, size_t size)
{
    (void)value;
    (void)size;
}

static inline bool rota__valgrind_runs_us(void)
{
    return false;
}

#endif

#endif
