/* SPDX-License-Identifier: MIT */
/*
 * Context variables: values, tokens, contexts as objects, and their price
 */
#include "contexts.h"

#include "loop/loop.h"

static rota_context_var other = ROTA_CONTEXT_VAR("other", NULL);

/* --- Values and tokens -------------------------------------------------- */

static void a_variable_has_its_first_value_until_it_is_set(void)
{
    rota_context_token token;

    assert_string_equal(value(), "none");
    assert_false(rota_context_var_is_set(&topic));
    token = set_with_token("a");
    assert_string_equal(value(), "a");
    assert_true(rota_context_var_is_set(&topic));
    assert_false(rota_context_var_is_set(&other));
    assert_null(rota_context_var_get(&other));
    assert_int_equal(reset(&token), 0);
    assert_string_equal(value(), "none");
    assert_false(rota_context_var_is_set(&topic));
}

static void a_variable_that_was_set_to_its_first_value_is_set(void)
{
    rota_context_token token;

    assert_int_equal(rota_context_var_set(&other, NULL, &token), 0);
    assert_null(rota_context_var_get(&other));
    assert_true(rota_context_var_is_set(&other));
    assert_int_equal(rota_context_var_reset(&other, &token), 0);
    assert_false(rota_context_var_is_set(&other));
}

static intptr_t set_many(void *arg)
{
    rota_context_var variables[20];
    rota_context_token tokens[20];

    for (int i = 0; i < 20; i++)
        variables[i] = (rota_context_var)ROTA_CONTEXT_VAR("one of many", arg);
    for (int i = 0; i < 20; i++)
        assert_int_equal(
            rota_context_var_set(&variables[i], &variables[i], &tokens[i]), 0);
    for (int i = 0; i < 20; i += 2)
        assert_int_equal(rota_context_var_reset(&variables[i], &tokens[i]), 0);
    for (int i = 0; i < 20; i++)
        assert_ptr_equal(rota_context_var_get(&variables[i]),
                         i % 2 ? (void *)&variables[i] : arg);
    return 0;
}

static void many_variables_keep_apart(void)
{
    int here;

    assert_int_equal(run_virtually(set_many, &here), 0);
}

static intptr_t nest_tokens(void *arg)
{
    rota_context_token a = set_with_token("a");
    rota_context_token b = set_with_token("b");

    (void)arg;
    assert_int_equal(reset(&b), 0);
    assert_string_equal(value(), "a");
    assert_int_equal(reset(&a), 0);
    assert_string_equal(value(), "none");
    return 0;
}

static void tokens_go_back_step_by_step(void)
{
    scenario(nest_tokens);
}

/* CPython prints: none a */
static intptr_t cross_tokens(void *arg)
{
    rota_context_token a = set_with_token("a");
    rota_context_token b = set_with_token("b");

    (void)arg;
    assert_int_equal(reset(&a), 0);
    note("%s", value());
    assert_int_equal(reset(&b), 0);
    note("%s", value());
    return 0;
}

static void tokens_may_be_used_out_of_order(void)
{
    scenario(cross_tokens);
    assert_noted("none a");
}

static intptr_t misuse_tokens(void *arg)
{
    rota_context_token none = {0};
    rota_context_token token = set_with_token("a");

    (void)arg;
    assert_int_equal(reset(&none), -ROTA_ESTATE);
    assert_int_equal(rota_context_var_reset(&other, &token), -EINVAL);
    assert_string_equal(value(), "a");
    assert_int_equal(reset(&token), 0);
    assert_int_equal(reset(&token), -ROTA_ESTATE);
    assert_int_equal(rota_context_var_reset(&other, &token), -ROTA_ESTATE);
    return 0;
}

static void a_token_is_for_one_reset_of_its_variable(void)
{
    scenario(misuse_tokens);
}

static intptr_t reset_foreign(void *token)
{
    return reset(token);
}

static intptr_t lend_a_token(void *arg)
{
    rota_context_token token = set_with_token("a");
    rota_context *context = copy_here();

    (void)arg;
    assert_int_equal(rota_await(start(reset_foreign, &token)), -EINVAL);
    assert_int_equal(rota_context_run(context, reset_foreign, &token), -EINVAL);
    rota_context_free(context);
    return reset(&token);
}

static void a_token_is_of_no_use_in_another_context(void)
{
    scenario(lend_a_token);
}

static intptr_t give_token(void *token)
{
    *(rota_context_token *)token = set_with_token("a");
    return 0;
}

static intptr_t reset_in_the_same_memory(void *arg)
{
    rota_context_token token = {0};
    rota_task first = start(give_token, &token);
    rota_task second;

    (void)arg;
    assert_int_equal(rota_await(first), 0);
    second = start(reset_foreign, &token);
    assert_int_equal(first.slot, second.slot);
    return rota_await(second);
}

static void a_token_outlives_its_task_and_does_no_harm(void)
{
    assert_int_equal(run_virtually(reset_in_the_same_memory, NULL), -EINVAL);
}

/* --- Without memory ----------------------------------------------------- */

static intptr_t set_without_memory(void *arg)
{
    rota_context_token token = {0};
    rota_context *context = NULL;

    (void)arg;
    harness_fail_allocation(1);
    assert_int_equal(rota_context_var_set(&topic, "a", &token), -ENOMEM);
    assert_int_equal(reset(&token), -ROTA_ESTATE);
    assert_false(rota_context_var_is_set(&topic));
    set("a");
    harness_fail_allocation(1);
    assert_int_equal(rota_context_var_set(&other, "b", NULL), -ENOMEM);
    assert_string_equal(value(), "a");
    harness_fail_allocation(1);
    assert_int_equal(rota_copy_context(&context), -ENOMEM);
    assert_null(context);
    harness_fail_allocation(1);
    assert_int_equal(rota_task_copy_context(rota_current_task(), &context),
                     -ENOMEM);
    harness_fail_allocation(-1);
    return 0;
}

static void without_memory_nothing_is_set(void)
{
    scenario(set_without_memory);
}

static intptr_t reset_without_memory(void *arg)
{
    rota_context_token token = set_with_token("a");
    rota_context *context;

    assert_int_equal(rota_context_var_set(&other, arg, NULL), 0);
    context = copy_here(); /* the bindings are shared now */
    harness_fail_allocation(1);
    assert_int_equal(reset(&token), -ENOMEM);
    harness_fail_allocation(-1);
    assert_string_equal(value(), "a");
    assert_int_equal(reset(&token), 0);
    assert_string_equal(value(), "none");
    assert_string_equal(value_in(context), "a");
    rota_context_free(context);
    return 0;
}

static void a_reset_that_fails_can_be_tried_again(void)
{
    scenario(reset_without_memory);
}

/* --- Contexts as objects ------------------------------------------------ */

static intptr_t set_and_return_7(void *word)
{
    set(word);
    return 7;
}

static intptr_t run_in_a_copy(void *arg)
{
    rota_context *context;

    (void)arg;
    set("a");
    context = copy_here();
    set("b");
    assert_string_equal(value_in(context), "a");
    assert_null(rota_context_get(context, &other));
    assert_int_equal(rota_context_run(context, set_and_return_7, (void *)"c"),
                     7);
    assert_string_equal(value(), "b");
    assert_string_equal(value_in(context), "c");
    assert_int_equal(rota_context_run(context, fail_with_eio, NULL), -EIO);
    rota_context_free(context);
    rota_context_free(NULL);
    return 0;
}

static void what_runs_in_a_context_sets_there(void)
{
    scenario(run_in_a_copy);
}

struct nested {
    rota_context *outer;
    rota_context *inner;
};

static intptr_t run_again(void *context)
{
    return rota_context_run(context, return_arg, NULL);
}

static intptr_t run_inner(void *arg)
{
    struct nested *nested = arg;

    set("outer");
    assert_int_equal(run_again(nested->outer), -EBUSY);
    assert_int_equal(rota_context_run(nested->inner, run_again, nested->outer),
                     -EBUSY);
    assert_int_equal(
        rota_context_run(nested->inner, set_and_return_7, (void *)"inner"), 7);
    assert_string_equal(value(), "outer");
    return 0;
}

static void a_context_is_entered_once_and_others_inside(void)
{
    struct nested nested = {copy_here(), copy_here()};

    assert_int_equal(rota_context_run(nested.outer, run_inner, &nested), 0);
    assert_string_equal(value_in(nested.outer), "outer");
    assert_string_equal(value_in(nested.inner), "inner");
    assert_string_equal(value(), "none");
    assert_int_equal(run_again(nested.outer), 0);
    rota_context_free(nested.outer);
    rota_context_free(nested.inner);
}

static intptr_t run_in_its_own(void *arg)
{
    rota_context *context = copy_here();

    (void)arg;
    assert_int_equal(rota_await(start_in(context, run_again, context)), -EBUSY);
    assert_int_equal(run_again(context), 0);
    rota_context_free(context);
    return 0;
}

static void a_task_is_in_the_context_that_it_was_given(void)
{
    scenario(run_in_its_own);
}

static intptr_t await_inside(void *context)
{
    const char *before = value();
    intptr_t result = rota_context_run(context, set_and_start, (void *)"in");

    assert_string_equal(value(), before);
    return result;
}

static intptr_t run_and_await(void *arg)
{
    rota_context *context = copy_here();
    rota_task first, second;

    (void)arg;
    set("out");
    first = start(await_inside, context);
    second = start(await_inside, context);
    pass_turns(1);
    assert_string_equal(value(), "out");
    assert_string_equal(value_in(context), "in");
    assert_int_equal(rota_await(first), 0);
    assert_int_equal(rota_await(second), -EBUSY);
    rota_context_free(context);
    return 0;
}

static void what_runs_in_a_context_may_await(void)
{
    scenario(run_and_await);
}

static intptr_t run_a_loop(void *word)
{
    set(word);
    return run_virtually(expect, word);
}

static void a_whole_loop_may_run_in_a_context(void)
{
    rota_context *context = copy_here();

    assert_int_equal(rota_context_run(context, run_a_loop, (void *)"a"), 0);
    assert_string_equal(value(), "none");
    assert_string_equal(value_in(context), "a");
    rota_context_free(context);
}

/* --- The price ---------------------------------------------------------- */

static void do_nothing(void *arg)
{
    (void)arg;
}

static intptr_t do_all(rota_task *task)
{
    rota_loop *loop = rota_get_running_loop();
    rota_handle handle = {0};

    *task = start(return_arg, NULL);
    assert_int_equal(rota_call_soon(loop, &handle, do_nothing, NULL), 0);
    assert_int_equal(rota_call_soon(loop, NULL, do_nothing, NULL), 0);
    assert_null(handle.bindings);
    assert_string_equal(value(), "none");
    assert_false(rota_context_var_is_set(&topic));
    pass_turns(1);
    return rota_await(*task);
}

static intptr_t use_no_variable(void *arg)
{
    rota_task task;
    long before;

    (void)arg;
    assert_int_equal(do_all(&task), 0);
    before = harness_allocations();
    for (int i = 0; i < 100; i++)
        assert_int_equal(do_all(&task), 0);
    assert_int_equal(harness_allocations(), before);
    return 0;
}

static void nothing_is_paid_while_no_variable_was_ever_set(void)
{
    rota_context *context;

    scenario(use_no_variable);
    context = copy_here();
    assert_null(context->bindings);
    assert_string_equal(value_in(context), "none");
    rota_context_free(context);
    assert_false(rota__contexts_used);
}

static intptr_t set_and_copy_often(void *arg)
{
    rota_task task;
    long before;

    (void)arg;
    set("a");
    assert_int_equal(rota_await(start(expect, (void *)"a")), 0);
    before = harness_allocations();
    for (int i = 0; i < 100; i++) {
        task = start(expect, (void *)(i % 2 ? "b" : "a"));
        assert_int_equal(rota_await(task), 0);
        set(i % 2 ? "a" : "b"); /* nobody else refers to the bindings */
    }
    assert_int_equal(harness_allocations(), before);
    return 0;
}

static void a_copy_and_a_change_that_nobody_shares_take_no_memory(void)
{
    scenario(set_and_copy_often);
    assert_true(rota__contexts_used);
}

HARNESS_MAIN(TEST(a_variable_has_its_first_value_until_it_is_set),
             TEST(a_variable_that_was_set_to_its_first_value_is_set),
             TEST(many_variables_keep_apart), TEST(tokens_go_back_step_by_step),
             TEST(tokens_may_be_used_out_of_order),
             TEST(a_token_is_for_one_reset_of_its_variable),
             TEST(a_token_is_of_no_use_in_another_context),
             TEST(a_token_outlives_its_task_and_does_no_harm),
             TEST(without_memory_nothing_is_set),
             TEST(a_reset_that_fails_can_be_tried_again),
             TEST(what_runs_in_a_context_sets_there),
             TEST(a_context_is_entered_once_and_others_inside),
             TEST(a_task_is_in_the_context_that_it_was_given),
             TEST(what_runs_in_a_context_may_await),
             TEST(a_whole_loop_may_run_in_a_context),
             TEST(nothing_is_paid_while_no_variable_was_ever_set),
             TEST(a_copy_and_a_change_that_nobody_shares_take_no_memory))
