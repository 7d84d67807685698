/* SPDX-License-Identifier: MIT */
/*
 * poll(2), for systems that have nothing better and for tests
 *
 * poll() knows no edges. An edge-triggered watch is imitated: what has been
 * reported is no longer asked for until the owner says that the fd is
 * drained. That is a bit in our own array, no system call.
 *
 *     asked   what the owner wants
 *     armed   what poll() is told now: `asked`, less the reported edges
 */
#include "os/os.h"
#include "os/poll_set.h"

static int poll_open(struct rota__poller *poller)
{
    poller->state = rota__zalloc(sizeof(struct rota__poll_set));
    return poller->state ? 0 : -ENOMEM;
}

static void poll_close(struct rota__poller *poller)
{
    rota__poll_set_fini(poller->state);
    rota__free(poller->state);
}

static int poll_change(struct rota__poller *poller, int fd, unsigned old,
                       unsigned events)
{
    (void)old;
    return rota__poll_set_change(poller->state, fd, events);
}

static void poll_drained(struct rota__poller *poller, int fd, unsigned events)
{
    rota__poll_set_rearm(poller->state, fd, events);
}

static int poll_wait(struct rota__poller *poller, int64_t timeout)
{
    return rota__poll_set_wait(poller->state, timeout);
}

static void poll_deliver(struct rota__poller *poller, int count)
{
    rota__poll_set_deliver(poller->state, poller, count);
}

const struct rota__poller_ops rota__poller_poll = {
    .name = "poll",
    .open = poll_open,
    .close = poll_close,
    .change = poll_change,
    .drained = poll_drained,
    .wait = poll_wait,
    .deliver = poll_deliver,
};
