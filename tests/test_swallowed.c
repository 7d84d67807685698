/* SPDX-License-Identifier: MIT */
/*
 * Cancellations that get lost: debug mode tells of them
 *
 * asyncio's is an exception, which is hard to drop. Here it is a result like
 * others, and a task that goes on as if nothing had happened is most likely
 * one that did not look.
 */
#define _GNU_SOURCE
#include "scenario.h"

#include <unistd.h>

static const char *printed(intptr_t (*run)(rota_task_function *, void *),
                           rota_task_function *function, intptr_t result)
{
    static char text[4096];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t size;

    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    assert_int_equal(run(function, NULL), result);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static void expect_silence(rota_task_function *function, intptr_t result)
{
    assert_string_equal(printed(run_in_debug_mode, function, result), "");
}

static rota_task_function *deaf;

#define MADE_AT_LINE 50
#define MADE_AT __FILE__ ":" ROTA__LINE(MADE_AT_LINE)

static intptr_t cancel_the_deaf(void *arg)
{
    rota_task task;

    _Static_assert(__LINE__ + 1 == MADE_AT_LINE, "the report names it");
    assert_int_equal(rota_create_task(&task, deaf, arg), 0);
    assert_int_equal(rota_task_set_name(task, "deaf"), 0);
    assert_int_equal(rota_sleep(1), 0);
    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static const char *told_when_cancelled(rota_task_function *function,
                                       intptr_t result)
{
    deaf = function;
    return printed(run_in_debug_mode, cancel_the_deaf, result);
}

/* --- Reported ----------------------------------------------------------- */

static intptr_t ignore_the_sleep(void *arg)
{
    (void)arg;
    return rota_sleep(90) < 0 ? 42 : 1;
}

static void a_task_that_swallows_its_cancel_is_named_with_its_place(void)
{
    assert_string_equal(told_when_cancelled(ignore_the_sleep, 42),
                        "rota: task deaf (made at " MADE_AT
                        ") was cancelled and returned 42; "
                        "return -ECANCELED, or take the request back with "
                        "rota_task_uncancel()\n");
}

static intptr_t swallow_and_go_on(void *arg)
{
    (void)arg;
    assert_int_equal(rota_sleep(90), -ECANCELED);
    assert_int_equal(rota_sleep(5), 0);
    return 0;
}

static void one_that_goes_on_for_long_is_reported_too(void)
{
    assert_non_null(
        strstr(told_when_cancelled(swallow_and_go_on, 0), "and returned 0"));
}

static intptr_t swallow_in_a_timeout(void *arg)
{
    rota_timeout limit;
    intptr_t n;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&limit, 50), 0);
    n = rota_timeout_end(&limit, rota_sleep(90));
    return n == -ECANCELED ? 0 : n;
}

static void a_timeout_that_has_not_expired_excuses_nobody(void)
{
    assert_non_null(
        strstr(told_when_cancelled(swallow_in_a_timeout, 0), "and returned 0"));
}

/* --- Not reported ------------------------------------------------------- */

static intptr_t take_it_back(void *arg)
{
    (void)arg;
    assert_int_equal(rota_sleep(90), -ECANCELED);
    assert_int_equal(rota_task_uncancel(rota_current_task()), 0);
    return 42;
}

static void one_that_takes_the_request_back_is_not_reported(void)
{
    assert_string_equal(told_when_cancelled(take_it_back, 42), "");
}

static intptr_t return_another_error(void *arg)
{
    (void)arg;
    return rota_sleep(90) < 0 ? -EIO : 1;
}

static void one_that_returns_an_error_is_not_reported(void)
{
    assert_string_equal(told_when_cancelled(return_another_error, -EIO), "");
    assert_string_equal(told_when_cancelled(sleep_for_ever, -ECANCELED), "");
}

static intptr_t cancel_oneself(void *arg)
{
    (void)arg;
    assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    return 42;
}

static void a_cancel_that_no_wait_could_tell_is_not_reported(void)
{
    expect_silence(cancel_oneself, 42);
}

static intptr_t outlive_a_timeout(void *arg)
{
    rota_timeout limit;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&limit, 1), 0);
    assert_int_equal(rota_timeout_end(&limit, rota_sleep(90)), -ETIMEDOUT);
    return 42;
}

static void a_timeouts_cancel_is_its_own(void)
{
    expect_silence(outlive_a_timeout, 42);
}

static intptr_t outlive_a_group(void *arg)
{
    rota_task_group group;

    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, fail_with_eio, arg, NULL), 0);
    assert_int_equal(rota_task_group_end(&group, rota_sleep(90)), -EIO);
    return 42;
}

static void a_groups_cancel_is_its_own(void)
{
    expect_silence(outlive_a_group, 42);
}

static intptr_t be_done_first(void *arg)
{
    rota_task task = start(return_arg, (void *)42);

    (void)arg;
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 0);
    return rota_await(task);
}

static void a_cancel_that_came_too_late_is_not_reported(void)
{
    expect_silence(be_done_first, 42);
}

static intptr_t cancel_before_it_begins(void *arg)
{
    rota_task task = start(ignore_the_sleep, arg);

    assert_int_equal(rota_task_cancel(task), 1);
    return rota_await(task);
}

static void a_task_that_never_began_is_not_reported(void)
{
    expect_silence(cancel_before_it_begins, -ECANCELED);
}

static intptr_t await_one_that_swallows(void *arg)
{
    rota_task child = start(ignore_the_sleep, arg);

    return rota_await(child);
}

static intptr_t cancel_the_parent(void *arg)
{
    rota_task parent = start(await_one_that_swallows, arg);

    pass_turns(3);
    assert_int_equal(rota_task_cancel(parent), 1);
    return rota_await(parent);
}

static int count_of(const char *text, const char *word)
{
    int count = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        count++;
    return count;
}

static void who_awaits_one_that_swallows_is_not_reported_itself(void)
{
    assert_int_equal(count_of(printed(run_in_debug_mode, cancel_the_parent, 42),
                              "was cancelled and returned"),
                     1);
}

static void without_debug_mode_nothing_is_said(void)
{
    deaf = ignore_the_sleep;
    assert_string_equal(printed(run_virtually, cancel_the_deaf, 42), "");
}

HARNESS_MAIN(TEST(a_task_that_swallows_its_cancel_is_named_with_its_place),
             TEST(one_that_goes_on_for_long_is_reported_too),
             TEST(a_timeout_that_has_not_expired_excuses_nobody),
             TEST(one_that_takes_the_request_back_is_not_reported),
             TEST(one_that_returns_an_error_is_not_reported),
             TEST(a_cancel_that_no_wait_could_tell_is_not_reported),
             TEST(a_timeouts_cancel_is_its_own),
             TEST(a_groups_cancel_is_its_own),
             TEST(a_cancel_that_came_too_late_is_not_reported),
             TEST(a_task_that_never_began_is_not_reported),
             TEST(who_awaits_one_that_swallows_is_not_reported_itself),
             TEST(without_debug_mode_nothing_is_said))
