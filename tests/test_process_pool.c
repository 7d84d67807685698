/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes: calls, blocks, chunks, and how processes come and go
 */
#include "processes.h"

#include <fcntl.h>

/* --- Calls --------------------------------------------------------------- */

static void a_call_runs_in_another_process(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_not_equal(call(pool, who_am_i, NULL, 0), getpid());
    end_pool(pool);
}

static intptr_t square(void *arg)
{
    return (intptr_t)arg * (intptr_t)arg;
}

static void without_a_size_the_pointer_is_passed(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(call(pool, square, (void *)12, 0), 144);
    assert_int_equal(call(pool, square, (void *)-5, 0), 25);
    end_pool(pool);
}

static intptr_t fail_as_told(void *arg)
{
    return *(int *)arg;
}

static void an_error_of_the_function_is_the_callers(void)
{
    rota_executor *pool = new_workers(1);
    int error = -EXDEV;
    int value = -5000;

    assert_int_equal(call(pool, fail_as_told, &error, sizeof error), -EXDEV);
    assert_int_equal(call(pool, fail_as_told, &value, sizeof value), -5000);
    end_pool(pool);
}

struct sum {
    int numbers[4];
    int sum;
};

static intptr_t add_up(void *arg)
{
    struct sum *sum = arg;

    for (int i = 0; i < 4; i++)
        sum->sum += sum->numbers[i];
    return sum->sum;
}

static void a_block_is_copied_there_and_back(void)
{
    rota_executor *pool = new_workers(1);
    struct sum sum = {.numbers = {1, 2, 3, 4}};

    assert_int_equal(call(pool, add_up, &sum, sizeof sum), 10);
    assert_int_equal(sum.sum, 10);
    assert_int_equal(call(pool, add_up, &sum, sizeof sum), 20);
    assert_int_equal(sum.sum, 20);
    end_pool(pool);
}

static int global = 1;

static intptr_t add_to_global(void *arg)
{
    global += (int)(intptr_t)arg;
    return global;
}

static void other_memory_is_the_processs_own(void)
{
    rota_executor *pool = new_workers(1);

    global = 5; /* before the process is made */
    assert_int_equal(call(pool, add_to_global, (void *)10, 0), 15);
    assert_int_equal(global, 5);
    global = 100;
    assert_int_equal(call(pool, add_to_global, (void *)10, 0), 25);
    end_pool(pool);
}

/* --- Sizes --------------------------------------------------------------- */

struct measured {
    size_t size;
    unsigned char bytes[];
};

static intptr_t invert(void *arg)
{
    struct measured *block = arg;

    for (size_t i = 0; i < block->size; i++)
        block->bytes[i] = (unsigned char)~block->bytes[i];
    return 0;
}

static void invert_block(rota_executor *pool, size_t size)
{
    struct measured *block = malloc(size);

    block->size = size - sizeof *block;
    for (size_t i = 0; i < block->size; i++)
        block->bytes[i] = (unsigned char)(i * 7);
    assert_int_equal(call(pool, invert, block, size), 0);
    for (size_t i = 0; i < block->size; i++)
        if (block->bytes[i] != (unsigned char)~(i * 7))
            fail_msg("byte %zu of %zu", i, size);
    free(block);
}

static void blocks_of_all_sizes_are_copied(void)
{
    rota_executor *pool = new_workers(1);

    for (size_t size = sizeof(struct measured); size < 2000000;
         size = size * 3 / 2 + 1)
        invert_block(pool, size);
    invert_block(pool, ROTA_PROCESS_POOL_MAX_SIZE);
    end_pool(pool);
}

static void a_larger_block_is_refused(void)
{
    rota_executor *pool = new_workers(1);
    char *block = calloc(1, ROTA_PROCESS_POOL_MAX_SIZE + 1);
    rota_concurrent_future *future = NULL;

    assert_int_equal(rota_executor_submit(pool, &future, invert, block,
                                          ROTA_PROCESS_POOL_MAX_SIZE + 1),
                     -EMSGSIZE);
    assert_null(future);
    free(block);
    assert_int_equal(call(pool, square, (void *)3, 0), 9);
    end_pool(pool);
}

/* --- Tasks --------------------------------------------------------------- */

static void release_one(void *arg)
{
    (void)arg;
    see_held(1);
    let_go(1);
}

/* The loop turns while the call is held, or it would never be released. */
static intptr_t await_held(void *pool)
{
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, release_one, NULL), 0);
    return rota_run_in_executor(pool, held, (void *)7, 0);
}

static void a_task_awaits_a_call(void)
{
    rota_executor *pool = new_workers(1);

    put_up_board();
    assert_int_equal(rota_run(await_held, pool), 7);
    end_pool(pool);
}

static intptr_t call_the_default(void *pool)
{
    assert_int_equal(rota_set_default_executor(rota_get_running_loop(), pool),
                     0);
    return rota_run_in_executor(NULL, who_am_i, NULL, 0);
}

static void it_can_be_the_default_executor(void)
{
    rota_executor *pool = new_workers(1);

    assert_int_equal(rota_run(call_the_default, pool), process_of(pool));
    end_pool(pool);
}

static intptr_t double_item(void *item)
{
    int *number = item;

    *number *= 2;
    return *number == 2 * 77 ? -EDOM : *number;
}

static intptr_t map_numbers(void *pool)
{
    enum { COUNT = 500 };
    int numbers[COUNT];
    intptr_t results[COUNT];

    for (int i = 0; i < COUNT; i++)
        numbers[i] = i;
    assert_int_equal(rota_executor_map(pool, double_item, numbers, COUNT,
                                       sizeof numbers[0], 64, results),
                     -EDOM);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(numbers[i], 2 * i);
        assert_int_equal(results[i], i == 77 ? -EDOM : 2 * i);
    }
    return 0;
}

static void a_map_gives_whole_chunks(void)
{
    rota_executor *pool = new_workers(3);

    put_up_board();
    warm_up(pool, 3);
    assert_int_equal(rota_run(map_numbers, pool), 0);
    end_pool(pool);
}

static intptr_t map_pids(void *pool)
{
    intptr_t pids[12];

    assert_int_equal(rota_executor_map(pool, who_am_i, NULL, 12, 0, 4, pids),
                     0);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(pids[i], pids[i - i % 4]);
        assert_true(i < 4 || pids[i] != pids[i - 4]);
    }
    return 0;
}

static void a_chunk_is_one_call_to_a_process(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .max_tasks_per_child = 1,
    });

    assert_int_equal(rota_run(map_pids, pool), 0);
    end_pool(pool);
}

/* --- Processes ----------------------------------------------------------- */

static void a_process_is_kept_for_the_next_call(void)
{
    rota_executor *pool = new_workers(1);
    pid_t pid = process_of(pool);

    for (int i = 0; i < 20; i++)
        assert_int_equal(process_of(pool), pid);
    end_pool(pool);
}

static void a_process_is_replaced_after_so_many_calls(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .max_tasks_per_child = 3,
    });

    for (int round = 0; round < 4; round++) {
        pid_t pid = process_of(pool);

        assert_int_equal(process_of(pool), pid);
        assert_int_equal(process_of(pool), pid);
        assert_no_process(); /* it went with its last answer */
    }
    end_pool(pool);
}

static void several_processes_are_kept(void)
{
    rota_executor *pool = new_workers(2);

    put_up_board();
    warm_up(pool, 2);
    for (int i = 0; i < 20; i++) {
        pid_t pid = process_of(pool);

        assert_true(pid == board->pids[0] || pid == board->pids[1]);
    }
    end_pool(pool);
}

static void as_many_processes_work_at_once(void)
{
    rota_executor *pool = new_workers(4);
    rota_concurrent_future *futures[5];

    put_up_board();
    for (int i = 0; i < 5; i++)
        futures[i] = submit(pool, held, (void *)(intptr_t)i, 0);
    see_held(4); /* the fifth waits for one of these */
    assert_int_equal(sem_trywait(&board->come), -1);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            assert_int_not_equal(board->pids[i], board->pids[j]);
    let_go(5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(result_of(futures[i]), i);
    end_pool(pool);
}

static void a_thousand_calls_find_their_results(void)
{
    enum { COUNT = 1000 };
    rota_executor *pool = new_workers(4);
    rota_concurrent_future *futures[COUNT];

    for (int i = 0; i < COUNT; i++)
        futures[i] = submit(pool, square, (void *)(intptr_t)i, 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(result_of(futures[i]), i * i);
    end_pool(pool);
}

static int begin_with(void *arg)
{
    atomic_fetch_add(&board->count, 1);
    global = (int)(intptr_t)arg;
    return 0;
}

static void an_initializer_runs_once_in_each_process(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .max_tasks_per_child = 2,
        .initializer = begin_with,
        .initializer_arg = (void *)40,
    });

    put_up_board();
    assert_int_equal(call(pool, add_to_global, (void *)1, 0), 41);
    assert_int_equal(call(pool, add_to_global, (void *)1, 0), 42);
    assert_int_equal(board->count, 1);
    assert_int_equal(call(pool, add_to_global, (void *)1, 0), 41);
    assert_int_equal(board->count, 2);
    end_pool(pool);
}

static void the_size_is_the_processors(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    rota_executor *pool = new_processes(NULL);
    rota_concurrent_future *futures[64];
    int count = (int)processors;

    if (count > PLACES - 1)
        harness_skip("too many processors for the board");
    put_up_board();
    for (int i = 0; i <= count; i++)
        futures[i] = submit(pool, held, NULL, 0);
    see_held(1);
    let_go(count + 1);
    for (int i = 0; i <= count; i++)
        assert_int_equal(result_of(futures[i]), 0);
    end_pool(pool);
}

static void an_idle_process_ends_with_its_time(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .idle_timeout = 0.01,
    });
    pid_t pid = process_of(pool);

    while (kill(pid, 0) == 0) /* the test's limit is the limit */
        usleep(1000);
    assert_int_not_equal(process_of(pool), pid);
    end_pool(pool);
}

static void assert_refused(rota_process_pool_options options)
{
    rota_executor *pool = NULL;

    assert_int_equal(rota_process_pool_new(&pool, &options), -EINVAL);
    assert_null(pool);
}

static void options_without_sense_are_refused(void)
{
    assert_refused((rota_process_pool_options){.max_workers = -1});
    assert_refused((rota_process_pool_options){.max_queue = -1});
    assert_refused((rota_process_pool_options){.max_tasks_per_child = -1});
    assert_refused((rota_process_pool_options){.timeout = -1});
    assert_refused((rota_process_pool_options){.timeout = NAN});
    assert_refused((rota_process_pool_options){.idle_timeout = -0.5});
    assert_refused((rota_process_pool_options){.idle_timeout = NAN});
}

static void a_pool_that_nobody_used_has_no_process(void)
{
    end_pool(new_workers(4));
}

/* --- Queue, cancellation, end -------------------------------------------- */

static void a_bounded_queue_refuses_more(void)
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 1,
        .max_queue = 1,
    });
    rota_concurrent_future *first, *second, *third;

    put_up_board();
    first = submit(pool, held, (void *)1, 0);
    see_held(1);
    second = submit(pool, give_back, (void *)2, 0);
    assert_int_equal(rota_executor_submit(pool, &third, give_back, NULL, 0),
                     -ROTA_EFULL);
    let_go(1);
    assert_int_equal(result_of(first), 1);
    assert_int_equal(result_of(second), 2);
    end_pool(pool);
}

static intptr_t count_call(void *arg)
{
    atomic_fetch_add(&board->count, 1);
    return (intptr_t)arg;
}

static void a_call_that_has_not_begun_can_be_cancelled(void)
{
    rota_executor *pool = new_workers(1);
    rota_concurrent_future *first, *second;

    put_up_board();
    first = submit(pool, held, (void *)1, 0);
    see_held(1);
    second = submit(pool, count_call, NULL, 0);
    assert_false(rota_concurrent_future_cancel(first)); /* it has begun */
    assert_true(rota_concurrent_future_cancel(second));
    let_go(1);
    assert_int_equal(result_of(first), 1);
    assert_int_equal(result_of(second), -ECANCELED);
    assert_int_equal(call(pool, give_back, (void *)3, 0), 3);
    assert_int_equal(board->count, 0);
    end_pool(pool);
}

static void a_shutdown_lets_what_was_taken_end(void)
{
    rota_executor *pool = new_workers(1);
    rota_concurrent_future *first, *second, *third;

    put_up_board();
    first = submit(pool, held, (void *)1, 0);
    see_held(1);
    second = submit(pool, count_call, (void *)2, 0);
    assert_int_equal(rota_executor_shutdown(pool, false, false), 0);
    assert_int_equal(rota_executor_submit(pool, &third, give_back, NULL, 0),
                     -ROTA_ESHUTDOWN);
    let_go(1);
    assert_int_equal(rota_executor_shutdown(pool, true, false), 0);
    assert_no_process();
    assert_int_equal(result_of(first), 1);
    assert_int_equal(result_of(second), 2);
    assert_int_equal(board->count, 1);
    end_pool(pool);
}

static void an_end_waits_for_calls_that_need_new_processes(void)
{
    enum { COUNT = 10 };
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 2,
        .max_tasks_per_child = 1,
    });
    rota_concurrent_future *futures[COUNT];

    for (int i = 0; i < COUNT; i++)
        futures[i] = submit(pool, square, (void *)(intptr_t)i, 0);
    end_pool(pool);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(result_of(futures[i]), i * i);
}

static void a_shutdown_can_cancel_what_waits(void)
{
    rota_executor *pool = new_workers(1);
    rota_concurrent_future *first, *second;

    put_up_board();
    first = submit(pool, held, (void *)1, 0);
    see_held(1);
    second = submit(pool, count_call, (void *)2, 0);
    assert_int_equal(rota_executor_shutdown(pool, false, true), 0);
    assert_int_equal(result_of(second), -ECANCELED);
    let_go(1);
    assert_int_equal(result_of(first), 1);
    assert_int_equal(board->count, 0);
    end_pool(pool);
}

static void see_one_and_stop(void *loop)
{
    see_held(1);
    rota_loop_stop(loop);
}

static intptr_t await_held_until_stopped(void *pool)
{
    rota_loop *loop = rota_get_running_loop();

    assert_int_equal(rota_call_soon(loop, NULL, see_one_and_stop, loop), 0);
    return rota_run_in_executor(pool, held, NULL, 0);
}

static void a_loop_may_close_while_a_call_runs(void)
{
    rota_executor *pool = new_workers(1);
    rota_loop *loop;

    put_up_board();
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, await_held_until_stopped, pool),
        -ROTA_ESTOPPED);
    rota_loop_free(loop);
    let_go(1);
    end_pool(pool);
}

HARNESS_MAIN(TEST(a_call_runs_in_another_process),
             TEST(without_a_size_the_pointer_is_passed),
             TEST(an_error_of_the_function_is_the_callers),
             TEST(a_block_is_copied_there_and_back),
             TEST(other_memory_is_the_processs_own),
             TEST_TIMEOUT(blocks_of_all_sizes_are_copied, 60),
             TEST(a_larger_block_is_refused), TEST(a_task_awaits_a_call),
             TEST(it_can_be_the_default_executor),
             TEST(a_map_gives_whole_chunks),
             TEST(a_chunk_is_one_call_to_a_process),
             TEST(a_process_is_kept_for_the_next_call),
             TEST(a_process_is_replaced_after_so_many_calls),
             TEST(several_processes_are_kept),
             TEST(as_many_processes_work_at_once),
             TEST(a_thousand_calls_find_their_results),
             TEST(an_initializer_runs_once_in_each_process),
             TEST(the_size_is_the_processors),
             TEST(an_idle_process_ends_with_its_time),
             TEST(options_without_sense_are_refused),
             TEST(a_pool_that_nobody_used_has_no_process),
             TEST(a_bounded_queue_refuses_more),
             TEST(a_call_that_has_not_begun_can_be_cancelled),
             TEST(a_shutdown_lets_what_was_taken_end),
             TEST(an_end_waits_for_calls_that_need_new_processes),
             TEST(a_shutdown_can_cancel_what_waits),
             TEST(a_loop_may_close_while_a_call_runs))
