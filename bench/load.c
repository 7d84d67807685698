/* SPDX-License-Identifier: MIT */
/*
 * The load on an echo server: `load PORT CONNECTIONS SIZE SECONDS`
 *
 * Every connection has one request in flight. A request is a slice of one
 * block of random bytes, at an offset that differs from connection to
 * connection and from request to request, so an answer is checked by a memcmp
 * and nothing is copied. All connect first; then the clock starts. The load
 * never sleeps: the server is not to be charged for waking up an idle CPU,
 * which on a virtual machine costs more than the echo. Prints
 *
 *   REQUESTS_PER_SECOND REQUESTS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLICES = 4096 }; /* offsets into the block */

struct connection {
    int fd;
    int wants_write;
    unsigned slice;    /* the request in flight starts at block + slice */
    size_t sent, back; /* how much of it */
};

static char *block, *answer;
static size_t size;
static int epoll;
static long requests;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void make_block(void)
{
    uint32_t dice = 2463534242u;

    block = malloc(size + SLICES);
    answer = malloc(size);
    if (block == NULL || answer == NULL)
        fail("no memory");
    for (size_t i = 0; i < size + SLICES; i++) {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        block[i] = (char)dice;
    }
}

static void open_connection(struct connection *c, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event in = {.events = EPOLLIN, .data = {.ptr = c}};

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &in) != 0)
        fail("epoll_ctl");
}

/* Watches for writability only while the socket is full. */
static void want_write(struct connection *c, int wants)
{
    struct epoll_event event = {.events = EPOLLIN | (wants ? EPOLLOUT : 0),
                                .data = {.ptr = c}};

    if (c->wants_write == wants)
        return;
    c->wants_write = wants;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) != 0)
        fail("epoll_ctl");
}

static void send_some(struct connection *c)
{
    ssize_t sent = send(c->fd, block + c->slice + c->sent, size - c->sent,
                        MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN)
        fail("send");
    c->sent += sent < 0 ? 0 : (size_t)sent;
    want_write(c, c->sent < size);
}

static void next_request(struct connection *c)
{
    c->slice = (c->slice + 61) % SLICES;
    c->sent = c->back = 0;
    send_some(c);
}

static void receive_some(struct connection *c)
{
    ssize_t got = recv(c->fd, answer, size, MSG_DONTWAIT);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("recv");
    if ((size_t)got > c->sent - c->back ||
        memcmp(answer, block + c->slice + c->back, (size_t)got) != 0) {
        fprintf(stderr, "load: the server did not echo\n");
        exit(1);
    }
    c->back += (size_t)got;
    if (c->back == size) {
        requests++;
        next_request(c);
    }
}

static void run_until(double end)
{
    struct epoll_event events[1024];

    while (now() < end) {
        int count = epoll_wait(epoll, events, 1024, 0);

        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;

            if (events[i].events & EPOLLOUT)
                send_some(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive_some(c);
        }
    }
}

int main(int argc, char **argv)
{
    int port = argc == 5 ? atoi(argv[1]) : 0;
    long count = argc == 5 ? atol(argv[2]) : 0;
    double start, seconds = argc == 5 ? atof(argv[4]) : 0;
    struct connection *connections;

    size = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    if (port <= 0 || count <= 0 || size == 0 || seconds <= 0) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SIZE SECONDS\n");
        return 2;
    }
    make_block();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)count, sizeof *connections);
    if (connections == NULL || epoll < 0)
        fail("start");
    for (long i = 0; i < count; i++) {
        connections[i].slice = (unsigned)i * 17 % SLICES;
        open_connection(&connections[i], port);
    }
    start = now();
    for (long i = 0; i < count; i++)
        next_request(&connections[i]);
    run_until(start + seconds);
    printf("%.1f %ld\n", (double)requests / (now() - start), requests);
    return 0;
}
