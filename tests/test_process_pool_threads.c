/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes: used by several threads, forked among busy ones
 */
#include "processes.h"

/* --- Callers ------------------------------------------------------------- */

static intptr_t add_one(void *arg)
{
    return (intptr_t)arg + 1;
}

enum { CALLS = 100 };

static intptr_t call_many_times(void *pool)
{
    for (intptr_t i = 0; i < CALLS; i++)
        if (rota_run_in_executor(pool, add_one, (void *)i, 0) != i + 1)
            return -EIO;
    return 0;
}

static intptr_t call_in_tasks(void *pool)
{
    rota_task tasks[4];
    int err = 0;

    for (int i = 0; i < 4 && err == 0; i++)
        err = rota_create_task(&tasks[i], call_many_times, pool);
    return err < 0 ? err : rota_gather(tasks, 4, NULL, false);
}

static void *with_a_loop(void *pool)
{
    return (void *)rota_run(call_in_tasks, pool);
}

static void *without_a_loop(void *pool)
{
    for (intptr_t i = 0; i < CALLS; i++)
        if (call(pool, add_one, (void *)i, 0) != i + 1)
            return pool;
    return NULL;
}

static void loops_and_threads_share_a_pool(void)
{
    rota_executor *pool = new_workers(3);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(i < 2 ? with_a_loop : without_a_loop, pool);
    for (int i = 0; i < 4; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_null(result);
    }
    end_pool(pool);
}

static void *crash_often(void *pool)
{
    for (int i = 0; i < 20; i++)
        if (call(pool, (rota_work_function *)(void (*)(void))abort, NULL, 0) !=
            -(ROTA_EBROKENPOOL + SIGABRT))
            return pool;
    return NULL;
}

static void crashes_concern_no_other_thread(void)
{
    rota_executor *pool = new_workers(3);
    pthread_t threads[3] = {
        start_thread(crash_often, pool),
        start_thread(without_a_loop, pool),
        start_thread(with_a_loop, pool),
    };

    for (int i = 0; i < 3; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_null(result);
    }
    end_pool(pool);
}

/* --- Forks among threads that do not stand still ------------------------- */

static atomic_bool stopping;

static void *allocate(void *arg)
{
    void *blocks[64] = {NULL};

    for (unsigned i = 0; !atomic_load(&stopping); i++) {
        free(blocks[i % 64]);
        blocks[i % 64] = malloc(i * 37 % 5000);
    }
    for (int i = 0; i < 64; i++)
        free(blocks[i]);
    return arg;
}

static void *print(void *arg)
{
    FILE *file = fopen("/dev/null", "w");

    while (!atomic_load(&stopping)) {
        fprintf(file, "%d %s\n", 7, "words");
        fprintf(stdout, "%s", "");
        fflush(stdout);
    }
    fclose(file);
    return arg;
}

static intptr_t nothing(void *arg)
{
    return (intptr_t)arg;
}

static void *run_loops(void *arg)
{
    while (!atomic_load(&stopping))
        if (rota_run(nothing, NULL) != 0)
            return "";
    return arg;
}

static intptr_t use_what_they_use(void *arg)
{
    char *text = malloc(100);

    (void)arg;
    snprintf(text, 100, "%d", (int)rota_run(nothing, (void *)42));
    printf("%s", text[0] == '4' ? "" : "?");
    free(text);
    return 42;
}

static void use_among(void *(*run)(void *))
{
    rota_executor *pool = new_processes(&(rota_process_pool_options){
        .max_workers = 2,
        .max_tasks_per_child = 1,
    });
    pthread_t threads[3];
    rota_concurrent_future *futures[2];

    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(run, NULL);
    for (int i = 0; i < 100; i++) {
        for (int j = 0; j < 2; j++)
            futures[j] = submit(pool, use_what_they_use, NULL, 0);
        for (int j = 0; j < 2; j++)
            assert_int_equal(result_of(futures[j]), 42);
    }
    atomic_store(&stopping, true);
    for (int i = 0; i < 3; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_null(result);
    }
    end_pool(pool);
}

static void processes_are_made_while_threads_allocate(void)
{
    use_among(allocate);
}

static void processes_are_made_while_threads_print(void)
{
    use_among(print);
}

static void processes_are_made_while_threads_run_loops(void)
{
    use_among(run_loops);
}

/* --- Ends ---------------------------------------------------------------- */

static void *shut_down(void *pool)
{
    rota_executor_shutdown(pool, true, false);
    return NULL;
}

static void several_threads_may_wait_for_the_end(void)
{
    rota_executor *pool = new_workers(2);
    rota_concurrent_future *future;
    pthread_t threads[2];

    put_up_board();
    future = submit(pool, held, (void *)1, 0);
    see_held(1);
    for (int i = 0; i < 2; i++)
        threads[i] = start_thread(shut_down, pool);
    let_go(1);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(result_of(future), 1);
    end_pool(pool);
}

#define TEST_AMONG(test)                                                       \
    TEST_WITH(test, .seconds = 60, .skip_under = HARNESS_ASAN | HARNESS_TSAN,  \
              .skip_reason =                                                   \
                  "its malloc is not made for a fork among threads")

HARNESS_MAIN(TEST_TIMEOUT(loops_and_threads_share_a_pool, 60),
             TEST_TIMEOUT(crashes_concern_no_other_thread, 60),
             TEST_AMONG(processes_are_made_while_threads_allocate),
             TEST_AMONG(processes_are_made_while_threads_print),
             TEST_AMONG(processes_are_made_while_threads_run_loops),
             TEST(several_threads_may_wait_for_the_end))
