/* SPDX-License-Identifier: MIT */
/*
 * What trace.c and describe.c share
 */
#ifndef PS_TRACE_H
#define PS_TRACE_H

#include "ps.h"
#include <elfutils/libdwfl.h>

struct place {
    char *lines;
    bool is_named;
    bool is_public;  /* a function of rota's that programs call */
    bool is_private; /* one that they do not */
};

struct tracer {
    const struct process *process;
    Dwfl *dwfl;
    Dwfl_Callbacks callbacks;
    char *debuginfo_path;
    struct table places; /* by address; and those of functions */
    struct table functions;
    /* of the task that is walked */
    const struct registers *registers;
    const struct stack_copy *stack;
};

/* Of the address in a call, or of a function; kept until the end. */
const struct place *tracer_place(struct tracer *tracer, uint64_t pc,
                                 bool is_call);

#endif
