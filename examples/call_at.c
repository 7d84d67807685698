/* SPDX-License-Identifier: MIT */
/*
 * A callback at a time of the loop's clock
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
    double when = rota_loop_time(loop) + 1.0;
    int err = rota_call_at(loop, NULL, when, callback, "At specific time");

    (void)arg;
    return err < 0 ? err : rota_sleep(2);
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
