/* SPDX-License-Identifier: MIT */
/*
 * valgrind is told of each stack, where its header is at hand
 */
#ifndef ROTA_OS_VALGRIND_H
#define ROTA_OS_VALGRIND_H

#if defined(ROTA_HAVE_VALGRIND)
#include <valgrind/valgrind.h>

static inline unsigned rota__valgrind_stack_begin(void *low, void *high)
{
    return (unsigned)VALGRIND_STACK_REGISTER(low, high);
}

static inline void rota__valgrind_stack_end(unsigned id)
{
    VALGRIND_STACK_DEREGISTER(id);
    (void)id;
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

#endif

#endif
