/* SPDX-License-Identifier: MIT */
/*
 * The services of the peer libuv: see peer.h for what they are
 */
#ifndef BENCH_LIBUV_NET_H
#define BENCH_LIBUV_NET_H

void libuv_echo(const char *port, const char *what);
void libuv_unix(const char *path, const char *what);
void libuv_udp(const char *port, const char *what);
void libuv_http(const char *port, const char *folder);

#endif
