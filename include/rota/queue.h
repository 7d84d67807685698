/* SPDX-License-Identifier: MIT */
/*
 * Queues between tasks
 *
 * Mirrors "Queues" of asyncio's manual. A queue holds items of one size, by
 * value: what is put is copied in, what is got is copied out, and what a
 * pointer in it points to belongs to whoever has got it. For queues of
 * pointers, made with item_size sizeof(void *), there are
 * rota_queue_put_pointer() and rota_queue_get_pointer(). A queue belongs to one
 * loop at a time.
 *
 * Every function that awaits returns -ECANCELED when the waiting task is
 * cancelled (then nothing was put or got), -ROTA_ENOTASK outside a task,
 * -EINVAL when tasks of another loop wait on it. The others may be called
 * from callbacks too.
 */
#ifndef ROTA_QUEUE_H
#define ROTA_QUEUE_H

#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_queue rota_queue;

/*
 * Makes a queue, first in, first out, for up to `maxsize` items; 0: without
 * limit. Free it with rota_queue_free(). Memory for the items is taken as
 * they come, and kept. Errors: -EINVAL (item_size 0), -ENOMEM.
 * asyncio: Queue(maxsize).
 */
int rota_queue_new(rota_queue **queue, size_t item_size, size_t maxsize);

/* Last in, first out. asyncio: LifoQueue(maxsize). */
int rota_lifo_queue_new(rota_queue **queue, size_t item_size, size_t maxsize);

/* Like qsort's: negative if a comes before b. Must not wait. */
typedef int rota_compare(const void *a, const void *b);

/*
 * The least one out first; equal ones in no order. -EINVAL without compare.
 * asyncio: PriorityQueue(maxsize).
 */
int rota_priority_queue_new(rota_queue **queue, size_t item_size,
                            size_t maxsize, rota_compare *compare);

/*
 * Shuts the queue down at once and gives it back; tasks that still wait get
 * -ROTA_ESHUTDOWN. NULL is ignored.
 */
void rota_queue_free(rota_queue *queue);

/*
 * Calls release(item) for each item that an immediate shutdown or the free
 * throws away, so that what it points to is not lost. It must not wait, and
 * finds the queue shut down and empty.
 */
void rota_queue_set_release(rota_queue *queue, void (*release)(void *item));

/*
 * Puts a copy of *item in, waiting while the queue is full. Errors:
 * -ROTA_ESHUTDOWN, -ENOMEM.  asyncio: await queue.put().
 */
int rota_queue_put(rota_queue *queue, const void *item) ROTA_MUST_USE;

/* Not waiting: -ROTA_EFULL instead. asyncio: queue.put_nowait(). */
int rota_queue_put_nowait(rota_queue *queue, const void *item) ROTA_MUST_USE;

/*
 * Takes an item out into *item, waiting while the queue is empty.
 * -ROTA_ESHUTDOWN once it is shut down and empty.
 * asyncio: await queue.get().
 */
int rota_queue_get(rota_queue *queue, void *item) ROTA_MUST_USE;

/* Not waiting: -ROTA_EEMPTY instead. asyncio: queue.get_nowait(). */
int rota_queue_get_nowait(rota_queue *queue, void *item) ROTA_MUST_USE;

/*
 * Put and get of a pointer itself; -EINVAL for a queue whose items are not of
 * a pointer's size.
 */
int rota_queue_put_pointer(rota_queue *queue, void *pointer) ROTA_MUST_USE;
int rota_queue_get_pointer(rota_queue *queue, void **pointer) ROTA_MUST_USE;

/*
 * Says that an item that was got has been worked on. -ROTA_ESTATE if that is
 * said more often than items were put.  asyncio: queue.task_done().
 */
int rota_queue_task_done(rota_queue *queue);

/*
 * Waits until every item that was put has been worked on. -ROTA_ESHUTDOWN if
 * the queue is freed meanwhile.
 * asyncio: await queue.join().
 */
int rota_queue_join(rota_queue *queue) ROTA_MUST_USE;

/*
 * From now on nothing can be put, and when it is empty nothing got:
 * -ROTA_ESHUTDOWN, also for those who wait. With `immediate` the items are
 * thrown away, as if each had been worked on.  asyncio: queue.shutdown().
 */
void rota_queue_shutdown(rota_queue *queue, bool immediate);

/* asyncio: qsize(), maxsize (0: no limit), empty(), full(). */
size_t rota_queue_size(const rota_queue *queue);
size_t rota_queue_maxsize(const rota_queue *queue);
bool rota_queue_empty(const rota_queue *queue);
bool rota_queue_full(const rota_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
