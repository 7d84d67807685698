/* SPDX-License-Identifier: MIT */
/*
 * Plain sockets, for tasks
 *
 * Most of them are blocking: the loop must not mind.
 */
#include "sockets.h"

#include <sys/un.h>

#define MUCH ((size_t)4 << 20)

static void open_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* A connected pair of TCP sockets. */
static void open_tcp(int fds[2])
{
    int port;
    int listener = bare_listen(&port, 0, 1);

    fds[0] = bare_connect(port);
    fds[1] = accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listener);
}

static rota_address address_of(int port)
{
    rota_address address;

    assert_int_equal(rota_address_parse(&address, "127.0.0.1", port), 0);
    return address;
}

static bool is_blocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

/* A task that receives once. */
struct receiving {
    int fd;
    char heard[16];
};

static intptr_t receive(void *arg)
{
    struct receiving *self = arg;
    intptr_t n = rota_sock_recv(self->fd, self->heard, sizeof self->heard - 1);

    if (n < 0)
        note("%s", rota_errname(n));
    else
        note("%.*s;", (int)n, self->heard);
    return n;
}

static rota_task start_receiving(struct receiving *self)
{
    rota_task task = start(receive, self);

    pass_turns(1);
    return task;
}

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

struct sending {
    int fd;
    char *data;
    size_t size;
    size_t sent;
};

static intptr_t send_it(void *arg)
{
    struct sending *self = arg;

    return rota_sock_sendall(self->fd, self->data, self->size, &self->sent);
}

static char *make_bytes(size_t size)
{
    char *data = malloc(size);

    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7 + i / 251 + i / 65537);
    return data;
}

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

/* --- Datagrams ---------------------------------------------------------- */

static int open_udp(rota_address *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    *address = address_of(0);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address->storage, address->size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address->storage,
                                 &address->size),
                     0);
    return fd;
}

struct answering {
    int fd;
    rota_address from;
};

static intptr_t answer(void *arg)
{
    struct answering *self = arg;
    char buf[16];
    intptr_t n = rota_sock_recvfrom(self->fd, buf, sizeof buf, &self->from);

    return n < 0 ? n : rota_sock_sendto(self->fd, buf, (size_t)n, &self->from);
}

static intptr_t exchange_datagrams(void *arg)
{
    struct answering self;
    rota_address addresses[2];
    rota_address from;
    rota_task task;
    char buf[16];
    int fd = open_udp(&addresses[0]);

    (void)arg;
    self.fd = open_udp(&addresses[1]);
    task = start(answer, &self);
    pass_turns(2);
    assert_int_equal(rota_sock_sendto(fd, "ping", 4, &addresses[1]), 4);
    assert_int_equal(rota_sock_recvfrom(fd, buf, sizeof buf, &from), 4);
    assert_memory_equal(buf, "ping", 4);
    assert_true(rota_address_equal(&from, &addresses[1]));
    assert_int_equal(rota_await(task), 4);
    assert_true(rota_address_equal(&self.from, &addresses[0]));
    assert_true(is_blocking(fd) && is_blocking(self.fd));
    close(fd);
    close(self.fd);
    return 0;
}

static void datagrams_go_there_and_back(void)
{
    run(exchange_datagrams);
}

static rota_address abstract_name(const char *what)
{
    rota_address address;
    char name[64];

    snprintf(name, sizeof name, "@rota-test-%s-%d", what, (int)getpid());
    assert_int_equal(rota_address_unix(&address, name), 0);
    return address;
}

static int bare_bind(int type, const rota_address *address)
{
    int fd = socket(AF_UNIX, type, 0);

    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address->storage, address->size),
        0);
    return fd;
}

struct flood {
    int fd;
    rota_address to;
    int sent;
};

static intptr_t flood(void *arg)
{
    struct flood *self = arg;

    while (self->sent < 100) {
        char number = (char)self->sent;
        intptr_t n = rota_sock_sendto(self->fd, &number, 1, &self->to);

        if (n < 0)
            return n;
        self->sent++;
    }
    return 0;
}

static intptr_t flood_with_datagrams(void *arg)
{
    struct flood self = {.to = abstract_name("flood")};
    int fd = bare_bind(SOCK_DGRAM, &self.to);
    rota_task task;
    char number;

    (void)arg;
    self.fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(connect(self.fd, (struct sockaddr *)&self.to.storage,
                             self.to.size),
                     0); /* or the system does not say when there is room */
    task = start(flood, &self);
    pass_turns(3);
    assert_true(self.sent > 0 && self.sent < 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rota_sock_recv(fd, &number, 1), 1);
        assert_int_equal(number, i);
    }
    assert_int_equal(rota_await(task), 0);
    close(self.fd);
    close(fd);
    return 0;
}

static void a_datagram_waits_for_room(void)
{
    run(flood_with_datagrams);
}

/* --- Connecting and accepting ------------------------------------------- */

struct accepting {
    int fd;
    rota_address from;
};

static intptr_t accept_one(void *arg)
{
    struct accepting *self = arg;

    return rota_sock_accept(self->fd, &self->from);
}

static intptr_t connect_and_accept(void *arg)
{
    struct accepting self;
    rota_address address;
    rota_address local = {.size = sizeof local.storage};
    rota_task task;
    int client;
    int port;
    int peer;

    (void)arg;
    self.fd = bare_listen(&port, 0, 1);
    address = address_of(port);
    task = start(accept_one, &self);
    pass_turns(2);
    client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(rota_sock_connect(client, &address), 0);
    assert_int_equal(getsockname(client, (struct sockaddr *)&local.storage,
                                 &local.size),
                     0);
    peer = (int)rota_await(task);
    assert_true(peer >= 0);
    assert_true(rota_address_equal(&self.from, &local));
    assert_false(is_blocking(peer));
    assert_true(fcntl(peer, F_GETFD) & FD_CLOEXEC);
    bare_say(client, "x");
    assert_string_equal(bare_hear(peer), "x");
    close(peer);
    close(client);
    client = bare_connect(port);
    peer = rota_sock_accept(self.fd, NULL);
    assert_true(peer >= 0);
    close(peer);
    close(client);
    close(self.fd);
    return 0;
}

static void connect_meets_accept(void)
{
    run(connect_and_accept);
}

struct connecting {
    int fd;
    rota_address address;
};

static intptr_t connect_it(void *arg)
{
    struct connecting *self = arg;

    return rota_sock_connect(self->fd, &self->address);
}

static intptr_t connect_by_unix(void *arg)
{
    struct connecting more = {.address = abstract_name("connect")};
    struct accepting self;
    char text[ROTA_ADDRESS_TEXT];
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    rota_task task;
    int peers[2];

    (void)arg;
    more.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(rota_sock_connect(client, &more.address), -ECONNREFUSED);
    self.fd = bare_bind(SOCK_STREAM, &more.address);
    assert_int_equal(listen(self.fd, 0), 0);
    assert_int_equal(rota_sock_connect(client, &more.address), 0);
    task = start(connect_it, &more);
    assert_int_equal(rota_sleep(1), 0);
    assert_false(rota_task_done(task)); /* there is no room */
    for (int i = 0; i < 2; i++)
        peers[i] = rota_sock_accept(self.fd, &self.from);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(rota_address_path(&self.from, text, sizeof text), 0);
    assert_string_equal(text, ""); /* it has no name */
    bare_say(more.fd, "x");
    assert_string_equal(bare_hear(peers[1]), "x");
    close_pair(peers);
    close(more.fd);
    close(client);
    close(self.fd);
    return 0;
}

static void a_unix_socket_waits_for_room_in_the_backlog(void)
{
    scenario(connect_by_unix);
}

static intptr_t connect_to_nobody(void *arg)
{
    rota_address address = address_of(unused_port());
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)arg;
    assert_int_equal(rota_sock_connect(fd, &address), -ECONNREFUSED);
    close(fd);
    return 0;
}

static void a_refused_connect_is_an_error(void)
{
    run(connect_to_nobody);
}

static intptr_t cancel_a_connect(void *arg)
{
    struct connecting self;
    int waiting[8];
    rota_task task;
    int port;
    int fd = bare_listen(&port, 0, 0);

    (void)arg;
    bare_fill_backlog(port, waiting, 8);
    self.address = address_of(port);
    self.fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 2; i++) { /* the second goes on with the first */
        task = start(connect_it, &self);
        pass_turns(3);
        assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), -ECANCELED);
    }
    close(self.fd);
    for (int i = 0; i < 8; i++)
        close(waiting[i]);
    close(fd);
    return 0;
}

static void a_connect_can_be_cancelled(void)
{
    run(cancel_a_connect);
}

static intptr_t cancel_an_accept(void *arg)
{
    struct accepting self;
    rota_task task;
    int client;
    int port;
    int peer;

    (void)arg;
    self.fd = bare_listen(&port, 0, 1);
    task = start(accept_one, &self);
    pass_turns(2);
    client = bare_connect(port);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    peer = rota_sock_accept(self.fd, NULL);
    assert_true(peer >= 0);
    close(peer);
    close(client);
    close(self.fd);
    return 0;
}

static void a_cancelled_accept_has_lost_no_connection(void)
{
    run(cancel_an_accept);
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
             TEST(datagrams_go_there_and_back), TEST(a_datagram_waits_for_room),
             TEST(connect_meets_accept),
             TEST(a_unix_socket_waits_for_room_in_the_backlog),
             TEST(a_refused_connect_is_an_error),
             TEST(a_connect_can_be_cancelled),
             TEST(a_cancelled_accept_has_lost_no_connection),
             TEST(what_is_no_socket_is_refused),
             TEST(the_fd_of_a_stream_is_not_waited_for),
             TEST(only_a_task_can_wait),
             TEST(a_loop_that_closes_forgets_its_sockets))
