/* SPDX-License-Identifier: MIT */
/*
 * Three "fetches" at once: all start, and a second later all are done
 */
#include <rota.h>
#include <stdio.h>

struct page {
    const char *url;
    int n;
};

static intptr_t fetch(void *arg)
{
    const struct page *page = arg;
    int err;

    printf("start %d\n", page->n);
    err = rota_sleep(1);
    if (err < 0)
        return err;
    printf("done %d\n", page->n);
    return 0;
}

static intptr_t amain(void *arg)
{
    static struct page pages[] = {{"a", 1}, {"b", 2}, {"c", 3}};
    rota_task tasks[3];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        int err = rota_create_task(&tasks[i], fetch, &pages[i]);

        if (err < 0)
            return err;
    }
    return rota_gather(tasks, 3, NULL, false);
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
