/* SPDX-License-Identifier: MIT */
/*
 * The life of a server's connection: requests, answers, a decent end
 */
#include "http.h"

enum { PATIENCE = 30 }; /* seconds for a request to come */

/* Who still sends must be able to read the answer: a close would reset. */
static intptr_t linger(rota_stream *stream)
{
    char rest[4096];
    rota_timeout limit;
    intptr_t n = rota_write_eof(stream);

    if (n == 0)
        n = rota_timeout_begin(&limit, 2);
    if (n < 0)
        return n;
    while ((n = rota_read(stream, rest, sizeof rest)) > 0)
        continue;
    return rota_timeout_end(&limit, n);
}

static intptr_t refuse(rota_stream *stream, struct http_request *request,
                       int status)
{
    intptr_t err;

    request->keep_alive = false;
    err = http_refuse(stream, request, status);
    return err < 0 ? err : linger(stream);
}

static intptr_t read_request(rota_stream *stream, struct http_request *request)
{
    rota_timeout idle;
    int err = rota_timeout_begin(&idle, PATIENCE);

    if (err < 0)
        return err;
    return rota_timeout_end(&idle, http_read_request(stream, request));
}

intptr_t http_serve(rota_stream *stream, http_handler *handler)
{
    struct http_request request;
    intptr_t n;

    while ((n = read_request(stream, &request)) > 0) {
        n = handler(stream, &request);
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
