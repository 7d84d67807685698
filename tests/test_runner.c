/* SPDX-License-Identifier: MIT */
/*
 * Runners: one loop and one context for several main tasks in turn
 */
#include "scenario.h"

static const rota_loop_options virtually = {.virtual_clock = true};

static rota_runner open_runner(void)
{
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, &virtually), 0);
    assert_non_null(rota_runner_get_loop(&runner));
    return runner;
}

static void close_runner(rota_runner *runner)
{
    assert_int_equal(rota_runner_close(runner), 0);
    assert_null(rota_runner_get_loop(runner));
}

static intptr_t note_it(void *word)
{
    note("%s", (const char *)word);
    return 0;
}

/* --- Several runs ------------------------------------------------------- */

static intptr_t sleep_an_hour(void *arg)
{
    int err = rota_sleep(3600);

    return err < 0 ? err : (intptr_t)arg;
}

static void a_runner_runs_one_main_task_after_the_other(void)
{
    rota_runner runner = open_runner();
    rota_loop *loop = rota_runner_get_loop(&runner);
    double before = rota_loop_time(loop);

    assert_int_equal(rota_runner_run(&runner, return_arg, (void *)1), 1);
    assert_int_equal(rota_runner_run(&runner, fail_with_eio, NULL), -EIO);
    assert_int_equal(rota_runner_run(&runner, return_arg, (void *)-5000),
                     -5000);
    assert_int_equal(rota_runner_run(&runner, sleep_an_hour, (void *)2), 2);
    assert_ptr_equal(rota_runner_get_loop(&runner), loop);
    assert_true(rota_loop_time(loop) >= before + 3600 - 1e-6); /* rounded */
    assert_int_equal(rota_all_tasks(loop, NULL, 0), 0);
    assert_null(rota_get_running_loop());
    close_runner(&runner);
}

static void a_runner_that_runs_nothing_is_closed_like_others(void)
{
    rota_runner runner = open_runner();

    close_runner(&runner);
    close_runner(&runner);
    assert_int_equal(rota_runner_run(&runner, return_arg, NULL), -ROTA_ECLOSED);
    assert_int_equal(rota_runner_open(&runner, NULL), 0);
    assert_int_equal(rota_runner_run(&runner, return_arg, (void *)4), 4);
    close_runner(&runner);
}

static void a_run_without_a_function_is_refused(void)
{
    rota_runner runner = open_runner();

    assert_int_equal(rota_runner_run(&runner, NULL, NULL), -EINVAL);
    close_runner(&runner);
}

static void the_options_are_the_loops(void)
{
    const rota_loop_options debug = {.debug = true};
    const rota_loop_options bad = {.poller = "none such"};
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, &debug), 0);
    assert_true(rota_get_debug(rota_runner_get_loop(&runner)));
    close_runner(&runner);
    assert_int_equal(rota_runner_open(&runner, &bad), -EINVAL);
}

/* --- What is left between them ------------------------------------------ */

static intptr_t leave_a_ticker(void *word)
{
    (void)rota_detach(start(ticker, (void *)"t"));
    pass_turns(1);
    return note_it(word);
}

static intptr_t yield_between(void *word)
{
    note("%s", (const char *)word);
    pass_turns(1);
    note("%s-ends", (const char *)word);
    return 0;
}

/* asyncio: the same line. */
static void tasks_that_are_left_go_on_in_the_next_run(void)
{
    rota_runner runner = open_runner();

    assert_int_equal(rota_runner_run(&runner, leave_a_ticker, (void *)"first"),
                     0);
    note("|");
    assert_int_equal(rota_runner_run(&runner, yield_between, (void *)"second"),
                     0);
    note("|");
    assert_int_equal(rota_runner_run(&runner, note_it, (void *)"third"), 0);
    note("|");
    close_runner(&runner);
    assert_noted("t0 first t1 | t2 second t3 second-ends t4 | t5 third |");
}

static rota_task kept;

static intptr_t start_one(void *arg)
{
    kept = start(sleep_an_hour, arg);
    pass_turns(1);
    return 0;
}

static intptr_t await_the_kept(void *arg)
{
    (void)arg;
    return rota_await(kept);
}

static void a_later_main_task_may_await_what_an_earlier_one_made(void)
{
    rota_runner runner = open_runner();

    assert_int_equal(rota_runner_run(&runner, start_one, (void *)8), 0);
    assert_false(rota_task_done(kept));
    assert_int_equal(rota_runner_run(&runner, await_the_kept, NULL), 8);
    close_runner(&runner);
}

static void callbacks_and_tasks_may_be_given_to_the_loop_in_between(void)
{
    rota_runner runner = open_runner();
    rota_loop *loop = rota_runner_get_loop(&runner);
    rota_task task;

    assert_int_equal(
        rota_call_soon(loop, NULL, note_callback, (void *)"callback"), 0);
    assert_int_equal(
        rota_loop_create_task(loop, &task, note_it, (void *)"task"), 0);
    assert_int_equal(rota_detach(task), 0);
    assert_int_equal(rota_runner_run(&runner, note_it, (void *)"main"), 0);
    assert_noted("callback task main");
    close_runner(&runner);
}

static intptr_t stop_and_go_on(void *arg)
{
    (void)arg;
    rota_loop_stop(rota_get_running_loop());
    note("m");
    for (int i = 2; i <= 3; i++) {
        pass_turns(1);
        note("m%d", i);
    }
    return -EIO;
}

static void note_report(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)arg;
    note("reported:%s", rota_errname(context->error));
}

/* asyncio: the same line, but for the report. */
static void a_main_task_that_was_stopped_goes_on_in_the_next_run(void)
{
    rota_runner runner = open_runner();

    rota_set_exception_handler(rota_runner_get_loop(&runner), note_report,
                               NULL);
    assert_int_equal(rota_runner_run(&runner, stop_and_go_on, NULL),
                     -ROTA_ESTOPPED);
    assert_int_equal(rota_runner_run(&runner, note_it, (void *)"third"), 0);
    assert_int_equal(rota_runner_run(&runner, note_it, (void *)"third"), 0);
    close_runner(&runner);
    assert_noted("m m2 third m3 reported:EIO third");
}

/* --- The context -------------------------------------------------------- */

static rota_context_var var = ROTA_CONTEXT_VAR("var", "none");

static const char *value(void)
{
    return rota_context_var_get(&var);
}

static intptr_t note_and_set(void *word)
{
    note("%s", value());
    return rota_context_var_set(&var, word, NULL);
}

static intptr_t set_in_a_child(void *word)
{
    return rota_await(start(note_and_set, word));
}

/* CPython: test_run_keeps_context. */
static void what_one_main_task_sets_the_next_one_sees(void)
{
    rota_context_token tokens[2];
    rota_runner runner;

    assert_int_equal(rota_context_var_set(&var, (void *)"opener", &tokens[0]),
                     0);
    runner = open_runner();
    assert_int_equal(rota_context_var_set(&var, (void *)"later", &tokens[1]),
                     0);
    assert_int_equal(rota_runner_run(&runner, note_and_set, (void *)"a"), 0);
    assert_string_equal(value(), "later");
    assert_int_equal(rota_runner_run(&runner, set_in_a_child, (void *)"b"), 0);
    assert_int_equal(rota_runner_run(&runner, note_and_set, (void *)"c"), 0);
    assert_noted("opener a a");
    close_runner(&runner);
    assert_string_equal(value(), "later");
    for (int i = 1; i >= 0; i--)
        assert_int_equal(rota_context_var_reset(&var, &tokens[i]), 0);
}

static intptr_t look_when_cancelled(void *arg)
{
    (void)arg;
    assert_int_equal(rota_sleep(1e9), -ECANCELED);
    note("%s", value());
    return -ECANCELED;
}

static intptr_t set_and_leave(void *arg)
{
    assert_int_equal(rota_context_var_set(&var, (void *)"main", NULL), 0);
    kept = start(look_when_cancelled, arg);
    pass_turns(1);
    return rota_context_var_set(&var, (void *)"after", NULL);
}

static void what_is_cancelled_at_the_end_still_has_its_context(void)
{
    rota_runner runner = open_runner();

    assert_int_equal(rota_runner_run(&runner, set_and_leave, NULL), 0);
    close_runner(&runner);
    assert_noted("main");
}

/* --- Closing ------------------------------------------------------------ */

static intptr_t clean_up(void *word)
{
    assert_int_equal(rota_sleep(1e9), -ECANCELED);
    note("%s-begins", (const char *)word);
    assert_int_equal(rota_sleep(2), 0);
    note("%s-ends", (const char *)word);
    return -ECANCELED;
}

static intptr_t leave_three(void *arg)
{
    (void)arg;
    (void)start(sleep_for_ever, (void *)"sleeper");
    (void)start(clean_up, (void *)"cleanup");
    (void)rota_detach(start(sleep_for_ever, (void *)"detached"));
    pass_turns(1);
    return 0;
}

static void closing_cancels_what_is_left_and_waits_for_it(void)
{
    rota_runner runner = open_runner();

    assert_int_equal(rota_runner_run(&runner, leave_three, NULL), 0);
    assert_int_equal(rota_runner_run(&runner, note_it, (void *)"main"), 0);
    close_runner(&runner);
    assert_noted("main sleeper cleanup-begins detached cleanup-ends");
}

static intptr_t fail_when_cancelled(void *arg)
{
    (void)arg;
    (void)!rota_sleep(1e9);
    return -EIO;
}

static intptr_t leave_a_bad_one(void *arg)
{
    (void)start(fail_when_cancelled, arg);
    pass_turns(1);
    return 0;
}

static void an_error_of_what_is_left_is_reported(void)
{
    rota_runner runner = open_runner();

    rota_set_exception_handler(rota_runner_get_loop(&runner), note_report,
                               NULL);
    assert_int_equal(rota_runner_run(&runner, leave_a_bad_one, NULL), 0);
    close_runner(&runner);
    assert_noted("reported:EIO");
}

static void a_loop_that_the_user_has_closed_runs_nothing(void)
{
    rota_runner runner = open_runner();

    assert_int_equal(rota_runner_run(&runner, return_arg, (void *)1), 1);
    assert_int_equal(rota_loop_close(rota_runner_get_loop(&runner)), 0);
    assert_int_equal(rota_runner_run(&runner, return_arg, NULL), -ROTA_ECLOSED);
    close_runner(&runner);
}

/* --- Refusals ----------------------------------------------------------- */

static intptr_t run_again(void *runner)
{
    return rota_runner_run(runner, return_arg, NULL);
}

static intptr_t close_inside(void *runner)
{
    return rota_runner_close(runner);
}

/* CPython: test_recursive_run. */
static void a_run_inside_a_run_is_refused(void)
{
    rota_runner runner = open_runner();
    rota_runner other = open_runner();

    assert_int_equal(rota_runner_run(&runner, run_again, &runner),
                     -ROTA_ERUNNING);
    assert_int_equal(rota_runner_run(&runner, run_again, &other),
                     -ROTA_ERUNNING);
    assert_int_equal(rota_runner_run(&runner, close_inside, &runner),
                     -ROTA_ERUNNING);
    assert_int_equal(rota_runner_run(&runner, close_inside, &other),
                     -ROTA_ERUNNING);
    assert_int_equal(rota_runner_run(&runner, return_arg, (void *)5), 5);
    assert_int_equal(rota_runner_run(&other, return_arg, (void *)6), 6);
    close_runner(&other);
    close_runner(&runner);
}

static void a_run_inside_a_run_stops_in_debug_mode(void)
{
    const rota_loop_options debug = {.debug = true};
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, &debug), 0);
    (void)rota_runner_run(&runner, run_again, &runner);
}

static void each_allocation_may_fail(void)
{
    rota_context_token token;
    rota_runner runner;
    intptr_t result = -ENOMEM;

    assert_int_equal(rota_context_var_set(&var, (void *)"set", &token), 0);
    for (long nth = 1; result == -ENOMEM; nth++) {
        harness_fail_allocation(nth);
        result = rota_runner_open(&runner, &virtually);
    }
    assert_int_equal(result, 0);
    result = -ENOMEM;
    for (long nth = 1; result == -ENOMEM; nth++) {
        harness_fail_allocation(nth);
        result = rota_runner_run(&runner, return_arg, (void *)1);
    }
    harness_fail_allocation(-1);
    assert_int_equal(result, 1);
    close_runner(&runner);
    assert_int_equal(rota_context_var_reset(&var, &token), 0);
}

HARNESS_MAIN(TEST(a_runner_runs_one_main_task_after_the_other),
             TEST(a_runner_that_runs_nothing_is_closed_like_others),
             TEST(a_run_without_a_function_is_refused),
             TEST(the_options_are_the_loops),
             TEST(tasks_that_are_left_go_on_in_the_next_run),
             TEST(a_later_main_task_may_await_what_an_earlier_one_made),
             TEST(callbacks_and_tasks_may_be_given_to_the_loop_in_between),
             TEST(a_main_task_that_was_stopped_goes_on_in_the_next_run),
             TEST(what_one_main_task_sets_the_next_one_sees),
             TEST(what_is_cancelled_at_the_end_still_has_its_context),
             TEST(closing_cancels_what_is_left_and_waits_for_it),
             TEST(an_error_of_what_is_left_is_reported),
             TEST(a_loop_that_the_user_has_closed_runs_nothing),
             TEST(a_run_inside_a_run_is_refused),
             TEST_EXPECT_SIGNAL(a_run_inside_a_run_stops_in_debug_mode, SIGABRT,
                                "rota_runner_run"),
             TEST(each_allocation_may_fail))
