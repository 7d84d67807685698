/* SPDX-License-Identifier: MIT */
/*
 * Children of a loop: told of their end, signalled, given up
 */
#define _GNU_SOURCE
#include "loops.h"
#include "spawns.h"

#include "loop/child.h"

#include <sys/ptrace.h>

/* By pidfd on each poller, and by SIGCHLD. */
#define ON_EACH_WATCHER(test)                                                  \
    static void test##_by_pidfd(void)                                          \
    {                                                                          \
        test();                                                                \
    }                                                                          \
    static void test##_by_poll(void)                                           \
    {                                                                          \
        setenv("ROTA_POLLER", "poll", 1);                                      \
        test();                                                                \
    }                                                                          \
    static void test##_by_signal(void)                                         \
    {                                                                          \
        setenv("ROTA_CHILD_WATCHER", "signal", 1);                             \
        test();                                                                \
    }
#define WATCHERS(test)                                                         \
    TEST(test##_by_pidfd), TEST(test##_by_poll), TEST(test##_by_signal)

/* One that is waited for. */
struct told {
    struct rota__child child;
    int times;
    int *left; /* of all; the loop stops when none is */
};

static void note_end(struct rota__child *child)
{
    struct told *told = rota__container_of(child, struct told, child);

    told->times++;
    if (told->left && --*told->left == 0)
        rota_loop_stop(child->loop);
}

static struct rota__process_id spawn_shell(const char *command)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct rota__spawn spawn = plain;
    struct rota__process_id id = {-1, -1};

    spawn.argv = argv;
    assert_int_equal(rota__spawn(&spawn, &id), 0);
    return id;
}

static void begin(struct told *told, rota_loop *loop, const char *command)
{
    const struct rota__process_id id = spawn_shell(command);

    told->child.exited = note_end;
    assert_int_equal(rota__child_begin(&told->child, loop, &id), 0);
}

static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

#define FOR_EVER "exec sleep 3600"

static void an_end_is_told_once_with_its_returncode(void)
{
    rota_loop *loop = new_loop();
    int left = 3;
    struct told told[3] = {{.left = &left}, {.left = &left}, {.left = &left}};

    begin(&told[0], loop, "exit 0");
    begin(&told[1], loop, "exit 42");
    begin(&told[2], loop, "kill -TERM $$");
    assert_int_equal(loop->child_count, 3);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told[0].child.returncode, 0);
    assert_int_equal(told[1].child.returncode, 42);
    assert_int_equal(told[2].child.returncode, -SIGTERM);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(told[i].times, 1);
        assert_true(told[i].child.ended);
        assert_int_equal(rota__child_signal(&told[i].child, SIGKILL), -ESRCH);
        rota__child_end(&told[i].child);
    }
    assert_int_equal(loop->child_count, 0);
    assert_no_child();
    rota_loop_free(loop);
}
ON_EACH_WATCHER(an_end_is_told_once_with_its_returncode)

static void an_end_before_it_was_watched_is_told(void)
{
    rota_loop *loop = new_loop();
    int left = 1;
    struct told told = {.left = &left, .child.exited = note_end};
    const struct rota__process_id id = spawn_shell("exit 3");
    siginfo_t info;

    assert_int_equal(waitid(P_PID, (id_t)id.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(rota__child_begin(&told.child, loop, &id), 0);
    assert_int_equal(told.times, 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.times, 1);
    assert_int_equal(told.child.returncode, 3);
    rota_loop_free(loop);
}
ON_EACH_WATCHER(an_end_before_it_was_watched_is_told)

static void a_signal_ends_a_child(void)
{
    rota_loop *loop = new_loop();
    int left = 1;
    struct told told = {.left = &left};

    begin(&told, loop, FOR_EVER);
    assert_int_equal(rota__child_signal(&told.child, 0), 0);
    assert_int_equal(rota__child_signal(&told.child, 1000), -EINVAL);
    assert_int_equal(rota__child_signal(&told.child, SIGTERM), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.child.returncode, -SIGTERM);
    assert_int_equal(rota__child_signal(&told.child, SIGTERM), -ESRCH);
    rota_loop_free(loop);
}
ON_EACH_WATCHER(a_signal_ends_a_child)

static void another_librarys_child_is_left_alone(void)
{
    rota_loop *loop = new_loop();
    int left = 1;
    struct told told = {.left = &left};
    pid_t theirs = fork();
    siginfo_t info;
    int status;

    if (theirs == 0)
        _exit(9);
    assert_int_equal(waitid(P_PID, (id_t)theirs, &info, WEXITED | WNOWAIT), 0);
    begin(&told, loop, "exit 4");
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
    assert_int_equal(waitpid(theirs, &status, WNOHANG), theirs);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}
ON_EACH_WATCHER(another_librarys_child_is_left_alone)

/* Traces a process to its end, says so, and reaps it when it is told. */
static void trace(pid_t pid, int told, int tell)
{
    siginfo_t info;
    char byte = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 ? 1 : 0;

    (void)!write(tell, &byte, 1);
    (void)!read(told, &byte, 1);
    kill(pid, SIGKILL);
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    (void)!write(tell, &byte, 1);
    (void)!read(told, &byte, 1);
    _exit(0);
}

/* As a debugger may: its end is seen, but not to be had yet. */
static void a_child_that_is_traced_is_reaped_after_its_tracer(void)
{
    rota_loop *loop = new_loop();
    int left = 1;
    struct told told = {.left = &left};
    int to[2], from[2];
    char byte = 0;
    pid_t tracer;

    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    begin(&told, loop, FOR_EVER);
    tracer = fork();
    if (tracer == 0)
        trace(told.child.id.pid, to[0], from[1]);
    assert_int_equal(read(from[0], &byte, 1), 1);
    if (!byte)
        harness_skip("no process may be traced here");
    assert_int_equal(write(to[1], &byte, 1), 1);
    assert_int_equal(read(from[0], &byte, 1), 1);
    for (int i = 0; i < 10; i++)
        run_one_turn(loop);
    assert_int_equal(told.times, 0);
    assert_int_equal(write(to[1], &byte, 1), 1);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.child.returncode, -SIGKILL);
    assert_int_equal(waitpid(tracer, NULL, 0), tracer);
    for (int i = 0; i < 2; i++) {
        close(to[i]);
        close(from[i]);
    }
    rota_loop_free(loop);
}
ON_EACH_WATCHER(a_child_that_is_traced_is_reaped_after_its_tracer)

static int reports;

static void count_report(rota_loop *loop, const rota_exception_context *context,
                         void *arg)
{
    (void)loop;
    (void)arg;
    assert_non_null(strstr(context->message, "waited for by somebody else"));
    assert_int_equal(context->error, -ECHILD);
    reports++;
}

static void a_child_that_somebody_else_waited_for_is_reported(void)
{
    rota_loop *loop = new_loop();
    int left = 1;
    struct told told = {.left = &left, .child.exited = note_end};
    const struct rota__process_id id = spawn_shell("exit 3");

    rota_set_exception_handler(loop, count_report, NULL);
    assert_int_equal(rota__child_begin(&told.child, loop, &id), 0);
    assert_int_equal(waitpid(id.pid, NULL, 0), id.pid);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.child.returncode, 255);
    assert_int_equal(reports, 1);
    rota_loop_free(loop);
}
ON_EACH_WATCHER(a_child_that_somebody_else_waited_for_is_reported)

static void forget(struct rota__child *child)
{
    rota__free(rota__container_of(child, struct told, child));
}

static void free_at_report(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    struct told *told = arg;

    count_report(loop, context, NULL);
    assert_int_equal(told->times, 1);
    assert_true(told->child.ended);
    assert_int_equal(told->child.returncode, 255);
    assert_int_equal(rota__child_signal(&told->child, SIGKILL), -ESRCH);
    rota__child_end(&told->child);
    rota__child_give_up(&told->child, forget);
    rota_loop_stop(loop);
}

static void who_hears_such_a_report_may_free_the_child(void)
{
    rota_loop *loop = new_loop();
    struct told *told = rota__zalloc(sizeof *told);
    const struct rota__process_id id = spawn_shell("exit 3");

    assert_non_null(told);
    told->child.exited = note_end;
    rota_set_exception_handler(loop, free_at_report, told);
    assert_int_equal(rota__child_begin(&told->child, loop, &id), 0);
    assert_int_equal(waitpid(id.pid, NULL, 0), id.pid);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(reports, 1);
    assert_int_equal(loop->child_count, 0);
    rota_loop_free(loop);
}
ON_EACH_WATCHER(who_hears_such_a_report_may_free_the_child)

/* The kernel reaps it then, and nobody knows how it ended. */
static void a_child_whose_signal_is_ignored_has_no_known_end(void)
{
    rota_loop *loop;
    int left = 1;
    struct told told = {.left = &left};

    signal(SIGCHLD, SIG_IGN);
    loop = new_loop();
    rota_set_exception_handler(loop, count_report, NULL);
    begin(&told, loop, "exit 3");
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.times, 1);
    assert_int_equal(told.child.returncode, 255);
    assert_int_equal(reports, 1);
    rota_loop_free(loop);
}

/* The handler is ours while a child of a loop is told of by it. */
static void the_handler_of_sigchld_is_put_back(void)
{
    struct sigaction action;
    rota_loop *loop;
    int left = 1;
    struct told told = {.left = &left};
    int ends[2];

    setenv("ROTA_CHILD_WATCHER", "signal", 1);
    signal(SIGCHLD, SIG_IGN);
    loop = new_loop();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], 0), 0);
    assert_int_equal(fcntl(ends[1], F_SETFD, FD_CLOEXEC), 0);
    begin(&told, loop, "read line; exit 3");
    assert_int_equal(sigaction(SIGCHLD, NULL, &action), 0);
    assert_ptr_not_equal(action.sa_handler, SIG_IGN);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(told.child.returncode, 3);
    assert_int_equal(sigaction(SIGCHLD, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, SIG_IGN);
    rota_loop_free(loop);
}

static void a_child_that_is_ended_is_killed_and_not_told_of(void)
{
    rota_loop *loop = new_loop();
    struct told told = {0};
    struct told over = {0};
    pid_t pid;
    siginfo_t info;

    begin(&told, loop, FOR_EVER);
    begin(&over, loop, "exit 6");
    pid = told.child.id.pid;
    assert_int_equal(
        waitid(P_PID, (id_t)over.child.id.pid, &info, WEXITED | WNOWAIT), 0);
    rota__child_end(&told.child);
    assert_int_equal(told.child.returncode, -SIGKILL);
    assert_int_equal(kill(pid, 0), -1);
    rota__child_end(&told.child);
    run_one_turn(loop); /* the other one's end may be queued by now */
    rota__child_end(&over.child);
    assert_int_equal(over.child.returncode, 6);
    assert_no_child();
    rota_loop_free(loop);
    assert_int_equal(told.times, 0);
    assert_true(over.times <= 1);
}
ON_EACH_WATCHER(a_child_that_is_ended_is_killed_and_not_told_of)

static int released;

static void release(struct rota__child *child)
{
    assert_true(child->ended);
    released++;
    if (released == 2)
        rota_loop_stop(child->loop);
    rota__free(rota__container_of(child, struct told, child));
}

static struct told *new_noted(void)
{
    struct told *told = rota__zalloc(sizeof *told);

    assert_non_null(told);
    return told;
}

static void one_that_is_given_up_is_killed_and_reaped_in_some_turn(void)
{
    rota_loop *loop = new_loop();
    struct told *runs = new_noted();
    struct told *over = new_noted();

    begin(runs, loop, FOR_EVER);
    begin(over, loop, "exit 0");
    rota__child_give_up(&runs->child, release);
    rota__child_give_up(&over->child, release);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(released, 2);
    assert_no_child();
    rota_loop_free(loop);
}
ON_EACH_WATCHER(one_that_is_given_up_is_killed_and_reaped_in_some_turn)

static void one_that_is_given_up_when_it_has_ended_is_released_at_once(void)
{
    rota_loop *loop = new_loop();
    struct told *told = new_noted();
    int left = 1;

    told->left = &left;
    begin(told, loop, "exit 0");
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota__child_give_up(&told->child, release);
    assert_int_equal(released, 1);
    rota_loop_free(loop);
}

/* Those that are held, given up, ended and unseen. */
static void a_loop_that_closes_leaves_no_child(void)
{
    rota_loop *loop = new_loop();
    struct told held = {0};
    struct told over = {0};
    struct told *given_up = new_noted();
    siginfo_t info;

    begin(&held, loop, FOR_EVER);
    begin(&over, loop, "exit 6");
    begin(given_up, loop, "trap '' TERM INT HUP; " FOR_EVER);
    rota__child_give_up(&given_up->child, release);
    assert_int_equal(
        waitid(P_PID, (id_t)over.child.id.pid, &info, WEXITED | WNOWAIT), 0);
    run_one_turn(loop);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_no_child();
    assert_int_equal(released, 1);
    assert_int_equal(held.times, 0);
    assert_true(held.child.ended && over.child.ended);
    assert_int_equal(held.child.returncode, -SIGKILL);
    assert_int_equal(over.child.returncode, 6);
    assert_int_equal(rota__child_signal(&held.child, SIGTERM), -ESRCH);
    rota__child_end(&held.child);
    rota_loop_free(loop);
    rota__child_give_up(&held.child, note_end);
    assert_int_equal(held.times, 1);
}
ON_EACH_WATCHER(a_loop_that_closes_leaves_no_child)

#define MANY 1000

static void a_thousand_children_at_once_are_told_of(void)
{
    static struct told told[MANY];
    rota_loop *loop = new_loop();
    int left = MANY;
    int fds = count_fds();

    for (int i = 0; i < MANY; i++) {
        const char *argv[] = {"/bin/true", NULL};
        struct rota__spawn spawn = plain;
        struct rota__process_id id;

        spawn.argv = argv;
        assert_int_equal(rota__spawn(&spawn, &id), 0);
        told[i].left = &left;
        told[i].child.exited = note_end;
        assert_int_equal(rota__child_begin(&told[i].child, loop, &id), 0);
    }
    assert_int_equal(rota_loop_run_forever(loop), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(told[i].times, 1);
        assert_int_equal(told[i].child.returncode, 0);
    }
    assert_no_child();
    assert_true(count_fds() <= fds + 2); /* the poller's own */
    rota_loop_free(loop);
}

static void a_thousand_children_by_pidfd(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < MANY + 100)
        harness_skip("too few descriptors are allowed");
    a_thousand_children_at_once_are_told_of();
}

static void a_thousand_children_by_signal(void)
{
    setenv("ROTA_CHILD_WATCHER", "signal", 1);
    a_thousand_children_by_pidfd();
}

/* --- Virtual time -------------------------------------------------------- */

#define ROUNDED 1e-6 /* seconds in a double */

struct clocked {
    struct told told;
    double ended;
    double timer;
};

static void note_when(struct rota__child *child)
{
    struct clocked *clocked =
        rota__container_of(child, struct clocked, told.child);

    clocked->ended = rota_loop_time(child->loop);
}

static void note_timer(void *arg)
{
    struct clocked *clocked = arg;

    clocked->timer = rota_loop_time(clocked->told.child.loop);
    rota_loop_stop(clocked->told.child.loop);
}

static void virtual_time_does_not_jump_over_a_child(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    struct clocked clocked = {.told.child.exited = note_when};
    const struct rota__process_id id = spawn_shell("exit 0");
    double began = rota_loop_time(loop);

    assert_int_equal(rota__child_begin(&clocked.told.child, loop, &id), 0);
    rota_call_later(loop, NULL, 3600, note_timer, &clocked);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_true(clocked.ended >= began && clocked.ended < began + 3600);
    assert_true(clocked.timer >= began + 3600 - ROUNDED);
    rota_loop_free(loop);
}
ON_EACH_WATCHER(virtual_time_does_not_jump_over_a_child)

static void a_timer_beside_a_child_for_ever_still_comes(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    struct clocked clocked = {.told.child.exited = note_when};
    const struct rota__process_id id = spawn_shell(FOR_EVER);
    double began = rota_loop_time(loop);
    int64_t began_really = rota__clock_now();

    assert_int_equal(rota__child_begin(&clocked.told.child, loop, &id), 0);
    rota_call_later(loop, NULL, 0.02, note_timer, &clocked);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_true(clocked.timer >= began + 0.02 - ROUNDED);
    assert_true(rota__clock_now() - began_really >= ROTA__SECOND / 50);
    rota_loop_free(loop);
}

/* Until it is killed. */
_Noreturn static void speak_for_ever(int to)
{
    const struct timespec a_while = {.tv_nsec = 20 * 1000 * 1000};

    for (;;) {
        (void)!write(to, "x", 1);
        nanosleep(&a_while, NULL);
    }
}

static void hear(void *fd)
{
    char text[64];

    assert_true(read(*(int *)fd, text, sizeof text) > 0);
}

static void a_timer_beside_a_child_that_speaks_still_comes(void)
{
    rota_loop *loop = new_loop_in_virtual_time();
    struct clocked clocked = {.told.child.exited = note_when};
    struct rota__process_id id = {-1, -1};
    double began = rota_loop_time(loop);
    int64_t began_really = rota__clock_now();
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    id.pid = fork();
    if (id.pid == 0)
        speak_for_ever(ends[1]);
    assert_int_equal(rota__child_begin(&clocked.told.child, loop, &id), 0);
    assert_int_equal(rota_add_reader(loop, ends[0], hear, &ends[0]), 0);
    rota_call_later(loop, NULL, 0.1, note_timer, &clocked);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_true(clocked.timer >= began + 0.1 - ROUNDED);
    assert_true(rota__clock_now() - began_really >= ROTA__SECOND / 10);
    assert_false(clocked.told.child.ended);
    rota_loop_free(loop);
    close(ends[0]);
    close(ends[1]);
}

HARNESS_MAIN(WATCHERS(an_end_is_told_once_with_its_returncode),
             WATCHERS(an_end_before_it_was_watched_is_told),
             WATCHERS(a_signal_ends_a_child),
             WATCHERS(another_librarys_child_is_left_alone),
             WATCHERS(a_child_that_is_traced_is_reaped_after_its_tracer),
             WATCHERS(a_child_that_somebody_else_waited_for_is_reported),
             WATCHERS(who_hears_such_a_report_may_free_the_child),
             TEST_SKIP_UNDER(a_child_whose_signal_is_ignored_has_no_known_end,
                             HARNESS_VALGRIND,
                             "it has no pidfds, and a handler is no SIG_IGN"),
             TEST(the_handler_of_sigchld_is_put_back),
             WATCHERS(a_child_that_is_ended_is_killed_and_not_told_of),
             WATCHERS(one_that_is_given_up_is_killed_and_reaped_in_some_turn),
             TEST(one_that_is_given_up_when_it_has_ended_is_released_at_once),
             WATCHERS(a_loop_that_closes_leaves_no_child),
             TEST_TIMEOUT(a_thousand_children_by_pidfd, 60),
             TEST_TIMEOUT(a_thousand_children_by_signal, 60),
             WATCHERS(virtual_time_does_not_jump_over_a_child),
             TEST(a_timer_beside_a_child_for_ever_still_comes),
             TEST_TIMEOUT(a_timer_beside_a_child_that_speaks_still_comes, 5))
