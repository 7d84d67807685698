/* SPDX-License-Identifier: MIT */
/*
 * Requests, as a server reads them
 */
#include "http.h"
#include <string.h>

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

    request->method = "";
    request->keep_alive = false;
    n = http_read_head(stream, request->head, sizeof request->head);
    if (n <= 0)
        return (int)n;
    n = parse(request);
    if (n == 0)
        n = http_skip_body(stream, request->fields, false);
    return n < 0 ? (int)n : 1;
}
