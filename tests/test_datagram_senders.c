/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait to send a datagram
 *
 * A Unix socket takes a few datagrams and no more until its owner receives, so
 * that the test says when there is room.
 */
#include "datagrams.h"

static struct {
    rota_datagram *datagram;
    rota_address address;
    const rota_address *to; /* NULL: it is connected */
    int fd;
    int filled; /* numbers below this one went at once */
    int taken;
} tap;

#define SENDERS 5

static void tap_open(bool connected)
{
    rota_datagram_options options = {.family = AF_UNIX};

    tap.address = unix_address("senders");
    tap.fd = bare_bind(&tap.address);
    assert_true(tap.fd >= 0);
    tap.to = connected ? NULL : &tap.address;
    if (connected)
        options.remote = &tap.address;
    assert_int_equal(rota_datagram_open(&tap.datagram, &options), 0);
    tap.filled = 0;
    tap.taken = 0;
}

static void tap_close(void)
{
    rota_datagram_free(tap.datagram);
    close(tap.fd);
    unix_unlink(&tap.address);
}

static intptr_t send_number(void *arg)
{
    int number = (int)(intptr_t)arg;
    intptr_t n =
        rota_datagram_send(tap.datagram, &number, sizeof number, tap.to);

    if (n < 0)
        note("%d:%s", number - tap.filled, rota_errname(n));
    else
        note("%d", number - tap.filled);
    return n;
}

static rota_task start_sender(int number)
{
    return start(send_number, (void *)(intptr_t)number);
}

/* Sends as many as go at once: the first that waits is cancelled. */
static void tap_fill(void)
{
    rota_task task;
    int err = 0;

    while (err >= 0) {
        task = start_sender(tap.filled);
        settle();
        if (!rota_task_done(task))
            assert_true(rota_task_cancel(task));
        err = (int)rota_await(task);
        tap.filled += err >= 0;
        scenario_line[0] = '\0';
    }
    assert_int_equal(err, -ECANCELED);
    assert_true(tap.filled > 0);
}

/* Takes what is there: no number is missing, doubled or out of order. */
static void tap_take(int skipped)
{
    int number;

    while ((number = bare_number(tap.fd)) >= 0) {
        tap.taken += tap.taken == skipped;
        assert_int_equal(number, tap.taken++);
    }
}

static void start_senders(rota_task *tasks)
{
    for (int i = 0; i < SENDERS; i++) {
        tasks[i] = start_sender(tap.filled + i);
        settle(); /* in this order, whatever the seed */
    }
    assert_noted("");
}

static void wait_in_line(bool connected)
{
    rota_task tasks[SENDERS];
    int late;

    tap_open(connected);
    tap_fill();
    start_senders(tasks);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bare_number(tap.fd), tap.taken++);
    settle();
    tap_take(-1);
    late = tap.filled + SENDERS;
    assert_int_equal(rota_await(start_sender(late)), sizeof late);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(rota_await(tasks[i]), sizeof late);
    assert_noted("0 1 2 3 4 5");
    tap_take(-1);
    assert_int_equal(tap.taken, late + 1);
    tap_close();
}

static intptr_t wait_connected(void *arg)
{
    (void)arg;
    wait_in_line(true);
    return 0;
}

static intptr_t wait_unconnected(void *arg)
{
    (void)arg;
    wait_in_line(false);
    return 0;
}

static void senders_wait_in_line_until_there_is_room(void)
{
    scenario(wait_connected);
}

static void senders_try_again_where_nobody_tells_of_room(void)
{
    scenario(wait_unconnected);
}

static intptr_t cancel_one(void *arg)
{
    int which = *(int *)arg;
    rota_task tasks[SENDERS];
    char expected[64] = "";

    tap_open(true);
    tap_fill();
    start_senders(tasks);
    assert_true(rota_task_cancel(tasks[which]));
    assert_int_equal(rota_await(tasks[which]), -ECANCELED);
    snprintf(expected, sizeof expected, "%d:ECANCELED", which);
    assert_noted(expected);
    for (int i = 0; i < SENDERS; i++) {
        while (i != which && !rota_task_done(tasks[i])) {
            tap_take(tap.filled + which);
            settle();
        }
        if (i != which)
            assert_int_equal(rota_await(tasks[i]), sizeof(int));
    }
    tap_take(tap.filled + which);
    assert_int_equal(tap.taken, tap.filled + SENDERS);
    scenario_line[0] = '\0';
    tap_close();
    return 0;
}

static void a_cancelled_sender_has_sent_nothing_and_holds_up_nobody(void)
{
    for (int which = 0; which < SENDERS - 1; which++)
        assert_int_equal(run_virtually(cancel_one, &which), 0);
}

static void cancel_task(void *task)
{
    assert_true(rota_task_cancel(*(rota_task *)task));
}

/* There is room for it, and it is ready, when it is cancelled. */
static intptr_t cancel_a_ready_one(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    rota_task tasks[SENDERS];

    (void)arg;
    loop->keep_order = true;
    tap_open(true);
    tap_fill();
    start_senders(tasks);
    tap_take(-1);
    assert_int_equal(rota_call_soon(loop, NULL, cancel_task, &tasks[0]), 0);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(rota_await(tasks[i]), i ? 4 : -ECANCELED);
    assert_noted("0:ECANCELED 1 2 3 4");
    tap_take(tap.filled);
    assert_int_equal(tap.taken, tap.filled + SENDERS);
    tap_close();
    return 0;
}

static void a_sender_that_is_cancelled_when_ready_lets_the_next_one_go(void)
{
    scenario(cancel_a_ready_one);
}

static rota_task next_in_line;

/* Its turn has been given to the next one, who has not run yet. */
static intptr_t send_and_cancel_the_next(void *arg)
{
    intptr_t n = send_number(arg);

    assert_true(rota_task_cancel(next_in_line));
    return n;
}

static intptr_t cancel_the_next(void *arg)
{
    rota_task first, last;

    (void)arg;
    tap_open(true);
    tap_fill();
    first = start(send_and_cancel_the_next, (void *)(intptr_t)tap.filled);
    settle();
    next_in_line = start_sender(tap.filled + 1);
    settle();
    last = start_sender(tap.filled + 2);
    settle();
    tap_take(-1);
    assert_int_equal(rota_await(first), sizeof(int));
    assert_int_equal(rota_await(next_in_line), -ECANCELED);
    assert_int_equal(rota_await(last), sizeof(int));
    assert_noted("0 1:ECANCELED 2");
    tap_close();
    return 0;
}

static void a_turn_that_is_given_to_a_cancelled_sender_goes_on(void)
{
    scenario(cancel_the_next);
}

static intptr_t lose_the_receiver(void *arg)
{
    rota_task tasks[SENDERS];

    (void)arg;
    tap_open(false);
    tap_fill();
    start_senders(tasks);
    close(tap.fd);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(rota_await(tasks[i]), -ECONNREFUSED);
    tap.fd = dup(0);
    tap_close();
    return 0;
}

static void an_error_is_told_to_each_that_waits(void)
{
    scenario(lose_the_receiver);
}

static intptr_t receive(void *arg)
{
    char buf[10];

    (void)arg;
    return rota_datagram_recv(tap.datagram, buf, sizeof buf, NULL, NULL);
}

static intptr_t close_under_them(void *arg)
{
    bool frees = *(bool *)arg;
    rota_task tasks[SENDERS];
    rota_task receiver;

    tap_open(true);
    tap_fill();
    start_senders(tasks);
    receiver = start(receive, NULL);
    settle();
    if (frees)
        rota_datagram_free(tap.datagram);
    else
        rota_datagram_close(tap.datagram);
    assert_int_equal(rota_await(receiver), -ROTA_ECLOSING);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(rota_await(tasks[i]), -ROTA_ECLOSING);
    scenario_line[0] = '\0';
    if (frees)
        tap.datagram = NULL;
    tap_close();
    return 0;
}

static void a_close_wakes_all_who_wait(void)
{
    bool frees = false;

    assert_int_equal(run_virtually(close_under_them, &frees), 0);
}

static void a_free_waits_for_those_who_are_inside(void)
{
    bool frees = true;

    assert_int_equal(run_virtually(close_under_them, &frees), 0);
}

static intptr_t leave_senders(void *arg)
{
    rota_task tasks[SENDERS];

    tap_open(true);
    tap_fill();
    start_senders(tasks);
    if (*(bool *)arg) {
        rota_datagram_free(tap.datagram);
        tap.datagram = NULL;
    }
    return 0;
}

static void senders_are_left_when_their_loop_closes(void)
{
    for (int i = 0; i < 2; i++) {
        bool frees = i == 1;
        rota_loop *loop = new_virtual_loop();

        assert_int_equal(
            rota_loop_run_until_complete(loop, leave_senders, &frees), 0);
        rota_loop_free(loop);
        scenario_line[0] = '\0';
        tap_close();
    }
}

/* Many tasks, one socket, one who takes: each number arrives once. */
static intptr_t crowd(void *arg)
{
    rota_task tasks[40];
    bool came[40] = {false};
    int number;

    (void)arg;
    tap_open(true);
    for (int i = 0; i < 40; i++)
        tasks[i] = start_sender(i);
    for (int taken = 0; taken < 40; taken++) {
        while ((number = bare_number(tap.fd)) < 0)
            assert_int_equal(rota_sleep(0), 0);
        assert_in_range(number, 0, 39);
        assert_false(came[number]);
        came[number] = true;
    }
    assert_int_equal(rota_gather(tasks, 40, NULL, false), 0);
    assert_int_equal(bare_number(tap.fd), -1);
    scenario_line[0] = '\0';
    tap_close();
    return 0;
}

static void a_crowd_of_senders_sends_each_once(void)
{
    scenario(crowd);
    shuffled(crowd);
}

HARNESS_MAIN(TEST(senders_wait_in_line_until_there_is_room),
             TEST(senders_try_again_where_nobody_tells_of_room),
             TEST(a_cancelled_sender_has_sent_nothing_and_holds_up_nobody),
             TEST(a_sender_that_is_cancelled_when_ready_lets_the_next_one_go),
             TEST(a_turn_that_is_given_to_a_cancelled_sender_goes_on),
             TEST(an_error_is_told_to_each_that_waits),
             TEST(a_close_wakes_all_who_wait),
             TEST(a_free_waits_for_those_who_are_inside),
             TEST(senders_are_left_when_their_loop_closes),
             TEST(a_crowd_of_senders_sends_each_once))
