/* SPDX-License-Identifier: MIT */
/*
 * Contexts: a place to run, and the switch from one to another
 *
 * The switch is inlined where it is used, saves what the ABI asks a callee
 * to save (the compiler does, because the assembly clobbers it) and leaves by
 * an indirect jump. A call would push an address on the processor's return
 * stack that no return ever takes off, and every return after it would be
 * mispredicted: 2.4 ns against 11.5. Floating-point control words are not
 * switched: whoever changes them in a task restores them before it waits.
 *
 * Shadow stacks (CET): rota is compiled without them (-fcf-protection=none),
 * so its objects do not carry the SHSTK mark, the linker leaves it off the
 * program, and the system does not turn them on.
 *
 * One file for each processor, and ucontext for the rest.
 */
#ifndef ROTA_OS_CONTEXT_H
#define ROTA_OS_CONTEXT_H

#include "os/os.h"

#if defined(__SANITIZE_ADDRESS__)
#define ROTA__ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define ROTA__TSAN 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROTA__ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define ROTA__TSAN 1
#endif
#endif

#if defined(ROTA__TSAN)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(ROTA_USE_UCONTEXT)
#include "os/context_ucontext.h"
#elif defined(__x86_64__)
#include "os/context_x86_64.h"
#elif defined(__aarch64__)
#include "os/context_aarch64.h"
#else
#include "os/context_ucontext.h"
#endif

/*
 * For tools that read a context from outside of the process: where `machine`,
 * a member of `type`, has this register, or UINT32_MAX; and how a variable is
 * put into a section of its own.
 */
#if defined(ROTA__HAS_ENTRY_ASM)
#define ROTA__MACHINE_OFFSET(type, machine, reg) offsetof(type, machine.reg)
#else
#define ROTA__MACHINE_OFFSET(type, machine, reg) UINT32_MAX
#endif
#if defined(__APPLE__)
#define ROTA__IN_SECTION(name) __attribute__((used, section("__DATA," name)))
#else
#define ROTA__IN_SECTION(name) __attribute__((used, section(name)))
#endif

struct rota__context {
    struct rota__machine machine;
#if defined(ROTA__ASAN)
    const void *low;
    size_t size;
    void *fake_stack;
#endif
#if defined(ROTA__TSAN)
    void *fiber;
#endif
};

/* Where the stack of a context that is not running ends; 0: not known. */
static inline uintptr_t rota__context_stack(const struct rota__context *context)
{
    return rota__machine_stack(&context->machine);
}

/* What a new context runs; it must never return. */
typedef void rota__context_entry(void *arg);

/* Prepares `context` to run entry(arg) on the stack [low, high). */
void rota__context_init(struct rota__context *context, void *low, void *high,
                        rota__context_entry *entry, void *arg);
/* Gives back what a sanitizer keeps for it; it is not running. */
void rota__context_fini(struct rota__context *context);

#if defined(ROTA__ASAN)
void rota__asan_leave(struct rota__context *from, struct rota__context *to,
                      bool for_ever);
void rota__asan_arrive(struct rota__context *at);
void rota__asan_adopt(struct rota__context *context);
#endif

/* A function of its own would be entered on one fiber and left on another. */
static inline __attribute__((always_inline)) void
rota__context_leave(struct rota__context *from, struct rota__context *to,
                    bool for_ever)
{
    (void)from;
    (void)to;
    (void)for_ever;
#if defined(ROTA__ASAN)
    rota__asan_leave(from, to, for_ever);
#endif
#if defined(ROTA__TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

static inline __attribute__((always_inline)) void
rota__context_arrive(struct rota__context *at)
{
    (void)at;
#if defined(ROTA__ASAN)
    rota__asan_arrive(at);
#endif
}

/* Makes `context` stand for the thread's own stack, before a first switch. */
static inline void rota__context_adopt(struct rota__context *context)
{
    (void)context;
#if defined(ROTA__ASAN)
    rota__asan_adopt(context);
#endif
#if defined(ROTA__TSAN)
    context->fiber = __tsan_get_current_fiber();
#endif
}

/* Runs `to`; returns when something switches back to `from`. */
static inline void rota__context_switch(struct rota__context *from,
                                        struct rota__context *to)
{
    rota__context_leave(from, to, false);
    rota__machine_switch(&from->machine, &to->machine);
    rota__context_arrive(from);
}

/* The same for a context that will not run again. */
static inline void rota__context_end(struct rota__context *from,
                                     struct rota__context *to)
{
    rota__context_leave(from, to, true);
    rota__machine_switch(&from->machine, &to->machine);
}

#endif
