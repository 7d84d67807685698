/* SPDX-License-Identifier: MIT */
/*
 * Reading the head of a message
 */
#include "http.h"
#include <string.h>

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
