/* SPDX-License-Identifier: MIT */
/*
 * Debug mode: slow callbacks, calls from the wrong thread, misuse
 */
#define _GNU_SOURCE
#include "loops.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static rota_loop *new_debug_loop(void)
{
    const rota_loop_options options = {.debug = true};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    assert_true(rota_get_debug(loop));
    return loop;
}

/* What one turn prints on standard error, at most 4095 bytes of it. */
static const char *printed_by_one_turn(rota_loop *loop)
{
    static char text[4096];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t size;

    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    run_one_turn(loop);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* On and off */

static bool debug_with_environment(const char *value)
{
    rota_loop *loop;
    bool on;

    setenv("ROTA_DEBUG", value, 1);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    on = rota_get_debug(loop);
    rota_loop_free(loop);
    return on;
}

static void the_environment_turns_it_on(void)
{
    assert_true(debug_with_environment("1"));
    assert_true(debug_with_environment("yes"));
    assert_false(debug_with_environment("0"));
    assert_false(debug_with_environment(""));
}

static void it_is_turned_on_and_off_at_any_time(void)
{
    rota_loop *loop = new_loop();

    assert_false(rota_get_debug(loop));
    rota_set_debug(loop, true);
    assert_true(rota_get_debug(loop));
    rota_set_debug(loop, false);
    assert_false(rota_get_debug(loop));
    rota_loop_free(loop);
}

/* Slow callbacks */

static void be_slow(void *arg)
{
    int64_t end = rota__clock_now() + ROTA__SECOND / 500;

    (void)arg;
    while (rota__clock_now() < end)
        ;
}

static void the_slow_callback_duration_is_a_tenth_of_a_second_at_first(void)
{
    rota_loop *loop = new_loop();

    assert_true(rota_get_slow_callback_duration(loop) == 0.1);
    rota_set_slow_callback_duration(loop, 2.5);
    assert_true(rota_get_slow_callback_duration(loop) == 2.5);
    rota_loop_free(loop);
}

/* `free` has the type of a callback, and is in another file. */
static void a_slow_callback_is_reported_with_the_functions_name(void)
{
    rota_loop *loop = new_debug_loop();

    rota_set_slow_callback_duration(loop, 0);
    rota_call_soon(loop, NULL, free, malloc(1));
    run_one_turn(loop);
    rota_loop_free(loop);
}

static void a_static_callback_has_its_name_in_the_report(void)
{
    rota_loop *loop = new_debug_loop();
    const char *text;

    rota_set_slow_callback_duration(loop, 0.001);
    rota_call_soon(loop, NULL, be_slow, NULL);
    text = printed_by_one_turn(loop);
    assert_non_null(strstr(text, "rota: executing callback be_slow took 0.0"));
    assert_non_null(strstr(text, " seconds\n"));
    rota_loop_free(loop);
}

static void timers_posts_and_writers_are_timed_as_well(void)
{
    rota_loop *loop = new_debug_loop();
    const char *text;
    int lines = 0;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    rota_set_slow_callback_duration(loop, 0.001);
    rota_call_at(loop, NULL, 0, be_slow, NULL);
    rota_call_soon_threadsafe(loop, NULL, be_slow, NULL);
    rota_add_writer(loop, fds[1], be_slow, NULL);
    text = printed_by_one_turn(loop);
    while ((text = strstr(text, "rota: executing ")) != NULL) {
        text++;
        lines++;
    }
    assert_int_equal(lines, 3);
    rota_loop_free(loop);
    close(fds[0]);
    close(fds[1]);
}

static void a_callback_that_is_fast_enough_is_not_reported(void)
{
    rota_loop *loop = new_debug_loop();

    rota_set_slow_callback_duration(loop, 1000);
    rota_call_soon(loop, NULL, be_slow, NULL);
    assert_string_equal(printed_by_one_turn(loop), "");
    rota_loop_free(loop);
}

static void without_debug_mode_nothing_is_timed(void)
{
    rota_loop *loop = new_loop();

    rota_set_slow_callback_duration(loop, 0);
    rota_call_soon(loop, NULL, be_slow, NULL);
    assert_string_equal(printed_by_one_turn(loop), "");
    rota_loop_free(loop);
}

static void count_calls(struct rota__handle *handle, void *arg)
{
    (void)handle;
    ++*(int *)arg;
}

static void the_memory_of_a_timed_handle_is_the_callers_as_well(void)
{
    rota_handle *handle = calloc(1, sizeof *handle);
    rota_loop *loop = new_debug_loop();
    int queued = 0;

    rota_set_slow_callback_duration(loop, 0);
    rota_call_soon(loop, handle, free, handle); /* frees itself */
    printed_by_one_turn(loop);
    rota__visit(loop, count_calls, &queued);
    assert_int_equal(queued, 0);
    rota_loop_free(loop);
}

/* Calls from the wrong thread */

static void *call_soon(void *loop)
{
    rota_call_soon(loop, NULL, must_not_run, NULL);
    return NULL;
}

static void *call_later(void *loop)
{
    rota_call_later(loop, NULL, 1, must_not_run, NULL);
    return NULL;
}

static void *call_at(void *loop)
{
    rota_call_at(loop, NULL, 1, must_not_run, NULL);
    return NULL;
}

static void *add_reader(void *loop)
{
    rota_add_reader(loop, 0, must_not_run, NULL);
    return NULL;
}

static void *remove_writer(void *loop)
{
    rota_remove_writer(loop, 0);
    return NULL;
}

static void ignore(rota_future *future, void *arg)
{
    (void)future;
    (void)arg;
}

static void *add_done_callback(void *loop)
{
    rota_future future;

    rota_future_init(&future, loop);
    rota_future_add_done_callback(&future, NULL, ignore, NULL);
    return NULL;
}

static void *call_soon_threadsafe(void *loop)
{
    assert_int_equal(rota_call_soon_threadsafe(loop, NULL, stop, loop), 0);
    return NULL;
}

struct intruder {
    rota_loop *loop;
    void *(*call)(void *loop);
};

static void call_on_another_thread(void *arg)
{
    struct intruder *intruder = arg;
    pthread_t thread;

    assert_int_equal(
        pthread_create(&thread, NULL, intruder->call, intruder->loop), 0);
    pthread_join(thread, NULL);
}

/* While the loop runs, another thread makes a call that it may not make. */
static void intrude(void *(*call)(void *))
{
    rota_loop *loop = new_debug_loop();
    struct intruder intruder = {loop, call};

    rota_call_soon(loop, NULL, call_on_another_thread, &intruder);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
}

static void *set_result(void *loop)
{
    rota_future future;

    rota_future_init(&future, loop);
    rota_future_set_result(&future, 1);
    return NULL;
}

static void *stop_the_loop(void *loop)
{
    rota_loop_stop(loop);
    return NULL;
}

static void *cancel_a_call(void *loop)
{
    rota_handle handle = {0};

    rota_call_soon_threadsafe(loop, &handle, free, NULL);
    rota_handle_cancel(&handle);
    return NULL;
}

static void completing_a_future_from_another_thread_stops(void)
{
    intrude(set_result);
}

static void stopping_the_loop_from_another_thread_stops(void)
{
    intrude(stop_the_loop);
}

static void cancelling_from_another_thread_stops(void)
{
    intrude(cancel_a_call);
}

static void call_soon_from_another_thread_stops(void)
{
    intrude(call_soon);
}

static void call_later_from_another_thread_stops(void)
{
    intrude(call_later);
}

static void call_at_from_another_thread_stops(void)
{
    intrude(call_at);
}

static void add_reader_from_another_thread_stops(void)
{
    intrude(add_reader);
}

static void remove_writer_from_another_thread_stops(void)
{
    intrude(remove_writer);
}

static void add_done_callback_from_another_thread_stops(void)
{
    intrude(add_done_callback);
}

static void call_soon_threadsafe_from_another_thread_is_fine(void)
{
    intrude(call_soon_threadsafe);
}

static void a_loop_that_does_not_run_belongs_to_no_thread(void)
{
    rota_loop *loop = new_debug_loop();
    struct intruder intruder = {loop, call_later};
    int queued = 0;

    call_on_another_thread(&intruder);
    rota__visit(loop, count_calls, &queued);
    assert_int_equal(queued, 1);
    rota_loop_free(loop);
}

/* Misuse */

static void a_call_on_a_closed_loop_stops(void)
{
    rota_loop *loop = new_debug_loop();

    rota_loop_close(loop);
    rota_call_soon(loop, NULL, must_not_run, NULL);
}

static void running_a_closed_loop_stops(void)
{
    rota_loop *loop = new_debug_loop();

    rota_loop_close(loop);
    rota_loop_run_forever(loop);
}

static void run_again(void *loop)
{
    rota_loop_run_forever(loop);
}

static void a_run_inside_a_run_stops(void)
{
    rota_loop *loop = new_debug_loop();

    rota_call_soon(loop, NULL, run_again, loop);
    run_one_turn(loop);
}

static void close_inside(void *loop)
{
    rota_loop_close(loop);
}

static void closing_a_loop_that_runs_stops(void)
{
    rota_loop *loop = new_debug_loop();

    rota_call_soon(loop, NULL, close_inside, loop);
    run_one_turn(loop);
}

HARNESS_MAIN(
    TEST(the_environment_turns_it_on),
    TEST(it_is_turned_on_and_off_at_any_time),
    TEST(the_slow_callback_duration_is_a_tenth_of_a_second_at_first),
    TEST_EXPECT_STDERR(a_slow_callback_is_reported_with_the_functions_name,
                       "free took 0.0"),
    TEST(a_static_callback_has_its_name_in_the_report),
    TEST(timers_posts_and_writers_are_timed_as_well),
    TEST(a_callback_that_is_fast_enough_is_not_reported),
    TEST(without_debug_mode_nothing_is_timed),
    TEST(the_memory_of_a_timed_handle_is_the_callers_as_well),
    TEST_EXPECT_SIGNAL(call_soon_from_another_thread_stops, SIGABRT,
                       "rota: rota_call_soon: called from a thread that is "
                       "not the loop's; use rota_call_soon_threadsafe"),
    TEST_EXPECT_SIGNAL(call_later_from_another_thread_stops, SIGABRT,
                       "rota: rota_call_later: called from a thread"),
    TEST_EXPECT_SIGNAL(call_at_from_another_thread_stops, SIGABRT,
                       "rota: rota_call_at: called from a thread"),
    TEST_EXPECT_SIGNAL(add_reader_from_another_thread_stops, SIGABRT,
                       "rota: rota_add_reader: called from a thread"),
    TEST_EXPECT_SIGNAL(remove_writer_from_another_thread_stops, SIGABRT,
                       "rota: rota_remove_writer: called from a thread"),
    TEST_EXPECT_SIGNAL(add_done_callback_from_another_thread_stops, SIGABRT,
                       "rota: rota_future_add_done_callback: called from a"),
    TEST_EXPECT_SIGNAL(completing_a_future_from_another_thread_stops, SIGABRT,
                       "rota: rota_future_set_result: called from a thread"),
    TEST_EXPECT_SIGNAL(stopping_the_loop_from_another_thread_stops, SIGABRT,
                       "rota: rota_loop_stop: called from a thread"),
    TEST_EXPECT_SIGNAL(cancelling_from_another_thread_stops, SIGABRT,
                       "rota: rota_handle_cancel: called from a thread"),
    TEST(call_soon_threadsafe_from_another_thread_is_fine),
    TEST(a_loop_that_does_not_run_belongs_to_no_thread),
    TEST_EXPECT_SIGNAL(a_call_on_a_closed_loop_stops, SIGABRT,
                       "rota: rota_call_soon: the event loop is closed; a "
                       "closed loop takes no more work"),
    TEST_EXPECT_SIGNAL(running_a_closed_loop_stops, SIGABRT,
                       "make a new loop; a closed one cannot run"),
    TEST_EXPECT_SIGNAL(a_run_inside_a_run_stops, SIGABRT,
                       "create a task on it and await that"),
    TEST_EXPECT_SIGNAL(closing_a_loop_that_runs_stops, SIGABRT,
                       "stop the loop first (rota_loop_stop)"))
