/* SPDX-License-Identifier: MIT */
/*
 * Pools of one's own: threads for what blocks, processes for what computes
 *
 * A process has no memory in common with this one: the function is given a
 * copy of its block, and what it has made of that is copied back.
 */
#include <rota.h>
#include <stdio.h>
#include <unistd.h>

struct sum {
    int64_t count;
    int64_t result;
};

static intptr_t blocking_io(void *arg)
{
    (void)arg;
    sleep(1);
    return (intptr_t) "Blocking operation complete";
}

static intptr_t cpu_heavy_task(void *arg)
{
    struct sum *sum = arg;

    for (int64_t i = 0; i < sum->count; i++)
        sum->result += i * i;
    return 0;
}

static intptr_t run_on_threads(void)
{
    const rota_thread_pool_options options = {.max_workers = 4};
    rota_executor *pool;
    intptr_t result = rota_thread_pool_new(&pool, &options);

    if (result < 0)
        return result;
    result = rota_run_in_executor(pool, blocking_io, NULL, 0);
    rota_executor_free(pool);
    if (!rota_is_error(result))
        puts((const char *)result);
    return result;
}

static intptr_t run_on_processes(void)
{
    struct sum sum = {.count = 1000000};
    rota_executor *pool;
    intptr_t err = rota_process_pool_new(&pool, NULL);

    if (err < 0)
        return err;
    err = rota_run_in_executor(pool, cpu_heavy_task, &sum, sizeof sum);
    rota_executor_free(pool);
    if (err == 0)
        printf("%lld\n", (long long)sum.result);
    return err;
}

static intptr_t amain(void *arg)
{
    intptr_t result = run_on_threads();

    (void)arg;
    return rota_is_error(result) ? result : run_on_processes();
}

int main(void)
{
    intptr_t result = rota_run(amain, NULL);

    if (rota_is_error(result))
        fprintf(stderr, "custom_executor: %s\n", rota_strerror(result));
    return rota_is_error(result);
}
