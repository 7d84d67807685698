/* SPDX-License-Identifier: MIT */
/*
 * One turn of the loop: its phases and their order, turns inside of turns,
 * and who may look at what is queued
 */
#include "loops.h"

#include <stdlib.h>
#include <unistd.h>

/* The order of callbacks */

static void callbacks_run_in_the_order_of_the_calls(void)
{
    rota_loop *loop = new_loop();
    rota_handle handles[2] = {0};

    rota_call_soon(loop, NULL, note, "a");
    rota_call_soon(loop, &handles[1], note, "b");
    rota_call_soon(loop, NULL, note, "c");
    rota_call_soon(loop, &handles[0], note, "d");
    run_one_turn(loop);
    expect_noted("abcd");
    rota_loop_free(loop);
}

struct chain {
    rota_loop *loop;
    char *text;
    int left;
};

static void go_on(void *arg)
{
    struct chain *chain = arg;

    note(chain->text);
    if (chain->left-- > 0)
        assert_int_equal(rota_call_soon(chain->loop, NULL, go_on, chain), 0);
}

static void what_a_callback_schedules_runs_in_the_next_turn(void)
{
    rota_loop *loop = new_loop();
    struct chain a = {loop, "a", 2};
    struct chain b = {loop, "b", 1};

    rota_call_soon(loop, NULL, go_on, &a);
    rota_call_soon(loop, NULL, go_on, &b);
    rota_call_soon(loop, NULL, note, "c");
    run_one_turn(loop);
    expect_noted("abc");
    run_one_turn(loop);
    expect_noted("ab");
    run_one_turn(loop);
    expect_noted("a");
    run_one_turn(loop);
    expect_noted("");
    rota_loop_free(loop);
}

static void events_come_after_what_was_ready_and_timers_after_events(void)
{
    rota_loop *loop = new_loop();
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    rota_call_at(loop, NULL, 2, note, "4");
    rota_call_at(loop, NULL, 1, note, "3");
    rota_add_reader(loop, fds[0], note, "2");
    rota_call_soon(loop, NULL, note, "1");
    run_one_turn(loop);
    expect_noted("1234");
    rota_loop_free(loop);
    close(fds[0]);
    close(fds[1]);
}

static void what_other_threads_sent_keeps_its_order(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon_threadsafe(loop, NULL, note, "b");
    rota_call_soon_threadsafe(loop, NULL, note, "c");
    rota_call_soon(loop, NULL, note, "a");
    rota_call_soon_threadsafe(loop, NULL, note, "d");
    run_one_turn(loop);
    expect_noted("abcd");
    rota_loop_free(loop);
}

static void cancel(void *handle)
{
    rota_handle_cancel(handle);
}

static void a_callback_cancels_a_later_one_of_its_turn(void)
{
    rota_loop *loop = new_loop();
    rota_handle first = {0};
    rota_handle later = {0};

    rota_call_soon(loop, &first, cancel, &later);
    rota_call_soon(loop, NULL, note, "x");
    rota_call_soon(loop, &later, must_not_run, NULL);
    run_one_turn(loop);
    assert_true(rota_handle_cancelled(&later));
    assert_false(rota_handle_cancelled(&first));
    expect_noted("x");
    rota_loop_free(loop);
}

static void cancelling_a_handle_that_runs_does_nothing(void)
{
    rota_loop *loop = new_loop();
    rota_handle handle = {0};

    rota_call_soon(loop, &handle, cancel, &handle);
    run_one_turn(loop);
    assert_false(rota_handle_cancelled(&handle));
    rota_loop_free(loop);
}

static void free_handle(void *handle)
{
    note("x");
    memset(handle, 0xEE, sizeof(rota_handle));
    free(handle);
}

static void the_memory_is_the_callers_as_soon_as_the_callback_runs(void)
{
    rota_handle *handle = calloc(1, sizeof *handle);
    rota_loop *loop = new_loop();

    rota_call_soon(loop, handle, free_handle, handle);
    rota_call_soon(loop, NULL, note, "y");
    run_one_turn(loop);
    expect_noted("xy");
    rota_loop_free(loop);
}

struct again {
    rota_loop *loop;
    rota_handle handle;
    int left;
};

static void set_own_handle_again(void *arg)
{
    struct again *again = arg;

    note("x");
    if (again->left-- > 0)
        assert_int_equal(rota_call_soon(again->loop, &again->handle,
                                        set_own_handle_again, again),
                         0);
}

static void a_callback_sets_its_own_handle_again(void)
{
    rota_loop *loop = new_loop();
    struct again again = {.loop = loop, .left = 2};

    set_own_handle_again(&again);
    expect_noted("x");
    run_one_turn(loop);
    expect_noted("x");
    run_one_turn(loop);
    expect_noted("x");
    run_one_turn(loop);
    expect_noted("");
    rota_loop_free(loop);
}

static const char *order_with_seed(uint64_t seed)
{
    static char *const letters[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    const rota_loop_options options = {.seed = seed};
    static char order[16];
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    for (size_t i = 0; i < rota__countof(letters); i++)
        rota_call_soon(loop, NULL, note, letters[i]);
    run_one_turn(loop);
    rota_loop_free(loop);
    assert_int_equal(strlen(noted), 8);
    memcpy(order, noted, 9);
    noted[0] = '\0';
    return order;
}

static void a_seed_shuffles_a_turn_the_same_way_each_time(void)
{
    char first[16];
    int shuffled = 0;
    int different = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        memcpy(first, order_with_seed(seed), sizeof first);
        assert_string_equal(order_with_seed(seed), first);
        shuffled += strcmp(first, "abcdefgh") != 0;
        different += strcmp(order_with_seed(seed + 1), first) != 0;
        for (const char *letter = "abcdefgh"; *letter; letter++)
            assert_non_null(strchr(first, *letter));
    }
    assert_true(shuffled >= 18);
    assert_true(different >= 18);
}

/* Turns inside of turns, and parts of turns */

static void run_a_turn_inside(void *arg)
{
    struct rota__running run;
    rota_loop *loop = arg;

    note("(");
    assert_int_equal(rota__run_begin(loop, &run, false), -ROTA_ERUNNING);
    assert_int_equal(rota__run_begin(loop, &run, true), 0);
    assert_int_equal(rota__turn(loop), 0);
    rota__run_end(loop, &run);
    assert_ptr_equal(rota_get_running_loop(), loop);
    assert_true(rota_loop_is_running(loop));
    note(")");
}

static void a_nested_turn_runs_what_the_outer_one_has_left(void)
{
    rota_loop *loop = new_loop();
    struct chain chain = {loop, "b", 1};

    rota_call_soon(loop, NULL, note, "a");
    rota_call_soon(loop, NULL, run_a_turn_inside, loop);
    rota_call_soon(loop, NULL, go_on, &chain);
    rota_call_soon(loop, NULL, note, "c");
    run_one_turn(loop);
    expect_noted("a(bc)");
    run_one_turn(loop);
    expect_noted("b");
    assert_null(rota_get_running_loop());
    rota_loop_free(loop);
}

static void a_nested_turn_with_nothing_left_takes_timers_and_events(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, run_a_turn_inside, loop);
    rota_call_later(loop, NULL, 0.001, note, "t");
    while (strchr(noted, ')') == NULL)
        run_one_turn(loop);
    expect_noted("(t)");
    rota_loop_free(loop);
}

static void nested_turns_nest_deeply(void)
{
    rota_loop *loop = new_loop();

    for (int i = 0; i < 20; i++)
        rota_call_soon(loop, NULL, run_a_turn_inside, loop);
    rota_call_soon(loop, NULL, note, "x");
    run_one_turn(loop);
    expect_noted("((((((((((((((((((((x))))))))))))))))))))");
    rota_loop_free(loop);
}

static void run_another_loop_inside(void *arg)
{
    rota_loop *other = new_loop();
    struct rota__running run;

    rota_call_soon(other, NULL, note, "o");
    assert_int_equal(rota__run_begin(other, &run, false), -ROTA_ERUNNING);
    assert_int_equal(rota__run_begin(other, &run, true), 0);
    assert_ptr_equal(rota_get_running_loop(), other);
    assert_int_equal(rota__turn(other), 0);
    rota__run_end(other, &run);
    assert_ptr_equal(rota_get_running_loop(), arg);
    assert_false(rota_loop_is_running(other));
    rota_loop_free(other);
}

static void another_loop_runs_inside_of_a_callback(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, run_another_loop_inside, loop);
    rota_call_soon(loop, NULL, note, "x");
    run_one_turn(loop);
    expect_noted("ox");
    rota_loop_free(loop);
}

static void run_inside_until_it_stops(void *arg)
{
    struct rota__running run;
    rota_loop *loop = arg;

    assert_int_equal(rota__run_begin(loop, &run, true), 0);
    rota_call_soon(loop, NULL, stop, loop);
    do
        assert_int_equal(rota__turn(loop), 0);
    while (!loop->stopping);
    rota__run_end(loop, &run);
    note("i");
}

static void a_stop_ends_the_run_that_it_was_asked_in(void)
{
    rota_loop *loop = new_loop_in_virtual_time();

    rota_call_soon(loop, NULL, run_inside_until_it_stops, loop);
    rota_call_later(loop, NULL, 0.001, note, "o");
    rota_call_later(loop, NULL, 0.002, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("io");
    rota_call_soon(loop, NULL, run_inside_until_it_stops, loop);
    run_one_turn(loop); /* this stop comes first, and is not lost inside */
    expect_noted("i");
    rota_loop_free(loop);
}

static void break_turn(void *loop)
{
    note("!");
    rota__turn_break(loop);
}

static void what_a_broken_turn_leaves_comes_first_in_the_next(void)
{
    rota_loop *loop = new_loop();
    struct chain chain = {loop, "a", 1};

    rota_call_soon(loop, NULL, go_on, &chain);
    rota_call_soon(loop, NULL, break_turn, loop);
    rota_call_soon(loop, NULL, note, "b");
    rota_call_soon(loop, NULL, note, "c");
    run_one_turn(loop);
    expect_noted("a!");
    run_one_turn(loop);
    expect_noted("bca");
    rota_loop_free(loop);
}

static void waiting_gathers_and_running_runs(void)
{
    rota_loop *loop = new_loop();
    struct rota__running run;

    rota_call_soon_threadsafe(loop, NULL, note, "b");
    rota_call_at(loop, NULL, 1, note, "c");
    rota_call_soon(loop, NULL, note, "a");
    assert_int_equal(rota__run_begin(loop, &run, false), 0);
    assert_int_equal(rota__turn_wait(loop), 0);
    expect_noted("");
    rota__turn_run(loop);
    expect_noted("abc");
    rota__run_end(loop, &run);
    rota_loop_free(loop);
}

/* Visits */

struct visited {
    rota_loop *loop;
    struct rota__handle *handles[16];
    size_t count;
};

static void note_visit(struct rota__handle *handle, void *arg)
{
    struct visited *visited = arg;

    assert_true(visited->count < rota__countof(visited->handles));
    visited->handles[visited->count++] = handle;
}

static void visit(void *arg)
{
    struct visited *visited = arg;

    visited->count = 0;
    rota__visit(visited->loop, note_visit, visited);
}

static void expect_visited(const struct visited *visited,
                           const rota_handle *handle)
{
    int times = 0;

    for (size_t i = 0; i < visited->count; i++)
        times += visited->handles[i] == &handle->base;
    assert_int_equal(times, 1);
}

static void a_visit_sees_everything_that_is_queued_once(void)
{
    rota_loop *loop = new_loop();
    struct visited visited = {.loop = loop};
    rota_timer_handle timers[2] = {0};
    rota_handle soon = {0};
    rota_handle posted = {0};
    rota_handle gone = {0};

    rota_call_soon(loop, &soon, note, "a");
    rota_call_soon(loop, &gone, must_not_run, NULL);
    rota_call_soon_threadsafe(loop, &posted, note, "b");
    rota_call_at(loop, &timers[0], 1, note, "c");
    rota_call_later(loop, &timers[1], 1000, must_not_run, NULL);
    rota_handle_cancel(&gone);
    rota_call_soon_threadsafe(loop, NULL, note, "d");
    for (int i = 0; i < 2; i++) { /* it changes nothing */
        visit(&visited);
        assert_int_equal(visited.count, 5);
        expect_visited(&visited, &soon);
        expect_visited(&visited, &posted);
        expect_visited(&visited, &timers[0].handle);
        expect_visited(&visited, &timers[1].handle);
    }
    run_one_turn(loop);
    visit(&visited);
    assert_int_equal(visited.count, 1);
    expect_visited(&visited, &timers[1].handle);
    expect_noted("abdc");
    rota_loop_free(loop);
}

static void a_visit_sees_what_is_left_of_the_turn_under_way(void)
{
    rota_loop *loop = new_loop();
    struct visited visited = {.loop = loop};
    rota_handle handles[3] = {0};

    rota_call_soon(loop, &handles[0], note, "x");
    rota_call_soon(loop, &handles[1], visit, &visited);
    rota_call_soon(loop, &handles[2], note, "y");
    run_one_turn(loop);
    assert_int_equal(visited.count, 1);
    expect_visited(&visited, &handles[2]);
    expect_noted("xy");
    rota_loop_free(loop);
}

HARNESS_MAIN(TEST(callbacks_run_in_the_order_of_the_calls),
             TEST(what_a_callback_schedules_runs_in_the_next_turn),
             TEST(events_come_after_what_was_ready_and_timers_after_events),
             TEST(what_other_threads_sent_keeps_its_order),
             TEST(a_callback_cancels_a_later_one_of_its_turn),
             TEST(cancelling_a_handle_that_runs_does_nothing),
             TEST(the_memory_is_the_callers_as_soon_as_the_callback_runs),
             TEST(a_callback_sets_its_own_handle_again),
             TEST(a_seed_shuffles_a_turn_the_same_way_each_time),
             TEST(a_nested_turn_runs_what_the_outer_one_has_left),
             TEST(a_nested_turn_with_nothing_left_takes_timers_and_events),
             TEST(nested_turns_nest_deeply),
             TEST(another_loop_runs_inside_of_a_callback),
             TEST(a_stop_ends_the_run_that_it_was_asked_in),
             TEST(what_a_broken_turn_leaves_comes_first_in_the_next),
             TEST(waiting_gathers_and_running_runs),
             TEST(a_visit_sees_everything_that_is_queued_once),
             TEST(a_visit_sees_what_is_left_of_the_turn_under_way))
