/* SPDX-License-Identifier: MIT */
/*
 * Wires: connected sockets that exist in the simulation only
 *
 * The system's calls end here for fds of the simulated poller. A wire is two
 * sockets; what one sends flies for a while and then arrives at the other, all
 * by one generator, so that a seed is a run. It does what a kernel may do and
 * seldom does: a send is taken in part, or not at all, until the poller says
 * otherwise; any call is interrupted; a call fails when the test says so.
 * It does not do what a kernel must not: a receive gives all that has arrived.
 *
 * Include it in one file of a program.
 */
#ifndef TESTS_WIRES_H
#define TESTS_WIRES_H

#include "scenario.h"
#include "stream/stream.h"

#include <dlfcn.h>

enum { WIRE_ROOM = 97, WIRE_SOCKETS = 8 };

struct wire_socket {
    char arrived[WIRE_ROOM];
    size_t size;
    size_t flying; /* behind what has arrived */
    rota_timer_handle arrival;
    rota_timer_handle relief;
    bool open;
    bool end_flies;
    bool ended;  /* the peer's end has arrived */
    bool resets; /* by its close */
    bool reset_flies;
    bool was_reset;
    bool full; /* a send was not taken whole */
};

static struct wire_socket wire_sockets[WIRE_SOCKETS];
static uint64_t wire_seed;
static long wire_calls;   /* receives and sends so far */
static long wire_fail_at; /* that call fails; 0: none */
static int wire_error;    /* with this errno */
static bool wire_stalled; /* nothing flies */

static inline unsigned wire_draw(unsigned below)
{
    wire_seed = wire_seed * UINT64_C(6364136223846793005) +
                UINT64_C(1442695040888963407);
    return (unsigned)(wire_seed >> 33) % below;
}

static inline struct wire_socket *wire_find(int fd)
{
    return fd < ROTA__SIM_FD ? NULL : &wire_sockets[fd - ROTA__SIM_FD];
}

static inline int wire_fd(const struct wire_socket *self)
{
    return ROTA__SIM_FD + (int)(self - wire_sockets);
}

static inline struct wire_socket *wire_peer(const struct wire_socket *self)
{
    return &wire_sockets[(self - wire_sockets) ^ 1];
}

/* An edge, whether it was true before or not. */
static inline void wire_tell(struct wire_socket *self, unsigned events)
{
    struct rota__poller *poller = &rota_get_running_loop()->poller;

    assert_int_equal(rota__sim_clear(poller, wire_fd(self), events), 0);
    assert_int_equal(rota__sim_set(poller, wire_fd(self), events), 0);
}

static inline void wire_untell(struct wire_socket *self, unsigned events)
{
    assert_int_equal(rota__sim_clear(&rota_get_running_loop()->poller,
                                     wire_fd(self), events),
                     0);
}

static inline void wire_arrive(void *arg)
{
    struct wire_socket *self = arg;

    if (!self->open)
        return;
    self->size += self->flying;
    self->flying = 0;
    self->ended |= self->end_flies;
    self->was_reset |= self->reset_flies;
    wire_tell(self, self->ended || self->was_reset
                        ? ROTA__READABLE | ROTA__HANGUP
                        : ROTA__READABLE);
}

static inline void wire_relieve(void *arg)
{
    struct wire_socket *self = arg;

    if (self->open && self->full) {
        self->full = false;
        wire_tell(self, ROTA__WRITABLE);
    }
}

static inline void wire_later(rota_timer_handle *timer, rota_callback *callback,
                              struct wire_socket *self)
{
    double delay = wire_draw(3) == 0 ? 0 : 0.001 * wire_draw(100);
    int err;

    if (wire_stalled || !rota_get_running_loop())
        return; /* nothing flies any more */
    err =
        rota_call_later(rota_get_running_loop(), timer, delay, callback, self);
    assert_true(err == 0 || err == -EBUSY);
}

/* --- The system's calls --------------------------------------------------- */

/* True if the call fails; errno is set. */
static inline bool wire_fails(void)
{
    if (++wire_calls == wire_fail_at) {
        errno = wire_error;
        return true;
    }
    errno = EINTR;
    return wire_draw(8) == 0;
}

static inline void *wire_system(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    assert_non_null(found);
    return found;
}

#define WIRE_PASS_ON(result, name, types, ...)                                 \
    do {                                                                       \
        result(*system) types;                                                 \
        void *found = wire_system(name);                                       \
                                                                               \
        memcpy(&system, &found, sizeof system);                                \
        return system(__VA_ARGS__);                                            \
    } while (0)

ssize_t recv(int fd, void *buf, size_t size, int flags)
{
    struct wire_socket *self = wire_find(fd);

    if (!self)
        WIRE_PASS_ON(ssize_t, "recv", (int, void *, size_t, int), fd, buf, size,
                     flags);
    assert_true(self->open);
    if (wire_fails())
        return -1;
    if (self->size == 0 && self->ended && !self->was_reset)
        return 0;
    if (self->size == 0) {
        errno = self->was_reset ? ECONNRESET : EAGAIN;
        wire_untell(self, ROTA__READABLE);
        return -1;
    }
    size = size < self->size ? size : self->size;
    memcpy(buf, self->arrived, size);
    self->size -= size;
    memmove(self->arrived, self->arrived + size, self->size + self->flying);
    if (self->size == 0 && !self->ended)
        wire_untell(self, ROTA__READABLE);
    if (wire_peer(self)->open && wire_peer(self)->full)
        wire_later(&wire_peer(self)->relief, wire_relieve, wire_peer(self));
    return (ssize_t)size;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    struct wire_socket *self = wire_find(fd);
    struct wire_socket *peer;
    size_t room;
    size_t n;

    if (!self)
        WIRE_PASS_ON(ssize_t, "send", (int, const void *, size_t, int), fd,
                     data, size, flags);
    assert_true(self->open && (flags & MSG_NOSIGNAL));
    if (wire_fails())
        return -1;
    peer = wire_peer(self);
    if (self->was_reset || !peer->open) {
        errno = self->was_reset ? ECONNRESET : EPIPE;
        return -1;
    }
    room = WIRE_ROOM - peer->size - peer->flying;
    n = size < room ? size : room;
    if (n > 0 && wire_draw(3) == 0)
        n = wire_draw((unsigned)n + 1);
    memcpy(peer->arrived + peer->size + peer->flying, data, n);
    peer->flying += n;
    if (n > 0)
        wire_later(&peer->arrival, wire_arrive, peer);
    if (n < size) {
        self->full = true;
        wire_untell(self, ROTA__WRITABLE);
        if (room > 0)
            wire_later(&self->relief, wire_relieve, self);
    }
    errno = EAGAIN;
    return n > 0 ? (ssize_t)n : -1;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    char whole[WIRE_ROOM + 1]; /* more than fits, if there is more */
    size_t size = 0;

    if (!wire_find(fd))
        WIRE_PASS_ON(ssize_t, "sendmsg", (int, const struct msghdr *, int), fd,
                     message, flags);
    for (size_t i = 0; i < (size_t)message->msg_iovlen; i++) {
        size_t n = message->msg_iov[i].iov_len;

        n = n < sizeof whole - size ? n : sizeof whole - size;
        memcpy(whole + size, message->msg_iov[i].iov_base, n);
        size += n;
    }
    return send(fd, whole, size, flags);
}

int shutdown(int fd, int how)
{
    struct wire_socket *self = wire_find(fd);

    if (!self)
        WIRE_PASS_ON(int, "shutdown", (int, int), fd, how);
    assert_int_equal(how, SHUT_WR);
    wire_peer(self)->end_flies = true;
    wire_later(&wire_peer(self)->arrival, wire_arrive, wire_peer(self));
    return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct wire_socket *self = wire_find(fd);

    if (!self)
        WIRE_PASS_ON(int, "setsockopt",
                     (int, int, int, const void *, socklen_t), fd, level, name,
                     value, size);
    self->resets |= level == SOL_SOCKET && name == SO_LINGER;
    return 0;
}

int close(int fd)
{
    struct wire_socket *self = wire_find(fd);

    if (!self)
        WIRE_PASS_ON(int, "close", (int), fd);
    assert_true(self->open);
    self->open = false;
    rota_timer_handle_cancel(&self->arrival);
    rota_timer_handle_cancel(&self->relief);
    if (!wire_peer(self)->open)
        return 0;
    if (self->resets || self->size > 0)
        wire_peer(self)->reset_flies = true;
    wire_peer(self)->end_flies = true;
    wire_later(&wire_peer(self)->arrival, wire_arrive, wire_peer(self));
    return 0;
}

/* --- What a test does with it --------------------------------------------- */

/* A stream at each end of the n-th wire, in a loop of the simulated poller. */
static inline void wire_open(int n, rota_stream *ends[2])
{
    rota_loop *loop = rota_get_running_loop();

    for (int i = 0; i < 2; i++) {
        struct wire_socket *self = &wire_sockets[2 * n + i];

        *self = (struct wire_socket){.open = true};
        ends[i] = rota__stream_new(loop);
        assert_non_null(ends[i]);
        assert_int_equal(rota__conn_open(&ends[i]->conn, loop, wire_fd(self),
                                         &rota__stream_events),
                         0);
    }
    for (int i = 0; i < 2; i++)
        wire_untell(&wire_sockets[2 * n + i],
                    ROTA__READABLE | ROTA__WRITABLE | ROTA__HANGUP);
}

static inline void wire_begin(uint64_t seed)
{
    memset(wire_sockets, 0, sizeof wire_sockets);
    wire_seed = seed;
    wire_calls = 0;
    wire_fail_at = 0;
    wire_stalled = false;
}

static inline int wires_open(void)
{
    int count = 0;

    for (int i = 0; i < WIRE_SOCKETS; i++)
        count += wire_sockets[i].open;
    return count;
}

#endif
