/* SPDX-License-Identifier: MIT */
/*
 * Processes when the system refuses: each leaves no fd, byte or zombie
 *
 * What is refused is a system call, by a filter that the test puts around
 * itself, or the n-th allocation, for every n.
 */
#define _GNU_SOURCE
#include "loops.h"
#include "spawns.h"

#include "loop/child.h"
#include "transport/process.h"

static const char *const works[] = {"true", NULL};
static const char *const missing[] = {"no-such-program", NULL};

static const rota_subprocess_options all_pipes = {
    .in = ROTA_PIPE, .out = ROTA_PIPE, .err = ROTA_PIPE};

static void stop_loop(struct rota__child *child)
{
    rota_loop_stop(child->loop);
}

/* What the poller opens on its way is there, and is not counted below. */
static rota_loop *new_warm_loop(void)
{
    rota_loop *loop = new_loop();

    run_one_turn(loop);
    return loop;
}

/* Starts one and waits for it; 0 or the error, and then nothing is left. */
static int try_process(rota_loop *loop, const char *const *argv,
                       const rota_subprocess_options *options)
{
    struct rota__process process = {.child.exited = stop_loop};
    int fds = count_fds();
    int err = rota__process_start(&process, loop, argv, NULL, options);

    if (err == 0) {
        assert_int_equal(rota_loop_run_forever(loop), 0);
        assert_true(process.child.ended);
        assert_int_equal(process.child.returncode, 0);
        rota__process_close_pipes(&process);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(process.pipes[i], -1);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(loop->child_count, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    return err;
}

/* --- Options ------------------------------------------------------------- */

static int options_error(rota_subprocess_options options)
{
    rota_loop *loop = new_warm_loop();
    int err = try_process(loop, works, &options);

    rota_loop_free(loop);
    return err;
}

static void options_that_make_no_sense_are_refused(void)
{
    const uid_t no_user = (uid_t)-1;
    const gid_t no_group = (gid_t)-1;
    const int closed[] = {3, 4, 5, 6, 7, 8, 9};
    rota_loop *loop = new_warm_loop();
    struct rota__process process = {.child.exited = stop_loop};
    const char *nothing[] = {NULL};

    assert_int_equal(rota__process_start(&process, loop, NULL, NULL, NULL),
                     -EINVAL);
    assert_int_equal(rota__process_start(&process, loop, nothing, NULL, NULL),
                     -EINVAL);
    rota_loop_close(loop);
    assert_int_equal(rota__process_start(&process, loop, works, NULL, NULL),
                     -ROTA_ECLOSED);
    rota_loop_free(loop);
    assert_int_equal(options_error((rota_subprocess_options){.in = -4}),
                     -EINVAL);
    assert_int_equal(
        options_error((rota_subprocess_options){.in = ROTA_STDOUT}), -EINVAL);
    assert_int_equal(
        options_error((rota_subprocess_options){.out = ROTA_STDOUT}), -EINVAL);
    assert_int_equal(options_error((rota_subprocess_options){.err = -9}),
                     -EINVAL);
    assert_int_equal(
        options_error((rota_subprocess_options){.pass_fd_count = 1}), -EINVAL);
    assert_int_equal(
        options_error((rota_subprocess_options){.extra_group_count = 1}),
        -EINVAL);
    assert_int_equal(
        options_error((rota_subprocess_options){.process_group = -2}), -EINVAL);
    assert_int_equal(
        options_error((rota_subprocess_options){.process_group = ROTA_OWN_GROUP,
                                                .start_new_session = true}),
        -EINVAL);
    assert_int_equal(options_error((rota_subprocess_options){.user = &no_user}),
                     -EINVAL);
    assert_int_equal(
        options_error((rota_subprocess_options){.group = &no_group}), -EINVAL);
    assert_int_equal(options_error((rota_subprocess_options){.in = 999}),
                     -EBADF);
    /* Numbers that our pipes would get. */
    assert_int_equal(
        options_error((rota_subprocess_options){
            .in = ROTA_PIPE, .pass_fds = closed, .pass_fd_count = 7}),
        -EBADF);
}

/* --- Memory -------------------------------------------------------------- */

static void survive(const char *const *argv, int expected)
{
    for (long n = 1;; n++) {
        rota_loop *loop = new_warm_loop();
        long made = harness_allocations();
        int err;

        harness_fail_allocation(n);
        err = try_process(loop, argv, &all_pipes);
        harness_fail_allocation(-1);
        made = harness_allocations() - made;
        rota_loop_free(loop);
        assert_int_equal(harness_live_blocks(), 0);
        if (made < n) {
            assert_int_equal(err, expected);
            assert_true(n > 1);
            return;
        }
        assert_int_equal(err, -ENOMEM);
    }
}

static void a_lack_of_memory_is_survived(void)
{
    survive(works, 0);
    survive(missing, -ENOENT);
}

static void a_lack_of_memory_is_survived_by_poll(void)
{
    setenv("ROTA_POLLER", "poll", 1);
    survive(works, 0);
}

static void a_lack_of_memory_is_survived_by_signal(void)
{
    setenv("ROTA_CHILD_WATCHER", "signal", 1);
    survive(works, 0);
}

/* --- Descriptors --------------------------------------------------------- */

/* Room for one more fd, then two more, until there is enough. */
static void survive_few_fds(const char *const *argv, int expected)
{
    rota_loop *loop = new_warm_loop();
    int enough = count_fds();
    struct rlimit before;
    int err;

    assert_int_equal(try_process(loop, works, &all_pipes), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int room = 0;; room++) {
        struct rlimit few = {(rlim_t)(enough + room), before.rlim_max};

        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        err = try_process(loop, argv, &all_pipes);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (err != -EMFILE)
            break;
        assert_true(room < 20);
    }
    assert_int_equal(err, expected);
    rota_loop_free(loop);
}

static void a_lack_of_descriptors_is_survived(void)
{
    survive_few_fds(works, 0);
    survive_few_fds(missing, -ENOENT);
}

static void a_lack_of_descriptors_is_survived_by_fork(void)
{
    setenv("ROTA_SPAWN", "fork", 1);
    a_lack_of_descriptors_is_survived();
}

#if defined(__linux__)

/* --- Births -------------------------------------------------------------- */

static void refuse_births(int error)
{
    rota_loop *loop = new_warm_loop();

    assert_int_equal(try_process(loop, works, &all_pipes), 0);
    REFUSE_BIRTHS(error);
    assert_int_equal(try_process(loop, works, &all_pipes), -error);
    assert_int_equal(try_process(loop, works, NULL), -error);
    rota_loop_free(loop);
}

/* The first spawn of all also looks at how it is done. */
static void refuse_first_births(int error)
{
    rota_loop *loop = new_warm_loop();

    REFUSE_BIRTHS(error);
    assert_int_equal(try_process(loop, works, &all_pipes), -error);
    rota_loop_free(loop);
}

static void too_many_processes_are_an_error(void)
{
    refuse_births(EAGAIN);
}

static void too_many_processes_are_an_error_by_fork(void)
{
    setenv("ROTA_SPAWN", "fork", 1);
    refuse_births(EAGAIN);
}

static void too_many_processes_are_an_error_at_first(void)
{
    refuse_first_births(EAGAIN);
}

static void no_memory_for_a_process_is_an_error(void)
{
    refuse_births(ENOMEM);
}

static void no_memory_for_a_process_is_an_error_by_fork(void)
{
    setenv("ROTA_SPAWN", "fork", 1);
    refuse_births(ENOMEM);
}

static void no_memory_for_a_process_is_an_error_at_first(void)
{
    refuse_first_births(ENOMEM);
}

/* --- Old systems and sandboxes ------------------------------------------- */

/* All that a process may need, with what is left. */
static void try_all(void)
{
    rota_loop *loop = new_warm_loop();
    struct rota__spawn spawn = plain;
    int inherited = fcntl(2, F_DUPFD, 200);
    struct rota__process process = {.child.exited = stop_loop};
    const char *sleeps[] = {"sleep", "3600", NULL};

    assert_int_equal(try_process(loop, works, &all_pipes), 0);
    assert_int_equal(try_process(loop, works, NULL), 0);
    assert_int_equal(try_process(loop, missing, &all_pipes), -ENOENT);
    assert_string_equal(
        words_of(spawn, "test -e /proc/self/fd/200 || printf closed"),
        "closed");
    assert_int_equal(rota__process_start(&process, loop, sleeps, NULL, NULL),
                     0);
    assert_int_equal(rota__child_signal(&process.child, SIGTERM), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(process.child.returncode, -SIGTERM);
    close(inherited);
    rota_loop_free(loop);
}

static void without_clone3_it_goes_on(void)
{
    REFUSE({SYS_clone3, ENOSYS, -1, 0});
    try_all();
}

static void where_clone3_is_not_allowed_it_goes_on(void)
{
    REFUSE({SYS_clone3, EPERM, -1, 0});
    try_all();
}

static void where_it_is_forbidden_later_it_goes_on(void)
{
    try_all();
    REFUSE({SYS_clone3, ENOSYS, -1, 0});
    try_all();
}

static void without_pidfds_of_clone_they_are_opened(void)
{
    REFUSE({SYS_clone3, ENOSYS, -1, 0},
           {SYS_clone, EINVAL, 0, SPAWN_FLAG_PIDFD});
    try_all();
}

static void without_pidfds_sigchld_tells(void)
{
    REFUSE({SYS_clone3, ENOSYS, -1, 0},
           {SYS_clone, EINVAL, 0, SPAWN_FLAG_PIDFD},
           {SYS_pidfd_open, ENOSYS, -1, 0});
    try_all();
}

static void without_any_clone_it_is_forked(void)
{
    REFUSE({SYS_clone3, ENOSYS, -1, 0},
           {SYS_clone, EPERM, 0, 0x100 /* CLONE_VM */},
           {SYS_pidfd_open, EMFILE, -1, 0});
    try_all();
}

static void without_close_range_nothing_more_is_inherited(void)
{
    REFUSE({SYS_close_range, ENOSYS, -1, 0});
    try_all();
}

static void without_close_range_and_getdents_nothing_more_is_inherited(void)
{
    struct rlimit few;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &few), 0);
    few.rlim_cur = few.rlim_max < 1024 ? few.rlim_max : 1024;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    REFUSE({SYS_close_range, ENOSYS, -1, 0}, {SYS_getdents64, EPERM, -1, 0});
    try_all();
}

static void without_signals_by_pidfd_they_go_by_number(void)
{
    REFUSE({SYS_pidfd_send_signal, ENOSYS, -1, 0});
    try_all();
}

static void without_waits_for_a_pidfd_they_go_by_number(void)
{
    REFUSE({SYS_waitid, EINVAL, 0, 2 /* P_PIDFD is 3, P_PID is 1 */});
    try_all();
}

/* The poller cannot take it: the child that runs already is ended. */
static void a_child_that_cannot_be_watched_is_ended(void)
{
    rota_loop *loop = new_warm_loop();

    if (loop->poller.ops != &rota__poller_epoll)
        harness_skip("this poller needs no system call for it");
    REFUSE({SYS_epoll_ctl, ENOSPC, -1, 0});
    assert_int_equal(try_process(loop, works, &all_pipes), -ENOSPC);
    rota_loop_free(loop);
}

#define NO_CLONE(test)                                                         \
    TEST_SKIP_UNDER(test, HARNESS_ASAN, "its look for leaks needs a clone")
#define LINUX_TESTS                                                            \
    , NO_CLONE(too_many_processes_are_an_error),                               \
        NO_CLONE(too_many_processes_are_an_error_by_fork),                     \
        NO_CLONE(too_many_processes_are_an_error_at_first),                    \
        NO_CLONE(no_memory_for_a_process_is_an_error),                         \
        NO_CLONE(no_memory_for_a_process_is_an_error_by_fork),                 \
        NO_CLONE(no_memory_for_a_process_is_an_error_at_first),                \
        TEST(without_clone3_it_goes_on),                                       \
        TEST(where_clone3_is_not_allowed_it_goes_on),                          \
        TEST(where_it_is_forbidden_later_it_goes_on),                          \
        TEST(without_pidfds_of_clone_they_are_opened),                         \
        TEST(without_pidfds_sigchld_tells),                                    \
        NO_CLONE(without_any_clone_it_is_forked),                              \
        TEST(without_close_range_nothing_more_is_inherited),                   \
        TEST(without_close_range_and_getdents_nothing_more_is_inherited),      \
        TEST(without_signals_by_pidfd_they_go_by_number),                      \
        TEST(without_waits_for_a_pidfd_they_go_by_number),                     \
        TEST_SKIP_UNDER(a_child_that_cannot_be_watched_is_ended,               \
                        HARNESS_VALGRIND, "it has no pidfds")

#else
#define LINUX_TESTS
#endif

HARNESS_MAIN(TEST(options_that_make_no_sense_are_refused),
             TEST(a_lack_of_memory_is_survived),
             TEST(a_lack_of_memory_is_survived_by_poll),
             TEST(a_lack_of_memory_is_survived_by_signal),
             TEST(a_lack_of_descriptors_is_survived),
             TEST(a_lack_of_descriptors_is_survived_by_fork) LINUX_TESTS)
