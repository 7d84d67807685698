/* SPDX-License-Identifier: MIT */
/*
 * Stacks
 *
 *     slab:   | guard | stack ....... hdr | guard | stack ....... hdr | ...
 *                     ^ low                ^ struct rota__stack, at the top
 *
 * A slab is one NORESERVE mapping: only what a task has touched is resident,
 * so a sleeping task costs one page. Slabs double in size, up to a limit.
 * The distance of two stacks is an odd number of pages by default, and their
 * tops are shifted a little ("colours"), so that the busiest lines of a
 * thousand stacks spread over all of the cache's sets.
 *
 * Guards: MADV_GUARD_INSTALL (Linux 6.13) marks page-table entries and needs
 * no VMA of its own, so a million stacks are guarded. Elsewhere mprotect(),
 * which splits the mapping and ends at vm.max_map_count: then a stack is
 * refused, unless the user allows unguarded ones.
 *
 * A stack that is put back stays warm, up to WARM of them; the pages of
 * further ones are given back to the system.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/valgrind.h"
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_STACK
#define MAP_STACK 0
#endif

#define FIRST_SLAB 16
#define LARGEST_STACK (SIZE_MAX / 4) /* nobody has it: no memory */
#define LARGEST_SLAB 16384
#define WARM 4096
#define COLOURS 24
#define COLOUR 64
#define GUARD_PAGES 5 /* a frame of up to 20 KiB cannot step over them */

struct rota__slab {
    struct rota__slab *next;
    char *memory;
    size_t size;
    size_t count;
};

size_t rota__page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A task of its own, a signal frame (AVX-512 state is big), and some room. */
size_t rota__stack_minimum(void)
{
    return 4 * rota__page_size() > 16384 ? 4 * rota__page_size() : 16384;
}

static size_t round_up(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

size_t rota__stack_round(size_t size)
{
    return round_up(size < LARGEST_STACK ? size : LARGEST_STACK,
                    rota__page_size());
}

void rota__stack_pool_init(struct rota__stack_pool *pool, size_t stack_size)
{
    *pool = (struct rota__stack_pool){
        .wanted_size = stack_size,
        .stack_size = rota__stack_round(stack_size),
        .next_slab = FIRST_SLAB,
        .guard = ROTA__GUARD_MADVISE,
    };
}

static size_t guard_size(void)
{
    return GUARD_PAGES * rota__page_size();
}

static size_t stride(const struct rota__stack_pool *pool)
{
    return pool->stack_size + guard_size();
}

/* The header of the stack whose slot begins here. */
static struct rota__stack *header_of(const struct rota__stack_pool *pool,
                                     char *slot, size_t number)
{
    size_t shift = number % COLOURS * COLOUR;
    size_t size = round_up(sizeof(struct rota__stack), COLOUR);

    return (void *)(slot + stride(pool) - shift - size);
}

static void forget(struct rota__stack *list)
{
    for (; list; list = list->next_free)
        rota__valgrind_stack_end(list->valgrind_id);
}

void rota__stack_pool_fini(struct rota__stack_pool *pool)
{
    struct rota__slab *slab = pool->slabs;

    forget(pool->free);
    forget(pool->cold);
    while (slab) {
        struct rota__slab *next = slab->next;

        munmap(slab->memory, slab->size);
        rota__free(slab);
        slab = next;
    }
    rota__stack_pool_init(pool, pool->wanted_size);
}

static char *map_slab(size_t size)
{
    char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
#if defined(MADV_NOHUGEPAGE)
    (void)madvise(memory, size, MADV_NOHUGEPAGE); /* a page a task, not 512 */
#endif
    return memory;
}

static int add_slab(struct rota__stack_pool *pool)
{
    struct rota__slab *slab = rota__alloc(sizeof *slab);

    if (!slab)
        return -ENOMEM;
    if (pool->stack_size > SIZE_MAX / LARGEST_SLAB / 2)
        pool->next_slab = 1;
    do {
        slab->count = pool->next_slab;
        slab->size = slab->count * stride(pool);
        slab->memory = map_slab(slab->size);
    } while (!slab->memory && (pool->next_slab /= 2) > 0);
    if (!slab->memory) {
        pool->next_slab = 1;
        rota__free(slab);
        return -ENOMEM;
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->unused = slab->memory;
    pool->unused_count = slab->count;
    if (pool->next_slab < LARGEST_SLAB)
        pool->next_slab *= 2;
    return 0;
}

/* An emulator may take any advice and do nothing: the first guard is tried. */
static bool advise_guard(struct rota__stack_pool *pool, char *low, size_t size)
{
    if (madvise(low, size, MADV_GUARD_INSTALL) != 0)
        return false;
    if (!pool->guard_tried && madvise(low, size, MADV_POPULATE_READ) == 0)
        return false;
    pool->guard_tried = true;
    return true;
}

static bool install_guard(struct rota__stack_pool *pool, char *low)
{
    size_t size = guard_size();

    if (pool->guard == ROTA__GUARD_MADVISE) {
        if (advise_guard(pool, low, size))
            return true;
        pool->guard = ROTA__GUARD_MPROTECT;
    }
    if (pool->guard == ROTA__GUARD_MPROTECT) {
        if (mprotect(low, size, PROT_NONE) == 0)
            return true;
        if (!pool->allow_unguarded)
            return false;
        pool->guard = ROTA__GUARD_NONE;
    }
    return true;
}

static struct rota__stack *carve(struct rota__stack_pool *pool)
{
    char *slot;
    struct rota__stack *stack;

    if (pool->unused_count == 0 && add_slab(pool) < 0)
        return NULL;
    slot = pool->unused;
    if (!install_guard(pool, slot))
        return NULL;
    pool->unused += stride(pool);
    pool->unused_count--;
    stack = header_of(pool, slot, pool->handed_out++);
    stack->low = slot + guard_size();
    stack->size = (size_t)((char *)stack - stack->low);
    stack->slot = UINT32_MAX;
    stack->valgrind_id = rota__valgrind_stack_begin(stack->low, stack);
    return stack;
}

static struct rota__stack *take(struct rota__stack **list)
{
    struct rota__stack *stack = *list;

    if (stack)
        *list = stack->next_free;
    return stack;
}

struct rota__stack *rota__stack_get(struct rota__stack_pool *pool)
{
    struct rota__stack *stack = take(&pool->free);

    if (rota__likely(stack != NULL)) {
        pool->free_count--;
        return stack;
    }
    stack = take(&pool->cold);
    return stack ? stack : carve(pool);
}

/* All but the page of the header goes back to the system. */
static void cool(struct rota__stack *stack)
{
    uintptr_t page = rota__page_size();
    uintptr_t end = (uintptr_t)stack / page * page;

    (void)madvise(stack->low, end - (uintptr_t)stack->low, MADV_DONTNEED);
}

void rota__stack_put(struct rota__stack_pool *pool, struct rota__stack *stack)
{
    if (rota__likely(pool->free_count < WARM)) {
        stack->next_free = pool->free;
        pool->free = stack;
        pool->free_count++;
        return;
    }
    cool(stack);
    stack->next_free = pool->cold;
    pool->cold = stack;
}

#define PAINT UINT64_C(0x61746f722d74696e) /* what nobody would write */

__attribute__((no_sanitize("address", "thread"))) void
rota__stack_paint(void *low, void *high)
{
    rota__valgrind_look_away();
    for (uint64_t *at = low; at < (uint64_t *)high; at++)
        *(volatile uint64_t *)at = PAINT;
    rota__valgrind_look_again();
}

__attribute__((no_sanitize("address", "thread"))) size_t
rota__stack_used(const void *low, const void *high)
{
    const volatile uint64_t *at = low;
    size_t used;

    rota__valgrind_look_away();
    while (at < (const volatile uint64_t *)high && *at == PAINT)
        at++;
    rota__valgrind_look_again();
    used = (size_t)((const char *)high - (const char *)(uintptr_t)at);
    rota__valgrind_trust(&used, sizeof used);
    return used;
}
