/* SPDX-License-Identifier: MIT */
/*
 * The connections of a server: counted, closed, aborted, cancelled, waited for
 */
#include "servers.h"

enum { MANY = 5 };

static rota_server *server;
static int peers[MANY];
static intptr_t results[MANY];
static int ended;

static void open_peers(rota_client_connected *client)
{
    server = serve_with(client, NULL);
    ended = 0;
    for (int i = 0; i < MANY; i++)
        peers[i] = bare_connect(port_of(server, 0));
    await_clients(MANY);
}

static void close_peers(void)
{
    for (int i = 0; i < MANY; i++)
        close(peers[i]);
    rota_server_free(server);
}

/* Reads until it cannot, and keeps why. */
static intptr_t read_on(rota_stream *stream, void *arg)
{
    char buf[64];
    intptr_t n;

    (void)arg;
    clients++;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        ;
    clients--;
    results[ended++] = n;
    return n == -ROTA_ECLOSING ? 0 : n;
}

enum { QUEUED = 4 << 20 };

/* Has queued more than the system takes. */
static intptr_t queue_and_read(rota_stream *stream, void *arg)
{
    char *data = malloc(QUEUED);

    memset(data, 'q', QUEUED);
    assert_int_equal(rota_write_nowait(stream, data, QUEUED), 0);
    free(data);
    return read_on(stream, arg);
}

/* --- Counting ------------------------------------------------------------- */

static size_t count_inside;

static intptr_t count_clients(rota_stream *stream, void *arg)
{
    (void)arg;
    count_inside = rota_server_client_count(server);
    return read_on(stream, arg);
}

static intptr_t count(void *arg)
{
    (void)arg;
    server = serve_with(count_clients, NULL);
    assert_int_equal(rota_server_client_count(server), 0);
    for (int i = 0; i < MANY; i++) {
        peers[i] = bare_connect(port_of(server, 0));
        await_clients(i + 1);
        assert_int_equal(count_inside, i + 1);
        assert_int_equal(rota_server_client_count(server), i + 1);
    }
    for (int i = 0; i < MANY; i++) {
        shutdown(peers[i], SHUT_WR);
        assert_string_equal(await_word(peers[i]), "EOF");
        assert_int_equal(rota_server_client_count(server), MANY - i - 1);
    }
    close_peers();
    return 0;
}

static void the_count_of_connections_is_right_at_every_point(void)
{
    run(count);
}

/* One that is accepted counts before its task has run, and until it is done. */
static intptr_t count_tasks(void *arg)
{
    int before;

    (void)arg;
    server = serve_with(read_on, NULL);
    ended = 0;
    peers[0] = bare_connect(port_of(server, 0));
    while (rota_server_client_count(server) == 0)
        pass_turns(1);
    before = clients;
    rota_server_cancel_clients(server);
    assert_int_equal(rota_server_client_count(server), 1);
    assert_true(before <= 1);
    while (rota_server_client_count(server) > 0)
        pass_turns(1);
    assert_string_equal(await_word(peers[0]), "EOF");
    close(peers[0]);
    rota_server_free(server);
    return 0;
}

static void a_task_counts_from_the_accept_to_its_end(void)
{
    run(count_tasks);
}

/* --- Closing -------------------------------------------------------------- */

static intptr_t close_idle(void *arg)
{
    (void)arg;
    open_peers(read_on);
    rota_server_close_clients(server);
    await_clients(0);
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(await_word(peers[i]), "EOF");
        assert_int_equal(results[i], -ROTA_ECLOSING);
    }
    assert_true(rota_server_is_serving(server)); /* only the clients go */
    assert_int_equal(rota_server_client_count(server), 0);
    rota_server_close_clients(server);
    close_peers();
    return 0;
}

static void close_clients_tells_every_task_and_the_server_goes_on(void)
{
    run(close_idle);
}

static intptr_t close_with_a_queue(void *arg)
{
    (void)arg;
    open_peers(queue_and_read);
    rota_server_close_clients(server);
    await_clients(0);
    for (int i = 0; i < MANY; i++) {
        struct sink sink = {.fd = peers[i], .wanted = SIZE_MAX};

        assert_int_equal(results[i], -ROTA_ECLOSING);
        assert_int_equal(sink_run(&sink), 0);
        assert_int_equal(sink_run_of(&sink, 0, 'q'), QUEUED);
        assert_int_equal(sink.size, QUEUED);
        free(sink.data);
    }
    close_peers();
    return 0;
}

static void close_clients_still_sends_what_is_queued(void)
{
    run(close_with_a_queue);
}

static intptr_t abort_with_a_queue(void *arg)
{
    (void)arg;
    open_peers(queue_and_read);
    rota_server_abort_clients(server);
    await_clients(0);
    for (int i = 0; i < MANY; i++) {
        const char *heard;

        assert_int_equal(results[i], -ROTA_ECLOSING);
        do
            heard = bare_hear(peers[i]);
        while (heard[0] == 'q');
        assert_string_equal(heard, "RESET");
    }
    close_peers();
    return 0;
}

static void abort_clients_drops_it_and_the_peers_see_a_reset(void)
{
    run(abort_with_a_queue);
}

static intptr_t abort_after_close(void *arg)
{
    (void)arg;
    open_peers(read_on);
    rota_server_close(server);
    rota_server_abort_clients(server);
    assert_int_equal(rota_server_wait_closed(server), 0);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(bare_hear(peers[i]), "RESET");
    close_peers();
    return 0;
}

static void abort_clients_works_on_a_closed_server(void)
{
    run(abort_after_close);
}

static intptr_t cancel_all(void *arg)
{
    (void)arg;
    open_peers(read_on);
    rota_server_cancel_clients(server);
    await_clients(0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(results[i], -ECANCELED);
        assert_string_equal(await_word(peers[i]), "EOF");
    }
    close_peers();
    return 0;
}

static void cancel_clients_cancels_every_task(void)
{
    run(cancel_all);
}

/* --- From inside ---------------------------------------------------------- */

static void (*inside)(rota_server *server);

static intptr_t do_it_inside(rota_stream *stream, void *arg)
{
    char buf[4];
    intptr_t n;

    (void)arg;
    inside(server);
    n = rota_read(stream, buf, sizeof buf);
    assert_true(n == -ROTA_ECLOSING || n == -ECANCELED);
    return 0;
}

static intptr_t end_from_inside(void *arg)
{
    static void (*const ways[])(rota_server *) = {rota_server_close_clients,
                                                  rota_server_abort_clients,
                                                  rota_server_cancel_clients};

    (void)arg;
    for (size_t way = 0; way < rota__countof(ways); way++) {
        inside = ways[way];
        server = serve_with(do_it_inside, NULL);
        peers[0] = bare_connect(port_of(server, 0));
        (void)await_word(peers[0]);
        close(peers[0]);
        rota_server_free(server);
    }
    return 0;
}

static void a_connection_may_end_them_all_itself_included(void)
{
    run(end_from_inside);
}

static intptr_t wait_for_itself(rota_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    assert_int_equal(rota_server_wait_closed(server), -EDEADLK);
    assert_int_equal(rota_serve_forever(server), -EDEADLK);
    return 0;
}

static intptr_t wait_inside(void *arg)
{
    (void)arg;
    server = serve_with(wait_for_itself, NULL);
    peers[0] = bare_connect(port_of(server, 0));
    assert_string_equal(await_word(peers[0]), "EOF");
    close(peers[0]);
    rota_server_free(server);
    return 0;
}

static void a_connection_cannot_wait_for_its_own_end(void)
{
    run(wait_inside);
}

/* --- Waiting -------------------------------------------------------------- */

static intptr_t wait_closed_twice(void *arg)
{
    rota_task waiters[2];

    (void)arg;
    open_peers(read_on);
    waiters[0] = start(wait_closed_task, server);
    waiters[1] = start(wait_closed_task, server);
    pass_turns(2);
    rota_server_close_clients(server);
    await_clients(0);
    pass_turns(2);
    assert_false(rota_task_done(waiters[0])); /* it still listens */
    rota_server_close(server);
    assert_int_equal(rota_await(waiters[0]), 0);
    assert_int_equal(rota_await(waiters[1]), 0);
    assert_int_equal(rota_server_wait_closed(server), 0);
    close_peers();
    return 0;
}

static void several_may_wait_for_the_close_and_the_last_connection(void)
{
    run(wait_closed_twice);
}

static intptr_t serve_forever_twice(void *arg)
{
    rota_task tasks[2];

    (void)arg;
    open_peers(read_on);
    tasks[0] = start(serve_forever_task, server);
    tasks[1] = start(serve_forever_task, server);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(tasks[0]), 1);
    assert_int_equal(rota_await(tasks[0]), -ECANCELED);
    assert_int_equal(rota_await(tasks[1]), 0);
    for (int i = 0; i < MANY; i++)
        close(peers[i]);
    return 0;
}

static void a_server_that_two_serve_is_freed_once(void)
{
    run(serve_forever_twice);
}

/* Without a connection nothing else holds it. */
static intptr_t serve_forever_and_free(void *arg)
{
    rota_task tasks[2];

    (void)arg;
    server = serve_with(read_on, NULL);
    tasks[0] = start(serve_forever_task, server);
    tasks[1] = start(serve_forever_task, server);
    pass_turns(2);
    rota_server_free(server);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), 0);
    return 0;
}

static void a_server_may_be_freed_while_tasks_serve_it(void)
{
    run(serve_forever_and_free);
}

static intptr_t leave_it_all(void *arg)
{
    (void)arg;
    open_peers(queue_and_read);
    (void)start(serve_forever_task, server);
    (void)start(wait_closed_task, server);
    rota_server_close_clients(server); /* they flush for ever */
    pass_turns(1);
    return 0;
}

static void a_loop_may_close_with_everything_open(void)
{
    rota_loop *loop;

    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
        assert_int_equal(rota_loop_run_until_complete(loop, leave_it_all, NULL),
                         0);
        if (turn)
            rota_server_free(server);
        assert_int_equal(rota_loop_close(loop), 0);
        if (!turn)
            rota_server_free(server);
        rota_loop_free(loop);
        for (int i = 0; i < MANY; i++)
            close(peers[i]);
        clients = 0;
    }
}

HARNESS_MAIN(TEST(the_count_of_connections_is_right_at_every_point),
             TEST(a_task_counts_from_the_accept_to_its_end),
             TEST(close_clients_tells_every_task_and_the_server_goes_on),
             TEST(close_clients_still_sends_what_is_queued),
             TEST(abort_clients_drops_it_and_the_peers_see_a_reset),
             TEST(abort_clients_works_on_a_closed_server),
             TEST(cancel_clients_cancels_every_task),
             TEST(a_connection_may_end_them_all_itself_included),
             TEST(a_connection_cannot_wait_for_its_own_end),
             TEST(several_may_wait_for_the_close_and_the_last_connection),
             TEST(a_server_that_two_serve_is_freed_once),
             TEST(a_server_may_be_freed_while_tasks_serve_it),
             TEST(a_loop_may_close_with_everything_open))
