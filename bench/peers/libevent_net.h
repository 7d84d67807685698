/* SPDX-License-Identifier: MIT */
/*
 * The services of the peer libevent: see peer.h for what they are
 */
#ifndef BENCH_LIBEVENT_NET_H
#define BENCH_LIBEVENT_NET_H

void libevent_echo(const char *port, const char *what);
void libevent_tls(const char *port, const char *pem);

#endif
