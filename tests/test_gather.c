/* SPDX-License-Identifier: MIT */
/*
 * Gathering: all results in order, or the first error at once
 */
#include "scenario.h"

#include <stdlib.h>

static void start_all(rota_task *tasks, struct job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        tasks[i] = start(do_job, &jobs[i]);
}

static void assert_all_ended(const rota_task *tasks, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(rota_detach(tasks[i]), -ROTA_EAWAITED);
}

/* --- Results ------------------------------------------------------------ */

static intptr_t gather_three(void *arg)
{
    struct job jobs[] = {{3, 10, "a", 0}, {1, -5000, "b", 0}, {2, 30, "c", 0}};
    double before = now();
    rota_task tasks[3];
    intptr_t results[3];

    (void)arg;
    start_all(tasks, jobs, 3);
    assert_int_equal(rota_gather(tasks, 3, results, false), 0);
    assert_int_equal(results[0], 10);
    assert_int_equal(results[1], -5000);
    assert_int_equal(results[2], 30);
    assert_true(now() - before >= 3 - 1e-6 && now() - before < 3.1);
    assert_all_ended(tasks, 3);
    return 0;
}

static void results_come_in_the_order_of_the_tasks(void)
{
    scenario(gather_three);
    assert_noted("b c a");
}

static intptr_t gather_nothing(void *arg)
{
    rota_task t = start(ticker, (void *)"t");

    (void)arg;
    assert_int_equal(rota_gather(NULL, 0, NULL, false), 0);
    note("at-once");
    assert_int_equal(rota_task_cancel(t), 1);
    return rota_gather(&t, 1, NULL, true);
}

static void gathering_nothing_takes_no_turn(void)
{
    scenario(gather_nothing);
    assert_noted("at-once");
}

static intptr_t gather_done(void *arg)
{
    rota_task tasks[2] = {start(return_arg, (void *)1),
                          start(return_arg, (void *)2)};
    rota_task t = start(ticker, (void *)"t");
    intptr_t results[2];

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_gather(tasks, 2, results, false), 0);
    note("at-once");
    assert_int_equal(results[0] + results[1], 3);
    return rota_await(t);
}

static void gathering_done_tasks_takes_no_turn(void)
{
    scenario(gather_done);
    assert_noted("t0 at-once t1 t2 t3 t4 t5");
}

static intptr_t gather_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task c = start(return_arg, NULL);

    (void)arg;
    assert_int_equal(rota_gather(&c, 1, NULL, false), 0);
    note("gathered");
    return rota_await(t);
}

/* asyncio: the same line. The children wake a future, and that one us. */
static void the_gatherer_wakes_two_turns_after_the_last_end(void)
{
    scenario(gather_beside_a_ticker);
    assert_noted("t0 t1 t2 gathered t3 t4 t5");
}

static intptr_t gather_many(void *arg)
{
    enum { COUNT = 1000 };
    static struct job jobs[COUNT];
    static rota_task tasks[COUNT];
    static intptr_t results[COUNT];

    (void)arg;
    for (int i = 0; i < COUNT; i++)
        jobs[i] = (struct job){.seconds = i * 37 % 100, .result = i};
    start_all(tasks, jobs, COUNT);
    assert_int_equal(rota_gather(tasks, COUNT, results, false), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(results[i], i);
    return 0;
}

static void a_thousand_are_gathered(void)
{
    scenario(gather_many);
}

/* --- Errors ------------------------------------------------------------- */

static intptr_t gather_exceptions(void *arg)
{
    struct job jobs[] = {
        {3, 10, "a", 0}, {1, -EIO, "b", 0}, {2, -EPIPE, "c", 0}};
    rota_task tasks[3];
    intptr_t results[3];

    (void)arg;
    start_all(tasks, jobs, 3);
    assert_int_equal(rota_gather(tasks, 3, results, true), 0);
    note("gathered");
    assert_int_equal(results[0], 10);
    assert_int_equal(results[1], -EIO);
    assert_int_equal(results[2], -EPIPE);
    assert_all_ended(tasks, 3);
    return 0;
}

static void with_return_exceptions_errors_are_results(void)
{
    scenario(gather_exceptions);
    assert_noted("b c a gathered");
}

static intptr_t gather_first_error(void *arg)
{
    static struct job jobs[] = {
        {3, 10, "a", 0}, {1, -EIO, "b", 0}, {2, 20, "c", 0}};
    rota_task tasks[3];
    intptr_t results[3] = {7, 7, 7};

    (void)arg;
    start_all(tasks, jobs, 3);
    assert_int_equal(rota_gather(tasks, 3, results, false), -EIO);
    note("error");
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -EIO);
    assert_int_equal(results[2], 0);
    assert_all_ended(tasks, 3);
    assert_int_equal(rota_all_tasks(rota_get_running_loop(), NULL, 0), 3);
    return rota_sleep(5);
}

static void the_first_error_is_returned_at_once_and_the_others_go_on(void)
{
    scenario(gather_first_error);
    assert_noted("b error c a");
}

static intptr_t fail_and_note(void *arg)
{
    note("bad");
    return (intptr_t)arg;
}

static intptr_t fail_beside_tickers(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task tasks[2];

    (void)arg;
    tasks[0] = start(fail_and_note, (void *)-EIO);
    tasks[1] = start(ticker, (void *)"d");
    assert_int_equal(rota_gather(tasks, 2, NULL, false), -EIO);
    note("gathered");
    return rota_await(t);
}

/* asyncio: the same line, but for the end of d. */
static void the_gatherer_wakes_two_turns_after_the_first_error(void)
{
    scenario(fail_beside_tickers);
    assert_noted("t0 bad d0 t1 d1 t2 gathered d2 t3 d3 t4 d4 t5 d5");
}

static intptr_t gather_done_error(void *arg)
{
    rota_task tasks[3] = {start(ticker, (void *)"t"),
                          start(return_arg, (void *)-EPIPE),
                          start(return_arg, (void *)-EIO)};

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_gather(tasks, 3, NULL, false), -EPIPE);
    note("at-once");
    return 0;
}

static void an_error_that_is_there_already_takes_no_turn(void)
{
    scenario(gather_done_error);
    assert_noted("t0 at-once t1");
}

static intptr_t fail_later(void *arg)
{
    int err = rota_sleep(2);

    (void)arg;
    return err < 0 ? err : -EPIPE;
}

static void note_error(rota_loop *loop, const rota_exception_context *context,
                       void *arg)
{
    (void)loop;
    (void)arg;
    note("reported:%d", (int)context->error);
}

static intptr_t gather_two_errors(void *arg)
{
    rota_task tasks[2] = {start(fail_with_eio, NULL), start(fail_later, NULL)};

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), note_error, NULL);
    assert_int_equal(rota_gather(tasks, 2, NULL, false), -EIO);
    return rota_sleep(3);
}

static void an_error_after_the_first_goes_to_the_exception_handler(void)
{
    char expected[32];

    scenario(gather_two_errors);
    snprintf(expected, sizeof expected, "reported:%d", -EPIPE);
    assert_noted(expected);
}

static intptr_t gather_cancelled_child(void *arg)
{
    static struct job jobs[] = {{2, 1, "a", 0}, {3, 2, "b", 0}};
    rota_task tasks[2];
    intptr_t results[2];
    bool return_exceptions = arg != NULL;
    int err;

    start_all(tasks, jobs, 2);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    err = rota_gather(tasks, 2, results, return_exceptions);
    assert_int_equal(results[0], -ECANCELED);
    assert_int_equal(results[1], return_exceptions ? 2 : 0);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    assert_int_equal(rota_sleep(5), 0);
    return err;
}

static void a_cancelled_child_counts_as_an_error(void)
{
    assert_int_equal(run_virtually(gather_cancelled_child, NULL), -ECANCELED);
    assert_noted("a-cancelled b");
    assert_int_equal(run_virtually(gather_cancelled_child, (void *)1), 0);
    assert_noted("a-cancelled b");
}

/* --- Cancelling --------------------------------------------------------- */

static struct job three_jobs[] = {
    {1, 1, "a", 0}, {5, 2, "b", 0}, {6, 3, "c", 0}};

static intptr_t gather_jobs(void *return_exceptions)
{
    rota_task tasks[3];
    int err;

    start_all(tasks, three_jobs, 3);
    err = rota_gather(tasks, 3, NULL, return_exceptions != NULL);
    assert_all_ended(tasks, 3);
    note("gathered");
    return err;
}

static intptr_t cancel_gather(void *return_exceptions)
{
    rota_task task = start(gather_jobs, return_exceptions);

    assert_int_equal(rota_sleep(2), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_cancelled_gather_cancels_all_that_are_left(void)
{
    assert_int_equal(run_virtually(cancel_gather, NULL), -ECANCELED);
    assert_noted("a b-cancelled c-cancelled gathered");
    assert_int_equal(run_virtually(cancel_gather, (void *)1), -ECANCELED);
    assert_noted("a b-cancelled c-cancelled gathered");
}

static intptr_t shrug_off(void *arg)
{
    assert_int_equal(rota_sleep(5), -ECANCELED);
    return (intptr_t)arg;
}

static intptr_t gather_shrugging(void *arg)
{
    rota_task tasks[2] = {start(shrug_off, (void *)1),
                          start(shrug_off, (void *)2)};
    intptr_t results[2];
    int err = rota_gather(tasks, 2, results, arg != NULL);

    note("%d+%d", (int)results[0], (int)results[1]);
    return err;
}

static intptr_t cancel_shrugging(void *arg)
{
    rota_task task = start(gather_shrugging, arg);

    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_cancelled_gather_says_so_even_if_all_children_end_well(void)
{
    assert_int_equal(run_virtually(cancel_shrugging, NULL), -ECANCELED);
    assert_int_equal(run_virtually(cancel_shrugging, (void *)1), -ECANCELED);
    assert_noted("1+2 1+2");
}

static intptr_t gather_quick(void *arg)
{
    rota_task task = start(return_arg, arg);
    int err = rota_gather(&task, 1, NULL, true);

    note("%d", err == -ECANCELED);
    return err;
}

/* The child ends in the second turn; its gatherer runs again in the fourth. */
static intptr_t cancel_when_all_are_done(void *turns)
{
    rota_task task = start(gather_quick, NULL);

    pass_turns(*(int *)turns);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_cancel_between_the_end_and_the_wake_up_wins(void)
{
    for (int turns = 1; turns <= 3; turns++)
        assert_int_equal(run_virtually(cancel_when_all_are_done, &turns),
                         -ECANCELED);
    assert_noted("1 1 1");
}

static intptr_t gather_one_failing(void *arg)
{
    rota_task tasks[2] = {start(fail_with_eio, NULL),
                          start(sleep_for_ever, arg)};

    return rota_gather(tasks, 2, NULL, false);
}

/* asyncio: the error is there already, and it wins; the other is cancelled. */
static intptr_t cancel_after_the_error(void *arg)
{
    rota_task task = start(gather_one_failing, (void *)"sleeper");
    int turns = 2;

    (void)arg;
    pass_turns(turns);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void an_error_that_came_before_the_cancel_is_returned(void)
{
    assert_int_equal(run_virtually(cancel_after_the_error, NULL), -EIO);
    assert_noted("sleeper");
}

static rota_task ring[2];

static intptr_t await_the_gatherer(void *arg)
{
    (void)arg;
    return rota_await(ring[0]);
}

static intptr_t gather_its_awaiter(void *arg)
{
    (void)arg;
    return rota_gather(&ring[1], 1, NULL, false);
}

static intptr_t cancel_a_ring(void *arg)
{
    (void)arg;
    ring[0] = start(gather_its_awaiter, NULL);
    ring[1] = start(await_the_gatherer, NULL);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(ring[0]), 1);
    assert_int_equal(rota_task_cancel(ring[1]), 1);
    pass_turns(2);
    assert_false(rota_task_done(ring[0]));
    return 0;
}

static void note_left(rota_loop *loop, const rota_exception_context *context,
                      void *arg)
{
    (void)loop;
    (void)arg;
    note("%s", context->name);
}

/* It waits for ever, as it did; asyncio ends with a RecursionError. */
static void a_cancellation_goes_round_a_ring_once(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, cancel_a_ring, NULL),
                     0);
    rota_set_exception_handler(loop, note_left, NULL);
    rota_loop_free(loop);
    assert_noted("Task-2 Task-3");
}

/* --- Refusals ----------------------------------------------------------- */

static intptr_t gather_refused(void *arg)
{
    rota_task mine = start(return_arg, (void *)1);
    rota_task ended = start(return_arg, (void *)2);
    rota_task bad[2] = {mine, ended};

    (void)arg;
    assert_int_equal(rota_await(ended), 2);
    assert_int_equal(rota_gather(bad, 2, NULL, true), -ROTA_EAWAITED);
    bad[1] = mine;
    assert_int_equal(rota_gather(bad, 2, NULL, true), -ROTA_EAWAITED);
    bad[1] = (rota_task){0};
    assert_int_equal(rota_gather(bad, 2, NULL, true), -EINVAL);
    bad[1] = rota_current_task();
    assert_int_equal(rota_gather(bad, 2, NULL, true), -EDEADLK);
    return rota_await(mine);
}

static void a_refused_handle_leaves_the_other_tasks_alone(void)
{
    assert_int_equal(run_virtually(gather_refused, NULL), 1);
}

HARNESS_MAIN(TEST(results_come_in_the_order_of_the_tasks),
             TEST(gathering_nothing_takes_no_turn),
             TEST(gathering_done_tasks_takes_no_turn),
             TEST(the_gatherer_wakes_two_turns_after_the_last_end),
             TEST(a_thousand_are_gathered),
             TEST(with_return_exceptions_errors_are_results),
             TEST(the_first_error_is_returned_at_once_and_the_others_go_on),
             TEST(the_gatherer_wakes_two_turns_after_the_first_error),
             TEST(an_error_that_is_there_already_takes_no_turn),
             TEST(an_error_after_the_first_goes_to_the_exception_handler),
             TEST(a_cancelled_child_counts_as_an_error),
             TEST(a_cancelled_gather_cancels_all_that_are_left),
             TEST(a_cancelled_gather_says_so_even_if_all_children_end_well),
             TEST(a_cancel_between_the_end_and_the_wake_up_wins),
             TEST(an_error_that_came_before_the_cancel_is_returned),
             TEST(a_cancellation_goes_round_a_ring_once),
             TEST(a_refused_handle_leaves_the_other_tasks_alone))
