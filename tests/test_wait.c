/* SPDX-License-Identifier: MIT */
/*
 * How the loop waits: the hooks around a wait that blocks, and what a busy
 * loop does instead
 */
#define _GNU_SOURCE
#include "loops.h"

#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include "os/quiet.h"
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* Wait hooks */

static void before_wait(void *arg)
{
    (void)arg;
    note("<");
}

static void after_wait(void *arg)
{
    (void)arg;
    note(">");
}

static rota_loop *new_loop_with_hooks(void)
{
    rota_loop *loop = new_loop_in_real_time();

    loop->wait_hooks = (struct rota__wait_hooks){before_wait, after_wait, NULL};
    return loop;
}

static void a_turn_that_need_not_wait_calls_no_wait_hook(void)
{
    rota_loop *loop = new_loop_with_hooks();

    run_one_turn(loop);
    rota_call_soon(loop, NULL, note, "a");
    run_one_turn(loop);
    rota_call_soon_threadsafe(loop, NULL, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_call_at(loop, NULL, 1, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("a");
    rota_loop_free(loop);
}

static void a_wait_that_blocks_stands_between_the_hooks(void)
{
    rota_loop *loop = new_loop_with_hooks();
    double delay = 0.002 * harness_slowness();

    rota_call_later(loop, NULL, delay, note, "a");
    rota_call_later(loop, NULL, delay, stop, loop);
    while (strchr(noted, 'a') == NULL)
        assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(strncmp(noted, "<>", 2), 0);
    assert_non_null(strstr(noted, ">a"));
    rota_loop_free(loop);
}

static void note_readable(struct rota__watch *watch, unsigned events)
{
    (void)watch;
    (void)events;
    note("r");
}

static void no_watch_is_told_between_the_hooks(void)
{
    rota_loop *loop = new_loop_with_hooks();
    struct rota__watch watch = {.ready = note_readable};
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    watch.fd = fds[0];
    assert_int_equal(rota__poller_add(&loop->poller, &watch, ROTA__READABLE),
                     0);
    rota_call_later(loop, NULL, 1000, must_not_run, NULL);
    assert_int_equal(rota__turn(loop), 0);
    expect_noted("<>r");
    rota__poller_remove(&loop->poller, &watch);
    rota_loop_free(loop);
    close(fds[0]);
    close(fds[1]);
}

/* A busy loop */

struct busy {
    rota_loop *loop;
    rota_handle handle;
    int turns;
    int events;
    int pipe[2];
};

static void stay_busy(void *arg)
{
    struct busy *busy = arg;

    busy->turns++;
    if (busy->events == 2)
        rota_loop_stop(busy->loop);
    else
        rota_call_soon(busy->loop, &busy->handle, stay_busy, busy);
}

static void see_event(void *arg)
{
    struct busy *busy = arg;

    busy->events++;
    rota_remove_reader(busy->loop, 0);
}

static void a_busy_loop_starves_neither_timers_nor_events(void)
{
    rota_loop *loop = new_loop_in_real_time();
    struct busy busy = {.loop = loop};
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(dup2(fds[0], 0), 0);
    stay_busy(&busy);
    for (int i = 0; i < 100; i++)
        run_one_turn(loop);
    assert_int_equal(busy.events, 0);
    rota_call_later(loop, NULL, 0.001, see_event, &busy);
    rota_add_reader(loop, 0, see_event, &busy);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(busy.events, 2);
    rota_loop_free(loop);
    close(fds[0]);
    close(fds[1]);
}

#if defined(__linux__)

#define BUSY_TURNS 1000

static void see_event_on_pipe(void *arg)
{
    struct busy *busy = arg;
    char byte;

    busy->events += read(busy->pipe[0], &byte, 1) == 1;
}

/* First some events; half-way, all calls but write and exit become deadly. */
static void go_on_without_system_calls(void *arg)
{
    struct busy *busy = arg;

    busy->turns++;
    if (busy->turns <= 200 && busy->turns % 50 == 0 &&
        write(busy->pipe[1], "x", 1) != 1)
        _exit(5);
    if (busy->turns == BUSY_TURNS / 2 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
        _exit(2);
    if (busy->turns == BUSY_TURNS)
        syscall(SYS_exit, busy->events == 4 ? 0 : 6);
    rota_call_soon(busy->loop, &busy->handle, go_on_without_system_calls, busy);
}

static void be_busy(const char *poller)
{
    const rota_loop_options options = {.poller = poller};
    struct busy busy = {0};

    if (rota_new_event_loop(&busy.loop, &options) < 0 || pipe(busy.pipe) < 0)
        _exit(3);
    busy.loop->debug = false; /* whatever the environment asks for */
    busy.loop->keep_order = true;
    busy.loop->virtual_clock = false;
    rota_add_reader(busy.loop, busy.pipe[0], see_event_on_pipe, &busy);
    go_on_without_system_calls(&busy);
    rota_loop_run_forever(busy.loop);
    _exit(4);
}

/* How a process ends whose loop is always busy. */
static int status_of_busy_loop(const char *poller)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        be_busy(poller);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        harness_skip("this kernel has no seccomp");
    return status;
}

static bool kernel_has_the_flag(void)
{
    struct rota__quiet quiet;
    int fds[2];
    int err;

    assert_int_equal(pipe(fds), 0);
    rota__quiet_init(&quiet);
    err = rota__quiet_set(&quiet, fds[0]);
    rota__quiet_fini(&quiet);
    close(fds[0]);
    close(fds[1]);
    return err == 0;
}

static void a_busy_loop_makes_no_system_call(void)
{
    int status;

    if (!kernel_has_the_flag())
        harness_skip("this kernel allows no io_uring");
    status = status_of_busy_loop("epoll");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The other ones have to ask: so this test can fail. */
    status = status_of_busy_loop("poll");
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

#else

static void a_busy_loop_makes_no_system_call(void)
{
    harness_skip("this system has no flag for it");
}

#endif

HARNESS_MAIN(TEST(a_turn_that_need_not_wait_calls_no_wait_hook),
             TEST(a_wait_that_blocks_stands_between_the_hooks),
             TEST(no_watch_is_told_between_the_hooks),
             TEST(a_busy_loop_starves_neither_timers_nor_events),
             TEST_SKIP_UNDER(a_busy_loop_makes_no_system_call,
                             HARNESS_TSAN | HARNESS_VALGRIND | HARNESS_QEMU,
                             "the place makes system calls of its own"))
