/* SPDX-License-Identifier: MIT */
/*
 * The load on an echo server: `load KIND AT CONNECTIONS SIZE SECONDS`
 *
 * KIND is tcp, unix, udp or tls; AT a port or a path. With `lines` a request
 * by TCP is 16 lines of the same length, and with `accept` each one has a
 * connection of its own. Every connection has one request in flight. A request
 * is a slice of one block of random bytes, at an offset that differs from
 * connection to connection and from request to request, so an answer is checked
 * by a memcmp and nothing is copied. All connect first; then the clock starts.
 * When it stops, the requests in flight must still be answered: a server that
 * has lost one has failed. The load never sleeps: the server is not to be
 * charged for waking up an idle CPU, which on a virtual machine costs more than
 * the echo. Prints
 *
 *   REQUESTS_PER_SECOND REQUESTS
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "channel.h"

enum {
    SLICES = 4096, /* offsets into the block */
    LINES = 16,    /* of a request */
};
#define GRACE_SECONDS 5.0

struct connection {
    struct channel channel;
    bool wants_write;
    size_t slice;      /* the request in flight starts at block + slice */
    size_t sent, back; /* how much of it */
};

static enum channel_kind kind;
static const char *at;
static char *block, *answer;
static size_t size;
static size_t line = 1; /* if above 1, at every multiple of it a line ends */
static bool once;       /* a connection makes one request */
static long count;
static double seconds;
static int epoll;
static bool stopping;
static long requests, in_flight;

static void make_block(void)
{
    uint32_t dice = 2463534242u;

    block = malloc(size + SLICES);
    answer = malloc(size);
    if (block == NULL || answer == NULL)
        load_fail("no memory");
    for (size_t i = 0; i < size + SLICES; i++) {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        block[i] = (char)dice;
        if (line > 1 && (block[i] == '\n' || (i + 1) % line == 0))
            block[i] = (i + 1) % line == 0 ? '\n' : ' ';
    }
}

static void open_connection(struct connection *c)
{
    struct epoll_event in = {.events = EPOLLIN, .data = {.ptr = c}};

    channel_open(&c->channel, kind, at);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->channel.fd, &in) != 0)
        load_fail("epoll_ctl");
}

/* Watches for writability only while the socket is full. */
static void want_write(struct connection *c, bool wants)
{
    struct epoll_event event = {.events = EPOLLIN | (wants ? EPOLLOUT : 0),
                                .data = {.ptr = c}};

    if (c->wants_write == wants)
        return;
    c->wants_write = wants;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->channel.fd, &event) != 0)
        load_fail("epoll_ctl");
}

static void send_some(struct connection *c)
{
    c->sent +=
        channel_send(&c->channel, block + c->slice + c->sent, size - c->sent);
    want_write(c, c->sent < size);
}

static void next_request(struct connection *c)
{
    c->slice = (c->slice + 61 * line) % SLICES / line * line;
    c->sent = c->back = 0;
    in_flight++;
    send_some(c);
}

static void check_answer(const struct connection *c, size_t got)
{
    if (got <= c->sent - c->back &&
        memcmp(answer, block + c->slice + c->back, got) == 0)
        return;
    fprintf(stderr, "load: the server did not echo\n");
    exit(1);
}

static void receive_some(struct connection *c)
{
    size_t got = channel_receive(&c->channel, answer, size);

    check_answer(c, got);
    c->back += got;
    if (c->back < size)
        return;
    in_flight--;
    if (stopping)
        return;
    requests++;
    if (once) {
        channel_reset(&c->channel);
        open_connection(c);
    }
    next_request(c);
}

static void turn(void)
{
    struct epoll_event events[1024];
    int ready = epoll_wait(epoll, events, 1024, 0);

    for (int i = 0; i < ready; i++) {
        struct connection *c = events[i].data.ptr;

        if (events[i].events & EPOLLOUT)
            send_some(c);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            do
                receive_some(c);
            while (channel_pending(&c->channel));
    }
}

/* No answer may be missing: a datagram that was lost is a fault. */
static void finish(void)
{
    double end = load_now() + GRACE_SECONDS;

    stopping = true;
    while (in_flight > 0 && load_now() < end)
        turn();
    if (in_flight == 0)
        return;
    fprintf(stderr, "load: %ld requests were not answered\n", in_flight);
    exit(1);
}

static void run(struct connection *connections)
{
    double start = load_now(), end = start + seconds;

    for (long i = 0; i < count; i++)
        next_request(&connections[i]);
    while (load_now() < end)
        turn();
    end = load_now();
    finish();
    printf("%.1f %ld\n", (double)requests / (end - start), requests);
}

static bool parse(char **argv)
{
    bool lines = strcmp(argv[1], "lines") == 0;

    once = strcmp(argv[1], "accept") == 0;
    kind = lines || once ? CHANNEL_TCP : channel_kind(argv[1]);
    at = argv[2];
    count = atol(argv[3]);
    size = strtoul(argv[4], NULL, 10);
    seconds = atof(argv[5]);
    if (lines)
        line = size / LINES;
    return kind != CHANNEL_KINDS && count > 0 && size > 0 && seconds > 0 &&
           (!lines || (line * LINES == size && 1 < line && line < SLICES));
}

int main(int argc, char **argv)
{
    struct connection *connections;

    if (argc != 6 || !parse(argv)) {
        fprintf(stderr, "usage: load tcp|unix|udp|tls|lines|accept PORT|PATH "
                        "CONNECTIONS SIZE SECONDS\n");
        return 2;
    }
    make_block();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)count, sizeof *connections);
    if (connections == NULL || epoll < 0)
        load_fail("start");
    for (long i = 0; i < count; i++) {
        connections[i].slice = (size_t)i * 17 % SLICES;
        open_connection(&connections[i]);
    }
    run(connections);
    for (long i = 0; i < count; i++)
        channel_close(&connections[i].channel);
    return 0;
}
