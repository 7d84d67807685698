/* SPDX-License-Identifier: MIT */
/*
 * Debug mode names what holds the loop for longer than 0.1 seconds
 *
 * Switched on here by the loop's option; ROTA_DEBUG=1 in the environment does
 * it for a program that nobody edits. The report goes to stderr.
 */
#include <rota.h>
#include <stdio.h>
#include <time.h>

static void block(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL);
}

static void blocking_callback(void *arg)
{
    (void)arg;
    block();
}

static intptr_t bad(void *arg)
{
    (void)arg;
    block(); /* blocks the entire event loop! */
    return (intptr_t) "done";
}

static intptr_t amain(void *arg)
{
    const rota_task_options options = {.name = "bad"};
    rota_loop *loop = rota_get_running_loop();
    rota_task task;
    intptr_t result;

    (void)arg;
    printf("Debug mode: %s\n", rota_get_debug(loop) ? "True" : "False");
    printf("Slow is: %gs\n", rota_get_slow_callback_duration(loop));

    result = rota_call_soon(loop, NULL, blocking_callback, NULL);
    if (result == 0)
        result = rota_create_task_with(&task, &options, bad, NULL);
    if (result == 0)
        result = rota_await(task);
    if (rota_is_error(result))
        return result;
    puts((const char *)result);
    return 0;
}

int main(void)
{
    const rota_loop_options options = {.debug = true};

    return rota_run_with(&options, amain, NULL) < 0;
}
