/* SPDX-License-Identifier: MIT */
/*
 * Bodies of HTTP messages: how long they are, in three ways
 */
#include "http.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int skip(rota_stream *stream, unsigned long size, bool may_end)
{
    char buf[4096];

    while (size > 0) {
        size_t part = size < sizeof buf ? size : sizeof buf;
        intptr_t n = rota_read(stream, buf, part);

        if (n == 0)
            return may_end ? 0 : -ROTA_EINCOMPLETE;
        if (n < 0)
            return (int)n;
        size -= (size_t)n;
    }
    return 0;
}

static int parse_size(const char *text, int base, unsigned long *size)
{
    char *end;

    *size = strtoul(text, &end, base);
    if (end == text || *size > LONG_MAX || !strchr("\r\n; \t", *end))
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

/* A size in hex and as many bytes, again and again; then more fields. */
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
            err = skip(stream, size + strlen("\r\n"), false);
    }
    while (err == 0 && line[0] != '\r' && line[0] != '\n')
        err = read_line(stream, line, sizeof line);
    return err;
}

int http_skip_body(rota_stream *stream, const char *fields, bool until_end)
{
    size_t length;
    unsigned long size = until_end ? ULONG_MAX : 0;
    const char *text = http_field(fields, "Content-Length", &length);

    if (http_field_has(fields, "Transfer-Encoding", "chunked") && !text)
        return skip_chunks(stream);
    if (http_field(fields, "Transfer-Encoding", &length) ||
        (text && parse_size(text, 10, &size) < 0))
        return -EBADMSG;
    return skip(stream, size, !text);
}
