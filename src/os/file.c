/* SPDX-License-Identifier: MIT */
/*
 * Files, and sending them
 *
 * sendfile() raises SIGPIPE, on sockets too, and has no flag against that: the
 * signal is blocked around it, and taken back if it came. It is sent to the
 * thread that writes, so nobody else sees it.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>
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

static void take_signal_back(const sigset_t *pipe_only)
{
#if defined(__APPLE__)
    int number;

    (void)sigwait(pipe_only, &number);
#else
    static const struct timespec at_once;

    while (sigtimedwait(pipe_only, NULL, &at_once) < 0 && errno == EINTR)
        ;
#endif
}

static bool is_pending(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGPIPE);
}

/* A count of 0 would mean "all" to some systems. */
intptr_t rota__sendfile(int out, int file, int64_t offset, size_t count)
{
    sigset_t pipe_only;
    sigset_t before;
    bool pending;
    intptr_t result;

    if (count == 0)
        return 0;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    pending = sigismember(&before, SIGPIPE) && is_pending(); /* an older one */
    do {
        ssize_t n = send_piece(out, file, (off_t)offset, count);

        result = n < 0 ? -errno : n;
    } while (result == -EINTR);
    if (result == -EPIPE && !pending && is_pending())
        take_signal_back(&pipe_only);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

bool rota__sendfile_cannot(intptr_t error)
{
    return error == -EINVAL || error == -ENOSYS || error == -ENOTSOCK ||
           error == -EOPNOTSUPP || error == -ENOTSUP || error == -EOVERFLOW;
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
intptr_t rota__file_read_cached(int file, void *buf, size_t size,
                                int64_t offset)
{
    struct iovec part = {buf, size};
    ssize_t n = preadv2(file, &part, 1, (off_t)offset, RWF_NOWAIT);

    return n > 0 ? n : -EAGAIN;
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
#endif

int rota__fd_copy(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -errno : copy;
}
