/* SPDX-License-Identifier: MIT */
/*
 * One function for many items
 */
#include "executors.h"

#include <stdlib.h>

struct item {
    int number;
    int square;
};

static intptr_t square(void *arg)
{
    struct item *item = arg;

    item->square = item->number * item->number;
    atomic_fetch_add(&calls, 1);
    return item->number;
}

static struct item *new_items(int count)
{
    struct item *items = calloc((size_t)count + 1, sizeof *items);

    assert_non_null(items);
    for (int i = 0; i < count; i++)
        items[i].number = i;
    return items;
}

static void map_squares(rota_executor *pool, int count, size_t chunk)
{
    struct item *items = new_items(count);
    intptr_t *results = calloc((size_t)count + 1, sizeof *results);

    atomic_store(&calls, 0);
    assert_int_equal(rota_executor_map(pool, square, items, (size_t)count,
                                       sizeof *items, chunk, results),
                     0);
    assert_int_equal(atomic_load(&calls), count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(items[i].square, i * i);
        assert_int_equal(results[i], i);
    }
    assert_int_equal(items[count].number, 0);
    free(results);
    free(items);
}

static intptr_t map_in_chunks(void *pool)
{
    const size_t chunks[] = {0, 1, 7, 50, 51, 1000, SIZE_MAX};

    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
        map_squares(pool, 50, chunks[i]);
    for (int count = 0; count < 10; count++)
        map_squares(pool, count, 4);
    return 0;
}

static void each_item_is_worked_on_once_in_chunks_of_any_size(void)
{
    rota_executor *pool = new_pool(3);

    assert_int_equal(run_virtually(map_in_chunks, pool), 0);
    assert_int_equal(run_virtually(map_in_chunks, NULL), 0);
    rota_executor_free(pool);
}

static intptr_t map_many(void *pool)
{
    map_squares(pool, 10000, 0);
    map_squares(pool, 10000, 64);
    return 0;
}

static void ten_thousand_items_are_fine(void)
{
    rota_executor *pool = new_pool(4);

    assert_int_equal(run_virtually(map_many, pool), 0);
    rota_executor_free(pool);
}

static intptr_t map_without_results(void *pool)
{
    struct item *items = new_items(20);

    assert_int_equal(
        rota_executor_map(pool, square, items, 20, sizeof *items, 3, NULL), 0);
    assert_int_equal(items[19].square, 361);
    free(items);
    return 0;
}

static void results_may_go_nowhere(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(map_without_results, pool), 0);
    rota_executor_free(pool);
}

/* --- Errors ------------------------------------------------------------- */

static intptr_t fail_at_some(void *arg)
{
    struct item *item = arg;

    item->square = -1;
    if (item->number == 11)
        return -ENOENT;
    return item->number == 8 ? -EIO : item->number;
}

static void map_with_errors(rota_executor *pool, size_t chunk)
{
    struct item *items = new_items(20);
    intptr_t results[20];

    memset(results, 0xEE, sizeof results);
    assert_int_equal(rota_executor_map(pool, fail_at_some, items, 20,
                                       sizeof *items, chunk, results),
                     -EIO);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(results[i], i == 8 ? -EIO : i == 11 ? -ENOENT : i);
        assert_int_equal(items[i].square, -1);
    }
    assert_int_equal(rota_executor_map(pool, fail_at_some, items, 20,
                                       sizeof *items, chunk, NULL),
                     -EIO);
    free(items);
}

static intptr_t map_with_errors_in_chunks(void *pool)
{
    const size_t chunks[] = {0, 1, 3, 7, 20, 100};

    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
        map_with_errors(pool, chunks[i]);
    return 0;
}

static void the_first_items_error_is_returned_and_all_are_worked_on(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(map_with_errors_in_chunks, pool), 0);
    rota_executor_free(pool);
}

/* The second chunk's error comes while the first chunk is still held. */
static intptr_t fail_early(void *arg)
{
    const struct item *item = arg;

    if (item->number == 0)
        wait_at_gate();
    else
        open_gate();
    return item->number == 0 ? -ENOENT : -EIO;
}

static intptr_t map_out_of_order(void *pool)
{
    struct item items[2] = {{0, 0}, {1, 0}};

    return rota_executor_map(pool, fail_early, items, 2, sizeof *items, 1,
                             NULL);
}

static void first_is_by_place_and_not_by_time(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(map_out_of_order, pool), -ENOENT);
    rota_executor_free(pool);
}

static intptr_t refuse(void *pool)
{
    struct item items[2] = {{0, 0}, {0, 0}};

    assert_int_equal(
        rota_executor_map(pool, NULL, items, 2, sizeof *items, 1, NULL),
        -EINVAL);
    assert_int_equal(
        rota_executor_map(pool, must_not_begin, NULL, 2, 8, 1, NULL), -EINVAL);
    assert_true(rota_is_error(rota_executor_map(pool, must_not_begin, items,
                                                SIZE_MAX / 4, 8, 1, NULL)));
    assert_true(rota_is_error(rota_executor_map(
        pool, must_not_begin, items, SIZE_MAX / 4, 8, SIZE_MAX / 4, NULL)));
    assert_int_equal(rota_executor_shutdown(pool, true, false), 0);
    assert_int_equal(rota_executor_map(pool, must_not_begin, items, 2,
                                       sizeof *items, 1, NULL),
                     -ROTA_ESHUTDOWN);
    return 0;
}

static void what_cannot_be_mapped_is_refused(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(
        rota_executor_map(pool, must_not_begin, pool, 1, 1, 1, NULL),
        -ROTA_ENOTASK);
    assert_int_equal(run_virtually(refuse, pool), 0);
    rota_executor_free(pool);
}

static intptr_t map_after_a_failure(void *pool)
{
    struct item *items = new_items(30);
    int err = -ENOMEM;

    for (long nth = 1; err == -ENOMEM; nth++) {
        assert_in_range(nth, 1, 200);
        harness_fail_allocation(nth);
        err =
            rota_executor_map(pool, square, items, 30, sizeof *items, 7, NULL);
        harness_fail_allocation(-1);
    }
    free(items);
    return err;
}

static void an_allocation_that_fails_is_an_error(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(map_after_a_failure, pool), 0);
    rota_executor_free(pool);
}

/* --- Cancelling --------------------------------------------------------- */

static intptr_t hold_the_first(void *arg)
{
    struct item *item = arg;

    if (item->number > 1)
        must_not_begin(arg);
    wait_at_gate();
    item->square = 99;
    return 0;
}

static intptr_t map_and_be_cancelled(void *pool)
{
    struct item *items = new_items(100);
    intptr_t results[100] = {0};
    int err = rota_executor_map(pool, hold_the_first, items, 100, sizeof *items,
                                1, results);

    assert_int_equal(items[0].square, 0);
    free(items);
    memset(results, 0xEE, sizeof results);
    note("gone");
    return err;
}

static intptr_t cancel_a_map(void *pool)
{
    rota_task task = start(map_and_be_cancelled, pool);

    pass_turns(1);
    see_waiting(2);
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(gate.waiting, 2);
    assert_noted("gone");
    open_gate();
    return 0;
}

static void a_cancelled_map_goes_on_at_once_and_begins_no_more(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(cancel_a_map, pool), 0);
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 2);
}

static intptr_t hold_in_the_middle(void *arg)
{
    const struct item *item = arg;

    atomic_fetch_add(&calls, 1);
    if (item->number == 2)
        wait_at_gate();
    return 0;
}

static struct item ten[10];

static intptr_t map_one_chunk(void *pool)
{
    int err;

    for (int i = 0; i < 10; i++)
        ten[i].number = i;
    err = rota_executor_map(pool, hold_in_the_middle, ten, 10, sizeof *ten, 10,
                            NULL);
    memset(ten, 0xEE, sizeof ten);
    return err;
}

static intptr_t cancel_in_a_chunk(void *pool)
{
    rota_task task = start(map_one_chunk, pool);

    pass_turns(1);
    see_waiting(1);
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    open_gate();
    return 0;
}

/* Whether the rest of a chunk is still worked on is nobody's concern. */
static void a_cancelled_map_may_free_its_items_under_a_chunk(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(cancel_in_a_chunk, pool), 0);
    rota_executor_free(pool);
    assert_in_range(atomic_load(&calls), 3, 10);
}

static intptr_t map_at_the_same_time(void *pool)
{
    rota_task tasks[4];

    for (int i = 0; i < 4; i++)
        tasks[i] = start(map_without_results, pool);
    return rota_gather(tasks, 4, NULL, false);
}

static void several_tasks_may_map_at_the_same_time(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(map_at_the_same_time, pool), 0);
    rota_executor_free(pool);
}

static void a_loop_may_close_under_a_map(void)
{
    rota_executor *pool = new_pool(2);
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_create_task(loop, &task, map_one_chunk, pool),
                     0);
    assert_int_equal(rota_detach(task), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    see_waiting(1);
    rota_loop_free(loop);
    open_gate();
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 1);
}

HARNESS_MAIN(TEST(each_item_is_worked_on_once_in_chunks_of_any_size),
             TEST(ten_thousand_items_are_fine), TEST(results_may_go_nowhere),
             TEST(the_first_items_error_is_returned_and_all_are_worked_on),
             TEST(first_is_by_place_and_not_by_time),
             TEST(what_cannot_be_mapped_is_refused),
             TEST(an_allocation_that_fails_is_an_error),
             TEST(a_cancelled_map_goes_on_at_once_and_begins_no_more),
             TEST(a_cancelled_map_may_free_its_items_under_a_chunk),
             TEST(several_tasks_may_map_at_the_same_time),
             TEST(a_loop_may_close_under_a_map))
