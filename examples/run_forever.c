/* SPDX-License-Identifier: MIT */
/*
 * Running forever, as servers do, until somebody calls rota_loop_stop()
 *
 * The server's task never ends by itself. A loop that was stopped can run
 * again: here for as long as it takes to cancel that task and see it end.
 */
#include <rota.h>
#include <stdio.h>

static int handle_connection(int number)
{
    int err = rota_sleep(1);

    if (err == 0)
        printf("Handled connection %d\n", number);
    return err;
}

static intptr_t server(void *arg)
{
    int err = 0;

    (void)arg;
    for (int number = 1; err == 0; number++)
        err = handle_connection(number);
    return err;
}

static void stop(void *loop)
{
    puts("Stopping");
    rota_loop_stop(loop);
}

static intptr_t end(void *task)
{
    intptr_t result;

    rota_task_cancel(*(rota_task *)task);
    result = rota_await(*(rota_task *)task);
    if (result != -ECANCELED)
        return result;
    puts("The server was cancelled");
    return 0;
}

static intptr_t serve_for(rota_loop *loop, double seconds)
{
    rota_task task;
    int err = rota_loop_create_task(loop, &task, server, NULL);

    if (err == 0)
        err = rota_call_later(loop, NULL, seconds, stop, loop);
    if (err == 0)
        err = rota_loop_run_forever(loop);
    return err < 0 ? err : rota_loop_run_until_complete(loop, end, &task);
}

int main(void)
{
    rota_loop *loop;
    intptr_t err = rota_new_event_loop(&loop, NULL);

    if (err == 0) {
        err = serve_for(loop, 3.5);
        rota_loop_free(loop);
    }
    return err < 0;
}
