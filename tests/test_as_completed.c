/* SPDX-License-Identifier: MIT */
/*
 * Tasks in the order of their ends
 */
#include "waits.h"

static const double no_limit = (double)INFINITY;

/* Notes the result of each that comes, then how it ended. */
static intptr_t note_all(rota_as_completed *iterator, const char *who)
{
    rota_task task;
    int found;

    while ((found = rota_as_completed_next(iterator, &task)) == 1) {
        assert_true(rota_task_done(task));
        note("%s%d", who, (int)rota_await(task));
    }
    note("%s%s", who, found == 0 ? "over" : rota_errname(found));
    return found;
}

static void open_it(rota_as_completed *iterator, const rota_task *tasks,
                    size_t count, double timeout)
{
    assert_int_equal(rota_as_completed_begin(iterator, tasks, count, timeout),
                     0);
}

/* --- In the order of their ends ----------------------------------------- */

static intptr_t iterate_over_jobs(void *arg)
{
    struct job jobs[] = {{3, 30, NULL, 0}, {1, 10, NULL, 0}, {2, 20, NULL, 0}};
    rota_as_completed iterator;
    rota_task tasks[3];

    (void)arg;
    start_jobs(tasks, jobs, 3);
    open_it(&iterator, tasks, 3, no_limit);
    assert_int_equal(note_all(&iterator, ""), 0);
    assert_int_equal(note_all(&iterator, ""), 0);
    rota_as_completed_end(&iterator);
    return 0;
}

static void tasks_come_in_the_order_of_their_ends(void)
{
    scenario(iterate_over_jobs);
    assert_noted("10 20 30 over over");
}

static intptr_t yield_and_return(void *turns)
{
    yield_and_note(turns);
    return (intptr_t)turns;
}

static rota_task return_after(int turns)
{
    return start(yield_and_return, (void *)(intptr_t)turns);
}

static intptr_t iterate_beside_a_ticker(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task tasks[] = {return_after(0), return_after(2)};
    rota_as_completed iterator;

    (void)arg;
    open_it(&iterator, tasks, 2, no_limit);
    assert_int_equal(note_all(&iterator, ""), 0);
    rota_as_completed_end(&iterator);
    return rota_await(t);
}

/* asyncio: the same line. */
static void each_is_heard_of_two_turns_after_its_end(void)
{
    scenario(iterate_beside_a_ticker);
    assert_noted("t0 e0 t1 t2 0 e2 t3 t4 2 over t5");
}

static intptr_t iterate_over_the_done(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task tasks[] = {return_after(3), return_after(0), return_after(1)};
    rota_as_completed iterator;

    (void)arg;
    pass_turns(3);
    note("begin");
    open_it(&iterator, tasks, 3, no_limit);
    assert_int_equal(note_all(&iterator, ""), 0);
    rota_as_completed_end(&iterator);
    return rota_await(t);
}

/* asyncio: the same turns; those that were done already come in any order. */
static void those_that_are_done_already_come_first_in_their_order(void)
{
    scenario(iterate_over_the_done);
    assert_noted("t0 e0 t1 e1 t2 begin t3 e3 t4 0 1 3 over t5");
}

static intptr_t iterate_over_errors(void *arg)
{
    rota_task tasks[] = {start(sleep_for_ever, NULL),
                         start(fail_with_eio, NULL),
                         start(return_arg, (void *)7)};
    rota_as_completed iterator;
    rota_task task;

    (void)arg;
    open_it(&iterator, tasks, 3, no_limit);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    assert_int_equal(rota_await(task), -EIO);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    assert_int_equal(rota_await(task), 7);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    assert_int_equal(task.id, tasks[0].id);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 0);
    rota_as_completed_end(&iterator);
    return 0;
}

static void tasks_that_failed_or_were_cancelled_come_like_others(void)
{
    scenario(iterate_over_errors);
}

static intptr_t iterate_over_nothing(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_as_completed iterator;

    (void)arg;
    open_it(&iterator, NULL, 0, 0);
    assert_int_equal(note_all(&iterator, ""), 0);
    pass_turns(1);
    assert_int_equal(note_all(&iterator, ""), 0);
    rota_as_completed_end(&iterator);
    assert_int_equal(rota_task_cancel(t), 1);
    return rota_await(t) == -ECANCELED ? 0 : -EIO;
}

static void nothing_is_over_at_once(void)
{
    scenario(iterate_over_nothing);
    assert_noted("over t0 over");
}

static intptr_t iterate_over_one_twice(void *arg)
{
    rota_task task = start(return_arg, (void *)5);
    rota_task tasks[] = {task, task};
    rota_as_completed iterator;

    (void)arg;
    open_it(&iterator, tasks, 2, no_limit);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    assert_int_equal(rota_await(task), 5);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    assert_int_equal(rota_await(task), -ROTA_EAWAITED);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 0);
    rota_as_completed_end(&iterator);
    return 0;
}

static void a_task_that_stands_there_twice_comes_twice(void)
{
    scenario(iterate_over_one_twice);
}

static intptr_t iterate_over_the_detached(void *arg)
{
    rota_task tasks[] = {return_after(3), return_after(1)};
    rota_as_completed iterator;
    rota_task task;

    (void)arg;
    assert_int_equal(rota_detach(tasks[0]), 0);
    open_it(&iterator, tasks, 2, no_limit);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    assert_int_equal(rota_await(task), 1);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    assert_int_equal(task.id, tasks[0].id);
    assert_int_equal(rota_await(task), -ROTA_EAWAITED);
    rota_as_completed_end(&iterator);
    return 0;
}

static void a_task_that_others_end_comes_as_well(void)
{
    scenario(iterate_over_the_detached);
    assert_noted("e1 e3");
}

/* --- Timeouts ----------------------------------------------------------- */

static intptr_t iterate_with_no_time(void *timeout)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task tasks[] = {return_after(0), start(sleep_for_ever, NULL)};
    rota_as_completed iterator;

    pass_turns(1);
    note("begin");
    open_it(&iterator, tasks, 2, *(double *)timeout);
    assert_int_equal(note_all(&iterator, ""), -ETIMEDOUT);
    rota_as_completed_end(&iterator);
    end_all(&tasks[1], 1);
    return rota_await(t);
}

/* asyncio: the same line. Who was done already is heard of. */
static void without_any_time_only_the_done_come(void)
{
    double timeout = 0;

    assert_int_equal(run_virtually(iterate_with_no_time, &timeout), 0);
    assert_noted("t0 e0 begin t1 t2 0 ETIMEDOUT t3 t4 t5");
    timeout = -1;
    assert_int_equal(run_virtually(iterate_with_no_time, &timeout), 0);
    assert_noted("t0 e0 begin t1 t2 0 ETIMEDOUT t3 t4 t5");
}

static intptr_t iterate_for_a_while(void *timeout)
{
    struct job jobs[] = {{1, 10, NULL, 0}, {2, 20, NULL, 0}, {3, 30, NULL, 0}};
    double before = now();
    rota_as_completed iterator;
    rota_task tasks[3];

    start_jobs(tasks, jobs, 3);
    open_it(&iterator, tasks, 3, *(double *)timeout);
    (void)note_all(&iterator, "");
    note("after:%.1f", now() - before);
    (void)note_all(&iterator, "");
    rota_as_completed_end(&iterator);
    for (int i = 0; i < 3; i++)
        if (!rota_task_done(tasks[i]))
            end_all(&tasks[i], 1);
    return 0;
}

static void the_time_may_pass_before_in_between_or_never(void)
{
    double timeout = 0.5;

    assert_int_equal(run_virtually(iterate_for_a_while, &timeout), 0);
    assert_noted("ETIMEDOUT after:0.5 ETIMEDOUT");
    timeout = 2.5;
    assert_int_equal(run_virtually(iterate_for_a_while, &timeout), 0);
    assert_noted("10 20 ETIMEDOUT after:2.5 ETIMEDOUT");
    timeout = 10;
    assert_int_equal(run_virtually(iterate_for_a_while, &timeout), 0);
    assert_noted("10 20 30 over after:3.0 over");
}

static intptr_t look_late(void *arg)
{
    struct job jobs[] = {{1, 10, NULL, 0}, {3, 30, NULL, 0}, {9, 90, NULL, 0}};
    rota_as_completed iterator;
    rota_task tasks[3];

    (void)arg;
    start_jobs(tasks, jobs, 3);
    open_it(&iterator, tasks, 3, 2);
    assert_int_equal(rota_sleep(4), 0);
    assert_int_equal(note_all(&iterator, ""), -ETIMEDOUT);
    assert_true(rota_task_done(tasks[1]));
    rota_as_completed_end(&iterator);
    end_all(&tasks[1], 2);
    return 0;
}

/* asyncio: the same. */
static void who_ended_after_the_time_does_not_come_also_for_a_late_look(void)
{
    scenario(look_late);
    assert_noted("10 ETIMEDOUT");
}

static intptr_t iterate_in_a_scope(void *arg)
{
    rota_task task = start(sleep_for_ever, NULL);
    rota_as_completed iterator;
    rota_timeout timeout;
    intptr_t result;

    (void)arg;
    open_it(&iterator, &task, 1, no_limit);
    (void)rota_timeout_begin(&timeout, 1);
    result = note_all(&iterator, "");
    assert_int_equal(rota_timeout_end(&timeout, result), -ETIMEDOUT);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(note_all(&iterator, ""), 0);
    rota_as_completed_end(&iterator);
    return 0;
}

static void a_timeout_scope_ends_the_wait_and_not_the_iterator(void)
{
    scenario(iterate_in_a_scope);
    assert_noted("ECANCELED -125 over");
}

/* --- Several consumers -------------------------------------------------- */

struct consumer {
    rota_as_completed *iterator;
    const char *name;
};

static intptr_t consume(void *arg)
{
    const struct consumer *consumer = arg;

    return note_all(consumer->iterator, consumer->name);
}

static intptr_t share(void *arg)
{
    rota_as_completed iterator;
    struct consumer consumers[] = {
        {&iterator, "a"}, {&iterator, "b"}, {&iterator, "c"}};
    rota_task tasks[4], others[3];

    (void)arg;
    for (int i = 0; i < 4; i++)
        tasks[i] = return_after(2 * i);
    open_it(&iterator, tasks, 4, no_limit);
    for (int i = 0; i < 3; i++)
        others[i] = start(consume, &consumers[i]);
    assert_int_equal(rota_gather(others, 3, NULL, false), 0);
    rota_as_completed_end(&iterator);
    return 0;
}

/* asyncio: the same, but that who finds all spoken for is told at once. */
static void several_tasks_take_turns_until_there_are_no_more(void)
{
    scenario(share);
    assert_noted("e0 a0 e2 b2 e4 c4 e6 a6 aover bover cover");
}

static intptr_t share_what_is_done_together(void *arg)
{
    rota_as_completed iterator;
    struct consumer consumers[] = {{&iterator, "a"}, {&iterator, "b"}};
    rota_task tasks[4], others[2];

    (void)arg;
    for (int i = 0; i < 4; i++)
        tasks[i] = start(return_arg, (void *)(intptr_t)i);
    open_it(&iterator, tasks, 4, no_limit);
    for (int i = 0; i < 2; i++)
        others[i] = start(consume, &consumers[i]);
    assert_int_equal(rota_gather(others, 2, NULL, false), 0);
    rota_as_completed_end(&iterator);
    return 0;
}

/* In asyncio the second one gets the last, because it asked for one. */
static void who_need_not_wait_takes_on(void)
{
    scenario(share_what_is_done_together);
    assert_noted("a0 a1 a2 a3 aover bover");
}

static intptr_t cancel_a_consumer(void *turns)
{
    rota_as_completed iterator;
    struct consumer consumers[] = {{&iterator, "a"}, {&iterator, "b"}};
    rota_task tasks[3], others[2];

    for (int i = 0; i < 3; i++)
        tasks[i] = start(yield_and_return, (void *)(intptr_t)(2 + i));
    open_it(&iterator, tasks, 3, no_limit);
    for (int i = 0; i < 2; i++)
        others[i] = start(consume, &consumers[i]);
    pass_turns(*(int *)turns);
    assert_int_equal(rota_task_cancel(others[0]), 1);
    assert_int_equal(rota_gather(others, 2, NULL, true), 0);
    rota_as_completed_end(&iterator);
    return 0;
}

/* In asyncio what the cancelled one waited for is lost to the others. */
static void a_cancelled_consumer_leaves_its_part_to_the_others(void)
{
    int turns = 2; /* it waits */

    assert_int_equal(run_virtually(cancel_a_consumer, &turns), 0);
    assert_noted("e2 aECANCELED e3 b2 e4 b3 b4 bover");
    turns = 4; /* it has been woken in this turn */
    assert_int_equal(run_virtually(cancel_a_consumer, &turns), 0);
    assert_noted("e2 e3 aECANCELED e4 b2 b3 b4 bover");
}

static intptr_t end_under_consumers(void *turns)
{
    rota_as_completed iterator;
    struct consumer consumers[] = {{&iterator, "a"}, {&iterator, "b"}};
    rota_task tasks[2], others[2], task;

    tasks[0] = start(return_arg, (void *)1);
    tasks[1] = start(sleep_for_ever, NULL);
    open_it(&iterator, tasks, 2, 5);
    for (int i = 0; i < 2; i++)
        others[i] = start(consume, &consumers[i]);
    pass_turns(*(int *)turns);
    rota_as_completed_end(&iterator);
    assert_int_equal(rota_as_completed_next(&iterator, &task), -ROTA_ECLOSING);
    rota_as_completed_end(&iterator);
    memset(&iterator, 0xff, sizeof iterator);
    assert_int_equal(rota_gather(others, 2, NULL, true), 0);
    end_all(&tasks[1], 1);
    return rota_task_done(tasks[0]) ? 0 : -EIO;
}

static void who_waits_when_it_ends_is_told(void)
{
    for (int turns = 2; turns <= 3; turns++)
        assert_int_equal(run_virtually(end_under_consumers, &turns), 0);
    assert_noted("aROTA_ECLOSING bROTA_ECLOSING "
                 "a1 bROTA_ECLOSING aROTA_ECLOSING");
}

static intptr_t end_early(void *arg)
{
    struct job jobs[] = {{1, 1, "a", 0}, {2, 2, "b", 0}, {3, 3, "c", 0}};
    rota_as_completed iterator;
    rota_task tasks[3], task;

    (void)arg;
    start_jobs(tasks, jobs, 3);
    open_it(&iterator, tasks, 3, 10);
    assert_int_equal(rota_as_completed_next(&iterator, &task), 1);
    rota_as_completed_end(&iterator);
    memset(&iterator, 0xff, sizeof iterator);
    note("ended");
    return rota_gather(tasks, 3, NULL, false);
}

static void the_tasks_go_on_after_an_early_end(void)
{
    scenario(end_early);
    assert_noted("a ended b c");
}

/* --- Where it begins ---------------------------------------------------- */

static rota_as_completed shared;
static rota_task its_task;

static void begin_in_a_callback(void *arg)
{
    (void)arg;
    open_it(&shared, &its_task, 1, 2);
    assert_int_equal(rota_as_completed_next(&shared, &its_task), -ROTA_ENOTASK);
}

static intptr_t use_a_callbacks(void *arg)
{
    (void)arg;
    its_task = start(return_arg, (void *)3);
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    begin_in_a_callback, NULL),
                     0);
    pass_turns(1);
    assert_int_equal(note_all(&shared, ""), 0);
    rota_as_completed_end(&shared);
    return 0;
}

static void a_callback_may_begin_one_but_not_wait(void)
{
    scenario(use_a_callbacks);
    assert_noted("3 over");
}

static intptr_t begin_badly(void *arg)
{
    rota_task task = start(return_arg, (void *)1);
    rota_task bad[] = {task, {0}};
    rota_as_completed iterator;

    (void)arg;
    assert_int_equal(rota_as_completed_begin(&iterator, &task, 1, (double)NAN),
                     -EINVAL);
    assert_int_equal(rota_as_completed_begin(&iterator, bad, 2, 1), -EINVAL);
    bad[1] = rota_current_task();
    assert_int_equal(rota_as_completed_begin(&iterator, bad, 2, 1), -EDEADLK);
    for (long nth = 1; nth <= 2; nth++) {
        harness_fail_allocation(nth);
        assert_int_equal(rota_as_completed_begin(&iterator, bad, 1, 1),
                         -ENOMEM);
        harness_fail_allocation(-1);
    }
    assert_int_equal(rota_await(task), 1);
    assert_int_equal(rota_as_completed_begin(&iterator, bad, 1, 1),
                     -ROTA_EAWAITED);
    return 0;
}

static void bad_tasks_and_times_are_refused(void)
{
    rota_as_completed iterator;

    scenario(begin_badly);
    assert_int_equal(rota_as_completed_begin(&iterator, NULL, 0, 1),
                     -ROTA_ENOLOOP);
}

/* --- Closing ------------------------------------------------------------ */

static void say_nothing(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

static intptr_t iterate_on_the_stack(void *arg)
{
    rota_task tasks[] = {return_after(1), start(sleep_for_ever, NULL)};
    rota_as_completed iterator;

    (void)arg;
    open_it(&iterator, tasks, 2, 5);
    return note_all(&iterator, "");
}

static intptr_t leave_iterators(void *turns)
{
    static struct consumer consumer = {&shared, ""};

    its_task = return_after(2);
    open_it(&shared, &its_task, 1, no_limit);
    (void)start(consume, &consumer);
    (void)start(iterate_on_the_stack, NULL);
    pass_turns(*(int *)turns);
    return 0;
}

/* One goes with its task's stack, the other one is ended afterwards. */
static void a_loop_that_closes_takes_the_memory_back(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;

    for (int turns = 0; turns < 8; turns++) {
        assert_int_equal(rota_new_event_loop(&loop, &options), 0);
        rota_set_exception_handler(loop, say_nothing, NULL);
        assert_int_equal(
            rota_loop_run_until_complete(loop, leave_iterators, &turns), 0);
        rota_loop_free(loop);
        assert_int_equal(harness_live_blocks(), 0);
        rota_as_completed_end(&shared);
    }
}

HARNESS_MAIN(TEST(tasks_come_in_the_order_of_their_ends),
             TEST(each_is_heard_of_two_turns_after_its_end),
             TEST(those_that_are_done_already_come_first_in_their_order),
             TEST(tasks_that_failed_or_were_cancelled_come_like_others),
             TEST(nothing_is_over_at_once),
             TEST(a_task_that_stands_there_twice_comes_twice),
             TEST(a_task_that_others_end_comes_as_well),
             TEST(without_any_time_only_the_done_come),
             TEST(the_time_may_pass_before_in_between_or_never),
             TEST(who_ended_after_the_time_does_not_come_also_for_a_late_look),
             TEST(a_timeout_scope_ends_the_wait_and_not_the_iterator),
             TEST(several_tasks_take_turns_until_there_are_no_more),
             TEST(who_need_not_wait_takes_on),
             TEST(a_cancelled_consumer_leaves_its_part_to_the_others),
             TEST(who_waits_when_it_ends_is_told),
             TEST(the_tasks_go_on_after_an_early_end),
             TEST(a_callback_may_begin_one_but_not_wait),
             TEST(bad_tasks_and_times_are_refused),
             TEST(a_loop_that_closes_takes_the_memory_back))
