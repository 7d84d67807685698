/* SPDX-License-Identifier: MIT */
/*
 * Queues of each kind: their orders, items of every size, and their memory
 *
 * The order of a priority queue is that of Python's heapq, also among equals:
 * what is compared with here was made by heapq.
 */
#include "queues.h"

#include <stdlib.h>

/* --- The orders ---------------------------------------------------------- */

static void note_order(int kind)
{
    rota_queue *queue = new_kind(kind, 0);

    put(queue, 1);
    put(queue, 3);
    put(queue, 2);
    while (!rota_queue_empty(queue))
        note("%d", take(queue));
    rota_queue_free(queue);
}

static void the_last_in_is_the_first_out(void)
{
    note_order(LIFO);
    assert_noted("2 3 1");
}

static void the_least_is_the_first_out(void)
{
    note_order(PRIORITY);
    assert_noted("1 2 3");
}

static intptr_t fill_and_empty(void *kind)
{
    rota_queue *queue = new_kind((int)(intptr_t)kind, 2);
    struct user users[] = {{queue, "a", 5}, {queue, "b", 1}, {queue, "c", 3},
                           {queue, "d", 4}, {queue, "w", 0}, {queue, "x", 0},
                           {queue, "y", 0}, {queue, "z", 0}};
    rota_task tasks[8];

    for (int i = 0; i < 8; i++)
        tasks[i] = start(i < 4 ? put_one : get_one, &users[i]);
    (void)await_all(tasks, 8);
    rota_queue_free(queue);
    return 0;
}

/* asyncio: the same lines. */
static void each_kind_makes_its_putters_wait(void)
{
    assert_int_equal(run_virtually(fill_and_empty, (void *)FIFO), 0);
    assert_noted("a-put5 b-put1 w5 x1 c-put3 d-put4 y3 z4");
    assert_int_equal(run_virtually(fill_and_empty, (void *)LIFO), 0);
    assert_noted("a-put5 b-put1 w1 x5 c-put3 d-put4 y4 z3");
    assert_int_equal(run_virtually(fill_and_empty, (void *)PRIORITY), 0);
    assert_noted("a-put5 b-put1 w1 x5 c-put3 d-put4 y3 z4");
}

static intptr_t put_before_it_looks(void *kind)
{
    struct user user = {new_kind((int)(intptr_t)kind, 0), "g", 0};
    rota_task g = start(get_one, &user);

    pass_turns(1);
    put(user.queue, 5);
    put(user.queue, 1);
    put(user.queue, 3);
    (void)await_all(&g, 1);
    rota_queue_free(user.queue);
    return 0;
}

/* asyncio: the same lines. */
static void a_getter_gets_what_is_first_when_its_turn_comes(void)
{
    assert_int_equal(run_virtually(put_before_it_looks, (void *)FIFO), 0);
    assert_noted("g5");
    assert_int_equal(run_virtually(put_before_it_looks, (void *)LIFO), 0);
    assert_noted("g3");
    assert_int_equal(run_virtually(put_before_it_looks, (void *)PRIORITY), 0);
    assert_noted("g1");
}

/* --- As heapq orders them ------------------------------------------------ */

struct entry {
    int key;
    int number; /* is not compared */
};

static int compare_keys(const void *a, const void *b)
{
    return compare_ints(&((const struct entry *)a)->key,
                        &((const struct entry *)b)->key);
}

static rota_queue *new_heap(void)
{
    rota_queue *queue = NULL;

    assert_int_equal(
        rota_priority_queue_new(&queue, sizeof(struct entry), 0, compare_keys),
        0);
    return queue;
}

static void put_entry(rota_queue *queue, int key, int number)
{
    const struct entry entry = {key, number};

    assert_int_equal(rota_queue_put_nowait(queue, &entry), 0);
}

static int take_entry(rota_queue *queue)
{
    struct entry entry;

    assert_int_equal(rota_queue_get_nowait(queue, &entry), 0);
    return entry.number;
}

static void note_numbers(const int *keys, int count)
{
    rota_queue *queue = new_heap();

    for (int i = 0; i < count; i++)
        put_entry(queue, keys[i], i);
    for (int i = 0; i < count; i++)
        note("%d", take_entry(queue));
    rota_queue_free(queue);
}

static void equal_items_come_in_the_order_of_heapq(void)
{
    const int same[8] = {7, 7, 7, 7, 7, 7, 7, 7};
    const int mixed[10] = {3, 1, 3, 1, 2, 3, 1, 2, 2, 1};

    note_numbers(same, 8);
    assert_noted("0 2 6 5 7 4 1 3");
    note_numbers(mixed, 10);
    assert_noted("1 6 3 9 4 8 7 5 2 0");
}

/* The same numbers as those that heapq was given. */
static unsigned next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(*state >> 33);
}

static uint64_t hash_next(uint64_t hash, rota_queue *queue)
{
    return (hash ^ (uint64_t)take_entry(queue)) * 1099511628211U;
}

static void twenty_thousand_puts_and_gets_go_as_with_heapq(void)
{
    rota_queue *queue = new_heap();
    uint64_t hash = 14695981039346656037U;
    uint64_t state = 1;
    int put = 0;

    for (int i = 0; i < 20000; i++) {
        unsigned luck = i / 1000 % 2 == 0 ? 60 : 40;

        if (rota_queue_empty(queue) || next_random(&state) % 100 < luck)
            put_entry(queue, (int)(next_random(&state) % 50), put++);
        else
            hash = hash_next(hash, queue);
    }
    while (!rota_queue_empty(queue))
        hash = hash_next(hash, queue);
    assert_int_equal(put, 10019);
    assert_true(hash == 0x7fa62dc667a29a04U);
    rota_queue_free(queue);
}

/* --- Items of every size ------------------------------------------------- */

struct parcel {
    int number;
    char text[96];
};

static intptr_t receive(void *queue)
{
    struct parcel parcel;
    int err = rota_queue_get(queue, &parcel);

    assert_int_equal(err, 0);
    note("%d:%s:%d", parcel.number, parcel.text,
         (int)parcel.text[sizeof parcel.text - 1]);
    return err;
}

static intptr_t send_parcels(void *arg)
{
    struct parcel parcel = {1, "one"};
    rota_task receivers[2];
    rota_queue *queue;

    (void)arg;
    assert_int_equal(rota_queue_new(&queue, sizeof parcel, 1), 0);
    for (int i = 0; i < 2; i++)
        receivers[i] = start(receive, queue);
    pass_turns(1);
    parcel.text[sizeof parcel.text - 1] = 11;
    assert_int_equal(rota_queue_put(queue, &parcel), 0);
    parcel = (struct parcel){2, "two"};
    assert_int_equal(rota_queue_put(queue, &parcel), 0);
    memset(&parcel, 0xff, sizeof parcel);
    (void)await_all(receivers, 2);
    rota_queue_free(queue);
    return 0;
}

static void items_are_copied_in_and_out(void)
{
    scenario(send_parcels);
    assert_noted("1:one:11 2:two:0");
}

static intptr_t pass_pointers(void *arg)
{
    int objects[3];
    void *pointer = arg;
    rota_queue *queue;

    assert_int_equal(rota_queue_new(&queue, sizeof(void *), 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_queue_put_pointer(queue, &objects[i]), 0);
    assert_int_equal(rota_queue_put_pointer(queue, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rota_queue_get_pointer(queue, &pointer), 0);
        assert_ptr_equal(pointer, &objects[i]);
    }
    assert_int_equal(rota_queue_get_pointer(queue, &pointer), 0);
    assert_null(pointer);
    rota_queue_free(queue);
    return 0;
}

static void pointers_go_through_as_themselves(void)
{
    scenario(pass_pointers);
}

static intptr_t pass_pointers_as_ints(void *arg)
{
    rota_queue *queue = new_queue(0);
    void *pointer = queue;

    (void)arg;
    assert_int_equal(rota_queue_put_pointer(queue, queue), -EINVAL);
    put(queue, 1);
    assert_int_equal(rota_queue_get_pointer(queue, &pointer), -EINVAL);
    assert_ptr_equal(pointer, queue);
    assert_int_equal(take(queue), 1);
    rota_queue_free(queue);
    return 0;
}

static void items_of_another_size_are_no_pointers(void)
{
    scenario(pass_pointers_as_ints);
}

/* --- Beside a plain array ------------------------------------------------ */

enum { BIGGEST = 4096, MOST = 200 };

static size_t model_size;
static unsigned char model[MOST][BIGGEST];
static size_t model_count;

/* Every byte counts. */
static int compare_bytes(const void *a, const void *b)
{
    return memcmp(a, b, model_size);
}

static void make_item(unsigned char *item)
{
    for (size_t i = 0; i < model_size; i++)
        item[i] = (unsigned char)(rand() >> 7);
}

static size_t place_of_first(int kind)
{
    size_t least = 0;

    if (kind == LIFO)
        return model_count - 1;
    for (size_t i = 1; kind == PRIORITY && i < model_count; i++)
        if (compare_bytes(model[i], model[least]) < 0)
            least = i;
    return least;
}

static void put_in_both(rota_queue *queue)
{
    unsigned char item[BIGGEST];

    make_item(item);
    if (rota_queue_full(queue)) {
        assert_int_equal(rota_queue_put_nowait(queue, item), -ROTA_EFULL);
        return;
    }
    assert_int_equal(rota_queue_put_nowait(queue, item), 0);
    memcpy(model[model_count++], item, model_size);
}

static void take_from_both(rota_queue *queue, int kind)
{
    unsigned char item[BIGGEST + 1];
    size_t first;

    item[model_size] = 0xa5;
    if (model_count == 0) {
        assert_int_equal(rota_queue_get_nowait(queue, item), -ROTA_EEMPTY);
        return;
    }
    first = place_of_first(kind);
    assert_int_equal(rota_queue_get_nowait(queue, item), 0);
    assert_memory_equal(item, model[first], model_size);
    assert_int_equal(item[model_size], 0xa5);
    model_count--;
    memmove(model[first], model[first + 1], (model_count - first) * BIGGEST);
}

static void live_beside_the_model(int kind, size_t item_size, size_t maxsize)
{
    rota_queue *queue = NULL;
    int luck = 50;

    model_size = item_size;
    model_count = 0;
    assert_int_equal(
        new_kind_of(&queue, kind, item_size, maxsize, compare_bytes), 0);
    for (int i = 0; i < 600; i++) {
        if (i % 100 == 0)
            luck = 20 + rand() % 60;
        if (rand() % 100 < luck && model_count < MOST - 1)
            put_in_both(queue);
        else
            take_from_both(queue, kind);
        assert_int_equal(rota_queue_size(queue), model_count);
        assert_int_equal(rota_queue_full(queue),
                         maxsize > 0 && model_count == maxsize);
    }
    while (model_count > 0)
        take_from_both(queue, kind);
    assert_true(rota_queue_empty(queue));
    rota_queue_free(queue);
}

static void random_use_goes_as_with_a_plain_array(void)
{
    const size_t sizes[] = {1, 2, 3, 7, 8, 9, 16, 100, BIGGEST};
    const size_t limits[] = {0, 1, 5, 8, 12};

    srand(1);
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (size_t j = 0; j < sizeof limits / sizeof limits[0]; j++)
                live_beside_the_model(kind, sizes[i], limits[j]);
}

/* --- Growing ------------------------------------------------------------- */

/* Leaves a ring of 8 that is full and begins at `first`. */
static rota_queue *new_ring(int first)
{
    rota_queue *queue = new_queue(0);

    put_range(queue, 0, 8);
    for (int i = 0; i < first; i++)
        assert_int_equal(take(queue), i);
    put_range(queue, 8, 8 + first);
    return queue;
}

static void a_ring_that_has_gone_round_grows_in_order(void)
{
    for (int first = 0; first < 8; first++) {
        rota_queue *queue = new_ring(first);

        put_range(queue, 8 + first, 100);
        for (int i = first; i < 100; i++)
            assert_int_equal(take(queue), i);
        assert_true(rota_queue_empty(queue));
        rota_queue_free(queue);
    }
}

static void take_all_in_order(rota_queue *queue, int kind, int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(take(queue), kind == LIFO ? to - 1 - i + from : i);
    assert_true(rota_queue_empty(queue));
}

static void lose_nothing(int kind, int count)
{
    rota_queue *queue = new_kind(kind, 0);
    int item = count;

    put_range(queue, 0, count);
    harness_fail_allocation(1);
    assert_int_equal(rota_queue_put_nowait(queue, &item), -ENOMEM);
    assert_int_equal(rota_queue_size(queue), count);
    for (int i = 0; i < count; i++)
        assert_int_equal(rota_queue_task_done(queue), 0);
    assert_int_equal(rota_queue_task_done(queue), -ROTA_ESTATE);
    put(queue, count);
    take_all_in_order(queue, kind, 0, count + 1);
    rota_queue_free(queue);
}

static void a_put_that_gets_no_memory_has_put_nothing_and_lost_nothing(void)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int count = 0; count <= 64; count = count ? 2 * count : 8)
            lose_nothing(kind, count);
    for (int first = 0; first < 8; first++) {
        rota_queue *queue = new_ring(first);
        int item = 0;

        harness_fail_allocation(1);
        assert_int_equal(rota_queue_put_nowait(queue, &item), -ENOMEM);
        take_all_in_order(queue, FIFO, first, 8 + first);
        rota_queue_free(queue);
    }
}

static intptr_t put_without_memory(void *arg)
{
    struct user user = {new_queue(0), "g", 4};
    rota_task g = start(get_one, &user);

    (void)arg;
    pass_turns(1);
    harness_fail_allocation(1);
    assert_int_equal(rota_queue_put(user.queue, &user.item), -ENOMEM);
    pass_turns(2);
    assert_false(rota_task_done(g));
    assert_int_equal(rota_queue_join(user.queue), 0);
    assert_int_equal(rota_queue_put(user.queue, &user.item), 0);
    assert_int_equal(rota_await(g), 4);
    rota_queue_free(user.queue);
    return 0;
}

static void a_put_that_gets_no_memory_wakes_nobody(void)
{
    scenario(put_without_memory);
    assert_noted("g4");
}

static void items_too_big_for_any_memory_are_refused(void)
{
    const size_t sizes[] = {SIZE_MAX / 16 + 1, SIZE_MAX / 8, SIZE_MAX / 8 + 1,
                            SIZE_MAX / 8 + 2,  SIZE_MAX / 2, SIZE_MAX};
    rota_queue *queue;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(rota_queue_new(&queue, sizes[i], 1), 0);
        assert_int_equal(rota_queue_put_nowait(queue, "x"), -ENOMEM);
        assert_true(rota_queue_empty(queue));
        rota_queue_free(queue);
    }
}

static void a_limit_may_be_as_big_as_numbers_are(void)
{
    rota_queue *queue = new_queue(SIZE_MAX - 1);

    assert_true(rota_queue_maxsize(queue) == SIZE_MAX - 1);
    put_range(queue, 0, 100);
    assert_false(rota_queue_full(queue));
    take_all_in_order(queue, FIFO, 0, 100);
    rota_queue_free(queue);
    queue = new_queue(SIZE_MAX); /* no limit */
    put_range(queue, 0, 100);
    assert_false(rota_queue_full(queue));
    rota_queue_free(queue);
}

static void memory_is_taken_as_items_come_and_kept(void)
{
    rota_queue *queue = new_queue(1000000);
    long before = harness_allocations();

    put(queue, 0);
    assert_int_equal(harness_allocations() - before, 1);
    put_range(queue, 1, 8);
    assert_int_equal(harness_allocations() - before, 1);
    put_range(queue, 8, 64);
    assert_int_equal(harness_allocations() - before, 4);
    for (int round = 0; round < 50; round++) {
        take_all_in_order(queue, FIFO, 0, 64);
        put_range(queue, 0, 64);
    }
    assert_int_equal(harness_allocations() - before, 4);
    rota_queue_free(queue);
}

static intptr_t wait_in_every_way(void *arg)
{
    struct user users[] = {
        {new_queue(1), "g", 0}, {NULL, "p", 3}, {NULL, "j", 0}};
    rota_task tasks[3];
    long before;

    (void)arg;
    users[1].queue = users[2].queue = users[0].queue;
    put(users[0].queue, 1);
    (void)take(users[0].queue);
    tasks[0] = start(get_one, &users[0]);
    pass_turns(1);
    tasks[1] = start(put_one, &users[1]);
    tasks[2] = start(join, &users[2]);
    put(users[0].queue, 2);
    before = harness_allocations();
    pass_turns(3);
    assert_int_equal(take(users[0].queue), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_queue_task_done(users[0].queue), 0);
    pass_turns(2);
    assert_int_equal(harness_allocations(), before);
    (void)await_all(tasks, 3);
    rota_queue_free(users[0].queue);
    return 0;
}

static void a_wait_takes_no_memory(void)
{
    scenario(wait_in_every_way);
    assert_noted("g2 p-put3 j-joined0");
}

HARNESS_MAIN(TEST(the_last_in_is_the_first_out),
             TEST(the_least_is_the_first_out),
             TEST(each_kind_makes_its_putters_wait),
             TEST(a_getter_gets_what_is_first_when_its_turn_comes),
             TEST(equal_items_come_in_the_order_of_heapq),
             TEST(twenty_thousand_puts_and_gets_go_as_with_heapq),
             TEST(items_are_copied_in_and_out),
             TEST(pointers_go_through_as_themselves),
             TEST(items_of_another_size_are_no_pointers),
             TEST(random_use_goes_as_with_a_plain_array),
             TEST(a_ring_that_has_gone_round_grows_in_order),
             TEST(a_put_that_gets_no_memory_has_put_nothing_and_lost_nothing),
             TEST(a_put_that_gets_no_memory_wakes_nobody),
             TEST(items_too_big_for_any_memory_are_refused),
             TEST(a_limit_may_be_as_big_as_numbers_are),
             TEST(memory_is_taken_as_items_come_and_kept),
             TEST(a_wait_takes_no_memory))
