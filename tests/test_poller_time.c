/* SPDX-License-Identifier: MIT */
/*
 * Pollers: time, busy loops, threads, and the script of the simulated one
 */
#define _GNU_SOURCE
#include "pollers.h"

#include <pthread.h>
#include <sys/time.h>
#include <time.h>

#define MS (ROTA__SECOND / 1000)

/* Time */

static void a_wait_is_never_shorter_than_its_timeout(const char *poller)
{
    static const int64_t timeouts[] = {1, 1000, 300000, MS, 3 * MS + 7};
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE);
    for (size_t i = 0; i < 4 * rota__countof(timeouts); i++) {
        int64_t timeout = timeouts[i % rota__countof(timeouts)];
        int64_t begin = rota__clock_now();

        assert_int_equal(rota__poller_wait(&scene.poller, timeout), 0);
        assert_true(rota__clock_now() - begin >= timeout);
    }
    close_scene(&scene);
}
ON_EACH(a_wait_is_never_shorter_than_its_timeout)

/* The best of many: another process may have the processor meanwhile. */
static void a_wait_is_precise(const char *poller)
{
    int64_t least = ROTA__FOREVER;
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE);
    for (int i = 0; i < 30; i++) {
        int64_t begin = rota__clock_now();
        int64_t took;

        assert_int_equal(rota__poller_wait(&scene.poller, 2 * MS / 10), 0);
        took = rota__clock_now() - begin;
        least = took < least ? took : least;
    }
    assert_in_range(least, 2 * MS / 10,
                    (uintmax_t)(harness_slowness() * 0.9e6));
    close_scene(&scene);
}
ON_EACH(a_wait_is_precise)

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms = alarms + 1;
}

static void a_signal_ends_a_wait_without_an_error(const char *poller)
{
    const struct sigaction action = {.sa_handler = count_alarm};
    const struct itimerval often = {{.tv_usec = 2000}, {.tv_usec = 2000}};
    const struct itimerval never = {{0}, {0}};
    const struct timespec moment = {.tv_nsec = 1000000};
    int64_t begin = rota__clock_now();
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    assert_int_equal(rota__poller_wait(&scene.poller, 60 * ROTA__SECOND), 0);
    assert_true(rota__clock_now() - begin < 30 * ROTA__SECOND);
    while (alarms == 0) /* a sanitizer may put a handler off */
        nanosleep(&moment, NULL);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    close_scene(&scene);
}
ON_EACH(a_signal_ends_a_wait_without_an_error)

static void *send_later(void *fd)
{
    const struct timespec moment = {.tv_nsec = 2000000};

    nanosleep(&moment, NULL);
    send_byte(*(int *)fd);
    return NULL;
}

static void a_wait_for_ever_ends_with_an_event(const char *poller)
{
    struct scene scene;
    pthread_t thread;

    open_scene(&scene, poller, ROTA__READABLE);
    assert_int_equal(pthread_create(&thread, NULL, send_later, &scene.theirs),
                     0);
    while (!scene.noted.times)
        assert_int_equal(rota__poller_wait(&scene.poller, ROTA__FOREVER), 0);
    assert_int_equal(scene.noted.events, ROTA__READABLE);
    pthread_join(thread, NULL);
    close_scene(&scene);
}
ON_EACH(a_wait_for_ever_ends_with_an_event)

/* A busy loop waits with 0: the answer may be late, but it must come. */
static void busy_looks_find_an_event(struct scene *scene)
{
    int64_t end = rota__clock_now() + 10 * ROTA__SECOND;

    scene->noted.times = 0;
    for (int i = 0; i < 50; i++)
        assert_int_equal(rota__poller_wait(&scene->poller, 0), 0);
    assert_int_equal(scene->noted.times, 0);
    send_byte(scene->theirs);
    while (!scene->noted.times && rota__clock_now() < end)
        assert_int_equal(rota__poller_wait(&scene->poller, 0), 0);
    assert_true(scene->noted.times > 0);
    assert_false(rota__poller_quiet(&scene->poller));
    read_all(scene->ours);
    rota__poller_drained(&scene->poller, &scene->noted.watch, ROTA__READABLE);
}

static void a_busy_loop_hears_of_events_too(const char *poller)
{
    static const unsigned ways[] = {ROTA__READABLE,
                                    ROTA__READABLE | ROTA__EDGE};

    for (size_t i = 0; i < rota__countof(ways); i++) {
        struct scene scene;

        open_scene(&scene, poller, ways[i]);
        for (int round = 0; round < 100; round++) {
            busy_looks_find_an_event(&scene);
            assert_int_equal(look_at(&scene), 0);
        }
        close_scene(&scene);
    }
}
ON_EACH(a_busy_loop_hears_of_events_too)

static void *look_busily(void *scene)
{
    busy_looks_find_an_event(scene);
    return NULL;
}

static void a_poller_moves_from_thread_to_thread(const char *poller)
{
    struct scene scene;

    open_scene(&scene, poller, ROTA__READABLE);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;

        busy_looks_find_an_event(&scene);
        assert_int_equal(pthread_create(&thread, NULL, look_busily, &scene), 0);
        pthread_join(thread, NULL);
    }
    close_scene(&scene);
}
ON_EACH(a_poller_moves_from_thread_to_thread)

/* The script of the simulated poller */

#define SCRIPTED(n) (ROTA__SIM_FD + (n))

static void open_simulation(struct rota__poller *poller, struct noted *noted,
                            int fd, unsigned events)
{
    assert_int_equal(rota__poller_open(poller, "sim"), 0);
    *noted = noted_for(fd);
    assert_int_equal(rota__poller_add(poller, &noted->watch, events), 0);
}

static void a_scripted_level_lasts_until_it_is_taken_back(void)
{
    struct rota__poller poller;
    struct noted noted;
    int fd = SCRIPTED(3);

    open_simulation(&poller, &noted, fd, ROTA__READABLE);
    assert_int_equal(look(&poller, &noted), 0);
    assert_int_equal(
        rota__sim_set(&poller, fd, ROTA__READABLE | ROTA__WRITABLE), 0);
    assert_int_equal(look(&poller, &noted), ROTA__READABLE);
    assert_int_equal(look(&poller, &noted), ROTA__READABLE);
    assert_int_equal(rota__sim_clear(&poller, fd, ROTA__READABLE), 0);
    assert_int_equal(look(&poller, &noted), 0);
    assert_int_equal(rota__sim_set(&poller, fd, ROTA__HANGUP), 0);
    assert_int_equal(look(&poller, &noted), ROTA__HANGUP);
    rota__poller_close(&poller);
}

static void a_scripted_edge_is_told_once_until_drained(void)
{
    struct rota__poller poller;
    struct noted noted;
    int fd = SCRIPTED(0);

    open_simulation(&poller, &noted, fd, ROTA__READABLE | ROTA__EDGE);
    assert_int_equal(rota__sim_set(&poller, fd, ROTA__READABLE), 0);
    assert_int_equal(look(&poller, &noted), ROTA__READABLE);
    assert_int_equal(look(&poller, &noted), 0);
    rota__poller_drained(&poller, &noted.watch, ROTA__READABLE);
    assert_int_equal(look(&poller, &noted), ROTA__READABLE);
    assert_int_equal(rota__sim_clear(&poller, fd, ROTA__READABLE), 0);
    assert_int_equal(rota__sim_set(&poller, fd, ROTA__READABLE), 0);
    assert_int_equal(look(&poller, &noted), ROTA__READABLE);
    rota__poller_close(&poller);
}

static void what_is_true_before_the_watch_is_told_to_it(void)
{
    struct rota__poller poller;
    struct noted noted = noted_for(SCRIPTED(9));

    assert_int_equal(rota__poller_open(&poller, "sim"), 0);
    assert_int_equal(rota__sim_set(&poller, SCRIPTED(9), ROTA__WRITABLE), 0);
    assert_int_equal(rota__poller_wait(&poller, ROTA__ASK), 0);
    assert_int_equal(rota__poller_add(&poller, &noted.watch, ROTA__WRITABLE),
                     0);
    assert_int_equal(look(&poller, &noted), ROTA__WRITABLE);
    rota__poller_remove(&poller, &noted.watch);
    assert_int_equal(look(&poller, &noted), 0);
    rota__poller_close(&poller);
}

static void a_simulation_does_not_wait_while_an_event_is_due(void)
{
    struct rota__poller poller;
    struct noted noted;

    open_simulation(&poller, &noted, SCRIPTED(1), ROTA__READABLE);
    assert_int_equal(rota__sim_set(&poller, SCRIPTED(1), ROTA__READABLE), 0);
    assert_int_equal(rota__poller_wait(&poller, ROTA__FOREVER), 0);
    assert_int_equal(noted.times, 1);
    rota__poller_close(&poller);
}

static void a_thousand_scripted_fds_are_kept_apart(void)
{
    static struct noted noted[1000];
    struct rota__poller poller;

    assert_int_equal(rota__poller_open(&poller, "sim"), 0);
    for (int i = 0; i < 1000; i++) {
        noted[i] = noted_for(SCRIPTED(i));
        assert_int_equal(
            rota__poller_add(&poller, &noted[i].watch, ROTA__READABLE), 0);
        if (i % 3 == 0)
            assert_int_equal(
                rota__sim_set(&poller, SCRIPTED(i), ROTA__READABLE), 0);
    }
    assert_int_equal(rota__poller_wait(&poller, ROTA__ASK), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(noted[i].times, i % 3 == 0);
    rota__poller_close(&poller);
}

static void only_a_simulation_follows_a_script(void)
{
    struct rota__poller poller;

    assert_int_equal(rota__poller_open(&poller, "poll"), 0);
    assert_int_equal(rota__sim_set(&poller, SCRIPTED(0), ROTA__READABLE),
                     -EINVAL);
    assert_int_equal(rota__sim_clear(&poller, SCRIPTED(0), ROTA__READABLE),
                     -EINVAL);
    rota__poller_close(&poller);
    assert_int_equal(rota__poller_open(&poller, "sim"), 0);
    assert_int_equal(rota__sim_set(&poller, 5, ROTA__READABLE), -EINVAL);
    assert_int_equal(rota__sim_clear(&poller, 5, ROTA__READABLE), -EINVAL);
    assert_int_equal(rota__sim_clear(&poller, SCRIPTED(0), ROTA__READABLE), 0);
    rota__poller_close(&poller);
}

HARNESS_MAIN(TESTS(a_wait_is_never_shorter_than_its_timeout),
             TESTS(a_wait_is_precise),
             TESTS(a_signal_ends_a_wait_without_an_error),
             TESTS(a_wait_for_ever_ends_with_an_event),
             TESTS(a_busy_loop_hears_of_events_too),
             TESTS(a_poller_moves_from_thread_to_thread),
             TEST(a_scripted_level_lasts_until_it_is_taken_back),
             TEST(a_scripted_edge_is_told_once_until_drained),
             TEST(what_is_true_before_the_watch_is_told_to_it),
             TEST(a_simulation_does_not_wait_while_an_event_is_due),
             TEST(a_thousand_scripted_fds_are_kept_apart),
             TEST(only_a_simulation_follows_a_script))
