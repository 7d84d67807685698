/* SPDX-License-Identifier: MIT */
/*
 * Servers: listening, serving, stopping
 */
#include <sys/wait.h>
#include "sockets.h"

static int port_of(const rota_server *server)
{
    rota_address address;

    assert_int_equal(rota_server_address(server, 0, &address), 0);
    return rota_address_port(&address);
}

static int running; /* clients in their function */
static int served;

static intptr_t echo(rota_stream *stream, void *arg)
{
    char buf[1024];
    intptr_t n;

    (void)arg;
    running++;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        if ((n = rota_write(stream, buf, (size_t)n)) < 0)
            break;
    running--;
    served++;
    return n;
}

/* Takes its time to end, also when it is cancelled. */
static intptr_t echo_stubbornly(rota_stream *stream, void *arg)
{
    intptr_t result = echo(stream, arg);

    running++;
    pass_turns(10);
    running--;
    return result;
}

static rota_server *serve(rota_client_connected *client, void *arg)
{
    rota_server *server;

    assert_int_equal(rota_start_server(&server, client, arg, "127.0.0.1", 0),
                     0);
    return server;
}

/* Turns until so many clients are in their function. */
static void await_running(int count)
{
    while (running != count)
        assert_int_equal(rota_sleep(0), 0);
}

static void expect_echo(int fd)
{
    bare_say(fd, "hello");
    for (;;) {
        const char *heard = bare_hear(fd);

        if (*heard) {
            assert_string_equal(heard, "hello");
            return;
        }
        assert_int_equal(rota_sleep(0), 0);
    }
}

/* What the peer hears once it hears something. */
static const char *await_word(int fd)
{
    const char *heard;

    while (*(heard = bare_hear(fd)) == '\0')
        assert_int_equal(rota_sleep(0), 0);
    return heard;
}

static intptr_t serve_forever(void *server)
{
    return rota_serve_forever(server);
}

static intptr_t wait_closed(void *server)
{
    return rota_server_wait_closed(server);
}

/* --- Listening ---------------------------------------------------------- */

static intptr_t serve_and_echo(void *arg)
{
    rota_server *server = serve(echo, arg);
    rota_address address;
    char host[64];
    int client;

    assert_int_equal(rota_server_address(server, 0, &address), 0);
    assert_int_equal(rota_address_host(&address, host, sizeof host), 0);
    assert_string_equal(host, "127.0.0.1");
    assert_in_range(rota_address_port(&address), 1, 65535);
    assert_int_equal(rota_server_address(server, 1, &address), -ENOENT);
    client = bare_connect(port_of(server));
    expect_echo(client);
    shutdown(client, SHUT_WR);
    assert_string_equal(await_word(client), "EOF");
    close(client);
    rota_server_free(server);
    return 0;
}

static void port_0_stands_for_any_free_one(void)
{
    run(serve_and_echo);
}

static intptr_t listen_everywhere(void *arg)
{
    rota_address address;
    rota_server *server;
    int client, port;

    (void)arg;
    assert_int_equal(rota_start_server(&server, echo, NULL, NULL, 0), 0);
    port = port_of(server);
    for (size_t i = 0; rota_server_address(server, i, &address) == 0; i++)
        assert_int_equal(rota_address_port(&address), port);
    client = bare_connect(port);
    expect_echo(client);
    close(client);
    if (rota_server_address(server, 1, &address) == 0) {
        rota_stream *stream;
        char buf[16];

        assert_int_equal(rota_open_connection(&stream, "::1", port), 0);
        assert_int_equal(rota_write(stream, "six", 3), 3);
        assert_int_equal(rota_read(stream, buf, sizeof buf), 3);
        rota_stream_free(stream);
    }
    rota_server_free(server);
    return 0;
}

static void without_a_host_all_families_are_served_on_the_same_port(void)
{
    run(listen_everywhere);
}

static intptr_t listen_in_vain(void *arg)
{
    rota_server *server = serve(echo, NULL);
    rota_server *other = (rota_server *)&arg;
    int port = port_of(server);
    int err;

    assert_int_equal(rota_start_server(&other, echo, NULL, "127.0.0.1", port),
                     -EADDRINUSE);
    assert_int_equal(rota_start_server(&other, echo, NULL, NULL, port),
                     -EADDRINUSE);
    assert_int_equal(rota_start_server(&other, NULL, NULL, "127.0.0.1", 0),
                     -EINVAL);
    assert_int_equal(rota_start_server(&other, echo, NULL, "127.0.0.1", -1),
                     -EINVAL);
    assert_int_equal(rota_start_server(&other, echo, NULL, NULL, 65536),
                     -EINVAL);
    assert_int_equal(rota_start_server(&other, echo, NULL, "192.0.2.1", 0),
                     -EADDRNOTAVAIL);
    err = rota_start_server(&other, echo, NULL, "no-such-host.invalid", 0);
    assert_true(err == -ROTA_ENONAME || err == -ROTA_ENAMEAGAIN);
    assert_ptr_equal(other, (rota_server *)&arg);
    rota_server_free(server);
    assert_int_equal(rota_start_server(&server, echo, NULL, "127.0.0.1", port),
                     0);
    rota_server_free(server);
    return 0;
}

static void what_cannot_be_listened_on_says_why(void)
{
    rota_server *server;

    assert_int_equal(rota_start_server(&server, echo, NULL, "127.0.0.1", 0),
                     -ROTA_ENOLOOP);
    run(listen_in_vain);
}

static void start_in_a_callback(void *arg)
{
    rota_server **server = arg;

    assert_int_equal(rota_start_server(server, echo, NULL, "localhost", 0),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_start_server(server, echo, NULL, "127.0.0.1", 0), 0);
    assert_int_equal(rota_server_wait_closed(*server), -ROTA_ENOTASK);
    assert_int_equal(rota_serve_forever(*server), -ROTA_ENOTASK);
}

static intptr_t use_the_callbacks(void *arg)
{
    rota_server *server = NULL;
    int client;

    (void)arg;
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    start_in_a_callback, &server),
                     0);
    pass_turns(2);
    client = bare_connect(port_of(server));
    expect_echo(client);
    close(client);
    rota_server_free(server);
    return 0;
}

static void a_callback_can_start_a_server_but_not_wait(void)
{
    run(use_the_callbacks);
}

/* --- Stopping ----------------------------------------------------------- */

static intptr_t cancel_serve_forever(void *arg)
{
    rota_server *server = serve(echo_stubbornly, arg);
    rota_task task = start(serve_forever, server);
    int port = port_of(server);
    int clients[3];

    for (int i = 0; i < 3; i++) {
        clients[i] = bare_connect(port);
        expect_echo(clients[i]);
    }
    assert_int_equal(running, 3);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(running, 0);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(bare_hear(clients[i]), "EOF");
        close(clients[i]);
    }
    return 0;
}

static void serve_forever_cancelled_cancels_its_clients_and_frees_all(void)
{
    run(cancel_serve_forever);
}

static intptr_t close_serve_forever(void *arg)
{
    rota_server *server = serve(echo, arg);
    rota_task tasks[3];
    intptr_t results[3];
    int client = bare_connect(port_of(server));

    tasks[0] = start(serve_forever, server);
    tasks[1] = start(wait_closed, server);
    tasks[2] = start(wait_closed, server);
    await_running(1);
    rota_server_close(server);
    rota_server_close(server);
    assert_int_equal(rota_gather(tasks, 3, results, true), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(results[i], 0);
    assert_string_equal(bare_hear(client), "EOF");
    close(client);
    return 0;
}

static void serve_forever_ends_when_another_closes_the_server(void)
{
    run(close_serve_forever);
}

static intptr_t close_while_clients_run(void *arg)
{
    rota_server *server = serve(echo, arg);
    int port = port_of(server);
    int client = bare_connect(port);
    rota_address address;
    rota_task task;

    await_running(1);
    task = start(wait_closed, server);
    pass_turns(2);
    assert_false(rota_task_done(task));
    rota_server_close(server);
    assert_int_equal(rota_server_address(server, 0, &address), -ENOENT);
    pass_turns(3);
    assert_false(rota_task_done(task));
    expect_echo(client);
    assert_int_equal(running, 1);
    close(client);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(running, 0);
    assert_int_equal(rota_server_wait_closed(server), 0);
    rota_server_free(server);
    return 0;
}

static void close_stops_listening_and_wait_closed_waits_for_clients(void)
{
    run(close_while_clients_run);
}

static intptr_t cancel_wait_closed(void *arg)
{
    rota_server *server = serve(echo, arg);
    int client = bare_connect(port_of(server));
    rota_task task = start(wait_closed, server);

    await_running(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    expect_echo(client);
    task = start(wait_closed, server);
    pass_turns(2);
    rota_server_free(server);
    pass_turns(2);
    assert_false(rota_task_done(task));
    close(client);
    assert_int_equal(rota_await(task), 0);
    return 0;
}

static void wait_closed_can_be_cancelled_and_outlives_the_handle(void)
{
    run(cancel_wait_closed);
}

static intptr_t cancel_the_clients(void *arg)
{
    rota_server *server = serve(echo, arg);
    int clients[2];

    for (int i = 0; i < 2; i++)
        clients[i] = bare_connect(port_of(server));
    rota_server_cancel_clients(server); /* none has been accepted yet */
    await_running(2);
    rota_server_cancel_clients(server);
    await_running(0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(await_word(clients[i]), "EOF");
        close(clients[i]);
    }
    clients[0] = bare_connect(port_of(server));
    expect_echo(clients[0]);
    close(clients[0]);
    await_running(0);
    rota_server_free(server);
    return 0;
}

static void cancel_clients_ends_them_and_the_server_goes_on(void)
{
    run(cancel_the_clients);
}

static intptr_t free_while_clients_run(void *arg)
{
    rota_server *server = serve(echo, arg);
    int client = bare_connect(port_of(server));
    int late;

    await_running(1);
    late = bare_connect(port_of(server));
    rota_server_free(server);
    expect_echo(client);
    assert_string_equal(await_word(late), "RESET");
    close(late);
    close(client);
    await_running(0);
    pass_turns(1);
    return 0;
}

static void connections_go_on_when_their_server_is_freed(void)
{
    run(free_while_clients_run);
}

static intptr_t cancel_twice(void *arg)
{
    rota_server *server = serve(echo_stubbornly, arg);
    rota_task task = start(serve_forever, server);
    int client = bare_connect(port_of(server));

    await_running(1);
    assert_int_equal(rota_task_cancel(task), 1);
    pass_turns(3);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(running, 1);
    await_running(0);
    assert_string_equal(await_word(client), "EOF");
    close(client);
    return 0;
}

static void serve_forever_cancelled_twice_does_not_wait_for_clients(void)
{
    run(cancel_twice);
}

/* --- What clients return ------------------------------------------------ */

static void note_exception(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    note("%s:%s", context->name ? "task" : "server",
         rota_errname(context->error));
}

static intptr_t return_result(rota_stream *stream, void *arg)
{
    (void)stream;
    served++;
    return *(intptr_t *)arg;
}

static intptr_t return_this_and_that(void *arg)
{
    static const intptr_t results[] = {
        0,           7,      -5000,      -EIO,         -ECANCELED,
        -ECONNRESET, -EPIPE, -ETIMEDOUT, -ROTA_ELIMIT, -ROTA_EINCOMPLETE};
    intptr_t result;
    rota_server *server = serve(return_result, &result);

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), note_exception, NULL);
    for (size_t i = 0; i < rota__countof(results); i++) {
        int client = bare_connect(port_of(server));

        result = results[i];
        assert_string_equal(await_word(client), "EOF");
        close(client);
    }
    assert_int_equal(served, rota__countof(results));
    assert_noted("task:EIO task:ROTA_ELIMIT task:ROTA_EINCOMPLETE");
    rota_server_free(server);
    return 0;
}

static void errors_of_clients_are_told_unless_a_peer_may_cause_them(void)
{
    run(return_this_and_that);
}

static intptr_t reset_before_accept(void *arg)
{
    rota_server *server = serve(echo, arg);
    int client;

    rota_set_exception_handler(rota_get_running_loop(), note_exception, NULL);
    bare_reset(bare_connect(port_of(server)));
    close(bare_connect(port_of(server)));
    client = bare_connect(port_of(server));
    expect_echo(client);
    close(client);
    await_running(0);
    assert_noted("");
    rota_server_free(server);
    return 0;
}

static void connections_that_end_before_accept_do_no_harm(void)
{
    run(reset_before_accept);
}

/* --- Many --------------------------------------------------------------- */

static intptr_t talk(void *port)
{
    rota_stream *stream;
    char buf[16];
    int err = rota_open_connection(&stream, "127.0.0.1", *(int *)port);

    if (err < 0)
        return err;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_write(stream, "0123456789", 10), 10);
        assert_int_equal(rota_read_exactly(stream, buf, 10), 10);
        assert_memory_equal(buf, "0123456789", 10);
    }
    if (running == 200)
        served = 1000; /* all at once */
    while (served < 1000)
        assert_int_equal(rota_sleep(0), 0);
    rota_stream_free(stream);
    return 0;
}

static intptr_t talk_200_times(void *arg)
{
    rota_server *server = serve(echo, arg);
    int port = port_of(server);
    rota_task tasks[200];

    for (int i = 0; i < 200; i++)
        tasks[i] = start(talk, &port);
    assert_int_equal(rota_gather(tasks, 200, NULL, false), 0);
    await_running(0);
    rota_server_free(server);
    return 0;
}

static void two_hundred_connections_at_once_are_served(void)
{
    run(talk_200_times);
}

static intptr_t connect_2000_times(void *arg)
{
    rota_server *server = serve(echo, arg);
    int port = port_of(server);
    long blocks = 0;

    for (int i = 0; i < 2000; i++) {
        rota_stream *stream;
        char buf[4];

        assert_int_equal(rota_open_connection(&stream, "127.0.0.1", port), 0);
        assert_int_equal(rota_write(stream, "abcd", 4), 4);
        assert_int_equal(rota_read_exactly(stream, buf, 4), 4);
        rota_stream_free(stream);
        await_running(0);
        pass_turns(1);
        if (i == 10)
            blocks = harness_live_blocks();
    }
    assert_int_equal(served, 2000);
    assert_in_range(harness_live_blocks(), 1, blocks);
    rota_server_free(server);
    return 0;
}

static void two_thousand_connections_in_turn_take_no_more_memory(void)
{
    run(connect_2000_times);
}

static intptr_t close_while_a_child_has_the_socket(void *arg)
{
    rota_server *server = serve(return_result, arg);
    pid_t child = fork();
    double began;

    if (child == 0) {
        pause();
        _exit(0);
    }
    close(bare_connect(port_of(server))); /* in the backlog, for ever ready */
    rota_server_free(server);
    began = (double)clock() / CLOCKS_PER_SEC;
    assert_int_equal(rota_sleep(0.5), 0);
    began = (double)clock() / CLOCKS_PER_SEC - began;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(began < 0.1);
    return 0;
}

static void a_closed_server_is_quiet_though_a_child_has_its_socket(void)
{
    intptr_t result = 0;

    assert_int_equal(rota_run(close_while_a_child_has_the_socket, &result), 0);
}

HARNESS_MAIN(TEST(a_closed_server_is_quiet_though_a_child_has_its_socket),
             TEST(port_0_stands_for_any_free_one),
             TEST(without_a_host_all_families_are_served_on_the_same_port),
             TEST(what_cannot_be_listened_on_says_why),
             TEST(a_callback_can_start_a_server_but_not_wait),
             TEST(serve_forever_cancelled_cancels_its_clients_and_frees_all),
             TEST(serve_forever_ends_when_another_closes_the_server),
             TEST(close_stops_listening_and_wait_closed_waits_for_clients),
             TEST(wait_closed_can_be_cancelled_and_outlives_the_handle),
             TEST(cancel_clients_ends_them_and_the_server_goes_on),
             TEST(connections_go_on_when_their_server_is_freed),
             TEST(serve_forever_cancelled_twice_does_not_wait_for_clients),
             TEST(errors_of_clients_are_told_unless_a_peer_may_cause_them),
             TEST(connections_that_end_before_accept_do_no_harm),
             TEST(two_hundred_connections_at_once_are_served),
             TEST(two_thousand_connections_in_turn_take_no_more_memory))
