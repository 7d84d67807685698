/* SPDX-License-Identifier: MIT */
/*
 * Connecting, on the loopback interface
 *
 * Time is virtual where a delay counts.
 */
#define _GNU_SOURCE
#include "connects.h"
#include "resolver.h"

static void expect_error(const char *host, int port,
                         const rota_connect_options *options, int error)
{
    rota_stream *stream = NULL;
    int before = open_fds();

    assert_int_equal(rota_open_connection_with(&stream, host, port, options),
                     error);
    assert_null(stream);
    assert_int_equal(open_fds(), before);
}

/* --- Happy eyeballs ------------------------------------------------------- */

static intptr_t pass_by_a_hole(void *arg)
{
    int listener = listen_at("127.0.0.1", 0, 5);
    rota_stream *stream;
    struct hole hole;
    int before;
    double begun;

    (void)arg;
    hole_open(&hole, "127.0.0.2", port_of(listener));
    expect_error("gone.test", 80, &happy, -ROTA_ENONAME); /* makes the pool */
    before = open_fds();
    begun = now();
    assert_int_equal(rota_open_connection_with(&stream, "two.test",
                                               port_of(listener), &happy),
                     0);
    assert_true(fabs(now() - begun - 0.25) < 1e-6);
    assert_int_equal(open_fds(), before + 1); /* the loser's is closed */
    expect_talk(stream, listener);
    hole_close(&hole);
    close(listener);
    return 0;
}

static void a_black_hole_costs_no_more_than_the_delay(void)
{
    scenario(pass_by_a_hole);
}

static intptr_t meet_a_refusal(void *arg)
{
    int listener = listen_at("127.0.0.1", 0, 5);
    rota_stream *stream;
    double begun = now();

    (void)arg;
    assert_int_equal(rota_open_connection_with(&stream, "two.test",
                                               port_of(listener), &happy),
                     0);
    assert_true(now() == begun);
    expect_talk(stream, listener);
    close(listener);
    return 0;
}

static void a_refusal_costs_no_time(void)
{
    scenario(meet_a_refusal);
}

static intptr_t fail_everywhere(void *arg)
{
    (void)arg;
    expect_error("two.test", REFUSED_PORT, &happy, -ECONNREFUSED);
    expect_error("both.test", REFUSED_PORT, &happy, -ECONNREFUSED);
    return 0;
}

static void when_nobody_answers_nothing_is_left(void)
{
    run(fail_everywhere);
    scenario(fail_everywhere);
}

static intptr_t prefer_the_first(void *arg)
{
    int listener = listen_at("::1", 0, 5);
    int other = listen_at("127.0.0.1", port_of(listener), 5);
    rota_stream *stream;

    (void)arg;
    assert_int_equal(rota_open_connection_with(&stream, "both.test",
                                               port_of(listener), &happy),
                     0);
    expect_talk(stream, listener);
    close(other);
    close(listener);
    return 0;
}

static void the_first_address_is_preferred(void)
{
    run(prefer_the_first);
}

/* --- The local address ---------------------------------------------------- */

static void expect_peer(int listener, const char *from, const char *host,
                        int port, const rota_connect_options *options)
{
    rota_address address;
    char text[ROTA_ADDRESS_TEXT];
    rota_stream *stream;
    int peer;

    assert_int_equal(rota_open_connection_with(&stream, host, port, options),
                     0);
    peer = accept(listener, NULL, NULL);
    assert_int_equal(rota__socket_peer(peer, &address), 0);
    if (options->local_port > 0)
        assert_int_equal(rota_address_port(&address), options->local_port);
    assert_int_equal(rota_address_host(&address, text, sizeof text), 0);
    assert_string_equal(text, from);
    bare_reset(peer); /* the port is free at once */
    rota_stream_free(stream);
}

static intptr_t connect_from(void *arg)
{
    int v4 = listen_at("127.0.0.1", 0, 5);
    int v6 = listen_at("::1", 0, 5);

    (void)arg;
    expect_peer(v4, "127.0.0.5", "127.0.0.1", port_of(v4),
                &(rota_connect_options){.local_host = "127.0.0.5"});
    expect_peer(v4, "127.0.0.1", "127.0.0.1", port_of(v4),
                &(rota_connect_options){.local_port = unused_port()});
    expect_peer(v4, "127.0.0.6", "127.0.0.1", port_of(v4),
                &(rota_connect_options){.local_host = "127.0.0.6",
                                        .local_port = unused_port()});
    expect_peer(v6, "::1", "::1", port_of(v6),
                &(rota_connect_options){.local_port = unused_port()});
    expect_peer(v6, "::1", "::1", port_of(v6),
                &(rota_connect_options){.local_host = "::1"});
    close(v4);
    close(v6);
    return 0;
}

static void a_connection_comes_from_the_local_address(void)
{
    run(connect_from);
}

static intptr_t connect_from_a_used_port(void *arg)
{
    int listener = listen_at("127.0.0.1", 0, 5);
    int user = listen_at("127.0.0.1", 0, 5);

    (void)arg;
    expect_error("127.0.0.1", port_of(listener),
                 &(rota_connect_options){.local_port = port_of(user)},
                 -EADDRINUSE);
    close(user);
    close(listener);
    return 0;
}

static void a_local_port_may_be_in_use(void)
{
    run(connect_from_a_used_port);
}

static intptr_t connect_from_another_family(void *arg)
{
    int listener = listen_at("127.0.0.1", 0, 5);
    int other = listen_at("::1", port_of(listener), 5);
    int port = port_of(listener);
    rota_stream *stream;

    (void)arg;
    assert_int_equal(
        rota_open_connection_with(
            &stream, "both.test", port,
            &(rota_connect_options){.local_host = "127.0.0.1", HAPPY}),
        0);
    expect_talk(stream, listener);
    expect_error("::1", port,
                 &(rota_connect_options){.local_host = "127.0.0.1"},
                 -EADDRNOTAVAIL);
    expect_error("two.test", port,
                 &(rota_connect_options){.local_host = "::1", HAPPY},
                 -EADDRNOTAVAIL);
    close(other);
    close(listener);
    return 0;
}

static void addresses_of_another_family_than_the_local_one_are_passed_over(void)
{
    run(connect_from_another_family);
}

static intptr_t connect_from_nowhere(void *arg)
{
    static const rota_connect_options wrong[] = {
        {.local_host = "localhost"},  {.local_host = ""},
        {.local_port = -1},           {.local_port = 65536},
        {.happy_eyeballs_delay = -1}, {.interleave = -1},
    };

    (void)arg;
    for (size_t i = 0; i < rota__countof(wrong); i++) {
        expect_error("127.0.0.1", 9, &wrong[i], -EINVAL);
        expect_error("two.test", 9, &wrong[i], -EINVAL);
    }
    return 0;
}

static void a_local_address_is_a_number(void)
{
    run(connect_from_nowhere);
}

/* --- Families ------------------------------------------------------------- */

static intptr_t connect_by_family(void *arg)
{
    static const rota_connect_options v4 = {.family = AF_INET};
    static const rota_connect_options v6 = {.family = AF_INET6};
    int listener = listen_at("127.0.0.1", 0, 5);
    rota_stream *stream;

    (void)arg;
    assert_int_equal(rota_open_connection_with(&stream, "another.test",
                                               port_of(listener), &v4),
                     0);
    expect_talk(stream, listener);
    expect_error("127.0.0.1", port_of(listener), &v6, -ROTA_EFAMILY);
    expect_error("::1", port_of(listener), &v4, -ROTA_EFAMILY);
    close(listener);
    return 0;
}

static void a_family_may_be_asked_for(void)
{
    run(connect_by_family);
}

/* --- Ends ----------------------------------------------------------------- */

static struct hole holes[2];
static int hole_port;

static intptr_t fall_into_holes(void *arg)
{
    rota_stream *stream;

    return rota_open_connection_with(&stream, "two.test", hole_port, arg);
}

static intptr_t cancel_at_each_time(void *arg)
{
    int before;

    expect_error("gone.test", 80, arg, -ROTA_ENONAME); /* makes the pool */
    hole_open(&holes[0], "127.0.0.1", 0);
    hole_port = port_of(holes[0].listener);
    hole_open(&holes[1], "127.0.0.2", hole_port);
    before = open_fds();
    for (int step = 0; step < 12; step++) {
        rota_task task = start(fall_into_holes, arg);

        assert_int_equal(rota_sleep(0.05 * step), 0);
        assert_int_equal(rota_task_cancel(task), 1);
        assert_int_equal(rota_await(task), -ECANCELED);
        assert_int_equal(open_fds(), before);
    }
    hole_close(&holes[0]);
    hole_close(&holes[1]);
    return 0;
}

static void a_cancel_at_any_time_leaves_no_socket(void)
{
    rota_connect_options in_turn = {0};
    rota_connect_options quick = {HAPPY};

    assert_int_equal(run_virtually(cancel_at_each_time, &quick), 0);
    assert_int_equal(run_virtually(cancel_at_each_time, &in_turn), 0);
}

static intptr_t leave_them(void *arg)
{
    hole_open(&holes[0], "127.0.0.1", 0);
    hole_port = port_of(holes[0].listener);
    hole_open(&holes[1], "127.0.0.2", hole_port);
    for (int i = 0; i < 5; i++)
        start(fall_into_holes, arg);
    assert_int_equal(rota_sleep(0.4), 0);
    return 0;
}

static void a_loop_that_closes_leaves_no_socket(void)
{
    rota_connect_options quick = {HAPPY};

    assert_int_equal(run_virtually(leave_them, &quick), 0);
    hole_close(&holes[0]);
    hole_close(&holes[1]);
}

/* --- Limits --------------------------------------------------------------- */

static intptr_t connect_without_fds(void *arg)
{
    int listener = listen_at("127.0.0.1", 0, 5);
    rota_stream *stream;
    rlim_t before;
    int err;

    (void)arg;
    expect_error("gone.test", 80, NULL, -ROTA_ENONAME); /* makes the pool */
    before = limit_fds(0);
    err = rota_open_connection(&stream, "127.0.0.1", port_of(listener));
    assert_int_equal(err, -EMFILE);
    assert_int_equal(rota_open_unix_connection(&stream, "/x", NULL), -EMFILE);
    unlimit_fds(before);
    assert_int_equal(
        rota_open_connection(&stream, "127.0.0.1", port_of(listener)), 0);
    expect_talk(stream, listener);
    close(listener);
    return 0;
}

static void a_lack_of_fds_is_an_error_that_passes(void)
{
    run(connect_without_fds);
}

static intptr_t lack_memory(void *arg)
{
    int listener = listen_at("127.0.0.1", 0, 50);
    int failures = 0;

    (void)arg;
    for (long nth = 1; nth <= 14; nth++) {
        rota_stream *stream = NULL;
        int err;

        harness_fail_allocation(nth);
        err = rota_open_connection_with(&stream, "two.test", port_of(listener),
                                        &happy);
        harness_fail_allocation(-1);
        if (err == 0) {
            expect_talk(stream, listener);
            continue;
        }
        failures++;
        /* Where only the second address has met it, the first one's is told. */
        assert_true(err == -ENOMEM || err == -ECONNREFUSED);
        assert_null(stream);
    }
    assert_in_range(failures, 3, 12);
    close(listener);
    return 0;
}

static void every_lack_of_memory_is_survived(void)
{
    run(lack_memory);
}

static int many_listener;
static int many_done;

static intptr_t connect_one_of_many(void *arg)
{
    rota_stream *stream;
    char byte;
    intptr_t n = rota_open_connection_with(&stream, "127.0.0.1",
                                           port_of(many_listener), arg);

    if (n < 0)
        return n;
    n = rota_write(stream, "x", 1);
    if (n == 1)
        n = rota_read(stream, &byte, 1);
    assert_int_equal(n, 1);
    rota_stream_free(stream);
    many_done++;
    return 0;
}

static void answer_one(int peer)
{
    char byte;

    while (recv(peer, &byte, 1, MSG_DONTWAIT) < 0)
        assert_int_equal(rota_sleep(0), 0);
    bare_send(peer, &byte, 1);
    close(peer);
}

/* Each gets its byte back. */
static intptr_t answer_many(void *arg)
{
    int left = *(int *)arg;

    while (left > 0) {
        int peer = accept(many_listener, NULL, NULL);

        if (peer >= 0) {
            answer_one(peer);
            left--;
        } else if (rota_sleep(0.001) < 0) {
            return -ECANCELED;
        }
    }
    return 0;
}

static intptr_t connect_many(void *arg)
{
    int count = *(int *)arg;
    rota_task *tasks = calloc((size_t)count, sizeof *tasks);
    rota_task server;

    assert_non_null(tasks);
    for (int i = 0; i < count; i++)
        tasks[i] = start(connect_one_of_many, (void *)&happy);
    pass_turns(1); /* all of them are under way */
    server = start(answer_many, &count);
    for (int i = 0; i < count; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    assert_int_equal(rota_await(server), 0);
    assert_int_equal(many_done, count);
    free(tasks);
    return 0;
}

static void thousands_connect_at_once(void)
{
    struct rlimit limit;
    int count = 4000;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 8200)
        count = ((int)limit.rlim_cur - 200) / 2;
    many_listener = listen_at("127.0.0.1", 0, 4096);
    assert_int_equal(fcntl(many_listener, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(rota_run(connect_many, &count), 0);
    close(many_listener);
}

HARNESS_MAIN(
    TEST(a_black_hole_costs_no_more_than_the_delay),
    TEST(a_refusal_costs_no_time), TEST(when_nobody_answers_nothing_is_left),
    TEST(the_first_address_is_preferred),
    TEST(a_connection_comes_from_the_local_address),
    TEST(a_local_port_may_be_in_use),
    TEST(addresses_of_another_family_than_the_local_one_are_passed_over),
    TEST(a_local_address_is_a_number), TEST(a_family_may_be_asked_for),
    TEST(a_cancel_at_any_time_leaves_no_socket),
    TEST(a_loop_that_closes_leaves_no_socket),
    TEST(a_lack_of_fds_is_an_error_that_passes),
    TEST(every_lack_of_memory_is_survived),
    TEST_TIMEOUT(thousands_connect_at_once, 120))
