/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for an fd: cancelled ones, numbers that another fd has by
 * now, and errors
 */
#include "waiting.h"

#define CLOSED_FD 900 /* a number that no fd has */

/* --- Cancelling --------------------------------------------------------- */

static intptr_t cancel_a_wait(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("r:ECANCELED");
    task = start_waiting(&waiting);
    bare_say(fds[1], "x");
    assert_int_equal(rota_await(task), 0);
    assert_noted("r");
    close_pair(fds);
    return 0;
}

static void a_cancelled_wait_leaves_nothing_behind(void)
{
    run(cancel_a_wait);
}

static intptr_t take_the_place(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    assert_int_equal(rota_task_cancel(task), 1);
    bare_say(fds[1], "x");
    assert_int_equal(rota_wait_readable(fds[0]), 0); /* at once */
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("r:ECANCELED");
    close_pair(fds);
    return 0;
}

static void who_cancels_a_waiter_may_take_its_place_at_once(void)
{
    run(take_the_place);
}

static void cancel(void *task)
{
    assert_int_equal(rota_task_cancel(*(rota_task *)task), 1);
}

/* Before it has run, in the turn in which its fd has become ready. */
static intptr_t cancel_when_woken(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    bare_say(fds[1], "x");
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, cancel, &task), 0);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_noted("r:ECANCELED");
    assert_int_equal(rota_wait_readable(fds[0]), 0);
    assert_string_equal(bare_hear(fds[0]), "x");
    close_pair(fds);
    return 0;
}

static void a_cancel_after_the_wake_up_loses_no_bytes(void)
{
    run(cancel_when_woken);
}

/* The reader is woken and has not run when the writer goes. */
static intptr_t cancel_beside_a_woken_one(void *arg)
{
    struct waiting reader = {.word = "r"};
    struct waiting writer = {.word = "w", .writing = true};
    rota_task tasks[2];
    int fds[2];

    (void)arg;
    open_pair(fds);
    fill_up(fds[0]);
    reader.fd = writer.fd = fds[0];
    tasks[0] = start_waiting(&reader);
    tasks[1] = start_waiting(&writer);
    bare_say(fds[1], "x");
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, cancel, &tasks[1]), 0);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), -ECANCELED);
    assert_true(strcmp(scenario_line, "r w:ECANCELED") == 0 ||
                strcmp(scenario_line, "w:ECANCELED r") == 0);
    scenario_line[0] = '\0';
    assert_int_equal(rota_wait_readable(fds[0]), 0);
    close_pair(fds);
    return 0;
}

static void one_that_is_cancelled_leaves_the_other_direction_alone(void)
{
    run(cancel_beside_a_woken_one);
}

static intptr_t wait_often(void *arg)
{
    struct waiting waiting = {.word = "r"};
    long before;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    before = harness_live_blocks();
    for (int i = 0; i < 20; i++) {
        rota_task task = start_waiting(&waiting);

        if (i % 2)
            bare_say(fds[1], "x");
        else
            assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), i % 2 ? 0 : -ECANCELED);
        read_all(fds[0]);
        scenario_line[0] = '\0';
    }
    assert_true(harness_live_blocks() <= before);
    close_pair(fds);
    return 0;
}

static void waits_that_are_over_keep_no_memory(void)
{
    run(wait_often);
}

static intptr_t time_out(void *arg)
{
    rota_timeout limit;
    int fds[2];

    (void)arg;
    open_pair(fds);
    assert_int_equal(rota_timeout_begin(&limit, 5), 0);
    assert_int_equal(rota_timeout_end(&limit, rota_wait_readable(fds[0])),
                     -ETIMEDOUT);
    close_pair(fds);
    return 0;
}

static void a_timeout_ends_a_wait(void)
{
    scenario(time_out);
}

/* --- Numbers that are used again ---------------------------------------- */

/* Puts another socket under the number of fds[0]. */
static void replace(int fds[2])
{
    int fresh[2];

    close_pair(fds);
    open_pair(fresh);
    if (fresh[0] != fds[0]) {
        assert_int_equal(dup2(fresh[0], fds[0]), fds[0]);
        close(fresh[0]);
    }
    fds[1] = fresh[1];
}

static intptr_t reuse_numbers(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    for (int i = 0; i < 10; i++) {
        task = start_waiting(&waiting);
        if (i % 3 == 1) {
            assert_int_equal(rota_task_cancel(task), 1);
            assert_int_equal(rota_await(task), -ECANCELED);
            assert_noted("r:ECANCELED");
        } else {
            bare_say(fds[1], "x");
            assert_int_equal(rota_await(task), 0);
            assert_noted("r");
        }
        if (i % 2)
            replace(fds);
        else
            read_all(fds[0]);
    }
    close_pair(fds);
    return 0;
}

static void a_number_that_another_fd_has_by_now_is_waited_for(void)
{
    run(reuse_numbers);
}

static intptr_t keep_the_old_file(void *arg)
{
    struct waiting waiting = {.word = "r"};
    rota_task task;
    int old[2];
    int fds[2];

    (void)arg;
    open_pair(fds);
    waiting.fd = fds[0];
    task = start_waiting(&waiting);
    bare_say(fds[1], "x");
    assert_int_equal(rota_await(task), 0);
    old[0] = dup(fds[0]); /* keeps the system's registration */
    old[1] = dup(fds[1]);
    replace(fds);
    task = start_waiting(&waiting);
    bare_say(old[1], "y");
    pass_turns(3);
    assert_noted("r");
    bare_say(fds[1], "z");
    assert_int_equal(rota_await(task), 0);
    assert_noted("r");
    assert_string_equal(bare_hear(fds[0]), "z");
    close_pair(old);
    close_pair(fds);
    return 0;
}

static void the_old_file_of_a_number_does_not_wake_who_waits_for_the_new(void)
{
    run(keep_the_old_file);
}

static intptr_t open_a_stream_there(void *arg)
{
    rota_stream *stream;
    char byte;
    int fds[2];

    (void)arg;
    open_pair(fds);
    for (int i = 0; i < 2; i++) {
        bare_say(fds[1], "x");
        assert_int_equal(rota_wait_readable(fds[0]), 0);
        if (i == 1)
            replace(fds);
        else
            read_all(fds[0]);
        assert_int_equal(rota_open_fd(&stream, fds[0]), 0);
        assert_int_equal(rota_wait_readable(fds[0]), -EEXIST);
        assert_int_equal(rota_wait_writable(fds[0]), -EEXIST);
        bare_say(fds[1], "y");
        assert_int_equal(rota_read(stream, &byte, 1), 1);
        rota_stream_free(stream);
        close(fds[1]);
        open_pair(fds);
    }
    close_pair(fds);
    return 0;
}

static void a_stream_may_follow_a_wait_and_then_has_the_fd_alone(void)
{
    run(open_a_stream_there);
}

/* --- Errors ------------------------------------------------------------- */

static intptr_t wait_for_the_impossible(void *arg)
{
    char path[] = "/tmp/rota-test-XXXXXX";
    int file = mkstemp(path);

    (void)arg;
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(rota_wait_readable(-1), -EBADF);
    assert_int_equal(rota_wait_writable(CLOSED_FD), -EBADF);
    assert_int_equal(rota_wait_readable(file), -EPERM);
    assert_int_equal(rota_wait_writable(file), -EPERM);
    close(file);
    assert_int_equal(rota_wait_readable(file), -EBADF);
    return 0;
}

static void what_cannot_be_waited_for_is_refused(void)
{
    run(wait_for_the_impossible);
}

static intptr_t wait_for_a_closed_one(void *arg)
{
    int fds[2];

    (void)arg;
    open_pair(fds);
    bare_say(fds[1], "x");
    assert_int_equal(rota_wait_readable(fds[0]), 0);
    close_pair(fds);
    assert_int_equal(rota_wait_readable(fds[0]), -EBADF);
    assert_int_equal(rota_wait_writable(fds[0]), -EBADF);
    return 0;
}

static void an_fd_that_was_closed_since_the_last_wait_is_refused(void)
{
    run(wait_for_a_closed_one);
}

static void only_a_task_can_wait(void)
{
    assert_int_equal(rota_wait_readable(0), -ROTA_ENOTASK);
    assert_int_equal(rota_wait_writable(0), -ROTA_ENOTASK);
}

static intptr_t wait_without_memory(void *arg)
{
    int refused = 0;
    int fds[2];

    (void)arg;
    open_pair(fds);
    bare_say(fds[1], "x");
    for (int err = -ENOMEM; err < 0; refused++) {
        harness_fail_allocation(1 + refused);
        err = rota_wait_readable(fds[0]);
        harness_fail_allocation(-1);
        assert_true(err == 0 || err == -ENOMEM);
    }
    assert_true(refused > 1);
    close_pair(fds);
    return 0;
}

static void without_memory_a_wait_is_refused_and_the_next_succeeds(void)
{
    run(wait_without_memory);
}

static void a_loop_that_closes_forgets_who_waits(void)
{
    struct waiting waits[] = {
        {.word = "r"}, {.word = "w", .writing = true}, {.word = "alone"}};
    rota_loop *loop;
    rota_task task;
    int fds[2];

    open_pair(fds);
    fill_up(fds[0]);
    waits[0].fd = waits[1].fd = fds[0];
    waits[2].fd = dup(fds[0]);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_loop_create_task(loop, &task, wait_once, &waits[i]), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
    assert_noted("");
    bare_say(fds[1], "x");
    close(waits[2].fd);
    close_pair(fds);
}

HARNESS_MAIN(TEST(a_cancelled_wait_leaves_nothing_behind),
             TEST(who_cancels_a_waiter_may_take_its_place_at_once),
             TEST(a_cancel_after_the_wake_up_loses_no_bytes),
             TEST(one_that_is_cancelled_leaves_the_other_direction_alone),
             TEST(waits_that_are_over_keep_no_memory),
             TEST(a_timeout_ends_a_wait),
             TEST(a_number_that_another_fd_has_by_now_is_waited_for),
             TEST(the_old_file_of_a_number_does_not_wake_who_waits_for_the_new),
             TEST(a_stream_may_follow_a_wait_and_then_has_the_fd_alone),
             TEST(what_cannot_be_waited_for_is_refused),
             TEST(an_fd_that_was_closed_since_the_last_wait_is_refused),
             TEST(only_a_task_can_wait),
             TEST(without_memory_a_wait_is_refused_and_the_next_succeeds),
             TEST(a_loop_that_closes_forgets_who_waits))
