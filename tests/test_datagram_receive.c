/* SPDX-License-Identifier: MIT */
/*
 * Datagram transports: what arrives, and what a callback may do meanwhile
 */
#include "datagrams.h"

static intptr_t send_nothing(void *arg)
{
    struct end end = {.echo = true};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_v4(&end);

    (void)arg;
    assert_int_equal(
        rota_datagram_transport_sendto(end.transport, NULL, 0, &peer), 0);
    assert_string_equal(bare_told(fd), "(empty)");
    bare_tell(fd, &local, "", 0);
    await_that(end.received);
    assert_string_equal(bare_told(fd), "(empty)");
    close_end(&end);
    assert_noted("made <> lost()");
    close(fd);
    return 0;
}

static void an_empty_datagram_is_one_too(void)
{
    scenario(send_nothing);
}

static intptr_t send_the_largest(void *arg)
{
    static char back[LARGEST + 1];
    struct end end = {.echo = true, .quiet = true};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_v4(&end);

    (void)arg;
    memset(big, 'b', LARGEST);
    bare_tell(fd, &local, big, LARGEST);
    bare_tell(fd, &local, big, LARGEST);
    await_that(end.received == 2);
    assert_int_equal(end.size, LARGEST);
    assert_int_equal(bare_take(fd, back, sizeof back), LARGEST);
    assert_memory_equal(back, big, LARGEST);
    assert_int_equal(
        rota_datagram_transport_sendto(end.transport, big, LARGEST + 1, &peer),
        0);
    assert_int_equal(end.last_error, -EMSGSIZE);
    assert_int_equal(send_text(&end, "still there", &peer), 0);
    assert_int_equal(bare_take(fd, back, sizeof back), LARGEST);
    assert_string_equal(bare_told(fd), "still there");
    close_end(&end);
    assert_int_equal(end.errors, 1);
    close(fd);
    return 0;
}

static void the_largest_goes_and_a_larger_one_is_an_error(void)
{
    scenario(send_the_largest);
}

static intptr_t send_huge_ones(void *arg)
{
    static char huge[150000];
    struct end end = {.quiet = true};
    rota_address local = unix_address("huge");
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    (void)arg;
    open_with(&end, &(rota_datagram_options){.local = &local});
    bare_tell(fd, &local, huge, sizeof huge);
    await_that(end.received);
    assert_int_equal(end.size, sizeof huge);
    close_end(&end);
    close(fd);
    unix_unlink(&local);
    return 0;
}

static void a_unix_socket_brings_larger_ones(void)
{
    scenario(send_huge_ones);
}

static intptr_t be_refused(void *arg)
{
    struct end end = {0};
    rota_address peer;
    rota_address local;
    int fd = bare_udp(&peer);

    (void)arg;
    close(fd);
    local = open_to(&end, &peer);
    assert_int_equal(send_text(&end, "anybody?", NULL), 0);
    settle();
    assert_noted("made ECONNREFUSED");
    fd = bare_bind(&peer);
    assert_true(fd >= 0);
    assert_int_equal(send_text(&end, "again", NULL), 0);
    assert_string_equal(bare_told(fd), "again");
    bare_tell_text(fd, &local, "here");
    settle();
    close_end(&end);
    assert_noted("<here> lost()");
    close(fd);
    return 0;
}

static void a_refusal_is_told_once_and_the_endpoint_goes_on(void)
{
    scenario(be_refused);
}

/* The error comes in the midst of datagrams: none of them is overlooked. */
static intptr_t be_refused_between(void *arg)
{
    struct end end = {.quiet = true};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_to(&end, &peer);

    (void)arg;
    settle();
    bare_tell_text(fd, &local, "1");
    bare_tell_text(fd, &local, "2");
    close(fd);
    assert_int_equal(send_text(&end, "anybody?", NULL), 0);
    await_that(end.received == 2);
    settle();
    assert_int_equal(end.errors, 1);
    fd = bare_bind(&peer);
    bare_tell_text(fd, &local, "3");
    await_that(end.received == 3);
    close_end(&end);
    close(fd);
    return 0;
}

static void an_error_among_datagrams_hides_none(void)
{
    scenario(be_refused_between);
}

#define MANY 100

static int turn;

static void count_turn(void *arg)
{
    turn++;
    if (arg && *(int *)arg < MANY)
        assert_int_equal(
            rota_call_soon(rota_get_running_loop(), NULL, count_turn, arg), 0);
}

static int in_this_turn;

static void expect_next(struct end *end)
{
    assert_int_equal(atoi(end->data), end->received - 1);
    in_this_turn = end->turn == turn ? in_this_turn + 1 : 1;
    end->turn = turn;
    assert_true(in_this_turn <= ROTA__PACKETS);
}

static intptr_t receive_many(void *arg)
{
    struct end end = {.quiet = true, .act = expect_next};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_v4(&end);

    (void)arg;
    rota_get_running_loop()->keep_order = true;
    for (int i = 0; i < MANY; i++) {
        char text[16] = "";

        snprintf(text, sizeof text, "%d", i);
        bare_tell(fd, &local, text, sizeof text);
    }
    count_turn(&end.received);
    await_that(end.received == MANY);
    assert_true(turn > MANY / ROTA__PACKETS);
    close_end(&end);
    close(fd);
    return 0;
}

static void many_come_in_order_and_let_others_have_their_turn(void)
{
    scenario(receive_many);
}

/* --- What a callback may do --------------------------------------------- */

static void close_at_the_second(struct end *end)
{
    if (end->received == 2)
        rota_datagram_transport_close(end->transport);
}

static void abort_at_the_second(struct end *end)
{
    if (end->received == 2)
        rota_datagram_transport_abort(end->transport);
    note("still '%s'", end->data);
}

static void receive_three(struct end *end)
{
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_v4(end);

    for (int i = 1; i <= 3; i++)
        bare_tell(fd, &local, i == 1 ? "1" : i == 2 ? "2" : "3", 2);
    settle();
    close(fd);
}

static intptr_t end_in_a_callback(void *arg)
{
    struct end closes = {.act = close_at_the_second, .quiet = true};
    struct end aborts = {.act = abort_at_the_second, .quiet = true};

    (void)arg;
    receive_three(&closes);
    assert_noted("made lost()");
    receive_three(&aborts);
    assert_noted("made still '1' still '2' lost(ECONNABORTED)");
    return 0;
}

static void an_endpoint_that_is_ended_by_a_datagram_gets_no_more(void)
{
    scenario(end_in_a_callback);
}

struct nest {
    rota_datagram_transport *transport;
    rota_address address;
    rota_loop *loop;
    int peer;
    int received;
};

/* What is looked at outlasts what comes meanwhile. */
static void run_nested(rota_datagram_transport *transport, const void *data,
                       size_t size, const rota_address *from, void *arg)
{
    struct nest *nest = arg;
    struct rota__running run;

    (void)transport;
    (void)from;
    note("(%.*s", (int)size, (const char *)data);
    if (++nest->received == 1) {
        bare_tell_text(nest->peer, &nest->address, "third");
        assert_int_equal(rota__run_begin(nest->loop, &run, true), 0);
        while (nest->received < 3)
            assert_int_equal(rota__turn(nest->loop), 0);
        rota__run_end(nest->loop, &run);
    }
    note("%.*s)", (int)size, (const char *)data);
}

static void turn_until(struct nest *nest, int received)
{
    struct rota__running run;

    assert_int_equal(rota__run_begin(nest->loop, &run, false), 0);
    while (nest->received < received)
        assert_int_equal(rota__turn(nest->loop), 0);
    rota__run_end(nest->loop, &run);
}

static void a_nested_run_receives_and_leaves_the_outer_datagram_alone(void)
{
    static const rota_datagram_protocol nesting = {.datagram_received =
                                                       run_nested};
    struct nest nest = {0};
    rota_address local = local_v4(0);
    rota_address peer;

    nest.peer = bare_udp(&peer);
    assert_int_equal(rota_new_event_loop(&nest.loop, NULL), 0);
    assert_int_equal(rota_create_datagram_endpoint(
                         &nest.transport, nest.loop, &nesting, &nest,
                         &(rota_datagram_options){.local = &local}),
                     0);
    assert_int_equal(
        rota_datagram_transport_local_address(nest.transport, &nest.address),
        0);
    bare_tell_text(nest.peer, &nest.address, "first");
    bare_tell_text(nest.peer, &nest.address, "second");
    turn_until(&nest, 3);
    assert_noted("(first (second second) (third third) first)");
    bare_tell_text(nest.peer, &nest.address, "fourth");
    turn_until(&nest, 4);
    assert_noted("(fourth fourth)");
    rota_loop_free(nest.loop);
    close(nest.peer);
}

HARNESS_MAIN(TEST(an_empty_datagram_is_one_too),
             TEST(the_largest_goes_and_a_larger_one_is_an_error),
             TEST(a_unix_socket_brings_larger_ones),
             TEST(a_refusal_is_told_once_and_the_endpoint_goes_on),
             TEST(an_error_among_datagrams_hides_none),
             TEST(many_come_in_order_and_let_others_have_their_turn),
             TEST(an_endpoint_that_is_ended_by_a_datagram_gets_no_more),
             TEST(a_nested_run_receives_and_leaves_the_outer_datagram_alone))
