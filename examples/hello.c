/* SPDX-License-Identifier: MIT */
/*
 * Hello, a second, World: the smallest program that waits
 */
#include <rota.h>
#include <stdio.h>

static intptr_t amain(void *arg)
{
    int err;

    (void)arg;
    puts("Hello");
    err = rota_sleep(1);
    if (err < 0)
        return err;
    puts("World");
    return 0;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
