/* SPDX-License-Identifier: MIT */
/*
 * Pipes, and what an fd is
 *
 * A write to a pipe that nobody reads raises SIGPIPE. Linux 6.18 can write
 * without it (RWF_NOSIGNAL); elsewhere it is blocked.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/sigpipe.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t write_blocked(int fd, const struct iovec *parts, int count)
{
    struct rota__sigpipe sigpipe;
    ssize_t n;

    rota__sigpipe_block(&sigpipe);
    n = writev(fd, parts, count);
    rota__sigpipe_unblock(&sigpipe, n < 0 && errno == EPIPE);
    return n;
}

#if defined(__linux__)
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100
#endif

static ssize_t write_quietly(int fd, const struct iovec *parts, int count)
{
    static atomic_bool refused;
    ssize_t n;

    if (atomic_load_explicit(&refused, memory_order_relaxed))
        return write_blocked(fd, parts, count);
    n = pwritev2(fd, parts, count, -1, RWF_NOSIGNAL);
    if (n >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS))
        return n;
    atomic_store_explicit(&refused, true, memory_order_relaxed);
    return write_blocked(fd, parts, count);
}
#else
static ssize_t write_quietly(int fd, const struct iovec *parts, int count)
{
    return write_blocked(fd, parts, count);
}
#endif

intptr_t rota__pipe_writev(int fd, const struct iovec *parts, int count)
{
    ssize_t n;

    do
        n = write_quietly(fd, parts, count);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

intptr_t rota__pipe_write(int fd, const void *buf, size_t size)
{
    struct iovec part = {(void *)(uintptr_t)buf, size};

    return rota__pipe_writev(fd, &part, 1);
}

static int socket_kind(int fd, struct rota__fd_kind *out)
{
    rota_address address;
    int listening = 0;
    socklen_t size = sizeof out->type;

    out->socket = true;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &out->type, &size) < 0)
        return -errno;
    out->pieces = out->type != SOCK_STREAM;
    out->local = rota__socket_local(fd, &address) == 0 &&
                 address.storage.ss_family == AF_UNIX;
    size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0)
        out->listening = listening != 0;
    return 0;
}

#if defined(O_DIRECT)
static bool in_packets(int flags)
{
    return (flags & O_DIRECT) != 0;
}
#else
static bool in_packets(int flags)
{
    (void)flags;
    return false;
}
#endif

int rota__fd_kind(int fd, struct rota__fd_kind *out)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);

    *out = (struct rota__fd_kind){0};
    if (flags < 0 || fstat(fd, &status) < 0)
        return -errno;
    out->readable = (flags & O_ACCMODE) != O_WRONLY;
    out->writable = (flags & O_ACCMODE) != O_RDONLY;
    if (S_ISSOCK(status.st_mode))
        return socket_kind(fd, out);
    out->pieces = !S_ISFIFO(status.st_mode) || in_packets(flags);
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM : 0;
}
