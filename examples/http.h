/* SPDX-License-Identifier: MIT */
/*
 * A little HTTP/1.1, for the delay server and for the client that fetches
 *
 * A message begins with its head: a first line, then a field a line
 * ("Name: value"), then an empty line. A head is kept as a string; `fields`
 * is the part of it behind the first line. A line may end with "\n" alone.
 *
 * All that reads or writes awaits and returns the stream's errors, -EBADMSG
 * for what is not HTTP, -ROTA_ELIMIT for a head that is too long, and
 * -ROTA_EINCOMPLETE when the stream ends too early.
 */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <rota.h>
#include <stdio.h>

enum { HTTP_HEAD_SIZE = 8192 };

/* Reads a head into head[size]; its length, or 0 at the end of the stream. */
intptr_t http_read_head(rota_stream *stream, char *head, size_t size);

/* The part behind the first line, or NULL if a field has no name. */
const char *http_fields(const char *head);

/* The value of a field, not terminated, or NULL. Case does not matter. */
const char *http_field(const char *fields, const char *name, size_t *length);

/* True if the field is there and `word` is one of its list. */
bool http_field_has(const char *fields, const char *name, const char *word);

/*
 * Reads the body that the fields announce, and drops it. If they tell no
 * length there is none, or it is all that comes (until_end).
 */
int http_skip_body(rota_stream *stream, const char *fields, bool until_end);

/* --- For a server ------------------------------------------------------- */

struct http_request {
    char head[HTTP_HEAD_SIZE];
    const char *method;
    const char *target; /* "/path?query" */
    const char *fields;
    bool keep_alive;
};

/* 1, or 0 when no request is left. */
int http_read_request(rota_stream *stream, struct http_request *request);

/* Answers with JSON; to HEAD without the body. */
int http_respond(rota_stream *stream, const struct http_request *request,
                 int status, const char *body);

/* The same with the text of the status for a body. */
int http_refuse(rota_stream *stream, const struct http_request *request,
                int status);

/* What answers a request. */
typedef int http_handler(rota_stream *stream,
                         const struct http_request *request);

/* Answers requests, one after the other, for as long as there are any. */
intptr_t http_serve(rota_stream *stream, http_handler *handler);

/* Print the inside of a JSON string, and fields as a JSON object. */
void http_json_text(FILE *out, const char *text, size_t length);
void http_json_fields(FILE *out, const char *fields);

/* --- For a client ------------------------------------------------------- */

/*
 * Gets a URL; the status of the answer, whose body is read and dropped. The
 * errors of connecting besides; -EINVAL for what is not a URL of HTTP.
 */
int http_get(const char *url);

#endif
