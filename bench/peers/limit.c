/* SPDX-License-Identifier: MIT */
/*
 * The bare limit: what the work costs with no library at all
 *
 *   call_soon  an intrusive queue of functions, popped and called
 *   rss        one touched page a sleeping task, in a NORESERVE mapping
 *   switch     stack pointer and program counter exchanged (x86-64), and the
 *              compiler saves what is live
 *
 * Timers have no row: without a heap there is nothing to measure. Other works
 * are in limit_executor.c, limit_child.c and limit_file.c, the services in
 * limit_net.c, limit_send.c and limit_tls.c.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "limit.h"
#include "peer.h"

/* call_soon */

struct callback {
    void (*run)(struct callback *callback);
    struct callback *next;
};

static struct callback *ready, **ready_tail = &ready;
static long calls;

static void count_call(struct callback *callback)
{
    (void)callback;
    calls++;
}

static void schedule(struct callback *callback)
{
    callback->next = NULL;
    *ready_tail = callback;
    ready_tail = &callback->next;
}

static void run_ready(void)
{
    while (ready != NULL) {
        struct callback *callback = ready;

        ready = callback->next;
        if (ready == NULL)
            ready_tail = &ready;
        callback->run(callback);
    }
}

static double call_soon(long n)
{
    struct callback *batch = peer_alloc(PEER_BATCH, sizeof *batch);
    long rounds = n / PEER_BATCH;
    int64_t start;
    double ns;

    for (long i = 0; i < PEER_BATCH; i++)
        batch[i].run = count_call;
    start = peer_cpu_ns();
    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < PEER_BATCH; i++)
            schedule(&batch[i]);
        run_ready();
    }
    ns = peer_ns_per_op(start, rounds * PEER_BATCH);
    peer_check(calls == rounds * PEER_BATCH, "a callback did not run");
    free(batch);
    return ns;
}

/* rss */

static double rss(long n)
{
    size_t stack = 65536, before = peer_resident();
    char *stacks = mmap(NULL, (size_t)n * stack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    peer_check(stacks != MAP_FAILED, "mmap failed");
    madvise(stacks, (size_t)n * stack, MADV_NOHUGEPAGE);
    for (long i = 0; i < n; i++)
        stacks[(size_t)(i + 1) * stack - 1] = 1;
    return (double)(peer_resident() - before) / (double)n;
}

/* switch */

#ifdef __x86_64__

static void *other_sp, *other_pc;

/*
 * Goes where the other side left off and leaves our own place behind. Every
 * register is declared lost, so the compiler keeps what it needs on the stack;
 * the frame pointer cannot be declared and is pushed.
 */
static inline void exchange(void)
{
    __asm__ volatile("push %%rbp\n\t"
                     "mov %0, %%rax\n\t"
                     "mov %1, %%rcx\n\t"
                     "lea 1f(%%rip), %%rdx\n\t"
                     "mov %%rsp, %0\n\t"
                     "mov %%rdx, %1\n\t"
                     "mov %%rax, %%rsp\n\t"
                     "jmp *%%rcx\n"
                     "1:\n\t"
                     "pop %%rbp\n\t"
                     : "+m"(other_sp), "+m"(other_pc)
                     :
                     : "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9",
                       "r10", "r11", "r12", "r13", "r14", "r15", "cc",
                       "memory");
}

static void other_side(void)
{
    for (;;)
        exchange();
}

static double raw_switch(long n)
{
    static char stack[16384] __attribute__((aligned(16)));
    int64_t start;

    other_sp = stack + sizeof stack - 8; /* as after a call */
    other_pc = (void *)(uintptr_t)other_side;
    exchange();
    start = peer_cpu_ns();
    for (long i = 0; i < n; i += 2)
        exchange();
    return peer_ns_per_op(start, n);
}

#endif

int main(int argc, char **argv)
{
    static const struct peer_work works[] = {
#ifdef __x86_64__
        {"switch", raw_switch, 200000000},
#endif
        {"call_soon", call_soon, 200000000},
        {"rss", rss, PEER_SLEEPERS},
        {"executor-1", limit_executor_1, 200000},
        {"executor-64", limit_executor_64, 1000000},
        {"executor-1-wall", limit_executor_1_wall, 100000},
        {"executor-64-wall", limit_executor_64_wall, 500000},
        {"processes-1", limit_processes_1, 50000},
        {"child-1", limit_child_1, 1000},
        {"child-big", limit_child_big, 1000},
        {"child-1000", limit_child_1000, PEER_BATCH},
        {"pipe-out", limit_pipe_out, PEER_PIPED},
        {"pipe-in", limit_pipe_in, PEER_PIPED},
        {"pipe-both", limit_pipe_both, PEER_PIPED},
        {"file-pread", limit_file_pread, 1000000},
        {"file-small", limit_file_small, 50000},
        {"file-sync", limit_file_sync, 200},
        {"signal", limit_signal, 200000},
        {NULL, NULL, 0},
    };
    static const struct peer_service services[] = {
        {"echo", limit_echo},   {"relay", limit_echo},
        {"unix", limit_unix},   {"udp", limit_udp},
        {"write", limit_write}, {"sendfile", limit_sendfile},
#ifdef BENCH_TLS
        {"tls", limit_tls},
#endif
        {NULL, NULL},
    };

    return peer_main(argc, argv, works, services);
}
