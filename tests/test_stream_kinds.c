/* SPDX-License-Identifier: MIT */
/*
 * Every way to read and to write, over every kind of stream
 */
#include "kinds.h"

/* --- Reading ------------------------------------------------------------ */

static intptr_t by_all(struct reading *reading)
{
    return rota_read_all(reading->stream, reading->buf, reading->size);
}

static intptr_t by_any(struct reading *reading)
{
    const rota_separator separators[] = {{"\n", 1}, {"\r\n", 2}};

    return rota_read_until_any(reading->stream, separators, 2, reading->buf,
                               reading->size);
}

static intptr_t by_borrowed(struct reading *reading)
{
    const void *data;
    intptr_t n = rota_read_borrowed(reading->stream, &data);

    if (n > 0)
        memcpy(reading->buf, data, (size_t)n);
    return n;
}

/* What each gives of "ab\r\ncd" and the end, and what it leaves. */
struct way {
    intptr_t (*how)(struct reading *reading);
    size_t size;
    const char *gives;
    const char *leaves;
};

static const struct way ways[] = {
    {by_exactly, 5, "ab\r\nc", "d"}, {by_until, 100, "ab\r\n", "cd"},
    {by_any, 100, "ab\r\n", "cd"},   {by_line, 100, "ab\r\n", "cd"},
    {by_all, 100, "ab\r\ncd", ""},   {by_exactly, 6, "ab\r\ncd", ""},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static void expect_rest(const struct pair *pair, const char *text)
{
    char buf[16];

    assert_int_equal(rota_read_all(pair->stream, buf, sizeof buf),
                     strlen(text));
    assert_memory_equal(buf, text, strlen(text));
    assert_int_equal(rota_read(pair->stream, buf, sizeof buf), 0);
    assert_true(rota_at_eof(pair->stream));
}

/* The text in two parts; the reader waits for each. */
static void read_split(const struct kind *kind, const struct way *way,
                       size_t at)
{
    static const char text[] = "ab\r\ncd";
    char first[8] = {0};
    struct reading reading = {
        .how = way->how, .separator = "\r\n", .size = way->size};
    struct pair pair;
    rota_task task;

    memcpy(first, text, at);
    kind->open_reader(&pair);
    reading.stream = pair.stream;
    task = start(read_in_a_task, &reading);
    pass_turns(2);
    kind_say(&pair, first);
    pass_turns(2);
    kind_say(&pair, text + at);
    kind_end(kind, &pair);
    assert_int_equal(rota_await(task), strlen(way->gives));
    assert_memory_equal(reading.buf, way->gives, strlen(way->gives));
    expect_rest(&pair, way->leaves);
    pair_close(&pair);
}

static intptr_t read_in_all_ways(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < KINDS; kind++)
        for (int way = 0; way < WAYS; way++)
            for (size_t at = 0; at <= 6; at++)
                read_split(&kinds[kind], &ways[way], at);
    return 0;
}

static void every_read_is_whole_over_every_kind(void)
{
    run(read_in_all_ways);
}

static intptr_t (*const parts[])(struct reading *reading) = {by_read,
                                                             by_borrowed};

static intptr_t read_in_parts(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2 * KINDS; i++) {
        const struct kind *kind = &kinds[i / 2];
        struct reading reading = {.how = parts[i % 2], .size = 100};
        struct pair pair;

        kind->open_reader(&pair);
        reading.stream = pair.stream;
        for (int round = 0; round < 3; round++) {
            rota_task task = start(read_in_a_task, &reading);

            pass_turns(2);
            kind_say(&pair, "abc");
            assert_int_equal(rota_await(task), 3);
            assert_memory_equal(reading.buf, "abc", 3);
        }
        assert_false(rota_at_eof(pair.stream));
        kind_end(kind, &pair);
        assert_int_equal(reading.how(&reading), 0);
        assert_int_equal(reading.how(&reading), 0);
        assert_true(rota_at_eof(pair.stream));
        pair_close(&pair);
    }
    return 0;
}

static void what_has_come_is_read_over_every_kind(void)
{
    run(read_in_parts);
}

static intptr_t (*const readers[])(struct reading *reading) = {
    by_read, by_borrowed, by_exactly, by_until, by_any, by_line, by_all};
enum { READERS = sizeof readers / sizeof readers[0] };

/* Cancelled after so many turns, with half of the text there or not. */
static void cancel_reader(const struct kind *kind, int reader, int turns,
                          bool woken)
{
    struct reading reading = {
        .how = readers[reader], .separator = "\r\n", .size = 100};
    struct pair pair;
    rota_task task;
    intptr_t n;
    char buf[8];

    kind->open_reader(&pair);
    reading.stream = pair.stream;
    task = start(read_in_a_task, &reading);
    pass_turns(turns);
    kind_say(&pair, "ab\r");
    if (woken)
        pass_turns(1);
    (void)rota_task_cancel(task);
    n = rota_await(task);
    if (n > 0)
        assert_memory_equal(reading.buf, "ab\r", 3);
    else
        assert_int_equal(n, -ECANCELED);
    kind_say(&pair, "\n");
    kind_end(kind, &pair);
    assert_int_equal(rota_read_all(pair.stream, buf, 8), n > 0 ? 1 : 4);
    assert_memory_equal(buf, n > 0 ? "\n" : "ab\r\n", n > 0 ? 1 : 4);
    pair_close(&pair);
}

static intptr_t cancel_readers(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < READERS * 4; i++)
            for (int woken = 0; woken < 2; woken++)
                cancel_reader(&kinds[kind], i / 4, i % 4, woken);
    return 0;
}

static void a_cancelled_read_loses_nothing_over_any_kind(void)
{
    run(cancel_readers);
}

static intptr_t close_under_readers(void *arg)
{
    (void)arg;
    for (int i = 0; i < KINDS * READERS * 2; i++) {
        struct reading reading = {
            .how = readers[i / 2 % READERS], .separator = "x", .size = 100};
        struct pair pair;
        rota_task task;

        kinds[i / 2 / READERS].open_reader(&pair);
        reading.stream = pair.stream;
        task = start(read_in_a_task, &reading);
        pass_turns(2);
        if (i % 2)
            rota_abort(pair.stream);
        else
            rota_close(pair.stream);
        assert_int_equal(rota_await(task), -ROTA_ECLOSING);
        assert_int_equal(rota_wait_closed(pair.stream), 0);
        assert_int_equal(reading.how(&reading), -ROTA_ECLOSING);
        pair_close(&pair);
    }
    return 0;
}

static void closing_wakes_every_reader_over_every_kind(void)
{
    run(close_under_readers);
}

/* --- Writing ------------------------------------------------------------ */

enum { BIG = 1 << 20 };
static char big[BIG];

static intptr_t with_write(rota_stream *stream)
{
    return rota_write(stream, big, BIG);
}

static intptr_t with_writelines(rota_stream *stream)
{
    struct iovec lines[] = {
        {big, 1}, {big + 1, 0}, {big + 1, 99}, {big + 100, BIG - 100}};

    return rota_writelines(stream, lines, 4);
}

static intptr_t with_drain(rota_stream *stream)
{
    intptr_t err = rota_write_nowait(stream, big, BIG);

    return err == 0 ? rota_drain(stream) : err;
}

static intptr_t (*const writers[])(rota_stream *stream) = {
    with_write, with_writelines, with_drain};
enum { WRITERS = sizeof writers / sizeof writers[0] };

struct writing {
    rota_stream *stream;
    intptr_t (*how)(rota_stream *stream);
};

static intptr_t write_in_a_task(void *arg)
{
    const struct writing *writing = arg;

    return writing->how(writing->stream);
}

static void fill_big(void)
{
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 251);
}

/* Reads slowly up to the end; how much of `big` it was. */
static size_t expect_big(const struct pair *pair)
{
    static char heard[8192];
    size_t sum = 0;
    ssize_t n;

    while ((n = kind_hear(pair, heard, sizeof heard)) != 0) {
        if (n > 0) {
            assert_true(sum + (size_t)n <= BIG);
            assert_memory_equal(heard, big + sum, (size_t)n);
            sum += (size_t)n;
        }
        assert_int_equal(rota_sleep(0), 0);
    }
    return sum;
}

static intptr_t write_in_all_ways(void *arg)
{
    (void)arg;
    fill_big();
    for (int i = 0; i < KINDS * WRITERS; i++) {
        const struct kind *kind = &kinds[i / WRITERS];
        struct writing writing = {.how = writers[i % WRITERS]};
        struct pair pair;
        rota_task task;

        kind->open_writer(&pair);
        writing.stream = pair.stream;
        task = start(write_in_a_task, &writing);
        pass_turns(3);
        assert_false(rota_task_done(task)); /* nobody reads */
        rota_close(pair.stream);
        if (i % WRITERS == 2)
            assert_int_equal(rota_await(task), -ROTA_ECLOSING);
        assert_int_equal(expect_big(&pair), BIG);
        if (i % WRITERS != 2)
            assert_int_equal(rota_await(task), BIG);
        assert_int_equal(rota_wait_closed(pair.stream), 0);
        pair_close(&pair);
    }
    return 0;
}

static void every_write_arrives_whole_though_it_is_closed_over_every_kind(void)
{
    run(write_in_all_ways);
}

/* All of its bytes have been taken, or none. */
static intptr_t cancel_writers(void *arg)
{
    (void)arg;
    fill_big();
    for (int i = 0; i < KINDS * 2 * 4; i++) {
        struct writing writing = {.how = writers[i % 2]};
        struct pair pair;
        rota_task task;
        size_t sum;

        kinds[i / 8].open_writer(&pair);
        writing.stream = pair.stream;
        task = start(write_in_a_task, &writing);
        pass_turns(i / 2 % 4);
        assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), -ECANCELED);
        rota_close(pair.stream);
        sum = expect_big(&pair);
        assert_int_equal(sum, i / 2 % 4 == 0 ? 0 : BIG);
        pair_close(&pair);
    }
    return 0;
}

static void a_cancelled_write_is_whole_or_nothing_over_any_kind(void)
{
    run(cancel_writers);
}

static intptr_t write_to_nobody(void *arg)
{
    (void)arg;
    for (int i = 0; i < KINDS * WRITERS; i++) {
        struct writing writing = {.how = writers[i % WRITERS]};
        struct pair pair;
        rota_task task;
        intptr_t err;

        kinds[i / WRITERS].open_writer(&pair);
        writing.stream = pair.stream;
        task = start(write_in_a_task, &writing);
        pass_turns(3);
        close(pair.peer); /* a socket's with data unread: a reset */
        pair.peer = -1;
        err = rota_await(task);
        assert_true(err == -EPIPE || err == -ECONNRESET);
        assert_int_equal(rota_write(pair.stream, "x", 1), err);
        assert_int_equal(rota_write_nowait(pair.stream, "x", 1), err);
        assert_int_equal(rota_drain(pair.stream), err);
        rota_close(pair.stream);
        assert_int_equal(rota_wait_closed(pair.stream), err);
        pair_close(&pair);
    }
    return 0;
}

static void a_peer_that_goes_away_ends_every_write_without_a_signal(void)
{
    run(write_to_nobody);
}

/* --- Memory ------------------------------------------------------------- */

static intptr_t run_out_of_memory(void *arg)
{
    (void)arg;
    for (int i = 0; i < KINDS * READERS; i++) {
        const struct kind *kind = &kinds[i / READERS];

        for (long nth = 1; nth < 4; nth++) {
            struct reading reading = {
                .how = readers[i % READERS], .separator = "\n", .size = 3};
            struct pair pair;
            intptr_t n;

            kind->open_reader(&pair);
            reading.stream = pair.stream;
            kind_say(&pair, "ab\n");
            kind_end(kind, &pair);
            harness_fail_allocation(nth);
            n = reading.how(&reading);
            harness_fail_allocation(-1);
            if (n < 0)
                assert_int_equal(n, -ENOMEM);
            else
                assert_int_equal(n, 3);
            if (n < 0)
                expect_rest(&pair, "ab\n");
            pair_close(&pair);
        }
    }
    return 0;
}

static void a_read_without_memory_loses_nothing(void)
{
    run(run_out_of_memory);
}

HARNESS_MAIN(
    TEST(every_read_is_whole_over_every_kind),
    TEST(what_has_come_is_read_over_every_kind),
    TEST(a_cancelled_read_loses_nothing_over_any_kind),
    TEST(closing_wakes_every_reader_over_every_kind),
    TEST(every_write_arrives_whole_though_it_is_closed_over_every_kind),
    TEST(a_cancelled_write_is_whole_or_nothing_over_any_kind),
    TEST(a_peer_that_goes_away_ends_every_write_without_a_signal),
    TEST(a_read_without_memory_loses_nothing))
