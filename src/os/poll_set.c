/* SPDX-License-Identifier: MIT */
/*
 * The set of fds for poll(2)
 */
#define _GNU_SOURCE
#include "os/poll_set.h"
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

void rota__poll_set_fini(struct rota__poll_set *set)
{
    rota__free(set->fds);
    rota__free(set->asked);
    rota__free(set->places);
    *set = (struct rota__poll_set){0};
}

static short to_poll(unsigned events)
{
    int mask = 0;

    if (events & ROTA__READABLE)
        mask |= POLLIN;
    if (events & ROTA__WRITABLE)
        mask |= POLLOUT;
    return (short)mask;
}

static unsigned from_poll(int mask)
{
    unsigned events = 0;

    if (mask & (POLLIN | POLLPRI))
        events |= ROTA__READABLE;
    if (mask & POLLOUT)
        events |= ROTA__WRITABLE;
    if (mask & (POLLHUP | POLLERR | POLLNVAL))
        events |= ROTA__HANGUP;
    return events;
}

static int grow(struct rota__poll_set *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 16;
    struct pollfd *fds = rota__realloc(set->fds, capacity * sizeof *fds);
    unsigned *asked;

    if (!fds)
        return -ENOMEM;
    set->fds = fds;
    asked = rota__realloc(set->asked, capacity * sizeof *asked);
    if (!asked)
        return -ENOMEM;
    set->asked = asked;
    set->capacity = capacity;
    return 0;
}

static int grow_places(struct rota__poll_set *set, int fd)
{
    size_t count = set->place_count ? set->place_count : 64;
    size_t *places;

    while (count <= (size_t)fd)
        count *= 2;
    places = rota__realloc(set->places, count * sizeof *places);
    if (!places)
        return -ENOMEM;
    memset(places + set->place_count, 0,
           (count - set->place_count) * sizeof *places);
    set->places = places;
    set->place_count = count;
    return 0;
}

static int add(struct rota__poll_set *set, int fd)
{
    int err = 0;

    if ((size_t)fd >= set->place_count)
        err = grow_places(set, fd);
    if (err == 0 && set->count == set->capacity)
        err = grow(set);
    if (err < 0)
        return err;
    set->fds[set->count].fd = fd;
    set->fds[set->count].revents = 0; /* no event of the last wait */
    set->places[fd] = ++set->count;
    return 0;
}

/* poll() itself would take any number, and calls a file always ready. */
static int check(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM : 0;
}

/* A hidden entry (see report()) has the complement of its fd. */
static int fd_at(const struct rota__poll_set *set, size_t i)
{
    int fd = set->fds[i].fd;

    return fd < 0 ? ~fd : fd;
}

static void drop(struct rota__poll_set *set, int fd)
{
    size_t place = set->places[fd] - 1;
    size_t last = --set->count;

    set->places[fd] = 0;
    if (place == last)
        return;
    set->fds[place] = set->fds[last];
    set->asked[place] = set->asked[last];
    set->places[fd_at(set, place)] = place + 1;
}

static size_t place_of(const struct rota__poll_set *set, int fd)
{
    return (size_t)fd < set->place_count ? set->places[fd] : 0;
}

int rota__poll_set_change(struct rota__poll_set *set, int fd, unsigned events)
{
    int err = 0;

    if (events == 0) {
        if (place_of(set, fd))
            drop(set, fd);
        return 0;
    }
    if (!place_of(set, fd) || set->asked[set->places[fd] - 1] == 0)
        err = check(fd);
    if (err == 0 && !place_of(set, fd))
        err = add(set, fd);
    if (err < 0)
        return err;
    set->asked[set->places[fd] - 1] = events;
    set->fds[set->places[fd] - 1].fd = fd;
    set->fds[set->places[fd] - 1].events = to_poll(events);
    return 0;
}

void rota__poll_set_rearm(struct rota__poll_set *set, int fd, unsigned events)
{
    size_t place = place_of(set, fd);
    short mask;

    if (!place)
        return;
    mask = to_poll(events & set->asked[place - 1]);
    set->fds[place - 1].events = (short)(set->fds[place - 1].events | mask);
    if (set->fds[place - 1].fd < 0)
        set->fds[place - 1].fd = fd;
}

static int poll_for(struct pollfd *fds, size_t count, int64_t timeout)
{
    int n;

#if defined(__linux__)
    struct timespec limit = {
        .tv_sec = (time_t)(timeout / ROTA__SECOND),
        .tv_nsec = (long)(timeout % ROTA__SECOND),
    };

    n = ppoll(fds, count, timeout == ROTA__FOREVER ? NULL : &limit, NULL);
#else
    int64_t ms = timeout / 1000000 + (timeout % 1000000 != 0);

    n = poll(fds, (nfds_t)count,
             timeout == ROTA__FOREVER ? -1
             : ms > INT_MAX           ? INT_MAX
                                      : (int)ms);
#endif
    return n < 0 ? -errno : n;
}

static void report(struct rota__poll_set *set, struct rota__poller *poller,
                   size_t i)
{
    struct pollfd *entry = &set->fds[i];
    unsigned events = from_poll(entry->revents);
    int fd = entry->fd;

    if (set->asked[i] & ROTA__EDGE) {
        entry->events = (short)(entry->events & ~entry->revents);
        /* A hang-up cannot be masked: hide the fd until it is asked again. */
        if (events & ROTA__HANGUP)
            entry->fd = ~fd;
    }
    if (set->asked[i] & ROTA__ONCE) {
        set->asked[i] = 0; /* it stays, hidden, for the next time */
        entry->fd = ~fd;
    }
    rota__poller_report(poller, rota__poller_tag(poller, fd), events);
}

int rota__poll_set_wait(struct rota__poll_set *set, int64_t timeout)
{
    return poll_for(set->fds, set->count, timeout > 0 ? timeout : 0);
}

void rota__poll_set_deliver(struct rota__poll_set *set,
                            struct rota__poller *poller, int count)
{
    for (size_t i = 0; i < set->count && count > 0; i++) {
        if (set->fds[i].revents == 0)
            continue;
        count--;
        report(set, poller, i);
    }
}
