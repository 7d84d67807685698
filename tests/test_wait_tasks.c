/* SPDX-License-Identifier: MIT */
/*
 * Waiting for some of many tasks: who is done
 */
#include "waits.h"

/* --- What is waited for ------------------------------------------------- */

static intptr_t wait_for_all(void *arg)
{
    struct job jobs[] = {{3, 1, "a", 0}, {1, -EIO, "b", 0}, {2, 3, "c", 0}};
    double before = now();
    rota_task tasks[3];
    bool done[3] = {false};

    (void)arg;
    start_jobs(tasks, jobs, 3);
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, 3, done), 3);
    note("waited");
    assert_int_equal(digits(done, 3), 111);
    assert_true(now() - before >= 3 - 1e-6 && now() - before < 3.1);
    assert_int_equal(rota_await(tasks[0]), 1);
    assert_int_equal(rota_await(tasks[1]), -EIO);
    assert_int_equal(rota_await(tasks[2]), 3);
    return 0;
}

static void all_are_waited_for_and_stay_ours(void)
{
    scenario(wait_for_all);
    assert_noted("b c a waited");
}

static intptr_t wait_for_the_first(void *arg)
{
    struct job jobs[] = {{3, 1, "a", 0}, {1, 2, "b", 0}, {2, 3, "c", 0}};
    rota_task tasks[3];
    bool done[3];

    (void)arg;
    start_jobs(tasks, jobs, 3);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(wait_until(ROTA_FIRST_COMPLETED, tasks, 3, done), 1);
        note("%03d", digits(done, 3));
        if (i == 1)
            assert_int_equal(rota_sleep(0.5), 0);
    }
    end_all(tasks, 3);
    return 0;
}

/* One that is done already counts, so that the later waits do not wait. */
static void the_first_end_is_enough(void)
{
    scenario(wait_for_the_first);
    assert_noted("b 010 010 010 a-cancelled c-cancelled");
}

static intptr_t wait_for_an_error(void *arg)
{
    struct job jobs[] = {{3, -EIO, "a", 0},
                         {1, 2, "b", 0},
                         {2, -ECANCELED, "c", 0},
                         {4, -EPIPE, "d", 0}};
    rota_task tasks[4];
    bool done[4];

    (void)arg;
    start_jobs(tasks, jobs, 4);
    assert_int_equal(wait_until(ROTA_FIRST_EXCEPTION, tasks, 4, done), 3);
    note("%04d", digits(done, 4));
    end_all(tasks, 4);
    return 0;
}

static void the_first_error_is_enough_but_a_cancelled_task_is_none(void)
{
    scenario(wait_for_an_error);
    assert_noted("b c a 1110 d-cancelled");
}

static intptr_t wait_without_an_error(void *arg)
{
    struct job jobs[] = {{2, 5, "a", 0}, {3, -5000, "b", 0}};
    rota_task tasks[3];

    (void)arg;
    start_jobs(tasks, jobs, 2);
    tasks[2] = start(sleep_for_ever, NULL);
    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_cancel(tasks[2]), 1);
    assert_int_equal(wait_until(ROTA_FIRST_EXCEPTION, tasks, 3, NULL), 3);
    note("waited");
    assert_int_equal(rota_await(tasks[2]), -ECANCELED);
    assert_int_equal(rota_await(tasks[1]), -5000);
    return rota_await(tasks[0]) - 5;
}

static void without_an_error_all_are_waited_for(void)
{
    scenario(wait_without_an_error);
    assert_noted("a b waited");
}

static intptr_t wait_for_an_old_error(void *arg)
{
    rota_task tasks[] = {start(fail_with_eio, NULL),
                         start(sleep_for_ever, (void *)"sleeper")};

    (void)arg;
    pass_turns(1);
    assert_int_equal(wait_until(ROTA_FIRST_EXCEPTION, tasks, 2, NULL), 1);
    note("waited");
    end_all(tasks, 2);
    return 0;
}

static void an_error_that_was_there_already_counts(void)
{
    scenario(wait_for_an_old_error);
    assert_noted("waited sleeper");
}

/* --- Many, twice, gone -------------------------------------------------- */

enum { MANY = 100 };

static intptr_t wait_for_many(void *arg)
{
    static struct job jobs[MANY];
    static rota_task tasks[MANY];
    static bool done[MANY];

    (void)arg;
    for (int i = 0; i < MANY; i++)
        jobs[i] = (struct job){.seconds = i * 37 % MANY, .result = i};
    start_jobs(tasks, jobs, MANY);
    assert_int_equal(rota_wait(tasks, MANY, 49.5, ROTA_ALL_COMPLETED, done),
                     MANY / 2);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(done[i], jobs[i].seconds < 50);
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, MANY, done), MANY);
    return rota_gather(tasks, MANY, NULL, false);
}

static void a_hundred_are_waited_for(void)
{
    scenario(wait_for_many);
}

static intptr_t wait_without_memory(void *arg)
{
    rota_task tasks[17];
    long before;

    (void)arg;
    for (int i = 0; i < 17; i++)
        tasks[i] = start(return_arg, (void *)1);
    harness_fail_allocation(1);
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, 17, NULL), -ENOMEM);
    harness_fail_allocation(-1);
    before = harness_allocations();
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, 16, NULL), 16);
    assert_int_equal(harness_allocations(), before);
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, 17, NULL), 17);
    assert_int_equal(harness_allocations(), before + 1);
    return rota_gather(tasks, 17, NULL, true);
}

static void only_more_than_sixteen_take_memory(void)
{
    scenario(wait_without_memory);
}

static intptr_t wait_without_a_timer(void *arg)
{
    rota_task tasks[17];

    (void)arg;
    for (int i = 0; i < 17; i++)
        tasks[i] = start(return_arg, (void *)1);
    harness_fail_allocation(2);
    assert_int_equal(rota_wait(tasks, 17, 1, ROTA_ALL_COMPLETED, NULL),
                     -ENOMEM);
    harness_fail_allocation(1);
    assert_int_equal(rota_wait(tasks, 1, 1, ROTA_ALL_COMPLETED, NULL), -ENOMEM);
    harness_fail_allocation(-1);
    assert_int_equal(rota_wait(tasks, 17, 1, ROTA_ALL_COMPLETED, NULL), 17);
    return rota_gather(tasks, 17, NULL, true);
}

static void a_wait_that_gets_no_timer_leaves_nothing_behind(void)
{
    scenario(wait_without_a_timer);
}

static intptr_t wait_twice(void *arg)
{
    rota_task task = start(return_arg, (void *)8);
    rota_task other = start(sleep_for_ever, NULL);
    rota_task tasks[] = {task, other, task};
    bool done[3];

    (void)arg;
    assert_int_equal(wait_until(ROTA_FIRST_COMPLETED, tasks, 3, done), 2);
    assert_int_equal(digits(done, 3), 101);
    tasks[1] = task;
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, 3, done), 3);
    end_all(&other, 1);
    return rota_await(task) - 8;
}

static void a_task_that_stands_there_twice_is_counted_twice(void)
{
    scenario(wait_twice);
}

static intptr_t await_it(void *task)
{
    return rota_await(*(rota_task *)task);
}

static intptr_t wait_for_the_ended(void *arg)
{
    rota_task tasks[] = {start_after(2), start_after(4)};
    rota_task awaiter = start(await_it, &tasks[0]);
    bool done[2];

    (void)arg;
    assert_int_equal(rota_detach(tasks[1]), 0);
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, tasks, 2, done), 2);
    note("waited:%02d", digits(done, 2));
    assert_int_equal(rota_await(tasks[0]), -ROTA_EAWAITED);
    return rota_await(awaiter);
}

static void a_task_that_others_end_meanwhile_is_done(void)
{
    scenario(wait_for_the_ended);
    assert_noted("e2 e4 waited:11");
}

static intptr_t wait_refused(void *arg)
{
    rota_task task = start(return_arg, (void *)1);
    rota_task bad[] = {task, {0}};

    (void)arg;
    assert_int_equal(rota_wait(bad, 0, 1, ROTA_ALL_COMPLETED, NULL), -EINVAL);
    assert_int_equal(rota_wait(NULL, 0, 1, ROTA_ALL_COMPLETED, NULL), -EINVAL);
    assert_int_equal(rota_wait(&task, 1, 1, (rota_return_when)3, NULL),
                     -EINVAL);
    assert_int_equal(rota_wait(bad, 2, 1, ROTA_ALL_COMPLETED, NULL), -EINVAL);
    bad[1] = rota_current_task();
    assert_int_equal(rota_wait(bad, 2, 1, ROTA_ALL_COMPLETED, NULL), -EDEADLK);
    assert_int_equal(rota_await(task), 1);
    assert_int_equal(rota_wait(bad, 1, 1, ROTA_ALL_COMPLETED, NULL),
                     -ROTA_EAWAITED);
    return 0;
}

static void bad_tasks_and_unknown_modes_are_refused(void)
{
    rota_task none = {0};

    scenario(wait_refused);
    assert_int_equal(rota_wait(&none, 1, 1, ROTA_ALL_COMPLETED, NULL),
                     -ROTA_ENOTASK);
}

static void a_wait_for_an_ended_task_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(wait_refused, NULL);
}

HARNESS_MAIN(TEST(all_are_waited_for_and_stay_ours),
             TEST(the_first_end_is_enough),
             TEST(the_first_error_is_enough_but_a_cancelled_task_is_none),
             TEST(without_an_error_all_are_waited_for),
             TEST(an_error_that_was_there_already_counts),
             TEST(a_hundred_are_waited_for),
             TEST(only_more_than_sixteen_take_memory),
             TEST(a_wait_that_gets_no_timer_leaves_nothing_behind),
             TEST(a_task_that_stands_there_twice_is_counted_twice),
             TEST(a_task_that_others_end_meanwhile_is_done),
             TEST(bad_tasks_and_unknown_modes_are_refused),
             TEST_EXPECT_SIGNAL(a_wait_for_an_ended_task_stops_in_debug_mode,
                                SIGABRT, "rota_wait"))
