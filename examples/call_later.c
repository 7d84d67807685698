/* SPDX-License-Identifier: MIT */
/*
 * A callback after a delay
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
    int err = rota_call_later(loop, NULL, 1.0, callback, "Delayed");

    (void)arg;
    if (err < 0)
        return err;
    puts("Waiting...");
    return rota_sleep(2);
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
