/* SPDX-License-Identifier: MIT */
/*
 * The marks of the write buffer, what waits at them, and who may ask
 */
#include "kinds.h"

#include <pthread.h>

/* --- The marks ------------------------------------------------------------ */

static intptr_t drain_task(void *stream)
{
    return rota_drain(stream);
}

static intptr_t set_marks(void *arg)
{
    static char data[3000];
    struct pair pair;
    rota_task task;
    size_t queued;

    (void)arg;
    pair_open_socketpair(&pair); /* nothing drains on its own */
    (void)pair_fill(&pair, 'a');
    queued = rota_stream_write_buffer_size(pair.stream);
    assert_int_equal(rota_stream_set_write_buffer_limits(pair.stream, 10, 11),
                     -EINVAL);
    assert_int_equal(rota_drain(pair.stream), 0); /* far below 64 KiB */
    assert_int_equal(
        rota_stream_set_write_buffer_limits(pair.stream, queued + 3000, 0), 0);
    assert_int_equal(rota_write(pair.stream, data, 3000), 3000);
    assert_int_equal(rota_drain(pair.stream), 0); /* just at the mark */
    assert_int_equal(rota_write_nowait(pair.stream, data, 1), 0);
    task = start(drain_task, pair.stream);
    pass_turns(3);
    assert_false(rota_task_done(task)); /* above */
    assert_int_equal(
        rota_stream_set_write_buffer_limits(pair.stream, 1 << 20, 1 << 19), 0);
    assert_int_equal(rota_await(task), 0); /* not any more */
    pair_close(&pair);
    return 0;
}

static void the_marks_say_when_a_drain_waits(void)
{
    run(set_marks);
}

static intptr_t write_task(void *stream)
{
    static char data[100000];

    return rota_write(stream, data, sizeof data);
}

/* With marks of 0 nothing is kept: each write waits until all has gone. */
static intptr_t keep_nothing(void *arg)
{
    struct sink sink = {.wanted = SIZE_MAX};
    struct pair pair;
    rota_task task;
    size_t filled;

    (void)arg;
    pair_open_narrow(&pair);
    assert_int_equal(rota_stream_set_write_buffer_limits(pair.stream, 0, 0), 0);
    filled = pair_fill(&pair, 'a');
    task = start(write_task, pair.stream);
    pass_turns(3);
    assert_false(rota_task_done(task));
    sink.fd = pair.peer;
    sink.wanted = filled + 100000;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), 100000);
    assert_int_equal(rota_stream_write_buffer_size(pair.stream), 0);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void with_marks_of_zero_nothing_is_kept(void)
{
    run(keep_nothing);
}

/* --- A writer that was woken ---------------------------------------------- */

/* The system takes bytes again, and before the task runs, this is done. */
static size_t end_a_woken_writer(void (*end)(rota_stream *), intptr_t *result)
{
    struct sink sink = {.wanted = SIZE_MAX};
    struct pair pair;
    rota_task task;
    size_t heard;

    pair_open_socketpair(&pair);
    assert_int_equal(rota_stream_set_write_buffer_limits(pair.stream, 0, 0), 0);
    do {
        task = start(write_task, pair.stream);
        pass_turns(3);
    } while (rota_task_done(task) && rota_await(task) > 0);
    pair.stream->conn.events->writable(&pair.stream->conn);
    end(pair.stream);
    *result = rota_await(task);
    sink.fd = pair.peer;
    assert_int_equal(sink_run(&sink), 0);
    heard = sink.size;
    free(sink.data);
    pair_close(&pair);
    return heard;
}

static intptr_t end_woken_writers(void *arg)
{
    intptr_t result;

    (void)arg;
    (void)end_a_woken_writer(rota_abort, &result);
    assert_int_equal(result, -ROTA_ECLOSING);
    assert_int_equal(end_a_woken_writer(rota_close, &result) % 100000, 0);
    assert_int_equal(result, 100000);
    return 0;
}

static void a_writer_that_was_woken_sees_the_end_that_came_before_it_ran(void)
{
    run(end_woken_writers);
}

/* --- Misuse ----------------------------------------------------------------
 */

static rota_stream *misused;

static void read_in_a_callback(void *arg)
{
    char buf[4];

    (void)arg;
    assert_int_equal(rota_read(misused, buf, sizeof buf), -ROTA_ENOTASK);
    assert_int_equal(rota_write(misused, "x", 1), -ROTA_ENOTASK);
    assert_int_equal(rota_drain(misused), -ROTA_ENOTASK);
    assert_int_equal(rota_wait_closed(misused), -ROTA_ENOTASK);
    assert_int_equal(rota_write_nowait(misused, "x", 1), 0);
}

static intptr_t use_in_a_callback(void *arg)
{
    rota_handle handle = {0};
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    misused = pair.stream;
    assert_int_equal(rota_call_soon(rota_get_running_loop(), &handle,
                                    read_in_a_callback, NULL),
                     0);
    pass_turns(2);
    assert_string_equal(bare_hear(pair.peer), "x");
    pair_close(&pair);
    return 0;
}

static void what_waits_is_refused_in_a_callback(void)
{
    run(use_in_a_callback);
}

static void what_waits_in_a_callback_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(use_in_a_callback, NULL);
}

static intptr_t wait_without_closing(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_wait_closed(pair.stream), -EINVAL);
    pair_close(&pair);
    return 0;
}

static void waiting_for_a_close_that_nobody_began_is_an_error(void)
{
    run(wait_without_closing);
}

static void it_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(wait_without_closing, NULL);
}

static intptr_t use_elsewhere(void *stream)
{
    char buf[4];

    return rota_read(stream, buf, sizeof buf);
}

static void *run_elsewhere(void *stream)
{
    rota_loop_options options = {.virtual_clock = true};

    return (void *)rota_run_with(&options, use_elsewhere, stream);
}

static intptr_t lend_to_a_thread(void *arg)
{
    struct pair pair;
    pthread_t thread;
    void *result;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, pair.stream),
                     0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal((intptr_t)result, -EINVAL);
    pair_close(&pair);
    return 0;
}

static void a_stream_of_another_loop_is_refused(void)
{
    run(lend_to_a_thread);
}

static void *close_elsewhere(void *stream)
{
    rota_close(stream);
    return NULL;
}

static intptr_t close_in_a_thread(void *arg)
{
    struct pair pair;
    pthread_t thread;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(
        pthread_create(&thread, NULL, close_elsewhere, pair.stream), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return 0;
}

static void closing_it_in_another_thread_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(close_in_a_thread, NULL);
}

HARNESS_MAIN(
    TEST(the_marks_say_when_a_drain_waits),
    TEST(with_marks_of_zero_nothing_is_kept),
    TEST(a_writer_that_was_woken_sees_the_end_that_came_before_it_ran),
    TEST(what_waits_is_refused_in_a_callback),
    TEST_EXPECT_SIGNAL(what_waits_in_a_callback_stops_in_debug_mode, SIGABRT,
                       "rota_read: only a task can wait"),
    TEST(waiting_for_a_close_that_nobody_began_is_an_error),
    TEST_EXPECT_SIGNAL(it_stops_in_debug_mode, SIGABRT,
                       "call rota_close() first"),
    TEST(a_stream_of_another_loop_is_refused),
    TEST_EXPECT_SIGNAL(closing_it_in_another_thread_stops_in_debug_mode,
                       SIGABRT, "rota_close: called from a thread"))
