/* SPDX-License-Identifier: MIT */
/*
 * Growing byte buffers
 *
 * Bytes are moved to the front only when that makes all the room that is
 * needed, so that a byte is moved once on average. A buffer that was big and
 * has become empty gives its memory back: one large message must not cost
 * memory for the rest of a connection's life.
 */
#include "base/base.h"

#define SMALLEST 512
#define KEPT_WHEN_EMPTY 16384

void rota__buffer_init(struct rota__buffer *buffer)
{
    *buffer = (struct rota__buffer){0};
}

void rota__buffer_fini(struct rota__buffer *buffer)
{
    rota__free(buffer->memory);
    rota__buffer_init(buffer);
}

static void move_to_front(struct rota__buffer *buffer)
{
    size_t size = rota__buffer_size(buffer);

    memmove(buffer->memory, rota__buffer_data(buffer), size);
    buffer->start = 0;
    buffer->end = size;
}

static int enlarge(struct rota__buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity ? buffer->capacity : SMALLEST;
    char *memory;

    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    memory = rota__realloc(buffer->memory, capacity);
    if (!memory)
        return -ENOMEM;
    buffer->memory = memory;
    buffer->capacity = capacity;
    return 0;
}

int rota__buffer_reserve(struct rota__buffer *buffer, size_t size)
{
    size_t used = rota__buffer_size(buffer);

    if (buffer->capacity - buffer->end >= size)
        return 0;
    if (size > SIZE_MAX - used)
        return -ENOMEM;
    if (buffer->start > 0)
        move_to_front(buffer);
    if (buffer->capacity - used >= size)
        return 0;
    return enlarge(buffer, used + size);
}

int rota__buffer_append(struct rota__buffer *buffer, const void *data,
                        size_t size)
{
    int err = rota__buffer_reserve(buffer, size);

    if (err < 0)
        return err;
    if (size > 0)
        memcpy(buffer->memory + buffer->end, data, size);
    buffer->end += size;
    return 0;
}

void rota__buffer_filled(struct rota__buffer *buffer, size_t size)
{
    rota__invariant(buffer->capacity - buffer->end >= size);
    buffer->end += size;
}

void rota__buffer_consume(struct rota__buffer *buffer, size_t size)
{
    rota__invariant(size <= rota__buffer_size(buffer));
    buffer->start += size;
    if (buffer->start < buffer->end)
        return;
    buffer->start = 0;
    buffer->end = 0;
    if (buffer->capacity > KEPT_WHEN_EMPTY)
        rota__buffer_fini(buffer);
}
