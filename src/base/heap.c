/* SPDX-License-Identifier: MIT */
/*
 * The 4-ary heap under the timers
 *
 * The root has index 3, so that four siblings start at a multiple of four
 * slots: one cache line. Each slot repeats its node's key, so that a walk
 * touches the nodes only to note their new places.
 *
 *     slots:  . . . R  a b c d  a's four  b's four ...
 *
 * A node whose true key is later than its slot's is "stale". Its slot stands
 * where an earlier key would, which breaks no order; rota__heap_min() sinks
 * a stale node when it comes to the top. Pushing a timeout back, the most
 * frequent thing that happens to one, so costs two stores.
 */
#include "base/base.h"

#define ROOT 3
#define CACHE_LINE 64
#define MANY 1024

static size_t parent_of(size_t index)
{
    return (index - ROOT - 1) / 4 + ROOT;
}

static size_t first_child_of(size_t index)
{
    return 4 * (index - ROOT) + ROOT + 1;
}

static bool before(const struct rota__heap_slot *a,
                   const struct rota__heap_slot *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    return (int32_t)(a->node->queued_seq - b->node->queued_seq) < 0;
}

static void put(struct rota__heap *heap, size_t index,
                struct rota__heap_slot slot)
{
    heap->slots[index] = slot;
    slot.node->index = (uint32_t)index;
}

static void rise(struct rota__heap *heap, size_t index,
                 struct rota__heap_slot slot)
{
    while (index > ROOT) {
        size_t parent = parent_of(index);

        if (!before(&slot, &heap->slots[parent]))
            break;
        put(heap, index, heap->slots[parent]);
        index = parent;
    }
    put(heap, index, slot);
}

static size_t least_child(const struct rota__heap *heap, size_t first)
{
    size_t last = first + 4 < heap->end ? first + 4 : heap->end;
    size_t least = first;

    for (size_t i = first + 1; i < last; i++)
        if (before(&heap->slots[i], &heap->slots[least]))
            least = i;
    return least;
}

static void sink(struct rota__heap *heap, size_t index,
                 struct rota__heap_slot slot)
{
    for (;;) {
        size_t child = first_child_of(index);

        if (child >= heap->end)
            break;
        child = least_child(heap, child);
        if (!before(&heap->slots[child], &slot))
            break;
        put(heap, index, heap->slots[child]);
        index = child;
    }
    put(heap, index, slot);
}

static void settle(struct rota__heap *heap, size_t index,
                   struct rota__heap_slot slot)
{
    if (index > ROOT && before(&slot, &heap->slots[parent_of(index)]))
        rise(heap, index, slot);
    else
        sink(heap, index, slot);
}

static struct rota__heap_slot slot_for(struct rota__heap_node *node)
{
    node->queued_seq = node->sequence;
    return (struct rota__heap_slot){node->key, node};
}

void rota__heap_init(struct rota__heap *heap)
{
    *heap = (struct rota__heap){.end = ROOT};
}

void rota__heap_fini(struct rota__heap *heap)
{
    rota__free(heap->memory);
    rota__heap_init(heap);
}

/* How far into the memory the first whole cache line begins. */
static size_t offset_in(const void *memory)
{
    return (CACHE_LINE - (uintptr_t)memory % CACHE_LINE) % CACHE_LINE;
}

static int grow(struct rota__heap *heap)
{
    size_t capacity = heap->capacity ? heap->capacity * 2 : 64;
    size_t bytes = capacity * sizeof *heap->slots;
    size_t offset = offset_in(heap->memory);
    char *memory;

    if (capacity > UINT32_MAX) /* an index has 32 bits */
        return -ENOMEM;
    memory = rota__realloc(heap->memory, bytes + CACHE_LINE);
    if (!memory)
        return -ENOMEM;
    if (heap->slots && offset != offset_in(memory))
        memmove(memory + offset_in(memory), memory + offset,
                heap->end * sizeof *heap->slots);
    heap->memory = memory;
    heap->slots = (void *)(memory + offset_in(memory));
    heap->capacity = capacity;
    return 0;
}

int rota__heap_insert(struct rota__heap *heap, struct rota__heap_node *node,
                      int64_t key)
{
    if (rota__unlikely(heap->end >= heap->capacity)) {
        int err = grow(heap);

        if (err < 0)
            return err;
    }
    node->key = key;
    node->sequence = heap->sequence++;
    rise(heap, heap->end++, slot_for(node));
    return 0;
}

void rota__heap_move(struct rota__heap *heap, struct rota__heap_node *node,
                     int64_t key)
{
    struct rota__heap_slot *slot = &heap->slots[node->index];

    node->key = key;
    node->sequence = heap->sequence++;
    if (key <= slot->key)
        settle(heap, node->index, slot_for(node));
}

void rota__heap_remove(struct rota__heap *heap, struct rota__heap_node *node)
{
    size_t index = node->index;

    heap->end--;
    if (index != heap->end)
        settle(heap, index, heap->slots[heap->end]);
    node->index = 0;
}

struct rota__heap_node *rota__heap_min(struct rota__heap *heap)
{
    struct rota__heap_slot *top;

    if (heap->end == ROOT)
        return NULL;
    top = &heap->slots[ROOT];
    while (rota__unlikely(top->node->queued_seq != top->node->sequence))
        sink(heap, ROOT, slot_for(top->node));
    return top->node;
}

size_t rota__heap_count(const struct rota__heap *heap)
{
    return heap->end - ROOT;
}

struct rota__heap_node *rota__heap_at(const struct rota__heap *heap, size_t i)
{
    return heap->slots[ROOT + i].node;
}

/* --- Many at once -------------------------------------------------------- */

static bool is_due(struct rota__heap_slot slot, int64_t key)
{
    return slot.key <= key && slot.node->key <= key;
}

/* The top levels tell whether it is worth looking at all of them. */
static bool many_are_due(const struct rota__heap *heap, int64_t key)
{
    size_t due = 0;

    if (rota__heap_count(heap) < MANY)
        return false;
    for (size_t i = ROOT; i < ROOT + 21; i++)
        if (heap->slots[i].key > key)
            return false;
    for (size_t i = ROOT; i < heap->end; i++)
        due += heap->slots[i].key <= key;
    return due > rota__heap_count(heap) / 4;
}

/* Moves the due ones out and closes the ranks; returns how many. */
static size_t split(struct rota__heap *heap, int64_t key,
                    struct rota__heap_due *due)
{
    size_t count = 0;
    size_t end = ROOT;

    for (size_t i = ROOT; i < heap->end; i++) {
        struct rota__heap_slot slot = heap->slots[i];

        if (is_due(slot, key)) {
            due[count++] = (struct rota__heap_due){
                .key = slot.node->key,
                .node = slot.node,
                .sequence = slot.node->sequence,
            };
        } else {
            put(heap, end++, slot_for(slot.node));
        }
    }
    heap->end = end;
    return count;
}

static void rebuild(struct rota__heap *heap)
{
    if (rota__heap_count(heap) < 2)
        return;
    for (size_t i = parent_of(heap->end - 1); i >= ROOT; i--)
        sink(heap, i, heap->slots[i]);
}

struct rota__heap_due *rota__heap_take_many(struct rota__heap *heap,
                                            int64_t key, size_t *count)
{
    struct rota__heap_due *due;

    if (!many_are_due(heap, key))
        return NULL;
    due = rota__alloc(2 * rota__heap_count(heap) * sizeof *due);
    if (!due)
        return NULL;
    *count = split(heap, key, due);
    rebuild(heap);
    rota__heap_sort_due(due, due + *count, *count);
    return due;
}
