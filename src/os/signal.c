/* SPDX-License-Identifier: MIT */
/*
 * Signals: dispositions, masks and names
 */
#define _GNU_SOURCE
#include "os/signal.h"
#include "os/os.h"
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

/* Returning from its handler would run into the same fault again. */
static bool comes_again(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
           number == SIGILL;
}

static bool is_installed(const struct sigaction *now,
                         rota__signal_handler *handler)
{
    return !(now->sa_flags & SA_SIGINFO) && now->sa_handler == handler;
}

bool rota__signal_exists(int number)
{
    struct sigaction now;

    return number < ROTA__SIGNALS && sigaction(number, NULL, &now) == 0;
}

bool rota__signal_is_default(int number)
{
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 && is_installed(&now, SIG_DFL);
}

int rota__signal_install(int number, rota__signal_handler *handler,
                         struct sigaction *before)
{
    struct sigaction ours = {
        .sa_handler = handler,
        .sa_flags = SA_RESTART | SA_ONSTACK,
    };
    struct sigaction now;

    if (number >= ROTA__SIGNALS || comes_again(number))
        return -EINVAL;
    sigfillset(&ours.sa_mask);
    if (sigaction(number, &ours, &now) < 0)
        return -errno;
    if (!is_installed(&now, handler))
        *before = now;
    return 0;
}

void rota__signal_restore(int number, rota__signal_handler *handler,
                          const struct sigaction *before)
{
    struct sigaction now;

    if (sigaction(number, NULL, &now) == 0 && is_installed(&now, handler))
        sigaction(number, before, NULL);
}

_Noreturn void rota__signal_die(int number)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t only;

    sigemptyset(&only);
    sigaddset(&only, number);
    sigaction(number, &plain, NULL);
    (void)raise(number);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    _exit(128 + number); /* its default action was to do nothing */
}

void rota__signals_block(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void rota__signals_unblock(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

void rota__signals_pause(void)
{
    const struct timespec a_moment = {.tv_nsec = 20000};

    (void)nanosleep(&a_moment, NULL);
}

int rota__fork_watch(void (*before)(void), void (*in_parent)(void),
                     void (*in_child)(void))
{
    return -pthread_atfork(before, in_parent, in_child);
}

#if defined(__linux__)

bool rota__thread_is_main(void)
{
    return syscall(SYS_gettid) == getpid();
}

#else

#if !defined(__APPLE__)
#include <pthread_np.h>
#endif

bool rota__thread_is_main(void)
{
    return pthread_main_np() == 1;
}

#endif

/* --- Names --------------------------------------------------------------- */

#define NAME(number)                                                           \
    {                                                                          \
        number, #number                                                        \
    }

static const struct {
    int number;
    const char *name;
} names[] = {
    NAME(SIGHUP),    NAME(SIGINT),  NAME(SIGQUIT),  NAME(SIGILL),
    NAME(SIGTRAP),   NAME(SIGABRT), NAME(SIGBUS),   NAME(SIGFPE),
    NAME(SIGKILL),   NAME(SIGUSR1), NAME(SIGSEGV),  NAME(SIGUSR2),
    NAME(SIGPIPE),   NAME(SIGALRM), NAME(SIGTERM),  NAME(SIGCHLD),
    NAME(SIGCONT),   NAME(SIGSTOP), NAME(SIGTSTP),  NAME(SIGTTIN),
    NAME(SIGTTOU),   NAME(SIGURG),  NAME(SIGXCPU),  NAME(SIGXFSZ),
    NAME(SIGVTALRM), NAME(SIGPROF), NAME(SIGWINCH), NAME(SIGSYS),
#if defined(SIGIO)
    NAME(SIGIO),
#endif
#if defined(SIGPWR)
    NAME(SIGPWR),
#endif
#if defined(SIGSTKFLT)
    NAME(SIGSTKFLT),
#endif
#if defined(SIGEMT)
    NAME(SIGEMT),
#endif
#if defined(SIGINFO)
    NAME(SIGINFO),
#endif
};

#if defined(SIGRTMIN)

#define PLUS(offset) "SIGRTMIN+" #offset

static const char *real_time_name(int number)
{
    static const char *const after_the_first[] = {
        PLUS(1),  PLUS(2),  PLUS(3),  PLUS(4),  PLUS(5),  PLUS(6),  PLUS(7),
        PLUS(8),  PLUS(9),  PLUS(10), PLUS(11), PLUS(12), PLUS(13), PLUS(14),
        PLUS(15), PLUS(16), PLUS(17), PLUS(18), PLUS(19), PLUS(20), PLUS(21),
        PLUS(22), PLUS(23), PLUS(24), PLUS(25), PLUS(26), PLUS(27), PLUS(28),
        PLUS(29), PLUS(30), PLUS(31), PLUS(32),
    };
    int offset = number - SIGRTMIN;

    if (number == SIGRTMAX)
        return "SIGRTMAX";
    if (offset == 0)
        return "SIGRTMIN";
    if (offset < 0 || number > SIGRTMAX ||
        offset > (int)rota__countof(after_the_first))
        return NULL;
    return after_the_first[offset - 1];
}

#else

static const char *real_time_name(int number)
{
    (void)number;
    return NULL;
}

#endif

const char *rota__signal_name(int number)
{
    for (size_t i = 0; i < rota__countof(names); i++)
        if (names[i].number == number)
            return names[i].name;
    return real_time_name(number);
}
