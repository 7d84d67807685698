/* SPDX-License-Identifier: MIT */
/*
 * rota's own figures, by the public API: PROGRAM WORK [N]
 *
 * Prints "WORK NANOSECONDS": processor time an operation.
 */
#include <rota.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static size_t count;
static rota_loop *loop;

static double cpu_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void must(intptr_t result)
{
    if (!rota_is_error(result))
        return;
    fprintf(stderr, "micro: %s\n", rota_strerror(result));
    exit(1);
}

/* --- tasks --------------------------------------------------------------- */

static intptr_t yield_many(void *arg)
{
    size_t times = *(size_t *)arg;

    for (size_t i = 0; i < times; i++)
        must(rota_sleep(0));
    return 0;
}

static double yield_among(size_t tasks)
{
    rota_task *all = calloc(tasks, sizeof(*all));
    size_t times = count / tasks;
    double began;

    for (size_t i = 0; i < tasks; i++)
        must(rota_create_task(&all[i], yield_many, &times));
    began = cpu_now();
    must(rota_gather(all, tasks, NULL, false));
    began = cpu_now() - began;
    free(all);
    return began / (double)(times * tasks);
}

static double yield2(void)
{
    return yield_among(2);
}

static double yield1000(void)
{
    return yield_among(1000);
}

static intptr_t nothing(void *arg)
{
    return (intptr_t)arg;
}

static double spawn1(void)
{
    double began = cpu_now();
    rota_task task;

    for (size_t i = 0; i < count; i++) {
        must(rota_create_task(&task, nothing, NULL));
        must(rota_await(task));
    }
    return (cpu_now() - began) / (double)count;
}

static double spawn1000(void)
{
    enum { ALIVE = 1000 };
    size_t rounds = count / ALIVE;
    double began = cpu_now();
    static rota_task tasks[ALIVE];

    for (size_t i = 0; i < rounds; i++) {
        for (size_t j = 0; j < ALIVE; j++)
            must(rota_create_task(&tasks[j], nothing, NULL));
        for (size_t j = 0; j < ALIVE; j++)
            must(rota_await(tasks[j]));
    }
    return (cpu_now() - began) / (double)(rounds * ALIVE);
}

/* --- callbacks and timers ------------------------------------------------ */

static size_t fired;

static void tick(void *arg)
{
    (void)arg;
    fired++;
}

static double call_soon(void)
{
    enum { BATCH = 1000 };
    static rota_handle handles[BATCH];
    double began;

    for (size_t i = 0; i < 2; i++) { /* the first round warms up */
        fired = 0;
        began = cpu_now();
        while (fired < count) {
            for (size_t j = 0; j < BATCH; j++)
                must(rota_call_soon(loop, &handles[j], tick, NULL));
            must(rota_sleep(0));
        }
    }
    return (cpu_now() - began) / (double)fired;
}

static double call_soon_lent(void)
{
    enum { BATCH = 1000 };
    double began = 0;

    for (size_t i = 0; i < 2; i++) {
        fired = 0;
        began = cpu_now();
        while (fired < count) {
            for (size_t j = 0; j < BATCH; j++)
                must(rota_call_soon(loop, NULL, tick, NULL));
            must(rota_sleep(0));
        }
    }
    return (cpu_now() - began) / (double)fired;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t xorshift(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static rota_timer_handle *timers;
static size_t armed;

static void make_timers(void)
{
    timers = malloc(count * sizeof(*timers));
    if (!timers)
        exit(1);
    memset(timers, 0, count * sizeof(*timers)); /* and so touch them */
    armed = count;
}

static void arm_all(double least, double span)
{
    make_timers();
    for (size_t i = 0; i < count; i++) {
        double delay = least + span * (double)(xorshift() % 1000000) / 1e6;

        must(rota_call_later(loop, &timers[i], delay, tick, NULL));
    }
}

static double timer_arm(void)
{
    double began;

    make_timers();
    began = cpu_now();
    for (size_t i = 0; i < count; i++) {
        double delay = 1 + 999 * (double)(xorshift() % 1000000) / 1e6;

        must(rota_call_later(loop, &timers[i], delay, tick, NULL));
    }
    return (cpu_now() - began) / (double)count;
}

static double timer_cancel(void)
{
    size_t *order = malloc(count * sizeof(*order));
    double began;

    arm_all(1, 999);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = xorshift() % (i + 1);
        size_t swap = order[i];

        order[i] = order[j];
        order[j] = swap;
    }
    began = cpu_now();
    for (size_t i = 0; i < count; i++)
        rota_timer_handle_cancel(&timers[order[i]]);
    return (cpu_now() - began) / (double)count;
}

static double timer_fire(void)
{
    double began;

    arm_all(0.2, 0.05);
    usleep(400000);
    began = cpu_now();
    fired = 0;
    while (fired < count)
        must(rota_sleep(0));
    return (cpu_now() - began) / (double)count;
}

static double timer_churn(void)
{
    enum { ALIVE = 10000 };
    double began;
    size_t times = count;

    count = ALIVE;
    arm_all(60, 1);
    count = times;
    began = cpu_now();
    for (size_t i = 0; i < times; i++)
        must(rota_timer_handle_reschedule(&timers[i % ALIVE],
                                          rota_loop_time(loop) + 60));
    return (cpu_now() - began) / (double)times;
}

/* --- memory -------------------------------------------------------------- */

static intptr_t sleep_long(void *arg)
{
    (void)arg;
    return rota_sleep(3600);
}

static double resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        exit(1);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double rss(void)
{
    rota_task *tasks = malloc(count * sizeof(*tasks));
    double before;

    memset(tasks, 0, count * sizeof(*tasks));
    before = resident();
    for (size_t i = 0; i < count; i++)
        must(rota_create_task(&tasks[i], sleep_long, NULL));
    must(rota_sleep(0));
    must(rota_sleep(0));
    before = (resident() - before) / (double)count;
    for (size_t i = 0; i < count; i++)
        must(rota_task_cancel(tasks[i]));
    if (rota_gather(tasks, count, NULL, true) < 0)
        exit(1);
    free(tasks);
    return before;
}

static void disarm_all(void)
{
    for (size_t i = 0; timers && i < armed; i++)
        rota_timer_handle_cancel(&timers[i]);
    free(timers);
}

static const struct work {
    const char *name;
    size_t count;
    double (*run)(void);
} works[] = {
    {"yield2", 20000000, yield2},
    {"yield1000", 20000000, yield1000},
    {"spawn1", 5000000, spawn1},
    {"spawn1000", 5000000, spawn1000},
    {"call_soon", 20000000, call_soon},
    {"call_soon_lent", 20000000, call_soon_lent},
    {"timer_arm", 1000000, timer_arm},
    {"timer_cancel", 1000000, timer_cancel},
    {"timer_fire", 1000000, timer_fire},
    {"timer_churn", 10000000, timer_churn},
    {"rss", 100000, rss},
    {"million", 1000000, rss},
};

static intptr_t amain(void *arg)
{
    const struct work *work = arg;

    loop = rota_get_running_loop();
    printf("%s %.2f\n", work->name, work->run());
    disarm_all();
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof works / sizeof *works; i++) {
        struct work work = works[i];

        if (strcmp(work.name, argv[1]) != 0)
            continue;
        count = argc > 2 ? strtoul(argv[2], NULL, 0) : work.count;
        return rota_run(amain, &work) < 0;
    }
    printf("%s unsupported\n", argc > 1 ? argv[1] : "");
    return 3;
}
