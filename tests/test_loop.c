/* SPDX-License-Identifier: MIT */
/*
 * The life of a loop: new, run, stop, close, free; which loop is whose; and
 * errors that no caller can be told of
 */
#include "loops.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

/* New */

static void a_new_loop_neither_runs_nor_is_closed(void)
{
    rota_loop *loop = new_loop();

    assert_false(rota_loop_is_running(loop));
    assert_false(rota_loop_is_closed(loop));
    assert_null(rota_get_running_loop());
    rota_loop_free(loop);
}

static void each_poller_can_be_asked_for(void)
{
    static const char *const names[] = {"poll", "sim"};

    for (size_t i = 0; i < rota__countof(names); i++) {
        const rota_loop_options options = {.poller = names[i]};
        rota_loop *loop;
        int calls = 0;

        assert_int_equal(rota_new_event_loop(&loop, &options), 0);
        assert_string_equal(loop->poller.ops->name, names[i]);
        assert_int_equal(rota_call_soon(loop, NULL, count_call, &calls), 0);
        run_one_turn(loop);
        assert_int_equal(calls, 1);
        rota_loop_free(loop);
    }
}

static void the_environment_chooses_the_poller_but_options_win(void)
{
    const rota_loop_options options = {.poller = "poll"};
    rota_loop *loop;

    setenv("ROTA_POLLER", "sim", 1);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_string_equal(loop->poller.ops->name, "sim");
    rota_loop_free(loop);
    assert_int_equal(rota_new_event_loop(&loop, &options), 0);
    assert_string_equal(loop->poller.ops->name, "poll");
    rota_loop_free(loop);
    setenv("ROTA_POLLER", "", 1);
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_true(strcmp(loop->poller.ops->name, "sim") != 0);
    rota_loop_free(loop);
}

static void an_unknown_poller_is_refused(void)
{
    const rota_loop_options options = {.poller = "telepathy"};
    rota_loop *untouched = (rota_loop *)&options;
    rota_loop *loop = untouched;

    assert_int_equal(rota_new_event_loop(&loop, &options), -EINVAL);
    assert_ptr_equal(loop, untouched); /* written only on success */
    setenv("ROTA_POLLER", "telepathy", 1);
    assert_int_equal(rota_new_event_loop(&loop, NULL), -EINVAL);
}

static void without_memory_no_loop_is_made_and_nothing_leaks(void)
{
    rota_loop *loop = NULL;
    int err = -ENOMEM;

    for (long nth = 1; err < 0; nth++) {
        harness_fail_allocation(nth);
        err = rota_new_event_loop(&loop, NULL);
        harness_fail_allocation(-1);
        assert_true(err == 0 || err == -ENOMEM);
        assert_true(nth < 20);
        if (err < 0)
            assert_int_equal(harness_live_blocks(), 0);
    }
    rota_loop_free(loop);
}

static void without_descriptors_no_loop_is_made(void)
{
    struct rlimit before;
    struct rlimit limit;
    rota_loop *loop;
    int err = -EMFILE;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    for (limit.rlim_cur = 3; err < 0; limit.rlim_cur++) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        err = rota_new_event_loop(&loop, NULL);
        assert_true(err == 0 || err == -EMFILE);
        assert_true(limit.rlim_cur < 2000);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    rota_loop_free(loop);
}

/* Run and stop */

static void stop_ends_the_run_after_the_turn_under_way(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, note, "a");
    rota_call_soon(loop, NULL, stop, loop);
    rota_call_soon(loop, NULL, note, "b");
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("ab");
    rota_loop_free(loop);
}

static void schedule_next(void *loop)
{
    note("x");
    assert_int_equal(rota_call_soon(loop, NULL, note, "y"), 0);
}

static void stop_before_a_run_means_one_turn(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, schedule_next, loop);
    rota_loop_stop(loop);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("x");
    rota_loop_stop(loop); /* stops do not add up */
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("y");
    rota_loop_free(loop);
}

static void a_stopped_loop_runs_again(void)
{
    rota_loop *loop = new_loop();

    for (int i = 0; i < 3; i++) {
        rota_call_soon(loop, NULL, note, "x");
        rota_call_soon(loop, NULL, stop, loop);
        assert_int_equal(rota_loop_run_forever(loop), 0);
        assert_false(rota_loop_is_running(loop));
    }
    expect_noted("xxx");
    rota_loop_free(loop);
}

static void what_is_left_at_a_stop_runs_in_the_next_run(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, stop, loop);
    rota_call_soon(loop, NULL, schedule_next, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("x");
    rota_call_soon(loop, NULL, stop, loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    expect_noted("y");
    rota_loop_free(loop);
}

static void try_to_run_again(void *loop)
{
    rota_loop *other = new_loop();

    assert_int_equal(rota_loop_run_forever(loop), -ROTA_ERUNNING);
    assert_int_equal(rota_loop_run_forever(other), -ROTA_ERUNNING);
    assert_int_equal(rota_loop_close(loop), -ROTA_ERUNNING);
    rota_loop_free(loop); /* refused as well */
    assert_false(rota_loop_is_closed(loop));
    assert_true(rota_loop_is_running(loop));
    assert_false(rota_loop_is_running(other));
    rota_loop_free(other);
    note("x");
}

static void a_run_inside_a_run_is_refused(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, try_to_run_again, loop);
    run_one_turn(loop);
    expect_noted("x");
    rota_loop_free(loop);
}

/* Whose loop */

static void expect_running(void *loop)
{
    assert_ptr_equal(rota_get_running_loop(), loop);
    assert_ptr_equal(rota_get_event_loop(), loop);
    assert_true(rota_loop_is_running(loop));
    note("x");
}

static void the_running_loop_is_known_while_it_runs(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, expect_running, loop);
    run_one_turn(loop);
    expect_noted("x");
    assert_null(rota_get_running_loop());
    assert_null(rota_get_event_loop());
    rota_loop_free(loop);
}

static void a_set_loop_is_had_while_none_runs(void)
{
    rota_loop *set = new_loop();
    rota_loop *other = new_loop();

    rota_set_event_loop(set);
    assert_ptr_equal(rota_get_event_loop(), set);
    assert_null(rota_get_running_loop());
    rota_call_soon(other, NULL, expect_running, other);
    run_one_turn(other);
    assert_ptr_equal(rota_get_event_loop(), set);
    rota_set_event_loop(NULL);
    assert_null(rota_get_event_loop());
    rota_loop_free(other);
    rota_loop_free(set);
}

static void a_set_loop_that_is_freed_is_unset(void)
{
    rota_loop *set = new_loop();
    rota_loop *other = new_loop();

    rota_set_event_loop(set);
    rota_loop_free(other);
    assert_ptr_equal(rota_get_event_loop(), set);
    rota_loop_free(set);
    assert_null(rota_get_event_loop());
}

static void *run_elsewhere(void *loop)
{
    assert_null(rota_get_event_loop()); /* each thread has its own */
    assert_int_equal(rota_call_soon(loop, NULL, expect_running, loop), 0);
    assert_int_equal(rota_call_soon(loop, NULL, stop, loop), 0);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    return NULL;
}

static void a_loop_is_prepared_on_one_thread_and_run_on_another(void)
{
    rota_loop *loop = new_loop();
    pthread_t thread;

    rota_set_event_loop(loop);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rota_call_soon(loop, NULL, note, "a"), 0);
        assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, loop), 0);
        pthread_join(thread, NULL);
        expect_noted("ax");
        rota_call_soon(loop, NULL, expect_running, loop);
        run_one_turn(loop);
        expect_noted("x");
    }
    rota_loop_free(loop);
}

static void *try_to_run(void *loop)
{
    assert_int_equal(rota_loop_run_forever(loop), -ROTA_ERUNNING);
    assert_int_equal(rota_loop_close(loop), -ROTA_ERUNNING);
    return NULL;
}

static void try_on_another_thread(void *loop)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, try_to_run, loop), 0);
    pthread_join(thread, NULL);
    note("x");
}

static void two_threads_cannot_run_the_same_loop(void)
{
    rota_loop *loop = new_loop();

    rota_call_soon(loop, NULL, try_on_another_thread, loop);
    run_one_turn(loop);
    expect_noted("x");
    rota_loop_free(loop);
}

/* Close and free */

static void a_closed_loop_refuses_everything(void)
{
    rota_loop *loop = new_loop();
    rota_future future;
    intptr_t result;

    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_true(rota_loop_is_closed(loop));
    assert_false(rota_loop_is_running(loop));
    assert_int_equal(rota_loop_run_forever(loop), -ROTA_ECLOSED);
    assert_int_equal(rota_call_soon(loop, NULL, must_not_run, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_call_soon_threadsafe(loop, NULL, must_not_run, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_call_later(loop, NULL, 0, must_not_run, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_call_at(loop, NULL, 0, must_not_run, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_add_reader(loop, 0, must_not_run, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_add_writer(loop, 0, must_not_run, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_remove_reader(loop, 0), -ROTA_ECLOSED);
    assert_int_equal(rota_remove_writer(loop, 0), -ROTA_ECLOSED);
    rota_future_init(&future, loop);
    assert_int_equal(rota_loop_run_until_future(loop, &future, &result),
                     -ROTA_ECLOSED);
    rota_future_fini(&future);
    rota_loop_free(loop);
}

static void free_closes_and_ignores_null(void)
{
    rota_loop_free(new_loop());
    rota_loop_free(NULL);
}

static void closing_drops_what_is_pending(void)
{
    rota_loop *loop = new_loop();
    rota_timer_handle timer = {0};
    rota_handle posted = {0};
    rota_handle soon = {0};

    rota_call_soon(loop, &soon, must_not_run, NULL);
    rota_call_soon(loop, NULL, must_not_run, NULL);
    rota_call_soon_threadsafe(loop, &posted, must_not_run, NULL);
    rota_call_soon_threadsafe(loop, NULL, must_not_run, NULL);
    rota_call_later(loop, &timer, 0, must_not_run, NULL);
    rota_call_later(loop, NULL, 0, must_not_run, NULL);
    rota_call_later(loop, NULL, 1000, must_not_run, NULL);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_true(rota_handle_cancelled(&soon));
    assert_true(rota_handle_cancelled(&posted));
    assert_true(rota_timer_handle_cancelled(&timer));
    rota_handle_cancel(&soon); /* harmless now */
    rota_timer_handle_cancel(&timer);
    rota_loop_free(loop);
}

struct hook {
    struct rota__at_close base;
    char *text;
};

static void run_hook(struct rota__at_close *base)
{
    note(rota__container_of(base, struct hook, base)->text);
}

static void close_hooks_run_the_last_added_first(void)
{
    rota_loop *loop = new_loop();
    struct hook hooks[4] = {
        {.text = "a"}, {.text = "b"}, {.text = "c"}, {.text = "z"}};

    rota__at_end_add(loop, &hooks[3].base, run_hook);
    for (int i = 0; i < 3; i++)
        rota__at_close_add(loop, &hooks[i].base, run_hook);
    rota__at_close_remove(&hooks[1].base);
    assert_int_equal(rota_loop_close(loop), 0);
    expect_noted("caz");
    rota_loop_free(loop);
    expect_noted("");
}

/* Handles */

static void a_pending_handle_cannot_be_given_again(void)
{
    rota_loop *loop = new_loop();
    rota_handle handle = {0};
    rota_timer_handle timer = {0};

    assert_int_equal(rota_call_soon(loop, &handle, note, "a"), 0);
    assert_int_equal(rota_call_soon(loop, &handle, note, "b"), -EBUSY);
    assert_int_equal(rota_call_soon_threadsafe(loop, &handle, note, "b"),
                     -EBUSY);
    assert_int_equal(rota_call_later(loop, &timer, 1000, note, "c"), 0);
    assert_int_equal(rota_call_later(loop, &timer, 0, note, "d"), -EBUSY);
    assert_int_equal(rota_call_at(loop, &timer, 0, note, "d"), -EBUSY);
    run_one_turn(loop);
    rota_timer_handle_cancel(&timer);
    expect_noted("a");
    assert_int_equal(rota_call_soon(loop, &handle, note, "b"), 0);
    rota_handle_cancel(&handle);
    assert_int_equal(rota_call_soon(loop, &handle, note, "e"), 0);
    assert_false(rota_handle_cancelled(&handle));
    run_one_turn(loop);
    expect_noted("e");
    rota_loop_free(loop);
}

static void a_handle_without_a_callback_is_refused(void)
{
    rota_loop *loop = new_loop();

    assert_int_equal(rota_call_soon(loop, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(rota_call_soon_threadsafe(loop, NULL, NULL, NULL),
                     -EINVAL);
    assert_int_equal(rota_call_later(loop, NULL, 0, NULL, NULL), -EINVAL);
    assert_int_equal(rota_call_at(loop, NULL, 0, NULL, NULL), -EINVAL);
    rota_loop_free(loop);
}

static void a_cancelled_handle_does_not_run(void)
{
    rota_loop *loop = new_loop();
    rota_handle handle = {0};

    rota_handle_cancel(&handle); /* was never set */
    assert_false(rota_handle_cancelled(&handle));
    assert_int_equal(rota_call_soon(loop, &handle, must_not_run, NULL), 0);
    rota_handle_cancel(&handle);
    rota_handle_cancel(&handle);
    assert_true(rota_handle_cancelled(&handle));
    run_one_turn(loop);
    assert_int_equal(rota_call_soon(loop, &handle, note, "x"), 0);
    run_one_turn(loop);
    rota_handle_cancel(&handle); /* has run */
    assert_false(rota_handle_cancelled(&handle));
    expect_noted("x");
    rota_loop_free(loop);
}

static void without_memory_only_a_borrowed_handle_is_refused(void)
{
    rota_loop *loop = new_loop();
    rota_handle handle = {0};
    int calls = 0;

    harness_fail_allocation(1);
    assert_int_equal(rota_call_soon(loop, &handle, count_call, &calls), 0);
    assert_int_equal(rota_call_soon(loop, NULL, count_call, &calls), -ENOMEM);
    harness_fail_allocation(1);
    assert_int_equal(rota_call_soon_threadsafe(loop, NULL, count_call, &calls),
                     -ENOMEM);
    harness_fail_allocation(1);
    assert_int_equal(rota_call_later(loop, NULL, 0, count_call, &calls),
                     -ENOMEM);
    harness_fail_allocation(-1);
    run_one_turn(loop);
    assert_int_equal(calls, 1);
    rota_loop_free(loop);
}

static void borrowed_handles_are_used_again(void)
{
    rota_loop *loop = new_loop();
    int calls = 0;
    long before;

    rota_call_soon(loop, NULL, count_call, &calls);
    run_one_turn(loop);
    before = harness_allocations();
    for (int i = 0; i < 1000; i++) {
        rota_call_soon(loop, NULL, count_call, &calls);
        run_one_turn(loop);
    }
    assert_int_equal(calls, 1001);
    assert_int_equal(harness_allocations(), before);
    rota_loop_free(loop);
}

/* Errors that no caller can be told of */

static void take_context(rota_loop *loop, const rota_exception_context *context,
                         void *arg)
{
    (void)loop;
    *(rota_exception_context *)arg = *context;
}

static void a_set_handler_gets_the_context(void)
{
    const rota_exception_context context = {"it broke", -EIO, "worker"};
    rota_exception_context seen = {0};
    rota_loop *loop = new_loop();

    rota_set_exception_handler(loop, take_context, &seen);
    rota_call_exception_handler(loop, &context);
    assert_string_equal(seen.message, "it broke");
    assert_int_equal(seen.error, -EIO);
    assert_string_equal(seen.name, "worker");
    rota_loop_free(loop);
}

static void the_default_handler_prints_name_and_error(void)
{
    const rota_exception_context context = {"it broke", -ROTA_ELIMIT, "worker"};
    rota_loop *loop = new_loop();

    rota_set_exception_handler(loop, take_context, NULL);
    rota_set_exception_handler(loop, NULL, NULL);
    rota_call_exception_handler(loop, &context);
    rota_loop_free(loop);
}

static void the_default_handler_prints_a_message_alone(void)
{
    rota_loop *loop = new_loop();

    rota_default_exception_handler(
        loop, &(rota_exception_context){.message = "it just broke"});
    rota_loop_free(loop);
}

HARNESS_MAIN(
    TEST(a_new_loop_neither_runs_nor_is_closed),
    TEST(each_poller_can_be_asked_for),
    TEST(the_environment_chooses_the_poller_but_options_win),
    TEST(an_unknown_poller_is_refused),
    TEST(without_memory_no_loop_is_made_and_nothing_leaks),
    TEST_SKIP_UNDER(without_descriptors_no_loop_is_made, HARNESS_VALGRIND,
                    "valgrind needs descriptors of its own"),
    TEST(stop_ends_the_run_after_the_turn_under_way),
    TEST(stop_before_a_run_means_one_turn), TEST(a_stopped_loop_runs_again),
    TEST(what_is_left_at_a_stop_runs_in_the_next_run),
    TEST(a_run_inside_a_run_is_refused),
    TEST(the_running_loop_is_known_while_it_runs),
    TEST(a_set_loop_is_had_while_none_runs),
    TEST(a_set_loop_that_is_freed_is_unset),
    TEST(a_loop_is_prepared_on_one_thread_and_run_on_another),
    TEST(two_threads_cannot_run_the_same_loop),
    TEST(a_closed_loop_refuses_everything), TEST(free_closes_and_ignores_null),
    TEST(closing_drops_what_is_pending),
    TEST(close_hooks_run_the_last_added_first),
    TEST(a_pending_handle_cannot_be_given_again),
    TEST(a_handle_without_a_callback_is_refused),
    TEST(a_cancelled_handle_does_not_run),
    TEST(without_memory_only_a_borrowed_handle_is_refused),
    TEST(borrowed_handles_are_used_again), TEST(a_set_handler_gets_the_context),
    TEST_EXPECT_STDERR(the_default_handler_prints_name_and_error,
                       "rota: it broke: worker: separator not found within "
                       "the limit (ROTA_ELIMIT)\n"),
    TEST_EXPECT_STDERR(the_default_handler_prints_a_message_alone,
                       "rota: it just broke\n"))
