/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses: what goes through their pipes, and what does not
 */
#define _GNU_SOURCE
#include "children.h"

enum { PIPEFUL = 65536 };

/* --- Talking ------------------------------------------------------------- */

static intptr_t talk_to_cat(void *arg)
{
    rota_process *process = shell_with(&piped, "exec cat");

    (void)arg;
    say(rota_process_stdin(process), "some data\n");
    expect_line(rota_process_stdout(process), "some data\n");
    say(rota_process_stdin(process), "and more");
    rota_close(rota_process_stdin(process));
    expect_all(rota_process_stdout(process), "and more");
    assert_true(rota_at_eof(rota_process_stdout(process)));
    assert_int_equal(last_of(process), 0);
    return 0;
}

static void a_child_hears_and_answers(void)
{
    run(talk_to_cat);
    run_shuffled(talk_to_cat);
}

static intptr_t hear_both(void *arg)
{
    const rota_subprocess_options apart = {.out = ROTA_PIPE, .err = ROTA_PIPE};
    const rota_subprocess_options joined = {.out = ROTA_PIPE,
                                            .err = ROTA_STDOUT};
    const char *command = "echo out; echo err >&2; exit 4";
    rota_process *process = shell_with(&apart, command);

    (void)arg;
    assert_null(rota_process_stdin(process));
    expect_all(rota_process_stderr(process), "err\n");
    expect_all(rota_process_stdout(process), "out\n");
    assert_int_equal(last_of(process), 4);
    process = shell_with(&joined, command);
    assert_null(rota_process_stderr(process));
    expect_all(rota_process_stdout(process), "out\nerr\n");
    assert_int_equal(last_of(process), 4);
    return 0;
}

static void stderr_is_read_apart_or_with_stdout(void)
{
    run(hear_both);
}

static intptr_t write_pattern(void *stream)
{
    char *data = make_pattern(BIG);
    size_t sent = 0;
    intptr_t n = 0;

    for (size_t size = 1; n >= 0 && sent < BIG; size = size * 3 + 1) {
        if (size > BIG - sent)
            size = BIG - sent;
        n = rota_write(stream, data + sent, size);
        sent += size;
    }
    rota_close(stream);
    free(data);
    return n < 0 ? n : 0;
}

static intptr_t send_through_cat(void *arg)
{
    rota_process *process = shell_with(&piped, "exec cat");
    rota_task writer = start(write_pattern, rota_process_stdin(process));
    char *data = malloc(BIG);

    (void)arg;
    assert_non_null(data);
    assert_int_equal(rota_read_all(rota_process_stdout(process), data, BIG),
                     BIG);
    assert_pattern(data, BIG);
    free(data);
    assert_int_equal(rota_await(writer), 0);
    assert_int_equal(last_of(process), 0);
    return 0;
}

static void megabytes_go_through_unchanged(void)
{
    run(send_through_cat);
    run_shuffled(send_through_cat);
}

static intptr_t sort_lines(void *arg)
{
    const char *argv[] = {"sort", "-n", NULL};
    rota_process *process;

    (void)arg;
    assert_int_equal(rota_create_subprocess_exec(&process, argv, &piped), 0);
    say(rota_process_stdin(process), "10\n9\n");
    say(rota_process_stdin(process), "8\n");
    rota_close(rota_process_stdin(process));
    expect_line(rota_process_stdout(process), "8\n");
    expect_line(rota_process_stdout(process), "9\n");
    expect_line(rota_process_stdout(process), "10\n");
    expect_line(rota_process_stdout(process), "");
    assert_int_equal(last_of(process), 0);
    return 0;
}

static void a_program_that_answers_at_the_end_answers(void)
{
    run(sort_lines);
}

static intptr_t join_two(void *arg)
{
    int ends[2];
    rota_subprocess_options first = {.in = ROTA_DEVNULL};
    rota_subprocess_options second = {.out = ROTA_PIPE};
    rota_process *printf_;
    rota_process *tr;

    (void)arg;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    first.out = ends[1];
    second.in = ends[0];
    printf_ = shell_with(&first, "echo hello");
    tr = shell_with(&second, "tr a-z A-Z");
    close(ends[0]);
    close(ends[1]);
    expect_all(rota_process_stdout(tr), "HELLO\n");
    assert_int_equal(last_of(printf_), 0);
    assert_int_equal(last_of(tr), 0);
    return 0;
}

static void the_output_of_one_is_the_input_of_another(void)
{
    run(join_two);
}

static intptr_t read_late(void *arg)
{
    rota_process *process =
        shell_with(&piped_out, "head -c 50000 /dev/zero; exit 1");
    static char buf[PIPEFUL];

    (void)arg;
    assert_int_equal(end_of(process), 1);
    assert_int_equal(rota_read(rota_process_stdout(process), buf, sizeof buf),
                     50000);
    assert_int_equal(rota_read(rota_process_stdout(process), buf, sizeof buf),
                     0);
    rota_process_free(process);
    return 0;
}

static void what_was_said_is_there_after_the_end(void)
{
    run(read_late);
}

static intptr_t read_with_a_limit(void *arg)
{
    const rota_subprocess_options options = {.out = ROTA_PIPE, .limit = 10};
    rota_process *process =
        shell_with(&options, "echo short; echo much longer than that");
    char line[64];

    (void)arg;
    expect_line(rota_process_stdout(process), "short\n");
    assert_int_equal(
        rota_read_line(rota_process_stdout(process), line, sizeof line),
        -ROTA_ELIMIT);
    expect_all(rota_process_stdout(process), "much longer than that\n");
    assert_int_equal(last_of(process), 0);
    return 0;
}

static void the_limit_is_that_of_the_streams(void)
{
    run(read_with_a_limit);
}

/* --- Back-pressure -------------------------------------------------------- */

static intptr_t write_much(void *stream)
{
    char *data = make_pattern(BIG);
    intptr_t n = rota_write(stream, data, BIG);

    free(data);
    return n;
}

static intptr_t write_to_the_deaf(void *arg)
{
    rota_process *process = shell_with(&piped_in, FOR_EVER);
    rota_stream *in = rota_process_stdin(process);
    rota_task writer;

    (void)arg;
    writer = start(write_much, in);
    pass_turns(5);
    assert_false(rota_task_done(writer));
    assert_true(rota_stream_write_buffer_size(in) <= PIPEFUL);
    assert_int_equal(rota_process_kill(process), 0);
    assert_int_equal(rota_await(writer), -EPIPE);
    assert_int_equal(rota_write(in, "x", 1), -EPIPE);
    assert_int_equal(last_of(process), -SIGKILL);
    return 0;
}

static void a_write_to_one_that_never_reads_waits(void)
{
    run(write_to_the_deaf);
    run_shuffled(write_to_the_deaf);
}

static intptr_t fill(void *stream)
{
    char *data = make_pattern(PIPEFUL);
    intptr_t n = rota_write(stream, data, PIPEFUL);

    free(data);
    return n;
}

/* The child counts what it gets once it may go on. */
static intptr_t cancel_writes(void *arg)
{
    rota_process *process = shell_with(&piped, "exec wc -c");
    rota_stream *in = rota_process_stdin(process);
    rota_task before;
    rota_task begun;
    char expected[32];

    (void)arg;
    assert_int_equal(rota_process_send_signal(process, SIGSTOP), 0);
    say(in, "abc");
    begun = start(write_much, in); /* a part of it has gone when it waits */
    pass_turns(2);
    before = start(fill, in); /* behind it, nothing */
    pass_turns(2);
    assert_int_equal(rota_task_cancel(before), 1);
    assert_int_equal(rota_await(before), -ECANCELED);
    assert_int_equal(rota_task_cancel(begun), 1);
    assert_int_equal(rota_await(begun), -ECANCELED);
    assert_int_equal(rota_process_send_signal(process, SIGCONT), 0);
    rota_close(in);
    snprintf(expected, sizeof expected, "%d\n", 3 + BIG);
    expect_line(rota_process_stdout(process), expected);
    assert_int_equal(last_of(process), 0);
    return 0;
}

static void a_cancelled_write_has_taken_all_or_nothing(void)
{
    run(cancel_writes);
}

static intptr_t write_to_the_closed(void *arg)
{
    rota_process *process =
        shell_with(&piped, "exec <&-; echo closed; " FOR_EVER);
    rota_stream *in = rota_process_stdin(process);

    (void)arg;
    expect_line(rota_process_stdout(process), "closed\n");
    assert_int_equal(rota_write(in, "hello", 5), -EPIPE);
    assert_false(rota_process_returncode(process, NULL));
    rota_process_free(process);
    return 0;
}

static void a_write_to_a_closed_stdin_is_an_error_and_no_signal(void)
{
    run(write_to_the_closed);
}

static intptr_t hear_no_more(void *arg)
{
    rota_process *process = shell_with(&piped_out, "exec yes");

    (void)arg;
    expect_line(rota_process_stdout(process), "y\n");
    rota_close(rota_process_stdout(process));
    assert_int_equal(last_of(process), -SIGPIPE);
    return 0;
}

static void a_child_that_nobody_hears_ends_by_sigpipe(void)
{
    run(hear_no_more);
}

static intptr_t read_for_ever(void *stream)
{
    char buf[16];

    return rota_read(stream, buf, sizeof buf);
}

static intptr_t free_under_readers(void *arg)
{
    rota_process *process = shell_with(&piped, FOR_EVER);
    rota_task reader = start(read_for_ever, rota_process_stdout(process));
    rota_task writer = start(write_much, rota_process_stdin(process));

    (void)arg;
    pass_turns(3);
    rota_process_free(process);
    assert_int_equal(rota_await(reader), -ROTA_ECLOSING);
    (void)!rota_await(writer);
    return 0;
}

static void freeing_wakes_who_reads_and_writes(void)
{
    run(free_under_readers);
    run_shuffled(free_under_readers);
}

HARNESS_MAIN(TEST(a_child_hears_and_answers),
             TEST(stderr_is_read_apart_or_with_stdout),
             TEST(megabytes_go_through_unchanged),
             TEST(a_program_that_answers_at_the_end_answers),
             TEST(the_output_of_one_is_the_input_of_another),
             TEST(what_was_said_is_there_after_the_end),
             TEST(the_limit_is_that_of_the_streams),
             TEST(a_write_to_one_that_never_reads_waits),
             TEST(a_cancelled_write_has_taken_all_or_nothing),
             TEST(a_write_to_a_closed_stdin_is_an_error_and_no_signal),
             TEST(a_child_that_nobody_hears_ends_by_sigpipe),
             TEST(freeing_wakes_who_reads_and_writes))
