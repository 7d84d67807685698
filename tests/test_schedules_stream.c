/* SPDX-License-Identifier: MIT */
/*
 * A stream under all schedules
 *
 * Several tasks write messages to one end of a slow wire, in every way to
 * write; one reads at the other end, in every way to read, and when it goes
 * another takes its place; somebody may close either end. What is heard must
 * be whole messages, none of them torn, doubled or mixed: those whose write
 * gave its size all of them, and of the others all of it or nothing. Only what
 * is cut off by an abort may end in the middle, and nothing follows it.
 */
#define _GNU_SOURCE
#include "schedules.h"
#include "wires.h"

#include <stdlib.h>

enum { WRITERS = 3, EACH = 3, MESSAGES = WRITERS * EACH, MOST = 300 };

static struct {
    rota_stream *ends[2];
    bool open;
    char heard[MESSAGES * MOST];
    size_t size;
    bool said[MESSAGES]; /* its write gave its size */
    bool closed;         /* by whom writes */
    bool cut;            /* something may be lost */
    bool hearing;
    bool over; /* the end was read, or an error */
    int closers;
    int patience;
    long seen;
} talk;

static size_t size_of(int message)
{
    return 5 + (size_t)(message * 97 % (MOST - 10));
}

static bool goes_on(intptr_t n)
{
    return n >= 0 || n == -ETIMEDOUT || n == -EBUSY;
}

/* Who is told that the stream is closed, or that its peer is, goes home. */
static intptr_t go_home(intptr_t n)
{
    if (n == -ROTA_ECLOSING || n == -EPIPE || n == -ECONNRESET) {
        CHECK(talk.closed || talk.cut);
        return 0;
    }
    return n >= 0 || n == -EBUSY ? 0 : schedules_outcome(n);
}

/* --- Writers ------------------------------------------------------------- */

static intptr_t say_now(rota_stream *stream, int message, const char *data,
                        size_t size)
{
    int err = rota_write_nowait(stream, data, size);

    if (err < 0)
        return err;
    talk.said[message] = true;
    return AWAIT(rota_drain(stream));
}

static intptr_t say(int message)
{
    rota_stream *stream = talk.ends[0];
    size_t size = size_of(message);
    struct iovec parts[3];
    char data[MOST];
    intptr_t n;

    memset(data, 'a' + message, size);
    if (message % 3 == 2)
        return say_now(stream, message, data, size);
    parts[0] = (struct iovec){data, 1};
    parts[1] = (struct iovec){data + 1, size / 2};
    parts[2] = (struct iovec){data + 1 + size / 2, size - 1 - size / 2};
    if (message % 3 == 1)
        n = AWAIT(rota_writelines(stream, parts, 3));
    else
        n = AWAIT(rota_write(stream, data, size));
    memset(data, '?', sizeof data); /* it is ours again */
    CHECK(n < 0 || n == (intptr_t)size);
    talk.said[message] = n >= 0;
    return n;
}

static intptr_t say_all(void *arg)
{
    int first = (int)(intptr_t)arg;
    intptr_t n = 0;

    for (int i = 0; goes_on(n) && i < EACH; i++)
        n = say(i * WRITERS + (first + i) % WRITERS);
    return go_home(n);
}

/* --- Readers ------------------------------------------------------------- */

static void keep(const char *data, intptr_t n)
{
    CHECK(talk.size + (size_t)n <= sizeof talk.heard);
    if (talk.size + (size_t)n > sizeof talk.heard)
        return;
    memcpy(talk.heard + talk.size, data, (size_t)n);
    talk.size += (size_t)n;
}

static intptr_t hear_some(rota_stream *stream)
{
    const rota_separator ends[] = {{"bb", 2}, {"c", 1}};
    const void *data;
    char buf[80];
    intptr_t n;

    data = buf;
    switch (schedules_pick(4)) {
    case 0:
        n = AWAIT(rota_read(stream, buf, sizeof buf));
        break;
    case 1:
        n = AWAIT(rota_read_borrowed(stream, &data));
        break;
    case 2:
        n = AWAIT(rota_read_exactly(stream, buf, 30));
        break;
    default:
        n = AWAIT(rota_read_until_any(stream, ends, 2, buf, sizeof buf));
    }
    if (n == -ROTA_EINCOMPLETE || n == -ROTA_ELIMIT) {
        data = buf;
        n = AWAIT(rota_read(stream, buf, sizeof buf));
    }
    if (n > 0)
        keep(data, n);
    return n;
}

static intptr_t hear(void *arg)
{
    intptr_t n;

    (void)arg;
    talk.hearing = true;
    do
        n = hear_some(talk.ends[1]);
    while (n > 0 || n == -ETIMEDOUT);
    talk.hearing = false;
    talk.over |= n != -ECANCELED;
    return go_home(n);
}

/* --- Closers ------------------------------------------------------------- */

static intptr_t close_early(void *arg)
{
    static void (*const ways[])(rota_stream *) = {rota_close, rota_abort};
    intptr_t err = AWAIT(rota_sleep(0.01 * schedules_pick(60)));
    int end = (int)(intptr_t)arg;
    unsigned way = schedules_pick(2);

    if (err < 0)
        return schedules_outcome(err);
    talk.closed |= end == 0;
    talk.cut |= end == 1 || way == 1;
    ways[way](talk.ends[end]);
    return go_home(AWAIT(rota_wait_closed(talk.ends[end])));
}

/* --- The scenarios ------------------------------------------------------- */

static intptr_t open_all(void *arg)
{
    int closers = talk.closers;

    (void)arg;
    wire_open(0, talk.ends);
    talk.open = true;
    if (rota_stream_set_write_buffer_limits(talk.ends[0], 120, 30) < 0)
        abort();
    schedules_start(hear, NULL);
    for (intptr_t i = 0; i < WRITERS; i++)
        schedules_start(say_all, (void *)i);
    for (intptr_t i = 0; i < 2; i++)
        if (closers & 1 << i)
            schedules_start(close_early, (void *)i);
    return 0;
}

static void begin_with(int closers)
{
    memset(&talk, 0, sizeof talk);
    wire_begin(schedules_pick(1000000));
    talk.closers = closers;
    schedules_start(open_all, NULL);
}

/* The next reader; or the close, when all is said. */
static bool go_on(void)
{
    if (talk.seen != wire_calls)
        talk.patience = 0;
    talk.seen = wire_calls;
    if (talk.patience++ < 3) /* the poller may have news */
        return true;
    talk.patience = 0;
    if (!talk.open || talk.over)
        return false;
    if (!talk.hearing) {
        schedules_start(hear, NULL);
        return true;
    }
    if (talk.closed)
        return false;
    talk.closed = true;
    rota_close(talk.ends[0]);
    return true;
}

/* Whole messages, each at most once; the last may be cut off. */
static void check_heard(void)
{
    bool heard[MESSAGES] = {false};
    size_t at = 0;

    while (at < talk.size) {
        int message = talk.heard[at] - 'a';
        size_t from = at;

        CHECK(message >= 0 && message < MESSAGES);
        if (message < 0 || message >= MESSAGES)
            return;
        while (at < talk.size && talk.heard[at] == talk.heard[from])
            at++;
        CHECK(!heard[message]);
        CHECK(at - from == size_of(message) ||
              (at == talk.size && (talk.cut || !talk.over)));
        heard[message] = true;
    }
    for (int i = 0; i < MESSAGES && talk.over && !talk.cut; i++)
        CHECK(heard[i] || !talk.said[i]);
}

static void end(void)
{
    wire_stalled = true;
    if (!talk.open)
        return;
    check_heard();
    rota_stream_free(talk.ends[0]);
    rota_stream_free(talk.ends[1]);
}

static void end_undisturbed(void)
{
    for (int i = 0; i < MESSAGES && !schedules_disturbed(); i++)
        CHECK(talk.said[i] || i % 3 == 2);
    CHECK(talk.over || schedules_disturbed());
    end();
}

static void begin_to_talk(rota_loop *loop)
{
    (void)loop;
    begin_with(0);
}

static void begin_and_close_writers(rota_loop *loop)
{
    (void)loop;
    begin_with(1);
}

static void begin_and_close_reader(rota_loop *loop)
{
    (void)loop;
    begin_with(2);
}

static void begin_and_close_both(rota_loop *loop)
{
    (void)loop;
    begin_with(3);
}

/* Wires are in the simulation only. */
static void hold(const schedules_scenario *scenario)
{
    unsetenv("ROTA_POLLER");
    schedules_hold(scenario);
}

static void writers_and_readers_lose_and_mix_nothing(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_to_talk, .idle = go_on, .end = end_undisturbed};

    hold(&scenario);
}

static void a_close_under_writers_tears_no_message(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_and_close_writers, .idle = go_on, .end = end};

    hold(&scenario);
}

static void a_reader_that_closes_ends_every_writer(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_and_close_reader, .idle = go_on, .end = end};

    hold(&scenario);
}

static void both_ends_may_close_at_any_moment(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_and_close_both, .idle = go_on, .end = end};

    hold(&scenario);
}

HARNESS_MAIN(TEST_TIMEOUT(writers_and_readers_lose_and_mix_nothing, 120),
             TEST_TIMEOUT(a_close_under_writers_tears_no_message, 120),
             TEST_TIMEOUT(a_reader_that_closes_ends_every_writer, 120),
             TEST_TIMEOUT(both_ends_may_close_at_any_moment, 120))
