/* SPDX-License-Identifier: MIT */
/*
 * What the delay server answers: JSON after up to a minute, or a refusal now
 */
#include "delay.h"
#include <stdlib.h>
#include <string.h>

/* The status; with 200 the delay that "/delay/N" or "/delay/N?..." asks for. */
static int route(const struct http_message *request, double *delay)
{
    static const char prefix[] = "/delay/";
    const char *number = request->target + strlen(prefix);
    size_t length;
    char *end;

    if (strncmp(request->target, prefix, strlen(prefix)) != 0)
        return 404;
    length = strcspn(number, "?");
    if (length == 0)
        return 404;
    if (request->parser.method != HTTP_GET && !http_is_head(request))
        return 405;
    *delay = strtod(number, &end);
    if (strspn(number, "0123456789.") != length || end != number + length ||
        *delay > 60)
        return 400;
    return 200;
}

static void print(FILE *out, const struct http_message *request, double delay)
{
    const char *host = http_field(request, "Host");

    fprintf(out, "{\"args\": {}, \"delay\": %g, \"headers\": ", delay);
    http_json_fields(out, request);
    fputs(", \"url\": \"http://", out);
    http_json_text(out, host ? host : "");
    http_json_text(out, request->target);
    fputs("\"}\n", out);
}

/* The answer's body, to be freed; NULL without memory. */
static char *make_body(const struct http_message *request, double delay)
{
    char *body = NULL;
    size_t size;
    FILE *out = open_memstream(&body, &size);

    if (!out)
        return NULL;
    print(out, request, delay);
    if (fclose(out) == 0)
        return body;
    free(body);
    return NULL;
}

int delay_answer(rota_stream *stream, const struct http_message *request,
                 void *arg)
{
    double delay;
    int status = route(request, &delay);
    char *body;
    int err;

    (void)arg;
    if (status != 200)
        return http_refuse(stream, request, status);
    err = rota_sleep(delay);
    if (err < 0)
        return err;
    body = make_body(request, delay);
    if (!body)
        return -ENOMEM;
    err = http_respond(stream, request, status, body);
    free(body);
    return err;
}
