/* SPDX-License-Identifier: MIT */
/*
 * The bare limit's services, and its works that are not in limit.c
 *
 * One level-triggered epoll loop, and what every service says: how a
 * connection is made, and what to do when it is ready. See peer.h for what the
 * services are.
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stdint.h>

struct limit_service {
    /* Makes a connection of an accepted fd, which begins with a struct
       limit_connection; NULL: the fd was closed. */
    void *(*made)(int fd);
    /* It is ready; returns what to wait for next, 0 when it is freed. */
    uint32_t (*ready)(void *connection);
    uint32_t first; /* what to wait for at first */
};

struct limit_connection {
    int fd;
    uint32_t events; /* what is waited for */
};

_Noreturn void limit_serve(int listener, const struct limit_service *service);

void limit_echo(const char *port, const char *what);
void limit_unix(const char *path, const char *what);
void limit_udp(const char *port, const char *what);
void limit_write(const char *port, const char *bytes);
void limit_sendfile(const char *port, const char *file);
void limit_tls(const char *port, const char *pem);

double limit_executor_1(long n);
double limit_executor_64(long n);
double limit_executor_1_wall(long n);
double limit_executor_64_wall(long n);
double limit_processes_1(long n);
double limit_child_1(long n);
double limit_child_big(long n);
double limit_child_1000(long n);
double limit_pipe_out(long n);
double limit_pipe_in(long n);
double limit_pipe_both(long n);
double limit_file_pread(long n);
double limit_file_small(long n);
double limit_file_sync(long n);
double limit_signal(long n);

#endif
