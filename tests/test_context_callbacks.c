/* SPDX-License-Identifier: MIT */
/*
 * Context variables in callbacks: each runs in a copy of the context in which
 * it was scheduled, and what it sets goes with it
 */
#include "contexts.h"

#include <unistd.h>

static rota_loop *loop_here(void)
{
    return rota_get_running_loop();
}

/* What it sets must be gone when the next one runs. */
static void note_value(void *arg)
{
    note("%s", value());
    set(arg ? arg : "gone");
}

static void note_future(rota_future *future, void *arg)
{
    (void)future;
    note_value(arg);
}

/* --- Each kind ---------------------------------------------------------- */

static intptr_t call_soon_in_turn(void *arg)
{
    rota_handle handles[2] = {0};

    (void)arg;
    assert_int_equal(rota_call_soon(loop_here(), NULL, note_value, NULL), 0);
    set("a");
    assert_int_equal(rota_call_soon(loop_here(), NULL, note_value, NULL), 0);
    assert_int_equal(rota_call_soon(loop_here(), &handles[0], note_value, NULL),
                     0);
    set("b");
    assert_int_equal(rota_call_soon(loop_here(), &handles[1], note_value, NULL),
                     0);
    set("c");
    pass_turns(1);
    assert_string_equal(value(), "c");
    return 0;
}

static void call_soon_keeps_what_was_set_when_it_was_called(void)
{
    scenario(call_soon_in_turn);
    assert_noted("none a a b");
}

static intptr_t call_timers(void *arg)
{
    rota_timer_handle later = {0}, at = {0};

    (void)arg;
    set("a");
    assert_int_equal(rota_call_later(loop_here(), &later, 1, note_value, NULL),
                     0);
    assert_int_equal(rota_call_later(loop_here(), NULL, 2, note_value, NULL),
                     0);
    set("b");
    assert_int_equal(
        rota_call_at(loop_here(), &at, now() + 3, note_value, NULL), 0);
    assert_int_equal(
        rota_call_at(loop_here(), NULL, now() + 4, note_value, NULL), 0);
    set("c");
    assert_int_equal(rota_timer_handle_reschedule_later(&later, 5), 0);
    assert_int_equal(rota_sleep(6), 0);
    return 0;
}

static void timers_keep_it_also_when_they_are_rescheduled(void)
{
    scenario(call_timers);
    assert_noted("a b b a");
}

static intptr_t use_a_handle_again(void *arg)
{
    rota_handle handle = {0};

    (void)arg;
    for (int i = 0; i < 3; i++) {
        set(i == 0 ? "a" : i == 1 ? "b" : "c");
        assert_int_equal(rota_call_soon(loop_here(), &handle, note_value, NULL),
                         0);
        pass_turns(1);
    }
    return 0;
}

static void a_handle_that_is_used_again_has_the_context_of_then(void)
{
    scenario(use_a_handle_again);
    assert_noted("a b c");
}

static intptr_t call_threadsafe(void *arg)
{
    rota_handle handle = {0};

    (void)arg;
    set("a");
    assert_int_equal(
        rota_call_soon_threadsafe(loop_here(), NULL, note_value, NULL), 0);
    set("b");
    assert_int_equal(
        rota_call_soon_threadsafe(loop_here(), &handle, note_value, NULL), 0);
    set("c");
    pass_turns(1);
    return 0;
}

static void call_soon_threadsafe_on_the_loops_thread_keeps_it_too(void)
{
    scenario(call_threadsafe);
    assert_noted("a b");
}

static void open_pipe(int *ends)
{
    assert_int_equal(pipe(ends), 0);
}

static void close_pipe(const int *ends)
{
    close(ends[0]);
    close(ends[1]);
}

/* Until the reader has taken it. */
static void send_byte(const int *ends)
{
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(rota_sleep(1), 0);
}

static void read_and_note(void *ends)
{
    char byte;

    assert_int_equal(read(*(int *)ends, &byte, 1), 1);
    note_value((void *)"kept");
}

static intptr_t add_reader(void *arg)
{
    int ends[2];

    (void)arg;
    open_pipe(ends);
    set("a");
    assert_int_equal(rota_add_reader(loop_here(), ends[0], read_and_note, ends),
                     0);
    set("b");
    send_byte(ends);
    send_byte(ends);
    assert_int_equal(rota_add_reader(loop_here(), ends[0], read_and_note, ends),
                     0);
    set("c");
    send_byte(ends);
    assert_string_equal(value(), "c");
    assert_int_equal(rota_remove_reader(loop_here(), ends[0]), 1);
    close_pipe(ends);
    return 0;
}

/* CPython prints: a kept b */
static void a_reader_keeps_what_it_sets_until_another_takes_its_place(void)
{
    scenario(add_reader);
    assert_noted("a kept b");
}

static int writes_left = 3;

static void write_and_note(void *ends)
{
    note_value(NULL);
    if (--writes_left == 0)
        assert_int_equal(rota_remove_writer(loop_here(), ((int *)ends)[1]), 1);
}

static intptr_t add_writer(void *arg)
{
    int ends[2];

    (void)arg;
    open_pipe(ends);
    set("a");
    assert_int_equal(
        rota_add_writer(loop_here(), ends[1], write_and_note, ends), 0);
    set("b");
    assert_int_equal(rota_sleep(1), 0);
    assert_string_equal(value(), "b");
    close_pipe(ends);
    return 0;
}

static void a_writer_does_so_too(void)
{
    scenario(add_writer);
    assert_noted("a gone gone");
}

static void remove_myself(void *ends)
{
    assert_int_equal(rota_remove_reader(loop_here(), *(int *)ends), 1);
    note("%s", value());
}

static void replace_myself(void *arg)
{
    int *ends = arg;

    set("new");
    assert_int_equal(rota_add_reader(loop_here(), ends[0], read_and_note, ends),
                     0);
    set("lost");
}

static intptr_t replace_reader_inside(void *arg)
{
    int ends[2];

    (void)arg;
    open_pipe(ends);
    assert_int_equal(
        rota_add_reader(loop_here(), ends[0], replace_myself, ends), 0);
    send_byte(ends);
    assert_int_equal(rota_remove_reader(loop_here(), ends[0]), 1);
    close_pipe(ends);
    return 0;
}

static void a_reader_that_replaces_itself_hands_on_what_it_had_set(void)
{
    scenario(replace_reader_inside);
    assert_noted("new");
}

static intptr_t remove_reader_inside(void *arg)
{
    int ends[2];

    (void)arg;
    open_pipe(ends);
    set("a");
    assert_int_equal(rota_add_reader(loop_here(), ends[0], remove_myself, ends),
                     0);
    set("b");
    send_byte(ends);
    close_pipe(ends);
    return 0;
}

static void a_reader_that_removes_itself_still_has_its_context(void)
{
    scenario(remove_reader_inside);
    assert_noted("a");
}

static intptr_t add_done_callbacks(void *arg)
{
    rota_future future;
    rota_handle handle = {0};

    (void)arg;
    rota_future_init(&future, loop_here());
    set("a");
    assert_int_equal(
        rota_future_add_done_callback(&future, NULL, note_future, NULL), 0);
    set("b");
    assert_int_equal(
        rota_future_add_done_callback(&future, &handle, note_future, NULL), 0);
    set("setter");
    assert_int_equal(rota_future_set_result(&future, 1), 0);
    assert_int_equal(
        rota_future_add_done_callback(&future, NULL, note_future, NULL), 0);
    set("c");
    pass_turns(1);
    rota_future_fini(&future);
    return 0;
}

static void done_callbacks_have_the_context_of_who_added_them(void)
{
    scenario(add_done_callbacks);
    assert_noted("a b setter");
}

static void note_exception(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    note("%s:%s", context->name, value());
}

static intptr_t set_and_fail(void *word)
{
    set(word);
    return -EIO;
}

static intptr_t detach_failing(void *arg)
{
    (void)arg;
    rota_set_exception_handler(loop_here(), note_exception, NULL);
    set("main");
    assert_int_equal(rota_detach(start(set_and_fail, (void *)"child")), 0);
    pass_turns(2);
    return 0;
}

static void the_exception_handler_sees_what_the_failed_task_has_set(void)
{
    scenario(detach_failing);
    assert_noted("Task-2:child");
}

/* --- From one to the next ----------------------------------------------- */

static void call_another(void *arg)
{
    (void)arg;
    set("inner");
    assert_int_equal(rota_call_soon(loop_here(), NULL, note_value, NULL), 0);
    assert_int_equal(rota_detach(start(expect, (void *)"inner")), 0);
    set("lost");
}

static intptr_t call_in_a_chain(void *arg)
{
    (void)arg;
    set("outer");
    assert_int_equal(rota_call_soon(loop_here(), NULL, call_another, NULL), 0);
    pass_turns(5);
    assert_string_equal(value(), "outer");
    return 0;
}

static void a_callback_hands_on_what_it_has_set(void)
{
    scenario(call_in_a_chain);
    assert_noted("inner");
}

static void begin_eagerly(void *arg)
{
    const rota_task_options options = {.eager_start = true};
    rota_task task;

    (void)arg;
    set("callback");
    assert_int_equal(
        rota_create_task_with(&task, &options, set_and_start, (void *)"eager"),
        0);
    assert_string_equal(value(), "callback");
    assert_int_equal(rota_detach(task), 0);
}

static intptr_t call_to_begin_eagerly(void *arg)
{
    (void)arg;
    assert_int_equal(rota_call_soon(loop_here(), NULL, begin_eagerly, NULL), 0);
    pass_turns(6);
    return 0;
}

static void a_task_that_a_callback_begins_at_once_sets_for_itself(void)
{
    scenario(call_to_begin_eagerly);
}

static void keep_token(void *arg)
{
    *(rota_context_token *)arg = set_with_token("a");
}

static void refuse_token(void *arg)
{
    set("b");
    assert_int_equal(reset(arg), -EINVAL);
    assert_string_equal(value(), "b");
}

static intptr_t pass_a_token_on(void *arg)
{
    rota_context_token token;

    (void)arg;
    assert_int_equal(rota_call_soon(loop_here(), NULL, keep_token, &token), 0);
    assert_int_equal(rota_call_soon(loop_here(), NULL, refuse_token, &token),
                     0);
    pass_turns(1);
    assert_int_equal(reset(&token), -EINVAL);
    return 0;
}

static void a_token_of_one_callback_is_of_no_use_in_the_next(void)
{
    scenario(pass_a_token_on);
}

static intptr_t note_inside(void *context)
{
    note("%s", value());
    set("kept");
    assert_int_equal(rota_context_run(context, note_inside, context), -EBUSY);
    return 3;
}

static void run_inside(void *context)
{
    assert_int_equal(rota_context_run(context, note_inside, context), 3);
    note("%s", value());
}

static intptr_t call_to_run_in_a_context(void *arg)
{
    rota_context *context;

    (void)arg;
    set("context");
    context = copy_here();
    set("scheduled");
    assert_int_equal(rota_call_soon(loop_here(), NULL, run_inside, context), 0);
    assert_int_equal(rota_call_soon(loop_here(), NULL, run_inside, context), 0);
    pass_turns(1);
    rota_context_free(context);
    return 0;
}

static void a_callback_may_run_something_in_a_context(void)
{
    scenario(call_to_run_in_a_context);
    assert_noted("context scheduled kept scheduled");
}

static void a_callback_of_a_loop_that_does_not_run_has_the_threads(void)
{
    rota_context_token token = set_with_token("thread");
    rota_loop *loop;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_call_soon(loop, NULL, note_value, NULL), 0);
    assert_int_equal(reset(&token), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    rota_loop_free(loop);
    assert_noted("thread");
}

HARNESS_MAIN(TEST(call_soon_keeps_what_was_set_when_it_was_called),
             TEST(timers_keep_it_also_when_they_are_rescheduled),
             TEST(a_handle_that_is_used_again_has_the_context_of_then),
             TEST(call_soon_threadsafe_on_the_loops_thread_keeps_it_too),
             TEST(a_reader_keeps_what_it_sets_until_another_takes_its_place),
             TEST(a_writer_does_so_too),
             TEST(a_reader_that_replaces_itself_hands_on_what_it_had_set),
             TEST(a_reader_that_removes_itself_still_has_its_context),
             TEST(done_callbacks_have_the_context_of_who_added_them),
             TEST(the_exception_handler_sees_what_the_failed_task_has_set),
             TEST(a_callback_hands_on_what_it_has_set),
             TEST(a_task_that_a_callback_begins_at_once_sets_for_itself),
             TEST(a_token_of_one_callback_is_of_no_use_in_the_next),
             TEST(a_callback_may_run_something_in_a_context),
             TEST(a_callback_of_a_loop_that_does_not_run_has_the_threads))
