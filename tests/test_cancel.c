/* SPDX-License-Identifier: MIT */
/*
 * Cancelling a task in each of its states
 *
 * What is asserted here was compared with CPython's asyncio, but for the
 * names of errors.
 */
#include "scenario.h"

static int runs;

static intptr_t count_run(void *arg)
{
    runs++;
    return (intptr_t)arg;
}

/* --- Before it waits ---------------------------------------------------- */

static intptr_t cancel_new(void *arg)
{
    rota_task task = start(count_run, arg);

    assert_int_equal(rota_task_cancel(task), 1);
    assert_false(rota_task_done(task));
    return rota_await(task);
}

static void a_task_cancelled_before_it_began_never_runs(void)
{
    assert_int_equal(run_virtually(cancel_new, NULL), -ECANCELED);
    assert_int_equal(runs, 0);
}

static intptr_t cancel_and_uncancel_new(void *arg)
{
    rota_task task = start(count_run, arg);

    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_uncancel(task), 1);
    assert_int_equal(rota_task_uncancel(task), 0);
    return rota_await(task);
}

static void a_request_taken_back_before_it_was_delivered_never_is(void)
{
    assert_int_equal(run_virtually(cancel_and_uncancel_new, (void *)3), 3);
    assert_int_equal(runs, 1);
}

static intptr_t cancel_done(void *arg)
{
    rota_task task = start(count_run, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 0);
    assert_int_equal(rota_task_cancelling(task), 0);
    return rota_await(task);
}

static void a_done_task_cannot_be_cancelled(void)
{
    assert_int_equal(run_virtually(cancel_done, (void *)5), 5);
}

static intptr_t yield_once(void *arg)
{
    int err = rota_sleep(0);

    return err < 0 ? err : (intptr_t)arg;
}

static intptr_t cancel_ready(void *arg)
{
    rota_task task = start(yield_once, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_ready_task_is_told_when_it_goes_on(void)
{
    assert_int_equal(run_virtually(cancel_ready, NULL), -ECANCELED);
}

/* --- Sleeping ----------------------------------------------------------- */

static intptr_t cancel_sleeping(void *arg)
{
    rota_task task = start(sleep_for_ever, (void *)"told");
    double before = now();

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    note("asked");
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_true(now() - before < 1);
    return 0;
}

static void a_sleeping_task_is_told_at_once(void)
{
    scenario(cancel_sleeping);
    assert_noted("asked told");
}

static void cancel_it(void *task)
{
    note("%d", rota_task_cancel(*(rota_task *)task));
}

static intptr_t sleep_five(void *arg)
{
    int err = rota_sleep(5);

    (void)arg;
    note("%d", err == -ECANCELED);
    return err;
}

/* The sleeper's timer is due in the same turn, behind the callback. */
static intptr_t cancel_while_the_timer_is_due(void *arg)
{
    rota_task task;

    (void)arg;
    assert_int_equal(
        rota_call_later(rota_get_running_loop(), NULL, 5, cancel_it, &task), 0);
    task = start(sleep_five, NULL);
    assert_int_equal(rota_await(task), -ECANCELED);
    return rota_sleep(1);
}

static void a_cancel_beats_a_timer_that_is_due_in_the_same_turn(void)
{
    scenario(cancel_while_the_timer_is_due);
    assert_noted("1 1");
}

/* Here the timer has woken the task already, and the cancel comes after. */
static intptr_t cancel_after_the_timer(void *arg)
{
    rota_task task = start(sleep_five, NULL);

    (void)arg;
    pass_turns(1);
    assert_int_equal(
        rota_call_later(rota_get_running_loop(), NULL, 5, cancel_it, &task), 0);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static void a_cancel_after_the_wake_up_wins(void)
{
    scenario(cancel_after_the_timer);
    assert_noted("1 1");
}

static intptr_t cancel_in_other_order(void *arg)
{
    const char *names[] = {"0", "1", "2"};
    rota_task tasks[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = start(sleep_for_ever, (void *)names[i]);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(tasks[2]), 1);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    return rota_gather(tasks, 3, NULL, true);
}

static void cancelled_tasks_wake_in_the_order_of_the_requests(void)
{
    scenario(cancel_in_other_order);
    assert_noted("2 0 1");
}

/* --- Waiting for others ------------------------------------------------- */

static rota_task child;

static intptr_t clean_up_slowly(void *arg)
{
    int err = rota_sleep(100);

    note("child-told");
    assert_int_equal(err, -ECANCELED);
    assert_int_equal(rota_sleep(3), 0);
    note("child-done");
    return arg ? (intptr_t)arg : err;
}

static intptr_t await_child(void *arg)
{
    intptr_t result;

    child = start(clean_up_slowly, arg);
    result = rota_await(child);
    note("parent");
    return result;
}

static intptr_t cancel_parent(void *arg)
{
    rota_task parent = start(await_child, arg);
    double before = now();
    intptr_t result;

    pass_turns(2);
    assert_int_equal(rota_task_cancel(parent), 1);
    assert_int_equal(rota_task_cancelling(child), 1);
    result = rota_await(parent);
    assert_true(now() - before >= 3 - 1e-6 && now() - before < 100);
    return result;
}

static void cancelling_an_awaiter_cancels_and_awaits_its_child(void)
{
    assert_int_equal(run_virtually(cancel_parent, NULL), -ECANCELED);
    assert_noted("child-told child-done parent");
}

static void a_child_that_ends_well_saves_its_awaiter(void)
{
    assert_int_equal(run_virtually(cancel_parent, (void *)8), 8);
    assert_noted("child-told child-done parent");
}

static intptr_t return_soon(void *arg)
{
    return (intptr_t)arg;
}

static intptr_t await_quick_child(void *arg)
{
    intptr_t result = rota_await(start(return_soon, arg));

    note("%d", result == -ECANCELED);
    return result;
}

/* The child is done, its awaiter ready but not yet run. */
static intptr_t cancel_woken_parent(void *arg)
{
    rota_task parent = start(await_quick_child, arg);

    pass_turns(2);
    assert_int_equal(rota_task_cancel(parent), 1);
    return rota_await(parent);
}

static void a_cancel_after_the_childs_end_wins_over_its_result(void)
{
    assert_int_equal(run_virtually(cancel_woken_parent, (void *)8), -ECANCELED);
    assert_noted("1");
}

static intptr_t shrug_off_two(void *arg)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rota_sleep(5), -ECANCELED);
        note("x%d", rota_task_cancelling(rota_current_task()));
    }
    assert_int_equal(rota_sleep(0), 0);
    return (intptr_t)arg;
}

static intptr_t await_shrugging(void *arg)
{
    return rota_await(start(shrug_off_two, arg));
}

static intptr_t cancel_twice(void *arg)
{
    rota_task parent = start(await_shrugging, (void *)7);

    (void)arg;
    pass_turns(2);
    assert_int_equal(rota_task_cancel(parent), 1);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(parent), 1);
    assert_int_equal(rota_task_cancelling(parent), 2);
    return rota_await(parent) - 7;
}

static void each_request_reaches_the_child(void)
{
    scenario(cancel_twice);
    assert_noted("x1 x2");
}

static intptr_t wait_for_it(void *future)
{
    return rota_await_future(future, NULL);
}

static intptr_t cancel_waiting_for_future(void *arg)
{
    rota_future future;
    rota_task tasks[2];
    intptr_t results[2];

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    tasks[0] = start(wait_for_it, &future);
    tasks[1] = start(wait_for_it, &future);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    assert_true(rota_future_cancelled(&future));
    assert_int_equal(rota_gather(tasks, 2, results, true), 0);
    assert_int_equal(results[0], -ECANCELED);
    assert_int_equal(results[1], -ECANCELED);
    rota_future_fini(&future);
    return 0;
}

static void cancelling_a_task_cancels_the_future_it_waits_for(void)
{
    scenario(cancel_waiting_for_future);
}

static intptr_t cancel_after_the_future(void *arg)
{
    rota_future future;
    rota_task task;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    task = start(wait_for_it, &future);
    pass_turns(1);
    assert_int_equal(rota_future_set_result(&future, 1), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_false(rota_future_cancelled(&future));
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_future_fini(&future);
    return 0;
}

static void a_cancel_after_the_futures_end_wins_and_leaves_the_future(void)
{
    scenario(cancel_after_the_future);
}

/* --- Itself ------------------------------------------------------------- */

static intptr_t cancel_self(void *arg)
{
    rota_task done = start(return_soon, (void *)1);

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    note("goes-on");
    assert_int_equal(rota_await(done), 1); /* this did not have to wait */
    assert_int_equal(rota_sleep(5), -ECANCELED);
    assert_int_equal(rota_sleep(5), 0);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 1);
    return 0;
}

static void a_task_that_cancels_itself_is_told_by_its_next_wait_once(void)
{
    scenario(cancel_self);
    assert_noted("goes-on");
}

static intptr_t cancel_self_then(void *how)
{
    rota_future future;
    rota_task sleeper = start(sleep_for_ever, (void *)"child");
    int err = 0;

    pass_turns(1);
    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    switch (*(const char *)how) {
    case 'y':
        err = rota_sleep(0);
        break;
    case 'f':
        err = rota_await_future(&future, NULL);
        assert_true(rota_future_cancelled(&future));
        break;
    case 's':
        err = (int)rota_shield(sleeper);
        break;
    case 'g':
        err = rota_gather(&sleeper, 1, NULL, false);
        break;
    default:
        err = (int)rota_await(sleeper);
        break;
    }
    note("%s:%d", (const char *)how, err == -ECANCELED);
    rota_future_fini(&future);
    return rota_sleep(1);
}

static void the_next_wait_may_be_of_any_kind(void)
{
    assert_int_equal(run_virtually(cancel_self_then, (void *)"yield"), 0);
    assert_int_equal(run_virtually(cancel_self_then, (void *)"future"), 0);
    assert_int_equal(run_virtually(cancel_self_then, (void *)"shield"), 0);
    assert_noted("yield:1 child future:1 child shield:1 child");
    assert_int_equal(run_virtually(cancel_self_then, (void *)"gather"), 0);
    assert_int_equal(run_virtually(cancel_self_then, (void *)"await"), 0);
    assert_noted("child gather:1 child await:1");
}

static intptr_t cancel_self_and_return(void *arg)
{
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    return (intptr_t)arg;
}

static void a_task_that_waits_no_more_is_never_told(void)
{
    assert_int_equal(run_virtually(cancel_self_and_return, (void *)6), 6);
}

/* --- Counting, swallowing, cleaning up ---------------------------------- */

static intptr_t shrug_off(void *arg)
{
    assert_int_equal(rota_sleep(5), -ECANCELED);
    note("x%d", rota_task_cancelling(rota_current_task()));
    assert_int_equal(rota_sleep(5), 0);
    return (intptr_t)arg;
}

static intptr_t count_requests(void *arg)
{
    rota_task task = start(shrug_off, (void *)2);

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_task_cancelling(task), 0);
    assert_int_equal(rota_task_uncancel(task), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancelling(task), 3);
    assert_int_equal(rota_task_uncancel(task), 2);
    assert_int_equal(rota_await(task), 2);
    return 0;
}

static void requests_are_counted_and_those_of_one_turn_delivered_as_one(void)
{
    scenario(count_requests);
    assert_noted("x2");
}

static intptr_t swallow(void *arg)
{
    assert_int_equal(rota_sleep(5), -ECANCELED);
    assert_int_equal(rota_sleep(5), 0);
    return (intptr_t)arg;
}

static intptr_t cancel_swallowing(void *arg)
{
    rota_task task = start(swallow, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    pass_turns(3);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancelling(task), 1);
    return rota_await(task);
}

static void a_swallowed_request_is_not_repeated(void)
{
    assert_int_equal(run_virtually(cancel_swallowing, (void *)4), 4);
}

static intptr_t clean_up(void *arg)
{
    rota_task other;

    assert_int_equal(rota_sleep(5), -ECANCELED);
    other = start(return_soon, arg);
    assert_int_equal(rota_await(other), (intptr_t)arg);
    assert_int_equal(rota_sleep(1), 0);
    note("cleaned");
    return -ECANCELED;
}

static intptr_t cancel_cleaning(void *arg)
{
    rota_task task = start(clean_up, arg);

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void cleanup_may_wait(void)
{
    assert_int_equal(run_virtually(cancel_cleaning, (void *)1), -ECANCELED);
    assert_noted("cleaned");
}

static intptr_t leave_cleaning(void *arg)
{
    (void)start(clean_up, arg);
    pass_turns(1);
    return 0;
}

static void so_it_may_while_the_run_ends(void)
{
    scenario(leave_cleaning);
    assert_noted("cleaned");
}

static intptr_t cancel_through_a_chain(void *arg)
{
    const int level = *(int *)arg;
    int below = level - 1;
    intptr_t result;

    if (level == 0)
        return sleep_for_ever((void *)"bottom");
    result = rota_await(start(cancel_through_a_chain, &below));
    note("%d", level);
    return result;
}

static intptr_t cancel_the_top(void *arg)
{
    int levels = 3;
    rota_task top = start(cancel_through_a_chain, &levels);

    (void)arg;
    pass_turns(5);
    assert_int_equal(rota_task_cancel(top), 1);
    assert_int_equal(rota_await(top), -ECANCELED);
    return 0;
}

static void a_request_goes_down_a_chain_and_its_answer_comes_up(void)
{
    scenario(cancel_the_top);
    assert_noted("bottom 1 2 3");
}

static void cancel_from_a_callback(void *task)
{
    assert_int_equal(rota_task_cancel(*(rota_task *)task), 1);
    assert_int_equal(rota_task_cancelling(*(rota_task *)task), 1);
}

static intptr_t call_to_cancel(void *arg)
{
    rota_task task = start(sleep_for_ever, arg);

    assert_int_equal(rota_call_later(rota_get_running_loop(), NULL, 1,
                                     cancel_from_a_callback, &task),
                     0);
    return rota_await(task);
}

static void a_callback_may_cancel(void)
{
    assert_int_equal(run_virtually(call_to_cancel, NULL), -ECANCELED);
}

HARNESS_MAIN(TEST(a_task_cancelled_before_it_began_never_runs),
             TEST(a_request_taken_back_before_it_was_delivered_never_is),
             TEST(a_done_task_cannot_be_cancelled),
             TEST(a_ready_task_is_told_when_it_goes_on),
             TEST(a_sleeping_task_is_told_at_once),
             TEST(a_cancel_beats_a_timer_that_is_due_in_the_same_turn),
             TEST(a_cancel_after_the_wake_up_wins),
             TEST(cancelled_tasks_wake_in_the_order_of_the_requests),
             TEST(cancelling_an_awaiter_cancels_and_awaits_its_child),
             TEST(a_child_that_ends_well_saves_its_awaiter),
             TEST(a_cancel_after_the_childs_end_wins_over_its_result),
             TEST(each_request_reaches_the_child),
             TEST(cancelling_a_task_cancels_the_future_it_waits_for),
             TEST(a_cancel_after_the_futures_end_wins_and_leaves_the_future),
             TEST(a_task_that_cancels_itself_is_told_by_its_next_wait_once),
             TEST(the_next_wait_may_be_of_any_kind),
             TEST(a_task_that_waits_no_more_is_never_told),
             TEST(requests_are_counted_and_those_of_one_turn_delivered_as_one),
             TEST(a_swallowed_request_is_not_repeated), TEST(cleanup_may_wait),
             TEST(so_it_may_while_the_run_ends),
             TEST(a_request_goes_down_a_chain_and_its_answer_comes_up),
             TEST(a_callback_may_cancel))
