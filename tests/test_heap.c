/* SPDX-License-Identifier: MIT */
/*
 * The heap under the timers, beside a model that searches an array
 *
 * A node of the model knows its key and the number of its last insertion or
 * move; the heap must always hand out the least such pair.
 */
#include "harness.h"

#include "base/base.h"

#include <limits.h>

#define NODES 300

struct node {
    struct rota__heap_node base;
    int64_t key;
    uint64_t sequence;
    bool inside;
};

struct model {
    struct rota__heap heap;
    struct node nodes[NODES];
    size_t count;
    uint64_t sequence;
    uint64_t random;
};

static bool is_before(const struct node *a, const struct node *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static struct node *least(struct model *model)
{
    struct node *found = NULL;

    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &model->nodes[i];

        if (node->inside && (!found || is_before(node, found)))
            found = node;
    }
    return found;
}

static void insert(struct model *model, struct node *node, int64_t key)
{
    assert_int_equal(rota__heap_insert(&model->heap, &node->base, key), 0);
    node->key = key;
    node->sequence = model->sequence++;
    node->inside = true;
    model->count++;
}

static void move(struct model *model, struct node *node, int64_t key)
{
    rota__heap_move(&model->heap, &node->base, key);
    node->key = key;
    node->sequence = model->sequence++;
}

static void take_out(struct model *model, struct node *node)
{
    rota__heap_remove(&model->heap, &node->base);
    node->inside = false;
    model->count--;
}

static void compare(struct model *model)
{
    struct node *wanted = least(model);

    assert_int_equal(rota__heap_count(&model->heap), model->count);
    assert_ptr_equal(rota__heap_min(&model->heap),
                     wanted ? &wanted->base : NULL);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(rota__heap_contains(&model->nodes[i].base),
                         model->nodes[i].inside);
}

/* Few keys, so that many are equal. */
static int64_t some_key(struct model *model, uint64_t keys)
{
    return (int64_t)(rota__random(&model->random) % keys) - (int64_t)keys / 2;
}

static void step(struct model *model, uint64_t keys)
{
    uint64_t dice = rota__random(&model->random);
    struct node *node = &model->nodes[dice / 16 % NODES];

    if (!node->inside)
        insert(model, node, some_key(model, keys));
    else if (dice % 16 < 8)
        move(model, node, some_key(model, keys));
    else if (dice % 16 < 10)
        move(model, node, node->key + 1);
    else if (dice % 16 < 12)
        move(model, node, node->key);
    else
        take_out(model, node);
}

static void drain(struct model *model)
{
    while (model->count > 0) {
        struct node *wanted = least(model);

        assert_ptr_equal(rota__heap_min(&model->heap), &wanted->base);
        take_out(model, wanted);
    }
    assert_null(rota__heap_min(&model->heap));
}

/* Looking at the least lets the heap catch up: do it not every time. */
static void live_beside_the_model(uint64_t seed, uint64_t keys, int look_each)
{
    static struct model model;

    model = (struct model){.random = seed};
    rota__heap_init(&model.heap);
    for (int i = 0; i < 6000; i++) {
        step(&model, keys);
        if (i % look_each == 0)
            compare(&model);
    }
    drain(&model);
    rota__heap_fini(&model.heap);
}

static void random_operations_agree_with_a_naive_model(void)
{
    live_beside_the_model(1, UINT64_C(1) << 40, 1);
    live_beside_the_model(2, UINT64_C(1) << 40, 7);
    live_beside_the_model(3, UINT64_C(1) << 40, 500);
}

static void random_operations_with_many_ties_agree_with_the_model(void)
{
    live_beside_the_model(4, 5, 1);
    live_beside_the_model(5, 20, 7);
    live_beside_the_model(6, 2, 500);
}

static void an_empty_heap_has_no_least(void)
{
    struct rota__heap heap;

    rota__heap_init(&heap);
    assert_null(rota__heap_min(&heap));
    assert_int_equal(rota__heap_count(&heap), 0);
    rota__heap_fini(&heap);
}

static void expect_order(struct rota__heap *heap, struct rota__heap_node *nodes,
                         const int *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct rota__heap_node *least_node = rota__heap_min(heap);

        assert_non_null(least_node);
        assert_int_equal(least_node - nodes, order[i]);
        rota__heap_remove(heap, least_node);
    }
    assert_null(rota__heap_min(heap));
    rota__heap_fini(heap);
}

static void fill(struct rota__heap *heap, struct rota__heap_node *nodes,
                 int64_t key, size_t count)
{
    rota__heap_init(heap);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rota__heap_insert(heap, &nodes[i], key), 0);
}

static void equal_keys_leave_in_the_order_of_insertion(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[6];

    fill(&heap, nodes, 7, 6);
    expect_order(&heap, nodes, (int[]){0, 1, 2, 3, 4, 5}, 6);
}

static void a_moved_node_goes_behind_its_equals(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[4];

    fill(&heap, nodes, 7, 4);
    rota__heap_move(&heap, &nodes[0], 7);
    rota__heap_move(&heap, &nodes[2], 8); /* away and back again */
    rota__heap_move(&heap, &nodes[2], 7);
    expect_order(&heap, nodes, (int[]){1, 3, 0, 2}, 4);
}

static void a_move_to_an_earlier_key_takes_effect_at_once(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[5];

    fill(&heap, nodes, 7, 5);
    rota__heap_move(&heap, &nodes[3], 6);
    rota__heap_move(&heap, &nodes[4], INT64_MIN);
    assert_ptr_equal(rota__heap_min(&heap), &nodes[4]);
    expect_order(&heap, nodes, (int[]){4, 3, 0, 1, 2}, 5);
}

static void a_node_pushed_back_many_times_has_its_last_key(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[4];

    fill(&heap, nodes, 0, 4);
    for (int key = 1; key <= 100; key++)
        rota__heap_move(&heap, &nodes[0], key);
    rota__heap_move(&heap, &nodes[1], 99);
    rota__heap_move(&heap, &nodes[0], 50);
    assert_int_equal(nodes[0].key, 50);
    expect_order(&heap, nodes, (int[]){2, 3, 0, 1}, 4);
}

static void a_node_that_was_pushed_back_can_be_removed(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[4];

    fill(&heap, nodes, 0, 4);
    rota__heap_move(&heap, &nodes[0], 100);
    rota__heap_remove(&heap, &nodes[0]);
    assert_false(rota__heap_contains(&nodes[0]));
    assert_int_equal(rota__heap_count(&heap), 3);
    expect_order(&heap, nodes, (int[]){1, 2, 3}, 3);
}

static void the_ends_of_the_key_range_are_keys(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[3];

    rota__heap_init(&heap);
    assert_int_equal(rota__heap_insert(&heap, &nodes[0], INT64_MAX), 0);
    assert_int_equal(rota__heap_insert(&heap, &nodes[1], 0), 0);
    assert_int_equal(rota__heap_insert(&heap, &nodes[2], INT64_MIN), 0);
    expect_order(&heap, nodes, (int[]){2, 1, 0}, 3);
}

static void the_order_of_equals_survives_the_wrap_of_the_counter(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[6];

    rota__heap_init(&heap);
    heap.sequence -= 3; /* as after four thousand million insertions */
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(rota__heap_insert(&heap, &nodes[i], 7), 0);
    rota__heap_move(&heap, &nodes[1], 7);
    expect_order(&heap, nodes, (int[]){0, 2, 3, 4, 5, 1}, 6);
}

static void at_shows_each_node_once(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[50];
    int seen[50] = {0};

    fill(&heap, nodes, 3, 50);
    for (size_t i = 0; i < rota__heap_count(&heap); i++)
        seen[rota__heap_at(&heap, i) - nodes]++;
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(seen[i], 1);
    rota__heap_fini(&heap);
}

static void without_memory_an_insertion_changes_nothing(void)
{
    struct rota__heap heap;
    struct rota__heap_node nodes[1000];
    struct rota__heap_node extra = {0};
    size_t inside = 0;
    int refused = 0;

    rota__heap_init(&heap);
    while (inside < 1000) {
        harness_fail_allocation(1);
        if (rota__heap_insert(&heap, &extra, -1) == -ENOMEM) {
            refused++;
            assert_false(rota__heap_contains(&extra));
            assert_int_equal(rota__heap_count(&heap), inside);
            assert_ptr_equal(rota__heap_min(&heap), inside ? nodes : NULL);
        } else
            rota__heap_remove(&heap, &extra);
        harness_fail_allocation(-1);
        assert_int_equal(rota__heap_insert(&heap, &nodes[inside], 5), 0);
        inside++;
    }
    assert_in_range(refused, 2, 10);
    for (size_t i = 0; i < 1000; i++) {
        assert_ptr_equal(rota__heap_min(&heap), &nodes[i]);
        rota__heap_remove(&heap, &nodes[i]);
    }
    rota__heap_fini(&heap);
}

/* Many at once */

#define CROWD 5000

static struct node crowd[CROWD];

/* Inserts all, then moves some: which leaves stale places behind. */
static void make_crowd(struct rota__heap *heap, int64_t keys)
{
    uint64_t random = 11;
    uint64_t sequence = 0;

    rota__heap_init(heap);
    heap->sequence -= CROWD; /* it wraps on the way */
    for (size_t i = 0; i < 2 * CROWD; i++) {
        struct node *node = &crowd[i % CROWD];
        int64_t key = (int64_t)(rota__random(&random) % (uint64_t)keys);

        if (i < CROWD)
            assert_int_equal(rota__heap_insert(heap, &node->base, key), 0);
        else if (i % 3 == 0)
            rota__heap_move(heap, &node->base, key);
        else
            continue;
        node->key = key;
        node->sequence = sequence++;
        node->inside = true;
    }
}

static size_t count_due(int64_t key)
{
    size_t count = 0;

    for (size_t i = 0; i < CROWD; i++)
        count += crowd[i].key <= key;
    return count;
}

static struct node *node_of(struct rota__heap_node *base)
{
    return rota__container_of(base, struct node, base);
}

static void take_many(int64_t keys, int64_t key)
{
    struct rota__heap heap;
    struct rota__heap_due *due;
    struct node *before = NULL;
    size_t count = 0;

    make_crowd(&heap, keys);
    due = rota__heap_take_many(&heap, key, &count);
    assert_non_null(due);
    assert_int_equal(count, count_due(key));
    assert_int_equal(rota__heap_count(&heap), CROWD - count);
    for (size_t i = 0; i < CROWD; i++) {
        struct rota__heap_node *next =
            i < count ? due[i].node : rota__heap_min(&heap);

        assert_non_null(next);
        assert_true(!before || is_before(before, node_of(next)));
        before = node_of(next);
        if (i >= count)
            rota__heap_remove(&heap, next);
    }
    assert_null(rota__heap_min(&heap));
    rota__free(due);
    rota__heap_fini(&heap);
}

static void many_that_are_due_are_taken_in_order(void)
{
    take_many(INT64_C(1) << 50, INT64_C(1) << 49);
    take_many(100000, 99999); /* all */
    take_many(7, 3);          /* with many ties */
    take_many(1, 0);
}

static void few_that_are_due_are_not_taken_together(void)
{
    struct rota__heap heap;
    size_t count = 0;

    make_crowd(&heap, 1000000);
    assert_null(rota__heap_take_many(&heap, 1000, &count));
    assert_null(rota__heap_take_many(&heap, -1, &count));
    while (rota__heap_count(&heap) > 500)
        rota__heap_remove(&heap, rota__heap_min(&heap));
    assert_null(rota__heap_take_many(&heap, 1000000, &count));
    assert_int_equal(rota__heap_count(&heap), 500);
    rota__heap_fini(&heap);
}

static void without_memory_none_are_taken_together(void)
{
    struct rota__heap heap;
    struct rota__heap_node *first;
    size_t count = 0;

    make_crowd(&heap, 1000);
    first = rota__heap_min(&heap);
    harness_fail_allocation(1);
    assert_null(rota__heap_take_many(&heap, 1000, &count));
    assert_int_equal(rota__heap_count(&heap), CROWD);
    assert_ptr_equal(rota__heap_min(&heap), first);
    rota__heap_fini(&heap);
}

HARNESS_MAIN(TEST(random_operations_agree_with_a_naive_model),
             TEST(random_operations_with_many_ties_agree_with_the_model),
             TEST(an_empty_heap_has_no_least),
             TEST(equal_keys_leave_in_the_order_of_insertion),
             TEST(a_moved_node_goes_behind_its_equals),
             TEST(a_move_to_an_earlier_key_takes_effect_at_once),
             TEST(a_node_pushed_back_many_times_has_its_last_key),
             TEST(a_node_that_was_pushed_back_can_be_removed),
             TEST(the_ends_of_the_key_range_are_keys),
             TEST(the_order_of_equals_survives_the_wrap_of_the_counter),
             TEST(at_shows_each_node_once),
             TEST(without_memory_an_insertion_changes_nothing),
             TEST(many_that_are_due_are_taken_in_order),
             TEST(few_that_are_due_are_not_taken_together),
             TEST(without_memory_none_are_taken_together))
