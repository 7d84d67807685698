/* SPDX-License-Identifier: MIT */
/*
 * Bodies of HTTP messages: how long they are, in three ways
 */
#include "http.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int skip(rota_stream *stream, unsigned long size)
{
    char buf[4096];

    while (size > 0) {
        size_t part = size < sizeof buf ? size : sizeof buf;
        intptr_t n = rota_read(stream, buf, part);

        if (n <= 0)
            return n < 0 ? (int)n : -ROTA_EINCOMPLETE;
        size -= (size_t)n;
    }
    return 0;
}

static int skip_to_end(rota_stream *stream)
{
    char buf[4096];
    intptr_t n;

    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        continue;
    return (int)n;
}

static int parse_size(const char *text, int base, unsigned long *size)
{
    char *end;

    if (!isxdigit((unsigned char)*text))
        return -EBADMSG;
    *size = strtoul(text, &end, base);
    if (*size > INTPTR_MAX || !strchr("\r\n; \t", *end))
        return -EBADMSG;
    return 0;
}

static int read_line(rota_stream *stream, char *line, size_t size)
{
    intptr_t n = rota_read_line(stream, line, size - 1);

    if (n <= 0)
        return n < 0 ? (int)n : -ROTA_EINCOMPLETE;
    line[n] = '\0';
    return 0;
}

/* A size in hex and its bytes, again and again; after size 0, more fields. */
static int skip_chunks(rota_stream *stream)
{
    unsigned long size = 1;
    char line[1024];
    int err = 0;

    while (err == 0 && size > 0) {
        err = read_line(stream, line, sizeof line);
        if (err == 0)
            err = parse_size(line, 16, &size);
        if (err == 0 && size > 0)
            err = skip(stream, size);
        if (err == 0 && size > 0)
            err = read_line(stream, line, sizeof line);
    }
    while (err == 0 && line[0] != '\r' && line[0] != '\n')
        err = read_line(stream, line, sizeof line);
    return err;
}

int http_skip_body(rota_stream *stream, const char *fields, bool until_end)
{
    unsigned long size;
    size_t length;
    const char *text = http_field(fields, "Content-Length", &length);
    int err;

    if (http_field(fields, "Transfer-Encoding", &length)) {
        bool chunked = http_field_has(fields, "Transfer-Encoding", "chunked");

        return chunked && !text ? skip_chunks(stream) : -EBADMSG;
    }
    if (!text)
        return until_end ? skip_to_end(stream) : 0;
    err = parse_size(text, 10, &size);
    return err < 0 ? err : skip(stream, size);
}
