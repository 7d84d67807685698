/* SPDX-License-Identifier: MIT */
/*
 * Reading messages: what the parser tells becomes strings in the message
 */
#include "http.h"
#include <string.h>
#include <strings.h>

enum { NOTHING, TARGET, NAME, VALUE };

/* A piece of a string: the parser gives each in any number of them. */
static int add(struct http_parser *parser, short what, const char *at,
               size_t size)
{
    struct http_message *message = parser->data;
    bool begins = message->last != what;

    if (message->used + size + begins >= sizeof message->text - 2) {
        message->too_long = true;
        return 1;
    }
    if (begins)
        message->used++; /* behind the zero of the one before */
    memcpy(message->text + message->used, at, size);
    message->used += size;
    message->text[message->used] = '\0';
    message->text[message->used + 1] = '\0';
    message->last = what;
    return 0;
}

static int on_url(struct http_parser *parser, const char *at, size_t size)
{
    return add(parser, TARGET, at, size);
}

static int on_name(struct http_parser *parser, const char *at, size_t size)
{
    struct http_message *message = parser->data;

    if (message->fields) /* a field behind the body: nobody asks for it */
        return 0;
    if (message->last == NOTHING) /* a response has no target */
        (void)add(parser, TARGET, "", 0);
    return add(parser, NAME, at, size);
}

static int on_value(struct http_parser *parser, const char *at, size_t size)
{
    struct http_message *message = parser->data;

    return message->fields ? 0 : add(parser, VALUE, at, size);
}

static int on_head(struct http_parser *parser)
{
    struct http_message *message = parser->data;

    message->target = message->text + 1;
    message->fields = message->target + strlen(message->target) + 1;
    message->keep_alive = http_should_keep_alive(parser) != 0;
    return 0;
}

/* What comes behind it is of the next message. */
static int on_complete(struct http_parser *parser)
{
    struct http_message *message = parser->data;

    message->complete = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const struct http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_message_complete = on_complete,
};

void http_reader_init(struct http_reader *reader, rota_stream *stream)
{
    reader->stream = stream;
    reader->at = reader->end = reader->buf;
}

static int parse(struct http_reader *reader, struct http_message *message,
                 size_t size)
{
    size_t n =
        http_parser_execute(&message->parser, &settings, reader->at, size);

    reader->at += n;
    if (message->complete)
        return 1;
    if (message->too_long ||
        HTTP_PARSER_ERRNO(&message->parser) == HPE_HEADER_OVERFLOW)
        return -ROTA_ELIMIT;
    if (size == 0)
        return -ROTA_EINCOMPLETE; /* that was the end */
    return HTTP_PARSER_ERRNO(&message->parser) == HPE_OK ? 0 : -EBADMSG;
}

int http_read(struct http_reader *reader, struct http_message *message,
              enum http_parser_type type)
{
    bool begun = false;
    intptr_t n = 0;

    memset(message, 0, offsetof(struct http_message, text));
    memset(message->text, 0, 3);
    message->used = 0;
    message->last = NOTHING;
    message->too_long = message->complete = message->keep_alive = false;
    message->target = "";
    message->fields = NULL;
    http_parser_init(&message->parser, type);
    message->parser.data = message;
    while (n == 0) {
        if (reader->at == reader->end) {
            n = rota_read(reader->stream, reader->buf, sizeof reader->buf);
            if (n < 0 || (n == 0 && !begun))
                return (int)n;
            reader->at = reader->buf;
            reader->end = reader->buf + n;
        }
        begun = true;
        n = parse(reader, message, (size_t)(reader->end - reader->at));
    }
    return (int)n;
}

const char *http_field(const struct http_message *message, const char *name)
{
    const char *at = message->fields;

    while (at && *at) {
        const char *value = at + strlen(at) + 1;

        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}
