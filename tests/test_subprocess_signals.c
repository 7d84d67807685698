/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses: signals, to them and from them
 */
#define _GNU_SOURCE
#include "children.h"

static intptr_t end_by_signals(void *arg)
{
    rota_process *process = shell(FOR_EVER);

    (void)arg;
    assert_int_equal(rota_process_kill(process), 0);
    assert_int_equal(last_of(process), -SIGKILL);
    process = shell(FOR_EVER);
    assert_int_equal(rota_process_terminate(process), 0);
    assert_int_equal(last_of(process), -SIGTERM);
    process = shell(FOR_EVER);
    assert_int_equal(rota_process_send_signal(process, SIGHUP), 0);
    assert_int_equal(last_of(process), -SIGHUP);
    return 0;
}

static void who_is_ended_by_signal_n_has_returncode_minus_n(void)
{
    run(end_by_signals);
    run_shuffled(end_by_signals);
}

static intptr_t kill_a_busy_shell(void *arg)
{
    rota_process *process = shell_with(&piped, "echo on; read line; read line");

    (void)arg;
    expect_line(rota_process_stdout(process), "on\n");
    assert_int_equal(rota_process_kill(process), 0);
    assert_int_equal(last_of(process), -SIGKILL);
    return 0;
}

static void a_shell_in_the_midst_of_a_command_is_killed(void)
{
    run(kill_a_busy_shell);
}

static intptr_t signal_the_dead(void *arg)
{
    rota_process *process = shell("true");

    (void)arg;
    assert_int_equal(end_of(process), 0);
    assert_int_equal(rota_process_send_signal(process, SIGTERM), -ESRCH);
    assert_int_equal(rota_process_terminate(process), -ESRCH);
    assert_int_equal(rota_process_kill(process), -ESRCH);
    rota_process_free(process);
    process = shell(FOR_EVER);
    assert_int_equal(rota_process_send_signal(process, 9999), -EINVAL);
    assert_int_equal(rota_process_send_signal(process, 0), 0);
    rota_process_free(process);
    return 0;
}

static void nobody_is_signalled_after_the_end(void)
{
    run(signal_the_dead);
}

static intptr_t catch_signals(void *arg)
{
    rota_process *process =
        shell_with(&piped_out, "trap 'echo usr1' USR1; trap 'exit 5' USR2; "
                               "echo on; while :; do :; done");

    (void)arg;
    expect_line(rota_process_stdout(process), "on\n");
    assert_int_equal(rota_process_send_signal(process, SIGUSR1), 0);
    expect_line(rota_process_stdout(process), "usr1\n");
    assert_int_equal(rota_process_send_signal(process, SIGUSR2), 0);
    assert_int_equal(last_of(process), 5);
    return 0;
}

static void a_child_may_catch_what_it_is_sent(void)
{
    run(catch_signals);
}

static intptr_t stop_and_continue(void *arg)
{
    rota_process *process = shell_with(&piped, "exec cat");
    rota_timeout limit;
    int err;

    (void)arg;
    assert_int_equal(rota_process_send_signal(process, SIGSTOP), 0);
    rota_timeout_begin(&limit, 0.02);
    err = rota_process_wait(process, NULL);
    assert_int_equal(rota_timeout_end(&limit, err), -ETIMEDOUT);
    assert_int_equal(rota_process_send_signal(process, SIGCONT), 0);
    rota_close(rota_process_stdin(process));
    assert_int_equal(last_of(process), 0);
    return 0;
}

static void one_that_is_stopped_has_not_ended(void)
{
    run(stop_and_continue);
}

/* What we ignore and block must not be the child's fate. */
static intptr_t ignore_and_start(void *arg)
{
    rota_process *process;
    sigset_t blocked;
    sigset_t before;

    (void)arg;
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&blocked);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    process = shell_with(&piped_out, "exec yes");
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    expect_line(rota_process_stdout(process), "y\n");
    rota_close(rota_process_stdout(process));
    assert_int_equal(last_of(process), -SIGPIPE);
    signal(SIGPIPE, SIG_DFL);
    return 0;
}

static void a_child_has_sigpipe_and_no_blocked_signals(void)
{
    run(ignore_and_start);
}

/* The usual way to be polite, and then not. */
static intptr_t terminate_or_kill(rota_process *process)
{
    rota_timeout limit;
    int returncode = 0;
    int err;

    assert_int_equal(rota_process_terminate(process), 0);
    rota_timeout_begin(&limit, 0.05);
    err = rota_process_wait(process, &returncode);
    err = (int)rota_timeout_end(&limit, err);
    if (err == -ETIMEDOUT) {
        assert_int_equal(rota_process_kill(process), 0);
        err = rota_process_wait(process, &returncode);
    }
    assert_int_equal(err, 0);
    rota_process_free(process);
    return returncode;
}

static intptr_t be_polite(void *arg)
{
    rota_process *deaf =
        shell_with(&piped_out, "trap '' TERM; echo on; " FOR_EVER);

    (void)arg;
    expect_line(rota_process_stdout(deaf), "on\n");
    assert_int_equal(terminate_or_kill(deaf), -SIGKILL);
    return 0;
}

static void a_child_that_ignores_sigterm_is_killed_after_a_while(void)
{
    run(be_polite);
}

static intptr_t signal_a_group(void *arg)
{
    const rota_subprocess_options options = {
        .out = ROTA_PIPE,
        .process_group = ROTA_OWN_GROUP,
    };
    rota_process *process =
        shell_with(&options, "sleep 3600 & echo on; wait; true");
    char buf[8];

    (void)arg;
    expect_line(rota_process_stdout(process), "on\n");
    assert_int_equal(kill(-rota_process_pid(process), SIGTERM), 0);
    assert_int_equal(rota_read(rota_process_stdout(process), buf, sizeof buf),
                     0); /* nobody is left who could write */
    assert_int_equal(last_of(process), -SIGTERM);
    return 0;
}

static void a_group_of_its_own_is_signalled_as_a_whole(void)
{
    run(signal_a_group);
}

HARNESS_MAIN(TEST(who_is_ended_by_signal_n_has_returncode_minus_n),
             TEST(a_shell_in_the_midst_of_a_command_is_killed),
             TEST(nobody_is_signalled_after_the_end),
             TEST(a_child_may_catch_what_it_is_sent),
             TEST(one_that_is_stopped_has_not_ended),
             TEST(a_child_has_sigpipe_and_no_blocked_signals),
             TEST(a_child_that_ignores_sigterm_is_killed_after_a_while),
             TEST(a_group_of_its_own_is_signalled_as_a_whole))
