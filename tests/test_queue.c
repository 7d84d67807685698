/* SPDX-License-Identifier: MIT */
/*
 * Queues: what goes in comes out, and who waits is served in turn
 *
 * The scenarios are those that CPython's own tests of queues look at, and what
 * lies between them: wake-ups that come to nothing. Where a comment says so,
 * the line is what the same program prints on CPython's asyncio.
 */
#include "queues.h"

/* --- At once ------------------------------------------------------------- */

static intptr_t put_and_get(void *queue)
{
    const int items[] = {1, 3, 2};
    int item;

    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_queue_put(queue, &items[i]), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_queue_get(queue, &item), 0);
        note("%d", item);
    }
    return 0;
}

static void items_come_out_in_the_order_in_which_they_went_in(void)
{
    rota_queue *queue = new_queue(0);

    assert_int_equal(run_virtually(put_and_get, queue), 0);
    assert_noted("1 3 2");
    put_range(queue, 1, 4);
    for (int i = 1; i < 4; i++)
        assert_int_equal(take(queue), i);
    rota_queue_free(queue);
}

static void size_empty_and_full_follow_the_items(void)
{
    rota_queue *queue = new_queue(2);

    assert_int_equal(rota_queue_maxsize(queue), 2);
    for (int count = 0; count <= 2; count++) {
        assert_int_equal(rota_queue_size(queue), count);
        assert_int_equal(rota_queue_empty(queue), count == 0);
        assert_int_equal(rota_queue_full(queue), count == 2);
        if (count < 2)
            put(queue, count);
    }
    (void)take(queue);
    assert_false(rota_queue_full(queue));
    (void)take(queue);
    assert_true(rota_queue_empty(queue));
    rota_queue_free(queue);
}

static void a_queue_without_a_limit_is_never_full(void)
{
    rota_queue *queue = new_queue(0);

    assert_int_equal(rota_queue_maxsize(queue), 0);
    for (int i = 0; i < 5000; i++) {
        assert_false(rota_queue_full(queue));
        put(queue, i);
    }
    for (int i = 0; i < 5000; i++)
        assert_int_equal(take(queue), i);
    rota_queue_free(queue);
}

static void an_empty_queue_has_nothing_and_a_full_one_takes_nothing(void)
{
    rota_queue *queue = new_queue(1);
    int item = 7;

    assert_int_equal(rota_queue_get_nowait(queue, &item), -ROTA_EEMPTY);
    assert_int_equal(item, 7);
    put(queue, 1);
    assert_int_equal(rota_queue_put_nowait(queue, &item), -ROTA_EFULL);
    assert_int_equal(rota_queue_size(queue), 1);
    assert_int_equal(take(queue), 1);
    rota_queue_free(queue);
}

static intptr_t use_beside_a_ticker(void *arg)
{
    rota_queue *queue = new_queue(3);
    rota_task t = start(ticker, (void *)"t");
    int item = 0;

    (void)arg;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_queue_put(queue, &i), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_queue_get(queue, &item), 0);
        assert_int_equal(rota_queue_task_done(queue), 0);
    }
    assert_int_equal(rota_queue_join(queue), 0);
    note("at-once");
    rota_queue_free(queue);
    return rota_await(t);
}

static void what_need_not_wait_takes_no_turn(void)
{
    scenario(use_beside_a_ticker);
    assert_noted("at-once t0 t1 t2 t3 t4 t5");
}

static void queues_that_cannot_be_are_refused(void)
{
    rota_queue *queue = (rota_queue *)&queue;

    assert_int_equal(rota_queue_new(&queue, 0, 1), -EINVAL);
    assert_int_equal(rota_lifo_queue_new(&queue, 0, 1), -EINVAL);
    assert_int_equal(rota_priority_queue_new(&queue, 0, 1, compare_ints),
                     -EINVAL);
    assert_int_equal(rota_priority_queue_new(&queue, 4, 1, NULL), -EINVAL);
    harness_fail_allocation(1);
    assert_int_equal(rota_queue_new(&queue, 4, 1), -ENOMEM);
    harness_fail_allocation(1);
    assert_int_equal(rota_priority_queue_new(&queue, 4, 1, compare_ints),
                     -ENOMEM);
    assert_ptr_equal(queue, &queue);
    rota_queue_free(NULL);
}

/* --- Waiting ------------------------------------------------------------- */

static void put_five(void *queue)
{
    note("put");
    put(queue, 5);
}

static void take_one(void *queue)
{
    note("took%d", take(queue));
}

static void later(double delay, rota_callback *callback, void *arg)
{
    assert_int_equal(
        rota_call_later(rota_get_running_loop(), NULL, delay, callback, arg),
        0);
}

static intptr_t wait_for_an_item(void *arg)
{
    struct user g = {new_queue(0), "g", 0};
    double before = now();

    (void)arg;
    later(3, put_five, g.queue);
    assert_int_equal(rota_await(start(get_one, &g)), 5);
    assert_true(now() - before >= 3 - 1e-6 && now() - before < 3.1);
    rota_queue_free(g.queue);
    return 0;
}

static void a_getter_waits_for_an_item(void)
{
    scenario(wait_for_an_item);
    assert_noted("put g5");
}

static intptr_t wait_for_room(void *arg)
{
    struct user p = {new_queue(1), "p", 2};
    double before = now();

    (void)arg;
    put(p.queue, 1);
    later(3, take_one, p.queue);
    assert_int_equal(rota_await(start(put_one, &p)), 0);
    assert_true(now() - before >= 3 - 1e-6 && now() - before < 3.1);
    assert_int_equal(take(p.queue), 2);
    rota_queue_free(p.queue);
    return 0;
}

static void a_putter_waits_for_room(void)
{
    scenario(wait_for_room);
    assert_noted("took1 p-put2");
}

static intptr_t put_three(void *queue)
{
    int err = 0;

    for (int i = 0; err == 0 && i < 3; i++) {
        err = rota_queue_put(queue, &i);
        note("+%d", i);
    }
    return err;
}

static intptr_t put_up_to_the_limit(void *arg)
{
    rota_queue *queue = new_queue(2);
    rota_task p = start(put_three, queue);
    int item;

    (void)arg;
    pass_turns(2);
    note("full:%d", (int)rota_queue_size(queue));
    assert_int_equal(rota_queue_get(queue, &item), 0);
    note("-%d", item);
    pass_turns(1);
    assert_true(rota_task_done(p));
    note("-%d", take(queue));
    note("-%d", take(queue));
    rota_queue_free(queue);
    return rota_await(p);
}

static void a_putter_is_held_up_at_the_limit(void)
{
    scenario(put_up_to_the_limit);
    assert_noted("+0 +1 full:2 -0 +2 -1 -2");
}

static intptr_t queue_up(void *arg)
{
    rota_queue *queue = new_queue(1);
    struct user users[] = {{queue, "a", 1}, {queue, "b", 2}, {queue, "c", 3}};
    rota_task tasks[6];

    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = start(get_one, &users[i]);
    pass_turns(1);
    for (int i = 3; i < 6; i++)
        tasks[i] = start(put_one, &users[i - 3]);
    (void)await_all(tasks, 6);
    for (int i = 0; i < 3; i++)
        tasks[i] = start(put_one, &users[i]);
    pass_turns(1);
    for (int i = 0; i < 3; i++) {
        note("took%d", take(queue));
        pass_turns(1);
    }
    (void)await_all(tasks, 3);
    rota_queue_free(queue);
    return 0;
}

static void who_waits_is_served_in_turn(void)
{
    scenario(queue_up);
    assert_noted("a-put1 a1 b-put2 b2 c-put3 c3 "
                 "a-put1 took1 b-put2 took2 c-put3 took3");
}

static intptr_t produce_five(void *queue)
{
    for (int i = 0; i < 5; i++) {
        int err = rota_queue_put(queue, &i);

        if (err < 0)
            return err;
        note("+%d", i);
    }
    return 0;
}

static intptr_t consume_five(void *queue)
{
    for (int i = 0; i < 5; i++) {
        int item;
        int err = rota_queue_get(queue, &item);

        if (err < 0)
            return err;
        note("-%d", item);
    }
    return 0;
}

static intptr_t work_in_step(void *arg)
{
    rota_queue *queue = new_queue((size_t)(intptr_t)arg);
    rota_task tasks[] = {start(produce_five, queue),
                         start(consume_five, queue)};
    intptr_t results[2];

    assert_int_equal(rota_gather(tasks, 2, results, true), 0);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], 0);
    rota_queue_free(queue);
    return 0;
}

/* asyncio: the same lines. */
static void a_producer_and_a_consumer_take_turns(void)
{
    assert_int_equal(run_virtually(work_in_step, (void *)2), 0);
    assert_noted("+0 +1 -0 -1 +2 +3 -2 -3 +4 -4");
    assert_int_equal(run_virtually(work_in_step, (void *)1), 0);
    assert_noted("+0 -0 +1 -1 +2 -2 +3 -3 +4 -4");
}

static intptr_t take_what_is_there(void *queue)
{
    pass_turns(1);
    for (size_t count = rota_queue_size(queue); count > 0; count--)
        note("took%d", take(queue));
    return 0;
}

static intptr_t empty_at_once(void *arg)
{
    rota_queue *queue = new_queue(2);
    struct user users[] = {
        {queue, "a", 0}, {queue, "b", 1}, {queue, "c", 2}, {queue, "d", 3}};
    rota_task tasks[5] = {start(take_what_is_there, queue)};

    (void)arg;
    for (int i = 0; i < 4; i++)
        tasks[i + 1] = start(put_one, &users[i]);
    (void)await_all(tasks, 5);
    assert_int_equal(rota_queue_size(queue), 2);
    rota_queue_free(queue);
    return 0;
}

static void room_for_several_lets_several_putters_in(void)
{
    scenario(empty_at_once);
    assert_noted("a-put0 b-put1 took0 took1 c-put2 d-put3");
}

static intptr_t get_beside_a_ticker(void *arg)
{
    struct user user = {new_queue(1), "g", 2};
    rota_task g = start(get_one, &user);
    rota_task t = start(ticker, (void *)"t");

    (void)arg;
    pass_turns(2);
    put(user.queue, 1);
    note("put");
    assert_int_equal(rota_await(t), 0);
    assert_int_equal(rota_await(g), 1);
    rota_queue_free(user.queue);
    return 0;
}

static intptr_t put_beside_a_ticker(void *arg)
{
    struct user user = {new_queue(1), "p", 2};
    rota_task p = start(put_one, &user);
    rota_task t = start(ticker, (void *)"t");

    (void)arg;
    put(user.queue, 1);
    pass_turns(2);
    note("took%d", take(user.queue));
    assert_int_equal(rota_await(t), 0);
    assert_int_equal(rota_await(p), 0);
    rota_queue_free(user.queue);
    return 0;
}

/* asyncio: the same lines. */
static void who_waits_goes_on_in_the_next_turn(void)
{
    scenario(get_beside_a_ticker);
    assert_noted("t0 t1 put t2 g1 t3 t4 t5");
    scenario(put_beside_a_ticker);
    assert_noted("t0 t1 took1 t2 p-put2 t3 t4 t5");
}

/* --- A wake-up is a permission to look again ----------------------------- */

static intptr_t steal_the_item(void *arg)
{
    rota_queue *queue = new_queue(0);
    struct user users[] = {{queue, "a", 0}, {queue, "b", 0}};
    rota_task tasks[] = {start(get_one, &users[0]), start(get_one, &users[1])};

    (void)arg;
    pass_turns(1);
    put(queue, 1);
    note("stole%d", take(queue));
    pass_turns(1);
    put(queue, 2);
    pass_turns(1);
    put(queue, 3);
    (void)await_all(tasks, 2);
    rota_queue_free(queue);
    return 0;
}

/* asyncio: the same line. */
static void a_getter_whose_item_is_gone_waits_again_behind_the_others(void)
{
    scenario(steal_the_item);
    assert_noted("stole1 b2 a3");
}

static intptr_t steal_the_room(void *arg)
{
    rota_queue *queue = new_queue(1);
    struct user users[] = {{queue, "a", 2}, {queue, "b", 3}};
    rota_task tasks[] = {start(put_one, &users[0]), start(put_one, &users[1])};

    (void)arg;
    put(queue, 1);
    pass_turns(1);
    (void)take(queue);
    put(queue, 9);
    pass_turns(1);
    for (int i = 0; i < 3; i++) {
        note("took%d", take(queue));
        pass_turns(1);
    }
    (void)await_all(tasks, 2);
    rota_queue_free(queue);
    return 0;
}

/* asyncio: the same line. */
static void a_putter_whose_room_is_gone_waits_again_behind_the_others(void)
{
    scenario(steal_the_room);
    assert_noted("took9 b-put3 took3 a-put2 took2");
}

/* --- Where it is used ---------------------------------------------------- */

static void use_in_a_callback(void *queue)
{
    int item = 1;

    assert_int_equal(rota_queue_put(queue, &item), -ROTA_ENOTASK);
    assert_int_equal(rota_queue_get(queue, &item), -ROTA_ENOTASK);
    assert_int_equal(rota_queue_join(queue), -ROTA_ENOTASK);
    put(queue, 4);
    assert_int_equal(rota_queue_put(queue, &item), -ROTA_ENOTASK);
    assert_int_equal(rota_queue_get(queue, &item), -ROTA_ENOTASK);
    assert_int_equal(rota_queue_join(queue), -ROTA_ENOTASK);
    assert_int_equal(take(queue), 4);
    assert_int_equal(rota_queue_task_done(queue), 0);
    note("used");
}

static intptr_t use_by_callback(void *arg)
{
    rota_queue *queue = new_queue(0);

    (void)arg;
    later(1, use_in_a_callback, queue);
    assert_int_equal(rota_sleep(2), 0);
    rota_queue_free(queue);
    return 0;
}

static void outside_a_task_nothing_can_wait(void)
{
    rota_queue *queue = new_queue(0);
    rota_queue *pointers;
    void *pointer;

    use_in_a_callback(queue);
    assert_noted("used");
    scenario(use_by_callback);
    assert_noted("used");
    assert_int_equal(rota_queue_new(&pointers, sizeof(void *), 0), 0);
    assert_int_equal(rota_queue_put_pointer(pointers, queue), -ROTA_ENOTASK);
    assert_int_equal(rota_queue_get_pointer(pointers, &pointer), -ROTA_ENOTASK);
    rota_queue_free(pointers);
    rota_queue_free(queue);
}

static void debug_mode_stops_a_callback_that_waits(void)
{
    (void)run_in_debug_mode(use_by_callback, NULL);
}

static intptr_t detach_one(void *arg)
{
    assert_int_equal(rota_detach(start(get_one, arg)), 0);
    return rota_sleep(0);
}

static intptr_t try_to_wait(void *arg)
{
    const struct user *user = arg;
    int item = 0;

    assert_int_equal(rota_queue_get(user->queue, &item), -EINVAL);
    put(user->queue, 1);
    assert_int_equal(rota_queue_join(user->queue), -EINVAL);
    return 0;
}

static intptr_t finish_and_put_two(void *arg)
{
    const struct user *user = arg;

    assert_int_equal(rota_queue_task_done(user->queue), 0);
    put(user->queue, 2);
    return rota_await(start(get_one, arg));
}

static rota_loop *new_virtual_loop(bool debug)
{
    const rota_loop_options options = {.virtual_clock = true, .debug = debug};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    return loop;
}

static void use_on_two_loops(bool debug)
{
    rota_loop *a = new_virtual_loop(false);
    rota_loop *b = new_virtual_loop(debug);
    struct user user = {new_queue(0), "g", 0};

    assert_int_equal(rota_loop_run_until_complete(a, detach_one, &user), 0);
    assert_int_equal(rota_loop_run_until_complete(b, try_to_wait, &user), 0);
    assert_noted("");
    assert_int_equal(rota_loop_run_until_complete(a, return_arg, NULL), 0);
    assert_noted("g1");
    assert_int_equal(rota_loop_run_until_complete(b, finish_and_put_two, &user),
                     2);
    assert_noted("g2");
    rota_queue_free(user.queue);
    rota_loop_free(a);
    rota_loop_free(b);
}

static void a_queue_is_one_loops_while_tasks_wait_and_any_ones_after(void)
{
    use_on_two_loops(false);
}

static void debug_mode_stops_a_wait_beside_another_loops_tasks(void)
{
    use_on_two_loops(true);
}

static void ignore_exception(rota_loop *loop,
                             const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    note("%s", (const char *)arg);
}

static void a_loop_may_close_under_tasks_that_wait_or_were_woken(void)
{
    rota_loop *a = new_virtual_loop(false);
    rota_loop *b = new_virtual_loop(false);
    rota_queue *queue = new_queue(0);
    struct user users[] = {{queue, "a", 0}, {queue, "b", 0}, {queue, "c", 0}};

    rota_set_exception_handler(a, ignore_exception, (void *)"destroyed");
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_loop_run_until_complete(a, detach_one, &users[i]),
                         0);
    put(queue, 1);
    rota_loop_free(a);
    assert_noted("destroyed destroyed");
    assert_int_equal(rota_loop_run_until_complete(b, get_one, &users[2]), 1);
    assert_noted("c1");
    rota_queue_free(queue);
    rota_loop_free(b);
}

HARNESS_MAIN(
    TEST(items_come_out_in_the_order_in_which_they_went_in),
    TEST(size_empty_and_full_follow_the_items),
    TEST(a_queue_without_a_limit_is_never_full),
    TEST(an_empty_queue_has_nothing_and_a_full_one_takes_nothing),
    TEST(what_need_not_wait_takes_no_turn),
    TEST(queues_that_cannot_be_are_refused), TEST(a_getter_waits_for_an_item),
    TEST(a_putter_waits_for_room), TEST(a_putter_is_held_up_at_the_limit),
    TEST(who_waits_is_served_in_turn),
    TEST(a_producer_and_a_consumer_take_turns),
    TEST(room_for_several_lets_several_putters_in),
    TEST(who_waits_goes_on_in_the_next_turn),
    TEST(a_getter_whose_item_is_gone_waits_again_behind_the_others),
    TEST(a_putter_whose_room_is_gone_waits_again_behind_the_others),
    TEST(outside_a_task_nothing_can_wait),
    TEST_EXPECT_SIGNAL(debug_mode_stops_a_callback_that_waits, SIGABRT,
                       "rota_queue_put: only a task can wait"),
    TEST(a_queue_is_one_loops_while_tasks_wait_and_any_ones_after),
    TEST_EXPECT_SIGNAL(debug_mode_stops_a_wait_beside_another_loops_tasks,
                       SIGABRT, "tasks of another loop wait"),
    TEST(a_loop_may_close_under_tasks_that_wait_or_were_woken))
