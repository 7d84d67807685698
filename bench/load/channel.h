/* SPDX-License-Identifier: MIT */
/*
 * A channel of the load: a connection to the server, of whatever kind
 *
 * TCP, a Unix socket, UDP (a socket connected to the server) or TLS, by one
 * set of calls. A channel is opened by blocking; afterwards nothing blocks. A
 * fault ends the program: a figure must never be of work undone.
 */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum channel_kind {
    CHANNEL_TCP,
    CHANNEL_UNIX,
    CHANNEL_UDP,
    CHANNEL_TLS,
    CHANNEL_KINDS,
};

struct channel {
    enum channel_kind kind;
    int fd;
    void *tls; /* an SSL, or NULL */
};

/* The kind of a name, or CHANNEL_KINDS. */
enum channel_kind channel_kind(const char *name);

/* `at` is a port of 127.0.0.1, or the path of a Unix socket. */
void channel_open(struct channel *channel, enum channel_kind kind,
                  const char *at);

/* How much was taken, which may be nothing. */
size_t channel_send(struct channel *channel, const char *data, size_t size);

/* How much has come, which may be nothing. An end is a fault. */
size_t channel_receive(struct channel *channel, char *buf, size_t size);

/* Says goodbye, where there is a way to, and closes. */
void channel_close(struct channel *channel);

/* Closes by a reset, after which the port is free at once. */
void channel_reset(struct channel *channel);

/* Whether bytes have left the socket that nobody has received yet. */
bool channel_pending(const struct channel *channel);

/* The same for TLS: channel_tls.c. */
void tls_open(struct channel *channel);
size_t tls_send(struct channel *channel, const char *data, size_t size);
size_t tls_receive(struct channel *channel, char *buf, size_t size);
bool tls_pending(const struct channel *channel);
void tls_close(struct channel *channel);

/* What all the programs of the load share. */
_Noreturn void load_fail(const char *what); /* with what errno says */
double load_now(void);                      /* seconds, monotonic */

#endif
