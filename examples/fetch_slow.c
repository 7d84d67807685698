/* SPDX-License-Identifier: MIT */
/*
 * Slow pages fetched at once: `fetch_slow [URL...]`
 *
 * Each URL is a source: source_A, source_B... By default a delay_server on its
 * usual port is asked for two pages of two seconds: both take two, not four.
 */
#include "http.h"
#include <stdio.h>

static struct source {
    char *url;
    char name[16], data[32];
} sources[26];

static int get(const char *url)
{
    int status = http_get(url);

    if (status == 200 || status == -ECANCELED)
        return status;
    fprintf(stderr, "fetch_slow: %s: ", url);
    if (status > 0)
        fprintf(stderr, "status %d\n", status);
    else if (status == -EINVAL)
        fprintf(stderr, "not a URL like http://host:port/path\n");
    else
        fprintf(stderr, "%s\n", rota_strerror(status));
    return status < 0 ? status : -EPROTO;
}

static intptr_t fetch_slow(void *arg)
{
    struct source *source = arg;
    int status;

    printf("Starting fetch from %s\n", source->name);
    status = get(source->url);
    if (status < 0)
        return status;
    printf("Done fetching from %s\n", source->name);
    snprintf(source->data, sizeof source->data, "Data from %s", source->name);
    return (intptr_t)source->data;
}

static intptr_t amain(void *urls)
{
    rota_loop *loop = rota_get_running_loop();
    double start_time = rota_loop_time(loop);
    intptr_t results[26];
    rota_task tasks[26];
    int err = 0;
    size_t n;

    for (n = 0; err == 0 && n < 26 && ((char **)urls)[n]; n++) {
        struct source *source = &sources[n];

        source->url = ((char **)urls)[n];
        snprintf(source->name, sizeof source->name, "source_%c", 'A' + (int)n);
        err = rota_create_task(&tasks[n], fetch_slow, source);
    }
    if (err == 0)
        err = rota_gather(tasks, n, results, false);
    if (err < 0)
        return err;

    for (size_t i = 0; i < n; i++)
        printf("%s'%s'", i > 0 ? ", " : "[", (const char *)results[i]);
    printf("]\nTotal time: %.2fs\n", rota_loop_time(loop) - start_time);
    return 0;
}

int main(int argc, char **argv)
{
    static char page[] = "http://127.0.0.1:7000/delay/2";
    char *two_pages[] = {page, page, NULL};

    return rota_run(amain, argc > 1 ? argv + 1 : two_pages) < 0;
}
