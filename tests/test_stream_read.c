/* SPDX-License-Identifier: MIT */
/*
 * Reading from streams: what each of the four ways gives
 */
#include "readings.h"

static void expect_line(rota_stream *stream, const char *text)
{
    char buf[256];
    size_t size = strlen(text);

    assert_int_equal(rota_read_line(stream, buf, sizeof buf), size);
    assert_memory_equal(buf, text, size);
}

/* --- read --------------------------------------------------------------- */

static intptr_t read_to_the_end(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abc");
    expect_read(pair.stream, "abc");
    assert_false(rota_at_eof(pair.stream));
    bare_say(pair.peer, "de");
    shutdown(pair.peer, SHUT_WR);
    expect_read(pair.stream, "de");
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_read(pair.stream, buf, sizeof buf), 0);
    assert_true(rota_at_eof(pair.stream));
    pair_close(&pair);
    return 0;
}

static void read_gives_what_has_come_and_then_the_end_for_ever(void)
{
    run(read_to_the_end);
}

static intptr_t read_by_parts(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abcdefg");
    assert_int_equal(rota_read(pair.stream, buf, 3), 3);
    assert_memory_equal(buf, "abc", 3);
    assert_int_equal(rota_read(pair.stream, buf, 1), 1);
    assert_memory_equal(buf, "d", 1);
    expect_read(pair.stream, "efg");
    bare_say(pair.peer, "hi");
    expect_read(pair.stream, "hi");
    pair_close(&pair);
    return 0;
}

static void a_read_takes_no_more_than_it_was_asked_for(void)
{
    run(read_by_parts);
}

static intptr_t read_nothing(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "a");
    assert_int_equal(rota_read(pair.stream, buf, 0), -EINVAL);
    assert_int_equal(rota_read_exactly(pair.stream, buf, 0), 0);
    assert_int_equal(rota_read_until(pair.stream, "x", 0, buf, 16), -EINVAL);
    assert_int_equal(rota_stream_set_limit(pair.stream, 0), -EINVAL);
    expect_read(pair.stream, "a");
    pair_close(&pair);
    return 0;
}

static void sizes_of_nothing_are_refused_where_they_mean_nothing(void)
{
    run(read_nothing);
}

static intptr_t send_while_reading(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    for (int i = 0; i < 20; i++) {
        struct reading reading = reading_of(&pair, 0);
        rota_task task = start(read_in_a_task, &reading);

        pass_turns(i % 3);
        bare_say(pair.peer, "xyz");
        assert_int_equal(rota_await(task), 3);
        assert_memory_equal(reading.buf, "xyz", 3);
    }
    pair_close(&pair);
    return 0;
}

static void a_read_waits_for_the_first_bytes(void)
{
    run(send_while_reading);
}

static void read_in_a_callback(void *arg)
{
    struct pair *pair = arg;
    char buf[16];

    assert_int_equal(rota_read(pair->stream, buf, sizeof buf), -ROTA_ENOTASK);
    assert_int_equal(rota_read_line(pair->stream, buf, 9), -ROTA_ENOTASK);
    assert_int_equal(rota_read_exactly(pair->stream, buf, 1), -ROTA_ENOTASK);
    assert_int_equal(rota_write(pair->stream, buf, 1), -ROTA_ENOTASK);
    assert_int_equal(rota_drain(pair->stream), -ROTA_ENOTASK);
    assert_int_equal(rota_wait_closed(pair->stream), -ROTA_ENOTASK);
    note("called");
}

static intptr_t read_without_a_task(void *arg)
{
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abc");
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    read_in_a_callback, &pair),
                     0);
    pass_turns(2);
    assert_noted("called");
    expect_read(pair.stream, "abc");
    pair_close(&pair);
    return 0;
}

static void only_a_task_can_wait_for_a_stream(void)
{
    run(read_without_a_task);
}

/* --- read_exactly ------------------------------------------------------- */

static intptr_t split_exactly(void *arg)
{
    static const char message[] = "0123456789ab";
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    for (size_t at = 0; at <= 12; at++) {
        struct reading reading = reading_of(&pair, 1);
        rota_task task;

        reading.size = 12;
        bare_send(pair.peer, message, at);
        task = start(read_in_a_task, &reading);
        pass_turns(2);
        assert_int_equal(rota_task_done(task), at == 12);
        bare_send(pair.peer, message + at, 12 - at);
        bare_say(pair.peer, "rest");
        assert_int_equal(rota_await(task), 12);
        assert_memory_equal(reading.buf, message, 12);
        expect_read(pair.stream, "rest");
    }
    pair_close(&pair);
    return 0;
}

static void read_exactly_is_whole_wherever_the_bytes_are_split(void)
{
    run(split_exactly);
}

static intptr_t end_in_the_middle(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abcd");
    assert_int_equal(rota_read_exactly(pair.stream, buf, 3), 3);
    bare_say(pair.peer, "efg");
    shutdown(pair.peer, SHUT_WR);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_read_exactly(pair.stream, buf, 5),
                         -ROTA_EINCOMPLETE);
    assert_false(rota_at_eof(pair.stream));
    assert_int_equal(rota_read_exactly(pair.stream, buf, 2), 2);
    assert_memory_equal(buf, "de", 2);
    expect_read(pair.stream, "fg");
    assert_true(rota_at_eof(pair.stream));
    assert_int_equal(rota_read_exactly(pair.stream, buf, 1), -ROTA_EINCOMPLETE);
    assert_int_equal(rota_read_exactly(pair.stream, buf, 0), 0);
    pair_close(&pair);
    return 0;
}

static void read_exactly_at_an_early_end_leaves_the_bytes_readable(void)
{
    run(end_in_the_middle);
}

static intptr_t read_much_exactly(void *arg)
{
    const size_t size = 1000000;
    char *sent = malloc(size);
    char *got = malloc(size);
    struct reading reading;
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open(&pair);
    for (size_t i = 0; i < size; i++)
        sent[i] = (char)(i * 7 + i / 251);
    reading = reading_of(&pair, 0);
    reading.size = 1;
    bare_send(pair.peer, sent, 1);
    task = start(read_in_a_task, &reading);
    assert_int_equal(rota_await(task), 1);
    for (size_t at = 0; at < size; at += 50000) {
        bare_send(pair.peer, sent + at, 50000);
        assert_int_equal(rota_read_exactly(pair.stream, got + at, 50000),
                         50000);
    }
    assert_memory_equal(sent, got, size);
    free(sent);
    free(got);
    pair_close(&pair);
    return 0;
}

static void read_exactly_takes_more_than_its_buffer_at_once(void)
{
    run(read_much_exactly);
}

/* --- read_until and read_line ------------------------------------------- */

/* Sends `text` in two pieces; the message ends with the separator. */
static void split_until(struct pair *pair, const char *text, size_t at,
                        const char *separator, size_t expected)
{
    struct reading reading = reading_of(pair, 2);
    size_t size = strlen(text);
    rota_task task;

    reading.separator = separator;
    bare_send(pair->peer, text, at);
    task = start(read_in_a_task, &reading);
    pass_turns(3); /* it starts, the loop looks, it goes on */
    assert_int_equal(rota_task_done(task), at >= expected);
    bare_send(pair->peer, text + at, size - at);
    bare_say(pair->peer, "!");
    assert_int_equal(rota_await(task), expected);
    assert_memory_equal(reading.buf, text, expected);
    assert_int_equal(
        rota_read_exactly(pair->stream, reading.buf, size + 1 - expected),
        size + 1 - expected);
    assert_memory_equal(reading.buf, text + expected, size - expected);
}

static intptr_t split_separators(void *arg)
{
    static const struct {
        const char *text, *separator;
        size_t expected;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", "\r\n\r\n", 27},
        {"a\r\r\nb", "\r\n", 4},
        {"ababac-", "abac", 6},
        {"\r\n", "\r\n", 2},
        {"x", "x", 1},
        {"----->", "-->", 6},
    };
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    for (size_t i = 0; i < rota__countof(cases); i++)
        for (size_t at = 0; at <= strlen(cases[i].text); at++)
            split_until(&pair, cases[i].text, at, cases[i].separator,
                        cases[i].expected);
    pair_close(&pair);
    return 0;
}

static void a_separator_is_found_wherever_the_bytes_are_split(void)
{
    run(split_separators);
}

static intptr_t use_zero_bytes(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_send(pair.peer, "a\0b\0\0c", 6);
    assert_int_equal(rota_read_until(pair.stream, "\0\0", 2, buf, 16), 5);
    assert_memory_equal(buf, "a\0b\0\0", 5);
    expect_read(pair.stream, "c");
    pair_close(&pair);
    return 0;
}

static void separators_and_data_may_have_zero_bytes(void)
{
    run(use_zero_bytes);
}

static intptr_t read_lines(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "one\n\ntwo\r\nlast");
    shutdown(pair.peer, SHUT_WR);
    expect_line(pair.stream, "one\n");
    expect_line(pair.stream, "\n");
    expect_line(pair.stream, "two\r\n");
    assert_false(rota_at_eof(pair.stream));
    expect_line(pair.stream, "last");
    assert_true(rota_at_eof(pair.stream));
    assert_int_equal(rota_read_line(pair.stream, buf, sizeof buf), 0);
    pair_close(&pair);
    return 0;
}

static void lines_come_one_by_one_and_the_last_needs_no_newline(void)
{
    run(read_lines);
}

static intptr_t end_before_the_separator(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "half");
    shutdown(pair.peer, SHUT_WR);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_read_until(pair.stream, "\n", 1, buf, 16),
                         -ROTA_EINCOMPLETE);
    expect_read(pair.stream, "half");
    assert_int_equal(rota_read_until(pair.stream, "\n", 1, buf, 16),
                     -ROTA_EINCOMPLETE);
    pair_close(&pair);
    return 0;
}

static void read_until_at_an_early_end_leaves_the_bytes_readable(void)
{
    run(end_before_the_separator);
}

static intptr_t exceed_the_limit(void *arg)
{
    struct pair pair;
    char buf[64];

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_stream_set_limit(pair.stream, 8), 0);
    bare_say(pair.peer, "1234567\n12345678\n");
    expect_line(pair.stream, "1234567\n");
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_read_line(pair.stream, buf, sizeof buf),
                         -ROTA_ELIMIT);
    assert_int_equal(rota_read_until(pair.stream, "8\n", 2, buf, sizeof buf),
                     -ROTA_ELIMIT);
    assert_int_equal(rota_stream_set_limit(pair.stream, 9), 0);
    expect_line(pair.stream, "12345678\n");
    bare_say(pair.peer, "0123456789");
    assert_int_equal(rota_read_line(pair.stream, buf, sizeof buf),
                     -ROTA_ELIMIT);
    expect_read(pair.stream, "0123456789");
    pair_close(&pair);
    return 0;
}

static void a_line_beyond_the_limit_is_an_error_and_is_kept(void)
{
    run(exceed_the_limit);
}

static intptr_t exceed_the_buffer(void *arg)
{
    struct pair pair;
    char buf[64];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "1234567\nabc");
    memset(buf, 'x', sizeof buf);
    assert_int_equal(rota_read_line(pair.stream, buf, 7), -ROTA_ELIMIT);
    assert_int_equal(buf[0], 'x');
    assert_int_equal(rota_read_line(pair.stream, buf, 8), 8);
    assert_int_equal(buf[8], 'x');
    shutdown(pair.peer, SHUT_WR);
    assert_int_equal(rota_read_line(pair.stream, buf, 2), -ROTA_ELIMIT);
    expect_read(pair.stream, "abc");
    pair_close(&pair);
    return 0;
}

static void a_line_longer_than_the_buffer_is_an_error_and_is_kept(void)
{
    run(exceed_the_buffer);
}

static intptr_t exceed_the_first_limit(void *arg)
{
    size_t size = 65537;
    char *line = malloc(2 * size);
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    memset(line, 'a', size);
    line[size - 2] = '\n';
    bare_send(pair.peer, line, size - 1);
    assert_int_equal(rota_read_line(pair.stream, line, 2 * size), size - 1);
    line[size - 2] = 'a';
    line[size - 1] = '\n';
    bare_send(pair.peer, line, size);
    assert_int_equal(rota_read_line(pair.stream, line, 2 * size), -ROTA_ELIMIT);
    assert_int_equal(rota_read_exactly(pair.stream, line, size), size);
    free(line);
    pair_close(&pair);
    return 0;
}

static void the_limit_is_64_kib_at_first(void)
{
    run(exceed_the_first_limit);
}

static intptr_t read_past_urgent_data(void *arg)
{
    struct pair pair;
    char buf[6];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abc");
    assert_int_equal(send(pair.peer, "!", 1, MSG_OOB), 1);
    bare_say(pair.peer, "def");
    assert_int_equal(rota_read_exactly(pair.stream, buf, 6), 6);
    assert_memory_equal(buf, "abcdef", 6);
    pair_close(&pair);
    return 0;
}

static void urgent_data_does_not_hide_what_follows(void)
{
    run(read_past_urgent_data);
}

HARNESS_MAIN(TEST(urgent_data_does_not_hide_what_follows),
             TEST(read_gives_what_has_come_and_then_the_end_for_ever),
             TEST(a_read_takes_no_more_than_it_was_asked_for),
             TEST(sizes_of_nothing_are_refused_where_they_mean_nothing),
             TEST(a_read_waits_for_the_first_bytes),
             TEST(only_a_task_can_wait_for_a_stream),
             TEST(read_exactly_is_whole_wherever_the_bytes_are_split),
             TEST(read_exactly_at_an_early_end_leaves_the_bytes_readable),
             TEST(read_exactly_takes_more_than_its_buffer_at_once),
             TEST(a_separator_is_found_wherever_the_bytes_are_split),
             TEST(separators_and_data_may_have_zero_bytes),
             TEST(lines_come_one_by_one_and_the_last_needs_no_newline),
             TEST(read_until_at_an_early_end_leaves_the_bytes_readable),
             TEST(a_line_beyond_the_limit_is_an_error_and_is_kept),
             TEST(a_line_longer_than_the_buffer_is_an_error_and_is_kept),
             TEST(the_limit_is_64_kib_at_first))
