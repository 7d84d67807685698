/* SPDX-License-Identifier: MIT */
/*
 * base: what needs no operating system
 *
 * Lists, the timers' heap, byte buffers, memory, errors. Nothing here makes
 * a system call or knows what a loop is.
 */
#ifndef ROTA_BASE_BASE_H
#define ROTA_BASE_BASE_H

#include <rota/base.h>
#include <string.h>

#if defined(__GNUC__)
#define rota__likely(x) __builtin_expect(!!(x), 1)
#define rota__unlikely(x) __builtin_expect(!!(x), 0)
#define ROTA__COLD __attribute__((cold, noinline))
#define ROTA__SLOW __attribute__((noinline)) /* keeps a quick path short */
#define ROTA__PRINTF(at) __attribute__((format(printf, at, at + 1)))
#else
#define rota__likely(x) (x)
#define rota__unlikely(x) (x)
#define ROTA__COLD
#define ROTA__SLOW
#define ROTA__PRINTF(at)
#endif

#define rota__container_of(ptr, type, member)                                  \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define rota__countof(array) (sizeof(array) / sizeof((array)[0]))

/* Our own invariants: checked in debug builds, never on a caller's data. */
#ifdef ROTA_CHECK_INVARIANTS
#define rota__invariant(cond)                                                  \
    ((cond) ? (void)0 : rota__invariant_failed(#cond, __FILE__, __LINE__))
#else
#define rota__invariant(cond) ((void)0)
#endif
void rota__invariant_failed(const char *what, const char *file, int line);

/*
 * Says on standard error why the program must not go on, then aborts.
 * Only for misuse that debug mode stops and for a broken invariant.
 */
void rota__fatal(const char *format, ...) ROTA__PRINTF(1);

/* The name and the text of the error -(ROTA_EBROKENPOOL + number). */
const char *rota__broken_pool_name(int number);
const char *rota__broken_pool_text(int number);

/* Memory: all of it through the replaceable allocator. */
void *rota__alloc(size_t size);
void *rota__zalloc(size_t size);
void *rota__realloc(void *ptr, size_t size);
void rota__free(void *ptr);

/*
 * List: circular and intrusive. An unlinked node points to itself, so that
 * removing it twice does no harm.
 */
static inline void rota__list_init(struct rota__link *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool rota__list_empty(const struct rota__link *list)
{
    return list->next == list;
}

static inline void rota__list_push(struct rota__link *list,
                                   struct rota__link *node)
{
    struct rota__link *last = list->prev;

    node->next = list;
    node->prev = last;
    last->next = node;
    list->prev = node;
}

/* For a node that goes straight into another list or dies. */
static inline void rota__list_cut(struct rota__link *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
}

static inline void rota__list_remove(struct rota__link *node)
{
    rota__list_cut(node);
    rota__list_init(node);
}

/* Takes the first node out, or returns NULL. */
static inline struct rota__link *rota__list_pop(struct rota__link *list)
{
    struct rota__link *node = list->next;

    if (node == list)
        return NULL;
    rota__list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `list`. */
void rota__list_append(struct rota__link *list, struct rota__link *from);

/* Moves all of `from` to the front of `list`. */
void rota__list_prepend(struct rota__link *list, struct rota__link *from);

/*
 * Heap: 4-ary, ordered by (key, order of insertion). The key sits beside the
 * pointer, four to a cache line. Moving a node to a later key only notes it:
 * the heap catches up when the node's old place comes to the top.
 */
struct rota__heap_slot {
    int64_t key;
    struct rota__heap_node *node;
};

struct rota__heap {
    struct rota__heap_slot *slots; /* aligned inside `memory` */
    void *memory;
    size_t end; /* one past the last used slot */
    size_t capacity;
    uint32_t sequence; /* may wrap: only near ones are compared */
};

void rota__heap_init(struct rota__heap *heap);
void rota__heap_fini(struct rota__heap *heap);
/* 0, or -ENOMEM with nothing changed. */
int rota__heap_insert(struct rota__heap *heap, struct rota__heap_node *node,
                      int64_t key);
/* Gives a node that is in the heap another key; it goes behind its equals. */
void rota__heap_move(struct rota__heap *heap, struct rota__heap_node *node,
                     int64_t key);
void rota__heap_remove(struct rota__heap *heap, struct rota__heap_node *node);
/* The node with the least key, or NULL. */
struct rota__heap_node *rota__heap_min(struct rota__heap *heap);
size_t rota__heap_count(const struct rota__heap *heap);
/* The i-th node in no order, for i below the count. */
struct rota__heap_node *rota__heap_at(const struct rota__heap *heap, size_t i);

/*
 * When a good part of a big heap is due (key at most `key`), takes all of
 * that out at once: an array in order, to be freed; else NULL. The nodes'
 * indices are still to be cleared. For a million timers this is four times
 * faster than taking them one by one.
 */
struct rota__heap_due {
    int64_t key;
    struct rota__heap_node *node;
    uint32_t sequence;
};

struct rota__heap_due *rota__heap_take_many(struct rota__heap *heap,
                                            int64_t key, size_t *count);
/* Sorts by (key, sequence); `spare` is as big as `due`. */
void rota__heap_sort_due(struct rota__heap_due *due,
                         struct rota__heap_due *spare, size_t count);

static inline bool rota__heap_contains(const struct rota__heap_node *node)
{
    return node->index != 0;
}

/* Buffer: bytes come in at the end and leave at the front. */
struct rota__buffer {
    char *memory;
    size_t start;
    size_t end;
    size_t capacity;
};

static inline size_t rota__buffer_size(const struct rota__buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline char *rota__buffer_data(const struct rota__buffer *buffer)
{
    return buffer->memory ? buffer->memory + buffer->start : NULL;
}

void rota__buffer_init(struct rota__buffer *buffer);
void rota__buffer_fini(struct rota__buffer *buffer);
/* Makes room for `size` more bytes behind the end; 0 or -ENOMEM. */
int rota__buffer_reserve(struct rota__buffer *buffer, size_t size);
/* Appends a copy; 0, or -ENOMEM with nothing appended. */
int rota__buffer_append(struct rota__buffer *buffer, const void *data,
                        size_t size);
/* Says that `size` reserved bytes have been filled. */
void rota__buffer_filled(struct rota__buffer *buffer, size_t size);
/* Drops `size` bytes from the front; an empty big buffer is given back. */
void rota__buffer_consume(struct rota__buffer *buffer, size_t size);

/* A small, fast, seedable generator (xorshift64*); the state is never 0. */
uint64_t rota__random(uint64_t *state);

#endif
