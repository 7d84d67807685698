/* SPDX-License-Identifier: MIT */
/*
 * The switch by ucontext, for processors without a file of their own
 */
#ifndef ROTA_OS_CONTEXT_UCONTEXT_H
#define ROTA_OS_CONTEXT_UCONTEXT_H

#include <ucontext.h>

struct rota__machine {
    ucontext_t context;
    uintptr_t stack; /* below where it ends; 0 before it runs */
};

static inline uintptr_t rota__machine_stack(const struct rota__machine *machine)
{
    return machine->stack;
}

static inline void rota__machine_switch(struct rota__machine *from,
                                        struct rota__machine *to)
{
    from->stack = (uintptr_t)__builtin_frame_address(0) - 1024;
    (void)swapcontext(&from->context, &to->context);
}

#endif
