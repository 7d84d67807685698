/* SPDX-License-Identifier: MIT */
/*
 * fds and sockets: one wrapper a system call
 *
 * Every socket is close-on-exec and non-blocking from birth. A send never
 * raises SIGPIPE. A call that a signal interrupts is made again.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

int rota__fd_close(int fd)
{
    /* The fd is gone also after EINTR, on every system that matters. */
    if (close(fd) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

int rota__fd_above_2(int fd)
{
    int raised;
    int err;

    if (fd < 0 || fd > 2)
        return fd;
    raised = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    err = -errno;
    (void)close(fd);
    return raised < 0 ? err : raised;
}

int rota__fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

#if !defined(SOCK_NONBLOCK)
static int prepare(int fd)
{
    int one = 1;
    int err = rota__fd_set_nonblocking(fd);

    if (err == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        err = -errno;
#if defined(SO_NOSIGPIPE)
    if (err == 0)
        err = rota__socket_option(fd, SOL_SOCKET, SO_NOSIGPIPE, one);
#endif
    (void)one;
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}
#endif

int rota__socket_open(int family, int type, int protocol)
{
#if defined(SOCK_NONBLOCK)
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

    return fd < 0 ? -errno : fd;
#else
    int fd = socket(family, type, protocol);

    return fd < 0 ? -errno : prepare(fd);
#endif
}

static const struct sockaddr *raw(const rota_address *address)
{
    return (const struct sockaddr *)&address->storage;
}

int rota__socket_bind(int fd, const rota_address *address)
{
    return bind(fd, raw(address), address->size) < 0 ? -errno : 0;
}

int rota__socket_listen(int fd, int backlog)
{
    return listen(fd, backlog) < 0 ? -errno : 0;
}

int rota__socket_accept(int fd)
{
    int peer;

    do {
#if defined(SOCK_NONBLOCK)
        peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
        peer = accept(fd, NULL, NULL);
#endif
    } while (peer < 0 && errno == EINTR);
    if (peer < 0)
        return -errno;
#if defined(SOCK_NONBLOCK)
    return peer;
#else
    return prepare(peer);
#endif
}

/* An interrupted connect goes on by itself, like one in progress. */
int rota__socket_connect(int fd, const rota_address *address)
{
    if (connect(fd, raw(address), address->size) == 0)
        return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

int rota__socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

intptr_t rota__socket_recv(int fd, void *buf, size_t size)
{
    ssize_t n;

    do
        n = recv(fd, buf, size, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

intptr_t rota__unix_recv(int fd, void *buf, size_t size, bool *more)
{
    struct iovec part = {buf, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    do
        n = recvmsg(fd, &message, 0);
    while (n < 0 && errno == EINTR);
    *more = n > 0 && (message.msg_flags & MSG_CTRUNC);
    return n < 0 ? -errno : n;
}

intptr_t rota__fd_read(int fd, void *buf, size_t size)
{
    ssize_t n;

    do
        n = read(fd, buf, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

intptr_t rota__socket_sendv(int fd, const struct iovec *parts, int count)
{
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)parts,
        .msg_iovlen = (size_t)count,
    };
    ssize_t n;

    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

intptr_t rota__socket_send(int fd, const void *buf, size_t size)
{
    ssize_t n;

    do
        n = send(fd, buf, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int rota__socket_shutdown_write(int fd)
{
    return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

int rota__socket_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int rota__socket_reuse_port(int fd)
{
#if defined(SO_REUSEPORT)
    return rota__socket_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
#else
    (void)fd;
    return -EOPNOTSUPP;
#endif
}

void rota__socket_no_delay(int fd)
{
    (void)rota__socket_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

int rota__socket_reset_on_close(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) < 0)
        return -errno;
    return 0;
}

int rota__socket_local(int fd, rota_address *out)
{
    out->size = sizeof out->storage;
    if (getsockname(fd, (struct sockaddr *)&out->storage, &out->size) < 0)
        return -errno;
    return 0;
}

int rota__socket_peer(int fd, rota_address *out)
{
    out->size = sizeof out->storage;
    if (getpeername(fd, (struct sockaddr *)&out->storage, &out->size) < 0)
        return -errno;
    return 0;
}

bool rota__socket_out_of_resources(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS ||
           error == -ENOMEM;
}
