/* SPDX-License-Identifier: MIT */
/*
 * Signals in tests: dispositions to look at, loops that wait for one, and
 * senders that know when somebody waits.
 */
#ifndef TESTS_SIGNALS_H
#define TESTS_SIGNALS_H

#include "loop/signal.h"
#include "scenario.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static inline struct sigaction disposition(int number)
{
    struct sigaction now;

    assert_int_equal(sigaction(number, NULL, &now), 0);
    return now;
}

static inline bool is_default(int number)
{
    return disposition(number).sa_handler == SIG_DFL;
}

static inline void set_disposition(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    assert_int_equal(sigaction(number, &action, NULL), 0);
}

/* On this poller, or on what the environment says. */
static inline rota_loop *signal_loop(const char *poller)
{
    const rota_loop_options options = {.poller = poller};
    rota_loop *loop = NULL;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    loop->keep_order = true;
    loop->debug = false;
    return loop;
}

static inline void one_turn(rota_loop *loop)
{
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
}

/* In the first a signal is heard of, in the second its handler is called. */
static inline void two_turns(rota_loop *loop)
{
    one_turn(loop);
    one_turn(loop);
}

static inline void stop_loop(void *loop)
{
    rota_loop_stop(loop);
}

static inline void count_call(void *counter)
{
    ++*(int *)counter;
}

static inline void must_not_run(void *arg)
{
    (void)arg;
    fail_msg("a handler was called that should not be");
}

static inline void add_handler(rota_loop *loop, int number,
                               rota_callback *callback, void *arg)
{
    assert_int_equal(rota_add_signal_handler(loop, number, callback, arg), 0);
}

/* --- A thread that sends a signal once the loop sleeps ------------------- */

struct sender {
    pthread_t thread;
    rota_loop *loop;
    int number;
    int times;
    void (*send)(const struct sender *sender);
    pthread_t target;
};

static inline void send_to_process(const struct sender *sender)
{
    kill(getpid(), sender->number);
}

static inline void send_to_thread(const struct sender *sender)
{
    pthread_kill(sender->target, sender->number);
}

static inline void *send_when_asleep(void *arg)
{
    const struct sender *sender = arg;

    for (int i = 0; i < sender->times; i++) {
        while (!atomic_load(&sender->loop->asleep))
            sched_yield();
        sender->send(sender);
    }
    return NULL;
}

/* The sender's own thread takes no signals. */
static inline void start_sender(struct sender *sender)
{
    sigset_t all, before;

    sender->target = pthread_self();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    assert_int_equal(
        pthread_create(&sender->thread, NULL, send_when_asleep, sender), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static inline void join_sender(struct sender *sender)
{
    assert_int_equal(pthread_join(sender->thread, NULL), 0);
}

/* How a child process has ended. */
static inline int status_of(pid_t child)
{
    int status = -1;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

#endif
