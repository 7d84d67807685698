/* SPDX-License-Identifier: MIT */
/*
 * The schedules themselves: they find what is broken
 *
 * Each scenario here has a fault that shows under some orders only, or only
 * when the right task is cancelled in the right moment.
 */
#include "schedules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/task.h"

/* It must break, with these words; and again in the run that it named. */
static void expect_break(const schedules_scenario *scenario, const char *words)
{
    const char *what = schedules_break(scenario);
    char first[4096];
    char name[64];

    if (!what || !strstr(what, words))
        fail_msg("expected \"%s\", got: %s", words, what ? what : "nothing");
    snprintf(first, sizeof first, "%s", what);
    assert_int_equal(sscanf(first, "ROTA_TEST_SCHEDULE=%63[^,]", name), 1);
    what = schedules_run(scenario, name);
    assert_non_null(what);
    assert_string_equal(what, first);
    fprintf(stderr, "%s\n", first);
}

/* --- Locks --------------------------------------------------------------- */

/*
 * Two ways to get it wrong. The forgetful lock is kept for the one that was
 * woken, who drops it when it is cancelled instead. The careless one is free
 * until the woken one comes, and lets in who comes before.
 */
static struct {
    struct rota__link waiting;
    bool locked;
    bool careless;
    int inside;
} lock;

static int take_lock(void)
{
    struct rota__waiter waiter;
    intptr_t err = 0;

    if (lock.locked)
        err = rota__park_in(rota__current(), &waiter, &lock.waiting);
    if (err == 0)
        lock.locked = true;
    else if (lock.careless && !lock.locked)
        (void)rota__unpark_first(&lock.waiting, 0);
    return (int)err;
}

static void leave_lock(void)
{
    bool woken = rota__unpark_first(&lock.waiting, 0);

    lock.locked = woken && !lock.careless;
}

static intptr_t take_turns(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int round = 0; err == 0 && round < 2; round++) {
        err = AWAIT(rota_sleep(0));
        if (err == 0)
            err = AWAIT(take_lock());
        if (err < 0)
            break;
        CHECK(lock.inside++ == 0);
        err = AWAIT(rota_sleep(0));
        lock.inside--;
        leave_lock();
    }
    return schedules_outcome(err);
}

static void begin_locks(rota_loop *loop)
{
    (void)loop;
    rota__list_init(&lock.waiting);
    lock.locked = false;
    lock.inside = 0;
    for (int i = 0; i < 3; i++)
        schedules_start(take_turns, NULL);
}

static const schedules_scenario locks = {.begin = begin_locks};

static void a_lost_wake_up_is_found(void)
{
    lock.careless = false;
    expect_break(&locks, "a deadlock");
}

static void a_lock_that_admits_two_is_found(void)
{
    lock.careless = true;
    expect_break(&locks, "not true: lock.inside++ == 0");
}

/* --- A queue ------------------------------------------------------------- */

/*
 * What is put goes straight to a getter that waits. Who is cancelled after
 * that drops it.
 */
static struct {
    struct rota__link getters;
    int items[16];
    int count;
    int put;
    int got;
    int left;
    bool closed;
} hand;

struct getter {
    struct rota__waiter waiter;
    int item;
};

static void put(int item)
{
    struct rota__link *first = hand.getters.next;
    struct rota__waiter *waiter;

    hand.put++;
    if (first == &hand.getters) {
        hand.items[hand.count++] = item;
        return;
    }
    waiter = rota__container_of(first, struct rota__waiter, link);
    rota__container_of(waiter, struct getter, waiter)->item = item;
    rota__unpark(waiter, 0);
}

static int get(int *item)
{
    struct getter getter = {.item = 0};
    intptr_t err;

    if (hand.count > 0) {
        *item = hand.items[--hand.count];
        return 0;
    }
    if (hand.closed)
        return -ROTA_ESHUTDOWN;
    err = rota__park_in(rota__current(), &getter.waiter, &hand.getters);
    *item = getter.item;
    return (int)err;
}

static intptr_t produce(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 1; err == 0 && i <= 3; i++) {
        err = AWAIT(rota_sleep(0));
        if (err == 0)
            put(i);
    }
    return schedules_outcome(err);
}

static intptr_t consume(void *arg)
{
    intptr_t err;
    int item;

    (void)arg;
    while ((err = AWAIT(get(&item))) == 0)
        hand.got++;
    return err == -ECANCELED ? err : 0;
}

static void begin_handing(rota_loop *loop)
{
    (void)loop;
    memset(&hand, 0, sizeof hand);
    rota__list_init(&hand.getters);
    for (int i = 0; i < 2; i++) {
        schedules_start(produce, NULL);
        schedules_start(consume, NULL);
    }
}

static bool close_hand(void)
{
    if (hand.closed)
        return false;
    hand.closed = true;
    rota__unpark_all(&hand.getters, -ROTA_ESHUTDOWN);
    return true;
}

static void check_hand(void)
{
    CHECK(hand.put == hand.got + hand.count);
}

static void an_item_that_a_cancellation_loses_is_found(void)
{
    static const schedules_scenario handing = {
        .begin = begin_handing, .idle = close_hand, .end = check_hand};

    expect_break(&handing, "not true: hand.put == hand.got + hand.count");
}

/* --- Other faults -------------------------------------------------------- */

static bool swallows;

static int sleep_deaf(void)
{
    int err = rota_sleep(1);

    return swallows ? 0 : err;
}

static intptr_t hear_nothing(void *arg)
{
    intptr_t err = AWAIT(sleep_deaf());

    (void)arg;
    return schedules_outcome(err);
}

static intptr_t hear_twice(void *arg)
{
    intptr_t err = AWAIT(rota_sleep(1));

    (void)arg;
    if (err == -ECANCELED)
        rota__cancel_next_wait(rota__current());
    return schedules_outcome(err);
}

static rota_queue *forgotten[2];

static intptr_t forget_memory(void *arg)
{
    rota_queue *queue;
    intptr_t err;

    (void)arg;
    if (rota_queue_new(&queue, sizeof(int), 0) < 0)
        abort();
    err = AWAIT(rota_sleep(1));
    if (err == -ECANCELED)
        forgotten[forgotten[0] != NULL] = queue;
    else
        rota_queue_free(queue);
    return schedules_outcome(err);
}

static intptr_t never_end(void *arg)
{
    intptr_t err;

    (void)arg;
    do
        err = AWAIT(rota_sleep(0));
    while (err != -ECANCELED);
    while (AWAIT(rota_sleep(0)) != -EIO)
        ;
    return 0;
}

static intptr_t hide_an_error(void *arg)
{
    intptr_t err = AWAIT(rota_sleep(1));

    (void)arg;
    return err == -ECANCELED ? -EIO : 0;
}

static rota_task_function *single;

static void begin_single(rota_loop *loop)
{
    (void)loop;
    schedules_start(single, NULL);
}

static const schedules_scenario one_task = {.begin = begin_single};

static void a_request_that_is_swallowed_is_found(void)
{
    single = hear_nothing;
    swallows = false;
    schedules_hold(&one_task);
    swallows = true;
    expect_break(&one_task, "a request to cancel was lost");
}

static void a_request_that_is_told_twice_is_found(void)
{
    single = hear_twice;
    expect_break(&one_task, "cancelled without a request");
}

static void a_leak_in_a_cancelled_task_is_found(void)
{
    single = forget_memory;
    expect_break(&one_task, "1 blocks are left");
    rota_queue_free(forgotten[0]);
    rota_queue_free(forgotten[1]);
}

static void a_task_that_does_not_end_is_found(void)
{
    single = never_end;
    expect_break(&one_task, "it goes on after");
}

static void an_error_that_nobody_sees_is_found(void)
{
    single = hide_an_error;
    expect_break(&one_task, "a detached task has failed: EIO");
}

static intptr_t stop_the_program(void *arg)
{
    intptr_t err = AWAIT(rota_sleep(1));

    (void)arg;
    if (err == -ECANCELED)
        abort();
    return schedules_outcome(err);
}

static void a_run_that_stops_the_program_is_named(void)
{
    single = stop_the_program;
    schedules_hold(&one_task);
}

/* --- The walk ------------------------------------------------------------ */

static struct {
    unsigned runs;
    unsigned parked;
    unsigned woken;
    unsigned unbegun;
    unsigned begun;
    unsigned timed_out;
    unsigned rests;
    bool over; /* the sleep, whether or not the task knows */
} met;

static rota_timer_handle alarm_handle;
static rota_future bell;

static void ring(void *arg)
{
    (void)arg;
    met.over = true;
    rota_future_set_result(&bell, 0);
}

static intptr_t wait_for_the_bell(void *arg)
{
    intptr_t err;

    (void)arg;
    met.begun++;
    err = AWAIT(rota_await_future(&bell, NULL));
    met.timed_out += err == -ETIMEDOUT;
    if (err == -ECANCELED && met.over)
        met.woken++;
    else if (err == -ECANCELED)
        met.parked++;
    return schedules_outcome(err);
}

static void begin_bell(rota_loop *loop)
{
    met.runs++;
    met.over = false;
    rota_future_init(&bell, loop);
    alarm_handle = (rota_timer_handle){0};
    if (rota_call_later(loop, &alarm_handle, 1, ring, NULL) < 0)
        abort();
    schedules_start(wait_for_the_bell, NULL);
}

/* Time stands still, and the bell has not rung. */
static void rest_before_the_bell(void)
{
    CHECK(!met.over);
    met.rests++;
}

static void end_bell(void)
{
    rota_timer_handle_cancel(&alarm_handle);
    rota_future_fini(&bell);
}

static void a_wait_is_cancelled_before_it_parked_and_woken(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_bell, .rest = rest_before_the_bell, .end = end_bell};

    memset(&met, 0, sizeof met);
    schedules_hold(&scenario);
    met.unbegun = met.runs - met.begun;
    assert_true(met.runs > 150);
    assert_in_range(met.parked, met.runs / 20, met.runs);
    assert_in_range(met.woken, met.runs / 50, met.runs);
    assert_in_range(met.unbegun, met.runs / 20, met.runs);
    assert_in_range(met.timed_out, met.runs / 20, met.runs);
    assert_in_range(met.rests, met.runs / 2, met.runs);
}

HARNESS_MAIN(TEST(a_lost_wake_up_is_found),
             TEST(a_lock_that_admits_two_is_found),
             TEST(an_item_that_a_cancellation_loses_is_found),
             TEST(a_request_that_is_swallowed_is_found),
             TEST(a_request_that_is_told_twice_is_found),
             TEST(a_leak_in_a_cancelled_task_is_found),
             TEST(a_task_that_does_not_end_is_found),
             TEST(an_error_that_nobody_sees_is_found),
             TEST_EXPECT_SIGNAL(a_run_that_stops_the_program_is_named, SIGABRT,
                                "it was ROTA_TEST_SCHEDULE=cancel:0:1"),
             TEST(a_wait_is_cancelled_before_it_parked_and_woken))
