/* SPDX-License-Identifier: MIT */
/*
 * A proxy that does harm
 *
 * It stands between a client and a server and hands bytes on, each direction
 * by a plan of its own: in pieces, late, up to a byte at which something
 * happens. It knows nothing of rota: bare sockets and a clock that its user
 * gives it, so that under virtual time a run is the same each time.
 *
 *     client --> [listener] up --> server
 *            <--           down <--
 *
 * fault_proxy_step() does what is due and never waits. What a piece's reader
 * does with it, it does before the next step, if the user steps when all else
 * is idle: proxied.h does.
 */
#ifndef TESTS_FAULT_PROXY_H
#define TESTS_FAULT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rota/address.h>

enum fault_event {
    FAULT_NONE,
    FAULT_STALL, /* nothing is handed on, or taken, for `stall` seconds */
    FAULT_END,   /* the receiver sees an orderly end; the rest is dropped */
    FAULT_CUT,   /* both connections are closed */
    FAULT_RESET, /* both connections are reset */
};

/* What happens to one direction; all zero: nothing. */
struct fault {
    size_t piece;  /* at most so many bytes in one step; 0: any number */
    bool ragged;   /* pieces of 1 to `piece` bytes */
    size_t split;  /* and a piece ends exactly here */
    double delay;  /* seconds that each piece takes */
    double jitter; /* and up to so many more */
    size_t at;     /* once so many bytes have passed ... */
    enum fault_event event;
    double stall; /* INFINITY: for ever */
};

struct fault_plan {
    struct fault up; /* from the client to the server */
    struct fault down;
    uint64_t seed; /* of ragged pieces and jitter */
    int room;      /* of its sockets' buffers; 0: what is usual */
};

struct fault_proxy;

/* Listens on loopback, or on an abstract Unix socket if `target` is one. */
struct fault_proxy *fault_proxy_open(const rota_address *target,
                                     const struct fault_plan *plan);
void fault_proxy_address(const struct fault_proxy *proxy, rota_address *out);
/* Connections made later follow another plan. */
void fault_proxy_set_plan(struct fault_proxy *proxy,
                          const struct fault_plan *plan);
/* True if anything has happened. */
bool fault_proxy_step(struct fault_proxy *proxy, double now);
/* Of all connections, that have reached the other side. */
size_t fault_proxy_passed_up(const struct fault_proxy *proxy);
size_t fault_proxy_passed_down(const struct fault_proxy *proxy);
/* Connections that are still there. */
int fault_proxy_links(const struct fault_proxy *proxy);
/* Closes everything, with an orderly end where there is one. */
void fault_proxy_close(struct fault_proxy *proxy);

#endif
