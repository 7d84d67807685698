/* SPDX-License-Identifier: MIT */
/*
 * The loop in the program's own hands: made, run until main is done, closed
 *
 * rota_run() does the same and more; this is for programs that must keep the
 * loop, as one that is driven by another framework.
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
    rota_loop *loop;
    intptr_t result;
    int err = rota_new_event_loop(&loop, NULL);

    if (err < 0) {
        fprintf(stderr, "no loop: %s\n", rota_strerror(err));
        return 1;
    }
    result = rota_loop_run_until_complete(loop, amain, NULL);
    rota_loop_free(loop); /* closes it, too */
    return rota_is_error(result);
}
