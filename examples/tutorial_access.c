/* SPDX-License-Identifier: MIT */
/*
 * Part 3: accessing the event loop
 */
#include "tutorial.h"
#include <stdio.h>

static const char *truth(bool value)
{
    return value ? "True" : "False";
}

static void callback(void *arg)
{
    (void)arg;
    puts("  Callback executed by event loop!");
}

intptr_t access_event_loop(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    int err;

    (void)arg;
    puts("\n--- Accessing the Event Loop ---");
    puts("Event loop type: struct rota_loop");
    printf("Event loop: <rota_loop running=%s closed=%s debug=%s>\n",
           truth(rota_loop_is_running(loop)), truth(rota_loop_is_closed(loop)),
           truth(rota_get_debug(loop)));
    printf("Is running: %s\n", truth(rota_loop_is_running(loop)));
    printf("Loop time: %.2f\n", rota_loop_time(loop));

    err = rota_call_later(loop, NULL, 0.1, callback, NULL);
    return err < 0 ? err : rota_sleep(0.2); /* wait for the callback */
}
