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
#include "os/fork.h"
#include "os/os.h"
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static bool installed;
static rota__describe_fault *describe_fault;
static struct sigaction before_segv;
static struct sigaction before_bus;

/*
 * Returning runs into a fault again, this time with the default; a signal that
 * somebody sent has to be sent once more.
 */
static void die_by(int signal, const siginfo_t *info)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};

    sigaction(signal, &plain, NULL);
    if (info->si_code <= 0)
        raise(signal);
}

static void pass_on(int signal, siginfo_t *info, void *context,
                    const struct sigaction *before)
{
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signal, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signal);
    } else if (before->sa_handler == SIG_DFL || info->si_code > 0) {
        die_by(signal, info);
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    char message[512];
    size_t size = info->si_code > 0
                      ? describe_fault(info->si_addr, message, sizeof message)
                      : 0;

    if (size == 0) {
        pass_on(signal, info, context,
                signal == SIGSEGV ? &before_segv : &before_bus);
        return;
    }
    (void)!write(STDERR_FILENO, message, size);
    die_by(signal, info);
}

void rota__overflow_watch_begin(rota__describe_fault *describe)
{
    struct sigaction action = {
        .sa_sigaction = on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };

    pthread_mutex_lock(&lock);
    describe_fault = describe;
    if (users++ == 0 && !installed) {
        installed = true;
        sigaction(SIGSEGV, &action, &before_segv);
        sigaction(SIGBUS, &action, &before_bus);
    }
    pthread_mutex_unlock(&lock);
}

static bool is_ours(int signal)
{
    struct sigaction now;

    return sigaction(signal, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
           now.sa_sigaction == on_fault;
}

/*
 * Puts back what was there, unless somebody has come after us: they may call
 * our handler as we call those before, so it stays, and is not put in again.
 */
void rota__overflow_watch_end(void)
{
    pthread_mutex_lock(&lock);
    if (--users == 0 && is_ours(SIGSEGV) && is_ours(SIGBUS)) {
        sigaction(SIGSEGV, &before_segv, NULL);
        sigaction(SIGBUS, &before_bus, NULL);
        installed = false;
    }
    pthread_mutex_unlock(&lock);
}

void rota__overflow_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    users = 1;
    rota__overflow_watch_end();
}

/* --- The handler's own stack, one a thread, until the thread ends -------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;

static size_t signal_stack_size(void)
{
    return (size_t)SIGSTKSZ > 65536 ? (size_t)SIGSTKSZ : 65536;
}

static void free_signal_stack(void *memory)
{
    stack_t off = {.ss_flags = SS_DISABLE};
    stack_t now;

    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == memory)
        sigaltstack(&off, NULL);
    munmap(memory, signal_stack_size());
}

static void make_key(void)
{
    pthread_key_create(&at_thread_end, free_signal_stack);
}

static void *map_signal_stack(void)
{
    void *memory = mmap(NULL, signal_stack_size(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void rota__signal_stack_ensure(void)
{
    stack_t ours = {.ss_size = signal_stack_size()};
    stack_t now;

    if (sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE))
        return; /* the thread has one */
    pthread_once(&once, make_key);
    ours.ss_sp = map_signal_stack();
    if (!ours.ss_sp)
        return;
    if (sigaltstack(&ours, NULL) < 0 ||
        pthread_setspecific(at_thread_end, ours.ss_sp) != 0)
        free_signal_stack(ours.ss_sp);
}
