/* SPDX-License-Identifier: MIT */
/*
 * Manual control: what a main task returns comes out of the loop
 */
#include <rota.h>
#include <stdio.h>

static intptr_t amain(void *arg)
{
    (void)arg;
    return (intptr_t) "result";
}

static int run(rota_loop *loop)
{
    intptr_t result = rota_loop_run_until_complete(loop, amain, NULL);

    if (rota_is_error(result))
        return (int)result;
    puts((const char *)result);
    return rota_loop_close(loop);
}

int main(void)
{
    rota_loop *loop;
    int err = rota_new_event_loop(&loop, NULL);

    if (err == 0) {
        err = run(loop);
        rota_loop_free(loop);
    }
    return err < 0;
}
