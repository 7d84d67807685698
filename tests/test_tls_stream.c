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

static intptr_t read_ten(void *stream)
{
    char buf[10];

    return rota_read_exactly(stream, buf, sizeof buf);
}

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

struct block {
    rota_stream *stream;
    size_t size;
    char letter;
};

static intptr_t write_block(void *arg)
{
    const struct block *block = arg;
    char *data = malloc(block->size);
    intptr_t n;

    memset(data, block->letter, block->size);
    n = rota_write(block->stream, data, block->size);
    free(data);
    return n;
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

/* --- TLS that begins in the middle -------------------------------------- */

static intptr_t start_in_the_middle(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    say(pair.client.stream, "STARTTLS\n");
    expect_words(pair.server.stream, "STARTTLS\n");
    say(pair.server.stream, "go on\n");
    expect_words(pair.client.stream, "go on\n");
    tls_pair_shake(&pair);
    assert_int_equal(pair.client.result, 0);
    say(pair.client.stream, "secret");
    expect_words(pair.server.stream, "secret");
    tls_pair_close(&pair);
    return 0;
}

static void tls_can_begin_after_words_in_the_clear(void)
{
    run_tls(start_in_the_middle);
}

static intptr_t inject(void *arg)
{
    struct tls_pair pair;
    char line[100];

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    say(pair.client.stream, "STARTTLS\nDELETE ALL\n");
    assert_int_equal(rota_read_line(pair.server.stream, line, 100), 9);
    pair.server.result = rota_start_tls(pair.server.stream, pair.server.context,
                                        &pair.server.options);
    assert_int_equal(pair.server.result, -EPROTO);
    assert_int_equal(rota_read_line(pair.server.stream, line, 100), 11);
    tls_pair_close(&pair);
    return 0;
}

static void words_in_the_clear_do_not_get_into_tls(void)
{
    run_tls(inject);
}

static intptr_t read_clear(void *arg)
{
    static char buf[100000];
    struct tls_end *end = arg;
    size_t sum = 0;

    while (sum < 500000) {
        size_t most = 500000 - sum < sizeof buf ? 500000 - sum : sizeof buf;
        intptr_t n = rota_read(end->stream, buf, most);

        if (n <= 0)
            return n < 0 ? n : -ROTA_EINCOMPLETE;
        sum += (size_t)n;
    }
    return shake_hands(end);
}

static intptr_t start_behind_much(void *arg)
{
    static char block[500000];
    struct tls_pair pair;
    rota_task tasks[2];

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), NARROW);
    assert_int_equal(rota_write_nowait(pair.client.stream, block, sizeof block),
                     0);
    tasks[0] = start(shake_hands, &pair.client);
    tasks[1] = start(read_clear, &pair.server);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), 0);
    assert_int_equal(pair.client.result, 0);
    assert_int_equal(pair.server.result, 0);
    say(pair.client.stream, "secret");
    expect_words(pair.server.stream, "secret");
    tls_pair_close(&pair);
    return 0;
}

static void tls_begins_behind_what_is_queued(void)
{
    run_tls(start_behind_much);
}

static intptr_t start_while_busy(void *arg)
{
    struct tls_pair pair;
    struct block block;
    rota_task task;

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), NARROW);
    task = start(read_ten, pair.client.stream);
    pass_turns(2);
    assert_int_equal(rota_start_tls(pair.client.stream, pair.client.context,
                                    &pair.client.options),
                     -EBUSY);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    block = (struct block){pair.client.stream, 1000000, 'x'};
    task = start(write_block, &block);
    pass_turns(2);
    assert_int_equal(rota_start_tls(pair.client.stream, pair.client.context,
                                    &pair.client.options),
                     -EBUSY);
    rota_abort(pair.client.stream);
    assert_true(rota_is_error(rota_await(task)));
    assert_int_equal(rota_start_tls(pair.client.stream, pair.client.context,
                                    &pair.client.options),
                     -ROTA_ECLOSING);
    tls_pair_close(&pair);
    return 0;
}

static void tls_does_not_begin_while_somebody_reads_or_writes(void)
{
    run_tls(start_while_busy);
}

static intptr_t use_during_handshake(void *arg)
{
    struct tls_pair pair;
    rota_task tasks[2];
    struct block block;
    char buf[10];

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    tasks[0] = start(shake_hands, &pair.client);
    pass_turns(1);
    assert_int_equal(rota_read(pair.client.stream, buf, 10), -EBUSY);
    assert_int_equal(rota_write_nowait(pair.client.stream, "x", 1), -EBUSY);
    block = (struct block){pair.client.stream, 1, '.'};
    tasks[1] = start(write_block, &block); /* waits for its turn */
    assert_int_equal(rota_start_tls(pair.client.stream, pair.client.context,
                                    &pair.client.options),
                     -EBUSY);
    assert_int_equal(shake_hands(&pair.server), 0);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), 1);
    expect_words(pair.server.stream, ".");
    assert_int_equal(rota_start_tls(pair.client.stream, pair.client.context,
                                    &pair.client.options),
                     -EBUSY);
    tls_pair_close(&pair);
    return 0;
}

static void nobody_gets_between_the_clear_and_the_rest(void)
{
    run_tls(use_during_handshake);
}

static void only_a_task_can_wait_for_a_handshake(void)
{
    assert_int_equal(rota_start_tls(NULL, NULL, NULL), -ROTA_ENOTASK);
}

HARNESS_MAIN(TEST_TIMEOUT(megabytes_pass_both_ways_at_once, 60),
             TEST(records_and_reads_need_not_match),
             TEST(pieces_can_be_written_as_one),
             TEST(a_write_that_does_not_wait_is_kept_encrypted),
             TEST(tls_has_no_half_close),
             TEST(a_cancelled_read_has_lost_nothing),
             TEST(a_cancelled_write_has_taken_all_or_nothing),
             TEST_TIMEOUT(keys_change_in_the_middle_of_traffic, 60),
             TEST(another_handshake_is_not_begun),
             TEST(a_peer_that_wants_answers_and_reads_none_is_stopped),
             TEST(tls_can_begin_after_words_in_the_clear),
             TEST(words_in_the_clear_do_not_get_into_tls),
             TEST(tls_begins_behind_what_is_queued),
             TEST(tls_does_not_begin_while_somebody_reads_or_writes),
             TEST(nobody_gets_between_the_clear_and_the_rest),
             TEST(only_a_task_can_wait_for_a_handshake))
