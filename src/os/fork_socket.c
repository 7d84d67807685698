/* SPDX-License-Identifier: MIT */
/*
 * Forks: what is said between the two
 */
#define _GNU_SOURCE
#include "os/fork.h"
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define MILLISECOND (ROTA__SECOND / 1000)

static int milliseconds_until(int64_t deadline)
{
    int64_t left;

    if (deadline == ROTA__FOREVER)
        return -1;
    left = deadline - rota__clock_now();
    if (left <= 0)
        return 0;
    left = (left + MILLISECOND - 1) / MILLISECOND;
    return left < INT_MAX ? (int)left : INT_MAX;
}

/* How many of the two have news, the socket first. */
static int look(const struct rota__fork *self, short events, int timeout,
                struct pollfd two[2])
{
    int count;

    two[0] = (struct pollfd){.fd = self->fd, .events = events};
    two[1] = (struct pollfd){.fd = self->id.fd, .events = POLLIN};
    count = poll(two, 2, timeout);
    return count < 0 && errno == EINTR ? 0 : count < 0 ? -errno : count;
}

/* What is left in the socket of one that has ended still counts. */
static int wait_for(const struct rota__fork *self, short events,
                    int64_t deadline)
{
    struct pollfd two[2];
    int count;

    do {
        int timeout = milliseconds_until(deadline);

        count = look(self, events, timeout, two);
        if (count == 0 && timeout == 0)
            return -ETIMEDOUT;
    } while (count == 0);
    if (count < 0)
        return count;
    return two[0].revents ? 0 : -EPIPE;
}

bool rota__fork_is_quiet(const struct rota__fork *self)
{
    struct pollfd two[2];

    return look(self, POLLIN, 0, two) == 0;
}

int rota__fork_idle(const struct rota__fork *self,
                    const struct rota__wake *bell, int64_t deadline)
{
    struct pollfd all[] = {
        {.fd = bell->read_fd, .events = POLLIN},
        {.fd = self ? self->fd : -1, .events = POLLIN},
        {.fd = self ? self->id.fd : -1, .events = POLLIN},
    };
    int count = poll(all, 3, milliseconds_until(deadline));

    if (count <= 0)
        return deadline <= rota__clock_now() ? -ETIMEDOUT : 0;
    if (all[0].revents)
        rota__wake_drain(bell);
    return all[1].revents || all[2].revents;
}

/* Takes what was moved off the front. */
static void advance(struct iovec **parts, int *count, size_t moved)
{
    while (*count > 0 && moved >= (*parts)->iov_len) {
        moved -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + moved;
        (*parts)->iov_len -= moved;
    }
}

typedef ssize_t mover(int fd, struct msghdr *message, int flags);

static ssize_t send_some(int fd, struct msghdr *message, int flags)
{
    return sendmsg(fd, message, flags | MSG_NOSIGNAL);
}

static ssize_t receive_some(int fd, struct msghdr *message, int flags)
{
    return recvmsg(fd, message, flags);
}

static intptr_t move_some(const struct rota__fork *self, mover *move,
                          struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = parts};
    bool in_child = self->id.pid < 0; /* it has nothing else to wait for */
    ssize_t n;

    message.msg_iovlen = (size_t)count;
    do
        n = move(self->fd, &message, in_child ? 0 : MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n == 0 ? -EPIPE : n;
}

static int move_all(const struct rota__fork *self, mover *move, short events,
                    struct iovec *parts, int count, int64_t deadline)
{
    advance(&parts, &count, 0);
    while (count > 0) {
        intptr_t n = move_some(self, move, parts, count);

        if (n == -EAGAIN)
            n = wait_for(self, events, deadline);
        if (n < 0)
            return (int)n;
        advance(&parts, &count, (size_t)n);
    }
    return 0;
}

int rota__fork_send(const struct rota__fork *self, struct iovec *parts,
                    int count, int64_t deadline)
{
    return move_all(self, send_some, POLLOUT, parts, count, deadline);
}

int rota__fork_receive(const struct rota__fork *self, struct iovec *parts,
                       int count, int64_t deadline)
{
    return move_all(self, receive_some, POLLIN, parts, count, deadline);
}
