/* SPDX-License-Identifier: MIT */
/*
 * Pools of threads: how many there are, and what each of them is
 */
#include "thread_pools.h"
#include "os/os.h"

/* --- How many ----------------------------------------------------------- */

static void hold_more_than(rota_executor *pool, int workers)
{
    enum { MOST = 100 };
    rota_concurrent_future *futures[MOST];

    for (intptr_t i = 0; i < MOST; i++)
        futures[i] = submit(pool, held, (void *)i);
    see_waiting(workers);
    open_gate();
    for (intptr_t i = 0; i < MOST; i++)
        assert_int_equal(result_of(futures[i]), i);
    assert_int_equal(gate.most_waiting, workers);
    rota_executor_free(pool);
}

static void as_many_threads_work_as_are_allowed_and_no_more(void)
{
    hold_more_than(new_pool(3), 3);
}

static void one_thread_makes_one_call_after_the_other(void)
{
    hold_more_than(new_pool(1), 1);
}

static int default_workers(void)
{
    int workers = rota__processors() + 4;

    return workers < 32 ? workers : 32;
}

static void without_options_the_processors_count(void)
{
    rota_executor *pool;

    assert_int_equal(rota_thread_pool_new(&pool, NULL), 0);
    hold_more_than(pool, default_workers());
}

static void options_of_zero_are_the_default(void)
{
    hold_more_than(new_pool(0), default_workers());
}

static void threads_begin_when_they_are_needed(void)
{
    rota_executor *pool = new_counted_pool(8, 0);
    rota_concurrent_future *futures[3];

    assert_int_equal(threads_begun(), 0);
    for (int i = 0; i < 3; i++) {
        futures[i] = submit(pool, held, NULL);
        see_waiting(i + 1);
        assert_int_equal(threads_begun(), i + 1);
    }
    open_gate();
    for (int i = 0; i < 3; i++)
        assert_int_equal(result_of(futures[i]), 0);
    rota_executor_free(pool);
    assert_int_equal(threads_begun(), 3);
    see_ended(3);
}

/* One may still be on its way back from a call that has ended. */
static void threads_are_used_again(void)
{
    rota_executor *pool = new_counted_pool(32, 0);

    for (intptr_t i = 0; i < 2000; i++)
        assert_int_equal(result_of(submit(pool, return_arg, (void *)i)), i);
    assert_in_range(threads_begun(), 1, 8);
    rota_executor_free(pool);
}

static void calls_begin_in_the_order_in_which_they_came(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *futures[50];

    futures[0] = submit(pool, held, NULL);
    for (intptr_t i = 1; i < 50; i++)
        futures[i] = submit(pool, count_calls, NULL);
    see_waiting(1);
    assert_int_equal(atomic_load(&calls), 0);
    open_gate();
    assert_int_equal(
        rota_concurrent_future_result(futures[25], (double)INFINITY), 0);
    for (int i = 0; i < 25; i++)
        assert_true(rota_concurrent_future_done(futures[i]));
    for (int i = 0; i < 50; i++)
        assert_int_equal(result_of(futures[i]), 0);
    rota_executor_free(pool);
}

/* --- Idle threads ------------------------------------------------------- */

static void idle_threads_end(void)
{
    rota_executor *pool = new_counted_pool(3, 0.01);
    rota_concurrent_future *futures[3];

    for (int i = 0; i < 3; i++)
        futures[i] = submit(pool, held, NULL);
    see_waiting(3);
    open_gate();
    for (int i = 0; i < 3; i++)
        assert_int_equal(result_of(futures[i]), 0);
    see_ended(3);
    assert_int_equal(result_of(submit(pool, return_arg, (void *)5)), 5);
    assert_int_equal(threads_begun(), 4);
    see_ended(4);
    rota_executor_free(pool);
}

/* Work meets threads that are about to end. */
static void no_call_is_lost_on_a_thread_that_ends(void)
{
    rota_executor *pool = new_counted_pool(2, 1e-9);

    for (intptr_t i = 0; i < 2000; i++)
        assert_int_equal(result_of(submit(pool, return_arg, (void *)i)), i);
    rota_executor_free(pool);
    assert_in_range(threads_begun(), 2, 2000);
    see_ended(threads_begun());
}

static void threads_may_stay_for_ever(void)
{
    rota_executor *pool = new_counted_pool(1, (double)INFINITY);

    for (intptr_t i = 0; i < 10; i++)
        assert_int_equal(result_of(submit(pool, return_arg, (void *)i)), i);
    assert_int_equal(threads_begun(), 1);
    rota_executor_free(pool);
    see_ended(1);
}

/* --- A bounded queue ---------------------------------------------------- */

static void a_full_queue_refuses_and_recovers(void)
{
    rota_executor *pool = new_pool_with((rota_thread_pool_options){
        .max_workers = 2,
        .max_queue = 3,
    });
    rota_concurrent_future *futures[5];
    rota_concurrent_future *one_more = NULL;

    for (int i = 0; i < 5; i++)
        futures[i] = submit(pool, held, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rota_executor_submit(pool, &one_more, must_not_begin, NULL, 0),
            -ROTA_EFULL);
    assert_null(one_more);
    see_waiting(2);
    assert_true(rota_concurrent_future_cancel(futures[4]));
    one_more = submit(pool, return_arg, (void *)6);
    open_gate();
    for (int i = 0; i < 5; i++)
        assert_int_equal(result_of(futures[i]), i < 4 ? 0 : -ECANCELED);
    assert_int_equal(result_of(one_more), 6);
    assert_int_equal(result_of(submit(pool, return_arg, (void *)7)), 7);
    rota_executor_free(pool);
}

static intptr_t fill_the_queue(void *pool)
{
    struct call first = {pool, held, NULL, 0, NULL, 0};
    struct call second = {pool, return_arg, NULL, 0, NULL, 0};
    rota_task tasks[2] = {start(run_call, &first), start(run_call, &second)};

    pass_turns(1);
    assert_int_equal(rota_run_in_executor(pool, must_not_begin, NULL, 0),
                     -ROTA_EFULL);
    open_gate();
    return rota_gather(tasks, 2, NULL, false);
}

static void a_full_queue_is_an_error_of_the_caller(void)
{
    rota_executor *pool = new_pool_with((rota_thread_pool_options){
        .max_workers = 1,
        .max_queue = 1,
    });

    assert_int_equal(run_virtually(fill_the_queue, pool), 0);
    rota_executor_free(pool);
}

static intptr_t map_through_a_narrow_pool(void *pool)
{
    char items[500] = "";

    assert_int_equal(
        rota_executor_map(pool, count_calls, items, 500, 1, 2, NULL), 0);
    assert_int_equal(atomic_load(&calls), 500);
    return 0;
}

static void a_map_goes_through_a_full_queue(void)
{
    rota_executor *pool = new_pool_with((rota_thread_pool_options){
        .max_workers = 2,
        .max_queue = 3,
    });

    assert_int_equal(run_virtually(map_through_a_narrow_pool, pool), 0);
    rota_executor_free(pool);
}

/* --- What a thread is --------------------------------------------------- */

static _Thread_local int initialized;

static void initialize(void *arg)
{
    initialized += *(int *)arg;
}

static intptr_t ask_if_initialized(void *arg)
{
    (void)arg;
    wait_at_gate();
    return initialized;
}

static void each_thread_is_initialized_once(void)
{
    int three = 3;
    rota_executor *pool = new_pool_with((rota_thread_pool_options){
        .max_workers = 4,
        .initializer = initialize,
        .initializer_arg = &three,
    });
    rota_concurrent_future *futures[20];

    for (int i = 0; i < 20; i++)
        futures[i] = submit(pool, ask_if_initialized, NULL);
    see_waiting(4);
    open_gate();
    for (int i = 0; i < 20; i++)
        assert_int_equal(result_of(futures[i]), 3);
    rota_executor_free(pool);
}

static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
           number == SIGILL || number == SIGTRAP || number == SIGSYS;
}

static intptr_t count_open_signals(void *arg)
{
    sigset_t mask;
    int count = 0;

    (void)arg;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP && !is_fault(number))
            count += !sigismember(&mask, number);
    return sigismember(&mask, SIGSEGV) ? -1 : count;
}

static intptr_t ask_the_default_for_signals(void *arg)
{
    return rota_run_in_executor(NULL, count_open_signals, arg, 0);
}

static void all_signals_but_faults_are_blocked_in_threads(void)
{
    rota_executor *pool = new_pool(1);

    assert_true(count_open_signals(NULL) > 10);
    assert_int_equal(result_of(submit(pool, count_open_signals, NULL)), 0);
    assert_int_equal(run_virtually(ask_the_default_for_signals, NULL), 0);
    rota_executor_free(pool);
}

/* Uses so much of the stack. */
static intptr_t use_stack(void *arg)
{
    volatile char block[10000];

    block[0] = 1;
    block[sizeof block - 1] = 2;
    if ((intptr_t)arg > 0)
        return use_stack((void *)((intptr_t)arg - 10000)) + block[0];
    return block[sizeof block - 1];
}

static void threads_may_have_stacks_of_a_size(void)
{
    rota_executor *large = new_pool_with((rota_thread_pool_options){
        .max_workers = 1,
        .stack_size = 64 << 20,
    });
    rota_executor *small = new_pool_with((rota_thread_pool_options){
        .max_workers = 1,
        .stack_size = 1,
    });

    assert_int_equal(
        result_of(submit(large, use_stack, (void *)(30000 * 1000))), 3002);
    assert_int_equal(result_of(submit(small, return_arg, (void *)5)), 5);
    rota_executor_free(large);
    rota_executor_free(small);
}

static void options_that_mean_nothing_are_refused(void)
{
    const rota_thread_pool_options wrong[] = {
        {.max_workers = -1},
        {.max_queue = -1},
        {.idle_timeout = -1},
        {.idle_timeout = (double)NAN},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        rota_executor *pool = NULL;

        assert_int_equal(rota_thread_pool_new(&pool, &wrong[i]), -EINVAL);
        assert_null(pool);
    }
}

HARNESS_MAIN(TEST(as_many_threads_work_as_are_allowed_and_no_more),
             TEST(one_thread_makes_one_call_after_the_other),
             TEST(without_options_the_processors_count),
             TEST(options_of_zero_are_the_default),
             TEST(threads_begin_when_they_are_needed),
             TEST(threads_are_used_again),
             TEST(calls_begin_in_the_order_in_which_they_came),
             TEST(idle_threads_end),
             TEST(no_call_is_lost_on_a_thread_that_ends),
             TEST(threads_may_stay_for_ever),
             TEST(a_full_queue_refuses_and_recovers),
             TEST(a_full_queue_is_an_error_of_the_caller),
             TEST(a_map_goes_through_a_full_queue),
             TEST(each_thread_is_initialized_once),
             TEST(all_signals_but_faults_are_blocked_in_threads),
             TEST(threads_may_have_stacks_of_a_size),
             TEST(options_that_mean_nothing_are_refused))
