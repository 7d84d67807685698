/* SPDX-License-Identifier: MIT */
/*
 * Exercise 1: three callbacks, each later than the one before, note their turn
 */
#include <rota.h>
#include <stdio.h>

static const char *results[3];
static int count;

static void append(void *text)
{
    results[count++] = text;
}

static intptr_t amain(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    int err = rota_call_later(loop, NULL, 0.1, append, "0.1s");

    (void)arg;
    if (err == 0)
        err = rota_call_later(loop, NULL, 0.2, append, "0.2s");
    if (err == 0)
        err = rota_call_later(loop, NULL, 0.3, append, "0.3s");
    if (err == 0)
        err = rota_sleep(0.5);
    if (err < 0)
        return err;

    printf("Callback order: [");
    for (int i = 0; i < count; i++)
        printf("%s'%s'", i > 0 ? ", " : "", results[i]);
    puts("]");
    return 0;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
