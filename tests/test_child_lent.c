/* SPDX-License-Identifier: MIT */
/*
 * Children that somebody else has started: watched, reaped and never killed
 */
#define _GNU_SOURCE
#include "loops.h"
#include "spawns.h"

#include "loop/child.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct told {
    struct rota__child child;
    int times;
};

static void note_end(struct rota__child *child)
{
    rota__container_of(child, struct told, child)->times++;
    rota_loop_stop(child->loop);
}

/* Ends with this code, or waits for ever. */
static pid_t start(int code)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0 && code >= 0)
        _exit(code);
    while (pid == 0 && pause() < 0)
        ;
    return pid;
}

static void watch(struct told *told, rota_loop *loop, pid_t pid)
{
    told->child.exited = note_end;
    assert_int_equal(rota__child_watch(&told->child, loop, pid), 0);
}

static void assert_still_runs(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void the_end_is_told_and_the_child_reaped(void)
{
    rota_loop *loop = new_loop();
    struct told told = {.times = 0};

    watch(&told, loop, start(7));
    assert_int_equal(loop->child_count, 1);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.times, 1);
    assert_int_equal(told.child.returncode, 7);
    assert_false(told.child.unknown);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(loop->child_count, 0);
    rota__child_leave(&told.child);
    rota_loop_free(loop);
}

static void the_end_is_told_by_signal_too(void)
{
    setenv("ROTA_CHILD_WATCHER", "signal", 1);
    the_end_is_told_and_the_child_reaped();
}

static void must_not_report(rota_loop *loop,
                            const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    fail_msg("reported: %s", context->message);
}

static void one_that_was_reaped_before_is_unknown(void)
{
    rota_loop *loop = new_loop();
    struct told told = {.times = 0};
    pid_t pid = start(7);

    rota_set_exception_handler(loop, must_not_report, NULL);
    watch(&told, loop, pid);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.times, 1);
    assert_true(told.child.unknown);
    assert_int_equal(told.child.returncode, 255);
    rota_loop_free(loop);
}

static void one_that_is_left_goes_on(void)
{
    rota_loop *loop = new_loop();
    struct told told = {.times = 0};
    pid_t pid = start(-1);
    int fds = count_fds();

    watch(&told, loop, pid);
    rota__child_leave(&told.child);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(loop->child_count, 0);
    rota_loop_free(loop);
    assert_still_runs(pid);
    end(pid);
    assert_int_equal(told.times, 0);
}

static void a_loop_that_closes_leaves_it_alone(void)
{
    rota_loop *loop = new_loop();
    struct told told = {.times = 0};
    pid_t pid = start(-1);

    watch(&told, loop, pid);
    rota_loop_free(loop);
    assert_true(told.child.ended);
    assert_still_runs(pid);
    end(pid);
    assert_int_equal(told.times, 0);
}

static void without_memory_it_is_as_it_was(void)
{
    rota_loop *loop = new_loop();
    struct told told = {.child.exited = note_end};
    pid_t pid = start(-1);

    harness_fail_allocation(1);
    assert_int_equal(rota__child_watch(&told.child, loop, pid), -ENOMEM);
    harness_fail_allocation(0);
    assert_still_runs(pid);
    rota__child_leave(&told.child);
    end(pid);
    rota_loop_free(loop);
}

HARNESS_MAIN(TEST(the_end_is_told_and_the_child_reaped),
             TEST(the_end_is_told_by_signal_too),
             TEST(one_that_was_reaped_before_is_unknown),
             TEST(one_that_is_left_goes_on),
             TEST(a_loop_that_closes_leaves_it_alone),
             TEST(without_memory_it_is_as_it_was))
