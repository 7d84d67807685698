/* SPDX-License-Identifier: MIT */
/*
 * What messages call an address: functions, static ones too, and the calls of
 * a back-trace
 */
#define _GNU_SOURCE
#include "harness.h"

#include "os/os.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *name_of(const void *function)
{
    static char name[256];

    rota__name_function(function, name, sizeof name);
    return name;
}

static const char *place_of(const void *pc)
{
    static char place[256];

    rota__name_address(pc, place, sizeof place);
    return place;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) &&
           strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* Functions */

__attribute__((noinline)) static int known_to_this_file_alone(int x)
{
    __asm__ volatile("" : "+r"(x));
    return x + 1;
}

static const char *static_function(void)
{
    return (const char *)(uintptr_t)known_to_this_file_alone;
}

static void a_static_function_has_its_name(void)
{
    assert_int_equal(known_to_this_file_alone(1), 2);
    assert_string_equal(name_of(static_function()), "known_to_this_file_alone");
}

static void a_function_of_the_c_library_has_its_name(void)
{
    assert_string_equal(name_of((const void *)(uintptr_t)getppid), "getppid");
}

static void an_address_inside_of_a_function_is_named_after_it(void)
{
    assert_string_equal(name_of(static_function() + 2),
                        "known_to_this_file_alone");
}

static void a_name_that_has_no_room_is_cut(void)
{
    char name[6];

    rota__name_function(static_function(), name, sizeof name);
    assert_string_equal(name, "known");
}

static void data_is_told_by_file_and_offset(void)
{
    static int data;
    const char *name = name_of(&data);

    assert_true(begins_with(name, "at "));
    assert_non_null(strstr(name, "test_names+0x"));
}

/* Return addresses */

__attribute__((noinline)) static const void *who_calls(void)
{
    return __builtin_return_address(0);
}

__attribute__((noinline)) static const void *call_it(void)
{
    const void *address = who_calls();

    __asm__ volatile("" : "+r"(address)); /* no tail call */
    return address;
}

static void a_return_address_is_told_by_function_offset_and_module(void)
{
    const char *place = place_of(call_it());

    assert_true(begins_with(place, "call_it+0x"));
    assert_true(ends_with(place, " (test_names)"));
}

/* After a call that never returns comes another function. */
static void the_end_of_a_function_is_still_in_it(void)
{
    assert_true(begins_with(place_of(static_function() + 1),
                            "known_to_this_file_alone+0x1 ("));
    assert_false(
        begins_with(place_of(static_function()), "known_to_this_file_alone"));
}

static void an_address_in_the_c_library_is_told_with_its_file(void)
{
    const char *place = place_of((const char *)(uintptr_t)getppid + 1);

    assert_true(begins_with(place, "getppid+0x1 ("));
    assert_non_null(strstr(place, "libc"));
}

static void an_address_nowhere_is_a_number(void)
{
    char *page = mmap(NULL, rota__page_size(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char expected[64];

    assert_true(page != MAP_FAILED);
    snprintf(expected, sizeof expected, "at %p", (void *)page);
    assert_string_equal(name_of(page), expected);
    assert_string_equal(place_of(page + 1), expected);
    munmap(page, rota__page_size());
    assert_true(begins_with(name_of(NULL), "at "));
    assert_true(begins_with(place_of(NULL), "at "));
}

/* The kernel's own module has no file. */
static void what_no_file_holds_does_no_harm(void)
{
    Dl_info info;
    void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *time = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;

    if (!time || dladdr(time, &info) == 0)
        harness_skip("there is no vdso to be found");
    assert_true(begins_with(name_of(time), "at linux-vdso.so.1+0x"));
    dlclose(vdso);
}

/* What is kept */

/* One that no test program has loaded already. */
static void *load_a_library(const void **function)
{
    void *library = dlopen("libresolv.so.2", RTLD_NOW);

    *function = library ? dlsym(library, "ns_sprintrrf") : NULL;
    if (!*function)
        harness_skip("there is no library to load");
    return library;
}

static void a_module_that_is_gone_takes_its_names_along(void)
{
    const void *function;
    void *library = load_a_library(&function);
    Dl_info info;

    assert_string_equal(name_of(function), "ns_sprintrrf");
    dlclose(library);
    if (dladdr(function, &info) != 0)
        harness_skip("the library stays");
    assert_true(begins_with(name_of(function), "at 0x"));
}

static void naming_asks_for_no_memory(void)
{
    long before = harness_allocations();

    assert_string_equal(name_of(static_function()), "known_to_this_file_alone");
    assert_true(begins_with(place_of(call_it()), "call_it+"));
    assert_int_equal(harness_allocations(), before);
}

static double seconds_to_name(const char *first, int count)
{
    int64_t began = rota__clock_now();

    for (int i = 0; i < count; i++)
        assert_true(place_of(first + i % 20)[0] != '\0');
    return (double)(rota__clock_now() - began) / (double)ROTA__SECOND;
}

static void naming_the_same_few_addresses_again_is_quick(void)
{
    const char *here = (const char *)(uintptr_t)seconds_to_name;

    assert_true(seconds_to_name(here, 60000) < 0.4 * harness_slowness());
}

static void more_addresses_than_are_kept_are_named_as_well(void)
{
    const char *here = (const char *)(uintptr_t)rota__name_address;

    for (int i = 0; i < 2000; i++) {
        assert_true(begins_with(place_of(here + 1), "rota__name_address+0x1 "));
        assert_true(place_of(here - 1000 + i)[0] != '\0');
    }
}

static void *name_in_a_thread(void *arg)
{
    char place[256];

    for (int i = 0; i < 2000; i++) {
        rota__name_address((const char *)arg + i % 300, place, sizeof place);
        assert_true(place[0] != '\0');
    }
    return NULL;
}

static void threads_may_name_at_the_same_time(void)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, name_in_a_thread,
                           (void *)(static_function() + 50 * (i % 2))),
            0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* Back-traces */

static void *trace[64];
static size_t traced;

__attribute__((noinline)) static int innermost(void)
{
    traced = rota__backtrace(trace, rota__countof(trace));
    return (int)traced;
}

__attribute__((noinline)) static int in_between(void)
{
    int result = innermost();

    __asm__ volatile("" : "+r"(result));
    return result;
}

static bool trace_has(const char *function)
{
    char beginning[64];

    snprintf(beginning, sizeof beginning, "%s+0x", function);
    for (size_t i = 0; i < traced; i++)
        if (begins_with(place_of(trace[i]), beginning))
            return true;
    return false;
}

static void a_back_trace_goes_from_the_innermost_call_outwards(void)
{
    assert_true(in_between() > 3);
    assert_true(begins_with(place_of(trace[0]), "rota__backtrace+0x"));
    assert_true(begins_with(place_of(trace[1]), "innermost+0x"));
    assert_true(begins_with(place_of(trace[2]), "in_between+0x"));
    assert_true(trace_has("harness_main"));
}

static void a_back_trace_is_as_long_as_there_is_room(void)
{
    void *few[3] = {NULL, NULL, trace};

    assert_int_equal(rota__backtrace(few, 2), 2);
    assert_non_null(few[1]);
    assert_ptr_equal(few[2], trace);
    assert_int_equal(rota__backtrace(few, 0), 0);
}

static intptr_t trace_in_a_task(void *arg)
{
    (void)arg;
    return rota_sleep(0) + in_between();
}

/* The last call is that of the task's entry, and nothing is below. */
static void a_back_trace_in_a_task_ends_with_its_entry(void)
{
    assert_true(rota_run(trace_in_a_task, NULL) > 3);
    assert_true(begins_with(place_of(trace[2]), "in_between+0x"));
    assert_true(trace_has("trace_in_a_task"));
    assert_false(trace_has("harness_main"));
#if !defined(ROTA_USE_UCONTEXT)
    assert_true(
        begins_with(place_of(trace[traced - 1]), "rota__context_first+0x"));
#endif
}

static void on_signal(int number)
{
    (void)number;
    (void)in_between();
    errno = 0; /* no tail call */
}

static void a_back_trace_in_a_handler_shows_what_was_interrupted(void)
{
    const struct sigaction action = {.sa_handler = on_signal};

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    raise(SIGUSR1);
    assert_true(trace_has("on_signal"));
    assert_true(
        trace_has("a_back_trace_in_a_handler_shows_what_was_interrupted"));
}

#if defined(__x86_64__)

#define TRAP_FLAG 0x100

static int steps;

static void trace_a_step(int number)
{
    void *pcs[64];

    (void)number;
    assert_true(rota__backtrace_interrupted(pcs, rota__countof(pcs)) > 0);
    steps++;
}

static intptr_t wait_and_end(void *arg)
{
    (void)arg;
    return rota_sleep(0);
}

/* From the switch to a new task to its end, the processor stops each time. */
static intptr_t step_through_a_task(void *arg)
{
    const struct sigaction action = {.sa_handler = trace_a_step,
                                     .sa_flags = SA_ONSTACK};
    rota_task task;
    int err = rota_create_task(&task, wait_and_end, arg);

    assert_int_equal(err, 0);
    assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
    err = (int)rota_await(task);
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() &
                                   ~(unsigned long long)TRAP_FLAG);
    return err;
}

#else

static int steps = 1000;

static intptr_t step_through_a_task(void *arg)
{
    (void)arg;
    harness_skip("only known how to do on x86-64");
}

#endif

static void a_back_trace_can_be_made_at_each_instruction_of_a_switch(void)
{
    assert_int_equal(rota_run(step_through_a_task, NULL), 0);
    assert_true(steps > 200);
}

HARNESS_MAIN(
    TEST(a_static_function_has_its_name),
    TEST(a_function_of_the_c_library_has_its_name),
    TEST(an_address_inside_of_a_function_is_named_after_it),
    TEST(a_name_that_has_no_room_is_cut), TEST(data_is_told_by_file_and_offset),
    TEST(a_return_address_is_told_by_function_offset_and_module),
    TEST(the_end_of_a_function_is_still_in_it),
    TEST(an_address_in_the_c_library_is_told_with_its_file),
    TEST(an_address_nowhere_is_a_number), TEST(what_no_file_holds_does_no_harm),
    TEST(a_module_that_is_gone_takes_its_names_along),
    TEST(naming_asks_for_no_memory),
    TEST(naming_the_same_few_addresses_again_is_quick),
    TEST(more_addresses_than_are_kept_are_named_as_well),
    TEST(threads_may_name_at_the_same_time),
    TEST(a_back_trace_goes_from_the_innermost_call_outwards),
    TEST(a_back_trace_is_as_long_as_there_is_room),
    TEST(a_back_trace_in_a_task_ends_with_its_entry),
    TEST(a_back_trace_in_a_handler_shows_what_was_interrupted),
    TEST_SKIP_UNDER(a_back_trace_can_be_made_at_each_instruction_of_a_switch,
                    HARNESS_ASAN | HARNESS_TSAN | HARNESS_VALGRIND |
                        HARNESS_QEMU,
                    "the tool's own instructions would be stopped at as well"))
