/* SPDX-License-Identifier: MIT */
/*
 * Several pieces in one write
 */
#include "sockets.h"

static struct iovec part(const char *text)
{
    return (struct iovec){(void *)(uintptr_t)text, strlen(text)};
}

static intptr_t write_parts(void *arg)
{
    struct iovec parts[] = {part(""), part("ab"), part(""), part("c"),
                            part("")};
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_writelines(pair.stream, parts, 5), 3);
    assert_string_equal(bare_hear(pair.peer), "abc");
    assert_int_equal(rota_writelines(pair.stream, parts, 1), 0);
    assert_int_equal(rota_writelines(pair.stream, parts, 0), 0);
    assert_int_equal(rota_writelines(pair.stream, NULL, 0), 0);
    assert_string_equal(bare_hear(pair.peer), "");
    pair_close(&pair);
    return 0;
}

static void pieces_arrive_as_one_and_empty_ones_do_no_harm(void)
{
    run(write_parts);
}

static intptr_t refuse_parts(void *arg)
{
    struct iovec parts[] = {{NULL, SIZE_MAX / 2}, {NULL, SIZE_MAX / 2}};
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_writelines(pair.stream, parts, -1), -EINVAL);
    assert_int_equal(rota_writelines(pair.stream, parts, 2), -EINVAL);
    assert_int_equal(rota_write_eof(pair.stream), 0);
    parts[0] = part("abc");
    assert_int_equal(rota_writelines(pair.stream, parts, 1), -EPIPE);
    rota_close(pair.stream);
    assert_int_equal(rota_writelines(pair.stream, parts, 1), -ROTA_ECLOSING);
    pair_close(&pair);
    return 0;
}

static void what_cannot_be_written_says_why(void)
{
    run(refuse_parts);
}

/* --- More pieces than the system takes at once --------------------------- */

enum { PIECES = 5000 };

static void make_pieces(char *data, struct iovec *pieces, int count)
{
    char *at = data;

    for (int i = 0; i < count; i++) {
        size_t size = (size_t)(i * 7 % 13);

        memset(at, 'a' + i % 26, size);
        pieces[i] = (struct iovec){at, size};
        at += size;
    }
}

static intptr_t write_many(void *arg)
{
    static struct iovec pieces[PIECES];
    static char data[PIECES * 13];
    struct sink sink = {0};
    struct pair pair;
    intptr_t n;

    (void)arg;
    make_pieces(data, pieces, PIECES);
    pair_open(&pair);
    n = rota_writelines(pair.stream, pieces, PIECES);
    assert_true(n > 0);
    sink = (struct sink){.fd = pair.peer, .wanted = (size_t)n};
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(sink.size, n);
    assert_memory_equal(sink.data, data, sink.size);
    free(sink.data);
    pair_close(&pair);
    return 0;
}

static void thousands_of_pieces_arrive_in_their_order(void)
{
    run(write_many);
}

/* --- All or none --------------------------------------------------------- */

enum { BIG = 1 << 20 };
static char big[BIG];

struct lines {
    rota_stream *stream;
    size_t cuts[3]; /* where the pieces of `big` end, beside the last */
};

static intptr_t write_big(void *arg)
{
    const struct lines *lines = arg;
    struct iovec parts[4];
    size_t from = 0;

    for (int i = 0; i < 4; i++) {
        size_t to = i < 3 ? lines->cuts[i] : BIG;

        parts[i] = (struct iovec){big + from, to - from};
        from = to;
    }
    return rota_writelines(lines->stream, parts, 4);
}

static size_t expect_big(const struct pair *pair, size_t from)
{
    struct sink sink = {.fd = pair->peer, .wanted = SIZE_MAX};
    size_t size;

    assert_int_equal(sink_run(&sink), 0);
    size = sink.size - from;
    assert_true(size <= BIG);
    assert_memory_equal(sink.data + from, big, size);
    free(sink.data);
    return size;
}

static void fill_big(void)
{
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 251);
}

static const size_t cuts[][3] = {
    {1, 2, 3},
    {65535, 65536, 65537},
    {BIG / 4, BIG / 2, BIG - 1},
    {0, 0, BIG},
};
enum { CUTS = sizeof cuts / sizeof cuts[0] };

static intptr_t write_slowly(void *arg)
{
    (void)arg;
    fill_big();
    for (int i = 0; i < CUTS * 4; i++) {
        struct lines lines = {0};
        struct pair pair;
        rota_task task;
        int turns = i % 4;

        pair_open_narrow(&pair);
        memcpy(lines.cuts, cuts[i / 4], sizeof lines.cuts);
        lines.stream = pair.stream;
        task = start(write_big, &lines);
        pass_turns(turns);
        assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), -ECANCELED);
        rota_close(pair.stream);
        assert_int_equal(expect_big(&pair, 0), turns == 0 ? 0 : BIG);
        pair_close(&pair);
    }
    return 0;
}

static void a_cancelled_one_has_taken_all_of_its_pieces_or_none(void)
{
    run(write_slowly);
}

/* The system takes nothing; the pieces wait for their turn. */
static intptr_t cancel_before(void *arg)
{
    struct lines lines = {.cuts = {1, 2, 3}};
    struct pair pair;
    rota_task task;
    size_t filled;

    (void)arg;
    fill_big();
    pair_open_narrow(&pair);
    filled = pair_fill(&pair, 'x');
    lines.stream = pair.stream;
    task = start(write_big, &lines);
    pass_turns(3);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_close(pair.stream);
    assert_int_equal(expect_big(&pair, filled), 0);
    pair_close(&pair);
    return 0;
}

static void one_that_was_cancelled_before_its_first_byte_has_taken_none(void)
{
    run(cancel_before);
}

/* What can be kept is kept, as rota_write() does, and the task goes on. */
static intptr_t keep_small_ones(void *arg)
{
    struct iovec parts[] = {part("abc"), part("def")};
    struct pair pair;
    size_t before;

    (void)arg;
    pair_open_narrow(&pair);
    (void)pair_fill(&pair, 'x');
    before = rota_stream_write_buffer_size(pair.stream);
    assert_int_equal(rota_writelines(pair.stream, parts, 2), 6);
    assert_int_equal(rota_stream_write_buffer_size(pair.stream), before + 6);
    pair_close(&pair);
    return 0;
}

static void below_the_high_mark_it_does_not_wait(void)
{
    run(keep_small_ones);
}

static intptr_t write_without_memory(void *arg)
{
    static char block[20000];
    struct iovec parts[] = {{block, 100}, {block, 20000}, {block, 20000}};
    struct pair pair;
    size_t before;
    intptr_t n = -ENOMEM;

    (void)arg;
    pair_open_narrow(&pair);
    (void)pair_fill(&pair, 'x');
    before = rota_stream_write_buffer_size(pair.stream);
    for (long nth = 1; n == -ENOMEM; nth++) {
        harness_fail_allocation(nth);
        n = rota_writelines(pair.stream, parts, 3);
        harness_fail_allocation(-1);
        if (n < 0)
            assert_int_equal(rota_stream_write_buffer_size(pair.stream),
                             before);
    }
    assert_int_equal(n, 40100);
    assert_int_equal(rota_stream_write_buffer_size(pair.stream),
                     before + 40100);
    pair_close(&pair);
    return 0;
}

static void without_memory_none_is_taken_and_the_stream_goes_on(void)
{
    run(write_without_memory);
}

HARNESS_MAIN(TEST(pieces_arrive_as_one_and_empty_ones_do_no_harm),
             TEST(what_cannot_be_written_says_why),
             TEST(thousands_of_pieces_arrive_in_their_order),
             TEST(a_cancelled_one_has_taken_all_of_its_pieces_or_none),
             TEST(one_that_was_cancelled_before_its_first_byte_has_taken_none),
             TEST(below_the_high_mark_it_does_not_wait),
             TEST(without_memory_none_is_taken_and_the_stream_goes_on))
