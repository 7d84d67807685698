/* SPDX-License-Identifier: MIT */
/*
 * One task, copied with care
 *
 * The process goes on meanwhile. So a task is read, then the used part of its
 * stack, then the task again: if it has moved in between, all is read anew,
 * and a task that never stands still is one that runs.
 */
#include "ps.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    TRIES = 5,
    TOP = 65536, /* a stack's header is that near, at most */
    EAGER = 64,  /* so many may begin another, each in the other */
};

static uint64_t number_at(const unsigned char *copy, uint32_t offset,
                          uint32_t size)
{
    uint64_t number = 0;
    uint32_t four;

    if (size == 1)
        return copy[offset];
    if (size == sizeof four) {
        memcpy(&four, copy + offset, sizeof four);
        return four;
    }
    if (size >= sizeof number) /* of a list: the first pointer */
        memcpy(&number, copy + offset, sizeof number);
    return number;
}

uint64_t reader_get(const struct reader *reader, const unsigned char *copy,
                    enum field field)
{
    return number_at(copy, reader->layout->offset[field],
                     reader->layout->size[field]);
}

/* A pointer in the other process, or 0. */
uint64_t reader_pointer(const struct reader *reader, uint64_t at)
{
    uint64_t pointer = 0;

    if (process_read(reader->process, at, &pointer, sizeof pointer) < 0)
        return 0;
    return pointer;
}

static int read_task_struct(const struct reader *reader, uint64_t at,
                            unsigned char *out)
{
    return process_read(reader->process, at, out, reader->layout->size[TASK]);
}

/* Where a ready task's handle stands in a queue; else it points to itself. */
static bool is_queued(const struct reader *reader, uint64_t at,
                      const unsigned char *copy)
{
    return reader_get(reader, copy, TASK_LINK) !=
           at + reader->layout->offset[TASK_LINK];
}

/* A pointer in what is at an address, or 0. */
static uint64_t follow(const struct reader *reader, uint64_t at,
                       enum field field)
{
    return at ? reader_pointer(reader, at + reader->layout->offset[field]) : 0;
}

/* It has begun another one at once, and goes on when that one waits. */
static bool begins_another(const struct reader *reader, uint64_t at)
{
    uint64_t eager = follow(reader, reader->tasks, TASKS_EAGER);

    for (int i = 0; eager && i < EAGER; i++) {
        if (follow(reader, eager, EAGER_CREATOR) == at)
            return true;
        eager = follow(reader, eager, EAGER_OUTER);
    }
    return false;
}

static enum state state_of(const struct reader *reader, uint64_t at,
                           const unsigned char *copy)
{
    if (reader_get(reader, copy, TASK_DONE))
        return DONE;
    if (follow(reader, reader->tasks, TASKS_CURRENT) == at)
        return RUNNING;
    if (reader_get(reader, copy, TASK_WAITING))
        return WAITS;
    if (!is_queued(reader, at, copy))
        return begins_another(reader, at) ? BEGINS : RUNNING;
    return reader_get(reader, copy, TASK_BEGUN) ? READY : NEW;
}

static struct registers registers_of(const struct reader *reader,
                                     const unsigned char *copy)
{
    return (struct registers){
        .sp = reader_get(reader, copy, TASK_SP),
        .ip = reader_get(reader, copy, TASK_IP),
        .fp = reader_get(reader, copy, TASK_FP),
    };
}

/* The stack from its pointer up to the task, which sits at its top. */
static bool copy_stack(const struct reader *reader, uint64_t at, uint64_t sp,
                       struct stack_copy *out)
{
    uint64_t stack = reader_get(reader, reader->one, TASK_STACK);
    uint64_t low = follow(reader, stack, STACK_LOW);

    if (low == 0 || sp < low || sp >= at)
        return false;
    out->at = sp;
    out->size = at - sp < PS_STACK_COPY ? at - sp : PS_STACK_COPY;
    out->bytes = reader->stack;
    return process_read(reader->process, sp, reader->stack, out->size) == 0;
}

/* The same task, in the same wait. */
static bool stood_still(const struct reader *reader, uint64_t at,
                        enum state state)
{
    static const enum field telling[] = {TASK_ID, TASK_SP, TASK_IP, TASK_FP,
                                         TASK_WAITING};

    if (read_task_struct(reader, at, reader->other) < 0)
        return false;
    for (size_t i = 0; i < sizeof telling / sizeof(*telling); i++)
        if (reader_get(reader, reader->one, telling[i]) !=
            reader_get(reader, reader->other, telling[i]))
            return false;
    return state_of(reader, at, reader->other) == state;
}

static void keep_trace(struct task *task, const struct trace *trace)
{
    task->broken = trace->broken;
    task->longer = trace->longer;
    task->frames = trace->count;
    task->pcs = memory_get(trace->count * sizeof(*task->pcs));
    memcpy(task->pcs, trace->pcs, trace->count * sizeof(*task->pcs));
}

/* False if the task moved, and nothing of this was true. */
static bool trace_task(const struct reader *reader, struct task *task)
{
    struct registers registers = registers_of(reader, reader->one);
    struct stack_copy stack;
    struct trace trace;
    bool copied = copy_stack(reader, task->address, registers.sp, &stack);

    if (!stood_still(reader, task->address, task->state))
        return false;
    if (copied) {
        tracer_walk(reader->tracer, &registers, &stack, &trace);
        keep_trace(task, &trace);
    }
    return true;
}

static bool has_trace(const struct reader *reader, const struct task *task)
{
    return reader->tracer && reader->layout->has_registers &&
           (task->state == WAITS || task->state == READY ||
            task->state == BEGINS);
}

static const char *text_of(struct loops *loops, const struct process *process,
                           uint64_t at)
{
    char text[256];
    char *copy = at ? table_get(&loops->texts, at) : "?";

    if (!copy) {
        process_read_text(process, at, text, sizeof text);
        copy = memory_copy(text);
        table_put(&loops->texts, at, copy);
    }
    return copy;
}

static void take_name(const struct reader *reader, struct task *task)
{
    size_t size = reader->layout->size[TASK_NAME];

    if (size > sizeof task->name - 1)
        size = sizeof task->name - 1;
    memcpy(task->name, reader->one + reader->layout->offset[TASK_NAME], size);
    text_clean(task->name);
    if (!task->name[0])
        snprintf(task->name, sizeof task->name, "Task-%" PRIu64, task->id);
}

/* Who waits for its end, or else the first one that looks on. */
static uint64_t waiter_of(const struct reader *reader, uint64_t at)
{
    const struct layout *layout = reader->layout;
    uint64_t owner = reader_get(reader, reader->one, TASK_OWNER);
    uint64_t waiter =
        owner == layout->detached ? 0 : follow(reader, owner, OWNER_TASK);
    uint64_t list = at + layout->offset[TASK_BORROWERS];
    uint64_t first = reader_get(reader, reader->one, TASK_BORROWERS);

    if (waiter || first == list)
        return waiter;
    return follow(reader, first - layout->offset[BORROWER_LINK], BORROWER_TASK);
}

static void take_rest(const struct reader *reader, struct task *task)
{
    task->function = reader_get(reader, reader->one, TASK_FUNCTION);
    task->cancelling = reader_get(reader, reader->one, TASK_CANCELLING) != 0;
    task->detached =
        reader_get(reader, reader->one, TASK_OWNER) == reader->layout->detached;
    task->waiter = waiter_of(reader, task->address);
    task->where = text_of(reader->loops, reader->process,
                          reader_get(reader, reader->one, TASK_WHERE));
    take_name(reader, task);
}

/* The slot of a task that has ended is free, and its id 0. */
static bool is_task(const struct reader *reader, uint64_t at)
{
    uint64_t stack = reader_get(reader, reader->one, TASK_STACK);

    return reader_get(reader, reader->one, TASK_ID) != 0 && stack > at &&
           stack - at < TOP;
}

bool reader_task(const struct reader *reader, uint64_t at, struct task *task)
{
    for (int i = 0; i < TRIES; i++) {
        *task = (struct task){.address = at};
        if (read_task_struct(reader, at, reader->one) < 0 ||
            !is_task(reader, at))
            return false;
        task->id = reader_get(reader, reader->one, TASK_ID);
        task->state = state_of(reader, at, reader->one);
        if (!has_trace(reader, task) || trace_task(reader, task))
            break;
        task->state = RUNNING;
    }
    take_rest(reader, task);
    return true;
}
