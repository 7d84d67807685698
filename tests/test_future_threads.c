/* SPDX-License-Identifier: MIT */
/*
 * Futures that another thread makes done
 *
 * Where a test wants a race, several threads begin at one barrier, again and
 * again; who wins is nobody's business, only that one does.
 */
#include "loops.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* A call on another thread, to its end. */
struct call {
    rota_future *future;
    intptr_t value;
    bool is_error;
    int result;
};

static void *make_the_call(void *arg)
{
    struct call *call = arg;

    call->result =
        call->is_error
            ? rota_future_set_exception_threadsafe(call->future,
                                                   (int)call->value)
            : rota_future_set_result_threadsafe(call->future, call->value);
    return NULL;
}

static int call_elsewhere(struct call call)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, make_the_call, &call), 0);
    pthread_join(thread, NULL);
    return call.result;
}

static int set_elsewhere(rota_future *future, intptr_t value)
{
    return call_elsewhere((struct call){.future = future, .value = value});
}

static int fail_elsewhere(rota_future *future, int error)
{
    return call_elsewhere(
        (struct call){.future = future, .value = error, .is_error = true});
}

static void note_done(rota_future *future, void *text)
{
    assert_true(rota_future_done(future));
    note(text);
}

static intptr_t result_of(rota_future *future)
{
    intptr_t result = 0;
    int err = rota_future_result(future, &result);

    return err < 0 ? err : result;
}

static int errors_reported;

static void count_report(rota_loop *loop, const rota_exception_context *context,
                         void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
    errors_reported++;
}

/* --- Delivery ----------------------------------------------------------- */

static void a_result_from_another_thread_comes_in_the_next_turn(void)
{
    rota_loop *loop = new_loop();
    rota_future future;

    rota_future_init(&future, loop);
    assert_ptr_equal(rota_future_get_loop(&future), loop);
    rota_future_add_done_callback(&future, NULL, note_done, "done");
    assert_int_equal(set_elsewhere(&future, 42), 0);
    assert_false(rota_future_done(&future));
    rota_call_soon(loop, NULL, note, "1");
    run_one_turn(loop);
    expect_noted("1");
    assert_int_equal(result_of(&future), 42);
    run_one_turn(loop);
    expect_noted("done");
    rota_future_fini(&future);
    rota_loop_free(loop);
}

static void an_error_from_another_thread_is_one_like_others(void)
{
    rota_loop *loop = new_loop();
    rota_future future;

    rota_set_exception_handler(loop, count_report, NULL);
    for (int asked = 0; asked < 2; asked++) {
        rota_future_init(&future, loop);
        assert_int_equal(fail_elsewhere(&future, -EIO), 0);
        run_one_turn(loop);
        assert_true(rota_future_done(&future));
        if (asked)
            assert_int_equal(rota_future_exception(&future), -EIO);
        rota_future_fini(&future);
        assert_int_equal(errors_reported, 1);
    }
    rota_loop_free(loop);
}

static void another_thread_may_cancel(void)
{
    rota_loop *loop = new_loop();
    rota_future future;

    rota_future_init(&future, loop);
    assert_int_equal(fail_elsewhere(&future, -ECANCELED), 0);
    run_one_turn(loop);
    assert_true(rota_future_cancelled(&future));
    rota_future_fini(&future);
    rota_loop_free(loop);
}

static void what_is_no_error_is_refused_from_another_thread_too(void)
{
    static const int values[] = {0, 1, EIO, -4096};
    rota_loop *loop = new_loop();
    rota_future future;

    rota_future_init(&future, loop);
    for (size_t i = 0; i < rota__countof(values); i++)
        assert_int_equal(fail_elsewhere(&future, values[i]), -EINVAL);
    assert_int_equal(set_elsewhere(&future, -EIO), 0); /* a value like any */
    run_one_turn(loop);
    assert_int_equal(rota_future_exception(&future), 0);
    rota_future_fini(&future);
    rota_loop_free(loop);
}

static void the_first_thread_that_comes_has_the_say(void)
{
    rota_loop *loop = new_loop();
    rota_future future;

    rota_future_init(&future, loop);
    assert_int_equal(set_elsewhere(&future, 1), 0);
    assert_int_equal(set_elsewhere(&future, 2), -ROTA_ESTATE);
    assert_int_equal(fail_elsewhere(&future, -EIO), -ROTA_ESTATE);
    run_one_turn(loop);
    assert_int_equal(set_elsewhere(&future, 3), -ROTA_ESTATE);
    assert_int_equal(result_of(&future), 1);
    rota_future_fini(&future);
    rota_loop_free(loop);
}

static void what_the_loop_has_done_first_stays(void)
{
    rota_loop *loop = new_loop();
    rota_future futures[2];

    for (int i = 0; i < 2; i++) {
        rota_future_init(&futures[i], loop);
        assert_int_equal(set_elsewhere(&futures[i], 1), 0);
    }
    assert_true(rota_future_cancel(&futures[0]));
    assert_int_equal(rota_future_set_result(&futures[1], 2), 0);
    run_one_turn(loop);
    assert_true(rota_future_cancelled(&futures[0]));
    assert_int_equal(result_of(&futures[1]), 2);
    for (int i = 0; i < 2; i++)
        rota_future_fini(&futures[i]);
    rota_loop_free(loop);
}

/* --- The end of a future and of its loop -------------------------------- */

static void ending_a_future_takes_back_what_is_on_its_way(void)
{
    rota_loop *loop = new_loop();
    rota_future *future = malloc(sizeof *future);

    assert_non_null(future);
    rota_future_init(future, loop);
    rota_call_soon_threadsafe(loop, NULL, note, "a");
    assert_int_equal(set_elsewhere(future, 1), 0);
    rota_call_soon_threadsafe(loop, NULL, note, "b");
    rota_future_fini(future);
    assert_true(rota_future_cancelled(future));
    memset(future, 0xEE, sizeof *future);
    free(future);
    run_one_turn(loop);
    expect_noted("ab");
    rota_loop_free(loop);
}

static void a_future_can_be_used_anew_in_the_same_place(void)
{
    rota_loop *loop = new_loop();
    rota_future future;

    for (intptr_t i = 0; i < 3; i++) {
        rota_future_init(&future, loop);
        assert_int_equal(set_elsewhere(&future, i), 0);
        run_one_turn(loop);
        assert_int_equal(result_of(&future), i);
        rota_future_fini(&future);
    }
    rota_loop_free(loop);
}

static void a_closed_loop_refuses_and_what_was_on_its_way_is_dropped(void)
{
    rota_loop *loop = new_loop();
    rota_future sent, unsent;

    rota_future_init(&sent, loop);
    rota_future_init(&unsent, loop);
    rota_future_add_done_callback(&sent, NULL, note_done, "never");
    assert_int_equal(set_elsewhere(&sent, 1), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(set_elsewhere(&unsent, 1), -ROTA_ECLOSED);
    assert_int_equal(fail_elsewhere(&unsent, -EIO), -ROTA_ECLOSED);
    assert_false(rota_future_done(&sent));
    assert_false(rota_future_done(&unsent));
    rota_future_fini(&sent);
    rota_future_fini(&unsent);
    rota_loop_free(loop);
    expect_noted("");
}

/* --- Races -------------------------------------------------------------- */

#define ROUNDS 300
#define RACERS 4

struct race {
    pthread_barrier_t line;
    rota_loop *loop;
    rota_future *futures; /* a future for each round */
    int winners[ROUNDS];
};

struct racer {
    struct race *race;
    pthread_t thread;
    int number;
};

static void *race_for_each_future(void *arg)
{
    struct racer *racer = arg;
    struct race *race = racer->race;

    for (int i = 0; i < ROUNDS; i++) {
        int err;

        pthread_barrier_wait(&race->line);
        err =
            rota_future_set_result_threadsafe(&race->futures[i], racer->number);
        if (err == 0)
            race->winners[i] = racer->number;
        else
            assert_int_equal(err, -ROTA_ESTATE);
    }
    return NULL;
}

static void start_race(struct race *race, struct racer *racers)
{
    race->loop = new_loop_in_real_time();
    race->futures = calloc(ROUNDS, sizeof *race->futures);
    assert_non_null(race->futures);
    for (int i = 0; i < ROUNDS; i++)
        rota_future_init(&race->futures[i], race->loop);
    pthread_barrier_init(&race->line, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.race = race, .number = i + 1};
        assert_int_equal(pthread_create(&racers[i].thread, NULL,
                                        race_for_each_future, &racers[i]),
                         0);
    }
}

static void end_race(struct race *race, struct racer *racers)
{
    for (int i = 0; i < RACERS; i++)
        pthread_join(racers[i].thread, NULL);
    run_one_turn(race->loop);
}

static void forget_race(struct race *race)
{
    for (int i = 0; i < ROUNDS; i++)
        rota_future_fini(&race->futures[i]);
    pthread_barrier_destroy(&race->line);
    free(race->futures);
    rota_loop_free(race->loop);
}

static void of_several_threads_one_wins(void)
{
    static struct race race;
    struct racer racers[RACERS];

    start_race(&race, racers);
    end_race(&race, racers);
    for (int i = 0; i < ROUNDS; i++) {
        assert_in_range(race.winners[i], 1, RACERS);
        assert_int_equal(result_of(&race.futures[i]), race.winners[i]);
    }
    forget_race(&race);
}

/* The loop goes on meanwhile, and cancels every future that is pending. */
static void cancel_some(void *arg)
{
    struct race *race = arg;

    for (int i = 0; i < ROUNDS; i++)
        rota_future_cancel(&race->futures[i]);
    rota_loop_stop(race->loop);
}

static void a_cancel_may_meet_the_result_of_another_thread(void)
{
    static struct race race;
    struct racer racers[RACERS];

    start_race(&race, racers);
    for (int i = 0; i < ROUNDS / 10; i++)
        run_one_turn(race.loop);
    rota_call_soon(race.loop, NULL, cancel_some, &race);
    assert_int_equal(rota_loop_run_forever(race.loop), 0);
    end_race(&race, racers);
    for (int i = 0; i < ROUNDS; i++) {
        intptr_t result = result_of(&race.futures[i]);

        assert_true(result == -ECANCELED || result == race.winners[i]);
    }
    forget_race(&race);
}

/* The thread that makes it done may still be on its way out of the call. */
struct exchange {
    rota_loop *loop;
    _Atomic(rota_future *) offered; /* to the other thread */
    atomic_bool over;
};

static void *complete_what_is_offered(void *arg)
{
    struct exchange *exchange = arg;

    while (!atomic_load(&exchange->over)) {
        rota_future *future = atomic_exchange(&exchange->offered, NULL);

        if (future)
            assert_int_equal(rota_future_set_result_threadsafe(future, 5), 0);
        else
            sched_yield();
    }
    return NULL;
}

static intptr_t offer_one_after_the_other(void *arg)
{
    struct exchange *exchange = arg;

    for (int i = 0; i < 2000; i++) {
        rota_future *future = malloc(sizeof *future);
        intptr_t result = 0;

        assert_non_null(future);
        rota_future_init(future, rota_get_running_loop());
        atomic_store(&exchange->offered, future);
        assert_int_equal(rota_await_future(future, &result), 0);
        assert_int_equal(result, 5);
        rota_future_fini(future);
        free(future);
    }
    return 0;
}

static void a_future_may_be_freed_as_soon_as_it_is_done(void)
{
    struct exchange exchange = {.loop = new_loop_in_real_time()};
    pthread_t thread;

    assert_int_equal(
        pthread_create(&thread, NULL, complete_what_is_offered, &exchange), 0);
    assert_int_equal(rota_loop_run_until_complete(
                         exchange.loop, offer_one_after_the_other, &exchange),
                     0);
    atomic_store(&exchange.over, true);
    pthread_join(thread, NULL);
    rota_loop_free(exchange.loop);
}

/* --- Many --------------------------------------------------------------- */

#define THREADS 8
#define FUTURES 500

struct hammer {
    pthread_t thread;
    rota_future futures[FUTURES];
};

static struct hammer hammers[THREADS];

static void *complete_all(void *arg)
{
    struct hammer *hammer = arg;

    for (int i = 0; i < FUTURES; i++) {
        rota_future *future = &hammer->futures[i];
        int err = i % 3 ? rota_future_set_result_threadsafe(future, i)
                        : rota_future_set_exception_threadsafe(future, -EIO);

        assert_int_equal(err, 0);
    }
    return NULL;
}

static intptr_t await_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < FUTURES; i++)
        for (int t = 0; t < THREADS; t++) {
            intptr_t result = -1;
            int err = rota_await_future(&hammers[t].futures[i], &result);

            assert_int_equal(err, i % 3 ? 0 : -EIO);
            assert_int_equal(result, i % 3 ? i : -1);
        }
    return 0;
}

static void many_threads_may_hammer_one_loop(void)
{
    rota_loop *loop = new_loop_in_real_time();

    rota_set_debug(loop, true);
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < FUTURES; i++)
            rota_future_init(&hammers[t].futures[i], loop);
        assert_int_equal(
            pthread_create(&hammers[t].thread, NULL, complete_all, &hammers[t]),
            0);
    }
    assert_int_equal(rota_loop_run_until_complete(loop, await_all, NULL), 0);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(hammers[t].thread, NULL);
        for (int i = 0; i < FUTURES; i++)
            rota_future_fini(&hammers[t].futures[i]);
    }
    rota_loop_free(loop);
}

static void *complete_until_it_is_closed(void *arg)
{
    struct hammer *hammer = arg;
    int i = 0;

    while (rota_future_set_result_threadsafe(&hammer->futures[i], i) == 0)
        if (++i == FUTURES)
            break;
    return NULL;
}

/* The futures outlive the loop's close; they are ended before it is freed. */
static void a_loop_may_close_under_the_hammer(void)
{
    rota_loop *loop = new_loop_in_real_time();

    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < FUTURES; i++)
            rota_future_init(&hammers[t].futures[i], loop);
        assert_int_equal(pthread_create(&hammers[t].thread, NULL,
                                        complete_until_it_is_closed,
                                        &hammers[t]),
                         0);
    }
    run_one_turn(loop);
    assert_int_equal(rota_loop_close(loop), 0);
    for (int t = 0; t < THREADS; t++)
        pthread_join(hammers[t].thread, NULL);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < FUTURES; i++)
            rota_future_fini(&hammers[t].futures[i]);
    rota_loop_free(loop);
}

HARNESS_MAIN(TEST(a_result_from_another_thread_comes_in_the_next_turn),
             TEST(an_error_from_another_thread_is_one_like_others),
             TEST(another_thread_may_cancel),
             TEST(what_is_no_error_is_refused_from_another_thread_too),
             TEST(the_first_thread_that_comes_has_the_say),
             TEST(what_the_loop_has_done_first_stays),
             TEST(ending_a_future_takes_back_what_is_on_its_way),
             TEST(a_future_can_be_used_anew_in_the_same_place),
             TEST(a_closed_loop_refuses_and_what_was_on_its_way_is_dropped),
             TEST(of_several_threads_one_wins),
             TEST(a_cancel_may_meet_the_result_of_another_thread),
             TEST(a_future_may_be_freed_as_soon_as_it_is_done),
             TEST(many_threads_may_hammer_one_loop),
             TEST(a_loop_may_close_under_the_hammer))
