/* SPDX-License-Identifier: MIT */
/*
 * An application's own executors, by the public interface alone
 *
 * Three of them: one makes the call at once, inside of submit; one keeps what
 * it takes until somebody asks for it, the last first; one hands each job from
 * thread to thread.
 */
#include "executors.h"

#include <stdlib.h>

/* --- At once ------------------------------------------------------------ */

static int submit_at_once(rota_executor *executor, rota_job *job)
{
    (void)executor;
    if (rota_job_begin(job))
        rota_job_end(job, rota_job_run(job));
    return 0;
}

static const rota_executor_ops at_once_ops = {.submit = submit_at_once};
static rota_executor at_once = {&at_once_ops};

static intptr_t add_one(void *arg)
{
    ++*(int *)arg;
    return *(int *)arg;
}

static intptr_t call_at_once(void *arg)
{
    int number = 41;

    (void)arg;
    assert_int_equal(
        rota_run_in_executor(&at_once, add_one, &number, sizeof number), 42);
    assert_int_equal(number, 42);
    assert_int_equal(rota_run_in_executor(&at_once, fail_with_eio, NULL, 0),
                     -EIO);
    assert_int_equal(rota_run_in_executor(&at_once, this_thread, NULL, 0),
                     this_thread(NULL));
    return 0;
}

static void a_call_may_be_made_inside_of_submit(void)
{
    scenario(call_at_once);
}

static intptr_t tick_beside(void *arg)
{
    rota_task other = start(ticker, "t");

    (void)arg;
    note("%d", (int)rota_run_in_executor(&at_once, return_arg, (void *)1, 0));
    return rota_await(other);
}

static int end_at_once(rota_executor *executor, rota_job *job)
{
    (void)executor;
    rota_job_end(job, 7);
    return 0;
}

static intptr_t call_what_is_not_begun(void *arg)
{
    static const rota_executor_ops ops = {.submit = end_at_once};
    rota_executor careless = {&ops};

    (void)arg;
    return rota_run_in_executor(&careless, must_not_begin, NULL, 0);
}

static void a_job_that_is_ended_without_a_beginning_is_told(void)
{
    assert_int_equal(run_virtually(call_what_is_not_begun, NULL), 7);
}

/* One that makes its calls later, by the loop's own timers. */
struct delaying {
    rota_executor executor;
    rota_timer_handle timer;
    rota_job *job;
};

static void call_now(void *arg)
{
    struct delaying *self = arg;

    if (rota_job_begin(self->job))
        rota_job_end(self->job, rota_job_run(self->job));
}

static int submit_later(rota_executor *executor, rota_job *job)
{
    struct delaying *self = (struct delaying *)(void *)executor;

    self->job = job;
    return rota_call_later(rota_get_running_loop(), &self->timer, 0.05,
                           call_now, self);
}

static intptr_t call_later(void *arg)
{
    static const rota_executor_ops ops = {.submit = submit_later};
    struct delaying delaying = {.executor = {&ops}};

    return rota_run_in_executor(&delaying.executor, return_arg, arg, 0);
}

static void virtual_time_goes_on_for_ones_own_executor(void)
{
    assert_int_equal(run_virtually(call_later, (void *)3), 3);
}

/* As asyncio does, the task hears of it by a callback. */
static void what_was_done_at_once_is_told_in_a_later_turn(void)
{
    scenario(tick_beside);
    assert_non_null(strstr(scenario_line, "t0"));
    assert_true(strstr(scenario_line, "t0") < strstr(scenario_line, " 1"));
}

static intptr_t cancel_what_was_done(void *arg)
{
    int number = 41;
    struct call call = {&at_once, add_one, &number, sizeof number, NULL, 0};
    rota_task task = start(run_call, &call);

    (void)arg;
    assert_int_equal(rota_sleep(0), 0);
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static void what_was_done_but_not_told_can_be_cancelled(void)
{
    scenario(cancel_what_was_done);
}

static void a_future_of_a_call_made_at_once_is_done(void)
{
    rota_concurrent_future *future = submit(&at_once, return_arg, (void *)4);
    int number = 1;

    assert_true(rota_concurrent_future_done(future));
    assert_false(rota_concurrent_future_cancel(future));
    assert_int_equal(result_of(future), 4);
    assert_int_equal(
        rota_executor_submit(&at_once, &future, add_one, &number, 4), 0);
    assert_int_equal(result_of(future), 2);
    assert_int_equal(number, 2);
}

static intptr_t map_at_once(void *arg)
{
    int numbers[10] = {0};
    intptr_t results[10];

    (void)arg;
    assert_int_equal(rota_executor_map(&at_once, add_one, numbers, 10,
                                       sizeof *numbers, 3, results),
                     0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(numbers[i], 1);
        assert_int_equal(results[i], 1);
    }
    return 0;
}

static void an_own_executor_can_map(void)
{
    scenario(map_at_once);
}

/* What it has not is nothing to do. */
static void what_an_executor_does_not_give_is_nothing(void)
{
    assert_int_equal(rota_executor_shutdown(&at_once, true, true), 0);
    rota_executor_free(&at_once);
    rota_executor_free(NULL);
    assert_int_equal(result_of(submit(&at_once, return_arg, (void *)4)), 4);
}

static void a_loop_may_close_before_it_tells_what_was_done(void)
{
    struct call call = {&at_once, count_calls, NULL, 0, "gone", 0};
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_create_task(loop, &task, run_call, &call), 0);
    assert_int_equal(rota_detach(task), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(atomic_load(&calls), 1);
    rota_loop_free(loop);
    assert_noted("");
}

static rota_context_var color = ROTA_CONTEXT_VAR("color", "none");

static intptr_t note_color(void *arg)
{
    (void)arg;
    note("%s", (const char *)rota_context_var_get(&color));
    return 0;
}

static intptr_t use_the_default(void *arg)
{
    static char red[] = "red";

    (void)arg;
    assert_int_equal(
        rota_set_default_executor(rota_get_running_loop(), &at_once), 0);
    assert_int_equal(rota_context_var_set(&color, red, NULL), 0);
    assert_int_equal(rota_run_in_executor(NULL, this_thread, NULL, 0),
                     this_thread(NULL));
    assert_int_equal(rota_to_thread(note_color, NULL, 0), 0);
    assert_int_equal(rota_shutdown_default_executor(1), 0);
    return 0;
}

static void an_own_executor_may_be_the_default_one(void)
{
    scenario(use_the_default);
    assert_noted("red");
}

/* --- Those that refuse -------------------------------------------------- */

static int refuse(rota_executor *executor, rota_job *job)
{
    (void)executor;
    (void)job;
    return -EHOSTDOWN;
}

static const rota_executor_ops refusing_ops = {.submit = refuse};
static rota_executor refusing = {&refusing_ops};

static intptr_t be_refused(void *arg)
{
    char items[10] = "";
    char *text = items;

    (void)arg;
    assert_int_equal(rota_run_in_executor(&refusing, must_not_begin, text, 10),
                     -EHOSTDOWN);
    assert_int_equal(rota_run_in_executor(&refusing, must_not_begin, text, 0),
                     -EHOSTDOWN);
    assert_int_equal(
        rota_executor_map(&refusing, must_not_begin, items, 10, 1, 3, NULL),
        -EHOSTDOWN);
    return 0;
}

static void an_executor_may_refuse_a_job(void)
{
    rota_concurrent_future *future = NULL;
    char text[10] = "";

    assert_int_equal(rota_executor_submit(&refusing, &future, must_not_begin,
                                          text, sizeof text),
                     -EHOSTDOWN);
    assert_null(future);
    scenario(be_refused);
}

static int accepted;

/* Takes three, then no more. */
static int refuse_later(rota_executor *executor, rota_job *job)
{
    if (++accepted > 3)
        return -EHOSTDOWN;
    return submit_at_once(executor, job);
}

static const rota_executor_ops tiring_ops = {.submit = refuse_later};
static rota_executor tiring = {&tiring_ops};

static intptr_t map_until_refused(void *arg)
{
    int numbers[10] = {0};
    intptr_t results[10] = {0};

    (void)arg;
    assert_int_equal(rota_executor_map(&tiring, add_one, numbers, 10,
                                       sizeof *numbers, 2, results),
                     -EHOSTDOWN);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(numbers[i], i < 6 ? 1 : 0);
        assert_int_equal(results[i], i < 6 ? 1 : -EHOSTDOWN);
    }
    return 0;
}

static void what_is_refused_in_the_middle_of_a_map_has_an_error(void)
{
    scenario(map_until_refused);
    assert_true(accepted > 3);
}

/* --- One that does the work without the function ------------------------ */

static int compute(rota_executor *executor, rota_job *job)
{
    (void)executor;
    assert_true(job->function == must_not_begin);
    assert_int_equal(job->size, sizeof(int));
    if (!rota_job_begin(job))
        return 0;
    *(int *)job->arg *= 2;
    rota_job_end(job, 77);
    return 0;
}

static const rota_executor_ops computer_ops = {.submit = compute};
static rota_executor computer = {&computer_ops};

static intptr_t have_it_computed(void *arg)
{
    int number = 21;

    (void)arg;
    assert_int_equal(
        rota_run_in_executor(&computer, must_not_begin, &number, sizeof number),
        77);
    assert_int_equal(number, 42);
    return 0;
}

static void an_executor_may_answer_without_the_call(void)
{
    scenario(have_it_computed);
}

/* --- From thread to thread ---------------------------------------------- */

static void *end_elsewhere(void *arg)
{
    rota_job *job = arg;

    rota_job_end(job, (intptr_t)job->data);
    return NULL;
}

/* Begun on one thread, run on a second one, ended on a third. */
static void *run_elsewhere(void *arg)
{
    rota_job *job = arg;
    pthread_t thread;

    job->data = (void *)rota_job_run(job);
    thread = start_thread(end_elsewhere, job);
    pthread_join(thread, NULL);
    return NULL;
}

static void *begin_elsewhere(void *arg)
{
    rota_job *job = arg;

    if (rota_job_begin(job))
        pthread_join(start_thread(run_elsewhere, job), NULL);
    return NULL;
}

struct scattering {
    rota_executor executor;
    pthread_t threads[16];
    int count;
};

static int scatter(rota_executor *executor, rota_job *job)
{
    struct scattering *self = (struct scattering *)executor;

    self->threads[self->count++] = start_thread(begin_elsewhere, job);
    return 0;
}

static int gather_threads(rota_executor *executor, bool wait, bool cancel)
{
    struct scattering *self = (struct scattering *)executor;

    (void)cancel;
    while (wait && self->count > 0)
        pthread_join(self->threads[--self->count], NULL);
    return 0;
}

static const rota_executor_ops scattering_ops = {
    .submit = scatter,
    .shutdown = gather_threads,
};

static intptr_t call_scattered(void *executor)
{
    struct call many[10];
    rota_task tasks[10];
    intptr_t results[10];
    int numbers[10];

    for (int i = 0; i < 10; i++) {
        numbers[i] = i;
        many[i] =
            (struct call){executor, add_one, &numbers[i], sizeof(int), NULL, 0};
        tasks[i] = start(run_call, &many[i]);
    }
    assert_int_equal(rota_gather(tasks, 10, results, true), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(results[i], i + 1);
        assert_int_equal(numbers[i], i + 1);
    }
    return 0;
}

static void a_job_may_go_from_thread_to_thread(void)
{
    struct scattering scattering = {{&scattering_ops}, {0}, 0};

    assert_int_equal(run_virtually(call_scattered, &scattering.executor), 0);
    assert_int_equal(rota_executor_shutdown(&scattering.executor, true, false),
                     0);
    assert_int_equal(scattering.count, 0);
}

/* --- Calls that the executor gives up ----------------------------------- */

static int give_up(rota_executor *executor, rota_job *job)
{
    (void)executor;
    if (rota_job_begin(job))
        rota_job_end(job, -ECANCELED);
    return 0;
}

static const rota_executor_ops giving_up_ops = {.submit = give_up};
static rota_executor giving_up = {&giving_up_ops};

static intptr_t have_it_given_up(void *arg)
{
    (void)arg;
    assert_int_equal(rota_run_in_executor(&giving_up, must_not_begin, NULL, 0),
                     -ECANCELED);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return rota_sleep(1);
}

static void a_call_that_was_given_up_is_cancelled_and_its_task_is_not(void)
{
    scenario(have_it_given_up);
    assert_int_equal(result_of(submit(&giving_up, must_not_begin, NULL)),
                     -ECANCELED);
}

HARNESS_MAIN(TEST(a_job_that_is_ended_without_a_beginning_is_told),
             TEST(virtual_time_goes_on_for_ones_own_executor),
             TEST(a_call_may_be_made_inside_of_submit),
             TEST(what_was_done_at_once_is_told_in_a_later_turn),
             TEST(what_was_done_but_not_told_can_be_cancelled),
             TEST(a_future_of_a_call_made_at_once_is_done),
             TEST(an_own_executor_can_map),
             TEST(what_an_executor_does_not_give_is_nothing),
             TEST(a_loop_may_close_before_it_tells_what_was_done),
             TEST(an_own_executor_may_be_the_default_one),
             TEST(an_executor_may_refuse_a_job),
             TEST(what_is_refused_in_the_middle_of_a_map_has_an_error),
             TEST(an_executor_may_answer_without_the_call),
             TEST(a_job_may_go_from_thread_to_thread),
             TEST(a_call_that_was_given_up_is_cancelled_and_its_task_is_not))
