/* SPDX-License-Identifier: MIT */
/*
 * JSON: strings, and the fields of a head
 */
#include "http.h"
#include <string.h>

/* Bytes that are not ASCII are taken as Latin-1, as HTTP once said. */
void http_json_text(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < ' ' || byte > '~')
            fprintf(out, "\\u%04x", byte);
        else
            putc(byte, out);
    }
}

void http_json_fields(FILE *out, const char *fields)
{
    const char *separator = "";

    putc('{', out);
    for (const char *at = fields; *at != '\r' && *at != '\n';
         at = strchr(at, '\n') + 1) {
        size_t name = strcspn(at, ":");
        const char *value = at + name + 1;

        value += strspn(value, " \t");
        fprintf(out, "%s\"", separator);
        http_json_text(out, at, name);
        fputs("\": \"", out);
        http_json_text(out, value, strcspn(value, "\r\n"));
        separator = "\", ";
    }
    fputs(*separator ? "\"}" : "}", out);
}
