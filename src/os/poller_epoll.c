/* SPDX-License-Identifier: MIT */
/*
 * epoll (Linux), and the poll that is not made
 *
 * A loop with work to do asks for events between two turns, and nearly always
 * there are none: 260 ns for a "no". So wait(0) first looks at a flag in user
 * memory (os/quiet.h): while it says that the epoll fd is not readable, no
 * system call is made. Where the kernel refuses that flag, wait(0) asks only
 * when POLL_INTERVAL has gone by.
 *
 * The flag is one-shot, and setting it again is a system call of its own. A
 * loop that finds events at every second look would pay twice, so after
 * MISSES useless settings in a row it just asks for a while.
 */
#include "os/os.h"

#if defined(__linux__)

#include "os/quiet.h"
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 1024
#define POLL_INTERVAL 5000 /* ns */
#define MISSES 2
#define PLAIN_ASKS 32

struct state {
    int fd;
    bool has_pwait2;
    bool fresh; /* the last answer came out of a sleep, with all there was */
    int64_t last_asked;
    unsigned misses;
    unsigned plain_asks;
    struct rota__quiet quiet;
    struct epoll_event events[BATCH];
};

static int epoll_open(struct rota__poller *poller)
{
    struct state *state = rota__alloc(sizeof *state);

    if (!state)
        return -ENOMEM;
    state->fd = epoll_create1(EPOLL_CLOEXEC);
    if (state->fd < 0) {
        int err = -errno;

        rota__free(state);
        return err;
    }
    state->has_pwait2 = true;
    state->fresh = false;
    state->last_asked = 0;
    state->misses = 0;
    state->plain_asks = 0;
    rota__quiet_init(&state->quiet);
    poller->state = state;
    return 0;
}

static void epoll_close(struct rota__poller *poller)
{
    struct state *state = poller->state;

    rota__quiet_fini(&state->quiet);
    close(state->fd);
    rota__free(state);
}

/*
 * The end of the peer's writing is a hang-up for an edge only: it may come
 * together with the last bytes. A level is readable again; and one who waits
 * for room to write must not be told.
 */
static uint32_t to_epoll(unsigned events)
{
    uint32_t mask = 0;

    if (events & ROTA__READABLE)
        mask |= EPOLLIN;
    if (events & ROTA__WRITABLE)
        mask |= EPOLLOUT;
    if (events & ROTA__ONCE)
        mask |= EPOLLONESHOT;
    if (events & ROTA__EDGE)
        mask |= EPOLLET | (events & ROTA__READABLE ? EPOLLRDHUP | EPOLLPRI : 0);
    return mask;
}

static unsigned from_epoll(uint32_t mask)
{
    unsigned events = 0;

    if (mask & (EPOLLIN | EPOLLPRI))
        events |= ROTA__READABLE;
    if (mask & EPOLLOUT)
        events |= ROTA__WRITABLE;
    /* At urgent data too a short read does not say that nothing is left. */
    if (mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
        events |= ROTA__HANGUP;
    return events;
}

/*
 * A one-shot registration stays, disarmed, until its fd is closed: to arm it
 * again is one EPOLL_CTL_MOD, which fails when the number is another fd's by
 * now. One that is removed before its report stays armed, for at most one
 * event that finds nobody.
 */
static int epoll_change(struct rota__poller *poller, int fd, unsigned old,
                        unsigned events)
{
    struct state *state = poller->state;
    int op = old == 0      ? EPOLL_CTL_ADD
             : events == 0 ? EPOLL_CTL_DEL
                           : EPOLL_CTL_MOD;
    struct epoll_event event = {
        .events = to_epoll(events),
        .data.u64 = rota__poller_tag(poller, fd),
    };

    if (events == 0 && old & ROTA__ONCE)
        return 0;
    if (epoll_ctl(state->fd, op, fd, &event) == 0)
        return 0;
    /* An fd that was closed behind our back, or that lives on in a copy. */
    if (op == EPOLL_CTL_MOD && errno == ENOENT &&
        epoll_ctl(state->fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    if (op == EPOLL_CTL_ADD && errno == EEXIST &&
        epoll_ctl(state->fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return -errno;
}

static int wait_to_the_millisecond(struct state *state, int64_t timeout)
{
    int64_t ms = timeout / 1000000 + (timeout % 1000000 != 0);
    int n = epoll_wait(state->fd, state->events, BATCH,
                       timeout == ROTA__FOREVER ? -1
                       : ms > INT32_MAX         ? INT32_MAX
                                                : (int)ms);

    return n < 0 ? -errno : n;
}

static int wait_to_the_nanosecond(struct state *state, int64_t timeout)
{
    struct timespec limit = {
        .tv_sec = (time_t)(timeout / ROTA__SECOND),
        .tv_nsec = (long)(timeout % ROTA__SECOND),
    };

#if defined(SYS_epoll_pwait2)
    long n = syscall(SYS_epoll_pwait2, state->fd, state->events, BATCH, &limit,
                     NULL, 0);

    if (n >= 0)
        return (int)n;
    if (errno != ENOSYS && errno != EPERM) /* not here, or not allowed */
        return -errno;
#endif
    (void)limit;
    state->has_pwait2 = false;
    return wait_to_the_millisecond(state, timeout);
}

static int ask(struct rota__poller *poller, int64_t timeout)
{
    struct state *state = poller->state;
    bool exact = timeout > 0 && timeout != ROTA__FOREVER && state->has_pwait2;

    return exact ? wait_to_the_nanosecond(state, timeout)
                 : wait_to_the_millisecond(state, timeout);
}

/* No flag here: ask, but not more often than every POLL_INTERVAL. */
static int ask_now_and_then(struct rota__poller *poller)
{
    struct state *state = poller->state;
    int64_t now = rota__clock_now();

    if (now - state->last_asked < POLL_INTERVAL)
        return 0;
    state->last_asked = now;
    return ask(poller, 0);
}

/* The flag is not set: set it, and ask if it came back at once. */
static int set_flag(struct rota__poller *poller)
{
    struct state *state = poller->state;

    if (state->plain_asks > 0) {
        state->plain_asks--;
        return ask(poller, 0);
    }
    if (rota__quiet_set(&state->quiet, state->fd) < 0)
        return ask_now_and_then(poller);
    if (rota__quiet_holds(&state->quiet)) {
        state->misses = 0;
        return 0;
    }
    rota__quiet_take(&state->quiet);
    if (++state->misses >= MISSES)
        state->plain_asks = PLAIN_ASKS;
    return ask(poller, 0);
}

static bool epoll_quiet(const struct rota__poller *poller)
{
    const struct state *state = poller->state;

    return rota__quiet_holds(&state->quiet);
}

/* The turn after a sleep that told something need not ask again. */
static int look(struct rota__poller *poller)
{
    struct state *state = poller->state;
    int n;

    if (state->fresh) {
        state->fresh = false;
        return 0;
    }
    if (rota__likely(rota__quiet_holds(&state->quiet)))
        return 0;
    if (!rota__quiet_is_set(&state->quiet))
        return set_flag(poller);
    n = ask(poller, 0);
    rota__quiet_take(&state->quiet);
    return n;
}

static int epoll_wait_for(struct rota__poller *poller, int64_t timeout)
{
    struct state *state = poller->state;
    int n;

    if (timeout == 0)
        return look(poller);
    n = ask(poller, timeout > 0 ? timeout : 0);
    state->fresh = n > 0 && n < BATCH;
    return n;
}

static void epoll_deliver(struct rota__poller *poller, int count)
{
    struct state *state = poller->state;

    for (int i = 0; i < count; i++)
        rota__poller_report(poller, state->events[i].data.u64,
                            from_epoll(state->events[i].events));
}

const struct rota__poller_ops rota__poller_epoll = {
    .name = "epoll",
    .close_removes = true,
    .open = epoll_open,
    .close = epoll_close,
    .change = epoll_change,
    .quiet = epoll_quiet,
    .wait = epoll_wait_for,
    .deliver = epoll_deliver,
};

#else
typedef int rota__not_linux;
#endif
