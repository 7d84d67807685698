/* SPDX-License-Identifier: MIT */
/*
 * Transports: what is received, and by whom
 */
#include "transports.h"

static void finish(struct ear *ear, int peer)
{
    rota_transport_abort(ear->transport);
    await_word("lost");
    assert_noted("lost:ECONNABORTED");
    close(peer);
    end();
}

/* --- Pausing ------------------------------------------------------------- */

static void nothing_is_lost_while_reading_is_paused(void)
{
    struct ear ear = {0};
    int peer;

    begin();
    peer = join(&ear, &ears);
    for (int i = 0; i < 3; i++) {
        then_pause(&ear);
        then_pause(&ear);
        assert_false(rota_transport_is_reading(ear.transport));
        bare_say(peer, "one");
        settle();
        bare_say(peer, "two");
        settle();
        assert_noted("");
        assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
        assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
        assert_true(rota_transport_is_reading(ear.transport));
        assert_noted(""); /* not from inside the call */
        await_word("data");
        settle();
        assert_noted("data:onetwo");
    }
    finish(&ear, peer);
}

static void a_pause_from_data_received_leaves_the_rest_in_the_kernel(void)
{
    static char much[4 * ROTA__SCRATCH];
    struct ear ear = {.then[DATA] = then_pause, .silent = true};
    size_t sent;
    int peer;

    begin();
    peer = join(&ear, &ears);
    sent = (size_t)send(peer, much, sizeof much, MSG_DONTWAIT);
    assert_true(sent > ROTA__SCRATCH);
    for (size_t before = 0; before < sent; before = ear.heard) {
        while (ear.heard == before)
            turn();
        settle();
        assert_true(ear.heard - before <= ROTA__SCRATCH);
        assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    }
    settle();
    assert_int_equal(ear.heard, sent);
    finish(&ear, peer);
}

static void a_pause_takes_back_a_read_that_was_to_come(void)
{
    struct ear ear = {0};
    int peer;

    begin();
    peer = join(&ear, &ears);
    then_pause(&ear);
    bare_say(peer, "hello");
    settle();
    assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    then_pause(&ear);
    settle();
    assert_noted("");
    assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    await_word("data:hello");
    assert_noted("data:hello");
    finish(&ear, peer);
}

static void a_pause_in_connection_made_holds_back_what_came_before(void)
{
    struct ear ear = {.then[MADE] = then_pause};
    int ends[2];

    begin();
    tcp_pair(ends);
    bare_say(ends[1], "early");
    shutdown(ends[1], SHUT_WR);
    adopt(ends, &ear, &ears);
    settle();
    assert_noted("made");
    assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    await_word("lost");
    assert_noted("data:early eof lost");
    close(ends[1]);
    end();
}

static void a_reset_is_heard_when_reading_goes_on(void)
{
    struct ear ear = {0};
    int peer;

    begin();
    peer = join(&ear, &ears);
    then_pause(&ear);
    bare_reset(peer);
    settle();
    assert_noted("");
    assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    await_word("lost");
    assert_noted("lost:ECONNRESET");
    end();
}

/* --- The end ------------------------------------------------------------- */

static void one_that_stays_goes_on_writing_after_the_end(void)
{
    struct ear ear = {.stays = true};
    int peer;

    begin();
    peer = join(&ear, &ears);
    bare_say(peer, "bye");
    shutdown(peer, SHUT_WR);
    await_word("eof");
    settle();
    assert_noted("data:bye eof");
    assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    assert_int_equal(rota_transport_write(ear.transport, "hello", 5), 0);
    settle();
    assert_noted("");
    assert_string_equal(bare_hear(peer), "hello");
    rota_transport_close(ear.transport);
    turn();
    assert_noted("lost");
    assert_string_equal(bare_hear(peer), "EOF");
    close(peer);
    end();
}

static void one_that_does_not_stay_sends_first_what_is_queued(void)
{
    struct ear ear = {0};
    size_t sent;
    int peer;

    begin();
    peer = join(&ear, &ears);
    sent = fill(ear.transport);
    shutdown(peer, SHUT_WR);
    await_word("eof");
    settle();
    assert_noted("eof");
    assert_int_equal(drink_up(peer), sent);
    settle();
    assert_noted("lost");
    close(peer);
    end();
}

static void both_ends_may_end_one_after_the_other(void)
{
    struct ear ear = {.stays = true};
    int peer;

    begin();
    peer = join(&ear, &ears);
    assert_int_equal(rota_transport_write_eof(ear.transport), 0);
    settle();
    assert_string_equal(bare_hear(peer), "EOF");
    bare_say(peer, "still here");
    await_word("data");
    shutdown(peer, SHUT_WR);
    await_word("eof");
    settle();
    assert_noted("data:still here eof");
    rota_transport_close(ear.transport);
    turn();
    assert_noted("lost");
    close(peer);
    end();
}

/* --- Another protocol ---------------------------------------------------- */

static struct ear next;
static const rota_protocol *next_protocol;

static void then_hand_over(struct ear *ear)
{
    assert_int_equal(
        rota_transport_set_protocol(ear->transport, next_protocol, &next), 0);
    next.transport = ear->transport;
    note("->");
}

/* What is said later reaches the next one. */
static void hand_over(enum moment moment, const rota_protocol *from,
                      const rota_protocol *to)
{
    struct ear ear = {.lends = 4};
    int ends[2];

    ear.then[moment] = then_hand_over;
    memset(&next, 0, sizeof next);
    next.lends = 64;
    next_protocol = to;
    begin();
    tcp_pair(ends);
    adopt(ends, &ear, from);
    await_word("made");
    bare_say(ends[1], "first");
    settle();
    bare_say(ends[1], "second");
    settle();
    shutdown(ends[1], SHUT_WR);
    await_word("lost");
    assert_int_equal(ear.lost + next.lost, 1);
    close(ends[1]);
    end();
}

static void another_protocol_is_told_from_the_next_call_on(void)
{
    hand_over(MADE, &ears, &ears);
    assert_noted("made -> data:first data:second eof lost");
    assert_int_equal(next.heard, 11);
    assert_int_equal(next.lost, 1);
    hand_over(DATA, &ears, &ears);
    assert_noted("made data:first -> data:second eof lost");
    assert_int_equal(next.heard, 6);
    hand_over(END, &ears, &ears);
    assert_noted("made data:first data:second eof -> lost");
    assert_int_equal(next.heard, 0);
    assert_int_equal(next.lost, 1);
}

static void another_protocol_may_lend_memory_or_stop_to(void)
{
    hand_over(DATA, &ears, &buffered_ears);
    assert_noted("made data:first -> filled:second eof lost");
    hand_over(FILLED, &buffered_ears, &ears);
    assert_noted("made filled:firs -> data:t data:second eof lost");
}

static void who_has_lent_memory_hears_that_it_was_filled(void)
{
    hand_over(LEND, &buffered_ears, &ears);
    assert_noted("made -> filled:firs data:t data:second eof lost");
    assert_int_equal(next.heard, 7);
}

static void the_protocol_can_be_asked_for_its_argument(void)
{
    struct ear ear = {0};
    int peer;

    begin();
    peer = join(&ear, &ears);
    assert_ptr_equal(rota_transport_get_protocol_arg(ear.transport), &ear);
    next_protocol = &ears;
    then_hand_over(&ear);
    assert_ptr_equal(rota_transport_get_protocol_arg(ear.transport), &next);
    assert_noted("->");
    finish(&ear, peer);
}

/* --- Memory of the protocol's -------------------------------------------- */

static void memory_of_any_size_is_filled(void)
{
    static const size_t sizes[] = {1, 2, 3, 7, 63, 64};

    for (size_t i = 0; i < rota__countof(sizes); i++) {
        struct ear ear = {.lends = sizes[i], .silent = true};
        int peer;

        begin();
        peer = join(&ear, &buffered_ears);
        bare_say(peer, "a sentence that is longer than most of the sizes, "
                       "and not a multiple of them");
        while (ear.heard < 80 - 4)
            turn();
        settle();
        assert_int_equal(ear.heard, 76);
        bare_say(peer, "and more");
        shutdown(peer, SHUT_WR);
        await_word("lost");
        assert_int_equal(ear.heard, 84);
        assert_noted("eof lost");
        close(peer);
        end();
    }
}

static void *lend_nothing(rota_transport *transport, size_t *size, void *arg)
{
    (void)transport;
    (void)size;
    (void)arg;
    return NULL;
}

static void no_memory_or_none_of_it_is_a_fault(void)
{
    rota_protocol lends_nothing = buffered_ears;

    lends_nothing.get_buffer = lend_nothing;
    for (int i = 0; i < 2; i++) {
        struct ear ear = {.lends = 0};
        int peer;

        begin();
        peer = join(&ear, i ? &lends_nothing : &buffered_ears);
        bare_say(peer, "hello");
        await_word("lost");
        assert_noted("lost:ENOBUFS");
        close(peer);
        end();
    }
}

static void one_that_closes_instead_of_lending_receives_nothing(void)
{
    struct ear ear = {.lends = 64, .then[LEND] = then_close};
    int peer;

    begin();
    peer = join(&ear, &buffered_ears);
    bare_say(peer, "hello");
    await_word("lost");
    assert_noted("lost");
    close(peer);
    end();
}

static void one_that_pauses_while_it_lends_receives_it_later(void)
{
    struct ear ear = {.lends = 64, .then[LEND] = then_pause};
    int peer;

    begin();
    peer = join(&ear, &buffered_ears);
    bare_say(peer, "hello");
    settle();
    assert_noted("");
    ear.then[LEND] = NULL;
    assert_int_equal(rota_transport_resume_reading(ear.transport), 0);
    await_word("filled");
    assert_noted("filled:hello");
    finish(&ear, peer);
}

/* --- Reads that end before the data does --------------------------------- */

static void send_with_fd(int to, const char *text, int fd)
{
    char space[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = space,
                             .msg_controllen = sizeof space};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);

    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(control), &fd, sizeof fd);
    assert_int_equal(sendmsg(to, &message, 0), strlen(text));
}

/* The kernel ends a read behind the bytes that came with a descriptor. */
static void descriptors_that_come_along_hold_nothing_up(void)
{
    struct ear ear = {0};
    int ends[2];

    begin();
    unix_pair(ends);
    send_with_fd(ends[1], "with", 0);
    bare_say(ends[1], "without");
    adopt(ends, &ear, &ears);
    await_word("with");
    settle();
    assert_noted("made data:with data:without");
    finish(&ear, ends[1]);
}

static void urgent_data_holds_nothing_up(void)
{
    struct ear ear = {0};
    int ends[2];

    begin();
    tcp_pair(ends);
    bare_say(ends[1], "before");
    assert_int_equal(send(ends[1], "!", 1, MSG_OOB), 1);
    bare_say(ends[1], "after");
    adopt(ends, &ear, &ears);
    await_word("before");
    settle();
    assert_noted("made data:before data:after");
    finish(&ear, ends[1]);
}

HARNESS_MAIN(TEST(nothing_is_lost_while_reading_is_paused),
             TEST(a_pause_from_data_received_leaves_the_rest_in_the_kernel),
             TEST(a_pause_takes_back_a_read_that_was_to_come),
             TEST(a_pause_in_connection_made_holds_back_what_came_before),
             TEST(a_reset_is_heard_when_reading_goes_on),
             TEST(one_that_stays_goes_on_writing_after_the_end),
             TEST(one_that_does_not_stay_sends_first_what_is_queued),
             TEST(both_ends_may_end_one_after_the_other),
             TEST(another_protocol_is_told_from_the_next_call_on),
             TEST(another_protocol_may_lend_memory_or_stop_to),
             TEST(who_has_lent_memory_hears_that_it_was_filled),
             TEST(the_protocol_can_be_asked_for_its_argument),
             TEST(memory_of_any_size_is_filled),
             TEST(no_memory_or_none_of_it_is_a_fault),
             TEST(one_that_closes_instead_of_lending_receives_nothing),
             TEST(one_that_pauses_while_it_lends_receives_it_later),
             TEST(descriptors_that_come_along_hold_nothing_up),
             TEST(urgent_data_holds_nothing_up))
