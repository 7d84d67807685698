/* SPDX-License-Identifier: MIT */
/*
 * Transports over a network that is slow or breaks: what test_net_faults and
 * test_net_breaks show of streams, for callbacks
 *
 * A talker is a protocol: it says its story as fast as it may, and listens to
 * its peer's. Each call is checked against what may come when. Time is
 * virtual; a task drives the proxy.
 */
#include "proxied.h"

enum { PIECE = 20000, HIGH = 65536 };

static int sender_room; /* of the talkers' sockets; 0: what is usual */

struct talker {
    rota_transport *transport;
    size_t to_say;
    size_t said;
    size_t to_hear;
    size_t heard;
    bool closes;     /* when all is said and heard */
    bool listens_on; /* after the peer's end */
    bool ends;       /* its direction, when all is said */
    bool paused;
    int pauses;
    int made;
    int lost;
    int error;
    bool saw_end;
    char room[5000]; /* of a buffered one */
};

/* --- The protocol ------------------------------------------------------- */

static void close_if_done(struct talker *talker)
{
    bool said = talker->said == talker->to_say;

    if (said && talker->ends) {
        talker->ends = false;
        assert_int_equal(rota_transport_write_eof(talker->transport), 0);
    }
    if (talker->closes && said && talker->heard == talker->to_hear)
        rota_transport_close(talker->transport);
}

static void say_more(struct talker *talker)
{
    char piece[PIECE];

    while (!talker->paused && talker->said < talker->to_say) {
        size_t size = talker->to_say - talker->said;
        int err;

        size = size < PIECE ? size : PIECE;
        story(piece, talker->said, size);
        err = rota_transport_write(talker->transport, piece, size);
        if (err < 0) { /* connection_lost will tell */
            assert_true(err == -ECONNRESET || err == -EPIPE ||
                        err == -ROTA_ECLOSING);
            return;
        }
        talker->said += size;
        assert_true(rota_transport_get_write_buffer_size(talker->transport) <=
                    HIGH + PIECE + 2000);
    }
    close_if_done(talker);
}

static void connection_made(rota_transport *transport, void *arg)
{
    struct talker *talker = arg;

    assert_int_equal(talker->made++ + talker->lost, 0);
    talker->transport = transport;
    if (sender_room > 0)
        set_option(rota_transport_fileno(transport), SO_SNDBUF, sender_room);
    say_more(talker);
}

static void data_received(rota_transport *transport, const void *data,
                          size_t size, void *arg)
{
    struct talker *talker = arg;

    assert_true(transport == talker->transport);
    assert_true(talker->made == 1 && talker->lost == 0 && !talker->saw_end);
    assert_true(size > 0);
    assert_story(data, talker->heard, size);
    talker->heard += size;
    close_if_done(talker);
}

static void *get_buffer(rota_transport *transport, size_t *size, void *arg)
{
    struct talker *talker = arg;

    (void)transport;
    assert_true(talker->made == 1 && talker->lost == 0 && !talker->saw_end);
    *size = sizeof talker->room;
    return talker->room;
}

static void buffer_updated(rota_transport *transport, size_t size, void *arg)
{
    data_received(transport, ((struct talker *)arg)->room, size, arg);
}

static bool eof_received(rota_transport *transport, void *arg)
{
    struct talker *talker = arg;

    (void)transport;
    assert_true(talker->made == 1 && talker->lost == 0 && !talker->saw_end);
    talker->saw_end = true;
    return talker->listens_on;
}

static void connection_lost(rota_transport *transport, int error, void *arg)
{
    struct talker *talker = arg;

    (void)transport;
    assert_int_equal(talker->lost++, 0);
    talker->error = error;
}

static void pause_writing(rota_transport *transport, void *arg)
{
    struct talker *talker = arg;

    (void)transport;
    assert_false(talker->paused);
    talker->paused = true;
    talker->pauses++;
}

static void resume_writing(rota_transport *transport, void *arg)
{
    struct talker *talker = arg;

    (void)transport;
    assert_true(talker->paused);
    talker->paused = false;
    say_more(talker);
}

static const rota_protocol talking = {
    .connection_made = connection_made,
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
};

static const rota_protocol talking_into_buffers = {
    .connection_made = connection_made,
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
};

/* --- Two of them and the proxy ------------------------------------------- */

struct dialogue {
    struct talker client;
    struct talker server;
    struct meeting meeting; /* its plan, proxy and listener */
    double abort_after;     /* the client aborts then; 0: never */
    double took;
};

static void listen_for(struct dialogue *dialogue)
{
    const rota_server_options options = {
        .tls = kind_now == &tls ? tls_of_servers : NULL,
        .handshake_timeout = LONG,
        .shutdown_timeout = LONG,
    };
    rota_loop *loop = rota_get_running_loop();
    rota_server **server = &dialogue->meeting.listener;
    int err =
        kind_now == &a_unix_socket
            ? rota_create_unix_server(server, loop, &talking, &dialogue->server,
                                      unix_name(), &options)
            : rota_create_server(server, loop, &talking, &dialogue->server,
                                 "127.0.0.1", 0, &options);

    assert_int_equal(err, 0);
}

static rota_transport *connect_for(struct dialogue *dialogue,
                                   const rota_address *address,
                                   const rota_connect_options *options)
{
    static char name[128];
    rota_loop *loop = rota_get_running_loop();
    rota_transport *transport = NULL;
    int err;

    if (kind_now == &a_unix_socket) {
        assert_int_equal(rota_address_path(address, name, sizeof name), 0);
        err =
            rota_create_unix_connection(&transport, loop, &talking_into_buffers,
                                        &dialogue->client, name, options);
    } else {
        err = rota_create_connection(&transport, loop, &talking_into_buffers,
                                     &dialogue->client, "127.0.0.1",
                                     rota_address_port(address), options);
    }
    assert_int_equal(err, 0);
    return transport;
}

static bool over(const struct talker *talker)
{
    return talker->made == talker->lost || (!talker->made && talker->lost);
}

static intptr_t hold_in_a_task(void *arg)
{
    struct dialogue *dialogue = arg;
    const rota_connect_options options = {
        .tls = kind_now == &tls ? tls_of_clients : NULL,
        .tls_options = {.server_name = "localhost",
                        .handshake_timeout = LONG,
                        .shutdown_timeout = LONG},
    };
    double began = now();
    rota_address address;
    rota_transport *client;
    rota_task proxy;

    listen_for(dialogue);
    assert_int_equal(
        rota_server_address(dialogue->meeting.listener, 0, &address), 0);
    dialogue->meeting.proxy =
        fault_proxy_open(&address, &dialogue->meeting.plan);
    proxy = start(run_proxy, &dialogue->meeting);
    fault_proxy_address(dialogue->meeting.proxy, &address);
    client = connect_for(dialogue, &address, &options);
    if (dialogue->abort_after > 0) {
        assert_int_equal(rota_sleep(dialogue->abort_after), 0);
        rota_transport_abort(client);
    }
    while (!dialogue->client.lost || !over(&dialogue->server)) {
        assert_int_equal(rota_sleep(TICK), 0);
        assert_true(now() - began < 1000);
    }
    dialogue->took = now() - began;
    meeting_end(&dialogue->meeting, proxy);
    return 0;
}

static void hold(struct dialogue *dialogue)
{
    in_virtual_time(hold_in_a_task, dialogue);
    assert_int_equal(dialogue->client.lost, 1);
    assert_int_equal(dialogue->server.lost, dialogue->server.made);
}

/* --- Nothing is lost or doubled ----------------------------------------- */

static void exchange(const struct fault *fault, size_t bytes, int room)
{
    struct dialogue dialogue = {
        .client = {.to_say = bytes, .to_hear = bytes, .closes = true},
        .server = {.to_say = bytes, .to_hear = bytes},
        .meeting.plan = {*fault, *fault, .seed = 3, .room = room},
    };

    sender_room = room;
    hold(&dialogue);
    assert_int_equal(dialogue.client.heard, bytes);
    assert_int_equal(dialogue.server.heard, bytes);
    assert_int_equal(dialogue.client.error, 0);
    assert_int_equal(dialogue.server.error, 0);
    assert_true(dialogue.server.saw_end);
    if (room > 0)
        assert_true(dialogue.client.pauses > 0 && dialogue.server.pauses > 0);
    assert_true(dialogue.took >= fault->stall);
}

static void megabytes_pass_both_ways(void)
{
    exchange(&(struct fault){.piece = 0}, scaled(4 * MIB), 0);
}

static void ragged_pieces_make_a_whole(void)
{
    exchange(&(struct fault){.piece = 5000, .ragged = true}, scaled(MIB), 0);
}

static void single_bytes_make_a_whole(void)
{
    exchange(&(struct fault){.piece = 1}, scaled(3000), 0);
}

static void buffers_that_are_always_full_lose_nothing(void)
{
    exchange(&(struct fault){.piece = 2000, .ragged = true}, MIB / 2, 4096);
}

static void late_pieces_and_a_stall_are_waited_for(void)
{
    exchange(&(struct fault){.piece = 16384,
                             .delay = 0.05,
                             .jitter = 0.1,
                             .at = 200000,
                             .event = FAULT_STALL,
                             .stall = 100},
             MIB / 2, 4096);
}

/* --- An end, a cut, a reset ---------------------------------------------- */

static void break_at(size_t at, enum fault_event event)
{
    struct dialogue dialogue = {
        .client = {.to_say = 64 * MIB, .to_hear = 1},
        .server = {.to_hear = 64 * MIB},
        .meeting.plan = {.up = {.at = at, .event = event}, .room = 4096},
    };
    int told;

    sender_room = 4096;
    hold(&dialogue);
    told = dialogue.client.error;
    assert_true(told == -ECONNRESET || told == -EPIPE ||
                (event != FAULT_RESET && told == 0));
    if (kind_now != &tls && dialogue.server.made)
        assert_int_equal(dialogue.server.heard, at);
    told = dialogue.server.error;
    if (kind_now != &a_unix_socket && dialogue.server.made &&
        event == FAULT_RESET)
        assert_int_equal(told, -ECONNRESET);
    if (kind_now == &tls && dialogue.server.made)
        assert_true(told == -ECONNRESET || told == -ROTA_ETRUNCATED);
    if (kind_now == &tcp && event != FAULT_RESET)
        assert_true(told == 0 && dialogue.server.saw_end);
}

static void break_everywhere(enum fault_event event)
{
    static const size_t points[] = {0, 1, 1000, 5000, 65536, 300000};

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        break_at(points[i], event);
}

static void a_reset_is_told_to_both_once(void)
{
    break_everywhere(FAULT_RESET);
}

static void a_cut_is_told_to_both_once(void)
{
    break_everywhere(FAULT_CUT);
}

/* --- A peer that is gone without a word --------------------------------- */

static void an_abort_ends_what_a_silent_peer_would_hold_for_ever(void)
{
    struct dialogue dialogue = {
        .client = {.to_say = 64 * MIB, .to_hear = 1},
        .server = {.to_hear = 64 * MIB},
        .meeting.plan = {.up = {.at = 5000, .event = FAULT_STALL, .stall = 200},
                         .room = 4096},
        .abort_after = 100,
    };

    sender_room = 4096;
    hold(&dialogue);
    assert_int_equal(dialogue.client.error, -ECONNABORTED);
    assert_true(dialogue.client.pauses > 0);
    assert_true(dialogue.client.said < 64 * MIB);
    assert_in_range(dialogue.server.heard, kind_now == &tls ? 0 : 1,
                    dialogue.client.said); /* a record may be cut off */
    assert_true(dialogue.took >= 200);
}

static void half_of_a_connection_outlives_the_other_half(void)
{
    struct dialogue dialogue = {
        .client = {.to_say = 1000,
                   .to_hear = MIB,
                   .ends = true,
                   .closes = true},
        .server = {.to_say = MIB,
                   .to_hear = 1000,
                   .listens_on = true,
                   .closes = true},
        .meeting.plan = {.down = {.at = 500000,
                                  .event = FAULT_STALL,
                                  .stall = 50},
                         .room = 4096},
    };

    sender_room = 4096;
    hold(&dialogue);
    assert_true(dialogue.server.saw_end);
    assert_int_equal(dialogue.server.heard, 1000);
    assert_int_equal(dialogue.client.heard, MIB);
    assert_int_equal(dialogue.client.error, 0);
    assert_int_equal(dialogue.server.error, 0);
}

OVER_EACH(megabytes_pass_both_ways)
OVER_EACH(ragged_pieces_make_a_whole)
OVER_EACH(single_bytes_make_a_whole)
OVER_EACH(buffers_that_are_always_full_lose_nothing)
OVER_EACH(late_pieces_and_a_stall_are_waited_for)
OVER_EACH(a_reset_is_told_to_both_once)
OVER_EACH(a_cut_is_told_to_both_once)
OVER_EACH(an_abort_ends_what_a_silent_peer_would_hold_for_ever)
OVER_SOCKETS(half_of_a_connection_outlives_the_other_half)

HARNESS_MAIN(
    TESTS_OVER_EACH(megabytes_pass_both_ways),
    TESTS_OVER_EACH(ragged_pieces_make_a_whole),
    TESTS_OVER_EACH(single_bytes_make_a_whole),
    TESTS_OVER_EACH(buffers_that_are_always_full_lose_nothing),
    TESTS_OVER_EACH(late_pieces_and_a_stall_are_waited_for),
    TESTS_OVER_EACH(a_reset_is_told_to_both_once),
    TESTS_OVER_EACH(a_cut_is_told_to_both_once),
    TESTS_OVER_EACH(an_abort_ends_what_a_silent_peer_would_hold_for_ever),
    TESTS_OVER_SOCKETS(half_of_a_connection_outlives_the_other_half))
