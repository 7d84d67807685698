/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses: a whole conversation in one call
 */
#define _GNU_SOURCE
#include "children.h"

/* --- To the end ----------------------------------------------------------- */

static intptr_t talk(void *arg)
{
    rota_communicate_options hello = input("hello");
    rota_process *process = shell_with(&all_piped, "cat; echo oh >&2; exit 9");
    rota_process_output output;

    (void)arg;
    communicate(process, &hello, &output, 0);
    assert_int_equal(output.out_size, 5);
    expect_said(&output, "hello", "oh\n", 9);
    communicate(process, NULL, &output, 0); /* nothing is left */
    expect_said(&output, "", "", 9);
    assert_int_equal(last_of(process), 9);
    return 0;
}

static void input_goes_in_and_both_outputs_come_out(void)
{
    run(talk);
    run_shuffled(talk);
}

static intptr_t talk_without_pipes(void *arg)
{
    rota_process_output output;
    rota_process *process = shell("exit 2");
    rota_communicate_options nothing = {.input = ""};

    (void)arg;
    communicate(process, NULL, &output, 0);
    expect_said(&output, NULL, NULL, 2);
    rota_process_free(process);
    process = shell_with(&piped_in, "exec cat"); /* its stdin is closed */
    communicate(process, NULL, &output, 0);
    expect_said(&output, NULL, NULL, 0);
    rota_process_free(process);
    process = shell_with(&piped, "exec wc -c");
    communicate(process, &nothing, &output, 0);
    assert_int_equal(atoi(output.out), 0);
    rota_process_output_fini(&output);
    rota_process_free(process);
    return 0;
}

static void what_is_no_pipe_gives_nothing_and_no_input_is_an_end(void)
{
    run(talk_without_pipes);
}

static intptr_t talk_long(void *arg)
{
    char *data = make_pattern(BIG);
    rota_communicate_options options = {.input = data, .input_size = BIG};
    rota_process *process = shell_with(&all_piped, "exec tee /dev/stderr");
    rota_process_output output;

    (void)arg;
    communicate(process, &options, &output, 0);
    assert_int_equal(output.out_size, BIG);
    assert_int_equal(output.err_size, BIG);
    assert_pattern(output.out, BIG);
    assert_pattern(output.err, BIG);
    rota_process_output_fini(&output);
    rota_process_free(process);
    free(data);
    return 0;
}

static void megabytes_go_all_ways_at_once(void)
{
    run(talk_long);
}

static intptr_t talk_to_one_that_does_not_listen(void *arg)
{
    char *data = make_pattern(BIG);
    rota_communicate_options options = {.input = data, .input_size = BIG};
    rota_process_output output;
    rota_process *process = shell_with(&piped, "echo bye; exit 0");

    (void)arg;
    communicate(process, &options, &output, 0);
    expect_said(&output, "bye\n", NULL, 0);
    rota_process_free(process);
    process = shell_with(&piped, "head -c 3; exec <&-; echo; echo more");
    communicate(process, &options, &output, 0);
    assert_int_equal(output.out_size, 3 + 6);
    rota_process_output_fini(&output);
    rota_process_free(process);
    free(data);
    return 0;
}

static void a_child_that_closes_its_stdin_early_is_no_error(void)
{
    run(talk_to_one_that_does_not_listen);
}

static intptr_t read_before(void *arg)
{
    rota_process *process = shell_with(&piped, "exec cat");
    rota_communicate_options rest = input("3\n");
    rota_process_output output;

    (void)arg;
    say(rota_process_stdin(process), "1\n2\n");
    expect_line(rota_process_stdout(process), "1\n");
    communicate(process, &rest, &output, 0);
    expect_said(&output, "2\n3\n", NULL, 0);
    rota_process_free(process);
    return 0;
}

static void what_was_said_and_read_before_is_not_lost(void)
{
    run(read_before);
}

static intptr_t talk_in_a_task(void *text)
{
    rota_communicate_options options = input(text);
    rota_process *process = shell_with(&piped, "exec cat");
    rota_process_output output;

    communicate(process, &options, &output, 0);
    expect_said(&output, text, NULL, 0);
    rota_process_free(process);
    return 0;
}

static intptr_t talk_with_ten(void *arg)
{
    static char texts[10][16];
    rota_task tasks[10];

    (void)arg;
    for (int i = 0; i < 10; i++) {
        snprintf(texts[i], sizeof texts[i], "foo%d", i);
        tasks[i] = start(talk_in_a_task, texts[i]);
    }
    return rota_gather(tasks, 10, NULL, false);
}

static void ten_talk_at_once(void)
{
    run(talk_with_ten);
}

/* --- Other ends than pipes ------------------------------------------------ */

static intptr_t talk_to_nothing(void *arg)
{
    const rota_subprocess_options no_in = {.in = ROTA_DEVNULL,
                                           .out = ROTA_PIPE};
    const rota_subprocess_options no_out = {
        .in = ROTA_PIPE, .out = ROTA_DEVNULL, .err = ROTA_PIPE};
    const rota_subprocess_options no_err = {
        .in = ROTA_PIPE, .out = ROTA_PIPE, .err = ROTA_DEVNULL};
    rota_communicate_options abc = input("abc");
    rota_process_output output;
    rota_process *process = shell_with(&no_in, "cat; echo end");

    (void)arg;
    communicate(process, NULL, &output, 0);
    expect_said(&output, "end\n", NULL, 0);
    rota_process_free(process);
    process = shell_with(&no_out, "cat; echo oh >&2");
    communicate(process, &abc, &output, 0);
    expect_said(&output, NULL, "oh\n", 0);
    rota_process_free(process);
    process = shell_with(&no_err, "cat; echo oh >&2");
    communicate(process, &abc, &output, 0);
    expect_said(&output, "abc", NULL, 0);
    rota_process_free(process);
    return 0;
}

static void devnull_is_empty_and_takes_all(void)
{
    run(talk_to_nothing);
}

static intptr_t read_dev_stdin(void *arg)
{
    rota_communicate_options abc = input("abc");
    rota_process *process = shell_with(&piped, "exec cat /dev/stdin");
    rota_process_output output;

    (void)arg;
    communicate(process, &abc, &output, 0);
    expect_said(&output, "abc", NULL, 0);
    rota_process_free(process);
    return 0;
}

static void dev_stdin_is_the_pipe(void)
{
    run(read_dev_stdin);
}

/* A second child that had our end of the first one's stdin would keep it
   open. */
static intptr_t inherit_all(void *arg)
{
    const rota_subprocess_options options = {
        .in = ROTA_PIPE, .out = ROTA_PIPE, .keep_fds = true};
    rota_communicate_options abc = input("abc");
    rota_process *first = shell_with(&options, "exec cat");
    rota_process *second = shell_with(&options, FOR_EVER);
    rota_process_output output;

    (void)arg;
    communicate(first, &abc, &output, 0);
    expect_said(&output, "abc", NULL, 0);
    rota_process_free(first);
    rota_process_free(second);
    return 0;
}

static void an_end_is_heard_also_where_all_fds_are_inherited(void)
{
    run(inherit_all);
}

/* --- Refused ---------------------------------------------------------------
 */

static intptr_t call_wrongly(void *arg)
{
    const rota_communicate_options no_input = {.input_size = 3};
    const rota_communicate_options negative = {.timeout = -1};
    const rota_communicate_options not_a_number = {.timeout = NAN};
    rota_communicate_options hello = input("hello");
    rota_process *process = shell_with(&piped_out, FOR_EVER);
    struct call call = {.process = process};
    rota_task task;
    rota_process_output output;

    (void)arg;
    communicate(process, &hello, &output, -EINVAL);
    communicate(process, &no_input, &output, -EINVAL);
    communicate(process, &negative, &output, -EINVAL);
    communicate(process, &not_a_number, &output, -EINVAL);
    task = start(make_call, &call);
    pass_turns(1);
    communicate(process, NULL, &output, -EBUSY);
    assert_int_equal(rota_process_kill(process), 0);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(call.output.returncode, -SIGKILL);
    rota_process_output_fini(&call.output);
    rota_process_free(process);
    process = shell_with(&piped, "exec cat");
    rota_close(rota_process_stdin(process));
    communicate(process, &hello, &output, -ROTA_ECLOSING);
    rota_process_free(process);
    return 0;
}

static void wrong_calls_are_refused(void)
{
    run(call_wrongly);
}

static intptr_t talk_without_memory(void *arg)
{
    int err = -ENOMEM;

    (void)arg;
    for (long nth = 1; err == -ENOMEM; nth++) {
        rota_process *process =
            shell_with(&piped_out, "exec head -c 100000 /dev/zero");
        rota_process_output output;

        harness_fail_allocation(nth);
        err = rota_process_communicate(process, NULL, &output);
        harness_fail_allocation(-1);
        assert_true(nth < 50);
        assert_true(err == -ENOMEM || output.out_size == 100000);
        rota_process_output_fini(&output);
        rota_process_free(process);
    }
    assert_int_equal(err, 0);
    return 0;
}

static void without_memory_nothing_is_left(void)
{
    run(talk_without_memory);
}

HARNESS_MAIN(TEST(input_goes_in_and_both_outputs_come_out),
             TEST(what_is_no_pipe_gives_nothing_and_no_input_is_an_end),
             TEST(megabytes_go_all_ways_at_once),
             TEST(a_child_that_closes_its_stdin_early_is_no_error),
             TEST(what_was_said_and_read_before_is_not_lost),
             TEST(ten_talk_at_once), TEST(devnull_is_empty_and_takes_all),
             TEST(dev_stdin_is_the_pipe),
             TEST(an_end_is_heard_also_where_all_fds_are_inherited),
             TEST(wrong_calls_are_refused),
             TEST(without_memory_nothing_is_left))
