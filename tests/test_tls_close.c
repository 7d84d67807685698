/* SPDX-License-Identifier: MIT */
/*
 * TLS: how a connection ends, in order and out of it
 */
#include "tls_pairs.h"

/* --- In order ----------------------------------------------------------- */

static intptr_t wait_closed(void *stream)
{
    return rota_wait_closed(stream);
}

static void expect_end(rota_stream *stream)
{
    char buf[10];

    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_read(stream, buf, sizeof buf), 0);
    assert_true(rota_at_eof(stream));
}

static intptr_t part(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        rota_stream *first, *second;

        tls_pair_open(&pair);
        first = i ? pair.client.stream : pair.server.stream;
        second = i ? pair.server.stream : pair.client.stream;
        say(first, "bye");
        rota_close(first);
        task = start(wait_closed, first);
        expect_words(second, "bye");
        assert_false(rota_at_eof(second));
        expect_end(second);
        assert_false(rota_task_done(task));
        say(second, "this is not read any more");
        rota_close(second);
        assert_int_equal(rota_wait_closed(second), 0);
        assert_int_equal(rota_await(task), 0);
        tls_pair_close(&pair);
    }
    return 0;
}

static void both_ends_say_goodbye(void)
{
    run_tls(part);
}

static intptr_t part_at_once(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open(&pair);
    rota_close(pair.client.stream);
    rota_close(pair.server.stream);
    assert_int_equal(rota_wait_closed(pair.client.stream), 0);
    assert_int_equal(rota_wait_closed(pair.server.stream), 0);
    tls_pair_close(&pair);
    return 0;
}

static void both_ends_may_say_goodbye_at_once(void)
{
    run_tls(part_at_once);
    make_papers();
    run_shuffled(part_at_once);
    papers_end();
}

/* Reads up to the end; how much it was. */
static intptr_t read_to_the_end(void *stream)
{
    static char buf[65536];
    intptr_t sum = 0;
    intptr_t n;

    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        sum += n;
    rota_close(stream);
    return n < 0 ? n : sum;
}

static char block[500000];

static intptr_t close_behind_much(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open_narrow(&pair);
    task = start(read_to_the_end, pair.server.stream);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            rota_write_nowait(pair.client.stream, block, sizeof block), 0);
    rota_close(pair.client.stream);
    assert_int_equal(rota_wait_closed(pair.client.stream), 0);
    assert_int_equal(rota_await(task), 4 * sizeof block);
    tls_pair_close(&pair);
    return 0;
}

static void what_is_queued_arrives_before_the_goodbye(void)
{
    run_tls(close_behind_much);
}

static intptr_t write_much(void *stream)
{
    intptr_t n = rota_write(stream, block, sizeof block);

    rota_close(stream);
    return n;
}

static intptr_t close_before_much(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open_narrow(&pair);
    task = start(write_much, pair.server.stream);
    pass_turns(3);
    rota_close(pair.client.stream);
    assert_int_equal(rota_wait_closed(pair.client.stream), 0);
    assert_int_equal(rota_await(task), sizeof block);
    assert_int_equal(rota_wait_closed(pair.server.stream), 0);
    tls_pair_close(&pair);
    return 0;
}

static void what_comes_after_our_goodbye_is_dropped(void)
{
    run_tls(close_before_much);
}

static intptr_t read_one(void *stream)
{
    char c;

    return rota_read(stream, &c, 1);
}

static intptr_t close_while_reading(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open(&pair);
    task = start(read_one, pair.client.stream);
    pass_turns(2);
    rota_close(pair.client.stream);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    assert_int_equal(rota_read(pair.client.stream, block, 1), -ROTA_ECLOSING);
    tls_pair_close(&pair);
    return 0;
}

static void a_close_wakes_who_reads(void)
{
    run_tls(close_while_reading);
}

/* --- Out of order ------------------------------------------------------- */

static intptr_t cut_short(void *arg)
{
    struct tls_pair pair;
    char buf[100];

    (void)arg;
    tls_pair_open(&pair);
    say(pair.server.stream, "and so");
    cut_off(&pair.server);
    expect_words(pair.client.stream, "and so");
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_read(pair.client.stream, buf, sizeof buf),
                         -ROTA_ETRUNCATED);
    assert_int_equal(rota_read_line(pair.client.stream, buf, sizeof buf),
                     -ROTA_ETRUNCATED);
    assert_false(rota_at_eof(pair.client.stream));
    rota_close(pair.client.stream);
    assert_int_equal(rota_wait_closed(pair.client.stream), 0);
    tls_pair_close(&pair);
    return 0;
}

static void an_end_without_a_goodbye_is_an_error(void)
{
    run_tls(cut_short);
}

static intptr_t truncate_a_reader(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open(&pair);
    task = start(read_one, pair.client.stream);
    pass_turns(2);
    cut_off(&pair.server);
    assert_int_equal(rota_await(task), -ROTA_ETRUNCATED);
    tls_pair_close(&pair);
    return 0;
}

static void a_reader_hears_of_an_end_without_a_goodbye(void)
{
    run_tls(truncate_a_reader);
}

static intptr_t reset(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open(&pair);
    task = start(read_one, pair.client.stream);
    pass_turns(2);
    rota_abort(pair.server.stream);
    assert_int_equal(rota_await(task), -ECONNRESET);
    assert_int_equal(rota_write(pair.client.stream, "x", 1), -ECONNRESET);
    rota_close(pair.client.stream);
    assert_int_equal(rota_wait_closed(pair.client.stream), -ECONNRESET);
    tls_pair_close(&pair);
    return 0;
}

static void a_reset_is_what_it_is(void)
{
    run_tls(reset);
}

static intptr_t go_without_an_answer(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open(&pair);
    rota_close(pair.client.stream);
    task = start(wait_closed, pair.client.stream);
    pass_turns(3);
    assert_false(rota_task_done(task));
    cut_off(&pair.server);
    assert_int_equal(rota_await(task), 0);
    tls_pair_close(&pair);
    return 0;
}

static void a_peer_that_goes_need_not_answer_a_goodbye(void)
{
    run_tls(go_without_an_answer);
}

/* --- Patience ----------------------------------------------------------- */

static void expect_patience(double option, double seconds)
{
    struct tls_pair pair;
    double began;

    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    pair.client.options.shutdown_timeout = option;
    tls_pair_shake(&pair);
    began = now();
    rota_close(pair.client.stream);
    assert_int_equal(rota_wait_closed(pair.client.stream), -ETIMEDOUT);
    assert_true(now() - began >= seconds && now() - began < seconds + 0.1);
    tls_pair_close(&pair);
}

static intptr_t lose_patience(void *arg)
{
    (void)arg;
    expect_patience(0, 30);
    expect_patience(5, 5);
    return 0;
}

static void a_goodbye_is_waited_for_only_so_long(void)
{
    run_tls_virtually(lose_patience);
}

/* The peer has said good-bye, but does not read what we still send. */
static intptr_t lose_patience_with_one_who_reads_nothing(void *arg)
{
    struct tls_pair pair;
    double began = now();

    (void)arg;
    tls_pair_open_narrow(&pair);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            rota_write_nowait(pair.server.stream, block, sizeof block), 0);
    tls_say_goodbye(pair.client.stream);
    assert_int_equal(rota_read(pair.server.stream, block, 1), 0);
    rota_close(pair.server.stream);
    assert_int_equal(rota_wait_closed(pair.server.stream), -ETIMEDOUT);
    assert_true(now() - began >= 30 - 1e-6 && now() - began < 31);
    rota_abort(pair.client.stream);
    tls_pair_close(&pair);
    return 0;
}

static void what_is_queued_is_not_kept_for_ever(void)
{
    run_tls_virtually(lose_patience_with_one_who_reads_nothing);
}

static intptr_t read_slowly(void *stream)
{
    intptr_t sum = 0;
    intptr_t n;

    while ((n = rota_read_exactly(stream, block, 125000)) > 0) {
        sum += n;
        if (rota_sleep(8) < 0)
            return -ECANCELED;
    }
    rota_close(stream);
    return n == -ROTA_EINCOMPLETE && sum == 4 * sizeof block ? sum : n;
}

/* Unix sockets, because TCP lets real time pass before it goes on. */
static intptr_t have_patience(void *arg)
{
    struct tls_pair pair;
    rota_task task;
    double began = now();
    int fds[2];

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    tls_pair_take(&pair, plain_client(), server_with("server"), fds);
    tls_pair_shake(&pair);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            rota_write_nowait(pair.client.stream, block, sizeof block), 0);
    rota_close(pair.client.stream);
    task = start(read_slowly, pair.server.stream);
    assert_int_equal(rota_wait_closed(pair.client.stream), 0);
    assert_true(now() - began > 100);
    assert_int_equal(rota_await(task), 4 * sizeof block);
    tls_pair_close(&pair);
    return 0;
}

static void a_peer_that_is_slow_but_reads_is_waited_for(void)
{
    run_tls_virtually(have_patience);
}

/* --- At any moment ------------------------------------------------------ */

static intptr_t abort_after_close(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_open(&pair);
    rota_close(pair.client.stream);
    task = start(wait_closed, pair.client.stream);
    pass_turns(2);
    rota_abort(pair.client.stream);
    assert_int_equal(rota_await(task), 0);
    tls_pair_close(&pair);
    return 0;
}

static void a_goodbye_can_be_cut_short(void)
{
    run_tls(abort_after_close);
}

static intptr_t free_and_go(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open(&pair);
    tls_pair_close(&pair); /* both in the midst of their good-byes */
    return 0;
}

static intptr_t free_one_and_go(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open_narrow(&pair);
    assert_int_equal(rota_write_nowait(pair.client.stream, block, sizeof block),
                     0);
    rota_stream_free(pair.client.stream);
    pass_turns(5);
    pair.client.stream = NULL;
    tls_pair_close(&pair);
    return 0;
}

static void a_loop_may_close_before_the_goodbyes_are_said(void)
{
    run_tls(free_and_go);
    run_tls(free_one_and_go);
}

static intptr_t close_soon(void *stream)
{
    if (rota_sleep(0) < 0)
        return -ECANCELED;
    rota_close(stream);
    return 0;
}

static intptr_t close_in_handshake(void *arg)
{
    struct tls_pair pair;
    rota_task task;

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    task = start(close_soon, pair.client.stream);
    shake_hands(&pair.client);
    assert_int_equal(pair.client.result, -ROTA_ECLOSING);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(rota_wait_closed(pair.client.stream), 0);
    shake_hands(&pair.server);
    assert_int_equal(pair.server.result, -ECONNRESET);
    tls_pair_close(&pair);
    return 0;
}

static void a_close_ends_a_handshake(void)
{
    run_tls(close_in_handshake);
}

static intptr_t free_soon(void *arg)
{
    struct tls_end *end = arg;

    if (rota_sleep(0) < 0)
        return -ECANCELED;
    rota_stream_free(end->stream);
    end->stream = NULL;
    return 0;
}

static intptr_t shake_only(void *arg)
{
    struct tls_end *end = arg;

    return rota_start_tls(end->stream, end->context, &end->options);
}

static intptr_t free_in_handshake(void *arg)
{
    struct tls_pair pair;
    rota_task tasks[2];

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    tasks[0] = start(shake_only, &pair.client);
    tasks[1] = start(free_soon, &pair.client);
    assert_int_equal(rota_await(tasks[0]), -ROTA_ECLOSING);
    assert_int_equal(rota_await(tasks[1]), 0);
    tls_pair_close(&pair);
    return 0;
}

static void a_stream_may_be_freed_during_its_handshake(void)
{
    run_tls(free_in_handshake);
}

static intptr_t abandon(void *arg)
{
    static struct tls_pair pair;

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    rota_detach(start(shake_only, &pair.client));
    rota_detach(start(shake_only, &pair.server));
    pass_turns(3);
    rota_tls_context_free(pair.client.context);
    rota_tls_context_free(pair.server.context);
    rota_stream_free(pair.client.stream);
    rota_stream_free(pair.server.stream);
    return 0;
}

static void a_loop_may_close_before_hands_are_shaken(void)
{
    run_tls(abandon);
}

HARNESS_MAIN(TEST(both_ends_say_goodbye),
             TEST(both_ends_may_say_goodbye_at_once),
             TEST(what_is_queued_arrives_before_the_goodbye),
             TEST(what_comes_after_our_goodbye_is_dropped),
             TEST(a_close_wakes_who_reads),
             TEST(an_end_without_a_goodbye_is_an_error),
             TEST(a_reader_hears_of_an_end_without_a_goodbye),
             TEST(a_reset_is_what_it_is),
             TEST(a_peer_that_goes_need_not_answer_a_goodbye),
             TEST(a_goodbye_is_waited_for_only_so_long),
             TEST(what_is_queued_is_not_kept_for_ever),
             TEST(a_peer_that_is_slow_but_reads_is_waited_for),
             TEST(a_goodbye_can_be_cut_short),
             TEST(a_loop_may_close_before_the_goodbyes_are_said),
             TEST(a_close_ends_a_handshake),
             TEST(a_stream_may_be_freed_during_its_handshake),
             TEST(a_loop_may_close_before_hands_are_shaken))
