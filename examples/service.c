/* SPDX-License-Identifier: MIT */
/*
 * A service as an object: it keeps its loop, starts and stops
 */
#include <rota.h>
#include <stdio.h>

struct service {
    rota_loop *loop;
    rota_task worker;
    int rounds;
};

static intptr_t work(void *arg)
{
    struct service *self = arg;
    int err;

    while ((err = rota_sleep(0.1)) == 0)
        self->rounds++;
    return err;
}

static int service_start(struct service *self)
{
    *self = (struct service){.loop = rota_get_running_loop()};
    return rota_loop_create_task(self->loop, &self->worker, work, self);
}

static int service_stop(struct service *self)
{
    intptr_t result;

    rota_task_cancel(self->worker);
    result = rota_await(self->worker);
    return result == -ECANCELED ? 0 : (int)result;
}

static intptr_t amain(void *arg)
{
    static struct service service; /* outlives amain(), if that fails */
    int err = service_start(&service);

    (void)arg;
    if (err < 0)
        return err;
    puts("Service started");

    err = rota_sleep(0.35);
    if (err == 0)
        err = service_stop(&service);
    if (err < 0)
        return err;
    printf("Service stopped after %d rounds\n", service.rounds);
    return 0;
}

int main(void)
{
    return rota_run(amain, NULL) < 0;
}
