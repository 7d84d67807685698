/* SPDX-License-Identifier: MIT */
/*
 * What the tests of queues share: queues of ints, of each kind, and tasks that
 * put, get and join
 */
#ifndef TESTS_QUEUES_H
#define TESTS_QUEUES_H

#include "scenario.h"

enum kind { FIFO, LIFO, PRIORITY, KINDS };

static inline int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a;
    int y = *(const int *)b;

    return (x > y) - (x < y);
}

static inline int new_kind_of(rota_queue **queue, int kind, size_t item_size,
                              size_t maxsize, rota_compare *compare)
{
    if (kind == FIFO)
        return rota_queue_new(queue, item_size, maxsize);
    if (kind == LIFO)
        return rota_lifo_queue_new(queue, item_size, maxsize);
    return rota_priority_queue_new(queue, item_size, maxsize, compare);
}

static inline rota_queue *new_kind(int kind, size_t maxsize)
{
    rota_queue *queue = NULL;

    assert_int_equal(
        new_kind_of(&queue, kind, sizeof(int), maxsize, compare_ints), 0);
    return queue;
}

static inline rota_queue *new_queue(size_t maxsize)
{
    return new_kind(FIFO, maxsize);
}

/* At once, also from callbacks. */
static inline void put(rota_queue *queue, int item)
{
    assert_int_equal(rota_queue_put_nowait(queue, &item), 0);
}

static inline int take(rota_queue *queue)
{
    int item = -1;

    assert_int_equal(rota_queue_get_nowait(queue, &item), 0);
    return item;
}

static inline void put_range(rota_queue *queue, int from, int to)
{
    for (int i = from; i < to; i++)
        put(queue, i);
}

static inline void for_each_kind(void (*test)(int kind))
{
    for (int kind = 0; kind < KINDS; kind++)
        test(kind);
}

/* --- Tasks: what they say ends with the item or with what went wrong ----- */

struct user {
    rota_queue *queue;
    const char *name;
    int item; /* to put */
};

static inline void note_end(const char *name, const char *did, intptr_t result)
{
    if (result == -ECANCELED)
        note("%s-cancelled", name);
    else if (result == -ROTA_ESHUTDOWN)
        note("%s-shutdown", name);
    else if (result < 0)
        note("%s-%s", name, rota_errname(result));
    else
        note("%s%s%d", name, did, (int)result);
}

/* Gets an item, which is its result. */
static inline intptr_t get_one(void *arg)
{
    const struct user *self = arg;
    int item = -1;
    int err = rota_queue_get(self->queue, &item);
    intptr_t result = err < 0 ? err : item;

    note_end(self->name, "", result);
    return result;
}

static inline intptr_t put_one(void *arg)
{
    const struct user *self = arg;
    int err = rota_queue_put(self->queue, &self->item);

    note_end(self->name, "-put", err < 0 ? err : self->item);
    return err;
}

static inline intptr_t join(void *arg)
{
    const struct user *self = arg;
    int err = rota_queue_join(self->queue);

    note_end(self->name, "-joined", err);
    return err;
}

static inline intptr_t await_all(const rota_task *tasks, size_t count)
{
    return rota_gather(tasks, count, NULL, true);
}

#endif
