/* SPDX-License-Identifier: MIT */
/*
 * What all the C peers share: the command line, the clock, the dice
 *
 * A peer is a table of works and a table of services. `PROG WORK [N]` looks
 * WORK up, runs it for N operations and prints the figure that it returns: CPU
 * nanoseconds an operation, set-up and tear-down left out. `PROG SERVICE AT
 * [WHAT]` serves until SIGTERM. What a peer has not is not in its tables, and
 * is answered with "unsupported" and status 3.
 *
 *   echo PORT           each connection gets back what it sends, by TCP
 *   relay PORT          the same, for one connection that sends without a stop
 *   unix PATH           by a Unix socket
 *   udp PORT            each datagram goes back to whom it came from
 *   tls PORT PEM        by TLS; the file has the key and the certificate
 *   write PORT BYTES    sends as many bytes, in chunks of 64 KiB, and closes
 *   sendfile PORT FILE  sends a file and closes
 *   http PORT FOLDER    GET with keep-alive
 *
 * The timers' deadlines come from one fixed seed, so that every peer is given
 * the same ones, in the same order.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PEER_UNSUPPORTED = 3, /* exit status */
    PEER_BATCH = 1000,    /* callbacks a turn of call_soon, tasks alive */
    PEER_CHURN = 10000,   /* timers alive while one after another moves */
    PEER_TURN = 100,      /* of those, how many move between clock reads */
    PEER_TIMEOUT_S = 60,  /* how far ahead they move */
    PEER_MILLION = 1000000,
    PEER_SLEEPERS = 100000,
    PEER_IN_FLIGHT = 64,   /* calls to an executor at once */
    PEER_BLOCK = 64,       /* bytes of a call to a process */
    PEER_CHUNK = 65536,    /* bytes of a read or write of a pipe */
    PEER_PAGE = 4096,      /* of a file that is read or written */
    PEER_PAGES = 256,      /* pages of that file */
    PEER_FILES = 1000,     /* small files */
    PEER_FILE_SIZE = 1024, /* bytes of each */
    PEER_PATH = 256,       /* room for the path of one */
};

#define PEER_BIG (512L << 20) /* bytes touched by a parent with much memory */
#define PEER_PIPED (1L << 30) /* bytes through a child's pipes */

#define PEER_NS_PER_MS INT64_C(1000000)
#define PEER_NS_PER_S INT64_C(1000000000)

/* Timers that are armed and cancelled: due in 1 to 1000 s. */
#define PEER_FAR_FROM (1 * PEER_NS_PER_S)
#define PEER_FAR_SPAN (999 * PEER_NS_PER_S)

/*
 * Timers that fire: due in 1 to 51 ms. All are armed, then the thread sleeps
 * until the last is due, and only then the clock starts and the loop runs: the
 * figure is the firing alone, without wake-ups in between.
 */
#define PEER_NEAR_FROM (1 * PEER_NS_PER_MS)
#define PEER_NEAR_SPAN (50 * PEER_NS_PER_MS)
#define PEER_ALL_DUE (60 * PEER_NS_PER_MS)

struct peer_work {
    const char *name;
    double (*run)(long n);
    long n; /* when the command line gives none */
};

struct peer_service {
    const char *name;
    void (*serve)(const char *at, const char *what); /* does not return */
};

/* Both tables end with an empty row; services may be NULL. */
int peer_main(int argc, char **argv, const struct peer_work *works,
              const struct peer_service *services);

int64_t peer_cpu_ns(void);  /* CPU time of this process */
int64_t peer_wall_ns(void); /* monotonic */
double peer_ns_per_op(int64_t cpu_start, long n);
double peer_wall_ns_per_op(int64_t wall_start, long n);
double peer_mib_per_s(int64_t wall_start, long bytes);

/* `n` delays in [from, from + span) nanoseconds; free() them. */
int64_t *peer_delays(long n, int64_t from, int64_t span);

/* 0 to n - 1, shuffled; free() it. */
long *peer_order(long n);

/* Sleeps, without spinning, until `wall` on the monotonic clock. */
void peer_sleep_until(int64_t wall);

/* Resident bytes of this process. */
size_t peer_resident(void);

/* Zeroed and touched, or the program ends. */
void *peer_alloc(long n, size_t size);

/*
 * The children of the pipes: commands for /bin/sh, with what BENCH_CHILD holds
 * before them (`taskset -c 0`). They write as many bytes, or read them all, or
 * pass them on; free() it.
 */
char *peer_child_that_writes(long bytes);
char *peer_child_that_reads(void);
char *peer_child_that_passes_on(void);

/* The fd of a file of PEER_PAGES that has no name, in TMPDIR. */
int peer_file(void);

/* Small files, in a folder in TMPDIR; the path of one of them. */
void peer_files_make(void);
void peer_files_path(char path[PEER_PATH], long i);
void peer_files_remove(void);

void peer_fail(const char *what) __attribute__((noreturn));

/* Ends the program when `ok` is false: a figure must never be of work undone */
static inline void peer_check(bool ok, const char *what)
{
    if (!ok)
        peer_fail(what);
}

/* Non-blocking sockets, on 127.0.0.1 or a path, or the program ends. */
int peer_listen(int port);
int peer_listen_unix(const char *path);
int peer_udp(int port);

#endif
