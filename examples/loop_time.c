/* SPDX-License-Identifier: MIT */
/*
 * The loop's clock: seconds, monotonic, from an arbitrary beginning
 */
#include <rota.h>
#include <stdio.h>

static intptr_t amain(void *arg)
{
    double now = rota_loop_time(rota_get_running_loop());

    (void)arg;
    printf("Loop time: %f\n", now);
    return 0;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
