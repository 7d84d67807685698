/* SPDX-License-Identifier: MIT */
/*
 * Producers and consumers, and a queue between them that is never long
 *
 * Who makes jobs waits while the queue is full, who does them waits while it
 * is empty. When all are done, a shutdown sends the consumers home.
 */
#include <rota.h>
#include <stdio.h>

enum { PRODUCERS = 2, CONSUMERS = 3, JOBS = 5, ROOM = 2 };

struct job {
    int producer, number;
    double seconds;
};

struct worker {
    rota_queue *queue;
    int number;
};

static intptr_t produce(void *arg)
{
    const struct worker *self = arg;
    int err = 0;

    for (int n = 0; err == 0 && n < JOBS; n++) {
        const struct job job = {self->number, n,
                                0.1 * (1 + n % 3) + 0.03 * self->number};

        err = rota_sleep(0.04 + 0.025 * self->number);
        if (err == 0)
            err = rota_queue_put(self->queue, &job);
        if (err == 0)
            printf("producer-%d has put job %d\n", self->number, n);
    }
    return err;
}

static intptr_t consume(void *arg)
{
    const struct worker *self = arg;
    struct job job;
    int err;

    while ((err = rota_queue_get(self->queue, &job)) == 0) {
        err = rota_sleep(job.seconds);
        if (err == 0)
            err = rota_queue_task_done(self->queue);
        if (err < 0)
            return err;
        printf("consumer-%d has slept for %.2f s: job %d of producer-%d\n",
               self->number, job.seconds, job.number, job.producer);
    }
    return err == -ROTA_ESHUTDOWN ? 0 : err;
}

static intptr_t start(rota_task_group *group, rota_task_function *function,
                      struct worker *workers, int count, rota_queue *queue)
{
    intptr_t err = 0;

    for (int i = 0; err == 0 && i < count; i++) {
        workers[i] = (struct worker){queue, i};
        err = rota_task_group_create_task(group, function, &workers[i], NULL);
    }
    return err;
}

static intptr_t produce_all(rota_queue *queue)
{
    struct worker workers[PRODUCERS];
    rota_task_group producers;
    intptr_t err = rota_task_group_begin(&producers);

    if (err == 0)
        err = start(&producers, produce, workers, PRODUCERS, queue);
    return rota_task_group_end(&producers, err);
}

static intptr_t work(rota_queue *queue)
{
    struct worker workers[CONSUMERS];
    rota_task_group consumers;
    intptr_t err = rota_task_group_begin(&consumers);

    if (err == 0)
        err = start(&consumers, consume, workers, CONSUMERS, queue);
    if (err == 0)
        err = produce_all(queue);
    if (err == 0)
        err = rota_queue_join(queue);
    rota_queue_shutdown(queue, false);
    return rota_task_group_end(&consumers, err);
}

static intptr_t amain(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    double started_at = rota_loop_time(loop);
    rota_queue *queue;
    intptr_t err = rota_queue_new(&queue, sizeof(struct job), ROOM);

    (void)arg;
    if (err < 0)
        return err;
    err = work(queue);
    rota_queue_free(queue);
    if (err == 0)
        printf("====\n%d consumers slept in parallel for %.1f seconds\n",
               CONSUMERS, rota_loop_time(loop) - started_at);
    return err;
}

int main(void)
{
    intptr_t err = rota_run(amain, NULL);

    if (err < 0)
        fprintf(stderr, "producer_consumer: %s\n", rota_strerror(err));
    return err < 0;
}
