/* SPDX-License-Identifier: MIT */
/*
 * Loops that close while calls wait, run, or have ended untold
 */
#include "executors.h"
#include "loop/loop.h"

#include <math.h>
#include <stdlib.h>

static rota_loop *new_loop(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    return loop;
}

static void run_one_turn(rota_loop *loop)
{
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
}

/* A task with this call, up to its wait. */
static void begin_call(rota_loop *loop, struct call *call)
{
    rota_task task;

    assert_int_equal(rota_loop_create_task(loop, &task, run_call, call), 0);
    assert_int_equal(rota_detach(task), 0);
    run_one_turn(loop);
}

static void *open_when_one_waits(void *arg)
{
    see_waiting(1);
    open_gate();
    return arg;
}

/* --- Calls that wait ---------------------------------------------------- */

static void calls_that_wait_never_begin(void)
{
    rota_executor *pool = new_pool(1);
    rota_concurrent_future *busy = submit(pool, held, NULL);
    char text[8] = "text";
    struct call waiting[2] = {
        {pool, must_not_begin, NULL, 0, "gone", 0},
        {pool, must_not_begin, text, sizeof text, "gone", 0},
    };
    rota_loop *loop = new_loop();

    see_waiting(1);
    begin_call(loop, &waiting[0]);
    begin_call(loop, &waiting[1]);
    rota_loop_free(loop);
    memset(waiting, 0xEE, sizeof waiting);
    open_gate();
    assert_int_equal(result_of(busy), 0);
    assert_int_equal(result_of(submit(pool, return_arg, (void *)2)), 2);
    rota_executor_free(pool);
    assert_noted("");
}

/*
 * The loop's own threads are joined: so what is held there must be let go, as
 * the loop waits for them; the others are cancelled by then.
 */
static void calls_that_wait_for_the_loops_own_pool_never_begin(void)
{
    enum { MANY = 200 };
    static struct call many[MANY];
    rota_loop *loop = new_loop();
    int threads = rota__processors() + 4;

    for (int i = 0; i < MANY; i++) {
        many[i] = (struct call){NULL, held, NULL, 0, NULL, 0};
        begin_call(loop, &many[i]);
    }
    see_waiting(threads < 32 ? threads : 32);
    loop->wait_hooks.before = call_open_gate;
    loop->wait_hooks.after = call_open_gate;
    rota_loop_free(loop);
    memset(many, 0xEE, sizeof many);
    assert_int_equal(gate.passed, threads < 32 ? threads : 32);
    assert_int_equal(gate.waiting, 0);
}

/* --- Calls that wait for the loop --------------------------------------- */

/* A task that never ends, on a loop, for a call of the loop's own pool. */
struct errand {
    rota_loop *loop;
    rota_task_function *function;
    intptr_t result;
};

static intptr_t wait_for_errand(void *arg)
{
    struct errand *errand = arg;
    rota_concurrent_future *future;
    int err;

    wait_at_gate();
    err = rota_run_coroutine_threadsafe(errand->loop, &future, errand->function,
                                        NULL);
    errand->result = err;
    if (err == 0) {
        errand->result =
            rota_concurrent_future_result(future, (double)INFINITY);
        rota_concurrent_future_free(future);
    }
    return 0;
}

static intptr_t run_errand_for_ever(void *arg)
{
    call_open_gate(arg);
    return rota_sleep((double)INFINITY);
}

static void a_call_that_asks_a_closing_loop_is_refused(void)
{
    rota_loop *loop = new_loop();
    struct errand errand = {loop, must_not_begin, 0};
    struct call call = {NULL, wait_for_errand, &errand, 0, NULL, 0};

    begin_call(loop, &call);
    see_waiting(1);
    loop->wait_hooks.before = call_open_gate;
    loop->wait_hooks.after = call_open_gate;
    rota_loop_free(loop);
    assert_int_equal(errand.result, -ROTA_ECLOSED);
}

static intptr_t stop_when_asked(void *arg)
{
    struct errand *errand = arg;

    open_gate();
    while (rota_all_tasks(errand->loop, NULL, 0) < 3)
        assert_int_equal(rota_sleep(0), 0);
    return 0;
}

static void a_call_that_waits_for_a_closing_loop_is_told(void)
{
    rota_loop *loop = new_loop();
    struct errand errand = {loop, run_errand_for_ever, 0};
    struct call call = {NULL, wait_for_errand, &errand, 0, NULL, 0};

    begin_call(loop, &call);
    see_waiting(1);
    assert_int_equal(
        rota_loop_run_until_complete(loop, stop_when_asked, &errand), 0);
    rota_loop_free(loop);
    assert_int_equal(errand.result, -ROTA_ECLOSED);
}

/* --- Calls that run ----------------------------------------------------- */

static intptr_t fill(void *arg)
{
    wait_at_gate();
    memset(arg, 'f', 100);
    return 0;
}

static void a_call_that_runs_on_a_pool_outlives_the_loop(void)
{
    rota_executor *pool = new_pool(1);
    char *block = calloc(1, 100);
    struct call call = {pool, fill, block, 100, NULL, 0};
    rota_loop *loop = new_loop();

    begin_call(loop, &call);
    see_waiting(1);
    rota_loop_free(loop);
    assert_int_equal(gate.waiting, 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(block[i], 0);
    free(block);
    open_gate();
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 1);
}

static void a_loop_that_closes_waits_for_calls_of_its_own_pool(void)
{
    char block[100] = "";
    struct call call = {NULL, fill, block, 100, NULL, 0};
    rota_loop *loop = new_loop();
    pthread_t opener;

    begin_call(loop, &call);
    see_waiting(1);
    opener = start_thread(open_when_one_waits, NULL);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(gate.passed, 1);
    assert_int_equal(block[0], 0);
    pthread_join(opener, NULL);
    rota_loop_free(loop);
}

static void a_default_executor_that_was_set_is_not_waited_for_by_a_close(void)
{
    rota_executor *pool = new_pool(1);
    struct call call = {NULL, held, NULL, 0, NULL, 0};
    rota_loop *loop = new_loop();

    assert_int_equal(rota_set_default_executor(loop, pool), 0);
    begin_call(loop, &call);
    see_waiting(1);
    rota_loop_free(loop);
    assert_int_equal(gate.waiting, 1);
    open_gate();
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 1);
}

/* --- Calls that have ended ---------------------------------------------- */

/* The next call of its only thread has begun, so this one has ended. */
static void a_call_whose_end_was_not_told_is_dropped(void)
{
    rota_executor *pool = new_pool(1);
    char text[8] = "text";
    struct call call = {pool, count_calls, text, sizeof text, "gone", 0};
    rota_loop *loop = new_loop();
    rota_concurrent_future *next;

    begin_call(loop, &call);
    next = submit(pool, held, NULL);
    see_waiting(1);
    assert_int_equal(atomic_load(&calls), 1);
    rota_loop_free(loop);
    open_gate();
    assert_int_equal(result_of(next), 0);
    rota_executor_free(pool);
    assert_noted("");
}

/* Told, and its task woken, but that has not run yet. */
static void a_call_whose_task_was_only_woken_is_dropped(void)
{
    rota_executor *pool = new_pool(1);
    struct call call = {pool, count_calls, NULL, 0, "gone", 0};
    rota_loop *loop = new_loop();
    rota_concurrent_future *next;

    begin_call(loop, &call);
    next = submit(pool, held, NULL);
    see_waiting(1);
    run_one_turn(loop);
    rota_loop_free(loop);
    open_gate();
    assert_int_equal(result_of(next), 0);
    rota_executor_free(pool);
    if (scenario_line[0])
        assert_noted("gone:0");
}

/* --- Runs --------------------------------------------------------------- */

static intptr_t leave(void *arg)
{
    struct call *left = arg;

    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_detach(start(run_call, &left[i])), 0);
    pass_turns(1);
    see_waiting(1);
    return 3;
}

static void a_run_does_not_wait_for_calls_of_an_applications_pool(void)
{
    rota_executor *pool = new_pool(1);
    struct call left[3] = {
        {pool, held, NULL, 0, "a", 0},
        {pool, must_not_begin, NULL, 0, "b", 0},
        {pool, must_not_begin, NULL, 0, "c", 0},
    };

    assert_int_equal(run_virtually(leave, left), 3);
    assert_noted("a:ECANCELED b:ECANCELED c:ECANCELED");
    assert_int_equal(gate.waiting, 1);
    open_gate();
    rota_executor_free(pool);
    assert_int_equal(gate.passed, 1);
}

/* --- Many at any moment ------------------------------------------------- */

static intptr_t work_a_little(void *arg)
{
    unsigned char *bytes = arg;

    for (int i = 0; i < 64; i++)
        bytes[i] = (unsigned char)(bytes[i] + i);
    return 0;
}

static void close_after(int turns, rota_executor *pool)
{
    enum { MANY = 20 };
    struct call many[MANY];
    unsigned char blocks[MANY][64] = {{0}};
    rota_loop *loop = new_loop();

    for (int i = 0; i < MANY; i++) {
        many[i] = (struct call){i % 3 ? pool : NULL, work_a_little, blocks[i],
                                sizeof blocks[i],    NULL,          0};
        begin_call(loop, &many[i]);
    }
    for (int i = 0; i < turns; i++)
        run_one_turn(loop);
    rota_loop_free(loop);
}

static void a_loop_may_close_at_any_moment_of_its_calls(void)
{
    rota_executor *pool = new_pool(2);

    for (int round = 0; round < 100; round++)
        close_after(round % 10, pool);
    rota_executor_free(pool);
}

HARNESS_MAIN(TEST(a_call_that_asks_a_closing_loop_is_refused),
             TEST(a_call_that_waits_for_a_closing_loop_is_told),
             TEST(calls_that_wait_never_begin),
             TEST(calls_that_wait_for_the_loops_own_pool_never_begin),
             TEST(a_call_that_runs_on_a_pool_outlives_the_loop),
             TEST(a_loop_that_closes_waits_for_calls_of_its_own_pool),
             TEST(a_default_executor_that_was_set_is_not_waited_for_by_a_close),
             TEST(a_call_whose_end_was_not_told_is_dropped),
             TEST(a_call_whose_task_was_only_woken_is_dropped),
             TEST(a_run_does_not_wait_for_calls_of_an_applications_pool),
             TEST(a_loop_may_close_at_any_moment_of_its_calls))
