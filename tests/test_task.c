/* SPDX-License-Identifier: MIT */
/*
 * Tasks: making, awaiting and detaching them, and what they know of themselves
 */
#include "scenario.h"

/* --- Making and awaiting ------------------------------------------------ */

static intptr_t do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static intptr_t yield_twice(void *arg)
{
    (void)arg;
    pass_turns(2);
    return 2;
}

static intptr_t await_results(void *arg)
{
    int here;

    (void)arg;
    assert_int_equal(rota_await(start(return_arg, (void *)7)), 7);
    assert_ptr_equal((void *)rota_await(start(return_arg, &here)), &here);
    assert_int_equal(rota_await(start(return_arg, (void *)-5000)), -5000);
    assert_int_equal(rota_await(start(return_arg, (void *)-4096)), -4096);
    assert_int_equal(rota_await(start(return_arg, (void *)-4095)), -4095);
    assert_int_equal(rota_await(start(return_arg, (void *)INTPTR_MIN)),
                     INTPTR_MIN);
    assert_int_equal(rota_await(start(fail_with_eio, NULL)), -EIO);
    return 0;
}

static void await_returns_the_result_whatever_it_is(void)
{
    scenario(await_results);
}

static void only_minus_4095_to_minus_1_are_errors(void)
{
    assert_true(rota_is_error(-1));
    assert_true(rota_is_error(-4095));
    assert_false(rota_is_error(0));
    assert_false(rota_is_error(-4096));
    assert_false(rota_is_error(INTPTR_MIN));
}

static intptr_t note_name(void *name)
{
    note("%s", (const char *)name);
    return 0;
}

static intptr_t start_three(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    tasks[0] = start(note_name, (void *)"a");
    tasks[1] = start(note_name, (void *)"b");
    tasks[2] = start(note_name, (void *)"c");
    note("main");
    for (int i = 2; i >= 0; i--)
        assert_int_equal(rota_await(tasks[i]), 0);
    return 0;
}

static void tasks_begin_in_the_next_turn_in_the_order_of_their_making(void)
{
    scenario(start_three);
    assert_noted("main a b c");
}

static intptr_t tick_two(void *arg)
{
    rota_task a = start(ticker, (void *)"a");
    rota_task b = start(ticker, (void *)"b");

    (void)arg;
    assert_int_equal(rota_await(a), 0);
    note("awaited");
    assert_int_equal(rota_await(b), 0);
    return 0;
}

static void yields_interleave_as_asyncios(void)
{
    scenario(tick_two);
    assert_noted("a0 b0 a1 b1 a2 b2 a3 b3 a4 b4 a5 b5 awaited");
}

static intptr_t await_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");

    (void)arg;
    assert_int_equal(rota_await(start(note_name, (void *)"c")), 0);
    note("awaited");
    return rota_await(t);
}

static void an_awaiter_runs_in_the_turn_after_the_end(void)
{
    scenario(await_beside_a_ticker);
    assert_noted("t0 c t1 awaited t2 t3 t4 t5");
}

static intptr_t await_a_done_task(void *arg)
{
    rota_task c = start(note_name, (void *)"c");
    rota_task t = start(ticker, (void *)"t");

    (void)arg;
    pass_turns(1);
    assert_true(rota_task_done(c));
    assert_int_equal(rota_await(c), 0);
    note("at-once");
    return rota_await(t);
}

static void awaiting_a_done_task_takes_no_turn(void)
{
    scenario(await_a_done_task);
    assert_noted("c t0 at-once t1 t2 t3 t4 t5");
}

static intptr_t only_await_twice(void *arg)
{
    rota_task task = start(do_nothing, arg);

    assert_int_equal(rota_await(task), 0);
    return rota_await(task);
}

static intptr_t await_twice(void *arg)
{
    rota_task task = start(do_nothing, NULL);

    (void)arg;
    assert_int_equal(rota_await(task), 0);
    assert_true(rota_task_done(task));
    assert_null(rota_task_get_name(task));
    assert_int_equal(rota_task_set_name(task, "x"), -ROTA_EAWAITED);
    assert_int_equal(rota_task_cancel(task), -ROTA_EAWAITED);
    assert_int_equal(rota_task_cancelling(task), -ROTA_EAWAITED);
    assert_int_equal(rota_task_uncancel(task), -ROTA_EAWAITED);
    assert_int_equal(rota_shield(task), -ROTA_EAWAITED);
    assert_int_equal(rota_wait_for(task, 1), -ROTA_EAWAITED);
    assert_int_equal(rota_detach(task), -ROTA_EAWAITED);
    return rota_await(task);
}

static void a_second_await_is_refused(void)
{
    assert_int_equal(rota_run(await_twice, NULL), -ROTA_EAWAITED);
}

static void a_second_await_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(only_await_twice, NULL);
}

static intptr_t await_detached(void *arg)
{
    rota_task task = start(yield_twice, NULL);

    (void)arg;
    assert_int_equal(rota_detach(task), 0);
    assert_int_equal(rota_detach(task), -ROTA_EAWAITED);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_await(task), -ROTA_EAWAITED);
    pass_turns(3);
    return rota_await(task);
}

static void an_await_after_detach_is_refused(void)
{
    assert_int_equal(rota_run(await_detached, NULL), -ROTA_EAWAITED);
}

static intptr_t reuse_the_slot(void *arg)
{
    rota_task first = start(return_arg, (void *)1);
    rota_task second;

    (void)arg;
    assert_int_equal(rota_await(first), 1);
    second = start(return_arg, (void *)2);
    assert_int_equal(second.slot, first.slot);
    assert_int_equal(rota_await(first), -ROTA_EAWAITED);
    return rota_await(second);
}

static void a_stale_handle_is_not_the_next_task_on_that_stack(void)
{
    assert_int_equal(rota_run(reuse_the_slot, NULL), 2);
}

static intptr_t try_handle(void *arg)
{
    rota_task task = *(rota_task *)arg;

    assert_int_equal(rota_await(task), -EINVAL);
    assert_int_equal(rota_detach(task), -EINVAL);
    assert_int_equal(rota_task_cancel(task), -EINVAL);
    assert_int_equal(rota_shield(task), -EINVAL);
    assert_int_equal(rota_gather(&task, 1, NULL, true), -EINVAL);
    return 0;
}

static void a_handle_of_another_loop_is_refused(void)
{
    rota_loop *other;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&other, NULL), 0);
    assert_int_equal(rota_loop_create_task(other, &task, do_nothing, NULL), 0);
    assert_int_equal(rota_run(try_handle, &task), 0);
    assert_int_equal(rota_loop_run_until_complete(other, do_nothing, NULL), 0);
    rota_loop_free(other);
}

static intptr_t keep_handle(void *task)
{
    *(rota_task *)task = start(do_nothing, NULL);
    return rota_await(*(rota_task *)task);
}

static void a_handle_is_stale_when_its_loop_has_closed(void)
{
    rota_task task;

    assert_int_equal(rota_run(keep_handle, &task), 0);
    assert_int_equal(rota_detach(task), -EINVAL);
    assert_true(rota_task_done(task));
    assert_int_equal(rota_run(try_handle, &task), 0);
}

static void the_zero_handle_is_refused(void)
{
    rota_task none = {0};

    assert_int_equal(rota_run(try_handle, &none), 0);
}

static intptr_t await_self(void *arg)
{
    (void)arg;
    assert_int_equal(rota_wait_for(rota_current_task(), 1), -EDEADLK);
    assert_int_equal(rota_shield(rota_current_task()), -EDEADLK);
    return rota_await(rota_current_task());
}

static intptr_t start_await_self(void *arg)
{
    return rota_await(start(await_self, arg));
}

static void a_task_that_awaits_itself_is_refused(void)
{
    assert_int_equal(rota_run(await_self, NULL), -EDEADLK);
    assert_int_equal(rota_run(start_await_self, NULL), -EDEADLK);
}

static void waiting_outside_of_a_task_is_refused(void)
{
    rota_task none = {0};
    rota_timeout timeout;
    rota_task_group group;

    assert_int_equal(rota_await(none), -ROTA_ENOTASK);
    assert_int_equal(rota_wait_for(none, 1), -ROTA_ENOTASK);
    assert_int_equal(rota_shield(none), -ROTA_ENOTASK);
    assert_int_equal(rota_gather(&none, 1, NULL, false), -ROTA_ENOTASK);
    assert_int_equal(rota_sleep(0), -ROTA_ENOTASK);
    assert_int_equal(rota_timeout_begin(&timeout, 1), -ROTA_ENOTASK);
    assert_int_equal(rota_task_group_begin(&group), -ROTA_ENOTASK);
    assert_int_equal(rota_create_task(&none, do_nothing, NULL), -ROTA_ENOLOOP);
    assert_int_equal(rota_current_task().id, 0);
}

/* --- From callbacks ----------------------------------------------------- */

static void wait_in_a_callback(void *arg)
{
    rota_future *future = arg;

    assert_int_equal(rota_current_task().id, 0);
    assert_int_equal(rota_sleep(1), -ROTA_ENOTASK);
    assert_int_equal(rota_await_future(future, NULL), -ROTA_ENOTASK);
    assert_int_equal(rota_await(start(note_name, (void *)"made")),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_detach(start(note_name, (void *)"detached")), 0);
    rota_future_set_result(future, 5);
}

static intptr_t call_a_callback(void *arg)
{
    rota_future future;
    intptr_t result = 0;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    wait_in_a_callback, &future),
                     0);
    assert_int_equal(rota_await_future(&future, &result), 0);
    note("future");
    rota_future_fini(&future);
    pass_turns(1);
    return result;
}

static void a_callback_makes_tasks_but_cannot_wait(void)
{
    assert_int_equal(run_virtually(call_a_callback, NULL), 5);
    assert_noted("made detached future");
}

/* --- What a task knows of itself ---------------------------------------- */

static intptr_t check_name(void *name)
{
    assert_string_equal(rota_task_get_name(rota_current_task()), name);
    return 0;
}

static rota_task start_named(const char *name, rota_task_function *function,
                             const char *arg)
{
    const rota_task_options options = {.name = name};
    rota_task task;

    assert_int_equal(
        rota_create_task_with(&task, &options, function, (void *)arg), 0);
    return task;
}

static intptr_t name_tasks(void *arg)
{
    static const char long_name[] = "a name of more than thirty-one bytes";
    rota_task task = start_named("reader", check_name, "writer");
    rota_task other = start_named(long_name, do_nothing, NULL);

    (void)arg;
    assert_string_equal(rota_task_get_name(task), "reader");
    assert_int_equal(rota_task_set_name(task, "writer"), 0);
    assert_int_equal(rota_task_set_name(task, NULL), -EINVAL);
    assert_int_equal(strlen(rota_task_get_name(other)), 31);
    assert_memory_equal(rota_task_get_name(other), long_name, 31);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(rota_await(other), 0);
    task = start(do_nothing, NULL);
    assert_string_equal(rota_task_get_name(task), "Task-4");
    return rota_await(task);
}

static void a_task_has_a_name_that_can_be_changed(void)
{
    scenario(name_tasks);
}

static bool same_task(rota_task a, rota_task b)
{
    return a.id == b.id && a.slot == b.slot && a.loop == b.loop;
}

static rota_task expected_task;

static intptr_t check_current(void *arg)
{
    (void)arg;
    assert_true(same_task(rota_current_task(), expected_task));
    pass_turns(1);
    assert_true(same_task(rota_current_task(), expected_task));
    return 0;
}

static intptr_t check_both_current(void *arg)
{
    rota_task self = rota_current_task();

    (void)arg;
    expected_task = start(check_current, NULL);
    assert_false(same_task(self, expected_task));
    assert_int_equal(rota_await(expected_task), 0);
    assert_true(same_task(rota_current_task(), self));
    return 0;
}

static void the_current_task_is_the_one_that_runs(void)
{
    scenario(check_both_current);
    assert_int_equal(rota_current_task().id, 0);
}

static intptr_t count_tasks(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    rota_task tasks[4], all[4];

    (void)arg;
    assert_int_equal(rota_all_tasks(loop, NULL, 0), 1);
    for (int i = 0; i < 4; i++)
        tasks[i] = start(i == 2 ? do_nothing : yield_twice, NULL);
    assert_int_equal(rota_all_tasks(loop, all, 4), 5);
    for (int i = 0; i < 4; i++)
        assert_false(same_task(all[i], (rota_task){0}));
    pass_turns(1);
    memset(all, 0, sizeof all);
    assert_int_equal(rota_all_tasks(loop, all, 2), 4);
    assert_int_equal(all[2].id, 0);
    for (int i = 0; i < 4; i++)
        assert_true(rota_await(tasks[i]) >= 0);
    assert_int_equal(rota_all_tasks(loop, all, 4), 1);
    assert_true(same_task(all[0], rota_current_task()));
    return 0;
}

static void all_tasks_are_those_that_are_not_done(void)
{
    rota_loop *loop;

    scenario(count_tasks);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_all_tasks(loop, NULL, 0), 0);
    rota_loop_free(loop);
}

/* --- Between two runs --------------------------------------------------- */

static intptr_t sleep_a_second(void *arg)
{
    int err = rota_sleep(1);

    return err < 0 ? err : (intptr_t)arg;
}

static rota_task kept[3];

static intptr_t keep_three(void *arg)
{
    for (int i = 0; i < 3; i++)
        kept[i] = start(sleep_a_second, arg);
    pass_turns(1);
    return 0;
}

static intptr_t await_two(void *arg)
{
    (void)arg;
    assert_int_equal(rota_await(kept[0]), 6);
    return rota_await(kept[1]);
}

static void handles_are_good_while_their_loop_does_not_run(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop, *other;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    assert_int_equal(rota_new_event_loop(&other, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(other, do_nothing, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, keep_three, (void *)6),
                     0);
    assert_int_equal(rota_task_cancel(kept[1]), 1);
    assert_int_equal(rota_detach(kept[2]), 0);
    assert_false(rota_task_done(kept[2]));
    assert_string_equal(rota_task_get_name(kept[0]), "Task-2");
    assert_int_equal(rota_loop_run_until_complete(loop, await_two, NULL),
                     -ECANCELED);
    rota_loop_free(loop);
    assert_int_equal(rota_task_cancel(kept[2]), -EINVAL);
    rota_loop_free(other);
}

HARNESS_MAIN(TEST(await_returns_the_result_whatever_it_is),
             TEST(only_minus_4095_to_minus_1_are_errors),
             TEST(tasks_begin_in_the_next_turn_in_the_order_of_their_making),
             TEST(yields_interleave_as_asyncios),
             TEST(an_awaiter_runs_in_the_turn_after_the_end),
             TEST(awaiting_a_done_task_takes_no_turn),
             TEST(a_second_await_is_refused),
             TEST_EXPECT_SIGNAL(a_second_await_stops_in_debug_mode, SIGABRT,
                                "a task is ended once"),
             TEST(an_await_after_detach_is_refused),
             TEST(a_stale_handle_is_not_the_next_task_on_that_stack),
             TEST(a_handle_of_another_loop_is_refused),
             TEST(a_handle_is_stale_when_its_loop_has_closed),
             TEST(the_zero_handle_is_refused),
             TEST(a_task_that_awaits_itself_is_refused),
             TEST(waiting_outside_of_a_task_is_refused),
             TEST(a_callback_makes_tasks_but_cannot_wait),
             TEST(a_task_has_a_name_that_can_be_changed),
             TEST(the_current_task_is_the_one_that_runs),
             TEST(all_tasks_are_those_that_are_not_done),
             TEST(handles_are_good_while_their_loop_does_not_run))
