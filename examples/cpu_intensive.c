/* SPDX-License-Identifier: MIT */
/*
 * A calculation that cannot give way is sent to a pool of threads
 */
#include <rota.h>
#include <stdio.h>
#include <unistd.h>

static intptr_t cpu_intensive_calculation(void *arg)
{
    intptr_t x = (intptr_t)arg;

    sleep(2); /* some blocking CPU-bound work */
    return x * x;
}

static intptr_t amain(void *arg)
{
    rota_executor *pool;
    intptr_t result = rota_thread_pool_new(&pool, NULL);

    (void)arg;
    if (result < 0)
        return result;
    result =
        rota_run_in_executor(pool, cpu_intensive_calculation, (void *)10, 0);
    rota_executor_free(pool);
    if (!rota_is_error(result))
        printf("Result: %ld\n", (long)result);
    return result;
}

int main(void)
{
    intptr_t result = rota_run(amain, NULL);

    if (rota_is_error(result))
        fprintf(stderr, "cpu_intensive: %s\n", rota_strerror(result));
    return rota_is_error(result);
}
