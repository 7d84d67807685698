/* SPDX-License-Identifier: MIT */
/*
 * TLS that begins in the middle of a connection
 */
#include "tls_pairs.h"

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

HARNESS_MAIN(TEST(tls_can_begin_after_words_in_the_clear),
             TEST(words_in_the_clear_do_not_get_into_tls),
             TEST(tls_begins_behind_what_is_queued),
             TEST(tls_does_not_begin_while_somebody_reads_or_writes),
             TEST(nobody_gets_between_the_clear_and_the_rest),
             TEST(only_a_task_can_wait_for_a_handshake))
