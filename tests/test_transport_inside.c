/* SPDX-License-Identifier: MIT */
/*
 * Transports: any call from inside any callback
 *
 * One story, with data, an end of writing, a full buffer and the peer's end,
 * is told as often as there are calls and callbacks. Whatever a callback does,
 * the order holds, each transport is lost once, and nothing is told after.
 */
#include "transports.h"

#define MUCH 300000

typedef void reaction(struct ear *ear);

static void then_nothing(struct ear *ear)
{
    (void)ear;
}

static void then_resume(struct ear *ear)
{
    int err = rota_transport_resume_reading(ear->transport);

    assert_true(err == 0 || err == -ROTA_ECLOSING);
}

static void then_pause_and_resume(struct ear *ear)
{
    int err = rota_transport_pause_reading(ear->transport);

    assert_true(err == 0 || err == -ROTA_ECLOSING);
    then_resume(ear);
}

static void then_close_and_abort(struct ear *ear)
{
    then_close(ear);
    then_abort(ear);
    then_close(ear);
}

static void then_write(struct ear *ear)
{
    static const char data[1000];
    struct iovec parts[2] = {{(void *)(uintptr_t)data, 10},
                             {(void *)(uintptr_t)data, sizeof data}};
    int err = rota_transport_write(ear->transport, data, sizeof data);

    assert_true(err == 0 || err == -ROTA_ECLOSING || err == -EPIPE);
    assert_int_equal(rota_transport_writelines(ear->transport, parts, 2), err);
}

/* Once: one that answers each resume would never end. */
static void then_write_much(struct ear *ear)
{
    static const char data[MUCH];

    memset(ear->then, 0, sizeof ear->then);
    (void)rota_transport_write(ear->transport, data, sizeof data);
}

static void then_write_and_close(struct ear *ear)
{
    then_write(ear);
    then_close(ear);
}

static void then_write_eof(struct ear *ear)
{
    int err = rota_transport_write_eof(ear->transport);

    assert_true(err == 0 || err == -ROTA_ECLOSING);
}

static void then_write_eof_and_close(struct ear *ear)
{
    then_write_eof(ear);
    then_close(ear);
}

static void then_ref_and_unref(struct ear *ear)
{
    rota_transport_ref(ear->transport);
    rota_transport_unref(ear->transport);
}

static void then_set_protocol(struct ear *ear)
{
    assert_int_equal(rota_transport_set_protocol(ear->transport, &ears, ear),
                     0);
}

static void then_set_limits(struct ear *ear)
{
    assert_int_equal(
        rota_transport_set_write_buffer_limits(ear->transport, 0, 0), 0);
}

static void then_stop(struct ear *ear)
{
    (void)ear;
    rota_loop_stop(the_loop);
}

static void then_run(struct ear *ear)
{
    (void)ear;
    if (rota_loop_is_running(the_loop)) /* or the story itself has written */
        assert_int_equal(rota_loop_run_forever(the_loop), -ROTA_ERUNNING);
}

static reaction *const reactions[] = {
    then_nothing,
    then_close,
    then_abort,
    then_close_and_abort,
    then_resume,
    then_pause_and_resume,
    then_write,
    then_write_much,
    then_write_and_close,
    then_write_eof,
    then_write_eof_and_close,
    then_ref_and_unref,
    then_set_protocol,
    then_set_limits,
    then_stop,
    then_run,
};

static void turns_with(int peer, bool drinks)
{
    size_t sum = 0;

    for (int i = 0; i < 40; i++) {
        turn();
        if (drinks)
            (void)drink(peer, &sum);
    }
}

static void expect_order(const struct ear *ear)
{
    const char *lost = strstr(scenario_line, "lost");

    assert_int_equal(ear->made, 1);
    assert_int_equal(ear->lost, 1);
    assert_memory_equal(scenario_line, "made", 4);
    assert_non_null(lost);
    assert_null(strchr(lost, ' ')); /* the last word */
    for (int i = 0; i < LOST; i++)
        assert_true(ear->turns[i] < ear->turns[LOST]);
    scenario_line[0] = '\0';
}

static void tell_story(enum moment moment, reaction *react,
                       const rota_protocol *protocol, bool stays)
{
    struct ear ear = {.lends = 3, .stays = stays, .silent = true};
    int ends[2];

    ear.then[moment] = react;
    begin();
    tcp_pair(ends);
    adopt(ends, &ear, protocol);
    await_word("made");
    (void)send(ends[1], "hello", 5, MSG_NOSIGNAL);
    turns_with(ends[1], false);
    if (!ear.lost) {
        static const char data[MUCH];

        (void)rota_transport_write(ear.transport, data, MUCH);
        turns_with(ends[1], false);
    }
    turns_with(ends[1], true);
    (void)shutdown(ends[1], SHUT_WR);
    turns_with(ends[1], true);
    if (!ear.lost)
        rota_transport_close(ear.transport);
    while (!ear.lost)
        turns_with(ends[1], true);
    settle();
    expect_order(&ear);
    close(ends[1]);
    end();
}

static void tell_stories(const rota_protocol *protocol)
{
    for (int moment = 0; moment < MOMENTS; moment++)
        for (size_t i = 0; i < rota__countof(reactions); i++)
            for (int stays = 0; stays < 2; stays++)
                tell_story((enum moment)moment, reactions[i], protocol, stays);
}

static void any_call_may_be_made_from_any_callback(void)
{
    tell_stories(&ears);
}

static void any_call_may_be_made_from_a_callback_that_lends_memory(void)
{
    rota_protocol both = buffered_ears;

    both.pause_writing = ears.pause_writing;
    both.resume_writing = ears.resume_writing;
    tell_stories(&both);
}

HARNESS_MAIN(
    TEST_TIMEOUT(any_call_may_be_made_from_any_callback, 60),
    TEST_TIMEOUT(any_call_may_be_made_from_a_callback_that_lends_memory, 60))
