/* SPDX-License-Identifier: MIT */
/*
 * Waiting for an fd: a waiter and a watcher, both on the task's stack
 *
 * One wait is one call of epoll_ctl() at most: see ROTA__ONCE.
 */
#include "task/task.h"
#include <rota/sock.h>

struct fd_waiter {
    struct rota__waiter waiter;
    struct rota__watcher watcher;
};

static void wake(struct rota__watcher *watcher)
{
    rota__unpark(
        &rota__container_of(watcher, struct fd_waiter, watcher)->waiter, 0);
}

/* At once, so that who cancels may wait for the fd, or close it. */
static bool cancel(struct rota__waiter *waiter)
{
    rota__watcher_end(
        &rota__container_of(waiter, struct fd_waiter, waiter)->watcher);
    rota__unpark(waiter, -ECANCELED);
    return true;
}

int rota__wait_for_fd(struct rota__task *self, int fd, bool writing)
{
    struct fd_waiter it = {.waiter.cancel = cancel, .watcher.wake = wake};
    intptr_t result = rota__watcher_begin(self->loop, &it.watcher, fd, writing);

    if (result < 0)
        return (int)result;
    rota__list_init(&it.waiter.link);
    result = rota__park(self, &it.waiter);
    rota__watcher_end(&it.watcher);
    return (int)result;
}

int rota_wait_readable(int fd)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_wait_readable", &err);

    return self ? rota__wait_for_fd(self, fd, false) : err;
}

int rota_wait_writable(int fd)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_wait_writable", &err);

    return self ? rota__wait_for_fd(self, fd, true) : err;
}
