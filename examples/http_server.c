/* SPDX-License-Identifier: MIT */
/*
 * The server's side of HTTP: reading requests, writing answers
 */
#include "http.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Cuts "GET /path HTTP/1.1" in place. */
static int parse(struct http_request *request)
{
    char *rest = request->head;
    size_t length;

    request->fields = http_fields(request->head);
    if (!request->fields)
        return -EBADMSG;
    rest[strcspn(rest, "\r\n")] = '\0';
    request->method = strsep(&rest, " ");
    request->target = strsep(&rest, " ");
    if (!rest || request->target[0] != '/')
        return -EBADMSG;
    if (strcmp(rest, "HTTP/1.0") == 0) {
        request->keep_alive =
            http_field_has(request->fields, "Connection", "keep-alive");
        return 0;
    }
    request->keep_alive =
        !http_field_has(request->fields, "Connection", "close");
    if (strcmp(rest, "HTTP/1.1") != 0)
        return -EBADMSG;
    return http_field(request->fields, "Host", &length) ? 0 : -EBADMSG;
}

int http_read_request(rota_stream *stream, struct http_request *request)
{
    intptr_t n;

    n = http_read_head(stream, request->head, sizeof request->head);
    if (n > 0)
        n = parse(request);
    else
        return (int)n;
    if (n == 0)
        n = http_skip_body(stream, request->fields, false);
    return n < 0 ? (int)n : 1;
}
