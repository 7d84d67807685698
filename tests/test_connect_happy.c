/* SPDX-License-Identifier: MIT */
/*
 * Connecting to the first of several addresses that answers
 *
 * Each line is the whole story: who is tried when, who wins, and when each
 * socket is closed. The orders and times are what CPython's asyncio does with
 * the same answers (asyncio.staggered, base_events._interleave_addrinfos).
 */
#define _GNU_SOURCE
#include "network.h"

#define V6 "2001:db8::"
#define HOSTS(...) ((const struct host[]){__VA_ARGS__})
#define COUNT(...) (sizeof HOSTS(__VA_ARGS__) / sizeof(struct host))

static const rota_connect_options happy = {.happy_eyeballs_delay = 0.25};
static const rota_connect_options in_turn = {0};

/* The story of connecting to these hosts. */
#define STORY(options, ...)                                                    \
    do {                                                                       \
        network_begin(HOSTS(__VA_ARGS__), COUNT(__VA_ARGS__));                 \
        assert_int_equal(network_connect(options), 0);                         \
        network_run();                                                         \
        network_end();                                                         \
    } while (0)

/* --- Delays --------------------------------------------------------------- */

static void the_next_is_tried_after_the_delay_beside_the_one_before(void)
{
    STORY(&happy, {V6 "1", NEVER, 0}, {"10.0.0.1", 0.1, 0});
    assert_noted("2001:db8::1@0.00 10.0.0.1@0.25 -2001:db8::1@0.35 won@0.35 "
                 "-10.0.0.1@0.35");
}

static void an_answer_within_the_delay_ends_the_search(void)
{
    STORY(&happy, {"10.0.0.1", 0.2, 0}, {"10.0.0.2", 0.1, 0});
    assert_noted("10.0.0.1@0.00 won@0.20 -10.0.0.1@0.20");
}

static void the_first_may_win_while_the_second_is_tried(void)
{
    STORY(&happy, {"10.0.0.1", 0.3, 0}, {"10.0.0.2", 0.1, 0});
    assert_noted("10.0.0.1@0.00 10.0.0.2@0.25 -10.0.0.2@0.30 won@0.30 "
                 "-10.0.0.1@0.30");
}

static void a_failure_lets_the_next_begin_at_once(void)
{
    STORY(&happy, {"10.0.0.1", 0.1, ECONNREFUSED}, {"10.0.0.2", 0.1, 0},
          {"10.0.0.3", 0.1, 0});
    assert_noted("10.0.0.1@0.00 -10.0.0.1@0.10 10.0.0.2@0.10 won@0.20 "
                 "-10.0.0.2@0.20");
}

static void the_delay_counts_from_the_beginning_of_the_one_before(void)
{
    STORY(&happy, {"10.0.0.1", 0.1, ECONNREFUSED}, {"10.0.0.2", NEVER, 0},
          {"10.0.0.3", 0.5, 0});
    assert_noted("10.0.0.1@0.00 -10.0.0.1@0.10 10.0.0.2@0.10 10.0.0.3@0.35 "
                 "-10.0.0.2@0.85 won@0.85 -10.0.0.3@0.85");
}

static void a_late_failure_of_an_earlier_one_hurries_nobody(void)
{
    STORY(&happy, {"10.0.0.1", 0.3, ECONNREFUSED}, {"10.0.0.2", NEVER, 0},
          {"10.0.0.3", 0.1, 0});
    assert_noted("10.0.0.1@0.00 10.0.0.2@0.25 -10.0.0.1@0.30 10.0.0.3@0.50 "
                 "-10.0.0.2@0.60 won@0.60 -10.0.0.3@0.60");
}

static void what_connect_refuses_itself_costs_no_time(void)
{
    STORY(&happy, {"10.0.0.1", AT_ONCE, ENETUNREACH},
          {"10.0.0.2", AT_ONCE, ENOBUFS}, {"10.0.0.3", 0.1, 0});
    assert_noted("10.0.0.1@0.00 -10.0.0.1@0.00 10.0.0.2@0.00 -10.0.0.2@0.00 "
                 "10.0.0.3@0.00 won@0.10 -10.0.0.3@0.10");
}

static void one_that_connects_at_once_wins_in_the_next_turn(void)
{
    network_begin(HOSTS({"10.0.0.1", AT_ONCE, 0}), 1);
    assert_int_equal(network_connect(&happy), 0);
    assert_noted("10.0.0.1@0.00");
    network_run();
    assert_noted("won@0.00 -10.0.0.1@0.00");
    network_end();
}

static void of_two_answers_in_one_turn_the_first_wins(void)
{
    STORY(&happy, {"10.0.0.1", 0.5, 0}, {"10.0.0.2", 0.25, 0});
    assert_noted("10.0.0.1@0.00 10.0.0.2@0.25 -10.0.0.2@0.50 won@0.50 "
                 "-10.0.0.1@0.50");
}

static void one_address_needs_no_memory(void)
{
    long before;

    network_begin(HOSTS({"10.0.0.1", AT_ONCE, 0}), 1);
    /* The poller and the heap have their tables after the first time. */
    assert_int_equal(network_connect(&happy), 0);
    network_run();
    before = harness_allocations();
    assert_int_equal(network_connect(&happy), 0);
    network_run();
    assert_int_equal(harness_allocations(), before);
    network_end();
}

/* --- Errors --------------------------------------------------------------- */

static void when_all_fail_the_error_is_that_of_the_first_address(void)
{
    STORY(&happy, {"10.0.0.1", 1, EHOSTUNREACH},
          {"10.0.0.2", 0.1, ECONNREFUSED}, {"10.0.0.3", 0.1, ETIMEDOUT});
    assert_noted("10.0.0.1@0.00 10.0.0.2@0.25 -10.0.0.2@0.35 10.0.0.3@0.35 "
                 "-10.0.0.3@0.45 -10.0.0.1@1.00 EHOSTUNREACH@1.00");
}

static void when_all_fail_at_once_the_error_comes_in_the_next_turn(void)
{
    network_begin(HOSTS({"10.0.0.1", AT_ONCE, ENOBUFS},
                        {"10.0.0.2", AT_ONCE, ENETUNREACH}),
                  2);
    assert_int_equal(network_connect(&happy), 0);
    assert_noted("10.0.0.1@0.00 -10.0.0.1@0.00 10.0.0.2@0.00 -10.0.0.2@0.00");
    network_run();
    assert_noted("ENOBUFS@0.00");
    network_end();
}

static void no_socket_is_an_error_of_that_address_only(void)
{
    network_refusals = 1;
    STORY(&happy, {"10.0.0.1", 0.1, 0}, {"10.0.0.2", 0.1, 0});
    assert_noted("10.0.0.2@0.00 won@0.10 -10.0.0.2@0.10");
    network_refusals = 2;
    STORY(&happy, {"10.0.0.1", 0.1, 0}, {"10.0.0.2", 0.1, 0});
    assert_noted("EMFILE@0.00");
}

static void no_address_is_no_name(void)
{
    network_begin(HOSTS({"10.0.0.1", 0.1, 0}), 1);
    network_addresses.count = 0;
    assert_int_equal(network_connect(&happy), 0);
    network_run();
    assert_noted("ROTA_ENONAME@0.00");
    network_end();
}

static void options_that_make_no_sense_are_refused(void)
{
    static const rota_connect_options wrong[] = {
        {.happy_eyeballs_delay = -0.1},
        {.happy_eyeballs_delay = (double)NAN},
        {.interleave = -1},
        {.local_port = -1},
        {.local_port = 65536},
        {.local_host = "localhost"},
    };

    network_begin(HOSTS({"10.0.0.1", 0.1, 0}), 1);
    for (size_t i = 0; i < rota__countof(wrong); i++) {
        assert_int_equal(network_connect(&wrong[i]), -EINVAL);
        rota__connect_cancel(&connecting);
    }
    assert_noted("");
    network_end();
}

/* --- One after the other -------------------------------------------------- */

static void without_a_delay_each_waits_for_the_one_before(void)
{
    STORY(&in_turn, {"10.0.0.1", 100, ETIMEDOUT}, {V6 "1", 2, ECONNREFUSED},
          {"10.0.0.2", 0.1, 0}, {"10.0.0.3", 0.1, 0});
    assert_noted("10.0.0.1@0.00 -10.0.0.1@100.00 2001:db8::1@100.00 "
                 "-2001:db8::1@102.00 10.0.0.2@102.00 won@102.10 "
                 "-10.0.0.2@102.10");
}

static void without_a_delay_the_error_is_the_first_as_well(void)
{
    STORY(&in_turn, {"10.0.0.1", 1, ECONNREFUSED},
          {"10.0.0.2", AT_ONCE, ENETUNREACH}, {"10.0.0.3", 1, ETIMEDOUT});
    assert_noted("10.0.0.1@0.00 -10.0.0.1@1.00 10.0.0.2@1.00 -10.0.0.2@1.00 "
                 "10.0.0.3@1.00 -10.0.0.3@2.00 ECONNREFUSED@2.00");
}

/* --- Order ---------------------------------------------------------------- */

/* The order in which addresses ("4a 4b 6a") are tried. */
static void expect_order(const char *list, double delay, int interleave,
                         const char *expected)
{
    const rota_connect_options options = {
        .happy_eyeballs_delay = delay,
        .interleave = interleave,
    };
    char names[16][32];
    struct host hosts[16];
    size_t count = 0;
    char found[128] = "";

    for (const char *at = list; *at; at += at[2] ? 3 : 2, count++) {
        snprintf(names[count], sizeof names[count],
                 at[0] == '4' ? "10.0.0.%d" : V6 "%d", at[1] - 'a' + 1);
        hosts[count] = (struct host){names[count], AT_ONCE, ECONNREFUSED};
    }
    network_begin(hosts, count);
    assert_int_equal(network_connect(&options), 0);
    network_run();
    for (size_t i = 0; i < count; i++) {
        char name[64];
        bool v4;
        size_t length;

        assert_int_equal(
            rota_address_host(&network_addresses.items[i], name, sizeof name),
            0);
        v4 = network_addresses.items[i].storage.ss_family == AF_INET;
        length = strlen(found);
        snprintf(found + length, sizeof found - length, "%s%c%c",
                 i > 0 ? " " : "", v4 ? '4' : '6',
                 name[strlen(name) - 1] - '1' + 'a');
    }
    network_end();
    assert_string_equal(found, expected);
    scenario_line[0] = '\0';
}

static void with_a_delay_families_alternate_from_the_second_on(void)
{
    expect_order("6a 6b 6c 4a 4b 4c", 0.25, 0, "6a 4a 6b 4b 6c 4c");
    expect_order("4a 4b 6a 6b", 0.25, 0, "4a 6a 4b 6b");
    expect_order("6a 6b 6c 4a", 0.25, 0, "6a 4a 6b 6c");
    expect_order("6a 4a 4b 4c", 0.25, 0, "6a 4a 4b 4c");
    expect_order("4a 4b 4c", 0.25, 0, "4a 4b 4c");
    expect_order("6a 4a 6b 4b 4c 6c", 0.25, 0, "6a 4a 6b 4b 6c 4c");
}

static void more_of_the_first_family_may_come_first(void)
{
    expect_order("6a 6b 6c 4a 4b 4c", 0.25, 1, "6a 4a 6b 4b 6c 4c");
    expect_order("6a 6b 6c 4a 4b 4c", 0.25, 2, "6a 6b 4a 6c 4b 4c");
    expect_order("6a 6b 6c 4a 4b 4c", 0.25, 3, "6a 6b 6c 4a 4b 4c");
    expect_order("6a 4a 6b 4b", 0.25, 9, "6a 6b 4a 4b");
    expect_order("4a 6a 6b 4b 4c 4d 6c", 0.25, 2, "4a 4b 6a 4c 6b 4d 6c");
}

static void without_a_delay_families_alternate_only_if_asked(void)
{
    expect_order("6a 6b 4a 4b", 0, 0, "6a 6b 4a 4b");
    expect_order("6a 6b 4a 4b", 0, 1, "6a 4a 6b 4b");
}

/* --- Ends ----------------------------------------------------------------- */

static void stop(void *arg)
{
    (void)arg;
    rota_loop_stop(network_loop);
}

static const struct host busy[] = {{V6 "1", 0.3, ECONNREFUSED},
                                   {"10.0.0.1", 0.1, EIO},
                                   {V6 "2", NEVER, 0},
                                   {"10.0.0.2", AT_ONCE, ENOBUFS},
                                   {V6 "3", 0.3, 0}};

static void cancel_at(double time)
{
    rota_timer_handle timer = {0};

    network_begin(busy, rota__countof(busy));
    assert_int_equal(network_connect(&happy), 0);
    if (time > 0) {
        assert_int_equal(
            rota_call_later(network_loop, &timer, time, stop, NULL), 0);
        network_run();
        rota_timer_handle_cancel(&timer);
    }
    rota__connect_cancel(&connecting);
    rota__connect_cancel(&connecting);
    network_end();
}

static void a_cancel_at_any_time_leaves_nothing(void)
{
    for (int step = 0; step < 20; step++) {
        cancel_at(step > 0 ? 0.05 * step + 0.01 : 0);
        if (step < 18) /* it is over at 0.90 */
            assert_null(strstr(scenario_line, "won"));
        else
            assert_non_null(strstr(scenario_line, "won@0.90"));
        scenario_line[0] = '\0';
    }
}

static void a_cancel_before_the_failure_is_told_is_no_failure(void)
{
    network_begin(HOSTS({"10.0.0.1", AT_ONCE, ENOBUFS}), 1);
    assert_int_equal(network_connect(&in_turn), 0);
    rota__connect_cancel(&connecting);
    stop(NULL);
    network_run();
    assert_noted("10.0.0.1@0.00 -10.0.0.1@0.00");
    network_end();
}

static void a_cancel_before_the_success_is_told_closes_the_socket(void)
{
    network_begin(HOSTS({"10.0.0.1", AT_ONCE, 0}), 1);
    assert_int_equal(network_connect(&in_turn), 0);
    rota__connect_cancel(&connecting);
    stop(NULL);
    network_run();
    assert_noted("10.0.0.1@0.00 -10.0.0.1@0.00");
    network_end();
}

/* Without memory an address is lost, or a delay, or all; never the thread. */
static void every_lack_of_memory_is_survived(void)
{
    int refused = 0;
    int won = 0;

    for (long nth = 1; nth <= 12; nth++) {
        int err;

        network_begin(
            HOSTS({V6 "1", NEVER, 0}, {V6 "2", NEVER, 0}, {"10.0.0.1", 0.5, 0}),
            3);
        harness_fail_allocation(nth);
        err = network_connect(&happy);
        if (err == 0)
            network_run();
        harness_fail_allocation(-1);
        network_end();
        assert_true(err == 0 || err == -ENOMEM);
        refused += err < 0;
        won += err == 0 && strstr(scenario_line, "won") != NULL;
        scenario_line[0] = '\0';
    }
    assert_int_equal(refused, 1);
    assert_int_equal(won, 11);
}

HARNESS_MAIN(TEST(the_next_is_tried_after_the_delay_beside_the_one_before),
             TEST(an_answer_within_the_delay_ends_the_search),
             TEST(the_first_may_win_while_the_second_is_tried),
             TEST(a_failure_lets_the_next_begin_at_once),
             TEST(the_delay_counts_from_the_beginning_of_the_one_before),
             TEST(a_late_failure_of_an_earlier_one_hurries_nobody),
             TEST(what_connect_refuses_itself_costs_no_time),
             TEST(one_that_connects_at_once_wins_in_the_next_turn),
             TEST(of_two_answers_in_one_turn_the_first_wins),
             TEST(one_address_needs_no_memory),
             TEST(when_all_fail_the_error_is_that_of_the_first_address),
             TEST(when_all_fail_at_once_the_error_comes_in_the_next_turn),
             TEST(no_socket_is_an_error_of_that_address_only),
             TEST(no_address_is_no_name),
             TEST(options_that_make_no_sense_are_refused),
             TEST(without_a_delay_each_waits_for_the_one_before),
             TEST(without_a_delay_the_error_is_the_first_as_well),
             TEST(with_a_delay_families_alternate_from_the_second_on),
             TEST(more_of_the_first_family_may_come_first),
             TEST(without_a_delay_families_alternate_only_if_asked),
             TEST(a_cancel_at_any_time_leaves_nothing),
             TEST(a_cancel_before_the_failure_is_told_is_no_failure),
             TEST(a_cancel_before_the_success_is_told_closes_the_socket),
             TEST(every_lack_of_memory_is_survived))
