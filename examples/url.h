/* SPDX-License-Identifier: MIT */
/*
 * URLs of HTTP: "http://host:port/path"
 */
#ifndef EXAMPLES_URL_H
#define EXAMPLES_URL_H

#include <rota.h>

struct url {
    char authority[256]; /* "host:port", as it was written */
    char memory[256];
    const char *host; /* in memory */
    int port;
    const char *path; /* in the text that was parsed; may be empty */
};

/* 0, or -EINVAL. */
int url_parse(struct url *url, const char *text);

#endif
