/* SPDX-License-Identifier: MIT */
/*
 * The life of a loop: two tasks overlap; the one that sleeps less ends first
 */
#include <rota.h>
#include <stdio.h>

struct job {
    const char *name;
    double delay;
};

static intptr_t task(void *arg)
{
    const struct job *job = arg;
    int err;

    printf("%s: starting\n", job->name);
    err = rota_sleep(job->delay);
    if (err < 0)
        return err;
    printf("%s: done\n", job->name);
    return (intptr_t)job->name;
}

/* If it fails half-way, rota_run() cancels the tasks that are left. */
static intptr_t amain(void *arg)
{
    static struct job a = {"A", 2}, b = {"B", 1};
    rota_task t1, t2;
    intptr_t result;

    (void)arg;
    puts("Main: creating tasks");
    result = rota_create_task(&t1, task, &a);
    if (result == 0)
        result = rota_create_task(&t2, task, &b);
    if (result < 0)
        return result;

    puts("Main: waiting for tasks");
    result = rota_await(t1);
    if (!rota_is_error(result))
        result = rota_await(t2);
    if (rota_is_error(result))
        return result;
    puts("Main: all done");
    return 0;
}

/* The loop: created, running, closed. */
int main(void)
{
    return rota_run(amain, NULL) < 0;
}
