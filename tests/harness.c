/* SPDX-License-Identifier: MIT */
/*
 * The harness: the runner
 *
 * For each test: fork; the child runs it and looks for leaks, the parent
 * keeps the output and the clock, and judges how the child ended. The child
 * leaves by exit() so that a sanitizer can look for leaks of its own; a test
 * that calls exit() itself is noticed, because it has not finished.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness_leaks.h"

enum { DEFAULT_SECONDS = 20, SKIPPED = 77, LEFT_EARLY = 78, LEAKED = 79 };

/* How one test ended. */
typedef struct outcome {
    int status;
    double limit;
    bool timed_out;
    bool left_processes;
    bool output_ended;
    size_t length;
    char output[1 << 18];
} outcome;

static const char skip_mark[] = "harness skips: ";
static bool finished;
static volatile sig_atomic_t running_group;

bool harness_under(unsigned places)
{
    const char *under = getenv("ROTA_TEST_UNDER");
    const char *poller = getenv("ROTA_POLLER");
    unsigned here = 0;

#if defined(__SANITIZE_ADDRESS__)
    here |= HARNESS_ASAN;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    here |= HARNESS_ASAN;
#endif
#endif
#if defined(__SANITIZE_THREAD__)
    here |= HARNESS_TSAN;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    here |= HARNESS_TSAN;
#endif
#endif
    if (under != NULL && strcmp(under, "valgrind") == 0)
        here |= HARNESS_VALGRIND;
    if (under != NULL && strcmp(under, "qemu") == 0)
        here |= HARNESS_QEMU;
    if (poller != NULL && strcmp(poller, "sim") == 0)
        here |= HARNESS_SIM;
    return (here & places) != 0;
}

double harness_slowness(void)
{
    const char *value = getenv("ROTA_TEST_SLOWNESS");
    double slowness = value != NULL ? strtod(value, NULL) : 1;

    return slowness > 0 ? slowness : 1;
}

void harness_skip(const char *reason)
{
    fprintf(stderr, "%s%s\n", skip_mark, reason);
    fflush(NULL);
    _exit(SKIPPED);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The child */

static void notice_early_exit(void)
{
    if (finished)
        return;
    fprintf(stderr, "the test called exit()\n");
    fflush(NULL);
    _exit(LEFT_EARLY);
}

static _Noreturn void run_here(const harness_test *test)
{
    const struct rlimit no_core = {0, 0};

    setrlimit(RLIMIT_CORE, &no_core);
    finished = test->exit_code != 0;
    atexit(notice_early_exit);
    harness_leaks_begin();
    test->run();
    finished = true;
    exit(harness_leaks_none() ? 0 : LEAKED);
}

static _Noreturn void run_in_child(const harness_test *test, int output)
{
    /* A job in the background starts without them. */
    static const int ends[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM};
    int nothing = open("/dev/null", O_RDONLY);

    setpgid(0, 0);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        signal(ends[i], SIG_DFL);
    dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(nothing);
    close(output);
    setvbuf(stdout, NULL, _IOLBF, 0);
    run_here(test);
}

/* The parent */

static void pass_on_signal(int number)
{
    if (running_group > 0)
        kill(-running_group, SIGKILL);
    signal(number, SIG_DFL);
    raise(number);
}

static void collect(outcome *out, int from)
{
    char chunk[4096];
    ssize_t n;

    while ((n = read(from, chunk, sizeof chunk)) > 0) {
        size_t room = sizeof out->output - 1 - out->length;
        size_t take = (size_t)n < room ? (size_t)n : room;

        memcpy(out->output + out->length, chunk, take);
        out->length += take;
    }
    out->output_ended = n == 0;
    out->output[out->length] = '\0';
}

static void watch(outcome *out, pid_t child, int from)
{
    double deadline = seconds_now() + out->limit;

    while (waitpid(child, &out->status, WNOHANG) == 0) {
        struct pollfd output = {.fd = from, .events = POLLIN};

        if (out->output_ended)
            output.fd = -1;
        poll(&output, 1, out->output_ended ? 1 : 20);
        collect(out, from);
        if (!out->timed_out && seconds_now() > deadline) {
            out->timed_out = true;
            kill(-child, SIGKILL);
        }
    }
    collect(out, from);
    out->left_processes = kill(-child, SIGKILL) == 0;
}

static int run_forked(const harness_test *test, outcome *out)
{
    int ends[2];
    pid_t child;

    if (pipe(ends) < 0)
        return -errno;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        run_in_child(test, ends[1]);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -errno;
    }
    setpgid(child, child);
    running_group = child;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    watch(out, child, ends[0]);
    running_group = 0;
    close(ends[0]);
    return 0;
}

/* Writes why the test failed; false when it did not. */
static bool complain(const harness_test *test, const outcome *out, char *why,
                     size_t size)
{
    int signal_seen = WIFSIGNALED(out->status) ? WTERMSIG(out->status) : 0;
    int code = WIFEXITED(out->status) ? WEXITSTATUS(out->status) : 0;

    if (out->timed_out)
        snprintf(why, size, "still running after %g s", out->limit);
    else if (strstr(out->output, "error: Failure!") != NULL)
        snprintf(why, size, "an assertion failed");
    else if (signal_seen != test->ends_by)
        snprintf(why, size, "ended by signal %d, expected %d", signal_seen,
                 test->ends_by);
    else if (code == LEAKED)
        snprintf(why, size, "it leaks");
    else if (code != test->exit_code)
        snprintf(why, size, "exited with %d, expected %d", code,
                 test->exit_code);
    else if (test->says != NULL && strstr(out->output, test->says) == NULL)
        snprintf(why, size, "its output lacks \"%s\"", test->says);
    else if (out->left_processes && test->ends_by == 0)
        snprintf(why, size, "it leaves a process behind");
    else
        return false;
    return true;
}

static void show_output(char *output)
{
    char *rest = output;
    char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line != '\0')
            printf("#   | %s\n", line);
    }
}

static const char *asked_to_skip(outcome *out)
{
    char *reason = strstr(out->output, skip_mark);

    if (!WIFEXITED(out->status) || WEXITSTATUS(out->status) != SKIPPED ||
        reason == NULL)
        return NULL;
    reason += sizeof skip_mark - 1;
    reason[strcspn(reason, "\n")] = '\0';
    return reason;
}

/* Runs the test and prints its TAP line; true unless it failed. */
static bool run_one(const harness_test *test, size_t number)
{
    static outcome out;
    const char *skip_reason;
    char why[512];
    int err;

    if (harness_under(test->skip_under)) {
        printf("ok %zu - %s # SKIP %s\n", number, test->name,
               test->skip_reason);
        return true;
    }
    memset(&out, 0, sizeof out);
    out.limit = test->seconds > 0 ? test->seconds : DEFAULT_SECONDS;
    out.limit *= harness_slowness();
    err = run_forked(test, &out);
    skip_reason = asked_to_skip(&out);
    if (err < 0)
        snprintf(why, sizeof why, "no child process: %s", strerror(-err));
    else if (skip_reason != NULL) {
        printf("ok %zu - %s # SKIP %s\n", number, test->name, skip_reason);
        return true;
    } else if (!complain(test, &out, why, sizeof why)) {
        printf("ok %zu - %s\n", number, test->name);
        return true;
    }
    printf("not ok %zu - %s\n#   %s\n", number, test->name, why);
    show_output(out.output);
    return false;
}

static bool selected(const harness_test *test, const char *pattern)
{
    return pattern == NULL || strstr(test->name, pattern) != NULL;
}

static int list_names(const harness_test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        puts(tests[i].name);
    return 0;
}

static int run_without_fork(const char *pattern, const harness_test *tests,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (selected(&tests[i], pattern))
            run_here(&tests[i]);
    }
    fprintf(stderr, "no test matches\n");
    return 2;
}

static int run_selected(const char *pattern, const harness_test *tests,
                        size_t count)
{
    size_t planned = 0;
    size_t number = 0;
    size_t failed = 0;

    for (size_t i = 0; i < count; i++)
        planned += selected(&tests[i], pattern);
    printf("1..%zu%s\n", planned, planned > 0 ? "" : " # SKIP no test matches");
    for (size_t i = 0; i < count; i++) {
        if (selected(&tests[i], pattern))
            failed += !run_one(&tests[i], ++number);
        fflush(stdout);
    }
    return failed > 0;
}

int harness_main(int argc, char **argv, const harness_test *tests, size_t count)
{
    const char *pattern = argc > 1 ? argv[1] : NULL;

    setenv("CMOCKA_TEST_ABORT", "1", 1);
    signal(SIGINT, pass_on_signal);
    signal(SIGTERM, pass_on_signal);
    if (pattern != NULL && strcmp(pattern, "-l") == 0)
        return list_names(tests, count);
    if (pattern != NULL && strcmp(pattern, "-n") == 0)
        return run_without_fork(argc > 2 ? argv[2] : NULL, tests, count);
    return run_selected(pattern, tests, count);
}
