/* SPDX-License-Identifier: MIT */
/*
 * Plain sockets, for tasks: bytes and errors
 */
#include "plain_sockets.h"

/* --- Receiving ---------------------------------------------------------- */

static intptr_t receive_by(void (*open)(int fds[2]))
{
    struct receiving self;
    rota_task task;
    int fds[2];

    open(fds);
    self.fd = fds[0];
    bare_say(fds[1], "one");
    assert_int_equal(receive(&self), 3);
    task = start_receiving(&self);
    pass_turns(2);
    assert_noted("one;");
    bare_say(fds[1], "two");
    assert_int_equal(rota_await(task), 3);
    assert_true(is_blocking(fds[0]));
    close(fds[1]);
    assert_int_equal(receive(&self), 0);
    assert_noted("two; ;");
    close(fds[0]);
    return 0;
}

static intptr_t receive_by_unix(void *arg)
{
    (void)arg;
    return receive_by(open_pair);
}

static intptr_t receive_by_tcp(void *arg)
{
    (void)arg;
    return receive_by(open_tcp);
}

static void bytes_and_the_end_are_received(void)
{
    run(receive_by_unix);
    run(receive_by_tcp);
}

static intptr_t hear_of_a_reset(void *arg)
{
    struct receiving self;
    rota_task task;
    int fds[2];

    (void)arg;
    open_tcp(fds);
    self.fd = fds[0];
    task = start_receiving(&self);
    bare_reset(fds[1]);
    assert_int_equal(rota_await(task), -ECONNRESET);
    assert_noted("ECONNRESET");
    close(fds[0]);
    return 0;
}

static void a_reset_is_an_error(void)
{
    run(hear_of_a_reset);
}

static intptr_t cancel_a_receive(void *arg)
{
    struct receiving self;
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    self.fd = fds[0];
    task = start_receiving(&self);
    bare_say(fds[1], "kept");
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(receive(&self), 4);
    assert_noted("ECANCELED kept;");
    close_pair(fds);
    return 0;
}

static void a_cancelled_receive_has_lost_nothing(void)
{
    run(cancel_a_receive);
}

static intptr_t receive_twice_at_once(void *arg)
{
    struct receiving self;
    rota_address from;
    rota_task task;
    char byte;
    int fds[2];

    (void)arg;
    open_pair(fds);
    self.fd = fds[0];
    task = start_receiving(&self);
    assert_int_equal(rota_sock_recv(fds[0], &byte, 1), -EBUSY);
    assert_int_equal(rota_sock_recvfrom(fds[0], &byte, 1, &from), -EBUSY);
    bare_say(fds[1], "x");
    assert_int_equal(rota_await(task), 1);
    assert_noted("x;");
    close_pair(fds);
    return 0;
}

static void one_task_receives_at_a_time(void)
{
    run(receive_twice_at_once);
}

/* --- Sending ------------------------------------------------------------ */

static intptr_t send_much(void (*open)(int fds[2]))
{
    struct sending self = {.data = make_bytes(MUCH), .size = MUCH};
    struct sink sink = {.wanted = MUCH};
    rota_task task;
    int fds[2];

    open(fds);
    self.fd = fds[0];
    sink.fd = fds[1];
    task = start(sink_run, &sink);
    assert_int_equal(send_it(&self), MUCH);
    assert_int_equal(self.sent, MUCH);
    assert_true(is_blocking(fds[0]));
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(sink.size, MUCH);
    assert_memory_equal(sink.data, self.data, MUCH);
    assert_int_equal(rota_sock_sendall(fds[0], "", 0, NULL), 0);
    free(sink.data);
    free(self.data);
    close_pair(fds);
    return 0;
}

static intptr_t send_much_by_unix(void *arg)
{
    (void)arg;
    return send_much(open_pair);
}

static intptr_t send_much_by_tcp(void *arg)
{
    (void)arg;
    return send_much(open_tcp);
}

static void sendall_sends_all_of_it_to_a_slow_peer(void)
{
    run(send_much_by_unix);
    run(send_much_by_tcp);
}

static intptr_t cancel_a_send(void *arg)
{
    struct sending self = {.data = make_bytes(MUCH), .size = MUCH};
    struct sink sink = {.wanted = MUCH};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    self.fd = fds[0];
    sink.fd = fds[1];
    task = start(send_it, &self);
    pass_turns(2);
    assert_true(sink_take(&sink));
    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    close(fds[0]);
    while (sink_take(&sink))
        ;
    assert_true(self.sent > 0 && self.sent < MUCH);
    assert_int_equal(sink.size, self.sent);
    assert_memory_equal(sink.data, self.data, self.sent);
    free(sink.data);
    free(self.data);
    close(fds[1]);
    return 0;
}

static void a_cancelled_send_says_how_much_has_gone(void)
{
    run(cancel_a_send);
}

static intptr_t send_to_nobody(void *arg)
{
    struct sending self = {.data = make_bytes(MUCH), .size = MUCH};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    self.fd = fds[0];
    task = start(send_it, &self);
    pass_turns(2);
    close(fds[1]);
    assert_int_equal(rota_await(task), -EPIPE); /* or ECONNRESET */
    assert_true(self.sent > 0 && self.sent < MUCH);
    assert_int_equal(send_it(&self), -EPIPE);
    assert_int_equal(self.sent, 0);
    free(self.data);
    close(fds[0]);
    return 0;
}

static void a_peer_that_goes_is_an_error_and_no_signal(void)
{
    run(send_to_nobody);
}

static intptr_t send_and_receive(void *arg)
{
    struct sending self = {.data = make_bytes(MUCH), .size = MUCH};
    struct sending back = {.data = make_bytes(MUCH), .size = MUCH};
    struct receiving last = {0};
    static char buf[65536];
    rota_task tasks[2];
    size_t got[2] = {0, 0};
    int fds[2];

    (void)arg;
    open_pair(fds);
    self.fd = fds[0];
    back.fd = fds[1];
    tasks[0] = start(send_it, &self);
    tasks[1] = start(send_it, &back);
    while (got[0] < MUCH || got[1] < MUCH)
        for (int i = 0; i < 2; i++)
            if (got[i] < MUCH) {
                intptr_t n = rota_sock_recv(fds[i], buf, sizeof buf);

                assert_true(n > 0);
                assert_memory_equal(buf, self.data + got[i], (size_t)n);
                got[i] += (size_t)n;
            }
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_await(tasks[i]), MUCH);
    last.fd = fds[0];
    close(fds[1]);
    assert_int_equal(receive(&last), 0);
    assert_noted(";");
    free(self.data);
    free(back.data);
    close(fds[0]);
    return 0;
}

static void both_directions_of_a_socket_are_busy_at_once(void)
{
    run(send_and_receive);
    run_shuffled(send_and_receive);
}

/* --- Errors ------------------------------------------------------------- */

static intptr_t use_what_is_no_socket(void *arg)
{
    rota_address address = address_of(1);
    char byte;
    int ends[2];

    (void)arg;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(rota_sock_recv(ends[0], &byte, 1), -ENOTSOCK);
    assert_int_equal(rota_sock_recvfrom(ends[0], &byte, 1, &address),
                     -ENOTSOCK);
    assert_int_equal(rota_sock_sendall(ends[1], &byte, 1, NULL), -ENOTSOCK);
    assert_int_equal(rota_sock_sendto(ends[1], &byte, 1, &address), -ENOTSOCK);
    assert_int_equal(rota_sock_connect(ends[1], &address), -ENOTSOCK);
    assert_int_equal(rota_sock_accept(ends[0], NULL), -ENOTSOCK);
    close_pair(ends);
    assert_int_equal(rota_sock_recv(ends[0], &byte, 1), -EBADF);
    assert_int_equal(rota_sock_recvfrom(ends[0], &byte, 1, &address), -EBADF);
    assert_int_equal(rota_sock_sendall(-1, &byte, 1, NULL), -EBADF);
    assert_int_equal(rota_sock_sendto(ends[1], &byte, 1, &address), -EBADF);
    assert_int_equal(rota_sock_connect(-1, &address), -EBADF);
    assert_int_equal(rota_sock_accept(ends[0], NULL), -EBADF);
    return 0;
}

static void what_is_no_socket_is_refused(void)
{
    run(use_what_is_no_socket);
}

static intptr_t use_the_fd_of_a_stream(void *arg)
{
    struct pair pair;
    char byte;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_sock_recv(rota_stream_fileno(pair.stream), &byte, 1),
                     -EEXIST);
    pair_close(&pair);
    return 0;
}

static void the_fd_of_a_stream_is_not_waited_for(void)
{
    run(use_the_fd_of_a_stream);
}

static void only_a_task_can_wait(void)
{
    rota_address address = address_of(1);
    size_t sent = 7;
    char byte;

    assert_int_equal(rota_sock_recv(0, &byte, 1), -ROTA_ENOTASK);
    assert_int_equal(rota_sock_recvfrom(0, &byte, 1, &address), -ROTA_ENOTASK);
    assert_int_equal(rota_sock_sendall(0, &byte, 1, &sent), -ROTA_ENOTASK);
    assert_int_equal(sent, 0);
    assert_int_equal(rota_sock_sendto(0, &byte, 1, &address), -ROTA_ENOTASK);
    assert_int_equal(rota_sock_connect(0, &address), -ROTA_ENOTASK);
    assert_int_equal(rota_sock_accept(0, NULL), -ROTA_ENOTASK);
    assert_int_equal(rota_sock_sendfile(0, 0, 0, 0, &sent), -ROTA_ENOTASK);
}

static void a_loop_that_closes_forgets_its_sockets(void)
{
    struct receiving self;
    struct sending sending = {.data = make_bytes(MUCH), .size = MUCH};
    rota_loop *loop;
    rota_task task;
    int fds[2];

    open_pair(fds);
    self.fd = sending.fd = fds[0];
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_create_task(loop, &task, receive, &self), 0);
    assert_int_equal(rota_loop_create_task(loop, &task, send_it, &sending), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
    assert_noted("");
    free(sending.data);
    close_pair(fds);
}

HARNESS_MAIN(TEST(bytes_and_the_end_are_received), TEST(a_reset_is_an_error),
             TEST(a_cancelled_receive_has_lost_nothing),
             TEST(one_task_receives_at_a_time),
             TEST(sendall_sends_all_of_it_to_a_slow_peer),
             TEST(a_cancelled_send_says_how_much_has_gone),
             TEST(a_peer_that_goes_is_an_error_and_no_signal),
             TEST_TIMEOUT(both_directions_of_a_socket_are_busy_at_once, 60),
             TEST(what_is_no_socket_is_refused),
             TEST(the_fd_of_a_stream_is_not_waited_for),
             TEST(only_a_task_can_wait),
             TEST(a_loop_that_closes_forgets_its_sockets))
