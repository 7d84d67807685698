/* SPDX-License-Identifier: MIT */
/*
 * Contexts: a variable that the tests of context variables set and look at
 */
#ifndef TESTS_CONTEXTS_H
#define TESTS_CONTEXTS_H

#include "scenario.h"

static rota_context_var topic = ROTA_CONTEXT_VAR("topic", "none");

static inline const char *value(void)
{
    return rota_context_var_get(&topic);
}

static inline const char *value_in(const rota_context *context)
{
    return rota_context_get(context, &topic);
}

static inline void set(const char *word)
{
    assert_int_equal(rota_context_var_set(&topic, (void *)word, NULL), 0);
}

static inline rota_context_token set_with_token(const char *word)
{
    rota_context_token token;

    assert_int_equal(rota_context_var_set(&topic, (void *)word, &token), 0);
    return token;
}

static inline int reset(rota_context_token *token)
{
    return rota_context_var_reset(&topic, token);
}

static inline rota_context *copy_here(void)
{
    rota_context *context = NULL;

    assert_int_equal(rota_copy_context(&context), 0);
    return context;
}

static inline intptr_t expect(void *word)
{
    assert_string_equal(value(), word);
    pass_turns(2);
    assert_string_equal(value(), word);
    return 0;
}

/* Its child must find what it has set. */
static inline intptr_t set_and_start(void *word)
{
    set(word);
    return rota_await(start(expect, word));
}

static inline rota_task start_in(rota_context *context,
                                 rota_task_function *function, void *arg)
{
    const rota_task_options options = {.context = context};
    rota_task task;

    assert_int_equal(rota_create_task_with(&task, &options, function, arg), 0);
    return task;
}

#endif
