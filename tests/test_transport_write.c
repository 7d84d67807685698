/* SPDX-License-Identifier: MIT */
/*
 * Transports: what is sent, kept, and counted
 *
 * The kernel's sending calls pass through here: they are counted, take no more
 * than the test allows, and fail when it says so. The poller is poll, whose
 * edges come again for a socket that has never been full.
 */
#define _GNU_SOURCE
#include "transports.h"

#include <dlfcn.h>

static long budget = -1; /* bytes that may be sent; -1: any number */
static int failing;      /* with this errno */
static int calls;

/* How much of it may be sent now; -1 with errno set: nothing. */
static ssize_t allowed(size_t size)
{
    calls++;
    errno = failing ? failing : EAGAIN;
    if (failing || budget == 0)
        return -1;
    if (budget < 0)
        return (ssize_t)size;
    size = size < (size_t)budget ? size : (size_t)budget;
    budget -= (long)size;
    return (ssize_t)size;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    ssize_t n = allowed(size);

    assert_true(flags & MSG_NOSIGNAL);
    return n < 0 ? n : sendto(fd, data, (size_t)n, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    char whole[4096];
    size_t size = 0;
    ssize_t n;

    for (size_t i = 0; i < (size_t)message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];

        assert_true(part->iov_len < sizeof whole - size);
        memcpy(whole + size, part->iov_base, part->iov_len);
        size += part->iov_len;
    }
    n = allowed(size);
    return n < 0 ? n : sendto(fd, whole, (size_t)n, flags, NULL, 0);
}

static int meet(struct ear *ear)
{
    const rota_loop_options options = {.poller = "poll"};
    int peer;

    assert_int_equal(rota_new_event_loop(&the_loop, &options), 0);
    the_loop->keep_order = true;
    the_loop->debug = false;
    peer = join(ear, &ears);
    budget = -1;
    failing = 0;
    calls = 0;
    return peer;
}

static void part_from(struct ear *ear, int peer)
{
    budget = -1;
    if (ear->transport) {
        rota_transport_close(ear->transport);
        await_word("lost");
        assert_noted("lost");
    }
    close(peer);
    end();
}

static int say(struct ear *ear, const char *text)
{
    return rota_transport_write(ear->transport, text, strlen(text));
}

static void say_many(struct ear *ear, size_t size)
{
    static const char data[1000];

    assert_int_equal(rota_transport_write(ear->transport, data, size), 0);
}

static size_t queued(const struct ear *ear)
{
    return rota_transport_get_write_buffer_size(ear->transport);
}

static void limit(struct ear *ear, size_t high, size_t low)
{
    assert_int_equal(
        rota_transport_set_write_buffer_limits(ear->transport, high, low), 0);
}

/* --- Limits -------------------------------------------------------------- */

static void writing_is_paused_above_high_and_goes_on_at_low(void)
{
    struct ear ear = {0};
    int peer = meet(&ear);

    limit(&ear, 100, 40);
    for (int again = 0; again < 3; again++) {
        budget = 0;
        say_many(&ear, 60);
        say_many(&ear, 40);
        assert_noted("");
        say_many(&ear, 1);
        assert_noted("pause"); /* by the write itself */
        say_many(&ear, 99);
        settle();
        assert_int_equal(queued(&ear), 200);
        assert_noted("");
        budget = 159;
        settle();
        assert_int_equal(queued(&ear), 41);
        assert_noted("");
        budget = 1;
        await_word("resume");
        assert_int_equal(queued(&ear), 40);
        budget = 40;
        settle();
        assert_int_equal(queued(&ear), 0);
        assert_noted("resume");
    }
    part_from(&ear, peer);
}

static void with_limits_of_0_anything_that_is_queued_pauses(void)
{
    struct ear ear = {0};
    int peer = meet(&ear);

    limit(&ear, 0, 0);
    say_many(&ear, 1000);
    assert_noted("");
    budget = 999;
    say_many(&ear, 1000);
    assert_noted("pause");
    settle();
    assert_noted("");
    budget = 1;
    await_word("resume");
    assert_noted("resume");
    part_from(&ear, peer);
}

static void new_limits_hold_for_what_is_queued_already(void)
{
    struct ear ear = {0};
    int peer = meet(&ear);
    size_t high, low;

    rota_transport_get_write_buffer_limits(ear.transport, &high, &low);
    assert_int_equal(high, 65536);
    assert_int_equal(low, 16384);
    budget = 0;
    say_many(&ear, 100);
    limit(&ear, 100, 0);
    assert_noted("");
    limit(&ear, 99, 99);
    assert_noted("pause");
    limit(&ear, 1000, 1000);
    assert_noted(""); /* as in asyncio: when the next bytes are sent */
    budget = 1;
    await_word("resume");
    assert_noted("resume");
    part_from(&ear, peer);
}

static void who_is_paused_may_go_on_writing_and_close(void)
{
    struct ear ear = {0};
    int peer = meet(&ear);

    limit(&ear, 10, 0);
    budget = 0;
    say_many(&ear, 500);
    say_many(&ear, 500);
    rota_transport_close(ear.transport);
    settle();
    assert_noted("pause");
    budget = -1;
    assert_int_equal(drink_up(peer), 1000);
    await_word("lost");
    assert_noted("resume lost"); /* asyncio's order */
    part_from(&ear, peer);
}

static void who_is_paused_and_aborts_does_not_go_on(void)
{
    struct ear ear = {.then[PAUSE] = then_abort};
    int peer = meet(&ear);

    limit(&ear, 10, 0);
    budget = 0;
    say_many(&ear, 500);
    settle();
    assert_noted("pause lost:ECONNABORTED");
    part_from(&ear, peer);
}

static void answer(struct ear *ear)
{
    say_many(ear, 500);
}

static void one_that_writes_when_it_goes_on_is_paused_again(void)
{
    struct ear ear = {.then[RESUME] = answer};
    int peer = meet(&ear);

    limit(&ear, 10, 0);
    budget = 0;
    say_many(&ear, 100);
    assert_noted("pause");
    budget = 100;
    settle();
    assert_noted("resume pause");
    budget = 500;
    settle();
    assert_noted("resume pause");
    ear.then[RESUME] = NULL;
    budget = -1;
    settle();
    assert_noted("resume");
    part_from(&ear, peer);
}

/* --- Calls of the system ------------------------------------------------- */

static void what_fits_is_one_call(void)
{
    char words[64][12];
    struct iovec parts[64];
    char all[256] = "";
    struct ear ear = {0};
    int peer = meet(&ear);

    for (int i = 0; i < 64; i++) {
        snprintf(words[i], sizeof words[i], "%d", i);
        strcat(all, words[i]);
        parts[i] = (struct iovec){words[i], strlen(words[i])};
    }
    assert_int_equal(rota_transport_writelines(ear.transport, parts, 64), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(queued(&ear), 0);
    assert_string_equal(hear(peer), all);
    assert_int_equal(say(&ear, "hello"), 0);
    assert_int_equal(calls, 2);
    assert_int_equal(say(&ear, ""), 0);
    assert_int_equal(rota_transport_writelines(ear.transport, parts, 0), 0);
    settle();
    assert_int_equal(calls, 2);
    part_from(&ear, peer);
}

/* More than one call can take; some of them empty. */
static void many_parts_are_sent_at_once_all_the_same(void)
{
    char letters[200];
    struct iovec parts[200];
    struct ear ear = {0};
    int peer = meet(&ear);

    for (int i = 0; i < 200; i++) {
        letters[i] = (char)('!' + i % 90);
        parts[i] = (struct iovec){letters + i, 1};
    }
    parts[7].iov_len = 2; /* letters 7 and 8 */
    parts[8].iov_len = 0;
    for (long first = -1; first < 200; first += 9) {
        calls = 0;
        budget = first;
        assert_int_equal(rota_transport_writelines(ear.transport, parts, 200),
                         0);
        assert_int_equal(queued(&ear), first < 0 ? 0 : 200 - first);
        if (first < 0)
            assert_int_equal(calls, 4);
        budget = -1;
        while (queued(&ear) > 0)
            turn();
        assert_memory_equal(hear(peer), letters, 200);
    }
    part_from(&ear, peer);
}

static void a_send_may_be_taken_up_to_any_byte(void)
{
    static const char all[] = "one, two, three and four";
    struct iovec parts[] = {{(void *)(uintptr_t)all, 5},
                            {(void *)(uintptr_t)all, 0},
                            {(void *)(uintptr_t)(all + 5), 5},
                            {(void *)(uintptr_t)(all + 10), 14}};
    struct ear ear = {0};
    int peer = meet(&ear);

    for (size_t i = 0; i < 2 * sizeof all; i++) {
        bool whole = i < sizeof all;
        size_t taken = whole ? i : i - sizeof all;

        budget = (long)taken;
        if (whole)
            assert_int_equal(say(&ear, all), 0);
        else
            assert_int_equal(rota_transport_writelines(ear.transport, parts, 4),
                             0);
        assert_int_equal(queued(&ear), strlen(all) - taken);
        budget = -1;
        while (queued(&ear) > 0)
            turn();
        assert_string_equal(hear(peer), all);
    }
    part_from(&ear, peer);
}

static void what_is_queued_goes_first(void)
{
    struct iovec parts[] = {{(void *)(uintptr_t) "three ", 6},
                            {(void *)(uintptr_t) "four", 4}};
    struct ear ear = {0};
    int peer = meet(&ear);

    budget = 2;
    assert_int_equal(say(&ear, "one "), 0);
    budget = -1;
    calls = 0;
    assert_int_equal(say(&ear, "two "), 0);
    assert_int_equal(rota_transport_writelines(ear.transport, parts, 2), 0);
    assert_int_equal(calls, 0);
    assert_int_equal(queued(&ear), 16);
    settle();
    assert_string_equal(hear(peer), "one two three four");
    part_from(&ear, peer);
}

/* --- The end of writing -------------------------------------------------- */

static void the_end_comes_after_what_was_written(void)
{
    for (int waits = 0; waits < 2; waits++) {
        struct ear ear = {0};
        int peer = meet(&ear);

        budget = waits ? 2 : -1;
        assert_true(rota_transport_can_write_eof(ear.transport));
        assert_int_equal(say(&ear, "last"), 0);
        assert_int_equal(rota_transport_write_eof(ear.transport), 0);
        assert_int_equal(rota_transport_write_eof(ear.transport), 0);
        assert_int_equal(say(&ear, "more"), -EPIPE);
        assert_int_equal(say(&ear, ""), -EPIPE);
        assert_false(rota_transport_is_closing(ear.transport));
        settle();
        budget = -1;
        settle();
        assert_string_equal(hear(peer), "last");
        assert_string_equal(hear(peer), "EOF");
        bare_say(peer, "we hear you");
        await_word("data");
        assert_noted("data:we hear you");
        part_from(&ear, peer);
    }
}

/* --- Errors -------------------------------------------------------------- */

static void an_error_is_the_result_and_the_reason(void)
{
    static const int errors[] = {EPIPE, ECONNRESET, ETIMEDOUT, ENOBUFS};

    for (size_t i = 0; i < rota__countof(errors); i++) {
        struct iovec part = {(void *)(uintptr_t) "x", 1};
        struct ear ear = {0};
        int peer = meet(&ear);
        char expected[40];

        snprintf(expected, sizeof expected, "lost:%s",
                 rota_errname(-errors[i]));
        failing = errors[i];
        assert_int_equal(
            i % 2 ? rota_transport_writelines(ear.transport, &part, 1)
                  : say(&ear, "x"),
            -errors[i]);
        assert_noted("");
        assert_int_equal(say(&ear, "x"), -ROTA_ECLOSING);
        assert_true(rota_transport_is_closing(ear.transport));
        settle();
        assert_noted(expected);
        failing = 0;
        part_from(&ear, peer);
    }
}

static void an_error_of_what_is_queued_is_the_reason(void)
{
    for (int closing = 0; closing < 2; closing++) {
        struct ear ear = {0};
        int peer = meet(&ear);

        limit(&ear, 0, 0);
        budget = 1;
        assert_int_equal(say(&ear, "hello"), 0);
        if (closing)
            rota_transport_close(ear.transport);
        failing = ECONNRESET;
        settle();
        assert_noted("pause lost:ECONNRESET");
        failing = 0;
        part_from(&ear, peer);
    }
}

static void an_error_in_the_midst_of_many_parts_loses_the_connection(void)
{
    struct iovec parts[200];
    struct ear ear = {0};
    int peer = meet(&ear);

    for (int i = 0; i < 200; i++)
        parts[i] = (struct iovec){(void *)(uintptr_t) "x", 1};
    budget = 70;
    harness_fail_allocation(1);
    assert_int_equal(rota_transport_writelines(ear.transport, parts, 200),
                     -ENOMEM);
    harness_fail_allocation(-1);
    settle();
    assert_noted("lost:ENOMEM");
    part_from(&ear, peer);
}

static void without_memory_a_write_takes_all_or_nothing(void)
{
    struct ear ear = {0};
    int peer = meet(&ear);

    budget = 0;
    harness_fail_allocation(1);
    assert_int_equal(say(&ear, "lost"), -ENOMEM);
    harness_fail_allocation(-1);
    settle();
    assert_noted("");
    budget = -1;
    assert_int_equal(say(&ear, "hello"), 0);
    settle();
    assert_string_equal(hear(peer), "hello");
    budget = 2;
    harness_fail_allocation(1);
    assert_int_equal(say(&ear, "half of it"), -ENOMEM);
    harness_fail_allocation(-1);
    settle();
    assert_noted("lost:ENOMEM");
    part_from(&ear, peer);
}

/* --- Memory -------------------------------------------------------------- */

static void echo(struct ear *ear)
{
    assert_int_equal(say(ear, "hello"), 0);
}

static void what_goes_back_and_forth_allocates_nothing(void)
{
    static const rota_protocol *const protocols[] = {&ears, &buffered_ears};

    for (int i = 0; i < 2; i++) {
        struct ear ear = {.then = {[DATA] = echo, [FILLED] = echo},
                          .lends = 64,
                          .silent = true};
        int peer = meet(&ear);
        long before = 0;

        assert_int_equal(
            rota_transport_set_protocol(ear.transport, protocols[i], &ear), 0);
        for (int round = 0; round < 200; round++) {
            if (round == 100)
                before = harness_allocations();
            bare_say(peer, "hello");
            assert_string_equal(hear(peer), "hello");
        }
        assert_int_equal(harness_allocations(), before);
        part_from(&ear, peer);
    }
}

HARNESS_MAIN(TEST(writing_is_paused_above_high_and_goes_on_at_low),
             TEST(with_limits_of_0_anything_that_is_queued_pauses),
             TEST(new_limits_hold_for_what_is_queued_already),
             TEST(who_is_paused_may_go_on_writing_and_close),
             TEST(who_is_paused_and_aborts_does_not_go_on),
             TEST(one_that_writes_when_it_goes_on_is_paused_again),
             TEST(what_fits_is_one_call),
             TEST(many_parts_are_sent_at_once_all_the_same),
             TEST(a_send_may_be_taken_up_to_any_byte),
             TEST(what_is_queued_goes_first),
             TEST(the_end_comes_after_what_was_written),
             TEST(an_error_is_the_result_and_the_reason),
             TEST(an_error_of_what_is_queued_is_the_reason),
             TEST(an_error_in_the_midst_of_many_parts_loses_the_connection),
             TEST(without_memory_a_write_takes_all_or_nothing),
             TEST(what_goes_back_and_forth_allocates_nothing))
