/* SPDX-License-Identifier: MIT */
/*
 * Streams and servers that are left when their loop closes
 *
 * Tasks are destroyed where they stand; what the loop can reach, it gives
 * back. A handle stays its owner's, who frees it before or after.
 */
#define _GNU_SOURCE
#include "sockets.h"
#include "resolver.h"

#define BIG 1000000

static struct pair pair;
static rota_server *server;
static char data[BIG];

static intptr_t park_in_read(void *arg)
{
    char buf[16];

    (void)arg;
    return rota_read(pair.stream, buf, sizeof buf);
}

static intptr_t park_in_read_line(void *arg)
{
    char buf[16];

    (void)arg;
    bare_say(pair.peer, "half");
    return rota_read_line(pair.stream, buf, sizeof buf);
}

static intptr_t park_in_write(void *arg)
{
    (void)arg;
    return rota_write(pair.stream, data, BIG);
}

static intptr_t park_in_drain(void *arg)
{
    (void)arg;
    pair_fill(&pair, 'a');
    assert_int_equal(rota_write_nowait(pair.stream, data, BIG), 0);
    return rota_drain(pair.stream);
}

static intptr_t park_in_wait_closed(void *arg)
{
    (void)arg;
    pair_fill(&pair, 'a');
    rota_close(pair.stream);
    return rota_wait_closed(pair.stream);
}

static rota_task_function *const all_parks[] = {park_in_read, park_in_read_line,
                                                park_in_write, park_in_drain,
                                                park_in_wait_closed};

static struct {
    rota_task_function *park;
    int count;
    bool free_early;
} plan;

static intptr_t leave_tasks(void *arg)
{
    rota_task task;

    (void)arg;
    pair_open_narrow(&pair);
    for (int i = 0; i < plan.count; i++)
        task = start(plan.park, NULL);
    pass_turns(3);
    assert_false(rota_task_done(task));
    if (plan.free_early)
        rota_stream_free(pair.stream);
    return 0;
}

/* Runs the main task on a loop that is closed at once, with all it has. */
static void run_and_close(rota_task_function *function)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, function, NULL), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    rota_loop_free(loop);
}

static void streams_with_waiting_tasks_may_be_freed_after_the_loop(void)
{
    for (size_t i = 0; i < rota__countof(all_parks); i++) {
        plan.park = all_parks[i];
        plan.count = i < 2 ? 1 : 3;
        run_and_close(leave_tasks);
        assert_true(rota_is_closing(pair.stream));
        assert_int_equal(rota_write_nowait(pair.stream, "x", 1),
                         -ROTA_ECLOSING);
        assert_int_equal(rota_stream_write_buffer_size(pair.stream), 0);
        rota_close(pair.stream);
        rota_abort(pair.stream);
        pair_close(&pair);
    }
}

static void streams_with_waiting_tasks_may_be_freed_before_the_loop(void)
{
    plan.free_early = true;
    for (size_t i = 0; i < rota__countof(all_parks); i++) {
        plan.park = all_parks[i];
        plan.count = i < 2 ? 1 : 3;
        run_and_close(leave_tasks);
        close(pair.peer);
    }
}

static intptr_t leave_a_queue(void *arg)
{
    (void)arg;
    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    rota_stream_free(pair.stream);
    return 0;
}

static void a_freed_stream_that_is_still_sending_ends_with_the_loop(void)
{
    run_and_close(leave_a_queue);
    close(pair.peer);
}

/* --- On the way to a stream --------------------------------------------- */

static intptr_t park_in_connect(void *port)
{
    rota_stream *stream;

    return rota_open_connection(&stream, "127.0.0.1", *(int *)port);
}

static int listener, backlog[4], port;

static intptr_t leave_connects(void *arg)
{
    rota_task task;

    (void)arg;
    listener = bare_listen(&port, 0, 0);
    bare_fill_backlog(port, backlog, 4);
    for (int i = 0; i < 3; i++)
        task = start(park_in_connect, &port);
    pass_turns(3);
    assert_false(rota_task_done(task));
    return 0;
}

static void connects_that_are_under_way_end_with_the_loop(void)
{
    run_and_close(leave_connects);
    for (int i = 0; i < 4; i++)
        close(backlog[i]);
    close(listener);
}

static intptr_t park_in_look_up(void *arg)
{
    rota_stream *stream;

    (void)arg;
    return rota_open_connection(&stream, "slow.test", 9);
}

static intptr_t park_in_start_server(void *arg)
{
    rota_server *never;

    return rota_start_server(&never, (rota_client_connected *)arg, NULL,
                             "slow.test", 0);
}

static intptr_t unused_client(rota_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    return 0;
}

static intptr_t leave_look_ups(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        start(park_in_look_up, NULL);
        start(park_in_start_server, (void *)unused_client);
    }
    pass_turns(3);
    resolver_expect_waiting(8);
    resolver_let_go_at_close(rota_get_running_loop());
    return 0;
}

static void look_ups_that_are_under_way_end_with_the_loop(void)
{
    run_and_close(leave_look_ups);
}

/* --- Servers ------------------------------------------------------------ */

static int clients[3];

static intptr_t read_for_ever(rota_stream *stream, void *arg)
{
    char buf[16];

    (void)arg;
    return rota_read(stream, buf, sizeof buf);
}

static intptr_t write_for_ever(rota_stream *stream, void *arg)
{
    (void)arg;
    for (;;) {
        intptr_t n = rota_write(stream, data, BIG);

        if (n < 0)
            return n;
    }
}

static intptr_t park_in_serve_forever(void *arg)
{
    (void)arg;
    return rota_serve_forever(server);
}

static intptr_t park_in_server_wait_closed(void *arg)
{
    (void)arg;
    return rota_server_wait_closed(server);
}

static void leave_a_server(rota_client_connected *client)
{
    rota_address address;

    assert_int_equal(rota_start_server(&server, client, NULL, "127.0.0.1", 0),
                     0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    for (int i = 0; i < 3; i++)
        clients[i] = bare_connect(rota_address_port(&address));
    pass_turns(4);
}

static void end_clients(void)
{
    for (int i = 0; i < 3; i++)
        close(clients[i]);
}

static intptr_t leave_readers(void *arg)
{
    (void)arg;
    leave_a_server(read_for_ever);
    start(park_in_server_wait_closed, NULL);
    pass_turns(2);
    return 0;
}

static intptr_t leave_writers(void *arg)
{
    (void)arg;
    leave_a_server(write_for_ever);
    start(park_in_serve_forever, NULL);
    pass_turns(2);
    return 0;
}

static void a_server_may_be_freed_after_the_loop(void)
{
    run_and_close(leave_readers);
    assert_int_equal(rota_server_address(server, 0, &(rota_address){0}),
                     -ENOENT);
    rota_server_free(server);
    end_clients();
    run_and_close(leave_writers);
    rota_server_free(server);
    end_clients();
}

static intptr_t leave_clients(void *arg)
{
    leave_a_server(arg ? write_for_ever : read_for_ever);
    rota_server_free(server);
    pass_turns(2);
    return 0;
}

static void clients_of_a_freed_server_end_with_the_loop(void)
{
    run_and_close(leave_clients);
    end_clients();
}

static void prepare_server(void *arg)
{
    (void)arg;
    assert_int_equal(
        rota_start_server(&server, read_for_ever, NULL, "127.0.0.1", 0), 0);
}

/* The server is there before the first task of the loop. */
static void a_server_made_by_a_callback_ends_with_the_loop(void)
{
    rota_address address;
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_call_soon(loop, NULL, prepare_server, NULL), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    for (int i = 0; i < 3; i++)
        clients[i] = bare_connect(rota_address_port(&address));
    for (int i = 0; i < 4; i++) {
        rota_loop_stop(loop);
        assert_int_equal(rota_loop_run_forever(loop), 0);
    }
    assert_int_equal(rota_all_tasks(loop, NULL, 0), 3);
    rota_loop_free(loop);
    rota_server_free(server);
    end_clients();
}

static intptr_t leave_all_to_the_run(void *arg)
{
    (void)arg;
    leave_a_server(read_for_ever);
    start(park_in_serve_forever, NULL);
    pair_open_narrow(&pair);
    start(park_in_write, NULL);
    pass_turns(2);
    return 0;
}

static void a_run_cancels_what_is_left_and_waits_for_it(void)
{
    run(leave_all_to_the_run);
    pair_close(&pair);
    end_clients();
}

HARNESS_MAIN(TEST(streams_with_waiting_tasks_may_be_freed_after_the_loop),
             TEST(streams_with_waiting_tasks_may_be_freed_before_the_loop),
             TEST(a_freed_stream_that_is_still_sending_ends_with_the_loop),
             TEST(connects_that_are_under_way_end_with_the_loop),
             TEST(look_ups_that_are_under_way_end_with_the_loop),
             TEST(a_server_may_be_freed_after_the_loop),
             TEST(clients_of_a_freed_server_end_with_the_loop),
             TEST(a_server_made_by_a_callback_ends_with_the_loop),
             TEST(a_run_cancels_what_is_left_and_waits_for_it))
