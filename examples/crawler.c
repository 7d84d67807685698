/* SPDX-License-Identifier: MIT */
/*
 * A polite crawler: from one page to all that it leads to
 *
 *     seen before, too deep, elsewhere: no
 *                  ^
 *     start ---> offer ---> [ to do ] ---> workers ---> fetch ---> a line
 *                  ^                                      |
 *                  `--------------- links ----------------'
 *
 * Four workers get what there is to do, and put what they find. Each host is
 * asked one thing at a time, and not again before a while has passed. The web
 * is a table here (crawler_web.c), and takes time as the real one does.
 */
#include "crawler.h"
#include <stdio.h>
#include <string.h>

enum { WORKERS = 4, MAX_DEPTH = 3, MAX_PAGES = 32 };

static const double INTERVAL = 0.5; /* between two requests to a host */
static const double PATIENCE = 2;   /* with one request */

struct visit {
    const char *url;
    int depth;
};

struct host {
    const char *url;
    rota_semaphore free;
    double next_request;
};

struct crawl {
    rota_queue *to_do; /* without a limit: who gets from it also puts */
    const char *seen[MAX_PAGES];
    int seen_count;
    struct host hosts[2];
    double started_at;
};

static double now(void)
{
    return rota_loop_time(rota_get_running_loop());
}

static struct host *host_of(struct crawl *crawl, const char *url)
{
    for (int i = 0; i < 2; i++)
        if (!strncmp(url, crawl->hosts[i].url, strlen(crawl->hosts[i].url)))
            return &crawl->hosts[i];
    return NULL;
}

static bool is_seen(const struct crawl *crawl, const char *url)
{
    for (int i = 0; i < crawl->seen_count; i++)
        if (!strcmp(url, crawl->seen[i]))
            return true;
    return false;
}

static int offer(struct crawl *crawl, const char *url, int depth)
{
    const struct visit visit = {url, depth};

    if (depth > MAX_DEPTH || crawl->seen_count == MAX_PAGES ||
        !host_of(crawl, url) || is_seen(crawl, url))
        return 0;
    crawl->seen[crawl->seen_count++] = url;
    return rota_queue_put_nowait(crawl->to_do, &visit);
}

static intptr_t fetch_in_time(const char *url, const struct page **page)
{
    rota_timeout timeout;
    intptr_t err = rota_timeout_begin(&timeout, PATIENCE);

    if (err == 0)
        err = web_fetch(url, page);
    return rota_timeout_end(&timeout, err);
}

/* Alone at this host, and not too soon after the one before. */
static intptr_t fetch_politely(struct host *host, const char *url,
                               const struct page **page)
{
    int released;
    intptr_t err = rota_semaphore_acquire(&host->free);

    if (err < 0)
        return err;
    err = rota_sleep_until(host->next_request);
    if (err == 0) {
        host->next_request = now() + INTERVAL;
        err = fetch_in_time(url, page);
    }
    released = rota_semaphore_release(&host->free);
    return err < 0 ? err : released;
}

/* A page that cannot be had is no reason to stop; to be cancelled is. */
static intptr_t visit_page(struct crawl *crawl, const struct visit *visit)
{
    const struct page *page = NULL;
    intptr_t err =
        fetch_politely(host_of(crawl, visit->url), visit->url, &page);

    if (err == -ECANCELED)
        return err;
    printf("%.2f s, depth %d: %s %s\n", now() - crawl->started_at, visit->depth,
           visit->url, page ? "ok" : rota_errname(err));
    if (!page)
        return 0;
    for (int i = 0; err == 0 && page->links[i]; i++)
        err = offer(crawl, page->links[i], visit->depth + 1);
    return err;
}

static intptr_t work(void *arg)
{
    struct crawl *crawl = arg;
    struct visit visit;
    intptr_t err;

    while ((err = rota_queue_get(crawl->to_do, &visit)) == 0) {
        err = visit_page(crawl, &visit);
        if (err == 0)
            err = rota_queue_task_done(crawl->to_do);
        if (err < 0)
            return err;
    }
    return err == -ROTA_ESHUTDOWN ? 0 : err;
}

/* All is done when nobody is at a page that could lead to more. */
static intptr_t crawl_from(struct crawl *crawl, const char *url)
{
    rota_task_group workers;
    intptr_t err = rota_task_group_begin(&workers);

    for (int i = 0; err == 0 && i < WORKERS; i++)
        err = rota_task_group_create_task(&workers, work, crawl, NULL);
    if (err == 0)
        err = offer(crawl, url, 0);
    if (err == 0)
        err = rota_queue_join(crawl->to_do);
    rota_queue_shutdown(crawl->to_do, true);
    return rota_task_group_end(&workers, err);
}

static intptr_t amain(void *arg)
{
    struct crawl crawl = {
        .hosts = {{.url = "http://a.example/"}, {.url = "http://b.example/"}},
        .started_at = now(),
    };
    intptr_t err = rota_queue_new(&crawl.to_do, sizeof(struct visit), 0);

    if (err < 0)
        return err;
    for (int i = 0; i < 2; i++)
        rota_semaphore_init(&crawl.hosts[i].free, 1);
    err = crawl_from(&crawl, arg);
    for (int i = 0; i < 2; i++)
        rota_semaphore_fini(&crawl.hosts[i].free);
    rota_queue_free(crawl.to_do);
    if (err == 0)
        printf("%d pages seen\n", crawl.seen_count);
    return err;
}

int main(void)
{
    static char start[] = "http://a.example/";
    intptr_t err = rota_run(amain, start);

    if (err < 0)
        fprintf(stderr, "crawler: %s\n", rota_strerror(err));
    return err < 0;
}
