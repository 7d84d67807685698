/* SPDX-License-Identifier: MIT */
/*
 * Part 5: five tasks end in the order of their delays, not of their making
 */
#include "tutorial.h"
#include <stdio.h>

enum { COUNT = 5 };

struct numbered {
    int number;
    double delay;
};

static intptr_t numbered_task(void *arg)
{
    const struct numbered *self = arg;
    int err;

    printf("  Task %d: Starting\n", self->number);
    err = rota_sleep(self->delay);
    if (err < 0)
        return err;
    printf("  Task %d: Finished after %gs\n", self->number, self->delay);
    return self->number;
}

static int create_tasks(rota_task tasks[COUNT])
{
    static struct numbered jobs[COUNT] = {
        {1, 0.3}, {2, 0.1}, {3, 0.2}, {4, 0.4}, {5, 0.15},
    };

    for (int i = 0; i < COUNT; i++) {
        int err = rota_create_task(&tasks[i], numbered_task, &jobs[i]);

        if (err < 0)
            return err;
    }
    return 0;
}

intptr_t demonstrate_scheduling(void *arg)
{
    rota_task tasks[COUNT];
    intptr_t results[COUNT];
    int err;

    (void)arg;
    puts("\n--- Event Loop Scheduling ---");
    puts("Creating 5 tasks with different delays:");
    puts("(Watch the order of completion)\n");
    err = create_tasks(tasks);
    if (err == 0)
        err = rota_gather(tasks, COUNT, results, false);
    if (err < 0)
        return err;

    printf("\nResults in order created: [");
    for (int i = 0; i < COUNT; i++)
        printf("%s%d", i > 0 ? ", " : "", (int)results[i]);
    puts("]");
    puts("Notice they finished in order of delay, not creation order!");
    return 0;
}
