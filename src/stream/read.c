/* SPDX-License-Identifier: MIT */
/*
 * Reading
 *
 * rota_read() passes bytes from the kernel to the caller. The reads that must
 * see a whole thing first (exactly, until, line) collect in stream->in and
 * take it out only when it is complete, so that a cancelled or failed one has
 * lost nothing.
 */
#define _GNU_SOURCE
#include "stream/stream.h"

#define CHUNK 8192

static int check_read(const rota_stream *stream, const struct rota__task *self,
                      const char *function)
{
    int err = rota__stream_check(stream, self, function);

    if (rota__unlikely(err == 0 && stream->reader))
        err = -EBUSY;
    return err;
}

/* 0 when there may be something to read, or an error. */
static int wait_readable(rota_stream *stream, struct rota__task *self)
{
    struct rota__waiter waiter = {0};
    intptr_t err;

    rota__list_init(&waiter.link);
    stream->reader = &waiter;
    stream->users++;
    err = rota__park(self, &waiter);
    stream->users--;
    stream->reader = NULL;
    if (rota__unlikely(err == 0 && stream->closing))
        err = -ROTA_ECLOSING;
    return (int)err;
}

/* Reads from the connection, waiting if need be: rota_read() in short. */
static inline intptr_t receive(rota_stream *stream, struct rota__task *self,
                               void *buf, size_t size)
{
    intptr_t n = 0;

    if (rota__task_is_greedy(self))
        n = rota__stream_give_way(stream, self, true);
    while (rota__likely(n == 0)) {
        n = rota__conn_read(&stream->conn, buf, size);
        if (n != -EAGAIN)
            break;
        n = wait_readable(stream, self);
    }
    return n;
}

static size_t take(rota_stream *stream, void *buf, size_t size)
{
    size_t have = rota__buffer_size(&stream->in);

    if (size > have)
        size = have;
    if (size > 0)
        memcpy(buf, rota__buffer_data(&stream->in), size);
    rota__buffer_consume(&stream->in, size);
    return size;
}

static intptr_t leave_with(rota_stream *stream, intptr_t result)
{
    rota__stream_leave(stream);
    return result;
}

intptr_t rota_read(rota_stream *stream, void *buf, size_t size)
{
    struct rota__task *self = rota__current();
    intptr_t n = check_read(stream, self, "rota_read");

    if (rota__unlikely(n < 0))
        return n;
    if (rota__unlikely(size == 0))
        return -EINVAL;
    if (rota__buffer_size(&stream->in) > 0)
        return (intptr_t)take(stream, buf, size);
    n = receive(stream, self, buf, size);
    return rota__unlikely(n < 0) ? leave_with(stream, n) : n;
}

/* The scratch is asked for after each wait: others have used it. */
intptr_t rota_read_borrowed(rota_stream *stream, const void **data)
{
    struct rota__task *self = rota__current();
    intptr_t n = check_read(stream, self, "rota_read_borrowed");

    if (rota__unlikely(n < 0))
        return n;
    if (rota__task_is_greedy(self))
        n = rota__stream_give_way(stream, self, true);
    while (rota__likely(n == 0)) {
        char *scratch = rota__scratch(self->loop);

        if (rota__unlikely(!scratch))
            return -ENOMEM;
        *data = scratch;
        if (rota__unlikely(rota__buffer_size(&stream->in) > 0))
            return (intptr_t)take(stream, scratch, ROTA__SCRATCH);
        n = rota__conn_read(&stream->conn, scratch, ROTA__SCRATCH);
        if (n != -EAGAIN)
            return n;
        n = wait_readable(stream, self);
    }
    return leave_with(stream, n);
}

/* Adds to stream->in: bytes, 0 at the end of the stream, or an error. */
static intptr_t fill(rota_stream *stream, struct rota__task *self, size_t want)
{
    struct rota__buffer *in = &stream->in;
    size_t room = want > CHUNK ? want : CHUNK;
    intptr_t n = rota__buffer_reserve(in, room);

    if (n < 0)
        return n;
    n = receive(stream, self, in->memory + in->end, room);
    if (n > 0)
        rota__buffer_filled(in, (size_t)n);
    return n;
}

intptr_t rota_read_exactly(rota_stream *stream, void *buf, size_t size)
{
    struct rota__task *self = rota__current();
    intptr_t n = check_read(stream, self, "rota_read_exactly");

    if (n < 0)
        return n;
    while (rota__buffer_size(&stream->in) < size) {
        n = fill(stream, self, size - rota__buffer_size(&stream->in));
        if (n <= 0)
            return leave_with(stream, n < 0 ? n : -ROTA_EINCOMPLETE);
    }
    if (size > 0)
        take(stream, buf, size);
    return (intptr_t)size;
}

struct search {
    const rota_separator *separators;
    int count;
    size_t longest;
    size_t seen; /* bytes that cannot begin a match */
    const char *function;
};

/* The size of what ends first with a separator, or 0 if none has come yet. */
static size_t find(const struct rota__buffer *in, struct search *search)
{
    size_t size = rota__buffer_size(in);
    size_t end = size; /* what ends behind it is of no interest */
    char *data = rota__buffer_data(in);
    bool found = false;

    for (int i = 0; i < search->count && end > search->seen; i++) {
        const rota_separator *separator = &search->separators[i];
        char *at = memmem(data + search->seen, end - search->seen,
                          separator->data, separator->size);

        if (at) {
            found = true;
            end = (size_t)(at - data) + separator->size;
        }
    }
    if (!found && size >= search->longest)
        search->seen = size - search->longest + 1;
    return found ? end : 0;
}

/* The size of what is to be taken; 0 at the end; or an error. */
static intptr_t collect(rota_stream *stream, struct rota__task *self,
                        struct search *search, size_t limit)
{
    for (;;) {
        size_t size = find(&stream->in, search);
        intptr_t n;

        if (size > limit ||
            (size == 0 && rota__buffer_size(&stream->in) >= limit))
            return -ROTA_ELIMIT;
        if (size > 0)
            return (intptr_t)size;
        n = fill(stream, self, CHUNK);
        if (n <= 0)
            return n;
    }
}

static intptr_t read_until(rota_stream *stream, struct search *search,
                           void *buf, size_t size, bool line)
{
    struct rota__task *self = rota__current();
    size_t limit = size < stream->limit ? size : stream->limit;
    intptr_t n = check_read(stream, self, search->function);

    if (n < 0)
        return n;
    n = collect(stream, self, search, limit);
    if (n == 0 && !line)
        n = -ROTA_EINCOMPLETE;
    else if (n == 0)
        n = (intptr_t)rota__buffer_size(&stream->in);
    if (n < 0)
        return leave_with(stream, n);
    if ((size_t)n > size)
        return -ROTA_ELIMIT;
    return n == 0 ? 0 : (intptr_t)take(stream, buf, (size_t)n);
}

intptr_t rota_read_until_any(rota_stream *stream,
                             const rota_separator *separators, int count,
                             void *buf, size_t size)
{
    struct search search = {
        .separators = separators,
        .count = count,
        .function = "rota_read_until_any",
    };

    if (count <= 0)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        if (separators[i].size == 0)
            return -EINVAL;
        if (separators[i].size > search.longest)
            search.longest = separators[i].size;
    }
    return read_until(stream, &search, buf, size, false);
}

intptr_t rota_read_until(rota_stream *stream, const void *separator,
                         size_t separator_size, void *buf, size_t size)
{
    const rota_separator only = {separator, separator_size};
    struct search search = {&only, 1, separator_size, 0, "rota_read_until"};

    if (separator_size == 0)
        return -EINVAL;
    return read_until(stream, &search, buf, size, false);
}

intptr_t rota_read_line(rota_stream *stream, void *buf, size_t size)
{
    static const rota_separator newline = {"\n", 1};
    struct search search = {&newline, 1, 1, 0, "rota_read_line"};

    return read_until(stream, &search, buf, size, true);
}

intptr_t rota_read_all(rota_stream *stream, void *buf, size_t size)
{
    struct rota__task *self = rota__current();
    intptr_t n = check_read(stream, self, "rota_read_all");

    while (n >= 0 && rota__buffer_size(&stream->in) <= size) {
        size_t more = size - rota__buffer_size(&stream->in);

        n = fill(stream, self, more < CHUNK ? more + 1 : CHUNK);
        if (n == 0)
            return (intptr_t)take(stream, buf, size);
    }
    return leave_with(stream, n < 0 ? n : -ROTA_ELIMIT);
}

bool rota_at_eof(const rota_stream *stream)
{
    return stream->conn.at_end && rota__buffer_size(&stream->in) == 0;
}

int rota_stream_set_limit(rota_stream *stream, size_t limit)
{
    if (limit == 0)
        return -EINVAL;
    stream->limit = limit;
    return 0;
}
