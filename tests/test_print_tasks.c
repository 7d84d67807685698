/* SPDX-License-Identifier: MIT */
/*
 * The tree of tasks: who stands below whom, and in which state
 */
#include "trees.h"

#include "os/os.h"

/* Runs a main task that is called "main". */
static void run_main(rota_task_function *function)
{
    scenario(function);
    forget_printed();
}

static void call_me_main(void)
{
    assert_int_equal(rota_task_set_name(rota_current_task(), "main"), 0);
}

/* --- Below whom --------------------------------------------------------- */

static intptr_t print_awaits(void *arg)
{
    rota_task a = start_named("a", await_a_sleeper, (void *)"b");
    rota_task c = start_named("c", sleep_a_second, NULL);

    (void)arg;
    call_me_main();
    pass_turns(2);
    assert_string_equal(shape(), "main:running a:waits >b:waits c:waits");
    assert_int_equal(rota_await(a), 0);
    assert_string_equal(shape(), "main:running c:done");
    return rota_await(c);
}

static void an_awaited_task_stands_below_the_one_that_waits(void)
{
    run_main(print_awaits);
}

static intptr_t wait_for_sleeper(void *name)
{
    return rota_wait_for(start_named(name, sleep_a_second, NULL), 5);
}

static intptr_t gather_two(void *arg)
{
    rota_task tasks[2];

    tasks[1] = start_named("y", sleep_a_second, arg);
    tasks[0] = start_named("x", await_a_sleeper, (void *)"z");
    return rota_gather(tasks, 2, NULL, false);
}

static intptr_t shield_one(void *arg)
{
    rota_task task = start_named("s", sleep_a_second, arg);
    intptr_t result = rota_shield(task);

    return result < 0 ? result : rota_await(task);
}

static intptr_t print_others(void *arg)
{
    rota_task tasks[3] = {
        start_named("a", gather_two, NULL),
        start_named("b", shield_one, NULL),
        start_named("c", wait_for_sleeper, (void *)"w"),
    };

    (void)arg;
    call_me_main();
    pass_turns(3);
    assert_string_equal(shape(), "main:running a:waits >y:waits >x:waits "
                                 ">>z:waits b:waits >s:waits c:waits >w:waits");
    return rota_gather(tasks, 3, NULL, false);
}

static void so_do_gathered_and_shielded_ones_in_the_order_of_their_making(void)
{
    run_main(print_others);
}

static intptr_t print_from_below(void *arg)
{
    (void)arg;
    note("%s", shape());
    return 0;
}

static intptr_t in_a_group(void *arg)
{
    rota_task_group group;
    const rota_task_options named = {.name = "b"};

    (void)arg;
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(rota_task_group_create_task_with(
                         &group, &named, await_a_sleeper, (void *)"c", NULL),
                     0);
    pass_turns(2);
    note("%s /", shape());
    assert_int_equal(
        rota_task_group_create_task(&group, print_from_below, NULL, NULL), 0);
    return rota_task_group_end(&group, 0);
}

static intptr_t print_a_group(void *arg)
{
    (void)arg;
    call_me_main();
    return rota_await(start_named("a", in_a_group, NULL));
}

static void a_groups_children_stand_below_its_parent_also_in_the_body(void)
{
    run_main(print_a_group);
    assert_noted("main:waits >a:running >>b:waits >>>c:waits / "
                 "main:waits >a:waits >>b:waits >>>c:waits >>Task-5:running");
}

static intptr_t wait_for_both(void *arg)
{
    rota_task *tasks = arg;

    return rota_wait(tasks, 2, INFINITY, ROTA_ALL_COMPLETED, NULL);
}

static intptr_t next_of(void *arg)
{
    rota_task *tasks = arg;
    rota_as_completed iterator;
    rota_task task;
    intptr_t result;

    assert_int_equal(rota_as_completed_begin(&iterator, tasks, 2, INFINITY), 0);
    result = rota_as_completed_next(&iterator, &task);
    rota_as_completed_end(&iterator);
    return result;
}

static intptr_t print_on_lookers(void *arg)
{
    rota_task pair[2], tasks[2];

    (void)arg;
    call_me_main();
    for (int i = 0; i < 2; i++) {
        pair[0] = start_named("x", sleep_a_second, NULL);
        pair[1] = start_named("y", sleep_a_second, NULL);
        tasks[0] = start_named("a", i ? next_of : wait_for_both, pair);
        tasks[1] = start_named("b", i ? wait_for_both : next_of, pair);
        pass_turns(1);
        assert_string_equal(shape(),
                            "main:running a:waits >x:waits >y:waits b:waits");
        assert_int_equal(rota_await(pair[0]), 0);
        assert_int_equal(rota_await(pair[1]), 0);
        assert_int_equal(rota_gather(tasks, 2, NULL, true), 0);
    }
    return 0;
}

static void who_looks_on_first_has_them_until_somebody_awaits_them(void)
{
    run_main(print_on_lookers);
}

static intptr_t await_it(void *task)
{
    return rota_await(*(rota_task *)task);
}

static intptr_t shield_it(void *task)
{
    return rota_shield(*(rota_task *)task);
}

static intptr_t print_await_and_shield(void *arg)
{
    rota_task task = start_named("x", sleep_a_second, NULL);
    rota_task tasks[2] = {start_named("a", shield_it, &task),
                          start_named("b", await_it, &task)};

    (void)arg;
    call_me_main();
    pass_turns(1);
    assert_string_equal(shape(), "main:running a:waits b:waits >x:waits");
    return rota_gather(tasks, 2, NULL, false);
}

static void an_awaiter_comes_before_who_looks_on(void)
{
    run_main(print_await_and_shield);
}

/* --- States ------------------------------------------------------------- */

static intptr_t yield_thrice(void *arg)
{
    (void)arg;
    pass_turns(3);
    return 0;
}

static intptr_t print_states(void *arg)
{
    rota_task done = start_named("done", return_arg, NULL);
    rota_task ready = start_named("ready", yield_thrice, NULL);
    rota_task waits = start_named("waits", sleep_a_second, NULL);
    rota_task detached = start_named("detached", sleep_a_second, NULL);
    rota_task new;

    (void)arg;
    call_me_main();
    assert_int_equal(rota_detach(detached), 0);
    pass_turns(1);
    new = start_named("new", return_arg, NULL);
    assert_string_equal(shape(),
                        "main:running done:done ready:ready "
                        "waits:waits detached:waits, detached new:new");
    assert_int_equal(rota_await(done) + rota_await(ready) + rota_await(waits) +
                         rota_await(new),
                     0);
    return rota_sleep(2);
}

static void each_task_has_its_state(void)
{
    run_main(print_states);
}

static intptr_t end_slowly(void *arg)
{
    assert_int_equal(rota_sleep(1e9), -ECANCELED);
    assert_int_equal(rota_sleep(1), 0);
    return (intptr_t)arg;
}

static intptr_t print_cancelled(void *arg)
{
    rota_task a = start_named("a", await_a_sleeper, (void *)"b");
    rota_task slow = start_named("slow", end_slowly, (void *)-ECANCELED);

    (void)arg;
    call_me_main();
    pass_turns(2);
    assert_int_equal(rota_task_cancel(a), 1);
    assert_int_equal(rota_task_cancel(slow), 1);
    assert_string_equal(shape(), "main:running a:waits, being cancelled "
                                 ">b:ready, being cancelled "
                                 "slow:ready, being cancelled");
    pass_turns(3);
    assert_string_equal(shape(), "main:running a:done "
                                 "slow:waits, being cancelled");
    assert_int_equal(rota_await(a), -ECANCELED);
    assert_int_equal(rota_await(slow), -ECANCELED);
    return 0;
}

static void one_that_is_being_cancelled_says_so_until_it_is_done(void)
{
    run_main(print_cancelled);
}

static intptr_t print_and_sleep(void *arg)
{
    (void)arg;
    note("%s", shape());
    return rota_sleep(1);
}

static intptr_t begin_eagerly(void *arg)
{
    const rota_task_options eager = {.name = "inner", .eager_start = true};
    rota_task task;

    assert_int_equal(rota_create_task_with(&task, &eager, print_and_sleep, arg),
                     0);
    return rota_await(task);
}

static intptr_t print_eager(void *arg)
{
    const rota_task_options eager = {.name = "outer", .eager_start = true};
    rota_task task;

    call_me_main();
    assert_int_equal(rota_create_task_with(&task, &eager, begin_eagerly, arg),
                     0);
    return rota_await(task);
}

static void who_begins_another_at_once_stands_still(void)
{
    run_main(print_eager);
    assert_noted("main:begins another outer:begins another inner:running");
}

/* --- Rings -------------------------------------------------------------- */

static rota_task members[6];

static void add_member(int i, const char *name, rota_task_function *function,
                       int of)
{
    members[i] = start_named(name, function, &members[of]);
}

static intptr_t gather_both_beside(void *middle)
{
    const rota_task both[2] = {((rota_task *)middle)[-1],
                               ((rota_task *)middle)[1]};

    return rota_gather(both, 2, NULL, false);
}

/* a awaits b, that c, and that a; p gathers old and q, which awaits p. */
static intptr_t print_rings(void *arg)
{
    (void)arg;
    call_me_main();
    add_member(0, "old", sleep_a_second, 0);
    add_member(1, "p", gather_both_beside, 1);
    add_member(2, "q", await_it, 1);
    add_member(3, "a", await_it, 4);
    add_member(4, "b", await_it, 5);
    add_member(5, "c", await_it, 3);
    pass_turns(2);
    note("%s", shape());
    return 0;
}

static void ignore(rota_loop *loop, const rota_exception_context *context,
                   void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

static void a_ring_of_tasks_is_cut_open_and_nobody_is_lost(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, print_rings, NULL), 0);
    rota_set_exception_handler(loop, ignore, NULL);
    rota_loop_free(loop);
    forget_printed();
    assert_noted("main:running p:waits >old:waits >q:waits "
                 "a:waits >b:waits >>c:waits");
}
/* --- Many --------------------------------------------------------------- */

/* As many as can be had where threads or slowness are the limit. */
static int many(void)
{
    return harness_under(HARNESS_TSAN | HARNESS_VALGRIND) ? 1000 : 10000;
}

static intptr_t await_chain(void *left)
{
    rota_task task;

    if (left == NULL)
        return rota_sleep(1);
    task = start(await_chain, (void *)((intptr_t)left - 1));
    return rota_await(task);
}

/* Seconds that it took to print so many tasks. */
static double count_printed(int count)
{
    int64_t began = rota__clock_now();
    const char *line = print_tree();
    int64_t took = rota__clock_now() - began;
    int tasks = 0;

    for (; *line; line = strchr(line, '\n') + 1)
        tasks += strstr(line, ":") &&
                 strncmp(line + strspn(line, " "), "at ", 3) != 0;
    assert_int_equal(tasks, count);
    return (double)took / 1e9;
}

static intptr_t print_chain(void *arg)
{
    rota_task task = start(await_chain, (void *)(intptr_t)many());

    (void)arg;
    pass_turns(many() + 2);
    assert_true(count_printed(many() + 2) < 3 * harness_slowness());
    return rota_await(task);
}

static void a_chain_may_be_longer_than_a_stack_is_deep(void)
{
    run_main(print_chain);
}

static intptr_t print_many(void *arg)
{
    int count = many();
    rota_task *tasks = calloc((size_t)count, sizeof *tasks);

    (void)arg;
    for (int i = 0; i < count; i++)
        tasks[i] = start(sleep_a_second, NULL);
    pass_turns(1);
    assert_true(count_printed(count + 1) < harness_slowness());
    assert_int_equal(rota_gather(tasks, (size_t)count, NULL, false), 0);
    free(tasks);
    return 0;
}

static void ten_thousand_tasks_are_printed_within_a_second(void)
{
    run_main(print_many);
}

/* --- From elsewhere ----------------------------------------------------- */

static void print_in_a_callback(void *arg)
{
    (void)arg;
    note("%s", shape());
}

static intptr_t call_to_print(void *arg)
{
    rota_task a = start_named("a", await_a_sleeper, (void *)"b");

    (void)arg;
    call_me_main();
    pass_turns(2);
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL,
                                    print_in_a_callback, NULL),
                     0);
    return rota_await(a);
}

static void a_callback_may_print_them_too(void)
{
    run_main(call_to_print);
    assert_noted("main:waits >a:waits >>b:waits");
}

static intptr_t leave_two(void *task)
{
    *(rota_task *)task = start_named("a", await_a_sleeper, (void *)"b");
    pass_turns(2);
    return 0;
}

static intptr_t print_those_of(void *loop)
{
    assert_int_equal(try_to_print(loop), 0);
    assert_non_null(strstr(printed, "\n  b ("));
    assert_int_equal(try_to_print(rota_get_running_loop()), 0);
    assert_null(strstr(printed, "\n  b ("));
    return 0;
}

static void the_loop_need_not_run_and_another_may(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;
    rota_task a;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    assert_int_equal(try_to_print(loop), 0);
    assert_string_equal(printed, "");
    assert_int_equal(rota_loop_run_until_complete(loop, leave_two, &a), 0);
    assert_int_equal(try_to_print(loop), 0);
    assert_non_null(strstr(printed, "\n  b ("));
    assert_int_equal(run_virtually(print_those_of, loop), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, await_it, &a), 0);
    assert_int_equal(try_to_print(loop), 0);
    assert_string_equal(printed, "");
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(try_to_print(loop), -ROTA_ECLOSED);
    forget_printed();
    rota_loop_free(loop);
}

static void print_what_is_left(rota_loop *loop,
                               const rota_exception_context *context, void *arg)
{
    (void)arg;
    assert_int_equal(try_to_print(loop), 0);
    note("%s%s", context->name, strstr(printed, "\n  b (") ? "+b" : "");
}

static void the_exception_handler_may_print_them_while_the_loop_closes(void)
{
    const rota_loop_options options = {.virtual_clock = true};
    rota_loop *loop;
    rota_task a;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    rota_set_exception_handler(loop, print_what_is_left, NULL);
    assert_int_equal(rota_loop_run_until_complete(loop, leave_two, &a), 0);
    rota_loop_free(loop);
    forget_printed();
    assert_noted("a+b b+b");
}

static intptr_t print_without_memory(void *arg)
{
    (void)arg;
    call_me_main();
    for (int nth = 1; nth <= 2; nth++) {
        harness_fail_allocation(nth);
        assert_int_equal(try_to_print(rota_get_running_loop()), -ENOMEM);
        assert_string_equal(printed, "");
    }
    harness_fail_allocation(-1);
    assert_string_equal(shape(), "main:running");
    return 0;
}

static void without_memory_nothing_is_printed(void)
{
    run_main(print_without_memory);
}

HARNESS_MAIN(
    TEST(an_awaited_task_stands_below_the_one_that_waits),
    TEST(so_do_gathered_and_shielded_ones_in_the_order_of_their_making),
    TEST(a_groups_children_stand_below_its_parent_also_in_the_body),
    TEST(who_looks_on_first_has_them_until_somebody_awaits_them),
    TEST(an_awaiter_comes_before_who_looks_on), TEST(each_task_has_its_state),
    TEST(one_that_is_being_cancelled_says_so_until_it_is_done),
    TEST(who_begins_another_at_once_stands_still),
    TEST(a_ring_of_tasks_is_cut_open_and_nobody_is_lost),
    TEST_TIMEOUT(a_chain_may_be_longer_than_a_stack_is_deep, 60),
    TEST_TIMEOUT(ten_thousand_tasks_are_printed_within_a_second, 60),
    TEST(a_callback_may_print_them_too),
    TEST(the_loop_need_not_run_and_another_may),
    TEST(the_exception_handler_may_print_them_while_the_loop_closes),
    TEST(without_memory_nothing_is_printed))
