/* SPDX-License-Identifier: MIT */
/*
 * Part 2: the event loop in action: two tasks take turns
 */
#include "tutorial.h"
#include <stdio.h>

static intptr_t task_a(void *arg)
{
    int err;

    (void)arg;
    puts(" Task A: Starting");
    puts(" Task A: About to await (yielding control)");
    err = rota_sleep(1); /* control goes back to the event loop here */
    if (err < 0)
        return err;
    puts(" Task A: Resumed after sleep");
    puts(" Task A: Finishing");
    return (intptr_t) "A complete";
}

static intptr_t task_b(void *arg)
{
    int err;

    (void)arg;
    puts(" Task B: Starting");
    puts(" Task B: About to await (yielding control)");
    err = rota_sleep(0.5); /* a shorter sleep than that of task_a */
    if (err < 0)
        return err;
    puts(" Task B: Resumed after sleep");
    puts(" Task B: Finishing");
    return (intptr_t) "B complete";
}

static const char notice[] = "\n"
                             "Notice the execution order:\n"
                             "1. Task A starts\n"
                             "2. Task A awaits (yields to event loop)\n"
                             "3. Task B starts\n"
                             "4. Task B awaits (yields to event loop)\n"
                             "5. Task B finishes first (shorter sleep)\n"
                             "6. Task A finishes second (longer sleep)\n"
                             "\n"
                             "The event loop efficiently managed both tasks!\n";

intptr_t visualize_event_loop(void *arg)
{
    rota_task task1, task2;
    intptr_t result_a, result_b;
    int err;

    (void)arg;
    puts("\n--- Event Loop in Action ---");
    puts("Watch how the event loop switches between tasks:\n");
    err = rota_create_task(&task1, task_a, NULL);
    if (err == 0)
        err = rota_create_task(&task2, task_b, NULL);
    if (err < 0)
        return err;
    puts("Both tasks created and scheduled on event loop\n");

    result_a = rota_await(task1);
    if (rota_is_error(result_a))
        return result_a;
    result_b = rota_await(task2);
    if (rota_is_error(result_b))
        return result_b;
    printf("\nResults: %s, %s\n", (const char *)result_a,
           (const char *)result_b);
    puts(notice);
    return 0;
}
