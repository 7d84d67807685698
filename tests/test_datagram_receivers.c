/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait to receive a datagram
 */
#include "datagrams.h"

static intptr_t cancel_receivers(void *arg)
{
    struct link link;
    rota_task waiting;

    (void)arg;
    link_open(&link, false);
    waiting = start(hear_in_task, link.datagram);
    settle();
    assert_true(rota_task_cancel(waiting));
    assert_int_equal(rota_await(waiting), -ECANCELED);
    waiting = start(hear_in_task, link.datagram);
    settle();
    tell(&link, "1");
    tell(&link, "2");
    tell(&link, "3");
    assert_true(rota_task_cancel(waiting));
    assert_int_equal(rota_await(waiting), -ECANCELED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(hear(link.datagram), 1);
    assert_noted("ECANCELED ECANCELED <1> <2> <3>");
    link_close(&link);
    return 0;
}

static void a_cancelled_receiver_has_lost_nothing(void)
{
    scenario(cancel_receivers);
    shuffled(cancel_receivers);
}

static void cancel_task(void *task)
{
    assert_true(rota_task_cancel(*(rota_task *)task));
}

/* It is ready, with a datagram for it, when it is cancelled. */
static intptr_t cancel_a_ready_receiver(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    struct link link;
    rota_task waiting;

    (void)arg;
    loop->keep_order = true;
    link_open(&link, false);
    waiting = start(hear_in_task, link.datagram);
    settle();
    tell(&link, "kept");
    assert_int_equal(rota_call_soon(loop, NULL, cancel_task, &waiting), 0);
    assert_int_equal(rota_await(waiting), -ECANCELED);
    assert_int_equal(hear(link.datagram), 4);
    assert_noted("ECANCELED <kept>");
    link_close(&link);
    return 0;
}

static void a_receiver_that_is_cancelled_when_ready_has_taken_none(void)
{
    scenario(cancel_a_ready_receiver);
}

static void close_it(void *datagram)
{
    rota_datagram_close(datagram);
}

static intptr_t close_under_a_ready_receiver(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    struct link link;
    rota_task waiting;

    (void)arg;
    loop->keep_order = true;
    link_open(&link, false);
    waiting = start(hear_in_task, link.datagram);
    settle();
    tell(&link, "too late");
    assert_int_equal(rota_call_soon(loop, NULL, close_it, link.datagram), 0);
    assert_int_equal(rota_await(waiting), -ROTA_ECLOSING);
    link_close(&link);
    return 0;
}

static void a_receiver_that_was_ready_hears_of_the_close(void)
{
    scenario(close_under_a_ready_receiver);
}

static intptr_t time_out(void *arg)
{
    struct link link;
    rota_timeout limit;
    intptr_t n;

    (void)arg;
    link_open(&link, false);
    n = rota_timeout_begin(&limit, 10);
    assert_int_equal(n, 0);
    n = hear(link.datagram);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    tell(&link, "late");
    assert_int_equal(hear(link.datagram), 4);
    link_close(&link);
    return 0;
}

static void a_receiver_can_have_a_time_limit(void)
{
    scenario(time_out);
}

static intptr_t receive_twice(void *arg)
{
    struct link link;
    rota_task first;

    (void)arg;
    link_open(&link, false);
    first = start(hear_in_task, link.datagram);
    settle();
    assert_int_equal(hear(link.datagram), -EBUSY);
    tell(&link, "for the first");
    assert_int_equal(rota_await(first), 13);
    tell(&link, "for the second");
    assert_int_equal(hear(link.datagram), 14);
    assert_noted("EBUSY <for the first> <for the second>");
    link_close(&link);
    return 0;
}

static void a_second_receiver_is_refused(void)
{
    scenario(receive_twice);
}

static intptr_t receive_bursts(void *arg)
{
    struct link links[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        link_open(&links[i], i == 1);
    for (int i = 0; i < 60; i++) {
        char text[16];

        snprintf(text, sizeof text, "%d", i);
        tell(&links[i % 3], text);
    }
    for (int i = 0; i < 60; i++) { /* three batches at a time */
        char text[16];

        assert_in_range(hear(links[i % 3].datagram), 1, 2);
        snprintf(text, sizeof text, "<%d>", i);
        assert_noted(text);
    }
    for (int i = 0; i < 3; i++)
        link_close(&links[i]);
    return 0;
}

static void bursts_on_several_endpoints_do_not_mix(void)
{
    scenario(receive_bursts);
}

static intptr_t free_with_a_batch(void *arg)
{
    struct link link;

    (void)arg;
    link_open(&link, false);
    tell(&link, "1");
    tell(&link, "2");
    assert_int_equal(hear(link.datagram), 1);
    rota_datagram_close(link.datagram);
    assert_int_equal(hear(link.datagram), -ROTA_ECLOSING);
    link_close(&link);
    return 0;
}

static void what_is_left_of_a_batch_goes_with_the_endpoint(void)
{
    scenario(free_with_a_batch);
}

HARNESS_MAIN(TEST(a_cancelled_receiver_has_lost_nothing),
             TEST(a_receiver_that_is_cancelled_when_ready_has_taken_none),
             TEST(a_receiver_that_was_ready_hears_of_the_close),
             TEST(a_receiver_can_have_a_time_limit),
             TEST(a_second_receiver_is_refused),
             TEST(bursts_on_several_endpoints_do_not_mix),
             TEST(what_is_left_of_a_batch_goes_with_the_endpoint))
