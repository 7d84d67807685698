/* SPDX-License-Identifier: MIT */
/*
 * SIGTERM cancels all tasks, which clean up, and waits for them
 *
 * Ctrl-C does the same. A signal's handler is a callback of the loop, so it may
 * cancel the main task; when that is done, rota_run() cancels all tasks that
 * are left and waits for them.
 */
#include <rota.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct shutdown {
    rota_task main_task;
    int signal;
};

static void shut_down(void *arg)
{
    const struct shutdown *shutdown = arg;

    printf("%s: shutting down\n", rota_signal_name(shutdown->signal));
    rota_task_cancel(shutdown->main_task);
}

static int watch_signals(rota_loop *loop)
{
    static struct shutdown all[] = {{.signal = SIGTERM}, {.signal = SIGINT}};
    int err = 0;

    for (int i = 0; err == 0 && i < 2; i++) {
        all[i].main_task = rota_current_task();
        err = rota_add_signal_handler(loop, all[i].signal, shut_down, &all[i]);
    }
    return err;
}

static intptr_t work(void *arg)
{
    const char *name = arg;
    int err;

    while ((err = rota_sleep(1)) == 0)
        ;
    printf("%s: cleaning up\n", name);
    if (rota_sleep(0.2) == 0) /* one cancellation is told once */
        printf("%s: done\n", name);
    return err;
}

static intptr_t amain(void *arg)
{
    rota_task workers[2];
    int err = watch_signals(rota_get_running_loop());

    (void)arg;
    if (err == 0)
        err = rota_create_task(&workers[0], work, "worker 1");
    if (err == 0)
        err = rota_create_task(&workers[1], work, "worker 2");
    if (err < 0)
        return err;
    printf("running: kill %ld\n", (long)getpid());
    fflush(stdout);
    return rota_gather(workers, 2, NULL, false);
}

int main(void)
{
    intptr_t result = rota_run(amain, NULL);

    if (result != -ECANCELED) {
        fprintf(stderr, "graceful_shutdown: %s\n", rota_strerror(result));
        return 1;
    }
    puts("all tasks have ended");
    return 0;
}
