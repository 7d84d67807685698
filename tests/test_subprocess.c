/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses: started, and what a child is given
 */
#define _GNU_SOURCE
#include "children.h"

/* --- Starting ------------------------------------------------------------ */

static intptr_t exec_programs(void *arg)
{
    const char *found[] = {"sh", "-c", "exit $1", "name", "7", NULL};
    const char *there[] = {"/bin/sh", "-c", "exit 8", NULL};
    rota_process *process = NULL;

    (void)arg;
    assert_int_equal(rota_create_subprocess_exec(&process, found, NULL), 0);
    assert_null(rota_process_stdin(process));
    assert_null(rota_process_stdout(process));
    assert_null(rota_process_stderr(process));
    assert_int_equal(last_of(process), 7);
    assert_int_equal(rota_create_subprocess_exec(&process, there, NULL), 0);
    assert_int_equal(last_of(process), 8);
    return 0;
}

static void a_program_is_run_and_its_exit_status_told(void)
{
    run(exec_programs);
}

static intptr_t run_commands(void *arg)
{
    (void)arg;
    assert_int_equal(last_of(shell("exit 7")), 7);
    assert_int_equal(last_of(shell("true && ! false")), 0);
    return 0;
}

static void a_command_is_run_by_a_shell(void)
{
    run(run_commands);
}

static int exec_error(const char *program,
                      const rota_subprocess_options *options)
{
    const char *argv[] = {program, NULL};
    rota_process *const untouched = (rota_process *)&argv;
    rota_process *process = untouched;
    int err = rota_create_subprocess_exec(&process, argv, options);

    assert_ptr_equal(process, untouched);
    return err;
}

static intptr_t start_what_cannot_be(void *arg)
{
    const rota_subprocess_options nowhere = {.cwd = "/no/such/place"};
    const rota_subprocess_options no_fd = {.out = 9999};
    const rota_subprocess_options pipes = {
        .in = ROTA_PIPE, .out = ROTA_PIPE, .err = ROTA_PIPE};
    rota_process *process;

    (void)arg;
    assert_int_equal(exec_error("/no/such/program", NULL), -ENOENT);
    assert_int_equal(exec_error("no-such-program", NULL), -ENOENT);
    assert_int_equal(exec_error("no-such-program", &pipes), -ENOENT);
    assert_int_equal(exec_error("/etc/passwd", &pipes), -EACCES);
    assert_int_equal(exec_error("/", &pipes), -EACCES);
    assert_int_equal(exec_error("true", &nowhere), -ENOENT);
    assert_int_equal(exec_error("true", &no_fd), -EBADF);
    assert_int_equal(exec_error(NULL, NULL), -EINVAL);
    assert_int_equal(rota_create_subprocess_exec(&process, NULL, NULL),
                     -EINVAL);
    assert_int_equal(rota_create_subprocess_shell(&process, NULL, NULL),
                     -EINVAL);
    return 0;
}

static void what_cannot_be_started_is_an_error_and_leaves_nothing(void)
{
    run(start_what_cannot_be);
}

static void a_process_needs_a_running_loop(void)
{
    assert_int_equal(exec_error("true", NULL), -ROTA_ENOLOOP);
}

static intptr_t start_without_fds(void *arg)
{
    const rota_subprocess_options pipes = {
        .in = ROTA_PIPE, .out = ROTA_PIPE, .err = ROTA_PIPE};
    struct rlimit before;
    struct rlimit limit;
    int next = dup(0);

    (void)arg;
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int room = 0; room < 6; room++) {
        limit = before;
        limit.rlim_cur = (rlim_t)next + (rlim_t)room;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(exec_error("cat", &pipes), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    return 0;
}

static void without_fds_nothing_is_started(void)
{
    run(start_without_fds);
}

static intptr_t start_without_memory(void *arg)
{
    rota_process *process = NULL;
    int err = -ENOMEM;

    (void)arg;
    assert_int_equal(last_of(shell_with(&piped_out, "true")), 0);
    for (long nth = 1; err == -ENOMEM; nth++) {
        assert_true(nth < 30);
        harness_fail_allocation(nth);
        err = rota_create_subprocess_shell(&process, "exec cat", &piped);
        harness_fail_allocation(-1);
    }
    assert_int_equal(err, 0);
    rota_close(rota_process_stdin(process));
    assert_int_equal(last_of(process), 0);
    return 0;
}

static void without_memory_nothing_is_left(void)
{
    run(start_without_memory);
}

/* --- What the child is given --------------------------------------------- */

static intptr_t look_around(void *arg)
{
    char *env[] = {"PATH=/bin:/usr/bin", "COLOUR=blue", NULL};
    const rota_subprocess_options options = {
        .out = ROTA_PIPE,
        .cwd = "/usr",
        .env = env,
        .start_new_session = true,
    };
    rota_process *process =
        shell_with(&options, "pwd; echo $COLOUR $HOME; ps -o sid= -p $$");
    char pid[32];
    char line[64] = "";
    intptr_t n;

    (void)arg;
    expect_line(rota_process_stdout(process), "/usr\n");
    expect_line(rota_process_stdout(process), "blue\n");
    n = rota_read_line(rota_process_stdout(process), line, sizeof line - 1);
    assert_true(n >= 0);
    snprintf(pid, sizeof pid, "%d", (int)rota_process_pid(process));
    if (n > 0) /* there is a ps */
        assert_non_null(strstr(line, pid));
    assert_true(last_of(process) >= 0);
    return 0;
}

static void a_child_has_the_folder_environment_and_session_it_was_given(void)
{
    run(look_around);
}

static intptr_t give_streams(void *arg)
{
    char path[] = "/tmp/rota-test-XXXXXX";
    int file = mkstemp(path);
    const rota_subprocess_options options = {
        .in = ROTA_DEVNULL, .out = file, .err = ROTA_STDOUT};
    char text[64] = "";

    (void)arg;
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(
        last_of(shell_with(&options, "cat; echo out; echo err >&2")), 0);
    assert_int_equal(pread(file, text, sizeof text - 1, 0), 8);
    assert_string_equal(text, "out\nerr\n");
    close(file);
    return 0;
}

static void streams_go_to_files_and_to_each_other(void)
{
    run(give_streams);
}

HARNESS_MAIN(TEST(a_program_is_run_and_its_exit_status_told),
             TEST(a_command_is_run_by_a_shell),
             TEST(what_cannot_be_started_is_an_error_and_leaves_nothing),
             TEST(a_process_needs_a_running_loop),
             TEST(without_fds_nothing_is_started),
             TEST(without_memory_nothing_is_left),
             TEST(a_child_has_the_folder_environment_and_session_it_was_given),
             TEST(streams_go_to_files_and_to_each_other))
