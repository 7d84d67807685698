/* SPDX-License-Identifier: MIT */
/*
 * Wake: ending a poller's wait from a thread or a signal handler
 */
#include "harness.h"

#include "os/os.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/time.h>

struct sleeper {
    struct rota__poller poller;
    struct rota__wake wake;
    struct rota__watch watch;
    int woken;
};

static void count_wake_up(struct rota__watch *watch, unsigned events)
{
    struct sleeper *sleeper = rota__container_of(watch, struct sleeper, watch);

    assert_int_equal(events, ROTA__READABLE);
    sleeper->woken++;
}

static void open_sleeper(struct sleeper *sleeper, unsigned edge)
{
    assert_int_equal(rota__poller_open(&sleeper->poller, NULL), 0);
    assert_int_equal(rota__wake_open(&sleeper->wake), 0);
    sleeper->woken = 0;
    sleeper->watch = (struct rota__watch){
        .ready = count_wake_up,
        .fd = sleeper->wake.read_fd,
    };
    assert_int_equal(rota__poller_add(&sleeper->poller, &sleeper->watch,
                                      ROTA__READABLE | edge),
                     0);
}

static void close_sleeper(struct sleeper *sleeper)
{
    rota__poller_remove(&sleeper->poller, &sleeper->watch);
    rota__wake_close(&sleeper->wake);
    rota__poller_close(&sleeper->poller);
}

static int wake_ups(struct sleeper *sleeper)
{
    sleeper->woken = 0;
    assert_int_equal(rota__poller_wait(&sleeper->poller, ROTA__ASK), 0);
    return sleeper->woken;
}

static void *signal_wake(void *wake)
{
    rota__wake_signal(wake);
    return NULL;
}

static void a_thread_ends_the_wait(void)
{
    struct sleeper sleeper;
    pthread_t thread;

    open_sleeper(&sleeper, 0);
    assert_int_equal(wake_ups(&sleeper), 0);
    assert_int_equal(pthread_create(&thread, NULL, signal_wake, &sleeper.wake),
                     0);
    while (!sleeper.woken)
        assert_int_equal(rota__poller_wait(&sleeper.poller, ROTA__FOREVER), 0);
    pthread_join(thread, NULL);
    close_sleeper(&sleeper);
}

static struct rota__wake *woken_by_signal;
static int errno_in_handler;

static void wake_from_handler(int number)
{
    int before = errno;

    (void)number;
    errno = 1234;
    for (int i = 0; i < 3; i++)
        rota__wake_signal(woken_by_signal);
    errno_in_handler = errno;
    errno = before;
}

static void a_signal_handler_ends_the_wait(void)
{
    const struct sigaction action = {.sa_handler = wake_from_handler};
    const struct itimerval soon = {.it_value.tv_usec = 2000};
    struct sleeper sleeper;

    open_sleeper(&sleeper, 0);
    woken_by_signal = &sleeper.wake;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    while (!sleeper.woken)
        assert_int_equal(rota__poller_wait(&sleeper.poller, ROTA__FOREVER), 0);
    close_sleeper(&sleeper);
}

static void a_wake_up_in_a_handler_keeps_errno(void)
{
    const struct sigaction action = {.sa_handler = wake_from_handler};
    struct rota__wake wake;
    int fd;

    assert_int_equal(rota__wake_open(&wake), 0);
    woken_by_signal = &wake;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    raise(SIGUSR1);
    assert_int_equal(errno_in_handler, 1234);
    fd = wake.write_fd; /* also when the system call fails */
    wake.write_fd = -1;
    raise(SIGUSR1);
    assert_int_equal(errno_in_handler, 1234);
    wake.write_fd = fd;
    rota__wake_close(&wake);
}

static void many_signals_are_one_wake_up(void)
{
    struct sleeper sleeper;

    open_sleeper(&sleeper, 0);
    for (int i = 0; i < 1000; i++)
        rota__wake_signal(&sleeper.wake);
    assert_int_equal(wake_ups(&sleeper), 1);
    rota__wake_drain(&sleeper.wake);
    assert_int_equal(wake_ups(&sleeper), 0);
    close_sleeper(&sleeper);
}

static void a_signal_before_the_wait_is_not_lost(void)
{
    struct sleeper sleeper;

    open_sleeper(&sleeper, 0);
    rota__wake_signal(&sleeper.wake);
    assert_int_equal(rota__poller_wait(&sleeper.poller, ROTA__FOREVER), 0);
    assert_int_equal(sleeper.woken, 1);
    close_sleeper(&sleeper);
}

static void it_can_be_signalled_again_after_it_was_drained(void)
{
    struct sleeper sleeper;

    open_sleeper(&sleeper, 0);
    for (int i = 0; i < 100; i++) {
        rota__wake_signal(&sleeper.wake);
        assert_int_equal(wake_ups(&sleeper), 1);
        rota__wake_drain(&sleeper.wake);
        assert_int_equal(wake_ups(&sleeper), 0);
    }
    close_sleeper(&sleeper);
}

/* What the loop relies on where the poller has edges of its own. */
static void each_signal_is_an_edge_without_draining(void)
{
    struct sleeper sleeper;

    open_sleeper(&sleeper, ROTA__EDGE);
    if (sleeper.poller.ops->drained)
        harness_skip("this poller has no edges of its own");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(wake_ups(&sleeper), 0);
        rota__wake_signal(&sleeper.wake);
        assert_int_equal(wake_ups(&sleeper), 1);
    }
    close_sleeper(&sleeper);
}

static void draining_without_a_signal_does_not_block(void)
{
    struct rota__wake wake;

    assert_int_equal(rota__wake_open(&wake), 0);
    rota__wake_drain(&wake);
    rota__wake_drain(&wake);
    rota__wake_close(&wake);
}

static void its_descriptors_do_not_survive_an_exec(void)
{
    struct rota__wake wake;

    assert_int_equal(rota__wake_open(&wake), 0);
    assert_true(fcntl(wake.read_fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(wake.write_fd, F_GETFD) & FD_CLOEXEC);
    rota__wake_close(&wake);
}

HARNESS_MAIN(TEST(a_thread_ends_the_wait), TEST(a_signal_handler_ends_the_wait),
             TEST(a_wake_up_in_a_handler_keeps_errno),
             TEST(many_signals_are_one_wake_up),
             TEST(a_signal_before_the_wait_is_not_lost),
             TEST(it_can_be_signalled_again_after_it_was_drained),
             TEST(each_signal_is_an_edge_without_draining),
             TEST(draining_without_a_signal_does_not_block),
             TEST(its_descriptors_do_not_survive_an_exec))
