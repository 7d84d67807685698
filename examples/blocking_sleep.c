/* SPDX-License-Identifier: MIT */
/*
 * A call that blocks freezes all: `blocking_sleep [SECONDS]`, 5 by default
 *
 * Beside the sleeping task there is a heart that wants to beat four times
 * meanwhile. It can only if the sleep is the loop's.
 */
#include <rota.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds = 5;

static intptr_t bad_task(void *arg)
{
    struct timespec time = {
        .tv_sec = (time_t)seconds,
        .tv_nsec = (long)(fmod(seconds, 1) * 1e9),
    };

    (void)arg;
    puts("Starting blocking sleep");
    nanosleep(&time, NULL); /* this blocks the entire event loop */
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
    printf("This message appears after %g seconds, concurrency intact\n",
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

static intptr_t run_beside_a_heart(rota_task_function *sleeper)
{
    static int beats;
    rota_task beating, sleeping;
    intptr_t err = rota_create_task(&beating, heart, &beats);

    beats = 0;
    if (err == 0)
        err = rota_create_task(&sleeping, sleeper, NULL);
    if (err == 0)
        err = rota_await(sleeping);
    if (err < 0)
        return err;
    printf("The heart beat %d times meanwhile\n\n", beats);
    rota_task_cancel(beating);
    err = rota_await(beating);
    return err == -ECANCELED ? 0 : err;
}

static intptr_t amain(void *arg)
{
    intptr_t err = run_beside_a_heart(bad_task);

    (void)arg;
    return err < 0 ? err : run_beside_a_heart(good_task);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = strtod(argv[1], NULL);
    return rota_run(amain, NULL) < 0;
}
