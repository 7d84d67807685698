/* SPDX-License-Identifier: MIT */
/*
 * SIGTERM cancels all tasks, which clean up, and waits for them
 *
 * Ctrl-C does the same. The handler of a signal may do next to nothing, so it
 * writes to a pipe, which the loop reads. The main task is cancelled; when it
 * is done, rota_run() cancels all tasks that are left and waits for them.
 */
#include <rota.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int ends[2];

static void on_signal(int number)
{
    (void)!write(ends[1], &number, sizeof number);
}

static void on_readable(void *main_task)
{
    int number;

    if (read(ends[0], &number, sizeof number) != sizeof number)
        return;
    puts(number == SIGTERM ? "SIGTERM: shutting down" : "shutting down");
    rota_task_cancel(*(rota_task *)main_task);
}

static int watch_signals(rota_loop *loop, rota_task *main_task)
{
    const struct sigaction action = {
        .sa_handler = on_signal,
        .sa_flags = SA_RESTART,
    };

    if (pipe(ends) < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
        sigaction(SIGINT, &action, NULL) < 0)
        return -EIO;
    return rota_add_reader(loop, ends[0], on_readable, main_task);
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
    static rota_task self; /* the reader looks at it */
    rota_task workers[2];
    int err;

    (void)arg;
    self = rota_current_task();
    err = watch_signals(rota_get_running_loop(), &self);
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
