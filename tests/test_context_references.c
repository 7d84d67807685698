/* SPDX-License-Identifier: MIT */
/*
 * What a scheduled callback refers to: the context is given back whatever
 * becomes of the callback
 */
#include "contexts.h"

#include <unistd.h>

static void must_not_run(void *arg)
{
    (void)arg;
    fail_msg("a callback ran that should not");
}

static void must_not_hear(rota_future *future, void *arg)
{
    (void)future;
    must_not_run(arg);
}

/* Schedules, in a context of its own, what alone refers to it in the end. */
struct holder {
    int (*hold)(struct holder *holder);
    rota_loop *loop;
    rota_handle handle;
    rota_timer_handle timer;
    rota_future future;
    int fd;
};

static int hold_soon(struct holder *holder)
{
    return rota_call_soon(holder->loop, &holder->handle, must_not_run, NULL);
}

static int hold_lent(struct holder *holder)
{
    return rota_call_soon(holder->loop, NULL, must_not_run, NULL);
}

static int hold_later(struct holder *holder)
{
    return rota_call_later(holder->loop, &holder->timer, 9, must_not_run, NULL);
}

static int hold_later_lent(struct holder *holder)
{
    return rota_call_later(holder->loop, NULL, 9, must_not_run, NULL);
}

static int hold_posted(struct holder *holder)
{
    return rota_call_soon_threadsafe(holder->loop, NULL, must_not_run, NULL);
}

static int hold_future(struct holder *holder)
{
    return rota_future_add_done_callback(&holder->future, &holder->handle,
                                         must_not_hear, NULL);
}

static int hold_future_lent(struct holder *holder)
{
    return rota_future_add_done_callback(&holder->future, NULL, must_not_hear,
                                         NULL);
}

static int hold_reader(struct holder *holder)
{
    return rota_add_reader(holder->loop, holder->fd, must_not_run, NULL);
}

static intptr_t set_and_hold(void *arg)
{
    struct holder *holder = arg;

    set("held");
    return holder->hold(holder);
}

static int hold(struct holder *holder, int (*how)(struct holder *))
{
    rota_context *context = copy_here();
    int err;

    holder->hold = how;
    err = (int)rota_context_run(context, set_and_hold, holder);
    rota_context_free(context);
    return err;
}

static void release_by_cancelling(struct holder *holder)
{
    long before = harness_live_blocks();

    assert_int_equal(hold(holder, hold_soon), 0);
    assert_int_equal(harness_live_blocks(), before + 1);
    rota_handle_cancel(&holder->handle);
    assert_int_equal(harness_live_blocks(), before);
    assert_int_equal(hold(holder, hold_future), 0);
    rota_handle_cancel(&holder->handle);
    assert_int_equal(harness_live_blocks(), before);
    assert_int_equal(hold(holder, hold_future), 0);
    assert_int_equal(
        rota_future_remove_done_callback(&holder->future, must_not_hear), 1);
    assert_int_equal(harness_live_blocks(), before);
}

static void release_timer_and_reader(struct holder *holder)
{
    long before;

    assert_int_equal(hold(holder, hold_later), 0); /* the heap grows */
    rota_timer_handle_cancel(&holder->timer);
    before = harness_live_blocks();
    assert_int_equal(hold(holder, hold_later), 0);
    assert_int_equal(harness_live_blocks(), before + 1);
    rota_timer_handle_cancel(&holder->timer);
    assert_int_equal(harness_live_blocks(), before);
    assert_int_equal(hold(holder, hold_reader), 0);
    assert_int_equal(harness_live_blocks(), before + 2);
    assert_int_equal(hold(holder, hold_reader), 0); /* replaces */
    assert_int_equal(harness_live_blocks(), before + 2);
    assert_int_equal(rota_remove_reader(holder->loop, holder->fd), 1);
    assert_int_equal(harness_live_blocks(), before);
}

static void open_holder(struct holder *holder, int *ends)
{
    *holder = (struct holder){0};
    assert_int_equal(rota_new_event_loop(&holder->loop, NULL), 0);
    rota_future_init(&holder->future, holder->loop);
    assert_int_equal(pipe(ends), 0);
    holder->fd = ends[0];
}

static void close_holder(struct holder *holder, int *ends)
{
    rota_future_fini(&holder->future);
    rota_loop_free(holder->loop);
    close(ends[0]);
    close(ends[1]);
}

static void what_was_cancelled_or_removed_refers_to_nothing_any_more(void)
{
    int ends[2];
    struct holder holder;

    open_holder(&holder, ends);
    release_by_cancelling(&holder);
    release_timer_and_reader(&holder);
    close_holder(&holder, ends);
}

static int (*const holds[])(struct holder *) = {
    hold_soon,   hold_lent,   hold_later,       hold_later_lent,
    hold_posted, hold_future, hold_future_lent, hold_reader};

static void a_closed_loop_and_an_ended_future_release_all(void)
{
    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
        int ends[2];
        struct holder holder;

        open_holder(&holder, ends);
        assert_int_equal(hold(&holder, holds[i]), 0);
        close_holder(&holder, ends);
    }
}

static void the_callbacks_of_a_done_future_release_theirs(void)
{
    int ends[2];
    struct holder holder;

    open_holder(&holder, ends);
    assert_int_equal(hold(&holder, hold_future), 0);
    assert_int_equal(hold(&holder, hold_future_lent), 0);
    assert_int_equal(rota_future_set_result(&holder.future, 0), 0);
    close_holder(&holder, ends);
}

/* The allocation that fails is each of those that the call makes in turn. */
static void a_call_that_fails_for_want_of_memory_keeps_no_reference(void)
{
    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++)
        for (int nth = 1; nth < 5; nth++) {
            rota_context_token token = set_with_token("held");
            int ends[2];
            struct holder holder;
            int err;

            open_holder(&holder, ends);
            harness_fail_allocation(nth);
            err = holds[i](&holder);
            harness_fail_allocation(-1);
            assert_true(err == 0 || err == -ENOMEM);
            assert_int_equal(reset(&token), 0);
            close_holder(&holder, ends);
        }
}

HARNESS_MAIN(TEST(what_was_cancelled_or_removed_refers_to_nothing_any_more),
             TEST(a_closed_loop_and_an_ended_future_release_all),
             TEST(the_callbacks_of_a_done_future_release_theirs),
             TEST(a_call_that_fails_for_want_of_memory_keeps_no_reference))
