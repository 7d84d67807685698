/* SPDX-License-Identifier: MIT */
/*
 * The context switch: what must survive it, and on how many stacks
 */
#include "harness.h"

#include "os/context.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK (128 * 1024) /* sanitizers make frames big */

/* A context of its own, switched to from the test and back. */
struct fiber {
    struct rota__context context;
    struct rota__stack *stack;
    void (*run)(struct fiber *self);
    long number;
    long count;
    bool done;
};

static struct rota__stack_pool pool;
static struct rota__context outside;

static void fiber_main(void *arg)
{
    struct fiber *self = arg;

    rota__context_arrive(&self->context);
    self->run(self);
    self->done = true;
    rota__context_end(&self->context, &outside);
    fail_msg("a context that has ended went on");
}

static void start(struct fiber *fiber, void (*run)(struct fiber *), long number)
{
    *fiber = (struct fiber){.run = run, .number = number};
    fiber->stack = rota__stack_get(&pool);
    assert_non_null(fiber->stack);
    rota__context_init(&fiber->context, fiber->stack->low, fiber->stack,
                       fiber_main, fiber);
}

static void finish(struct fiber *fiber)
{
    assert_true(fiber->done);
    rota__context_fini(&fiber->context);
    rota__stack_put(&pool, fiber->stack);
}

static void enter(struct fiber *fiber)
{
    rota__context_switch(&outside, &fiber->context);
}

static void leave(struct fiber *self)
{
    rota__context_switch(&self->context, &outside);
}

static void begin(void)
{
    rota__stack_pool_init(&pool, STACK);
    rota__context_adopt(&outside);
}

static void end(void)
{
    rota__stack_pool_fini(&pool);
}

static void count_once(struct fiber *self)
{
    self->count = self->number + 1;
}

static void a_context_runs_its_entry_with_its_argument(void)
{
    struct fiber fiber;

    begin();
    start(&fiber, count_once, 41);
    assert_int_equal(fiber.count, 0);
    enter(&fiber);
    assert_int_equal(fiber.count, 42);
    finish(&fiber);
    end();
}

static void count_and_leave(struct fiber *self)
{
    while (self->count < self->number) {
        self->count++;
        leave(self);
    }
}

static void a_switch_back_goes_on_where_it_was(void)
{
    struct fiber fiber;

    begin();
    start(&fiber, count_and_leave, 10000);
    for (long i = 1; i <= 10000; i++) {
        enter(&fiber);
        assert_int_equal(fiber.count, i);
        assert_false(fiber.done);
    }
    enter(&fiber);
    finish(&fiber);
    end();
}

static void is_on_its_own_stack(struct fiber *self)
{
    char here;
    const char *at = (const char *)(uintptr_t)&here;

    if (harness_under(HARNESS_ASAN))
        at = __builtin_frame_address(0); /* locals may be elsewhere */
    assert_true(at >= self->stack->low);
    assert_true(at < (char *)self->stack);
}

static void a_context_runs_on_the_stack_that_it_was_given(void)
{
    struct fiber fiber;

    begin();
    start(&fiber, is_on_its_own_stack, 0);
    enter(&fiber);
    finish(&fiber);
    end();
}

/* Calls with variable arguments and doubles fault on a crooked stack. */
static void format_numbers(struct fiber *self)
{
    _Alignas(16) volatile char aligned[16];
    char text[64];

    assert_int_equal((uintptr_t)aligned % 16, 0);
    snprintf(text, sizeof text, "%.3f %.3Lf %ld", 1.5, 2.25L, self->number);
    assert_string_equal(text, "1.500 2.250 7");
}

static void the_stack_is_aligned_as_the_abi_wants(void)
{
    struct fiber fiber;

    begin();
    start(&fiber, format_numbers, 7);
    enter(&fiber);
    finish(&fiber);
    end();
}

/* What the compiler keeps in registers, more than there are. */
static volatile long zero;

static void hold_integers(struct fiber *self)
{
    long n = self->number + zero;
    long a = n + 1, b = n + 2, c = n + 3, d = n + 4, e = n + 5, f = n + 6;
    long g = n + 7, h = n + 8, i = n + 9, j = n + 10, k = n + 11, l = n + 12;

    for (int round = 0; round < 100; round++) {
        leave(self);
        assert_int_equal(a, n + 1 + round);
        assert_int_equal(b - c + d - e + f, n + 4 + round);
        assert_int_equal(g + h + i + j + k + l, 6 * n + 57 + 6 * round);
        a++, b++, c++, d++, e++, f++, g++, h++, i++, j++, k++, l++;
    }
    self->count = a;
}

static void run_in_turns(struct fiber *fibers, int count)
{
    for (bool all_done = false; !all_done;) {
        all_done = true;
        for (int i = 0; i < count; i++) {
            if (fibers[i].done)
                continue;
            enter(&fibers[i]);
            all_done = all_done && fibers[i].done;
        }
    }
}

static void integers_survive_a_switch(void)
{
    struct fiber fibers[5];

    begin();
    for (int i = 0; i < 5; i++)
        start(&fibers[i], hold_integers, i * 1000003L);
    run_in_turns(fibers, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fibers[i].count, i * 1000003L + 101);
        finish(&fibers[i]);
    }
    end();
}

static void sum_roots(struct fiber *self)
{
    double base = (double)(self->number + zero);
    double a = base + 0.25, b = base + 0.5, c = base + 0.75, d = base + 1;
    long double long_sum = 0;
    float small = 0.5F + (float)zero;
    double sum = 0;

    for (int i = 0; i < 100; i++) {
        leave(self);
        sum += sqrt(a) * b - c / d;
        long_sum += (long double)sum;
        small *= 1.0F;
        a += 1, b += 1, c += 1, d += 1;
    }
    assert_true(small == 0.5F);
    assert_true(long_sum > (long double)sum);
    self->count = (long)(sum * 1000);
}

static long sum_of_roots(long number)
{
    double sum = 0;

    for (int i = 0; i < 100; i++) {
        double x = (double)number + i;

        sum += sqrt(x + 0.25) * (x + 0.5) - (x + 0.75) / (x + 1);
    }
    return (long)(sum * 1000);
}

static void floating_point_survives_a_switch(void)
{
    struct fiber fibers[5];

    begin();
    for (int i = 0; i < 5; i++)
        start(&fibers[i], sum_roots, i * 100);
    run_in_turns(fibers, 5);
    for (int i = 0; i < 5; i++) {
        long wanted = sum_of_roots(i * 100);

        assert_true(labs(fibers[i].count - wanted) <= 1);
        finish(&fibers[i]);
    }
    end();
}

static __attribute__((noinline)) long dive(struct fiber *self, long depth)
{
    volatile char frame[64];
    long below;

    memset((char *)(uintptr_t)frame, (int)depth, sizeof frame);
    leave(self);
    below = depth > 0 ? dive(self, depth - 1) : 0;
    leave(self);
    for (size_t i = 0; i < sizeof frame; i++)
        assert_int_equal(frame[i], (char)depth);
    return below + depth;
}

static void dive_to_number(struct fiber *self)
{
    self->count = dive(self, self->number);
}

static void a_switch_from_any_depth_keeps_every_frame(void)
{
    struct fiber fibers[3];

    begin();
    for (int i = 0; i < 3; i++)
        start(&fibers[i], dive_to_number, 80 + i);
    run_in_turns(fibers, 3);
    for (int i = 0; i < 3; i++) {
        long n = 80 + i;

        assert_int_equal(fibers[i].count, n * (n + 1) / 2);
        finish(&fibers[i]);
    }
    end();
}

#define MANY 1000

static void a_thousand_contexts_take_turns(void)
{
    static struct fiber fibers[MANY];

    begin();
    for (int i = 0; i < MANY; i++)
        start(&fibers[i], count_and_leave, 10);
    for (int round = 1; round <= 10; round++) {
        for (int i = 0; i < MANY; i++)
            enter(&fibers[i]);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(fibers[i].count, round);
    }
    run_in_turns(fibers, MANY);
    for (int i = 0; i < MANY; i++)
        finish(&fibers[i]);
    end();
}

/* Round and round in a ring, without the test in between. */
static struct fiber ring[4];
static int laps;

static void run_laps(struct fiber *self)
{
    struct fiber *next = &ring[(self - ring + 1) % 4];

    while (laps < 4000) {
        assert_int_equal(laps++ % 4, self->number);
        rota__context_switch(&self->context, &next->context);
    }
    if (next->done || self->number == 3)
        return;
    rota__context_switch(&self->context, &next->context);
}

static void contexts_switch_to_each_other_directly(void)
{
    begin();
    for (int i = 0; i < 4; i++)
        start(&ring[i], run_laps, i);
    enter(&ring[0]);
    assert_int_equal(laps, 4000);
    for (int i = 0; i < 4; i++) {
        while (!ring[i].done)
            enter(&ring[i]);
        finish(&ring[i]);
    }
    end();
}

static void a_stack_serves_one_context_after_the_other(void)
{
    struct rota__stack *first = NULL;

    begin();
    for (int i = 0; i < 1000; i++) {
        struct fiber fiber;

        start(&fiber, i % 2 ? format_numbers : count_once, 7);
        if (!first)
            first = fiber.stack;
        assert_ptr_equal(fiber.stack, first);
        enter(&fiber);
        finish(&fiber);
    }
    end();
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

static void raise_signals(struct fiber *self)
{
    for (int i = 0; i < 10; i++) {
        raise(SIGUSR1);
        leave(self);
    }
}

static void signals_are_handled_on_any_stack(void)
{
    const struct sigaction action = {.sa_handler = count_signal};
    struct fiber fiber;

    begin();
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    start(&fiber, raise_signals, 0);
    while (!fiber.done)
        enter(&fiber);
    assert_int_equal(signals, 10);
    finish(&fiber);
    end();
}

static struct fiber *overflowing;

static size_t describe(const char *address, char *out, size_t size)
{
    const char *low = overflowing->stack->low;

    if (address >= low || address < low - 5 * rota__page_size())
        return 0;
    return (size_t)snprintf(out, size, "fiber %ld ran out of stack\n",
                            overflowing->number);
}

static __attribute__((noinline)) long sink(volatile long *above)
{
    volatile long here[128];

    here[0] = *above + 1;
    here[127] = here[0];
    return *above < 0 ? 0 : sink(here) + here[127];
}

static void overflow(struct fiber *self)
{
    volatile long top = 0;

    self->count = sink(&top);
}

static void an_overflow_is_described_and_kills(void)
{
    struct fiber fiber;

    signal(SIGSEGV, SIG_DFL);
    begin();
    rota__overflow_watch_begin(describe);
    rota__signal_stack_ensure();
    overflowing = &fiber;
    start(&fiber, overflow, 17);
    enter(&fiber);
}

HARNESS_MAIN(TEST(a_context_runs_its_entry_with_its_argument),
             TEST(a_switch_back_goes_on_where_it_was),
             TEST(a_context_runs_on_the_stack_that_it_was_given),
             TEST(the_stack_is_aligned_as_the_abi_wants),
             TEST(integers_survive_a_switch),
             TEST(floating_point_survives_a_switch),
             TEST(a_switch_from_any_depth_keeps_every_frame),
             TEST(a_thousand_contexts_take_turns),
             TEST(contexts_switch_to_each_other_directly),
             TEST(a_stack_serves_one_context_after_the_other),
             TEST(signals_are_handled_on_any_stack),
             TEST_EXPECT_SIGNAL(an_overflow_is_described_and_kills, SIGSEGV,
                                "fiber 17 ran out of stack\n"))
