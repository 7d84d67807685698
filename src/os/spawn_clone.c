/* SPDX-License-Identifier: MIT */
/*
 * Spawn by clone (Linux): the child in our memory, while we stand still
 *
 * As vfork does it, but on a stack of its own. Best by clone3(), which also
 * gives it default actions for all signals that have handlers: so none of ours
 * can run in it, and neither must they be blocked, nor it ask for each of 64.
 *
 *     CLONE3 --refused--> CLONE --refused--> NO_PIDFD --refused--> FORK
 *
 * A way that the system refuses (old, or a sandbox) is not tried again. What
 * emulates a system may hand out a copy of our memory instead, and errors would
 * be lost; so the first child of all only says whether it is in ours.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/spawn_plan.h"

#if defined(__linux__)

#include "os/context.h"
#include "os/valgrind.h"
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#define BORROWED (CLONE_VM | CLONE_VFORK)
#define NO_HANDLERS 0x100000000u /* CLONE_CLEAR_SIGHAND */

enum way { UNKNOWN, CLONE3, CLONE, NO_PIDFD, FORK };

static atomic_int best_way;
static atomic_bool known_to_share;

/* Who is born, and what it does. */
struct birth {
    void (*run)(void *arg);
    void *arg;
    char *stack;
    size_t stack_size;
    int exit_signal; /* 0: nobody's waitpid(-1) finds it */
};

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid;
    uint64_t exit_signal, stack, stack_size, tls;
};

#if defined(__x86_64__)
static long call_clone3(const struct clone3_args *args,
                        const struct birth *birth)
{
    long result;

    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "movq %%rbx, %%rdi\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "callq *%%rdx\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)SYS_clone3), "D"(args), "S"(sizeof *args),
                       "d"(birth->run), "b"(birth->arg)
                     : "rcx", "r11", "memory", "cc");
    return result;
}
#elif defined(__aarch64__)
static long call_clone3(const struct clone3_args *args,
                        const struct birth *birth)
{
    register long number __asm__("x8") = SYS_clone3;
    register uintptr_t first __asm__("x0") = (uintptr_t)args;
    register size_t size __asm__("x1") = sizeof *args;
    register uintptr_t run __asm__("x2") = (uintptr_t)birth->run;
    register void *arg __asm__("x3") = birth->arg;

    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x3\n\t"
                     "blr x2\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(first)
                     : "r"(number), "r"(size), "r"(run), "r"(arg)
                     : "memory", "cc");
    return (long)first;
}
#else
static long call_clone3(const struct clone3_args *args,
                        const struct birth *birth)
{
    (void)args;
    (void)birth;
    return -ENOSYS;
}
#endif

static int by_clone3(const struct birth *birth, struct rota__process_id *out)
{
    const struct clone3_args args = {
        .flags = BORROWED | CLONE_PIDFD | NO_HANDLERS,
        .pidfd = (uintptr_t)&out->fd,
        .exit_signal = (uint64_t)birth->exit_signal,
        .stack = (uintptr_t)birth->stack,
        .stack_size = birth->stack_size,
    };
    long result = call_clone3(&args, birth);

    out->pid = (pid_t)result;
    return result < 0 ? (int)result : 0;
}

static int run_birth(void *arg)
{
    const struct birth *birth = arg;

    birth->run(birth->arg);
    return 0;
}

/* Its handlers are still ours, so no signal may come until it has reset them.
   An old kernel does not know the flag for a pidfd, and ignores it. */
static int by_clone(struct birth *birth, bool pidfd,
                    struct rota__process_id *out)
{
    int flags = BORROWED | birth->exit_signal | (pidfd ? CLONE_PIDFD : 0);
    sigset_t all, before;
    int err = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    out->pid = clone(run_birth, birth->stack + birth->stack_size, flags, birth,
                     &out->fd);
    if (out->pid < 0)
        err = -errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err == 0 && out->fd < 0)
        out->fd = rota__process_open(out->pid);
    return err;
}

static int bear(enum way way, struct birth *birth, struct rota__process_id *out)
{
    *out = (struct rota__process_id){-1, -1};
    return way == CLONE3 ? by_clone3(birth, out)
                         : by_clone(birth, way == CLONE, out);
}

static void say_hello(void *heard)
{
    *(volatile bool *)heard = true;
    _exit(0);
}

/* 1 if a child's memory is ours, 0 if not, or an error. */
static int find_out(enum way way, const struct rota__spawn_plan *plan)
{
    bool heard = false;
    struct birth birth = {say_hello, &heard, plan->stack, plan->stack_size, 0};
    struct rota__process_id id;
    int err = bear(way, &birth, &id);

    if (err < 0)
        return err;
    while (waitpid(id.pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    rota__process_close(&id);
    atomic_store(&known_to_share, heard);
    return heard;
}

/* Sanitizers do not know what two processes do to one memory. */
#if defined(ROTA__ASAN) || defined(ROTA__TSAN)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

static enum way first_way(void)
{
    const char *asked = getenv("ROTA_SPAWN");

    if (INSTRUMENTED || rota__valgrind_runs_us() ||
        (asked && strcmp(asked, "fork") == 0))
        return FORK;
    return CLONE3;
}

static bool is_refused(int err)
{
    return err == -ENOSYS || err == -EINVAL || err == -EPERM || err == -EACCES;
}

static void run_child(void *plan)
{
    rota__spawn_child(plan);
}

static int try(enum way way, struct rota__spawn_plan *plan,
               struct rota__process_id *out)
{
    struct birth birth = {run_child, plan, plan->stack, plan->stack_size,
                          SIGCHLD};

    if (!atomic_load_explicit(&known_to_share, memory_order_relaxed)) {
        int shares = find_out(way, plan);

        if (shares <= 0)
            return shares < 0 ? shares : -ENOSYS;
    }
    plan->clean = way == CLONE3;
    return bear(way, &birth, out);
}

static int end(struct rota__process_id *id, int error)
{
    int ignored;

    (void)rota__process_reap(id, true, &ignored);
    rota__process_close(id);
    return error;
}

int rota__spawn_clone(struct rota__spawn_plan *plan,
                      struct rota__process_id *out)
{
    int way = atomic_load_explicit(&best_way, memory_order_relaxed);
    int err = -ENOSYS;

    if (way == UNKNOWN)
        way = (int)first_way();
    for (; way < FORK; way++) {
        err = try((enum way)way, plan, out);
        if (!is_refused(err))
            break;
    }
    if (err == 0 || way == FORK)
        atomic_store_explicit(&best_way, way, memory_order_relaxed);
    if (err == 0 && plan->error < 0)
        err = end(out, plan->error);
    return way == FORK ? -ENOSYS : err;
}

#else

int rota__spawn_clone(struct rota__spawn_plan *plan,
                      struct rota__process_id *out)
{
    (void)plan;
    (void)out;
    return -ENOSYS;
}

#endif
