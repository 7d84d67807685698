/* SPDX-License-Identifier: MIT */
/*
 * Transports and servers when memory runs out
 *
 * Each scenario is run with its first allocation refused, then with its
 * second, and so on until it needs no more. A call says -ENOMEM, or it has
 * succeeded and the protocol hears why the connection is lost; what an fd was
 * given for stays its giver's when that fails.
 */
#include "transports.h"

static bool reported; /* to the exception handler */

static void note_report(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)arg;
    assert_int_equal(context->error, -ENOMEM);
    reported = true;
}

typedef void scenario_of_memory(void);

/* How many allocations a scenario makes; it was run with each refused. */
static long walk(scenario_of_memory *run_it)
{
    for (long n = 1;; n++) {
        long blocks, made;

        begin();
        rota_set_exception_handler(the_loop, note_report, NULL);
        reported = false;
        blocks = harness_live_blocks();
        made = harness_allocations();
        harness_fail_allocation(n);
        run_it();
        harness_fail_allocation(-1);
        made = harness_allocations() - made;
        assert_true(harness_live_blocks() >= blocks); /* the loop's */
        scenario_line[0] = '\0';
        end();
        assert_int_equal(harness_live_blocks(), 0);
        scenario_line[0] = '\0';
        if (made < n)
            return n - 1;
    }
}

static void expect_end(const struct ear *ear)
{
    assert_int_equal(ear->lost, 1);
    if (ear->error)
        assert_int_equal(ear->error, -ENOMEM);
}

/* Two who send each other more than the kernel takes. */
static void talk(void)
{
    static const char data[200000];
    struct iovec parts[100];
    struct ear ear = {.silent = true};
    rota_transport *transport;
    int ends[2], err;

    for (int i = 0; i < 100; i++)
        parts[i] = (struct iovec){(void *)(uintptr_t)data, sizeof data / 100};
    tcp_pair(ends);
    bare_say(ends[1], "hello");
    err = rota_connect_accepted_socket(&transport, the_loop, &ears, &ear,
                                       ends[0], NULL);
    if (err < 0) {
        assert_int_equal(err, -ENOMEM);
        close(ends[0]); /* is still ours */
        close(ends[1]);
        return;
    }
    settle();
    if (!ear.lost) {
        err = rota_transport_write(transport, data, sizeof data);
        if (err == 0)
            err = rota_transport_writelines(transport, parts, 100);
        assert_true(err == 0 || err == -ENOMEM);
        rota_transport_close(transport);
    }
    (void)drink_up(ends[1]);
    settle();
    expect_end(&ear);
    close(ends[1]);
}

static void a_lack_of_memory_while_it_talks_is_survived(void)
{
    assert_in_range(walk(talk), 3, 1000);
}

static void connect_out(const char *host, bool unix_socket)
{
    struct ear ear = {.then[MADE] = then_close};
    rota_transport *transport;
    int port;
    int listener = bare_listen(&port, 0, 1);
    int err =
        unix_socket
            ? rota_create_unix_connection(&transport, the_loop, &ears, &ear,
                                          "@rota-nobody-listens-here", NULL)
            : rota_create_connection(&transport, the_loop, &ears, &ear, host,
                                     port, NULL);

    if (err == 0) {
        while (!ear.lost)
            turn();
        if (!unix_socket && ear.error)
            assert_true(ear.error == -ENOMEM || ear.error == -ROTA_ENONAME);
    } else {
        assert_int_equal(err, -ENOMEM);
    }
    close(listener);
}

static void connect_to_a_number(void)
{
    connect_out("127.0.0.1", false);
}

static void connect_to_a_name(void)
{
    connect_out("localhost", false);
}

static void connect_to_a_path(void)
{
    connect_out(NULL, true);
}

static void a_lack_of_memory_while_it_connects_is_survived(void)
{
    assert_in_range(walk(connect_to_a_number), 2, 1000);
    assert_in_range(walk(connect_to_a_name), 3, 1000);
    assert_in_range(walk(connect_to_a_path), 2, 1000);
}

static void join_pipes(void)
{
    struct ear reader = {0}, writer = {0};
    rota_transport *transport;
    int ends[2], err;

    assert_int_equal(pipe(ends), 0);
    err =
        rota_connect_write_pipe(&transport, the_loop, &ears, &writer, ends[1]);
    if (err == 0) {
        settle();
        (void)rota_transport_write(writer.transport, "hello", 5);
        rota_transport_close(transport);
    } else {
        close(ends[1]);
    }
    err = rota_connect_read_pipe(&transport, the_loop, &ears, &reader, ends[0]);
    if (err < 0)
        close(ends[0]);
    for (int i = 0; i < 100 && err == 0 && !reader.lost; i++)
        turn();
    settle();
    assert_int_equal(reader.lost, err == 0);
}

static void a_lack_of_memory_for_pipes_is_survived(void)
{
    assert_in_range(walk(join_pipes), 2, 1000);
}

static void greet(rota_transport *transport, void *arg)
{
    (void)arg;
    (void)rota_transport_write(transport, "hello", 5);
    rota_transport_close(transport);
}

static void serve_somebody(void)
{
    static const rota_protocol protocol = {.connection_made = greet};
    static const char *const more[] = {"127.0.0.2", NULL};
    const rota_server_options options = {.hosts = more};
    rota_address address;
    rota_server *server;
    const char *heard;
    int peer;
    int err = rota_create_server(&server, the_loop, &protocol, NULL,
                                 "127.0.0.1", 0, &options);

    if (err < 0) {
        assert_int_equal(err, -ENOMEM);
        return;
    }
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    peer = bare_connect(rota_address_port(&address));
    heard = hear(peer);
    assert_string_equal(heard, reported ? "EOF" : "hello");
    close(peer);
    settle();
    rota_server_free(server);
}

static void serve_a_path(void)
{
    static const rota_protocol protocol = {.connection_made = greet};
    rota_server *server;
    int err = rota_create_unix_server(&server, the_loop, &protocol, NULL,
                                      "/tmp/rota-memory", NULL);

    if (err == 0)
        rota_server_free(server);
    else
        assert_int_equal(err, -ENOMEM);
    assert_int_equal(access("/tmp/rota-memory", F_OK), -1);
}

static void a_lack_of_memory_for_servers_is_survived(void)
{
    assert_in_range(walk(serve_somebody), 4, 1000);
    assert_in_range(walk(serve_a_path), 2, 1000);
}

HARNESS_MAIN(TEST(a_lack_of_memory_while_it_talks_is_survived),
             TEST(a_lack_of_memory_while_it_connects_is_survived),
             TEST(a_lack_of_memory_for_pipes_is_survived),
             TEST(a_lack_of_memory_for_servers_is_survived))
