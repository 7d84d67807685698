/* SPDX-License-Identifier: MIT */
/*
 * Exercise 2: a countdown beside a call that blocks
 */
#include <rota.h>
#include <stdio.h>
#include <unistd.h>

static intptr_t blocking_work(void *arg)
{
    (void)arg;
    sleep(1);
    return (intptr_t) "blocking result";
}

static intptr_t countdown(void *arg)
{
    int err = 0;

    (void)arg;
    for (int i = 5; err == 0 && i > 0; i--) {
        printf("  Countdown: %d\n", i);
        err = rota_sleep(0.2);
    }
    return err;
}

static intptr_t amain(void *arg)
{
    rota_task countdown_task;
    intptr_t result;
    intptr_t err = rota_create_task(&countdown_task, countdown, NULL);

    (void)arg;
    if (err < 0)
        return err;
    result = rota_run_in_executor(NULL, blocking_work, NULL, 0);
    err = rota_await(countdown_task);
    if (rota_is_error(result))
        return result;
    printf("Executor returned: %s\n", (const char *)result);
    return err;
}

int main(void)
{
    return rota_is_error(rota_run(amain, NULL));
}
