/* SPDX-License-Identifier: MIT */
/*
 * The memory of tasks: stacks of their own, many of them, and none left
 */
#include "scenario.h"

#include <stdlib.h>
#include <sys/resource.h>

enum { FRAME = 1024, DEPTH = 300, MANY = 10000 };

static void make(rota_task *task, const char *name, size_t stack_size,
                 rota_task_function *function, void *arg)
{
    const rota_task_options options = {.name = name, .stack_size = stack_size};

    assert_int_equal(rota_create_task_with(task, &options, function, arg), 0);
}

/* --- Stacks ------------------------------------------------------------- */

static __attribute__((noinline)) intptr_t dive(intptr_t depth)
{
    volatile char frame[FRAME];
    intptr_t sum;

    memset((char *)frame, 1, sizeof frame);
    if (depth == 0)
        return rota_sleep(0);
    sum = dive(depth - 1);
    return sum < 0 ? sum : sum + frame[depth % FRAME];
}

static intptr_t dive_to(void *depth)
{
    return dive((intptr_t)depth);
}

static intptr_t dive_on_a_big_stack(void *arg)
{
    rota_task task;

    (void)arg;
    make(&task, "deep", 1 << 20, dive_to, (void *)(intptr_t)DEPTH);
    return rota_await(task);
}

static void a_task_may_wait_deep_in_a_big_stack_of_its_own(void)
{
    assert_int_equal(rota_run(dive_on_a_big_stack, NULL), DEPTH);
}

static intptr_t dive_at_once(void *arg)
{
    return rota_await(start(dive_to, arg));
}

static void the_loop_decides_the_size_for_tasks_that_ask_for_none(void)
{
    const rota_loop_options options = {.stack_size = 1 << 20};

    assert_int_equal(
        rota_run_with(&options, dive_at_once, (void *)(intptr_t)DEPTH), DEPTH);
}

static intptr_t await_tiny(void *arg)
{
    rota_task task;

    (void)arg;
    make(&task, "tiny", 1, return_arg, (void *)11);
    return rota_await(task);
}

static void a_stack_that_is_too_small_is_made_big_enough(void)
{
    assert_int_equal(rota_run(await_tiny, NULL), 11);
}

static intptr_t mix_sizes(void *arg)
{
    rota_task tasks[30];

    (void)arg;
    for (int round = 0; round < 3; round++) {
        for (intptr_t i = 0; i < 30; i++)
            make(&tasks[i], NULL, (size_t)(i % 3) << 18, dive_to, (void *)i);
        for (intptr_t i = 0; i < 30; i++)
            assert_int_equal(rota_await(tasks[i]), i);
    }
    return 0;
}

static void tasks_with_stacks_of_several_sizes_live_together(void)
{
    scenario(mix_sizes);
}

static intptr_t overflow(void *arg)
{
    rota_task task;

    (void)arg;
    make(&task, "diver", 0, dive_to, (void *)INTPTR_MAX);
    return rota_await(task);
}

static void an_overflow_names_the_task_and_its_stack(void)
{
    (void)rota_run(overflow, NULL);
}

static intptr_t write_to_nowhere(void *arg)
{
    *(volatile char *)arg = 1;
    return 0;
}

static void another_bad_access_is_not_taken_for_an_overflow(void)
{
    (void)rota_run(write_to_nowhere, (void *)16);
}

/* --- Many --------------------------------------------------------------- */

static intptr_t sleep_and_return(void *arg)
{
    int err = rota_sleep((double)((intptr_t)arg % 7));

    return err < 0 ? err : (intptr_t)arg;
}

/* ThreadSanitizer knows at most 8,128 stacks. */
static int many(void)
{
    return harness_under(HARNESS_TSAN) ? MANY / 5 : MANY;
}

static intptr_t start_many(void *arg)
{
    rota_task *tasks = calloc(MANY, sizeof *tasks);

    (void)arg;
    assert_non_null(tasks);
    for (intptr_t i = 0; i < many(); i++)
        tasks[i] = start(sleep_and_return, (void *)i);
    assert_int_equal(rota_all_tasks(rota_get_running_loop(), NULL, 0),
                     many() + 1);
    pass_turns(1);
    for (intptr_t i = 0; i < many(); i++)
        assert_int_equal(rota_await(tasks[i]), i);
    free(tasks);
    return 0;
}

static void ten_thousand_tasks_sleep_at_once(void)
{
    scenario(start_many);
}

static intptr_t chain(void *depth)
{
    rota_task task;
    intptr_t result;

    if (depth == NULL)
        return 0;
    task = start(chain, (void *)((intptr_t)depth - 1));
    result = rota_await(task);
    return result < 0 ? result : result + 1;
}

static void a_thousand_tasks_await_each_other_in_a_chain(void)
{
    assert_int_equal(run_virtually(chain, (void *)1000), 1000);
}

/* --- None --------------------------------------------------------------- */

static intptr_t make_one(void *arg)
{
    rota_task task;
    int err = rota_create_task(&task, sleep_and_return, arg);

    return err < 0 ? err : rota_await(task);
}

static void each_allocation_for_a_task_may_fail(void)
{
    intptr_t result = -1;
    rota_loop *loop;

    for (long nth = 1; result < 0; nth++) {
        assert_in_range(nth, 1, 20);
        assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
        harness_fail_allocation(nth);
        result = rota_loop_run_until_complete(loop, make_one, NULL);
        harness_fail_allocation(-1);
        assert_true(result == 0 || result == -ENOMEM);
        assert_true(nth > 1 || result == -ENOMEM);
        assert_int_equal(rota_loop_run_until_complete(loop, make_one, NULL), 0);
        rota_loop_free(loop);
    }
}

static void each_allocation_of_a_run_may_fail(void)
{
    intptr_t result = -1;

    for (long nth = 1; result < 0; nth++) {
        assert_in_range(nth, 1, 30);
        harness_fail_allocation(nth);
        result = rota_run(make_one, NULL);
        harness_fail_allocation(-1);
        assert_true(result == 0 || result == -ENOMEM);
    }
}

static intptr_t fail_one_class(void *arg)
{
    const rota_task_options options = {.stack_size = 1 << 17};
    rota_task task;

    (void)arg;
    for (int nth = 1; nth <= 2; nth++) {
        harness_fail_allocation(nth);
        assert_int_equal(
            rota_create_task_with(&task, &options, return_arg, NULL), -ENOMEM);
    }
    harness_fail_allocation(-1);
    make(&task, NULL, 1 << 17, return_arg, NULL);
    return rota_await(task);
}

static void the_memory_for_another_stack_size_may_fail(void)
{
    scenario(fail_one_class);
}

static intptr_t fail_timers(void *arg)
{
    rota_timeout timeout;
    rota_task task;

    (void)arg;
    harness_fail_allocation(1);
    assert_int_equal(rota_sleep(1), -ENOMEM);
    harness_fail_allocation(1);
    assert_int_equal(rota_timeout_begin(&timeout, 1), -ENOMEM);
    task = start(return_arg, (void *)4);
    harness_fail_allocation(1);
    assert_int_equal(rota_wait_for(task, 1), -ENOMEM);
    harness_fail_allocation(-1);
    return rota_wait_for(task, 1) - 4;
}

static void a_timer_without_memory_is_an_error_and_nothing_is_lost(void)
{
    scenario(fail_timers);
}

static size_t address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    if (file == NULL || fscanf(file, "%lu", &pages) != 1)
        harness_skip("there is no /proc/self/statm");
    fclose(file);
    return pages * 4096;
}

static intptr_t exhaust(void *arg)
{
    struct rlimit limit;
    rota_task *tasks = calloc(MANY, sizeof *tasks);
    int count = 0;
    int err = 0;

    (void)arg;
    assert_non_null(tasks);
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = address_space() + (32 << 20);
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    while (err == 0 && count < MANY) {
        err = rota_create_task(&tasks[count], sleep_and_return, NULL);
        count += err == 0;
    }
    assert_int_equal(err, -ENOMEM);
    assert_in_range(count, 100, MANY - 1);
    for (int i = 0; i < count; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    assert_int_equal(rota_create_task(&tasks[0], sleep_and_return, NULL), 0);
    assert_int_equal(rota_await(tasks[0]), 0);
    free(tasks);
    return 0;
}

static void without_address_space_a_task_is_refused_and_the_rest_goes_on(void)
{
    scenario(exhaust);
}

enum { LONG_CHAIN = 5000 };

static rota_task links[LONG_CHAIN];

static intptr_t await_the_next(void *arg)
{
    size_t i = (size_t)arg;

    if (i + 1 == LONG_CHAIN)
        return rota_sleep(3600);
    return rota_await(links[i + 1]);
}

static intptr_t cancel_a_long_chain(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < LONG_CHAIN; i++)
        assert_int_equal(rota_create_task(&links[i], await_the_next, (void *)i),
                         0);
    assert_int_equal(rota_sleep(0), 0);
    assert_int_equal(rota_sleep(0), 0);
    assert_int_equal(rota_task_cancel(links[0]), 1);
    return rota_await(links[0]);
}

static void a_chain_of_awaits_is_cancelled_however_long(void)
{
    assert_int_equal(rota_run(cancel_a_long_chain, NULL), -ECANCELED);
}

static intptr_t await_other(void *arg)
{
    return rota_await(links[(size_t)arg]);
}

static intptr_t cancel_a_ring(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            rota_create_task(&links[i], await_other, (void *)(1 - i)), 0);
    assert_int_equal(rota_sleep(0), 0);
    assert_int_equal(rota_task_cancel(links[0]), 1);
    return 0;
}

/* They wait for ever: the loop that is destroyed with them says so. */
static void a_ring_of_awaits_can_be_asked_to_end(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, cancel_a_ring, NULL),
                     0);
    rota_loop_free(loop);
}

HARNESS_MAIN(
    TEST(a_chain_of_awaits_is_cancelled_however_long),
    TEST(a_ring_of_awaits_can_be_asked_to_end),
    TEST(a_task_may_wait_deep_in_a_big_stack_of_its_own),
    TEST(the_loop_decides_the_size_for_tasks_that_ask_for_none),
    TEST(a_stack_that_is_too_small_is_made_big_enough),
    TEST(tasks_with_stacks_of_several_sizes_live_together),
    TEST_EXPECT_SIGNAL(an_overflow_names_the_task_and_its_stack, SIGSEGV,
                       "rota: stack overflow in task diver (stack of "),
    TEST_WITH(another_bad_access_is_not_taken_for_an_overflow,
              .ends_by = SIGSEGV, .skip_under = HARNESS_ASAN | HARNESS_TSAN,
              .skip_reason = "the sanitizer answers it"),
    TEST_SKIP_UNDER(ten_thousand_tasks_sleep_at_once, HARNESS_TSAN,
                    "it follows 8,128 fibers at most"),
    TEST(a_thousand_tasks_await_each_other_in_a_chain),
    TEST(each_allocation_for_a_task_may_fail),
    TEST(each_allocation_of_a_run_may_fail),
    TEST(the_memory_for_another_stack_size_may_fail),
    TEST(a_timer_without_memory_is_an_error_and_nothing_is_lost),
    TEST_SKIP_UNDER(
        without_address_space_a_task_is_refused_and_the_rest_goes_on,
        HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND | HARNESS_QEMU,
        "the limit hits what runs below"))
