/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for futures
 */
#include "scenario.h"

#include <stdlib.h>

static void note_future(rota_future *future, void *word)
{
    (void)future;
    note("%s", (const char *)word);
}

struct wait_for_future {
    rota_future *future;
    const char *word;
};

static intptr_t await_and_note(void *arg)
{
    struct wait_for_future *wait = arg;
    intptr_t result = 0;
    int err = rota_await_future(wait->future, &result);

    note("%s", wait->word);
    return err < 0 ? err : result;
}

static void add_callback(rota_future *future, const char *word)
{
    assert_int_equal(
        rota_future_add_done_callback(future, NULL, note_future, (void *)word),
        0);
}

static intptr_t mix_callbacks_and_tasks(void *arg)
{
    rota_future future;
    struct wait_for_future waits[2] = {{&future, "task1"}, {&future, "task2"}};
    rota_task tasks[2];
    intptr_t results[2];

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    add_callback(&future, "callback1");
    tasks[0] = start(await_and_note, &waits[0]);
    pass_turns(1);
    add_callback(&future, "callback2");
    tasks[1] = start(await_and_note, &waits[1]);
    pass_turns(1);
    assert_int_equal(rota_future_set_result(&future, 9), 0);
    assert_int_equal(rota_gather(tasks, 2, results, false), 0);
    assert_int_equal(results[0], 9);
    assert_int_equal(results[1], 9);
    assert_int_equal(rota_future_remove_done_callback(&future, note_future), 0);
    rota_future_fini(&future);
    return 0;
}

/* asyncio: the same line. */
static void a_future_wakes_tasks_and_callbacks_in_the_order_they_came(void)
{
    scenario(mix_callbacks_and_tasks);
    assert_noted("callback1 task1 callback2 task2");
}

static intptr_t await_done_futures(void *arg)
{
    rota_future future;
    intptr_t result = 1;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(rota_future_set_result(&future, -EIO), 0);
    assert_int_equal(rota_await_future(&future, &result), 0);
    assert_int_equal(result, -EIO);
    rota_future_fini(&future);
    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(rota_future_set_exception(&future, -EIO), 0);
    assert_int_equal(rota_await_future(&future, NULL), -EIO);
    rota_future_fini(&future);
    rota_future_init(&future, rota_get_running_loop());
    assert_true(rota_future_cancel(&future));
    assert_int_equal(rota_await_future(&future, NULL), -ECANCELED);
    rota_future_fini(&future);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    return 0;
}

static void awaiting_a_future_returns_its_result_or_its_error(void)
{
    scenario(await_done_futures);
}

static intptr_t end_a_future(void *arg)
{
    rota_future future;
    struct wait_for_future wait = {&future, "task"};
    rota_task task;

    (void)arg;
    rota_future_init(&future, rota_get_running_loop());
    task = start(await_and_note, &wait);
    add_callback(&future, "callback");
    pass_turns(1);
    rota_future_fini(&future);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static void the_end_of_a_future_wakes_tasks_but_drops_callbacks(void)
{
    scenario(end_a_future);
    assert_noted("task");
}

static intptr_t await_foreign(void *future)
{
    return rota_await_future(future, NULL);
}

static void a_future_of_another_loop_is_refused(void)
{
    rota_future future;
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    rota_future_init(&future, loop);
    assert_int_equal(rota_run(await_foreign, &future), -EINVAL);
    rota_future_fini(&future);
    rota_loop_free(loop);
}

static intptr_t await_it(void *future)
{
    intptr_t result = 0;
    int err = rota_await_future(future, &result);

    return err < 0 ? err : result;
}

static rota_task awaiter;

static intptr_t own_a_future(void *result)
{
    rota_future *future = malloc(sizeof *future);

    assert_non_null(future);
    rota_future_init(future, rota_get_running_loop());
    awaiter = start(await_it, future);
    pass_turns(1);
    if (result)
        assert_int_equal(rota_future_set_result(future, (intptr_t)result), 0);
    else
        assert_int_equal(rota_future_set_exception(future, -EIO), 0);
    rota_future_fini(future);
    free(future);
    return rota_await(awaiter);
}

static void a_future_may_go_as_soon_as_it_is_done(void)
{
    assert_int_equal(run_virtually(own_a_future, (void *)3), 3);
    assert_int_equal(run_virtually(own_a_future, NULL), -EIO);
}

HARNESS_MAIN(TEST(a_future_wakes_tasks_and_callbacks_in_the_order_they_came),
             TEST(awaiting_a_future_returns_its_result_or_its_error),
             TEST(the_end_of_a_future_wakes_tasks_but_drops_callbacks),
             TEST(a_future_of_another_loop_is_refused),
             TEST(a_future_may_go_as_soon_as_it_is_done))
