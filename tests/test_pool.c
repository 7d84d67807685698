/* SPDX-License-Identifier: MIT */
/*
 * The pool of threads, for calls that block
 */
#include "loops.h"

#include <pthread.h>
#include <stdatomic.h>

#define MOST 8 /* threads of a pool */

/* Work that may be held at a gate. */
struct work {
    struct rota__job job;
    struct gate *gate; /* to wait at, or NULL */
    rota_loop *loop;
    uintptr_t thread; /* that worked, or 0 */
    int done;
    bool dropped;
};

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int waiting;
    int most_waiting;
};

static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                           false, 0, 0};

static void wait_at_gate(struct gate *at)
{
    pthread_mutex_lock(&at->lock);
    at->waiting++;
    if (at->waiting > at->most_waiting)
        at->most_waiting = at->waiting;
    pthread_cond_broadcast(&at->changed);
    while (!at->open)
        pthread_cond_wait(&at->changed, &at->lock);
    at->waiting--;
    pthread_mutex_unlock(&at->lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Returns when so many threads wait at the gate. */
static void see_waiting(int count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static struct work *work_of(struct rota__job *job)
{
    return rota__container_of(job, struct work, job);
}

static int works_left;

static void work(struct rota__job *job)
{
    struct work *self = work_of(job);

    if (self->gate)
        wait_at_gate(self->gate);
    self->thread = rota__thread_self();
}

static void done(struct rota__job *job)
{
    struct work *self = work_of(job);

    self->done++;
    self->dropped = job->dropped;
    if (!job->dropped)
        assert_ptr_equal(rota_get_running_loop(), self->loop);
    if (--works_left == 0 && !job->dropped)
        rota_loop_stop(self->loop);
}

static struct work work_for(rota_loop *loop, struct gate *at)
{
    return (struct work){
        .job = {.work = work, .done = done}, .loop = loop, .gate = at};
}

static void submit(struct work *works, int count, struct gate *at,
                   rota_loop *loop)
{
    for (int i = 0; i < count; i++) {
        works[i] = work_for(loop, at);
        assert_int_equal(rota__pool_submit(loop, ROTA__NAMES, &works[i].job),
                         0);
    }
    works_left += count;
}

static void a_job_works_on_another_thread_and_ends_on_the_loops(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one;

    assert_int_equal(rota__pool_busy(loop), 0);
    submit(&one, 1, NULL, loop);
    assert_int_equal(rota__pool_busy(loop), 1);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_true(one.thread != 0 && one.thread != rota__thread_self());
    assert_int_equal(one.done, 1);
    assert_false(one.dropped);
    assert_int_equal(rota__pool_busy(loop), 0);
    rota_loop_free(loop);
}

static void jobs_run_at_the_same_time_but_not_more_than_eight(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work works[3 * MOST];

    submit(works, 3 * MOST, &gate, loop);
    see_waiting(MOST);
    assert_int_equal(rota__pool_busy(loop), 3 * MOST);
    open_gate();
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(gate.most_waiting, MOST);
    for (int i = 0; i < 3 * MOST; i++)
        assert_int_equal(works[i].done, 1);
    rota_loop_free(loop);
}

static void a_thousand_jobs_are_each_done_once(void)
{
    static struct work works[1000];
    rota_loop *loop = new_loop_in_real_time();

    submit(works, 1000, NULL, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(works[i].done, 1);
        assert_true(works[i].thread != 0);
    }
    assert_int_equal(rota__pool_busy(loop), 0);
    rota_loop_free(loop);
}

static int jobs_in_a_row;

static void submit_again(struct rota__job *job)
{
    struct work *self = work_of(job);

    if (job->dropped)
        fail_msg("dropped");
    if (++jobs_in_a_row < 200)
        assert_int_equal(rota__pool_submit(self->loop, ROTA__NAMES, job), 0);
    else
        rota_loop_stop(self->loop);
}

static void a_job_can_be_submitted_again_when_it_is_done(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one = work_for(loop, NULL);

    one.job.done = submit_again;
    assert_int_equal(rota__pool_submit(loop, ROTA__NAMES, &one.job), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(jobs_in_a_row, 200);
    rota_loop_free(loop);
}

static void a_job_that_waits_can_be_cancelled(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work running[MOST];
    struct work waiting[3];

    submit(running, MOST, &gate, loop);
    see_waiting(MOST);
    submit(waiting, 3, NULL, loop);
    assert_true(rota__pool_cancel(&waiting[1].job));
    works_left--;
    assert_false(rota__pool_cancel(&waiting[1].job));
    assert_false(rota__pool_cancel(&running[0].job));
    assert_int_equal(rota__pool_busy(loop), MOST + 2);
    open_gate();
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(waiting[0].done, 1);
    assert_int_equal(waiting[1].done, 0);
    assert_true(waiting[1].thread == 0);
    assert_int_equal(waiting[2].done, 1);
    assert_false(rota__pool_cancel(&waiting[2].job));
    assert_int_equal(rota__pool_busy(loop), 0);
    rota_loop_free(loop);
}

static void *open_gate_later(void *arg)
{
    see_waiting(MOST);
    open_gate();
    return arg;
}

/* Those under way are waited for, those in the queue never begin. */
static void closing_waits_for_running_jobs_and_drops_the_rest(void)
{
    rota_loop *loop = new_loop();
    struct work running[MOST];
    struct work waiting[3];
    pthread_t thread;

    submit(running, MOST, &gate, loop);
    see_waiting(MOST);
    submit(waiting, 3, &gate, loop);
    assert_true(rota__pool_cancel(&waiting[2].job));
    assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < MOST; i++) {
        assert_true(running[i].thread != 0);
        assert_int_equal(running[i].done, 1);
        assert_true(running[i].dropped);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waiting[i].done, 1);
        assert_true(waiting[i].dropped);
    }
    assert_int_equal(waiting[2].done, 0);
    assert_int_equal(rota__pool_busy(loop), 0);
    rota_loop_free(loop);
}

static void set_flag(struct rota__job *job)
{
    (void)job;
    wait_at_gate(&gate);
}

/* Its end has been posted, but the loop will not turn again. */
static void closing_drops_a_job_whose_end_was_not_seen(void)
{
    rota_loop *loop = new_loop();
    struct work one = work_for(loop, NULL);

    gate.open = true;
    one.job.work = set_flag;
    works_left = 1;
    assert_int_equal(rota__pool_submit(loop, ROTA__NAMES, &one.job), 0);
    while (atomic_load(&loop->inbox) == NULL)
        ;
    rota__take_from_threads(loop);
    rota_call_soon(loop, NULL, must_not_run, NULL);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(one.done, 1);
    assert_true(one.dropped);
    rota_loop_free(loop);
}

static void closing_an_idle_pool_ends_its_threads(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work works[20];

    submit(works, 20, NULL, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
}

static void without_memory_a_job_is_refused(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one = work_for(loop, NULL);

    harness_fail_allocation(1);
    assert_int_equal(rota__pool_submit(loop, ROTA__NAMES, &one.job), -ENOMEM);
    assert_int_equal(rota__pool_busy(loop), 0);
    assert_int_equal(one.done, 0);
    submit(&one, 1, NULL, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(one.done, 1);
    rota_loop_free(loop);
}

static int signals_blocked;

static void look_at_signals(struct rota__job *job)
{
    sigset_t mask;

    (void)job;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    signals_blocked =
        sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) &&
        sigismember(&mask, SIGCHLD) && sigismember(&mask, SIGUSR1);
}

static void signals_do_not_go_to_the_pools_threads(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one = work_for(loop, NULL);

    one.job.work = look_at_signals;
    works_left = 1;
    assert_int_equal(rota__pool_submit(loop, ROTA__NAMES, &one.job), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_true(signals_blocked);
    rota_loop_free(loop);
}

/* A virtual clock must not jump while the answer of a thread is due. */
static void virtual_time_stands_still_while_a_job_works(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    struct work one;

    rota_call_later(loop, NULL, 1000, must_not_run, NULL);
    submit(&one, 1, &gate, loop);
    open_gate();
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(one.done, 1);
    rota_loop_free(loop);
}

/* Names that hang must not hold up files. */
static void each_kind_has_threads_of_its_own(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work names[MOST];
    struct work file = work_for(loop, NULL);

    submit(names, MOST, &gate, loop);
    see_waiting(MOST);
    works_left = 1;
    assert_int_equal(rota__pool_submit(loop, ROTA__FILES, &file.job), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(file.done, 1);
    assert_int_equal(rota__pool_busy(loop), MOST);
    open_gate();
    rota_loop_free(loop);
}

HARNESS_MAIN(TEST(each_kind_has_threads_of_its_own),
             TEST(a_job_works_on_another_thread_and_ends_on_the_loops),
             TEST(jobs_run_at_the_same_time_but_not_more_than_eight),
             TEST(a_thousand_jobs_are_each_done_once),
             TEST(a_job_can_be_submitted_again_when_it_is_done),
             TEST(a_job_that_waits_can_be_cancelled),
             TEST(closing_waits_for_running_jobs_and_drops_the_rest),
             TEST(closing_drops_a_job_whose_end_was_not_seen),
             TEST(closing_an_idle_pool_ends_its_threads),
             TEST(without_memory_a_job_is_refused),
             TEST(signals_do_not_go_to_the_pools_threads),
             TEST(virtual_time_stands_still_while_a_job_works))
