/* SPDX-License-Identifier: MIT */
/*
 * Writing to streams: order, wholeness, back-pressure
 */
#include "sockets.h"

#define HIGH_WATER 65536
#define LOW_WATER 16384

/* A task that writes so many of one letter. */
struct writing {
    rota_stream *stream;
    char letter;
    size_t size;
};

static intptr_t write_letters(void *arg)
{
    struct writing *writing = arg;
    char *data = malloc(writing->size);
    intptr_t n;

    memset(data, writing->letter, writing->size);
    n = rota_write(writing->stream, data, writing->size);
    memset(data, '?', writing->size); /* it is the caller's again */
    free(data);
    return n;
}

/* --- The ordinary case -------------------------------------------------- */

static intptr_t write_a_little(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_write(pair.stream, "abc", 3), 3);
    assert_string_equal(bare_hear(pair.peer), "abc");
    assert_int_equal(rota_write(pair.stream, "", 0), 0);
    assert_int_equal(rota_write(pair.stream, NULL, 0), 0);
    assert_string_equal(bare_hear(pair.peer), "");
    assert_int_equal(rota_stream_write_buffer_size(pair.stream), 0);
    assert_int_equal(rota_drain(pair.stream), 0);
    pair_close(&pair);
    return 0;
}

static void a_write_gives_its_size_and_the_bytes_are_on_their_way(void)
{
    run(write_a_little);
}

struct transfer {
    char *data;
    size_t size;
    uint64_t seed;
};

static intptr_t receive_transfer(rota_stream *stream, void *arg)
{
    struct transfer *transfer = arg;
    char *buf = malloc(HIGH_WATER);
    size_t got = 0;
    intptr_t n;

    while ((n = rota_read(stream, buf,
                          1 + rota__random(&transfer->seed) % HIGH_WATER)) >
           0) {
        assert_memory_equal(buf, transfer->data + got, (size_t)n);
        got += (size_t)n;
        if (got % 7 == 0)
            assert_int_equal(rota_sleep(0), 0);
    }
    assert_int_equal(got, transfer->size);
    free(buf);
    return rota_write(stream, "done", 4);
}

static int port_of(const rota_server *server)
{
    rota_address address;

    assert_int_equal(rota_server_address(server, 0, &address), 0);
    return rota_address_port(&address);
}

static intptr_t transfer_much(void *arg)
{
    struct transfer transfer = {.size = (size_t)16 << 20, .seed = 5};
    rota_server *server;
    rota_stream *stream;
    char answer[4];

    (void)arg;
    transfer.data = malloc(transfer.size);
    for (size_t i = 0; i < transfer.size; i++)
        transfer.data[i] = (char)(i * 7 + i / 251 + i / 65537);
    assert_int_equal(
        rota_start_server(&server, receive_transfer, &transfer, "127.0.0.1", 0),
        0);
    assert_int_equal(
        rota_open_connection(&stream, "127.0.0.1", port_of(server)), 0);
    assert_int_equal(rota_write(stream, transfer.data, transfer.size),
                     transfer.size);
    assert_true(rota_stream_write_buffer_size(stream) <= HIGH_WATER);
    assert_int_equal(rota_write_eof(stream), 0);
    assert_int_equal(rota_read_exactly(stream, answer, 4), 4);
    assert_memory_equal(answer, "done", 4);
    rota_stream_free(stream);
    rota_server_free(server);
    free(transfer.data);
    return 0;
}

static void sixteen_mebibytes_arrive_whole_and_in_order(void)
{
    run(transfer_much);
}

/* --- Back-pressure ------------------------------------------------------ */

struct flood {
    rota_stream *stream;
    size_t written;
    size_t highest;
};

static intptr_t flood(void *arg)
{
    struct flood *flood = arg;
    char block[20000] = {0};

    for (int i = 0; i < 100; i++) {
        intptr_t n = rota_write(flood->stream, block, sizeof block);
        size_t queued = rota_stream_write_buffer_size(flood->stream);

        if (n < 0)
            return n;
        flood->written += (size_t)n;
        if (queued > flood->highest)
            flood->highest = queued;
    }
    return 0;
}

static intptr_t read_slowly(void *arg)
{
    struct flood flooding = {0};
    struct sink sink = {.wanted = 2000000};
    struct pair pair;
    size_t before;
    rota_task task;

    (void)arg;
    pair_open_narrow(&pair);
    flooding.stream = pair.stream;
    task = start(flood, &flooding);
    do {
        before = flooding.written;
        pass_turns(5);
    } while (flooding.written > before);
    assert_false(rota_task_done(task));
    assert_in_range(flooding.written, HIGH_WATER, 1000000);
    sink.fd = pair.peer;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(sink.size, 2000000);
    assert_in_range(flooding.highest, 1, HIGH_WATER);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void a_slow_reader_holds_the_writer_and_bounds_the_memory(void)
{
    run(read_slowly);
}

static void write_in_a_callback(void *arg)
{
    struct pair *pair = arg;

    assert_int_equal(rota_write_nowait(pair->stream, "from a callback", 15), 0);
}

static intptr_t write_without_waiting(void *arg)
{
    static char block[300000];
    struct pair pair;
    struct sink sink = {0};
    size_t queued;

    (void)arg;
    pair_open_narrow(&pair);
    sink.fd = pair.peer;
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    write_in_a_callback, &pair),
                     0);
    pass_turns(2);
    assert_string_equal(bare_hear(pair.peer), "from a callback");
    for (int i = 0; i < 4; i++)
        assert_int_equal(rota_write_nowait(pair.stream, block, sizeof block),
                         0);
    queued = rota_stream_write_buffer_size(pair.stream);
    assert_in_range(queued, 2 * sizeof block, 4 * sizeof block);
    assert_int_equal(rota_write_eof(pair.stream), 0);
    sink.wanted = SIZE_MAX;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(sink.size, 4 * sizeof block);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void write_nowait_takes_everything_at_once(void)
{
    run(write_without_waiting);
}

static intptr_t drain_in_a_task(void *arg)
{
    struct pair *pair = arg;
    int err = rota_drain(pair->stream);

    note("drained");
    assert_true(err < 0 ||
                rota_stream_write_buffer_size(pair->stream) <= LOW_WATER);
    return err;
}

static intptr_t drain_by_marks(void *arg)
{
    static char block[HIGH_WATER];
    struct sink sink = {0};
    struct pair pair;
    rota_task tasks[2];

    (void)arg;
    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    assert_int_equal(rota_write_nowait(pair.stream, block, 50000), 0);
    assert_int_equal(rota_drain(pair.stream), 0); /* not above the mark */
    assert_int_equal(rota_write_nowait(pair.stream, block, sizeof block), 0);
    for (int i = 0; i < 2; i++)
        tasks[i] = start(drain_in_a_task, &pair);
    pass_turns(5);
    assert_noted("");
    sink.fd = pair.peer;
    sink.wanted = SIZE_MAX;
    while (rota_stream_write_buffer_size(pair.stream) > LOW_WATER) {
        assert_false(rota_task_done(tasks[0]));
        assert_true(sink_take(&sink));
        pass_turns(1);
    }
    assert_int_equal(rota_gather(tasks, 2, NULL, false), 0);
    assert_noted("drained drained");
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void drain_waits_above_the_high_mark_until_the_low_one(void)
{
    run(drain_by_marks);
}

/* --- Several writers ---------------------------------------------------- */

#define WRITERS 8
#define MESSAGE 100000

static intptr_t write_together(void *arg)
{
    struct writing writings[WRITERS];
    struct sink sink = {.wanted = WRITERS * MESSAGE};
    rota_task tasks[WRITERS];
    intptr_t results[WRITERS];
    struct pair pair;
    size_t at = 0;

    (void)arg;
    pair_open_narrow(&pair);
    sink.fd = pair.peer;
    for (int i = 0; i < WRITERS; i++) {
        writings[i] = (struct writing){pair.stream, (char)('a' + i), MESSAGE};
        tasks[i] = start(write_letters, &writings[i]);
    }
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_gather(tasks, WRITERS, results, false), 0);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(results[i], MESSAGE);
        assert_int_equal(sink_run_of(&sink, at, (char)('a' + i)), MESSAGE);
        at += MESSAGE;
    }
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void writers_at_the_same_time_never_mix_and_take_turns_in_order(void)
{
    run(write_together);
}

static intptr_t write_past_a_writer(void *arg)
{
    struct writing writing;
    struct sink sink = {.wanted = 1000000};
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open_narrow(&pair);
    writing = (struct writing){pair.stream, 'a', 1000000};
    task = start(write_letters, &writing);
    pass_turns(2);
    assert_int_equal(rota_write_nowait(pair.stream, "x", 1), -EBUSY);
    assert_int_equal(rota_write_eof(pair.stream), -EBUSY);
    sink.fd = pair.peer;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), 1000000);
    assert_int_equal(sink_run_of(&sink, 0, 'a'), 1000000);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void what_cannot_wait_is_refused_in_the_middle_of_a_write(void)
{
    run(write_past_a_writer);
}

/* --- The end of our direction ------------------------------------------- */

static intptr_t end_our_half(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_write(pair.stream, "abc", 3), 3);
    assert_int_equal(rota_write_eof(pair.stream), 0);
    assert_int_equal(rota_write_eof(pair.stream), 0);
    assert_string_equal(bare_hear(pair.peer), "abc");
    assert_string_equal(bare_hear(pair.peer), "EOF");
    assert_int_equal(rota_write(pair.stream, "x", 1), -EPIPE);
    assert_int_equal(rota_write_nowait(pair.stream, "x", 1), -EPIPE);
    assert_false(rota_is_closing(pair.stream));
    bare_say(pair.peer, "still there");
    assert_int_equal(rota_read(pair.stream, buf, sizeof buf), 11);
    shutdown(pair.peer, SHUT_WR);
    assert_int_equal(rota_read(pair.stream, buf, sizeof buf), 0);
    pair_close(&pair);
    return 0;
}

static void after_write_eof_reading_goes_on(void)
{
    run(end_our_half);
}

static intptr_t end_their_half(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    shutdown(pair.peer, SHUT_WR);
    assert_int_equal(rota_read(pair.stream, buf, sizeof buf), 0);
    assert_int_equal(rota_write(pair.stream, "abc", 3), 3);
    assert_string_equal(bare_hear(pair.peer), "abc");
    assert_int_equal(rota_write_eof(pair.stream), 0);
    assert_string_equal(bare_hear(pair.peer), "EOF");
    pair_close(&pair);
    return 0;
}

static void after_the_peers_end_writing_goes_on(void)
{
    run(end_their_half);
}

static intptr_t end_behind_a_queue(void *arg)
{
    struct sink sink = {.wanted = SIZE_MAX};
    struct pair pair;
    size_t sent;

    (void)arg;
    pair_open_narrow(&pair);
    sent = pair_fill(&pair, 'a');
    assert_int_equal(rota_write_eof(pair.stream), 0);
    assert_int_equal(rota_write_eof(pair.stream), 0);
    assert_int_equal(rota_write(pair.stream, "x", 1), -EPIPE);
    sink.fd = pair.peer;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(sink.size, sent);
    assert_int_equal(sink_run_of(&sink, 0, 'a'), sent);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void write_eof_comes_behind_everything_that_is_queued(void)
{
    run(end_behind_a_queue);
}

/* --- Errors ------------------------------------------------------------- */

static bool is_reset(intptr_t err)
{
    return err == -ECONNRESET || err == -EPIPE;
}

static intptr_t reset_while_writing(void *arg)
{
    struct writing writings[3];
    rota_task tasks[3];
    intptr_t first;
    struct pair pair;

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < 3; i++) {
        writings[i] = (struct writing){pair.stream, 'a', 1000000};
        tasks[i] = start(write_letters, &writings[i]);
    }
    pass_turns(3);
    pair_reset(&pair);
    first = rota_await(tasks[0]);
    assert_true(is_reset(first));
    assert_int_equal(rota_await(tasks[1]), first);
    assert_int_equal(rota_await(tasks[2]), first);
    assert_int_equal(rota_write(pair.stream, "x", 1), first);
    assert_int_equal(rota_drain(pair.stream), first);
    pair_close(&pair);
    return 0;
}

static void a_reset_ends_the_writer_and_those_behind_it(void)
{
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    run(reset_while_writing);
}

static intptr_t reset_while_draining(void *arg)
{
    static char block[HIGH_WATER];
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    assert_int_equal(rota_write_nowait(pair.stream, block, sizeof block), 0);
    task = start(drain_in_a_task, &pair);
    pass_turns(3);
    assert_false(rota_task_done(task));
    pair_reset(&pair);
    assert_true(is_reset(rota_await(task)));
    pair_close(&pair);
    return 0;
}

static void a_reset_ends_drain(void)
{
    run(reset_while_draining);
}

/* The first write brings the reset, the second one the signal. */
static intptr_t write_to_nobody(void *arg)
{
    struct pair pair;
    intptr_t n = 1;

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "unread");
    close(pair.peer);
    pair.peer = -1;
    for (int i = 0; i < 10 && n > 0; i++) {
        n = rota_write(pair.stream, "x", 1);
        pass_turns(1);
    }
    assert_true(is_reset(n));
    pair_close(&pair);
    return 0;
}

static void writing_to_a_peer_that_is_gone_raises_no_signal(void)
{
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    run(write_to_nobody);
}

static intptr_t write_without_memory(void *arg)
{
    struct sink sink = {0};
    struct pair pair;
    size_t sent;

    (void)arg;
    pair_open_narrow(&pair);
    sent = pair_fill(&pair, 'a');
    while (harness_live_blocks() > 0) {
        static char block[100000];
        int err;

        harness_fail_allocation(1);
        err = rota_write_nowait(pair.stream, block, sizeof block);
        harness_fail_allocation(-1);
        if (err < 0) {
            assert_int_equal(err, -ENOMEM);
            break;
        }
        sent += sizeof block;
    }
    assert_int_equal(rota_write_nowait(pair.stream, "b", 1), 0);
    sink.fd = pair.peer;
    sink.wanted = sent + 1;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(sink.data[sent], 'b');
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void a_write_without_memory_takes_nothing_and_breaks_nothing(void)
{
    run(write_without_memory);
}

HARNESS_MAIN(TEST(a_write_gives_its_size_and_the_bytes_are_on_their_way),
             TEST(sixteen_mebibytes_arrive_whole_and_in_order),
             TEST(a_slow_reader_holds_the_writer_and_bounds_the_memory),
             TEST(write_nowait_takes_everything_at_once),
             TEST(drain_waits_above_the_high_mark_until_the_low_one),
             TEST(writers_at_the_same_time_never_mix_and_take_turns_in_order),
             TEST(what_cannot_wait_is_refused_in_the_middle_of_a_write),
             TEST(after_write_eof_reading_goes_on),
             TEST(after_the_peers_end_writing_goes_on),
             TEST(write_eof_comes_behind_everything_that_is_queued),
             TEST(a_reset_ends_the_writer_and_those_behind_it),
             TEST(a_reset_ends_drain),
             TEST(writing_to_a_peer_that_is_gone_raises_no_signal),
             TEST(a_write_without_memory_takes_nothing_and_breaks_nothing))
