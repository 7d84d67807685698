/* SPDX-License-Identifier: MIT */
/*
 * Halts: another thread stands still while we look at it
 *
 * It is sent a signal, SIGURG, which programs ignore if they do not use it.
 * Its handler notes the back-trace and stays until it is let go. One thread
 * is asked at a time, by a question with a number of its own:
 *
 *     FREE --asker--> ASKED --handler--> STANDS --handler--> TRACED
 *       ^               |  taken back: nobody has answered     |
 *       `---------------+--------------------------asker------'
 *
 * A signal that finds no question for its thread is somebody else's, and goes
 * to whoever had the signal before. While the other one stands, it may hold
 * any lock: neither side allocates, prints or looks up a symbol. Both wait by
 * short sleeps, since nothing else is allowed in a handler and known to every
 * system.
 */
#define _GNU_SOURCE
#include "os/fork.h"
#include "os/os.h"
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

#define PATIENCE ROTA__SECOND

enum { FREE, ASKED, STANDS, TRACED, PHASES };

static struct {
    _Atomic uint64_t phase; /* plus the number, a multiple of PHASES */
    _Atomic(pthread_t) thread;
    void **pcs;
    size_t room;
    size_t count;
} asked;

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void pause_briefly(void)
{
    (void)poll(NULL, 0, 1);
}

/* --- In the thread that is asked ---------------------------------------- */

static bool answer(void)
{
    uint64_t phase = atomic_load(&asked.phase);
    uint64_t number = phase - ASKED;

    if (phase % PHASES != ASKED ||
        !pthread_equal(atomic_load(&asked.thread), pthread_self()) ||
        !atomic_compare_exchange_strong(&asked.phase, &phase, number + STANDS))
        return false;
    asked.count = rota__backtrace_interrupted(asked.pcs, asked.room);
    atomic_store(&asked.phase, number + TRACED);
    while (atomic_load(&asked.phase) == number + TRACED)
        pause_briefly();
    return true;
}

bool rota__halt_answer(int number)
{
    int saved = errno;
    bool answered = number == SIGURG && answer();

    errno = saved;
    return answered;
}

static struct sigaction before;

static void pass_on(int signal, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signal, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(signal);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    int saved = errno;

    if (!answer())
        pass_on(signal, info, context);
    errno = saved;
}

/* --- In the thread that asks -------------------------------------------- */

static uint64_t next_number(void)
{
    return atomic_load(&asked.phase) / PHASES * PHASES + PHASES;
}

/* Takes the question back when the time is up, unless it is being answered. */
static bool wait_for_trace(uint64_t number, int64_t until)
{
    uint64_t phase;

    while ((phase = atomic_load(&asked.phase)) != number + TRACED) {
        if (phase == number + ASKED && rota__clock_now() >= until &&
            atomic_compare_exchange_strong(&asked.phase, &phase, number))
            return false;
        pause_briefly();
    }
    return true;
}

bool rota__halt(pthread_t thread, struct rota__halt *halt)
{
    uint64_t number;
    int64_t until;
    bool stands;

    pthread_mutex_lock(&one_at_a_time);
    number = next_number();
    until = rota__clock_now() + PATIENCE;
    atomic_store(&asked.thread, thread);
    asked.pcs = halt->pcs;
    asked.room = rota__countof(halt->pcs);
    atomic_store(&asked.phase, number + ASKED);
    if (pthread_kill(thread, SIGURG) != 0)
        until = 0;
    stands = wait_for_trace(number, until);
    if (stands) {
        halt->count = asked.count;
        halt->look(halt);
        atomic_store(&asked.phase, number);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return stands;
}

/* --- The handler -------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static bool installed;

/* What a first call has to look up and set up is not for a handler. */
static void rehearse(void)
{
    void *pcs[4];

    (void)rota__backtrace_interrupted(pcs, rota__countof(pcs));
    pause_briefly();
}

void rota__halt_begin(void)
{
    struct sigaction action = {
        .sa_sigaction = on_signal,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
    };

    pthread_mutex_lock(&lock);
    if (users++ == 0 && !installed) {
        rehearse();
        installed = true;
        sigaction(SIGURG, NULL, &before);
        sigaction(SIGURG, &action, NULL);
    }
    pthread_mutex_unlock(&lock);
}

/* As with faults (overflow.c): who came after us may call us still. */
void rota__halt_end(void)
{
    struct sigaction now;

    pthread_mutex_lock(&lock);
    if (--users == 0 && sigaction(SIGURG, NULL, &now) == 0 &&
        (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_signal) {
        sigaction(SIGURG, &before, NULL);
        installed = false;
    }
    pthread_mutex_unlock(&lock);
}

/* Where handlers of signals that are no faults are gone. */
void rota__halt_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_mutex_init(&one_at_a_time, NULL);
    atomic_store(&asked.phase, 0);
    users = 0;
    installed = false;
}
