/* SPDX-License-Identifier: MIT */
/*
 * A pool: ten jobs, of which three may be at work at a time
 *
 * Every job is a task of one group, and waits its turn at a semaphore. The
 * group's end is the end of all of them; their results are then in place.
 */
#include <rota.h>
#include <stdio.h>

enum { JOBS = 10, AT_A_TIME = 3 };

static rota_semaphore pool;
static int at_work;

struct job {
    int number;
    intptr_t result;
};

static int square(int number, intptr_t *result)
{
    int err = rota_sleep(0.1 + 0.02 * number);

    *result = (intptr_t)number * number;
    return err;
}

static intptr_t work(void *arg)
{
    struct job *job = arg;
    int released;
    int err = rota_semaphore_acquire(&pool);

    if (err < 0)
        return err;
    printf("job %d begins, %d at work\n", job->number, ++at_work);
    err = square(job->number, &job->result);
    at_work--;
    released = rota_semaphore_release(&pool);
    return err < 0 ? err : released;
}

static intptr_t work_on(struct job *jobs)
{
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    for (int i = 0; err == 0 && i < JOBS; i++) {
        jobs[i].number = i;
        err = rota_task_group_create_task(&group, work, &jobs[i], NULL);
    }
    return rota_task_group_end(&group, err);
}

static intptr_t amain(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    double started_at = rota_loop_time(loop);
    struct job jobs[JOBS];
    intptr_t err;

    (void)arg;
    rota_bounded_semaphore_init(&pool, AT_A_TIME);
    err = work_on(jobs);
    rota_semaphore_fini(&pool);
    if (err < 0)
        return err;

    printf("results:");
    for (int i = 0; i < JOBS; i++)
        printf(" %d", (int)jobs[i].result);
    printf("\nelapsed: %.2f s\n", rota_loop_time(loop) - started_at);
    return 0;
}

int main(void)
{
    intptr_t err = rota_run(amain, NULL);

    if (err < 0)
        fprintf(stderr, "worker_pool: %s\n", rota_strerror(err));
    return err < 0;
}
