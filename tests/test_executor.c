/* SPDX-License-Identifier: MIT */
/*
 * Executors: calls that block, from tasks
 */
#include "executors.h"

#include <sys/resource.h>

/* --- A call ------------------------------------------------------------- */

static intptr_t open_after_some_ticks(void *arg)
{
    (void)arg;
    see_waiting(1);
    ticker("t");
    open_gate();
    return 0;
}

static intptr_t block_beside_a_ticker(void *arg)
{
    rota_task other = start(open_after_some_ticks, NULL);

    (void)arg;
    note("%d", (int)rota_run_in_executor(NULL, held, (void *)42, 0));
    return rota_await(other);
}

static void the_loop_goes_on_while_a_call_blocks(void)
{
    scenario(block_beside_a_ticker);
    assert_noted("t0 t1 t2 t3 t4 t5 42");
}

static intptr_t ask_for_the_thread(void *pool)
{
    intptr_t there = rota_run_in_executor(pool, this_thread, NULL, 0);

    assert_true(there != 0 && there != this_thread(NULL));
    return 0;
}

static void a_call_is_made_on_another_thread(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(ask_for_the_thread, NULL), 0);
    assert_int_equal(run_virtually(ask_for_the_thread, pool), 0);
    rota_executor_free(pool);
}

static intptr_t ask_for_results(void *pool)
{
    const intptr_t values[] = {0,          1,          -1,
                               -EIO,       -4095,      -4096,
                               INTPTR_MAX, INTPTR_MIN, (intptr_t)&values};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_true(rota_run_in_executor(pool, return_arg, (void *)values[i],
                                         0) == values[i]);
    return 0;
}

static void the_result_is_what_the_function_returns(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(run_virtually(ask_for_results, NULL), 0);
    assert_int_equal(run_virtually(ask_for_results, pool), 0);
    rota_executor_free(pool);
}

static intptr_t make_many_calls(void *pool)
{
    struct call many[300];
    rota_task tasks[300];
    intptr_t results[300];

    for (intptr_t i = 0; i < 300; i++) {
        many[i] = (struct call){pool, return_arg, (void *)i, 0, NULL, 0};
        tasks[i] = start(run_call, &many[i]);
    }
    assert_int_equal(rota_gather(tasks, 300, results, true), 0);
    for (intptr_t i = 0; i < 300; i++)
        assert_int_equal(results[i], i);
    return 0;
}

static void each_of_many_calls_has_its_own_result(void)
{
    rota_executor *pool = new_pool(3);

    assert_int_equal(run_virtually(make_many_calls, NULL), 0);
    assert_int_equal(run_virtually(make_many_calls, pool), 0);
    rota_executor_free(pool);
}

static intptr_t call_deep_down(int depth)
{
    return depth > 0 ? call_deep_down(depth - 1) + 1
                     : rota_run_in_executor(NULL, return_arg, (void *)7, 0);
}

static intptr_t call_at_any_depth(void *arg)
{
    (void)arg;
    assert_int_equal(call_deep_down(5), 12);
    return 0;
}

static void any_function_of_a_task_may_call(void)
{
    scenario(call_at_any_depth);
}

/* --- Copies ------------------------------------------------------------- */

struct sum {
    const struct sum *caller; /* its own address */
    int a;
    int b;
    int sum;
};

static intptr_t add(void *arg)
{
    struct sum *sum = arg;

    if (sum == sum->caller)
        return -EFAULT;
    sum->sum = sum->a + sum->b;
    sum->a = sum->b = 0;
    wait_at_gate();
    return 5;
}

static intptr_t look_at_the_original(void *arg)
{
    const struct sum *sum = arg;

    see_waiting(1);
    pass_turns(3);
    assert_int_equal(sum->a, 2);
    assert_int_equal(sum->sum, 0);
    open_gate();
    return 0;
}

static intptr_t add_in_a_copy(void *arg)
{
    struct sum sum = {&sum, 2, 3, 0};
    rota_task other = start(look_at_the_original, &sum);

    (void)arg;
    assert_int_equal(rota_run_in_executor(NULL, add, &sum, sizeof sum), 5);
    assert_int_equal(sum.sum, 5);
    assert_int_equal(sum.a, 0);
    return rota_await(other);
}

static void with_a_size_the_function_has_a_copy_that_comes_back(void)
{
    scenario(add_in_a_copy);
}

static intptr_t fail_with_news(void *arg)
{
    strcpy(arg, "news");
    return -EIO;
}

static intptr_t fail_in_a_copy(void *arg)
{
    char text[8] = "old";

    (void)arg;
    assert_int_equal(
        rota_run_in_executor(NULL, fail_with_news, text, sizeof text), -EIO);
    assert_string_equal(text, "news");
    return 0;
}

static void a_copy_comes_back_beside_an_error_too(void)
{
    scenario(fail_in_a_copy);
}

static intptr_t is_the_same(void *arg)
{
    void **pointer = arg;

    return *pointer == arg;
}

static intptr_t pass_a_pointer(void *arg)
{
    void *pointer = &pointer;

    (void)arg;
    assert_int_equal(rota_run_in_executor(NULL, is_the_same, &pointer, 0), 1);
    return rota_run_in_executor(NULL, is_the_same, &pointer, sizeof pointer);
}

static void with_size_0_the_pointer_itself_is_passed(void)
{
    scenario(pass_a_pointer);
}

static unsigned char large[3000001];

struct block {
    size_t size;
    unsigned char seed;
};

static struct block block;

static intptr_t check_and_turn(void *arg)
{
    unsigned char *bytes = arg;

    if ((uintptr_t)bytes % _Alignof(max_align_t) != 0)
        return -EFAULT;
    for (size_t i = 0; i < block.size; i++) {
        if (bytes[i] != (unsigned char)(block.seed + i))
            return -EIO;
        bytes[i] ^= 0xFF;
    }
    return 0;
}

static intptr_t pass_blocks(void *arg)
{
    const size_t sizes[] = {1, 7, 8, 64, 100, 4095, 70000, sizeof large};

    (void)arg;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        block = (struct block){sizes[s], (unsigned char)(s * 11)};
        memset(large, 0xEE, sizeof large);
        for (size_t i = 0; i < block.size; i++)
            large[i] = (unsigned char)(block.seed + i);
        assert_int_equal(
            rota_run_in_executor(NULL, check_and_turn, large, block.size), 0);
        for (size_t i = 0; i < block.size; i++)
            assert_int_equal(large[i] ^ 0xFF, (unsigned char)(block.seed + i));
        if (block.size < sizeof large)
            assert_int_equal(large[block.size], 0xEE);
    }
    return 0;
}

static void blocks_of_any_size_are_copied_whole_and_aligned(void)
{
    scenario(pass_blocks);
}

/* --- What is refused ---------------------------------------------------- */

static intptr_t refuse(void *pool)
{
    int number = 1;

    assert_int_equal(rota_run_in_executor(pool, NULL, &number, 0), -EINVAL);
    assert_int_equal(rota_run_in_executor(pool, NULL, &number, sizeof number),
                     -EINVAL);
    assert_int_equal(rota_run_in_executor(pool, must_not_begin, NULL, 4),
                     -EINVAL);
    assert_int_equal(rota_to_thread(NULL, &number, 0), -EINVAL);
    assert_int_equal(rota_to_thread(must_not_begin, NULL, 4), -EINVAL);
    return 0;
}

static void a_call_of_nothing_is_refused(void)
{
    rota_executor *pool = new_pool(1);

    assert_int_equal(run_virtually(refuse, NULL), 0);
    assert_int_equal(run_virtually(refuse, pool), 0);
    rota_executor_free(pool);
}

static intptr_t refuse_a_giant(void *arg)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 100, SIZE_MAX / 2};
    char byte = 0;

    (void)arg;
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_run_in_executor(NULL, must_not_begin, &byte, sizes[i]),
            -ENOMEM);
    return 0;
}

static void a_copy_that_is_not_to_be_had_is_an_error(void)
{
    scenario(refuse_a_giant);
}

static void call_all_that_wait(void *pool)
{
    assert_int_equal(rota_run_in_executor(pool, must_not_begin, NULL, 0),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_to_thread(must_not_begin, NULL, 0), -ROTA_ENOTASK);
    assert_int_equal(rota_shutdown_default_executor(1), -ROTA_ENOTASK);
    note("refused");
}

static intptr_t call_back(void *pool)
{
    rota_loop *loop = rota_get_running_loop();

    assert_int_equal(rota_call_soon(loop, NULL, call_all_that_wait, pool), 0);
    return rota_sleep(1);
}

static intptr_t try_to_wait(void *pool)
{
    call_all_that_wait(pool);
    return 0;
}

static void only_a_task_can_wait_for_a_call(void)
{
    rota_executor *pool = new_pool(1);

    call_all_that_wait(pool);
    assert_int_equal(run_virtually(call_back, pool), 0);
    assert_int_equal(result_of(submit(pool, try_to_wait, pool)), 0);
    assert_noted("refused refused refused");
    rota_executor_free(pool);
}

static void debug_mode_stops_who_is_no_task(void)
{
    (void)run_in_debug_mode(call_back, NULL);
}

/* --- No work while it waits --------------------------------------------- */

static double cpu_seconds(void)
{
    struct rusage used;

    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Real time is the subject. */
static intptr_t take_a_while(void *arg)
{
    const struct timespec while_ = {0, 300 * 1000 * 1000};

    nanosleep(&while_, NULL);
    return (intptr_t)arg;
}

static intptr_t measure(void *pool)
{
    struct call calls_held[4];
    rota_task tasks[4];
    double before;

    assert_int_equal(rota_run_in_executor(pool, return_arg, NULL, 0), 0);
    before = cpu_seconds();
    for (int i = 0; i < 4; i++) {
        calls_held[i] = (struct call){pool, take_a_while, NULL, 0, NULL, 0};
        tasks[i] = start(run_call, &calls_held[i]);
    }
    assert_int_equal(rota_gather(tasks, 4, NULL, true), 0);
    assert_true(cpu_seconds() - before < 0.05 * harness_slowness());
    return 0;
}

static void nothing_is_busy_while_calls_block(void)
{
    rota_executor *pool = new_pool(2);

    assert_int_equal(rota_run(measure, NULL), 0);
    assert_int_equal(rota_run(measure, pool), 0);
    assert_int_equal(run_virtually(measure, pool), 0);
    rota_executor_free(pool);
}

HARNESS_MAIN(TEST(the_loop_goes_on_while_a_call_blocks),
             TEST(a_call_is_made_on_another_thread),
             TEST(the_result_is_what_the_function_returns),
             TEST(each_of_many_calls_has_its_own_result),
             TEST(any_function_of_a_task_may_call),
             TEST(with_a_size_the_function_has_a_copy_that_comes_back),
             TEST(a_copy_comes_back_beside_an_error_too),
             TEST(with_size_0_the_pointer_itself_is_passed),
             TEST(blocks_of_any_size_are_copied_whole_and_aligned),
             TEST(a_call_of_nothing_is_refused),
             TEST_SKIP_UNDER(a_copy_that_is_not_to_be_had_is_an_error,
                             HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND,
                             "such a size ends the program there"),
             TEST(only_a_task_can_wait_for_a_call),
             TEST_EXPECT_SIGNAL(debug_mode_stops_who_is_no_task, SIGABRT,
                                "rota_run_in_executor"),
             TEST(nothing_is_busy_while_calls_block))
