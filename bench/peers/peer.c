/* SPDX-License-Identifier: MIT */
/*
 * What all the C peers share: see peer.h
 */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * PEER_NS_PER_S + now.tv_nsec;
}

int64_t peer_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t peer_wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

double peer_ns_per_op(int64_t cpu_start, long n)
{
    return (double)(peer_cpu_ns() - cpu_start) / (double)n;
}

double peer_wall_ns_per_op(int64_t wall_start, long n)
{
    return (double)(peer_wall_ns() - wall_start) / (double)n;
}

double peer_mib_per_s(int64_t wall_start, long bytes)
{
    double s = (double)(peer_wall_ns() - wall_start) / PEER_NS_PER_S;

    return (double)bytes / (1 << 20) / s;
}

static uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int64_t *peer_delays(long n, int64_t from, int64_t span)
{
    int64_t *delays = peer_alloc(n, sizeof *delays);
    uint64_t dice = 88172645463325252u;

    for (long i = 0; i < n; i++)
        delays[i] = from + (int64_t)(xorshift(&dice) % (uint64_t)span);
    return delays;
}

long *peer_order(long n)
{
    long *order = peer_alloc(n, sizeof *order);
    uint64_t dice = 2463534242u;

    for (long i = 0; i < n; i++) {
        long j = (long)(xorshift(&dice) % (uint64_t)(i + 1));

        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

void peer_sleep_until(int64_t wall)
{
    struct timespec until = {.tv_sec = wall / PEER_NS_PER_S,
                             .tv_nsec = wall % PEER_NS_PER_S};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        continue;
}

size_t peer_resident(void)
{
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");

    peer_check(statm != NULL, "cannot open /proc/self/statm");
    peer_check(fscanf(statm, "%*u %zu", &pages) == 1, "cannot read statm");
    fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void *peer_alloc(long n, size_t size)
{
    volatile char *memory = calloc((size_t)n, size);

    peer_check(memory != NULL, "out of memory");
    for (size_t i = 0; i < (size_t)n * size; i += 4096)
        memory[i] = 0; /* a compiler may leave memset() out after this */
    return (void *)memory;
}

void peer_fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static int bound_socket(int type, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    peer_check(fd >= 0, "no socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    peer_check(bind(fd, (struct sockaddr *)&at, sizeof at) == 0, "bind failed");
    return fd;
}

int peer_listen(int port)
{
    int fd = bound_socket(SOCK_STREAM, port);

    peer_check(listen(fd, SOMAXCONN) == 0, "listen failed");
    return fd;
}

int peer_listen_unix(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    peer_check(fd >= 0, "no socket");
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    peer_check(bind(fd, (struct sockaddr *)&at, sizeof at) == 0, "bind failed");
    peer_check(listen(fd, SOMAXCONN) == 0, "listen failed");
    return fd;
}

int peer_udp(int port)
{
    return bound_socket(SOCK_DGRAM, port);
}

static int run_work(const struct peer_work *work, const char *n)
{
    long count = n != NULL ? atol(n) : work->n;

    peer_check(count > 0, "N is not a number");
    printf("%s %.3f\n", work->name, work->run(count));
    fflush(stdout);
    _exit(0); /* whatever still sleeps is not waited for */
}

int peer_main(int argc, char **argv, const struct peer_work *works,
              const struct peer_service *services)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s WORK [N] | SERVICE AT [WHAT]\n", argv[0]);
        return 2;
    }
    for (; works->name != NULL; works++)
        if (strcmp(works->name, argv[1]) == 0)
            return run_work(works, argv[2]);
    for (; services != NULL && services->name != NULL; services++)
        if (argc > 2 && strcmp(services->name, argv[1]) == 0) {
            signal(SIGPIPE, SIG_IGN);
            services->serve(argv[2], argv[3]);
            return 1;
        }
    printf("%s unsupported\n", argv[1]);
    return PEER_UNSUPPORTED;
}
