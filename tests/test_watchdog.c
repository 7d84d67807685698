/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: who holds the loop, told while it does
 */
#define _GNU_SOURCE
#include "watchdogs.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>

/* What is told */

static void a_callback_that_blocks_is_told_with_its_calls(void)
{
    run_watched(block_in_a_callback);
    assert_non_null(strstr(told, "rota: executing callback "
                                 "block_in_a_callback has held the loop for "
                                 "0."));
    assert_non_null(strstr(told, " seconds; it is at\n"));
    assert_non_null(strstr(told, "rota:   block_until_told+0x"));
    assert_non_null(strstr(told, "rota:   rota_loop_run_forever+0x"));
}

/* The handler's own part is of no interest. */
static void the_calls_begin_with_what_was_interrupted(void)
{
    run_watched(block_in_a_callback);
    assert_null(strstr(told, "rota__backtrace"));
    assert_null(strstr(told, "on_signal"));
}

static void block_twice_as_long(void *arg)
{
    (void)arg;
    block_until_told("executing callback block_twice_as_long has held", 2);
    blocked++;
}

static void it_is_told_again_when_it_has_lasted_twice_as_long(void)
{
    run_watched(block_twice_as_long);
}

static void spin(void *arg)
{
    struct pollfd more = {.fd = stderr_reader, .events = POLLIN};

    (void)arg;
    while (poll(&more, 1, 0) <= 0)
        for (volatile int i = 0; i < 10000; i++)
            ;
    block_until_told("rota:   spin+0x", 1);
    blocked++;
}

static void one_that_is_only_busy_is_told_as_well(void)
{
    run_watched(spin);
}

static void free_and_block(void *handle)
{
    free(handle);
    block_until_told("executing callback free_and_block has held", 1);
    blocked++;
}

static void the_memory_of_the_handle_is_the_callers(void)
{
    rota_loop *loop = new_watched_loop(SOON);
    rota_handle *handle = calloc(1, sizeof *handle);

    begin_to_read();
    assert_int_equal(rota_call_soon(loop, handle, free_and_block, handle), 0);
    run_one_turn(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_int_equal(blocked, 1);
}

static intptr_t block_in_a_task(void *arg)
{
    (void)arg;
    block_until_told("rota:   block_in_a_task+0x", 1);
    return ++blocked;
}

static intptr_t await_one_that_blocks(void *arg)
{
    const rota_task_options options = {.name = "baker"};
    rota_task task;
    int err;

    (void)arg;
    err = rota_create_task_with(&task, &options, block_in_a_task, NULL);
    return err < 0 ? err : rota_await(task);
}

static void a_task_that_blocks_is_told_by_name_and_where_it_was_made(void)
{
    const rota_loop_options options = {.watchdog = SOON};

    begin_to_read();
    assert_int_equal(rota_run_with(&options, await_one_that_blocks, NULL), 1);
    read_the_rest();
    assert_non_null(strstr(told, "rota: executing task baker (made at "));
    assert_non_null(strstr(told, "test_watchdog.c:"));
    assert_non_null(strstr(told, ") has held the loop for 0."));
    assert_null(strstr(told, "harness_main"));
}

static intptr_t sleep_and_block(void *arg)
{
    int err = rota_sleep(0.001);

    block_until_told("rota:   sleep_and_block+0x", 1);
    blocked++;
    return err < 0 ? err : (intptr_t)arg;
}

static void a_later_step_of_a_task_is_told_as_well(void)
{
    const rota_loop_options options = {.watchdog = SOON};

    begin_to_read();
    assert_int_equal(rota_run_with(&options, sleep_and_block, NULL), 0);
    read_the_rest();
    assert_non_null(strstr(told, "rota: executing task Task-1 (made at "));
}

static void begin_one_that_blocks(void *loop)
{
    const rota_task_options options = {.name = "smith", .eager_start = true};
    rota_task task;

    (void)loop;
    assert_int_equal(
        rota_create_task_with(&task, &options, block_in_a_task, NULL), 0);
    assert_int_equal(rota_detach(task), 0);
}

static void a_task_that_a_callback_has_begun_at_once_is_told_itself(void)
{
    run_watched(begin_one_that_blocks);
    assert_non_null(strstr(told, "rota: executing task smith (made at "));
}

static void debug_mode_tells_of_it_afterwards_as_ever(void)
{
    rota_loop *loop = new_watched_loop(SOON);

    begin_to_read();
    rota_set_debug(loop, true);
    rota_set_slow_callback_duration(loop, 0.001);
    assert_int_equal(rota_call_soon(loop, NULL, block_in_a_callback, NULL), 0);
    run_one_turn(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_int_equal(
        times_told("executing callback block_in_a_callback took 0."), 1);
}

/* What is not told: limits that a busy machine keeps, and longer times. */

static double long_enough(void)
{
    return 0.4 * harness_slowness();
}

static void run_for_twice_the_limit(rota_loop *loop)
{
    assert_int_equal(rota_call_later(loop, NULL, 2 * long_enough(), stop, loop),
                     0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
}

static void a_loop_that_sleeps_is_not_told_of(void)
{
    rota_loop *loop = new_watched_loop(long_enough());

    if (harness_under(HARNESS_SIM))
        harness_skip("time does not pass");
    begin_to_read();
    run_for_twice_the_limit(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_string_equal(told, "");
}

static void again(void *loop)
{
    assert_int_equal(rota_call_soon(loop, NULL, again, loop), 0);
}

static void many_short_steps_are_not_told_of(void)
{
    rota_loop *loop = new_watched_loop(long_enough());

    begin_to_read();
    again(loop);
    run_for_twice_the_limit(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_string_equal(told, "");
}

static void run_inside(void *arg)
{
    rota_loop *loop = arg;
    struct rota__running run;

    assert_int_equal(rota_call_later(loop, NULL, 2 * long_enough(), stop, loop),
                     0);
    assert_int_equal(rota__run_begin(loop, &run, true), 0);
    while (!loop->stopping)
        assert_int_equal(rota__turn(loop), 0);
    rota__run_end(loop, &run);
    fputs("inside is over\n", stderr);
    block_until_told("executing callback run_inside has held", 1);
    blocked++;
}

static void a_nested_run_begins_the_step_around_it_anew(void)
{
    rota_loop *loop = new_watched_loop(long_enough());

    begin_to_read();
    assert_int_equal(rota_call_soon(loop, NULL, run_inside, loop), 0);
    run_one_turn(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_int_equal(blocked, 1);
    assert_true(strncmp(told, "inside is over\n", 15) == 0);
}

/* On and off */

static int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = 0;

    if (!dir)
        harness_skip("there is no /proc to count threads in");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void there_is_a_thread_while_it_is_on(void)
{
    rota_loop *loop = new_watched_loop(0);
    int before = count_threads();

    assert_int_equal(rota_set_watchdog(loop, 1000), 0);
    assert_int_equal(count_threads(), before + 1);
    assert_int_equal(rota_set_watchdog(loop, 2000), 0);
    assert_int_equal(count_threads(), before + 1);
    assert_int_equal(rota_set_watchdog(loop, 0), 0);
    assert_int_equal(rota_set_watchdog(loop, 0), 0);
    while (count_threads() > before) /* for an instant after the join */
        ;
    rota_loop_free(loop);
}

static void steps_go_by_the_loop_while_it_is_on(void)
{
    rota_loop *loop = new_watched_loop(0);

    assert_false(loop->watched);
    assert_int_equal(rota_set_watchdog(loop, 1000), 0);
    assert_true(loop->watched);
    rota_set_debug(loop, true);
    rota_set_debug(loop, false);
    assert_true(loop->watched);
    assert_int_equal(rota_set_watchdog(loop, 0), 0);
    assert_false(loop->watched);
    rota_set_debug(loop, true);
    assert_true(loop->watched);
    assert_int_equal(rota_set_watchdog(loop, 1000), 0);
    assert_int_equal(rota_set_watchdog(loop, 0), 0);
    assert_true(loop->watched);
    rota_loop_free(loop);
}

static void closing_the_loop_takes_it_away(void)
{
    rota_loop *loop = new_watched_loop(1000);

    run_one_turn(loop);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(rota_set_watchdog(loop, 1), -ROTA_ECLOSED);
    assert_int_equal(rota_set_watchdog(loop, 0), -ROTA_ECLOSED);
    rota_loop_free(loop);
}

static void block_until_told_then_turn_off(void *loop)
{
    block_until_told("executing callback block_until_told_then_turn_off", 1);
    assert_int_equal(rota_set_watchdog(loop, 0), 0);
    blocked++;
}

static void it_is_turned_off_by_the_very_step_that_it_tells_of(void)
{
    run_watched(block_until_told_then_turn_off);
}

static void turn_on(void *loop)
{
    assert_int_equal(rota_set_watchdog(loop, SOON), 0);
    assert_int_equal(rota_call_soon(loop, NULL, block_in_a_callback, NULL), 0);
}

static void it_is_turned_on_by_a_step(void)
{
    rota_loop *loop = new_watched_loop(0);

    begin_to_read();
    assert_int_equal(rota_call_soon(loop, NULL, turn_on, loop), 0);
    run_one_turn(loop);
    run_one_turn(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_int_equal(blocked, 1);
}

static void change_the_limit_and_block(void *loop)
{
    assert_int_equal(rota_set_watchdog(loop, SOON), 0);
    block_until_told("rota:   change_the_limit_and_block+0x", 1);
    blocked++;
}

static void another_limit_holds_at_once(void)
{
    rota_loop *loop = new_watched_loop(100000);

    begin_to_read();
    assert_int_equal(
        rota_call_soon(loop, NULL, change_the_limit_and_block, loop), 0);
    run_one_turn(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_int_equal(blocked, 1);
}

static void the_least_limit_is_a_millisecond(void)
{
    rota_loop *loop = new_watched_loop(1e-9);

    begin_to_read();
    assert_int_equal(rota_call_soon(loop, NULL, block_in_a_callback, NULL), 0);
    run_one_turn(loop);
    rota_loop_free(loop);
    read_the_rest();
    assert_null(strstr(told, "for 0.000 seconds"));
}

static void the_environment_turns_it_on(void)
{
    rota_loop *loop;

    begin_to_read();
    setenv("ROTA_WATCHDOG", "0.005", 1);
    assert_int_equal(rota_run(sleep_and_block, NULL), 0);
    read_the_rest();
    setenv("ROTA_WATCHDOG", "0", 1);
    loop = new_loop();
    assert_null(loop->watchdog);
    rota_loop_free(loop);
    setenv("ROTA_WATCHDOG", "", 1);
    loop = new_loop();
    assert_null(loop->watchdog);
    rota_loop_free(loop);
}

/* What it is not */

static int with_option(double seconds)
{
    const rota_loop_options options = {.watchdog = seconds};
    rota_loop *loop;
    int err = rota_new_event_loop(&loop, &options);

    if (err == 0)
        rota_loop_free(loop);
    return err;
}

static void a_limit_that_is_no_time_is_refused(void)
{
    rota_loop *loop = new_watched_loop(0);

    assert_int_equal(rota_set_watchdog(loop, -1), -EINVAL);
    assert_int_equal(rota_set_watchdog(loop, (double)NAN), -EINVAL);
    assert_int_equal(rota_set_watchdog(loop, (double)INFINITY), -EINVAL);
    assert_null(loop->watchdog);
    rota_loop_free(loop);
    assert_int_equal(with_option(-1), -EINVAL);
    assert_int_equal(with_option(1), 0);
    setenv("ROTA_WATCHDOG", "soon", 1);
    assert_int_equal(with_option(0), -EINVAL);
    assert_int_equal(with_option(1), 0); /* the program knows better */
}

static void without_memory_there_is_none(void)
{
    rota_loop *loop = new_watched_loop(0);

    harness_fail_allocation(1);
    assert_int_equal(rota_set_watchdog(loop, 1), -ENOMEM);
    assert_null(loop->watchdog);
    assert_int_equal(rota_set_watchdog(loop, 1), 0);
    rota_loop_free(loop);
}

HARNESS_MAIN(TEST(a_callback_that_blocks_is_told_with_its_calls),
             TEST(the_calls_begin_with_what_was_interrupted),
             TEST(it_is_told_again_when_it_has_lasted_twice_as_long),
             TEST(one_that_is_only_busy_is_told_as_well),
             TEST(the_memory_of_the_handle_is_the_callers),
             TEST(a_task_that_blocks_is_told_by_name_and_where_it_was_made),
             TEST(a_later_step_of_a_task_is_told_as_well),
             TEST(a_task_that_a_callback_has_begun_at_once_is_told_itself),
             TEST(debug_mode_tells_of_it_afterwards_as_ever),
             TEST(a_loop_that_sleeps_is_not_told_of),
             TEST(many_short_steps_are_not_told_of),
             TEST(a_nested_run_begins_the_step_around_it_anew),
             TEST(there_is_a_thread_while_it_is_on),
             TEST(steps_go_by_the_loop_while_it_is_on),
             TEST(closing_the_loop_takes_it_away),
             TEST(it_is_turned_off_by_the_very_step_that_it_tells_of),
             TEST(it_is_turned_on_by_a_step), TEST(another_limit_holds_at_once),
             TEST(the_least_limit_is_a_millisecond),
             TEST(the_environment_turns_it_on),
             TEST(a_limit_that_is_no_time_is_refused),
             TEST(without_memory_there_is_none))
