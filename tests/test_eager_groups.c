/* SPDX-License-Identifier: MIT */
/*
 * Eager starts in groups and gathers, and what is left when a loop closes
 */
#include "waits.h"

static const rota_task_options eager = {.eager_start = true};

struct child {
    const char *name;
    int turns;
    int result;
};

/* Notes its name, yields `turns` times, notes it again. */
static intptr_t be_a_child(void *arg)
{
    const struct child *child = arg;

    note("%s-begins", child->name);
    for (int i = 0; i < child->turns; i++)
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    note("%s-ends", child->name);
    return child->result;
}

static rota_task start_now(rota_task_function *function, void *arg)
{
    rota_task task;

    assert_int_equal(rota_create_task_with(&task, &eager, function, arg), 0);
    return task;
}

static int add_now(rota_task_group *group, struct child *child,
                   intptr_t *result)
{
    return rota_task_group_create_task_with(group, &eager, be_a_child, child,
                                            result);
}

/* --- Groups: all lines are asyncio's ------------------------------------ */

static intptr_t end_with_the_done(void *arg)
{
    struct child children[] = {{"a", 0, 7}, {"b", 1, 8}, {"c", 0, 9}};
    size_t count = *(size_t *)arg;
    intptr_t results[3] = {0};
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    for (size_t i = 0; i < count && err == 0; i++)
        err = add_now(&group, &children[i], &results[i]);
    assert_int_equal(results[0], 7);
    note("body");
    assert_int_equal(rota_task_group_end(&group, err), 0);
    note("over:%d%d%d", (int)results[0], (int)results[1], (int)results[2]);
    return rota_await(t);
}

static void a_group_hears_of_an_eager_end_in_the_next_turn(void)
{
    size_t count = 1;

    assert_int_equal(run_virtually(end_with_the_done, &count), 0);
    assert_noted("a-begins a-ends body t0 t1 over:700 t2 t3 t4 t5");
    count = 3;
    assert_int_equal(run_virtually(end_with_the_done, &count), 0);
    assert_noted("a-begins a-ends b-begins c-begins c-ends body t0 b-ends t1 "
                 "t2 over:789 t3 t4 t5");
}

static intptr_t end_a_slow_body(void *arg)
{
    struct child child = {"a", 0, 0};
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    (void)arg;
    if (err == 0)
        err = add_now(&group, &child, NULL);
    pass_turns(2);
    note("body");
    assert_int_equal(rota_task_group_end(&group, err), 0);
    note("over");
    return rota_await(t);
}

static void a_group_that_has_heard_of_all_ends_at_once(void)
{
    scenario(end_a_slow_body);
    assert_noted("a-begins a-ends t0 t1 body over t2 t3 t4 t5");
}

static intptr_t fail_in_the_call(void *arg)
{
    struct child bad = {"bad", 0, -EIO}, other = {"b", 3, 0};
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;
    int err = rota_task_group_begin(&group);

    (void)arg;
    if (err == 0)
        err = add_now(&group, &bad, NULL);
    note("body:%d", rota_task_cancelling(rota_current_task()));
    if (err == 0)
        err = add_now(&group, &other, NULL);
    assert_int_equal(err, 0);
    err = rota_sleep(1);
    note("body-cancelled:%d", err == -ECANCELED);
    assert_int_equal(rota_task_group_end(&group, err), -EIO);
    note("failed:%d", rota_task_cancelling(rota_current_task()));
    return rota_await(t);
}

static void an_eager_child_that_fails_aborts_its_group_a_turn_later(void)
{
    scenario(fail_in_the_call);
    assert_noted("bad-begins bad-ends body:0 b-begins t0 t1 body-cancelled:1 "
                 "t2 failed:0 t3 t4 t5");
}

static intptr_t fail_and_end(void *arg)
{
    struct child bad = {"bad", 0, -EIO};
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    (void)arg;
    if (err == 0)
        err = add_now(&group, &bad, NULL);
    note("body");
    assert_int_equal(rota_task_group_end(&group, err), -EIO);
    note("failed:%d", rota_task_cancelling(rota_current_task()));
    return rota_await(t);
}

static void a_body_that_is_over_by_then_is_not_cancelled(void)
{
    scenario(fail_and_end);
    assert_noted("bad-begins bad-ends body t0 t1 failed:0 t2 t3 t4 t5");
}

static intptr_t make_a_sibling(void *group)
{
    static struct child child = {"b", 0, 0};

    note("mk");
    assert_int_equal(add_now(group, &child, NULL), 0);
    assert_int_equal(rota_sleep(0), 0);
    note("mk-ends");
    return 0;
}

static intptr_t end_with_a_sibling(void *arg)
{
    rota_task t = start(ticker, (void *)"t");
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);

    (void)arg;
    if (err == 0)
        err = rota_task_group_create_task_with(&group, &eager, make_a_sibling,
                                               &group, NULL);
    note("body");
    assert_int_equal(rota_task_group_end(&group, err), 0);
    note("over");
    return rota_await(t);
}

static void an_eager_child_may_make_eager_siblings(void)
{
    scenario(end_with_a_sibling);
    assert_noted("mk b-begins b-ends body t0 mk-ends t1 t2 over t3 t4 t5");
}

/* --- Gather, wait, shield: asyncio's lines again ------------------------ */

static intptr_t gather_them(void *arg)
{
    struct child children[] = {{"a", 0, 0}, {"b", 0, 0}, {"c", 1, 0}};
    rota_task t = start(ticker, (void *)"t");
    rota_task tasks[2];

    (void)arg;
    for (int i = 0; i < 2; i++)
        tasks[i] = start_now(be_a_child, &children[i]);
    assert_int_equal(rota_gather(tasks, 2, NULL, false), 0);
    note("gathered");
    for (int i = 0; i < 2; i++)
        tasks[i] = start_now(be_a_child, &children[i + 1]);
    assert_int_equal(rota_gather(tasks, 2, NULL, false), 0);
    note("gathered");
    return rota_await(t);
}

static void gathering_the_eager_waits_only_for_who_has_waited(void)
{
    scenario(gather_them);
    assert_noted("a-begins a-ends b-begins b-ends gathered "
                 "b-begins b-ends c-begins t0 c-ends t1 t2 gathered t3 t4 t5");
}

static intptr_t wait_for_one(void *arg)
{
    struct child child = {"a", 0, 4};
    rota_task t = start(ticker, (void *)"t");
    rota_task task = start_now(be_a_child, &child);

    (void)arg;
    assert_int_equal(rota_shield(task), 4);
    note("shielded");
    assert_int_equal(wait_until(ROTA_ALL_COMPLETED, &task, 1, NULL), 1);
    note("waited");
    assert_int_equal(rota_await(task), 4);
    return rota_await(t);
}

static void a_wait_for_the_done_lets_turns_pass_but_a_shield_does_not(void)
{
    scenario(wait_for_one);
    assert_noted("a-begins a-ends shielded t0 t1 waited t2 t3 t4 t5");
}

/* --- Options ------------------------------------------------------------ */

static intptr_t note_its_name(void *arg)
{
    note("%s", rota_task_get_name(rota_current_task()));
    return (intptr_t)arg;
}

static intptr_t make_named(void *arg)
{
    rota_task_options options = {.name = "one", .eager_start = true};
    rota_task_group group;
    rota_task tasks[3];
    int err = rota_task_group_begin(&group);

    (void)arg;
    for (int i = 0; i < 3 && err == 0; i++) {
        err = rota_create_task_with(&tasks[i], &options, note_its_name, NULL);
        options.lazy_start = i == 0;
        options.name = i == 0 ? "lazy" : NULL;
        options.eager_start = false;
    }
    options = (rota_task_options){.name = "child", .lazy_start = true};
    if (err == 0)
        err = rota_task_group_create_task_with(&group, &options, note_its_name,
                                               NULL, NULL);
    note("main");
    if (err == 0)
        err = rota_gather(tasks, 3, NULL, false);
    return rota_task_group_end(&group, err);
}

/* CPython: test_name, test_eager_start_true, test_eager_start_false. */
static void it_has_its_name_at_once_and_a_lazy_one_waits_for_its_turn(void)
{
    const rota_loop_options all = {.eager_start = true};

    assert_int_equal(rota_run_with(&all, make_named, NULL), 0);
    assert_noted("one Task-4 main lazy child");
    scenario(make_named);
    assert_noted("one main lazy Task-4 child");
}

/* --- Memory, debug mode, closing ---------------------------------------- */

static intptr_t make_many(void *arg)
{
    rota_task task;
    long blocks = harness_live_blocks();

    (void)arg;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(rota_detach(start_now(return_arg, NULL)), 0);
        assert_int_equal(rota_await(start_now(return_arg, (void *)1)), 1);
    }
    task = start_now(return_arg, NULL);
    assert_true(task.slot < 4);
    assert_int_equal(harness_live_blocks(), blocks);
    return rota_await(task);
}

static void the_ends_of_eager_tasks_free_their_stacks(void)
{
    scenario(make_many);
}

static intptr_t add_many(void *arg)
{
    struct child child = {"", 0, 0};
    rota_task_group group;
    intptr_t err = rota_task_group_begin(&group);
    rota_task task;

    for (int i = 0; i < 100 && err == 0; i++)
        err = add_now(&group, &child, NULL);
    scenario_line[0] = '\0';
    task = start(return_arg, arg);
    assert_true(task.slot < 4);
    assert_int_equal(rota_task_group_end(&group, err), 0);
    return rota_await(task);
}

static void so_do_those_of_a_group_while_the_body_goes_on(void)
{
    scenario(add_many);
    assert_int_equal(run_in_debug_mode(add_many, NULL), 0);
}

static intptr_t make_without_memory(void *arg)
{
    const rota_task_options options = {
        .eager_start = true,
        .stack_size = 1234567,
    };
    rota_task task;

    harness_fail_allocation(1);
    assert_int_equal(rota_create_task_with(&task, &options, return_arg, arg),
                     -ENOMEM);
    harness_fail_allocation(-1);
    assert_int_equal(rota_create_task_with(&task, &eager, NULL, arg), -EINVAL);
    return 0;
}

static void one_that_cannot_be_made_does_not_begin(void)
{
    scenario(make_without_memory);
}

static intptr_t leave_a_scope_open(void *arg)
{
    rota_timeout timeout;

    (void)arg;
    return rota_timeout_begin(&timeout, 10);
}

static intptr_t make_one_that_leaves(void *arg)
{
    return rota_await(start_now(leave_a_scope_open, arg));
}

static void a_scope_that_an_eager_task_leaves_open_stops_in_debug_mode(void)
{
    (void)run_in_debug_mode(make_one_that_leaves, NULL);
}

static void say_nothing(rota_loop *loop, const rota_exception_context *context,
                        void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

static intptr_t await_an_eager_sleeper(void *arg)
{
    return rota_await(start_now(sleep_for_ever, arg));
}

static intptr_t stop_in_the_first_step(void *arg)
{
    rota_loop_stop(rota_get_running_loop());
    note("stops");
    return rota_await(start_now(await_an_eager_sleeper, arg));
}

static intptr_t begin_a_stopper(void *arg)
{
    rota_task task = start_now(stop_in_the_first_step, arg);

    note("main");
    return rota_await(task);
}

static void a_loop_that_is_stopped_and_closed_meanwhile_frees_all(void)
{
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    rota_set_exception_handler(loop, say_nothing, NULL);
    assert_int_equal(rota_loop_run_until_complete(loop, begin_a_stopper, NULL),
                     -ROTA_ESTOPPED);
    assert_noted("stops main");
    rota_loop_free(loop);
}

static intptr_t print_the_tree(void *arg)
{
    FILE *out = fopen("/dev/null", "w");

    assert_non_null(out);
    assert_int_equal(rota_print_tasks(rota_get_running_loop(), out), 0);
    fclose(out);
    note("printed");
    return (intptr_t)arg;
}

static intptr_t begin_one_that_prints(void *arg)
{
    return rota_await(start_now(print_the_tree, arg));
}

static intptr_t print_from_inside(void *arg)
{
    rota_task task = start_now(begin_one_that_prints, arg);

    note("main");
    return rota_await(task);
}

/* Its makers stand still in the midst of a step, and are asked there. */
static void an_eager_task_can_print_the_stacks_of_its_makers(void)
{
    assert_int_equal(run_virtually(print_from_inside, (void *)3), 3);
    assert_noted("printed main");
}

HARNESS_MAIN(TEST(a_group_hears_of_an_eager_end_in_the_next_turn),
             TEST(a_group_that_has_heard_of_all_ends_at_once),
             TEST(an_eager_child_that_fails_aborts_its_group_a_turn_later),
             TEST(a_body_that_is_over_by_then_is_not_cancelled),
             TEST(an_eager_child_may_make_eager_siblings),
             TEST(gathering_the_eager_waits_only_for_who_has_waited),
             TEST(a_wait_for_the_done_lets_turns_pass_but_a_shield_does_not),
             TEST(it_has_its_name_at_once_and_a_lazy_one_waits_for_its_turn),
             TEST(the_ends_of_eager_tasks_free_their_stacks),
             TEST(so_do_those_of_a_group_while_the_body_goes_on),
             TEST(one_that_cannot_be_made_does_not_begin),
             TEST_EXPECT_SIGNAL(
                 a_scope_that_an_eager_task_leaves_open_stops_in_debug_mode,
                 SIGABRT, "timeout still open"),
             TEST(a_loop_that_is_stopped_and_closed_meanwhile_frees_all),
             TEST(an_eager_task_can_print_the_stacks_of_its_makers))
