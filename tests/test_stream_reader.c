/* SPDX-License-Identifier: MIT */
/*
 * A task that reads, and what may happen to it: it is cancelled, a second one
 * comes, the connection breaks, the stream is closed or freed. Whatever it is,
 * what was not returned is still there.
 */
#include "readings.h"

/* --- Cancelling --------------------------------------------------------- */

static intptr_t cancel_each_way(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    for (size_t way = 0; way < 4; way++) {
        struct reading reading = reading_of(&pair, way);
        rota_task task;

        if (way > 0)
            bare_say(pair.peer, "half");
        task = start(read_in_a_task, &reading);
        pass_turns(2);
        assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), -ECANCELED);
        bare_say(pair.peer, " more");
        if (way > 0) {
            char buf[16];

            assert_int_equal(rota_read_exactly(pair.stream, buf, 9), 9);
            assert_memory_equal(buf, "half more", 9);
        } else {
            expect_read(pair.stream, " more");
        }
    }
    pair_close(&pair);
    return 0;
}

static void a_cancelled_read_of_any_kind_loses_no_byte(void)
{
    run(cancel_each_way);
}

/* The bytes come, the reader is woken, and in the same turn cancelled. */
static intptr_t cancel_a_woken_one(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    for (size_t way = 0; way < 4; way++) {
        struct reading reading = reading_of(&pair, way);
        rota_task task = start(read_in_a_task, &reading);

        pass_turns(1);
        assert_non_null(pair.stream->reader);
        bare_say(pair.peer, "a\r\n");
        /* It stands in the ready queue behind us. */
        rota__unpark(pair.stream->reader, 0);
        assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), -ECANCELED);
        expect_read(pair.stream, "a\r\n");
    }
    pair_close(&pair);
    return 0;
}

static void a_read_cancelled_after_its_wake_up_loses_no_byte(void)
{
    run(cancel_a_woken_one);
}

static intptr_t run_out_of_time(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "ab");
    for (int i = 0; i < 3; i++) {
        rota_timeout timeout;
        intptr_t n;

        assert_int_equal(rota_timeout_begin(&timeout, 0.001), 0);
        n = rota_read_exactly(pair.stream, buf, 3);
        assert_int_equal(rota_timeout_end(&timeout, n), -ETIMEDOUT);
    }
    bare_say(pair.peer, "c");
    assert_int_equal(rota_read_exactly(pair.stream, buf, 3), 3);
    assert_memory_equal(buf, "abc", 3);
    pair_close(&pair);
    return 0;
}

static void a_read_that_runs_out_of_time_can_be_made_again(void)
{
    run(run_out_of_time);
}

/* --- Two readers -------------------------------------------------------- */

static void expect_busy(struct pair *pair)
{
    for (size_t way = 0; way < 4; way++) {
        struct reading second = reading_of(pair, way);

        assert_int_equal(second.how(&second), -EBUSY);
    }
}

static intptr_t read_twice_at_once(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    for (size_t way = 0; way < 4; way++) {
        struct reading reading = reading_of(&pair, way);
        rota_task task = start(read_in_a_task, &reading);

        reading.size = 3;
        pass_turns(1);
        expect_busy(&pair);
        bare_say(pair.peer, "a\r\n");
        assert_int_equal(rota_await(task), 3);
    }
    pair_close(&pair);
    return 0;
}

static void a_second_reader_is_refused(void)
{
    run(read_twice_at_once);
}

static intptr_t read_past_a_woken_one(void *arg)
{
    struct reading reading;
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open(&pair);
    reading = reading_of(&pair, 0);
    task = start(read_in_a_task, &reading);
    pass_turns(1);
    bare_say(pair.peer, "abc");
    pair.stream->conn.events->readable(&pair.stream->conn);
    expect_busy(&pair);
    assert_int_equal(rota_await(task), 3);
    assert_memory_equal(reading.buf, "abc", 3);
    pair_close(&pair);
    return 0;
}

static void a_second_reader_does_not_overtake_one_that_was_woken(void)
{
    run(read_past_a_woken_one);
}

/* --- Errors of the connection ------------------------------------------- */

static intptr_t read_after_a_reset(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    pair_reset(&pair);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_read(pair.stream, buf, 16), -ECONNRESET);
        assert_int_equal(rota_read_exactly(pair.stream, buf, 2), -ECONNRESET);
        assert_int_equal(rota_read_line(pair.stream, buf, 16), -ECONNRESET);
        assert_int_equal(rota_write(pair.stream, "x", 1), -ECONNRESET);
        assert_int_equal(rota_write_nowait(pair.stream, "x", 1), -ECONNRESET);
        assert_int_equal(rota_drain(pair.stream), -ECONNRESET);
        assert_int_equal(rota_write_eof(pair.stream), -ECONNRESET);
    }
    assert_false(rota_at_eof(pair.stream));
    pair_close(&pair);
    return 0;
}

static void after_a_reset_every_call_gives_that_error(void)
{
    run(read_after_a_reset);
}

static intptr_t reset_while_reading(void *arg)
{
    (void)arg;
    for (size_t way = 0; way < 4; way++) {
        struct reading reading;
        struct pair pair;
        rota_task task;

        pair_open(&pair);
        reading = reading_of(&pair, way);
        task = start(read_in_a_task, &reading);
        pass_turns(2);
        pair_reset(&pair);
        assert_int_equal(rota_await(task), -ECONNRESET);
        pair_close(&pair);
    }
    return 0;
}

static void a_reset_wakes_a_reader_of_any_kind(void)
{
    run(reset_while_reading);
}

static intptr_t read_after_a_failed_write(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    pair_reset(&pair);
    assert_int_equal(rota_write(pair.stream, "x", 1), -ECONNRESET);
    pass_turns(1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_read(pair.stream, buf, 16), -ECONNRESET);
    pair_close(&pair);
    return 0;
}

static void after_a_failed_write_reads_do_not_claim_an_orderly_end(void)
{
    run(read_after_a_failed_write);
}

/* --- Closing ------------------------------------------------------------ */

static void expect_closing(struct pair *pair)
{
    for (size_t way = 0; way < 4; way++) {
        struct reading reading = reading_of(pair, way);

        assert_int_equal(reading.how(&reading), -ROTA_ECLOSING);
    }
}

static intptr_t close_while_reading(void *arg)
{
    void (*const ends[])(rota_stream *) = {rota_close, rota_abort};

    (void)arg;
    for (size_t i = 0; i < 8; i++) {
        struct reading reading;
        struct pair pair;
        rota_task task;

        pair_open(&pair);
        bare_say(pair.peer, "half");
        reading = reading_of(&pair, i % 4);
        if (i % 4 == 0)
            expect_read(pair.stream, "half");
        task = start(read_in_a_task, &reading);
        pass_turns(2);
        ends[i / 4](pair.stream);
        expect_closing(&pair);
        assert_int_equal(rota_await(task), -ROTA_ECLOSING);
        expect_closing(&pair);
        pair_close(&pair);
    }
    return 0;
}

static void closing_wakes_the_reader_and_refuses_all_others(void)
{
    run(close_while_reading);
}

static intptr_t free_while_reading(void *arg)
{
    (void)arg;
    for (size_t way = 0; way < 4; way++) {
        struct reading reading;
        struct pair pair;
        rota_task task;

        pair_open(&pair);
        reading = reading_of(&pair, way);
        task = start(read_in_a_task, &reading);
        pass_turns(2);
        pair_close(&pair);
        assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    }
    return 0;
}

static void a_stream_may_be_freed_while_another_task_reads(void)
{
    run(free_while_reading);
}

HARNESS_MAIN(TEST(a_cancelled_read_of_any_kind_loses_no_byte),
             TEST(a_read_cancelled_after_its_wake_up_loses_no_byte),
             TEST(a_read_that_runs_out_of_time_can_be_made_again),
             TEST(a_second_reader_is_refused),
             TEST(a_second_reader_does_not_overtake_one_that_was_woken),
             TEST(after_a_reset_every_call_gives_that_error),
             TEST(a_reset_wakes_a_reader_of_any_kind),
             TEST(after_a_failed_write_reads_do_not_claim_an_orderly_end),
             TEST(closing_wakes_the_reader_and_refuses_all_others),
             TEST(a_stream_may_be_freed_while_another_task_reads))
