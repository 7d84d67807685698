/* SPDX-License-Identifier: MIT */
/*
 * What streams cost: system calls and allocations
 *
 * The system's calls are counted on their way.
 */
#define _GNU_SOURCE
#include "servers.h"

#include <dlfcn.h>
#include <sys/epoll.h>

static struct {
    int receives;
    int sends;
    int vectors;
    int waits;
} calls;

#define PASS_ON(result, name, types, ...)                                      \
    do {                                                                       \
        result(*system) types;                                                 \
        void *found = dlsym(RTLD_NEXT, name);                                  \
                                                                               \
        memcpy(&system, &found, sizeof system);                                \
        return system(__VA_ARGS__);                                            \
    } while (0)

static bool of_the_peer; /* the test's own calls do not count */

ssize_t recv(int fd, void *buf, size_t size, int flags)
{
    calls.receives += !of_the_peer;
    PASS_ON(ssize_t, "recv", (int, void *, size_t, int), fd, buf, size, flags);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    calls.sends += !of_the_peer;
    PASS_ON(ssize_t, "send", (int, const void *, size_t, int), fd, data, size,
            flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    calls.vectors += !of_the_peer;
    PASS_ON(ssize_t, "sendmsg", (int, const struct msghdr *, int), fd, message,
            flags);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    calls.waits++;
    PASS_ON(int, "epoll_wait", (int, struct epoll_event *, int, int), fd,
            events, most, timeout);
}

static void say_to(int fd, const char *text)
{
    of_the_peer = true;
    bare_say(fd, text);
    of_the_peer = false;
}

static const char *hear_from(int fd)
{
    const char *heard;

    of_the_peer = true;
    heard = bare_hear(fd);
    of_the_peer = false;
    return heard;
}

/* --- Echoes --------------------------------------------------------------- */

static intptr_t echo_borrowed(rota_stream *stream, void *arg)
{
    const void *data;
    intptr_t n;

    (void)arg;
    clients++;
    while ((n = rota_read_borrowed(stream, &data)) > 0)
        if ((n = rota_write(stream, data, (size_t)n)) < 0)
            break;
    clients--;
    return n;
}

static intptr_t echo_lines(rota_stream *stream, void *arg)
{
    char line[100];
    intptr_t n;

    (void)arg;
    clients++;
    while ((n = rota_read_line(stream, line, sizeof line)) > 0) {
        struct iovec parts[] = {{line, 2}, {line + 2, (size_t)n - 2}};

        if ((n = rota_writelines(stream, parts, 2)) < 0)
            break;
    }
    clients--;
    return n;
}

enum { BUSY = 20, ROUNDS = 50 };

static void exchange(const int *peers)
{
    for (int i = 0; i < BUSY; i++)
        say_to(peers[i], "hello\n");
    for (int i = 0; i < BUSY; i++) {
        const char *heard;

        while (*(heard = hear_from(peers[i])) == '\0')
            pass_turns(1);
        assert_string_equal(heard, "hello\n");
    }
}

static void count_echoes(rota_client_connected *client)
{
    rota_server *server = serve_with(client, NULL);
    int peers[BUSY];
    long allocations;

    for (int i = 0; i < BUSY; i++)
        peers[i] = bare_connect(port_of(server, 0));
    await_clients(BUSY);
    exchange(peers);
    exchange(peers);
    memset(&calls, 0, sizeof calls);
    allocations = harness_allocations();
    for (int i = 0; i < ROUNDS; i++)
        exchange(peers);
    assert_int_equal(harness_allocations(), allocations);
    assert_int_equal(calls.receives, BUSY * ROUNDS);
    assert_int_equal(calls.sends + calls.vectors, BUSY * ROUNDS);
    assert_true(calls.waits <= 10 * ROUNDS); /* of 20 echoes each */
    for (int i = 0; i < BUSY; i++)
        close(peers[i]);
    await_clients(0);
    rota_server_free(server);
}

static intptr_t echo_busily(void *arg)
{
    (void)arg;
    count_echoes(echo_borrowed);
    count_echoes(echo_client);
    count_echoes(echo_lines);
    return 0;
}

static void an_echo_costs_two_calls_and_no_allocation(void)
{
    run(echo_busily);
}

/* --- Pieces ----------------------------------------------------------------
 */

static intptr_t write_pieces(void *arg)
{
    struct iovec parts[] = {{"ab", 2}, {"cd", 2}, {"", 0}, {"ef", 2}};
    struct pair pair;

    (void)arg;
    pair_open(&pair);
    memset(&calls, 0, sizeof calls);
    assert_int_equal(rota_writelines(pair.stream, parts, 4), 6);
    assert_int_equal(calls.vectors, 1);
    assert_int_equal(calls.sends, 0);
    assert_string_equal(hear_from(pair.peer), "abcdef");
    pair_close(&pair);
    return 0;
}

static void pieces_cost_one_call(void)
{
    run(write_pieces);
}

HARNESS_MAIN(TEST_SKIP_UNDER(an_echo_costs_two_calls_and_no_allocation,
                             HARNESS_SIM, "the kernel is counted"),
             TEST_SKIP_UNDER(pieces_cost_one_call, HARNESS_SIM,
                             "the kernel is counted"))
