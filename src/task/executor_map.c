/* SPDX-License-Identifier: MIT */
/*
 * A function for each of many items, in chunks
 *
 * A chunk is one job: a block of memory with its items, and room for their
 * results, which works alike in a thread and in a process. All chunks are
 * submitted at once, or as many as a bounded queue takes; then each that ends
 * makes room for the next one.
 */
#include "loop/job.h"
#include "task/task.h"
#include <stdalign.h>

/* What travels: this, the results, the items. */
struct cargo {
    rota_work_function *function;
    size_t count;
    size_t size;  /* of an item */
    size_t items; /* where they begin */
    alignas(max_align_t) intptr_t results[];
};

struct chunk {
    struct rota__job job;
    struct rota__link link;  /* of the mapping's that are under way */
    struct mapping *mapping; /* NULL: nobody waits */
    size_t first;
    struct cargo cargo;
};

/* On the stack of the task that waits. */
struct mapping {
    struct rota__waiter waiter;
    rota_loop *loop;
    rota_executor *executor;
    rota_work_function *function;
    char *items;
    intptr_t *results;
    size_t count;
    size_t size;
    size_t chunk;
    size_t next;              /* the first that is not submitted */
    size_t failed;            /* the first item that has an error */
    intptr_t error;           /* and which */
    struct rota__link chunks; /* under way */
    bool waiting;
};

/* On the executor. */
static intptr_t run_cargo(void *arg)
{
    struct cargo *cargo = arg;
    char *items = (char *)arg + cargo->items;

    for (size_t i = 0; i < cargo->count; i++)
        cargo->results[i] = cargo->function(items + i * cargo->size);
    return 0;
}

static struct chunk *chunk_of(struct rota__job *job)
{
    return rota__container_of(job, struct chunk, job);
}

static void note(struct mapping *mapping, size_t item, intptr_t result)
{
    if (mapping->results)
        mapping->results[item] = result;
    if (!rota_is_error(result) || item >= mapping->failed)
        return;
    mapping->failed = item;
    mapping->error = result;
}

/* An error of the job is an error of each of its items. */
static void take_results(struct mapping *mapping, const struct chunk *chunk,
                         intptr_t error)
{
    const struct cargo *cargo = &chunk->cargo;

    for (size_t i = 0; i < cargo->count; i++)
        note(mapping, chunk->first + i,
             rota_is_error(error) ? error : cargo->results[i]);
    if (!rota_is_error(error) && cargo->size > 0)
        memcpy(mapping->items + chunk->first * cargo->size,
               (const char *)cargo + cargo->items, cargo->count * cargo->size);
}

static void submit_all(struct mapping *mapping);

static void wake(struct mapping *mapping, intptr_t result)
{
    if (!mapping->waiting)
        return;
    mapping->waiting = false;
    rota__unpark(&mapping->waiter, result);
}

static void ended(struct rota__job *job)
{
    struct chunk *chunk = chunk_of(job);
    struct mapping *mapping = chunk->mapping;

    if (!mapping)
        return;
    rota__list_remove(&chunk->link);
    take_results(mapping, chunk, job->dropped ? -ROTA_ECLOSED : job->result);
    submit_all(mapping);
    if (rota__list_empty(&mapping->chunks))
        wake(mapping, 0);
}

static void release(struct rota__job *job)
{
    rota__free(chunk_of(job));
}

static struct chunk *make_chunk(const struct mapping *mapping, size_t count)
{
    size_t align = alignof(max_align_t);
    size_t results = (count * sizeof(intptr_t) + align - 1) / align * align;
    size_t items = sizeof(struct cargo) + results;
    struct chunk *chunk =
        rota__zalloc(sizeof *chunk + results + count * mapping->size);

    if (!chunk)
        return NULL;
    chunk->job = (struct rota__job){
        .call = {.function = run_cargo,
                 .arg = &chunk->cargo,
                 .size = items + count * mapping->size},
        .ended = ended,
        .release = release,
    };
    chunk->first = mapping->next;
    chunk->cargo =
        (struct cargo){mapping->function, count, mapping->size, items};
    if (mapping->size > 0)
        memcpy((char *)&chunk->cargo + items,
               mapping->items + mapping->next * mapping->size,
               count * mapping->size);
    return chunk;
}

static int submit_chunk(struct mapping *mapping, size_t count)
{
    struct chunk *chunk = make_chunk(mapping, count);
    int err;

    if (!chunk)
        return -ENOMEM;
    chunk->mapping = mapping;
    rota__list_push(&mapping->chunks, &chunk->link);
    err = rota__job_submit(&chunk->job, mapping->loop, mapping->executor);
    if (err < 0) {
        rota__list_remove(&chunk->link);
        rota__free(chunk);
    }
    return err;
}

/* Until the queue is full; what cannot be submitted has that error. */
static void submit_all(struct mapping *mapping)
{
    while (mapping->next < mapping->count) {
        size_t left = mapping->count - mapping->next;
        size_t count = left < mapping->chunk ? left : mapping->chunk;
        int err = submit_chunk(mapping, count);

        if (err == -ROTA_EFULL && !rota__list_empty(&mapping->chunks))
            return;
        for (size_t i = 0; err < 0 && i < count; i++)
            note(mapping, mapping->next + i, err);
        mapping->next += count;
    }
}

/* Those that have begun go on, and nobody hears of them. */
static void leave_chunks(struct mapping *mapping)
{
    struct rota__link *link;

    while ((link = rota__list_pop(&mapping->chunks)) != NULL) {
        struct chunk *chunk = rota__container_of(link, struct chunk, link);

        chunk->mapping = NULL;
        (void)rota__job_cancel(&chunk->job);
    }
}

static bool cancel(struct rota__waiter *waiter)
{
    struct mapping *mapping =
        rota__container_of(waiter, struct mapping, waiter);

    leave_chunks(mapping);
    wake(mapping, -ECANCELED);
    return true;
}

static int map(struct rota__task *self, struct mapping *mapping)
{
    intptr_t err = 0;

    rota__list_init(&mapping->chunks);
    submit_all(mapping);
    if (!rota__list_empty(&mapping->chunks)) {
        mapping->waiting = true;
        rota__list_init(&mapping->waiter.link);
        err = rota__park(self, &mapping->waiter);
    }
    return err < 0 ? (int)err : (int)mapping->error;
}

/* Also with the largest chunk nothing may overflow. */
static bool fits(size_t count, size_t size)
{
    size_t room = (SIZE_MAX / 2 - sizeof(struct chunk)) / count;
    size_t rest = sizeof(intptr_t) + alignof(max_align_t);

    return room >= rest && size <= room - rest;
}

int rota_executor_map(rota_executor *executor, rota_work_function *function,
                      void *items, size_t count, size_t size, size_t chunk,
                      intptr_t *results)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_executor_map", &err);
    struct mapping mapping = {
        .waiter.cancel = cancel,
        .executor = executor,
        .function = function,
        .items = items,
        .results = results,
        .count = count,
        .size = size,
        .chunk = chunk > 0 ? chunk : 1,
        .failed = SIZE_MAX,
    };

    if (!self)
        return err;
    mapping.loop = self->loop;
    if (!function || (size > 0 && count > 0 && !items))
        return -EINVAL;
    if (count == 0)
        return 0;
    return fits(count, size) ? map(self, &mapping) : -EINVAL;
}
