/* SPDX-License-Identifier: MIT */
/*
 * The monotonic clock, and a cheaper way to read it often
 *
 * Asking the system costs 25 ns even without a system call; the processor's
 * own counter costs 10. Where the system itself lives by that counter (x86-64
 * Linux, if the kernel trusts it), a struct rota__clock adds the ticks since
 * its anchor, a true reading at most ANCHOR_LIFE ago. The rate is measured
 * from one anchor to the next, so that the error within one life stays below
 * ROTA__CLOCK_MARGIN.
 */
#include "os/os.h"
#include <stdio.h>
#include <time.h>

#define ANCHOR_LIFE 500000   /* ns */
#define SHORTEST_SPAN 900000 /* ns between two measurements of the rate */
#define LONGEST_SPAN INT64_C(4000000000)
#define LONGEST_READ 256    /* ticks that reading the clock may take */
#define AGREEMENT 8000      /* two rates agree to one part in so many */
#define LONGEST_READ_NS 170 /* and what that may be in time */

int64_t rota__clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * ROTA__SECOND + now.tv_nsec;
}

#if defined(__x86_64__) && defined(__linux__)

/* Only if the kernel trusts the counter: it knows about drifting cores. */
static bool counter_is_clock(void)
{
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/"
                       "current_clocksource",
                       "re");
    char name[16] = "";

    if (!file)
        return false;
    if (!fgets(name, sizeof name, file))
        name[0] = '\0';
    fclose(file);
    return strcmp(name, "tsc\n") == 0;
}

#else

static bool counter_is_clock(void)
{
    return false;
}

#endif

void rota__clock_init(struct rota__clock *clock)
{
    *clock = (struct rota__clock){.usable = counter_is_clock()};
}

/* Both at once; false if the thread may have been interrupted in between. */
static bool read_both(uint64_t *ticks, int64_t *ns)
{
    uint64_t before = rota__clock_ticks();
    uint64_t after;

    *ns = rota__clock_now();
    after = rota__clock_ticks();
    *ticks = before + (after - before) / 2;
    return after - before < LONGEST_READ;
}

static bool nearly(uint64_t a, uint64_t b)
{
    uint64_t apart = a > b ? a - b : b - a;

    return apart < a / AGREEMENT;
}

/*
 * The rate since the last measurement, believed when the one before agrees.
 * After a suspend (the counter may have gone on and the clock not), or while
 * the clock is being adjusted, two do not agree, and the system is asked.
 */
static void measure_rate(struct rota__clock *clock, uint64_t ticks, int64_t ns)
{
    uint64_t passed_ticks = ticks - clock->rate_ticks;
    int64_t passed = ns - clock->rate_ns;
    uint64_t rate;

    if (clock->rate_ticks != 0 && passed < SHORTEST_SPAN)
        return;
    clock->rate_ticks = ticks;
    clock->rate_ns = ns;
    if (passed > LONGEST_SPAN || passed_ticks == 0 ||
        passed_ticks > UINT64_MAX >> 1) {
        clock->life = 0;
        return;
    }
    rate = ((uint64_t)passed << 32) / passed_ticks;
    clock->life = 0;
    if (nearly(rate, clock->rate) &&
        LONGEST_READ * rate >> 32 <= LONGEST_READ_NS)
        clock->life = ((uint64_t)ANCHOR_LIFE << 32) / rate;
    clock->rate = rate;
}

int64_t rota__clock_anchor(struct rota__clock *clock)
{
    uint64_t ticks;
    int64_t ns;

    if (!clock->usable)
        return rota__clock_now();
    if (!read_both(&ticks, &ns))
        return ns;
    measure_rate(clock, ticks, ns);
    clock->ticks = ticks;
    clock->ns = ns;
    return ns;
}
