/* SPDX-License-Identifier: MIT */
/*
 * The switch for x86-64 (System V ABI)
 *
 * rbp is saved by hand because a compiler may refuse it as a clobber; the
 * stack is not pushed to, so the red zone of the function around it is safe.
 */
#ifndef ROTA_OS_CONTEXT_X86_64_H
#define ROTA_OS_CONTEXT_X86_64_H

#define ROTA__HAS_ENTRY_ASM 1

struct rota__machine {
    void *sp;
    void *ip;
    void *fp;
};

static inline uintptr_t rota__machine_stack(const struct rota__machine *machine)
{
    return (uintptr_t)machine->sp;
}

#if defined(__CET__)
#define ROTA__LANDING "endbr64\n\t"
#else
#define ROTA__LANDING
#endif

#if defined(__AVX512F__)
#define ROTA__AVX512_CLOBBERS                                                  \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",  \
        "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",         \
        "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define ROTA__AVX512_CLOBBERS
#endif

static inline __attribute__((always_inline)) void
rota__machine_switch(struct rota__machine *from, struct rota__machine *to)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, 0(%0)\n\t"
                     "movq %%rax, 8(%0)\n\t"
                     "movq %%rbp, 16(%0)\n\t"
                     "movq 16(%1), %%rbp\n\t"
                     "movq 0(%1), %%rsp\n\t"
                     "jmpq *8(%1)\n"
                     "1:\n\t" ROTA__LANDING
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11",
                       "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2",
                       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7",
                       "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",
                       "st(6)", "st(7)", "memory", "cc" ROTA__AVX512_CLOBBERS);
}

#endif
