/* SPDX-License-Identifier: MIT */
/*
 * Transports: made, closed, lost
 */
#include "transports.h"

/* --- The order ----------------------------------------------------------- */

static void what_happens_is_told_in_order_and_a_turn_each(void)
{
    struct ear ear = {0};
    int ends[2], peer;

    begin();
    tcp_pair(ends);
    bare_say(ends[1], "early");
    shutdown(ends[1], SHUT_WR);
    peer = adopt(ends, &ear, &ears);
    assert_noted("");
    await_word("lost");
    assert_noted("made data:early eof lost");
    assert_true(ear.turns[MADE] < ear.turns[DATA]);
    assert_true(ear.turns[DATA] < ear.turns[END]);
    assert_true(ear.turns[END] < ear.turns[LOST]);
    assert_string_equal(bare_hear(peer), "EOF");
    settle();
    assert_noted("");
    close(peer);
    end();
}

static void one_that_is_read_again_and_again_is_read_once_a_turn(void)
{
    static char much[3 * ROTA__SCRATCH];
    struct ear ear = {.silent = true};
    long turns = 0;
    size_t sent;
    int peer;

    begin();
    peer = join(&ear, &ears);
    sent = (size_t)send(peer, much, sizeof much, MSG_DONTWAIT);
    while (ear.heard < sent) {
        size_t before = ear.heard;

        turn();
        assert_true(ear.heard - before <= ROTA__SCRATCH);
        turns += ear.heard > before;
    }
    assert_true(turns >= (long)(sent / ROTA__SCRATCH));
    rota_transport_abort(ear.transport);
    await_word("lost");
    close(peer);
    end();
}

/* A protocol without functions is told nothing, and reads all the same. */
static void a_protocol_may_have_no_function_at_all(void)
{
    static const rota_protocol deaf;
    int ends[2];
    size_t sum = 0;

    begin();
    tcp_pair(ends);
    adopt(ends, NULL, &deaf);
    settle();
    bare_say(ends[1], "hello");
    settle();
    shutdown(ends[1], SHUT_WR);
    while (drink(ends[1], &sum))
        turn();
    assert_int_equal(sum, 0);
    close(ends[1]);
    settle();
    end();
}

/* --- Closing ------------------------------------------------------------- */

static void a_close_tells_in_a_later_turn(void)
{
    struct ear ear = {0};
    int peer;

    begin();
    peer = join(&ear, &ears);
    rota_transport_close(ear.transport);
    assert_true(rota_transport_is_closing(ear.transport));
    assert_noted("");
    rota_transport_close(ear.transport);
    turn();
    assert_noted("lost");
    settle();
    assert_noted("");
    assert_string_equal(bare_hear(peer), "EOF");
    close(peer);
    end();
}

static void a_close_sends_first_what_is_queued(void)
{
    struct ear ear = {0};
    size_t sent;
    int peer;

    begin();
    peer = join(&ear, &ears);
    sent = fill(ear.transport);
    assert_true(sent > 4096);
    rota_transport_close(ear.transport);
    settle();
    assert_noted("");
    assert_int_equal(drink_up(peer), sent);
    settle();
    assert_noted("lost");
    close(peer);
    end();
}

static void nothing_is_received_after_a_close(void)
{
    struct ear ear = {0};
    size_t sent;
    int peer;

    begin();
    peer = join(&ear, &ears);
    sent = fill(ear.transport);
    rota_transport_close(ear.transport);
    bare_say(peer, "too late");
    settle();
    assert_false(rota_transport_is_reading(ear.transport));
    assert_true(drink(peer, &sent));
    rota_transport_abort(ear.transport);
    settle();
    assert_noted("lost:ECONNABORTED");
    close(peer);
    end();
}

/* Behind whatever had come before. */
static void expect_reset(int fd)
{
    const char *heard;

    while (strcmp(heard = bare_hear(fd), "RESET") != 0)
        assert_string_not_equal(heard, "EOF");
}

static void an_abort_drops_what_is_queued_and_resets(void)
{
    struct ear ear = {0};
    int peer;

    begin();
    peer = join(&ear, &ears);
    (void)fill(ear.transport);
    rota_transport_abort(ear.transport);
    rota_transport_abort(ear.transport);
    assert_int_equal(rota_transport_get_write_buffer_size(ear.transport), 0);
    assert_noted("");
    turn();
    assert_noted("lost:ECONNABORTED");
    expect_reset(peer);
    close(peer);
    end();
}

static void a_close_or_abort_before_connection_made_is_all_that_is_told(void)
{
    struct ear ear = {0};
    rota_transport *transport;

    begin();
    for (int aborts = 0; aborts < 2; aborts++) {
        int ends[2];

        tcp_pair(ends);
        assert_int_equal(rota_connect_accepted_socket(
                             &transport, the_loop, &ears, &ear, ends[0], NULL),
                         0);
        if (aborts)
            rota_transport_abort(transport);
        else
            rota_transport_close(transport);
        settle();
        assert_noted(aborts ? "lost:ECONNABORTED" : "lost");
        assert_string_equal(bare_hear(ends[1]), aborts ? "RESET" : "EOF");
        close(ends[1]);
    }
    end();
}

static void a_reset_of_the_peer_is_told_as_the_reason(void)
{
    struct ear ear = {0};

    begin();
    bare_reset(join(&ear, &ears));
    await_word("lost");
    settle();
    assert_noted("lost:ECONNRESET");
    end();
}

/* --- Every call at every stage ------------------------------------------- */

static int expected; /* of all calls that can fail */
static bool expect_fd;

static void expect_all(rota_transport *transport)
{
    struct iovec part = {(void *)(uintptr_t) "x", 1};
    rota_address address;
    rota_tls_info info;
    size_t high, low;

    assert_int_equal(rota_transport_write(transport, "x", 1), expected);
    assert_int_equal(rota_transport_write(transport, "x", 0), expected);
    assert_int_equal(rota_transport_writelines(transport, &part, 1), expected);
    assert_int_equal(rota_transport_write_eof(transport), expected);
    assert_int_equal(rota_transport_tls_info(transport, &info), -ENOENT);
    assert_int_equal(rota_transport_get_write_buffer_size(transport), 0);
    assert_int_equal(
        rota_transport_set_write_buffer_limits(transport, 100, 101), -EINVAL);
    assert_int_equal(rota_transport_set_write_buffer_limits(transport, 99, 9),
                     0);
    rota_transport_get_write_buffer_limits(transport, &high, &low);
    assert_int_equal(high, 99);
    assert_int_equal(low, 9);
    if (the_loop)
        assert_ptr_equal(rota_transport_get_loop(transport), the_loop);
    if (expect_fd)
        return;
    assert_int_equal(rota_transport_fileno(transport), -ROTA_ECLOSING);
    assert_int_equal(rota_transport_peer_address(transport, &address),
                     -ROTA_ECLOSING);
    assert_int_equal(rota_transport_local_address(transport, &address),
                     -ROTA_ECLOSING);
}

static void expect_closed(rota_transport *transport)
{
    expected = -ROTA_ECLOSING;
    expect_all(transport);
    assert_true(rota_transport_is_closing(transport));
    assert_false(rota_transport_is_reading(transport));
    assert_int_equal(rota_transport_pause_reading(transport), -ROTA_ECLOSING);
    assert_int_equal(rota_transport_resume_reading(transport), -ROTA_ECLOSING);
    assert_int_equal(rota_transport_start_tls(transport, NULL, NULL, NULL),
                     -ROTA_ECLOSING);
    rota_transport_close(transport);
    rota_transport_abort(transport);
}

static void then_expect_closed(struct ear *ear)
{
    expect_closed(ear->transport);
    assert_ptr_equal(rota_transport_get_protocol_arg(ear->transport), ear);
}

static void before_connection_made_data_is_refused(void)
{
    struct ear ear = {0};
    rota_transport *transport;
    int ends[2];

    begin();
    tcp_pair(ends);
    assert_int_equal(rota_connect_accepted_socket(&transport, the_loop, &ears,
                                                  &ear, ends[0], NULL),
                     0);
    expected = -ENOTCONN;
    expect_fd = true;
    expect_all(transport);
    assert_true(rota_transport_is_reading(transport));
    assert_int_equal(rota_transport_pause_reading(transport), 0);
    assert_false(rota_transport_is_reading(transport));
    bare_say(ends[1], "hello");
    settle();
    assert_noted("made");
    assert_int_equal(rota_transport_resume_reading(transport), 0);
    await_word("data");
    assert_noted("data:hello");
    rota_transport_close(transport);
    turn();
    assert_noted("lost");
    close(ends[1]);
    end();
}

static void while_it_closes_every_call_says_so(void)
{
    struct ear ear = {.then[LOST] = then_expect_closed};
    rota_transport *transport;
    int peer;

    begin();
    peer = join(&ear, &ears);
    transport = ear.transport;
    rota_transport_ref(transport);
    rota_transport_close(transport);
    expect_closed(transport);
    turn();
    expect_closed(transport);
    assert_noted("lost");
    end();
    expect_closed(transport);
    rota_transport_unref(transport);
    close(peer);
}

/* Flushing: closed for its user, and the fd is still there. */
static void while_it_flushes_nothing_more_is_taken(void)
{
    struct ear ear = {0};
    struct iovec part = {(void *)(uintptr_t) "x", 1};
    size_t sent;
    int peer;

    begin();
    peer = join(&ear, &ears);
    sent = fill(ear.transport);
    rota_transport_close(ear.transport);
    assert_int_equal(rota_transport_write(ear.transport, "x", 1),
                     -ROTA_ECLOSING);
    assert_int_equal(rota_transport_writelines(ear.transport, &part, 1),
                     -ROTA_ECLOSING);
    assert_int_equal(rota_transport_write_eof(ear.transport), -ROTA_ECLOSING);
    assert_true(rota_transport_fileno(ear.transport) >= 0);
    assert_int_equal(drink_up(peer), sent);
    close(peer);
    settle();
    assert_noted("lost");
    end();
}

static void a_failed_connect_leaves_no_fd_behind(void)
{
    struct ear ear = {.then[LOST] = then_expect_closed};
    rota_transport *transport;

    begin();
    assert_int_equal(rota_create_connection(&transport, the_loop, &ears, &ear,
                                            "127.0.0.1", REFUSED_PORT, NULL),
                     0);
    await_word("lost");
    assert_noted("lost:ECONNREFUSED");
    end();
}

static void a_wrong_call_is_refused(void)
{
    static const rota_protocol half = {.get_buffer = ear_lend};
    struct ear ear = {0};
    int ends[2], port, listener, datagrams[2];
    rota_transport *t = NULL;

    begin();
    listener = bare_listen(&port, 0, 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams), 0);
    tcp_pair(ends);
#define REFUSED(call, error) assert_int_equal(call, error)
#define ACCEPT rota_connect_accepted_socket
#define CONNECT rota_create_connection
    REFUSED(ACCEPT(&t, the_loop, NULL, &ear, ends[0], NULL), -EINVAL);
    REFUSED(ACCEPT(&t, the_loop, &half, &ear, ends[0], NULL), -EINVAL);
    REFUSED(ACCEPT(&t, the_loop, &ears, &ear, -1, NULL), -EBADF);
    REFUSED(ACCEPT(&t, the_loop, &ears, &ear, 1000, NULL), -EBADF);
    REFUSED(ACCEPT(&t, the_loop, &ears, &ear, listener, NULL), -EINVAL);
    REFUSED(ACCEPT(&t, the_loop, &ears, &ear, datagrams[0], NULL), -EINVAL);
    REFUSED(CONNECT(&t, the_loop, NULL, &ear, "127.0.0.1", 1, NULL), -EINVAL);
    REFUSED(CONNECT(&t, the_loop, &ears, &ear, NULL, 1, NULL), -EINVAL);
    REFUSED(CONNECT(&t, the_loop, &ears, &ear, "127.0.0.1", 0, NULL), -EINVAL);
    REFUSED(CONNECT(&t, the_loop, &ears, &ear, "::1", 65536, NULL), -EINVAL);
    REFUSED(rota_create_unix_connection(&t, the_loop, &ears, &ear, NULL, NULL),
            -EINVAL);
    assert_null(t);
    REFUSED(ACCEPT(&t, the_loop, &ears, &ear, ends[0], NULL), 0);
    REFUSED(ACCEPT(&t, the_loop, &ears, &ear, ends[0], NULL), -EEXIST);
    turn();
    REFUSED(rota_transport_set_protocol(t, NULL, &ear), -EINVAL);
    REFUSED(rota_transport_set_protocol(t, &half, &ear), -EINVAL);
    REFUSED(rota_transport_writelines(t, NULL, 1), -EINVAL);
    REFUSED(rota_transport_writelines(
                t, &(struct iovec){(void *)(uintptr_t) "x", 1}, -1),
            -EINVAL);
    rota_transport_close(t);
    turn();
    assert_int_equal(rota_loop_close(the_loop), 0);
    REFUSED(ACCEPT(&t, the_loop, &ears, &ear, ends[1], NULL), -ROTA_ECLOSED);
    REFUSED(CONNECT(&t, the_loop, &ears, &ear, "127.0.0.1", 1, NULL),
            -ROTA_ECLOSED);
    end();
    close(ends[1]);
    close(datagrams[0]);
    close(datagrams[1]);
    close(listener);
}

/* --- References ---------------------------------------------------------- */

static void then_ref(struct ear *ear)
{
    rota_transport_ref(ear->transport);
    rota_transport_ref(ear->transport);
    rota_transport_unref(ear->transport);
}

static void a_reference_taken_in_the_last_call_keeps_the_handle(void)
{
    struct ear ear = {.then[LOST] = then_ref};
    rota_transport *transport;
    int peer;

    begin();
    peer = join(&ear, &ears);
    transport = ear.transport;
    rota_transport_close(transport);
    turn();
    assert_noted("lost");
    expect_closed(transport);
    rota_transport_unref(transport);
    close(peer);
    end();
}

/* --- The loop is closed -------------------------------------------------- */

static void then_reconnect(struct ear *ear)
{
    rota_transport *transport;

    assert_true(ear->lost < 10);
    note("%s", rota_errname(rota_create_connection(&transport, the_loop, &ears,
                                                   ear, "127.0.0.1", 1, NULL)));
}

static void a_loop_that_closes_tells_its_transports(void)
{
    struct ear ears_of[4] = {{.then[LOST] = then_expect_closed}};
    rota_transport *transport;
    int peers[5];

    begin();
    for (int i = 0; i < 3; i++)
        peers[i] = join(&ears_of[i], &ears);
    (void)fill(ears_of[1].transport);
    (void)fill(ears_of[2].transport);
    rota_transport_close(ears_of[1].transport);
    rota_transport_abort(ears_of[2].transport);
    tcp_pair(peers + 3); /* one that has not heard connection_made */
    assert_int_equal(rota_connect_accepted_socket(&transport, the_loop, &ears,
                                                  &ears_of[3], peers[3], NULL),
                     0);
    end();
    assert_noted("lost:ROTA_ECLOSING lost:ECONNABORTED lost:ROTA_ECLOSING "
                 "lost:ROTA_ECLOSING");
    for (int i = 0; i < 4; i++)
        assert_int_equal(ears_of[i].lost, 1);
    close(peers[0]);
    close(peers[1]);
    close(peers[2]);
    close(peers[4]);
}

static void one_who_connects_again_does_not_hold_up_a_closing_loop(void)
{
    struct ear ear = {.then[LOST] = then_reconnect};
    int peer;

    begin();
    peer = join(&ear, &ears);
    end();
    assert_noted("lost:ROTA_ECLOSING ROTA_ECLOSED");
    close(peer);
}

static struct ear *other;

static void then_abort_the_other(struct ear *ear)
{
    (void)ear;
    rota_transport_abort(other->transport);
}

static void one_that_is_lost_with_the_loop_may_abort_another(void)
{
    struct ear first = {0};
    struct ear second = {.then[LOST] = then_abort_the_other};
    int peers[2];

    begin();
    peers[0] = join(&first, &ears);
    peers[1] = join(&second, &ears);
    other = &first;
    end();
    assert_noted("lost:ROTA_ECLOSING lost:ECONNABORTED");
    close(peers[0]);
    close(peers[1]);
}

/* --- Contexts ------------------------------------------------------------ */

static rota_context_var whose = ROTA_CONTEXT_VAR("whose", "nobody");

static void note_whose(struct ear *ear)
{
    (void)ear;
    note("%s", (const char *)rota_context_var_get(&whose));
}

static void its_callbacks_run_in_the_context_of_their_maker(void)
{
    struct ear ear = {.then = {[MADE] = note_whose,
                               [DATA] = note_whose,
                               [END] = note_whose,
                               [LOST] = note_whose,
                               [PAUSE] = note_whose,
                               [RESUME] = note_whose},
                      .stays = true};
    rota_context_token token;
    int ends[2];
    size_t sum = 0;

    begin();
    tcp_pair(ends);
    assert_int_equal(rota_context_var_set(&whose, "maker", &token), 0);
    adopt(ends, &ear, &ears);
    assert_int_equal(rota_context_var_set(&whose, "later", NULL), 0);
    bare_say(ends[1], "hello");
    await_word("data");
    shutdown(ends[1], SHUT_WR);
    await_word("eof");
    settle();
    assert_noted("made maker data:hello maker eof maker");
    assert_int_equal(
        rota_transport_set_write_buffer_limits(ear.transport, 0, 0), 0);
    while (!was_noted("pause"))
        assert_int_equal(rota_transport_write(ear.transport, "hello", 5), 0);
    assert_noted("pause later"); /* called by the write itself */
    while (!was_noted("resume") && drink(ends[1], &sum))
        turn();
    assert_noted("resume maker");
    end();
    assert_noted("lost:ROTA_ECLOSING maker");
    close(ends[1]);
    assert_int_equal(rota_context_var_reset(&whose, &token), 0);
}

HARNESS_MAIN(TEST(what_happens_is_told_in_order_and_a_turn_each),
             TEST(one_that_is_read_again_and_again_is_read_once_a_turn),
             TEST(a_protocol_may_have_no_function_at_all),
             TEST(a_close_tells_in_a_later_turn),
             TEST(a_close_sends_first_what_is_queued),
             TEST(nothing_is_received_after_a_close),
             TEST(an_abort_drops_what_is_queued_and_resets),
             TEST(a_close_or_abort_before_connection_made_is_all_that_is_told),
             TEST(a_reset_of_the_peer_is_told_as_the_reason),
             TEST(before_connection_made_data_is_refused),
             TEST(while_it_closes_every_call_says_so),
             TEST(while_it_flushes_nothing_more_is_taken),
             TEST(a_failed_connect_leaves_no_fd_behind),
             TEST(a_wrong_call_is_refused),
             TEST(a_reference_taken_in_the_last_call_keeps_the_handle),
             TEST(a_loop_that_closes_tells_its_transports),
             TEST(one_who_connects_again_does_not_hold_up_a_closing_loop),
             TEST(one_that_is_lost_with_the_loop_may_abort_another),
             TEST(its_callbacks_run_in_the_context_of_their_maker))
