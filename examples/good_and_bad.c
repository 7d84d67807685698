/* SPDX-License-Identifier: MIT */
/*
 * Two that block take twice as long; two that wait take as long as one
 */
#include <rota.h>
#include <stdio.h>
#include <unistd.h>

static intptr_t bad_example(void *arg)
{
    (void)arg;
    puts("Starting bad...");
    sleep(1); /* blocking: freezes the entire event loop */
    puts("Done bad");
    return 0;
}

static intptr_t good_example(void *arg)
{
    int err;

    (void)arg;
    puts("Starting good...");
    err = rota_sleep(1); /* non-blocking: keeps the loop running */
    if (err < 0)
        return err;
    puts("Done good");
    return 0;
}

static int run_two(rota_task_function *example)
{
    rota_loop *loop = rota_get_running_loop();
    double start_time = rota_loop_time(loop);
    rota_task tasks[2];
    int err = rota_create_task(&tasks[0], example, NULL);

    if (err == 0)
        err = rota_create_task(&tasks[1], example, NULL);
    if (err == 0)
        err = rota_gather(tasks, 2, NULL, false);
    if (err == 0)
        printf("Total time: %.2fs\n", rota_loop_time(loop) - start_time);
    return err;
}

static intptr_t amain(void *arg)
{
    int err;

    (void)arg;
    puts("=== bad_example (blocks the loop) ===");
    err = run_two(bad_example); /* 2 s */
    if (err < 0)
        return err;

    puts("\n=== good_example (non-blocking) ===");
    return run_two(good_example); /* 1 s */
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
