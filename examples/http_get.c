/* SPDX-License-Identifier: MIT */
/*
 * GET, as a client does it
 */
#include "http.h"
#include "url.h"
#include <stdio.h>
#include <string.h>

static int send_request(rota_stream *stream, const struct url *url)
{
    char request[2048];
    int path = (int)strcspn(url->path, "#");
    int size =
        snprintf(request, sizeof request,
                 "GET %s%.*s HTTP/1.1\r\n"
                 "Host: %s\r\n"
                 "Accept: */*\r\n"
                 "Connection: close\r\n"
                 "\r\n",
                 *url->path == '/' ? "" : "/", path, url->path, url->authority);
    intptr_t n;

    if (size >= (int)sizeof request)
        return -ENAMETOOLONG;
    n = rota_write(stream, request, (size_t)size);
    return n < 0 ? (int)n : 0;
}

/* Passes over the likes of "100 Continue". */
static int read_response(rota_stream *stream)
{
    struct http_reader reader;
    struct http_message response;
    int n;

    http_reader_init(&reader, stream);
    do {
        n = http_read(&reader, &response, HTTP_RESPONSE);
        if (n <= 0)
            return n < 0 ? n : -ROTA_EINCOMPLETE;
    } while (response.parser.status_code < 200);
    return (int)response.parser.status_code;
}

int http_get(const char *text)
{
    struct url url;
    rota_stream *stream;
    int result = url_parse(&url, text);

    if (result == 0)
        result = rota_open_connection(&stream, url.host, url.port);
    if (result < 0)
        return result;
    result = send_request(stream, &url);
    if (result == 0)
        result = read_response(stream);
    rota_stream_free(stream);
    return result;
}
