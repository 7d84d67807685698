/* SPDX-License-Identifier: MIT */
/*
 * One long transfer: `transfer receive|relay PORT BYTES`
 *
 * With receive, the server sends and then closes; what comes is counted and
 * thrown away in the kernel (MSG_TRUNC), so that the receiver is the quicker
 * side. With relay, the bytes are sent to the server and come back. Too few or
 * too many are a fault. Prints
 *
 *   MIB_PER_SECOND MIB
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "channel.h"

enum { CHUNK = 65536, MOST = 1048576 };
#define MIB (1024.0 * 1024.0)

static long wanted, sent, received;

/* Throws away what has come; false at the end. */
static bool receive_some(int fd, int flags)
{
    ssize_t got = recv(fd, NULL, MOST, MSG_TRUNC | flags);

    if (got < 0 && errno != EAGAIN)
        load_fail("recv");
    received += got > 0 ? got : 0;
    return got != 0;
}

static void send_some(int fd)
{
    static char chunk[CHUNK];
    long left = wanted - sent;
    size_t size = left < CHUNK ? (size_t)left : CHUNK;
    ssize_t took = send(fd, chunk, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (took < 0 && errno != EAGAIN)
        load_fail("send");
    sent += took > 0 ? took : 0;
}

static void receive(int fd)
{
    while (receive_some(fd, 0))
        continue;
}

static void relay(int fd)
{
    struct pollfd ready = {.fd = fd};

    while (received < wanted) {
        ready.events = (short)(POLLIN | (sent < wanted ? POLLOUT : 0));
        if (poll(&ready, 1, -1) < 0)
            load_fail("poll");
        if (ready.revents & POLLOUT)
            send_some(fd);
        if (ready.revents & ~POLLOUT && !receive_some(fd, MSG_DONTWAIT))
            break;
    }
}

int main(int argc, char **argv)
{
    bool relays = argc == 4 && strcmp(argv[1], "relay") == 0;
    struct channel channel;
    double start, seconds;

    wanted = argc == 4 ? atol(argv[3]) : 0;
    if (wanted <= 0) {
        fprintf(stderr, "usage: transfer receive|relay PORT BYTES\n");
        return 2;
    }
    channel_open(&channel, CHANNEL_TCP, argv[2]);
    start = load_now();
    if (relays)
        relay(channel.fd);
    else
        receive(channel.fd);
    seconds = load_now() - start;
    if (received != wanted) {
        fprintf(stderr, "transfer: %ld bytes came, not %ld\n", received,
                wanted);
        return 1;
    }
    printf("%.1f %.1f\n", (double)wanted / MIB / seconds, (double)wanted / MIB);
    return 0;
}
