/* SPDX-License-Identifier: MIT */
/*
 * The watchdog among threads and signals
 */
#define _GNU_SOURCE
#include "watchdogs.h"

#include <pthread.h>

/* Threads */

static int release[2]; /* closed to end what blocks */

static void block_until_released(void)
{
    block_until_readable(release[0]); /* its end */
}

static void block_in_the_first(void *arg)
{
    (void)arg;
    block_until_released();
    blocked++;
}

static void block_in_the_second(void *arg)
{
    (void)arg;
    block_until_released();
    blocked++;
}

static void block_in_the_third(void *arg)
{
    (void)arg;
    block_until_released();
    blocked++;
}

static void *run_a_watched_loop(void *callback)
{
    rota_loop *loop = new_watched_loop(SOON);

    rota_call_soon(loop, NULL, (rota_callback *)(uintptr_t)callback, NULL);
    run_one_turn(loop);
    rota_loop_free(loop);
    return NULL;
}

static void each_loop_on_each_thread_has_its_own(void)
{
    static rota_callback *const callbacks[] = {
        block_in_the_first, block_in_the_second, block_in_the_third};
    pthread_t threads[3];

    assert_int_equal(pipe(release), 0);
    begin_to_read();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_a_watched_loop,
                                        (void *)(uintptr_t)callbacks[i]),
                         0);
    block_until_told("rota:   block_in_the_first+0x", 1);
    block_until_told("rota:   block_in_the_second+0x", 1);
    block_until_told("rota:   block_in_the_third+0x", 1);
    close(release[1]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    close(release[0]);
    read_the_rest();
    assert_int_equal(blocked, 3);
}

static void *run_it(void *loop)
{
    run_one_turn(loop);
    return NULL;
}

static void run_on_another_thread(rota_loop *loop)
{
    pthread_t thread;

    assert_int_equal(rota_call_soon(loop, NULL, block_in_a_callback, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_it, loop), 0);
    pthread_join(thread, NULL);
    told[0] = '\0';
}

static void a_loop_may_go_from_thread_to_thread(void)
{
    rota_loop *loop = new_watched_loop(SOON);

    begin_to_read();
    for (int i = 0; i < 3; i++)
        run_on_another_thread(loop);
    assert_int_equal(blocked, 3);
    rota_loop_free(loop);
    read_the_rest();
}

static void block_without_an_answer(void *arg)
{
    (void)arg;
    block_until_told("; its thread does not answer\n", 1);
    blocked++;
}

static void block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void a_callback_whose_thread_takes_no_signals_is_told_by_name(void)
{
    block_signals();
    run_watched(block_without_an_answer);
    assert_non_null(strstr(told, "callback block_without_an_answer has held"));
}

static intptr_t block_in_a_task_without_an_answer(void *arg)
{
    block_without_an_answer(arg);
    return 0;
}

static void of_a_task_nothing_is_known_then(void)
{
    const rota_loop_options options = {.watchdog = SOON};

    block_signals();
    begin_to_read();
    assert_int_equal(
        rota_run_with(&options, block_in_a_task_without_an_answer, NULL), 0);
    read_the_rest();
    assert_non_null(strstr(told, "executing a task has held the loop"));
}

/* The signal */

static volatile int signals;
static volatile int by_us;

static void count_signal(int number)
{
    signals += number == SIGURG;
}

static void count_signal_with_info(int number, siginfo_t *info, void *context)
{
    signals += number == SIGURG && context;
    by_us += info->si_pid == getpid();
}

static void be_signalled_and_block(void *arg)
{
    raise(SIGURG);
    raise(SIGURG);
    (void)arg;
    block_until_told("rota:   be_signalled_and_block+0x", 1);
    blocked++;
    raise(SIGURG);
    kill(getpid(), SIGURG);
}

static void another_handlers_signals_go_to_it(void)
{
    const struct sigaction action = {.sa_handler = count_signal};
    struct sigaction now;

    assert_int_equal(sigaction(SIGURG, &action, NULL), 0);
    run_watched(be_signalled_and_block);
    assert_int_equal(signals, 4);
    assert_int_equal(sigaction(SIGURG, NULL, &now), 0);
    assert_true(now.sa_handler == count_signal);
    raise(SIGURG);
    assert_int_equal(signals, 5);
}

static void with_all_that_is_known_of_them(void)
{
    const struct sigaction action = {.sa_sigaction = count_signal_with_info,
                                     .sa_flags = SA_SIGINFO};

    assert_int_equal(sigaction(SIGURG, &action, NULL), 0);
    run_watched(be_signalled_and_block);
    assert_int_equal(signals, 4);
    assert_int_equal(by_us, 4);
}

static void nobody_elses_signals_are_ignored_as_ever(void)
{
    struct sigaction now;

    run_watched(be_signalled_and_block);
    assert_int_equal(sigaction(SIGURG, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
}

static void the_handler_stays_as_long_as_one_loop_needs_it(void)
{
    const struct sigaction action = {.sa_handler = count_signal};
    rota_loop *other = new_watched_loop(1000);
    struct sigaction now;

    assert_int_equal(rota_set_watchdog(other, 0), 0);
    assert_int_equal(sigaction(SIGURG, &action, NULL), 0);
    assert_int_equal(rota_set_watchdog(other, 1000), 0);
    run_watched(block_in_a_callback);
    assert_int_equal(sigaction(SIGURG, NULL, &now), 0);
    assert_true(now.sa_handler != count_signal);
    rota_loop_free(other);
    assert_int_equal(sigaction(SIGURG, NULL, &now), 0);
    assert_true(now.sa_handler == count_signal);
}

static void a_handler_that_came_later_stays(void)
{
    const struct sigaction action = {.sa_handler = count_signal};
    rota_loop *loop = new_watched_loop(1000);
    struct sigaction now;

    assert_int_equal(sigaction(SIGURG, &action, NULL), 0);
    rota_loop_free(loop);
    assert_int_equal(sigaction(SIGURG, NULL, &now), 0);
    assert_true(now.sa_handler == count_signal);
}

HARNESS_MAIN(TEST(each_loop_on_each_thread_has_its_own),
             TEST(a_loop_may_go_from_thread_to_thread),
             TEST(a_callback_whose_thread_takes_no_signals_is_told_by_name),
             TEST(of_a_task_nothing_is_known_then),
             TEST(another_handlers_signals_go_to_it),
             TEST(with_all_that_is_known_of_them),
             TEST(nobody_elses_signals_are_ignored_as_ever),
             TEST(the_handler_stays_as_long_as_one_loop_needs_it),
             TEST(a_handler_that_came_later_stays))
