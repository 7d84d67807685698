/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses: conversations that do not come to their end
 */
#define _GNU_SOURCE
#include "children.h"

/* --- Not to the end ------------------------------------------------------- */

static intptr_t run_out_of_time(void *arg)
{
    const rota_communicate_options short_ = {.timeout = 0.05};
    rota_process *process =
        shell_with(&piped_out, "trap '' TERM; echo here; exec sleep 3600");
    rota_process_output output;
    int returncode;

    (void)arg;
    expect_line(rota_process_stdout(process), "here\n");
    assert_int_equal(rota_process_terminate(process), 0); /* is ignored */
    communicate(process, &short_, &output, -ETIMEDOUT);
    assert_true(rota_process_returncode(process, &returncode));
    assert_int_equal(returncode, -SIGKILL);
    expect_said(&output, "", NULL, 0);
    assert_int_equal(rota_task_cancelling(rota_current_task()), 0);
    rota_process_free(process);
    return 0;
}

static void after_the_timeout_the_child_is_killed_and_reaped(void)
{
    run(run_out_of_time);
}

static intptr_t have_time(void *arg)
{
    const rota_communicate_options long_ = {.timeout = 3600};
    const rota_communicate_options endless = {.timeout = INFINITY};
    rota_process *process = shell_with(&piped_out, "echo quick");
    rota_process_output output;

    (void)arg;
    communicate(process, &long_, &output, 0);
    expect_said(&output, "quick\n", NULL, 0);
    communicate(process, &endless, &output, 0);
    expect_said(&output, "", NULL, 0);
    rota_process_free(process);
    return 0;
}

static void a_timeout_that_does_not_come_changes_nothing(void)
{
    run(have_time);
}

static double real_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Beside a timer that is far off, after the child has spoken for a while. */
static intptr_t wait_in_virtual_time(void *arg)
{
    rota_process *process =
        shell_with(&piped_out, "for i in 1 2 3 4 5; do echo $i; sleep 0.02; "
                               "done; " FOR_EVER);
    rota_timeout far_off, near;
    char text[10];
    double began;
    int err;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&far_off, 3600), 0);
    assert_int_equal(
        rota_read_exactly(rota_process_stdout(process), text, sizeof text),
        sizeof text);
    began = real_time();
    assert_int_equal(rota_timeout_begin(&near, 0.05), 0);
    err = rota_process_wait(process, NULL);
    assert_int_equal(rota_timeout_end(&near, err), -ETIMEDOUT);
    assert_true(real_time() - began >= 0.049);
    assert_int_equal(rota_timeout_end(&far_off, 0), 0);
    rota_process_free(process);
    return 0;
}

static void a_timeout_beside_a_child_takes_its_time_in_virtual_time_too(void)
{
    const rota_loop_options options = {.virtual_clock = true};

    assert_int_equal(rota_run_with(&options, wait_in_virtual_time, NULL), 0);
}

static intptr_t hear_too_much(void *arg)
{
    const rota_communicate_options options = {.limit = 1001};
    rota_process *process = shell_with(&all_piped, "exec yes");
    rota_process_output output;
    int returncode;

    (void)arg;
    communicate(process, &options, &output, -ROTA_ELIMIT);
    assert_int_equal(output.out_size, 1001);
    assert_memory_equal(output.out, "y\ny\ny\n", 6);
    assert_string_equal(output.err, "");
    rota_process_output_fini(&output);
    assert_true(rota_process_returncode(process, &returncode));
    assert_true(returncode < 0);
    rota_process_free(process);
    process = shell_with(&all_piped, "exec head -c 1001 /dev/zero");
    communicate(process, &options, &output, 0);
    assert_int_equal(output.out_size, 1001);
    rota_process_output_fini(&output);
    rota_process_free(process);
    return 0;
}

static void beyond_the_limit_the_child_is_killed_and_not_before(void)
{
    run(hear_too_much);
}

static intptr_t cancel_a_call(void *arg)
{
    struct call call = {.options = input("hello\n")};
    rota_task task;

    (void)arg;
    call.process = shell_with(&piped, FOR_EVER);
    task = start(make_call, &call);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_non_null(call.output.out);
    rota_process_output_fini(&call.output);
    /* It goes on, and can be talked to again. */
    assert_int_equal(rota_process_terminate(call.process), 0);
    call.options = (rota_communicate_options){0};
    assert_int_equal(make_call(&call), 0);
    assert_int_equal(call.output.returncode, -SIGTERM);
    rota_process_output_fini(&call.output);
    rota_process_free(call.process);
    return 0;
}

static void a_cancelled_call_leaves_the_child_alive(void)
{
    run(cancel_a_call);
    run_shuffled(cancel_a_call);
}

static intptr_t free_under_a_call(void *arg)
{
    char *data = make_pattern(BIG);
    struct call call = {.options = {.input = data, .input_size = BIG}};
    rota_task task;

    (void)arg;
    call.process = shell_with(&all_piped, FOR_EVER);
    task = start(make_call, &call);
    pass_turns(2);
    rota_process_free(call.process);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    assert_string_equal(call.output.out, "");
    rota_process_output_fini(&call.output);
    free(data);
    return 0;
}

static void a_process_may_be_freed_under_a_call(void)
{
    run(free_under_a_call);
    run_shuffled(free_under_a_call);
}

/* With input left, and by another task; nothing runs in between. */
static void free_after(void (*end_stdin)(rota_stream *stream))
{
    char *data = make_pattern(BIG);
    struct call call = {.options = {.input = data, .input_size = BIG}};
    rota_task task;

    call.process = shell_with(&all_piped, FOR_EVER);
    task = start(make_call, &call);
    pass_turns(2);
    end_stdin(rota_process_stdin(call.process));
    rota_process_free(call.process);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    assert_string_equal(call.output.out, "");
    assert_string_equal(call.output.err, "");
    rota_process_output_fini(&call.output);
    free(data);
}

static intptr_t abort_and_free(void *arg)
{
    (void)arg;
    free_after(rota_abort);
    return 0;
}

static intptr_t close_and_free(void *arg)
{
    (void)arg;
    free_after(rota_close);
    return 0;
}

static void a_process_may_be_freed_under_a_call_whose_stdin_was_aborted(void)
{
    run(abort_and_free);
    run_shuffled(abort_and_free);
}

static void a_process_may_be_freed_under_a_call_whose_stdin_was_closed(void)
{
    run(close_and_free);
    run_shuffled(close_and_free);
}

/* The call goes on without it, to the child's end. */
static void end_stdin_under_a_call(void (*end_stdin)(rota_stream *stream))
{
    char *data = make_pattern(BIG);
    struct call call = {.options = {.input = data, .input_size = BIG}};
    rota_task task;

    call.process = shell_with(&all_piped, "echo here; " FOR_EVER);
    task = start(make_call, &call);
    pass_turns(2);
    end_stdin(rota_process_stdin(call.process));
    pass_turns(2);
    assert_false(rota_task_done(task));
    assert_int_equal(rota_process_kill(call.process), 0);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(call.output.returncode, -SIGKILL);
    rota_process_output_fini(&call.output);
    rota_process_free(call.process);
    free(data);
}

static intptr_t end_stdin_and_go_on(void *arg)
{
    (void)arg;
    end_stdin_under_a_call(rota_abort);
    end_stdin_under_a_call(rota_close);
    return 0;
}

static void a_call_goes_on_when_another_task_ends_its_stdin(void)
{
    run(end_stdin_and_go_on);
    run_shuffled(end_stdin_and_go_on);
}

static struct call left;

static intptr_t leave_a_call(void *arg)
{
    (void)arg;
    left.process = shell_with(&all_piped, "echo here; " FOR_EVER);
    left.options.timeout = 3600;
    assert_int_equal(rota_detach(start(make_call, &left)), 0);
    pass_turns(5);
    rota_loop_stop(rota_get_running_loop());
    return rota_sleep(1000);
}

static void a_loop_may_close_under_a_call(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, leave_a_call, NULL),
                     -ROTA_ESTOPPED);
    rota_loop_free(loop);
    rota_process_free(left.process);
}

HARNESS_MAIN(TEST(after_the_timeout_the_child_is_killed_and_reaped),
             TEST(a_timeout_that_does_not_come_changes_nothing),
             TEST(a_timeout_beside_a_child_takes_its_time_in_virtual_time_too),
             TEST(beyond_the_limit_the_child_is_killed_and_not_before),
             TEST(a_cancelled_call_leaves_the_child_alive),
             TEST(a_process_may_be_freed_under_a_call),
             TEST(a_process_may_be_freed_under_a_call_whose_stdin_was_aborted),
             TEST(a_process_may_be_freed_under_a_call_whose_stdin_was_closed),
             TEST(a_call_goes_on_when_another_task_ends_its_stdin),
             TEST(a_loop_may_close_under_a_call))
