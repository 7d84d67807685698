/* SPDX-License-Identifier: MIT */
/*
 * A little HTTP/1.1, for servers and for the client that fetches
 *
 * The parser is http_parser, Debian's libhttp-parser-dev. What stands here is
 * the conversation: reading a message whole, one after the other.
 *
 * All that reads or writes awaits and returns the stream's errors, -EBADMSG
 * for what is not HTTP, -ROTA_ELIMIT for a head that is too long, and
 * -ROTA_EINCOMPLETE when the stream ends too early.
 */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <http_parser.h>
#include <rota.h>
#include <stdio.h>

enum { HTTP_HEAD_SIZE = 8192 };

/* One end of a connection: what has come and is not parsed yet. */
struct http_reader {
    rota_stream *stream;
    const char *at;
    const char *end;
    char buf[4096];
};

/* A request or a response. Its body is read and dropped. */
struct http_message {
    struct http_parser parser; /* method, status_code, http_minor... */
    char text[HTTP_HEAD_SIZE]; /* strings, one behind the other */
    size_t used;
    short last; /* what the parser gave last */
    bool too_long;
    bool complete;
    bool keep_alive;
    const char *target; /* "/path?query"; of a response "" */
    const char *fields; /* name, value, name, value..., an empty string */
};

void http_reader_init(struct http_reader *reader, rota_stream *stream);

/* Reads a message of this type: 1, or 0 when none is left. */
int http_read(struct http_reader *reader, struct http_message *message,
              enum http_parser_type type);

/* The value of a field, or NULL. Case does not matter. */
const char *http_field(const struct http_message *message, const char *name);

/* --- For a server ------------------------------------------------------- */

bool http_is_head(const struct http_message *request);

/*
 * The head of an answer into out[size]; its length. `type` is of the body,
 * and `more` further fields with their ends, or "".
 */
int http_print_head(char *out, size_t size, const struct http_message *request,
                    int status, const char *type, unsigned long long length,
                    const char *more);

/* Answers with JSON; to HEAD without the body. */
int http_respond(rota_stream *stream, const struct http_message *request,
                 int status, const char *body);

/* The same with the text of the status for a body. */
int http_refuse(rota_stream *stream, const struct http_message *request,
                int status);

/* What answers a request; less than 0 ends the connection. */
typedef int http_handler(rota_stream *stream,
                         const struct http_message *request, void *arg);

/* Answers requests, one after the other, for as long as there are any. */
intptr_t http_serve(rota_stream *stream, http_handler *handler, void *arg);

/* Print the inside of a JSON string, and fields as a JSON object. */
void http_json_text(FILE *out, const char *text);
void http_json_fields(FILE *out, const struct http_message *message);

/* --- For a client ------------------------------------------------------- */

/*
 * Gets a URL; the status of the answer, whose body is read and dropped. The
 * errors of connecting besides; -EINVAL for what is not a URL of HTTP.
 */
int http_get(const char *url);

#endif
