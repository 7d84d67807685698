/* SPDX-License-Identifier: MIT */
/*
 * Part 6: what is gained when tasks wait at the same time
 */
#include "tutorial.h"
#include <stdio.h>

enum { COUNT = 5 };

static const char *const names[COUNT] = {
    "Result_0", "Result_1", "Result_2", "Result_3", "Result_4",
};

static intptr_t io_operation(void *task_id)
{
    int err = rota_sleep(0.5); /* simulates a delay of I/O */

    return err < 0 ? err : (intptr_t)names[(intptr_t)task_id];
}

static int run_sequentially(intptr_t results[COUNT])
{
    for (intptr_t i = 0; i < COUNT; i++) {
        results[i] = io_operation((void *)i);
        if (rota_is_error(results[i]))
            return (int)results[i];
    }
    return 0;
}

static int run_concurrently(intptr_t results[COUNT])
{
    rota_task tasks[COUNT];

    for (intptr_t i = 0; i < COUNT; i++) {
        int err = rota_create_task(&tasks[i], io_operation, (void *)i);

        if (err < 0)
            return err;
    }
    return rota_gather(tasks, COUNT, results, false);
}

intptr_t compare_sequential_vs_concurrent(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    intptr_t results[COUNT];
    double start_time, sequential_time, concurrent_time;
    int err;

    (void)arg;
    puts("\n--- Event Loop Performance ---");
    puts("Sequential execution (one at a time):");
    start_time = rota_loop_time(loop);
    err = run_sequentially(results);
    if (err < 0)
        return err;
    sequential_time = rota_loop_time(loop) - start_time;
    printf("  Time: %.2fs (5 tasks × 0.5s each)\n", sequential_time);

    puts("\nConcurrent execution (event loop manages):");
    start_time = rota_loop_time(loop);
    err = run_concurrently(results);
    if (err < 0)
        return err;
    concurrent_time = rota_loop_time(loop) - start_time;
    printf("  Time: %.2fs (all 5 tasks overlap)\n", concurrent_time);

    printf("\nSpeedup: %.1fx faster!\n", sequential_time / concurrent_time);
    puts("This is the power of the event loop!");
    return 0;
}
