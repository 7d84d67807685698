/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: who holds the loop, told while it does
 *
 * The loop notes when each step (one callback, or a task from one wait to the
 * next) began, and that it is over. A thread looks at that from time to time:
 *
 *     a step --> rests until it is due --> due: tells; and is due again when
 *                                          it has lasted twice as long
 *     none   --> rests --> still none: sleeps until a step begins
 *
 * It never rests for longer than the limit, so no step gets older unseen. A
 * busy loop costs the thread a look or two in each limit, and one that sleeps
 * costs nothing. A step is known by the time when it began: one that is due
 * began long ago, so no other can have the same.
 *
 * To tell, the watchdog halts the loop's thread (os/halt.c) and asks, while it
 * stands, who runs. The step's handle is not looked at after its beginning: a
 * callback may free its own. The lock keeps the thread from leaving the loop,
 * and so from ending, while it may be sent a signal.
 */
#include "loop/loop.h"
#include <rota/debug.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SHORTEST (ROTA__SECOND / 1000)

struct rota__watchdog {
    rota_loop *loop;
    struct rota__at_close at_close;
    struct rota__wake wake;
    pthread_t thread; /* its own */
    atomic_bool ending;
    _Atomic int64_t limit;

    pthread_mutex_t lock; /* guards `watched`; the loop's thread stays */
    pthread_t watched;

    _Atomic int64_t began;          /* the step that is under way; 0: none */
    _Atomic(const void *) function; /* of the step; NULL: a task */
    atomic_bool asleep;             /* a step must wake it */
};

/* --- In the loop's thread ------------------------------------------------ */

static void set_step(struct rota__watchdog *dog, const void *function)
{
    atomic_store_explicit(&dog->function, function, memory_order_release);
    atomic_store(&dog->began, rota__clock_quick(&dog->loop->clock));
    if (rota__unlikely(atomic_load(&dog->asleep)) &&
        atomic_exchange(&dog->asleep, false))
        rota__wake_signal(&dog->wake);
}

void rota__watchdog_step(rota_loop *loop, struct rota__handle *handle)
{
    bool task = loop->describe && loop->describe(loop, handle, NULL, 0);

    set_step(loop->watchdog, task ? NULL : rota__handle_function(handle));
}

void rota__watchdog_stepped(rota_loop *loop)
{
    atomic_store_explicit(&loop->watchdog->began, 0, memory_order_release);
}

static void watch_this_thread(struct rota__watchdog *dog)
{
    pthread_mutex_lock(&dog->lock);
    dog->watched = pthread_self();
    pthread_mutex_unlock(&dog->lock);
}

void rota__watchdog_enter(rota_loop *loop, struct rota__running *run)
{
    struct rota__watchdog *dog = loop->watchdog;

    run->in_step = atomic_load(&dog->began) != 0;
    run->step_function = atomic_load(&dog->function);
    rota__watchdog_stepped(loop);
    watch_this_thread(dog);
}

/* The step that a nested run was a part of goes on, as from now. */
void rota__watchdog_leave(rota_loop *loop, const struct rota__running *run)
{
    rota__watchdog_stepped(loop);
    watch_this_thread(loop->watchdog); /* waits until it is not signalled */
    if (run->in_step)
        set_step(loop->watchdog, run->step_function);
}

/* --- In the watchdog's --------------------------------------------------- */

struct sight {
    struct rota__halt halt;
    struct rota__watchdog *dog;
    int64_t began;
    int64_t age;
    bool over; /* the step has ended meanwhile */
    const void *function;
    char name[128];
};

static void note_function(struct sight *sight)
{
    sight->function =
        atomic_load_explicit(&sight->dog->function, memory_order_acquire);
    sight->over = atomic_load(&sight->dog->began) != sight->began;
}

static void look(struct rota__halt *halt)
{
    struct sight *sight = rota__container_of(halt, struct sight, halt);
    rota_loop *loop = sight->dog->loop;

    note_function(sight);
    if (!sight->over && loop->describe)
        (void)loop->describe(loop, NULL, sight->name, sizeof sight->name);
}

/* A task that runs has its name by now, if its thread has answered. */
static void name_callback(struct sight *sight)
{
    char name[96] = "";

    if (sight->function)
        rota__name_function(sight->function, name, sizeof name);
    snprintf(sight->name, sizeof sight->name, "%s%s",
             sight->function ? "callback " : "a task", name);
}

/* In one piece, whatever other threads print. */
static void print(const struct sight *sight, bool stands)
{
    char place[256];

    flockfile(stderr);
    rota__report("executing %s has held the loop for %.3f seconds; %s",
                 sight->name, (double)sight->age / (double)ROTA__SECOND,
                 stands ? "it is at" : "its thread does not answer");
    for (size_t i = 0; i < sight->halt.count; i++) {
        rota__name_address(sight->halt.pcs[i], place, sizeof place);
        rota__report("  %s", place);
    }
    if (sight->halt.count == rota__countof(sight->halt.pcs))
        rota__report("  ...");
    funlockfile(stderr);
}

static void tell(struct rota__watchdog *dog, int64_t began)
{
    struct sight sight = {.halt.look = look, .dog = dog, .began = began};
    bool stands;

    pthread_mutex_lock(&dog->lock);
    note_function(&sight);
    sight.age = rota__clock_now() - began;
    stands = !sight.over && rota__halt(dog->watched, &sight.halt);
    pthread_mutex_unlock(&dog->lock);
    if (!stands)
        note_function(&sight);
    if (sight.over)
        return;
    if (!sight.name[0])
        name_callback(&sight);
    print(&sight, stands);
}

static void sleep_until_a_step(struct rota__watchdog *dog)
{
    atomic_store(&dog->asleep, true);
    if (atomic_load(&dog->began) == 0 && !atomic_load(&dog->ending))
        rota__wake_wait(&dog->wake, ROTA__FOREVER);
    atomic_store(&dog->asleep, false);
}

/* How long a step may be when the next is told of it. */
static int64_t next_age(int64_t limit, int64_t age)
{
    while (limit <= age)
        limit *= 2;
    return limit;
}

static void *watch(void *arg)
{
    struct rota__watchdog *dog = arg;
    bool rested = false;
    int64_t seen = 0;
    int64_t told = 0; /* at which age */

    while (!atomic_load(&dog->ending)) {
        int64_t began = atomic_load(&dog->began);
        int64_t limit = atomic_load(&dog->limit);
        int64_t left;

        if (began == 0 && rested) {
            sleep_until_a_step(dog);
            rested = false;
            continue;
        }
        if (began != seen)
            told = 0;
        seen = began;
        rested = began == 0;
        left = began == 0 ? limit
                          : began + next_age(limit, told) - rota__clock_now();
        if (left > 0) {
            rota__wake_wait(&dog->wake, left < limit ? left : limit);
        } else {
            tell(dog, began);
            told = rota__clock_now() - began;
        }
    }
    return NULL;
}

/* --- On and off ---------------------------------------------------------- */

static void put_down(struct rota__watchdog *dog)
{
    dog->loop->watchdog = NULL;
    dog->loop->watched = dog->loop->debug;
    atomic_store(&dog->ending, true);
    rota__wake_signal(&dog->wake);
    pthread_join(dog->thread, NULL);
    rota__halt_end();
    pthread_mutex_destroy(&dog->lock);
    rota__wake_close(&dog->wake);
    rota__free(dog);
}

static void loop_closes(struct rota__at_close *at_close)
{
    put_down(rota__container_of(at_close, struct rota__watchdog, at_close));
}

static int get_one(rota_loop *loop, int64_t limit)
{
    struct rota__watchdog *dog = rota__zalloc(sizeof *dog);
    int err;

    if (!dog)
        return -ENOMEM;
    err = rota__wake_open(&dog->wake);
    if (err < 0)
        goto free_dog;
    dog->loop = loop;
    dog->limit = limit;
    pthread_mutex_init(&dog->lock, NULL);
    watch_this_thread(dog);
    rota__halt_begin();
    err = rota__thread_start(&dog->thread, watch, dog);
    if (err < 0)
        goto end_halts;
    rota__at_close_add(loop, &dog->at_close, loop_closes);
    loop->watchdog = dog;
    loop->watched = true;
    return 0;
end_halts:
    rota__halt_end();
    pthread_mutex_destroy(&dog->lock);
    rota__wake_close(&dog->wake);
free_dog:
    rota__free(dog);
    return err;
}

static int set_limit(rota_loop *loop, int64_t limit)
{
    if (!loop->watchdog)
        return get_one(loop, limit);
    atomic_store(&loop->watchdog->limit, limit);
    rota__wake_signal(&loop->watchdog->wake);
    return 0;
}

int rota_set_watchdog(rota_loop *loop, double seconds)
{
    int err = rota__check(loop, "rota_set_watchdog");
    int64_t limit;

    if (err < 0)
        return err;
    if (!isfinite(seconds) || seconds < 0)
        return -EINVAL;
    limit = rota__to_ns(seconds);
    if (limit > 0)
        return set_limit(loop, limit < SHORTEST ? SHORTEST : limit);
    if (loop->watchdog) {
        rota__at_close_remove(&loop->watchdog->at_close);
        put_down(loop->watchdog);
    }
    return 0;
}

/* What the options say, or else the environment. */
int rota__watchdog_configure(rota_loop *loop, double seconds)
{
    const char *value = getenv("ROTA_WATCHDOG");
    char *end;

    if (seconds == 0 && value && *value) {
        seconds = strtod(value, &end);
        if (*end)
            return -EINVAL;
    }
    return rota_set_watchdog(loop, seconds);
}
