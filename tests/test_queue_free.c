/* SPDX-License-Identifier: MIT */
/*
 * Queues that go: what becomes of the items, and of the tasks that wait
 *
 * An immediate shutdown and the free hand each item that is left to the
 * release, once. Who waits when the queue is freed, or has been woken or
 * cancelled and has not run yet, hears of it and touches the queue no more.
 */
#include "queues.h"

#include <stdlib.h>

/* --- What is thrown away ------------------------------------------------- */

static void note_released(void *item)
{
    note("released%d", *(int *)item);
}

static void release_by_shutdown(int kind)
{
    rota_queue *queue = new_kind(kind, 0);

    rota_queue_set_release(queue, note_released);
    put_range(queue, 1, 4);
    (void)take(queue);
    rota_queue_shutdown(queue, false);
    note("shut");
    rota_queue_shutdown(queue, true);
    note("now");
    rota_queue_free(queue);
}

static void an_immediate_shutdown_releases_each_item_that_is_left_once(void)
{
    release_by_shutdown(FIFO);
    assert_noted("shut released2 released3 now");
    release_by_shutdown(LIFO);
    assert_noted("shut released1 released2 now");
    release_by_shutdown(PRIORITY);
    assert_noted("shut released2 released3 now");
}

static void release_by_free(int kind)
{
    rota_queue *queue = new_kind(kind, 0);

    put_range(queue, 1, 5);
    (void)take(queue);
    rota_queue_set_release(queue, note_released);
    rota_queue_free(queue);
}

static void a_free_releases_each_item_that_is_left(void)
{
    release_by_free(FIFO);
    assert_noted("released2 released3 released4");
    release_by_free(LIFO);
    assert_noted("released1 released2 released3");
    release_by_free(PRIORITY);
    assert_noted("released2 released4 released3");
}

static void a_ring_that_has_gone_round_is_released_from_its_front(void)
{
    rota_queue *queue = new_queue(0);

    rota_queue_set_release(queue, note_released);
    put_range(queue, 0, 8);
    for (int i = 0; i < 6; i++)
        assert_int_equal(take(queue), i);
    put_range(queue, 8, 11);
    rota_queue_shutdown(queue, true);
    assert_noted("released6 released7 released8 released9 released10");
    rota_queue_free(queue);
}

static void free_pointer(void *item)
{
    free(*(void **)item);
    note("freed");
}

static void what_items_point_to_can_be_freed(void)
{
    rota_queue *queue;

    assert_int_equal(rota_queue_new(&queue, sizeof(void *), 0), 0);
    rota_queue_set_release(queue, free_pointer);
    for (int i = 0; i < 3; i++) {
        void *pointer = malloc(100);

        assert_int_equal(rota_queue_put_nowait(queue, &pointer), 0);
    }
    rota_queue_free(queue);
    assert_noted("freed freed freed");
}

static void a_release_can_be_taken_back(void)
{
    rota_queue *queue = new_queue(0);

    rota_queue_set_release(queue, note_released);
    rota_queue_set_release(queue, NULL);
    put(queue, 1);
    rota_queue_free(queue);
    assert_noted("");
}

static rota_queue *shared;

/* What a release may do to the queue. */
static void release_and_use(void *item)
{
    int other = 9;

    note("%d", *(int *)item);
    assert_int_equal(rota_queue_size(shared), 0);
    assert_int_equal(rota_queue_put_nowait(shared, &other), -ROTA_ESHUTDOWN);
    assert_int_equal(rota_queue_get_nowait(shared, &other), -ROTA_ESHUTDOWN);
    rota_queue_shutdown(shared, true);
}

static void a_release_finds_the_queue_shut_down_and_empty(void)
{
    for (int by_free = 0; by_free < 2; by_free++) {
        shared = new_queue(0);
        rota_queue_set_release(shared, release_and_use);
        put_range(shared, 0, 8);
        if (!by_free)
            rota_queue_shutdown(shared, true);
        rota_queue_free(shared);
        assert_noted("0 1 2 3 4 5 6 7");
    }
}

/* --- Freeing under tasks that wait --------------------------------------- */

static intptr_t free_under_getters(void *queue)
{
    struct user users[] = {{queue, "a", 0}, {queue, "b", 0}, {queue, "j", 0}};
    rota_task tasks[3];

    put(queue, 1);
    (void)take(queue);
    for (int i = 0; i < 3; i++)
        tasks[i] = start(i < 2 ? get_one : join, &users[i]);
    pass_turns(1);
    rota_queue_free(queue);
    note("freed");
    return await_all(tasks, 3);
}

static intptr_t free_under_putters(void *queue)
{
    struct user users[] = {{queue, "a", 2}, {queue, "b", 3}, {queue, "j", 0}};
    rota_task tasks[3];

    put(queue, 1);
    for (int i = 0; i < 3; i++)
        tasks[i] = start(i < 2 ? put_one : join, &users[i]);
    pass_turns(1);
    rota_queue_free(queue);
    note("freed");
    return await_all(tasks, 3);
}

static void free_under(int kind)
{
    assert_int_equal(run_virtually(free_under_getters, new_kind(kind, 0)), 0);
    assert_noted("freed a-shutdown b-shutdown j-shutdown");
    assert_int_equal(run_virtually(free_under_putters, new_kind(kind, 1)), 0);
    assert_noted("freed a-shutdown b-shutdown j-shutdown");
}

static void who_waits_when_it_is_freed_hears_of_it(void)
{
    for_each_kind(free_under);
}

static intptr_t free_under_the_woken(void *queue)
{
    struct user users[] = {{queue, "a", 2}, {queue, "b", 3}, {queue, "j", 0}};
    rota_task tasks[3];

    put(queue, 1);
    for (int i = 0; i < 3; i++)
        tasks[i] = start(i < 2 ? put_one : join, &users[i]);
    pass_turns(1);
    (void)take(queue);
    assert_int_equal(rota_queue_task_done(queue), 0);
    rota_queue_free(queue);
    note("freed");
    return await_all(tasks, 3);
}

static void who_was_woken_when_it_is_freed_hears_of_it(void)
{
    assert_int_equal(run_virtually(free_under_the_woken, new_queue(1)), 0);
    assert_noted("freed a-shutdown j-shutdown b-shutdown");
}

static intptr_t get_and_sleep(void *queue)
{
    int item;

    note("%s", rota_errname(rota_queue_get(queue, &item)));
    note("%s", rota_errname(rota_sleep(0)));
    return rota_sleep(0);
}

/* The first was woken and cancelled, the others are cancelled as they wait. */
static intptr_t free_under_the_cancelled(void *arg)
{
    rota_queue *queue = new_queue(0);
    rota_task tasks[3];

    for (int i = 0; i < 3; i++)
        tasks[i] = start(get_and_sleep, queue);
    pass_turns(1);
    if (arg)
        put(queue, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_task_cancel(tasks[i]), 1);
    rota_queue_free(queue);
    return await_all(tasks, 3);
}

static void a_cancellation_just_before_the_free_is_not_lost(void)
{
    for (intptr_t woken = 0; woken < 2; woken++) {
        assert_int_equal(run_virtually(free_under_the_cancelled, (void *)woken),
                         0);
        assert_noted("ROTA_ESHUTDOWN ROTA_ESHUTDOWN ROTA_ESHUTDOWN "
                     "ECANCELED ECANCELED ECANCELED");
    }
}

static intptr_t detach_two(void *queue)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_detach(start(get_and_sleep, queue)), 0);
    return rota_sleep(0);
}

static void ignore_exception(rota_loop *loop,
                             const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    note("%s", (const char *)arg);
}

static void the_loop_may_close_before_they_hear_of_it(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_queue *queue = new_queue(0);
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    rota_set_exception_handler(loop, ignore_exception, (void *)"destroyed");
    assert_int_equal(rota_loop_run_until_complete(loop, detach_two, queue), 0);
    put(queue, 1);
    rota_queue_free(queue);
    rota_loop_free(loop);
    assert_noted("destroyed destroyed");
}

HARNESS_MAIN(TEST(an_immediate_shutdown_releases_each_item_that_is_left_once),
             TEST(a_free_releases_each_item_that_is_left),
             TEST(a_ring_that_has_gone_round_is_released_from_its_front),
             TEST(what_items_point_to_can_be_freed),
             TEST(a_release_can_be_taken_back),
             TEST(a_release_finds_the_queue_shut_down_and_empty),
             TEST(who_waits_when_it_is_freed_hears_of_it),
             TEST(who_was_woken_when_it_is_freed_hears_of_it),
             TEST(a_cancellation_just_before_the_free_is_not_lost),
             TEST(the_loop_may_close_before_they_hear_of_it))
