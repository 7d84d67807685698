/* SPDX-License-Identifier: MIT */
/*
 * Wake: an eventfd, or a pipe where there is none
 */
#include "os/os.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/eventfd.h>

int rota__wake_open(struct rota__wake *wake)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    fd = fd < 0 ? -errno : rota__fd_above_2(fd);
    if (fd < 0)
        return fd;
    wake->read_fd = fd;
    wake->write_fd = fd;
    return 0;
}

void rota__wake_close(struct rota__wake *wake)
{
    if (wake->read_fd >= 0)
        close(wake->read_fd);
    wake->read_fd = wake->write_fd = -1;
}

#else

int rota__wake_open(struct rota__wake *wake)
{
    int fds[2];

    if (pipe(fds) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    wake->read_fd = fds[0];
    wake->write_fd = fds[1];
    return 0;
}

void rota__wake_close(struct rota__wake *wake)
{
    if (wake->read_fd >= 0) {
        close(wake->read_fd);
        close(wake->write_fd);
    }
    wake->read_fd = wake->write_fd = -1;
}

#endif

void rota__wake_signal(const struct rota__wake *wake)
{
    const uint64_t one = 1;
    int saved = errno; /* this may run in a signal handler */

    /* A full pipe means that a wake-up is on its way already. */
    while (write(wake->write_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

void rota__wake_drain(const struct rota__wake *wake)
{
    uint64_t buf[16];

    while (read(wake->read_fd, buf, sizeof buf) == (ssize_t)sizeof buf)
        ;
}

static int milliseconds(int64_t ns)
{
    int64_t ms = (ns - 1) / 1000000 + 1;

    if (ns == ROTA__FOREVER)
        return -1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* May come back early. */
void rota__wake_wait(const struct rota__wake *wake, int64_t timeout)
{
    struct pollfd fd = {.fd = wake->read_fd, .events = POLLIN};

    if (timeout > 0 && poll(&fd, 1, milliseconds(timeout)) > 0)
        rota__wake_drain(wake);
}
