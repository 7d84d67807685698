/* SPDX-License-Identifier: MIT */
/*
 * A task that writes, and what may happen to it: it is cancelled, the stream
 * is closed, aborted or freed. A message is sent whole or not at all.
 */
#include "sockets.h"

#define BIG 1000000

/* A task that writes so many of one letter. */
struct writing {
    rota_stream *stream;
    char letter;
};

static char letters[26][BIG];

static intptr_t write_letters(void *arg)
{
    struct writing *writing = arg;
    char *data = letters[writing->letter - 'a'];

    memset(data, writing->letter, BIG);
    return rota_write(writing->stream, data, BIG);
}

static rota_task start_writing(struct writing *writing, struct pair *pair,
                               char letter)
{
    *writing = (struct writing){pair->stream, letter};
    return start(write_letters, writing);
}

static intptr_t drain_in_a_task(void *stream)
{
    return rota_drain(stream);
}

static intptr_t wait_closed_in_a_task(void *stream)
{
    return rota_wait_closed(stream);
}

static void sink_all(struct sink *sink, struct pair *pair)
{
    *sink = (struct sink){.fd = pair->peer, .wanted = SIZE_MAX};
    assert_int_equal(sink_run(sink), 0);
}

/* Ends the stream, and compares what the peer has got. */
static void expect_sunk(struct pair *pair, const char *order,
                        const size_t *sizes)
{
    struct sink sink;
    size_t at = 0;

    rota_close(pair->stream);
    sink_all(&sink, pair);
    for (size_t i = 0; order[i]; i++) {
        assert_int_equal(sink_run_of(&sink, at, order[i]), sizes[i]);
        at += sizes[i];
    }
    assert_int_equal(sink.size, at);
    free(sink.data);
    pair_close(pair);
}

/* --- Cancelling --------------------------------------------------------- */

static intptr_t cancel_before(void *arg)
{
    struct writing writing;
    struct pair pair;
    rota_task task;
    size_t sent;

    (void)arg;
    pair_open_narrow(&pair);
    sent = pair_fill(&pair, 'a');
    task = start_writing(&writing, &pair, 'b');
    pass_turns(3);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(rota_write_nowait(pair.stream, "c", 1), 0);
    expect_sunk(&pair, "ac", (size_t[]){sent, 1});
    return 0;
}

static void a_write_cancelled_before_its_first_byte_sends_none(void)
{
    run(cancel_before);
}

static intptr_t cancel_after(void *arg)
{
    struct writing writing;
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open_narrow(&pair);
    task = start_writing(&writing, &pair, 'b');
    pass_turns(3);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    memset(letters[1], '?', BIG); /* it is the caller's again */
    assert_int_equal(rota_write_nowait(pair.stream, "c", 1), 0);
    expect_sunk(&pair, "bc", (size_t[]){BIG, 1});
    return 0;
}

static void a_write_cancelled_after_its_first_byte_sends_all(void)
{
    run(cancel_after);
}

/* The kernel has said that it takes bytes, and will not say so again. */
static intptr_t cancel_when_woken(void *arg)
{
    struct writing writing;
    struct sink sink;
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open_narrow(&pair);
    task = start_writing(&writing, &pair, 'd');
    pass_turns(3);
    sink = (struct sink){.fd = pair.peer, .wanted = SIZE_MAX};
    while (!rota__list_empty(&pair.stream->flow)) {
        assert_true(sink_take(&sink));
        pass_turns(1);
    }
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_close(pair.stream);
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(sink_run_of(&sink, 0, 'd'), BIG);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void a_write_cancelled_when_it_could_go_on_sends_all(void)
{
    run(cancel_when_woken);
}

static intptr_t cancel_in_the_queue(void *arg)
{
    struct writing writings[3];
    rota_task tasks[3];
    struct sink sink = {.wanted = 2 * BIG};
    struct pair pair;

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < 3; i++)
        tasks[i] = start_writing(&writings[i], &pair, (char)('a' + i));
    pass_turns(3);
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    assert_int_equal(rota_await(tasks[1]), -ECANCELED);
    sink.fd = pair.peer;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(tasks[0]), BIG);
    assert_int_equal(rota_await(tasks[2]), BIG);
    assert_int_equal(sink_run_of(&sink, 0, 'a'), BIG);
    assert_int_equal(sink_run_of(&sink, BIG, 'c'), BIG);
    free(sink.data);
    expect_sunk(&pair, "", NULL);
    return 0;
}

static void a_write_cancelled_in_the_queue_lets_the_next_one_pass(void)
{
    run(cancel_in_the_queue);
}

/* The first has ended; the turn is the second's, who has not run yet. */
static intptr_t cancel_with_the_turn(void *arg)
{
    struct writing writings[3];
    struct sink sink = {.wanted = SIZE_MAX};
    rota_task tasks[3];
    struct pair pair;

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < 3; i++)
        tasks[i] = start_writing(&writings[i], &pair, (char)('a' + i));
    sink.fd = pair.peer;
    while (!rota_task_done(tasks[0])) {
        assert_true(sink_take(&sink));
        pass_turns(1);
    }
    assert_int_equal(rota_task_cancel(tasks[1]), 1);
    assert_int_equal(rota_await(tasks[1]), -ECANCELED);
    sink.wanted = 2 * BIG;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(tasks[0]), BIG);
    assert_int_equal(rota_await(tasks[2]), BIG);
    assert_int_equal(sink_run_of(&sink, 0, 'a'), BIG);
    assert_int_equal(sink_run_of(&sink, BIG, 'c'), BIG);
    free(sink.data);
    expect_sunk(&pair, "", NULL);
    return 0;
}

static void a_writer_cancelled_when_its_turn_comes_passes_it_on(void)
{
    run(cancel_with_the_turn);
}

static intptr_t cancel_drain_and_wait_closed(void *arg)
{
    struct pair pair;
    rota_task task;
    size_t sent;

    (void)arg;
    pair_open_narrow(&pair);
    sent = pair_fill(&pair, 'a');
    assert_int_equal(rota_write_nowait(pair.stream, letters[0], BIG), 0);
    task = start(drain_in_a_task, pair.stream);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_close(pair.stream);
    task = start(wait_closed_in_a_task, pair.stream);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    expect_sunk(&pair, "ab", (size_t[]){sent, BIG});
    return 0;
}

static void a_cancelled_drain_or_wait_closed_changes_nothing(void)
{
    memset(letters[0], 'b', BIG);
    run(cancel_drain_and_wait_closed);
}

/* --- Closing ------------------------------------------------------------ */

static intptr_t close_what_is_queued(void *arg)
{
    struct sink sink;
    struct pair pair;
    rota_task task;
    size_t sent;

    (void)arg;
    pair_open_narrow(&pair);
    sent = pair_fill(&pair, 'a');
    assert_int_equal(rota_wait_closed(pair.stream), -EINVAL);
    assert_false(rota_is_closing(pair.stream));
    rota_close(pair.stream);
    rota_close(pair.stream);
    assert_true(rota_is_closing(pair.stream));
    task = start(wait_closed_in_a_task, pair.stream);
    pass_turns(3);
    assert_false(rota_task_done(task));
    sink_all(&sink, &pair);
    assert_int_equal(sink_run_of(&sink, 0, 'a'), sent);
    assert_int_equal(sink.size, sent);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(rota_wait_closed(pair.stream), 0);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void close_sends_what_is_queued_and_wait_closed_waits_for_it(void)
{
    run(close_what_is_queued);
}

static intptr_t use_after_close(void *arg)
{
    rota_address address;
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    rota_close(pair.stream);
    assert_int_equal(rota_write(pair.stream, "x", 1), -ROTA_ECLOSING);
    assert_int_equal(rota_write(pair.stream, "x", 0), -ROTA_ECLOSING);
    assert_int_equal(rota_write_nowait(pair.stream, "x", 1), -ROTA_ECLOSING);
    assert_int_equal(rota_drain(pair.stream), -ROTA_ECLOSING);
    assert_int_equal(rota_write_eof(pair.stream), -ROTA_ECLOSING);
    assert_int_equal(rota_stream_peer_address(pair.stream, &address),
                     -ROTA_ECLOSING);
    assert_int_equal(rota_stream_local_address(pair.stream, &address),
                     -ROTA_ECLOSING);
    assert_int_equal(rota_stream_write_buffer_size(pair.stream), 0);
    rota_abort(pair.stream);
    assert_int_equal(rota_wait_closed(pair.stream), 0);
    assert_string_equal(bare_hear(pair.peer), "EOF");
    pair_close(&pair);
    return 0;
}

static void a_closed_stream_refuses_every_use(void)
{
    run(use_after_close);
}

static intptr_t close_while_writing(void *arg)
{
    struct writing writings[2];
    struct sink sink;
    struct pair pair;
    rota_task tasks[2];

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < 2; i++)
        tasks[i] = start_writing(&writings[i], &pair, (char)('a' + i));
    pass_turns(3);
    rota_close(pair.stream);
    assert_int_equal(rota_await(tasks[0]), BIG);
    assert_int_equal(rota_await(tasks[1]), -ROTA_ECLOSING);
    sink_all(&sink, &pair);
    assert_int_equal(sink_run_of(&sink, 0, 'a'), BIG);
    assert_int_equal(sink.size, BIG);
    assert_int_equal(rota_wait_closed(pair.stream), 0);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void close_sends_the_rest_of_a_message_and_refuses_those_behind(void)
{
    run(close_while_writing);
}

/* The first has ended; the turn is the second's, who has not run yet. */
static intptr_t close_with_the_turn(void *arg)
{
    struct writing writings[3];
    struct sink sink = {.wanted = SIZE_MAX};
    rota_task tasks[3];
    struct pair pair;

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < 3; i++)
        tasks[i] = start_writing(&writings[i], &pair, (char)('a' + i));
    sink.fd = pair.peer;
    while (!rota_task_done(tasks[0])) {
        assert_true(sink_take(&sink));
        pass_turns(1);
    }
    rota_close(pair.stream);
    assert_int_equal(rota_await(tasks[0]), BIG);
    assert_int_equal(rota_await(tasks[1]), -ROTA_ECLOSING);
    assert_int_equal(rota_await(tasks[2]), -ROTA_ECLOSING);
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(sink.size, BIG);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void a_writer_whose_turn_comes_with_the_close_sends_nothing(void)
{
    run(close_with_the_turn);
}

static intptr_t close_while_waiting(void *arg)
{
    struct writing writing;
    rota_task tasks[2];
    struct pair pair;
    size_t sent;

    (void)arg;
    pair_open_narrow(&pair);
    sent = pair_fill(&pair, 'a');
    assert_int_equal(rota_write_nowait(pair.stream, letters[0], BIG), 0);
    tasks[0] = start(drain_in_a_task, pair.stream);
    tasks[1] = start_writing(&writing, &pair, 'c');
    pass_turns(3);
    rota_close(pair.stream);
    assert_int_equal(rota_await(tasks[0]), -ROTA_ECLOSING);
    assert_int_equal(rota_await(tasks[1]), -ROTA_ECLOSING);
    expect_sunk(&pair, "ab", (size_t[]){sent, BIG});
    return 0;
}

static void close_wakes_drain_and_a_writer_who_has_sent_nothing(void)
{
    memset(letters[0], 'b', BIG);
    run(close_while_waiting);
}

/* The kernel takes bytes; before drain has run, somebody closes. */
static intptr_t close_after_a_wake_up(void *arg)
{
    struct pair pair;
    rota_task task;
    size_t sent;

    (void)arg;
    pair_open_narrow(&pair);
    sent = pair_fill(&pair, 'a');
    assert_int_equal(rota_write_nowait(pair.stream, letters[0], BIG), 0);
    task = start(drain_in_a_task, pair.stream);
    pass_turns(3);
    pair.stream->conn.events->writable(&pair.stream->conn);
    rota_close(pair.stream);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    expect_sunk(&pair, "ab", (size_t[]){sent, BIG});
    return 0;
}

static void a_drain_that_was_woken_sees_the_close_that_came_before_it_ran(void)
{
    memset(letters[0], 'b', BIG);
    run(close_after_a_wake_up);
}

static intptr_t abort_while_writing(void *arg)
{
    struct writing writings[2];
    const char *heard;
    struct pair pair;
    rota_task tasks[3];

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < 2; i++)
        tasks[i] = start_writing(&writings[i], &pair, (char)('a' + i));
    pass_turns(3);
    rota_abort(pair.stream);
    tasks[2] = start(wait_closed_in_a_task, pair.stream);
    assert_int_equal(rota_await(tasks[0]), -ROTA_ECLOSING);
    assert_int_equal(rota_await(tasks[1]), -ROTA_ECLOSING);
    assert_int_equal(rota_await(tasks[2]), 0);
    assert_int_equal(rota_stream_write_buffer_size(pair.stream), 0);
    do
        heard = bare_hear(pair.peer);
    while (*heard == 'a');
    assert_string_equal(heard, "RESET");
    pair_close(&pair);
    return 0;
}

static void abort_drops_what_is_queued_and_the_peer_sees_a_reset(void)
{
    run(abort_while_writing);
}

static intptr_t abort_what_is_being_closed(void *arg)
{
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    rota_close(pair.stream);
    task = start(wait_closed_in_a_task, pair.stream);
    pass_turns(2);
    rota_abort(pair.stream);
    assert_int_equal(rota_await(task), 0);
    pair_close(&pair);
    return 0;
}

static void abort_ends_a_close_that_waits_for_a_slow_peer(void)
{
    run(abort_what_is_being_closed);
}

/* --- Freeing ------------------------------------------------------------ */

static intptr_t free_while_writing(void *arg)
{
    struct writing writings[3];
    struct sink sink;
    struct pair pair;
    rota_task tasks[3];

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < 3; i++)
        tasks[i] = start_writing(&writings[i], &pair, (char)('a' + i));
    pass_turns(3);
    rota_stream_free(pair.stream);
    assert_int_equal(rota_await(tasks[0]), BIG);
    assert_int_equal(rota_await(tasks[1]), -ROTA_ECLOSING);
    assert_int_equal(rota_await(tasks[2]), -ROTA_ECLOSING);
    sink_all(&sink, &pair);
    assert_int_equal(sink.size, BIG);
    free(sink.data);
    close(pair.peer);
    return 0;
}

static void a_stream_freed_while_others_write_sends_the_begun_message(void)
{
    run(free_while_writing);
}

static intptr_t free_while_waiting(void *arg)
{
    rota_task tasks[2];
    struct sink sink;
    struct pair pair;

    (void)arg;
    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    assert_int_equal(rota_write_nowait(pair.stream, letters[0], BIG), 0);
    tasks[0] = start(drain_in_a_task, pair.stream);
    pass_turns(2);
    rota_close(pair.stream);
    tasks[1] = start(wait_closed_in_a_task, pair.stream);
    pass_turns(2);
    rota_stream_free(pair.stream);
    assert_int_equal(rota_await(tasks[0]), -ROTA_ECLOSING);
    pass_turns(2);
    assert_false(rota_task_done(tasks[1]));
    sink_all(&sink, &pair);
    assert_int_equal(rota_await(tasks[1]), 0);
    free(sink.data);
    close(pair.peer);
    return 0;
}

static void a_stream_freed_while_others_wait_is_kept_for_them(void)
{
    run(free_while_waiting);
}

static void free_a_broken_one(int writers)
{
    struct writing writings[2];
    struct pair pair;
    rota_task tasks[2];
    char buf[16];

    pair_open_narrow(&pair);
    for (int i = 0; i < writers; i++)
        tasks[i] = start_writing(&writings[i], &pair, (char)('a' + i));
    pass_turns(3);
    pair_reset(&pair);
    assert_int_equal(rota_read(pair.stream, buf, sizeof buf), -ECONNRESET);
    rota_stream_free(pair.stream);
    for (int i = 0; i < writers; i++)
        assert_true(rota_is_error(rota_await(tasks[i])));
}

static intptr_t free_after_a_reset(void *arg)
{
    (void)arg;
    for (int writers = 0; writers <= 2; writers++)
        free_a_broken_one(writers);
    return 0;
}

static void a_broken_stream_may_be_freed_while_others_write(void)
{
    run(free_after_a_reset);
}

HARNESS_MAIN(
    TEST(a_write_cancelled_before_its_first_byte_sends_none),
    TEST(a_write_cancelled_after_its_first_byte_sends_all),
    TEST(a_write_cancelled_when_it_could_go_on_sends_all),
    TEST(a_write_cancelled_in_the_queue_lets_the_next_one_pass),
    TEST(a_writer_cancelled_when_its_turn_comes_passes_it_on),
    TEST(a_cancelled_drain_or_wait_closed_changes_nothing),
    TEST(close_sends_what_is_queued_and_wait_closed_waits_for_it),
    TEST(a_closed_stream_refuses_every_use),
    TEST(close_sends_the_rest_of_a_message_and_refuses_those_behind),
    TEST(a_writer_whose_turn_comes_with_the_close_sends_nothing),
    TEST(close_wakes_drain_and_a_writer_who_has_sent_nothing),
    TEST(a_drain_that_was_woken_sees_the_close_that_came_before_it_ran),
    TEST(abort_drops_what_is_queued_and_the_peer_sees_a_reset),
    TEST(abort_ends_a_close_that_waits_for_a_slow_peer),
    TEST(a_stream_freed_while_others_write_sends_the_begun_message),
    TEST(a_stream_freed_while_others_wait_is_kept_for_them),
    TEST(a_broken_stream_may_be_freed_while_others_write))
