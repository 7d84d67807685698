/* SPDX-License-Identifier: MIT */
/*
 * Memory: the replaceable allocator
 */
#include "base/base.h"
#include <stdlib.h>

static void *default_allocate(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *default_reallocate(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return realloc(ptr, size);
}

static void default_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static const rota_allocator from_malloc = {
    .allocate = default_allocate,
    .reallocate = default_reallocate,
    .release = default_release,
};

static rota_allocator allocator = {
    .allocate = default_allocate,
    .reallocate = default_reallocate,
    .release = default_release,
};

int rota_set_allocator(const rota_allocator *with)
{
    if (!with)
        with = &from_malloc;
    if (!with->allocate || !with->reallocate || !with->release)
        return -EINVAL;
    allocator = *with;
    return 0;
}

void *rota__alloc(size_t size)
{
    return allocator.allocate(allocator.ctx, size);
}

void *rota__zalloc(size_t size)
{
    void *ptr = rota__alloc(size);

    if (ptr)
        memset(ptr, 0, size);
    return ptr;
}

void *rota__realloc(void *ptr, size_t size)
{
    return allocator.reallocate(allocator.ctx, ptr, size);
}

void rota__free(void *ptr)
{
    if (ptr)
        allocator.release(allocator.ctx, ptr);
}
