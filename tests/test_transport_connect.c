/* SPDX-License-Identifier: MIT */
/*
 * Transports that connect, and what may end them before they are made
 */
#define _GNU_SOURCE
#include "transports.h"
#include "resolver.h"

static rota_transport *connect_to(struct ear *ear, const char *host, int port,
                                  const rota_connect_options *options)
{
    rota_transport *transport;

    assert_int_equal(rota_create_connection(&transport, the_loop, &ears, ear,
                                            host, port, options),
                     0);
    assert_noted("");
    return transport;
}

static int accept_one(int listener)
{
    int fd = accept(listener, NULL, NULL);

    assert_true(fd >= 0);
    return fd;
}

static void expect_life(struct ear *ear, int listener)
{
    int peer;

    await_word("made");
    peer = accept_one(listener);
    bare_say(peer, "hello");
    await_word("data");
    assert_int_equal(rota_transport_write(ear->transport, "world", 5), 0);
    assert_string_equal(hear(peer), "world");
    close(peer);
    await_word("lost");
    assert_noted("made data:hello eof lost");
}

static void a_host_and_port_become_a_connection(void)
{
    static const char *const hosts[] = {"127.0.0.1", "another.test",
                                        "two.test"};
    int port;
    int listener = bare_listen(&port, 0, 3);

    begin();
    for (size_t i = 0; i < rota__countof(hosts); i++) {
        struct ear ear = {0};

        (void)connect_to(&ear, hosts[i], port, NULL);
        expect_life(&ear, listener);
    }
    end();
    close(listener);
}

static void both_ends_can_be_asked_for_their_addresses(void)
{
    const rota_connect_options options = {.local_host = "127.0.0.3"};
    struct ear ear = {0};
    rota_address address;
    char host[64];
    int port;
    int listener = bare_listen(&port, 0, 3);

    begin();
    (void)connect_to(&ear, "127.0.0.1", port, &options);
    await_word("made");
    assert_int_equal(rota_transport_peer_address(ear.transport, &address), 0);
    assert_int_equal(rota_address_port(&address), port);
    assert_int_equal(rota_transport_local_address(ear.transport, &address), 0);
    assert_int_equal(rota_address_host(&address, host, sizeof host), 0);
    assert_string_equal(host, "127.0.0.3");
    assert_true(rota_transport_fileno(ear.transport) >= 0);
    end();
    assert_noted("made lost:ROTA_ECLOSING");
    close(listener);
}

static int unix_listen(struct sockaddr_un *address, size_t name_size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_size);

    assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
    assert_int_equal(listen(fd, 3), 0);
    return fd;
}

static void an_abstract_name_becomes_a_connection(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX,
                                  .sun_path = "\0rota-test-connect"};
    int listener = unix_listen(&address, 18);
    struct ear ear = {0};
    rota_transport *transport;

    begin();
    assert_int_equal(rota_create_unix_connection(&transport, the_loop, &ears,
                                                 &ear, "@rota-test-connect",
                                                 NULL),
                     0);
    expect_life(&ear, listener);
    end();
    close(listener);
}

/* --- Failures ------------------------------------------------------------ */

static void a_connect_that_fails_is_lost_and_never_made(void)
{
    static const char *const names[] = {"gone.test", "again.test", "fail.test"};
    static const char *const losses[] = {
        "lost:ROTA_ENONAME", "lost:ROTA_ENAMEAGAIN", "lost:ROTA_ENAMEFAIL"};
    struct ear ear = {0};
    rota_transport *transport;

    begin();
    (void)connect_to(&ear, "127.0.0.1", REFUSED_PORT, NULL);
    await_word("lost");
    assert_noted("lost:ECONNREFUSED");
    for (int i = 0; i < 3; i++) {
        (void)connect_to(&ear, names[i], 80, NULL);
        await_word("lost");
        assert_noted(losses[i]);
    }
    assert_int_equal(rota_create_unix_connection(&transport, the_loop, &ears,
                                                 &ear, "/nowhere/to/be", NULL),
                     0);
    await_word("lost");
    assert_noted("lost:ENOENT");
    assert_int_equal(ear.lost, 5);
    assert_int_equal(ear.made, 0);
    end();
}

static void what_is_wrong_at_once_is_the_result(void)
{
    const rota_connect_options slow = {.happy_eyeballs_delay = -1};
    const rota_connect_options named = {.local_host = "another.test"};
    struct ear ear = {0};
    rota_transport *t;
    char path[300];

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    begin();
#define CONNECT(options)                                                       \
    rota_create_connection(&t, the_loop, &ears, &ear, "127.0.0.1", 80, options)
    assert_int_equal(CONNECT(&slow), -EINVAL);
    assert_int_equal(CONNECT(&named), -EINVAL);
    assert_int_equal(
        rota_create_unix_connection(&t, the_loop, &ears, &ear, path, NULL),
        -ENAMETOOLONG);
    settle();
    end();
    assert_noted("");
}

/* --- Ended at each stage ------------------------------------------------- */

enum way { ABORT, CLOSE, LOOP_CLOSE, WAYS };

static const char *const last_words[] = {
    "lost:ECONNABORTED", "lost:ECONNABORTED", "lost:ROTA_ECLOSING"};

static void refuses_all(rota_transport *transport, int error)
{
    rota_address address;

    assert_int_equal(rota_transport_write(transport, "x", 1), error);
    assert_int_equal(rota_transport_write_eof(transport), error);
    assert_int_equal(rota_transport_fileno(transport), -ROTA_ECLOSING);
    assert_int_equal(rota_transport_peer_address(transport, &address),
                     -ROTA_ECLOSING);
    assert_int_equal(rota_transport_get_write_buffer_size(transport), 0);
    assert_int_equal(rota_transport_set_write_buffer_limits(transport, 10, 5),
                     0);
}

static void end_by(enum way way, struct ear *ear, rota_transport *transport)
{
    settle();
    assert_noted("");
    refuses_all(transport, -ENOTCONN);
    assert_false(rota_transport_is_closing(transport));
    rota_transport_ref(transport);
    if (way == ABORT)
        rota_transport_abort(transport);
    else if (way == CLOSE)
        rota_transport_close(transport);
    if (way != LOOP_CLOSE) {
        assert_noted("");
        refuses_all(transport, -ROTA_ECLOSING);
        rota_transport_abort(transport);
        turn();
        assert_noted(last_words[way]);
        settle();
    }
    resolver_let_go();
    end();
    assert_noted(way == LOOP_CLOSE ? last_words[way] : "");
    refuses_all(transport, -ROTA_ECLOSING);
    rota_transport_unref(transport);
    assert_int_equal(ear->made, 0);
    assert_int_equal(ear->lost, 1);
}

static void one_may_be_ended_while_its_name_is_looked_up(void)
{
    for (int way = 0; way < WAYS; way++) {
        struct ear ear = {0};
        rota_transport *transport;

        resolver_held = true;
        begin();
        transport = connect_to(&ear, "slow.test", 80, NULL);
        resolver_expect_waiting(1);
        end_by((enum way)way, &ear, transport);
    }
}

static void one_may_be_ended_while_it_connects(void)
{
    for (int way = 0; way < WAYS; way++) {
        struct ear ear = {0};
        rota_transport *transport;
        int port, others[3];
        int listener = bare_listen(&port, 0, 0);

        begin();
        bare_fill_backlog(port, others, 3);
        transport = connect_to(&ear, "127.0.0.1", port, NULL);
        end_by((enum way)way, &ear, transport);
        for (int i = 0; i < 3; i++)
            close(others[i]);
        close(listener);
    }
}

static void one_may_be_ended_while_it_agrees_on_tls(void)
{
    const rota_tls_context_options trusting = {.no_verify = true};
    rota_connect_options options = {0};

    if (!rota_has_tls())
        harness_skip("built without TLS");
    assert_int_equal(rota_tls_context_new(&options.tls, &trusting, NULL), 0);
    for (int way = 0; way < WAYS; way++) {
        struct ear ear = {0};
        rota_transport *transport;
        int port, peer;
        int listener = bare_listen(&port, 0, 1);

        begin();
        transport = connect_to(&ear, "127.0.0.1", port, &options);
        peer = accept_one(listener);
        end_by((enum way)way, &ear, transport);
        close(peer);
        close(listener);
    }
    rota_tls_context_free(options.tls);
}

static void a_peer_that_speaks_no_tls_is_lost_and_never_made(void)
{
    const rota_tls_context_options trusting = {.no_verify = true};
    rota_connect_options options = {0};
    struct ear ear = {0};
    int port, peer;
    int listener = bare_listen(&port, 0, 1);

    if (!rota_has_tls())
        harness_skip("built without TLS");
    assert_int_equal(rota_tls_context_new(&options.tls, &trusting, NULL), 0);
    begin();
    (void)connect_to(&ear, "127.0.0.1", port, &options);
    peer = accept_one(listener);
    bare_say(peer, "220 welcome to a server that is not encrypted\r\n");
    await_word("lost");
    settle();
    assert_int_equal(ear.made, 0);
    assert_int_equal(ear.lost, 1);
    assert_true(ear.error < 0);
    end();
    close(peer);
    close(listener);
    rota_tls_context_free(options.tls);
}

HARNESS_MAIN(TEST(a_host_and_port_become_a_connection),
             TEST(both_ends_can_be_asked_for_their_addresses),
             TEST(an_abstract_name_becomes_a_connection),
             TEST(a_connect_that_fails_is_lost_and_never_made),
             TEST(what_is_wrong_at_once_is_the_result),
             TEST(one_may_be_ended_while_its_name_is_looked_up),
             TEST(one_may_be_ended_while_it_connects),
             TEST(one_may_be_ended_while_it_agrees_on_tls),
             TEST(a_peer_that_speaks_no_tls_is_lost_and_never_made))
