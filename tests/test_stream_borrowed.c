/* SPDX-License-Identifier: MIT */
/*
 * Reads that borrow the loop's memory, and writes of what was borrowed
 */
#include "kinds.h"

/* --- What is lent -------------------------------------------------------- */

static intptr_t borrow(void *arg)
{
    const void *data;
    struct pair pair;
    char buf[8];

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abc");
    assert_int_equal(rota_read_borrowed(pair.stream, &data), 3);
    assert_memory_equal(data, "abc", 3);
    bare_say(pair.peer, "line\nrest");
    assert_int_equal(rota_read_line(pair.stream, buf, sizeof buf), 5);
    assert_int_equal(rota_read_borrowed(pair.stream, &data), 4);
    assert_memory_equal(data, "rest", 4);
    shutdown(pair.peer, SHUT_WR);
    assert_int_equal(rota_read_borrowed(pair.stream, &data), 0);
    assert_true(rota_at_eof(pair.stream));
    pair_close(&pair);
    return 0;
}

static void what_has_come_is_lent_without_a_buffer(void)
{
    run(borrow);
}

static intptr_t borrow_without_memory(void *arg)
{
    const void *data;
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    bare_say(pair.peer, "abc");
    harness_fail_allocation(1);
    assert_int_equal(rota_read_borrowed(pair.stream, &data), -ENOMEM);
    harness_fail_allocation(-1);
    assert_int_equal(rota_read_borrowed(pair.stream, &data), 3);
    assert_memory_equal(data, "abc", 3);
    pair_close(&pair);
    return 0;
}

static void without_memory_to_lend_nothing_is_lost(void)
{
    run(borrow_without_memory);
}

static intptr_t borrow_in_a_task(void *arg)
{
    const void *data;

    return rota_read_borrowed(arg, &data);
}

static intptr_t borrow_twice(void *arg)
{
    const void *data;
    struct pair pair;
    rota_task task;

    (void)arg;
    pair_open(&pair);
    task = start(borrow_in_a_task, pair.stream);
    pass_turns(2);
    assert_int_equal(rota_read_borrowed(pair.stream, &data), -EBUSY);
    rota_close(pair.stream);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    assert_int_equal(rota_read_borrowed(pair.stream, &data), -ROTA_ECLOSING);
    pair_close(&pair);
    return 0;
}

static void it_is_a_read_like_the_others(void)
{
    run(borrow_twice);
}

/* --- Echoes -------------------------------------------------------------- */

/* Sends back, in one of the ways to write. */
struct echo {
    rota_stream *from;
    rota_stream *to;
    size_t pieces; /* 0: rota_write(); else so many to rota_writelines() */
    const char *header;
};

static intptr_t write_borrowed(const struct echo *echo, const char *data,
                               size_t size)
{
    struct iovec parts[8];
    size_t count = 0;
    size_t each = echo->pieces ? size / echo->pieces : 0;

    if (echo->pieces == 0)
        return rota_write(echo->to, data, size);
    if (echo->header)
        parts[count++] = (struct iovec){(void *)(uintptr_t)echo->header,
                                        strlen(echo->header)};
    for (size_t i = 0; i < echo->pieces; i++)
        parts[count++] = (struct iovec){
            (void *)(uintptr_t)(data + i * each),
            i + 1 < echo->pieces ? each : size - i * each,
        };
    return rota_writelines(echo->to, parts, (int)count);
}

static intptr_t echo_borrowed(void *arg)
{
    const struct echo *echo = arg;
    const void *data;
    intptr_t n;

    while ((n = rota_read_borrowed(echo->from, &data)) > 0)
        if ((n = write_borrowed(echo, data, (size_t)n)) < 0)
            break;
    return n;
}

/* The byte at a place of the n-th flood. */
static char byte_of(size_t n, size_t at)
{
    return (char)(n * 31 + at * 7 + at / 251);
}

/* Sends and receives by the bare end, which is slow to take. */
struct flood {
    struct pair pair;
    size_t number;
    size_t size;
    size_t sent;
    size_t heard;
    size_t room; /* the most that it takes in a turn */
};

static void flood_send(struct flood *flood)
{
    static char piece[65536];
    size_t size = flood->size - flood->sent;
    ssize_t n;

    size = size < sizeof piece ? size : sizeof piece;
    for (size_t i = 0; i < size; i++)
        piece[i] = byte_of(flood->number, flood->sent + i);
    n = send(flood->pair.peer, piece, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        flood->sent += (size_t)n;
    if (flood->sent == flood->size && size > 0)
        shutdown(flood->pair.peer, SHUT_WR);
}

static void flood_hear(struct flood *flood)
{
    static char piece[65536];
    ssize_t n = recv(flood->pair.peer, piece, flood->room, MSG_DONTWAIT);

    for (ssize_t i = 0; i < n; i++, flood->heard++)
        if (piece[i] != byte_of(flood->number, flood->heard))
            fail_msg("byte %zu of %zu is wrong", flood->heard, flood->number);
}

/* To the end of all; the most that was queued in between. */
static size_t run_floods(struct flood *floods, int count)
{
    size_t most = 0;
    bool over;

    do {
        over = true;
        for (int i = 0; i < count; i++) {
            size_t queued =
                rota_stream_write_buffer_size(floods[i].pair.stream);

            most = queued > most ? queued : most;
            flood_send(&floods[i]);
            flood_hear(&floods[i]);
            over &= floods[i].heard == floods[i].size;
        }
        assert_int_equal(rota_sleep(0), 0);
    } while (!over);
    return most;
}

enum { ECHOES = 3 };

static void echo_at_once(size_t pieces, size_t size)
{
    struct flood floods[ECHOES] = {0};
    struct echo echoes[ECHOES] = {0};
    rota_task tasks[ECHOES];

    for (int i = 0; i < ECHOES; i++) {
        floods[i].number = (size_t)i;
        floods[i].size = size;
        floods[i].room = (size_t)(1000 + 20000 * i);
        pair_open_narrow(&floods[i].pair);
        echoes[i] = (struct echo){floods[i].pair.stream, floods[i].pair.stream,
                                  pieces, NULL};
        tasks[i] = start(echo_borrowed, &echoes[i]);
    }
    assert_true(run_floods(floods, ECHOES) <= 2 * 65536);
    for (int i = 0; i < ECHOES; i++) {
        assert_int_equal(rota_await(tasks[i]), 0);
        pair_close(&floods[i].pair);
    }
}

static intptr_t echo_to_all(void *arg)
{
    (void)arg;
    echo_at_once(0, 2 << 20);
    echo_at_once(1, 1 << 20);
    echo_at_once(4, 1 << 20);
    return 0;
}

static void echoes_at_the_same_time_mix_nothing_and_bound_their_memory(void)
{
    run(echo_to_all);
}

static intptr_t echo_64_mib(void *arg)
{
    struct flood flood = {.size = 64 << 20, .room = 65536};
    struct echo echo = {0};
    long allocations;
    rota_task task;

    (void)arg;
    pair_open_narrow(&flood.pair);
    echo.from = echo.to = flood.pair.stream;
    task = start(echo_borrowed, &echo);
    allocations = harness_live_blocks();
    assert_true(run_floods(&flood, 1) <= 2 * 65536);
    assert_true(harness_live_blocks() <= allocations + 3);
    assert_int_equal(rota_await(task), 0);
    pair_close(&flood.pair);
    return 0;
}

static void sixty_four_mebibytes_pass_through_a_slow_peer(void)
{
    run(echo_64_mib);
}

/* --- Several writers ----------------------------------------------------- */

enum { SOURCES = 4, EACH = 600000 };

/* Each reads its own stream and writes to the one that all share. */
struct source {
    struct pair pair;
    struct echo echo;
    size_t number;
    size_t heard;
    bool framed; /* each write behind a head, in so many pieces */
};

struct head {
    size_t number;
    size_t size;
};

static char byte_from(const struct source *source, size_t at)
{
    return source->framed ? byte_of(source->number, at)
                          : (char)('a' + source->number);
}

static intptr_t write_framed(const struct source *source, const char *data,
                             size_t size)
{
    struct head head = {source->number, size};
    struct iovec parts[] = {
        {&head, sizeof head},
        {(void *)(uintptr_t)data, size / 2},
        {(void *)(uintptr_t)(data + size / 2), size - size / 2},
    };

    return rota_writelines(source->echo.to, parts, 3);
}

static intptr_t copy_to_target(void *arg)
{
    const struct source *source = arg;
    const void *data;
    intptr_t n;

    while ((n = rota_read_borrowed(source->pair.stream, &data)) > 0) {
        n = source->framed ? write_framed(source, data, (size_t)n)
                           : rota_write(source->echo.to, data, (size_t)n);
        if (n < 0)
            return n;
    }
    return n;
}

static intptr_t feed(void *arg)
{
    const struct source *source = arg;
    char piece[5000];
    size_t sent = 0;

    while (sent < EACH) {
        ssize_t n;

        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = byte_from(source, sent + i);
        n = send(source->pair.peer, piece, sizeof piece, MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    }
    shutdown(source->pair.peer, SHUT_WR);
    return 0;
}

static void expect_framed(const struct sink *sink, struct source *sources)
{
    for (size_t at = 0; at < sink->size;) {
        struct source *source;
        struct head head;

        memcpy(&head, sink->data + at, sizeof head);
        at += sizeof head;
        assert_in_range(head.number, 0, SOURCES - 1);
        source = &sources[head.number];
        for (size_t i = 0; i < head.size; i++, at++, source->heard++)
            if (sink->data[at] != byte_from(source, source->heard))
                fail_msg("byte %zu is wrong", source->heard);
    }
}

static void expect_letters(const struct sink *sink, struct source *sources)
{
    for (size_t at = 0; at < sink->size; at++) {
        assert_in_range(sink->data[at], 'a', 'a' + SOURCES - 1);
        sources[sink->data[at] - 'a'].heard++;
    }
}

static void copy_to_one(bool framed)
{
    struct sink sink = {.wanted = SIZE_MAX};
    struct source sources[SOURCES] = {0};
    rota_task tasks[2 * SOURCES];
    struct pair target;
    rota_task sunk;

    pair_open_narrow(&target);
    for (size_t i = 0; i < SOURCES; i++) {
        pair_open_socketpair(&sources[i].pair);
        sources[i].number = i;
        sources[i].framed = framed;
        sources[i].echo.to = target.stream;
        tasks[2 * i] = start(copy_to_target, &sources[i]);
        tasks[2 * i + 1] = start(feed, &sources[i]);
    }
    pass_turns(50); /* the writers queue up */
    sink.fd = target.peer;
    sunk = start(sink_run, &sink);
    for (int i = 0; i < 2 * SOURCES; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    rota_close(target.stream);
    assert_int_equal(rota_await(sunk), 0);
    (framed ? expect_framed : expect_letters)(&sink, sources);
    free(sink.data);
    for (int i = 0; i < SOURCES; i++) {
        assert_int_equal(sources[i].heard, EACH);
        pair_close(&sources[i].pair);
    }
    pair_close(&target);
}

static intptr_t copy_all_to_one(void *arg)
{
    (void)arg;
    copy_to_one(false);
    copy_to_one(true);
    return 0;
}

static void several_writers_of_borrowed_data_mix_nothing(void)
{
    run(copy_all_to_one);
}

/* --- Behind a header ------------------------------------------------------ */

/* A writer holds the stream; a header and what was lent wait behind it. */
static intptr_t wait_behind_a_writer(void *arg)
{
    static char big[1 << 20];
    struct sink sink = {.wanted = SIZE_MAX};
    struct pair source;
    struct pair other;
    struct pair target;
    struct echo echo = {.pieces = 2, .header = "##"};
    const void *data;
    rota_task task;
    rota_task writer;

    (void)arg;
    pair_open_narrow(&target);
    pair_open_socketpair(&source);
    pair_open_socketpair(&other);
    memset(big, 'B', sizeof big);
    assert_int_equal(rota_write_nowait(target.stream, big, sizeof big), 0);
    echo.from = source.stream;
    echo.to = target.stream;
    task = start(echo_borrowed, &echo);
    kind_say(&source, "lent data");
    shutdown(source.peer, SHUT_WR);
    pass_turns(3);
    assert_false(rota_task_done(task));
    kind_say(&other, "something else that overwrites it");
    assert_true(rota_read_borrowed(other.stream, &data) > 0);
    sink.fd = target.peer;
    writer = start(sink_run, &sink);
    assert_int_equal(rota_await(task), 0);
    rota_close(target.stream);
    assert_int_equal(rota_await(writer), 0);
    assert_int_equal(sink.size, sizeof big + 11);
    assert_memory_equal(sink.data + sizeof big, "##lent data", 11);
    free(sink.data);
    pair_close(&source);
    pair_close(&other);
    pair_close(&target);
    return 0;
}

static void what_was_lent_waits_as_a_copy_also_behind_a_header(void)
{
    run(wait_behind_a_writer);
}

/* The same, of which the system takes a part before it waits. */
static intptr_t begin_and_wait(void *arg)
{
    static char big[1 << 20];
    struct iovec parts[2] = {{big, sizeof big}, {NULL, 0}};
    struct sink sink = {.wanted = sizeof big + 9};
    struct pair source;
    struct pair target;
    const void *data;
    intptr_t n;

    (void)arg;
    memset(big, 'B', sizeof big);
    pair_open_narrow(&target);
    pair_open_socketpair(&source);
    kind_say(&source, "lent data");
    n = rota_read_borrowed(source.stream, &data);
    assert_int_equal(n, 9);
    parts[1] = (struct iovec){(void *)(uintptr_t)data, 9};
    assert_int_equal(rota_writelines(target.stream, parts, 2), sizeof big + 9);
    kind_say(&source, "overwrite");
    assert_int_equal(rota_read_borrowed(source.stream, &data), 9);
    sink.fd = target.peer;
    assert_int_equal(sink_run(&sink), 0);
    assert_memory_equal(sink.data + sizeof big, "lent data", 9);
    free(sink.data);
    pair_close(&source);
    pair_close(&target);
    return 0;
}

static void what_was_lent_is_copied_when_only_a_part_is_taken(void)
{
    run(begin_and_wait);
}

/* --- What may happen to a copy that waits --------------------------------- */

static void start_waiting(struct pair *target, struct pair *source,
                          struct echo *echo, rota_task *task)
{
    static char big[1 << 20];

    pair_open_narrow(target);
    pair_open_socketpair(source);
    memset(big, 'B', sizeof big);
    assert_int_equal(rota_write_nowait(target->stream, big, sizeof big), 0);
    *echo = (struct echo){source->stream, target->stream, 0, NULL};
    *task = start(echo_borrowed, echo);
    kind_say(source, "lent data");
    pass_turns(3);
    assert_false(rota_task_done(*task));
}

static intptr_t cancel_copies(void *arg)
{
    struct sink sink = {.wanted = SIZE_MAX};
    struct pair source;
    struct pair target;
    struct echo echo;
    rota_task task;

    (void)arg;
    start_waiting(&target, &source, &echo, &task);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    rota_close(target.stream);
    sink.fd = target.peer;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(sink.size, 1 << 20); /* none of what was lent */
    free(sink.data);
    pair_close(&source);
    pair_close(&target);
    start_waiting(&target, &source, &echo, &task);
    rota_abort(target.stream);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    pair_close(&source);
    pair_close(&target);
    return 0;
}

static void a_copy_that_waits_can_be_cancelled_and_aborted(void)
{
    run(cancel_copies);
}

static struct pair left[2];
static struct echo left_echo;

static intptr_t leave_a_copy(void *arg)
{
    rota_task task;

    (void)arg;
    start_waiting(&left[0], &left[1], &left_echo, &task);
    return 0;
}

static void a_copy_that_waits_ends_with_the_loop(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, leave_a_copy, NULL), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    rota_loop_free(loop);
    pair_close(&left[0]);
    pair_close(&left[1]);
}

HARNESS_MAIN(TEST(what_has_come_is_lent_without_a_buffer),
             TEST(without_memory_to_lend_nothing_is_lost),
             TEST(it_is_a_read_like_the_others),
             TEST(echoes_at_the_same_time_mix_nothing_and_bound_their_memory),
             TEST_TIMEOUT(sixty_four_mebibytes_pass_through_a_slow_peer, 60),
             TEST(several_writers_of_borrowed_data_mix_nothing),
             TEST(what_was_lent_waits_as_a_copy_also_behind_a_header),
             TEST(what_was_lent_is_copied_when_only_a_part_is_taken),
             TEST(a_copy_that_waits_can_be_cancelled_and_aborted),
             TEST(a_copy_that_waits_ends_with_the_loop))
