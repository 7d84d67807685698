/* SPDX-License-Identifier: MIT */
/*
 * The monotonic clock
 */
#include "harness.h"

#include "os/os.h"

#include <pthread.h>
#include <time.h>

static void the_clock_never_goes_back(void)
{
    int64_t before = rota__clock_now();

    for (int i = 0; i < 100000; i++) {
        int64_t now = rota__clock_now();

        assert_true(now >= before);
        before = now;
    }
}

static void the_clock_goes_on(void)
{
    int64_t begin = rota__clock_now();
    int64_t least = ROTA__FOREVER;
    int64_t before = begin;

    while (before - begin < ROTA__SECOND / 1000) {
        int64_t now = rota__clock_now();

        if (now > before && now - before < least)
            least = now - before;
        before = now;
    }
    assert_true(least < ROTA__SECOND / 1000); /* finer than a millisecond */
}

static void the_clock_counts_nanoseconds(void)
{
    const struct timespec moment = {.tv_nsec = 3000000};
    int64_t begin = rota__clock_now();
    int64_t took;

    nanosleep(&moment, NULL);
    took = rota__clock_now() - begin;
    assert_true(took >= moment.tv_nsec);
    assert_true(took < 10 * ROTA__SECOND);
}

static void the_clock_is_the_systems_monotonic_one(void)
{
    int64_t before = rota__clock_now();
    struct timespec now;
    int64_t system;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    system = (int64_t)now.tv_sec * ROTA__SECOND + now.tv_nsec;
    assert_true(before <= system);
    assert_true(system <= rota__clock_now());
}

static void *read_clock(void *now)
{
    *(int64_t *)now = rota__clock_now();
    return NULL;
}

static void threads_see_the_same_clock(void)
{
    int64_t before = rota__clock_now();
    int64_t theirs = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, read_clock, &theirs), 0);
    pthread_join(thread, NULL);
    assert_true(before <= theirs);
    assert_true(theirs <= rota__clock_now());
}

/* The one that counts ticks */

static void the_quick_clock_stays_within_its_margin(void)
{
    int64_t end = rota__clock_now() + ROTA__SECOND / 20;
    struct rota__clock clock;
    int64_t after;

    rota__clock_init(&clock);
    do {
        int64_t before = rota__clock_now();
        int64_t quick = rota__clock_quick(&clock);

        after = rota__clock_now();
        assert_true(quick >= before - ROTA__CLOCK_MARGIN);
        assert_true(quick <= after + ROTA__CLOCK_MARGIN);
    } while (after < end);
}

static void the_quick_clock_survives_pauses(void)
{
    static const long pauses[] = {1000, 300000, 950000, 1100000, 3000000};
    struct rota__clock clock;

    rota__clock_init(&clock);
    for (size_t i = 0; i < 5 * rota__countof(pauses); i++) {
        const struct timespec pause = {
            .tv_nsec = pauses[i % rota__countof(pauses)],
        };
        int64_t before = rota__clock_now();
        int64_t quick = rota__clock_quick(&clock);

        assert_true(quick >= before - ROTA__CLOCK_MARGIN);
        assert_true(quick <= rota__clock_now() + ROTA__CLOCK_MARGIN);
        nanosleep(&pause, NULL);
    }
}

static void follow(struct rota__clock *clock, int64_t how_long)
{
    int64_t end = rota__clock_now() + how_long;
    int64_t after;

    do {
        int64_t before = rota__clock_now();
        int64_t quick = rota__clock_quick(clock);

        after = rota__clock_now();
        assert_true(quick >= before - ROTA__CLOCK_MARGIN);
        assert_true(quick <= after + ROTA__CLOCK_MARGIN);
    } while (after < end);
}

/* The counter goes on while the machine sleeps, and the clock does not. */
static void the_quick_clock_survives_a_suspend(void)
{
    const uint64_t asleep = UINT64_C(600) * 3000000000;
    struct rota__clock clock;

    rota__clock_init(&clock);
    follow(&clock, ROTA__SECOND / 100);
    clock.ticks -= asleep;
    clock.rate_ticks -= asleep;
    follow(&clock, ROTA__SECOND / 50);
    if (clock.usable && !harness_under(HARNESS_TSAN | HARNESS_VALGRIND))
        assert_true(clock.rate != 0);
}

HARNESS_MAIN(TEST(the_quick_clock_survives_a_suspend),
             TEST(the_clock_never_goes_back), TEST(the_clock_goes_on),
             TEST(the_clock_counts_nanoseconds),
             TEST(the_clock_is_the_systems_monotonic_one),
             TEST(threads_see_the_same_clock),
             TEST(the_quick_clock_stays_within_its_margin),
             TEST(the_quick_clock_survives_pauses))
