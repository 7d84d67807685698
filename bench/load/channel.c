/* SPDX-License-Identifier: MIT */
/*
 * Channels of the load: see channel.h
 */
#define _GNU_SOURCE
#include "channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void load_fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

double load_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum channel_kind channel_kind(const char *name)
{
    static const char *const names[] = {"tcp", "unix", "udp", "tls"};
    enum channel_kind kind = 0;

    while (kind < CHANNEL_KINDS && strcmp(name, names[kind]) != 0)
        kind++;
    return kind;
}

static void connect_inet(struct channel *channel, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int type = channel->kind == CHANNEL_UDP ? SOCK_DGRAM : SOCK_STREAM;

    channel->fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (channel->fd < 0 ||
        connect(channel->fd, (struct sockaddr *)&to, sizeof to) != 0)
        load_fail("connect");
    if (type == SOCK_STREAM)
        setsockopt(channel->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1},
                   sizeof(int));
}

static void connect_unix(struct channel *channel, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    channel->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (channel->fd < 0 ||
        connect(channel->fd, (struct sockaddr *)&to, sizeof to) != 0)
        load_fail("connect");
}

void channel_open(struct channel *channel, enum channel_kind kind,
                  const char *at)
{
    channel->kind = kind;
    channel->tls = NULL;
    if (kind == CHANNEL_UNIX)
        connect_unix(channel, at);
    else
        connect_inet(channel, atoi(at));
    if (kind == CHANNEL_TLS)
        tls_open(channel);
}

size_t channel_send(struct channel *channel, const char *data, size_t size)
{
    ssize_t sent;

    if (channel->tls != NULL)
        return tls_send(channel, data, size);
    sent = send(channel->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        load_fail("send");
    return sent < 0 ? 0 : (size_t)sent;
}

size_t channel_receive(struct channel *channel, char *buf, size_t size)
{
    ssize_t got;

    if (channel->tls != NULL)
        return tls_receive(channel, buf, size);
    got = recv(channel->fd, buf, size, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        load_fail("recv");
    return got < 0 ? 0 : (size_t)got;
}

bool channel_pending(const struct channel *channel)
{
    return channel->tls != NULL && tls_pending(channel);
}

void channel_close(struct channel *channel)
{
    if (channel->tls != NULL)
        tls_close(channel);
    close(channel->fd);
}

void channel_reset(struct channel *channel)
{
    struct linger reset = {.l_onoff = 1};

    setsockopt(channel->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(channel->fd);
}
