/* SPDX-License-Identifier: MIT */
/*
 * Getting the loop, outside of tasks and inside
 *
 * Outside, rota_get_event_loop() knows only what rota_set_event_loop() was
 * told: nothing is made behind the program's back. Inside of tasks and
 * callbacks, rota_get_running_loop() is right whoever runs them.
 */
#include <rota.h>
#include <stdio.h>

static void work(void *arg)
{
    (void)arg;
    puts("The work that was scheduled outside");
}

static int setup(void)
{
    rota_loop *loop = rota_get_event_loop();
    int err = 0;

    if (!loop) {
        err = rota_new_event_loop(&loop, NULL);
        if (err < 0)
            return err;
        rota_set_event_loop(loop);
    }
    return rota_call_soon(loop, NULL, work, NULL);
}

static intptr_t my_coroutine(void *arg)
{
    rota_loop *loop = rota_get_running_loop();

    (void)arg;
    printf("Running on loop: %p\n", (void *)loop);
    printf("The one that was set: %s\n",
           loop == rota_get_event_loop() ? "yes" : "no");
    return 0;
}

int main(void)
{
    rota_loop *loop;
    intptr_t err = setup();

    printf("Outside, a loop runs: %s\n",
           rota_get_running_loop() ? "yes" : "no");
    loop = rota_get_event_loop();
    if (err == 0)
        err = rota_loop_run_until_complete(loop, my_coroutine, NULL);
    rota_set_event_loop(NULL);
    rota_loop_free(loop);
    return err < 0;
}
