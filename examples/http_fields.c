/* SPDX-License-Identifier: MIT */
/*
 * Finding fields in the head of a message
 */
#include "http.h"
#include <string.h>
#include <strings.h>

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
