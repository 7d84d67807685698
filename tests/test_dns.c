/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses and back, for tasks
 */
#define _GNU_SOURCE
#include "sockets.h"
#include "resolver.h"

/* Compares a list, as text: "127.0.0.1:80 [::1]:80"; and frees it. */
static void expect_list(rota_addresses *list, const char *expected)
{
    char text[512] = "";

    for (size_t i = 0; i < list->count; i++) {
        size_t used = strlen(text);

        if (i > 0)
            text[used++] = ' ';
        rota_address_text(&list->items[i], text + used, sizeof text - used);
    }
    assert_string_equal(text, expected);
    rota_addresses_free(list);
}

static void expect_addresses(const char *host, const char *service,
                             const rota_addrinfo_options *options,
                             const char *expected)
{
    rota_addresses list;

    assert_int_equal(rota_getaddrinfo(&list, host, service, options), 0);
    expect_list(&list, expected);
}

static void expect_failure(const char *host, const char *service,
                           const rota_addrinfo_options *options, int error)
{
    rota_addresses list = {NULL, 77};

    assert_int_equal(rota_getaddrinfo(&list, host, service, options), error);
    assert_int_equal(list.count, 77); /* filled only on success */
}

static bool has_threads(void)
{
    return rota_get_running_loop()->pools[ROTA__NAMES] != NULL;
}

/* --- Without asking ------------------------------------------------------- */

/* As rota_getaddrinfo() does; a connection is not tried either. */
static intptr_t connect_to_a_number(void *arg)
{
    const rota_connect_options v6 = {.family = AF_INET6};
    rota_stream *stream;

    (void)arg;
    assert_int_equal(rota_open_connection_with(&stream, "127.0.0.1", 9, &v6),
                     -ROTA_EFAMILY);
    assert_false(has_threads());
    return 0;
}

static void a_number_of_another_family_is_no_name(void)
{
    run(connect_to_a_number);
}

static intptr_t look_numbers_up(void *arg)
{
    static const rota_addrinfo_options datagrams = {.type = SOCK_DGRAM};
    static const rota_addrinfo_options v6 = {.family = AF_INET6};
    static const rota_addrinfo_options passive = {.family = AF_INET,
                                                  .flags = AI_PASSIVE};
    static const rota_addrinfo_options v4 = {.family = AF_INET};

    (void)arg;
    expect_addresses("127.0.0.1", "80", NULL, "127.0.0.1:80");
    expect_addresses("127.0.0.1", NULL, NULL, "127.0.0.1:0");
    expect_addresses("::1", "65535", NULL, "[::1]:65535");
    expect_addresses("127.0.0.1", "53", &datagrams, "127.0.0.1:53");
    expect_addresses("::1", "80", &v6, "[::1]:80");
    expect_addresses(NULL, "80", &passive, "0.0.0.0:80");
    expect_addresses(NULL, "80", &v4, "127.0.0.1:80");
    assert_false(has_threads());
    return 0;
}

static void numbers_are_answered_without_a_thread(void)
{
    run(look_numbers_up);
}

static intptr_t count_turns(void *arg)
{
    for (;;) {
        ++*(int *)arg;
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    }
}

static intptr_t look_a_number_up_beside(void *arg)
{
    int turns = 0;
    rota_task other = start(count_turns, &turns);

    (void)arg;
    expect_addresses("127.0.0.1", "80", NULL, "127.0.0.1:80");
    assert_int_equal(turns, 0);
    assert_int_equal(rota_task_cancel(other), 1);
    assert_int_equal(rota_await(other), -ECANCELED);
    return 0;
}

static void numbers_are_answered_without_a_turn(void)
{
    run(look_a_number_up_beside);
}

static intptr_t ask_in_vain(void *arg)
{
    static const rota_addrinfo_options v4 = {.family = AF_INET};
    static const rota_addrinfo_options v6 = {.family = AF_INET6};
    static const rota_addrinfo_options strange = {.family = 250};
    static const rota_addrinfo_options wrong = {.flags = 1 << 30};

    (void)arg;
    expect_failure(NULL, NULL, NULL, -EINVAL);
    expect_failure("::1", "80", &v4, -ROTA_EFAMILY);
    expect_failure("127.0.0.1", "80", &v6, -ROTA_EFAMILY);
    expect_failure("127.0.0.1", "80", &strange, -ROTA_EFAMILY);
    expect_failure("127.0.0.1", "80", &wrong, -EINVAL);
    expect_failure("127.0.0.1", "65536", NULL, -ROTA_ESERVICE);
    expect_failure("127.0.0.1", "-1", NULL, -ROTA_ESERVICE);
    assert_false(has_threads());
    return 0;
}

static void what_is_wrong_with_a_number_is_known_at_once(void)
{
    run(ask_in_vain);
}

/* --- Names ---------------------------------------------------------------- */

static intptr_t look_names_up(void *arg)
{
    static const rota_addrinfo_options v4 = {.family = AF_INET};

    (void)arg;
    expect_addresses("two.test", "80", NULL, "127.0.0.2:80 127.0.0.1:80");
    expect_addresses("two.test", "80", &v4, "127.0.0.2:80 127.0.0.1:80");
    expect_addresses("both.test", NULL, NULL, "[::1]:0 127.0.0.1:0");
    assert_true(has_threads());
    return 0;
}

static void the_addresses_of_a_name_come_in_the_resolvers_order(void)
{
    run(look_names_up);
}

static intptr_t look_services_up(void *arg)
{
    (void)arg;
    if (getservbyname("http", "tcp") == NULL)
        return 77;
    expect_addresses("127.0.0.1", "http", NULL, "127.0.0.1:80");
    expect_addresses("another.test", "http", NULL, "127.0.0.1:80");
    expect_failure("127.0.0.1", "no-such-service", NULL, -ROTA_ESERVICE);
    return 0;
}

static void a_service_may_be_a_name(void)
{
    if (rota_run(look_services_up, NULL) == 77)
        harness_skip("this machine has no list of services");
}

static intptr_t meet_errors(void *arg)
{
    (void)arg;
    expect_failure("gone.test", "80", NULL, -ROTA_ENONAME);
    expect_failure("again.test", "80", NULL, -ROTA_ENAMEAGAIN);
    expect_failure("fail.test", "80", NULL, -ROTA_ENAMEFAIL);
    expect_failure("memory.test", "80", NULL, -ENOMEM);
    return 0;
}

static void the_resolvers_errors_keep_their_kind(void)
{
    run(meet_errors);
}

static intptr_t look_slowly(void *arg)
{
    expect_addresses("slow.test", "80", NULL, "127.0.0.1:80");
    note("%s", (const char *)arg);
    return 0;
}

static intptr_t look_beside_others(void *arg)
{
    rota_task tasks[20]; /* more than there are threads */

    (void)arg;
    for (int i = 0; i < 20; i++)
        tasks[i] = start(look_slowly, "x");
    pass_turns(2);
    resolver_expect_waiting(8);
    pass_turns(100);
    assert_noted("");
    resolver_let_go();
    for (int i = 0; i < 20; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    assert_noted("x x x x x x x x x x x x x x x x x x x x");
    return 0;
}

static void a_slow_resolver_holds_up_nobody_else(void)
{
    run(look_beside_others);
}

static intptr_t park_in_getaddrinfo(void *arg)
{
    rota_addresses list;

    (void)arg;
    return rota_getaddrinfo(&list, "slow.test", "80", NULL);
}

static rota_address nine(void)
{
    rota_address address;

    assert_int_equal(rota_address_parse(&address, "127.0.0.9", 80), 0);
    return address;
}

static intptr_t park_in_getnameinfo(void *arg)
{
    rota_address address = nine();
    char host[64];

    (void)arg;
    return rota_getnameinfo(&address, host, sizeof host, NULL, 0, 0);
}

static intptr_t cancel_them(void *arg)
{
    rota_task tasks[24];

    (void)arg;
    for (int i = 0; i < 24; i += 2) {
        tasks[i] = start(park_in_getaddrinfo, NULL);
        tasks[i + 1] = start(park_in_getnameinfo, NULL);
    }
    pass_turns(2);
    resolver_expect_waiting(8);
    for (int i = 0; i < 24; i++) {
        assert_int_equal(rota_task_cancel(tasks[i]), 1);
        assert_int_equal(rota_await(tasks[i]), -ECANCELED);
    }
    resolver_let_go();
    return 0;
}

static void a_cancelled_look_up_returns_while_its_thread_goes_on(void)
{
    run(cancel_them);
}

/* The answer is there, and then comes a cancellation. */
static intptr_t cancel_once(void *arg)
{
    rota_addresses list = {NULL, 0};
    int err = rota_getaddrinfo(&list, "two.test", "80", NULL);

    (void)arg;
    rota_addresses_free(&list);
    return err;
}

static intptr_t cancel_when_answered(void *arg)
{
    (void)arg;
    for (int turns = 0; turns < 4; turns++) {
        rota_task task = start(cancel_once, NULL);
        intptr_t result;

        pass_turns(1);
        while (turns > 0 && rota_get_running_loop()->job_count > 0)
            pass_turns(1);
        if (turns > 1)
            pass_turns(turns - 1);
        (void)rota_task_cancel(task);
        result = rota_await(task);
        assert_true(result == 0 || result == -ECANCELED);
    }
    return 0;
}

static void an_answer_that_meets_a_cancellation_is_freed(void)
{
    run(cancel_when_answered);
    run_shuffled(cancel_when_answered);
}

static intptr_t leave_them(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        start(park_in_getaddrinfo, NULL);
        start(park_in_getnameinfo, NULL);
    }
    pass_turns(3);
    resolver_expect_waiting(8);
    resolver_let_go_at_close(rota_get_running_loop());
    return 0;
}

static void look_ups_that_are_under_way_end_with_the_loop(void)
{
    assert_int_equal(rota_run(leave_them, NULL), 0);
}

/* --- Names of addresses --------------------------------------------------- */

#define NUMBERS (NI_NUMERICHOST | NI_NUMERICSERV)

static intptr_t name_numbers(void *arg)
{
    rota_address address;
    char host[64] = "";
    char port[16] = "";

    (void)arg;
    assert_int_equal(rota_address_parse(&address, "127.0.0.8", 80), 0);
    assert_int_equal(rota_getnameinfo(&address, host, sizeof host, port,
                                      sizeof port, NUMBERS),
                     0);
    assert_string_equal(host, "127.0.0.8");
    assert_string_equal(port, "80");
    assert_int_equal(
        rota_getnameinfo(&address, host, sizeof host, NULL, 0, NI_NUMERICHOST),
        0);
    assert_int_equal(
        rota_getnameinfo(&address, NULL, 0, port, sizeof port, NI_NUMERICSERV),
        0);
    assert_int_equal(rota_getnameinfo(&address, host, 9, NULL, 0, NUMBERS),
                     -ENOSPC);
    assert_int_equal(rota_getnameinfo(&address, host, 10, NULL, 0, NUMBERS), 0);
    assert_int_equal(rota_getnameinfo(&address, NULL, 0, port, 2, NUMBERS),
                     -ENOSPC);
    assert_false(has_threads());
    return 0;
}

static void numbers_of_an_address_need_no_thread(void)
{
    run(name_numbers);
}

static intptr_t name_names(void *arg)
{
    rota_address address;
    char host[64];
    char service[64];

    (void)arg;
    assert_int_equal(rota_address_parse(&address, "127.0.0.8", 80), 0);
    assert_int_equal(rota_getnameinfo(&address, host, sizeof host, service,
                                      sizeof service, 0),
                     0);
    assert_string_equal(host, "eight.test");
    assert_string_equal(service, "eight");
    assert_int_equal(rota_getnameinfo(&address, host, sizeof "eight.test",
                                      service, sizeof "eight", 0),
                     0);
    host[0] = 'x';
    assert_int_equal(rota_getnameinfo(&address, host, sizeof "eight.test" - 1,
                                      service, sizeof service, 0),
                     -ENOSPC);
    assert_int_equal(host[0], 'x');
    assert_int_equal(rota_getnameinfo(&address, host, sizeof host, service,
                                      sizeof "eight" - 1, 0),
                     -ENOSPC);
    assert_true(has_threads());
    return 0;
}

static void an_address_has_names(void)
{
    run(name_names);
}

static intptr_t name_the_nameless(void *arg)
{
    rota_address address = {.size = 0};
    char text[64];

    (void)arg;
    assert_int_equal(rota_address_unix(&address, "/run/x"), 0);
    assert_int_equal(
        rota_getnameinfo(&address, text, sizeof text, NULL, 0, NUMBERS),
        -EAFNOSUPPORT);
    assert_int_equal(rota_getnameinfo(&address, text, sizeof text, NULL, 0, 0),
                     -EAFNOSUPPORT);
    assert_int_equal(rota_address_parse(&address, "127.0.0.8", 80), 0);
    assert_int_equal(rota_getnameinfo(&address, NULL, 0, NULL, 0, 0), -EINVAL);
    assert_int_equal(rota_getnameinfo(&address, text, 0, text, 0, 0), -EINVAL);
    return 0;
}

static void an_address_without_names_is_refused(void)
{
    run(name_the_nameless);
}

/* --- Outside -------------------------------------------------------------- */

static void ask_outside(void *arg)
{
    rota_address address = nine();
    rota_addresses list;
    char host[64];

    rota_get_running_loop()->debug = false;
    assert_int_equal(rota_getaddrinfo(&list, "127.0.0.1", "80", NULL),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_getnameinfo(&address, host, sizeof host, NULL, 0, 0),
                     -ROTA_ENOTASK);
    rota_loop_stop(arg);
}

static void only_a_task_can_look_names_up(void)
{
    rota_addresses list;
    rota_loop *loop;

    assert_int_equal(rota_getaddrinfo(&list, "127.0.0.1", "80", NULL),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_call_soon(loop, NULL, ask_outside, loop), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
}

/* --- Without memory, without threads -------------------------------------- */

static intptr_t lack_memory(void *arg)
{
    rota_address address;
    rota_addresses list;
    char host[64];
    int failures = 0;

    (void)arg;
    assert_int_equal(rota_address_parse(&address, "127.0.0.8", 80), 0);
    for (long nth = 1; nth <= 6; nth++) {
        int err;

        harness_fail_allocation(nth);
        err = rota_getaddrinfo(&list, "two.test", "80", NULL);
        harness_fail_allocation(-1);
        assert_true(err == 0 || err == -ENOMEM);
        failures += err < 0;
        if (err == 0)
            rota_addresses_free(&list);
        harness_fail_allocation(nth);
        err = rota_getnameinfo(&address, host, sizeof host, NULL, 0, 0);
        harness_fail_allocation(-1);
        assert_true(err == 0 || err == -ENOMEM);
        failures += err < 0;
    }
    assert_in_range(failures, 3, 5);
    return 0;
}

static void every_lack_of_memory_is_survived(void)
{
    run(lack_memory);
}

HARNESS_MAIN(TEST(a_number_of_another_family_is_no_name),
             TEST(numbers_are_answered_without_a_thread),
             TEST(numbers_are_answered_without_a_turn),
             TEST(what_is_wrong_with_a_number_is_known_at_once),
             TEST(the_addresses_of_a_name_come_in_the_resolvers_order),
             TEST(a_service_may_be_a_name),
             TEST(the_resolvers_errors_keep_their_kind),
             TEST(a_slow_resolver_holds_up_nobody_else),
             TEST(a_cancelled_look_up_returns_while_its_thread_goes_on),
             TEST(an_answer_that_meets_a_cancellation_is_freed),
             TEST(look_ups_that_are_under_way_end_with_the_loop),
             TEST(numbers_of_an_address_need_no_thread),
             TEST(an_address_has_names),
             TEST(an_address_without_names_is_refused),
             TEST(only_a_task_can_look_names_up),
             TEST(every_lack_of_memory_is_survived))
