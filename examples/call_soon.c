/* SPDX-License-Identifier: MIT */
/*
 * A callback in the next turn of the loop
 */
#include <rota.h>
#include <stdio.h>

static void callback(void *message)
{
    printf("Callback: %s\n", (const char *)message);
}

static intptr_t amain(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    int err = rota_call_soon(loop, NULL, callback, "Hello");

    (void)arg;
    if (err < 0)
        return err;
    puts("Scheduled callback");

    err = rota_sleep(0); /* let the loop run what is ready */
    if (err < 0)
        return err;
    puts("After sleep");
    return 0;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
