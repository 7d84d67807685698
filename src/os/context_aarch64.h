/* SPDX-License-Identifier: MIT */
/*
 * The switch for AArch64 (AAPCS64)
 *
 * x29 (frame pointer) is saved by hand. x18 belongs to the platform on Apple's
 * systems, and is an ordinary register elsewhere. The landing place is marked
 * for branch target identification.
 */
#ifndef ROTA_OS_CONTEXT_AARCH64_H
#define ROTA_OS_CONTEXT_AARCH64_H

#define ROTA__HAS_ENTRY_ASM 1

#if defined(__APPLE__)
#define ROTA__X18
#else
#define ROTA__X18 "x18",
#endif

struct rota__machine {
    void *sp;
    void *ip;
    void *fp;
};

static inline uintptr_t rota__machine_stack(const struct rota__machine *machine)
{
    return (uintptr_t)machine->sp;
}

static inline __attribute__((always_inline)) void
rota__machine_switch(struct rota__machine *from, struct rota__machine *to)
{
    register struct rota__machine *a __asm__("x0") = from;
    register struct rota__machine *b __asm__("x1") = to;

    __asm__ volatile("adr x9, 1f\n\t"
                     "mov x10, sp\n\t"
                     "stp x10, x9, [%0]\n\t"
                     "str x29, [%0, #16]\n\t"
                     "ldp x10, x9, [%1]\n\t"
                     "ldr x29, [%1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n"
                     "1:\n\t"
                     "hint #36\n\t" /* bti j */
                     : "+r"(a), "+r"(b)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
                       "x11", "x12", "x13", "x14", "x15", "x16", "x17",
                       ROTA__X18 "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2",
                       "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
                       "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19",
                       "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27",
                       "v28", "v29", "v30", "v31", "memory", "cc");
}

#endif
