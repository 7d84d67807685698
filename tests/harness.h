/* SPDX-License-Identifier: MIT */
/*
 * The test harness
 *
 * A test is a function that takes and gives nothing. Its name is a sentence
 * about behaviour. The runner forks one child for each test, gives it a
 * process group and a time limit, keeps what it prints, and shows that only
 * when the test fails. A test passes when it returns and leaves nothing
 * behind: no descriptor, no byte of rota's allocator, no thread, no process.
 *
 *     static void a_closed_loop_refuses_callbacks(void)
 *     {
 *         assert_int_equal(...);
 *     }
 *
 *     HARNESS_MAIN(TEST(a_closed_loop_refuses_callbacks),
 *                  TEST_TIMEOUT(a_million_timers_fire_in_order, 60))
 *
 * A failed assertion prints where and aborts, on whatever stack and thread
 * it happened. The output is TAP. The program's arguments:
 *
 *     test_x             run all
 *     test_x PATTERN     run the tests whose name contains PATTERN
 *     test_x -l          list the names
 *     test_x -n PATTERN  run the first that matches without a fork, for gdb
 *
 * The environment: ROTA_TEST_SLOWNESS multiplies the time limits;
 * ROTA_TEST_UNDER names what the program runs under (valgrind, qemu).
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rota.h>

#ifdef HARNESS_HAVE_CMOCKA
#include <cmocka.h>
#undef skip /* it needs cmocka's own runner: use harness_skip */
#undef stop /* which is a name of ours */
#else
#include "cmocka_lite.h"
#endif

/* Where a test may have to be skipped. */
enum harness_place {
    HARNESS_ASAN = 1,
    HARNESS_TSAN = 2,
    HARNESS_VALGRIND = 4,
    HARNESS_QEMU = 8,
    HARNESS_SIM = 16, /* ROTA_POLLER=sim: there is no kernel below */
};

typedef struct harness_test {
    const char *name;
    void (*run)(void);
    double seconds;          /* the time limit; 0 means the default of 20 */
    int ends_by;             /* the signal that must end it, or 0 */
    int exit_code;           /* with which it must exit itself, or 0 */
    const char *says;        /* what its output must contain, or NULL */
    unsigned skip_under;     /* a set of harness_place */
    const char *skip_reason; /* why it cannot run there */
} harness_test;

/* Any mix of the fields above; the other macros are the usual mixes. */
#define TEST_WITH(test, ...)                                                   \
    {                                                                          \
        .name = #test, .run = (test), __VA_ARGS__                              \
    }
#define TEST(test) TEST_WITH(test, .seconds = 0)
#define TEST_TIMEOUT(test, limit) TEST_WITH(test, .seconds = (limit))
#define TEST_EXPECT_SIGNAL(test, number, text)                                 \
    TEST_WITH(test, .ends_by = (number), .says = (text))
#define TEST_EXPECT_EXIT(test, code, text)                                     \
    TEST_WITH(test, .exit_code = (code), .says = (text))
#define TEST_EXPECT_STDERR(test, text) TEST_WITH(test, .says = (text))
#define TEST_SKIP_UNDER(test, places, reason)                                  \
    TEST_WITH(test, .skip_under = (places), .skip_reason = (reason))

#define HARNESS_MAIN(...)                                                      \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        static const harness_test tests[] = {__VA_ARGS__};                     \
                                                                               \
        return harness_main(argc, argv, tests,                                 \
                            sizeof tests / sizeof tests[0]);                   \
    }

int harness_main(int argc, char **argv, const harness_test *tests,
                 size_t count);

/* Ends the running test as skipped, when only the machine can tell. */
_Noreturn void harness_skip(const char *reason);

/* True where the program runs in one of these places. */
bool harness_under(unsigned places);

/* How many times slower than a bare machine: for limits inside a test. */
double harness_slowness(void);

/*
 * rota's allocator during a test. The nth allocation from now fails, once:
 * 1 is the next one; -1 takes the order back. Growing a block counts.
 */
extern const rota_allocator harness_allocator;

void harness_fail_allocation(long nth);
long harness_allocations(void); /* asked for since the test began */
long harness_live_blocks(void);

#endif
