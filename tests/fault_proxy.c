/* SPDX-License-Identifier: MIT */
/*
 * The proxy that does harm
 *
 * A link is two sockets and two directions. A direction holds at most one
 * piece: taken from its source, kept until it is due, given to its sink.
 */
#define _GNU_SOURCE
#include "fault_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINKS = 256, PIECE = 65536 };

struct direction {
    struct fault fault;
    int source;
    int sink;
    size_t taken;
    size_t passed;
    size_t held_from;
    size_t held_to;
    double due; /* when what is held may go on */
    bool happened;
    bool ended;
    char held[PIECE];
};

struct link {
    struct direction up;
    struct direction down;
};

struct fault_proxy {
    int listener;
    rota_address target;
    rota_address address;
    struct fault_plan plan;
    uint64_t random;
    struct link *links[LINKS]; /* NULL: none */
    size_t gone_up;
    size_t gone_down;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "fault proxy: error: Failure! %s: %s\n", what,
            strerror(errno));
    abort();
}

static int check(int result, const char *what)
{
    if (result < 0)
        die(what);
    return result;
}

static uint64_t draw(struct fault_proxy *proxy)
{
    proxy->random ^= proxy->random << 13;
    proxy->random ^= proxy->random >> 7;
    proxy->random ^= proxy->random << 17;
    return proxy->random;
}

/* --- Opening ------------------------------------------------------------ */

static struct sockaddr *raw(rota_address *address)
{
    return (struct sockaddr *)&address->storage;
}

static int new_socket(int family)
{
    return check(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
}

static void narrow(int fd, int room)
{
    if (room == 0)
        return;
    check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), "room");
    check(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), "room");
}

/* Where the target is, at another port. A Unix socket that is bound to
   nothing but its family gets a free name. */
static void listen_beside(struct fault_proxy *proxy)
{
    sa_family_t family = proxy->target.storage.ss_family;
    socklen_t size = sizeof family;

    proxy->address = proxy->target;
    if (family == AF_INET) {
        size = sizeof(struct sockaddr_in);
        ((struct sockaddr_in *)&proxy->address.storage)->sin_port = 0;
    }
    proxy->listener = new_socket(family);
    narrow(proxy->listener, proxy->plan.room);
    check(bind(proxy->listener, raw(&proxy->address), size), "bind");
    check(listen(proxy->listener, LINKS), "listen");
    check(fcntl(proxy->listener, F_SETFL, O_NONBLOCK), "fcntl");
    proxy->address.size = sizeof proxy->address.storage;
    check(getsockname(proxy->listener, raw(&proxy->address),
                      &proxy->address.size),
          "getsockname");
}

struct fault_proxy *fault_proxy_open(const rota_address *target,
                                     const struct fault_plan *plan)
{
    struct fault_proxy *proxy = calloc(1, sizeof *proxy);

    if (!proxy)
        die("calloc");
    proxy->target = *target;
    proxy->random = plan->seed + UINT64_C(0x9e3779b97f4a7c15);
    fault_proxy_set_plan(proxy, plan);
    listen_beside(proxy);
    return proxy;
}

void fault_proxy_address(const struct fault_proxy *proxy, rota_address *out)
{
    *out = proxy->address;
}

void fault_proxy_set_plan(struct fault_proxy *proxy,
                          const struct fault_plan *plan)
{
    proxy->plan = *plan;
}

/* --- The end of a link -------------------------------------------------- */

static void reset_on_close(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), "linger");
}

static void drop(struct fault_proxy *proxy, int i, bool reset)
{
    struct link *link = proxy->links[i];

    if (reset) {
        reset_on_close(link->up.source);
        reset_on_close(link->up.sink);
    }
    proxy->gone_up += link->up.passed;
    proxy->gone_down += link->down.passed;
    close(link->up.source);
    close(link->up.sink);
    free(link);
    proxy->links[i] = NULL;
}

void fault_proxy_close(struct fault_proxy *proxy)
{
    for (int i = 0; i < LINKS; i++)
        if (proxy->links[i])
            drop(proxy, i, false);
    close(proxy->listener);
    free(proxy);
}

/* --- Accepting ---------------------------------------------------------- */

static void prepare(int fd, sa_family_t family)
{
    int one = 1;

    check(fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
    if (family == AF_INET)
        check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one),
              "TCP_NODELAY");
}

static void begin(struct direction *direction, const struct fault *fault,
                  int source, int sink)
{
    direction->fault = *fault;
    direction->source = source;
    direction->sink = sink;
}

/* False if nobody wanted in. */
static bool accept_one(struct fault_proxy *proxy)
{
    sa_family_t family = proxy->target.storage.ss_family;
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    int server;
    int i = 0;

    if (client < 0)
        return false;
    server = new_socket(family);
    narrow(server, proxy->plan.room);
    if (connect(server, raw(&proxy->target), proxy->target.size) < 0) {
        reset_on_close(client);
        close(client);
        close(server);
        return true;
    }
    while (i < LINKS && proxy->links[i])
        i++;
    if (i == LINKS || !(proxy->links[i] = calloc(1, sizeof(struct link))))
        die("too many links");
    prepare(client, family);
    prepare(server, family);
    narrow(client, proxy->plan.room);
    begin(&proxy->links[i]->up, &proxy->plan.up, client, server);
    begin(&proxy->links[i]->down, &proxy->plan.down, server, client);
    return true;
}

/* --- Handing on --------------------------------------------------------- */

enum outcome { IDLE, MOVED, OVER, BROKEN };

static size_t next_piece(struct fault_proxy *proxy, struct direction *d)
{
    const struct fault *fault = &d->fault;
    size_t size = sizeof d->held;

    if (fault->piece > 0 && fault->piece < size)
        size = fault->piece;
    if (fault->ragged)
        size = 1 + (size_t)draw(proxy) % size;
    if (d->taken < fault->split && fault->split - d->taken < size)
        size = fault->split - d->taken;
    if (fault->event && !d->happened && fault->at - d->taken < size)
        size = fault->at - d->taken;
    return size;
}

static double time_of_a_piece(struct fault_proxy *proxy, const struct fault *f)
{
    double share = (double)(draw(proxy) >> 11) / 9007199254740992.0;

    return f->delay + f->jitter * share;
}

static enum outcome happen(struct direction *d, double now)
{
    d->happened = true;
    switch (d->fault.event) {
    case FAULT_STALL:
        d->due = now + d->fault.stall;
        return MOVED;
    case FAULT_END:
        d->ended = true;
        shutdown(d->sink, SHUT_WR);
        return MOVED;
    case FAULT_CUT:
        return OVER;
    default:
        return BROKEN;
    }
}

static enum outcome take(struct fault_proxy *proxy, struct direction *d,
                         double now)
{
    ssize_t n = recv(d->source, d->held, next_piece(proxy, d), 0);

    if (n < 0)
        return errno == EAGAIN ? IDLE : BROKEN;
    if (n == 0) {
        d->ended = true;
        shutdown(d->sink, SHUT_WR);
        return MOVED;
    }
    d->taken += (size_t)n;
    d->held_from = 0;
    d->held_to = (size_t)n;
    d->due = now + time_of_a_piece(proxy, &d->fault);
    return MOVED;
}

static enum outcome give(struct direction *d)
{
    ssize_t n = send(d->sink, d->held + d->held_from, d->held_to - d->held_from,
                     MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN ? IDLE : BROKEN;
    d->held_from += (size_t)n;
    d->passed += (size_t)n;
    return MOVED;
}

static enum outcome move(struct fault_proxy *proxy, struct direction *d,
                         double now)
{
    enum outcome outcome;

    if (now < d->due)
        return IDLE;
    if (d->ended) {
        bool more = recv(d->source, d->held, sizeof d->held, 0) > 0;

        return more ? MOVED : IDLE; /* and dropped */
    }
    if (d->held_from == d->held_to) {
        if (d->fault.event && !d->happened && d->taken == d->fault.at)
            return happen(d, now);
        outcome = take(proxy, d, now);
        if (outcome != MOVED || d->ended || now < d->due)
            return outcome;
    }
    return give(d);
}

static bool step_link(struct fault_proxy *proxy, int i, double now)
{
    struct link *link = proxy->links[i];
    enum outcome up = move(proxy, &link->up, now);
    enum outcome down = up > MOVED ? IDLE : move(proxy, &link->down, now);
    enum outcome outcome = up > down ? up : down;

    if (outcome == OVER || outcome == BROKEN)
        drop(proxy, i, outcome == BROKEN);
    else if (link->up.ended && link->down.ended)
        drop(proxy, i, false);
    return outcome != IDLE;
}

bool fault_proxy_step(struct fault_proxy *proxy, double now)
{
    bool moved = false;

    while (accept_one(proxy))
        moved = true;
    for (int i = 0; i < LINKS; i++)
        if (proxy->links[i])
            moved |= step_link(proxy, i, now);
    return moved;
}

/* --- Looking at it ------------------------------------------------------ */

size_t fault_proxy_passed_up(const struct fault_proxy *proxy)
{
    size_t sum = proxy->gone_up;

    for (int i = 0; i < LINKS; i++)
        sum += proxy->links[i] ? proxy->links[i]->up.passed : 0;
    return sum;
}

size_t fault_proxy_passed_down(const struct fault_proxy *proxy)
{
    size_t sum = proxy->gone_down;

    for (int i = 0; i < LINKS; i++)
        sum += proxy->links[i] ? proxy->links[i]->down.passed : 0;
    return sum;
}

int fault_proxy_links(const struct fault_proxy *proxy)
{
    int count = 0;

    for (int i = 0; i < LINKS; i++)
        count += proxy->links[i] != NULL;
    return count;
}
