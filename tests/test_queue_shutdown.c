/* SPDX-License-Identifier: MIT */
/*
 * Queues: work that is done, and the end
 *
 * Each kind of queue is joined and shut down in the same way. The scenarios
 * are those that CPython's own tests look at; where a comment says so, the
 * line is what the same program prints on CPython's asyncio 3.13.
 */
#include "queues.h"

static void run_on(rota_task_function *function, rota_queue *queue)
{
    assert_int_equal(run_virtually(function, queue), 0);
    rota_queue_free(queue);
}

/* Nothing can be put, nor can anything be got. */
static void assert_at_its_end(rota_queue *queue)
{
    int item = 5;

    assert_int_equal(rota_queue_put(queue, &item), -ROTA_ESHUTDOWN);
    assert_int_equal(rota_queue_put_nowait(queue, &item), -ROTA_ESHUTDOWN);
    assert_int_equal(rota_queue_get(queue, &item), -ROTA_ESHUTDOWN);
    assert_int_equal(rota_queue_get_nowait(queue, &item), -ROTA_ESHUTDOWN);
    assert_int_equal(item, 5);
}

/* --- Work that is done --------------------------------------------------- */

static void finish_too_much(int kind)
{
    rota_queue *queue = new_kind(kind, 0);

    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    put(queue, 1);
    (void)take(queue);
    assert_int_equal(rota_queue_task_done(queue), 0);
    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    rota_queue_free(queue);
}

static void more_done_than_was_put_is_an_error(void)
{
    for_each_kind(finish_too_much);
}

static intptr_t finish_one(void *queue)
{
    return rota_queue_task_done(queue);
}

static void debug_mode_stops_what_is_done_too_often(void)
{
    (void)run_in_debug_mode(finish_one, new_queue(0));
}

static int summed;

static intptr_t sum_up(void *queue)
{
    int item;
    int err;

    while ((err = rota_queue_get(queue, &item)) == 0) {
        summed += item;
        if (item % 7 == 0)
            pass_turns(1);
        assert_int_equal(rota_queue_task_done(queue), 0);
    }
    return err == -ROTA_ESHUTDOWN ? 0 : err;
}

static intptr_t join_the_workers(void *queue)
{
    rota_task workers[2];
    intptr_t results[2];

    summed = 0;
    put_range(queue, 0, 100);
    for (int i = 0; i < 2; i++)
        workers[i] = start(sum_up, queue);
    assert_int_equal(rota_queue_join(queue), 0);
    assert_int_equal(summed, 4950);
    rota_queue_shutdown(queue, false);
    assert_int_equal(rota_gather(workers, 2, results, true), 0);
    return results[0] | results[1];
}

static void join_workers_of(int kind)
{
    run_on(join_the_workers, new_kind(kind, 0));
}

static void a_join_waits_until_all_is_done(void)
{
    for_each_kind(join_workers_of);
}

static intptr_t join_twice(void *queue)
{
    assert_int_equal(rota_queue_join(queue), 0);
    assert_int_equal(rota_queue_join(queue), 0);
    put(queue, 1);
    assert_int_equal(take(queue), 1);
    assert_int_equal(rota_queue_task_done(queue), 0);
    return rota_queue_join(queue);
}

static void join_empty(int kind)
{
    run_on(join_twice, new_kind(kind, 0));
}

static void a_join_of_what_is_all_done_does_not_wait(void)
{
    for_each_kind(join_empty);
}

static intptr_t put_more_at_once(void *queue)
{
    struct user users[] = {{queue, "j", 0}, {queue, "k", 0}};
    rota_task tasks[3];

    put(queue, 1);
    (void)take(queue);
    for (int i = 0; i < 2; i++)
        tasks[i] = start(join, &users[i]);
    tasks[2] = start(ticker, (void *)"t");
    pass_turns(2);
    assert_int_equal(rota_queue_task_done(queue), 0);
    put(queue, 2);
    note("more");
    return await_all(tasks, 3);
}

/* asyncio: the same line. */
static void who_joined_goes_on_though_there_is_more_by_then(void)
{
    run_on(put_more_at_once, new_queue(0));
    assert_noted("t0 t1 more t2 j-joined0 k-joined0 t3 t4 t5");
}

static intptr_t cancel_a_join(void *queue)
{
    struct user users[] = {{queue, "j", 0}, {queue, "k", 0}};
    rota_task tasks[2];

    put(queue, 1);
    for (int i = 0; i < 2; i++)
        tasks[i] = start(join, &users[i]);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    pass_turns(1);
    assert_int_equal(rota_queue_task_done(queue), 0);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    return await_all(tasks, 2);
}

static void a_join_can_be_cancelled_even_when_all_is_just_done(void)
{
    run_on(cancel_a_join, new_queue(0));
    assert_noted("j-cancelled k-cancelled");
}

/* --- Shutting down ------------------------------------------------------- */

static intptr_t shut_down_an_empty_one(void *queue)
{
    struct user user = {queue, "g", 0};
    rota_task g = start(get_one, &user);

    pass_turns(1);
    rota_queue_shutdown(queue, false);
    assert_int_equal(rota_queue_join(queue), 0);
    pass_turns(1);
    assert_true(rota_task_done(g));
    assert_int_equal(rota_await(g), -ROTA_ESHUTDOWN);
    assert_at_its_end(queue);
    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    return 0;
}

static void shut_down_empty(int kind)
{
    run_on(shut_down_an_empty_one, new_kind(kind, 0));
    assert_noted("g-shutdown");
}

static void a_shutdown_of_an_empty_queue_ends_those_who_get(void)
{
    for_each_kind(shut_down_empty);
}

static intptr_t shut_down_a_full_one(void *queue)
{
    struct user users[] = {{queue, "j", 0}, {queue, "p", 2}};
    rota_task tasks[2];
    int item = 5;

    put(queue, 1);
    tasks[0] = start(join, &users[0]);
    tasks[1] = start(put_one, &users[1]);
    pass_turns(1);
    rota_queue_shutdown(queue, false);
    assert_int_equal(rota_queue_size(queue), 1);
    pass_turns(1);
    assert_true(rota_task_done(tasks[1]));
    assert_int_equal(rota_queue_put(queue, &item), -ROTA_ESHUTDOWN);
    assert_int_equal(rota_queue_put_nowait(queue, &item), -ROTA_ESHUTDOWN);
    assert_int_equal(rota_queue_get(queue, &item), 0);
    note("got%d", item);
    pass_turns(1);
    assert_false(rota_task_done(tasks[0]));
    assert_at_its_end(queue);
    assert_int_equal(rota_queue_task_done(queue), 0);
    pass_turns(1);
    assert_true(rota_task_done(tasks[0]));
    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    return await_all(tasks, 2);
}

static void shut_down_full(int kind)
{
    run_on(shut_down_a_full_one, new_kind(kind, 1));
    assert_noted("p-shutdown got1 j-joined0");
}

static void what_is_in_a_queue_that_is_shut_down_can_still_be_got(void)
{
    for_each_kind(shut_down_full);
}

static intptr_t shut_down_at_once(void *queue)
{
    struct user user = {queue, "j", 0};
    rota_task j = start(join, &user);

    put_range(queue, 0, 3);
    pass_turns(1);
    rota_queue_shutdown(queue, true);
    assert_int_equal(rota_queue_size(queue), 0);
    pass_turns(1);
    assert_true(rota_task_done(j));
    assert_at_its_end(queue);
    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    return rota_await(j);
}

static void shut_down_immediately(int kind)
{
    run_on(shut_down_at_once, new_kind(kind, 0));
    assert_noted("j-joined0");
}

static void an_immediate_shutdown_throws_away_what_is_left(void)
{
    for_each_kind(shut_down_immediately);
}

static intptr_t shut_down_at_work(void *queue)
{
    struct user user = {queue, "j", 0};
    rota_task j = start(join, &user);

    put_range(queue, 1, 3);
    (void)take(queue);
    pass_turns(1);
    rota_queue_shutdown(queue, true);
    assert_int_equal(rota_queue_size(queue), 0);
    pass_turns(1);
    assert_false(rota_task_done(j));
    assert_at_its_end(queue);
    assert_int_equal(rota_queue_task_done(queue), 0);
    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    pass_turns(1);
    assert_true(rota_task_done(j));
    return rota_await(j);
}

static void shut_down_working(int kind)
{
    run_on(shut_down_at_work, new_kind(kind, 0));
    assert_noted("j-joined0");
}

static void a_join_still_waits_for_what_was_got_before_the_shutdown(void)
{
    for_each_kind(shut_down_working);
}

static intptr_t take_more_than_is_unfinished(void *queue)
{
    put_range(queue, 0, 3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_queue_task_done(queue), 0);
    rota_queue_shutdown(queue, true);
    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    return rota_queue_join(queue);
}

static void what_was_done_before_it_was_got_is_not_counted_twice(void)
{
    run_on(take_more_than_is_unfinished, new_queue(0));
}

static intptr_t shut_down_again(void *queue)
{
    put_range(queue, 0, 3);
    rota_queue_shutdown(queue, false);
    rota_queue_shutdown(queue, false);
    assert_int_equal(take(queue), 0);
    rota_queue_shutdown(queue, true);
    rota_queue_shutdown(queue, true);
    rota_queue_shutdown(queue, false);
    assert_at_its_end(queue);
    assert_int_equal(rota_queue_task_done(queue), 0);
    return rota_queue_join(queue);
}

static void a_queue_may_be_shut_down_again(void)
{
    run_on(shut_down_again, new_queue(0));
}

struct closing {
    rota_queue *queue;
    bool immediate;
};

static intptr_t shut_putters_out(void *arg)
{
    const struct closing *closing = arg;
    rota_queue *queue = closing->queue;
    struct user users[] = {
        {queue, "p", 2}, {queue, "r", 3}, {queue, "j", 0}, {queue, "k", 0}};
    rota_task tasks[5];

    put(queue, 1);
    for (int i = 0; i < 4; i++)
        tasks[i] = start(i < 2 ? put_one : join, &users[i]);
    tasks[4] = start(ticker, (void *)"t");
    pass_turns(2);
    rota_queue_shutdown(queue, closing->immediate);
    note("now");
    assert_int_equal(rota_await(tasks[4]), 0);
    if (!closing->immediate) {
        (void)take(queue);
        assert_int_equal(rota_queue_task_done(queue), 0);
    }
    (void)await_all(tasks, 4);
    rota_queue_free(queue);
    return 0;
}

static intptr_t shut_getters_out(void *arg)
{
    const struct closing *closing = arg;
    rota_queue *queue = closing->queue;
    struct user users[] = {{queue, "a", 0}, {queue, "b", 0}, {queue, "j", 0}};
    rota_task tasks[4];

    put(queue, 1);
    (void)take(queue);
    for (int i = 0; i < 3; i++)
        tasks[i] = start(i < 2 ? get_one : join, &users[i]);
    tasks[3] = start(ticker, (void *)"t");
    pass_turns(2);
    rota_queue_shutdown(queue, closing->immediate);
    note("now");
    assert_int_equal(rota_await(tasks[3]), 0);
    assert_int_equal(rota_queue_task_done(queue), 0);
    (void)await_all(tasks, 3);
    rota_queue_free(queue);
    return 0;
}

static void shut_out(rota_task_function *function, size_t maxsize,
                     bool immediate)
{
    struct closing closing = {new_queue(maxsize), immediate};

    assert_int_equal(run_virtually(function, &closing), 0);
}

/* asyncio: the same lines. */
static void who_waits_hears_of_the_shutdown_in_the_next_turn(void)
{
    shut_out(shut_putters_out, 1, false);
    assert_noted("t0 t1 now t2 p-shutdown r-shutdown t3 t4 t5 "
                 "j-joined0 k-joined0");
    shut_out(shut_putters_out, 1, true);
    assert_noted("t0 t1 now t2 j-joined0 k-joined0 p-shutdown r-shutdown "
                 "t3 t4 t5");
    shut_out(shut_getters_out, 0, false);
    assert_noted("t0 t1 now t2 a-shutdown b-shutdown t3 t4 t5 j-joined0");
    shut_out(shut_getters_out, 0, true);
    assert_noted("t0 t1 now t2 a-shutdown b-shutdown t3 t4 t5 j-joined0");
}

static intptr_t shut_down_on_the_woken(void *arg)
{
    const struct closing *closing = arg;
    struct user users[] = {{closing->queue, "a", 0}, {closing->queue, "b", 0}};
    rota_task tasks[2];

    for (int i = 0; i < 2; i++)
        tasks[i] = start(get_one, &users[i]);
    pass_turns(1);
    put(closing->queue, 1);
    rota_queue_shutdown(closing->queue, closing->immediate);
    (void)await_all(tasks, 2);
    rota_queue_free(closing->queue);
    return 0;
}

static void who_was_woken_gets_what_the_shutdown_leaves(void)
{
    shut_out(shut_down_on_the_woken, 0, false);
    assert_noted("a1 b-shutdown");
    shut_out(shut_down_on_the_woken, 0, true);
    assert_noted("a-shutdown b-shutdown");
}

HARNESS_MAIN(TEST(more_done_than_was_put_is_an_error),
             TEST_EXPECT_SIGNAL(debug_mode_stops_what_is_done_too_often,
                                SIGABRT, "rota_queue_task_done: "),
             TEST(a_join_waits_until_all_is_done),
             TEST(a_join_of_what_is_all_done_does_not_wait),
             TEST(who_joined_goes_on_though_there_is_more_by_then),
             TEST(a_join_can_be_cancelled_even_when_all_is_just_done),
             TEST(a_shutdown_of_an_empty_queue_ends_those_who_get),
             TEST(what_is_in_a_queue_that_is_shut_down_can_still_be_got),
             TEST(an_immediate_shutdown_throws_away_what_is_left),
             TEST(a_join_still_waits_for_what_was_got_before_the_shutdown),
             TEST(what_was_done_before_it_was_got_is_not_counted_twice),
             TEST(a_queue_may_be_shut_down_again),
             TEST(who_waits_hears_of_the_shutdown_in_the_next_turn),
             TEST(who_was_woken_gets_what_the_shutdown_leaves))
