/* SPDX-License-Identifier: MIT */
/*
 * Byte buffers, beside a model that never moves a byte
 */
#include "harness.h"

#include "base/base.h"

#include <string.h>

/* The n-th byte of the stream that all tests send. */
static char byte_at(size_t n)
{
    return (char)(n * 7 + n / 251);
}

static void append_stream(struct rota__buffer *buffer, size_t from, size_t size)
{
    char bytes[4096];

    assert_true(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(from + i);
    assert_int_equal(rota__buffer_append(buffer, bytes, size), 0);
}

static void expect_stream(const struct rota__buffer *buffer, size_t from,
                          size_t size)
{
    const char *data = rota__buffer_data(buffer);

    assert_int_equal(rota__buffer_size(buffer), size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], byte_at(from + i));
}

static void bytes_leave_in_the_order_in_which_they_came(void)
{
    struct rota__buffer buffer;

    rota__buffer_init(&buffer);
    append_stream(&buffer, 0, 100);
    append_stream(&buffer, 100, 1000);
    expect_stream(&buffer, 0, 1100);
    rota__buffer_consume(&buffer, 50);
    expect_stream(&buffer, 50, 1050);
    append_stream(&buffer, 1100, 4000);
    expect_stream(&buffer, 50, 5050);
    rota__buffer_fini(&buffer);
}

static void random_appends_and_takes_lose_nothing(void)
{
    struct rota__buffer buffer;
    uint64_t random = 7;
    size_t written = 0;
    size_t taken = 0;

    rota__buffer_init(&buffer);
    for (int i = 0; i < 2000; i++) {
        size_t size = rota__random(&random) % 700;

        if (rota__random(&random) % 2) {
            append_stream(&buffer, written, size);
            written += size;
        } else {
            size = size < written - taken ? size : written - taken;
            rota__buffer_consume(&buffer, size);
            taken += size;
        }
        if (i % 16 == 0)
            expect_stream(&buffer, taken, written - taken);
    }
    expect_stream(&buffer, taken, written - taken);
    rota__buffer_fini(&buffer);
}

static void a_new_buffer_is_empty_and_owns_nothing(void)
{
    struct rota__buffer buffer;

    rota__buffer_init(&buffer);
    assert_int_equal(rota__buffer_size(&buffer), 0);
    assert_int_equal(rota__buffer_reserve(&buffer, 0), 0);
    assert_int_equal(rota__buffer_append(&buffer, NULL, 0), 0);
    assert_int_equal(harness_live_blocks(), 0);
    rota__buffer_fini(&buffer);
    rota__buffer_fini(&buffer);
}

static void reserved_room_is_filled_in_place(void)
{
    struct rota__buffer buffer;
    char *room;

    rota__buffer_init(&buffer);
    append_stream(&buffer, 0, 10);
    assert_int_equal(rota__buffer_reserve(&buffer, 3000), 0);
    room = buffer.memory + buffer.end;
    for (size_t i = 0; i < 3000; i++)
        room[i] = byte_at(10 + i);
    assert_int_equal(rota__buffer_size(&buffer), 10);
    rota__buffer_filled(&buffer, 3000);
    expect_stream(&buffer, 0, 3010);
    rota__buffer_fini(&buffer);
}

static void a_reservation_that_was_made_costs_no_memory_again(void)
{
    struct rota__buffer buffer;
    long before;

    rota__buffer_init(&buffer);
    assert_int_equal(rota__buffer_reserve(&buffer, 5000), 0);
    before = harness_allocations();
    for (int i = 0; i < 5; i++)
        append_stream(&buffer, (size_t)i * 1000, 1000);
    assert_int_equal(harness_allocations(), before);
    rota__buffer_fini(&buffer);
}

/* What a connection does that answers each request before the next. */
static void a_buffer_that_is_emptied_in_time_never_grows(void)
{
    struct rota__buffer buffer;
    long before;

    rota__buffer_init(&buffer);
    append_stream(&buffer, 0, 400);
    before = harness_allocations();
    for (size_t i = 0; i < 1000; i++) {
        rota__buffer_consume(&buffer, 300);
        append_stream(&buffer, 400 + i * 300, 300);
    }
    expect_stream(&buffer, 300 * 1000, 400);
    assert_int_equal(harness_allocations(), before);
    rota__buffer_fini(&buffer);
}

static void growing_is_rare(void)
{
    struct rota__buffer buffer;
    long before = harness_allocations();

    rota__buffer_init(&buffer);
    for (size_t i = 0; i < 10000; i++)
        append_stream(&buffer, i * 100, 100);
    assert_in_range(harness_allocations() - before, 1, 20);
    expect_stream(&buffer, 0, 1000000);
    rota__buffer_fini(&buffer);
}

static void a_big_buffer_that_is_empty_gives_its_memory_back(void)
{
    struct rota__buffer buffer;

    rota__buffer_init(&buffer);
    for (size_t i = 0; i < 100; i++)
        append_stream(&buffer, i * 1000, 1000);
    rota__buffer_consume(&buffer, 99999);
    assert_int_equal(harness_live_blocks(), 1);
    rota__buffer_consume(&buffer, 1);
    assert_int_equal(harness_live_blocks(), 0);
    append_stream(&buffer, 0, 10);
    expect_stream(&buffer, 0, 10);
    rota__buffer_fini(&buffer);
}

static void a_small_buffer_keeps_its_memory(void)
{
    struct rota__buffer buffer;
    long before;

    rota__buffer_init(&buffer);
    append_stream(&buffer, 0, 500);
    before = harness_allocations();
    rota__buffer_consume(&buffer, 500);
    append_stream(&buffer, 0, 500);
    assert_int_equal(harness_allocations(), before);
    rota__buffer_fini(&buffer);
}

static void without_memory_nothing_is_appended_or_lost(void)
{
    struct rota__buffer buffer;
    char big[4096] = {0};

    rota__buffer_init(&buffer);
    harness_fail_allocation(1);
    assert_int_equal(rota__buffer_append(&buffer, big, 1), -ENOMEM);
    assert_int_equal(rota__buffer_size(&buffer), 0);
    append_stream(&buffer, 0, 500);
    rota__buffer_consume(&buffer, 100);
    harness_fail_allocation(1);
    assert_int_equal(rota__buffer_append(&buffer, big, sizeof big), -ENOMEM);
    expect_stream(&buffer, 100, 400);
    append_stream(&buffer, 500, 4000);
    expect_stream(&buffer, 100, 4400);
    rota__buffer_fini(&buffer);
}

static void an_impossible_size_is_refused(void)
{
    struct rota__buffer buffer;

    rota__buffer_init(&buffer);
    append_stream(&buffer, 0, 100);
    assert_int_equal(rota__buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
    assert_int_equal(rota__buffer_reserve(&buffer, SIZE_MAX - 99), -ENOMEM);
    expect_stream(&buffer, 0, 100);
    rota__buffer_fini(&buffer);
}

HARNESS_MAIN(TEST(bytes_leave_in_the_order_in_which_they_came),
             TEST(random_appends_and_takes_lose_nothing),
             TEST(a_new_buffer_is_empty_and_owns_nothing),
             TEST(reserved_room_is_filled_in_place),
             TEST(a_reservation_that_was_made_costs_no_memory_again),
             TEST(a_buffer_that_is_emptied_in_time_never_grows),
             TEST(growing_is_rare),
             TEST(a_big_buffer_that_is_empty_gives_its_memory_back),
             TEST(a_small_buffer_keeps_its_memory),
             TEST(without_memory_nothing_is_appended_or_lost),
             TEST(an_impossible_size_is_refused))
