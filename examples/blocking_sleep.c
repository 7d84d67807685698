/* SPDX-License-Identifier: MIT */
/*
 * A call that blocks freezes all: `blocking_sleep [SECONDS]`, 5 by default
 *
 * Beside the sleeping task there is a heart that wants to beat four times
 * meanwhile. It can only if the sleep is the loop's.
 */
#include <rota.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned seconds = 5;

static intptr_t bad_task(void *arg)
{
    (void)arg;
    puts("Starting blocking sleep");
    sleep(seconds); /* this blocks the entire event loop */
    puts("This message appears after everything is frozen");
    return 0;
}

static intptr_t good_task(void *arg)
{
    int err;

    (void)arg;
    puts("Starting non-blocking sleep");
    err = rota_sleep(seconds); /* this yields to the event loop */
    if (err < 0)
        return err;
    printf("This message appears after %u seconds, concurrency intact\n",
           seconds);
    return 0;
}

static intptr_t heart(void *beats)
{
    int err;

    while ((err = rota_sleep(seconds / 4.5)) == 0)
        ++*(int *)beats;
    return err;
}

static intptr_t run_beside_a_heart(rota_task_function *sleeper, int *beats)
{
    rota_task beating, sleeping;
    intptr_t err = rota_create_task(&beating, heart, beats);

    if (err == 0)
        err = rota_create_task(&sleeping, sleeper, NULL);
    if (err == 0)
        err = rota_await(sleeping);
    if (err < 0)
        return err;
    printf("The heart beat %d times meanwhile\n", *beats);
    rota_task_cancel(beating);
    err = rota_await(beating);
    return err == -ECANCELED ? 0 : err;
}

static intptr_t amain(void *arg)
{
    static int beats[2]; /* a heart may outlive amain(), if that fails */
    intptr_t err = run_beside_a_heart(bad_task, &beats[0]);

    (void)arg;
    return err < 0 ? err : run_beside_a_heart(good_task, &beats[1]);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = (unsigned)strtoul(argv[1], NULL, 10);
    return rota_run(amain, NULL) < 0;
}
