/* SPDX-License-Identifier: MIT */
/*
 * Conditions and those who are cancelled while they wait
 *
 * They come back with the lock, and what they were notified of reaches
 * another. The lines of words are what the same programs print on CPython's
 * asyncio, but for the names of errors (3.13: older ones lose a notification).
 */
#include "locks.h"

static rota_condition condition;

static void hold(void)
{
    assert_int_equal(rota_condition_acquire(&condition), 0);
}

static void let_go(void *arg)
{
    (void)arg;
    assert_int_equal(rota_condition_release(&condition), 0);
}

static void notify(size_t count)
{
    assert_int_equal(rota_condition_notify(&condition, count), 0);
}

static intptr_t wait_once(void *name)
{
    int err;

    hold();
    err = note_result(name, rota_condition_wait(&condition));
    assert_true(rota_condition_locked(&condition));
    let_go(NULL);
    return err;
}

static void cancel(rota_task task)
{
    assert_int_equal(rota_task_cancel(task), 1);
}

/* --- The lock ------------------------------------------------------------ */

static void cancel_it(void *task)
{
    cancel(*(rota_task *)task);
}

/* The lock is taken for it, and it keeps it. */
static intptr_t wait_and_keep(void *arg)
{
    (void)arg;
    return note_result("a", rota_condition_wait(&condition));
}

static intptr_t cancel_the_holder(void *arg)
{
    rota_task task;

    (void)arg;
    rota_condition_init(&condition, NULL);
    hold();
    task = start(wait_and_keep, NULL);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, cancel_it, &task), 0);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_true(rota_condition_locked(&condition));
    let_go(NULL);
    rota_condition_fini(&condition);
    return 0;
}

static void a_cancelled_wait_returns_with_the_lock(void)
{
    scenario(cancel_the_holder);
    assert_noted("a:ECANCELED");
}

/* Two requests while somebody else has the lock: one wait tells of both. */
static intptr_t cancel_while_it_wants_the_lock(void *arg)
{
    rota_task task;

    (void)arg;
    rota_condition_init(&condition, NULL);
    task = start(wait_once, "a");
    pass_turns(1);
    hold();
    notify(1);
    pass_turns(1);
    cancel(task);
    pass_turns(1);
    cancel(task);
    pass_turns(3);
    assert_noted("");
    assert_int_equal(rota_task_cancelling(task), 2);
    let_go(NULL);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("a:ECANCELED");
    assert_false(rota_condition_locked(&condition));
    rota_condition_fini(&condition);
    return 0;
}

static void a_cancellation_waits_for_the_lock(void)
{
    scenario(cancel_while_it_wants_the_lock);
}

/* It has been woken for the lock as well before the request comes. */
static intptr_t cancel_beside_the_lock(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    rota_task task;

    (void)arg;
    rota_condition_init(&condition, NULL);
    task = start(wait_once, "a");
    pass_turns(1);
    hold();
    notify(1);
    assert_int_equal(rota_call_soon(loop, NULL, cancel_it, &task), 0);
    assert_int_equal(rota_call_soon(loop, NULL, let_go, NULL), 0);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("a:ECANCELED");
    assert_false(rota_condition_locked(&condition));
    rota_condition_fini(&condition);
    return 0;
}

static void a_cancellation_beside_the_release_still_takes_the_lock(void)
{
    scenario(cancel_beside_the_lock);
}

static intptr_t wait_with_a_limit(void *arg)
{
    rota_timeout timeout;
    intptr_t err;

    (void)arg;
    rota_condition_init(&condition, NULL);
    hold();
    assert_int_equal(rota_timeout_begin(&timeout, 5), 0);
    err = rota_timeout_end(&timeout, rota_condition_wait(&condition));
    assert_int_equal(err, -ETIMEDOUT);
    assert_true(rota_condition_locked(&condition));
    let_go(NULL);
    assert_int_equal(rota_wait_for(start(wait_once, "a"), 5), -ETIMEDOUT);
    assert_false(rota_condition_locked(&condition));
    rota_condition_fini(&condition);
    return 0;
}

static void a_wait_that_times_out_returns_with_the_lock(void)
{
    scenario(wait_with_a_limit);
    assert_noted("a:ECANCELED");
}

/* --- The notification ---------------------------------------------------- */

static int items;

static bool something_is_there(void *arg)
{
    (void)arg;
    return items != 0;
}

static bool all_is_eaten(void *arg)
{
    (void)arg;
    return items == 0;
}

/* Takes one item after the other, until there are less than none. */
static intptr_t consume(void *name)
{
    int err = 0;

    hold();
    while (err == 0 && items >= 0) {
        err = rota_condition_wait_for(&condition, something_is_there, NULL);
        if (err == 0 && items > 0) {
            items--;
            note("%s", (const char *)name);
        }
    }
    let_go(NULL);
    return err;
}

/* One of two consumers is notified and cancelled: the other must come. */
static intptr_t cancel_a_consumer(void *later)
{
    rota_task tasks[2];
    rota_timeout limit;
    intptr_t err;

    rota_condition_init(&condition, NULL);
    tasks[0] = start(consume, "a");
    tasks[1] = start(consume, "b");
    pass_turns(1);
    hold();
    items++;
    notify(1);
    if (later)
        pass_turns(1);
    cancel(tasks[0]);
    assert_int_equal(rota_timeout_begin(&limit, 10), 0);
    err = rota_condition_wait_for(&condition, all_is_eaten, NULL);
    assert_int_equal(rota_timeout_end(&limit, err), -ETIMEDOUT);
    assert_int_equal(items, 0);
    items = -1;
    assert_int_equal(rota_condition_notify_all(&condition), 0);
    let_go(NULL);
    assert_int_equal(rota_await(tasks[0]), -ECANCELED);
    assert_int_equal(rota_await(tasks[1]), 0);
    rota_condition_fini(&condition);
    return 0;
}

static void who_is_cancelled_before_it_wakes_passes_the_news_on(void)
{
    scenario(cancel_a_consumer);
    assert_noted("b");
}

static void who_is_cancelled_while_it_wants_the_lock_passes_the_news_on(void)
{
    assert_int_equal(run_virtually(cancel_a_consumer, (void *)1), 0);
    assert_noted("b");
}

/* Nobody has notified: a wake-up like this is called spurious. */
static intptr_t cancel_without_news(void *arg)
{
    rota_task tasks[4];

    (void)arg;
    rota_condition_init(&condition, NULL);
    tasks[0] = start(wait_once, "a");
    tasks[1] = start(wait_once, "b");
    tasks[2] = start(wait_once, "c");
    tasks[3] = start(ticker, "t");
    pass_turns(1);
    cancel(tasks[0]);
    pass_turns(4);
    assert_noted("t0 t1 a:ECANCELED t2 b t3 t4");
    assert_false(rota_task_done(tasks[2]));
    cancel(tasks[2]);
    assert_int_equal(rota_gather(tasks, 4, NULL, true), 0);
    assert_noted("t5 c:ECANCELED");
    rota_condition_fini(&condition);
    return 0;
}

static void a_cancelled_one_wakes_another_even_if_nobody_notified(void)
{
    scenario(cancel_without_news);
}

/* --- The end ------------------------------------------------------------- */

static rota_lock lock;

/* Of a condition with a lock that stays. */
static intptr_t wait_for_page(void *page)
{
    int err;

    assert_int_equal(rota_condition_acquire(page), 0);
    err = note_result("a", rota_condition_wait(page));
    return err < 0 ? err : rota_lock_release(&lock);
}

static intptr_t take_and_notify(void *arg)
{
    (void)arg;
    hold();
    notify(1);
    return 0;
}

static rota_task wait_until_it_wants_the_lock(rota_condition *page)
{
    rota_task task;

    rota_lock_init(&lock);
    rota_condition_init(page, &lock);
    task = start(wait_for_page, page);
    pass_turns(1);
    assert_int_equal(rota_condition_acquire(page), 0);
    assert_int_equal(rota_condition_notify(page, 1), 0);
    pass_turns(1);
    return task;
}

static intptr_t end_while_it_wants_the_lock(void *cancelled)
{
    void *page = page_new();
    rota_task task = wait_until_it_wants_the_lock(page);

    if (cancelled)
        cancel(task);
    rota_condition_fini(page);
    page_free(page);
    pass_turns(2);
    assert_int_equal(rota_lock_release(&lock), 0);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    assert_false(rota_lock_locked(&lock));
    rota_lock_fini(&lock);
    return 0;
}

static void who_wants_the_lock_of_an_ended_condition_does_not_keep_it(void)
{
    scenario(end_while_it_wants_the_lock);
    assert_noted("a:ROTA_ECLOSING");
    assert_int_equal(run_virtually(end_while_it_wants_the_lock, (void *)1), 0);
    assert_noted("a:ROTA_ECLOSING");
}

static void ending_a_condition_under_who_wants_its_lock_stops(void)
{
    (void)run_in_debug_mode(end_while_it_wants_the_lock, NULL);
}

static intptr_t wait_and_then_wait(void *arg)
{
    assert_int_equal(wait_for_page(arg), -ROTA_ECLOSING);
    return rota_sleep(1);
}

static intptr_t end_the_lock(void *arg)
{
    rota_task task;

    (void)arg;
    rota_lock_init(&lock);
    rota_condition_init(&condition, &lock);
    task = start(wait_and_then_wait, &condition);
    pass_turns(1);
    hold();
    cancel(task);
    pass_turns(1);
    rota_lock_fini(&lock);
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_condition_fini(&condition);
    return 0;
}

static void a_lock_that_ends_under_a_cancelled_wait_hides_no_request(void)
{
    scenario(end_the_lock);
    assert_noted("a:ROTA_ECLOSING");
}

/* The lock is free while "a" waits: a task of another loop may take it. */
static void who_cannot_have_the_lock_back_is_told_so(void)
{
    rota_loop *loop = NULL;
    rota_task task;

    rota_lock_init(&lock);
    rota_condition_init(&condition, &lock);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_create_task(loop, &task, wait_for_page, &condition), 0);
    assert_int_equal(rota_detach(task), 0);
    rota_set_exception_handler(loop, ignore_report, NULL);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(run_virtually(take_and_notify, NULL), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_noted("a:ROTA_ECLOSING");
    assert_true(rota_lock_locked(&lock));
    rota_loop_free(loop);
    rota_condition_fini(&condition);
    rota_lock_fini(&lock);
}

/* A place in two queues, when its task is destroyed. */
static intptr_t stop_while_it_wants_the_lock(void *page)
{
    (void)wait_until_it_wants_the_lock(page);
    assert_int_equal(rota_lock_release(&lock), 0);
    rota_loop_stop(rota_get_running_loop());
    return 0;
}

static void a_loop_that_closes_leaves_both_queues_empty(void)
{
    rota_loop *loop = NULL;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    rota_set_exception_handler(loop, ignore_report, NULL);
    assert_int_equal(rota_loop_create_task(
                         loop, &task, stop_while_it_wants_the_lock, &condition),
                     0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(rota_detach(task), 0);
    rota_loop_free(loop);
    rota_condition_fini(&condition);
    rota_lock_fini(&lock);
}

HARNESS_MAIN(
    TEST(a_cancelled_wait_returns_with_the_lock),
    TEST(a_cancellation_waits_for_the_lock),
    TEST(a_cancellation_beside_the_release_still_takes_the_lock),
    TEST(a_wait_that_times_out_returns_with_the_lock),
    TEST(who_is_cancelled_before_it_wakes_passes_the_news_on),
    TEST(who_is_cancelled_while_it_wants_the_lock_passes_the_news_on),
    TEST(a_cancelled_one_wakes_another_even_if_nobody_notified),
    TEST(who_wants_the_lock_of_an_ended_condition_does_not_keep_it),
    TEST_EXPECT_SIGNAL(ending_a_condition_under_who_wants_its_lock_stops,
                       SIGABRT, "rota_condition_fini"),
    TEST(a_lock_that_ends_under_a_cancelled_wait_hides_no_request),
    TEST(who_cannot_have_the_lock_back_is_told_so),
    TEST(a_loop_that_closes_leaves_both_queues_empty))
