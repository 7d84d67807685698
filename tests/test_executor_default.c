/* SPDX-License-Identifier: MIT */
/*
 * The default executor, to_thread, and the end of a run
 */
#include "executors.h"

/* --- Context variables -------------------------------------------------- */

static rota_context_var color = ROTA_CONTEXT_VAR("color", "none");

static intptr_t get_color(void *arg)
{
    (void)arg;
    return (intptr_t)rota_context_var_get(&color);
}

static intptr_t set_color(void *value)
{
    return rota_context_var_set(&color, value, NULL);
}

static intptr_t compare_contexts(void *arg)
{
    static char red[] = "red";
    static char blue[] = "blue";

    (void)arg;
    assert_int_equal(rota_context_var_set(&color, red, NULL), 0);
    note("%s", (const char *)rota_to_thread(get_color, NULL, 0));
    note("%s", (const char *)rota_run_in_executor(NULL, get_color, NULL, 0));
    assert_int_equal(rota_to_thread(set_color, blue, 0), 0);
    note("%s", (const char *)rota_context_var_get(&color));
    note("%s", (const char *)rota_to_thread(get_color, NULL, 0));
    note("%s", (const char *)rota_run_in_executor(NULL, get_color, NULL, 0));
    return 0;
}

static void to_thread_has_the_callers_context_and_run_in_executor_has_not(void)
{
    scenario(compare_contexts);
    assert_noted("red none red red none");
}

/* What a call sets does not stay with its thread. */
static intptr_t paint(void *pool)
{
    static char green[] = "green";

    rota_set_default_executor(rota_get_running_loop(), pool);
    for (int i = 0; i < 2; i++) {
        note("%s", (const char *)rota_to_thread(get_color, NULL, 0));
        assert_int_equal(rota_to_thread(set_color, green, 0), 0);
    }
    note("%s", (const char *)rota_run_in_executor(pool, get_color, NULL, 0));
    return 0;
}

static void a_context_of_to_thread_is_the_calls_alone(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(paint, pool), 0);
    assert_noted("none none none");
    rota_executor_free(pool);
}

static intptr_t use_to_thread(void *arg)
{
    char text[8] = "old";

    (void)arg;
    assert_int_equal(rota_to_thread(return_arg, (void *)9, 0), 9);
    assert_int_equal(rota_to_thread(fail_with_eio, NULL, 0), -EIO);
    assert_true(rota_to_thread(count_calls, text, sizeof text) != 0);
    assert_int_equal(atomic_load(&calls), 1);
    assert_true(rota_to_thread(this_thread, NULL, 0) != this_thread(NULL));
    return 0;
}

static void to_thread_calls_once_and_gives_the_result(void)
{
    scenario(use_to_thread);
}

static intptr_t to_thread_beside(void *arg)
{
    return rota_to_thread(held, arg, 0);
}

static intptr_t use_to_thread_twice(void *arg)
{
    rota_task tasks[2] = {start(to_thread_beside, (void *)1),
                          start(to_thread_beside, (void *)2)};
    intptr_t results[2];

    (void)arg;
    pass_turns(1);
    see_waiting(2);
    open_gate();
    assert_int_equal(rota_gather(tasks, 2, results, false), 0);
    assert_int_equal(results[0], 1);
    assert_int_equal(results[1], 2);
    return 0;
}

static void calls_of_to_thread_run_at_the_same_time(void)
{
    scenario(use_to_thread_twice);
}

/* --- set_default_executor ----------------------------------------------- */

static _Thread_local int is_ours;

static void mark_thread(void *arg)
{
    is_ours = *(int *)arg;
}

static intptr_t whose_thread(void *arg)
{
    (void)arg;
    return is_ours;
}

static rota_executor *new_marked_pool(int *mark)
{
    const rota_thread_pool_options options = {
        .max_workers = 1,
        .initializer = mark_thread,
        .initializer_arg = mark,
    };
    rota_executor *pool;

    assert_int_equal(rota_thread_pool_new(&pool, &options), 0);
    return pool;
}

static void note_whose(rota_executor *executor)
{
    note("%d%d", (int)rota_run_in_executor(executor, whose_thread, NULL, 0),
         (int)rota_to_thread(whose_thread, NULL, 0));
}

static intptr_t change_default(void *arg)
{
    rota_executor **pools = arg;
    rota_loop *loop = rota_get_running_loop();

    note_whose(NULL);
    assert_int_equal(rota_set_default_executor(loop, pools[0]), 0);
    note_whose(NULL);
    note_whose(pools[1]);
    assert_int_equal(rota_set_default_executor(loop, pools[1]), 0);
    note_whose(NULL);
    assert_int_equal(rota_set_default_executor(loop, NULL), 0);
    note_whose(NULL);
    return 0;
}

static void null_means_the_default_executor_that_was_set(void)
{
    int marks[2] = {1, 2};
    rota_executor *pools[2] = {new_marked_pool(&marks[0]),
                               new_marked_pool(&marks[1])};

    assert_int_equal(run_virtually(change_default, pools), 0);
    assert_noted("00 11 21 22 00");
    rota_executor_free(pools[0]);
    rota_executor_free(pools[1]);
}

static intptr_t default_of_a_loop(void *arg)
{
    (void)arg;
    return rota_run_in_executor(NULL, whose_thread, NULL, 0);
}

static void a_default_executor_may_be_set_before_the_loop_runs(void)
{
    int mark = 3;
    rota_executor *pool = new_marked_pool(&mark);
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_set_default_executor(loop, pool), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, default_of_a_loop, NULL), 3);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(rota_set_default_executor(loop, pool), -ROTA_ECLOSED);
    rota_loop_free(loop);
    rota_executor_free(pool);
}

/* --- shutdown_default_executor ------------------------------------------ */

static intptr_t shut_down_unused(void *arg)
{
    (void)arg;
    assert_int_equal(rota_shutdown_default_executor((double)INFINITY), 0);
    assert_int_equal(rota_run_in_executor(NULL, must_not_begin, NULL, 0),
                     -ROTA_ESHUTDOWN);
    assert_int_equal(rota_to_thread(must_not_begin, NULL, 0), -ROTA_ESHUTDOWN);
    assert_int_equal(rota_set_default_executor(rota_get_running_loop(), NULL),
                     -ROTA_ESHUTDOWN);
    assert_int_equal(rota_shutdown_default_executor(0), 0);
    return 0;
}

static void after_a_shutdown_nothing_is_let_in(void)
{
    scenario(shut_down_unused);
}

static intptr_t shut_down_and_use_another(void *pool)
{
    assert_int_equal(rota_run_in_executor(NULL, return_arg, (void *)3, 0), 3);
    assert_int_equal(rota_shutdown_default_executor((double)INFINITY), 0);
    assert_int_equal(rota_run_in_executor(pool, return_arg, (void *)4, 0), 4);
    return 0;
}

static void a_shutdown_of_the_default_leaves_other_pools_alone(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(shut_down_and_use_another, pool), 0);
    rota_executor_free(pool);
}

static intptr_t shut_down_then_note(void *arg)
{
    int err = rota_shutdown_default_executor((double)INFINITY);

    (void)arg;
    note("down:%d", err);
    return err;
}

static intptr_t shut_down_while_it_runs(void *arg)
{
    struct call call = {NULL, held, (void *)6, 0, "call", 0};
    rota_task caller = start(run_call, &call);
    rota_task shutter;

    (void)arg;
    pass_turns(1);
    see_waiting(1);
    shutter = start(shut_down_then_note, NULL);
    pass_turns(10);
    note("opened");
    open_gate();
    assert_int_equal(rota_await(caller), 6);
    return rota_await(shutter);
}

static void a_shutdown_awaits_what_is_under_way(void)
{
    scenario(shut_down_while_it_runs);
    if (strcmp(scenario_line, "opened down:0 call:6") != 0)
        assert_noted("opened call:6 down:0");
}

static intptr_t lose_patience(void *arg)
{
    struct call call = {NULL, held, (void *)6, 0, NULL, 0};
    rota_task caller = start(run_call, &call);

    (void)arg;
    pass_turns(1);
    see_waiting(1);
    assert_int_equal(rota_shutdown_default_executor(0), -ETIMEDOUT);
    assert_int_equal(rota_shutdown_default_executor(-1), -ETIMEDOUT);
    assert_int_equal(rota_shutdown_default_executor(0.01), -ETIMEDOUT);
    assert_int_equal(rota_shutdown_default_executor((double)NAN), -EINVAL);
    assert_int_equal(rota_run_in_executor(NULL, must_not_begin, NULL, 0),
                     -ROTA_ESHUTDOWN);
    open_gate();
    assert_int_equal(rota_shutdown_default_executor(60), 0);
    assert_int_equal(rota_await(caller), 6);
    return 0;
}

static void a_shutdown_may_have_a_time_limit(void)
{
    need_real_time();
    assert_int_equal(rota_run(lose_patience, NULL), 0);
}

static intptr_t cancel_a_shutdown(void *arg)
{
    struct call call = {NULL, held, (void *)6, 0, NULL, 0};
    rota_task caller = start(run_call, &call);
    rota_task shutter;

    (void)arg;
    pass_turns(1);
    see_waiting(1);
    shutter = start(shut_down_then_note, NULL);
    pass_turns(3);
    rota_task_cancel(shutter);
    assert_int_equal(rota_await(shutter), -ECANCELED);
    open_gate();
    return rota_await(caller) == 6 ? 0 : -EIO;
}

static void a_shutdown_can_be_cancelled_while_it_waits(void)
{
    scenario(cancel_a_shutdown);
}

/* --- The end of a run --------------------------------------------------- */

static atomic_int has_ended;

/* Ends only if the loop still makes the call that it posts. */
static intptr_t post_then_end(void *loop)
{
    wait_at_gate();
    close_gate();
    assert_int_equal(
        rota_call_soon_threadsafe(loop, NULL, call_open_gate, NULL), 0);
    wait_at_gate();
    atomic_store(&has_ended, 1);
    return 0;
}

static intptr_t leave_a_call_behind(void *pool)
{
    static struct call call;
    rota_task task;

    if (pool)
        rota_set_default_executor(rota_get_running_loop(), pool);
    call =
        (struct call){NULL, post_then_end, rota_get_running_loop(), 0, NULL, 0};
    task = start(run_call, &call);
    pass_turns(1);
    see_waiting(1);
    assert_int_equal(rota_detach(task), 0);
    open_gate();
    return 7;
}

static void a_run_ends_after_its_calls_and_goes_on_meanwhile(void)
{
    assert_int_equal(run_virtually(leave_a_call_behind, NULL), 7);
    assert_int_equal(atomic_load(&has_ended), 1);
}

static void a_run_waits_also_for_a_default_executor_that_was_set(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(leave_a_call_behind, pool), 7);
    assert_int_equal(atomic_load(&has_ended), 1);
    rota_executor_free(pool);
}

static void a_runner_waits_for_calls_when_it_closes(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, &options), 0);
    assert_int_equal(rota_runner_run(&runner, leave_a_call_behind, NULL), 7);
    assert_int_equal(rota_runner_close(&runner), 0);
    assert_int_equal(atomic_load(&has_ended), 1);
}

HARNESS_MAIN(
    TEST(to_thread_has_the_callers_context_and_run_in_executor_has_not),
    TEST(a_context_of_to_thread_is_the_calls_alone),
    TEST(to_thread_calls_once_and_gives_the_result),
    TEST(calls_of_to_thread_run_at_the_same_time),
    TEST(null_means_the_default_executor_that_was_set),
    TEST(a_default_executor_may_be_set_before_the_loop_runs),
    TEST(after_a_shutdown_nothing_is_let_in),
    TEST(a_shutdown_of_the_default_leaves_other_pools_alone),
    TEST(a_shutdown_awaits_what_is_under_way),
    TEST(a_shutdown_may_have_a_time_limit),
    TEST(a_shutdown_can_be_cancelled_while_it_waits),
    TEST(a_run_ends_after_its_calls_and_goes_on_meanwhile),
    TEST(a_run_waits_also_for_a_default_executor_that_was_set),
    TEST(a_runner_waits_for_calls_when_it_closes))
