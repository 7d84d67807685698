/* SPDX-License-Identifier: MIT */
/*
 * Scopes that a function left open: debug mode stops
 *
 * The functions that leave one are not inlined: a scope of a function that
 * has not returned is open by right.
 */
#include "scenario.h"

#include <stdlib.h>

#define NOT_INLINED __attribute__((noinline))

/* Where the two scopes are begun that the tests leave open. */
#define TIMEOUT_LINE 28
#define GROUP_LINE 37
#define TIMEOUT_AT __FILE__ ":" ROTA__LINE(TIMEOUT_LINE)
#define GROUP_AT __FILE__ ":" ROTA__LINE(GROUP_LINE)
#define LEFT_TIMEOUT "returned with a timeout still open, begun at " TIMEOUT_AT
#define LEFT_GROUP "returned with a task group still open, begun at " GROUP_AT

static NOT_INLINED intptr_t leave_a_timeout(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    _Static_assert(__LINE__ + 1 == TIMEOUT_LINE, "the messages name it");
    return rota_timeout_begin(&timeout, 50);
}

static NOT_INLINED intptr_t leave_a_group(void *arg)
{
    rota_task_group group;

    (void)arg;
    _Static_assert(__LINE__ + 1 == GROUP_LINE, "the messages name it");
    return rota_task_group_begin(&group);
}

/* AddressSanitizer may put what a function declares elsewhere. */
static bool frames_are_on_the_stack(void)
{
    volatile char here = 0;
    const volatile char *frame = __builtin_frame_address(0);

    return &here > frame - 4096 && &here < frame + 4096;
}

static void run(rota_task_function *function, void *arg)
{
    if (!frames_are_on_the_stack())
        harness_skip("the scopes are not on the stack");
    assert_int_equal(run_in_debug_mode(function, arg), 0);
}

/* --- At the next wait --------------------------------------------------- */

static intptr_t sleep_after_a_timeout(void *arg)
{
    assert_int_equal(leave_a_timeout(arg), 0);
    return rota_sleep(1);
}

static void a_timeout_left_open_stops_at_the_next_wait(void)
{
    run(sleep_after_a_timeout, NULL);
}

static intptr_t yield_after_one_was_left(void *arg)
{
    assert_int_equal(leave_a_timeout(arg), 0);
    return rota_sleep(0);
}

static void letting_the_others_run_is_such_a_wait(void)
{
    run(yield_after_one_was_left, NULL);
}

static intptr_t sleep_after_a_group(void *arg)
{
    assert_int_equal(leave_a_group(arg), 0);
    return rota_sleep(1);
}

static void a_group_left_open_stops_at_the_next_wait(void)
{
    run(sleep_after_a_group, NULL);
}

static intptr_t await_after_a_timeout(void *arg)
{
    rota_task task = start(return_arg, arg);

    assert_int_equal(leave_a_timeout(arg), 0);
    return rota_await(task);
}

static void awaiting_a_task_is_such_a_wait(void)
{
    run(await_after_a_timeout, NULL);
}

static intptr_t end_a_group_after_a_timeout(void *arg)
{
    rota_task_group group;

    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(leave_a_timeout(arg), 0);
    assert_int_equal(rota_task_group_create_task(&group, return_arg, arg, NULL),
                     0);
    return rota_task_group_end(&group, 0);
}

static void the_end_of_an_outer_scope_names_the_inner_one(void)
{
    run(end_a_group_after_a_timeout, NULL);
}

/* --- Deeper and higher -------------------------------------------------- */

/* Frames that lie where the scope was, and have been written. */
static NOT_INLINED intptr_t sleep_deep_down(int depth)
{
    volatile char frame[100];
    intptr_t n;

    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)depth;
    n = depth > 0 ? sleep_deep_down(depth - 1) : rota_sleep(1);
    return n + frame[0] - depth;
}

static intptr_t sleep_deeper(void *arg)
{
    assert_int_equal(leave_a_timeout(arg), 0);
    return sleep_deep_down(5);
}

static void a_wait_in_a_deeper_call_finds_it_as_well(void)
{
    run(sleep_deeper, NULL);
}

static NOT_INLINED intptr_t leave_a_group_deep_down(int depth)
{
    volatile char frame[100];
    intptr_t n;

    frame[0] = (char)depth;
    n = depth > 0 ? leave_a_group_deep_down(depth - 1) : leave_a_group(NULL);
    return n + frame[0] - depth;
}

static intptr_t sleep_higher_up(void *arg)
{
    (void)arg;
    assert_int_equal(leave_a_group_deep_down(5), 0);
    return rota_sleep(1);
}

static void a_wait_after_several_returns_finds_it_as_well(void)
{
    run(sleep_higher_up, NULL);
}

static rota_timeout elsewhere;

static intptr_t leave_below_one_elsewhere(void *arg)
{
    assert_int_equal(leave_a_timeout(arg), 0);
    assert_int_equal(rota_timeout_begin(&elsewhere, 50), 0);
    return rota_sleep(1);
}

static void a_scope_elsewhere_does_not_hide_it(void)
{
    run(leave_below_one_elsewhere, NULL);
}

/* --- Later -------------------------------------------------------------- */

static intptr_t begin_again(void *arg)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(leave_a_timeout(arg), 0);
    return 0;
}

static void beginning_again_in_the_same_place_stops(void)
{
    run(begin_again, NULL);
}

static intptr_t begin_in_another_place(void *arg)
{
    rota_task_group group;

    assert_int_equal(leave_a_timeout(arg), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    return rota_task_group_end(&group, 0);
}

static void beginning_in_another_place_stops_as_well(void)
{
    run(begin_in_another_place, NULL);
}

static intptr_t return_without_a_wait(void *arg)
{
    assert_int_equal(rota_task_set_name(rota_current_task(), "hasty"), 0);
    return leave_a_group(arg);
}

static void the_end_of_the_task_is_the_latest(void)
{
    run(return_without_a_wait, NULL);
}

static intptr_t return_from_the_task(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    assert_int_equal(rota_timeout_begin(&timeout, 50), 0);
    return rota_sleep(1);
}

static void a_scope_of_the_tasks_own_function_stops_at_its_end(void)
{
    run(return_from_the_task, NULL);
}

static NOT_INLINED intptr_t leave_one_in_a_block_that_ends_itself(void)
{
    ROTA_TASK_GROUP(group);
    rota_timeout inner;

    return rota_timeout_begin(&inner, 5);
}

static intptr_t leave_an_inner_one(void *arg)
{
    (void)arg;
    return leave_one_in_a_block_that_ends_itself();
}

static void a_macros_block_that_ends_around_it_stops(void)
{
    run(leave_an_inner_one, NULL);
}

/* --- No false alarm ----------------------------------------------------- */

static intptr_t wait_in_each_way(int depth)
{
    rota_task task = start(return_arg, NULL);
    rota_future future;
    intptr_t n = sleep_deep_down(depth);

    rota_future_init(&future, rota_get_running_loop());
    assert_int_equal(rota_future_set_result(&future, 0), 0);
    if (n == 0)
        n = rota_await_future(&future, NULL);
    rota_future_fini(&future);
    if (n == 0)
        n = rota_wait_for(task, 5);
    return n;
}

static intptr_t wait_in_nested_scopes(void *arg)
{
    rota_timeout outer, inner;
    rota_task_group group;
    intptr_t n;

    assert_int_equal(rota_timeout_begin(&outer, 50), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_create_task(&group, return_arg, arg, NULL),
                     0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_timeout_begin(&inner, 50), 0);
        n = rota_timeout_end(&inner, wait_in_each_way(3 * i));
        assert_int_equal(n, 0);
    }
    n = rota_task_group_end(&group, wait_in_each_way(2));
    return rota_timeout_end(&outer, n);
}

static void scopes_of_functions_that_go_on_are_left_alone(void)
{
    run(wait_in_nested_scopes, NULL);
}

static NOT_INLINED void begin_for_the_caller(rota_timeout *timeout)
{
    volatile char frame[300];

    frame[0] = 0;
    assert_int_equal(rota_timeout_begin(timeout, 50 + frame[0]), 0);
}

static NOT_INLINED intptr_t end_for_the_caller(rota_timeout *timeout)
{
    return rota_timeout_end(timeout, rota_sleep(1));
}

static intptr_t let_others_begin_and_end(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    begin_for_the_caller(&timeout);
    assert_int_equal(sleep_deep_down(4), 0);
    return end_for_the_caller(&timeout);
}

static void a_function_may_begin_a_scope_of_its_caller(void)
{
    run(let_others_begin_and_end, NULL);
}

static intptr_t scope_elsewhere(void *timeout)
{
    begin_for_the_caller(timeout);
    assert_int_equal(sleep_deep_down(4), 0);
    return end_for_the_caller(timeout);
}

static intptr_t scope_in_a_list(void *arg)
{
    rota_timeout *timeout = malloc(sizeof *timeout);
    intptr_t n;

    (void)arg;
    assert_non_null(timeout);
    n = scope_elsewhere(timeout);
    free(timeout);
    return n;
}

static void scopes_in_static_memory_or_on_the_heap_may_cross_functions(void)
{
    run(scope_elsewhere, &elsewhere);
    run(scope_in_a_list, NULL);
}

/* Its scope stands on another task's stack, whose functions come and go. */
static intptr_t lend_a_place(void *arg)
{
    rota_timeout timeout;
    rota_task task = start(scope_elsewhere, &timeout);

    (void)arg;
    assert_int_equal(sleep_deep_down(2), 0);
    return rota_await(task);
}

static void a_scope_on_another_tasks_stack_is_left_alone(void)
{
    run(lend_a_place, NULL);
}

static intptr_t little_stack(void *arg)
{
    return wait_in_nested_scopes(arg);
}

static intptr_t run_on_a_small_stack(void *arg)
{
    const rota_task_options options = {.stack_size = 1};
    rota_task task;

    assert_int_equal(rota_create_task_with(&task, &options, little_stack, arg),
                     0);
    return rota_await(task);
}

static void a_small_stack_suffices(void)
{
    run(run_on_a_small_stack, NULL);
}

HARNESS_MAIN(
    TEST_EXPECT_SIGNAL(a_timeout_left_open_stops_at_the_next_wait, SIGABRT,
                       "a function " LEFT_TIMEOUT "; end it, or declare it"),
    TEST_EXPECT_SIGNAL(letting_the_others_run_is_such_a_wait, SIGABRT,
                       LEFT_TIMEOUT),
    TEST_EXPECT_SIGNAL(a_group_left_open_stops_at_the_next_wait, SIGABRT,
                       "a function " LEFT_GROUP "; end it, or declare it"),
    TEST_EXPECT_SIGNAL(awaiting_a_task_is_such_a_wait, SIGABRT, LEFT_TIMEOUT),
    TEST_EXPECT_SIGNAL(the_end_of_an_outer_scope_names_the_inner_one, SIGABRT,
                       "rota_task_group_end: the timeout of " TIMEOUT_AT),
    TEST_EXPECT_SIGNAL(a_wait_in_a_deeper_call_finds_it_as_well, SIGABRT,
                       LEFT_TIMEOUT),
    TEST_EXPECT_SIGNAL(a_wait_after_several_returns_finds_it_as_well, SIGABRT,
                       LEFT_GROUP),
    TEST_EXPECT_SIGNAL(a_scope_elsewhere_does_not_hide_it, SIGABRT,
                       LEFT_TIMEOUT),
    TEST_EXPECT_SIGNAL(beginning_again_in_the_same_place_stops, SIGABRT,
                       "a function " LEFT_TIMEOUT),
    TEST_EXPECT_SIGNAL(beginning_in_another_place_stops_as_well, SIGABRT,
                       "a function " LEFT_TIMEOUT),
    TEST_EXPECT_SIGNAL(the_end_of_the_task_is_the_latest, SIGABRT,
                       "task hasty " LEFT_GROUP),
    TEST_EXPECT_SIGNAL(a_scope_of_the_tasks_own_function_stops_at_its_end,
                       SIGABRT, "returned with a timeout still open"),
    TEST_EXPECT_SIGNAL(a_macros_block_that_ends_around_it_stops, SIGABRT,
                       "the end of a block: the timeout of "),
    TEST(scopes_of_functions_that_go_on_are_left_alone),
    TEST(a_function_may_begin_a_scope_of_its_caller),
    TEST(scopes_in_static_memory_or_on_the_heap_may_cross_functions),
    TEST(a_scope_on_another_tasks_stack_is_left_alone),
    TEST(a_small_stack_suffices))
