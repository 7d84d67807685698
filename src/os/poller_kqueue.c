/* SPDX-License-Identifier: MIT */
/*
 * kqueue (macOS and the BSDs)
 *
 * Reading and writing are two filters of one fd. EV_CLEAR is an edge; a
 * closed peer comes as EV_EOF. A filter that is there keeps its kind (level,
 * edge, EV_ONESHOT) when it is added again: it is deleted first.
 */
#include "os/os.h"

#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) ||      \
    defined(__NetBSD__) || defined(__DragonFly__)

#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BATCH 1024

struct state {
    int fd;
    pid_t pid; /* whose it is: a forked child does not get it */
    struct kevent events[BATCH];
};

static int kqueue_open(struct rota__poller *poller)
{
    struct state *state = rota__alloc(sizeof *state);

    if (!state)
        return -ENOMEM;
    state->fd = kqueue();
    if (state->fd < 0) {
        int err = -errno;

        rota__free(state);
        return err;
    }
    (void)fcntl(state->fd, F_SETFD, FD_CLOEXEC);
    state->pid = getpid();
    poller->state = state;
    return 0;
}

static void kqueue_close(struct rota__poller *poller)
{
    struct state *state = poller->state;

    if (state->pid == getpid())
        close(state->fd);
    rota__free(state);
}

static void *tag_to_pointer(uint64_t tag)
{
    return (void *)(uintptr_t)tag;
}

static int tell(struct rota__poller *poller, int fd, unsigned bit,
                unsigned flags)
{
    struct state *state = poller->state;
    int filter = bit == ROTA__READABLE ? EVFILT_READ : EVFILT_WRITE;
    struct kevent change;

    EV_SET(&change, (uintptr_t)fd, (short)filter, (unsigned short)flags, 0, 0,
           tag_to_pointer(rota__poller_tag(poller, fd)));
    return kevent(state->fd, &change, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

static unsigned kind_of(unsigned events)
{
    return (events & ROTA__EDGE ? EV_CLEAR : 0) |
           (events & ROTA__ONCE ? EV_ONESHOT : 0);
}

static int change_filter(struct rota__poller *poller, int fd, unsigned old,
                         unsigned events, unsigned bit)
{
    int err = 0;

    if (old & bit && (!(events & bit) || kind_of(old) != kind_of(events)))
        err = tell(poller, fd, bit, EV_DELETE);
    if (events & bit)
        err = tell(poller, fd, bit, EV_ADD | kind_of(events));
    return err;
}

static int kqueue_change(struct rota__poller *poller, int fd, unsigned old,
                         unsigned events)
{
    int err = change_filter(poller, fd, old, events, ROTA__READABLE);
    int also = change_filter(poller, fd, old, events, ROTA__WRITABLE);

    return err < 0 ? err : also;
}

static unsigned from_kqueue(const struct kevent *event)
{
    unsigned events = 0;

    if (event->filter == EVFILT_READ)
        events |= ROTA__READABLE;
    if (event->filter == EVFILT_WRITE)
        events |= ROTA__WRITABLE;
    /* The end of the peer's writing is a hang-up for an edge only. */
    if ((event->flags & EV_ERROR) ||
        ((event->flags & EV_EOF) &&
         (event->filter == EVFILT_WRITE || (event->flags & EV_CLEAR))))
        events |= ROTA__HANGUP;
    return events;
}

static int kqueue_wait(struct rota__poller *poller, int64_t timeout)
{
    struct state *state = poller->state;
    int64_t wait = timeout > 0 ? timeout : 0;
    struct timespec limit = {
        .tv_sec = (time_t)(wait / ROTA__SECOND),
        .tv_nsec = (long)(wait % ROTA__SECOND),
    };
    int n = kevent(state->fd, NULL, 0, state->events, BATCH,
                   timeout == ROTA__FOREVER ? NULL : &limit);

    return n < 0 ? -errno : n;
}

static void kqueue_deliver(struct rota__poller *poller, int count)
{
    struct state *state = poller->state;

    for (int i = 0; i < count; i++)
        rota__poller_report(poller, (uint64_t)(uintptr_t)state->events[i].udata,
                            from_kqueue(&state->events[i]));
}

const struct rota__poller_ops rota__poller_kqueue = {
    .name = "kqueue",
    .close_removes = true,
    .open = kqueue_open,
    .close = kqueue_close,
    .change = kqueue_change,
    .wait = kqueue_wait,
    .deliver = kqueue_deliver,
};

#else
typedef int rota__no_kqueue;
#endif
