/* SPDX-License-Identifier: MIT */
/*
 * TLS: streams that read, write, wait and are cancelled
 */
#include "tls_pairs.h"

/* --- Much of it --------------------------------------------------------- */

#define MUCH ((size_t)4 << 20)

/* Bytes that are the same for the same seed. */
struct flow {
    rota_stream *stream;
    uint64_t bytes; /* the generator's state */
    uint64_t sizes;
    size_t size;
};

static void make_bytes(struct flow *flow, unsigned char *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)(rota__random(&flow->bytes) >> 32);
}

static intptr_t write_much(void *arg)
{
    struct flow *flow = arg;
    unsigned char *buf = malloc(100000);
    intptr_t n = 0;

    for (size_t sum = 0; n >= 0 && sum < flow->size; sum += (size_t)n) {
        size_t size = rota__random(&flow->sizes) % 100000 + 1;

        if (size > flow->size - sum)
            size = flow->size - sum;
        make_bytes(flow, buf, size);
        n = rota_write(flow->stream, buf, size);
    }
    free(buf);
    return n < 0 ? n : 0;
}

static intptr_t read_much(void *arg)
{
    struct flow *flow = arg;
    unsigned char *buf = malloc(200000);
    intptr_t n = 0;

    for (size_t sum = 0; n >= 0 && sum < flow->size; sum += (size_t)n) {
        size_t size = rota__random(&flow->sizes) % 100000 + 1;

        n = rota_read(flow->stream, buf, size);
        if (n == 0)
            n = -ROTA_EINCOMPLETE;
        if (n < 0)
            break;
        make_bytes(flow, buf + 100000, (size_t)n);
        assert_memory_equal(buf, buf + 100000, (size_t)n);
    }
    free(buf);
    return n < 0 ? n : 0;
}

static void exchange_much(struct tls_pair *pair)
{
    struct flow flows[] = {
        {pair->client.stream, 1, 11, MUCH},
        {pair->server.stream, 1, 12, MUCH},
        {pair->server.stream, 2, 13, MUCH},
        {pair->client.stream, 2, 14, MUCH},
    };
    rota_task tasks[4];

    for (int i = 0; i < 4; i++)
        tasks[i] = start(i % 2 ? read_much : write_much, &flows[i]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
}

static intptr_t exchange_in_room(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open(&pair);
    exchange_much(&pair);
    tls_pair_close(&pair);
    return 0;
}

static intptr_t exchange_narrowly(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open_narrow(&pair);
    exchange_much(&pair);
    tls_pair_close(&pair);
    return 0;
}

static void megabytes_pass_both_ways_at_once(void)
{
    run_tls(exchange_in_room);
    run_tls(exchange_narrowly);
}

/* A write is then many records, also where nobody asked for it. */
static intptr_t exchange_in_short_records(void *arg)
{
    rota_tls_context *client = plain_client();
    struct tls_pair pair;

    (void)arg;
    tls_short_records(client);
    tls_pair_open_with(&pair, client, server_with("server"));
    exchange_much(&pair);
    tls_pair_close(&pair);
    return 0;
}

static void a_peer_may_ask_for_short_records(void)
{
    run_tls(exchange_in_short_records);
}

/* --- Pieces ------------------------------------------------------------- */

static intptr_t read_in_pieces(void *arg)
{
    static char all[50000], got[50000];
    struct tls_pair pair;
    char line[10];

    (void)arg;
    memset(all, 'x', sizeof all);
    tls_pair_open(&pair);
    say(pair.client.stream, "one\ntwo\nthree");
    assert_int_equal(rota_read(pair.server.stream, line, 1), 1);
    assert_int_equal(rota_read_line(pair.server.stream, line, 10), 3);
    assert_memory_equal(line, "ne\n", 3);
    expect_words(pair.server.stream, "two\nthr");
    expect_words(pair.server.stream, "ee");
    assert_int_equal(rota_write(pair.client.stream, all, sizeof all),
                     sizeof all);
    assert_int_equal(rota_read_exactly(pair.server.stream, got, sizeof got),
                     sizeof got);
    assert_memory_equal(all, got, sizeof all);
    tls_pair_close(&pair);
    return 0;
}

static void records_and_reads_need_not_match(void)
{
    run_tls(read_in_pieces);
}

static intptr_t write_pieces(void *arg)
{
    const struct iovec parts[] = {{"he", 2}, {"", 0}, {"llo", 3}};
    struct tls_pair pair;

    (void)arg;
    tls_pair_open(&pair);
    assert_int_equal(rota_writelines(pair.client.stream, parts, 3), 5);
    expect_words(pair.server.stream, "hello");
    assert_int_equal(rota_write_nowait(pair.client.stream, "again", 5), 0);
    expect_words(pair.server.stream, "again");
    tls_pair_close(&pair);
    return 0;
}

static void pieces_can_be_written_as_one(void)
{
    run_tls(write_pieces);
}

static intptr_t overfill(void *arg)
{
    static char block[300000], got[300000];
    struct tls_pair pair;

    (void)arg;
    memset(block, 'b', sizeof block);
    tls_pair_open_narrow(&pair);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_write_nowait(pair.client.stream, block, sizeof block), 0);
    assert_true(rota_stream_write_buffer_size(pair.client.stream) > 300000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_read_exactly(pair.server.stream, got, sizeof got),
                         sizeof got);
        assert_memory_equal(block, got, sizeof got);
    }
    assert_int_equal(rota_drain(pair.client.stream), 0);
    assert_int_equal(rota_stream_write_buffer_size(pair.client.stream), 0);
    tls_pair_close(&pair);
    return 0;
}

static void a_write_that_does_not_wait_is_kept_encrypted(void)
{
    run_tls(overfill);
}

static intptr_t end_one_direction(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open(&pair);
    assert_int_equal(rota_write_eof(pair.client.stream), -EOPNOTSUPP);
    say(pair.client.stream, "still");
    expect_words(pair.server.stream, "still");
    tls_pair_close(&pair);
    return 0;
}

static void tls_has_no_half_close(void)
{
    run_tls(end_one_direction);
}

/* --- Cancelling --------------------------------------------------------- */

static intptr_t cancel_reads(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open(&pair);
    say(pair.client.stream, "01234");
    task = start(read_ten, pair.server.stream);
    pass_turns(5);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    say(pair.client.stream, "56789");
    expect_words(pair.server.stream, "0123456789");
    tls_pair_close(&pair);
    return 0;
}

static void a_cancelled_read_has_lost_nothing(void)
{
    run_tls(cancel_reads);
}

/* Reads until "." comes; counts the letters. */
static void count_letters(rota_stream *stream, size_t counts[256])
{
    static unsigned char buf[70000];

    while (counts['.'] == 0) {
        intptr_t n = rota_read(stream, buf, sizeof buf);

        assert_true(n > 0);
        for (intptr_t i = 0; i < n; i++)
            counts[buf[i]]++;
    }
}

static void expect_all_or_none(struct tls_pair *pair, int read_first)
{
    size_t counts[256] = {0};
    struct block blocks[] = {{pair->client.stream, 500000, 'a'},
                             {pair->client.stream, 300000, 'b'},
                             {pair->client.stream, 1, '.'}};
    rota_task tasks[3];
    static char buf[100000];

    for (int i = 0; i < 2; i++)
        tasks[i] = start(write_block, &blocks[i]);
    pass_turns(3);
    for (int i = 0; i < read_first; i++) {
        intptr_t n = rota_read(pair->server.stream, buf, sizeof buf);

        assert_true(n > 0);
        for (intptr_t at = 0; at < n; at++)
            counts[(unsigned char)buf[at]]++;
    }
    for (int i = 0; i < 2; i++)
        (void)rota_task_cancel(tasks[i]);
    tasks[2] = start(write_block, &blocks[2]);
    count_letters(pair->server.stream, counts);
    for (int i = 0; i < 3; i++) {
        intptr_t n = rota_await(tasks[i]);
        size_t count = counts[(unsigned char)blocks[i].letter];

        assert_true(n == -ECANCELED || n == (intptr_t)blocks[i].size);
        assert_true(count == blocks[i].size || (n < 0 && count == 0));
    }
}

static intptr_t cancel_writes(void *arg)
{
    (void)arg;
    for (int reads = 0; reads < 50; reads += 7) {
        struct tls_pair pair;

        tls_pair_open_narrow(&pair);
        expect_all_or_none(&pair, reads);
        tls_pair_close(&pair);
    }
    return 0;
}

static void a_cancelled_write_has_taken_all_or_nothing(void)
{
    run_tls(cancel_writes);
}

/* --- Without memory ----------------------------------------------------- */

static intptr_t lack_memory(void *arg)
{
    static char block[300000];
    size_t counts[256] = {0};
    struct tls_pair pair;
    size_t sum = 0;

    (void)arg;
    memset(block, 'a', sizeof block);
    tls_pair_open_narrow(&pair);
    for (; rota_stream_write_buffer_size(pair.client.stream) == 0; sum += 5000)
        assert_int_equal(rota_write_nowait(pair.client.stream, block, 5000), 0);
    harness_fail_allocation(1);
    assert_int_equal(rota_write_nowait(pair.client.stream, block, sizeof block),
                     -ENOMEM);
    harness_fail_allocation(-1);
    assert_int_equal(rota_write_nowait(pair.client.stream, ".", 1), 0);
    count_letters(pair.server.stream, counts);
    assert_int_equal(counts['a'], sum);
    tls_pair_close(&pair);
    return 0;
}

static void a_write_without_memory_is_none(void)
{
    run_tls(lack_memory);
}

static intptr_t lose_half_a_record(void *arg)
{
    static char block[5000];
    struct tls_pair pair;
    int err = 0;

    (void)arg;
    tls_pair_open_narrow(&pair);
    harness_fail_allocation(1);
    for (int i = 0; err == 0 && i < 1000; i++)
        err = rota_write_nowait(pair.client.stream, block, sizeof block);
    harness_fail_allocation(-1);
    assert_int_equal(err, -ENOMEM);
    assert_int_equal(rota_write(pair.client.stream, "x", 1), -ENOMEM);
    tls_pair_close(&pair);
    return 0;
}

static void a_record_that_cannot_be_kept_is_the_end(void)
{
    run_tls(lose_half_a_record);
}

/* --- Keys that change --------------------------------------------------- */

static intptr_t update_keys(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open_narrow(&pair);
    for (int i = 0; i < 10; i++) {
        tls_update_keys(i % 2 ? pair.client.stream : pair.server.stream);
        say(pair.client.stream, "new keys?");
        say(pair.server.stream, "new keys!");
        expect_words(pair.client.stream, "new keys!");
        expect_words(pair.server.stream, "new keys?");
    }
    tls_update_keys(pair.client.stream);
    tls_update_keys(pair.server.stream);
    exchange_much(&pair);
    tls_pair_close(&pair);
    return 0;
}

static void keys_change_in_the_middle_of_traffic(void)
{
    run_tls(update_keys);
}

static intptr_t renegotiate(void *arg)
{
    rota_tls_context *client = plain_client();
    struct tls_pair pair;

    (void)arg;
    tls_only_12(client);
    tls_pair_open_with(&pair, client, server_with("server"));
    say(pair.client.stream, "x");
    tls_renegotiate(pair.client.stream);
    assert_int_equal(rota_write_nowait(pair.client.stream, "y", 1), -ROTA_ETLS);
    for (int i = 0; i < 3; i++) {
        rota_task task = start(read_ten, pair.server.stream);

        pass_turns(3);
        assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), -ECANCELED);
    }
    say(pair.server.stream, "no");
    expect_words(pair.server.stream, "x");
    tls_pair_close(&pair);
    return 0;
}

static void another_handshake_is_not_begun(void)
{
    run_tls(renegotiate);
}

/* Each of them must be answered, and nobody reads the answers. */
static intptr_t flood(void *arg)
{
    struct tls_pair pair;
    char buf[100];
    intptr_t n = 1;

    (void)arg;
    tls_pair_open_narrow(&pair);
    while (rota_stream_write_buffer_size(pair.server.stream) == 0)
        assert_int_equal(rota_write_nowait(pair.server.stream, "filling", 7),
                         0);
    for (int i = 0; i < 5000 && n > 0; i++) {
        tls_update_keys(pair.client.stream);
        say(pair.client.stream, "x");
        n = rota_read(pair.server.stream, buf, sizeof buf);
    }
    assert_int_equal(n, -ROTA_ETLS);
    assert_true(rota_stream_write_buffer_size(pair.server.stream) < 100000);
    tls_pair_close(&pair);
    return 0;
}

static void a_peer_that_wants_answers_and_reads_none_is_stopped(void)
{
    run_tls(flood);
}

static int ticks;

static intptr_t tick(void *task)
{
    while (!rota_task_done(*(rota_task *)task)) {
        ticks++;
        assert_int_equal(rota_sleep(0), 0);
    }
    return 0;
}

/* All of it has come before the reader runs. */
static intptr_t renew_keys(void *arg)
{
    struct tls_pair pair;
    rota_task reader, ticker;

    (void)arg;
    tls_pair_open(&pair);
    for (int i = 0; i < 4000; i++)
        tls_send_keys(pair.client.stream);
    say(pair.client.stream, "ten bytes.");
    reader = start(read_ten, pair.server.stream);
    ticker = start(tick, &reader);
    assert_int_equal(rota_await(ticker), 0);
    assert_int_equal(rota_await(reader), 10);
    assert_in_range(ticks, 4, 1000);
    tls_pair_close(&pair);
    return 0;
}

static void who_only_renews_keys_does_not_hold_up_the_others(void)
{
    run_tls(renew_keys);
}

HARNESS_MAIN(TEST_TIMEOUT(megabytes_pass_both_ways_at_once, 60),
             TEST_TIMEOUT(a_peer_may_ask_for_short_records, 60),
             TEST(records_and_reads_need_not_match),
             TEST(pieces_can_be_written_as_one),
             TEST(a_write_that_does_not_wait_is_kept_encrypted),
             TEST(tls_has_no_half_close),
             TEST(a_cancelled_read_has_lost_nothing),
             TEST(a_cancelled_write_has_taken_all_or_nothing),
             TEST(a_write_without_memory_is_none),
             TEST(a_record_that_cannot_be_kept_is_the_end),
             TEST_TIMEOUT(keys_change_in_the_middle_of_traffic, 60),
             TEST(another_handshake_is_not_begun),
             TEST(a_peer_that_wants_answers_and_reads_none_is_stopped),
             TEST(who_only_renews_keys_does_not_hold_up_the_others))
