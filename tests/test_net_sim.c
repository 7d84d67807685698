/* SPDX-License-Identifier: MIT */
/*
 * Streams over the simulated poller: fds that exist in a script only, with
 * every short send, interruption and failure that a kernel may give
 */
#define _GNU_SOURCE
#include "wires.h"

#include <stdlib.h>

enum { BYTES = 3000, SEEDS = 300 };

static void in_simulation(rota_task_function *function, void *arg)
{
    const rota_loop_options options = {
        .poller = "sim", .virtual_clock = true, .stack_size = 131072};

    assert_int_equal(rota_run_with(&options, function, arg), 0);
}

static uint64_t seeds(void)
{
    const char *value = getenv("ROTA_TEST_SEEDS");
    uint64_t count = value ? strtoull(value, NULL, 0) : 0;

    return count ? count
                 : (uint64_t)(SEEDS / harness_slowness() / harness_slowness()) +
                       10;
}

/* --- A wire that is only slow ------------------------------------------- */

static char letter(size_t i)
{
    return (char)(i * 7 + i / 251);
}

/* Says BYTES bytes in pieces of 1 to 500, in one of the ways to say. */
static intptr_t say(void *arg)
{
    rota_stream *stream = arg;
    char piece[500];
    intptr_t n = 0;

    for (size_t sent = 0; n >= 0 && sent < BYTES;) {
        size_t size = 1 + wire_draw(sizeof piece);
        struct iovec parts[2];

        size = size < BYTES - sent ? size : BYTES - sent;
        for (size_t i = 0; i < size; i++)
            piece[i] = letter(sent + i);
        parts[0] = (struct iovec){piece, size / 3};
        parts[1] = (struct iovec){piece + size / 3, size - size / 3};
        switch (wire_draw(3)) {
        case 0:
            n = rota_write_nowait(stream, piece, size);
            n = n < 0 ? n : rota_drain(stream);
            break;
        case 1:
            n = rota_writelines(stream, parts, 2);
            break;
        default:
            n = rota_write(stream, piece, size);
        }
        sent += size;
    }
    if (n >= 0)
        n = rota_write_eof(stream);
    return n < 0 ? n : 0;
}

/* Hears up to the end; how much, or the error. What comes is right. */
static intptr_t hear(rota_stream *stream)
{
    char piece[200];
    size_t heard = 0;
    intptr_t n;

    do {
        size_t size = 1 + wire_draw(sizeof piece);

        const void *lent = piece;

        switch (wire_draw(3)) {
        case 0:
            n = rota_read_exactly(stream, piece, size);
            if (n == -ROTA_EINCOMPLETE)
                n = rota_read(stream, piece, sizeof piece);
            break;
        case 1:
            n = rota_read_borrowed(stream, &lent);
            break;
        default:
            n = rota_read(stream, piece, size);
        }
        for (intptr_t i = 0; i < n; i++, heard++)
            assert_int_equal(((const char *)lent)[i], letter(heard));
    } while (n > 0);
    return n < 0 ? n : (intptr_t)heard;
}

struct talk {
    rota_stream *ends[2];
    intptr_t said[2];
    intptr_t heard[2];
    double took;
    long calls;
    double spurious; /* seconds between events that are not true; 0: none */
};

struct side {
    struct talk *talk;
    int i;
};

static intptr_t talk_at_one_end(void *arg)
{
    const struct side *side = arg;
    rota_stream *stream = side->talk->ends[side->i];
    rota_task speaker = start(say, stream);

    side->talk->heard[side->i] = hear(stream);
    side->talk->said[side->i] = rota_await(speaker);
    rota_stream_free(stream);
    return 0;
}

/* Reports what is not so, of either end, while there is one. */
static intptr_t disturb(void *arg)
{
    const struct talk *talk = arg;
    struct rota__poller *poller = &rota_get_running_loop()->poller;

    while (wires_open() > 0) {
        int fd = ROTA__SIM_FD + (int)wire_draw(2);

        rota__poller_report(poller, rota__poller_tag(poller, fd),
                            1 + wire_draw(7));
        assert_int_equal(rota_sleep(talk->spurious * wire_draw(10)), 0);
    }
    return 0;
}

static intptr_t talk_over_a_wire(void *arg)
{
    struct talk *talk = arg;
    struct side sides[2] = {{talk, 0}, {talk, 1}};
    double began = now();
    rota_task tasks[3];

    wire_open(0, talk->ends);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            rota_stream_set_write_buffer_limits(talk->ends[i], 300, 60), 0);
        tasks[i] = start(talk_at_one_end, &sides[i]);
    }
    if (talk->spurious > 0)
        tasks[2] = start(disturb, talk);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), 0);
    while (wires_open() > 0) /* what is queued is still sent */
        assert_int_equal(rota_sleep(0.01), 0);
    if (talk->spurious > 0)
        assert_int_equal(rota_await(tasks[2]), 0);
    talk->took = now() - began;
    talk->calls = wire_calls;
    return 0;
}

static void assert_all_was_heard(const struct talk *talk)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(talk->said[i], 0);
        assert_int_equal(talk->heard[i], BYTES);
    }
}

static void every_schedule_of_a_slow_wire_loses_nothing(void)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct talk talk = {.spurious = 0};

        wire_begin(seed);
        in_simulation(talk_over_a_wire, &talk);
        assert_all_was_heard(&talk);
    }
}

static void a_seed_is_a_run_to_the_microsecond(void)
{
    struct talk talks[2] = {{.spurious = 0}, {.spurious = 0}};

    for (int i = 0; i < 2; i++) {
        wire_begin(42);
        in_simulation(talk_over_a_wire, &talks[i]);
    }
    assert_int_equal(talks[0].calls, talks[1].calls);
    assert_true(fabs(talks[0].took - talks[1].took) < 1e-6);
    assert_true(talks[0].took > 0.1);
}

static void events_that_are_not_true_do_no_harm(void)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct talk talk = {.spurious = 0.001};

        wire_begin(seed);
        in_simulation(talk_over_a_wire, &talk);
        assert_all_was_heard(&talk);
    }
}

/* --- Timeouts at any moment ---------------------------------------------- */

enum { LETTERS = 60 };

/* Messages of a head, number and size, and a body; each write has a timeout.
   sure[] says which have certainly gone. */
struct letters {
    rota_stream *ends[2];
    bool sure[LETTERS];
    bool heard[LETTERS];
    int late_reads;
    int late_writes;
};

struct head {
    uint16_t number;
    uint16_t size;
};

static intptr_t post_letters(void *arg)
{
    struct letters *letters = arg;
    rota_stream *stream = letters->ends[0];
    char letter_text[sizeof(struct head) + 500];

    for (int i = 0; i < LETTERS; i++) {
        struct head head = {(uint16_t)i, (uint16_t)wire_draw(500)};
        size_t size = sizeof head + head.size;
        rota_timeout limit;
        intptr_t n;

        memcpy(letter_text, &head, sizeof head);
        memset(letter_text + sizeof head, i, head.size);
        rota_timeout_begin(&limit, 0.001 * wire_draw(200));
        if (wire_draw(2))
            n = rota_writelines(
                stream,
                (struct iovec[]){{letter_text, sizeof head},
                                 {letter_text + sizeof head, head.size}},
                2);
        else
            n = rota_write(stream, letter_text, size);
        n = rota_timeout_end(&limit, n);
        assert_true(n == (intptr_t)size || n == -ETIMEDOUT);
        letters->sure[i] = n > 0;
        letters->late_writes += n < 0;
    }
    assert_int_equal(rota_write_eof(stream), 0);
    return 0;
}

/* Tries again until it is there, or the end. */
static intptr_t read_in_time(struct letters *letters, void *buf, size_t size)
{
    intptr_t n;

    do {
        rota_timeout limit;

        rota_timeout_begin(&limit, 0.001 * wire_draw(30));
        n = rota_read_exactly(letters->ends[1], buf, size);
        n = rota_timeout_end(&limit, n);
        letters->late_reads += n == -ETIMEDOUT;
    } while (n == -ETIMEDOUT);
    return n;
}

static void read_letters(struct letters *letters)
{
    char body[500];
    struct head head;
    int next = 0;
    intptr_t n;

    while ((n = read_in_time(letters, &head, sizeof head)) > 0) {
        assert_in_range(head.number, next, LETTERS - 1);
        assert_int_equal(read_in_time(letters, body, head.size), head.size);
        for (int i = 0; i < head.size; i++)
            assert_int_equal(body[i], head.number);
        letters->heard[head.number] = true;
        next = head.number + 1;
    }
    assert_int_equal(n, -ROTA_EINCOMPLETE);
    assert_true(rota_at_eof(letters->ends[1])); /* and not half of a head */
}

static intptr_t send_letters(void *arg)
{
    struct letters *letters = arg;
    rota_task task;

    wire_open(0, letters->ends);
    assert_int_equal(
        rota_stream_set_write_buffer_limits(letters->ends[0], 300, 60), 0);
    task = start(post_letters, letters);
    read_letters(letters);
    assert_int_equal(rota_await(task), 0);
    for (int i = 0; i < LETTERS; i++)
        assert_true(letters->heard[i] || !letters->sure[i]);
    for (int i = 0; i < 2; i++)
        rota_stream_free(letters->ends[i]);
    return 0;
}

static void timeouts_at_any_moment_lose_no_byte_and_halve_no_message(void)
{
    int late_reads = 0;
    int late_writes = 0;

    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct letters letters = {.late_reads = 0};

        wire_begin(seed);
        in_simulation(send_letters, &letters);
        late_reads += letters.late_reads;
        late_writes += letters.late_writes;
    }
    assert_true(late_reads > 10 && late_writes > 10);
}

/* --- Each system call fails once ---------------------------------------- */

/* True once the call that was to fail has not come. */
static bool fail_the_nth(long nth, int error)
{
    struct talk talk = {.spurious = 0};
    bool blamed = false;

    wire_begin(5);
    wire_fail_at = nth;
    wire_error = error;
    in_simulation(talk_over_a_wire, &talk);
    if (talk.calls < nth) {
        assert_all_was_heard(&talk);
        return true;
    }
    for (int i = 0; i < 2; i++) {
        blamed |= talk.said[i] == -error || talk.heard[i] == -error;
        assert_true(talk.said[i] == 0 || talk.said[i] == -error ||
                    talk.said[i] == -ECONNRESET || talk.said[i] == -EPIPE);
        assert_true(talk.heard[i] >= 0 || talk.heard[i] == -error ||
                    talk.heard[i] == -ECONNRESET || talk.heard[i] == -EPIPE);
    }
    /* Only what is sent after both tasks have gone fails unheard. */
    assert_true(blamed || talk.heard[0] + talk.heard[1] < 2 * BYTES ||
                nth > talk.calls - 20);
    return false;
}

static void a_system_call_that_fails_is_an_error_of_its_connection(void)
{
    static const int errors[] = {ECONNRESET, ETIMEDOUT, EPIPE, EHOSTUNREACH};
    long step = 1 + (long)(harness_slowness() * 5);

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        for (long nth = 1 + (long)i; !fail_the_nth(nth, errors[i]); nth += step)
            ;
}

/* --- A wire that is dead ------------------------------------------------- */

static intptr_t wait_at_a_dead_wire(void *arg)
{
    rota_stream *ends[2];
    rota_timeout limit;
    char buf[400] = "";
    double began;
    intptr_t n;

    (void)arg;
    wire_open(0, ends);
    wire_stalled = true;
    began = now();
    rota_timeout_begin(&limit, 7200);
    n = rota_read(ends[0], buf, sizeof buf);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    assert_true(fabs(now() - began - 7200) < 1e-6);
    assert_int_equal(rota_stream_set_write_buffer_limits(ends[0], 100, 50), 0);
    began = now();
    rota_timeout_begin(&limit, 7200);
    n = rota_write(ends[0], buf, sizeof buf);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    assert_true(fabs(now() - began - 7200) < 1e-6);
    rota_abort(ends[0]);
    assert_int_equal(rota_wait_closed(ends[0]), 0);
    rota_stream_free(ends[0]);
    rota_stream_free(ends[1]);
    assert_int_equal(wires_open(), 0);
    return 0;
}

static void at_a_dead_wire_timeouts_fire_to_the_microsecond(void)
{
    wire_begin(1);
    in_simulation(wait_at_a_dead_wire, NULL);
}

/* --- Readers and writers ------------------------------------------------- */

struct watched {
    int fd;
    int reads;
    int writes;
};

static void count_read(void *arg)
{
    struct watched *watched = arg;

    note("r%d", watched->fd - ROTA__SIM_FD);
    watched->reads++;
    assert_int_equal(rota__sim_clear(&rota_get_running_loop()->poller,
                                     watched->fd, ROTA__READABLE),
                     0);
}

static void count_write(void *arg)
{
    struct watched *watched = arg;

    watched->writes++;
}

static intptr_t watch_simulated_fds(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    struct watched watched[3];

    (void)arg;
    loop->keep_order = true;
    for (int i = 0; i < 3; i++) {
        watched[i] = (struct watched){.fd = ROTA__SIM_FD + i};
        assert_int_equal(
            rota_add_reader(loop, watched[i].fd, count_read, &watched[i]), 0);
        assert_int_equal(
            rota_add_writer(loop, watched[i].fd, count_write, &watched[i]), 0);
    }
    pass_turns(3);
    assert_noted("");
    for (int i = 2; i >= 0; i--)
        assert_int_equal(
            rota__sim_set(&loop->poller, watched[i].fd, ROTA__READABLE), 0);
    assert_int_equal(rota_sleep(1), 0);
    assert_noted("r0 r1 r2");
    assert_int_equal(
        rota__sim_set(&loop->poller, watched[1].fd, ROTA__WRITABLE), 0);
    pass_turns(5);
    assert_in_range(watched[1].writes, 3, 5);
    assert_int_equal(watched[0].writes + watched[2].writes, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_remove_reader(loop, watched[i].fd), 1);
        assert_int_equal(rota_remove_writer(loop, watched[i].fd), 1);
        assert_int_equal(watched[i].reads, 1);
    }
    return 0;
}

static void simulated_fds_have_readers_and_writers(void)
{
    in_simulation(watch_simulated_fds, NULL);
}

HARNESS_MAIN(
    TEST(every_schedule_of_a_slow_wire_loses_nothing),
    TEST(a_seed_is_a_run_to_the_microsecond),
    TEST(events_that_are_not_true_do_no_harm),
    TEST(timeouts_at_any_moment_lose_no_byte_and_halve_no_message),
    TEST_TIMEOUT(a_system_call_that_fails_is_an_error_of_its_connection, 60),
    TEST(at_a_dead_wire_timeouts_fire_to_the_microsecond),
    TEST(simulated_fds_have_readers_and_writers))
