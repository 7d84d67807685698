/* SPDX-License-Identifier: MIT */
/*
 * Virtual time and seeds: programs whose time and luck a test decides
 */
#include "scenario.h"

#include <stdlib.h>
#include <time.h>

#include "loop/loop.h"

static double real_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- Time --------------------------------------------------------------- */

static intptr_t sleep_for_hours(void *arg)
{
    double before = now();

    (void)arg;
    for (int hour = 0; hour < 1000; hour++)
        assert_int_equal(rota_sleep(3600), 0);
    assert_true(fabs(now() - before - 3600e3) < 1e-3);
    return 0;
}

static void hours_of_sleep_are_over_at_once(void)
{
    double before = real_time();

    scenario(sleep_for_hours);
    assert_true(real_time() - before < 5 * harness_slowness());
}

struct nap {
    double seconds;
    const char *word;
};

static intptr_t nap(void *arg)
{
    const struct nap *nap = arg;
    double before = now();

    assert_int_equal(rota_sleep(nap->seconds), 0);
    assert_true(fabs(now() - before - nap->seconds) < 1e-6);
    note("%s", nap->word);
    return 0;
}

static intptr_t nap_apart(void *arg)
{
    struct nap naps[] = {{3600, "hour"},
                         {1e-9, "nanosecond"},
                         {60, "minute"},
                         {86400, "day"},
                         {1e-3, "millisecond"}};
    rota_task tasks[5];

    (void)arg;
    for (int i = 0; i < 5; i++)
        tasks[i] = start(nap, &naps[i]);
    return rota_gather(tasks, 5, NULL, false);
}

static void time_jumps_from_timer_to_timer(void)
{
    scenario(nap_apart);
    assert_noted("nanosecond millisecond minute hour day");
}

static intptr_t work_without_time(void *arg)
{
    double before = now();

    (void)arg;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rota_sleep(0), 0);
    for (double until = real_time() + 0.002; real_time() < until;)
        ;
    assert_true(now() - before == 0);
    return 0;
}

static void time_stands_still_while_there_is_work(void)
{
    scenario(work_without_time);
}

static intptr_t stand_still(void *arg)
{
    double before = now();

    (void)arg;
    assert_int_equal(rota_sleep(1e6), 0);
    /* A clock that has run for long has coarser fractions. */
    return now() - before >= 1e6 - 1e-6 ? 0 : -EIO;
}

static void the_environment_can_ask_for_it(void)
{
    double before = real_time();

    setenv("ROTA_CLOCK", "virtual", 1);
    assert_int_equal(rota_run(stand_still, NULL), 0);
    assert_true(real_time() - before < 5 * harness_slowness());
}

static void the_simulated_poller_brings_it_along(void)
{
    const rota_loop_options options = {.poller = "sim"};

    assert_int_equal(rota_run_with(&options, stand_still, NULL), 0);
}

/* --- Threads ------------------------------------------------------------ */

static intptr_t block(void *arg)
{
    const struct timespec moment = {.tv_nsec = 20000000};

    nanosleep(&moment, NULL);
    return (intptr_t)arg;
}

static intptr_t work_beside_a_thread(void *arg)
{
    struct nap hour = {3600, "hour"};
    rota_task task = start(nap, &hour);
    double began = now();

    (void)arg;
    assert_int_equal(rota_run_in_executor(NULL, block, (void *)3, 0), 3);
    note("job");
    assert_true(now() - began == 0);
    return rota_await(task);
}

static void a_thread_at_work_holds_time_back(void)
{
    scenario(work_beside_a_thread);
    assert_noted("job hour");
}

/* --- Seeds -------------------------------------------------------------- */

static intptr_t note_twice(void *name)
{
    note("%s", (const char *)name);
    pass_turns(1);
    note("%s", (const char *)name);
    return 0;
}

static intptr_t shuffle_five(void *arg)
{
    const char *names[] = {"a", "b", "c", "d", "e"};
    rota_task tasks[5];

    (void)arg;
    for (int i = 0; i < 5; i++)
        tasks[i] = start(note_twice, (void *)names[i]);
    return rota_gather(tasks, 5, NULL, false);
}

static void run_seeded(uint64_t seed, rota_task_function *function, void *arg)
{
    const rota_loop_options options = {.virtual_clock = true, .seed = seed};

    assert_int_equal(rota_run_with(&options, function, arg), 0);
}

static void a_seed_decides_the_order_of_each_turn(void)
{
    static char first[sizeof scenario_line], before[sizeof scenario_line];
    int changes = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_seeded(seed, shuffle_five, NULL);
        snprintf(first, sizeof first, "%s", scenario_line);
        assert_noted(first);
        for (int again = 0; again < 3; again++) {
            run_seeded(seed, shuffle_five, NULL);
            assert_noted(first);
        }
        changes += strcmp(first, before) != 0;
        snprintf(before, sizeof before, "%s", first);
    }
    assert_in_range(changes, 10, 20);
    run_seeded(0, shuffle_five, NULL);
    assert_noted("a b c d e a b c d e");
}

static void the_environment_can_give_a_seed(void)
{
    static char wanted[sizeof scenario_line];

    run_seeded(17, shuffle_five, NULL);
    snprintf(wanted, sizeof wanted, "%s", scenario_line);
    assert_noted(wanted);
    setenv("ROTA_SEED", "17", 1);
    scenario(shuffle_five);
    assert_noted(wanted);
    setenv("ROTA_SEED", "0x11", 1);
    scenario(shuffle_five);
    assert_noted(wanted);
}

/* --- A queue that must lose nothing ------------------------------------- */

/*
 * A queue of one place, made of futures as asyncio's is: whoever has to wait
 * stands in line with a future of its own, and a cancelled one passes on the
 * wake-up that it got in vain.
 */
enum { LINE = 8, ITEMS = 4, PRODUCERS = 2, CONSUMERS = 3 };

struct line {
    rota_future *waiting[LINE];
    int count;
};

static struct queue {
    struct line getters;
    struct line putters;
    bool full;
    int put;
    int got;
    int awaits;
    int cancel_at;
    bool at_once; /* or only once it waits */
    bool cancelled;
} queue;

static void leave(struct line *line, const rota_future *future)
{
    for (int i = 0; i < line->count; i++) {
        if (line->waiting[i] != future)
            continue;
        line->count--;
        for (; i < line->count; i++)
            line->waiting[i] = line->waiting[i + 1];
    }
}

static void wake_next(struct line *line)
{
    while (line->count > 0) {
        rota_future *first = line->waiting[0];

        leave(line, first);
        if (rota_future_set_result(first, 0) == 0)
            return;
    }
}

static rota_task victim;

static void cancel_victim(void *arg)
{
    (void)arg;
    queue.cancelled = rota_task_cancel(victim) == 1;
}

/* Counts the awaits, and has one of them cancelled. */
static void before_await(void)
{
    if (queue.awaits++ != queue.cancel_at)
        return;
    victim = rota_current_task();
    if (queue.at_once)
        cancel_victim(NULL);
    else
        assert_int_equal(
            rota_call_soon(rota_get_running_loop(), NULL, cancel_victim, NULL),
            0);
}

static int stand_in(struct line *line, bool want_full)
{
    int err = 0;

    while (err == 0 && queue.full != want_full) {
        rota_future future;

        rota_future_init(&future, rota_get_running_loop());
        line->waiting[line->count++] = &future;
        before_await();
        err = rota_await_future(&future, NULL);
        leave(line, &future);
        if (err < 0 && !rota_future_cancelled(&future) &&
            queue.full == want_full)
            wake_next(line);
        rota_future_fini(&future);
    }
    return err;
}

static intptr_t produce(void *arg)
{
    int err = 0;

    (void)arg;
    for (int i = 0; err == 0 && i < ITEMS; i++) {
        err = stand_in(&queue.putters, false);
        if (err < 0)
            break;
        queue.full = true;
        queue.put++;
        wake_next(&queue.getters);
        before_await();
        err = rota_sleep(0);
    }
    return err;
}

static intptr_t consume(void *arg)
{
    int err;

    (void)arg;
    while ((err = stand_in(&queue.getters, true)) == 0) {
        queue.full = false;
        queue.got++;
        wake_next(&queue.putters);
        before_await();
        err = rota_sleep(1);
        if (err < 0)
            break;
    }
    return err;
}

static intptr_t produce_and_consume(void *arg)
{
    enum { ALL = PRODUCERS + CONSUMERS };
    intptr_t results[ALL];
    rota_task tasks[ALL];

    (void)arg;
    for (int i = 0; i < ALL; i++)
        tasks[i] = start(i < PRODUCERS ? produce : consume, NULL);
    assert_int_equal(rota_sleep(100), 0);
    assert_false(queue.full);
    assert_int_equal(queue.got, queue.put);
    for (int i = PRODUCERS; i < ALL; i++)
        assert_true(rota_task_cancel(tasks[i]) >= 0);
    assert_int_equal(rota_gather(tasks, ALL, results, true), 0);
    for (int i = 0; i < ALL; i++)
        assert_true(results[i] == 0 || results[i] == -ECANCELED);
    assert_int_equal(queue.getters.count + queue.putters.count, 0);
    return 0;
}

static void run_queue(uint64_t seed, int cancel_at)
{
    queue = (struct queue){
        .cancel_at = cancel_at,
        .at_once = seed % 2 == 0,
    };
    run_seeded(seed, produce_and_consume, NULL);
}

static void a_thousand_seeds_with_a_cancel_at_every_await_lose_nothing(void)
{
    uint64_t seeds =
        harness_under(HARNESS_VALGRIND | HARNESS_QEMU) ? 100 : 1000;
    int cancelled = 0;
    int awaits;

    run_queue(0, -1);
    assert_int_equal(queue.put, PRODUCERS * ITEMS);
    awaits = queue.awaits;
    assert_in_range(awaits, 10, 100);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        run_queue(seed, (int)(seed / 2) % awaits);
        cancelled += queue.cancelled;
    }
    assert_in_range(cancelled, seeds / 2, seeds);
}

HARNESS_MAIN(
    TEST(hours_of_sleep_are_over_at_once), TEST(time_jumps_from_timer_to_timer),
    TEST(time_stands_still_while_there_is_work),
    TEST(the_environment_can_ask_for_it),
    TEST(the_simulated_poller_brings_it_along),
    TEST(a_thread_at_work_holds_time_back),
    TEST(a_seed_decides_the_order_of_each_turn),
    TEST(the_environment_can_give_a_seed),
    TEST_TIMEOUT(a_thousand_seeds_with_a_cancel_at_every_await_lose_nothing,
                 60))
