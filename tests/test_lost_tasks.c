/* SPDX-License-Identifier: MIT */
/*
 * Tasks that were lost: each report has the task's name, and in debug mode
 * the file and line that made it
 */
#include "scenario.h"

#include <stdlib.h>
#include <unistd.h>

static char told[8192]; /* on standard error */

/* Runs it on a loop of its own, and closes the loop; keeps what was told. */
static void listen_to(rota_task_function *function, bool debug)
{
    const rota_loop_options options = {.virtual_clock = true, .debug = debug};
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    rota_loop *loop;
    size_t size;

    assert_non_null(file);
    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    dup2(fileno(file), STDERR_FILENO);
    assert_int_equal(rota_loop_run_until_complete(loop, function, NULL), 0);
    rota_loop_free(loop);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    size = fread(told, 1, sizeof told - 1, file);
    told[size] = '\0';
    fclose(file);
}

static const char *made_at;

/* In one line, so that it is the line of both. */
#define MADE_HERE(call) (made_at = ROTA__HERE, (call))

static const rota_task_options named = {.name = "reader"};

/* First what and who, then where. */
static void expect_told(const char *what, const char *name)
{
    char line[200];

    snprintf(line, sizeof line, "rota: %s: %s", what, name);
    if (!strstr(told, line))
        fail_msg("no \"%s\" in\n%s", line, told);
    snprintf(line, sizeof line, "it was made at %s\n", made_at);
    if (!strstr(strstr(told, what), line))
        fail_msg("no \"%s\" in\n%s", line, told);
}

static void expect_told_without_a_place(const char *what, const char *name)
{
    char line[200];

    snprintf(line, sizeof line, "rota: %s: %s", what, name);
    assert_memory_equal(told, line, strlen(line));
    assert_null(strstr(told, "made at"));
}

#define PENDING "a task was destroyed but it is pending"
#define FORGOTTEN "a task was never awaited"
#define UNSEEN "the error of a task was never retrieved"

static intptr_t leave_pending(void *arg)
{
    rota_task task;
    int err =
        MADE_HERE(rota_create_task_with(&task, &named, sleep_for_ever, arg));

    assert_int_equal(err, 0);
    pass_turns(1);
    return 0;
}

static void one_destroyed_while_pending_is_told_with_name_and_place(void)
{
    listen_to(leave_pending, true);
    expect_told(PENDING, "reader\n");
    listen_to(leave_pending, false);
    expect_told_without_a_place(PENDING, "reader\n");
}

static intptr_t leave_it_just_made(void *arg)
{
    rota_task task;

    return MADE_HERE(rota_create_task_with(&task, &named, sleep_for_ever, arg));
}

static intptr_t leave_without_a_name(void *arg)
{
    rota_task task;

    return MADE_HERE(rota_create_task(&task, sleep_for_ever, arg));
}

static intptr_t leave_on_the_loop(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    rota_task task;

    return MADE_HERE(rota_loop_create_task(loop, &task, sleep_for_ever, arg));
}

static void so_is_one_just_made_and_one_without_a_name(void)
{
    listen_to(leave_it_just_made, true);
    expect_told(PENDING, "reader\n");
    listen_to(leave_without_a_name, true);
    expect_told(PENDING, "Task-2\n");
    listen_to(leave_on_the_loop, true);
    expect_told(PENDING, "Task-2\n");
}

static intptr_t be_a_parent(void *arg)
{
    rota_task_group group;
    int err = rota_task_group_begin(&group);

    if (err == 0)
        err = MADE_HERE(rota_task_group_create_task_with(
            &group, &named, sleep_for_ever, arg, NULL));
    return rota_task_group_end(&group, err);
}

static intptr_t leave_a_group(void *arg)
{
    int err = rota_detach(start(be_a_parent, arg));

    pass_turns(2);
    return err;
}

static void so_is_a_child_of_a_group(void)
{
    listen_to(leave_a_group, true);
    expect_told(PENDING, "reader\n");
}

/* The function behind the macro does not know who calls it. */
static intptr_t leave_by_a_pointer(void *arg)
{
    int (*create)(rota_task *, rota_task_function *, void *) = rota_create_task;
    rota_task task;

    made_at = "?";
    return create(&task, sleep_for_ever, arg);
}

static void of_one_made_through_a_pointer_no_place_is_known(void)
{
    listen_to(leave_by_a_pointer, true);
    expect_told(PENDING, "Task-2\n");
}

static intptr_t forget(void *arg)
{
    rota_task task;
    int err = MADE_HERE(rota_create_task_with(&task, &named, return_arg, arg));

    pass_turns(1);
    return err;
}

static void one_that_nobody_awaited_is_told_in_debug_mode(void)
{
    listen_to(forget, true);
    expect_told(FORGOTTEN, "reader\n");
    listen_to(forget, false);
    assert_string_equal(told, "");
}

static intptr_t forget_a_failure(void *arg)
{
    rota_task task;
    int err =
        MADE_HERE(rota_create_task_with(&task, &named, fail_with_eio, arg));

    pass_turns(1);
    return err;
}

static void an_error_that_nobody_saw_is_told_with_what_it_was(void)
{
    listen_to(forget_a_failure, true);
    expect_told(UNSEEN, "reader: Input/output error (EIO)\n");
    listen_to(forget_a_failure, false);
    expect_told_without_a_place(UNSEEN, "reader: Input/output error (EIO)\n");
}

static intptr_t forget_a_cancelled_one(void *arg)
{
    rota_task task;
    int err =
        MADE_HERE(rota_create_task_with(&task, &named, sleep_for_ever, arg));

    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    pass_turns(2);
    return err;
}

static void a_cancelled_one_that_nobody_awaited_is_told_in_debug_mode(void)
{
    listen_to(forget_a_cancelled_one, true);
    expect_told(FORGOTTEN, "reader: Operation canceled (ECANCELED)\n");
    listen_to(forget_a_cancelled_one, false);
    assert_string_equal(told, "");
}

HARNESS_MAIN(TEST(one_destroyed_while_pending_is_told_with_name_and_place),
             TEST(so_is_one_just_made_and_one_without_a_name),
             TEST(so_is_a_child_of_a_group),
             TEST(of_one_made_through_a_pointer_no_place_is_known),
             TEST(one_that_nobody_awaited_is_told_in_debug_mode),
             TEST(an_error_that_nobody_saw_is_told_with_what_it_was),
             TEST(a_cancelled_one_that_nobody_awaited_is_told_in_debug_mode))
