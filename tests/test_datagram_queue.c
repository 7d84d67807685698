/* SPDX-License-Identifier: MIT */
/*
 * Datagram transports: what the system does not take at once
 *
 * A Unix socket takes a few datagrams and no more until its owner receives, so
 * that the test says when there is room.
 */
#include "datagrams.h"

#define COST 8 /* of each datagram in the queue, besides its bytes */

/* A socket that takes only so many; an endpoint that sends numbers to it. */
struct tap {
    struct end end;
    rota_address address;
    rota_address to; /* or size 0: it is connected */
    int fd;
    int sent;
    int taken;
};

static void tap_open(struct tap *tap, bool connected)
{
    *tap = (struct tap){.address = unix_address("tap")};
    tap->fd = bare_bind(&tap->address);
    assert_true(tap->fd >= 0);
    if (connected) {
        open_with(&tap->end, &(rota_datagram_options){.remote = &tap->address});
    } else {
        open_with(&tap->end, &(rota_datagram_options){.family = AF_UNIX});
        tap->to = tap->address;
    }
    settle();
    assert_noted("made");
}

static void tap_close(struct tap *tap)
{
    rota_datagram_transport_abort(tap->end.transport);
    await_that(tap->end.lost);
    scenario_line[0] = '\0';
    close(tap->fd);
    unix_unlink(&tap->address);
}

static int tap_send(struct tap *tap)
{
    const rota_address *to = tap->to.size > 0 ? &tap->to : NULL;
    int err = rota_datagram_transport_sendto(tap->end.transport, &tap->sent,
                                             sizeof tap->sent, to);

    tap->sent += err == 0;
    return err;
}

static size_t tap_queued(const struct tap *tap)
{
    return rota_datagram_transport_get_write_buffer_size(tap->end.transport);
}

/* Sends until `count` are in the queue. */
static void tap_fill(struct tap *tap, size_t count)
{
    while (tap_queued(tap) < count * (sizeof(int) + COST))
        assert_int_equal(tap_send(tap), 0);
    assert_int_equal(tap_queued(tap), count * (sizeof(int) + COST));
}

/* Takes what is there: no number is missing, doubled or out of order. */
static void tap_take(struct tap *tap)
{
    int number;

    while ((number = bare_number(tap->fd)) >= 0)
        assert_int_equal(number, tap->taken++);
}

static void tap_take_all(struct tap *tap)
{
    while (tap->taken < tap->sent) {
        tap_take(tap);
        assert_int_equal(rota_sleep(0.001), 0);
    }
    settle();
    tap_take(tap);
    assert_int_equal(tap->taken, tap->sent);
}

/* --- The queue ---------------------------------------------------------- */

static void fill_and_empty(bool connected)
{
    struct tap tap;

    tap_open(&tap, connected);
    for (int round = 0; round < 3; round++) {
        tap_fill(&tap, 200);
        settle();
        assert_int_equal(tap_queued(&tap), 200 * (sizeof(int) + COST));
        assert_int_equal(bare_number(tap.fd), tap.taken++);
        settle();
        assert_in_range(tap_queued(&tap), 1, 199 * (sizeof(int) + COST));
        assert_int_equal(tap_send(&tap), 0);
        tap_take_all(&tap);
        assert_int_equal(tap_queued(&tap), 0);
    }
    assert_noted("");
    tap_close(&tap);
}

static intptr_t fill_connected(void *arg)
{
    (void)arg;
    fill_and_empty(true);
    return 0;
}

static intptr_t fill_unconnected(void *arg)
{
    (void)arg;
    fill_and_empty(false);
    return 0;
}

/* There is room, and what is queued has not been told yet. */
static intptr_t send_meanwhile(void *arg)
{
    struct tap tap;

    (void)arg;
    tap_open(&tap, true);
    tap_fill(&tap, 20);
    for (int i = 0; i < 200; i++) {
        if (i % 10 == 0)
            tap_take(&tap);
        assert_int_equal(tap_send(&tap), 0);
        assert_int_equal(rota_sleep(i % 3 ? 0 : 0.001), 0);
    }
    tap_take_all(&tap);
    tap_close(&tap);
    return 0;
}

static void a_newcomer_does_not_overtake_the_queue(void)
{
    scenario(send_meanwhile);
}

static void none_is_lost_doubled_or_overtaken_in_the_queue(void)
{
    scenario(fill_connected);
}

static void a_receiver_that_cannot_say_it_has_room_is_tried_again(void)
{
    scenario(fill_unconnected);
}

static intptr_t fill_udp(void *arg)
{
    struct end end = {.quiet = true};
    rota_address peer;
    int fd = bare_udp(&peer);
    int sent = 0;

    (void)arg;
    (void)open_to(&end, &peer);
    set_option(rota_datagram_transport_fileno(end.transport), SO_SNDBUF, 4096);
    for (; sent < 50; sent++)
        assert_int_equal(
            rota_datagram_transport_sendto(end.transport, big, 1000, NULL), 0);
    await_that(rota_datagram_transport_get_write_buffer_size(end.transport) ==
               0);
    while (bare_take(fd, big, sizeof big) == 1000)
        sent--;
    assert_int_equal(sent, 0);
    close_end(&end);
    assert_int_equal(end.errors, 0);
    close(fd);
    return 0;
}

static void udp_goes_through_a_narrow_socket(void)
{
    scenario(fill_udp);
}

/* --- Errors of what is queued ------------------------------------------- */

static intptr_t lose_the_receiver(void *arg)
{
    struct tap tap;
    rota_address other = unix_address("other");
    int fd = bare_bind(&other);

    (void)arg;
    tap_open(&tap, false);
    tap_fill(&tap, 3);
    assert_int_equal(send_text(&tap.end, "for the other", &other), 0);
    assert_string_equal(bare_told(fd), "(none)");
    close(tap.fd);
    settle();
    assert_int_equal(tap_queued(&tap), 0);
    assert_noted("ECONNREFUSED ECONNREFUSED ECONNREFUSED");
    assert_string_equal(bare_told(fd), "for the other");
    tap.fd = dup(fd);
    tap_close(&tap);
    close(fd);
    unix_unlink(&other);
    return 0;
}

static void an_error_of_one_does_not_stop_those_behind_it(void)
{
    scenario(lose_the_receiver);
}

static void abort_at_an_error(rota_datagram_transport *transport, int error,
                              void *arg)
{
    (void)arg;
    note("%s", rota_errname(error));
    rota_datagram_transport_abort(transport);
}

static intptr_t abort_in_the_flush(void *arg)
{
    rota_datagram_protocol aborting = protocol;
    struct tap tap;

    (void)arg;
    aborting.error_received = abort_at_an_error;
    tap = (struct tap){.address = unix_address("tap")};
    tap.fd = bare_bind(&tap.address);
    tap.to = tap.address;
    assert_int_equal(rota_create_datagram_endpoint(
                         &tap.end.transport, rota_get_running_loop(), &aborting,
                         &tap.end, &(rota_datagram_options){.family = AF_UNIX}),
                     0);
    tap_fill(&tap, 3);
    close(tap.fd);
    await_that(tap.end.lost);
    assert_noted("made ECONNREFUSED lost(ECONNABORTED)");
    unix_unlink(&tap.address);
    return 0;
}

static void an_error_may_abort_the_endpoint(void)
{
    scenario(abort_in_the_flush);
}

/* --- Flow control ------------------------------------------------------- */

static intptr_t pause_and_resume(void *arg)
{
    const size_t each = sizeof(int) + COST;
    struct tap tap;

    (void)arg;
    tap_open(&tap, true);
    assert_int_equal(rota_datagram_transport_set_write_buffer_limits(
                         tap.end.transport, 10 * each, 11 * each),
                     -EINVAL);
    assert_int_equal(rota_datagram_transport_set_write_buffer_limits(
                         tap.end.transport, 50 * each, 10 * each),
                     0);
    tap_fill(&tap, 50);
    assert_noted("");
    tap_fill(&tap, 51);
    assert_noted("pause");
    tap_fill(&tap, 60);
    while (tap_queued(&tap) > 10 * each) {
        assert_noted("");
        assert_int_equal(bare_number(tap.fd), tap.taken++);
        settle();
    }
    assert_noted("resume");
    tap_take_all(&tap);
    assert_noted("");
    tap_fill(&tap, 20);
    assert_int_equal(rota_datagram_transport_set_write_buffer_limits(
                         tap.end.transport, 19 * each, each),
                     0);
    assert_noted("pause");
    tap_take_all(&tap);
    assert_noted("resume");
    tap_close(&tap);
    return 0;
}

static void a_full_queue_pauses_the_protocol_until_it_is_low(void)
{
    scenario(pause_and_resume);
}

static intptr_t queue_empty_ones(void *arg)
{
    struct tap tap;
    int sent = 0;

    (void)arg;
    tap_open(&tap, true);
    for (; tap_queued(&tap) < 5 * COST; sent++)
        assert_int_equal(
            rota_datagram_transport_sendto(tap.end.transport, "", 0, NULL), 0);
    while (sent > 0) {
        while (bare_take(tap.fd, big, 1) == 0)
            sent--;
        assert_int_equal(rota_sleep(0.001), 0);
    }
    assert_int_equal(tap_queued(&tap), 0);
    tap_close(&tap);
    return 0;
}

static void empty_datagrams_count_too(void)
{
    scenario(queue_empty_ones);
}

/* --- The end ------------------------------------------------------------ */

static intptr_t close_full(void *arg)
{
    struct tap tap;

    (void)arg;
    tap_open(&tap, true);
    tap_fill(&tap, 100);
    rota_datagram_transport_close(tap.end.transport);
    assert_int_equal(tap_send(&tap), -ROTA_ECLOSING);
    settle();
    assert_noted("");
    assert_true(rota_datagram_transport_fileno(tap.end.transport) > 2);
    tap_take_all(&tap);
    assert_noted("lost()");
    close(tap.fd);
    unix_unlink(&tap.address);
    return 0;
}

static void a_close_sends_what_is_queued_first(void)
{
    scenario(close_full);
}

static intptr_t abort_full(void *arg)
{
    struct tap tap;
    int queued = 100;

    (void)arg;
    for (int after_close = 0; after_close < 2; after_close++) {
        tap_open(&tap, true);
        tap_fill(&tap, (size_t)queued);
        if (after_close)
            rota_datagram_transport_close(tap.end.transport);
        rota_datagram_transport_abort(tap.end.transport);
        assert_noted("");
        settle();
        tap_take(&tap);
        assert_int_equal(tap.taken, tap.sent - queued);
        assert_noted("lost(ECONNABORTED)");
        close(tap.fd);
        unix_unlink(&tap.address);
    }
    return 0;
}

static void an_abort_drops_what_is_queued(void)
{
    scenario(abort_full);
}

static void close_at_the_first(struct end *end)
{
    rota_datagram_transport_close(end->transport);
}

static intptr_t close_and_receive(void *arg)
{
    struct tap tap;
    rota_address own = unix_address("own");

    (void)arg;
    tap = (struct tap){.address = unix_address("tap")};
    tap.fd = bare_bind(&tap.address);
    open_with(&tap.end,
              &(rota_datagram_options){.local = &own, .remote = &tap.address});
    settle();
    tap_fill(&tap, 10);
    tap.end.act = close_at_the_first;
    bare_tell_text(tap.fd, &own, "in time");
    bare_tell_text(tap.fd, &own, "too late");
    settle();
    bare_tell_text(tap.fd, &own, "far too late");
    settle();
    assert_noted("made <in time>");
    tap_take_all(&tap);
    assert_noted("lost()");
    close(tap.fd);
    unix_unlink(&own);
    unix_unlink(&tap.address);
    return 0;
}

static void what_comes_while_it_closes_is_not_told(void)
{
    scenario(close_and_receive);
}

static struct tap left;

static intptr_t leave_full(void *connected)
{
    tap_open(&left, *(bool *)connected);
    tap_fill(&left, 100);
    if (!*(bool *)connected)
        rota_datagram_transport_close(left.end.transport);
    return 0;
}

static void a_loop_that_closes_drops_what_is_queued(void)
{
    for (int i = 0; i < 2; i++) {
        bool connected = i == 0;
        rota_loop *loop = new_virtual_loop();

        assert_int_equal(
            rota_loop_run_until_complete(loop, leave_full, &connected), 0);
        rota_loop_free(loop);
        assert_noted("lost(ROTA_ECLOSING)");
        close(left.fd);
        unix_unlink(&left.address);
    }
}

/* --- Without memory ----------------------------------------------------- */

/* As much as is possible, and at most one error of memory. */
static int try_without_memory(long nth, long *made)
{
    static struct tap tap;
    rota_loop *loop = rota_get_running_loop();
    int err;

    tap = (struct tap){.address = unix_address("tap")};
    tap.fd = bare_bind(&tap.address);
    rota__free(rota__scratch_take(loop));
    *made = harness_allocations();
    harness_fail_allocation(nth);
    err = rota_create_datagram_endpoint(
        &tap.end.transport, loop, &protocol, &tap.end,
        &(rota_datagram_options){.family = AF_UNIX});
    tap.to = tap.address;
    while (err == 0 && tap_queued(&tap) < 300 * (sizeof(int) + COST))
        err = tap_send(&tap);
    if (tap.end.transport) {
        tap_take_all(&tap);
        rota_datagram_transport_close(tap.end.transport);
        await_that(tap.end.lost);
    }
    harness_fail_allocation(-1);
    *made = harness_allocations() - *made;
    close(tap.fd);
    unix_unlink(&tap.address);
    return err;
}

static intptr_t send_without_memory(void *arg)
{
    long refused = 0;
    long made = 0;

    (void)arg;
    for (long n = 1; n == 1 || made >= n - 1; n++) {
        int err = try_without_memory(n, &made);

        if (err < 0)
            assert_int_equal(err, -ENOMEM);
        refused += err < 0;
        scenario_line[0] = '\0';
    }
    assert_in_range(refused, 2, 100);
    return 0;
}

static void a_lack_of_memory_loses_only_what_it_is_told_of(void)
{
    scenario(send_without_memory);
}

static intptr_t receive_without_memory(void *arg)
{
    struct end end = {0};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_v4(&end);

    (void)arg;
    settle();
    rota__free(rota__scratch_take(rota_get_running_loop()));
    bare_tell_text(fd, &local, "x");
    harness_fail_allocation(1);
    await_that(end.received);
    close_end(&end);
    assert_noted("made ENOMEM <x> lost()");
    close(fd);
    return 0;
}

static void without_memory_a_datagram_waits(void)
{
    scenario(receive_without_memory);
}

HARNESS_MAIN(TEST(a_newcomer_does_not_overtake_the_queue),
             TEST(none_is_lost_doubled_or_overtaken_in_the_queue),
             TEST(a_receiver_that_cannot_say_it_has_room_is_tried_again),
             TEST(udp_goes_through_a_narrow_socket),
             TEST(an_error_of_one_does_not_stop_those_behind_it),
             TEST(an_error_may_abort_the_endpoint),
             TEST(a_full_queue_pauses_the_protocol_until_it_is_low),
             TEST(empty_datagrams_count_too),
             TEST(a_close_sends_what_is_queued_first),
             TEST(an_abort_drops_what_is_queued),
             TEST(what_comes_while_it_closes_is_not_told),
             TEST(a_loop_that_closes_drops_what_is_queued),
             TEST(a_lack_of_memory_loses_only_what_it_is_told_of),
             TEST(without_memory_a_datagram_waits))
