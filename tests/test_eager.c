/* SPDX-License-Identifier: MIT */
/*
 * Eager starts: tasks that begin inside the call that makes them
 */
#include "scenario.h"

static const rota_task_options eager = {.eager_start = true};

static rota_task start_now(rota_task_function *function, void *arg)
{
    rota_task task;

    assert_int_equal(rota_create_task_with(&task, &eager, function, arg), 0);
    return task;
}

/* Notes its name, yields `turns` times, notes it again. */
struct child {
    const char *name;
    int turns;
};

static intptr_t be_a_child(void *arg)
{
    const struct child *child = arg;

    note("%s-begins", child->name);
    for (int i = 0; i < child->turns; i++)
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    note("%s-ends", child->name);
    return 0;
}

/* In a loop where every task begins at once. */
static intptr_t run_eagerly(rota_task_function *function, void *arg)
{
    const rota_loop_options options = {
        .virtual_clock = true,
        .eager_start = true,
    };

    return rota_run_with(&options, function, arg);
}

/* --- Up to the first wait ----------------------------------------------- */

static intptr_t begin_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task;

    note("before");
    task = start_now(be_a_child, arg);
    note("after:%d", rota_task_done(task));
    assert_int_equal(rota_await(task), 0);
    note("awaited");
    return rota_await(t);
}

/* asyncio: the same lines. */
static void an_eager_task_runs_inside_the_call_up_to_its_first_wait(void)
{
    struct child child = {"c", 1};

    assert_int_equal(run_virtually(begin_beside_a_ticker, &child), 0);
    assert_noted("before c-begins after:0 t0 c-ends t1 awaited t2 t3 t4 t5");
    child.turns = 0;
    assert_int_equal(run_virtually(begin_beside_a_ticker, &child), 0);
    assert_noted("before c-begins c-ends after:1 awaited t0 t1 t2 t3 t4 t5");
}

static intptr_t give_and_fail(void *arg)
{
    rota_task good = start_now(return_arg, (void *)-5000);
    rota_task bad = start_now(fail_with_eio, NULL);

    (void)arg;
    assert_true(rota_task_done(good));
    assert_true(rota_task_done(bad));
    assert_int_equal(rota_task_cancel(good), 0);
    assert_int_equal(rota_await(good), -5000);
    assert_int_equal(rota_await(bad), -EIO);
    return 0;
}

/* CPython: test_eager_completion, test_cancellation_after_eager_completion. */
static void one_that_does_not_wait_is_done_when_the_call_returns(void)
{
    scenario(give_and_fail);
}

static intptr_t make_ready(void *arg)
{
    static struct child child = {"c", 1};
    rota_loop *loop = rota_get_running_loop();
    rota_task task;

    (void)arg;
    assert_int_equal(
        rota_call_soon(loop, NULL, note_callback, (void *)"before"), 0);
    task = start_now(be_a_child, &child);
    assert_int_equal(rota_call_soon(loop, NULL, note_callback, (void *)"after"),
                     0);
    return rota_await(task);
}

/* asyncio: the same line. */
static void what_it_makes_ready_stands_where_it_was_begun(void)
{
    scenario(make_ready);
    assert_noted("c-begins before c-ends after");
}

static intptr_t begin_some_later(void *arg)
{
    static struct child children[] = {{"lazy", 0}, {"now", 2}, {"late", 1}};
    rota_task tasks[3];

    (void)arg;
    tasks[0] = start(be_a_child, &children[0]);
    tasks[1] = start_now(be_a_child, &children[1]);
    tasks[2] = start(be_a_child, &children[2]);
    note("main");
    return rota_gather(tasks, 3, NULL, false);
}

/* asyncio: the same line. */
static void tasks_of_both_kinds_live_together(void)
{
    scenario(begin_some_later);
    assert_noted("now-begins main lazy-begins lazy-ends late-begins now-ends "
                 "late-ends");
}

static intptr_t be_in_the_middle(void *arg)
{
    static struct child child = {"in", 1};
    rota_task task;

    (void)arg;
    note("mid-begins");
    task = start_now(be_a_child, &child);
    note("mid-made");
    assert_int_equal(rota_await(task), 0);
    note("mid-ends");
    return 0;
}

static intptr_t nest(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_now(be_in_the_middle, arg);

    note("main");
    assert_int_equal(rota_await(task), 0);
    note("over");
    return rota_await(t);
}

/* asyncio: the same line. */
static void eager_starts_nest(void)
{
    scenario(nest);
    assert_noted("mid-begins in-begins mid-made main t0 in-ends t1 mid-ends t2 "
                 "over t3 t4 t5");
}

static intptr_t begin_another(void *depth)
{
    intptr_t left = (intptr_t)depth;

    if (left == 0)
        return rota_sleep(1);
    return rota_await(start_now(begin_another, (void *)(left - 1))) + 1;
}

static void a_hundred_eager_starts_nest(void)
{
    assert_int_equal(run_virtually(begin_another, (void *)100), 100);
}

/* CPython: test_recursive_taskgroups, test_recursive_gather. */
static intptr_t grow(void *depth)
{
    intptr_t left = (intptr_t)depth;
    rota_task_group group;
    rota_task tasks[5];
    int err = left == 0 ? 0 : rota_task_group_begin(&group);

    if (left == 0)
        return 0;
    for (int i = 0; i < 5 && err == 0; i++)
        err =
            rota_task_group_create_task(&group, grow, (void *)(left - 1), NULL);
    if (rota_task_group_end(&group, err) < 0)
        return -EIO;
    for (int i = 0; i < 5; i++)
        tasks[i] = start(grow, (void *)(left - 1));
    return rota_gather(tasks, 5, NULL, false);
}

static void trees_of_groups_and_gathers_grow_eagerly(void)
{
    assert_int_equal(run_eagerly(grow, (void *)3), 0);
}

/* --- Cancelling --------------------------------------------------------- */

static intptr_t cancel_at_once(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_now(sleep_for_ever, (void *)"cancelled");

    (void)arg;
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_task_cancelling(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    note("awaited");
    return rota_await(t);
}

/* asyncio: the same line. */
static void one_that_is_cancelled_at_once_has_begun_and_is_told(void)
{
    scenario(cancel_at_once);
    assert_noted("t0 cancelled t1 awaited t2 t3 t4 t5");
}

static intptr_t cancel_the_creator(void *creator)
{
    assert_int_equal(rota_task_cancel(*(rota_task *)creator), 1);
    assert_int_equal(rota_sleep(0), 0);
    note("child");
    return 0;
}

static intptr_t be_cancelled_by_a_child(void *arg)
{
    rota_task self = rota_current_task();
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_now(cancel_the_creator, &self);

    (void)arg;
    note("still");
    assert_int_equal(rota_sleep(1), -ECANCELED);
    note("cancelled");
    assert_int_equal(rota_task_uncancel(self), 0);
    assert_int_equal(rota_await(task), 0);
    return rota_await(t);
}

/* asyncio: the same line. */
static void a_child_may_cancel_its_maker_whose_next_wait_is_told(void)
{
    scenario(be_cancelled_by_a_child);
    assert_noted("still t0 child cancelled t1 t2 t3 t4 t5");
}

static intptr_t cancel_itself(void *arg)
{
    int err;

    (void)arg;
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    note("asked");
    err = rota_sleep(0);
    note("told:%d", err == -ECANCELED);
    return err;
}

static intptr_t await_its_own_cancel(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_now(cancel_itself, arg);

    note("main");
    assert_int_equal(rota_await(task), -ECANCELED);
    note("awaited");
    return rota_await(t);
}

/* asyncio: the same line. */
static void one_that_cancels_itself_is_told_by_its_first_wait(void)
{
    scenario(await_its_own_cancel);
    assert_noted("asked main t0 told:1 t1 awaited t2 t3 t4 t5");
}

static intptr_t time_out_at_once(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    (void)rota_timeout_begin(&timeout, 0);
    assert_int_equal(rota_timeout_end(&timeout, rota_sleep(1)), -ETIMEDOUT);
    note("timeout");
    return 0;
}

static intptr_t begin_with_a_timeout(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_now(time_out_at_once, arg);

    note("main");
    assert_int_equal(rota_await(task), 0);
    return rota_await(t);
}

/* asyncio: the same line. */
static void a_timeout_in_its_first_step_is_its_own(void)
{
    scenario(begin_with_a_timeout);
    assert_noted("main t0 t1 timeout t2 t3 t4 t5");
}

/* --- Who runs ----------------------------------------------------------- */

static rota_task seen;

static intptr_t see_itself(void *arg)
{
    rota_task all[8];
    size_t count = rota_all_tasks(rota_get_running_loop(), all, 8);
    bool found = false;

    (void)arg;
    seen = rota_current_task();
    for (size_t i = 0; i < count; i++)
        found |= all[i].id == seen.id;
    assert_true(found);
    if (rota_sleep(0.1) < 0)
        return -ECANCELED;
    assert_int_equal(rota_current_task().id, seen.id);
    return 0;
}

static intptr_t look_who_runs(void *arg)
{
    rota_task self = rota_current_task();
    rota_task task = start_now(see_itself, arg);

    assert_int_equal(task.id, seen.id);
    assert_int_equal(rota_current_task().id, self.id);
    assert_int_equal(rota_all_tasks(rota_get_running_loop(), NULL, 0), 2);
    assert_int_equal(rota_await(task), 0);
    task = start_now(return_arg, NULL);
    assert_int_equal(rota_all_tasks(rota_get_running_loop(), NULL, 0), 1);
    return rota_await(task);
}

/* CPython: test_current_task, test_all_tasks_with_eager_completion. */
static void the_current_task_is_the_child_and_then_the_maker_again(void)
{
    scenario(look_who_runs);
}

static intptr_t set_the_result(void *future)
{
    rota_future_set_result(future, 6);
    return 0;
}

static intptr_t await_what_it_sets(void *arg)
{
    rota_future future;
    intptr_t result = 0;
    rota_task task;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    task = start_now(set_the_result, &future);
    assert_true(rota_task_done(task));
    assert_int_equal(rota_await_future(&future, &result), 0);
    rota_future_fini(&future);
    assert_int_equal(rota_await(task), 0);
    return result;
}

/* CPython: test_await_future_during_eager_step. */
static void its_first_step_may_end_what_the_maker_waits_for(void)
{
    assert_int_equal(run_virtually(await_what_it_sets, NULL), 6);
}

static rota_context_var var = ROTA_CONTEXT_VAR("var", "none");

static intptr_t set_twice(void *arg)
{
    (void)arg;
    assert_string_equal(rota_context_var_get(&var), "maker");
    assert_int_equal(rota_context_var_set(&var, (void *)"first", NULL), 0);
    assert_int_equal(rota_sleep(0.1), 0);
    assert_string_equal(rota_context_var_get(&var), "first");
    assert_int_equal(rota_context_var_set(&var, (void *)"second", NULL), 0);
    return 0;
}

static intptr_t keep_its_own(void *arg)
{
    rota_task task;

    assert_int_equal(rota_context_var_set(&var, (void *)"maker", NULL), 0);
    task = start_now(set_twice, arg);
    assert_string_equal(rota_context_var_get(&var), "maker");
    assert_int_equal(rota_await(task), 0);
    assert_string_equal(rota_context_var_get(&var), "maker");
    return 0;
}

/* CPython: test_context_vars. */
static void its_first_step_has_a_context_of_its_own(void)
{
    scenario(keep_its_own);
}

static intptr_t await_the_maker(void *maker)
{
    intptr_t result = rota_await(*(rota_task *)maker);

    note("maker-done");
    return result;
}

static rota_task maker, waiting_child;

static intptr_t be_awaited_by_a_child(void *arg)
{
    maker = rota_current_task();
    waiting_child = start_now(await_the_maker, &maker);
    note("made");
    return rota_sleep(0) < 0 ? -ECANCELED : (intptr_t)arg;
}

static intptr_t make_a_maker(void *arg)
{
    rota_task task = start(be_awaited_by_a_child, (void *)9);

    (void)arg;
    pass_turns(2);
    assert_int_equal(rota_await(waiting_child), 9);
    return rota_await(task);
}

static void a_child_may_await_its_maker(void)
{
    assert_int_equal(run_virtually(make_a_maker, NULL), -ROTA_EAWAITED);
    assert_noted("made maker-done");
}

/* --- From callbacks ----------------------------------------------------- */

static intptr_t wake_the_future(void *future)
{
    assert_true(rota_current_task().id != 0);
    note("in");
    assert_int_equal(rota_sleep(0), 0);
    note("again");
    rota_future_set_result(future, 1);
    return 0;
}

static void begin_in_a_callback(void *future)
{
    rota_task task = start_now(wake_the_future, future);

    assert_int_equal(rota_current_task().id, 0);
    assert_int_equal(rota_detach(task), 0);
    assert_int_equal(rota_detach(start_now(return_arg, NULL)), 0);
    note("callback");
}

static intptr_t call_a_beginner(void *arg)
{
    rota_future future;
    rota_task t;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    begin_in_a_callback, &future),
                     0);
    t = start(ticker, (void *)"t");
    assert_int_equal(rota_await_future(&future, NULL), 0);
    note("over");
    rota_future_fini(&future);
    return rota_await(t);
}

/* asyncio: the same line. Debug mode goes through the loop at each step. */
static void a_callback_begins_one_and_goes_on(void)
{
    scenario(call_a_beginner);
    assert_noted("in callback t0 again t1 over t2 t3 t4 t5");
    assert_int_equal(run_in_debug_mode(call_a_beginner, NULL), 0);
    assert_noted("in callback t0 again t1 over t2 t3 t4 t5");
}

/* --- The loop's option -------------------------------------------------- */

static intptr_t note_that_it_runs(void *word)
{
    note("%s", (const char *)word);
    return 0;
}

static intptr_t make_three_ways(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    rota_task tasks[2];

    (void)arg;
    note("main");
    tasks[0] = start(note_that_it_runs, (void *)"a");
    assert_int_equal(
        rota_loop_create_task(loop, &tasks[1], note_that_it_runs, (void *)"b"),
        0);
    note("made");
    return rota_gather(tasks, 2, NULL, false);
}

static void a_loop_may_begin_all_its_tasks_at_once(void)
{
    assert_int_equal(run_eagerly(make_three_ways, NULL), 0);
    assert_noted("main a b made");
    assert_int_equal(run_virtually(make_three_ways, NULL), 0);
    assert_noted("main made a b");
}

static void tasks_of_a_loop_that_does_not_run_begin_with_it(void)
{
    const rota_loop_options options = {.eager_start = true};
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    assert_int_equal(
        rota_loop_create_task(loop, &task, note_that_it_runs, (void *)"first"),
        0);
    note("made");
    assert_int_equal(rota_detach(task), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, note_that_it_runs, (void *)"main"),
        0);
    assert_noted("made first main");
    rota_loop_free(loop);
}

static intptr_t make_for_another(void *other)
{
    rota_task task;

    assert_int_equal(
        rota_loop_create_task(other, &task, note_that_it_runs, (void *)"other"),
        0);
    note("made");
    return 0;
}

static void a_task_for_another_loop_never_begins_inside_the_call(void)
{
    const rota_loop_options options = {.eager_start = true};
    rota_loop *other;

    assert_int_equal(rota_new_event_loop(&other, &options), 0);
    assert_int_equal(run_eagerly(make_for_another, other), 0);
    assert_noted("made");
    assert_int_equal(
        rota_loop_run_until_complete(other, note_that_it_runs, (void *)"main"),
        0);
    assert_noted("other main");
    rota_loop_free(other);
}

HARNESS_MAIN(TEST(an_eager_task_runs_inside_the_call_up_to_its_first_wait),
             TEST(one_that_does_not_wait_is_done_when_the_call_returns),
             TEST(what_it_makes_ready_stands_where_it_was_begun),
             TEST(tasks_of_both_kinds_live_together), TEST(eager_starts_nest),
             TEST(a_hundred_eager_starts_nest),
             TEST(trees_of_groups_and_gathers_grow_eagerly),
             TEST(one_that_is_cancelled_at_once_has_begun_and_is_told),
             TEST(a_child_may_cancel_its_maker_whose_next_wait_is_told),
             TEST(one_that_cancels_itself_is_told_by_its_first_wait),
             TEST(a_timeout_in_its_first_step_is_its_own),
             TEST(the_current_task_is_the_child_and_then_the_maker_again),
             TEST(its_first_step_may_end_what_the_maker_waits_for),
             TEST(its_first_step_has_a_context_of_its_own),
             TEST(a_child_may_await_its_maker),
             TEST(a_callback_begins_one_and_goes_on),
             TEST(a_loop_may_begin_all_its_tasks_at_once),
             TEST(tasks_of_a_loop_that_does_not_run_begin_with_it),
             TEST(a_task_for_another_loop_never_begins_inside_the_call))
