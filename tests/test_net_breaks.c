/* SPDX-License-Identifier: MIT */
/*
 * A network that breaks: connections that are ended, cut and reset by a proxy
 * at each byte, and what readers, writers and closers are told
 *
 * Time is virtual. What was heard before the break is asserted to the byte.
 */
#include "proxied.h"

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

static intptr_t tell_100_and_close(rota_stream *stream, struct meeting *meeting)
{
    (void)meeting;
    return tell(stream, 100);
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
    err = rota_write_nowait(stream, piece, sizeof piece);
    if (is_broken(err))
        return err;
    assert_int_equal(err, 0);
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
            .server_result = -ECONNRESET, /* if TLS never begins */
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

/* --- TLS ------------------------------------------------------------------ */

/* Wherever it is cut, in the handshake too, it is no orderly end. */
static intptr_t cut_tls_anywhere(void *arg)
{
    const enum fault_event *event = arg;
    struct meeting meeting = {.client = hear_until_it_breaks,
                              .server = tell_100_and_close};
    size_t whole = 0;
    rota_task task;

    meeting_begin(&meeting, &task);
    for (size_t at = 0; whole == 0; at += at < 12 ? 1 : 31) {
        size_t before = fault_proxy_passed_down(meeting.proxy);

        meeting.plan.down = (struct fault){.at = at, .event = *event};
        fault_proxy_set_plan(meeting.proxy, &meeting.plan);
        meeting.bytes = 0;
        meeting_connect(&meeting);
        if (meeting.client_result == 0)
            whole = fault_proxy_passed_down(meeting.proxy) - before;
        else if (meeting.client_result != -ECONNRESET &&
                 (meeting.client_result != -ROTA_ETRUNCATED ||
                  *event == FAULT_RESET))
            fail_msg("%s at %zu", rota_errname(meeting.client_result), at);
        assert_int_equal(meeting.bytes == 100 || meeting.client_result < 0, 1);
    }
    assert_true(whole > 500);
    meeting_end(&meeting, task);
    return 0;
}

static void a_cut_of_tls_is_never_an_orderly_end(void)
{
    static enum fault_event events[] = {FAULT_END, FAULT_CUT, FAULT_RESET};

    for (int i = 0; i < 3; i++)
        in_virtual_time(cut_tls_anywhere, &events[i]);
}

OVER_SOCKETS(an_end_after_any_byte_is_an_end)
OVER_SOCKETS(a_cut_after_any_byte_is_an_end)
OVER_SOCKETS(a_reset_after_any_byte_is_an_error_behind_it)
OVER_SOCKETS(what_came_before_an_end_or_a_reset_can_still_be_read)
OVER_EACH(a_reset_ends_a_write_and_every_call_after_it)
OVER_EACH(a_reset_ends_a_drain)
OVER_EACH(a_reset_ends_a_close_that_still_sends)
OVER_SOCKETS(half_of_a_connection_outlives_the_other_half)
OVER(a_cut_of_tls_is_never_an_orderly_end, tls)

HARNESS_MAIN(
    TESTS_OVER_SOCKETS(an_end_after_any_byte_is_an_end),
    TESTS_OVER_SOCKETS(a_cut_after_any_byte_is_an_end),
    TESTS_OVER_SOCKETS(a_reset_after_any_byte_is_an_error_behind_it),
    TESTS_OVER_SOCKETS(what_came_before_an_end_or_a_reset_can_still_be_read),
    TESTS_OVER_EACH(a_reset_ends_a_write_and_every_call_after_it),
    TESTS_OVER_EACH(a_reset_ends_a_drain),
    TESTS_OVER_EACH(a_reset_ends_a_close_that_still_sends),
    TESTS_OVER_SOCKETS(half_of_a_connection_outlives_the_other_half),
    TEST(a_cut_of_tls_is_never_an_orderly_end_over_tls))
