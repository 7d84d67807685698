/* SPDX-License-Identifier: MIT */
/*
 * An echo at the level of file descriptors
 *
 * For the peers that only tell when an fd is ready. One step is one recv and
 * one send; what the socket did not take is kept in the connection, which then
 * waits to write instead of to read.
 */
#ifndef BENCH_FDECHO_H
#define BENCH_FDECHO_H

#include <stddef.h>

enum fdecho_next { FDECHO_READ, FDECHO_WRITE, FDECHO_CLOSE };

struct fdecho {
    int fd;
    size_t sent, kept; /* of `rest` */
    char *rest;        /* NULL while nothing is kept */
};

/* Accepts one connection, or returns -1 when there is none. */
int fdecho_accept(int listener);

/* The fd can be read: echo, and return what to wait for next. */
enum fdecho_next fdecho_readable(struct fdecho *echo);

/* The fd can be written: send what was kept. */
enum fdecho_next fdecho_writable(struct fdecho *echo);

void fdecho_close(struct fdecho *echo);

#endif
