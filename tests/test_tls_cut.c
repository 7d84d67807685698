/* SPDX-License-Identifier: MIT */
/*
 * TLS: what comes in pieces, comes to an end too early, or is no TLS at all
 *
 * Between the two ends stands a wire that the test moves the bytes over, as
 * many as it likes and in pieces of its choice.
 */
#include "tls_pairs.h"

#define EVERYTHING ((size_t)-1)

/* --- The wire ----------------------------------------------------------- */

/* One direction: how much may pass, in pieces of which size. */
struct lane {
    int from;
    int to;
    size_t most;
    size_t piece;
    size_t passed;
    bool over;
};

struct wire {
    struct lane lanes[2]; /* the client's, the server's */
    struct tls_pair pair;
    rota_task task;
};

/* Passes a piece; after the last one that may pass comes the end. */
static void lane_step(struct lane *lane)
{
    static char buf[65536];
    size_t left = lane->most - lane->passed;
    size_t size = lane->piece < left ? lane->piece : left;
    ssize_t n;

    if (lane->over)
        return;
    n = size == 0 ? 0 : recv(lane->from, buf, size, MSG_DONTWAIT);
    if (n > 0)
        (void)send(lane->to, buf, (size_t)n, MSG_NOSIGNAL);
    lane->passed += n > 0 ? (size_t)n : 0;
    if (n == 0 || lane->passed == lane->most) {
        lane->over = true;
        shutdown(lane->to, SHUT_WR);
    }
}

static intptr_t wire_run(void *arg)
{
    struct wire *wire = arg;

    for (;;) {
        lane_step(&wire->lanes[0]);
        lane_step(&wire->lanes[1]);
        if (rota_sleep(0) < 0)
            return 0;
    }
}

/* A stream, and the fd of the wire's end of it. */
static int wire_end(rota_stream **stream)
{
    int port;
    int listener = bare_listen(&port, 0, 1);
    int fd = bare_connect(port);
    int other = accept(listener, NULL, NULL);

    close(listener);
    set_option(other, SO_REUSEADDR, 1);
    assert_int_equal(rota_open_fd(stream, fd), 0);
    return other;
}

static void wire_open(struct wire *wire, rota_tls_context *client,
                      rota_tls_context *server)
{
    struct tls_pair *pair = &wire->pair;
    int fds[2];

    memset(wire, 0, sizeof *wire);
    fds[0] = wire_end(&pair->client.stream);
    fds[1] = wire_end(&pair->server.stream);
    wire->lanes[0] = (struct lane){fds[0], fds[1], EVERYTHING, 65536, 0, 0};
    wire->lanes[1] = (struct lane){fds[1], fds[0], EVERYTHING, 65536, 0, 0};
    pair->client.context = client;
    pair->server.context = server;
    rota__tls_context_ref(client);
    rota__tls_context_ref(server);
    pair->client.options.server_name = "localhost";
    pair->server.options.server_side = true;
    pair->client.options.why = pair->client.why;
    pair->server.options.why = pair->server.why;
    wire->task = start(wire_run, wire);
}

static void wire_close(struct wire *wire)
{
    (void)rota_task_cancel(wire->task);
    assert_int_equal(rota_await(wire->task), 0);
    rota_abort(wire->pair.client.stream);
    rota_abort(wire->pair.server.stream);
    tls_pair_close(&wire->pair);
    close(wire->lanes[0].from);
    close(wire->lanes[1].from);
}

/* --- In pieces ---------------------------------------------------------- */

static intptr_t agree_by_bytes(void *arg)
{
    rota_tls_context *client = plain_client();
    rota_tls_context *server = server_with("server");
    struct wire wire;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        wire_open(&wire, client, server);
        wire.lanes[0].piece = 1;
        wire.lanes[1].piece = 1;
        tls_pair_shake(&wire.pair);
        assert_int_equal(wire.pair.client.result, 0);
        assert_int_equal(wire.pair.server.result, 0);
        say(wire.pair.client.stream, "byte by byte");
        expect_words(wire.pair.server.stream, "byte by byte");
        say(wire.pair.server.stream, "and back");
        expect_words(wire.pair.client.stream, "and back");
        wire_close(&wire);
        tls_only_12(client);
    }
    rota_tls_context_free(client);
    rota_tls_context_free(server);
    return 0;
}

static void single_bytes_make_a_handshake_and_records(void)
{
    run_tls(agree_by_bytes);
}

/* --- Cut off ------------------------------------------------------------ */

/* How much each end sends in a whole handshake. */
static void measure(rota_tls_context *client, rota_tls_context *server,
                    size_t sizes[2])
{
    struct wire wire;

    wire_open(&wire, client, server);
    tls_pair_shake(&wire.pair);
    assert_int_equal(wire.pair.client.result, 0);
    assert_int_equal(wire.pair.server.result, 0);
    pass_turns(5);
    sizes[0] = wire.lanes[0].passed;
    sizes[1] = wire.lanes[1].passed;
    wire_close(&wire);
}

/* Whom the cut leaves with half a handshake hears of it. */
static void expect_cut(rota_tls_context *client, rota_tls_context *server,
                       int lane, size_t at)
{
    struct wire wire;
    int other;

    wire_open(&wire, client, server);
    wire.lanes[lane].most = at;
    tls_pair_shake(&wire.pair);
    other = lane ? wire.pair.client.result : wire.pair.server.result;
    if (other != -ECONNRESET)
        fail_msg("cut after %zu of lane %d: %s", at, lane, rota_errname(other));
    assert_non_null(
        strstr(lane ? wire.pair.client.why : wire.pair.server.why, "has gone"));
    wire_close(&wire);
}

/* Without the last bytes: signatures differ in size, and behind the server's
   part of 1.3 come tickets, which the client can miss. */
static void cut_everywhere(rota_tls_context *client, rota_tls_context *server,
                           size_t last)
{
    size_t step = (size_t)harness_slowness();
    size_t sizes[2];

    measure(client, server, sizes);
    for (size_t at = 0; at < sizes[0] - 10; at += step)
        expect_cut(client, server, 0, at);
    assert_true(sizes[1] > last + 300);
    for (size_t at = 0; at < sizes[1] - last; at += step)
        expect_cut(client, server, 1, at);
}

static intptr_t cut_handshakes(void *arg)
{
    rota_tls_context *client = plain_client();
    rota_tls_context *server = server_with("server");

    (void)arg;
    cut_everywhere(client, server, 600);
    tls_only_12(client);
    cut_everywhere(client, server, 10);
    rota_tls_context_free(client);
    rota_tls_context_free(server);
    return 0;
}

static void a_handshake_may_be_cut_off_at_every_byte(void)
{
    run_tls(cut_handshakes);
}

/* After `at` bytes of a record the peer waits, and goes on or goes. */
static void expect_half_a_record(rota_tls_context *client,
                                 rota_tls_context *server, size_t at, bool go)
{
    char buf[100];
    struct wire wire;
    struct lane *lane = &wire.lanes[0];
    intptr_t n;

    wire_open(&wire, client, server);
    tls_pair_shake(&wire.pair);
    pass_turns(5);
    lane->piece = at;
    say(wire.pair.client.stream, "one record, and not much of it");
    if (go) {
        lane->most = lane->passed + at;
        n = rota_read(wire.pair.server.stream, buf, sizeof buf);
        assert_int_equal(n, -ROTA_ETRUNCATED);
    } else {
        n = rota_read(wire.pair.server.stream, buf, sizeof buf);
        assert_int_equal(n, 30);
    }
    wire_close(&wire);
}

static intptr_t cut_records(void *arg)
{
    rota_tls_context *client = plain_client();
    rota_tls_context *server = server_with("server");

    (void)arg;
    for (size_t at = 1; at < 30 + 5 + 17; at++) {
        expect_half_a_record(client, server, at, false);
        expect_half_a_record(client, server, at, true);
    }
    rota_tls_context_free(client);
    rota_tls_context_free(server);
    return 0;
}

static void a_record_may_be_cut_at_every_byte(void)
{
    run_tls(cut_records);
}

/* --- No TLS at all ------------------------------------------------------ */

static intptr_t talk_nonsense(void *arg)
{
    static char dots[1000];
    /* The third is too long; of the fourth the message, of the fifth the
       alert is too short. */
    const char *said[] = {"GET / HTTP/1.0\r\n\r\n",
                          "SSH-2.0-OpenSSH_9.2\r\n",
                          "\x16\x03\x01\x50\x01",
                          "\x16\x03\x01\x01\x01\x02\x02",
                          "\x15\x03\x01\x01\x03\x01\x01\x01",
                          "\x80\x03\x01\x7f"};

    (void)arg;
    for (size_t i = 0; i < 2 * rota__countof(said); i++) {
        struct tls_pair pair;
        struct tls_end *end = i % 2 ? &pair.client : &pair.server;
        rota_stream *peer;

        tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
        peer = i % 2 ? pair.server.stream : pair.client.stream;
        say(peer, said[i / 2]);
        assert_int_equal(rota_write(peer, dots, sizeof dots), sizeof dots);
        shake_hands(end);
        if (end->result != -ROTA_ETLS || end->why[0] == '\0')
            fail_msg("%zu: %s, %s", i, rota_errname(end->result), end->why);
        assert_true(rota_is_closing(end->stream));
        tls_pair_close(&pair);
    }
    return 0;
}

static void what_is_no_tls_is_refused(void)
{
    run_tls(talk_nonsense);
}

static intptr_t talk_random_bytes(void *arg)
{
    static const unsigned char hello[] = {0x16, 3, 3,  0, 0x60, 1,
                                          0,    0, 64, 3, 3};
    uint64_t seed = 42;

    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct tls_pair pair;
        struct tls_end *end = i % 2 ? &pair.client : &pair.server;
        unsigned char noise[200];

        tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
        for (size_t at = 0; at < sizeof noise; at++)
            noise[at] = (unsigned char)(rota__random(&seed) >> 40);
        if (i % 4 < 2)
            memcpy(noise, hello, sizeof hello);
        assert_int_equal(
            rota_write(i % 2 ? pair.server.stream : pair.client.stream, noise,
                       sizeof noise),
            sizeof noise);
        cut_off(i % 2 ? &pair.server : &pair.client);
        shake_hands(end);
        assert_true(rota_is_error(end->result));
        tls_pair_close(&pair);
    }
    return 0;
}

static void noise_is_refused(void)
{
    run_tls(talk_random_bytes);
}

static intptr_t spoil_a_record(void *arg)
{
    struct tls_pair pair;
    char buf[100];

    (void)arg;
    tls_pair_open(&pair);
    assert_int_equal(rota__conn_send_raw(
                         &pair.client.stream->conn,
                         "\x17\x03\x03\x00\x20................................",
                         37),
                     37);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_read(pair.server.stream, buf, sizeof buf),
                         -ROTA_ETLS);
    assert_int_equal(rota_write(pair.server.stream, "x", 1), -ROTA_ETLS);
    assert_int_equal(rota_read(pair.client.stream, buf, sizeof buf),
                     -ROTA_ETLSALERT);
    tls_pair_close(&pair);
    return 0;
}

static void a_spoilt_record_ends_the_connection(void)
{
    run_tls(spoil_a_record);
}

static intptr_t say_goodbye_first(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct tls_end *end = i ? &pair.client : &pair.server;
        rota_stream *peer;

        tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
        peer = i ? pair.server.stream : pair.client.stream;
        assert_int_equal(rota_write(peer, "\x15\x03\x03\0\x02\x01\0", 7), 7);
        shake_hands(end);
        if (i)
            expect_refusal(end, -ECONNRESET, "has gone");
        else
            assert_true(rota_is_error(end->result));
        tls_pair_close(&pair);
    }
    return 0;
}

static void a_goodbye_instead_of_a_hello_is_heard(void)
{
    run_tls(say_goodbye_first);
}

/* --- Patience ----------------------------------------------------------- */

static void expect_patience(double option, double seconds, const char *words)
{
    struct tls_pair pair;

    for (int i = 0; i < 2; i++) {
        struct tls_end *end = i ? &pair.client : &pair.server;
        double began = now();

        tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
        end->options.handshake_timeout = option;
        shake_hands(end);
        expect_refusal(end, -ETIMEDOUT, words);
        assert_true(now() - began >= seconds && now() - began < seconds + 0.1);
        tls_pair_close(&pair);
    }
}

static intptr_t lose_patience(void *arg)
{
    (void)arg;
    expect_patience(0, 60, "after 60 seconds");
    expect_patience(2.5, 2.5, "after 2.5 seconds");
    return 0;
}

static void a_handshake_with_a_silent_peer_comes_to_an_end(void)
{
    run_tls_virtually(lose_patience);
}

/* --- Cancelled, and out of memory --------------------------------------- */

static intptr_t cancel_handshakes(void *arg)
{
    int cancelled = 0;

    (void)arg;
    for (int turns = 1; turns < 12; turns++) {
        struct tls_pair pair;
        rota_task tasks[2];

        tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
        tasks[0] = start(shake_hands, &pair.client);
        tasks[1] = start(shake_hands, &pair.server);
        pass_turns(turns);
        cancelled += rota_task_cancel(tasks[0]) == 1;
        assert_int_equal(rota_await(tasks[0]), 0);
        if (pair.client.result == -ECANCELED)
            assert_true(rota_is_closing(pair.client.stream));
        else
            assert_int_equal(pair.client.result, 0);
        assert_int_equal(rota_await(tasks[1]), 0);
        if (pair.client.result < 0)
            assert_true(rota_is_error(pair.server.result));
        tls_pair_close(&pair);
    }
    assert_in_range(cancelled, 3, 10);
    return 0;
}

static void a_handshake_can_be_cancelled_at_every_turn(void)
{
    run_tls(cancel_handshakes);
}

static int refused;

/* The order to fail is given when both ends are there. */
static intptr_t be_short_of_memory(void *arg)
{
    struct tls_pair pair;
    rota_task tasks[2];
    int results[2];

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    tasks[0] = start(shake_hands, &pair.client);
    tasks[1] = start(shake_hands, &pair.server);
    harness_fail_allocation(refused);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), 0);
    harness_fail_allocation(-1);
    results[0] = pair.client.result;
    results[1] = pair.server.result;
    if (results[0] == -ENOMEM)
        rota_abort(pair.client.stream);
    if (results[1] == -ENOMEM)
        rota_abort(pair.server.stream);
    tls_pair_close(&pair);
    return results[0] == 0 && results[1] == 0;
}

static intptr_t be_shorter_of_memory(void *arg)
{
    (void)arg;
    for (refused = 1; refused < 50; refused++)
        if (be_short_of_memory(NULL))
            break;
    assert_in_range(refused, 3, 49);
    return 0;
}

static void a_lack_of_memory_ends_a_handshake_and_nothing_else(void)
{
    run_tls_virtually(be_shorter_of_memory);
}

HARNESS_MAIN(TEST(single_bytes_make_a_handshake_and_records),
             TEST_TIMEOUT(a_handshake_may_be_cut_off_at_every_byte, 60),
             TEST(a_record_may_be_cut_at_every_byte),
             TEST(what_is_no_tls_is_refused), TEST(noise_is_refused),
             TEST(a_spoilt_record_ends_the_connection),
             TEST(a_goodbye_instead_of_a_hello_is_heard),
             TEST(a_handshake_with_a_silent_peer_comes_to_an_end),
             TEST(a_handshake_can_be_cancelled_at_every_turn),
             TEST(a_lack_of_memory_ends_a_handshake_and_nothing_else))
