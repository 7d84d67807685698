/* SPDX-License-Identifier: MIT */
/*
 * The other side of a client that connects and closes: `accept`
 *
 * Accepts on a port of 127.0.0.1 that it prints. Whoever closes is answered
 * with a reset, so that no port is kept for a minute. It never sleeps: the
 * client is not to be charged for waking up an idle CPU. It ends when its
 * input ends.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"

static int epoll;

static void watch(int fd)
{
    struct epoll_event in = {.events = EPOLLIN, .data = {.fd = fd}};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in) != 0)
        load_fail("epoll_ctl");
}

static int listen_anywhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &length) != 0)
        load_fail("listen");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_one(int listener)
{
    struct linger reset = {.l_onoff = 1};
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    watch(fd);
}

int main(void)
{
    struct epoll_event events[64];
    int listener;

    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        load_fail("epoll");
    listener = listen_anywhere();
    watch(listener);
    watch(0);
    for (;;) {
        int count = epoll_wait(epoll, events, 64, 0);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == 0)
                return 0;
            if (events[i].data.fd == listener)
                accept_one(listener);
            else
                close(events[i].data.fd);
        }
    }
}
