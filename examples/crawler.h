/* SPDX-License-Identifier: MIT */
/*
 * The web that the crawler sees
 */
#ifndef CRAWLER_H
#define CRAWLER_H

#include <rota.h>

struct page {
    const char *url;
    double seconds;       /* until it is there */
    const char *links[6]; /* up to the first NULL */
};

/* Waits for the page, into *page. Errors: -ENOENT, and those of a sleep. */
int web_fetch(const char *url, const struct page **page);

#endif
