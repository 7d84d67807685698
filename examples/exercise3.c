/* SPDX-License-Identifier: MIT */
/*
 * Exercise 3: ten tasks of 0.2 seconds, one after the other and all at once
 */
#include <rota.h>
#include <stdio.h>

enum { COUNT = 10 };

static intptr_t io_task(void *task_id)
{
    int err = rota_sleep(0.2);

    return err < 0 ? err : (intptr_t)task_id;
}

static int sequentially(void)
{
    for (intptr_t i = 0; i < COUNT; i++) {
        intptr_t result = io_task((void *)i);

        if (rota_is_error(result))
            return (int)result;
    }
    return 0;
}

static int concurrently(void)
{
    rota_task tasks[COUNT];

    for (intptr_t i = 0; i < COUNT; i++) {
        int err = rota_create_task(&tasks[i], io_task, (void *)i);

        if (err < 0)
            return err;
    }
    return rota_gather(tasks, COUNT, NULL, false);
}

static int measure(int (*run)(void), double *seconds)
{
    rota_loop *loop = rota_get_running_loop();
    double start = rota_loop_time(loop);
    int err = run();

    *seconds = rota_loop_time(loop) - start;
    return err;
}

static intptr_t amain(void *arg)
{
    double seq_time, con_time;
    int err = measure(sequentially, &seq_time);

    (void)arg;
    if (err == 0)
        err = measure(concurrently, &con_time);
    if (err < 0)
        return err;
    printf("Sequential: %.2fs\n", seq_time);
    printf("Concurrent: %.2fs\n", con_time);
    printf("Speedup: %.1fx\n", seq_time / con_time);
    return 0;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
