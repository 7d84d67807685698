/* SPDX-License-Identifier: MIT */
/*
 * Sorting timers that are due together
 *
 * By radix: first by the order of arming, then, stably, by the bits in which
 * the keys differ. A pass is one walk through memory, where comparing would
 * take twenty.
 */
#include "base/base.h"

#define DIGIT 11
#define VALUES (1u << DIGIT)

struct by {
    uint64_t origin; /* the least value */
    bool sequence;   /* else the key */
};

static uint64_t value_of(const struct rota__heap_due *due, struct by by)
{
    return by.sequence ? (uint32_t)(due->sequence - (uint32_t)by.origin)
                       : (uint64_t)due->key - by.origin;
}

static void pass(const struct rota__heap_due *from, struct rota__heap_due *to,
                 size_t count, struct by by, unsigned shift)
{
    size_t starts[VALUES] = {0};
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        starts[value_of(&from[i], by) >> shift & (VALUES - 1)]++;
    for (size_t i = 0; i < VALUES; i++) {
        size_t here = starts[i];

        starts[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[value_of(&from[i], by) >> shift & (VALUES - 1)]++] = from[i];
}

static uint64_t greatest(const struct rota__heap_due *due, size_t count,
                         struct by by)
{
    uint64_t most = 0;

    for (size_t i = 0; i < count; i++)
        if (value_of(&due[i], by) > most)
            most = value_of(&due[i], by);
    return most;
}

static void sort_by(struct rota__heap_due *due, struct rota__heap_due *spare,
                    size_t count, struct by by)
{
    uint64_t most = greatest(due, count, by);
    struct rota__heap_due *from = due;
    struct rota__heap_due *to = spare;

    for (unsigned shift = 0; shift < 64 && most >> shift > 0; shift += DIGIT) {
        struct rota__heap_due *swap = from;

        pass(from, to, count, by, shift);
        from = to;
        to = swap;
    }
    if (from != due)
        memcpy(due, from, count * sizeof *due);
}

/* Sequences may have wrapped round: the oldest is the one behind the rest. */
static uint32_t oldest(const struct rota__heap_due *due, size_t count)
{
    uint32_t first = due[0].sequence;

    for (size_t i = 1; i < count; i++)
        if ((int32_t)(due[i].sequence - first) < 0)
            first = due[i].sequence;
    return first;
}

static int64_t least(const struct rota__heap_due *due, size_t count)
{
    int64_t key = due[0].key;

    for (size_t i = 1; i < count; i++)
        if (due[i].key < key)
            key = due[i].key;
    return key;
}

void rota__heap_sort_due(struct rota__heap_due *due,
                         struct rota__heap_due *spare, size_t count)
{
    if (count < 2)
        return;
    sort_by(due, spare, count, (struct by){oldest(due, count), true});
    sort_by(due, spare, count, (struct by){(uint64_t)least(due, count), false});
}
