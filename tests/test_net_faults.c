/* SPDX-License-Identifier: MIT */
/*
 * A network that is slow: the two ends of a connection with a proxy between
 * them that splits, delays and stalls
 *
 * Time is virtual: hours of stalls take none. Where a number of bytes or a
 * time is asserted, the proxy's plan says so to the byte and to the tick.
 */
#include "proxied.h"

/* --- Nothing is lost or doubled ----------------------------------------- */

struct telling {
    rota_stream *stream;
    size_t size;
};

static intptr_t tell_in_a_task(void *arg)
{
    const struct telling *telling = arg;

    return tell(telling->stream, telling->size);
}

/* Both tell at once, and both hear it all; the first to be ready closes. */
static intptr_t exchange(rota_stream *stream, struct meeting *meeting)
{
    struct telling telling = {stream, meeting->bytes};
    rota_task teller = start(tell_in_a_task, &telling);
    size_t heard;
    intptr_t n = hear(stream, meeting->bytes, &heard);

    assert_int_equal(rota_await(teller), 0);
    assert_int_equal(n, meeting->bytes);
    return n;
}

static intptr_t exchange_and_see_the_end(rota_stream *stream,
                                         struct meeting *meeting)
{
    intptr_t n = exchange(stream, meeting);
    char more;

    assert_int_equal(rota_read(stream, &more, 1), 0);
    assert_true(rota_at_eof(stream));
    return n;
}

static uint64_t seed = 7;

static void exchange_through(const struct fault *fault, size_t bytes, int room,
                             double at_least)
{
    struct meeting meeting = {
        .plan = {*fault, *fault, .seed = seed, .room = room},
        .client = exchange,
        .server = exchange_and_see_the_end,
        .bytes = bytes,
    };

    meet(&meeting);
    assert_int_equal(meeting.client_result, bytes);
    assert_int_equal(meeting.server_result, bytes);
    assert_true(meeting.took >= at_least);
}

static void megabytes_pass_both_ways(void)
{
    exchange_through(&(struct fault){.piece = 0}, scaled(4 * MIB), 0, 0);
}

/* ROTA_TEST_SEEDS=N: in N ways. */
static void ragged_pieces_make_a_whole(void)
{
    const char *value = getenv("ROTA_TEST_SEEDS");
    uint64_t seeds = value ? strtoull(value, NULL, 0) : 1;

    for (seed = 1; seed <= seeds; seed++)
        exchange_through(&(struct fault){.piece = 5000, .ragged = true},
                         scaled(2 * MIB), 0, 0);
}

static void single_bytes_make_a_whole(void)
{
    exchange_through(&(struct fault){.piece = 1}, scaled(6000), 0, 0);
}

static void buffers_that_are_always_full_lose_nothing(void)
{
    exchange_through(&(struct fault){.piece = 2000, .ragged = true},
                     scaled(MIB / 2), 4096, 0);
}

static void late_pieces_come_in_their_order(void)
{
    exchange_through(
        &(struct fault){.piece = 16384, .delay = 0.05, .jitter = 0.1}, MIB, 0,
        MIB / 16384 * 0.05);
}

static void a_stall_is_waited_for(void)
{
    exchange_through(
        &(struct fault){.at = 300000, .event = FAULT_STALL, .stall = 100}, MIB,
        0, 100);
}

static void a_stall_before_the_first_byte_is_waited_for(void)
{
    exchange_through(&(struct fault){.event = FAULT_STALL, .stall = 100}, MIB,
                     0, 100);
}

/* --- Split at every byte ------------------------------------------------ */

static const char message[] = "11:hello there\nend of it--";
enum { MESSAGE = sizeof message - 1 };

/* The same message by each kind of read. */
static intptr_t read_in_each_way(rota_stream *stream, struct meeting *meeting)
{
    char buf[64];

    assert_int_equal(rota_read_until(stream, ":", 1, buf, sizeof buf), 3);
    assert_int_equal(rota_read_exactly(stream, buf + 3, 5), 5);
    assert_int_equal(rota_read_line(stream, buf + 8, 32), 7);
    assert_int_equal(rota_read_until(stream, "--", 2, buf + 15, 32), 11);
    assert_memory_equal(buf, message, MESSAGE);
    assert_int_equal(rota_write(stream, buf, MESSAGE), MESSAGE);
    assert_int_equal(rota_read_line(stream, buf, sizeof buf), 0);
    return (intptr_t)meeting->bytes;
}

static intptr_t say_and_hear(rota_stream *stream, struct meeting *meeting)
{
    char buf[64];

    assert_int_equal(rota_write(stream, message, MESSAGE), MESSAGE);
    assert_int_equal(rota_read_exactly(stream, buf, MESSAGE), MESSAGE);
    assert_memory_equal(buf, message, MESSAGE);
    return (intptr_t)meeting->bytes;
}

static intptr_t split_at_each_byte(void *arg)
{
    struct meeting meeting = {.client = say_and_hear,
                              .server = read_in_each_way};
    rota_task task;

    (void)arg;
    meeting_begin(&meeting, &task);
    for (size_t up = 0; up <= MESSAGE; up++) {
        meeting.plan.up = (struct fault){.split = up, .delay = 0.001};
        meeting.plan.down = (struct fault){.split = MESSAGE - up};
        fault_proxy_set_plan(meeting.proxy, &meeting.plan);
        meeting.bytes = up;
        meeting_connect(&meeting);
        assert_int_equal(meeting.client_result, up);
        assert_int_equal(meeting.server_result, up);
    }
    meeting_end(&meeting, task);
    return 0;
}

static void a_message_may_be_split_at_each_byte(void)
{
    in_virtual_time(split_at_each_byte, NULL);
}

/* --- Timeouts ----------------------------------------------------------- */

/* Tells two halves with the proxy's stall between, and waits for the end. */
static intptr_t tell_and_wait(rota_stream *stream, struct meeting *meeting)
{
    intptr_t err = tell(stream, meeting->bytes);
    char more;

    return err < 0 ? err : rota_read(stream, &more, 1);
}

static intptr_t time_out_in_reads(rota_stream *stream, struct meeting *meeting)
{
    char buf[128];
    rota_timeout limit;
    double began;
    intptr_t n;

    assert_int_equal(rota_read_exactly(stream, buf, 100), 100);
    assert_story(buf, 0, 100);
    began = now();
    rota_timeout_begin(&limit, 30);
    n = rota_read(stream, buf, sizeof buf);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    assert_about(now() - began, 30);
    rota_timeout_begin(&limit, 30);
    n = rota_read_exactly(stream, buf, 100);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    assert_about(now() - began, 60);
    rota_timeout_begin(&limit, LONG);
    n = rota_read_exactly(stream, buf, 100);
    assert_int_equal(rota_timeout_end(&limit, n), 100);
    assert_about(now() - began, 100);
    assert_story(buf, 100, 100);
    return (intptr_t)meeting->bytes;
}

static void a_read_times_out_on_time_and_loses_nothing(void)
{
    struct meeting meeting = {
        .plan.down = {.at = 100, .event = FAULT_STALL, .stall = 100},
        .client = time_out_in_reads,
        .server = tell_and_wait,
        .bytes = 200,
    };

    meet(&meeting);
    assert_int_equal(meeting.client_result, 200);
    assert_int_equal(meeting.server_result, 0);
}

/* Of a line, half of which is there. */
static intptr_t time_out_in_a_line(rota_stream *stream, struct meeting *meeting)
{
    char buf[64];
    rota_timeout limit;
    double began = now();
    intptr_t n;

    for (int i = 1; i <= 3; i++) {
        rota_timeout_begin(&limit, 10);
        n = rota_read_line(stream, buf, sizeof buf);
        assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
        assert_about(now() - began, 10 * i);
    }
    assert_int_equal(rota_read_line(stream, buf, sizeof buf), 15);
    assert_memory_equal(buf, message, 15);
    assert_about(now() - began, 60);
    return (intptr_t)meeting->bytes;
}

static intptr_t say_and_wait(rota_stream *stream, struct meeting *meeting)
{
    char more;

    (void)meeting;
    assert_int_equal(rota_write(stream, message, MESSAGE), MESSAGE);
    return rota_read(stream, &more, 1);
}

static void a_timeout_in_half_a_line_keeps_the_half(void)
{
    struct meeting meeting = {
        .plan.down = {.at = 9, .event = FAULT_STALL, .stall = 60},
        .client = time_out_in_a_line,
        .server = say_and_wait,
    };

    meet(&meeting);
}

/* Of more than may be kept: one that has begun to go is waited for. */
enum { MESSAGE_SIZE = 100000 };

/* The high-water mark, one message that was cancelled, and TLS's records. */
enum { KEPT = 65536 + MESSAGE_SIZE + 4000 };

/* Writes to a wall until a write times out; notes what has been taken. */
static intptr_t write_to_a_wall(rota_stream *stream, struct meeting *meeting)
{
    char piece[MESSAGE_SIZE];
    rota_timeout limit;
    size_t taken = 0;
    double began;
    intptr_t n;

    do {
        story(piece, taken, sizeof piece);
        began = now();
        rota_timeout_begin(&limit, 30);
        n = rota_write(stream, piece, sizeof piece);
        n = rota_timeout_end(&limit, n);
        taken += n > 0 ? (size_t)n : 0;
        assert_true(taken < 64 * MIB);
        assert_in_range(rota_stream_write_buffer_size(stream), 0, KEPT);
    } while (n > 0);
    assert_int_equal(n, -ETIMEDOUT);
    assert_about(now() - began, 30);
    /* What had begun is sent; what had not is the caller's still. */
    meeting->bytes = taken;
    rota_close(stream);
    assert_int_equal(rota_wait_closed(stream), 0);
    return 0;
}

/* Whole pieces come, all that were taken, and perhaps the one that timed out
   in the middle. */
static intptr_t hear_whole_pieces(rota_stream *stream, struct meeting *meeting)
{
    size_t heard;
    intptr_t n = hear(stream, SIZE_MAX, &heard);

    assert_int_equal(n, heard);
    assert_int_equal(heard % MESSAGE_SIZE, 0);
    assert_true(heard == meeting->bytes ||
                heard == meeting->bytes + MESSAGE_SIZE);
    return n;
}

static void a_write_times_out_on_time_and_no_message_is_halved(void)
{
    struct meeting meeting = {
        .plan.up = {.at = 5000, .event = FAULT_STALL, .stall = 300},
        .plan.room = 4096,
        .client = write_to_a_wall,
        .server = hear_whole_pieces,
    };

    meet(&meeting);
    assert_true(meeting.server_result > 0);
}

OVER_EACH(megabytes_pass_both_ways)
OVER_EACH(ragged_pieces_make_a_whole)
OVER_EACH(single_bytes_make_a_whole)
OVER_EACH(buffers_that_are_always_full_lose_nothing)
OVER_EACH(late_pieces_come_in_their_order)
OVER_EACH(a_stall_is_waited_for)
OVER_EACH(a_stall_before_the_first_byte_is_waited_for)
OVER_EACH(a_message_may_be_split_at_each_byte)
OVER_SOCKETS(a_read_times_out_on_time_and_loses_nothing)
OVER_SOCKETS(a_timeout_in_half_a_line_keeps_the_half)
OVER_EACH(a_write_times_out_on_time_and_no_message_is_halved)

HARNESS_MAIN(
    TESTS_OVER_EACH(megabytes_pass_both_ways),
    TESTS_OVER_EACH(ragged_pieces_make_a_whole),
    TESTS_OVER_EACH(single_bytes_make_a_whole),
    TESTS_OVER_EACH(buffers_that_are_always_full_lose_nothing),
    TESTS_OVER_EACH(late_pieces_come_in_their_order),
    TESTS_OVER_EACH(a_stall_is_waited_for),
    TESTS_OVER_EACH(a_stall_before_the_first_byte_is_waited_for),
    TESTS_OVER_EACH(a_message_may_be_split_at_each_byte),
    TESTS_OVER_SOCKETS(a_read_times_out_on_time_and_loses_nothing),
    TESTS_OVER_SOCKETS(a_timeout_in_half_a_line_keeps_the_half),
    TESTS_OVER_EACH(a_write_times_out_on_time_and_no_message_is_halved))
