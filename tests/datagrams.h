/* SPDX-License-Identifier: MIT */
/*
 * Datagrams: what the tests of both faces share
 *
 * The other end is a bare socket that the test drives by hand. What is sent on
 * the loopback interface has arrived when the call returns.
 */
#ifndef TESTS_DATAGRAMS_H
#define TESTS_DATAGRAMS_H

#include "sockets.h"
#include "transport/datagram.h"

#include <sys/un.h>

#define LARGEST 65507 /* over IPv4 */

static char big[LARGEST + 1] ROTA__UNUSED;

static inline rota_loop *new_virtual_loop(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    return loop;
}

/* A main task that must return 0, in twenty orders. */
static inline void shuffled(rota_task_function *function)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const rota_loop_options options = {.seed = seed, .virtual_clock = true};

        assert_int_equal(rota_run_with(&options, function, NULL), 0);
    }
}

/* In virtual time the loop asks the kernel before it jumps to the timer. */
static inline void settle(void)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(rota_sleep(0.01), 0);
}

#define await_that(condition)                                                  \
    while (!(condition))                                                       \
    assert_int_equal(rota_sleep(0.001), 0)

static inline rota_address local_v4(int port)
{
    rota_address address;

    assert_int_equal(rota_address_parse(&address, "127.0.0.1", port), 0);
    return address;
}

/* --- Bare ends ---------------------------------------------------------- */

static inline rota_address bare_address(int fd)
{
    rota_address address = {.size = sizeof address.storage};

    assert_int_equal(
        getsockname(fd, (struct sockaddr *)&address.storage, &address.size), 0);
    return address;
}

static inline int bare_bind(const rota_address *address)
{
    int fd = socket(address->storage.ss_family, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    if (bind(fd, (const struct sockaddr *)&address->storage, address->size)) {
        close(fd);
        return -errno;
    }
    return fd;
}

/* A UDP socket on a free port, and its address. */
static inline int bare_udp(rota_address *address)
{
    rota_address any = local_v4(0);
    int fd = bare_bind(&any);

    assert_true(fd >= 0);
    *address = bare_address(fd);
    return fd;
}

static inline void bare_tell(int fd, const rota_address *to, const void *data,
                             size_t size)
{
    assert_int_equal(sendto(fd, data, size, MSG_NOSIGNAL,
                            (const struct sockaddr *)&to->storage, to->size),
                     size);
}

static inline void bare_tell_text(int fd, const rota_address *to,
                                  const char *text)
{
    bare_tell(fd, to, text, strlen(text));
}

/* Its size, or -1 when there is none. */
static inline ssize_t bare_take(int fd, void *buf, size_t size)
{
    return recv(fd, buf, size, MSG_DONTWAIT);
}

/* As text, "(empty)", or "(none)". */
static inline const char *bare_told(int fd)
{
    static char heard[1024];
    ssize_t n = bare_take(fd, heard, sizeof heard - 1);

    if (n <= 0)
        return n == 0 ? "(empty)" : "(none)";
    heard[n] = '\0';
    return heard;
}

/* --- Unix sockets ------------------------------------------------------- */

/* A path of this process's own, for the name. */
static inline rota_address unix_address(const char *name)
{
    rota_address address;
    char path[64];

    snprintf(path, sizeof path, "/tmp/rota-%d-%s", (int)getpid(), name);
    assert_int_equal(rota_address_unix(&address, path), 0);
    (void)unlink(path); /* of a test that has failed */
    return address;
}

static inline void unix_unlink(const rota_address *address)
{
    char path[128];

    assert_int_equal(rota_address_path(address, path, sizeof path), 0);
    assert_int_equal(unlink(path), 0);
}

/* Takes a number out of a socket; -1 when there is none. */
static inline int bare_number(int fd)
{
    int number;
    ssize_t n = bare_take(fd, &number, sizeof number);

    if (n < 0)
        return -1;
    assert_int_equal(n, sizeof number);
    return number;
}

/* --- A protocol that takes notes ---------------------------------------- */

struct end {
    rota_datagram_transport *transport;
    int received;
    int errors;
    int lost;
    int last_error;
    int turn; /* of the last datagram, to see how many a turn brings */
    size_t size;
    char data[1024];
    rota_address from;
    bool echo;
    bool quiet;
    /* What it does besides, with each datagram. */
    void (*act)(struct end *end);
};

static inline void end_made(rota_datagram_transport *transport, void *arg)
{
    struct end *end = arg;

    assert_ptr_equal(transport, end->transport);
    note("made");
}

static inline void end_received(rota_datagram_transport *transport,
                                const void *data, size_t size,
                                const rota_address *from, void *arg)
{
    struct end *end = arg;

    end->received++;
    end->size = size;
    end->from = *from;
    memcpy(end->data, data, size < sizeof end->data ? size : sizeof end->data);
    if (!end->quiet)
        note("<%.*s>", (int)size, (const char *)data);
    if (end->echo)
        assert_int_equal(
            rota_datagram_transport_sendto(transport, data, size, from), 0);
    if (end->act)
        end->act(end);
}

static inline void end_error(rota_datagram_transport *transport, int error,
                             void *arg)
{
    struct end *end = arg;

    assert_ptr_equal(transport, end->transport);
    end->errors++;
    end->last_error = error;
    note("%s", rota_errname(error));
}

static inline void end_lost(rota_datagram_transport *transport, int error,
                            void *arg)
{
    struct end *end = arg;

    assert_ptr_equal(transport, end->transport);
    assert_true(rota_datagram_transport_is_closing(transport));
    end->lost++;
    note("lost(%s)", error ? rota_errname(error) : "");
}

static inline void end_paused(rota_datagram_transport *transport, void *arg)
{
    (void)transport;
    (void)arg;
    note("pause");
}

static inline void end_resumed(rota_datagram_transport *transport, void *arg)
{
    (void)transport;
    (void)arg;
    note("resume");
}

static const rota_datagram_protocol protocol = {
    .connection_made = end_made,
    .datagram_received = end_received,
    .error_received = end_error,
    .connection_lost = end_lost,
    .pause_writing = end_paused,
    .resume_writing = end_resumed,
};

static inline void open_with(struct end *end,
                             const rota_datagram_options *options)
{
    assert_int_equal(rota_create_datagram_endpoint(&end->transport,
                                                   rota_get_running_loop(),
                                                   &protocol, end, options),
                     0);
}

/* On a free port of the loopback interface. */
static inline rota_address open_v4(struct end *end)
{
    rota_address local = local_v4(0);

    open_with(end, &(rota_datagram_options){.local = &local});
    assert_int_equal(
        rota_datagram_transport_local_address(end->transport, &local), 0);
    return local;
}

static inline rota_address open_to(struct end *end, const rota_address *remote)
{
    rota_address local;

    open_with(end, &(rota_datagram_options){.remote = remote});
    assert_int_equal(
        rota_datagram_transport_local_address(end->transport, &local), 0);
    return local;
}

static inline int send_text(struct end *end, const char *text,
                            const rota_address *to)
{
    return rota_datagram_transport_sendto(end->transport, text, strlen(text),
                                          to);
}

static inline void close_end(struct end *end)
{
    rota_datagram_transport_close(end->transport);
    await_that(end->lost);
}

/* --- A task's endpoint and a bare end ------------------------------------ */

struct link {
    rota_datagram *datagram;
    rota_address local;
    rota_address peer;
    int fd;
};

static inline void link_open(struct link *link, bool connected)
{
    rota_address any = local_v4(0);
    rota_datagram_options options = {.local = &any};

    link->fd = bare_udp(&link->peer);
    if (connected)
        options.remote = &link->peer;
    assert_int_equal(rota_datagram_open(&link->datagram, &options), 0);
    assert_int_equal(rota_datagram_local_address(link->datagram, &link->local),
                     0);
}

static inline void link_close(struct link *link)
{
    long blocks = harness_live_blocks();

    rota_datagram_free(link->datagram);
    assert_true(harness_live_blocks() < blocks);
    close(link->fd);
}

static inline void tell(struct link *link, const char *text)
{
    bare_tell_text(link->fd, &link->local, text);
}

/* Receives, and notes it. */
static inline intptr_t hear(rota_datagram *datagram)
{
    char buf[100];
    intptr_t n = rota_datagram_recv(datagram, buf, sizeof buf, NULL, NULL);

    if (n < 0)
        note("%s", rota_errname(n));
    else
        note("<%.*s>", (int)n, buf);
    return n;
}

static inline intptr_t hear_in_task(void *datagram)
{
    return hear(datagram);
}

#endif
