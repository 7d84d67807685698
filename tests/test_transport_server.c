/* SPDX-License-Identifier: MIT */
/*
 * Servers for protocols
 */
#include "clients.h"

static rota_server *serve_with(const rota_server_options *options)
{
    rota_server *server;

    client_count = 0;
    memset(clients, 0, sizeof clients);
    assert_int_equal(rota_create_server(&server, the_loop, &client, servers,
                                        "127.0.0.1", 0, options),
                     0);
    return server;
}

static rota_server *serve(void)
{
    return serve_with(NULL);
}

static int port_of(const rota_server *server)
{
    rota_address address;

    assert_int_equal(rota_server_address(server, 0, &address), 0);
    return rota_address_port(&address);
}

/* So many who have heard that they are there. */
static void connect_many(rota_server *server, int *peers, int count)
{
    int before = client_count;

    for (int i = 0; i < count; i++)
        peers[i] = bare_connect(port_of(server));
    while (client_count < before + count)
        turn();
    scenario_line[0] = '\0';
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static bool is_refused(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int result = connect(fd, (struct sockaddr *)&address, sizeof address);

    close(fd);
    return result < 0;
}

static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, name, &value, &size), 0);
    return value;
}

/* --- Serving ------------------------------------------------------------- */

static void each_connection_is_a_transport(void)
{
    rota_server *server;
    int peers[3];

    begin();
    server = serve();
    assert_true(rota_server_is_serving(server));
    assert_ptr_equal(rota_server_get_loop(server), the_loop);
    connect_many(server, peers, 3);
    assert_int_equal(rota_server_client_count(server), 3);
    for (int i = 0; i < 3; i++) {
        bare_say(peers[i], "hello");
        await_word("data");
        assert_noted("data:hello");
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(clients[i].heard, 5);
        assert_int_equal(rota_transport_write(clients[i].transport, "bye", 3),
                         0);
        assert_string_equal(hear(peers[i]), "bye");
        close(peers[i]);
        await_word("lost");
        assert_noted("eof lost");
        assert_int_equal(rota_server_client_count(server), 2 - i);
    }
    rota_server_free(server);
    end();
}

static void a_closed_server_keeps_its_connections(void)
{
    rota_server *server;
    rota_address address;
    int peers[2];
    int port;

    begin();
    server = serve();
    port = port_of(server);
    assert_true(rota_server_fileno(server, 0) >= 0);
    assert_int_equal(rota_server_fileno(server, 1), -ENOENT);
    connect_many(server, peers, 2);
    rota_server_close(server);
    rota_server_close(server);
    assert_false(rota_server_is_serving(server));
    assert_int_equal(rota_server_start_serving(server), -ROTA_ECLOSING);
    assert_int_equal(rota_server_address(server, 0, &address), -ENOENT);
    assert_int_equal(rota_server_fileno(server, 0), -ENOENT);
    assert_true(is_refused(port));
    assert_int_equal(rota_server_client_count(server), 2);
    bare_say(peers[1], "hello");
    await_word("data");
    rota_server_free(server);
    bare_say(peers[0], "world");
    await_word("world");
    assert_noted("data:hello data:world");
    close_all(peers, 2);
    while (!clients[0].lost || !clients[1].lost)
        turn();
    end();
}

static void one_that_is_not_to_serve_yet_begins_when_told(void)
{
    const rota_server_options options = {.do_not_serve = true, .backlog = 1};
    rota_server *server;
    int peer;

    begin();
    server = serve_with(&options);
    assert_false(rota_server_is_serving(server));
    assert_true(is_refused(port_of(server)));
    assert_int_equal(rota_server_start_serving(server), 0);
    assert_int_equal(rota_server_start_serving(server), 0);
    assert_true(rota_server_is_serving(server));
    connect_many(server, &peer, 1);
    rota_server_free(server);
    end();
    close(peer);
}

/* --- Its clients --------------------------------------------------------- */

static void its_clients_can_be_closed_at_once(void)
{
    rota_server *server;
    int peers[3];
    size_t sent;

    begin();
    server = serve();
    connect_many(server, peers, 3);
    sent = fill(clients[1].transport);
    rota_server_close_clients(server);
    settle();
    assert_noted("lost lost");
    assert_int_equal(rota_server_client_count(server), 1);
    assert_int_equal(drink_up(peers[1]), sent);
    settle();
    assert_noted("lost");
    assert_int_equal(rota_server_client_count(server), 0);
    assert_true(rota_server_is_serving(server));
    assert_string_equal(bare_hear(peers[0]), "EOF");
    close_all(peers, 3);
    rota_server_free(server);
    end();
}

static void its_clients_can_be_aborted_at_once(void)
{
    void (*const ways[])(rota_server *) = {rota_server_abort_clients,
                                           rota_server_cancel_clients};

    for (size_t i = 0; i < rota__countof(ways); i++) {
        rota_server *server;
        int peers[3];

        begin();
        server = serve();
        connect_many(server, peers, 3);
        (void)fill(clients[1].transport);
        ways[i](server);
        assert_noted("");
        assert_int_equal(rota_server_client_count(server), 3);
        turn();
        assert_noted("lost:ECONNABORTED lost:ECONNABORTED lost:ECONNABORTED");
        assert_int_equal(rota_server_client_count(server), 0);
        assert_string_equal(bare_hear(peers[0]), "RESET");
        close_all(peers, 3);
        rota_server_free(server);
        end();
    }
}

static void one_that_was_not_shown_to_anybody_goes_silently(void)
{
    for (int way = 0; way < 3; way++) {
        rota_server *server;
        int peer;

        begin();
        server = serve();
        peer = bare_connect(port_of(server));
        while (rota_server_client_count(server) == 0)
            turn();
        assert_int_equal(client_count, 0); /* connection_made comes next */
        if (way == 0)
            rota_server_abort_clients(server);
        else if (way == 1)
            rota_server_close_clients(server);
        rota_server_close(server);
        if (way < 2)
            settle();
        rota_server_free(server);
        end();
        assert_int_equal(client_count, 0);
        assert_noted("");
        close(peer);
    }
}

static void a_loop_that_closes_ends_a_server_and_its_clients(void)
{
    for (int freed_before = 0; freed_before < 2; freed_before++) {
        rota_server *server;
        int peers[2];

        begin();
        server = serve();
        connect_many(server, peers, 2);
        if (freed_before)
            rota_server_free(server);
        end();
        assert_noted("lost:ROTA_ECLOSING lost:ROTA_ECLOSING");
        close_all(peers, 2);
        if (freed_before)
            continue;
        assert_false(rota_server_is_serving(server));
        assert_int_equal(rota_server_client_count(server), 0);
        rota_server_close_clients(server);
        rota_server_free(server);
    }
}

static rota_server *serving;

static void then_free_server(struct ear *ear)
{
    (void)ear;
    rota_server_free(serving);
}

static void a_client_may_free_its_server(void)
{
    static const enum moment moments[] = {DATA, END, LOST};

    for (size_t i = 0; i < rota__countof(moments); i++) {
        int peers[2];

        begin();
        serving = serve();
        connect_many(serving, peers, 2);
        clients[0].then[moments[i]] = then_free_server;
        bare_say(peers[0], "hello");
        await_word("data");
        close(peers[0]);
        await_word("lost");
        assert_noted("data:hello eof lost");
        bare_say(peers[1], "hello");
        await_word("data");
        close(peers[1]);
        await_word("lost");
        scenario_line[0] = '\0';
        end();
    }
}

static rota_context_var whose = ROTA_CONTEXT_VAR("whose", "nobody");

static void made_in_context(rota_transport *transport, void *arg)
{
    (void)arg;
    note("made:%s", (const char *)rota_context_var_get(&whose));
    rota_transport_close(transport);
}

static void lost_in_context(rota_transport *transport, int error, void *arg)
{
    (void)transport;
    (void)error;
    (void)arg;
    note("lost:%s", (const char *)rota_context_var_get(&whose));
}

static void its_clients_run_in_the_context_of_its_maker(void)
{
    static const rota_protocol protocol = {.connection_made = made_in_context,
                                           .connection_lost = lost_in_context};
    rota_context_token token;
    rota_server *server;
    int peer;

    begin();
    assert_int_equal(rota_context_var_set(&whose, "maker", &token), 0);
    assert_int_equal(rota_create_server(&server, the_loop, &protocol, NULL,
                                        "127.0.0.1", 0, NULL),
                     0);
    assert_int_equal(rota_context_var_reset(&whose, &token), 0);
    peer = bare_connect(port_of(server));
    await_word("lost");
    assert_noted("made:maker lost:maker");
    close(peer);
    rota_server_free(server);
    end();
}

/* --- Options ------------------------------------------------------------- */

static void several_hosts_share_a_port(void)
{
    static const char *const more[] = {"127.0.0.2", "127.0.0.3", "127.0.0.2",
                                       NULL};
    const rota_server_options options = {.hosts = more};
    rota_server *server = NULL;
    rota_address address;
    char host[64];
    int port;

    begin();
    server = serve_with(&options);
    port = port_of(server);
    for (size_t i = 0; i < 3; i++) {
        const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};

        assert_int_equal(rota_server_address(server, i, &address), 0);
        assert_int_equal(rota_address_port(&address), port);
        assert_int_equal(rota_address_host(&address, host, sizeof host), 0);
        assert_string_equal(host, hosts[i]);
    }
    assert_int_equal(rota_server_address(server, 3, &address), -ENOENT);
    rota_server_free(server);
    end();
}

static void a_port_may_be_shared_if_all_say_so(void)
{
    const rota_server_options shared = {.reuse_port = true};
    rota_server *first, *second;
    int port;

    begin();
    first = serve_with(&shared);
    port = port_of(first);
    assert_int_equal(rota_create_server(&second, the_loop, &client, servers,
                                        "127.0.0.1", port, NULL),
                     -EADDRINUSE);
    assert_int_equal(rota_create_server(&second, the_loop, &client, servers,
                                        "127.0.0.1", port, &shared),
                     0);
    assert_int_equal(option_of(rota_server_fileno(second, 0), SO_REUSEPORT), 1);
    rota_server_free(first);
    rota_server_free(second);
    end();
}

static void connections_are_kept_alive_if_wanted(void)
{
    begin();
    for (int wanted = 0; wanted < 2; wanted++) {
        const rota_server_options options = {.keep_alive = wanted,
                                             .no_reuse_address = wanted};
        rota_server *server = serve_with(&options);
        int fd = rota_server_fileno(server, 0);
        int peer;

        assert_int_equal(option_of(fd, SO_REUSEADDR), !wanted);
        connect_many(server, &peer, 1);
        fd = rota_transport_fileno(clients[0].transport);
        assert_int_equal(option_of(fd, SO_KEEPALIVE), wanted);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(peer);
        rota_server_free(server);
        await_word("lost");
    }
    end();
}

static void what_is_wrong_is_refused(void)
{
    static const rota_protocol half = {.get_buffer = ear_lend};
    const rota_server_options few = {.backlog = -1};
    const rota_server_options six = {.family = AF_INET6};
    rota_server *server = NULL;
    rota_server *first;
    int port;

    begin();
    first = serve();
    port = port_of(first);
#define SERVE(protocol, host, port, options)                                   \
    rota_create_server(&server, the_loop, protocol, servers, host, port,       \
                       options)
    assert_int_equal(SERVE(NULL, "127.0.0.1", 0, NULL), -EINVAL);
    assert_int_equal(SERVE(&half, "127.0.0.1", 0, NULL), -EINVAL);
    assert_int_equal(SERVE(&client, "127.0.0.1", -1, NULL), -EINVAL);
    assert_int_equal(SERVE(&client, "127.0.0.1", 65536, NULL), -EINVAL);
    assert_int_equal(SERVE(&client, "127.0.0.1", 0, &few), -EINVAL);
    assert_int_equal(SERVE(&client, "localhost", 0, NULL), -ROTA_ENONAME);
    assert_true(SERVE(&client, "127.0.0.1", 0, &six) < 0);
    assert_int_equal(SERVE(&client, "127.0.0.1", port, NULL), -EADDRINUSE);
    assert_int_equal(SERVE(&client, "192.0.2.1", 0, NULL), -EADDRNOTAVAIL);
    assert_int_equal(rota_create_unix_server(&server, the_loop, &client,
                                             servers, NULL, NULL),
                     -EINVAL);
    assert_null(server);
    rota_server_free(first);
    rota_server_free(NULL);
    assert_int_equal(rota_loop_close(the_loop), 0);
    assert_int_equal(SERVE(&client, "127.0.0.1", 0, NULL), -ROTA_ECLOSED);
    end();
}

HARNESS_MAIN(TEST(each_connection_is_a_transport),
             TEST(a_closed_server_keeps_its_connections),
             TEST(one_that_is_not_to_serve_yet_begins_when_told),
             TEST(its_clients_can_be_closed_at_once),
             TEST(its_clients_can_be_aborted_at_once),
             TEST(one_that_was_not_shown_to_anybody_goes_silently),
             TEST(a_loop_that_closes_ends_a_server_and_its_clients),
             TEST(a_client_may_free_its_server),
             TEST(its_clients_run_in_the_context_of_its_maker),
             TEST(several_hosts_share_a_port),
             TEST(a_port_may_be_shared_if_all_say_so),
             TEST(connections_are_kept_alive_if_wanted),
             TEST(what_is_wrong_is_refused))
