/* SPDX-License-Identifier: MIT */
/*
 * Subprocesses: waited for, freed, left
 */
#define _GNU_SOURCE
#include "children.h"

/* --- Waiting ------------------------------------------------------------- */

static intptr_t wait_for_it(void *process)
{
    int returncode = 12345;
    int err = rota_process_wait(process, &returncode);

    note("%d:%d", err, err == 0 ? returncode : 0);
    return err;
}

static intptr_t wait_with_many(void *arg)
{
    rota_process *process = shell_with(&piped_in, "read line; exit 3");
    rota_task tasks[4];
    int returncode = 12345;

    (void)arg;
    for (int i = 0; i < 4; i++)
        tasks[i] = start(wait_for_it, process);
    pass_turns(3);
    assert_false(rota_process_returncode(process, &returncode));
    assert_int_equal(returncode, 12345);
    rota_close(rota_process_stdin(process));
    assert_int_equal(rota_gather(tasks, 4, NULL, false), 0);
    assert_noted("0:3 0:3 0:3 0:3");
    assert_int_equal(rota_process_wait(process, NULL), 0);
    assert_true(rota_process_returncode(process, NULL));
    assert_int_equal(last_of(process), 3);
    return 0;
}

static void any_number_of_tasks_wait_for_one_end(void)
{
    run(wait_with_many);
}

static intptr_t cancel_a_wait(void *arg)
{
    rota_process *process = shell(FOR_EVER);
    rota_task task = start(wait_for_it, process);

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_false(rota_process_returncode(process, NULL));
    assert_int_equal(rota_process_kill(process), 0);
    assert_int_equal(last_of(process), -SIGKILL);
    return 0;
}

static void a_cancelled_wait_leaves_the_process_as_it_is(void)
{
    run(cancel_a_wait);
}

static void wait_in_a_callback(void *process)
{
    assert_int_equal(rota_process_wait(process, NULL), -ROTA_ENOTASK);
}

static intptr_t start_in_a_callback(void *arg)
{
    rota_process *process = shell("exit 1");

    (void)arg;
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    wait_in_a_callback, process),
                     0);
    pass_turns(2);
    assert_int_equal(last_of(process), 1);
    return 0;
}

static void only_a_task_can_wait(void)
{
    run(start_in_a_callback);
}

static intptr_t wait_for_one_that_was_reaped(void *arg)
{
    rota_process *process = shell(FOR_EVER);
    pid_t pid = rota_process_pid(process);

    (void)arg;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(last_of(process), 255);
    return 0;
}

static void an_end_that_somebody_else_has_taken_is_255(void)
{
    run(wait_for_one_that_was_reaped);
}

/* What the handler of the loop is told of. */
static rota_process *stolen;

static void kill_and_free_it(rota_loop *loop,
                             const rota_exception_context *context, void *arg)
{
    int returncode = 12345;

    (void)loop;
    (void)arg;
    assert_int_equal(context->error, -ECHILD);
    assert_true(rota_process_returncode(stolen, &returncode));
    assert_int_equal(returncode, 255);
    assert_int_equal(rota_process_kill(stolen), -ESRCH);
    rota_process_free(stolen);
    stolen = NULL;
}

static void steal(void)
{
    pid_t pid = rota_process_pid(stolen);

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static intptr_t free_what_was_reaped(void *arg)
{
    struct call call = {0};
    rota_task tasks[2];

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), kill_and_free_it, NULL);
    stolen = call.process = shell(FOR_EVER);
    tasks[0] = start(wait_for_it, stolen);
    tasks[1] = start(make_call, &call);
    pass_turns(2);
    steal();
    assert_int_equal(rota_gather(tasks, 2, NULL, false), 0);
    assert_noted("0:255");
    assert_int_equal(call.output.returncode, 255);
    assert_null(stolen);
    rota_process_output_fini(&call.output);

    stolen = shell_with(&piped, FOR_EVER); /* for which nobody waits */
    steal();
    while (stolen)
        assert_int_equal(rota_sleep(0), 0);
    return 0;
}

static void who_hears_of_such_an_end_may_free_the_process(void)
{
    run(free_what_was_reaped);
    run_shuffled(free_what_was_reaped);
}

static intptr_t let_others_be(void *arg)
{
    pid_t other = fork();
    int status;

    (void)arg;
    if (other == 0)
        _exit(5);
    assert_int_equal(last_of(shell("exit 6")), 6);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(WEXITSTATUS(status), 5);
    return 0;
}

static void children_of_others_are_left_to_them(void)
{
    run(let_others_be);
}

/* --- Freeing ------------------------------------------------------------- */

static pid_t left;

static intptr_t free_one_that_runs(void *arg)
{
    rota_process *process = shell_with(&piped, FOR_EVER);

    (void)arg;
    left = rota_process_pid(process);
    rota_process_free(process);
    rota_process_free(NULL);
    return 0;
}

static void one_that_is_freed_while_it_runs_is_killed_and_reaped(void)
{
    run(free_one_that_runs);
    assert_true(is_gone(left));
}

static intptr_t free_and_go_on(void *arg)
{
    rota_process *process = shell_with(&piped_out, "trap '' TERM; " FOR_EVER);
    pid_t pid = rota_process_pid(process);

    (void)arg;
    rota_process_free(process);
    while (!is_gone(pid))
        assert_int_equal(rota_sleep(0), 0);
    return 0;
}

static void one_that_was_freed_is_reaped_while_the_loop_goes_on(void)
{
    run(free_and_go_on);
}

static intptr_t free_under_waiting_tasks(void *arg)
{
    rota_process *process = shell_with(&piped_out, FOR_EVER);
    rota_task tasks[2] = {start(wait_for_it, process),
                          start(wait_for_it, process)};
    intptr_t results[2];

    (void)arg;
    pass_turns(1);
    rota_process_free(process);
    assert_int_equal(rota_gather(tasks, 2, results, true), 0);
    assert_int_equal(results[0], -ROTA_ECLOSING);
    assert_int_equal(results[1], -ROTA_ECLOSING);
    return 0;
}

static void tasks_that_wait_for_one_that_is_freed_are_told(void)
{
    run(free_under_waiting_tasks);
}

static rota_process *kept[3];

static intptr_t leave_some(void *arg)
{
    (void)arg;
    kept[0] = shell_with(&piped, FOR_EVER);
    kept[1] = shell_with(&piped_out, "trap '' TERM; " FOR_EVER);
    kept[2] = shell("exit 3");
    assert_int_equal(end_of(kept[2]), 3);
    return 0;
}

static void a_loop_that_closes_kills_its_children(void)
{
    run(leave_some);
    for (int i = 0; i < 3; i++) {
        int returncode = 12345;

        assert_true(rota_process_returncode(kept[i], &returncode));
        assert_int_equal(returncode, i < 2 ? -SIGKILL : 3);
        assert_true(is_gone(rota_process_pid(kept[i])));
        assert_int_equal(rota_process_kill(kept[i]), -ESRCH);
        rota_process_free(kept[i]);
    }
}

static intptr_t destroy_waiting_tasks(void *arg)
{
    rota_loop *loop = rota_get_running_loop();

    (void)arg;
    kept[0] = shell_with(&piped, FOR_EVER);
    kept[1] = shell(FOR_EVER);
    assert_int_equal(rota_detach(start(wait_for_it, kept[0])), 0);
    assert_int_equal(rota_detach(start(wait_for_it, kept[1])), 0);
    pass_turns(2);
    rota_process_free(kept[1]);
    rota_loop_stop(loop);
    return rota_sleep(1000);
}

static void a_loop_may_close_under_tasks_that_wait(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, destroy_waiting_tasks, NULL),
        -ROTA_ESTOPPED);
    rota_loop_free(loop);
    rota_process_free(kept[0]);
}

/* --- Many ---------------------------------------------------------------- */

enum { MANY = 1000 };

static intptr_t run_many(void *arg)
{
    static rota_process *processes[MANY];
    struct rlimit limit;

    (void)arg;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < (rlim_t)MANY * 3)
        harness_skip("too few descriptors");
    for (int i = 0; i < MANY; i++)
        processes[i] = shell_with(&piped, "read line; exit $line");
    for (int i = 0; i < MANY; i++) {
        char line[16];

        snprintf(line, sizeof line, "%d\n", i % 256);
        say(rota_process_stdin(processes[i]), line);
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(last_of(processes[i]), i % 256);
    return 0;
}

static void a_thousand_children_run_at_once(void)
{
    run(run_many);
}

HARNESS_MAIN(TEST(any_number_of_tasks_wait_for_one_end),
             TEST(a_cancelled_wait_leaves_the_process_as_it_is),
             TEST(only_a_task_can_wait),
             TEST(an_end_that_somebody_else_has_taken_is_255),
             TEST(who_hears_of_such_an_end_may_free_the_process),
             TEST(children_of_others_are_left_to_them),
             TEST(one_that_is_freed_while_it_runs_is_killed_and_reaped),
             TEST(one_that_was_freed_is_reaped_while_the_loop_goes_on),
             TEST(tasks_that_wait_for_one_that_is_freed_are_told),
             TEST(a_loop_that_closes_kills_its_children),
             TEST(a_loop_may_close_under_tasks_that_wait),
             TEST_TIMEOUT(a_thousand_children_run_at_once, 60))
