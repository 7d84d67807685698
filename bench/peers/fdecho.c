/* SPDX-License-Identifier: MIT */
/*
 * An echo at the level of file descriptors: see fdecho.h
 */
#define _GNU_SOURCE
#include "fdecho.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

int fdecho_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void keep(struct fdecho *echo, const char *rest, size_t length)
{
    echo->rest = malloc(length);
    peer_check(echo->rest != NULL, "out of memory");
    memcpy(echo->rest, rest, length);
    echo->kept = length;
    echo->sent = 0;
}

enum fdecho_next fdecho_readable(struct fdecho *echo)
{
    static char buffer[65536];
    ssize_t got = recv(echo->fd, buffer, sizeof buffer, 0);
    ssize_t sent;

    if (got <= 0)
        return got < 0 && errno == EAGAIN ? FDECHO_READ : FDECHO_CLOSE;
    sent = send(echo->fd, buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent == got)
        return FDECHO_READ;
    if (sent < 0 && errno != EAGAIN)
        return FDECHO_CLOSE;
    sent = sent < 0 ? 0 : sent;
    keep(echo, buffer + sent, (size_t)(got - sent));
    return FDECHO_WRITE;
}

enum fdecho_next fdecho_writable(struct fdecho *echo)
{
    ssize_t sent = send(echo->fd, echo->rest + echo->sent,
                        echo->kept - echo->sent, MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN ? FDECHO_WRITE : FDECHO_CLOSE;
    echo->sent += (size_t)sent;
    if (echo->sent < echo->kept)
        return FDECHO_WRITE;
    free(echo->rest);
    echo->rest = NULL;
    return FDECHO_READ;
}

void fdecho_close(struct fdecho *echo)
{
    close(echo->fd);
    free(echo->rest);
}
