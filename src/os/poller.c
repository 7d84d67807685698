/* SPDX-License-Identifier: MIT */
/*
 * Pollers: what all of them share
 *
 * One table from fd to watch. The system is given a tag (fd and generation)
 * instead of a pointer, and the table turns it back: an event of an earlier
 * registration, of an fd that was closed and opened again, or of a watch
 * removed a moment ago finds nothing.
 */
#include "os/os.h"
#include <fcntl.h>
#include <stdlib.h>

static const struct rota__poller_ops *const known[] = {
#if defined(__linux__)
    &rota__poller_epoll,
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) ||    \
    defined(__NetBSD__) || defined(__DragonFly__)
    &rota__poller_kqueue,
#endif
    &rota__poller_poll,
    &rota__poller_sim,
};

int rota__poller_open(struct rota__poller *poller, const char *name)
{
    *poller = (struct rota__poller){0};
    for (size_t i = 0; i < rota__countof(known); i++) {
        if (name && strcmp(known[i]->name, name) != 0)
            continue;
        poller->ops = known[i];
        return poller->ops->open(poller);
    }
    return -EINVAL;
}

void rota__poller_close(struct rota__poller *poller)
{
    poller->ops->close(poller);
    rota__free(poller->entries);
    poller->entries = NULL;
    poller->entry_count = 0;
    poller->closed = true;
}

/* What cannot be watched here is watched no more: it was closed meanwhile. */
static void watch_again(struct rota__poller *poller, size_t fd)
{
    struct rota__poller_entry *entry = &poller->entries[fd];

    entry->known = false;
    entry->generation++;
    if (entry->watch &&
        poller->ops->change(poller, (int)fd, 0, entry->watch->events) < 0) {
        entry->watch->events = 0;
        entry->watch = NULL;
        poller->watched--;
    }
}

int rota__poller_reopen(struct rota__poller *poller)
{
    struct rota__poller parents = *poller;
    int err = poller->ops->open(poller);

    if (err < 0) {
        *poller = parents;
        return err;
    }
    parents.ops->close(&parents);
    for (size_t fd = 0; fd < poller->entry_count; fd++)
        watch_again(poller, fd);
    return 0;
}

static int make_room(struct rota__poller *poller, int fd)
{
    size_t count = poller->entry_count ? poller->entry_count : 64;
    struct rota__poller_entry *entries;

    while (count <= (size_t)fd)
        count *= 2;
    entries = rota__realloc(poller->entries, count * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    memset(entries + poller->entry_count, 0,
           (count - poller->entry_count) * sizeof *entries);
    poller->entries = entries;
    poller->entry_count = count;
    return 0;
}

/* No table for a number that no fd has. */
static int check_fd(const struct rota__poller *poller, int fd)
{
    if (poller->closed)
        return -ROTA_ECLOSED;
    if (poller->ops == &rota__poller_sim)
        return 0;
    return fcntl(fd, F_GETFD) < 0 ? -errno : 0;
}

static void unregister(struct rota__poller *poller, struct rota__watch *watch,
                       bool tell_system)
{
    struct rota__poller_entry *entry;

    if (watch->events == 0)
        return;
    if (poller->closed) {
        watch->events = 0;
        return;
    }
    entry = &poller->entries[watch->fd];
    /* An fd that the user has closed is gone already: nothing to report. */
    if (tell_system)
        (void)poller->ops->change(poller, watch->fd, watch->events, 0);
    entry->watch = NULL;
    entry->generation++;
    entry->known = tell_system && (watch->events & ROTA__ONCE);
    watch->events = 0;
    poller->watched--;
}

/* A weak watch gives way to another, perhaps of another file. */
static void displace(struct rota__poller *poller, struct rota__watch *watch)
{
    unregister(poller, watch, !poller->ops->close_removes);
    watch->ready(watch, ROTA__GONE);
}

int rota__poller_add(struct rota__poller *poller, struct rota__watch *watch,
                     unsigned events)
{
    struct rota__poller_entry *entry;
    int err = 0;

    if (watch->fd < 0)
        return -EBADF;
    if ((size_t)watch->fd >= poller->entry_count)
        err = check_fd(poller, watch->fd);
    if (err == 0 && (size_t)watch->fd >= poller->entry_count)
        err = make_room(poller, watch->fd);
    if (err < 0)
        return err;
    entry = &poller->entries[watch->fd];
    if (entry->watch && !(entry->watch->events & ROTA__WEAK))
        return -EEXIST;
    if (entry->watch)
        displace(poller, entry->watch);
    entry->generation++;
    err = poller->ops->change(poller, watch->fd, entry->known ? ROTA__ONCE : 0,
                              events);
    if (err < 0)
        return err;
    entry->watch = watch;
    entry->known = false;
    watch->events = events;
    poller->watched++;
    return 0;
}

int rota__poller_change(struct rota__poller *poller, struct rota__watch *watch,
                        unsigned events)
{
    int err = 0;

    if (watch->events != events)
        err = poller->ops->change(poller, watch->fd, watch->events, events);
    if (err == 0)
        watch->events = events;
    return err;
}

void rota__poller_remove(struct rota__poller *poller, struct rota__watch *watch)
{
    unregister(poller, watch, true);
}

void rota__poller_forget(struct rota__poller *poller, struct rota__watch *watch)
{
    unregister(poller, watch, !poller->ops->close_removes);
}

void rota__poller_hand_over(struct rota__poller *poller,
                            struct rota__watch *from, struct rota__watch *to)
{
    to->fd = from->fd;
    to->events = from->events;
    from->events = 0;
    poller->entries[to->fd].watch = to;
}

struct rota__watch *rota__poller_find(const struct rota__poller *poller, int fd)
{
    if (fd < 0 || (size_t)fd >= poller->entry_count)
        return NULL;
    return poller->entries[fd].watch;
}

int rota__poller_collect(struct rota__poller *poller, int64_t timeout)
{
    int count = poller->ops->wait(poller, timeout);

    return count == -EINTR ? 0 : count;
}

void rota__poller_deliver(struct rota__poller *poller, int count)
{
    if (count > 0)
        poller->ops->deliver(poller, count);
}

int rota__poller_wait(struct rota__poller *poller, int64_t timeout)
{
    int count = rota__poller_collect(poller, timeout);

    rota__poller_deliver(poller, count);
    return count < 0 ? count : 0;
}

uint64_t rota__poller_tag(const struct rota__poller *poller, int fd)
{
    return (uint64_t)poller->entries[fd].generation << 32 | (uint32_t)fd;
}

/* It has had its one report. */
static void retire(struct rota__poller *poller,
                   struct rota__poller_entry *entry)
{
    entry->watch->events = 0;
    entry->watch = NULL;
    entry->known = true;
    poller->watched--;
}

void rota__poller_report(struct rota__poller *poller, uint64_t tag,
                         unsigned events)
{
    size_t fd = (uint32_t)tag;
    struct rota__poller_entry *entry;
    struct rota__watch *watch;

    if (rota__unlikely(fd >= poller->entry_count))
        return;
    entry = &poller->entries[fd];
    if (rota__unlikely(!entry->watch || entry->generation != tag >> 32))
        return;
    watch = entry->watch;
    if (watch->events & ROTA__ONCE)
        retire(poller, entry);
    watch->ready(watch, events);
}
