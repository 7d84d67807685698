/* SPDX-License-Identifier: MIT */
/*
 * Different threads, different loops
 */
#include <rota.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static intptr_t task(void *arg)
{
    (void)arg;
    return (intptr_t) "From thread";
}

/* Makes a loop for this thread, runs a task on it, closes it. */
static void *run_in_thread(void *arg)
{
    rota_loop *loop;
    intptr_t result = rota_new_event_loop(&loop, NULL);

    (void)arg;
    if (result < 0)
        return (void *)result;
    rota_set_event_loop(loop);
    result = rota_loop_run_until_complete(loop, task, NULL);
    rota_set_event_loop(NULL);
    rota_loop_free(loop);
    return (void *)result;
}

/* The main thread has its own loop, or none, as here. */
int main(void)
{
    pthread_t thread;
    void *result;
    int err = pthread_create(&thread, NULL, run_in_thread, NULL);

    if (err == 0)
        err = pthread_join(thread, &result);
    if (err != 0) {
        fprintf(stderr, "no thread: %s\n", strerror(err));
        return 1;
    }
    if (rota_is_error((intptr_t)result)) {
        fprintf(stderr, "no result: %s\n", rota_strerror((intptr_t)result));
        return 1;
    }
    puts((const char *)result);
    return 0;
}
