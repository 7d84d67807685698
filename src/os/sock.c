/* SPDX-License-Identifier: MIT */
/*
 * Sockets of others
 *
 * They may be blocking, and shared with somebody who wants them so. Where the
 * system can be told for one call not to block (MSG_DONTWAIT), it is; for
 * connect and accept it cannot, and the socket is made non-blocking.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

int rota__fd_unblock(int fd)
{
    int on = 1;

    return ioctl(fd, FIONBIO, &on) < 0 ? -errno : 0;
}

intptr_t rota__sock_recv(int fd, void *buf, size_t size)
{
    ssize_t n;

    do
        n = recv(fd, buf, size, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void clip(rota_address *address)
{
    if (address->size > sizeof address->storage)
        address->size = sizeof address->storage;
}

intptr_t rota__sock_recvfrom(int fd, void *buf, size_t size, rota_address *from)
{
    rota_address ignored;
    ssize_t n;

    if (!from)
        from = &ignored;
    do {
        from->size = sizeof from->storage;
        n = recvfrom(fd, buf, size, MSG_DONTWAIT,
                     (struct sockaddr *)&from->storage, &from->size);
    } while (n < 0 && errno == EINTR);
    clip(from);
    return n < 0 ? -errno : n;
}

intptr_t rota__sock_send(int fd, const void *data, size_t size)
{
    ssize_t n;

    do
        n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

intptr_t rota__fd_send(int fd, const void *data, size_t size)
{
    intptr_t n = rota__sock_send(fd, data, size);

    return n == -ENOTSOCK ? rota__pipe_write(fd, data, size) : n;
}

intptr_t rota__sock_sendto(int fd, const void *data, size_t size,
                           const rota_address *to)
{
    ssize_t n;

    do
        n = sendto(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&to->storage, to->size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int rota__sendfile_prepare(int fd)
{
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;

    /* What is no socket leaves it as it is. */
    (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type == SOCK_STREAM ? rota__fd_unblock(fd) : -EINVAL;
}

static int accept_bare(int fd, rota_address *from)
{
    struct sockaddr *name = from ? (struct sockaddr *)&from->storage : NULL;
    socklen_t *size = from ? &from->size : NULL;

    if (from)
        from->size = sizeof from->storage;
#if defined(SOCK_NONBLOCK)
    return accept4(fd, name, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    return accept(fd, name, size);
#endif
}

/* Where accept4() is missing. */
static int adopt(int fd)
{
    int err = 0;

#if !defined(SOCK_NONBLOCK)
    err = rota__fd_unblock(fd);
    if (err == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        err = -errno;
#endif
    if (err < 0)
        close(fd);
    return err < 0 ? err : fd;
}

int rota__sock_accept(int fd, rota_address *from)
{
    int peer;

    do
        peer = accept_bare(fd, from);
    while (peer < 0 && errno == EINTR);
    if (peer < 0)
        return -errno;
    if (from)
        clip(from);
    return adopt(peer);
}
