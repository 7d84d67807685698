/* SPDX-License-Identifier: MIT */
/*
 * Files, and sending them
 *
 * sendfile() raises SIGPIPE, on sockets too, and has no flag against that.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/sigpipe.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/sendfile.h>

static ssize_t send_piece(int out, int file, off_t offset, size_t count)
{
    return sendfile(out, file, &offset, count);
}
#elif defined(__APPLE__)
static ssize_t send_piece(int out, int file, off_t offset, size_t count)
{
    off_t size = (off_t)count;
    int result = sendfile(file, out, offset, &size, NULL, 0);

    if (result < 0 && errno == ENOTSUP)
        errno = EOPNOTSUPP;
    return result < 0 && size == 0 ? -1 : (ssize_t)size;
}
#elif defined(__FreeBSD__) || defined(__DragonFly__)
static ssize_t send_piece(int out, int file, off_t offset, size_t count)
{
    off_t size = 0;
    int result = sendfile(file, out, offset, count, NULL, &size, 0);

    return result < 0 && size == 0 ? -1 : (ssize_t)size;
}
#else
static ssize_t send_piece(int out, int file, off_t offset, size_t count)
{
    (void)out;
    (void)file;
    (void)offset;
    (void)count;
    errno = ENOSYS;
    return -1;
}
#endif

/* A count of 0 would mean "all" to some systems. */
intptr_t rota__sendfile(int out, int file, int64_t offset, size_t count)
{
    struct rota__sigpipe sigpipe;
    intptr_t result;

    if (count == 0)
        return 0;
    rota__sigpipe_block(&sigpipe);
    do {
        ssize_t n = send_piece(out, file, (off_t)offset, count);

        result = n < 0 ? -errno : n;
    } while (result == -EINTR);
    /* Linux raises it also when a part has been sent. */
    rota__sigpipe_unblock(&sigpipe, result < (intptr_t)count);
    return result;
}

bool rota__sendfile_cannot(intptr_t error)
{
    return error == -EINVAL || error == -ENOSYS || error == -ENOTSOCK ||
           error == -EOPNOTSUPP;
}

intptr_t rota__file_read(int file, void *buf, size_t size, int64_t offset)
{
    ssize_t n;

    do
        n = pread(file, buf, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

#if defined(RWF_NOWAIT)
#define READ_AHEAD (128 << 10) /* what the system fetches at once, mostly */

static ssize_t read_now(int file, void *buf, size_t size, int64_t offset)
{
    struct iovec part = {buf, size};

    return preadv2(file, &part, 1, (off_t)offset, RWF_NOWAIT);
}

intptr_t rota__file_read_cached(int file, void *buf, size_t size,
                                int64_t offset)
{
    ssize_t n = read_now(file, buf, size, offset);

    return n >= 0 ? n : -EAGAIN;
}

static bool is_there(int file, int64_t offset)
{
    char byte;

    return read_now(file, &byte, 1, offset) >= 0;
}

/* Without asking a server. */
static int64_t size_of(int file)
{
    struct statx status;

    return statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE,
                 &status) == 0
               ? (int64_t)status.stx_size
               : 0;
}

/* A file that cannot say, as on NFS, is not. */
bool rota__file_is_at_hand(int file, int64_t offset, size_t size)
{
    int64_t left = size_of(file) - offset;
    int64_t end = offset + (left < (int64_t)size ? left : (int64_t)size);

    for (int64_t at = offset; at < end; at += READ_AHEAD)
        if (!is_there(file, at))
            return false;
    return is_there(file, end > offset ? end - 1 : offset);
}
#else
intptr_t rota__file_read_cached(int file, void *buf, size_t size,
                                int64_t offset)
{
    (void)file;
    (void)buf;
    (void)size;
    (void)offset;
    return -EAGAIN;
}

bool rota__file_is_at_hand(int file, int64_t offset, size_t size)
{
    (void)file;
    (void)offset;
    (void)size;
    return true;
}
#endif

int rota__fd_copy(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -errno : copy;
}
