/* SPDX-License-Identifier: MIT */
/*
 * Queues and cancellation: nothing is lost, doubled or forgotten
 *
 * Who was cancelled has neither put nor got anything; who was woken and then
 * cancelled, before its turn came, passes the wake-up on. Where a comment says
 * so, the line is what the same program prints on CPython's asyncio.
 */
#include "queues.h"

#include <stdlib.h>

static void cancel(rota_task task)
{
    assert_int_equal(rota_task_cancel(task), 1);
}

/* Tasks that wait: getters on an empty queue, or putters on a full one. */
struct crowd {
    rota_queue *queue;
    int count;
    struct user users[4];
    rota_task tasks[4];
};

static void begin_crowd(struct crowd *crowd, rota_task_function *function,
                        int count, size_t maxsize)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    crowd->queue = new_queue(maxsize);
    crowd->count = count;
    for (size_t i = 0; i < maxsize; i++)
        put(crowd->queue, 1);
    for (int i = 0; i < count; i++) {
        crowd->users[i] = (struct user){crowd->queue, names[i], i + 2};
        crowd->tasks[i] = start(function, &crowd->users[i]);
    }
}

static intptr_t end_crowd(struct crowd *crowd)
{
    intptr_t err = await_all(crowd->tasks, (size_t)crowd->count);

    rota_queue_free(crowd->queue);
    return err;
}

/* --- One that waits ------------------------------------------------------ */

static intptr_t cancel_a_getter(void *arg)
{
    struct crowd crowd;

    (void)arg;
    begin_crowd(&crowd, get_one, 2, 0);
    pass_turns(1);
    cancel(crowd.tasks[0]);
    pass_turns(1);
    assert_true(rota_task_done(crowd.tasks[0]));
    put(crowd.queue, 1);
    pass_turns(1);
    assert_true(rota_task_done(crowd.tasks[1]));
    return end_crowd(&crowd);
}

static void a_cancelled_getter_is_passed_over(void)
{
    scenario(cancel_a_getter);
    assert_noted("a-cancelled b1");
}

static intptr_t cancel_and_put(void *arg)
{
    struct crowd crowd;

    (void)arg;
    begin_crowd(&crowd, get_one, 2, 0);
    pass_turns(1);
    cancel(crowd.tasks[0]);
    put(crowd.queue, 1);
    return end_crowd(&crowd);
}

/* asyncio: the same line. */
static void a_put_in_the_turn_of_the_cancellation_wakes_the_next(void)
{
    scenario(cancel_and_put);
    assert_noted("a-cancelled b1");
}

static intptr_t cancel_a_putter(void *arg)
{
    struct crowd crowd;

    (void)arg;
    begin_crowd(&crowd, put_one, 2, 1);
    pass_turns(1);
    cancel(crowd.tasks[0]);
    pass_turns(1);
    assert_true(rota_task_done(crowd.tasks[0]));
    note("took%d", take(crowd.queue));
    pass_turns(1);
    note("took%d", take(crowd.queue));
    assert_true(rota_queue_empty(crowd.queue));
    return end_crowd(&crowd);
}

static void a_cancelled_putter_has_put_nothing(void)
{
    scenario(cancel_a_putter);
    assert_noted("a-cancelled took1 b-put3 took3");
}

static intptr_t limit_the_waits(void *arg)
{
    struct user user = {new_queue(1), "x", 2};

    (void)arg;
    assert_int_equal(rota_wait_for(start(get_one, &user), 1), -ETIMEDOUT);
    put(user.queue, 1);
    pass_turns(3);
    assert_int_equal(rota_queue_size(user.queue), 1);
    assert_int_equal(rota_wait_for(start(put_one, &user), 1), -ETIMEDOUT);
    assert_int_equal(rota_wait_for(start(join, &user), 1), -ETIMEDOUT);
    assert_int_equal(take(user.queue), 1);
    pass_turns(3);
    assert_true(rota_queue_empty(user.queue));
    assert_int_equal(rota_queue_task_done(user.queue), 0);
    rota_queue_free(user.queue);
    return 0;
}

static void who_waits_no_longer_is_forgotten(void)
{
    scenario(limit_the_waits);
    assert_noted("x-cancelled x-cancelled x-cancelled");
}

/* --- One that was woken -------------------------------------------------- */

static intptr_t cancel_a_woken_getter(void *arg)
{
    struct crowd crowd;
    rota_task t;

    (void)arg;
    begin_crowd(&crowd, get_one, 2, 0);
    t = start(ticker, (void *)"t");
    pass_turns(2);
    put(crowd.queue, 1);
    cancel(crowd.tasks[0]);
    note("now");
    assert_int_equal(rota_await(t), 0);
    return end_crowd(&crowd);
}

/* asyncio: the same line. */
static void a_woken_getter_that_is_cancelled_wakes_the_next(void)
{
    scenario(cancel_a_woken_getter);
    assert_noted("t0 t1 now t2 a-cancelled t3 b1 t4 t5");
}

static intptr_t cancel_a_woken_putter(void *arg)
{
    struct crowd crowd;
    rota_task t;

    (void)arg;
    begin_crowd(&crowd, put_one, 2, 1);
    t = start(ticker, (void *)"t");
    pass_turns(2);
    (void)take(crowd.queue);
    cancel(crowd.tasks[0]);
    note("now");
    assert_int_equal(rota_await(t), 0);
    note("took%d", take(crowd.queue));
    return end_crowd(&crowd);
}

/* asyncio: the same line. */
static void a_woken_putter_that_is_cancelled_wakes_the_next(void)
{
    scenario(cancel_a_woken_putter);
    assert_noted("t0 t1 now t2 a-cancelled t3 b-put3 t4 t5 took3");
}

static intptr_t cancel_both(void *arg)
{
    struct crowd crowd;

    begin_crowd(&crowd, arg ? put_one : get_one, 2, arg ? 1 : 0);
    pass_turns(1);
    if (arg)
        (void)take(crowd.queue);
    else
        put(crowd.queue, 1);
    cancel(crowd.tasks[0]);
    pass_turns(1);
    cancel(crowd.tasks[1]); /* it has been passed the wake-up */
    pass_turns(1);
    note("size%d", (int)rota_queue_size(crowd.queue));
    return end_crowd(&crowd);
}

static void a_wake_up_that_nobody_is_left_for_does_no_harm(void)
{
    scenario(cancel_both);
    assert_noted("a-cancelled b-cancelled size1");
    assert_int_equal(run_virtually(cancel_both, (void *)1), 0);
    assert_noted("a-cancelled b-cancelled size0");
}

static intptr_t steal_and_cancel(void *arg)
{
    struct crowd crowd;

    (void)arg;
    begin_crowd(&crowd, get_one, 3, 0);
    pass_turns(1);
    put(crowd.queue, 1);
    note("stole%d", take(crowd.queue));
    cancel(crowd.tasks[0]);
    pass_turns(3);
    put(crowd.queue, 2);
    pass_turns(1);
    put(crowd.queue, 3);
    return end_crowd(&crowd);
}

/* asyncio: the same line. */
static void a_wake_up_for_an_item_that_is_gone_is_not_passed_on(void)
{
    scenario(steal_and_cancel);
    assert_noted("stole1 a-cancelled b2 c3");
}

static intptr_t fill_and_cancel(void *arg)
{
    struct crowd crowd;

    (void)arg;
    begin_crowd(&crowd, put_one, 3, 1);
    pass_turns(1);
    (void)take(crowd.queue);
    put(crowd.queue, 9);
    cancel(crowd.tasks[0]);
    pass_turns(3);
    for (int i = 0; i < 3; i++) {
        note("took%d", take(crowd.queue));
        pass_turns(1);
    }
    return end_crowd(&crowd);
}

/* asyncio: the same line. */
static void a_wake_up_for_room_that_is_gone_is_not_passed_on(void)
{
    scenario(fill_and_cancel);
    assert_noted("a-cancelled took9 b-put3 took3 c-put4 took4");
}

static intptr_t cancel_behind(void *arg)
{
    struct crowd crowd;

    (void)arg;
    begin_crowd(&crowd, get_one, 4, 0);
    pass_turns(1);
    cancel(crowd.tasks[1]);
    put(crowd.queue, 1);
    pass_turns(3);
    put(crowd.queue, 2);
    pass_turns(1);
    put(crowd.queue, 3);
    return end_crowd(&crowd);
}

/* asyncio: the same line. */
static void who_was_cancelled_but_not_woken_wakes_nobody(void)
{
    scenario(cancel_behind);
    assert_noted("b-cancelled a1 c2 d3");
}

static intptr_t drop_one_reader(void *arg)
{
    struct user user = {new_queue(0), "a", 0};
    rota_task reader = start(get_one, &user);

    (void)arg;
    pass_turns(1);
    put_range(user.queue, 1, 3);
    cancel(reader);
    assert_int_equal(rota_await(reader), -ECANCELED);
    assert_int_equal(take(user.queue), 1);
    assert_int_equal(take(user.queue), 2);
    rota_queue_free(user.queue);
    return 0;
}

static void a_cancelled_getter_leaves_its_item_where_it_was(void)
{
    scenario(drop_one_reader);
    assert_noted("a-cancelled");
}

static intptr_t drop_a_reader_of_three(void *arg)
{
    rota_queue *queue = new_queue(0);
    struct user users[] = {{queue, "a", 0}, {queue, "b", 0}, {queue, "c", 0}};
    rota_task tasks[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = start(get_one, &users[i]);
    pass_turns(1);
    put_range(queue, 1, 3);
    cancel(tasks[0]);
    (void)await_all(tasks, 3);
    rota_queue_free(queue);
    return 0;
}

static void each_item_reaches_one_of_those_that_are_left(void)
{
    scenario(drop_a_reader_of_three);
    assert_noted("a-cancelled b1 c2");
}

static intptr_t put_again(void *arg)
{
    struct user user = {new_queue(1), "p", 2};
    rota_task p = start(put_one, &user);

    (void)arg;
    put(user.queue, 1);
    pass_turns(1);
    assert_int_equal(take(user.queue), 1);
    cancel(p);
    assert_int_equal(rota_await(p), -ECANCELED);
    assert_true(rota_queue_empty(user.queue));
    assert_int_equal(rota_await(start(put_one, &user)), 0);
    assert_int_equal(take(user.queue), 2);
    assert_true(rota_queue_empty(user.queue));
    rota_queue_free(user.queue);
    return 0;
}

static void a_cancelled_putter_can_put_again(void)
{
    scenario(put_again);
    assert_noted("p-cancelled p-put2");
}

/* --- Many ---------------------------------------------------------------- */

enum { PRODUCERS = 8, CONSUMERS = 8, EACH = 200 };

static struct {
    rota_queue *queue;
    int put;
    int got;
    int cancelled;
    char seen[PRODUCERS * EACH];
} mill;

/* Every third time. */
static void pause_a_while(void)
{
    if (rand() % 3 == 0 && rota_sleep(rand() % 3) < 0)
        mill.cancelled++;
}

static int produce_one(int item)
{
    int err;

    while ((err = rota_queue_put(mill.queue, &item)) == -ECANCELED)
        mill.cancelled++;
    mill.put += err == 0;
    return err;
}

static intptr_t produce(void *number)
{
    int first = (int)(intptr_t)number * EACH;
    int err = 0;

    for (int i = 0; err == 0 && i < EACH; i++) {
        err = produce_one(first + i);
        pause_a_while();
    }
    return err;
}

static intptr_t consume(void *arg)
{
    int item;
    int err;

    (void)arg;
    while ((err = rota_queue_get(mill.queue, &item)) != -ROTA_ESHUTDOWN) {
        if (err == -ECANCELED) {
            mill.cancelled++;
            continue;
        }
        assert_int_equal(err, 0);
        assert_int_equal(mill.seen[item]++, 0);
        mill.got++;
        pause_a_while();
        assert_int_equal(rota_queue_task_done(mill.queue), 0);
    }
    return 0;
}

static intptr_t disturb(void *tasks)
{
    int err = 0;

    while (err == 0) {
        for (int i = 0; i < 4; i++)
            (void)rota_task_cancel(
                ((rota_task *)tasks)[rand() % (PRODUCERS + CONSUMERS)]);
        err = rota_sleep(rand() % 2);
    }
    return err;
}

static intptr_t grind(void *kind)
{
    rota_task tasks[PRODUCERS + CONSUMERS];
    rota_task disturber;

    memset(&mill, 0, sizeof mill);
    mill.queue = new_kind((int)(intptr_t)kind, 3);
    for (intptr_t i = 0; i < PRODUCERS; i++)
        tasks[i] = start(produce, (void *)i);
    for (int i = PRODUCERS; i < PRODUCERS + CONSUMERS; i++)
        tasks[i] = start(consume, NULL);
    disturber = start(disturb, tasks);
    while (mill.put < PRODUCERS * EACH)
        assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_queue_join(mill.queue), 0);
    assert_int_equal(mill.got, PRODUCERS * EACH);
    assert_true(mill.cancelled > EACH);
    cancel(disturber);
    assert_int_equal(rota_await(disturber), -ECANCELED);
    rota_queue_shutdown(mill.queue, false);
    (void)await_all(tasks, PRODUCERS + CONSUMERS);
    rota_queue_free(mill.queue);
    return 0;
}

static void among_tasks_that_are_cancelled_no_item_is_lost_or_doubled(void)
{
    for (intptr_t kind = 0; kind < KINDS; kind++) {
        srand((unsigned)kind + 1);
        assert_int_equal(run_virtually(grind, (void *)kind), 0);
    }
}

HARNESS_MAIN(TEST(a_cancelled_getter_is_passed_over),
             TEST(a_put_in_the_turn_of_the_cancellation_wakes_the_next),
             TEST(a_cancelled_putter_has_put_nothing),
             TEST(who_waits_no_longer_is_forgotten),
             TEST(a_woken_getter_that_is_cancelled_wakes_the_next),
             TEST(a_woken_putter_that_is_cancelled_wakes_the_next),
             TEST(a_wake_up_that_nobody_is_left_for_does_no_harm),
             TEST(a_wake_up_for_an_item_that_is_gone_is_not_passed_on),
             TEST(a_wake_up_for_room_that_is_gone_is_not_passed_on),
             TEST(who_was_cancelled_but_not_woken_wakes_nobody),
             TEST(a_cancelled_getter_leaves_its_item_where_it_was),
             TEST(each_item_reaches_one_of_those_that_are_left),
             TEST(a_cancelled_putter_can_put_again),
             TEST(among_tasks_that_are_cancelled_no_item_is_lost_or_doubled))
