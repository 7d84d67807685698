/* SPDX-License-Identifier: MIT */
/*
 * A network that is only simulated
 *
 *     "10.0.0.1"  answers after 0.1 s      {"10.0.0.1", 0.1, 0}
 *     "10.0.0.2"  refuses after 0.1 s      {"10.0.0.2", 0.1, ECONNREFUSED}
 *     "10.0.0.3"  says nothing             {"10.0.0.3", NEVER, 0}
 *     "10.0.0.4"  is refused by connect()  {"10.0.0.4", AT_ONCE, ENETUNREACH}
 *
 * The system's socket calls end here: sockets are fds of the simulated poller,
 * time is virtual. What happens is noted, with the time since the beginning:
 * "10.0.0.1@0.25" is an attempt, "-10.0.0.1@0.50" its end.
 *
 * Include it in one file of a program.
 */
#ifndef TESTS_NETWORK_H
#define TESTS_NETWORK_H

#include "scenario.h"
#include "transport/transport.h"

#include <dlfcn.h>

#define NEVER (-1.0)
#define AT_ONCE (-2.0)
#define NETWORK_SOCKETS 64

struct host {
    const char *name;
    double after;
    int error; /* of errno */
};

struct network_socket {
    struct rota__timer timer;
    const struct host *host; /* once connect() was called */
    bool open;
};

static rota_loop *network_loop;
static const struct host *network_hosts;
static size_t network_host_count;
static struct network_socket network_sockets[NETWORK_SOCKETS];
static int network_open;     /* sockets */
static int network_refusals; /* of socket(), still to come */
static double network_start;

static inline double network_time(void)
{
    return rota_loop_time(network_loop) - network_start;
}

/* The time is noted unless a test has no use for it. */
static inline void network_note(const char *what, const struct host *host)
{
    note("%s%s@%.2f", what, host->name, network_time());
}

static inline struct network_socket *network_find(int fd)
{
    return fd < ROTA__SIM_FD ? NULL : &network_sockets[fd - ROTA__SIM_FD];
}

static inline void network_answer(struct rota__handle *handle)
{
    struct network_socket *self =
        rota__container_of(handle, struct network_socket, timer.handle);
    int fd = ROTA__SIM_FD + (int)(self - network_sockets);

    assert_int_equal(
        rota__sim_set(&network_loop->poller, fd,
                      ROTA__WRITABLE | (self->host->error ? ROTA__HANGUP : 0)),
        0);
}

int socket(int family, int type, int protocol)
{
    int i = 0;

    (void)family;
    (void)type;
    (void)protocol;
    if (network_refusals > 0) {
        network_refusals--;
        errno = EMFILE;
        return -1;
    }
    while (network_sockets[i].open)
        assert_true(++i < NETWORK_SOCKETS);
    network_sockets[i] = (struct network_socket){.open = true};
    rota__timer_init(&network_sockets[i].timer, network_answer);
    network_open++;
    return ROTA__SIM_FD + i;
}

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
    struct network_socket *self = network_find(fd);
    rota_address address = {.size = size};
    char name[64];

    assert_non_null(self);
    memcpy(&address.storage, to, size);
    assert_int_equal(rota_address_host(&address, name, sizeof name), 0);
    for (size_t i = 0; i < network_host_count; i++) {
        if (strcmp(network_hosts[i].name, name) == 0)
            self->host = &network_hosts[i];
    }
    assert_non_null(self->host);
    network_note("", self->host);
    errno = self->host->error;
    if (self->host->after == AT_ONCE)
        return errno ? -1 : 0;
    if (self->host->after >= 0)
        assert_int_equal(rota__timer_arm(network_loop, &self->timer,
                                         rota__now(network_loop) +
                                             rota__to_ns(self->host->after)),
                         0);
    errno = EINPROGRESS;
    return -1;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    assert_true(level == SOL_SOCKET && name == SO_ERROR);
    memcpy(value, &network_find(fd)->host->error, *size);
    return 0;
}

int close(int fd)
{
    struct network_socket *self = network_find(fd);
    void *found = dlsym(RTLD_NEXT, "close");
    int (*system)(int);

    memcpy(&system, &found, sizeof system);
    if (!self)
        return system(fd);
    assert_true(self->open);
    if (self->host)
        network_note("-", self->host);
    rota__timer_cancel(network_loop, &self->timer);
    rota__sim_clear(&network_loop->poller, fd,
                    ROTA__READABLE | ROTA__WRITABLE | ROTA__HANGUP);
    self->open = false;
    network_open--;
    return 0;
}

/* --- What a test does with it --------------------------------------------- */

static struct rota__connect connecting;
static rota_addresses network_addresses;

static inline void network_begin(const struct host *hosts, size_t count)
{
    const rota_loop_options options = {.virtual_clock = true, .poller = "sim"};

    assert_int_equal(rota_new_event_loop(&network_loop, &options), 0);
    network_loop->keep_order = true;
    network_loop->debug = false;
    network_hosts = hosts;
    network_host_count = count;
    network_start = rota_loop_time(network_loop);
    network_addresses.items = rota__alloc(count * sizeof(rota_address));
    assert_non_null(network_addresses.items);
    network_addresses.count = count;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            rota_address_parse(&network_addresses.items[i], hosts[i].name, 80),
            0);
}

/* Every socket must be gone. */
static inline void network_end(void)
{
    assert_int_equal(network_open, 0);
    assert_int_equal(network_loop->poller.watched, 1); /* the loop's own */
    assert_int_equal(rota__heap_count(&network_loop->timers), 0);
    rota_addresses_free(&network_addresses);
    rota_loop_free(network_loop);
}

static inline void network_done(struct rota__connect *self, int result)
{
    if (result == 0)
        note("won@%.2f", network_time());
    else
        note("%s@%.2f", rota_errname(result), network_time());
    rota__connect_cancel(self);
    rota_loop_stop(network_loop);
}

static inline int network_connect(const rota_connect_options *options)
{
    return rota__connect_start(&connecting, network_loop, &network_addresses,
                               options, network_done);
}

static inline void network_run(void)
{
    assert_int_equal(rota_loop_run_forever(network_loop), 0);
}

#endif
