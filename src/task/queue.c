/* SPDX-License-Identifier: MIT */
/*
 * Queues: first in first out, last in first out, least first
 *
 *     putters --room--> [ items ] --an item--> getters
 *
 * The items stand in one block that grows by doubling: a ring for the first
 * order, a stack for the second, a heap for the third. A wake-up is a
 * permission to look again: the item stays where it is until a getter takes
 * it, which may be another than the one that was woken, as in asyncio; and
 * one that was woken and cancelled wakes the next.
 */
#include "task/task.h"

#define FIRST_CAPACITY 8 /* a power of two, as all are */

struct order {
    void (*put)(rota_queue *queue, const void *item);
    void (*get)(rota_queue *queue, void *item);
};

struct rota_queue {
    const struct order *order;
    char *items;
    size_t item_size;
    size_t capacity;
    size_t first; /* of the ring */
    size_t count;
    size_t maxsize; /* SIZE_MAX: no limit */
    size_t unfinished;
    bool is_shutdown;
    rota_compare *compare;
    void (*release)(void *item);
    struct rota__queue_of_waiters getters;
    struct rota__queue_of_waiters putters;
    struct rota__queue_of_waiters joiners;
};

static void *item_at(const rota_queue *queue, size_t i)
{
    return queue->items + i * queue->item_size;
}

/* Most items are pointers, or as big as one. */
static void copy(const rota_queue *queue, void *to, const void *from)
{
    if (rota__likely(queue->item_size == sizeof(void *)))
        memcpy(to, from, sizeof(void *));
    else
        memcpy(to, from, queue->item_size);
}

/* --- First in, first out ------------------------------------------------- */

static void fifo_put(rota_queue *queue, const void *item)
{
    size_t at = (queue->first + queue->count) & (queue->capacity - 1);

    copy(queue, item_at(queue, at), item);
}

static void fifo_get(rota_queue *queue, void *item)
{
    copy(queue, item, item_at(queue, queue->first));
    queue->first = (queue->first + 1) & (queue->capacity - 1);
}

static const struct order fifo = {fifo_put, fifo_get};

/* --- Last in, first out -------------------------------------------------- */

static void lifo_put(rota_queue *queue, const void *item)
{
    copy(queue, item_at(queue, queue->count), item);
}

static void lifo_get(rota_queue *queue, void *item)
{
    copy(queue, item, item_at(queue, queue->count - 1));
}

static const struct order lifo = {lifo_put, lifo_get};

/* --- Least first: a binary heap ------------------------------------------ */

static bool is_before(const rota_queue *queue, const void *a, const void *b)
{
    return queue->compare(a, b) < 0;
}

/* Moves bigger ancestors down until `item` has its place at or above `at`. */
static void sift_up(rota_queue *queue, size_t at, const void *item)
{
    while (at > 0 && is_before(queue, item, item_at(queue, (at - 1) / 2))) {
        copy(queue, item_at(queue, at), item_at(queue, (at - 1) / 2));
        at = (at - 1) / 2;
    }
    copy(queue, item_at(queue, at), item);
}

static void heap_put(rota_queue *queue, const void *item)
{
    sift_up(queue, queue->count, item);
}

/*
 * The hole at the top goes down to a leaf along the lesser children, and the
 * last item then rises from there: it nearly always belongs near the bottom.
 */
static void heap_get(rota_queue *queue, void *item)
{
    size_t last = queue->count - 1;
    size_t hole = 0;
    size_t child = 1;

    copy(queue, item, item_at(queue, 0));
    if (last == 0)
        return;
    while (child < last) {
        if (child + 1 < last &&
            !is_before(queue, item_at(queue, child), item_at(queue, child + 1)))
            child++;
        copy(queue, item_at(queue, hole), item_at(queue, child));
        hole = child;
        child = 2 * hole + 1;
    }
    sift_up(queue, hole, item_at(queue, last));
}

static const struct order least_first = {heap_put, heap_get};

/* --- Life ---------------------------------------------------------------- */

static int new_queue(rota_queue **out, const struct order *order,
                     size_t item_size, size_t maxsize)
{
    rota_queue *queue;

    if (item_size == 0)
        return -EINVAL;
    queue = rota__zalloc(sizeof *queue);
    if (!queue)
        return -ENOMEM;
    queue->order = order;
    queue->item_size = item_size;
    queue->maxsize = maxsize ? maxsize : SIZE_MAX;
    rota__queue_open(&queue->getters);
    rota__queue_open(&queue->putters);
    rota__queue_open(&queue->joiners);
    *out = queue;
    return 0;
}

int rota_queue_new(rota_queue **queue, size_t item_size, size_t maxsize)
{
    return new_queue(queue, &fifo, item_size, maxsize);
}

int rota_lifo_queue_new(rota_queue **queue, size_t item_size, size_t maxsize)
{
    return new_queue(queue, &lifo, item_size, maxsize);
}

int rota_priority_queue_new(rota_queue **queue, size_t item_size,
                            size_t maxsize, rota_compare *compare)
{
    int err =
        compare ? new_queue(queue, &least_first, item_size, maxsize) : -EINVAL;

    if (err == 0)
        (*queue)->compare = compare;
    return err;
}

/*
 * From the front of the ring or the bottom of the block, in no other order.
 * Who is called may use the queue: it finds it shut down and empty.
 */
static void throw_away(rota_queue *queue)
{
    size_t count = queue->count;
    size_t first = queue->first;

    queue->is_shutdown = true;
    queue->count = 0;
    queue->first = 0;
    for (size_t i = 0; queue->release && i < count; i++)
        queue->release(item_at(queue, (first + i) & (queue->capacity - 1)));
}

void rota_queue_free(rota_queue *queue)
{
    if (!queue)
        return;
    throw_away(queue);
    rota__queue_close(&queue->getters);
    rota__queue_close(&queue->putters);
    rota__queue_close(&queue->joiners);
    rota__free(queue->items);
    rota__free(queue);
}

void rota_queue_set_release(rota_queue *queue, void (*release)(void *item))
{
    queue->release = release;
}

/* --- Putting ------------------------------------------------------------- */

/* A ring that has gone round is laid out straight in the new block. */
static int grow(rota_queue *queue)
{
    size_t capacity = queue->capacity ? 2 * queue->capacity : FIRST_CAPACITY;
    size_t tail = queue->capacity - queue->first;
    char *items;

    if (capacity > SIZE_MAX / 2 / queue->item_size)
        return -ENOMEM;
    items = rota__alloc(capacity * queue->item_size);
    if (!items)
        return -ENOMEM;
    if (queue->count > 0) {
        memcpy(items, item_at(queue, queue->first), tail * queue->item_size);
        memcpy(items + tail * queue->item_size, queue->items,
               queue->first * queue->item_size);
    }
    rota__free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->first = 0;
    return 0;
}

bool rota_queue_full(const rota_queue *queue)
{
    return queue->count >= queue->maxsize;
}

int rota_queue_put_nowait(rota_queue *queue, const void *item)
{
    int err;

    if (rota__unlikely(queue->is_shutdown))
        return -ROTA_ESHUTDOWN;
    if (rota__unlikely(rota_queue_full(queue)))
        return -ROTA_EFULL;
    if (rota__unlikely(queue->count == queue->capacity)) {
        err = grow(queue);
        if (err < 0)
            return err;
    }
    queue->order->put(queue, item);
    queue->count++;
    queue->unfinished++;
    (void)rota__queue_wake(&queue->getters);
    return 0;
}

/* All three: who waits in one is woken by those who wait in the others. */
static int bind_queue(rota_queue *queue, rota_loop *loop)
{
    int err = rota__queue_bind(&queue->getters, loop);

    if (err == 0)
        err = rota__queue_bind(&queue->putters, loop);
    return err < 0 ? err : rota__queue_bind(&queue->joiners, loop);
}

/* What a wait comes to: who was woken in vain wakes the next in line. */
static int wait_in(rota_queue *queue, struct rota__queue_of_waiters *waiters,
                   struct rota__task *self, bool (*blocked)(const rota_queue *))
{
    struct rota__place place;
    int err = bind_queue(queue, self->loop);

    if (err < 0)
        return err;
    err = rota__queue_wait(self, waiters, &place);
    if (err == -ROTA_ECLOSING)
        return -ROTA_ESHUTDOWN;
    if (err < 0 && place.woken && !blocked(queue))
        (void)rota__queue_wake(waiters);
    return err;
}

int rota_queue_put(rota_queue *queue, const void *item)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_queue_put", &err);

    if (rota__unlikely(!self))
        return err;
    while (rota__unlikely(rota_queue_full(queue))) {
        if (queue->is_shutdown)
            return -ROTA_ESHUTDOWN;
        err = wait_in(queue, &queue->putters, self, rota_queue_full);
        if (err < 0)
            return err;
    }
    return rota_queue_put_nowait(queue, item);
}

/* --- Getting ------------------------------------------------------------- */

bool rota_queue_empty(const rota_queue *queue)
{
    return queue->count == 0;
}

int rota_queue_get_nowait(rota_queue *queue, void *item)
{
    if (rota__unlikely(queue->count == 0))
        return queue->is_shutdown ? -ROTA_ESHUTDOWN : -ROTA_EEMPTY;
    queue->order->get(queue, item);
    queue->count--;
    (void)rota__queue_wake(&queue->putters);
    return 0;
}

int rota_queue_get(rota_queue *queue, void *item)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_queue_get", &err);

    if (rota__unlikely(!self))
        return err;
    while (queue->count == 0) {
        if (rota__unlikely(queue->is_shutdown))
            return -ROTA_ESHUTDOWN;
        err = wait_in(queue, &queue->getters, self, rota_queue_empty);
        if (err < 0)
            return err;
    }
    return rota_queue_get_nowait(queue, item);
}

int rota_queue_put_pointer(rota_queue *queue, void *pointer)
{
    if (queue->item_size != sizeof pointer)
        return -EINVAL;
    return rota_queue_put(queue, &pointer);
}

int rota_queue_get_pointer(rota_queue *queue, void **pointer)
{
    if (queue->item_size != sizeof *pointer)
        return -EINVAL;
    return rota_queue_get(queue, pointer);
}

/* --- Work done, and the end ---------------------------------------------- */

static void finish(rota_queue *queue, size_t count)
{
    queue->unfinished -= count;
    if (queue->unfinished == 0)
        rota__queue_wake_all(&queue->joiners);
}

int rota_queue_task_done(rota_queue *queue)
{
    if (queue->unfinished == 0)
        return rota__misuse(rota__running_loop, -ROTA_ESTATE,
                            "rota_queue_task_done",
                            "call it once for each item that was got");
    finish(queue, 1);
    return 0;
}

int rota_queue_join(rota_queue *queue)
{
    struct rota__place place;
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_queue_join", &err);

    if (!self || queue->unfinished == 0)
        return err;
    err = bind_queue(queue, self->loop);
    if (err < 0)
        return err;
    err = rota__queue_wait(self, &queue->joiners, &place);
    return err == -ROTA_ECLOSING ? -ROTA_ESHUTDOWN : err;
}

void rota_queue_shutdown(rota_queue *queue, bool immediate)
{
    size_t dropped = queue->count;

    queue->is_shutdown = true;
    if (immediate) {
        throw_away(queue);
        finish(queue,
               dropped < queue->unfinished ? dropped : queue->unfinished);
    }
    rota__queue_wake_all(&queue->getters);
    rota__queue_wake_all(&queue->putters);
}

size_t rota_queue_size(const rota_queue *queue)
{
    return queue->count;
}

size_t rota_queue_maxsize(const rota_queue *queue)
{
    return queue->maxsize == SIZE_MAX ? 0 : queue->maxsize;
}
