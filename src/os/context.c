/* SPDX-License-Identifier: MIT */
/*
 * Contexts: the first entry, and what sanitizers must be told
 *
 * A new context begins in a few instructions of assembly whose call frame
 * information says that nobody called them: a debugger's back-trace from
 * inside a task ends there, cleanly.
 */
#define _GNU_SOURCE
#include "os/context.h"

#if defined(ROTA__ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(ROTA__HAS_ENTRY_ASM)

/*
 * At the bottom of a new stack: what the first instructions take from it. The
 * entry is jumped to, not called (a call would unbalance the processor's
 * return stack); its return address, `caller`, is only for debuggers. So is
 * the outer frame: a signal may come within the switch, when the frame pointer
 * is the new stack's already, and a back-trace from there follows it.
 */
struct first_frame {
    rota__context_entry *entry;
    void *arg;
    void *caller;
    void *unused;
    struct {
        void *fp;
        void *caller;
    } outer;
};

/* What a call pushes before the function that is entered. */
#if defined(__x86_64__)
#define RETURN_SIZE 8
#else
#define RETURN_SIZE 0
#endif

#if defined(__APPLE__)
#define SYMBOL(name) "_" #name
#define LOCAL(name) ".private_extern _" #name "\n"
#define TYPE(name)
#define SIZE(name)
#else
#define SYMBOL(name) #name
#define LOCAL(name) ".hidden " #name "\n"
#define TYPE(name) ".type " #name ", %function\n"
#define SIZE(name) ".size " #name ", .-" #name "\n"
#endif

void rota__context_first(void);

/* clang-format off */
#if defined(__x86_64__)
__asm__(".text\n"
        ".globl " SYMBOL(rota__context_first) "\n"
        LOCAL(rota__context_first)
        TYPE(rota__context_first)
        SYMBOL(rota__context_first) ":\n"
        "\t.cfi_startproc\n"
        "\t.cfi_undefined rip\n"
#if defined(__CET__)
        "\tendbr64\n"
#endif
        "\tpopq %rax\n"
        "\tpopq %rdi\n"
        "\txorl %ebp, %ebp\n"
        "\tjmpq *%rax\n"
        "\tud2\n"
        "\t.cfi_endproc\n"
        SIZE(rota__context_first));
#else
__asm__(".text\n"
        ".globl " SYMBOL(rota__context_first) "\n"
        LOCAL(rota__context_first)
        TYPE(rota__context_first)
        ".p2align 2\n"
        SYMBOL(rota__context_first) ":\n"
        "\t.cfi_startproc\n"
        "\t.cfi_undefined x30\n"
        "\thint #36\n" /* bti j */
        "\tldp x9, x0, [sp], #16\n"
        "\tldr x30, [sp], #16\n"
        "\tmov x29, xzr\n"
        "\tbr x9\n"
        "\tbrk #1\n"
        "\t.cfi_endproc\n"
        SIZE(rota__context_first));
#endif
/* clang-format on */

static void start_machine(struct rota__machine *machine, void *low, void *high,
                          rota__context_entry *entry, void *arg)
{
    struct first_frame *frame;

    (void)low;
    frame = (void *)((uintptr_t)high / 16 * 16 - sizeof *frame - RETURN_SIZE);
    frame->entry = entry;
    frame->arg = arg;
    frame->caller = (char *)(uintptr_t)rota__context_first + 1;
    frame->outer.fp = NULL;
    frame->outer.caller = frame->caller;
    machine->sp = frame;
    machine->ip = (void *)(uintptr_t)rota__context_first;
    machine->fp = &frame->outer;
}

#else

static void first(unsigned entry_high, unsigned entry_low, unsigned arg_high,
                  unsigned arg_low)
{
    uint64_t entry = (uint64_t)entry_high << 32 | entry_low;
    uint64_t arg = (uint64_t)arg_high << 32 | arg_low;

    ((rota__context_entry *)(uintptr_t)entry)((void *)(uintptr_t)arg);
}

static void start_machine(struct rota__machine *machine, void *low, void *high,
                          rota__context_entry *entry, void *arg)
{
    uint64_t e = (uintptr_t)entry;
    uint64_t a = (uintptr_t)arg;

    machine->stack = 0;
    getcontext(&machine->context);
    machine->context.uc_stack.ss_sp = low;
    machine->context.uc_stack.ss_size = (size_t)((char *)high - (char *)low);
    machine->context.uc_link = NULL;
    makecontext(&machine->context, (void (*)(void))first, 4,
                (unsigned)(e >> 32), (unsigned)e, (unsigned)(a >> 32),
                (unsigned)a);
}

#endif

void rota__context_init(struct rota__context *context, void *low, void *high,
                        rota__context_entry *entry, void *arg)
{
    start_machine(&context->machine, low, high, entry, arg);
#if defined(ROTA__ASAN)
    context->low = low;
    context->size = (size_t)((char *)high - (char *)low);
    context->fake_stack = NULL;
#endif
#if defined(ROTA__TSAN)
    context->fiber = __tsan_create_fiber(0);
#endif
}

void rota__context_fini(struct rota__context *context)
{
#if defined(ROTA__TSAN)
    __tsan_destroy_fiber(context->fiber);
#endif
#if defined(ROTA__ASAN)
    /* Frames that never return left their marks. */
    __asan_unpoison_memory_region(context->low, context->size);
#endif
    (void)context;
}

#if defined(ROTA__ASAN)

static _Thread_local struct rota__context *left;

void rota__asan_adopt(struct rota__context *context)
{
    context->low = NULL; /* learnt at the first arrival on another stack */
    context->size = 0;
    context->fake_stack = NULL;
}

void rota__asan_leave(struct rota__context *from, struct rota__context *to,
                      bool for_ever)
{
    left = from;
    __sanitizer_start_switch_fiber(for_ever ? NULL : &from->fake_stack, to->low,
                                   to->size);
}

void rota__asan_arrive(struct rota__context *at)
{
    const void *low;
    size_t size;

    __sanitizer_finish_switch_fiber(at->fake_stack, &low, &size);
    if (left && !left->low) {
        left->low = low;
        left->size = size;
    }
}

#endif
