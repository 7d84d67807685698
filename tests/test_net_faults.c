/* SPDX-License-Identifier: MIT */
/*
 * A network that fails: the two ends of a connection with a proxy between
 * them that splits, delays, stalls, cuts and resets
 *
 * Time is virtual: hours of stalls take none. Where a number of bytes or a
 * time is asserted, the proxy's plan says so to the byte and to the tick.
 */
#include "proxied.h"

#define MIB 1048576

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

static void exchange_through(const struct fault *fault, size_t bytes, int room,
                             double at_least)
{
    struct meeting meeting = {
        .plan = {*fault, *fault, .seed = 7, .room = room},
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
    exchange_through(&(struct fault){.piece = 0}, 4 * MIB, 0, 0);
}

static void ragged_pieces_make_a_whole(void)
{
    exchange_through(&(struct fault){.piece = 5000, .ragged = true}, 2 * MIB, 0,
                     0);
}

static void single_bytes_make_a_whole(void)
{
    exchange_through(&(struct fault){.piece = 1}, 6000, 0, 0);
}

static void buffers_that_are_always_full_lose_nothing(void)
{
    exchange_through(&(struct fault){.piece = 2000, .ragged = true}, MIB / 2,
                     4096, 0);
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
        &(struct fault){.at = 300000, .event = FAULT_STALL, .stall = 3600}, MIB,
        0, 3600);
}

static void a_stall_before_the_first_byte_is_waited_for(void)
{
    exchange_through(&(struct fault){.event = FAULT_STALL, .stall = 3600}, MIB,
                     0, 3600);
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

/* Writes to a wall until a write times out; notes what has been taken. */
static intptr_t write_to_a_wall(rota_stream *stream, struct meeting *meeting)
{
    char piece[50000];
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
    assert_int_equal(heard % 50000, 0);
    assert_true(heard == meeting->bytes || heard == meeting->bytes + 50000);
    return n;
}

static void a_write_times_out_on_time_and_no_message_is_halved(void)
{
    struct meeting meeting = {
        .plan.up = {.at = 100, .event = FAULT_STALL, .stall = 300},
        .plan.room = 4096,
        .client = write_to_a_wall,
        .server = hear_whole_pieces,
    };

    meet(&meeting);
    assert_true(meeting.server_result > 0);
}

/* --- An end, a cut, a reset: after every byte ---------------------------- */

static intptr_t hear_until_it_breaks(rota_stream *stream,
                                     struct meeting *meeting)
{
    char again;
    intptr_t n = hear(stream, SIZE_MAX, &meeting->bytes);
    intptr_t last = rota_read(stream, &again, 1);

    assert_int_equal(last, n < 0 ? n : 0);
    return n < 0 ? n : 0;
}

static intptr_t tell_100(rota_stream *stream, struct meeting *meeting)
{
    char more[16];
    intptr_t n;

    (void)meeting;
    if (tell(stream, 100) < 0)
        return -EPIPE;
    while ((n = rota_read(stream, more, sizeof more)) > 0)
        ;
    return n;
}

static intptr_t break_at_each_byte(void *arg)
{
    const enum fault_event *event = arg;
    intptr_t wanted =
        *event == FAULT_RESET && kind_now->resets ? -ECONNRESET : 0;
    struct meeting meeting = {.client = hear_until_it_breaks,
                              .server = tell_100};
    rota_task task;

    meeting_begin(&meeting, &task);
    for (size_t at = 0; at < 100; at += at < 3 || at > 96 ? 1 : 9) {
        meeting.plan.down = (struct fault){.at = at, .event = *event};
        fault_proxy_set_plan(meeting.proxy, &meeting.plan);
        meeting.bytes = 0;
        meeting_connect(&meeting);
        assert_int_equal(meeting.client_result, wanted);
        assert_int_equal(meeting.bytes, at);
    }
    meeting_end(&meeting, task);
    return 0;
}

static void an_end_after_any_byte_is_an_end(void)
{
    in_virtual_time(break_at_each_byte, &(enum fault_event){FAULT_END});
}

static void a_cut_after_any_byte_is_an_end(void)
{
    in_virtual_time(break_at_each_byte, &(enum fault_event){FAULT_CUT});
}

static void a_reset_after_any_byte_is_an_error_behind_it(void)
{
    in_virtual_time(break_at_each_byte, &(enum fault_event){FAULT_RESET});
}

static intptr_t read_what_is_incomplete(rota_stream *stream,
                                        struct meeting *meeting)
{
    char buf[128];
    bool reset = meeting->plan.down.event == FAULT_RESET && kind_now->resets;
    intptr_t wanted = reset ? -ECONNRESET : -ROTA_EINCOMPLETE;

    assert_int_equal(rota_read_exactly(stream, buf, 100), wanted);
    assert_int_equal(
        rota_read_until(stream, "no such thing", 13, buf, sizeof buf), wanted);
    assert_int_equal(rota_read(stream, buf, sizeof buf), 50);
    assert_story(buf, 0, 50);
    assert_int_equal(rota_read(stream, buf, sizeof buf),
                     reset ? -ECONNRESET : 0);
    return 0;
}

static void what_came_before_an_end_or_a_reset_can_still_be_read(void)
{
    static const enum fault_event events[] = {FAULT_END, FAULT_CUT,
                                              FAULT_RESET};

    for (int i = 0; i < 3; i++) {
        struct meeting meeting = {
            .plan.down = {.at = 50, .event = events[i]},
            .client = read_what_is_incomplete,
            .server = tell_100,
        };

        meet(&meeting);
    }
}

/* --- Errors of writers --------------------------------------------------- */

static bool is_broken(intptr_t error)
{
    return error == -ECONNRESET || error == -EPIPE;
}

static intptr_t wait_for_the_end(rota_stream *stream, struct meeting *meeting)
{
    char buf[4096];
    intptr_t n;

    (void)meeting;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        ;
    return n;
}

static intptr_t write_until_it_breaks(rota_stream *stream,
                                      struct meeting *meeting)
{
    intptr_t err = tell(stream, 64 * MIB);
    char more;

    (void)meeting;
    assert_true(is_broken(err));
    assert_int_equal(rota_write(stream, "x", 1), err);
    assert_int_equal(rota_write_nowait(stream, "x", 1), err);
    assert_int_equal(rota_drain(stream), err);
    assert_int_equal(rota_read(stream, &more, 1), err);
    assert_int_equal(rota_write_eof(stream), err);
    rota_close(stream);
    assert_int_equal(rota_wait_closed(stream), err);
    return err;
}

static intptr_t drain_until_it_breaks(rota_stream *stream,
                                      struct meeting *meeting)
{
    char piece[65536];
    intptr_t err = 0;

    (void)meeting;
    memset(piece, 'x', sizeof piece);
    while (err == 0) {
        err = rota_write_nowait(stream, piece, sizeof piece);
        if (err == 0)
            err = rota_drain(stream);
    }
    assert_true(is_broken(err));
    return err;
}

/* A close that still has something to send hears of the reset as well. */
static intptr_t close_while_it_breaks(rota_stream *stream,
                                      struct meeting *meeting)
{
    static char piece[8 * MIB];
    int err;

    (void)meeting;
    assert_int_equal(rota_write_nowait(stream, piece, sizeof piece), 0);
    assert_true(rota_stream_write_buffer_size(stream) > 0);
    rota_close(stream);
    err = rota_wait_closed(stream);
    assert_true(is_broken(err));
    return err;
}

static void break_a_writer(end_function *writer)
{
    static const size_t points[] = {0, 1, 1000, 65536, 300000};

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct meeting meeting = {
            .plan.up = {.at = points[i], .event = FAULT_RESET},
            .plan.room = 4096,
            .client = writer,
            .server = wait_for_the_end,
        };

        meet(&meeting);
        assert_true(is_broken(meeting.client_result));
        assert_true(!kind_now->resets || meeting.server_result == -ECONNRESET);
    }
}

static void a_reset_ends_a_write_and_every_call_after_it(void)
{
    break_a_writer(write_until_it_breaks);
}

static void a_reset_ends_a_drain(void)
{
    break_a_writer(drain_until_it_breaks);
}

static void a_reset_ends_a_close_that_still_sends(void)
{
    break_a_writer(close_while_it_breaks);
}

/* --- Ends that are half closed ------------------------------------------ */

static intptr_t end_and_hear(rota_stream *stream, struct meeting *meeting)
{
    size_t heard;

    assert_int_equal(tell(stream, 1000), 0);
    assert_int_equal(rota_write_eof(stream), 0);
    assert_int_equal(rota_write(stream, "x", 1), -EPIPE);
    assert_int_equal(hear(stream, SIZE_MAX, &heard), meeting->bytes);
    return (intptr_t)heard;
}

static intptr_t hear_the_end_and_tell(rota_stream *stream,
                                      struct meeting *meeting)
{
    size_t heard;

    assert_int_equal(hear(stream, SIZE_MAX, &heard), 1000);
    assert_int_equal(rota_sleep(100), 0);
    return tell(stream, meeting->bytes);
}

static void half_of_a_connection_outlives_the_other_half(void)
{
    struct meeting meeting = {
        .plan.down = {.piece = 3000, .ragged = true},
        .client = end_and_hear,
        .server = hear_the_end_and_tell,
        .bytes = MIB,
    };

    meet(&meeting);
    assert_int_equal(meeting.client_result, MIB);
    assert_int_equal(meeting.server_result, 0);
}

OVER_EACH(megabytes_pass_both_ways)
OVER_EACH(ragged_pieces_make_a_whole)
OVER_EACH(single_bytes_make_a_whole)
OVER_EACH(buffers_that_are_always_full_lose_nothing)
OVER_EACH(late_pieces_come_in_their_order)
OVER_EACH(a_stall_is_waited_for)
OVER_EACH(a_stall_before_the_first_byte_is_waited_for)
OVER_EACH(a_message_may_be_split_at_each_byte)
OVER_EACH(a_read_times_out_on_time_and_loses_nothing)
OVER_EACH(a_timeout_in_half_a_line_keeps_the_half)
OVER_EACH(a_write_times_out_on_time_and_no_message_is_halved)
OVER_EACH(an_end_after_any_byte_is_an_end)
OVER_EACH(a_cut_after_any_byte_is_an_end)
OVER_EACH(a_reset_after_any_byte_is_an_error_behind_it)
OVER_EACH(what_came_before_an_end_or_a_reset_can_still_be_read)
OVER_EACH(a_reset_ends_a_write_and_every_call_after_it)
OVER_EACH(a_reset_ends_a_drain)
OVER_EACH(a_reset_ends_a_close_that_still_sends)
OVER_EACH(half_of_a_connection_outlives_the_other_half)

HARNESS_MAIN(TESTS(megabytes_pass_both_ways), TESTS(ragged_pieces_make_a_whole),
             TESTS(single_bytes_make_a_whole),
             TESTS(buffers_that_are_always_full_lose_nothing),
             TESTS(late_pieces_come_in_their_order),
             TESTS(a_stall_is_waited_for),
             TESTS(a_stall_before_the_first_byte_is_waited_for),
             TESTS(a_message_may_be_split_at_each_byte),
             TESTS(a_read_times_out_on_time_and_loses_nothing),
             TESTS(a_timeout_in_half_a_line_keeps_the_half),
             TESTS(a_write_times_out_on_time_and_no_message_is_halved),
             TESTS(an_end_after_any_byte_is_an_end),
             TESTS(a_cut_after_any_byte_is_an_end),
             TESTS(a_reset_after_any_byte_is_an_error_behind_it),
             TESTS(what_came_before_an_end_or_a_reset_can_still_be_read),
             TESTS(a_reset_ends_a_write_and_every_call_after_it),
             TESTS(a_reset_ends_a_drain),
             TESTS(a_reset_ends_a_close_that_still_sends),
             TESTS(half_of_a_connection_outlives_the_other_half))
