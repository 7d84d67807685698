/* SPDX-License-Identifier: MIT */
/*
 * Memory that is there or ends the program, and a table by numbers
 *
 * The table is open-addressed, at most half full, and only grows.
 */
#include "ps.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory)
{
    if (!memory) {
        fprintf(stderr, "rota-ps: out of memory\n");
        exit(1);
    }
    return memory;
}

void *memory_get(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

/* In powers of two, so that most calls do nothing. */
void *memory_grow(void *array, size_t count, size_t item)
{
    if (count & (count - 1))
        return array;
    return checked(reallocarray(array, count ? 2 * count : 1, item));
}

void *memory_resize(void *memory, size_t size)
{
    return checked(realloc(memory, size));
}

char *memory_copy(const char *text)
{
    return checked(strdup(text));
}

FILE *memory_file(char **text, size_t *size)
{
    return checked(open_memstream(text, size));
}

static size_t place_of(const struct table *table, uint64_t key)
{
    size_t at = key * 0x9e3779b97f4a7c15 >> 20 & (table->capacity - 1);

    while (table->keys[at] != 0 && table->keys[at] != key)
        at = (at + 1) & (table->capacity - 1);
    return at;
}

void *table_get(const struct table *table, uint64_t key)
{
    return table->count == 0 ? NULL : table->values[place_of(table, key)];
}

static void enlarge(struct table *table)
{
    struct table old = *table;

    table->capacity = old.capacity ? 2 * old.capacity : 64;
    table->keys = memory_get(table->capacity * sizeof(*table->keys));
    table->values = memory_get(table->capacity * sizeof(*table->values));
    for (size_t i = 0; i < old.capacity; i++) {
        size_t at = place_of(table, old.keys[i]);

        if (old.keys[i] != 0) {
            table->keys[at] = old.keys[i];
            table->values[at] = old.values[i];
        }
    }
    free(old.keys);
    free(old.values);
}

void table_put(struct table *table, uint64_t key, void *value)
{
    size_t at;

    if (2 * table->count >= table->capacity)
        enlarge(table);
    at = place_of(table, key);
    if (table->keys[at] == 0)
        table->count++;
    table->keys[at] = key;
    table->values[at] = value;
}

void table_free(struct table *table)
{
    free(table->keys);
    free(table->values);
}
