/* SPDX-License-Identifier: MIT */
/*
 * base: errors, memory, lists, random numbers
 */
#include "harness.h"

#include "base/base.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Errors */

static void every_error_of_ours_has_its_name_and_text(void)
{
#define CHECK(name, number, text)                                              \
    assert_int_equal(name, number);                                            \
    assert_string_equal(rota_errname(name), #name);                            \
    assert_string_equal(rota_errname(-name), #name);                           \
    assert_string_equal(rota_strerror(name), text);                            \
    assert_string_equal(rota_strerror(-name), text);
    ROTA_ERRORS(CHECK)
#undef CHECK
}

static void every_error_of_ours_has_a_number_of_its_own(void)
{
    static const int numbers[] = {
#define NUMBER(name, number, text) name,
        ROTA_ERRORS(NUMBER)
#undef NUMBER
    };

    for (size_t i = 0; i < rota__countof(numbers); i++) {
        assert_in_range(numbers[i], 4000, 4095);
        assert_true(rota_is_error(-numbers[i]));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(numbers[i], numbers[j]);
    }
}

static void errors_of_the_system_have_names_and_texts(void)
{
    assert_string_equal(rota_errname(-ECONNRESET), "ECONNRESET");
    assert_string_equal(rota_errname(ETIMEDOUT), "ETIMEDOUT");
    assert_string_equal(rota_strerror(-ENOENT), strerror(ENOENT));
    assert_string_equal(rota_strerror(ENOMEM), strerror(ENOMEM));
}

static void what_is_no_error_has_a_text_all_the_same(void)
{
    const intptr_t odd[] = {0,     3999,       -3999,      -4095,     -4096,
                            70000, INTPTR_MAX, INTPTR_MIN, INT_MIN,   INT_MAX,
                            4096,  -70000,     1 << 20,    -(1 << 20)};

    for (size_t i = 0; i < rota__countof(odd); i++) {
        assert_non_null(rota_strerror(odd[i]));
        assert_string_equal(rota_errname(odd[i]), "UNKNOWN");
    }
}

static void only_the_last_4095_negative_values_are_errors(void)
{
    assert_false(rota_is_error(0));
    assert_true(rota_is_error(-1));
    assert_true(rota_is_error(-4095));
    assert_false(rota_is_error(-4096));
    assert_false(rota_is_error(1));
    assert_false(rota_is_error(4095));
    assert_false(rota_is_error(INTPTR_MIN));
    assert_false(rota_is_error(INTPTR_MAX));
}

static void the_version_is_made_of_its_three_numbers(void)
{
    char wanted[64];

    snprintf(wanted, sizeof wanted, "%d.%d.%d", ROTA_VERSION_MAJOR,
             ROTA_VERSION_MINOR, ROTA_VERSION_PATCH);
    assert_string_equal(rota_version(), wanted);
    assert_string_equal(ROTA_VERSION, wanted);
}

static void a_fatal_error_says_why_and_aborts(void)
{
    rota__fatal("the %s is %d", "answer", 42);
}

static void a_broken_invariant_names_its_place(void)
{
    rota__invariant_failed("a < b", "here.c", 17);
}

/* Memory */

struct calls {
    int allocated;
    int reallocated;
    int released;
};

static void *counted_allocate(void *ctx, size_t size)
{
    struct calls *calls = ctx;

    calls->allocated++;
    return malloc(size);
}

static void *counted_reallocate(void *ctx, void *ptr, size_t size)
{
    struct calls *calls = ctx;

    calls->reallocated++;
    return realloc(ptr, size);
}

static void counted_release(void *ctx, void *ptr)
{
    struct calls *calls = ctx;

    calls->released++;
    free(ptr);
}

static void an_allocator_that_is_set_gets_every_call(void)
{
    struct calls calls = {0};
    rota_allocator mine = {counted_allocate, counted_reallocate,
                           counted_release, &calls};
    char *block;

    assert_int_equal(rota_set_allocator(&mine), 0);
    mine = (rota_allocator){0}; /* it was copied */
    block = rota__alloc(10);
    assert_non_null(block);
    block = rota__realloc(block, 1000);
    assert_non_null(block);
    rota__free(block);
    rota__free(NULL);
    assert_int_equal(calls.allocated, 1);
    assert_int_equal(calls.reallocated, 1);
    assert_int_equal(calls.released, 1);
    assert_int_equal(rota_set_allocator(&harness_allocator), 0);
}

static void zeroed_memory_is_zero_and_may_be_refused(void)
{
    static const char zeroes[300];
    char *block = rota__alloc(sizeof zeroes);

    memset(block, 'x', sizeof zeroes);
    rota__free(block);
    block = rota__zalloc(sizeof zeroes);
    assert_memory_equal(block, zeroes, sizeof zeroes);
    rota__free(block);
    harness_fail_allocation(1);
    assert_null(rota__zalloc(1));
}

static void null_brings_malloc_back(void)
{
    long before = harness_allocations();
    void *block;

    assert_int_equal(rota_set_allocator(NULL), 0);
    block = rota__realloc(rota__alloc(10), 20);
    assert_non_null(block);
    rota__free(block);
    assert_int_equal(harness_allocations(), before);
    assert_int_equal(rota_set_allocator(&harness_allocator), 0);
}

static void an_allocator_with_a_missing_function_is_refused(void)
{
    rota_allocator partial = harness_allocator;
    long before = harness_allocations();

    partial.allocate = NULL;
    assert_int_equal(rota_set_allocator(&partial), -EINVAL);
    partial = harness_allocator;
    partial.reallocate = NULL;
    assert_int_equal(rota_set_allocator(&partial), -EINVAL);
    partial = harness_allocator;
    partial.release = NULL;
    assert_int_equal(rota_set_allocator(&partial), -EINVAL);
    rota__free(rota__alloc(1));
    assert_int_equal(harness_allocations(), before + 1);
}

/* Lists */

struct item {
    int number;
    struct rota__link link;
};

static void fill(struct rota__link *list, struct item *items, int count,
                 int first)
{
    rota__list_init(list);
    for (int i = 0; i < count; i++) {
        items[i].number = first + i;
        rota__list_push(list, &items[i].link);
    }
}

static int pop_number(struct rota__link *list)
{
    struct rota__link *link = rota__list_pop(list);

    return link ? rota__container_of(link, struct item, link)->number : -1;
}

static void a_list_gives_back_in_the_order_of_pushing(void)
{
    struct rota__link list;
    struct item items[3];

    fill(&list, items, 3, 0);
    assert_false(rota__list_empty(&list));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pop_number(&list), i);
    assert_true(rota__list_empty(&list));
    assert_int_equal(pop_number(&list), -1);
}

static void a_node_may_be_removed_twice(void)
{
    struct rota__link list;
    struct item items[3];

    fill(&list, items, 3, 0);
    rota__list_remove(&items[1].link);
    rota__list_remove(&items[1].link);
    assert_true(rota__list_empty(&items[1].link));
    assert_int_equal(pop_number(&list), 0);
    assert_int_equal(pop_number(&list), 2);
    assert_int_equal(pop_number(&list), -1);
}

static void a_cut_node_goes_into_another_list(void)
{
    struct rota__link list;
    struct rota__link other;
    struct item items[2];

    fill(&list, items, 2, 0);
    rota__list_init(&other);
    rota__list_cut(&items[0].link);
    rota__list_push(&other, &items[0].link);
    assert_int_equal(pop_number(&list), 1);
    assert_int_equal(pop_number(&list), -1);
    assert_int_equal(pop_number(&other), 0);
}

static void a_popped_node_is_on_no_list(void)
{
    struct rota__link list;
    struct item items[1];

    fill(&list, items, 1, 0);
    assert_ptr_equal(rota__list_pop(&list), &items[0].link);
    assert_true(rota__list_empty(&items[0].link));
}

static void appending_moves_all_to_the_end(void)
{
    struct rota__link list;
    struct rota__link more;
    struct item items[4];

    fill(&list, items, 2, 0);
    fill(&more, items + 2, 2, 2);
    rota__list_append(&list, &more);
    assert_true(rota__list_empty(&more));
    rota__list_append(&list, &more); /* of an empty one changes nothing */
    for (int i = 0; i < 4; i++)
        assert_int_equal(pop_number(&list), i);
    assert_int_equal(pop_number(&list), -1);
}

static void prepending_moves_all_to_the_front(void)
{
    struct rota__link list;
    struct rota__link more;
    struct item items[4];

    fill(&list, items, 2, 2);
    fill(&more, items + 2, 2, 0);
    rota__list_prepend(&list, &more);
    assert_true(rota__list_empty(&more));
    rota__list_prepend(&list, &more);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pop_number(&list), i);
    assert_int_equal(pop_number(&list), -1);
}

static void an_empty_list_takes_another_from_either_end(void)
{
    struct rota__link list;
    struct rota__link more;
    struct item items[2];

    rota__list_init(&list);
    fill(&more, items, 2, 0);
    rota__list_append(&list, &more);
    rota__list_prepend(&more, &list);
    assert_true(rota__list_empty(&list));
    assert_int_equal(pop_number(&more), 0);
    assert_int_equal(pop_number(&more), 1);
    assert_true(rota__list_empty(&more));
}

/* Random numbers */

static void the_same_seed_gives_the_same_numbers(void)
{
    uint64_t one = 42;
    uint64_t two = 42;
    uint64_t other = 43;
    int same = 0;

    for (int i = 0; i < 1000; i++) {
        uint64_t value = rota__random(&one);

        assert_true(value == rota__random(&two));
        same += value == rota__random(&other);
        assert_true(one != 0);
    }
    assert_int_equal(same, 0);
}

static void random_numbers_spread_over_all_bits(void)
{
    uint64_t state = 1;
    int ones[64] = {0};

    for (int i = 0; i < 10000; i++) {
        uint64_t value = rota__random(&state);

        for (int bit = 0; bit < 64; bit++)
            ones[bit] += (int)(value >> bit & 1);
    }
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(ones[bit], 4700, 5300);
}

HARNESS_MAIN(TEST(every_error_of_ours_has_its_name_and_text),
             TEST(every_error_of_ours_has_a_number_of_its_own),
             TEST(errors_of_the_system_have_names_and_texts),
             TEST(what_is_no_error_has_a_text_all_the_same),
             TEST(only_the_last_4095_negative_values_are_errors),
             TEST(the_version_is_made_of_its_three_numbers),
             TEST_EXPECT_SIGNAL(a_fatal_error_says_why_and_aborts, SIGABRT,
                                "rota: the answer is 42\n"),
             TEST_EXPECT_SIGNAL(a_broken_invariant_names_its_place, SIGABRT,
                                "here.c:17: invariant broken: a < b"),
             TEST(an_allocator_that_is_set_gets_every_call),
             TEST(zeroed_memory_is_zero_and_may_be_refused),
             TEST(null_brings_malloc_back),
             TEST(an_allocator_with_a_missing_function_is_refused),
             TEST(a_list_gives_back_in_the_order_of_pushing),
             TEST(a_node_may_be_removed_twice),
             TEST(a_cut_node_goes_into_another_list),
             TEST(a_popped_node_is_on_no_list),
             TEST(appending_moves_all_to_the_end),
             TEST(prepending_moves_all_to_the_front),
             TEST(an_empty_list_takes_another_from_either_end),
             TEST(the_same_seed_gives_the_same_numbers),
             TEST(random_numbers_spread_over_all_bits))
