/* SPDX-License-Identifier: MIT */
/*
 * Part 4: the life of an event loop; with rota_run() it takes care of itself
 */
#include "tutorial.h"
#include <stdio.h>

static intptr_t simple_task(void *arg)
{
    int err;

    (void)arg;
    puts("  Task running on event loop");
    err = rota_sleep(0.1);
    return err < 0 ? err : (intptr_t) "Done";
}

intptr_t demonstrate_event_loop_lifecycle(void *arg)
{
    intptr_t result;

    (void)arg;
    puts("\n--- Event Loop Lifecycle ---");
    puts("Manual event loop management (rarely needed):");

    puts("\n1. Using asyncio.run() (recommended):");
    result = rota_run(simple_task, NULL);
    if (rota_is_error(result))
        return result;
    printf("   Result: %s\n", (const char *)result);
    puts("   Loop automatically created and closed!");

    puts("\n2. Manual loop management (advanced):");
    /* as in explicit_loop.c and manual_control.c */
    puts("   (Commented out - asyncio.run() is better!)");

    puts("\n✓ Always use asyncio.run() for simple programs");
    puts("✓ Manual loop management is for special cases only");
    return 0;
}
