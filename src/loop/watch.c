/* SPDX-License-Identifier: MIT */
/*
 * add_reader and add_writer, and tasks that wait for an fd
 *
 * One watch an fd, with two directions. In each stands nobody, a callback or
 * a watcher. For a callback the poller reports the fd in every turn while it
 * is ready; the report queues the direction's handle, and the callback runs
 * in order with everything else. A watcher is woken by the report itself, and
 * has left its direction then.
 *
 *     a watcher alone     registered once (ROTA__ONCE): gone when it wakes
 *     anybody else        registered for as long as somebody stands there
 */
#include "loop/loop.h"

struct direction {
    struct rota__handle handle;
    rota_callback *callback; /* NULL: not asked for */
    void *arg;
    struct rota__watcher *watcher; /* instead of a callback */
    rota_loop *loop;
    struct rota__bindings *bindings;
    bool *current; /* while it runs: whether it is still the same reader */
};

struct rota__fd_watch {
    struct rota__watch watch;
    struct rota__link link; /* in loop->reader_watches */
    rota_loop *loop;
    size_t watchers; /* that have not ended, woken ones too */
    struct direction reader;
    struct direction writer;
};

/* As in asyncio, what it sets is there when it is called again. */
static void run_direction(struct rota__handle *handle)
{
    struct direction *direction =
        rota__container_of(handle, struct direction, handle);
    rota_loop *loop = direction->loop;
    bool current = true;

    if (direction->bindings)
        rota__context_lend(loop, rota__bindings_ref(direction->bindings));
    direction->current = &current;
    direction->callback(direction->arg);
    if (!current)
        return;
    direction->current = NULL;
    rota__bindings_unref(direction->bindings);
    direction->bindings = rota__bindings_ref(loop->callbacks.own.bindings);
}

/* It goes, or another takes its place. */
static void forget(struct direction *direction)
{
    if (direction->current)
        *direction->current = false;
    rota__bindings_unref(direction->bindings);
    direction->current = NULL;
    direction->bindings = NULL;
}

static void tell(rota_loop *loop, struct direction *direction)
{
    struct rota__watcher *watcher = direction->watcher;

    if (direction->callback && rota__list_empty(&direction->handle.link))
        rota__ready(loop, &direction->handle);
    direction->watcher = NULL;
    if (watcher)
        watcher->wake(watcher);
}

/* A closed peer can be read (the end) and written (the error). */
static void fd_ready(struct rota__watch *watch, unsigned events)
{
    struct rota__fd_watch *self =
        rota__container_of(watch, struct rota__fd_watch, watch);

    if (events & (ROTA__READABLE | ROTA__HANGUP))
        tell(self->loop, &self->reader);
    if (events & (ROTA__WRITABLE | ROTA__HANGUP))
        tell(self->loop, &self->writer);
}

static void init_direction(struct direction *direction, rota_loop *loop)
{
    direction->loop = loop;
    rota__list_init(&direction->handle.link);
    direction->handle.run = run_direction;
}

static struct rota__fd_watch *find(rota_loop *loop, int fd)
{
    struct rota__watch *watch = rota__poller_find(&loop->poller, fd);

    if (!watch || watch->ready != fd_ready)
        return NULL;
    return rota__container_of(watch, struct rota__fd_watch, watch);
}

static int find_or_make(rota_loop *loop, int fd, struct rota__fd_watch **out)
{
    struct rota__fd_watch *self = find(loop, fd);

    if (!self) {
        struct rota__watch *other = rota__poller_find(&loop->poller, fd);

        if (other && !(other->events & ROTA__WEAK))
            return -EEXIST;
        self = rota__zalloc(sizeof *self);
        if (!self)
            return -ENOMEM;
        self->loop = loop;
        self->watch.fd = fd;
        self->watch.ready = fd_ready;
        init_direction(&self->reader, loop);
        init_direction(&self->writer, loop);
        rota__list_push(&loop->reader_watches, &self->link);
    }
    *out = self;
    return 0;
}

static bool taken(const struct direction *direction)
{
    return direction->callback || direction->watcher;
}

static unsigned wanted(const struct rota__fd_watch *self)
{
    const struct direction *reader = &self->reader;
    const struct direction *writer = &self->writer;
    unsigned events = 0;

    if (taken(reader))
        events |= ROTA__READABLE;
    if (taken(writer))
        events |= ROTA__WRITABLE;
    if ((reader->watcher && !taken(writer)) ||
        (writer->watcher && !taken(reader)))
        events |= ROTA__ONCE;
    return events;
}

static void free_watch(struct rota__fd_watch *self)
{
    rota__list_remove(&self->reader.handle.link);
    rota__list_remove(&self->writer.handle.link);
    forget(&self->reader);
    forget(&self->writer);
    rota__poller_remove(&self->loop->poller, &self->watch);
    rota__list_remove(&self->link);
    rota__free(self);
}

/* Tells the poller; a watch that nobody needs any more is freed. */
static int settle(struct rota__fd_watch *self)
{
    rota_loop *loop = self->loop;
    unsigned events = wanted(self);
    int err = 0;

    if (events && self->watch.events)
        err = rota__poller_change(&loop->poller, &self->watch, events);
    else if (events)
        err = rota__poller_add(&loop->poller, &self->watch, events);
    else
        rota__poller_remove(&loop->poller, &self->watch);
    if (!self->watch.events && self->watchers == 0)
        free_watch(self);
    return err;
}

static struct direction *side(struct rota__fd_watch *self, bool writer)
{
    return writer ? &self->writer : &self->reader;
}

static int add(rota_loop *loop, int fd, rota_callback *callback, void *arg,
               bool writer, const char *function)
{
    struct rota__fd_watch *self = NULL;
    struct direction *direction;
    struct direction before;
    int err = rota__check(loop, function);

    if (err == 0 && !callback)
        err = -EINVAL;
    if (err == 0 && fd < 0)
        err = -EBADF;
    if (err == 0)
        err = find_or_make(loop, fd, &self);
    if (err < 0)
        return err;
    direction = side(self, writer);
    if (direction->watcher)
        return -EBUSY;
    before = *direction;
    direction->callback = callback;
    direction->arg = arg;
    rota__unready(&direction->handle);
    direction->bindings = rota__bindings_capture();
    err = settle(self);
    if (err < 0 && find(loop, fd) == self) {
        direction->callback = before.callback;
        direction->arg = before.arg;
        rota__bindings_unref(direction->bindings);
        direction->bindings = before.bindings;
    } else if (err == 0) {
        direction->current = NULL;
        forget(&before);
    }
    return err;
}

static int take(rota_loop *loop, int fd, bool writer, const char *function)
{
    int err = rota__check(loop, function);
    struct rota__fd_watch *self;
    struct direction *direction;

    if (err < 0)
        return err;
    self = find(loop, fd);
    if (!self || !side(self, writer)->callback)
        return 0;
    direction = side(self, writer);
    direction->callback = NULL;
    rota__unready(&direction->handle);
    forget(direction);
    err = settle(self);
    return err < 0 ? err : 1;
}

int rota_add_reader(rota_loop *loop, int fd, rota_callback *callback, void *arg)
{
    return add(loop, fd, callback, arg, false, "rota_add_reader");
}

int rota_add_writer(rota_loop *loop, int fd, rota_callback *callback, void *arg)
{
    return add(loop, fd, callback, arg, true, "rota_add_writer");
}

int rota_remove_reader(rota_loop *loop, int fd)
{
    return take(loop, fd, false, "rota_remove_reader");
}

int rota_remove_writer(rota_loop *loop, int fd)
{
    return take(loop, fd, true, "rota_remove_writer");
}

int rota__watcher_begin(rota_loop *loop, struct rota__watcher *watcher, int fd,
                        bool writing)
{
    struct rota__fd_watch *self = NULL;
    struct direction *direction;
    int err = fd < 0 ? -EBADF : find_or_make(loop, fd, &self);

    if (err < 0)
        return err;
    direction = side(self, writing);
    if (taken(direction))
        return -EBUSY;
    direction->watcher = watcher;
    err = settle(self);
    if (err < 0) {
        if (find(loop, fd) == self)
            direction->watcher = NULL;
        return err;
    }
    watcher->place = self;
    watcher->writing = writing;
    self->watchers++;
    return 0;
}

void rota__watcher_end(struct rota__watcher *watcher)
{
    struct rota__fd_watch *self = watcher->place;
    struct direction *direction;

    if (!self)
        return;
    watcher->place = NULL;
    direction = side(self, watcher->writing);
    if (direction->watcher == watcher)
        direction->watcher = NULL;
    self->watchers--;
    (void)settle(
        self); /* it only asks for less: nothing can be done about it */
}

struct rota__watcher *rota__watcher_of(rota_loop *loop, int fd, bool writing)
{
    struct rota__fd_watch *self = find(loop, fd);

    return self ? side(self, writing)->watcher : NULL;
}

void rota__readers_close(rota_loop *loop)
{
    while (!rota__list_empty(&loop->reader_watches))
        free_watch(rota__container_of(loop->reader_watches.next,
                                      struct rota__fd_watch, link));
}
