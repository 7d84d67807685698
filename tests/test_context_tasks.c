/* SPDX-License-Identifier: MIT */
/*
 * Context variables in tasks: who inherits, who shares, who is apart
 */
#include "contexts.h"

/* --- Tasks -------------------------------------------------------------- */

static intptr_t start_and_change(void *arg)
{
    rota_task first, second;

    (void)arg;
    first = start(expect, (void *)"none");
    set("a");
    second = start(expect, (void *)"a");
    set("b");
    assert_int_equal(rota_await(first), 0);
    assert_int_equal(rota_await(second), 0);
    return expect((void *)"b");
}

static void a_task_has_what_was_set_when_it_was_made(void)
{
    scenario(start_and_change);
}

static intptr_t set_and_expect(void *word)
{
    assert_string_equal(value(), "parent");
    for (int i = 0; i < 3; i++) {
        pass_turns(1);
        set(word);
        pass_turns(1);
        assert_string_equal(value(), word);
    }
    return 0;
}

static intptr_t start_siblings(void *arg)
{
    rota_task tasks[3];

    (void)arg;
    set("parent");
    tasks[0] = start(set_and_expect, (void *)"a");
    tasks[1] = start(set_and_expect, (void *)"b");
    tasks[2] = start(expect, (void *)"parent");
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    return expect((void *)"parent");
}

static void siblings_do_not_see_what_the_others_set(void)
{
    scenario(start_siblings);
}

static intptr_t start_family(void *arg)
{
    rota_task a = start(set_and_start, (void *)"a");
    rota_task b = start(set_and_start, (void *)"b");

    (void)arg;
    assert_int_equal(rota_await(a), 0);
    return rota_await(b);
}

static void children_inherit_from_the_task_that_makes_them(void)
{
    scenario(start_family);
}

static void the_main_task_begins_with_what_its_thread_has_set(void)
{
    rota_context_token token = set_with_token("thread");

    assert_int_equal(run_virtually(expect, (void *)"thread"), 0);
    assert_int_equal(run_virtually(set_and_start, (void *)"main"), 0);
    assert_string_equal(value(), "thread");
    assert_int_equal(reset(&token), 0);
}

static intptr_t end_in_all_ways(void *arg)
{
    const rota_task_options eager = {.eager_start = true};
    rota_task tasks[3];
    rota_task_group group;

    (void)arg;
    set("parent");
    assert_int_equal(rota_wait_for(start(set_and_expect, (void *)"a"), 9), 0);
    tasks[0] = start(set_and_expect, (void *)"b");
    tasks[1] = start(set_and_start, (void *)"c");
    assert_int_equal(
        rota_create_task_with(&tasks[2], &eager, set_and_start, (void *)"d"),
        0);
    assert_string_equal(value(), "parent");
    assert_int_equal(rota_shield(tasks[0]), 0);
    assert_int_equal(rota_gather(tasks, 3, NULL, false), 0);
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, set_and_expect, (void *)"e", NULL),
        0);
    set("later");
    assert_int_equal(rota_task_group_end(&group, 0), 0);
    return expect((void *)"later");
}

static void it_makes_no_difference_how_a_task_begins_and_ends(void)
{
    scenario(end_in_all_ways);
}

static intptr_t set_and_note(void *word)
{
    note("%s", value());
    set(word);
    pass_turns(1);
    note("%s", value());
    return 0;
}

/* CPython prints: none a b b */
static intptr_t share_a_context(void *arg)
{
    rota_context *context = copy_here();
    const rota_task_options options = {.context = context};
    rota_task tasks[2];

    (void)arg;
    set("caller");
    assert_int_equal(
        rota_create_task_with(&tasks[0], &options, set_and_note, (void *)"a"),
        0);
    assert_int_equal(
        rota_create_task_with(&tasks[1], &options, set_and_note, (void *)"b"),
        0);
    assert_int_equal(rota_gather(tasks, 2, NULL, false), 0);
    assert_noted("none a b b");
    assert_string_equal(value_in(context), "b");
    assert_string_equal(value(), "caller");
    assert_int_equal(rota_await(start_in(context, set_and_start, (void *)"c")),
                     0);
    assert_string_equal(value_in(context), "c");
    rota_context_free(context);
    return 0;
}

static void tasks_may_share_a_context_and_see_what_each_sets(void)
{
    scenario(share_a_context);
}

static void a_runners_main_tasks_see_what_those_before_have_set(void)
{
    rota_runner runner;

    assert_int_equal(rota_runner_open(&runner, NULL), 0);
    assert_int_equal(rota_runner_run(&runner, set_and_start, (void *)"a"), 0);
    assert_int_equal(rota_runner_run(&runner, expect, (void *)"a"), 0);
    assert_int_equal(rota_runner_close(&runner), 0);
    assert_string_equal(value(), "none");
}

static intptr_t set_and_sleep(void *word)
{
    set(word);
    return rota_sleep(1);
}

static intptr_t look_into_a_task(void *arg)
{
    rota_task task = start(set_and_sleep, (void *)"a");
    rota_context *before, *after, *done;

    (void)arg;
    assert_int_equal(rota_task_copy_context(task, &before), 0);
    pass_turns(1);
    assert_int_equal(rota_task_copy_context(task, &after), 0);
    assert_int_equal(rota_shield(task), 0);
    assert_int_equal(rota_task_copy_context(task, &done), 0);
    assert_int_equal(rota_await(task), 0);
    assert_string_equal(value_in(before), "none");
    assert_string_equal(value_in(after), "a");
    assert_string_equal(value_in(done), "a");
    rota_context_free(before);
    rota_context_free(after);
    rota_context_free(done);
    assert_int_equal(rota_task_copy_context(task, &after), -ROTA_EAWAITED);
    assert_int_equal(rota_task_copy_context((rota_task){0}, &after), -EINVAL);
    return 0;
}

static void the_context_of_a_task_can_be_copied_while_the_task_is(void)
{
    scenario(look_into_a_task);
}

HARNESS_MAIN(TEST(a_task_has_what_was_set_when_it_was_made),
             TEST(siblings_do_not_see_what_the_others_set),
             TEST(children_inherit_from_the_task_that_makes_them),
             TEST(the_main_task_begins_with_what_its_thread_has_set),
             TEST(it_makes_no_difference_how_a_task_begins_and_ends),
             TEST(tasks_may_share_a_context_and_see_what_each_sets),
             TEST(a_runners_main_tasks_see_what_those_before_have_set),
             TEST(the_context_of_a_task_can_be_copied_while_the_task_is))
