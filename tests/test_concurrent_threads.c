/* SPDX-License-Identifier: MIT */
/*
 * Tasks for other threads, with threads
 *
 * A server is a loop that runs on a thread of its own until it is stopped.
 * Nothing here depends on who is quicker: what must be true is true of each
 * order, and the tests try many.
 */
#include "loops.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

struct server {
    rota_loop *loop;
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct server *server = arg;

    assert_int_equal(rota_loop_run_forever(server->loop), 0);
    return NULL;
}

static void start_server(struct server *server, bool debug)
{
    server->loop = new_loop_in_real_time();
    rota_set_debug(server->loop, debug);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop_server(struct server *server)
{
    assert_int_equal(
        rota_call_soon_threadsafe(server->loop, NULL, stop, server->loop), 0);
    pthread_join(server->thread, NULL);
}

static void end_server(struct server *server)
{
    stop_server(server);
    rota_loop_free(server->loop);
}

/* A few turns, then the argument. */
static intptr_t work(void *arg)
{
    for (int i = 0; i < 3; i++)
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    return (intptr_t)arg;
}

static intptr_t ask(rota_loop *loop, rota_task_function *function, void *arg)
{
    rota_concurrent_future *future;
    intptr_t result =
        rota_run_coroutine_threadsafe(loop, &future, function, arg);

    if (result < 0)
        return result;
    result = rota_concurrent_future_result(future, (double)INFINITY);
    rota_concurrent_future_free(future);
    return result;
}

/* --- Waiting ------------------------------------------------------------ */

static void a_thread_waits_until_the_task_is_done(void)
{
    struct server server;

    start_server(&server, true);
    for (intptr_t i = 0; i < 100; i++)
        assert_int_equal(ask(server.loop, work, (void *)i), i);
    assert_int_equal(ask(server.loop, work, (void *)-EIO), -EIO);
    end_server(&server);
}

static intptr_t await_future(void *future)
{
    intptr_t result = 0;
    int err = rota_await_future(future, &result);

    return err < 0 ? err : result;
}

struct asker {
    rota_concurrent_future *future;
    pthread_t thread;
    intptr_t result;
};

static void *wait_for_result(void *arg)
{
    struct asker *asker = arg;

    asker->result =
        rota_concurrent_future_result(asker->future, (double)INFINITY);
    return NULL;
}

static void several_threads_may_wait_for_one_result(void)
{
    rota_concurrent_future *future;
    struct asker askers[4];
    struct server server;
    rota_future gate;

    start_server(&server, false);
    rota_future_init(&gate, server.loop);
    assert_int_equal(rota_run_coroutine_threadsafe(server.loop, &future,
                                                   await_future, &gate),
                     0);
    for (int i = 0; i < 4; i++) {
        askers[i].future = future;
        assert_int_equal(pthread_create(&askers[i].thread, NULL,
                                        wait_for_result, &askers[i]),
                         0);
    }
    assert_int_equal(rota_concurrent_future_result(future, 0), -ETIMEDOUT);
    assert_int_equal(rota_future_set_result_threadsafe(&gate, 9), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].result, 9);
    }
    rota_concurrent_future_free(future);
    stop_server(&server);
    rota_future_fini(&gate);
    rota_loop_free(server.loop);
}

/* The thread sleeps until the loop is gone. */
static void a_loop_that_closes_wakes_who_waits(void)
{
    rota_loop *loop = new_loop();
    struct asker asker = {0};
    rota_future gate;

    rota_future_init(&gate, loop);
    assert_int_equal(
        rota_run_coroutine_threadsafe(loop, &asker.future, await_future, &gate),
        0);
    assert_int_equal(
        pthread_create(&asker.thread, NULL, wait_for_result, &asker), 0);
    for (int i = 0; i < 3; i++)
        run_one_turn(loop);
    assert_int_equal(rota_loop_close(loop), 0);
    pthread_join(asker.thread, NULL);
    assert_int_equal(asker.result, -ROTA_ECLOSED);
    rota_concurrent_future_free(asker.future);
    rota_future_fini(&gate);
    rota_loop_free(loop);
}

/* --- Many --------------------------------------------------------------- */

#define THREADS 8
#define CALLS 200

struct client {
    rota_loop *loop;
    pthread_t thread;
    int closed;
};

static void call_in_each_way(rota_loop *loop, intptr_t i)
{
    rota_concurrent_future *future;
    intptr_t result;

    assert_int_equal(
        rota_run_coroutine_threadsafe(loop, &future, work, (void *)i), 0);
    if (i % 4 == 1) {
        result = rota_concurrent_future_result(future, 0);
        assert_true(result == i || result == -ETIMEDOUT);
    } else if (i % 4 == 2) {
        bool cancelled = rota_concurrent_future_cancel(future);

        assert_int_equal(
            rota_concurrent_future_result(future, (double)INFINITY),
            cancelled ? -ECANCELED : i);
    } else if (i % 4 == 3) {
        while (!rota_concurrent_future_done(future))
            sched_yield();
        assert_int_equal(rota_concurrent_future_result(future, 0), i);
    }
    rota_concurrent_future_free(future);
}

static void *hammer(void *arg)
{
    struct client *client = arg;

    for (intptr_t i = 0; i < CALLS; i++)
        call_in_each_way(client->loop, i);
    return NULL;
}

static void run_clients(rota_loop *loop, struct client *clients, int count,
                        void *(*run)(void *))
{
    for (int i = 0; i < count; i++) {
        clients[i].loop = loop;
        assert_int_equal(
            pthread_create(&clients[i].thread, NULL, run, &clients[i]), 0);
    }
}

static void join_clients(struct client *clients, int count)
{
    for (int i = 0; i < count; i++)
        pthread_join(clients[i].thread, NULL);
}

static void many_threads_may_hammer_one_loop(void)
{
    struct client clients[THREADS];
    struct server server;

    start_server(&server, true);
    run_clients(server.loop, clients, THREADS, hammer);
    join_clients(clients, THREADS);
    end_server(&server);
}

/* --- Races -------------------------------------------------------------- */

static void *call_until_it_is_closed(void *arg)
{
    struct client *client = arg;
    intptr_t result;

    do
        result = ask(client->loop, work, (void *)5);
    while (result == 5);
    assert_int_equal(result, -ROTA_ECLOSED);
    return NULL;
}

/* Nobody waits for ever, though the loop is not freed before all are back. */
static void a_loop_may_close_under_the_calls(void)
{
    for (int round = 0; round < 100; round++) {
        struct client clients[3];
        struct server server;

        start_server(&server, false);
        run_clients(server.loop, clients, 3, call_until_it_is_closed);
        assert_int_equal(ask(server.loop, work, (void *)3), 3);
        stop_server(&server);
        assert_int_equal(rota_loop_close(server.loop), 0);
        join_clients(clients, 3);
        rota_loop_free(server.loop);
    }
}

static void *cancel_it(void *arg)
{
    bool cancelled = rota_concurrent_future_cancel(arg);

    return cancelled ? arg : NULL;
}

/* One thread waits for the result, and another cancels. */
static void a_cancel_may_meet_the_end_of_the_task(void)
{
    rota_concurrent_future *future;
    struct server server;

    start_server(&server, false);
    for (intptr_t i = 0; i < 300; i++) {
        pthread_t thread;
        intptr_t result;
        void *cancelled;

        assert_int_equal(rota_run_coroutine_threadsafe(server.loop, &future,
                                                       work, (void *)i),
                         0);
        assert_int_equal(pthread_create(&thread, NULL, cancel_it, future), 0);
        result = rota_concurrent_future_result(future, (double)INFINITY);
        pthread_join(thread, &cancelled);
        assert_int_equal(result, cancelled ? -ECANCELED : i);
        rota_concurrent_future_free(future);
    }
    end_server(&server);
}

/* --- Loops that wait for each other ------------------------------------- */

static intptr_t ask_by_awaiting(rota_loop *other, intptr_t i)
{
    rota_concurrent_future *concurrent;
    rota_future future;
    intptr_t result =
        rota_run_coroutine_threadsafe(other, &concurrent, work, (void *)i);

    if (result < 0)
        return result;
    rota_future_init(&future, rota_get_running_loop());
    result = rota_wrap_future(concurrent, &future);
    rota_concurrent_future_free(concurrent);
    if (result == 0)
        result = await_future(&future);
    rota_future_fini(&future);
    return result;
}

static intptr_t exchange(void *other)
{
    for (intptr_t i = 0; i < 300; i++)
        assert_int_equal(ask_by_awaiting(other, i), i);
    return 0;
}

static void two_loops_may_run_tasks_on_each_other(void)
{
    rota_concurrent_future *futures[2];
    struct server servers[2];

    for (int i = 0; i < 2; i++)
        start_server(&servers[i], i == 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rota_run_coroutine_threadsafe(servers[i].loop,
                                                       &futures[i], exchange,
                                                       servers[!i].loop),
                         0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            rota_concurrent_future_result(futures[i], (double)INFINITY), 0);
        rota_concurrent_future_free(futures[i]);
    }
    for (int i = 0; i < 2; i++)
        end_server(&servers[i]);
}

static intptr_t ask_once(void *other)
{
    return ask_by_awaiting(other, 7);
}

/* The maker's thread may still be on its way out of the waiter's loop. */
static void a_loop_may_be_freed_as_soon_as_it_has_the_result(void)
{
    struct server server;

    start_server(&server, false);
    for (int i = 0; i < 200; i++)
        assert_int_equal(rota_run(ask_once, server.loop), 7);
    end_server(&server);
}

/* Ends the future after some turns, whatever has come by then. */
static intptr_t lose_patience(rota_loop *other, int turns)
{
    rota_concurrent_future *concurrent;
    rota_future future;
    intptr_t result =
        rota_run_coroutine_threadsafe(other, &concurrent, work, (void *)7);

    if (result < 0)
        return result;
    rota_future_init(&future, rota_get_running_loop());
    result = rota_wrap_future(concurrent, &future);
    for (int i = 0; result == 0 && i < turns; i++)
        result = rota_sleep(0);
    rota_future_fini(&future);
    memset(&future, 0xEE, sizeof future);
    if (result == 0)
        result = rota_concurrent_future_result(concurrent, (double)INFINITY);
    rota_concurrent_future_free(concurrent);
    return result;
}

static intptr_t lose_patience_again_and_again(void *other)
{
    for (int i = 0; i < 300; i++) {
        intptr_t result = lose_patience(other, i % 20);

        assert_true(result == 7 || result == -ECANCELED);
    }
    return 0;
}

static void a_future_may_end_while_its_result_arrives(void)
{
    struct server server;

    start_server(&server, false);
    assert_int_equal(rota_run(lose_patience_again_and_again, server.loop), 0);
    end_server(&server);
}

HARNESS_MAIN(TEST(a_thread_waits_until_the_task_is_done),
             TEST(several_threads_may_wait_for_one_result),
             TEST(a_loop_that_closes_wakes_who_waits),
             TEST(many_threads_may_hammer_one_loop),
             TEST(a_loop_may_close_under_the_calls),
             TEST(a_cancel_may_meet_the_end_of_the_task),
             TEST(two_loops_may_run_tasks_on_each_other),
             TEST(a_loop_may_be_freed_as_soon_as_it_has_the_result),
             TEST(a_future_may_end_while_its_result_arrives))
