/* SPDX-License-Identifier: MIT */
/*
 * Reading up to one of several separators: the match that ends first counts
 */
#include "readings.h"

/* --- Which one ----------------------------------------------------------- */

/* What CPython 3.13 gives for the same; NULL: nothing before the end. */
struct match {
    const char *text;
    const char *separators[4];
    const char *gives;
};

static const struct match matches[] = {
    {"a\nb", {"\n", "\r\n"}, "a\n"},
    {"a\r\nb", {"\n", "\r\n"}, "a\r\n"},
    {"a\r\nb", {"\r\n", "\n"}, "a\r\n"},
    {"a\r\nb", {"\r", "\r\n"}, "a\r"},
    {"a\r\nb", {"\r\n", "\r"}, "a\r"},
    {"aXbYc", {"Y", "X"}, "aX"},
    {"AAABBBCCC", {"AAABBB", "BBB", "AB"}, "AAAB"},
    {"AAABBBCCC", {"CCC", "BBBC"}, "AAABBBC"},
    {"ABCDEFG", {"BCDEF", "DE", "F"}, "ABCDE"},
    {"ABCDEFG", {"XY", "G"}, "ABCDEFG"},
    {"some dataSEPARATOR", {"SEPARATOR", "sep", "SEP"}, "some dataSEP"},
    {"ab", {"abc", "bcd"}, NULL},
};
enum { MATCHES = sizeof matches / sizeof matches[0] };

static int separators_of(const struct match *match, rota_separator *out)
{
    int count = 0;

    for (; count < 4 && match->separators[count]; count++)
        out[count] = (rota_separator){match->separators[count],
                                      strlen(match->separators[count])};
    return count;
}

struct any {
    rota_stream *stream;
    const struct match *match;
    char buf[64];
};

static intptr_t read_any(void *arg)
{
    struct any *any = arg;
    rota_separator separators[4];
    int count = separators_of(any->match, separators);

    return rota_read_until_any(any->stream, separators, count, any->buf,
                               sizeof any->buf);
}

/* Where a part of the text decides already, the rest does not matter. */
static void match_split(const struct match *match, size_t at)
{
    size_t size = match->gives ? strlen(match->gives) : 0;
    struct any any = {.match = match};
    struct pair pair;
    rota_task task;

    pair_open(&pair);
    any.stream = pair.stream;
    task = start(read_any, &any);
    bare_send(pair.peer, match->text, at);
    pass_turns(3);
    assert_int_equal(rota_task_done(task), size > 0 && at >= size);
    bare_say(pair.peer, match->text + at);
    shutdown(pair.peer, SHUT_WR);
    if (match->gives) {
        assert_int_equal(rota_await(task), size);
        assert_memory_equal(any.buf, match->gives, size);
    } else {
        assert_int_equal(rota_await(task), -ROTA_EINCOMPLETE);
    }
    assert_int_equal(rota_read_all(pair.stream, any.buf, sizeof any.buf),
                     strlen(match->text + size));
    assert_memory_equal(any.buf, match->text + size,
                        strlen(match->text + size));
    pair_close(&pair);
}

static intptr_t match_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < MATCHES; i++)
        for (size_t at = 0; at <= strlen(matches[i].text); at++)
            match_split(&matches[i], at);
    return 0;
}

static void the_match_that_ends_first_counts_wherever_the_bytes_are_split(void)
{
    run(match_all);
}

/* --- Limits and errors --------------------------------------------------- */

static const rota_separator line_ends[] = {{"\n", 1}, {"\r\n", 2}};

static intptr_t refuse(void *arg)
{
    const rota_separator empty[] = {{"\n", 1}, {"", 0}};
    struct pair pair;
    char buf[8];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "a\n");
    assert_int_equal(rota_read_until_any(pair.stream, empty, 2, buf, 8),
                     -EINVAL);
    assert_int_equal(rota_read_until_any(pair.stream, line_ends, 0, buf, 8),
                     -EINVAL);
    assert_int_equal(rota_read_until_any(pair.stream, line_ends, -1, buf, 8),
                     -EINVAL);
    expect_read(pair.stream, "a\n");
    pair_close(&pair);
    return 0;
}

static void no_separator_or_an_empty_one_is_refused(void)
{
    run(refuse);
}

static intptr_t exceed(void *arg)
{
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_stream_set_limit(pair.stream, 6), 0);
    bare_say(pair.peer, "12345\n1234\r\n123456\n");
    assert_int_equal(rota_read_until_any(pair.stream, line_ends, 2, buf, 16),
                     6);
    assert_int_equal(rota_read_until_any(pair.stream, line_ends, 2, buf, 16),
                     6);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            rota_read_until_any(pair.stream, line_ends, 2, buf, 16),
            -ROTA_ELIMIT);
    assert_int_equal(rota_stream_set_limit(pair.stream, 7), 0);
    assert_int_equal(rota_read_until_any(pair.stream, line_ends, 2, buf, 6),
                     -ROTA_ELIMIT);
    assert_int_equal(rota_read_until_any(pair.stream, line_ends, 2, buf, 7), 7);
    pair_close(&pair);
    return 0;
}

static void the_limit_counts_what_is_given_with_its_separator(void)
{
    run(exceed);
}

/* Whatever comes next, a match would be beyond the limit. */
static intptr_t fill_the_limit(void *arg)
{
    const rota_separator ends[] = {{"abcdefgh", 8}, {"\r\n", 2}};
    struct pair pair;
    char buf[16];

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_stream_set_limit(pair.stream, 6), 0);
    bare_say(pair.peer, "12345\r");
    assert_int_equal(rota_read_until_any(pair.stream, ends, 2, buf, 16),
                     -ROTA_ELIMIT);
    assert_int_equal(rota_read_until(pair.stream, "\r\n", 2, buf, 16),
                     -ROTA_ELIMIT);
    expect_read(pair.stream, "12345\r");
    pair_close(&pair);
    return 0;
}

static void what_cannot_match_within_the_limit_is_not_waited_for(void)
{
    run(fill_the_limit);
}

/* --- The same as a plain search ------------------------------------------ */

/* The size of the shortest beginning that ends with a separator, or 0. */
static size_t plainly(const char *text, size_t size,
                      const rota_separator *separators, int count)
{
    for (size_t end = 1; end <= size; end++)
        for (int i = 0; i < count; i++)
            if (separators[i].size <= end &&
                memcmp(text + end - separators[i].size, separators[i].data,
                       separators[i].size) == 0)
                return end;
    return 0;
}

enum { TEXT = 40 };

static void search_at_random(struct pair *pair)
{
    rota_separator separators[3];
    char store[3][5];
    char text[TEXT];
    char buf[TEXT];
    size_t at = 0;
    size_t size;

    for (int i = 0; i < TEXT; i++)
        text[i] = (char)('a' + rand() % 2);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 5; j++)
            store[i][j] = (char)('a' + rand() % 2);
        separators[i] =
            (rota_separator){store[i], 1 + (size_t)rand() % sizeof *store};
    }
    bare_send(pair->peer, text, TEXT);
    while ((size = plainly(text + at, TEXT - at, separators, 3)) > 0) {
        assert_int_equal(
            rota_read_until_any(pair->stream, separators, 3, buf, TEXT), size);
        assert_memory_equal(buf, text + at, size);
        at += size;
    }
    if (at < TEXT)
        assert_int_equal(rota_read_exactly(pair->stream, buf, TEXT - at),
                         TEXT - at);
}

static intptr_t search_many(void *arg)
{
    struct pair pair;

    (void)arg;
    srand(1);
    pair_open(&pair);
    for (int i = 0; i < 1000; i++)
        search_at_random(&pair);
    pair_close(&pair);
    return 0;
}

static void a_thousand_random_texts_match_as_a_plain_search_does(void)
{
    run(search_many);
}

HARNESS_MAIN(
    TEST(the_match_that_ends_first_counts_wherever_the_bytes_are_split),
    TEST(no_separator_or_an_empty_one_is_refused),
    TEST(the_limit_counts_what_is_given_with_its_separator),
    TEST(what_cannot_match_within_the_limit_is_not_waited_for),
    TEST(a_thousand_random_texts_match_as_a_plain_search_does))
