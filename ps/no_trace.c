/* SPDX-License-Identifier: MIT */
/*
 * Built without libdw: there are no back-traces
 */
#include "ps.h"

const char *tracer_missing(void)
{
    return "rota-ps was built without libdw";
}

struct tracer *tracer_open(const struct process *process)
{
    (void)process;
    return NULL;
}

void tracer_close(struct tracer *tracer)
{
    (void)tracer;
}

void tracer_walk(struct tracer *tracer, const struct registers *registers,
                 const struct stack_copy *stack, struct trace *out)
{
    (void)tracer;
    (void)registers;
    (void)stack;
    *out = (struct trace){0};
}

const char *tracer_describe(struct tracer *tracer, uint64_t pc, bool is_call)
{
    (void)tracer;
    (void)pc;
    (void)is_call;
    return "";
}
