/* SPDX-License-Identifier: MIT */
/*
 * Files: what is done with an fd
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/sigpipe.h"
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static int error_of(int result)
{
    return result < 0 ? -errno : 0;
}

int rota__file_open(const char *path, int flags, mode_t mode)
{
    int fd;

    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

#if defined(O_DIRECT)
static bool is_direct(int flags)
{
    return (flags & O_DIRECT) != 0;
}
#else
static bool is_direct(int flags)
{
    (void)flags;
    return false;
}
#endif

/* --- Without waiting ----------------------------------------------------- */

#if defined(RWF_NOWAIT)
static intptr_t now(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

intptr_t rota__fd_read_now(int fd, char *buf, size_t size)
{
    struct iovec part = {buf, size};

    return now(preadv2(fd, &part, 1, -1, RWF_NOWAIT));
}

intptr_t rota__fd_write_now(int fd, const char *data, size_t size)
{
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct rota__sigpipe sigpipe;
    intptr_t n;

    rota__sigpipe_block(&sigpipe);
    n = now(pwritev2(fd, &part, 1, -1, RWF_NOWAIT));
    rota__sigpipe_unblock(&sigpipe, n == -EPIPE);
    return n;
}

/* A read of nothing comes no further than to this question. */
static bool has_offsets(int fd)
{
    char byte;
    struct iovec part = {&byte, 0};

    return preadv(fd, &part, 1, 0) >= 0 || errno != ESPIPE;
}
#else
intptr_t rota__fd_read_now(int fd, char *buf, size_t size)
{
    (void)fd;
    (void)buf;
    (void)size;
    return -EOPNOTSUPP;
}

intptr_t rota__fd_write_now(int fd, const char *data, size_t size)
{
    (void)fd;
    (void)data;
    (void)size;
    return -EOPNOTSUPP;
}

static bool has_offsets(int fd)
{
    char byte;

    return pread(fd, &byte, 0, 0) >= 0 || errno != ESPIPE;
}
#endif

int rota__file_kind(int fd, struct rota__file_kind *out)
{
    int flags = fcntl(fd, F_GETFL);
    int64_t position = lseek(fd, 0, SEEK_CUR);

    if (flags < 0)
        return -EBADF;
    *out = (struct rota__file_kind){
        .in_order = position < 0 || !has_offsets(fd),
        .append = (flags & O_APPEND) != 0,
        .direct = is_direct(flags),
        .position = position < 0 ? 0 : position,
    };
    return 0;
}

/* --- Writing ------------------------------------------------------------- */

/* A thread may wait. */
static intptr_t write_next(int fd, const char *data, size_t size)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    intptr_t n = rota__pipe_write(fd, data, size);

    while (n == -EAGAIN) {
        (void)poll(&room, 1, -1);
        n = rota__pipe_write(fd, data, size);
    }
    return n;
}

/* One call; offset < 0: where the fd stands. No byte written is an error. */
static intptr_t write_some(int fd, const char *data, size_t size,
                           int64_t offset)
{
    ssize_t n;

    if (offset < 0)
        return write_next(fd, data, size);
    do
        n = pwrite(fd, data, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int write_all(int fd, const char *data, size_t size, int64_t offset,
                     size_t *written)
{
    *written = 0;
    while (*written < size) {
        int64_t at = offset < 0 ? offset : offset + (int64_t)*written;
        intptr_t n = write_some(fd, data + *written, size - *written, at);

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        *written += (size_t)n;
    }
    return 0;
}

int rota__file_write_at(int fd, const char *data, size_t size, int64_t offset,
                        size_t *written)
{
    return write_all(fd, data, size, offset, written);
}

int rota__file_write_on(int fd, const char *data, size_t size, size_t *written)
{
    return write_all(fd, data, size, -1, written);
}

int64_t rota__file_seek(int fd, int64_t offset, int whence)
{
    int64_t position = lseek(fd, (off_t)offset, whence);

    return position < 0 ? -errno : position;
}

int rota__file_stat(int fd, struct stat *out)
{
    return error_of(fstat(fd, out));
}

int rota__file_sync(int fd)
{
    int result;

    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    return error_of(result);
}

#if defined(__APPLE__)
int rota__file_datasync(int fd)
{
    return rota__file_sync(fd);
}
#else
int rota__file_datasync(int fd)
{
    int result;

    do
        result = fdatasync(fd);
    while (result < 0 && errno == EINTR);
    return error_of(result);
}
#endif

int rota__file_truncate(int fd, int64_t size)
{
    int result;

    do
        result = ftruncate(fd, (off_t)size);
    while (result < 0 && errno == EINTR);
    return error_of(result);
}
