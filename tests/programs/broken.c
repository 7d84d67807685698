/* SPDX-License-Identifier: MIT */
/*
 * A process whose tasks are in pieces, to be looked at from outside
 *
 * Makes a few tasks that wait for each other and stands still. For each
 * number that comes as a line, it repairs all that rota's tools read (the
 * anchor, the loop's table, the tasks, who owns them, their stacks), breaks
 * some words of it, as the number says, and answers "ready". Nothing runs on
 * these any more: the process is safe, its readers must be.
 */
#include "outside.h"
#include "task/task.h"
#include <rota.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LONG 1e9

enum { MOST = 64, BREAKS = 24 };

static struct region {
    uint64_t *words;
    uint64_t *saved;
    size_t count;
} regions[MOST];
static size_t region_count;
static uint64_t dice;

static rota_task make(rota_task_function *function, void *arg)
{
    rota_task task;

    if (rota_create_task(&task, function, arg) != 0)
        abort();
    return task;
}

static intptr_t sleeper(void *arg)
{
    (void)arg;
    return rota_sleep(LONG);
}

static intptr_t chain(void *arg)
{
    intptr_t left = (intptr_t)arg;

    return left == 0 ? sleeper(NULL)
                     : rota_await(make(chain, (void *)(left - 1)));
}

static intptr_t gatherer(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    for (int i = 0; i < 4; i++)
        tasks[i] = make(chain, (void *)(intptr_t)i);
    return rota_gather(tasks, 4, NULL, false);
}

/* Also what sanitizers guard: nobody uses it meanwhile. */
__attribute__((no_sanitize("address"), no_sanitize("thread"))) static void
copy(volatile uint64_t *to, const volatile uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

static void add_region(void *start, size_t size)
{
    struct region *region = &regions[region_count];
    uint64_t *saved = malloc(size);

    if (region_count == MOST || !saved)
        abort();
    region_count++;
    *region = (struct region){start, saved, size / sizeof(uint64_t)};
    copy(saved, start, region->count);
}

static void add_task(struct rota__task *task)
{
    char *sp = task->context.machine.sp;

    add_region(task, sizeof *task);
    add_region(task->stack, sizeof(*task->stack));
    add_region(sp, (size_t)((char *)task - sp));
    if (task->owner && task->owner != &rota__detached)
        add_region(task->owner, sizeof(*task->owner));
}

/* All but the task that does this. */
static void find_regions(void)
{
    struct rota__task *self = rota__current();
    struct rota__tasks *tasks = self->loop->tasks;

    add_region((void *)(uintptr_t)&rota__anchor, sizeof rota__anchor);
    add_region(tasks, sizeof *tasks);
    add_region(tasks->slots, tasks->slot_count * sizeof(*tasks->slots));
    for (size_t i = 0; i < tasks->slot_count; i++)
        if (tasks->slots[i] != self && tasks->slots[i]->id != 0)
            add_task(tasks->slots[i]);
}

static uint64_t roll(uint64_t sides)
{
    return rota__random(&dice) % sides;
}

/* One of the ways in which a word goes wrong. */
static uint64_t wrong(uint64_t word)
{
    const struct region *other = &regions[roll(region_count)];

    switch (roll(8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX >> roll(64);
    case 2:
        return word ^ UINT64_C(1) << roll(64);
    case 3:
        return word + roll(4096) - 2048;
    case 4:
        return roll(100);
    case 5:
        return rota__random(&dice);
    default:
        return (uintptr_t)(other->words + roll(other->count));
    }
}

static void repair(void)
{
    for (size_t i = 0; i < region_count; i++)
        copy(regions[i].words, regions[i].saved, regions[i].count);
}

/* The table is small, and hit often; a broken anchor ends all. */
static void break_some(void)
{
    for (size_t i = roll(BREAKS) + 1; i > 0; i--) {
        struct region *region =
            &regions[roll(2) ? roll(region_count) : 1 + roll(2)];
        size_t at = roll(region->count);
        uint64_t word = wrong(region->saved[at]);

        copy(&region->words[at], &word, 1);
    }
}

static intptr_t breaker(void *arg)
{
    char line[32];

    (void)arg;
    for (int i = 0; i < 20; i++)
        if (rota_sleep(0) != 0)
            abort();
    find_regions();
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        dice = strtoull(line, NULL, 10) * 0x9e3779b97f4a7c15 + 1;
        repair();
        break_some();
        puts("ready");
        fflush(stdout);
    }
    _exit(0);
}

static intptr_t amain(void *arg)
{
    (void)make(gatherer, arg);
    (void)make(sleeper, arg);
    return rota_await(make(breaker, arg));
}

int main(void)
{
    let_others_look();
    return rota_run(amain, NULL) < 0;
}
