/* SPDX-License-Identifier: MIT */
/*
 * The bare limit: a call on another thread, or in another process
 *
 * One thread takes calls from a stack, all at once, and puts what it has made
 * on another. Who puts something on an empty stack wakes the other side, if it
 * sleeps: the thread by a futex, the loop by an eventfd, which is registered
 * edge-triggered and never read. The process has a socket, and a call is one
 * message each way.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limit.h"
#include "peer.h"

struct call {
    struct call *next;
    long (*function)(long arg);
    long arg, result;
};

static _Atomic(struct call *) asked, done;
static atomic_uint thread_sleeps;
static int epoll, event;

static bool push(_Atomic(struct call *) *stack, struct call *call)
{
    struct call *top = atomic_load(stack);

    do
        call->next = top;
    while (!atomic_compare_exchange_weak(stack, &top, call));
    return top == NULL;
}

static struct call *take_all(_Atomic(struct call *) *stack)
{
    return atomic_exchange(stack, NULL);
}

static void sleep_until_asked(void)
{
    atomic_store(&thread_sleeps, 1);
    if (atomic_load(&asked) == NULL)
        syscall(SYS_futex, &thread_sleeps, FUTEX_WAIT_PRIVATE, 1, NULL);
    atomic_store(&thread_sleeps, 0);
}

static void *thread(void *arg)
{
    (void)arg;
    for (;;) {
        struct call *call = take_all(&asked);

        if (call == NULL)
            sleep_until_asked();
        while (call != NULL) {
            struct call *next = call->next;

            call->result = call->function(call->arg);
            if (push(&done, call))
                eventfd_write(event, 1);
            call = next;
        }
    }
    return NULL;
}

static void ask(struct call *call)
{
    push(&asked, call);
    if (atomic_load(&thread_sleeps) == 1 &&
        atomic_exchange(&thread_sleeps, 0) == 1)
        syscall(SYS_futex, &thread_sleeps, FUTEX_WAKE_PRIVATE, 1);
}

static void start(void)
{
    struct epoll_event what = {.events = EPOLLIN | EPOLLET};
    pthread_t id;

    epoll = epoll_create1(EPOLL_CLOEXEC);
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    peer_check(epoll >= 0 && event >= 0, "no epoll, no eventfd");
    epoll_ctl(epoll, EPOLL_CTL_ADD, event, &what);
    peer_check(pthread_create(&id, NULL, thread, NULL) == 0, "no thread");
}

static long add_one(long arg)
{
    return arg + 1;
}

/* Answers are asked again until all n have been made. */
static void round_trips(long n, int in_flight)
{
    struct call calls[PEER_IN_FLIGHT] = {{.next = NULL}};
    struct epoll_event what;
    long answered = 0, left = n;

    for (int i = 0; i < in_flight; i++, left--) {
        calls[i].function = add_one;
        ask(&calls[i]);
    }
    while (answered < n) {
        struct call *call = take_all(&done);

        if (call == NULL)
            epoll_wait(epoll, &what, 1, -1);
        while (call != NULL) {
            struct call *next = call->next;

            peer_check(call->result == call->arg + 1, "not called");
            call->arg = call->result;
            answered++;
            if (left-- > 0)
                ask(call);
            call = next;
        }
    }
}

static double cpu_of(long n, int in_flight)
{
    int64_t begin;

    start();
    round_trips(PEER_BATCH, in_flight);
    begin = peer_cpu_ns();
    round_trips(n, in_flight);
    return peer_ns_per_op(begin, n);
}

static double wall_of(long n, int in_flight)
{
    int64_t begin;

    start();
    round_trips(PEER_BATCH, in_flight);
    begin = peer_wall_ns();
    round_trips(n, in_flight);
    return peer_wall_ns_per_op(begin, n);
}

double limit_executor_1(long n)
{
    return cpu_of(n, 1);
}

double limit_executor_64(long n)
{
    return cpu_of(n, PEER_IN_FLIGHT);
}

double limit_executor_1_wall(long n)
{
    return wall_of(n, 1);
}

double limit_executor_64_wall(long n)
{
    return wall_of(n, PEER_IN_FLIGHT);
}

/* processes-1 */

static void answer(int fd)
{
    char block[PEER_BLOCK];

    while (read(fd, block, sizeof block) == sizeof block) {
        block[0]++;
        if (write(fd, block, sizeof block) != sizeof block)
            break;
    }
    _exit(0);
}

double limit_processes_1(long n)
{
    struct epoll_event what = {.events = EPOLLIN};
    char block[PEER_BLOCK] = {0};
    int ends[2];
    int64_t begin;

    epoll = epoll_create1(EPOLL_CLOEXEC);
    peer_check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "no socket");
    if (fork() == 0) {
        close(ends[0]);
        answer(ends[1]);
    }
    close(ends[1]);
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &what);
    begin = peer_wall_ns();
    for (long i = 0; i < n; i++) {
        peer_check(write(ends[0], block, sizeof block) > 0, "not asked");
        epoll_wait(epoll, &what, 1, -1);
        peer_check(read(ends[0], block, sizeof block) == sizeof block &&
                       block[0] == (char)(i + 1),
                   "not answered");
    }
    return peer_wall_ns_per_op(begin, n);
}
