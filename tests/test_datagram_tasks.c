/* SPDX-License-Identifier: MIT */
/*
 * Datagrams for tasks
 */
#include "datagrams.h"

/* --- Receiving and sending ---------------------------------------------- */

static intptr_t answer(void *arg)
{
    rota_datagram *datagram = arg;
    rota_address from;
    char buf[100];
    intptr_t n;

    do {
        n = rota_datagram_recv(datagram, buf, sizeof buf, &from, NULL);
        if (n >= 0)
            n = rota_datagram_send(datagram, buf, (size_t)n, &from);
    } while (n >= 0);
    return n;
}

static intptr_t ask_and_answer(void *arg)
{
    struct link links[2];
    rota_task server;

    (void)arg;
    link_open(&links[0], false);
    link_open(&links[1], false);
    server = start(answer, links[1].datagram);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(
            rota_datagram_send(links[0].datagram, "ask", 3, &links[1].local),
            3);
        assert_int_equal(hear(links[0].datagram), 3);
        assert_noted("<ask>");
    }
    assert_true(rota_task_cancel(server));
    assert_int_equal(rota_await(server), -ECANCELED);
    link_close(&links[0]);
    link_close(&links[1]);
    return 0;
}

static void two_tasks_ask_and_answer(void)
{
    scenario(ask_and_answer);
    shuffled(ask_and_answer);
}

static intptr_t be_connected(void *arg)
{
    struct link link;
    rota_address stranger, found;
    int other = bare_udp(&stranger);

    (void)arg;
    link_open(&link, true);
    assert_int_equal(rota_datagram_peer_address(link.datagram, &found), 0);
    assert_true(rota_address_equal(&found, &link.peer));
    assert_true(rota_datagram_fileno(link.datagram) > 2);
    assert_int_equal(rota_datagram_send(link.datagram, "a", 1, NULL), 1);
    assert_int_equal(rota_datagram_send(link.datagram, "b", 1, &link.peer), 1);
    assert_int_equal(rota_datagram_send(link.datagram, "c", 1, &stranger),
                     -EISCONN);
    assert_string_equal(bare_told(link.fd), "a");
    assert_string_equal(bare_told(link.fd), "b");
    bare_tell_text(other, &link.local, "not for you");
    tell(&link, "for you");
    assert_int_equal(hear(link.datagram), 7);
    assert_noted("<for you>");
    close(other);
    link_close(&link);
    return 0;
}

static void a_connected_endpoint_needs_no_address(void)
{
    scenario(be_connected);
}

static intptr_t receive_parts(void *arg)
{
    struct link link;
    rota_address from;
    bool truncated = false;
    char buf[4] = "zzz";

    (void)arg;
    link_open(&link, false);
    tell(&link, "longer");
    tell(&link, "fits");
    tell(&link, "");
    tell(&link, "x");
    assert_int_equal(
        rota_datagram_recv(link.datagram, buf, 4, &from, &truncated), 4);
    assert_true(truncated);
    assert_memory_equal(buf, "long", 4);
    assert_true(rota_address_equal(&from, &link.peer));
    assert_int_equal(
        rota_datagram_recv(link.datagram, buf, 4, &from, &truncated), 4);
    assert_false(truncated);
    assert_memory_equal(buf, "fits", 4);
    assert_int_equal(
        rota_datagram_recv(link.datagram, buf, 4, &from, &truncated), 0);
    assert_false(truncated);
    assert_int_equal(
        rota_datagram_recv(link.datagram, NULL, 0, NULL, &truncated), 0);
    assert_true(truncated);
    assert_int_equal(rota_datagram_send(link.datagram, NULL, 0, &link.peer), 0);
    assert_string_equal(bare_told(link.fd), "(empty)");
    link_close(&link);
    return 0;
}

static void what_is_cut_off_is_told(void)
{
    scenario(receive_parts);
}

static intptr_t cut_huge_ones(void *arg)
{
    static char huge[300000];
    static char back[400000];
    rota_address local = unix_address("huge");
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    rota_datagram *datagram;
    bool truncated = false;

    (void)arg;
    set_option(fd, SO_SNDBUF, sizeof huge);
    assert_int_equal(rota_datagram_open(
                         &datagram, &(rota_datagram_options){.local = &local}),
                     0);
    bare_tell(fd, &local, huge, sizeof huge);
    assert_int_equal(
        rota_datagram_recv(datagram, back, sizeof back, NULL, &truncated),
        256 * 1024);
    assert_true(truncated);
    rota_datagram_free(datagram);
    close(fd);
    unix_unlink(&local);
    return 0;
}

static void what_the_loop_has_no_room_for_is_cut_off_too(void)
{
    scenario(cut_huge_ones);
}

static intptr_t send_the_largest(void *arg)
{
    static char back[LARGEST + 1];
    struct link link;

    (void)arg;
    link_open(&link, true);
    memset(big, 'b', LARGEST);
    assert_int_equal(rota_datagram_send(link.datagram, big, LARGEST, NULL),
                     LARGEST);
    assert_int_equal(rota_datagram_send(link.datagram, big, LARGEST + 1, NULL),
                     -EMSGSIZE);
    assert_int_equal(bare_take(link.fd, back, sizeof back), LARGEST);
    bare_tell(link.fd, &link.local, big, LARGEST);
    memset(back, 0, sizeof back);
    assert_int_equal(
        rota_datagram_recv(link.datagram, back, sizeof back, NULL, NULL),
        LARGEST);
    assert_memory_equal(back, big, LARGEST);
    link_close(&link);
    return 0;
}

static void the_largest_goes_and_a_larger_one_is_an_error(void)
{
    scenario(send_the_largest);
}

static intptr_t be_refused(void *arg)
{
    struct link link;

    (void)arg;
    link_open(&link, true);
    close(link.fd);
    assert_int_equal(rota_datagram_send(link.datagram, "anybody?", 8, NULL), 8);
    assert_int_equal(hear(link.datagram), -ECONNREFUSED);
    link.fd = bare_bind(&link.peer);
    assert_true(link.fd >= 0);
    assert_int_equal(rota_datagram_send(link.datagram, "again", 5, NULL), 5);
    assert_string_equal(bare_told(link.fd), "again");
    tell(&link, "here");
    assert_int_equal(hear(link.datagram), 4);
    assert_noted("ECONNREFUSED <here>");
    link_close(&link);
    return 0;
}

static void a_refusal_comes_once_and_the_endpoint_goes_on(void)
{
    scenario(be_refused);
}

static intptr_t use_unix(void *arg)
{
    rota_address local = unix_address("tasks");
    int nameless = socket(AF_UNIX, SOCK_DGRAM, 0);
    rota_datagram *datagram;
    rota_address from;
    char buf[100];

    (void)arg;
    assert_int_equal(rota_datagram_open(
                         &datagram, &(rota_datagram_options){.local = &local}),
                     0);
    bare_tell_text(nameless, &local, "who am I");
    assert_int_equal(rota_datagram_recv(datagram, buf, sizeof buf, &from, NULL),
                     8);
    assert_int_equal(rota_address_path(&from, buf, sizeof buf), 0);
    assert_string_equal(buf, "");
    assert_int_equal(rota_datagram_send(datagram, "x", 1, &from),
                     -EDESTADDRREQ);
    rota_datagram_free(datagram);
    close(nameless);
    unix_unlink(&local);
    return 0;
}

static void a_unix_socket_without_a_name_cannot_be_answered(void)
{
    scenario(use_unix);
}

/* --- What is refused ---------------------------------------------------- */

static struct link shared;

static intptr_t open_shared(void *arg)
{
    (void)arg;
    link_open(&shared, true);
    return 0;
}

static intptr_t use_from_elsewhere(void *arg)
{
    char buf[4];

    (void)arg;
    assert_int_equal(rota_datagram_recv(shared.datagram, buf, 4, NULL, NULL),
                     -EINVAL);
    assert_int_equal(rota_datagram_send(shared.datagram, "x", 1, NULL),
                     -EINVAL);
    return 0;
}

static void an_endpoint_is_for_tasks_of_its_own_loop(void)
{
    rota_datagram *none = NULL;
    rota_loop *loop = new_virtual_loop();
    char buf[4];

    assert_int_equal(rota_datagram_open(&none, NULL), -ROTA_ENOLOOP);
    assert_int_equal(rota_loop_run_until_complete(loop, open_shared, NULL), 0);
    scenario(use_from_elsewhere);
    assert_int_equal(rota_datagram_recv(shared.datagram, buf, 4, NULL, NULL),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_datagram_send(shared.datagram, "x", 1, NULL),
                     -ROTA_ENOTASK);
    rota_loop_free(loop);
    assert_int_equal(rota_datagram_fileno(shared.datagram), -ROTA_ECLOSING);
    assert_int_equal(
        rota_datagram_local_address(shared.datagram, &shared.local),
        -ROTA_ECLOSING);
    assert_int_equal(rota_datagram_peer_address(shared.datagram, &shared.local),
                     -ROTA_ECLOSING);
    rota_datagram_close(shared.datagram);
    link_close(&shared);
    rota_datagram_free(NULL);
}

static intptr_t fail_to_open(void *arg)
{
    rota_datagram *none = NULL;
    rota_address taken, v6;
    int fd = bare_udp(&taken);
    rlim_t before = limit_fds(0);

    (void)arg;
    assert_int_equal(rota_datagram_open(&none, NULL), -EMFILE);
    unlimit_fds(before);
    assert_int_equal(
        rota_datagram_open(&none, &(rota_datagram_options){.local = &taken}),
        -EADDRINUSE);
    assert_int_equal(rota_address_parse(&v6, "::1", 9), 0);
    assert_int_equal(
        rota_datagram_open(
            &none, &(rota_datagram_options){.local = &taken, .remote = &v6}),
        -EINVAL);
    assert_null(none);
    close(fd);
    return 0;
}

static void what_cannot_be_opened_is_an_error(void)
{
    scenario(fail_to_open);
}

/* --- The end of the loop ------------------------------------------------ */

static bool free_early;

static intptr_t leave_a_receiver(void *arg)
{
    (void)arg;
    link_open(&shared, false);
    start(hear_in_task, shared.datagram);
    settle();
    if (free_early)
        rota_datagram_free(shared.datagram);
    return 0;
}

static void a_receiver_is_left_when_its_loop_closes(void)
{
    for (int i = 0; i < 2; i++) {
        rota_loop *loop = new_virtual_loop();

        free_early = i == 1;
        assert_int_equal(
            rota_loop_run_until_complete(loop, leave_a_receiver, NULL), 0);
        rota_loop_free(loop);
        if (!free_early)
            rota_datagram_free(shared.datagram);
        close(shared.fd);
    }
}

static void open_in_a_callback(void *arg)
{
    (void)arg;
    link_open(&shared, false);
}

static intptr_t receive_and_be_left(void *arg)
{
    (void)arg;
    start(hear_in_task, shared.datagram);
    settle();
    return 0;
}

/* The endpoint is there before the first task of the loop. */
static void an_endpoint_of_a_callback_ends_with_the_loop(void)
{
    rota_loop *loop = new_virtual_loop();

    assert_int_equal(rota_call_soon(loop, NULL, open_in_a_callback, NULL), 0);
    rota_loop_stop(loop);
    assert_int_equal(rota_loop_run_forever(loop), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, receive_and_be_left, NULL), 0);
    rota_loop_free(loop);
    link_close(&shared);
}

/* --- Without memory ----------------------------------------------------- */

static int try_without_memory(long nth)
{
    struct link link = {.fd = bare_udp(&link.peer)};
    rota_address any = local_v4(0);
    int err;

    rota__free(rota__scratch_take(rota_get_running_loop()));
    harness_fail_allocation(nth);
    err = rota_datagram_open(&link.datagram,
                             &(rota_datagram_options){.local = &any});
    if (err == 0) {
        err = rota_datagram_local_address(link.datagram, &link.local);
        assert_int_equal(err, 0);
        tell(&link, "x");
        err = (int)hear(link.datagram);
        if (err == -ENOMEM)
            assert_int_equal(hear(link.datagram), 1);
        rota_datagram_free(link.datagram);
    }
    harness_fail_allocation(-1);
    close(link.fd);
    return err;
}

static intptr_t run_out_of_memory(void *arg)
{
    (void)arg;
    assert_int_equal(try_without_memory(1), -ENOMEM);
    assert_noted("");
    assert_int_equal(try_without_memory(2), -ENOMEM);
    assert_noted("ENOMEM <x>");
    assert_int_equal(try_without_memory(3), 1);
    return 0;
}

static void a_lack_of_memory_loses_nothing(void)
{
    scenario(run_out_of_memory);
}

HARNESS_MAIN(TEST(two_tasks_ask_and_answer),
             TEST(a_connected_endpoint_needs_no_address),
             TEST(what_is_cut_off_is_told),
             TEST(what_the_loop_has_no_room_for_is_cut_off_too),
             TEST(the_largest_goes_and_a_larger_one_is_an_error),
             TEST(a_refusal_comes_once_and_the_endpoint_goes_on),
             TEST(a_unix_socket_without_a_name_cannot_be_answered),
             TEST(an_endpoint_is_for_tasks_of_its_own_loop),
             TEST(what_cannot_be_opened_is_an_error),
             TEST(a_receiver_is_left_when_its_loop_closes),
             TEST(an_endpoint_of_a_callback_ends_with_the_loop),
             TEST(a_lack_of_memory_loses_nothing))
