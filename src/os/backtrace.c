/* SPDX-License-Identifier: MIT */
/*
 * Back-traces: who called whom on the stack that this runs on
 *
 * By the tables that the compiler leaves for debuggers, so it works on any
 * stack and through the frame of a signal, allocates nothing and takes no
 * lock that a signal handler could find taken. It ends where a task begins:
 * the tables say there that nobody called (see context.c).
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <unwind.h>

struct walk {
    void **pcs;
    size_t room;
    size_t count;
    bool skipping; /* down to what a signal has interrupted */
};

/*
 * A call returns behind itself. What a signal has interrupted stands before
 * the next instruction instead: one more, and both are looked up by pc - 1.
 */
static _Unwind_Reason_Code take(struct _Unwind_Context *frame, void *arg)
{
    struct walk *walk = arg;
    int interrupted = 0;
    uintptr_t pc = _Unwind_GetIPInfo(frame, &interrupted);

    if (interrupted && walk->skipping) {
        walk->skipping = false;
        walk->count = 0;
    }
    if (walk->count == walk->room || pc == 0)
        return _URC_END_OF_STACK;
    walk->pcs[walk->count++] = (void *)(pc + (interrupted != 0));
    return _URC_NO_REASON;
}

__attribute__((noinline)) size_t rota__backtrace(void **pcs, size_t room)
{
    struct walk walk = {pcs, room, 0, false};

    _Unwind_Backtrace(take, &walk);
    return walk.count;
}

/* The whole trace, where the tables do not tell which frame is the signal's. */
size_t rota__backtrace_interrupted(void **pcs, size_t room)
{
    struct walk walk = {pcs, room, 0, true};

    _Unwind_Backtrace(take, &walk);
    return walk.count;
}

struct search {
    uintptr_t address;
    struct rota__frame found;
};

/* A frame is told with the stack pointer that it had when it called on. */
static _Unwind_Reason_Code look_above(struct _Unwind_Context *frame, void *arg)
{
    struct search *search = arg;
    uintptr_t pc = (uintptr_t)_Unwind_GetIP(frame);
    uintptr_t sp = (uintptr_t)_Unwind_GetCFA(frame);

    if (pc == 0)
        return _URC_END_OF_STACK;
    if (sp <= search->address)
        return _URC_NO_REASON;
    search->found = (struct rota__frame){pc, sp};
    return _URC_END_OF_STACK;
}

struct rota__frame rota__frame_above(const void *address)
{
    struct search search = {.address = (uintptr_t)address};

    _Unwind_Backtrace(look_above, &search);
    return search.found;
}
