/* SPDX-License-Identifier: MIT */
/*
 * A loop in a forked child: whatever the child does to it, the parent's goes
 * on, and the child's may go on too
 */
#define _GNU_SOURCE
#include "loops.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

/* A loop with a reader, who stops it. */
struct scene {
    rota_loop *loop;
    int ours;
    int theirs;
    int heard;
};

static void hear(void *arg)
{
    struct scene *scene = arg;
    char byte;

    assert_int_equal(read(scene->ours, &byte, 1), 1);
    scene->heard++;
    rota_loop_stop(scene->loop);
}

static void open_scene(struct scene *scene)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    *scene = (struct scene){new_loop_in_real_time(), ends[0], ends[1], 0};
    assert_int_equal(rota_add_reader(scene->loop, scene->ours, hear, scene), 0);
    run_one_turn(scene->loop);
}

static void close_scene(struct scene *scene)
{
    assert_true(rota_remove_reader(scene->loop, scene->ours));
    rota_loop_free(scene->loop);
    close(scene->ours);
    close(scene->theirs);
}

static void hear_once(struct scene *scene)
{
    int before = scene->heard;

    assert_int_equal(write(scene->theirs, "x", 1), 1);
    assert_int_equal(rota_loop_run_forever(scene->loop), 0);
    assert_int_equal(scene->heard, before + 1);
}

/* What the child does, which the harness cannot look into. */
static void in_child(struct scene *scene, void (*act)(struct scene *scene))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        if (rota__loop_forked(scene->loop) < 0)
            _exit(99);
        act(scene);
        _exit(scene->heard);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (act == hear_once)
        assert_int_equal(WEXITSTATUS(status), scene->heard + 1);
    else
        assert_int_equal(WEXITSTATUS(status), scene->heard);
}

static void close_loop(struct scene *scene)
{
    rota_loop_free(scene->loop);
}

static void remove_all(struct scene *scene)
{
    (void)rota_remove_reader(scene->loop, scene->ours);
}

static void *wake_up(void *loop)
{
    (void)rota_call_soon_threadsafe(loop, NULL, stop, loop);
    return NULL;
}

/* A sleeping loop, woken by a thread. */
static void sleep_and_wake(struct scene *scene)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, wake_up, scene->loop) != 0 ||
        rota_loop_run_forever(scene->loop) != 0)
        _exit(98);
    (void)pthread_join(thread, NULL);
}

static void the_child_closes_the_loop(void)
{
    struct scene scene;

    open_scene(&scene);
    in_child(&scene, close_loop);
    hear_once(&scene);
    sleep_and_wake(&scene);
    close_scene(&scene);
}

static void the_child_removes_a_reader(void)
{
    struct scene scene;

    open_scene(&scene);
    in_child(&scene, remove_all);
    hear_once(&scene);
    close_scene(&scene);
}

static void the_child_runs_the_loop(void)
{
    struct scene scene;

    open_scene(&scene);
    in_child(&scene, hear_once);
    hear_once(&scene);
    in_child(&scene, sleep_and_wake);
    sleep_and_wake(&scene);
    close_scene(&scene);
}

static void by_another_poller(void)
{
    setenv("ROTA_POLLER", "poll", 1);
    the_child_runs_the_loop();
}

static void *run(void *loop)
{
    (void)rota_loop_run_forever(loop);
    return NULL;
}

static void up(void *flag)
{
    atomic_store((atomic_bool *)flag, true);
}

/* The thread is not there in the child, so that nothing runs the loop. */
static void a_loop_that_another_thread_ran_stands_still(void)
{
    struct scene scene;
    atomic_bool running = false;
    pthread_t thread;

    open_scene(&scene);
    assert_int_equal(rota_call_soon_threadsafe(scene.loop, NULL, up, &running),
                     0);
    assert_int_equal(pthread_create(&thread, NULL, run, scene.loop), 0);
    while (!atomic_load(&running))
        sched_yield();
    in_child(&scene, close_loop);
    in_child(&scene, sleep_and_wake);
    assert_int_equal(
        rota_call_soon_threadsafe(scene.loop, NULL, stop, scene.loop), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    hear_once(&scene);
    close_scene(&scene);
}

static void leave_alone(struct scene *scene)
{
    (void)scene;
}

static void a_loop_that_is_closed_stays_so(void)
{
    struct scene scene;

    open_scene(&scene);
    assert_int_equal(rota_loop_close(scene.loop), 0);
    in_child(&scene, leave_alone);
    rota_loop_free(scene.loop);
    close(scene.ours);
    close(scene.theirs);
}

/* In place, as one that gets no new descriptor. */
static void without_descriptors_or_memory_it_is_as_it_was(void)
{
    struct scene scene;
    struct rlimit limit, none;

    open_scene(&scene);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(rota__loop_forked(scene.loop), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    harness_fail_allocation(1);
    assert_int_equal(rota__loop_forked(scene.loop), -ENOMEM);
    harness_fail_allocation(0);
    hear_once(&scene);
    assert_int_equal(rota__loop_forked(scene.loop), 0);
    hear_once(&scene);
    close_scene(&scene);
}

HARNESS_MAIN(TEST(the_child_closes_the_loop), TEST(the_child_removes_a_reader),
             TEST(the_child_runs_the_loop), TEST(by_another_poller),
             TEST(a_loop_that_another_thread_ran_stands_still),
             TEST(a_loop_that_is_closed_stays_so),
             TEST(without_descriptors_or_memory_it_is_as_it_was))
