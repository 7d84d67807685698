/* SPDX-License-Identifier: MIT */
/*
 * The runner, run on itself
 *
 * The victims below must not pass. Each test runs one of them in a runner of
 * its own, in a child process, and reads what that runner printed.
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The victims */

static void leaks_a_descriptor(void)
{
    if (open("/dev/null", O_RDONLY) < 0)
        abort();
}

static void leaks_a_byte(void)
{
    if (harness_allocator.allocate(NULL, 1) == NULL)
        abort();
}

static void *sleep_long(void *arg)
{
    sleep(60);
    return arg;
}

static void leaks_a_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, sleep_long, NULL) != 0)
        abort();
    pthread_detach(thread);
}

static void leaks_a_process(void)
{
    if (fork() == 0) {
        sleep(60);
        _exit(0);
    }
}

static void hangs(void)
{
    sleep(60);
}

static void crashes(void)
{
    raise(SIGBUS);
}

static void asserts(void)
{
    assert_int_equal(6 * 7, 41);
}

static void *assert_in_thread(void *arg)
{
    assert_non_null(arg);
    return NULL;
}

static void asserts_in_a_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, assert_in_thread, NULL) != 0)
        abort();
    pthread_join(thread, NULL);
}

static void exits_early(void)
{
    exit(0);
}

static void aborts_with_words(void)
{
    fprintf(stderr, "the sky is falling\n");
    abort();
}

static void says_words(void)
{
    fprintf(stderr, "the sky is blue\n");
}

static void exits_with_three(void)
{
    exit(3);
}

static void does_nothing(void)
{
}

static void skips(void)
{
    harness_skip("no moon tonight");
}

static const harness_test victims[] = {
    TEST(leaks_a_descriptor),
    TEST(leaks_a_byte),
    TEST(leaks_a_thread),
    TEST(leaks_a_process),
    TEST_TIMEOUT(hangs, 0.1),
    TEST(crashes),
    TEST(asserts),
    TEST(asserts_in_a_thread),
    TEST(exits_early),
    TEST_EXPECT_SIGNAL(aborts_with_words, SIGABRT, "the sea is rising"),
    TEST_EXPECT_SIGNAL(asserts, SIGABRT, ""),
    TEST_EXPECT_SIGNAL(does_nothing, SIGABRT, ""),
    TEST_EXPECT_STDERR(says_words, "the sky is green"),
    TEST_EXPECT_EXIT(exits_with_three, 4, ""),
    TEST(skips),
};

/* Runs one victim; what its runner prints goes to `output`. */
static int run_victim(const harness_test *victim, char *output, size_t size)
{
    char *arguments[] = {(char *)"victim", NULL};
    size_t length = 0;
    int ends[2];
    int status;
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(harness_main(1, arguments, victim, 1));
    }
    close(ends[1]);
    while ((n = read(ends[0], output + length, size - 1 - length)) > 0)
        length += (size_t)n;
    output[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const harness_test *find_victim(void (*run)(void), int ends_by)
{
    for (size_t i = 0; i < sizeof victims / sizeof victims[0]; i++) {
        if (victims[i].run == run && victims[i].ends_by == ends_by)
            return &victims[i];
    }
    fail_msg("%s", "no such victim");
    return NULL;
}

static void must_fail_as(const harness_test *victim, const char *reason)
{
    static char output[1 << 18];
    char line[256];

    assert_int_equal(run_victim(victim, output, sizeof output), 1);
    snprintf(line, sizeof line, "1..1\nnot ok 1 - %s\n", victim->name);
    assert_memory_equal(output, line, strlen(line));
    if (strstr(output, reason) == NULL)
        fail_msg("\"%s\" is not in: %.2000s", reason, output);
}

static void must_fail(void (*run)(void), const char *reason)
{
    must_fail_as(find_victim(run, 0), reason);
}

/* The tests */

static void a_leaked_descriptor_fails_the_test(void)
{
    must_fail(leaks_a_descriptor, "is open: /dev/null");
}

static void a_leaked_byte_fails_the_test(void)
{
    must_fail(leaks_a_byte, "leak: 1 blocks of rota's allocator");
}

static void a_leaked_thread_fails_the_test(void)
{
    must_fail(leaks_a_thread, "leak: 1 more threads than before");
}

static void a_leaked_process_fails_the_test(void)
{
    must_fail(leaks_a_process, "it leaves a process behind");
}

static void a_hanging_test_is_killed_and_fails(void)
{
    must_fail(hangs, "still running after");
}

static void a_crash_fails_the_test(void)
{
    must_fail(crashes, "#   ");
}

static void an_assertion_fails_the_test_and_names_its_line(void)
{
    must_fail(asserts, "test_harness.c:");
}

static void an_assertion_on_another_thread_fails_the_test(void)
{
    must_fail(asserts_in_a_thread, "test_harness.c:");
}

static void a_test_that_calls_exit_fails(void)
{
    must_fail(exits_early, "the test called exit()");
}

static void the_expected_signal_with_other_words_fails(void)
{
    must_fail_as(find_victim(aborts_with_words, SIGABRT),
                 "lacks \"the sea is rising\"");
}

static void a_failed_assertion_is_no_expected_abort(void)
{
    must_fail_as(find_victim(asserts, SIGABRT), "an assertion failed");
}

static void an_expected_signal_that_does_not_come_fails(void)
{
    must_fail_as(find_victim(does_nothing, SIGABRT), "ended by signal 0");
}

static void expected_words_that_are_not_said_fail(void)
{
    must_fail(says_words, "lacks \"the sky is green\"");
}

static void another_exit_code_than_expected_fails(void)
{
    must_fail(exits_with_three, "exited with 3, expected 4");
}

static void a_skip_carries_its_reason(void)
{
    char output[4096];

    assert_int_equal(run_victim(find_victim(skips, 0), output, sizeof output),
                     0);
    assert_string_equal(output, "1..1\nok 1 - skips # SKIP no moon tonight\n");
}

static void the_nth_allocation_fails_once(void)
{
    const rota_allocator *from = &harness_allocator;
    long before = harness_allocations();
    void *first;
    void *second;

    harness_fail_allocation(2);
    first = from->allocate(NULL, 10);
    assert_non_null(first);
    assert_null(from->reallocate(NULL, first, 20));
    second = from->reallocate(NULL, NULL, 30);
    assert_non_null(second);
    assert_int_equal(harness_allocations() - before, 3);
    assert_int_equal(harness_live_blocks(), 2);
    from->release(NULL, first);
    from->release(NULL, second);
    from->release(NULL, NULL);
}

static void a_failure_that_was_taken_back_does_not_come(void)
{
    void *block;

    harness_fail_allocation(1);
    harness_fail_allocation(-1);
    block = harness_allocator.allocate(NULL, 10);
    assert_non_null(block);
    harness_allocator.release(NULL, block);
}

HARNESS_MAIN(TEST(a_leaked_descriptor_fails_the_test),
             TEST(a_leaked_byte_fails_the_test),
             TEST(a_leaked_thread_fails_the_test),
             TEST(a_leaked_process_fails_the_test),
             TEST(a_hanging_test_is_killed_and_fails),
             TEST(a_crash_fails_the_test),
             TEST(an_assertion_fails_the_test_and_names_its_line),
             TEST(an_assertion_on_another_thread_fails_the_test),
             TEST(a_test_that_calls_exit_fails),
             TEST(the_expected_signal_with_other_words_fails),
             TEST(a_failed_assertion_is_no_expected_abort),
             TEST(an_expected_signal_that_does_not_come_fails),
             TEST(expected_words_that_are_not_said_fail),
             TEST(another_exit_code_than_expected_fails),
             TEST(a_skip_carries_its_reason),
             TEST(the_nth_allocation_fails_once),
             TEST(a_failure_that_was_taken_back_does_not_come),
             TEST_EXPECT_SIGNAL(aborts_with_words, SIGABRT, "sky is falling"),
             TEST_EXPECT_EXIT(exits_with_three, 3, ""),
             TEST_EXPECT_STDERR(says_words, "the sky is blue"))
