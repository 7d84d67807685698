/* SPDX-License-Identifier: MIT */
/*
 * Timeouts that nest: a second for each server, two and a half for all
 *
 * The one whose time has passed is the one that says so: the inner limit ends
 * an attempt, the outer one ends the search.
 */
#include <rota.h>
#include <stdio.h>

static double now(void)
{
    return rota_loop_time(rota_get_running_loop());
}

/* A server that takes so long to answer. */
static intptr_t ask(double seconds)
{
    ROTA_TIMEOUT(limit, 1.0);
    int err = rota_sleep(seconds);

    return rota_timeout_end(&limit, err);
}

static intptr_t ask_one_after_the_other(const double *servers, double began)
{
    intptr_t err = -ENOENT;

    for (int i = 0; servers[i] > 0 && err < 0; i++) {
        err = ask(servers[i]);
        if (err == -ECANCELED)
            return err; /* not this attempt's own limit */
        printf("%.1f s: server %d %s\n", now() - began, i + 1,
               err == 0 ? "answers" : "is too slow");
    }
    return err;
}

static intptr_t search(const double *servers)
{
    ROTA_TIMEOUT(limit, 2.5);
    double began = now();
    intptr_t err = ask_one_after_the_other(servers, began);

    err = rota_timeout_end(&limit, err);
    if (err == -ETIMEDOUT && rota_timeout_expired(&limit))
        printf("%.1f s: no time is left\n", now() - began);
    return err;
}

static intptr_t amain(void *arg)
{
    static const double fair[] = {5, 0.5, 5, 0}, slow[] = {5, 5, 5, 0};
    intptr_t err = search(fair);

    (void)arg;
    puts(err == 0 ? "found" : rota_strerror(err));
    if (err == -ECANCELED)
        return err;
    err = search(slow);
    puts(err == 0 ? "found" : rota_strerror(err));
    return err == -ETIMEDOUT ? 0 : err;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
