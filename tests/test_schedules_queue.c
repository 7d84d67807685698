/* SPDX-License-Identifier: MIT */
/*
 * Queues under all schedules
 *
 * Beside the queue a model is kept of what must be in it: what was put and
 * not got, in the order in which it was put. A put or a get that was
 * cancelled has changed nothing.
 */
#include "schedules.h"

#include <stdlib.h>
#include <string.h>

enum { PUTTERS = 2, GETTERS = 3, EACH = 4, ITEMS = PUTTERS * EACH, ROOM = 2 };

enum kind { FIRST_OUT, LAST_OUT, LEAST_OUT };

static struct {
    rota_queue *queue;
    enum kind kind;
    int in[ITEMS];
    size_t count;
    int put;
    int got;
    int thrown;
    int unfinished;
    int getting; /* tasks that wait */
    int putting;
    int joining;
    bool shut;
    bool emptied;
} store;

/* --- The model ----------------------------------------------------------- */

static void model_put(int item)
{
    CHECK(store.count < ITEMS);
    store.in[store.count++ % ITEMS] = item;
    store.put++;
    store.unfinished++;
}

static void remove_at(size_t at)
{
    store.count--;
    for (; at < store.count; at++)
        store.in[at] = store.in[at + 1];
}

static size_t place_of_next(void)
{
    size_t least = 0;

    if (store.kind == FIRST_OUT || store.count == 0)
        return 0;
    if (store.kind == LAST_OUT)
        return store.count - 1;
    for (size_t i = 1; i < store.count; i++)
        if (store.in[i] < store.in[least])
            least = i;
    return least;
}

static void model_get(int item)
{
    size_t at = place_of_next();

    CHECK(store.count > 0);
    CHECK(store.in[at] == item);
    if (store.count > 0)
        remove_at(at);
    store.got++;
}

/* The queue says that it throws this one away. */
static void throw_away(void *arg)
{
    size_t at = 0;
    int item;

    memcpy(&item, arg, sizeof item);
    while (at < store.count && store.in[at] != item)
        at++;
    CHECK(at < store.count);
    if (at < store.count)
        remove_at(at);
    store.thrown++;
    store.unfinished--;
}

/* --- The tasks ----------------------------------------------------------- */

static intptr_t put(int item)
{
    intptr_t err;

    store.putting++;
    err = AWAIT(rota_queue_put(store.queue, &item));
    store.putting--;
    if (err == 0)
        model_put(item);
    CHECK(rota_queue_size(store.queue) == store.count);
    return err;
}

static intptr_t get(void)
{
    int item = -1;
    intptr_t err;

    store.getting++;
    err = AWAIT(rota_queue_get(store.queue, &item));
    store.getting--;
    if (err == 0)
        model_get(item);
    else
        CHECK(item == -1);
    CHECK(rota_queue_size(store.queue) == store.count);
    return err;
}

/* Who is told that the queue has been shut down goes home. */
static intptr_t go_home(intptr_t err)
{
    if (err == -ROTA_ESHUTDOWN) {
        CHECK(store.shut);
        return 0;
    }
    return schedules_outcome(err);
}

static bool goes_on(intptr_t err)
{
    return err == 0 || err == -ETIMEDOUT;
}

static intptr_t fill(void *arg)
{
    int number = (int)(intptr_t)arg;
    intptr_t err = 0;

    for (int i = 0; goes_on(err) && i < EACH; i++) {
        err = put(i * 3 % EACH * PUTTERS + number);
        if (err == 0 && i % 2 == number)
            err = AWAIT(rota_sleep(0));
    }
    return go_home(err);
}

/* What was got is done with, also when that is cut short. */
static intptr_t work(void *arg)
{
    int number = (int)(intptr_t)arg;
    intptr_t err = 0;

    while (goes_on(err)) {
        err = get();
        if (err < 0)
            continue;
        err = AWAIT(rota_sleep(number));
        store.unfinished--;
        CHECK(rota_queue_task_done(store.queue) == 0);
    }
    return go_home(err);
}

static intptr_t wait_for_all(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int round = 0; goes_on(err) && round < 2; round++) {
        err = AWAIT(rota_sleep(round));
        if (err < 0)
            continue;
        store.joining++;
        err = AWAIT(rota_queue_join(store.queue));
        store.joining--;
    }
    return go_home(err);
}

static void shut(bool immediate)
{
    store.shut = true;
    store.emptied |= immediate;
    rota_queue_shutdown(store.queue, immediate);
}

static intptr_t shut_early(void *arg)
{
    intptr_t err = AWAIT(rota_sleep(1));

    (void)arg;
    if (err == 0)
        shut(schedules_pick(2) == 0);
    return go_home(err);
}

/* --- The scenarios ------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    int left, right;

    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

static void begin(enum kind kind, size_t room)
{
    int err;

    memset(&store, 0, sizeof store);
    store.kind = kind;
    if (kind == FIRST_OUT)
        err = rota_queue_new(&store.queue, sizeof(int), room);
    else if (kind == LAST_OUT)
        err = rota_lifo_queue_new(&store.queue, sizeof(int), room);
    else
        err = rota_priority_queue_new(&store.queue, sizeof(int), room, compare);
    if (err < 0)
        abort();
    rota_queue_set_release(store.queue, throw_away);
    for (intptr_t i = 0; i < GETTERS; i++)
        schedules_start(work, (void *)i);
    for (intptr_t i = 0; i < PUTTERS; i++)
        schedules_start(fill, (void *)i);
    schedules_start(wait_for_all, NULL);
}

/* Who waits, waits for what is not there. */
static void check_waiters(void)
{
    CHECK(store.count == 0 || store.getting == 0);
    CHECK(rota_queue_full(store.queue) || store.putting == 0);
    CHECK(store.unfinished > 0 || store.joining == 0);
    CHECK(!store.shut || store.getting + store.putting == 0);
}

static bool shut_at_last(void)
{
    if (store.emptied)
        return false;
    shut(store.shut || schedules_pick(2) == 0);
    return true;
}

static void end(void)
{
    int item;

    CHECK(rota_queue_size(store.queue) == store.count);
    while (rota_queue_get_nowait(store.queue, &item) == 0)
        model_get(item);
    CHECK(store.count == 0);
    CHECK(store.put == store.got + store.thrown);
    rota_queue_free(store.queue);
}

static void end_with_all_done(void)
{
    CHECK(store.got == ITEMS || schedules_disturbed());
    CHECK(store.unfinished == 0 || schedules_disturbed());
    end();
}

static void begin_first_out(rota_loop *loop)
{
    (void)loop;
    begin(FIRST_OUT, ROOM);
}

static void begin_last_out(rota_loop *loop)
{
    (void)loop;
    begin(LAST_OUT, ROOM);
}

static void begin_least_out(rota_loop *loop)
{
    (void)loop;
    begin(LEAST_OUT, ROOM);
}

static void begin_one_place_shut_early(rota_loop *loop)
{
    (void)loop;
    begin(FIRST_OUT, 1);
    schedules_start(shut_early, NULL);
}

static void begin_unlimited(rota_loop *loop)
{
    (void)loop;
    begin(LEAST_OUT, 0);
    schedules_start(shut_early, NULL);
}

static void a_queue_loses_and_doubles_nothing(void)
{
    static const schedules_scenario scenario = {.begin = begin_first_out,
                                                .rest = check_waiters,
                                                .idle = shut_at_last,
                                                .end = end_with_all_done};

    schedules_hold(&scenario);
}

static void a_lifo_queue_loses_and_doubles_nothing(void)
{
    static const schedules_scenario scenario = {.begin = begin_last_out,
                                                .rest = check_waiters,
                                                .idle = shut_at_last,
                                                .end = end_with_all_done};

    schedules_hold(&scenario);
}

static void a_priority_queue_loses_and_doubles_nothing(void)
{
    static const schedules_scenario scenario = {.begin = begin_least_out,
                                                .rest = check_waiters,
                                                .idle = shut_at_last,
                                                .end = end_with_all_done};

    schedules_hold(&scenario);
}

static void a_shutdown_lets_everybody_go(void)
{
    static const schedules_scenario scenario = {.begin =
                                                    begin_one_place_shut_early,
                                                .rest = check_waiters,
                                                .idle = shut_at_last,
                                                .end = end};

    schedules_hold(&scenario);
}

static void a_shutdown_of_an_unlimited_queue_lets_everybody_go(void)
{
    static const schedules_scenario scenario = {.begin = begin_unlimited,
                                                .rest = check_waiters,
                                                .idle = shut_at_last,
                                                .end = end};

    schedules_hold(&scenario);
}

HARNESS_MAIN(TEST_TIMEOUT(a_queue_loses_and_doubles_nothing, 60),
             TEST_TIMEOUT(a_lifo_queue_loses_and_doubles_nothing, 60),
             TEST_TIMEOUT(a_priority_queue_loses_and_doubles_nothing, 60),
             TEST_TIMEOUT(a_shutdown_lets_everybody_go, 60),
             TEST_TIMEOUT(a_shutdown_of_an_unlimited_queue_lets_everybody_go,
                          60))
