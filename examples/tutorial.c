/* SPDX-License-Identifier: MIT */
/*
 * The tutorial, all parts or those asked for: `tutorial [PART...]`
 *
 * One run of the loop for each part, but for the fourth: it shows runs, and a
 * run inside of a run is refused (see nested_run.c).
 */
#include "tutorial.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const struct part {
    rota_task_function *function;
    bool runs_by_itself;
} parts[] = {
    {explain_event_loop, false},
    {visualize_event_loop, false},
    {access_event_loop, false},
    {demonstrate_event_loop_lifecycle, true},
    {demonstrate_scheduling, false},
    {compare_sequential_vs_concurrent, false},
    {debug_event_loop, false},
    {event_loop_best_practices, false},
    {event_loop_mental_models, false},
};

enum { PART_COUNT = sizeof parts / sizeof parts[0] };

static intptr_t run_part(long number)
{
    const struct part *part = &parts[number - 1];

    return part->runs_by_itself ? part->function(NULL)
                                : rota_run(part->function, NULL);
}

static void print_banner(const char *text)
{
    static const char line[] = "==================================="
                               "===================================";

    printf("%s\n%s\n%s\n", line, text, line);
}

static intptr_t run_all(void)
{
    intptr_t err = 0;

    print_banner("EVENT LOOP TUTORIAL");
    for (long number = 1; err == 0 && number <= PART_COUNT; number++)
        err = run_part(number);
    if (err < 0)
        return err;
    putchar('\n');
    print_banner("Tutorial complete!");
    return 0;
}

static intptr_t run_some(char **numbers)
{
    intptr_t err = 0;

    for (; err == 0 && *numbers; numbers++) {
        long number = strtol(*numbers, NULL, 10);

        err = number < 1 || number > PART_COUNT ? -EINVAL : run_part(number);
    }
    return err;
}

int main(int argc, char **argv)
{
    intptr_t err = argc > 1 ? run_some(argv + 1) : run_all();

    if (err < 0)
        fprintf(stderr, "tutorial: %s\n", rota_strerror(err));
    return err < 0;
}
