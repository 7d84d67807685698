/* SPDX-License-Identifier: MIT */
/*
 * All the errors of a task group
 *
 * The first one ends the group; those that come with it, and those of tasks
 * that fail while they clean up, are kept with the names of their tasks.
 */
#include <rota.h>
#include <stdio.h>

struct part {
    const char *name;
    double seconds;
    int error;      /* in the end, or 0 */
    int on_cleanup; /* when it is cancelled before */
};

static struct part parts[] = {
    {"download", 1.0, -ECONNRESET, 0},
    {"unpack", 1.0, -ENOSPC, 0},
    {"database", 9.0, 0, -EIO},
    {"progress", 9.0, 0, 0},
};

enum { PARTS = sizeof parts / sizeof parts[0] };

static intptr_t work(void *arg)
{
    const struct part *part = arg;
    int err = rota_sleep(part->seconds);

    if (err == 0)
        return part->error;
    printf("%s: cancelled\n", part->name);
    return part->on_cleanup ? part->on_cleanup : err;
}

static int start_all(rota_task_group *group)
{
    int err = 0;

    for (int i = 0; i < PARTS && err == 0; i++) {
        const rota_task_options options = {.name = parts[i].name};

        err = rota_task_group_create_task_with(group, &options, work, &parts[i],
                                               NULL);
    }
    return err;
}

static intptr_t amain(void *arg)
{
    rota_task_error errors[PARTS + 1];
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);
    size_t count;

    (void)arg;
    if (err < 0)
        return err;
    err = rota_task_group_keep_errors(&group, errors, PARTS + 1);
    if (err == 0)
        err = start_all(&group);
    err = rota_task_group_end(&group, err);

    count = rota_task_group_error_count(&group);
    printf("%zu errors, the first: %s\n", count, rota_errname(err));
    for (size_t i = 0; i < count; i++)
        printf("  %s: %s\n", errors[i].name, rota_errname(errors[i].error));
    return count > 0 ? 0 : err;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
