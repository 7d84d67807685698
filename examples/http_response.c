/* SPDX-License-Identifier: MIT */
/*
 * Responses, as a server writes them
 */
#include "http.h"
#include <string.h>
#include <time.h>

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Unknown";
    }
}

bool http_is_head(const struct http_message *request)
{
    return request->parser.method == HTTP_HEAD;
}

/* Made anew each second, as servers do that answer many. */
static const char *date(void)
{
    static _Thread_local char text[40];
    static _Thread_local time_t made;
    time_t now = time(NULL);
    struct tm utc;

    if (now != made)
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT",
                 gmtime_r(&now, &utc));
    made = now;
    return text;
}

int http_print_head(char *out, size_t size, const struct http_message *request,
                    int status, const char *type, unsigned long long length,
                    const char *more)
{
    return snprintf(out, size,
                    "HTTP/1.1 %d %s\r\n"
                    "Date: %s\r\n"
                    "%s%s"
                    "Content-Type: %s\r\n"
                    "Content-Length: %llu\r\n"
                    "Connection: %s\r\n\r\n",
                    status, reason(status), date(),
                    status == 405 ? "Allow: GET, HEAD\r\n" : "", more, type,
                    length, request->keep_alive ? "keep-alive" : "close");
}

int http_respond(rota_stream *stream, const struct http_message *request,
                 int status, const char *body)
{
    char head[512];
    size_t size = strlen(body);
    int length = http_print_head(head, sizeof head, request, status,
                                 "application/json", size, "");
    struct iovec parts[] = {
        {head, (size_t)length},
        {(void *)(uintptr_t)body, size},
    };
    intptr_t n = rota_writelines(stream, parts, http_is_head(request) ? 1 : 2);

    return n < 0 ? (int)n : 0;
}

int http_refuse(rota_stream *stream, const struct http_message *request,
                int status)
{
    char body[128];

    snprintf(body, sizeof body, "{\"error\": \"%s\"}\n", reason(status));
    return http_respond(stream, request, status, body);
}
