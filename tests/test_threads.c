/* SPDX-License-Identifier: MIT */
/*
 * Calls from other threads, and loops on several threads
 */
#include "loops.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define POSTS 10000

/* Many threads post to one loop */

struct post {
    struct poster *poster;
    int number;
    rota_handle handle;
};

struct poster {
    rota_loop *loop;
    pthread_t thread;
    int next; /* number to arrive */
    struct post posts[POSTS];
};

static struct poster posters[THREADS];
static int posters_left;

static void receive(void *arg)
{
    struct post *post = arg;

    assert_int_equal(post->number, post->poster->next);
    if (++post->poster->next == POSTS && --posters_left == 0)
        rota_loop_stop(post->poster->loop);
}

/* Half of the threads keep their handles themselves. */
static void *post_all(void *arg)
{
    struct poster *poster = arg;
    bool keep = (poster - posters) % 2 == 0;

    for (int i = 0; i < POSTS; i++) {
        struct post *post = &poster->posts[i];

        post->poster = poster;
        post->number = i;
        assert_int_equal(rota_call_soon_threadsafe(poster->loop,
                                                   keep ? &post->handle : NULL,
                                                   receive, post),
                         0);
    }
    return NULL;
}

static void eight_threads_lose_no_call_and_keep_their_order(void)
{
    rota_loop *loop = new_loop_in_real_time();

    posters_left = THREADS;
    for (int i = 0; i < THREADS; i++) {
        posters[i].loop = loop;
        assert_int_equal(
            pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    assert_int_equal(rota_loop_run_forever(loop), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_int_equal(posters[i].next, POSTS);
    }
    rota_loop_free(loop);
}

/* A loop that sleeps */

static void *stop_when_asleep(void *arg)
{
    rota_loop *loop = arg;

    while (!atomic_load(&loop->asleep))
        sched_yield();
    assert_int_equal(rota_call_soon_threadsafe(loop, NULL, stop, loop), 0);
    return NULL;
}

static void a_call_wakes_a_loop_that_sleeps(void)
{
    rota_loop *loop = new_loop_in_real_time();

    for (int i = 0; i < 50; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, stop_when_asleep, loop),
                         0);
        assert_int_equal(rota_loop_run_forever(loop), 0);
        pthread_join(thread, NULL);
    }
    rota_loop_free(loop);
}

static void *interrupt_when_asleep(void *arg)
{
    rota_loop *loop = arg;

    while (!atomic_load(&loop->asleep))
        sched_yield();
    rota__interrupt(loop);
    return NULL;
}

static void an_interrupt_ends_the_wait_alone(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct rota__running run;
    pthread_t thread;

    assert_int_equal(rota__run_begin(loop, &run, false), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_when_asleep, loop),
                     0);
    assert_int_equal(rota__turn(loop), 0);
    pthread_join(thread, NULL);
    rota__interrupt(loop); /* of one that is awake: nothing */
    rota__run_end(loop, &run);
    rota_loop_free(loop);
}

static void a_call_also_wakes_a_loop_that_waits_for_a_timer(void)
{
    rota_loop *loop = new_loop_in_real_time();
    pthread_t thread;

    rota_call_later(loop, NULL, 1000, must_not_run, NULL);
    assert_int_equal(pthread_create(&thread, NULL, stop_when_asleep, loop), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    rota_loop_free(loop);
}

/* In virtual time too: a loop without timers can only be woken. */
static void a_call_wakes_a_loop_in_virtual_time(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_when_asleep, loop), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    rota_loop_free(loop);
}

/* Two loops that answer each other: no wake-up may be missed */

#define EXCHANGES 3000

struct player {
    rota_loop *loop;
    struct player *other;
    rota_handle handle;
    int received;
};

static void *run_player(void *arg)
{
    struct player *player = arg;

    assert_int_equal(rota_loop_run_forever(player->loop), 0);
    return NULL;
}

static void answer(void *arg)
{
    struct player *player = arg;
    struct player *other = player->other;

    assert_ptr_equal(rota_get_running_loop(), player->loop);
    if (++player->received <= EXCHANGES)
        assert_int_equal(rota_call_soon_threadsafe(other->loop, &other->handle,
                                                   answer, other),
                         0);
    if (player->received >= EXCHANGES)
        rota_loop_stop(player->loop);
}

static void two_loops_play_ping_pong(void)
{
    struct player players[2] = {{.other = &players[1]}, {.other = players}};
    pthread_t thread;

    for (int i = 0; i < 2; i++)
        players[i].loop = new_loop_in_real_time();
    assert_int_equal(rota_call_soon(players[0].loop, &players[0].handle, answer,
                                    &players[0]),
                     0);
    assert_int_equal(pthread_create(&thread, NULL, run_player, &players[1]), 0);
    run_player(&players[0]);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        assert_true(players[i].received >= EXCHANGES);
        rota_loop_free(players[i].loop);
    }
}

static void posts_run_before_the_callbacks_of_events(void)
{
    rota_loop *loop = new_loop();
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(rota_add_reader(loop, ends[0], note, "event"), 0);
    rota_call_soon_threadsafe(loop, NULL, note, "post ");
    run_one_turn(loop);
    expect_noted("post event");
    rota_loop_free(loop);
    close(ends[0]);
    close(ends[1]);
}

/* Cancelling */

struct one_post {
    rota_loop *loop;
    rota_handle handle;
};

static void *post_one(void *arg)
{
    struct one_post *post = arg;

    assert_int_equal(rota_call_soon_threadsafe(post->loop, &post->handle,
                                               must_not_run, NULL),
                     0);
    return NULL;
}

static void a_posted_call_can_be_cancelled(void)
{
    struct one_post post = {.loop = new_loop()};
    pthread_t thread;

    rota_call_soon_threadsafe(post.loop, NULL, note, "a");
    assert_int_equal(pthread_create(&thread, NULL, post_one, &post), 0);
    pthread_join(thread, NULL);
    rota_call_soon_threadsafe(post.loop, NULL, note, "b");
    rota_handle_cancel(&post.handle);
    assert_true(rota_handle_cancelled(&post.handle));
    run_one_turn(post.loop);
    expect_noted("ab");
    rota_loop_free(post.loop);
}

static void a_call_before_the_run_waits_for_it(void)
{
    struct one_post post = {.loop = new_loop()};
    pthread_t thread;

    rota_call_soon_threadsafe(post.loop, NULL, note, "a");
    assert_int_equal(pthread_create(&thread, NULL, stop_when_asleep, post.loop),
                     0);
    post.loop->virtual_clock = false;
    assert_int_equal(rota_loop_run_forever(post.loop), 0);
    expect_noted("a");
    pthread_join(thread, NULL);
    rota_loop_free(post.loop);
}

/* Several loops at once */

struct worker {
    pthread_t thread;
    rota_loop *loop;
    rota_handle handle;
    int calls;
    int timers;
};

static void work_on(void *arg)
{
    struct worker *worker = arg;

    assert_ptr_equal(rota_get_running_loop(), worker->loop);
    if (++worker->calls < 2000)
        assert_int_equal(
            rota_call_soon(worker->loop, &worker->handle, work_on, worker), 0);
    else
        assert_int_equal(
            rota_call_later(worker->loop, NULL, 0.002, stop, worker->loop), 0);
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;

    worker->loop = new_loop_in_real_time();
    rota_set_event_loop(worker->loop);
    assert_int_equal(
        rota_call_soon(worker->loop, &worker->handle, work_on, worker), 0);
    for (int i = 0; i < 20; i++)
        rota_call_later(worker->loop, NULL, i * 1e-4, count_call,
                        &worker->timers);
    assert_int_equal(rota_loop_run_forever(worker->loop), 0);
    assert_ptr_equal(rota_get_event_loop(), worker->loop);
    rota_loop_free(worker->loop);
    assert_null(rota_get_event_loop());
    return NULL;
}

static void loops_on_several_threads_do_not_meet(void)
{
    struct worker workers[4] = {0};

    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]),
            0);
    for (int i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].calls, 2000);
        assert_int_equal(workers[i].timers, 20);
    }
    assert_null(rota_get_running_loop());
}

/* Threads themselves */

static void *note_identity(void *arg)
{
    *(uintptr_t *)arg = rota__thread_self();
    return NULL;
}

static void threads_have_identities_of_their_own(void)
{
    uintptr_t theirs = 0;
    uintptr_t mine = rota__thread_self();
    pthread_t thread;

    assert_int_equal(rota__thread_start(&thread, note_identity, &theirs), 0);
    pthread_join(thread, NULL);
    assert_true(theirs != 0 && theirs != mine);
    assert_true(rota__thread_self() == mine);
}

static void post_and_call(void *loop)
{
    rota_call_soon_threadsafe(loop, NULL, note, "a");
    rota_call_soon(loop, NULL, note, "b");
    rota_call_soon_threadsafe(loop, NULL, note, "c");
    rota_call_soon(loop, NULL, note, "d");
}

static void posts_of_the_loops_own_thread_keep_their_place(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, post_and_call, loop);
    run_one_turn(loop);
    run_one_turn(loop);
    expect_noted("abcd");
    rota_loop_free(loop);
}

static atomic_int backlog;

static void take_one(void *arg)
{
    (void)arg;
    backlog--;
}

/* A loop that gets no processor for a while must not find a million calls. */
static void *call_until_closed(void *loop)
{
    const struct timespec moment = {.tv_nsec = 1000};
    int err = 0;

    while (err == 0) {
        if (++backlog > 1000)
            nanosleep(&moment, NULL);
        err = rota_call_soon_threadsafe(loop, NULL, take_one, NULL);
    }
    assert_int_equal(err, -ROTA_ECLOSED);
    return NULL;
}

/*
 * The wake-up's fd stays the loop's until it is freed: a call that has begun
 * to signal it must not write into a file that got its number meanwhile.
 */
static void calls_may_meet_the_close_of_the_loop(void)
{
    for (int round = 0; round < 50; round++) {
        rota_loop *loop = new_loop_in_real_time();
        pthread_t caller;

        backlog = 0;
        assert_int_equal(pthread_create(&caller, NULL, call_until_closed, loop),
                         0);
        assert_int_equal(rota_call_later(loop, NULL, 1e-4, stop, loop), 0);
        assert_int_equal(rota_loop_run_forever(loop), 0);
        assert_int_equal(rota_loop_close(loop), 0);
        assert_true(fcntl(loop->wake.write_fd, F_GETFD) >= 0);
        assert_int_equal(pthread_join(caller, NULL), 0);
        rota_loop_free(loop);
    }
}

HARNESS_MAIN(TEST(calls_may_meet_the_close_of_the_loop),
             TEST(posts_of_the_loops_own_thread_keep_their_place),
             TEST(posts_run_before_the_callbacks_of_events),
             TEST(eight_threads_lose_no_call_and_keep_their_order),
             TEST(a_call_wakes_a_loop_that_sleeps),
             TEST(an_interrupt_ends_the_wait_alone),
             TEST(a_call_also_wakes_a_loop_that_waits_for_a_timer),
             TEST(a_call_wakes_a_loop_in_virtual_time),
             TEST(two_loops_play_ping_pong),
             TEST(a_posted_call_can_be_cancelled),
             TEST(a_call_before_the_run_waits_for_it),
             TEST(loops_on_several_threads_do_not_meet),
             TEST(threads_have_identities_of_their_own))
