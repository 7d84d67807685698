/* SPDX-License-Identifier: MIT */
/*
 * The simulated poller
 *
 * Under it a test decides what is ready: fds from ROTA__SIM_FD up exist only
 * here, and rota__sim_set() says what is true of them. Real fds work too, by
 * poll(2), so that the whole test-suite runs on it. It never waits while an
 * event is due, and the loop that uses it has a virtual clock.
 */
#include "os/os.h"
#include "os/poll_set.h"

struct source {
    int fd;
    unsigned asked; /* READABLE, WRITABLE, EDGE, ONCE */
    unsigned true_now;
    unsigned told; /* edges that have been reported */
};

struct state {
    struct rota__poll_set real;
    int real_count; /* of the last wait */
    struct source *sources;
    size_t count;
    size_t capacity;
};

static struct source *find(const struct state *state, int fd)
{
    for (size_t i = 0; i < state->count; i++)
        if (state->sources[i].fd == fd)
            return &state->sources[i];
    return NULL;
}

static struct source *find_or_add(struct state *state, int fd)
{
    struct source *source = find(state, fd);

    if (source)
        return source;
    if (state->count == state->capacity) {
        size_t capacity = state->capacity ? state->capacity * 2 : 8;

        source = rota__realloc(state->sources, capacity * sizeof *source);
        if (!source)
            return NULL;
        state->sources = source;
        state->capacity = capacity;
    }
    source = &state->sources[state->count++];
    *source = (struct source){.fd = fd};
    return source;
}

static int sim_open(struct rota__poller *poller)
{
    poller->state = rota__zalloc(sizeof(struct state));
    return poller->state ? 0 : -ENOMEM;
}

static void sim_close(struct rota__poller *poller)
{
    struct state *state = poller->state;

    rota__poll_set_fini(&state->real);
    rota__free(state->sources);
    rota__free(state);
}

static int sim_change(struct rota__poller *poller, int fd, unsigned old,
                      unsigned events)
{
    struct state *state = poller->state;
    struct source *source;

    (void)old;
    if (fd < ROTA__SIM_FD)
        return rota__poll_set_change(&state->real, fd, events);
    source = find_or_add(state, fd);
    if (!source)
        return -ENOMEM;
    source->asked = events;
    source->told = 0;
    return 0;
}

static void sim_drained(struct rota__poller *poller, int fd, unsigned events)
{
    struct state *state = poller->state;
    struct source *source = find(state, fd);

    if (source)
        source->told &= ~events;
    else
        rota__poll_set_rearm(&state->real, fd, events);
}

int rota__sim_set(struct rota__poller *poller, int fd, unsigned events)
{
    struct source *source;

    if (poller->ops != &rota__poller_sim || fd < ROTA__SIM_FD)
        return -EINVAL;
    source = find_or_add(poller->state, fd);
    if (!source)
        return -ENOMEM;
    source->true_now |= events;
    return 0;
}

int rota__sim_clear(struct rota__poller *poller, int fd, unsigned events)
{
    struct source *source;

    if (poller->ops != &rota__poller_sim || fd < ROTA__SIM_FD)
        return -EINVAL;
    source = find(poller->state, fd);
    if (source) {
        source->true_now &= ~events;
        source->told &= ~events;
    }
    return 0;
}

static unsigned due(const struct source *source)
{
    unsigned wanted = source->asked & (ROTA__READABLE | ROTA__WRITABLE);

    if (source->asked)
        wanted |= ROTA__HANGUP;
    return source->true_now & wanted & ~source->told;
}

static int count_due(const struct state *state)
{
    int n = 0;

    for (size_t i = 0; i < state->count; i++)
        n += due(&state->sources[i]) != 0;
    return n;
}

static void deliver_simulated(struct rota__poller *poller)
{
    struct state *state = poller->state;

    for (size_t i = 0; i < state->count; i++) {
        struct source *source = &state->sources[i];
        unsigned events = due(source);

        if (!events)
            continue;
        if (source->asked & ROTA__EDGE)
            source->told |= events;
        if (source->asked & ROTA__ONCE)
            source->asked = 0;
        rota__poller_report(poller, rota__poller_tag(poller, source->fd),
                            events);
    }
}

static int sim_wait(struct rota__poller *poller, int64_t timeout)
{
    struct state *state = poller->state;
    int simulated = count_due(state);
    int real = rota__poll_set_wait(&state->real, simulated ? 0 : timeout);

    state->real_count = real > 0 ? real : 0;
    return simulated ? simulated + state->real_count : real;
}

static void sim_deliver(struct rota__poller *poller, int count)
{
    struct state *state = poller->state;

    (void)count;
    deliver_simulated(poller);
    rota__poll_set_deliver(&state->real, poller, state->real_count);
}

const struct rota__poller_ops rota__poller_sim = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .change = sim_change,
    .drained = sim_drained,
    .wait = sim_wait,
    .deliver = sim_deliver,
};
