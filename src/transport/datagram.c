/* SPDX-License-Identifier: MIT */
/*
 * Sockets for datagrams
 */
#include "transport/datagram.h"

/*
 * A Unix socket that is not connected is told nothing when its receiver has
 * room again, so it tries now and then. (The edge that it gets instead is of
 * its own attempt, whose memory has become free again.)
 */
#define RETRY_DELAY (ROTA__SECOND / 1000)

/* The room for one: all that IP can carry; what asyncio takes of the others. */
#define INET_ROOM 65536
#define LOCAL_ROOM 262144
#define BATCH_HEADER (ROTA__SCRATCH_ROOM - ROTA__PACKETS * INET_ROOM)

static void drained(struct rota__datagram *self, unsigned events)
{
    rota__poller_drained(&self->loop->poller, &self->watch, events);
}

/* --- Events ------------------------------------------------------------- */

static void tell_writable(struct rota__datagram *self)
{
    self->may_write = true;
    self->events->writable(self);
}

static void datagram_ready(struct rota__watch *watch, unsigned events)
{
    struct rota__datagram *self =
        rota__container_of(watch, struct rota__datagram, watch);

    if (events & (ROTA__READABLE | ROTA__HANGUP)) {
        self->may_read = true;
        self->events->readable(self);
    }
    if (events & (ROTA__WRITABLE | ROTA__HANGUP) && !self->may_write &&
        !rota__heap_contains(&self->retry.node))
        tell_writable(self);
}

static void retry(struct rota__handle *handle)
{
    struct rota__timer *timer =
        rota__container_of(handle, struct rota__timer, handle);

    tell_writable(rota__container_of(timer, struct rota__datagram, retry));
}

/* Without memory for the timer, rather a busy loop than a deaf one. */
static void retry_later(struct rota__datagram *self)
{
    int64_t when = rota__now(self->loop) + RETRY_DELAY;

    if (rota__timer_rearm(self->loop, &self->retry, when) < 0 &&
        rota__list_empty(&self->retry.handle.link))
        rota__ready(self->loop, &self->retry.handle);
}

/* --- Opening ------------------------------------------------------------ */

static int family_of(const rota_datagram_options *options)
{
    if (options->local)
        return options->local->storage.ss_family;
    if (options->remote)
        return options->remote->storage.ss_family;
    return options->family ? options->family : AF_INET;
}

static int check_options(const rota_datagram_options *options)
{
    int family = family_of(options);

    if (options->remote && options->remote->storage.ss_family != family)
        return -EINVAL;
    if (options->family && options->family != family)
        return -EINVAL;
    if (options->remote && options->remote->size <= sizeof(sa_family_t))
        return -EINVAL;
    return 0;
}

/* What is left of a socket that is gone would be in the way. */
static int bind_to(int fd, const rota_address *local)
{
    char path[ROTA_ADDRESS_TEXT];
    int err = 0;

    if (rota_address_path(local, path, sizeof path) == 0 && path[0] != '\0' &&
        path[0] != '@')
        err = rota__unix_remove_stale(path);
    return err < 0 ? err : rota__socket_bind(fd, local);
}

static int prepare(int fd, const rota_datagram_options *options)
{
    int err = 0;

    if (options->reuse_port)
        err = rota__socket_reuse_port(fd);
    if (err == 0 && options->broadcast)
        err = rota__socket_broadcast(fd);
    if (err == 0 && options->local)
        err = bind_to(fd, options->local);
    if (err == 0 && options->remote)
        err = rota__socket_connect(fd, options->remote);
    return err;
}

static void init(struct rota__datagram *self, rota_loop *loop, bool local,
                 const struct rota__datagram_events *events)
{
    *self = (struct rota__datagram){
        .loop = loop,
        .events = events,
        .local = local,
        .may_write = true,
        .watch.ready = datagram_ready,
    };
    rota__timer_init(&self->retry, retry);
    rota__buffer_init(&self->out);
}

static int watch(struct rota__datagram *self)
{
    return rota__poller_add(&self->loop->poller, &self->watch,
                            ROTA__READABLE | ROTA__WRITABLE | ROTA__EDGE);
}

int rota__datagram_open(struct rota__datagram *self, rota_loop *loop,
                        const rota_datagram_options *options,
                        const struct rota__datagram_events *events)
{
    static const rota_datagram_options usual;
    int err;

    if (!options)
        options = &usual;
    err = check_options(options);
    if (err < 0)
        return err;
    init(self, loop, family_of(options) == AF_UNIX, events);
    if (options->remote)
        self->remote = *options->remote;
    self->watch.fd = rota__socket_open(family_of(options), SOCK_DGRAM, 0);
    if (self->watch.fd < 0)
        return self->watch.fd;
    err = prepare(self->watch.fd, options);
    if (err == 0)
        err = watch(self);
    if (err < 0)
        (void)rota__fd_close(self->watch.fd);
    return err;
}

int rota__datagram_adopt(struct rota__datagram *self, rota_loop *loop, int fd,
                         bool local, const struct rota__datagram_events *events)
{
    init(self, loop, local, events);
    self->watch.fd = fd;
    self->lent = true;
    return watch(self);
}

struct rota__datagram *rota__datagram_of(rota_loop *loop, int fd)
{
    struct rota__watch *watch = rota__poller_find(&loop->poller, fd);

    if (!watch || watch->ready != datagram_ready)
        return NULL;
    return rota__container_of(watch, struct rota__datagram, watch);
}

/* --- Receiving ---------------------------------------------------------- */

static void return_batch(struct rota__datagram *self)
{
    struct rota__batch *batch = self->batch;

    self->batch = NULL;
    if (batch && batch->held == 0)
        rota__scratch_return(self->loop, (char *)batch);
}

static struct rota__batch *borrow_batch(struct rota__datagram *self)
{
    char *memory = rota__scratch_take(self->loop);
    struct rota__batch *batch = (struct rota__batch *)(void *)memory;
    size_t room = self->local ? LOCAL_ROOM : INET_ROOM;

    if (!batch)
        return NULL;
    batch->held = 0;
    batch->next = 0;
    batch->count = 0;
    for (int i = 0; i < ROTA__PACKETS; i++) {
        batch->packets[i].data = memory + BATCH_HEADER + (size_t)i * room;
        batch->packets[i].room = room;
    }
    return batch;
}

/* One batch, or an error and none. */
static int receive(struct rota__datagram *self)
{
    int wanted =
        self->local ? ROTA__PACKETS * INET_ROOM / LOCAL_ROOM : ROTA__PACKETS;
    bool last;
    int n;

    self->batch = borrow_batch(self);
    if (!self->batch)
        return -ENOMEM;
    n = rota__socket_receive(self->watch.fd, self->batch->packets, wanted,
                             &last);
    if (last) {
        self->may_read = false;
        drained(self, ROTA__READABLE);
    }
    if (n < 0)
        return_batch(self);
    else
        self->batch->count = n;
    return n < 0 ? n : 0;
}

int rota__datagram_take(struct rota__datagram *self, struct rota__packet **out)
{
    int err = 0;

    if (self->batch && self->batch->next == self->batch->count)
        return_batch(self);
    if (!self->batch)
        err = self->may_read ? receive(self) : -EAGAIN;
    if (err == 0)
        *out = &self->batch->packets[self->batch->next++];
    return err;
}

struct rota__batch *rota__datagram_hold(struct rota__datagram *self)
{
    self->batch->held++;
    return self->batch;
}

void rota__datagram_let_go(struct rota__datagram *self,
                           struct rota__batch *batch)
{
    if (--batch->held == 0 && self->batch != batch)
        rota__scratch_return(self->loop, (char *)batch);
    else if (self->batch == batch && batch->next == batch->count)
        return_batch(self);
}

/* --- Sending ------------------------------------------------------------ */

/* What a datagram costs beside its bytes, so that empty ones count too. */
#define HEADER_COST 8

/* Before the address and the bytes of each in `out`. */
struct kept {
    size_t size;
    socklen_t address_size; /* 0: to the remote one */
};

int rota__datagram_check(const struct rota__datagram *self,
                         const rota_address *to)
{
    bool connected = self->remote.size > 0;

    if (!to)
        return connected ? 0 : -EDESTADDRREQ;
    if (to->size <= sizeof(sa_family_t))
        return -EDESTADDRREQ;
    if (connected && !rota_address_equal(to, &self->remote))
        return -EISCONN;
    return 0;
}

void rota__datagram_full(struct rota__datagram *self, bool named)
{
    self->may_write = false;
    if (self->local && named)
        retry_later(self);
    else
        drained(self, ROTA__WRITABLE);
}

static intptr_t send_now(struct rota__datagram *self, const void *data,
                         size_t size, const rota_address *to)
{
    const rota_address *name = self->remote.size > 0 ? NULL : to;
    intptr_t n = rota__socket_send_to(self->watch.fd, data, size, name);

    if (rota__unlikely(n == -EAGAIN))
        rota__datagram_full(self, name != NULL);
    return n;
}

intptr_t rota__datagram_send(struct rota__datagram *self, const void *data,
                             size_t size, const rota_address *to)
{
    if (!self->may_write || rota__buffer_size(&self->out) > 0)
        return -EAGAIN;
    return send_now(self, data, size, to);
}

int rota__datagram_keep(struct rota__datagram *self, const void *data,
                        size_t size, const rota_address *to)
{
    struct kept kept = {size, self->remote.size > 0 ? 0 : to->size};
    int err;

    if (size > SIZE_MAX / 2)
        return -ENOMEM;
    err = rota__buffer_reserve(&self->out,
                               sizeof kept + kept.address_size + size);
    if (err < 0)
        return err;
    (void)rota__buffer_append(&self->out, &kept, sizeof kept);
    if (kept.address_size > 0)
        (void)rota__buffer_append(&self->out, &to->storage, kept.address_size);
    (void)rota__buffer_append(&self->out, data, size);
    self->queued += size + HEADER_COST;
    return 0;
}

/* The bytes of the first that is kept, and what is known of it. */
static const char *first_kept(const struct rota__datagram *self,
                              struct kept *kept, rota_address *to)
{
    const char *data = rota__buffer_data(&self->out);

    memcpy(kept, data, sizeof *kept);
    data += sizeof *kept;
    memcpy(&to->storage, data, kept->address_size);
    to->size = kept->address_size;
    return data + kept->address_size;
}

int rota__datagram_flush(struct rota__datagram *self)
{
    rota_address to;
    struct kept kept;
    intptr_t n = 0;

    while (n >= 0 && rota__buffer_size(&self->out) > 0) {
        const char *data = first_kept(self, &kept, &to);

        n = self->may_write ? send_now(self, data, kept.size, &to) : -EAGAIN;
        if (n == -EAGAIN)
            break;
        rota__buffer_consume(&self->out,
                             sizeof kept + kept.address_size + kept.size);
        self->queued -= kept.size + HEADER_COST;
    }
    return n < 0 ? (int)n : 0;
}

/* --- Closing, and looking at it ----------------------------------------- */

void rota__datagram_close(struct rota__datagram *self)
{
    if (self->closed)
        return;
    self->closed = true;
    self->may_read = false;
    return_batch(self);
    rota__timer_cancel(self->loop, &self->retry);
    if (self->lent) {
        rota__poller_remove(&self->loop->poller, &self->watch);
    } else {
        rota__poller_forget(&self->loop->poller, &self->watch);
        (void)rota__fd_close(self->watch.fd);
    }
    rota__buffer_fini(&self->out);
    self->queued = 0;
}

int rota__datagram_fileno(const struct rota__datagram *self)
{
    return self->closed ? -ROTA_ECLOSING : self->watch.fd;
}

int rota__datagram_local(const struct rota__datagram *self, rota_address *out)
{
    return self->closed ? -ROTA_ECLOSING
                        : rota__socket_local(self->watch.fd, out);
}

int rota__datagram_peer(const struct rota__datagram *self, rota_address *out)
{
    return self->closed ? -ROTA_ECLOSING
                        : rota__socket_peer(self->watch.fd, out);
}
