/* SPDX-License-Identifier: MIT */
/*
 * Loops and their tables of tasks
 *
 * A table moves when it grows, and the list changes when a loop is made or
 * closed: what has changed while it was read is read again.
 */
#include "ps.h"
#include <stdlib.h>

enum { TRIES = 5, MOST_TASKS = 1 << 22, SLOTS_AT_ONCE = 65536 };

static int by_id(const void *a, const void *b)
{
    const struct task *one = a;
    const struct task *other = b;

    return (one->id > other->id) - (one->id < other->id);
}

static void read_slots(const struct reader *reader, struct loop *loop,
                       const uint64_t *slots, size_t count)
{
    struct task task;

    for (size_t i = 0; i < count; i++) {
        if (slots[i] == 0 || !reader_task(reader, slots[i], &task))
            continue;
        loop->tasks =
            memory_grow(loop->tasks, loop->count, sizeof(*loop->tasks));
        loop->tasks[loop->count++] = task;
    }
    if (loop->count > 0)
        qsort(loop->tasks, loop->count, sizeof(*loop->tasks), by_id);
}

/* As many as can be read of a table that says its own size. */
static uint64_t *copy_slots(const struct process *process, uint64_t at,
                            size_t wanted, size_t *count)
{
    uint64_t *slots = NULL;

    *count = 0;
    while (*count < wanted) {
        size_t more = wanted - *count;

        if (more > SLOTS_AT_ONCE)
            more = SLOTS_AT_ONCE;
        slots = memory_resize(slots, (*count + more) * sizeof(*slots));
        if (process_read(process, at + *count * sizeof(*slots), slots + *count,
                         more * sizeof(*slots)) < 0)
            break;
        *count += more;
    }
    return slots;
}

static bool read_struct(const struct reader *reader, unsigned char *out)
{
    return process_read(reader->process, reader->tasks, out,
                        reader->layout->size[TASKS]) == 0 &&
           reader_get(reader, out, TASKS_ANCHOR) == reader->layout->at;
}

/* The table, if it was the same before and after it was read. */
static bool read_table(const struct reader *reader, unsigned char *one,
                       unsigned char *other, uint64_t **slots, size_t *count)
{
    uint64_t wanted;

    if (!read_struct(reader, one))
        return false;
    wanted = reader_get(reader, one, TASKS_SLOT_COUNT);
    *slots = copy_slots(reader->process, reader_get(reader, one, TASKS_SLOTS),
                        wanted < MOST_TASKS ? wanted : MOST_TASKS, count);
    return *count == wanted && read_struct(reader, other) &&
           reader_get(reader, one, TASKS_SLOTS) ==
               reader_get(reader, other, TASKS_SLOTS);
}

/* Its number and its table, or what could be had of it. */
static uint64_t *read_loop_struct(const struct reader *reader,
                                  struct loop *loop, size_t *count)
{
    unsigned char *one = memory_get(reader->layout->size[TASKS]);
    unsigned char *other = memory_get(reader->layout->size[TASKS]);
    uint64_t *slots = NULL;
    bool good = false;

    for (int i = 0; i < TRIES && !good; i++) {
        free(slots);
        slots = NULL;
        *count = 0;
        good = read_table(reader, one, other, &slots, count);
    }
    loop->number = reader_get(reader, one, TASKS_NUMBER);
    reader->loops->torn |= !good;
    free(one);
    free(other);
    return slots;
}

static void read_loop(struct reader *reader, uint64_t tasks)
{
    struct loops *loops = reader->loops;
    struct loop loop = {0};
    size_t count = 0;
    uint64_t *slots;

    reader->tasks = tasks;
    slots = read_loop_struct(reader, &loop, &count);
    if (loops->task_count + count > MOST_TASKS) {
        loops->torn = true;
        count = 0;
    }
    read_slots(reader, &loop, slots, count);
    loops->task_count += count;
    free(slots);
    loops->loops =
        memory_grow(loops->loops, loops->count, sizeof(*loops->loops));
    loops->loops[loops->count++] = loop;
}

/* Each loop of the list once, the last made first. */
static void read_list(struct reader *reader)
{
    const struct layout *layout = reader->layout;
    uint64_t at = reader_pointer(reader, layout->known);
    struct table seen = {0};

    while (at != 0) {
        if (reader_pointer(reader, at + layout->offset[TASKS_ANCHOR]) !=
                layout->at ||
            table_get(&seen, at) || reader->loops->count == PS_MAX_LOOPS) {
            reader->loops->torn = true;
            break;
        }
        table_put(&seen, at, reader);
        read_loop(reader, at);
        at = reader_pointer(reader, at + layout->offset[TASKS_NEXT_KNOWN]);
    }
    table_free(&seen);
}

void loops_read(struct loops *loops, const struct process *process,
                const struct layout *layout, struct tracer *tracer)
{
    struct reader reader = {
        .process = process,
        .layout = layout,
        .tracer = tracer,
        .loops = loops,
        .one = memory_get(layout->size[TASK]),
        .other = memory_get(layout->size[TASK]),
        .stack = memory_get(PS_STACK_COPY),
    };

    read_list(&reader);
    free(reader.one);
    free(reader.other);
    free(reader.stack);
}

void loops_free(struct loops *loops)
{
    for (size_t i = 0; i < loops->count; i++) {
        for (size_t k = 0; k < loops->loops[i].count; k++)
            free(loops->loops[i].tasks[k].pcs);
        free(loops->loops[i].tasks);
    }
    free(loops->loops);
    for (size_t i = 0; i < loops->texts.capacity; i++)
        free(loops->texts.values[i]);
    table_free(&loops->texts);
}
