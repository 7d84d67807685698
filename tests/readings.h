/* SPDX-License-Identifier: MIT */
/*
 * Readings: the four ways to read a stream, in a task of its own each
 */
#ifndef TESTS_READINGS_H
#define TESTS_READINGS_H

#include "sockets.h"

/* Reads as a task of its own: what is read, and how. */
struct reading {
    rota_stream *stream;
    intptr_t (*how)(struct reading *reading);
    const char *separator;
    size_t size;
    char buf[256];
};

static inline intptr_t by_read(struct reading *reading)
{
    return rota_read(reading->stream, reading->buf, reading->size);
}

static inline intptr_t by_exactly(struct reading *reading)
{
    return rota_read_exactly(reading->stream, reading->buf, reading->size);
}

static inline intptr_t by_until(struct reading *reading)
{
    return rota_read_until(reading->stream, reading->separator,
                           strlen(reading->separator), reading->buf,
                           reading->size);
}

static inline intptr_t by_line(struct reading *reading)
{
    return rota_read_line(reading->stream, reading->buf, reading->size);
}

static intptr_t (*const all_ways[])(struct reading *reading) = {
    by_read, by_exactly, by_until, by_line};

static inline intptr_t read_in_a_task(void *arg)
{
    struct reading *reading = arg;

    return reading->how(reading);
}

/* One of each way, that wants more than has come. */
static inline struct reading reading_of(const struct pair *pair, size_t way)
{
    return (struct reading){
        .stream = pair->stream,
        .how = all_ways[way],
        .separator = "\r\n",
        .size = 100,
    };
}

static inline void expect_read(rota_stream *stream, const char *text)
{
    char buf[256];
    size_t size = strlen(text);

    assert_int_equal(rota_read(stream, buf, sizeof buf), size);
    assert_memory_equal(buf, text, size);
}

#endif
