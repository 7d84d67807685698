/* SPDX-License-Identifier: MIT */
/*
 * Heads of HTTP messages: reading them, finding fields in them
 */
#include "http.h"
#include <string.h>
#include <strings.h>

static bool is_blank(const char *line, size_t length)
{
    return length == 1 || (length == 2 && line[0] == '\r');
}

intptr_t http_read_head(rota_stream *stream, char *head, size_t size)
{
    size_t used = 0;
    bool blank = false;

    while (!blank) {
        char *line = head + used;
        intptr_t n = rota_read_line(stream, line, size - 1 - used);

        if (n == 0 && used == 0)
            return 0;
        if (n < 0)
            return n;
        if (n == 0 || line[n - 1] != '\n')
            return -ROTA_EINCOMPLETE;
        blank = is_blank(line, (size_t)n) && used > 0;
        if (used > 0 || !is_blank(line, (size_t)n))
            used += (size_t)n; /* empty lines before a head do not count */
    }
    head[used] = '\0';
    return strlen(head) == used ? (intptr_t)used : -EBADMSG;
}

static const char *next_line(const char *line)
{
    return strchr(line, '\n') + 1;
}

const char *http_fields(const char *head)
{
    const char *fields = next_line(head);

    for (const char *at = fields; *at != '\r' && *at != '\n';
         at = next_line(at)) {
        size_t name = strcspn(at, ": \t\r\n");

        if (name == 0 || at[name] != ':')
            return NULL;
    }
    return fields;
}

const char *http_field(const char *fields, const char *name, size_t *length)
{
    size_t size = strlen(name);

    for (const char *at = fields; *at; at = next_line(at)) {
        if (strncasecmp(at, name, size) != 0 || at[size] != ':')
            continue;
        at += size + 1;
        at += strspn(at, " \t");
        *length = strcspn(at, "\r\n");
        return at;
    }
    return NULL;
}

bool http_field_has(const char *fields, const char *name, const char *word)
{
    size_t length, size = strlen(word);
    const char *at = http_field(fields, name, &length);
    const char *end = at ? at + length : at;

    while (at < end) {
        size_t item = strcspn(at, ", \t\r\n");

        if (item == size && strncasecmp(at, word, size) == 0)
            return true;
        at += item;
        at += strspn(at, ", \t");
    }
    return false;
}
