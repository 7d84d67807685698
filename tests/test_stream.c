/* SPDX-License-Identifier: MIT */
/*
 * Streams from their making to their end
 */
#define _GNU_SOURCE
#include "readings.h"
#include "resolver.h"

/* --- Opening ------------------------------------------------------------ */

static intptr_t echo(rota_stream *stream, void *arg)
{
    char buf[1024];
    intptr_t n;

    (void)arg;
    while ((n = rota_read(stream, buf, sizeof buf)) > 0)
        if ((n = rota_write(stream, buf, (size_t)n)) < 0)
            break;
    return n;
}

static int port_of(const rota_server *server)
{
    rota_address address;

    assert_int_equal(rota_server_address(server, 0, &address), 0);
    return rota_address_port(&address);
}

static void expect_echo(const char *host, int port)
{
    rota_stream *stream;

    assert_int_equal(rota_open_connection(&stream, host, port), 0);
    assert_int_equal(rota_write(stream, "hello", 5), 5);
    expect_read(stream, "hello");
    rota_stream_free(stream);
}

/* Serves on one host, and connects to another name of it. */
static void expect_echo_from(const char *host, const char *name)
{
    rota_server *server;
    int err = rota_start_server(&server, echo, NULL, host, 0);

    if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT)
        harness_skip("this machine has not this family of addresses");
    assert_int_equal(err, 0);
    expect_echo(name, port_of(server));
    rota_server_free(server);
}

static intptr_t open_by_ipv4(void *arg)
{
    (void)arg;
    expect_echo_from("127.0.0.1", "127.0.0.1");
    return 0;
}

static void a_connection_opens_to_an_ipv4_address(void)
{
    run(open_by_ipv4);
}

static intptr_t open_by_ipv6(void *arg)
{
    (void)arg;
    expect_echo_from("::1", "::1");
    return 0;
}

static void a_connection_opens_to_an_ipv6_address(void)
{
    run(open_by_ipv6);
}

static intptr_t open_by_name(void *arg)
{
    (void)arg;
    expect_echo_from("127.0.0.1", "localhost");
    expect_echo_from("localhost", "localhost");
    return 0;
}

static void a_connection_opens_to_a_name(void)
{
    run(open_by_name);
}

static intptr_t open_the_second(void *arg)
{
    (void)arg;
    expect_echo_from("127.0.0.1", "two.test");
    return 0;
}

static void the_addresses_of_a_name_are_tried_in_turn(void)
{
    run(open_the_second);
}

static intptr_t open_in_vain(void *arg)
{
    rota_stream *const untouched = (rota_stream *)&arg;
    rota_stream *stream = untouched;
    int err;

    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", REFUSED_PORT),
                     -ECONNREFUSED);
    assert_int_equal(rota_open_connection(&stream, "two.test", REFUSED_PORT),
                     -ECONNREFUSED);
    assert_int_equal(rota_open_connection(&stream, NULL, 80), -EINVAL);
    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", 0), -EINVAL);
    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", -1), -EINVAL);
    assert_int_equal(rota_open_connection(&stream, "localhost", 65536),
                     -EINVAL);
    err = rota_open_connection(&stream, "no-such-host.invalid", 80);
    assert_true(err == -ROTA_ENONAME || err == -ROTA_ENAMEAGAIN);
    assert_ptr_equal(stream, untouched);
    return 0;
}

static void what_cannot_be_opened_says_why(void)
{
    run(open_in_vain);
}

static void open_in_a_callback(void *done)
{
    rota_stream *stream;

    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", 80),
                     -ROTA_ENOTASK);
    *(bool *)done = true;
}

static intptr_t open_without_a_task(void *arg)
{
    bool done = false;

    (void)arg;
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    open_in_a_callback, &done),
                     0);
    pass_turns(2);
    assert_true(done);
    return 0;
}

static void only_a_task_can_open_a_connection(void)
{
    run(open_without_a_task);
}

/* --- What happens between the connect and its task ---------------------- */

struct opening {
    int port;
    bool begun;
    rota_stream *stream;
};

static intptr_t open_in_a_task(void *arg)
{
    struct opening *opening = arg;

    opening->begun = true;
    return rota_open_connection(&opening->stream, "127.0.0.1", opening->port);
}

static void send_before_the_task_runs(int turns)
{
    struct opening opening = {0};
    rota_task task;
    char buf[16];
    int listener, peer;

    listener = bare_listen(&opening.port, 0, 1);
    task = start(open_in_a_task, &opening);
    while (!opening.begun)
        pass_turns(1);
    pass_turns(turns);
    peer = accept(listener, NULL, NULL);
    bare_say(peer, "early");
    close(peer);
    assert_int_equal(rota_await(task), 0);
    expect_read(opening.stream, "early");
    assert_int_equal(rota_read(opening.stream, buf, sizeof buf), 0);
    pass_turns(2);
    rota_stream_free(opening.stream);
    close(listener);
}

static intptr_t send_at_each_moment(void *arg)
{
    (void)arg;
    for (int turns = 0; turns <= 4; turns++)
        send_before_the_task_runs(turns);
    return 0;
}

static void bytes_and_an_end_that_come_before_the_stream_are_not_lost(void)
{
    run(send_at_each_moment);
    run_shuffled(send_at_each_moment);
}

static intptr_t cancel_the_connect(void *arg)
{
    struct opening opening = {0};
    rota_timeout timeout;
    rota_task task;
    intptr_t result;
    int listener, fds[4];

    (void)arg;
    listener = bare_listen(&opening.port, 0, 0);
    bare_fill_backlog(opening.port, fds, 4);
    task = start(open_in_a_task, &opening);
    pass_turns(3);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(rota_timeout_begin(&timeout, 0.01), 0);
    result = open_in_a_task(&opening);
    assert_int_equal(rota_timeout_end(&timeout, result), -ETIMEDOUT);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(listener);
    return 0;
}

static void a_connect_can_be_cancelled_and_timed(void)
{
    run(cancel_the_connect);
}

static void cancel_at(int turns)
{
    struct opening opening = {0};
    int port, listener = bare_listen(&port, 0, 1);
    rota_task task;
    intptr_t result;
    int peer;

    opening.port = port;
    task = start(open_in_a_task, &opening);
    while (!opening.begun)
        pass_turns(1);
    pass_turns(turns);
    (void)rota_task_cancel(task);
    result = rota_await(task);
    assert_true(result == -ECANCELED || (turns > 0 && result == 0));
    if (result == 0)
        rota_stream_free(opening.stream);
    peer = accept(listener, NULL, NULL);
    assert_string_equal(bare_hear(peer), "EOF");
    close(peer);
    close(listener);
}

static intptr_t cancel_at_each_moment(void *arg)
{
    (void)arg;
    for (int turns = 0; turns <= 4; turns++)
        cancel_at(turns);
    return 0;
}

static void a_connect_cancelled_at_any_moment_leaves_no_socket(void)
{
    run(cancel_at_each_moment);
    run_shuffled(cancel_at_each_moment);
}

static intptr_t look_up_slowly(void *arg)
{
    rota_stream *stream;

    (void)arg;
    return rota_open_connection(&stream, "slow.test", 9);
}

static intptr_t cancel_look_ups(void *arg)
{
    rota_task tasks[12]; /* more than the pool has threads */

    (void)arg;
    for (int i = 0; i < 12; i++)
        tasks[i] = start(look_up_slowly, NULL);
    pass_turns(2);
    resolver_expect_waiting(8);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(rota_task_cancel(tasks[i]), 1);
        assert_int_equal(rota_await(tasks[i]), -ECANCELED);
    }
    resolver_let_go();
    return 0;
}

static void a_look_up_can_be_cancelled_before_and_while_it_is_made(void)
{
    run(cancel_look_ups);
}

/* --- Who is at both ends ------------------------------------------------ */

static void expect_address(const rota_address *address, int port)
{
    char host[64];

    assert_int_equal(rota_address_host(address, host, sizeof host), 0);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(rota_address_host(address, host, 9), -ENOSPC);
    assert_int_equal(rota_address_port(address), port);
}

static int port_of_fd(int fd, bool of_peer)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int err = of_peer ? getpeername(fd, (struct sockaddr *)&address, &size)
                      : getsockname(fd, (struct sockaddr *)&address, &size);

    assert_int_equal(err, 0);
    return ntohs(address.sin_port);
}

static intptr_t look_at_both_ends(void *arg)
{
    rota_address address = {0};
    char host[64];
    struct pair pair;

    (void)arg;
    assert_int_equal(rota_address_port(&address), -EAFNOSUPPORT);
    assert_int_equal(rota_address_host(&address, host, 64), -EAFNOSUPPORT);
    pair_open(&pair);
    assert_int_equal(rota_stream_peer_address(pair.stream, &address), 0);
    expect_address(&address, port_of_fd(pair.peer, false));
    assert_int_equal(rota_stream_local_address(pair.stream, &address), 0);
    expect_address(&address, port_of_fd(pair.peer, true));
    pair_close(&pair);
    return 0;
}

static void a_stream_knows_the_addresses_of_both_ends(void)
{
    run(look_at_both_ends);
}

static intptr_t free_nothing(void *arg)
{
    (void)arg;
    rota_stream_free(NULL);
    rota_server_free(NULL);
    return 0;
}

static void freeing_nothing_is_allowed(void)
{
    run(free_nothing);
}

/* --- Two threads, a loop each ------------------------------------------- */

static int port_of_thread;
static pthread_barrier_t both_ready;

static intptr_t serve_one(rota_stream *stream, void *arg)
{
    intptr_t n = echo(stream, NULL);

    rota_server_close(*(rota_server **)arg);
    return n;
}

static intptr_t serve_in_a_thread(void *arg)
{
    rota_server *server;

    (void)arg;
    assert_int_equal(
        rota_start_server(&server, serve_one, &server, "127.0.0.1", 0), 0);
    port_of_thread = port_of(server);
    pthread_barrier_wait(&both_ready);
    return rota_serve_forever(server);
}

static void *run_server_thread(void *arg)
{
    assert_int_equal(rota_run(serve_in_a_thread, NULL), 0);
    return arg;
}

static intptr_t talk_to_the_thread(void *arg)
{
    rota_stream *stream;
    char buf[16];

    (void)arg;
    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", port_of_thread),
                     0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rota_write(stream, "abcdefgh", 8), 8);
        assert_int_equal(rota_read_exactly(stream, buf, 8), 8);
    }
    rota_stream_free(stream);
    return 0;
}

static void loops_of_two_threads_talk_to_each_other(void)
{
    pthread_t thread;

    pthread_barrier_init(&both_ready, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, run_server_thread, NULL), 0);
    pthread_barrier_wait(&both_ready);
    run(talk_to_the_thread);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&both_ready);
}

/* --- An answer and a cancellation in one turn ---------------------------- */

/* Parks main so that it runs in the turn that the answer comes in. */
static rota_task answer_is_due(void)
{
    const struct timespec moment = {.tv_nsec = 50000000};
    rota_task task;

    assert_int_equal(rota_create_task(&task, look_up_slowly, NULL), 0);
    assert_int_equal(rota_sleep(0), 0);
    resolver_expect_waiting(1);
    resolver_let_go();
    nanosleep(&moment, NULL); /* the look-up's thread posts its answer */
    assert_int_equal(rota_sleep(0), 0);
    return task;
}

static intptr_t cancel_before_the_answer(void *arg)
{
    rota_task task = answer_is_due();

    (void)arg;
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_sleep(0), 0);
    assert_int_equal(rota_sleep(0), 0);
    return rota_await(task);
}

static intptr_t cancel_after_the_answer(void *arg)
{
    rota_task task = answer_is_due();

    (void)arg;
    assert_int_equal(rota_sleep(0), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_sleep(0), 0);
    return rota_await(task);
}

static void a_look_up_cancelled_as_its_answer_comes_is_cancelled(void)
{
    assert_int_equal(rota_run(cancel_before_the_answer, NULL), -ECANCELED);
}

static void a_look_up_cancelled_after_its_answer_is_cancelled(void)
{
    assert_int_equal(rota_run(cancel_after_the_answer, NULL), -ECANCELED);
}

HARNESS_MAIN(TEST(a_look_up_cancelled_as_its_answer_comes_is_cancelled),
             TEST(a_look_up_cancelled_after_its_answer_is_cancelled),
             TEST(a_connection_opens_to_an_ipv4_address),
             TEST(a_connection_opens_to_an_ipv6_address),
             TEST(a_connection_opens_to_a_name),
             TEST(the_addresses_of_a_name_are_tried_in_turn),
             TEST(what_cannot_be_opened_says_why),
             TEST(only_a_task_can_open_a_connection),
             TEST(bytes_and_an_end_that_come_before_the_stream_are_not_lost),
             TEST(a_connect_can_be_cancelled_and_timed),
             TEST(a_connect_cancelled_at_any_moment_leaves_no_socket),
             TEST(a_look_up_can_be_cancelled_before_and_while_it_is_made),
             TEST(a_stream_knows_the_addresses_of_both_ends),
             TEST(freeing_nothing_is_allowed),
             TEST(loops_of_two_threads_talk_to_each_other))
