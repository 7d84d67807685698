/* SPDX-License-Identifier: MIT */
/*
 * The bare limit: the epoll loop, and the echo by TCP, Unix socket and UDP
 *
 * A connection has one registration, level-triggered, and a step is one recv
 * and one send. Of a UDP socket all is received that has come.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "fdecho.h"
#include "limit.h"
#include "peer.h"

static int epoll;

static void accept_all(int listener, const struct limit_service *service)
{
    int fd;

    while ((fd = fdecho_accept(listener)) >= 0) {
        struct limit_connection *connection = service->made(fd);
        struct epoll_event event = {.events = service->first,
                                    .data = {.ptr = connection}};

        if (connection == NULL)
            continue;
        connection->fd = fd;
        connection->events = service->first;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void serve(struct limit_connection *connection,
                  const struct limit_service *service)
{
    uint32_t next = service->ready(connection);
    struct epoll_event event = {.events = next, .data = {.ptr = connection}};

    if (next == 0 || next == connection->events)
        return;
    connection->events = next;
    epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

void limit_serve(int listener, const struct limit_service *service)
{
    struct epoll_event events[1024] = {{.events = EPOLLIN}};

    epoll = epoll_create1(EPOLL_CLOEXEC);
    peer_check(epoll >= 0, "no epoll");
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]);
    for (;;) {
        int count = epoll_wait(epoll, events, 1024, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(listener, service);
            else
                serve(events[i].data.ptr, service);
        }
    }
}

/* echo, relay and unix */

struct echo {
    struct limit_connection connection;
    struct fdecho echo;
};

static void *echo_made(int fd)
{
    struct echo *echo = peer_alloc(1, sizeof *echo);

    echo->echo.fd = fd;
    return echo;
}

static uint32_t echo_ready(void *connection)
{
    struct echo *echo = connection;
    enum fdecho_next next = echo->echo.rest != NULL
                                ? fdecho_writable(&echo->echo)
                                : fdecho_readable(&echo->echo);

    if (next != FDECHO_CLOSE)
        return next == FDECHO_READ ? EPOLLIN : EPOLLOUT;
    fdecho_close(&echo->echo);
    free(echo);
    return 0;
}

static const struct limit_service echo_service = {echo_made, echo_ready,
                                                  EPOLLIN};

void limit_echo(const char *port, const char *what)
{
    (void)what;
    limit_serve(peer_listen(atoi(port)), &echo_service);
}

void limit_unix(const char *path, const char *what)
{
    (void)what;
    limit_serve(peer_listen_unix(path), &echo_service);
}

/* udp */

static void echo_datagrams(int fd)
{
    static char buffer[65536];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got;

    while ((got = recvfrom(fd, buffer, sizeof buffer, 0,
                           (struct sockaddr *)&from, &length)) >= 0)
        sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, length);
    peer_check(errno == EAGAIN, "recvfrom failed");
}

void limit_udp(const char *port, const char *what)
{
    int fd = peer_udp(atoi(port));
    struct epoll_event event = {.events = EPOLLIN};

    (void)what;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    peer_check(epoll >= 0, "no epoll");
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    for (;;)
        if (epoll_wait(epoll, &event, 1, -1) == 1)
            echo_datagrams(fd);
}
