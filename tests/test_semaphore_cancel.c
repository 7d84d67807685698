/* SPDX-License-Identifier: MIT */
/*
 * Semaphores and those who are cancelled while they wait
 *
 * What they were to have goes to the next, or back.
 *
 * The lines of words are what the same programs print on CPython's asyncio,
 * but for the names of errors.
 */
#include "locks.h"

static rota_semaphore semaphore;

/* Acquires it, and never releases it. */
static intptr_t take(void *name)
{
    return note_result(name, rota_semaphore_acquire(&semaphore));
}

static void release(void)
{
    assert_int_equal(rota_semaphore_release(&semaphore), 0);
}

static void begin(rota_task *tasks, int count, rota_task_function *function)
{
    static char names[8][2] = {"a", "b", "c", "d", "e", "f", "g", "h"};

    for (int i = 0; i < count; i++)
        tasks[i] = start(function, names[i]);
}

static void cancel(rota_task task)
{
    assert_int_equal(rota_task_cancel(task), 1);
}

/* How many it admits before one has to wait. */
static int room(void)
{
    int count = 0;

    while (!rota_semaphore_locked(&semaphore)) {
        assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
        count++;
    }
    return count;
}

static intptr_t cancel_the_only_one(void *arg)
{
    rota_task task;

    (void)arg;
    rota_semaphore_init(&semaphore, 1);
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    task = start(take, "a");
    pass_turns(1);
    cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    release();
    assert_int_equal(room(), 1);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_cancelled_acquire_takes_nothing(void)
{
    scenario(cancel_the_only_one);
    assert_noted("a:ECANCELED");
}

static intptr_t cancel_the_first_two(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    begin(tasks, 4, take);
    pass_turns(1);
    cancel(tasks[0]);
    cancel(tasks[1]);
    release();
    pass_turns(1);
    assert_noted("a:ECANCELED b:ECANCELED c");
    assert_false(rota_task_done(tasks[3]));
    cancel(tasks[3]);
    assert_int_equal(rota_gather(tasks, 4, NULL, true), 0);
    assert_int_equal(room(), 0);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_release_passes_over_those_who_were_cancelled(void)
{
    scenario(cancel_the_first_two);
    assert_noted("d:ECANCELED");
}

static intptr_t cancel_the_woken(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    begin(tasks, 2, take);
    tasks[2] = start(ticker, "t");
    pass_turns(1);
    release();
    cancel(tasks[0]);
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    assert_int_equal(room(), 0);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_woken_one_that_is_cancelled_admits_the_next(void)
{
    scenario(cancel_the_woken);
    assert_noted("t0 t1 a:ECANCELED t2 b t3 t4 t5");
}

static intptr_t cancel_the_woken_alone(void *arg)
{
    rota_task task;

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    task = start(take, "a");
    pass_turns(1);
    release();
    cancel(task);
    assert_true(rota_semaphore_locked(&semaphore));
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(room(), 1);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_woken_one_that_is_cancelled_gives_its_part_back(void)
{
    scenario(cancel_the_woken_alone);
    assert_noted("a:ECANCELED");
}

static intptr_t cancel_before_releases(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    begin(tasks, 3, take);
    pass_turns(1);
    cancel(tasks[0]);
    pass_turns(1);
    release();
    release();
    assert_int_equal(rota_gather(tasks, 3, NULL, true), 0);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void the_others_keep_their_order_when_one_is_cancelled(void)
{
    scenario(cancel_before_releases);
    assert_noted("a:ECANCELED b c");
}

static rota_task waiting;

static intptr_t release_then_cancel(void *arg)
{
    (void)arg;
    assert_int_equal(rota_semaphore_acquire(&semaphore), 0);
    assert_int_equal(rota_sleep(0), 0);
    release();
    cancel(waiting);
    return 0;
}

static intptr_t come_after_all(void *arg)
{
    rota_task tasks[2];
    intptr_t results[2];

    (void)arg;
    rota_semaphore_init(&semaphore, 1);
    tasks[0] = start(release_then_cancel, NULL);
    tasks[1] = waiting = start(take, "a");
    assert_int_equal(rota_gather(tasks, 2, results, true), 0);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -ECANCELED);
    assert_int_equal(rota_wait_for(start(take, "b"), 1), 0);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void nobody_waits_in_vain_after_a_cancelled_wake_up(void)
{
    scenario(come_after_all);
    assert_noted("a:ECANCELED b");
}

static void release_it(void *arg)
{
    (void)arg;
    release();
}

/* Both come due in the same turn, the release first. */
static intptr_t release_in_the_last_moment(void *arg)
{
    double when = now() + 5;
    rota_timeout timeout;
    intptr_t err;

    (void)arg;
    rota_semaphore_init(&semaphore, 0);
    assert_int_equal(
        rota_call_at(rota_get_running_loop(), NULL, when, release_it, NULL), 0);
    assert_int_equal(rota_timeout_begin_at(&timeout, when), 0);
    err = rota_semaphore_acquire(&semaphore);
    assert_int_equal(rota_timeout_end(&timeout, err), -ETIMEDOUT);
    assert_int_equal(room(), 1);
    rota_semaphore_fini(&semaphore);
    return 0;
}

static void a_limit_that_meets_the_wake_up_leaves_the_room_free(void)
{
    scenario(release_in_the_last_moment);
}

HARNESS_MAIN(TEST(a_cancelled_acquire_takes_nothing),
             TEST(a_release_passes_over_those_who_were_cancelled),
             TEST(a_woken_one_that_is_cancelled_admits_the_next),
             TEST(a_woken_one_that_is_cancelled_gives_its_part_back),
             TEST(the_others_keep_their_order_when_one_is_cancelled),
             TEST(nobody_waits_in_vain_after_a_cancelled_wake_up),
             TEST(a_limit_that_meets_the_wake_up_leaves_the_room_free))
