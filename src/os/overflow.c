/* SPDX-License-Identifier: MIT */
/*
 * Stack overflow: from a bare SIGSEGV to a message
 *
 * While any loop has tasks, a handler looks at each fault. When the address
 * lies in the guard page of the running task's stack, it prints who that was
 * and lets the process die as it would have; every other fault goes to
 * whoever had the signal before.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static rota__describe_fault *describe_fault;
static struct sigaction before_segv;
static struct sigaction before_bus;

static void pass_on(int signal, siginfo_t *info, void *context,
                    const struct sigaction *before)
{
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signal, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signal);
    } else {
        /* Returning runs into the fault again, this time with the default. */
        struct sigaction plain = {.sa_handler = SIG_DFL};

        sigaction(signal, &plain, NULL);
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    char message[512];
    size_t size = describe_fault(info->si_addr, message, sizeof message);
    struct sigaction plain = {.sa_handler = SIG_DFL};

    if (size == 0) {
        pass_on(signal, info, context,
                signal == SIGSEGV ? &before_segv : &before_bus);
        return;
    }
    (void)!write(STDERR_FILENO, message, size);
    sigaction(signal, &plain, NULL);
}

void rota__overflow_watch_begin(rota__describe_fault *describe)
{
    struct sigaction action = {
        .sa_sigaction = on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };

    pthread_mutex_lock(&lock);
    if (users++ == 0) {
        describe_fault = describe;
        sigaction(SIGSEGV, &action, &before_segv);
        sigaction(SIGBUS, &action, &before_bus);
    }
    pthread_mutex_unlock(&lock);
}

/* Puts back what was there, unless somebody has come after us. */
static void restore(int signal, const struct sigaction *before)
{
    struct sigaction now;

    if (sigaction(signal, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == on_fault)
        sigaction(signal, before, NULL);
}

void rota__overflow_watch_end(void)
{
    pthread_mutex_lock(&lock);
    if (--users == 0) {
        restore(SIGSEGV, &before_segv);
        restore(SIGBUS, &before_bus);
    }
    pthread_mutex_unlock(&lock);
}

static size_t signal_stack_size(void)
{
    return (size_t)SIGSTKSZ > 65536 ? (size_t)SIGSTKSZ : 65536;
}

int rota__signal_stack_begin(struct rota__signal_stack *stack)
{
    stack_t now;
    stack_t ours = {.ss_size = signal_stack_size()};

    stack->memory = NULL;
    if (sigaltstack(NULL, &now) < 0)
        return -errno;
    if (!(now.ss_flags & SS_DISABLE))
        return 0; /* the thread has one */
    ours.ss_sp = mmap(NULL, ours.ss_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ours.ss_sp == MAP_FAILED)
        return -ENOMEM;
    if (sigaltstack(&ours, NULL) < 0) {
        int err = -errno;

        munmap(ours.ss_sp, ours.ss_size);
        return err;
    }
    stack->memory = ours.ss_sp;
    return 0;
}

void rota__signal_stack_end(struct rota__signal_stack *stack)
{
    stack_t now;
    stack_t off = {.ss_flags = SS_DISABLE};

    if (!stack->memory)
        return;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == stack->memory)
        sigaltstack(&off, NULL);
    munmap(stack->memory, signal_stack_size());
    stack->memory = NULL;
}
