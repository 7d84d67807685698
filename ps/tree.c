/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom, and printing it
 *
 * The tree hangs by the tasks' waiters: a task stands below the one that
 * waits for its end, in the order of ids. Tasks that wait for each other in a
 * ring would hang in the air, so one of them is taken for a root and says so.
 * Nothing here recurses: a chain of awaits may be longer than a stack is
 * deep. Nor does it indent for ever: deep tasks are numbered instead.
 */
#include "ps.h"
#include <inttypes.h>
#include <stdio.h>

enum { DEEPEST = 16 };

/* The first lines of a branch's tasks, and all lines below. */
#define BRANCH "  ├─ "
#define LAST_BRANCH "  └─ "
#define BESIDE "  │  "
#define BELOW "     "

static void find_waiters(struct loop *loop)
{
    struct table by_address = {0};

    for (size_t i = 0; i < loop->count; i++)
        table_put(&by_address, loop->tasks[i].address, &loop->tasks[i]);
    for (size_t i = 0; i < loop->count; i++)
        if (loop->tasks[i].waiter != 0)
            loop->tasks[i].parent =
                table_get(&by_address, loop->tasks[i].waiter);
    table_free(&by_address);
}

/* Walks up from each task, never twice over the same. */
static void cut_rings(struct loop *loop)
{
    for (size_t i = 0; i < loop->count; i++) {
        struct task *task = &loop->tasks[i];

        while (task && task->walk == 0) {
            task->walk = i + 1;
            task = task->parent;
        }
        if (task && task->walk == i + 1) {
            task->ring = task->parent;
            task->parent = NULL;
        }
    }
}

/* From the last to the first, each before its later siblings. */
static void link_children(struct loop *loop)
{
    for (size_t i = loop->count; i-- > 0;) {
        struct task *task = &loop->tasks[i];

        if (task->parent) {
            task->next = task->parent->first;
            task->parent->first = task;
        }
    }
}

struct place {
    size_t depth;
    bool more[DEEPEST + 1]; /* siblings follow, by depth */
};

static void print_indent(const struct place *place, size_t depth)
{
    for (size_t i = 1; i <= depth && i <= DEEPEST; i++)
        fputs(place->more[i] ? BESIDE : BELOW, stdout);
}

static void print_branch(const struct place *place)
{
    if (place->depth == 0)
        return;
    print_indent(place, place->depth - 1);
    if (place->depth > DEEPEST)
        printf("  [%zu] ", place->depth);
    else
        fputs(place->more[place->depth] ? BRANCH : LAST_BRANCH, stdout);
}

static void print_task(const struct task *task)
{
    static const char *const states[] = {
        [NEW] = "new",         [READY] = "ready",
        [RUNNING] = "running", [BEGINS] = "begins another",
        [WAITS] = "waits",     [DONE] = "done",
    };

    printf("%s (%s) %s%s%s", task->name, task->where, states[task->state],
           task->detached ? ", detached" : "",
           task->cancelling && task->state != DONE ? ", being cancelled" : "");
    if (task->ring)
        printf(", awaited in a ring by %s", task->ring->name);
    putchar('\n');
}

static void print_lines(const struct place *place, const char *lines)
{
    while (*lines) {
        size_t size = 0;

        while (lines[size] && lines[size] != '\n')
            size++;
        print_indent(place, place->depth);
        printf("    %.*s\n", (int)size, lines);
        lines += size + (lines[size] == '\n');
    }
}

static void print_trace(const struct place *place, const struct task *task,
                        struct tracer *tracer)
{
    if (!tracer)
        return;
    if (task->state == NEW)
        print_lines(place, tracer_describe(tracer, task->function, false));
    for (uint32_t i = 0; i < task->frames; i++)
        print_lines(place, tracer_describe(tracer, task->pcs[i], true));
    if (task->broken)
        print_lines(place, "(the trace breaks off here)");
    if (task->longer)
        print_lines(place, "(there is more)");
}

/* The next in the order of printing, or NULL after the last of a root. */
static struct task *next_task(struct place *place, struct task *task)
{
    if (task->first) {
        place->depth++;
        task = task->first;
    } else {
        while (task->parent && !task->next) {
            task = task->parent;
            place->depth--;
        }
        if (!task->parent)
            return NULL;
        task = task->next;
    }
    if (place->depth <= DEEPEST)
        place->more[place->depth] = task->next != NULL;
    return task;
}

void tree_print(struct loop *loop, struct tracer *tracer)
{
    if (loop->count == 0)
        printf("no tasks\n");
    find_waiters(loop);
    cut_rings(loop);
    link_children(loop);
    for (size_t i = 0; i < loop->count; i++) {
        struct task *task = &loop->tasks[i];
        struct place place = {0};

        for (task = task->parent ? NULL : task; task;
             task = next_task(&place, task)) {
            print_branch(&place);
            print_task(task);
            print_trace(&place, task, tracer);
        }
    }
}
