/* SPDX-License-Identifier: MIT */
/*
 * JSON: strings, and the fields of a message
 */
#include "http.h"
#include <string.h>

/* Bytes that are not ASCII are taken as Latin-1, as HTTP once said. */
void http_json_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < ' ' || byte > '~')
            fprintf(out, "\\u%04x", byte);
        else
            putc(byte, out);
    }
}

void http_json_fields(FILE *out, const struct http_message *message)
{
    const char *separator = "";

    putc('{', out);
    for (const char *at = message->fields; *at;) {
        const char *value = at + strlen(at) + 1;

        fprintf(out, "%s\"", separator);
        http_json_text(out, at);
        fputs("\": \"", out);
        http_json_text(out, value);
        separator = "\", ";
        at = value + strlen(value) + 1;
    }
    fputs(*separator ? "\"}" : "}", out);
}
