/* SPDX-License-Identifier: MIT */
/*
 * The loop's own pools of threads, for calls that block
 */
#include "gates.h"
#include "loops.h"
#include "loop/job.h"

#define MOST 8 /* threads of a pool */

/* A job that may be held at the gate. */
struct work {
    struct rota__job job;
    rota_loop *loop;
    bool is_held;
    uintptr_t thread; /* that worked, or 0 */
    int ended;
    int released;
    bool dropped;
};

static struct work *work_of(struct rota__job *job)
{
    return rota__container_of(job, struct work, job);
}

static int works_left;

static intptr_t work(void *arg)
{
    struct work *self = arg;

    if (self->is_held)
        wait_at_gate();
    self->thread = rota__thread_self();
    return 7;
}

static void ended(struct rota__job *job)
{
    struct work *self = work_of(job);

    self->ended++;
    self->dropped = job->dropped;
    if (job->dropped)
        return;
    assert_ptr_equal(rota_get_running_loop(), self->loop);
    assert_int_equal(job->result, 7);
}

/* The last thing that happens to it. */
static void release(struct rota__job *job)
{
    struct work *self = work_of(job);

    self->released++;
    if (--works_left == 0 && !self->dropped)
        rota_loop_stop(self->loop);
}

static void prepare(struct work *self, rota_loop *loop, bool is_held)
{
    *self = (struct work){
        .job = {.call = {.function = work, .arg = self},
                .ended = ended,
                .release = release},
        .loop = loop,
        .is_held = is_held,
    };
}

static void submit(struct work *works, int count, bool is_held, rota_loop *loop)
{
    for (int i = 0; i < count; i++) {
        prepare(&works[i], loop, is_held);
        assert_int_equal(rota__pool_submit(&works[i].job, loop, ROTA__NAMES),
                         0);
    }
    works_left += count;
}

static void assert_ended(const struct work *works, int count, bool dropped)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(works[i].ended, 1);
        assert_int_equal(works[i].released, 1);
        assert_int_equal(works[i].dropped, dropped);
    }
}

static void a_job_works_on_another_thread_and_ends_on_the_loops(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one;

    assert_int_equal(loop->job_count, 0);
    submit(&one, 1, false, loop);
    assert_int_equal(loop->job_count, 1);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_true(one.thread != 0 && one.thread != rota__thread_self());
    assert_ended(&one, 1, false);
    assert_int_equal(loop->job_count, 0);
    rota_loop_free(loop);
}

static void jobs_run_at_the_same_time_but_not_more_than_eight(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work works[3 * MOST];

    submit(works, 3 * MOST, true, loop);
    see_waiting(MOST);
    assert_int_equal(loop->job_count, 3 * MOST);
    open_gate();
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(gate.most_waiting, MOST);
    assert_ended(works, 3 * MOST, false);
    rota_loop_free(loop);
}

static void a_thousand_jobs_are_each_done_once(void)
{
    static struct work works[1000];
    rota_loop *loop = new_loop_in_real_time();

    submit(works, 1000, false, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_ended(works, 1000, false);
    for (int i = 0; i < 1000; i++)
        assert_true(works[i].thread != 0);
    assert_int_equal(loop->job_count, 0);
    rota_loop_free(loop);
}

static int jobs_in_a_row;

static void submit_again(struct rota__job *job)
{
    struct work *self = work_of(job);

    if (++jobs_in_a_row < 200)
        assert_int_equal(rota__pool_submit(job, self->loop, ROTA__NAMES), 0);
    else
        rota_loop_stop(self->loop);
}

static void a_job_can_be_submitted_again_when_it_is_released(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one;

    prepare(&one, loop, false);
    one.job.release = submit_again;
    assert_int_equal(rota__pool_submit(&one.job, loop, ROTA__NAMES), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(jobs_in_a_row, 200);
    assert_int_equal(one.ended, 200);
    rota_loop_free(loop);
}

static void a_job_that_waits_can_be_cancelled(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work running[MOST];
    struct work waiting[3];

    submit(running, MOST, true, loop);
    see_waiting(MOST);
    submit(waiting, 3, false, loop);
    assert_true(rota__job_cancel(&waiting[1].job));
    assert_int_equal(waiting[1].released, 1);
    assert_false(rota__job_cancel(&running[0].job));
    assert_int_equal(loop->job_count, MOST + 2);
    open_gate();
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_ended(running, MOST, false);
    assert_ended(&waiting[0], 1, false);
    assert_ended(&waiting[2], 1, false);
    assert_int_equal(waiting[1].ended, 0);
    assert_true(waiting[1].thread == 0);
    assert_int_equal(loop->job_count, 0);
    rota_loop_free(loop);
}

static void *open_gate_later(void *arg)
{
    see_waiting(MOST);
    open_gate();
    return arg;
}

/* Those under way are waited for, and all hear that nothing will come. */
static void closing_waits_for_running_jobs_and_drops_all(void)
{
    rota_loop *loop = new_loop();
    struct work running[MOST];
    struct work waiting[3];
    pthread_t thread;

    submit(running, MOST, true, loop);
    see_waiting(MOST);
    submit(waiting, 3, true, loop);
    assert_true(rota__job_cancel(&waiting[2].job));
    assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < MOST; i++)
        assert_true(running[i].thread != 0);
    assert_ended(running, MOST, true);
    assert_ended(waiting, 2, true);
    assert_int_equal(waiting[2].ended, 0);
    assert_int_equal(waiting[2].released, 1);
    assert_int_equal(loop->job_count, 0);
    rota_loop_free(loop);
}

/* Its end has been posted, but the loop will not turn again. */
static void closing_drops_a_job_whose_end_was_not_seen(void)
{
    rota_loop *loop = new_loop();
    struct work one;

    submit(&one, 1, false, loop);
    while (atomic_load(&loop->inbox) == NULL)
        ;
    rota__take_from_threads(loop);
    rota_call_soon(loop, NULL, must_not_run, NULL);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_ended(&one, 1, true);
    rota_loop_free(loop);
}

static void closing_an_idle_pool_ends_its_threads(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work works[20];

    submit(works, 20, false, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
}

/* Who is told may have others that it will not wait for. */
static void cancel_the_next(struct rota__job *job)
{
    struct work *self = work_of(job);

    ended(job);
    (void)rota__job_cancel(&self[1].job);
}

static void who_is_dropped_may_cancel_others(void)
{
    rota_loop *loop = new_loop();
    struct work works[4];

    for (int i = 0; i < 4; i++) {
        prepare(&works[i], loop, false);
        works[i].job.ended = i % 2 ? ended : cancel_the_next;
        assert_int_equal(rota__pool_submit(&works[i].job, loop, ROTA__NAMES),
                         0);
    }
    works_left = 5;
    assert_int_equal(rota_loop_close(loop), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(works[i].released, 1);
    rota_loop_free(loop);
}

static void without_memory_a_job_is_refused(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one;
    long nth = 1;

    prepare(&one, loop, false);
    works_left = 1;
    for (harness_fail_allocation(nth);
         rota__pool_submit(&one.job, loop, ROTA__NAMES) == -ENOMEM;
         harness_fail_allocation(++nth)) {
        assert_int_equal(loop->job_count, 0);
        assert_int_equal(one.ended + one.released, 0);
    }
    harness_fail_allocation(-1);
    assert_in_range(nth, 2, 10);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_ended(&one, 1, false);
    rota_loop_free(loop);
}

static intptr_t look_at_signals(void *arg)
{
    sigset_t mask;

    (void)arg;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) &&
                   sigismember(&mask, SIGCHLD) && sigismember(&mask, SIGUSR1)
               ? 7
               : -EIO;
}

static void signals_do_not_go_to_the_pools_threads(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct work one;

    prepare(&one, loop, false);
    one.job.call.function = look_at_signals;
    works_left = 1;
    assert_int_equal(rota__pool_submit(&one.job, loop, ROTA__NAMES), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_ended(&one, 1, false);
    rota_loop_free(loop);
}

/* A virtual clock must not jump while the answer of a thread is due. */
static void virtual_time_stands_still_while_a_job_works(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    struct work one;

    rota_call_later(loop, NULL, 1000, must_not_run, NULL);
    submit(&one, 1, true, loop);
    open_gate();
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_ended(&one, 1, false);
    rota_loop_free(loop);
}

/* Names that hang must hold up neither files nor an application's calls. */
static void each_kind_has_threads_of_its_own(void)
{
    const enum rota__pool_kind others[] = {ROTA__FILES, ROTA__DEFAULT};
    rota_loop *loop = new_loop_in_real_time();
    struct work names[MOST];
    struct work other[2];

    submit(names, MOST, true, loop);
    see_waiting(MOST);
    works_left = 2;
    for (int i = 0; i < 2; i++) {
        prepare(&other[i], loop, false);
        assert_int_equal(rota__pool_submit(&other[i].job, loop, others[i]), 0);
    }
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_ended(other, 2, false);
    assert_int_equal(loop->job_count, MOST);
    open_gate();
    rota_loop_free(loop);
    assert_ended(names, MOST, true);
}

static void a_closed_loop_takes_no_job(void)
{
    rota_loop *loop = new_loop();
    struct work one;

    assert_int_equal(rota_loop_close(loop), 0);
    prepare(&one, loop, false);
    assert_int_equal(rota__pool_submit(&one.job, loop, ROTA__NAMES),
                     -ROTA_ECLOSED);
    assert_int_equal(rota__job_submit(&one.job, loop, NULL), -ROTA_ECLOSED);
    rota_loop_free(loop);
}

HARNESS_MAIN(TEST(a_job_works_on_another_thread_and_ends_on_the_loops),
             TEST(jobs_run_at_the_same_time_but_not_more_than_eight),
             TEST(a_thousand_jobs_are_each_done_once),
             TEST(a_job_can_be_submitted_again_when_it_is_released),
             TEST(a_job_that_waits_can_be_cancelled),
             TEST(closing_waits_for_running_jobs_and_drops_all),
             TEST(closing_drops_a_job_whose_end_was_not_seen),
             TEST(closing_an_idle_pool_ends_its_threads),
             TEST(who_is_dropped_may_cancel_others),
             TEST(without_memory_a_job_is_refused),
             TEST(signals_do_not_go_to_the_pools_threads),
             TEST(virtual_time_stands_still_while_a_job_works),
             TEST(each_kind_has_threads_of_its_own),
             TEST(a_closed_loop_takes_no_job))
