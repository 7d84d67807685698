/* SPDX-License-Identifier: MIT */
/*
 * Reading all up to the end
 */
#include "readings.h"

static intptr_t read_nothing(void *arg)
{
    struct pair pair;
    char buf[4];

    (void)arg;
    pair_open(&pair);
    shutdown(pair.peer, SHUT_WR);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rota_read_all(pair.stream, buf, sizeof buf), 0);
        assert_int_equal(rota_read_all(pair.stream, NULL, 0), 0);
    }
    assert_true(rota_at_eof(pair.stream));
    pair_close(&pair);
    return 0;
}

static void all_of_an_empty_stream_is_nothing(void)
{
    run(read_nothing);
}

static intptr_t read_just_enough(void *arg)
{
    struct pair pair;
    char buf[8];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abcdef");
    shutdown(pair.peer, SHUT_WR);
    memset(buf, 'x', sizeof buf);
    assert_int_equal(rota_read_all(pair.stream, buf, 5), -ROTA_ELIMIT);
    assert_int_equal(rota_read_all(pair.stream, NULL, 0), -ROTA_ELIMIT);
    assert_memory_equal(buf, "xxxxxxxx", 8); /* nothing is taken */
    assert_int_equal(rota_read_all(pair.stream, buf, 6), 6);
    assert_memory_equal(buf, "abcdefxx", 8);
    pair_close(&pair);
    return 0;
}

static void all_must_fit_or_stays_where_it_was(void)
{
    run(read_just_enough);
}

/* It is not waited for an end that changes nothing any more. */
static intptr_t exceed_before_the_end(void *arg)
{
    struct pair pair;
    char buf[8];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abcdef");
    assert_int_equal(rota_read_all(pair.stream, buf, 5), -ROTA_ELIMIT);
    expect_read(pair.stream, "abcdef");
    pair_close(&pair);
    return 0;
}

static void too_much_is_told_before_the_end(void)
{
    run(exceed_before_the_end);
}

static intptr_t read_behind_a_line(void *arg)
{
    struct pair pair;
    char buf[32];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "head\nbody");
    assert_int_equal(rota_read_line(pair.stream, buf, sizeof buf), 5);
    bare_say(pair.peer, " and more");
    shutdown(pair.peer, SHUT_WR);
    assert_int_equal(rota_read_all(pair.stream, buf, sizeof buf), 13);
    assert_memory_equal(buf, "body and more", 13);
    pair_close(&pair);
    return 0;
}

static void all_is_what_is_left(void)
{
    run(read_behind_a_line);
}

enum { MUCH = 3 << 20 };

static intptr_t send_much(void *arg)
{
    rota_stream *stream = arg;
    char *data = malloc(MUCH);
    intptr_t n;

    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)(i * 7 + i / 251);
    n = rota_write(stream, data, MUCH);
    free(data);
    rota_close(stream);
    return n;
}

static intptr_t read_much(void *arg)
{
    struct pair pair;
    rota_stream *other;
    char *buf = malloc(MUCH);
    rota_task task;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_open_fd(&other, pair.peer), 0);
    task = start(send_much, other);
    assert_int_equal(rota_read_all(pair.stream, buf, MUCH), MUCH);
    for (size_t i = 0; i < MUCH; i++)
        if (buf[i] != (char)(i * 7 + i / 251))
            fail_msg("byte %zu is wrong", i);
    assert_int_equal(rota_await(task), MUCH);
    free(buf);
    rota_stream_free(other);
    rota_stream_free(pair.stream);
    return 0;
}

static void megabytes_are_read_whole(void)
{
    run(read_much);
}

static intptr_t reset_before_the_end(void *arg)
{
    struct pair pair;
    char buf[8];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abc");
    pair_reset(&pair);
    assert_int_equal(rota_read_all(pair.stream, buf, 8), -ECONNRESET);
    pair_close(&pair);
    return 0;
}

static void a_reset_is_no_end(void)
{
    run(reset_before_the_end);
}

static intptr_t run_out_of_time(void *arg)
{
    rota_timeout limit;
    struct pair pair;
    intptr_t n;
    char buf[8];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abc");
    assert_int_equal(rota_timeout_begin(&limit, 0.01), 0);
    n = rota_read_all(pair.stream, buf, 8);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    shutdown(pair.peer, SHUT_WR);
    assert_int_equal(rota_read_all(pair.stream, buf, 8), 3);
    pair_close(&pair);
    return 0;
}

static void out_of_time_it_can_be_read_again(void)
{
    run(run_out_of_time);
}

HARNESS_MAIN(TEST(all_of_an_empty_stream_is_nothing),
             TEST(all_must_fit_or_stays_where_it_was),
             TEST(too_much_is_told_before_the_end), TEST(all_is_what_is_left),
             TEST(megabytes_are_read_whole), TEST(a_reset_is_no_end),
             TEST(out_of_time_it_can_be_read_again))
