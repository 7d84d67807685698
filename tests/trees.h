/* SPDX-License-Identifier: MIT */
/*
 * Trees: what rota_print_tasks() prints, and tasks to print
 *
 * The shape of a tree is its tasks without what differs from run to run:
 * "a:waits >b:waits" is a task b below a task a.
 */
#ifndef TESTS_TREES_H
#define TESTS_TREES_H

#include "scenario.h"

#include <stdlib.h>

static char *printed; /* the last that was printed */
static size_t printed_size;

static inline void forget_printed(void)
{
    free(printed);
    printed = NULL;
}

static inline int try_to_print(rota_loop *loop)
{
    FILE *file;
    int err;

    forget_printed();
    file = open_memstream(&printed, &printed_size);
    assert_non_null(file);
    err = rota_print_tasks(loop, file);
    fclose(file);
    return err;
}

static inline const char *print_tree(void)
{
    assert_int_equal(try_to_print(rota_get_running_loop()), 0);
    return printed;
}

static inline const char *print_stack(rota_task task)
{
    FILE *file;

    forget_printed();
    file = open_memstream(&printed, &printed_size);
    assert_non_null(file);
    assert_int_equal(rota_task_print_stack(task, file), 0);
    fclose(file);
    return printed;
}

/* Adds "name:state", or nothing for a line of a stack. */
static inline char *add_shape(char *to, const char *line)
{
    size_t depth = strspn(line, " ");
    const char *name = line + depth;
    const char *where = strstr(name, " (");
    const char *state = strstr(name, ") ");
    const char *use = strstr(name, " bytes of stack used");
    const char *end = strchr(line, '\n');

    if (strncmp(name, "at ", 3) == 0 || strncmp(name, "...", 3) == 0)
        return to;
    assert_true(where && state && where < state && state < end);
    if (use && use < end)
        for (int commas = 1; commas > 0 && end > state; commas -= *end == ',')
            end--;
    to += sprintf(to, "%s%.*s%.*s:%.*s", to[-1] ? " " : "", (int)depth / 2,
                  ">>>>>>>>>>", (int)(where - name), name,
                  (int)(end - state - 2), state + 2);
    return to;
}

static inline const char *shape(void)
{
    static char shapes[4096];
    char *to = shapes + 1;

    to[0] = '\0';
    for (const char *line = print_tree(); *line; line = strchr(line, '\n') + 1)
        to = add_shape(to, line);
    return shapes + 1;
}

static inline rota_task start_named(const char *name,
                                    rota_task_function *function, void *arg)
{
    const rota_task_options options = {.name = name};
    rota_task task;

    assert_int_equal(rota_create_task_with(&task, &options, function, arg), 0);
    return task;
}

/* Tasks that come together in pairs. */
static inline intptr_t sleep_a_second(void *arg)
{
    int err = rota_sleep(1);

    return err < 0 ? err : (intptr_t)arg;
}

static inline intptr_t await_a_sleeper(void *name)
{
    return rota_await(start_named(name, sleep_a_second, NULL));
}

#endif
