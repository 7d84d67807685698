/* SPDX-License-Identifier: MIT */
/*
 * Connecting: the first of several addresses that answers
 *
 *     next --begin--> an attempt --answers--> the winner; the others close
 *               ^         |
 *               `---------+-- it has failed, and is the last one begun,
 *                         `-- or `delay` has passed since it was begun
 *
 * Without a delay there is one attempt at a time and one struct for all of
 * them. The winner ends up there too, so that nothing else is left once its
 * watch has been taken over.
 *
 * A Unix socket whose peer's backlog is full is neither connected nor in
 * progress, and nothing tells when there is room: `delay` is then the time
 * until it is tried again, with the same socket.
 */
#include "transport/transport.h"

#define FIRST_RETRY (ROTA__SECOND / 1000)
#define LAST_RETRY (ROTA__SECOND / 20)

/* --- The addresses -------------------------------------------------------- */

/* Brings the next one that is (or is not) of the family to place `to`. */
static void bring(rota_addresses *list, size_t to, int family, bool is)
{
    for (size_t at = to; at < list->count; at++) {
        rota_address found = list->items[at];

        if ((found.storage.ss_family == family) != is)
            continue;
        memmove(&list->items[to + 1], &list->items[to],
                (at - to) * sizeof found);
        list->items[to] = found;
        return;
    }
}

/*
 * So many of the first one's family, then families take turns; what is left
 * of one family comes in the order that it had.
 */
static void interleave(rota_addresses *list, size_t first)
{
    int family = list->count > 0 ? list->items[0].storage.ss_family : 0;

    for (size_t i = 0; i < list->count; i++)
        bring(list, i, family, i < first || (i - first) % 2 == 1);
}

static bool fits(const struct rota__connect *self, int family)
{
    if (self->local.size > 0)
        return self->local.storage.ss_family == family;
    return self->options->local_port == 0 || family == AF_INET ||
           family == AF_INET6;
}

static void keep_those_that_fit(struct rota__connect *self)
{
    rota_addresses *list = self->addresses;
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (fits(self, list->items[i].storage.ss_family))
            list->items[kept++] = list->items[i];
    }
    if (kept < list->count && kept == 0)
        self->first_error = -EADDRNOTAVAIL;
    list->count = kept;
}

/* --- Attempts ------------------------------------------------------------- */

static void on_event(struct rota__handle *handle);

static bool staggered(const struct rota__connect *self)
{
    return self->attempts != &self->only;
}

/* The last attempt that was begun. */
static struct rota__attempt *latest(struct rota__connect *self)
{
    return staggered(self) ? &self->attempts[self->next - 1] : &self->only;
}

static void wake(struct rota__connect *self, struct rota__handle *handle)
{
    if (rota__list_empty(&handle->link))
        rota__ready(self->loop, handle);
}

static void attempt_ready(struct rota__watch *watch, unsigned events)
{
    struct rota__attempt *attempt =
        rota__container_of(watch, struct rota__attempt, watch);

    attempt->seen |= events;
    if (!attempt->connected && (events & (ROTA__WRITABLE | ROTA__HANGUP)))
        wake(attempt->connect, &attempt->on_event);
}

static void attempt_init(struct rota__attempt *attempt,
                         struct rota__connect *connect)
{
    *attempt = (struct rota__attempt){
        .watch = {.ready = attempt_ready, .fd = -1},
        .on_event.run = on_event,
        .connect = connect,
    };
    rota__list_init(&attempt->on_event.link);
}

static void drop(struct rota__attempt *attempt)
{
    struct rota__connect *self = attempt->connect;

    if (attempt->watch.fd < 0)
        return;
    rota__unready(&attempt->on_event);
    rota__poller_forget(&self->loop->poller, &attempt->watch);
    (void)rota__fd_close(attempt->watch.fd);
    attempt->watch.fd = -1;
    attempt->connected = false;
    self->pending--;
}

static void drop_all(struct rota__connect *self)
{
    size_t begun = staggered(self) ? self->next : 1;

    for (size_t i = 0; i < begun; i++)
        drop(&self->attempts[i]);
    if (staggered(self))
        rota__free(self->attempts);
    self->attempts = &self->only;
}

/* What counts in the end is the error of the first address. */
static void failed(struct rota__connect *self, size_t index, int error)
{
    if (self->first_error == 0 || index < self->first_failed) {
        self->first_error = error;
        self->first_failed = index;
    }
}

static int bind_to_local(const struct rota__connect *self, int fd, int family)
{
    rota_address any;

    if (self->local.size > 0)
        return rota__socket_bind(fd, &self->local);
    if (self->options->local_port == 0)
        return 0;
    rota__address_any(&any, family, self->options->local_port);
    return rota__socket_bind(fd, &any);
}

/* --- One after the other -------------------------------------------------- */

/* 0: under way, or connected, or to be tried again later. */
static int try_to_connect(struct rota__attempt *attempt,
                          const rota_address *address)
{
    struct rota__connect *self = attempt->connect;
    int err = rota__socket_connect(attempt->watch.fd, address);

    if (err == -EAGAIN && address->storage.ss_family == AF_UNIX &&
        !staggered(self)) {
        self->retry_after =
            self->retry_after ? self->retry_after * 2 : FIRST_RETRY;
        if (self->retry_after > LAST_RETRY)
            self->retry_after = LAST_RETRY;
        return rota__timer_arm(self->loop, &self->delay,
                               rota__now(self->loop) + self->retry_after);
    }
    if (err < 0 && err != -EINPROGRESS)
        return err;
    attempt->connected = err == 0;
    err = rota__poller_add(&self->loop->poller, &attempt->watch,
                           ROTA__READABLE | ROTA__WRITABLE | ROTA__EDGE);
    if (err == 0 && attempt->connected)
        wake(self, &attempt->on_event);
    return err;
}

/* An attempt at the next address: 0, or why there is none. */
static int begin(struct rota__connect *self)
{
    const rota_address *address = &self->addresses->items[self->next++];
    int family = address->storage.ss_family;
    struct rota__attempt *attempt = latest(self);
    int fd = rota__socket_open(family, SOCK_STREAM, 0);
    int err;

    attempt_init(attempt, self);
    if (fd < 0)
        return fd;
    self->pending++;
    self->retry_after = 0;
    attempt->watch.fd = fd;
    err = bind_to_local(self, fd, family);
    if (err == 0)
        err = try_to_connect(attempt, address);
    if (err < 0)
        drop(attempt);
    return err;
}

/* 0 if the next one waits now; without memory it begins at once. */
static int set_delay(struct rota__connect *self)
{
    int64_t delay = rota__to_ns(self->options->happy_eyeballs_delay);

    if (!staggered(self) || self->next == self->addresses->count)
        return 0;
    return rota__timer_arm(self->loop, &self->delay,
                           rota__now(self->loop) + delay);
}

/* Begins with the next address that does not fail at once. */
static void go_on(struct rota__connect *self)
{
    while (self->next < self->addresses->count) {
        int err = begin(self);

        if (err < 0)
            failed(self, self->next - 1, err);
        else if (set_delay(self) == 0)
            return;
    }
    if (self->pending == 0)
        wake(self, &self->on_failed);
}

static void on_failed(struct rota__handle *handle)
{
    struct rota__connect *self =
        rota__container_of(handle, struct rota__connect, on_failed);
    int error = self->first_error ? self->first_error : -ROTA_ENONAME;

    drop_all(self);
    self->done(self, error);
}

static void give_up(struct rota__attempt *attempt, int error)
{
    struct rota__connect *self = attempt->connect;
    bool last = attempt == latest(self);
    size_t index =
        staggered(self) ? (size_t)(attempt - self->attempts) : self->next - 1;

    failed(self, index, error);
    drop(attempt);
    if (!last && self->pending > 0)
        return;
    rota__timer_cancel(self->loop, &self->delay);
    go_on(self);
}

/* It moves to `only`, and all others end. */
static void win(struct rota__attempt *attempt)
{
    struct rota__connect *self = attempt->connect;
    struct rota__attempt *winner = &self->only;

    rota__timer_cancel(self->loop, &self->delay);
    if (staggered(self)) {
        attempt_init(winner, self);
        rota__poller_hand_over(&self->loop->poller, &attempt->watch,
                               &winner->watch);
        attempt->watch.fd = -1;
        winner->seen = attempt->seen;
        drop_all(self);
    }
    winner->connected = true;
    self->winner = winner;
    self->done(self, 0);
}

static void on_event(struct rota__handle *handle)
{
    struct rota__attempt *attempt =
        rota__container_of(handle, struct rota__attempt, on_event);
    int err = rota__socket_error(attempt->watch.fd);

    if (err < 0)
        give_up(attempt, err);
    else
        win(attempt);
}

static void on_delay(struct rota__handle *handle)
{
    struct rota__connect *self =
        rota__container_of(handle, struct rota__connect, delay.handle);
    int err;

    if (staggered(self)) {
        go_on(self);
        return;
    }
    err = try_to_connect(&self->only, &self->addresses->items[self->next - 1]);
    if (err < 0)
        give_up(&self->only, err);
}

/* --- The contract --------------------------------------------------------- */

static int prepare(struct rota__connect *self)
{
    const rota_connect_options *options = self->options;
    bool stagger = options->happy_eyeballs_delay > 0;
    size_t first = (size_t)options->interleave;

    if (options->interleave < 0 || !(options->happy_eyeballs_delay >= 0) ||
        options->local_port < 0 || options->local_port > 65535)
        return -EINVAL;
    if (options->local_host &&
        rota_address_parse(&self->local, options->local_host,
                           options->local_port) < 0)
        return -EINVAL;
    keep_those_that_fit(self);
    if (first > 0 || stagger)
        interleave(self->addresses, first > 0 ? first : 1);
    if (!stagger || self->addresses->count < 2)
        return 0;
    self->attempts =
        rota__zalloc(self->addresses->count * sizeof *self->attempts);
    return self->attempts ? 0 : -ENOMEM;
}

int rota__connect_start(struct rota__connect *self, rota_loop *loop,
                        rota_addresses *addresses,
                        const rota_connect_options *options,
                        void (*done)(struct rota__connect *, int))
{
    int err;

    *self = (struct rota__connect){
        .loop = loop,
        .addresses = addresses,
        .options = options,
        .attempts = &self->only,
        .on_failed.run = on_failed,
        .done = done,
    };
    rota__list_init(&self->on_failed.link);
    rota__timer_init(&self->delay, on_delay);
    attempt_init(&self->only, self);
    err = prepare(self);
    if (err == 0)
        go_on(self);
    else
        self->attempts = &self->only;
    return err;
}

void rota__connect_cancel(struct rota__connect *self)
{
    rota__unready(&self->on_failed);
    rota__timer_cancel(self->loop, &self->delay);
    drop_all(self);
}
