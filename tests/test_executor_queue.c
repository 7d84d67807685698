/* SPDX-License-Identifier: MIT */
/*
 * An application's own executor that keeps a queue
 *
 * What it takes lies there until the test, or a thread, makes the calls, the
 * last one first. It comes in two kinds: one takes a job out of its queue when
 * its caller has gone, one finds that out when it begins the job.
 */
#include "executors.h"

#include <sched.h>

struct stack {
    rota_executor executor;
    pthread_mutex_t lock;
    rota_job *top; /* the next below by its data */
    int depth;
};

static struct stack *stack_of(rota_executor *executor)
{
    return (struct stack *)executor;
}

static int push(rota_executor *executor, rota_job *job)
{
    struct stack *stack = stack_of(executor);

    pthread_mutex_lock(&stack->lock);
    job->data = stack->top;
    stack->top = job;
    stack->depth++;
    pthread_mutex_unlock(&stack->lock);
    return 0;
}

static rota_job *pop(struct stack *stack)
{
    rota_job *job;

    pthread_mutex_lock(&stack->lock);
    job = stack->top;
    if (job) {
        stack->top = job->data;
        stack->depth--;
    }
    pthread_mutex_unlock(&stack->lock);
    return job;
}

static void unlink_job(struct stack *stack, rota_job *above, rota_job *job)
{
    if (above)
        above->data = job->data;
    else
        stack->top = job->data;
    stack->depth--;
}

static bool take_out(rota_executor *executor, rota_job *job)
{
    struct stack *stack = stack_of(executor);
    rota_job *above = NULL;
    rota_job *at;

    pthread_mutex_lock(&stack->lock);
    for (at = stack->top; at && at != job; at = at->data)
        above = at;
    if (at)
        unlink_job(stack, above, job);
    pthread_mutex_unlock(&stack->lock);
    return at != NULL;
}

/* True if there was one. */
static bool run_one(struct stack *stack)
{
    rota_job *job = pop(stack);

    if (job && rota_job_begin(job))
        rota_job_end(job, rota_job_run(job));
    return job != NULL;
}

static void *run_all(void *stack)
{
    while (run_one(stack))
        ;
    return NULL;
}

static int end_stack(rota_executor *executor, bool wait, bool cancel)
{
    struct stack *stack = stack_of(executor);
    rota_job *job;

    note("shutdown(%d,%d)", wait, cancel);
    while (cancel && (job = pop(stack)) != NULL)
        if (rota_job_begin(job))
            rota_job_end(job, -ECANCELED);
    return 0;
}

static void free_stack(rota_executor *executor)
{
    note("free(%d)", stack_of(executor)->depth);
}

static const rota_executor_ops attentive_ops = {
    .submit = push,
    .cancel = take_out,
    .shutdown = end_stack,
    .free = free_stack,
};
static const rota_executor_ops careless_ops = {
    .submit = push,
    .shutdown = end_stack,
    .free = free_stack,
};

static struct stack attentive = {
    {&attentive_ops}, PTHREAD_MUTEX_INITIALIZER, NULL, 0};
static struct stack careless = {
    {&careless_ops}, PTHREAD_MUTEX_INITIALIZER, NULL, 0};

/* --- Its own order ------------------------------------------------------ */

static intptr_t note_it(void *word)
{
    note("%s", (const char *)word);
    return 0;
}

static intptr_t call_three(void *arg)
{
    struct stack *stack = arg;
    struct call three[3] = {
        {&stack->executor, note_it, "a", 0, NULL, 0},
        {&stack->executor, note_it, "b", 0, NULL, 0},
        {&stack->executor, note_it, "c", 0, NULL, 0},
    };
    rota_task tasks[3];
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        tasks[i] = start(run_call, &three[i]);
    pass_turns(1);
    assert_int_equal(stack->depth, 3);
    thread = start_thread(run_all, stack);
    assert_int_equal(rota_gather(tasks, 3, NULL, false), 0);
    pthread_join(thread, NULL);
    return 0;
}

static void an_executor_has_its_own_order(void)
{
    assert_int_equal(run_virtually(call_three, &attentive), 0);
    assert_int_equal(run_virtually(call_three, &careless), 0);
    assert_noted("c b a c b a");
}

/* --- Cancelling --------------------------------------------------------- */

/* Returns how many lie in the queue after the cancellation. */
static intptr_t cancel_the_middle(void *arg)
{
    struct stack *stack = arg;
    char text[9] = "12345678";
    struct call three[3] = {
        {&stack->executor, return_arg, (void *)1, 0, NULL, 0},
        {&stack->executor, must_not_begin, text, 9, NULL, 0},
        {&stack->executor, return_arg, (void *)3, 0, NULL, 0},
    };
    rota_task tasks[3];
    intptr_t results[3];
    int depth;

    for (int i = 0; i < 3; i++)
        tasks[i] = start(run_call, &three[i]);
    pass_turns(1);
    rota_task_cancel(tasks[1]);
    pass_turns(2);
    depth = stack->depth;
    run_all(stack);
    assert_int_equal(rota_gather(tasks, 3, results, true), 0);
    assert_int_equal(results[0], 1);
    assert_int_equal(results[1], -ECANCELED);
    assert_int_equal(results[2], 3);
    return depth;
}

static void an_executor_may_forget_what_nobody_waits_for(void)
{
    assert_int_equal(run_virtually(cancel_the_middle, &attentive), 2);
}

static void an_executor_may_find_out_when_it_begins(void)
{
    assert_int_equal(run_virtually(cancel_the_middle, &careless), 3);
}

static void cancel_a_future_in(struct stack *stack)
{
    rota_concurrent_future *futures[2];

    for (intptr_t i = 0; i < 2; i++)
        futures[i] = submit(&stack->executor, return_arg, (void *)i);
    assert_true(rota_concurrent_future_cancel(futures[0]));
    run_all(stack);
    assert_int_equal(result_of(futures[0]), -ECANCELED);
    assert_int_equal(result_of(futures[1]), 1);
}

static void a_future_can_be_cancelled_with_either_kind(void)
{
    cancel_a_future_in(&attentive);
    cancel_a_future_in(&careless);
}

/* The executor still has the job when its future is gone. */
static void a_cancelled_future_may_be_freed_before_its_job(void)
{
    rota_concurrent_future *future =
        submit(&careless.executor, must_not_begin, NULL);

    assert_true(rota_concurrent_future_cancel(future));
    rota_concurrent_future_free(future);
    assert_int_equal(careless.depth, 1);
    run_all(&careless);
}

/* Begun, cancelled by its task, and then ended. */
static intptr_t cancel_what_has_begun(void *arg)
{
    struct stack *stack = arg;
    char text[16] = "mine";
    struct call call = {&stack->executor, return_arg, text, 16, NULL, 0};
    rota_task task = start(run_call, &call);
    rota_job *job;

    pass_turns(1);
    job = pop(stack);
    assert_true(rota_job_begin(job));
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    strcpy(job->arg, "theirs");
    assert_true(rota_job_run(job) == (intptr_t)job->arg);
    rota_job_end(job, 0);
    pass_turns(2);
    assert_string_equal(text, "mine");
    return 0;
}

static void what_has_begun_ends_with_nobody_there(void)
{
    assert_int_equal(run_virtually(cancel_what_has_begun, &attentive), 0);
    assert_int_equal(run_virtually(cancel_what_has_begun, &careless), 0);
}

/* --- Loops that close --------------------------------------------------- */

static rota_job *begun_job;

/* Leaves one job that was begun and one that waits. */
static void close_a_loop_over(struct stack *stack)
{
    char text[9] = "12345678";
    struct call two[2] = {
        {&stack->executor, return_arg, text, 9, "gone", 0},
        {&stack->executor, must_not_begin, NULL, 0, "gone", 0},
    };
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rota_loop_create_task(loop, &task, run_call, &two[i]),
                         0);
        assert_int_equal(rota_detach(task), 0);
        rota_loop_stop(loop);
        assert_int_equal(rota_loop_run_forever(loop), 0);
        if (i == 0)
            begun_job = pop(stack);
    }
    assert_true(rota_job_begin(begun_job));
    rota_loop_free(loop);
    memset(two, 0xEE, sizeof two);
}

static void end_the_begun_job(void)
{
    assert_string_equal(begun_job->arg, "12345678");
    rota_job_end(begun_job, rota_job_run(begun_job));
}

static void a_loop_that_closes_takes_back_what_waits(void)
{
    close_a_loop_over(&attentive);
    assert_int_equal(attentive.depth, 0);
    end_the_begun_job();
    assert_noted("");
}

static void a_loop_that_closes_leaves_jobs_that_need_not_begin(void)
{
    close_a_loop_over(&careless);
    assert_int_equal(careless.depth, 1);
    run_all(&careless);
    end_the_begun_job();
    assert_noted("");
}

/* --- Its end ------------------------------------------------------------ */

static void shutdown_and_free_are_the_executors(void)
{
    rota_concurrent_future *future =
        submit(&attentive.executor, must_not_begin, NULL);

    assert_int_equal(rota_executor_shutdown(&attentive.executor, false, false),
                     0);
    assert_false(rota_concurrent_future_done(future));
    assert_int_equal(rota_executor_shutdown(&attentive.executor, true, true),
                     0);
    assert_int_equal(result_of(future), -ECANCELED);
    assert_noted("shutdown(0,0) shutdown(1,1)");
    rota_executor_free(&attentive.executor);
    assert_non_null(strstr(scenario_line, "free(0)"));
}

/* --- Many, in every way ------------------------------------------------- */

struct drainer {
    struct stack *stack;
    atomic_bool ends;
};

static void *drain(void *arg)
{
    struct drainer *drainer = arg;

    while (run_one(drainer->stack) || !atomic_load(&drainer->ends))
        sched_yield();
    return NULL;
}

static intptr_t call_and_cancel(void *arg)
{
    struct stack *stack = arg;

    for (int round = 0; round < 50; round++) {
        struct call many[8];
        rota_task tasks[8];
        char blocks[8][16] = {""};

        for (int i = 0; i < 8; i++) {
            many[i] = (struct call){
                &stack->executor, count_calls, blocks[i], 16, NULL, 0};
            tasks[i] = start(run_call, &many[i]);
        }
        pass_turns(1 + round % 3);
        for (int i = 0; i < 8; i += 2)
            rota_task_cancel(tasks[i]);
        assert_int_equal(rota_gather(tasks, 8, NULL, true), 0);
        for (int i = 1; i < 8; i += 2)
            assert_true(many[i].result != -ECANCELED);
    }
    return 0;
}

static void cancel_under_threads(struct stack *stack)
{
    struct drainer drainer = {.stack = stack};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        threads[i] = start_thread(drain, &drainer);
    assert_int_equal(run_virtually(call_and_cancel, stack), 0);
    atomic_store(&drainer.ends, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(stack->depth, 0);
}

static void a_cancellation_may_meet_a_begin(void)
{
    cancel_under_threads(&attentive);
    cancel_under_threads(&careless);
}

HARNESS_MAIN(TEST(an_executor_has_its_own_order),
             TEST(an_executor_may_forget_what_nobody_waits_for),
             TEST(an_executor_may_find_out_when_it_begins),
             TEST(a_future_can_be_cancelled_with_either_kind),
             TEST(a_cancelled_future_may_be_freed_before_its_job),
             TEST(what_has_begun_ends_with_nobody_there),
             TEST(a_loop_that_closes_takes_back_what_waits),
             TEST(a_loop_that_closes_leaves_jobs_that_need_not_begin),
             TEST(shutdown_and_free_are_the_executors),
             TEST(a_cancellation_may_meet_a_begin))
