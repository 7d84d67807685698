/* SPDX-License-Identifier: MIT */
/*
 * Stacks: guards, pools, and the end of memory
 */
#define _GNU_SOURCE
#include "harness.h"

#include "os/os.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define KIB 1024

/* True if a write there ends in a fault. */
static sigjmp_buf after_fault;

static void on_fault(int number)
{
    siglongjmp(after_fault, number);
}

static bool faults(char *address)
{
    const struct sigaction action = {.sa_handler = on_fault};
    struct sigaction before[2];
    volatile bool fault = true;

    sigaction(SIGSEGV, &action, &before[0]);
    sigaction(SIGBUS, &action, &before[1]);
    if (sigsetjmp(after_fault, 1) == 0) {
        *(volatile char *)address = 1;
        fault = false;
    }
    sigaction(SIGSEGV, &before[0], NULL);
    sigaction(SIGBUS, &before[1], NULL);
    return fault;
}

/* Guards */

static void expect_guarded(enum rota__guard guard)
{
    struct rota__stack_pool pool;
    size_t page = rota__page_size();

    rota__stack_pool_init(&pool, 64 * KIB);
    pool.guard = guard;
    for (int i = 0; i < 40; i++) {
        struct rota__stack *stack = rota__stack_get(&pool);

        assert_non_null(stack);
        assert_false(faults(stack->low));
        assert_false(faults(stack->low + stack->size - 1));
        for (size_t below = 1; below < 5 * page; below += page)
            assert_true(faults(stack->low - below));
        assert_true(faults(stack->low - 5 * page));
    }
    rota__stack_pool_fini(&pool);
}

static void the_pages_below_a_stack_are_guarded(void)
{
    expect_guarded(ROTA__GUARD_MADVISE);
}

static void where_madvise_knows_no_guards_mprotect_does(void)
{
    expect_guarded(ROTA__GUARD_MPROTECT);
}

static void a_write_below_a_stack_kills(void)
{
    struct rota__stack_pool pool;
    struct rota__stack *stack;

    signal(SIGSEGV, SIG_DFL); /* a sanitizer's would exit */
    rota__stack_pool_init(&pool, 64 * KIB);
    stack = rota__stack_get(&pool);
    assert_non_null(stack);
    *(volatile char *)(stack->low - 1) = 1;
}

/* Pools */

static void a_stack_that_was_put_back_is_the_next_to_be_had(void)
{
    struct rota__stack_pool pool;
    struct rota__stack *first;
    struct rota__stack *second;
    long before;

    rota__stack_pool_init(&pool, 64 * KIB);
    first = rota__stack_get(&pool);
    second = rota__stack_get(&pool);
    assert_ptr_not_equal(first, second);
    before = harness_allocations();
    for (int i = 0; i < 1000; i++) {
        rota__stack_put(&pool, first);
        rota__stack_put(&pool, second);
        assert_ptr_equal(rota__stack_get(&pool), second);
        assert_ptr_equal(rota__stack_get(&pool), first);
    }
    assert_int_equal(harness_allocations(), before);
    rota__stack_put(&pool, first);
    rota__stack_put(&pool, second);
    rota__stack_pool_fini(&pool);
}

static void expect_size(size_t wanted)
{
    size_t page = rota__page_size();
    struct rota__stack_pool pool;

    rota__stack_pool_init(&pool, wanted);
    for (int i = 0; i < 30; i++) {
        struct rota__stack *stack = rota__stack_get(&pool);

        assert_non_null(stack);
        assert_in_range(stack->size, wanted - page, wanted + page);
        assert_ptr_equal(stack->low + stack->size, (char *)stack);
        memset(stack->low, i, stack->size);
    }
    rota__stack_pool_fini(&pool);
}

static void a_stack_has_the_size_that_was_asked_for(void)
{
    expect_size(rota__stack_minimum());
    expect_size(64 * KIB);
    expect_size(100000);
    expect_size(1024 * KIB);
}

static void the_minimum_is_in_whole_pages(void)
{
    assert_int_equal(rota__stack_minimum() % rota__page_size(), 0);
    assert_true(rota__stack_minimum() >= 16 * KIB);
    assert_true(rota__stack_minimum() <= 256 * KIB);
}

#define SOME 500

static void stacks_do_not_overlap(void)
{
    static struct rota__stack *stacks[SOME];
    struct rota__stack_pool pool;

    rota__stack_pool_init(&pool, 16 * KIB);
    for (int i = 0; i < SOME; i++) {
        stacks[i] = rota__stack_get(&pool);
        assert_non_null(stacks[i]);
        memset(stacks[i]->low, i, stacks[i]->size);
    }
    for (int i = 0; i < SOME; i++) {
        const char *low = stacks[i]->low;

        assert_int_equal(low[0], (char)i);
        assert_int_equal(low[stacks[i]->size - 1], (char)i);
        assert_memory_equal(low, low + 1, stacks[i]->size - 1);
    }
    for (int i = 0; i < SOME; i++)
        rota__stack_put(&pool, stacks[i]);
    rota__stack_pool_fini(&pool);
}

/* So that a thousand tasks do not share one set of the cache. */
static void the_tops_of_neighbours_are_shifted(void)
{
    struct rota__stack_pool pool;
    uintptr_t places[24];

    rota__stack_pool_init(&pool, 64 * KIB);
    for (int i = 0; i < 24; i++) {
        places[i] = (uintptr_t)rota__stack_get(&pool) % 4096;
        for (int j = 0; j < i; j++)
            assert_true(places[i] != places[j]);
    }
    rota__stack_pool_fini(&pool);
}

#define WARM 4096
#define COLD 100

static void past_the_warm_ones_pages_go_back_to_the_system(void)
{
    static struct rota__stack *stacks[WARM + COLD];
    struct rota__stack_pool pool;

    rota__stack_pool_init(&pool, 16 * KIB);
    for (int i = 0; i < WARM + COLD; i++) {
        stacks[i] = rota__stack_get(&pool);
        assert_non_null(stacks[i]);
        if (i >= WARM)
            stacks[i]->low[0] = 'x';
    }
    for (int i = 0; i < WARM + COLD; i++)
        rota__stack_put(&pool, stacks[i]);
    assert_int_equal(pool.free_count, WARM);
    for (int i = 0; i < WARM + COLD; i++) {
        struct rota__stack *stack = rota__stack_get(&pool);

        assert_non_null(stack);
        if (i >= WARM)
            assert_int_equal(stack->low[0], 0);
    }
    assert_int_equal(pool.handed_out, WARM + COLD);
    rota__stack_pool_fini(&pool);
}

static void a_finished_pool_can_be_used_again(void)
{
    struct rota__stack_pool pool;

    rota__stack_pool_init(&pool, 32 * KIB);
    for (int i = 0; i < 3; i++) {
        struct rota__stack *stack = rota__stack_get(&pool);

        assert_non_null(stack);
        rota__stack_put(&pool, stack);
        rota__stack_pool_fini(&pool);
    }
    rota__stack_pool_fini(&pool);
    assert_int_equal(harness_live_blocks(), 0);
}

/* The end of memory */

static void a_size_that_no_system_has_is_refused(void)
{
    static const size_t sizes[] = {(size_t)1 << 47, (size_t)1 << 52,
                                   (size_t)1 << 60};

    for (size_t i = 0; i < rota__countof(sizes); i++) {
        struct rota__stack_pool pool;

        rota__stack_pool_init(&pool, sizes[i]);
        assert_null(rota__stack_get(&pool));
        assert_null(rota__stack_get(&pool));
        rota__stack_pool_fini(&pool);
    }
}

static void without_memory_there_is_no_stack_but_later_there_is(void)
{
    struct rota__stack_pool pool;

    rota__stack_pool_init(&pool, 64 * KIB);
    harness_fail_allocation(1);
    assert_null(rota__stack_get(&pool));
    assert_non_null(rota__stack_get(&pool));
    rota__stack_pool_fini(&pool);
}

static size_t address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t pages = 0;

    if (!file || fscanf(file, "%zu", &pages) != 1)
        harness_skip("the size of the address space is not known here");
    fclose(file);
    return pages * rota__page_size();
}

static void at_the_limit_of_the_address_space_stacks_are_refused(void)
{
    struct rota__stack_pool pool;
    struct rlimit before;
    struct rlimit limit;
    int had = 0;

    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = address_space() + 1024 * KIB;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    rota__stack_pool_init(&pool, 64 * KIB);
    while (rota__stack_get(&pool))
        had++;
    assert_in_range(had, 8, 12); /* of 64 KiB and five guard pages each */
    assert_null(rota__stack_get(&pool));
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_non_null(rota__stack_get(&pool));
    rota__stack_pool_fini(&pool);
}

/* Splits a mapping until the system allows no more mappings. */
static char *use_up_mappings(size_t *size)
{
    size_t page = rota__page_size();
    char *memory;

    *size = 200000 * page;
    memory = mmap(NULL, *size, PROT_READ,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    for (size_t at = page; at < *size; at += 2 * page) {
        if (mprotect(memory + at, page, PROT_NONE) < 0)
            return memory;
    }
    harness_skip("the system has no limit on mappings in sight");
}

static void when_mappings_run_out_a_stack_is_refused(void)
{
    struct rota__stack_pool pool;
    struct rota__stack *refused;
    size_t size;
    char *used_up;

    rota__stack_pool_init(&pool, 64 * KIB);
    pool.guard = ROTA__GUARD_MPROTECT;
    assert_non_null(rota__stack_get(&pool));
    used_up = use_up_mappings(&size);
    refused = rota__stack_get(&pool);
    munmap(used_up, size);
    assert_null(refused);
    assert_int_equal(pool.guard, ROTA__GUARD_MPROTECT);
    assert_non_null(rota__stack_get(&pool));
    rota__stack_pool_fini(&pool);
}

static void unguarded_stacks_are_handed_out_if_they_are_allowed(void)
{
    struct rota__stack_pool pool;
    struct rota__stack *stack;
    size_t size;
    char *used_up;

    rota__stack_pool_init(&pool, 64 * KIB);
    pool.guard = ROTA__GUARD_MPROTECT;
    pool.allow_unguarded = true;
    assert_non_null(rota__stack_get(&pool));
    used_up = use_up_mappings(&size);
    stack = rota__stack_get(&pool);
    munmap(used_up, size);
    assert_non_null(stack);
    assert_int_equal(pool.guard, ROTA__GUARD_NONE);
    memset(stack->low, 1, stack->size);
    assert_false(faults(stack->low - 1));
    rota__stack_pool_fini(&pool);
}

/* The watch for overflows */

static size_t describe(const char *address, char *out, size_t size)
{
    return (size_t)snprintf(out, size, "a fault%s\n", address ? "" : " at 0");
}

static size_t describe_nothing(const char *address, char *out, size_t size)
{
    (void)address;
    (void)out;
    (void)size;
    return 0;
}

static char *unreadable_page(void)
{
    char *page = mmap(NULL, rota__page_size(), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(page != MAP_FAILED);
    return page;
}

static void a_fault_that_can_be_described_is_and_kills(void)
{
    signal(SIGSEGV, SIG_DFL);
    rota__overflow_watch_begin(describe);
    *(volatile char *)unreadable_page() = 1;
}

static void a_fault_of_somebody_else_kills_as_ever(void)
{
    signal(SIGSEGV, SIG_DFL);
    rota__overflow_watch_begin(describe_nothing);
    *(volatile char *)unreadable_page() = 1;
}

static void say_and_die(int number)
{
    static const char text[] = "the program's own handler\n";

    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    raise(SIGKILL);
}

static void a_fault_of_somebody_else_goes_to_the_handler_before(void)
{
    const struct sigaction action = {.sa_handler = say_and_die};

    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
    rota__overflow_watch_begin(describe_nothing);
    *(volatile char *)unreadable_page() = 1;
}

static void the_last_watch_puts_the_handler_before_back(void)
{
    const struct sigaction action = {.sa_handler = say_and_die};
    struct sigaction now;

    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
    rota__overflow_watch_begin(describe);
    rota__overflow_watch_begin(describe);
    rota__overflow_watch_end();
    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    assert_true(now.sa_handler != say_and_die);
    rota__overflow_watch_end();
    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    assert_true(now.sa_handler == say_and_die);
}

static void a_handler_that_came_later_stays(void)
{
    const struct sigaction action = {.sa_handler = say_and_die};
    struct sigaction now;

    rota__overflow_watch_begin(describe);
    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
    rota__overflow_watch_end();
    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    assert_true(now.sa_handler == say_and_die);
}

static void *look_at_signal_stack(void *memory)
{
    stack_t now;

    rota__signal_stack_ensure();
    sigaltstack(NULL, &now);
    assert_false(now.ss_flags & SS_DISABLE);
    *(void **)memory = now.ss_sp;
    rota__signal_stack_ensure();
    sigaltstack(NULL, &now);
    assert_ptr_equal(now.ss_sp, *(void **)memory); /* one is enough */
    return NULL;
}

static bool is_mapped(void *memory)
{
    return msync(memory, rota__page_size(), MS_ASYNC) == 0;
}

static void a_thread_has_one_signal_stack_until_it_ends(void)
{
    pthread_t thread;
    void *memory = NULL;

    assert_int_equal(
        pthread_create(&thread, NULL, look_at_signal_stack, &memory), 0);
    pthread_join(thread, NULL);
    assert_non_null(memory);
    /* Sanitizers have stacks of their own, and valgrind minds the question. */
    if (!harness_under(HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND))
        assert_false(is_mapped(memory));
}

static volatile int *volatile nowhere = (int *)8;
static struct sigaction before_chain;
static int chained;

static void chain(int signal, siginfo_t *info, void *context)
{
    if (++chained > 3)
        _exit(3);
    before_chain.sa_sigaction(signal, info, context);
}

/* It calls the handler that was there before: ours, which must not call it. */
static void a_handler_that_came_later_may_call_ours(void)
{
    const struct sigaction action = {
        .sa_sigaction = chain,
        .sa_flags = SA_SIGINFO,
    };

    rota__overflow_watch_begin(describe_nothing);
    assert_int_equal(sigaction(SIGSEGV, &action, &before_chain), 0);
    rota__overflow_watch_end();
    rota__overflow_watch_begin(describe_nothing);
    *nowhere = 1;
}

static void a_signal_that_was_sent_kills_as_ever(void)
{
    rota__overflow_watch_begin(describe_nothing);
    raise(SIGSEGV);
    _exit(0);
}

#define LIMITED HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND | HARNESS_QEMU

HARNESS_MAIN(
    TEST(the_pages_below_a_stack_are_guarded),
    TEST(where_madvise_knows_no_guards_mprotect_does),
    TEST_EXPECT_SIGNAL(a_write_below_a_stack_kills, SIGSEGV, ""),
    TEST(a_stack_that_was_put_back_is_the_next_to_be_had),
    TEST(a_stack_has_the_size_that_was_asked_for),
    TEST(the_minimum_is_in_whole_pages), TEST(stacks_do_not_overlap),
    TEST(the_tops_of_neighbours_are_shifted),
    TEST(past_the_warm_ones_pages_go_back_to_the_system),
    TEST(a_finished_pool_can_be_used_again),
    TEST(a_size_that_no_system_has_is_refused),
    TEST(without_memory_there_is_no_stack_but_later_there_is),
    TEST_SKIP_UNDER(at_the_limit_of_the_address_space_stacks_are_refused,
                    LIMITED, "it needs address space of its own"),
    TEST_SKIP_UNDER(when_mappings_run_out_a_stack_is_refused, LIMITED,
                    "it needs mappings of its own"),
    TEST_SKIP_UNDER(unguarded_stacks_are_handed_out_if_they_are_allowed,
                    LIMITED, "it needs mappings of its own"),
    TEST_EXPECT_SIGNAL(a_fault_that_can_be_described_is_and_kills, SIGSEGV,
                       "a fault\n"),
    TEST_EXPECT_SIGNAL(a_fault_of_somebody_else_kills_as_ever, SIGSEGV, ""),
    TEST_EXPECT_SIGNAL(a_fault_of_somebody_else_goes_to_the_handler_before,
                       SIGKILL, "the program's own handler"),
    TEST(the_last_watch_puts_the_handler_before_back),
    TEST(a_handler_that_came_later_stays),
    TEST(a_thread_has_one_signal_stack_until_it_ends),
    TEST_WITH(a_handler_that_came_later_may_call_ours, .ends_by = SIGSEGV,
              .skip_under = HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND,
              .skip_reason = "the sanitizer answers the fault"),
    TEST_WITH(a_signal_that_was_sent_kills_as_ever, .ends_by = SIGSEGV,
              .skip_under = HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND,
              .skip_reason = "the sanitizer answers the signal"))
