/* SPDX-License-Identifier: MIT */
/*
 * Signals among threads: whose loop is told, and storms of them
 */
#include "signals.h"

#include <poll.h>
#include <rota/debug.h>

/* --- Two loops on two threads -------------------------------------------- */

struct place {
    pthread_t thread;
    int number;
    int signals; /* until it ends */
    int calls;
    atomic_bool ready;
    rota_loop *loop;
};

static void count_in_place(void *arg)
{
    struct place *place = arg;

    if (++place->calls == place->signals)
        rota_loop_stop(place->loop);
}

static void *run_a_loop(void *arg)
{
    struct place *place = arg;

    place->loop = signal_loop(NULL);
    add_handler(place->loop, place->number, count_in_place, place);
    atomic_store(&place->ready, true);
    assert_int_equal(rota_loop_run_forever(place->loop), 0);
    two_turns(place->loop);
    rota_loop_free(place->loop);
    return NULL;
}

static void start_places(struct place *places, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(
            pthread_create(&places[i].thread, NULL, run_a_loop, &places[i]), 0);
        while (!atomic_load(&places[i].ready))
            sched_yield();
    }
}

static void join_places(struct place *places, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_join(places[i].thread, NULL), 0);
}

static void each_loop_is_told_of_its_own_signal(void)
{
    struct place places[2] = {{.number = SIGUSR1, .signals = 1},
                              {.number = SIGUSR2, .signals = 2}};

    start_places(places, 2);
    pthread_kill(places[0].thread, SIGUSR2); /* the other one's, through it */
    raise(SIGUSR2);
    raise(SIGUSR1);
    join_places(places, 2);
    assert_int_equal(places[0].calls, 1);
    assert_int_equal(places[1].calls, 2);
    assert_true(is_default(SIGUSR1));
    assert_true(is_default(SIGUSR2));
}

static void all_loops_are_told_of_a_common_signal(void)
{
    struct place places[3] = {{.number = SIGUSR1, .signals = 1},
                              {.number = SIGUSR1, .signals = 1},
                              {.number = SIGUSR1, .signals = 1}};

    start_places(places, 3);
    kill(getpid(), SIGUSR1);
    join_places(places, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(places[i].calls, 1);
    assert_true(is_default(SIGUSR1));
}

/* --- Storms -------------------------------------------------------------- */

enum { SENDERS = 3, EACH = 10000 };

struct storm {
    rota_loop *loop;
    long sent;
    long told;
    int ticks;
    atomic_bool over;
    int number;
    pthread_t takers[2];
};

/* Those that the system has no room for are not sent. */
static void *queue_many(void *arg)
{
    struct storm *storm = arg;
    union sigval value = {.sival_int = 0};
    long sent = 0;

    for (int i = 0; i < EACH; i++) {
        while (sigqueue(getpid(), storm->number, value) < 0)
            sched_yield();
        sent++;
    }
    return (void *)sent;
}

static void be_told(void *arg)
{
    struct storm *storm = arg;

    if (++storm->told == (long)SENDERS * EACH)
        rota_loop_stop(storm->loop);
}

static void tick(void *arg)
{
    struct storm *storm = arg;

    storm->ticks++;
    assert_int_equal(rota_call_later(storm->loop, NULL, 0.0005, tick, storm),
                     0);
}

static void start_blocked(pthread_t *threads, int count, void *(*run)(void *),
                          void *arg)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, arg), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void join_all(const pthread_t *threads, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Real-time signals are queued, so each can be accounted for. */
static void no_signal_of_a_storm_is_lost(void)
{
    struct storm storm = {.loop = signal_loop(NULL)};
    pthread_t threads[SENDERS];

    storm.number = SIGRTMIN + 3;
    storm.loop->virtual_clock = false;
    add_handler(storm.loop, storm.number, be_told, &storm);
    tick(&storm);
    start_blocked(threads, SENDERS, queue_many, &storm);
    assert_int_equal(rota_loop_run_forever(storm.loop), 0);
    join_all(threads, SENDERS);
    assert_int_equal(storm.told, SENDERS * EACH);
    assert_true(storm.ticks > 0);
    two_turns(storm.loop);
    assert_int_equal(storm.told, SENDERS * EACH);
    rota_loop_free(storm.loop);
}

static void send_from_another_process(int number)
{
    for (int i = 0; i < EACH; i++)
        kill(getppid(), number);
    _exit(0);
}

static void count_told(void *arg)
{
    ((struct storm *)arg)->told++;
}

/* The kernel folds those that are pending into one. The last one is told. */
static void the_last_signal_of_a_storm_of_processes_is_told(void)
{
    struct storm storm = {.loop = signal_loop(NULL), .number = SIGUSR1};
    pid_t children[SENDERS];
    long before;

    add_handler(storm.loop, SIGUSR1, count_told, &storm);
    for (int i = 0; i < SENDERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            send_from_another_process(SIGUSR1);
    }
    for (int i = 0; i < SENDERS; i++) {
        int status = -1;

        while (waitpid(children[i], &status, WNOHANG) == 0)
            one_turn(storm.loop);
        assert_int_equal(status, 0);
    }
    do {
        before = storm.told;
        two_turns(storm.loop);
    } while (storm.told > before);
    assert_true(storm.told > 0);
    raise(SIGUSR1);
    two_turns(storm.loop);
    assert_int_equal(storm.told, before + 1);
    rota_loop_free(storm.loop);
}

/* Two threads take signals and do nothing else; one sends to all. */
static void *take_signals(void *arg)
{
    struct storm *storm = arg;

    while (!atomic_load(&storm->over))
        sched_yield();
    return NULL;
}

static void *kill_many(void *arg)
{
    struct storm *storm = arg;

    while (!atomic_load(&storm->over)) {
        kill(getpid(), storm->number);
        for (int i = 0; i < 2; i++)
            pthread_kill(storm->takers[i], storm->number);
    }
    return NULL;
}

static void start_storm(struct storm *storm, pthread_t *sender)
{
    set_disposition(SIGUSR1, SIG_IGN);
    storm->number = SIGUSR1;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            pthread_create(&storm->takers[i], NULL, take_signals, storm), 0);
    start_blocked(sender, 1, kill_many, storm);
}

static void end_storm(struct storm *storm, pthread_t sender)
{
    atomic_store(&storm->over, true);
    join_all(&sender, 1);
    join_all(storm->takers, 2);
    assert_ptr_equal((void *)disposition(SIGUSR1).sa_handler, (void *)SIG_IGN);
}

static void handlers_come_and_go_in_a_storm(void)
{
    struct storm storm = {.told = 0};
    pthread_t sender;
    rota_loop *loop = signal_loop(NULL);

    start_storm(&storm, &sender);
    for (int i = 0; i < 1000 || storm.told < 100; i++) {
        add_handler(loop, SIGUSR1, count_told, &storm);
        if (i % 3 == 0)
            two_turns(loop);
        assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
    }
    end_storm(&storm, sender);
    rota_loop_free(loop);
}

static void loops_come_and_go_in_a_storm(void)
{
    struct storm storm = {.told = 0};
    pthread_t sender;

    start_storm(&storm, &sender);
    for (int i = 0; i < 300 || storm.told < 30; i++) {
        rota_loop *loop = signal_loop(NULL);

        add_handler(loop, SIGUSR1, count_told, &storm);
        if (i % 3 == 0)
            two_turns(loop);
        rota_loop_free(loop);
    }
    end_storm(&storm, sender);
}

/* A child begins while handlers are under way on threads that it has not. */
static void children_are_forked_in_a_storm(void)
{
    struct storm storm = {.told = 0};
    pthread_t sender;
    rota_loop *loop = signal_loop(NULL);

    start_storm(&storm, &sender);
    add_handler(loop, SIGUSR1, count_told, &storm);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();

        if (child == 0) {
            rota_remove_signal_handler(loop, SIGUSR1);
            rota_add_signal_handler(loop, SIGUSR1, must_not_run, NULL);
            rota_remove_signal_handler(loop, SIGUSR1);
            _exit(disposition(SIGUSR1).sa_handler == SIG_IGN ? 0 : 1);
        }
        assert_int_equal(status_of(child), 0);
    }
    assert_int_equal(rota_remove_signal_handler(loop, SIGUSR1), 1);
    end_storm(&storm, sender);
    rota_loop_free(loop);
}

/* --- Beside the watchdog, which has a signal of its own ------------------ */

/* Until the watchdog has looked: poll() is never begun anew. */
static void hold_the_loop(void *arg)
{
    (void)arg;
    assert_int_equal(poll(NULL, 0, -1), -1);
    assert_int_equal(errno, EINTR);
}

static void a_handler_of_the_watchdogs_signal_leaves_it_its_own(void)
{
    const rota_loop_options options = {.watchdog = 0.02};
    rota_loop *loop;
    int calls = 0;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    add_handler(loop, SIGURG, count_call, &calls);
    assert_int_equal(rota_call_soon(loop, NULL, hold_the_loop, NULL), 0);
    one_turn(loop);
    two_turns(loop);
    assert_int_equal(calls, 0);
    raise(SIGURG);
    two_turns(loop);
    assert_int_equal(calls, 1);
    rota_loop_free(loop);
}

HARNESS_MAIN(
    TEST(each_loop_is_told_of_its_own_signal),
    TEST(all_loops_are_told_of_a_common_signal),
    TEST_SKIP_UNDER(no_signal_of_a_storm_is_lost, HARNESS_TSAN,
                    "it folds signals that it holds back"),
    TEST(the_last_signal_of_a_storm_of_processes_is_told),
    TEST(handlers_come_and_go_in_a_storm), TEST(loops_come_and_go_in_a_storm),
    TEST(children_are_forked_in_a_storm),
    TEST_EXPECT_STDERR(a_handler_of_the_watchdogs_signal_leaves_it_its_own,
                       "it is at"))
