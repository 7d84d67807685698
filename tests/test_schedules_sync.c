/* SPDX-License-Identifier: MIT */
/*
 * Locks, events, conditions and semaphores under all schedules
 *
 * What must hold whoever is cancelled: nobody is let in who should not be,
 * nobody waits for what is there, and in the end all is free again.
 */
#include "schedules.h"

#include <string.h>

#include "task/task.h"

/* --- Lock ---------------------------------------------------------------- */

enum { LOCKERS = 4, ROUNDS = 3 };

static struct {
    rota_lock lock;
    int inside;
    unsigned arrivals;
    unsigned arrived[LOCKERS]; /* when, if it waits; else 0 */
    rota_task tasks[LOCKERS];
    int turns_taken;
} room;

/* Those who came before must have been cancelled and not know yet. */
static void check_order(unsigned mine)
{
    for (int i = 0; i < LOCKERS; i++)
        if (room.arrived[i] > 0 && room.arrived[i] < mine)
            CHECK(rota_task_cancelling(room.tasks[i]) > 0);
}

static intptr_t stay_inside(double seconds)
{
    intptr_t err;

    CHECK(room.inside++ == 0);
    CHECK(rota_lock_locked(&room.lock));
    err = AWAIT(rota_sleep(seconds));
    room.inside--;
    room.turns_taken++;
    CHECK(rota_lock_release(&room.lock) == 0);
    return err;
}

static intptr_t take_turns(void *arg)
{
    int i = (int)(intptr_t)arg;
    intptr_t err = 0;

    for (int round = 0; err != -ECANCELED && round < ROUNDS; round++) {
        unsigned mine = ++room.arrivals;

        room.arrived[i] = mine;
        err = AWAIT(rota_lock_acquire(&room.lock));
        room.arrived[i] = 0;
        if (err == 0)
            check_order(mine);
        if (err == 0)
            err = stay_inside((i + round) % 3);
    }
    return schedules_outcome(err);
}

static void begin_lock(rota_loop *loop)
{
    (void)loop;
    memset(&room, 0, sizeof room);
    rota_lock_init(&room.lock);
    for (intptr_t i = 0; i < LOCKERS; i++)
        room.tasks[i] = schedules_start(take_turns, (void *)i);
}

static void check_lock(void)
{
    CHECK(room.lock.locked || rota__queue_idle(&room.lock.queue));
}

static void end_lock(void)
{
    CHECK(!rota_lock_locked(&room.lock));
    CHECK(rota__queue_idle(&room.lock.queue));
    CHECK(room.turns_taken == LOCKERS * ROUNDS || schedules_disturbed());
    rota_lock_fini(&room.lock);
}

static void a_lock_has_one_owner_and_goes_to_the_next_in_line(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_lock, .rest = check_lock, .end = end_lock};

    schedules_hold(&scenario);
}

/* --- Event --------------------------------------------------------------- */

enum { WATCHERS = 3 };

static struct {
    rota_event event;
    int times_set;
    int since[WATCHERS]; /* times_set when it began to wait; -1: it does not */
} flag;

static intptr_t watch_flag(void *arg)
{
    int i = (int)(intptr_t)arg;
    intptr_t err = 0;

    for (int round = 0; err != -ECANCELED && round < 2; round++) {
        bool set = rota_event_is_set(&flag.event);
        int before = flag.times_set;

        flag.since[i] = set ? -1 : before;
        err = AWAIT(rota_event_wait(&flag.event));
        flag.since[i] = -1;
        CHECK(err != 0 || set || flag.times_set > before);
        if (err == 0)
            err = AWAIT(rota_sleep(0));
    }
    return schedules_outcome(err);
}

static void raise_flag(void)
{
    flag.times_set++;
    rota_event_set(&flag.event);
}

/* Who was woken stays so, also if the event is cleared at once. */
static intptr_t wave(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int round = 0; err != -ECANCELED && round < 2; round++) {
        err = AWAIT(rota_sleep(round));
        if (err == -ECANCELED)
            break;
        raise_flag();
        if (round > 0)
            err = AWAIT(rota_sleep(0));
        rota_event_clear(&flag.event);
    }
    return schedules_outcome(err);
}

static void begin_event(rota_loop *loop)
{
    (void)loop;
    memset(&flag, 0, sizeof flag);
    rota_event_init(&flag.event);
    for (intptr_t i = 0; i < WATCHERS; i++) {
        flag.since[i] = -1;
        schedules_start(watch_flag, (void *)i);
    }
    schedules_start(wave, NULL);
}

static void check_flag(void)
{
    for (int i = 0; i < WATCHERS; i++)
        CHECK(flag.since[i] < 0 || flag.since[i] == flag.times_set);
}

static bool raise_it_again(void)
{
    if (rota_event_is_set(&flag.event))
        return false;
    raise_flag();
    return true;
}

static void end_event(void)
{
    CHECK(rota__queue_idle(&flag.event.queue));
    rota_event_fini(&flag.event);
}

static void an_event_wakes_all_that_wait_when_it_is_set(void)
{
    static const schedules_scenario scenario = {.begin = begin_event,
                                                .rest = check_flag,
                                                .idle = raise_it_again,
                                                .end = end_event};

    schedules_hold(&scenario);
}

/* --- Condition ----------------------------------------------------------- */

/* A shelf for one loaf: two conditions with one lock. */
enum { BAKERS = 2, EATERS = 2, BATCH = 3 };

static struct {
    rota_lock lock;
    rota_condition filled;
    rota_condition emptied;
    int inside;
    int loaves;
    int baked;
    int eaten;
    int hungry; /* wait for a loaf */
    int stuck;  /* wait for room */
    bool closed;
} shelf;

static void enter_bakery(void)
{
    CHECK(shelf.inside++ == 0);
    CHECK(rota_condition_locked(&shelf.filled));
}

static void leave_bakery(void)
{
    shelf.inside--;
    CHECK(rota_lock_release(&shelf.lock) == 0);
}

static bool has_a_loaf(void *arg)
{
    (void)arg;
    return shelf.loaves > 0 || shelf.closed;
}

static bool has_room(void *arg)
{
    (void)arg;
    return shelf.loaves == 0 || shelf.closed;
}

/* Both ways to wait; either comes back with the lock. */
static intptr_t wait_for_a_loaf(void)
{
    intptr_t err = 0;

    shelf.inside--;
    shelf.hungry++;
    while (err == 0 && !has_a_loaf(NULL))
        err = AWAIT(rota_condition_wait(&shelf.filled));
    shelf.hungry--;
    enter_bakery();
    return err;
}

static intptr_t wait_for_room(void)
{
    intptr_t err;

    shelf.inside--;
    shelf.stuck++;
    err = AWAIT(rota_condition_wait_for(&shelf.emptied, has_room, NULL));
    shelf.stuck--;
    enter_bakery();
    return err;
}

static intptr_t bake_one(void)
{
    intptr_t err = AWAIT(rota_condition_acquire(&shelf.emptied));

    if (err < 0)
        return err;
    enter_bakery();
    err = wait_for_room();
    if (err == 0 && !shelf.closed) {
        CHECK(shelf.loaves == 0);
        shelf.loaves++;
        shelf.baked++;
        CHECK(rota_condition_notify(&shelf.filled, 1) == 0);
        err = AWAIT(rota_sleep(0)); /* so that others wait for the lock */
    }
    leave_bakery();
    return err;
}

static intptr_t bake(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 0; err != -ECANCELED && i < BATCH; i++)
        err = bake_one();
    return schedules_outcome(err);
}

static intptr_t eat_one(bool *more)
{
    intptr_t err = AWAIT(rota_lock_acquire(&shelf.lock));

    if (err < 0)
        return err;
    enter_bakery();
    err = wait_for_a_loaf();
    if (err == 0 && shelf.loaves > 0) {
        shelf.loaves--;
        shelf.eaten++;
        CHECK(rota_condition_notify(&shelf.emptied, 1) == 0);
    }
    *more = !shelf.closed || shelf.loaves > 0;
    leave_bakery();
    return err;
}

static intptr_t eat(void *arg)
{
    intptr_t err = 0;
    bool more = true;

    (void)arg;
    while (err != -ECANCELED && more) {
        err = eat_one(&more);
        if (err == 0)
            err = AWAIT(rota_sleep(0));
    }
    return schedules_outcome(err);
}

static intptr_t close_bakery(void *arg)
{
    intptr_t err = AWAIT(rota_lock_acquire(&shelf.lock));

    (void)arg;
    if (err < 0)
        return schedules_outcome(err);
    shelf.closed = true;
    CHECK(rota_condition_notify_all(&shelf.filled) == 0);
    CHECK(rota_condition_notify_all(&shelf.emptied) == 0);
    return rota_lock_release(&shelf.lock);
}

static void begin_condition(rota_loop *loop)
{
    (void)loop;
    memset(&shelf, 0, sizeof shelf);
    rota_lock_init(&shelf.lock);
    rota_condition_init(&shelf.filled, &shelf.lock);
    rota_condition_init(&shelf.emptied, &shelf.lock);
    for (int i = 0; i < BAKERS; i++)
        schedules_start(bake, NULL);
    for (int i = 0; i < EATERS; i++)
        schedules_start(eat, NULL);
}

/* Nobody may sleep over what was notified. */
static void check_shelf(void)
{
    if (shelf.lock.locked)
        return; /* by one that sleeps */
    CHECK(shelf.loaves == 0 || shelf.hungry == 0);
    CHECK(shelf.loaves > 0 || shelf.stuck == 0);
    CHECK(rota__queue_idle(&shelf.lock.queue));
}

static bool close_the_bakery(void)
{
    if (shelf.closed)
        return false;
    schedules_start(close_bakery, NULL);
    return true;
}

static void end_condition(void)
{
    CHECK(shelf.baked == shelf.eaten + shelf.loaves);
    CHECK(shelf.baked == BAKERS * BATCH || schedules_disturbed());
    CHECK(shelf.loaves == 0 || schedules_disturbed());
    CHECK(!rota_lock_locked(&shelf.lock));
    CHECK(rota__queue_idle(&shelf.filled.queue));
    CHECK(rota__queue_idle(&shelf.emptied.queue));
    rota_condition_fini(&shelf.emptied);
    rota_condition_fini(&shelf.filled);
    rota_lock_fini(&shelf.lock);
}

static void a_notification_that_meets_a_cancellation_is_passed_on(void)
{
    static const schedules_scenario scenario = {.begin = begin_condition,
                                                .rest = check_shelf,
                                                .idle = close_the_bakery,
                                                .end = end_condition};

    schedules_hold(&scenario);
}

/* --- Semaphores ---------------------------------------------------------- */

enum { GUESTS = 5, SEATS = 2 };

static struct {
    rota_semaphore seats;
    size_t inside;
    int served;
} table;

static intptr_t dine(void *arg)
{
    int i = (int)(intptr_t)arg;
    intptr_t err = 0;

    for (int round = 0; err != -ECANCELED && round < 2; round++) {
        err = AWAIT(rota_semaphore_acquire(&table.seats));
        if (err < 0)
            continue;
        CHECK(++table.inside <= SEATS);
        err = AWAIT(rota_sleep((i + round) % 3));
        table.inside--;
        table.served++;
        CHECK(rota_semaphore_release(&table.seats) == 0);
    }
    return schedules_outcome(err);
}

static void begin_guests(void)
{
    table.inside = 0;
    table.served = 0;
    for (intptr_t i = 0; i < GUESTS; i++)
        schedules_start(dine, (void *)i);
}

static void begin_semaphore(rota_loop *loop)
{
    (void)loop;
    rota_semaphore_init(&table.seats, SEATS);
    begin_guests();
}

static void begin_bounded_semaphore(rota_loop *loop)
{
    (void)loop;
    rota_bounded_semaphore_init(&table.seats, SEATS);
    begin_guests();
}

static void check_table(void)
{
    CHECK(table.seats.value == SEATS - table.inside);
    CHECK(table.seats.value == 0 || rota__queue_idle(&table.seats.queue));
}

static void end_semaphore(void)
{
    CHECK(table.seats.value == SEATS);
    CHECK(!rota_semaphore_locked(&table.seats));
    CHECK(rota__queue_idle(&table.seats.queue));
    CHECK(table.served == 2 * GUESTS || schedules_disturbed());
    rota_semaphore_fini(&table.seats);
}

static void a_semaphore_admits_as_many_as_it_has_and_has_them_back(void)
{
    static const schedules_scenario scenario = {
        .begin = begin_semaphore, .rest = check_table, .end = end_semaphore};

    schedules_hold(&scenario);
}

static void a_bounded_semaphore_comes_back_to_its_bound(void)
{
    static const schedules_scenario scenario = {.begin =
                                                    begin_bounded_semaphore,
                                                .rest = check_table,
                                                .end = end_semaphore};

    schedules_hold(&scenario);
}

static struct {
    rota_semaphore tickets;
    size_t printed;
    size_t used;
} gate;

static void print_ticket(void)
{
    gate.printed++;
    CHECK(rota_semaphore_release(&gate.tickets) == 0);
}

static intptr_t print_tickets(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 0; err != -ECANCELED && i < 3; i++) {
        print_ticket();
        if (i == 1)
            print_ticket();
        err = AWAIT(rota_sleep(i));
    }
    return schedules_outcome(err);
}

static intptr_t use_tickets(void *arg)
{
    intptr_t err = 0;

    (void)arg;
    for (int i = 0; err != -ECANCELED && i < 3; i++) {
        err = AWAIT(rota_semaphore_acquire(&gate.tickets));
        gate.used += err == 0;
    }
    return schedules_outcome(err);
}

static void begin_tickets(rota_loop *loop)
{
    (void)loop;
    memset(&gate, 0, sizeof gate);
    rota_semaphore_init(&gate.tickets, 0);
    schedules_start(print_tickets, NULL);
    for (int i = 0; i < 3; i++)
        schedules_start(use_tickets, NULL);
}

static void check_tickets(void)
{
    CHECK(gate.printed == gate.used + gate.tickets.value);
    CHECK(gate.tickets.value == 0 || rota__queue_idle(&gate.tickets.queue));
}

static bool print_another(void)
{
    print_ticket();
    return true;
}

static void end_tickets(void)
{
    CHECK(gate.printed == gate.used + gate.tickets.value);
    rota_semaphore_fini(&gate.tickets);
}

static void no_release_of_a_semaphore_is_lost_or_counts_twice(void)
{
    static const schedules_scenario scenario = {.begin = begin_tickets,
                                                .rest = check_tickets,
                                                .idle = print_another,
                                                .end = end_tickets};

    schedules_hold(&scenario);
}

HARNESS_MAIN(
    TEST_TIMEOUT(a_lock_has_one_owner_and_goes_to_the_next_in_line, 60),
    TEST_TIMEOUT(an_event_wakes_all_that_wait_when_it_is_set, 60),
    TEST_TIMEOUT(a_notification_that_meets_a_cancellation_is_passed_on, 60),
    TEST_TIMEOUT(a_semaphore_admits_as_many_as_it_has_and_has_them_back, 60),
    TEST_TIMEOUT(a_bounded_semaphore_comes_back_to_its_bound, 60),
    TEST_TIMEOUT(no_release_of_a_semaphore_is_lost_or_counts_twice, 60))
