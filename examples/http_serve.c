/* SPDX-License-Identifier: MIT */
/*
 * The life of a server's connection: requests, answers, a decent end
 */
#include "http.h"

enum { PATIENCE = 30 }; /* seconds for a request to come */

/* Who still sends must be able to read the answer: a close would reset. */
static intptr_t linger(rota_stream *stream)
{
    const void *rest;
    rota_timeout limit;
    intptr_t n = rota_write_eof(stream);

    if (n == 0)
        n = rota_timeout_begin(&limit, 2);
    if (n < 0)
        return n == -EOPNOTSUPP ? 0 : n; /* TLS says good-bye by itself */
    while ((n = rota_read_borrowed(stream, &rest)) > 0)
        continue;
    return rota_timeout_end(&limit, n);
}

static intptr_t refuse(rota_stream *stream, struct http_message *request,
                       int status)
{
    intptr_t err;

    request->keep_alive = false;
    err = http_refuse(stream, request, status);
    return err < 0 ? err : linger(stream);
}

/* 1, 0 when no request is left, or why it is none. */
static intptr_t read_request(struct http_reader *reader,
                             struct http_message *request)
{
    const struct http_parser *parser = &request->parser;
    rota_timeout idle;
    intptr_t n = rota_timeout_begin(&idle, PATIENCE);

    if (n < 0)
        return n;
    n = rota_timeout_end(&idle, http_read(reader, request, HTTP_REQUEST));
    if (n <= 0)
        return n;
    if (parser->http_major != 1 || request->target[0] != '/')
        return -EBADMSG;
    if (parser->http_minor > 0 && !http_field(request, "Host"))
        return -EBADMSG;
    return 1;
}

intptr_t http_serve(rota_stream *stream, http_handler *handler, void *arg)
{
    struct http_reader reader;
    struct http_message request;
    intptr_t n;

    http_reader_init(&reader, stream);
    while ((n = read_request(&reader, &request)) > 0) {
        n = handler(stream, &request, arg);
        if (n < 0 || !request.keep_alive)
            break;
    }
    if (n == -EBADMSG)
        n = refuse(stream, &request, 400);
    else if (n == -ROTA_ELIMIT)
        n = refuse(stream, &request, 431);
    if (n == -ETIMEDOUT || n == -ROTA_EINCOMPLETE)
        return 0; /* the client has lost interest */
    return n;
}
