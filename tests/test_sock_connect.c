/* SPDX-License-Identifier: MIT */
/*
 * Plain sockets, for tasks: datagrams, connecting and accepting
 */
#include "plain_sockets.h"

/* --- Datagrams ---------------------------------------------------------- */

static int open_udp(rota_address *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    *address = address_of(0);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address->storage, address->size), 0);
    assert_int_equal(
        getsockname(fd, (struct sockaddr *)&address->storage, &address->size),
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
        bind(fd, (const struct sockaddr *)&address->storage, address->size), 0);
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
    assert_int_equal(
        connect(self.fd, (struct sockaddr *)&self.to.storage, self.to.size),
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
    assert_int_equal(
        getsockname(client, (struct sockaddr *)&local.storage, &local.size), 0);
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
    rota_address address = address_of(REFUSED_PORT);
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

HARNESS_MAIN(TEST(datagrams_go_there_and_back), TEST(a_datagram_waits_for_room),
             TEST(connect_meets_accept),
             TEST(a_unix_socket_waits_for_room_in_the_backlog),
             TEST(a_refused_connect_is_an_error),
             TEST(a_connect_can_be_cancelled),
             TEST(a_cancelled_accept_has_lost_no_connection))
