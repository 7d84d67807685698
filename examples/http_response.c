/* SPDX-License-Identifier: MIT */
/*
 * Responses, as a server writes them
 */
#include "http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
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

static void print(FILE *out, const struct http_request *request, int status,
                  const char *body)
{
    time_t now = time(NULL);
    char date[40];
    struct tm utc;

    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT",
             gmtime_r(&now, &utc));
    fprintf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason(status),
            date);
    if (status == 405)
        fputs("Allow: GET, HEAD\r\n", out);
    fprintf(out,
            "Content-Type: application/json\r\n"
            "Content-Length: %zu\r\n"
            "Connection: %s\r\n\r\n",
            strlen(body), request->keep_alive ? "keep-alive" : "close");
    if (strcmp(request->method, "HEAD") != 0)
        fputs(body, out);
}

int http_respond(rota_stream *stream, const struct http_request *request,
                 int status, const char *body)
{
    char *message = NULL;
    size_t size;
    FILE *out = open_memstream(&message, &size);
    intptr_t n = -ENOMEM;

    if (!out)
        return -ENOMEM;
    print(out, request, status, body);
    if (fclose(out) == 0)
        n = rota_write(stream, message, size);
    free(message);
    return n < 0 ? (int)n : 0;
}

int http_refuse(rota_stream *stream, const struct http_request *request,
                int status)
{
    char body[128];

    snprintf(body, sizeof body, "{\"error\": \"%s\"}\n", reason(status));
    return http_respond(stream, request, status, body);
}
