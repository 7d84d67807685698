/* SPDX-License-Identifier: MIT */
/*
 * Part 7: debugging; debug_mode.c shows what debug mode reports
 */
#include "tutorial.h"
#include <stdio.h>

static intptr_t good_task(void *arg)
{
    int err = rota_sleep(0.1);

    (void)arg;
    return err < 0 ? err : (intptr_t) "Good";
}

intptr_t debug_event_loop(void *arg)
{
    bool original_debug = rota_get_debug(rota_get_running_loop());
    intptr_t result;

    (void)arg;
    puts("\n--- Event Loop Debugging ---");
    printf("Debug mode: %s\n", original_debug ? "True" : "False");
    puts("\nDebug mode helps detect:");
    puts("  - Coroutines that weren't awaited");
    puts("  - Tasks taking too long");
    puts("  - Resources not properly closed");

    result = good_task(NULL);
    if (rota_is_error(result))
        return result;
    printf("\nGood task result: %s\n", (const char *)result);
    return 0;
}
