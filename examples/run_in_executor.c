/* SPDX-License-Identifier: MIT */
/*
 * A function that blocks runs on a thread, and the loop goes on
 */
#include <rota.h>
#include <stdio.h>
#include <unistd.h>

/* Blocks, as a file's or an old library's function may. */
static intptr_t blocking_io(void *arg)
{
    (void)arg;
    sleep(1);
    return (intptr_t) "Blocking operation complete";
}

static intptr_t amain(void *arg)
{
    /* NULL: the default executor, which is a pool of threads. */
    intptr_t result = rota_run_in_executor(NULL, blocking_io, NULL, 0);

    (void)arg;
    if (!rota_is_error(result))
        puts((const char *)result);
    return result;
}

int main(void)
{
    intptr_t result = rota_run(amain, NULL);

    if (rota_is_error(result))
        fprintf(stderr, "run_in_executor: %s\n", rota_strerror(result));
    return rota_is_error(result);
}
