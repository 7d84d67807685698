/* SPDX-License-Identifier: MIT */
/*
 * A small web: two hosts, a page that never comes and a link to nowhere
 */
#include "crawler.h"
#include <string.h>

#define A "http://a.example/"
#define B "http://b.example/"

static const struct page pages[] = {
    {A, 0.2, {A "news", A "about", B, A}},
    {A "news", 0.34, {A "news/1", A "news/2", A}},
    {A "news/1", 0.1, {A "news", B "story", A "news/gone"}},
    {A "news/2", 0.9, {A "news", "http://elsewhere.example/"}},
    {A "about", 0.1, {A, B "about"}},
    {B, 0.4, {A, B "story", B "slow"}},
    {B "story", 0.1, {B, B "story/2"}},
    {B "story/2", 0.1, {B "story", B "story/3"}},
    {B "story/3", 0.1, {B "story/2", B "story/4"}},
    {B "slow", 1000, {B}},
};

int web_fetch(const char *url, const struct page **page)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(url, pages[i].url) == 0) {
            int err = rota_sleep(pages[i].seconds);

            if (err == 0)
                *page = &pages[i];
            return err;
        }
    }
    return -ENOENT;
}
