/* SPDX-License-Identifier: MIT */
/*
 * Servers and connections when descriptors run out
 *
 * Time is virtual: the second for which a server pauses takes none.
 */
#include "sockets.h"

static int served;
static int told;
static double told_at;
static rota_server *server;

/* What the handler does besides. */
static enum { NOTHING, CLOSE, FREE } reaction;

static void note_exception(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    (void)arg;
    assert_non_null(strstr(context->message, "out of resources"));
    assert_int_equal(context->error, -EMFILE);
    told++;
    told_at = rota_loop_time(loop);
    if (reaction == CLOSE)
        rota_server_close(server);
    else if (reaction == FREE)
        rota_server_free(server);
}

static intptr_t greet(rota_stream *stream, void *arg)
{
    (void)arg;
    served++;
    return rota_write(stream, "hello", 5);
}

static int clients[3];

/* A server with three who wait to be accepted, and no descriptor left. */
static rlim_t run_out(void)
{
    rota_address address;

    rota_set_exception_handler(rota_get_running_loop(), note_exception, NULL);
    assert_int_equal(rota_start_server(&server, greet, NULL, "127.0.0.1", 0),
                     0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    for (int i = 0; i < 3; i++)
        clients[i] = bare_connect(rota_address_port(&address));
    return limit_fds(0);
}

static void await_told(void)
{
    while (told == 0)
        assert_int_equal(rota_sleep(0), 0);
}

static void end_clients(const char *word)
{
    for (int i = 0; i < 3; i++) {
        const char *heard;

        while (*(heard = bare_hear(clients[i])) == '\0')
            assert_int_equal(rota_sleep(0.01), 0);
        assert_string_equal(heard, word);
        close(clients[i]);
    }
}

static intptr_t pause_and_recover(void *arg)
{
    rlim_t before = run_out();

    (void)arg;
    await_told();
    pass_turns(20);
    assert_int_equal(told, 1);
    unlimit_fds(before);
    while (served < 3)
        assert_int_equal(rota_sleep(0.01), 0);
    assert_in_range((now() - told_at) * 1000, 999, 1020);
    assert_int_equal(told, 1);
    end_clients("hello");
    rota_server_free(server);
    return 0;
}

static void without_descriptors_a_server_says_so_and_recovers_in_a_second(void)
{
    scenario(pause_and_recover);
}

static intptr_t pause_again(void *arg)
{
    rlim_t before = run_out();
    double began;

    (void)arg;
    await_told();
    began = told_at;
    while (told < 5)
        assert_int_equal(rota_sleep(0.1), 0);
    assert_in_range((told_at - began) * 1000, 3999, 4050);
    unlimit_fds(before);
    end_clients("hello");
    rota_server_free(server);
    return 0;
}

static void a_lack_that_lasts_is_told_once_a_second(void)
{
    scenario(pause_again);
    assert_int_equal(told, 5);
}

static intptr_t stop_in_the_pause(void *arg)
{
    rlim_t before = run_out();

    (void)arg;
    await_told();
    rota_server_close(server);
    unlimit_fds(before);
    end_clients("RESET");
    assert_int_equal(rota_sleep(10), 0);
    assert_int_equal(rota_server_wait_closed(server), 0);
    assert_int_equal(served, 0);
    rota_server_free(server);
    return 0;
}

static void a_server_can_be_closed_while_it_pauses(void)
{
    scenario(stop_in_the_pause);
}

static intptr_t stop_in_the_handler(void *arg)
{
    rlim_t before = run_out();

    (void)arg;
    await_told();
    unlimit_fds(before);
    assert_int_equal(rota_sleep(10), 0);
    end_clients("RESET");
    assert_int_equal(told, 1);
    return 0;
}

static void the_handler_that_is_told_may_close_the_server(void)
{
    reaction = CLOSE;
    scenario(stop_in_the_handler);
    rota_server_free(server);
}

static void the_handler_that_is_told_may_free_the_server(void)
{
    reaction = FREE;
    scenario(stop_in_the_handler);
}

static intptr_t leave_in_the_pause(void *arg)
{
    rlim_t before = run_out();

    (void)arg;
    await_told();
    unlimit_fds(before);
    return 0;
}

static void a_loop_can_be_closed_while_its_server_pauses(void)
{
    scenario(leave_in_the_pause);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    rota_server_free(server);
}

/* --- Everything else that needs a descriptor ---------------------------- */

static intptr_t open_without_fds(void *arg)
{
    rota_stream *stream;
    rota_server *unused;
    int port;
    int listener = bare_listen(&port, 0, 3);
    rlim_t before = limit_fds(0);

    (void)arg;
    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", port), -EMFILE);
    assert_int_equal(rota_start_server(&unused, greet, NULL, "127.0.0.1", 0),
                     -EMFILE);
    unlimit_fds(before);
    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", port), 0);
    rota_stream_free(stream);
    close(listener);
    return 0;
}

static void opening_and_listening_without_descriptors_are_errors(void)
{
    scenario(open_without_fds);
}

static intptr_t listen_on_half(void *arg)
{
    rota_server *unused;
    rota_address address;
    size_t families = 0;
    rlim_t before;

    (void)arg;
    assert_int_equal(rota_start_server(&unused, greet, NULL, NULL, 0), 0);
    while (rota_server_address(unused, families, &address) == 0)
        families++;
    rota_server_free(unused);
    before = limit_fds((int)families - 1);
    assert_int_equal(rota_start_server(&unused, greet, NULL, NULL, 0), -EMFILE);
    unlimit_fds(before);
    return 0;
}

static void a_server_that_cannot_listen_on_all_listens_on_none(void)
{
    scenario(listen_on_half);
}

static void a_loop_that_cannot_be_made_leaves_nothing(void)
{
    rota_loop *loop = (rota_loop *)&told;
    int err = -EMFILE;

    for (int more = 0; err < 0; more++) {
        rlim_t before = limit_fds(more);

        err = rota_new_event_loop(&loop, NULL);
        unlimit_fds(before);
        assert_true(err == 0 || err == -EMFILE);
        assert_true(more > 0 || err < 0);
        assert_true(err == 0 || (void *)loop == &told);
        assert_true(err == 0 || harness_live_blocks() == 0);
    }
    rota_loop_free(loop);
}

static intptr_t return_5(void *arg)
{
    (void)arg;
    return 5;
}

static void a_run_without_descriptors_is_an_error(void)
{
    rlim_t before = limit_fds(0);

    assert_int_equal(rota_run(return_5, NULL), -EMFILE);
    unlimit_fds(before);
    assert_int_equal(rota_run(return_5, NULL), 5);
}

#define TEST_OF_ACCEPT(name)                                                   \
    TEST_SKIP_UNDER(name, HARNESS_VALGRIND,                                    \
                    "valgrind drops a connection for which it has no fd")

HARNESS_MAIN(TEST_OF_ACCEPT(
                 without_descriptors_a_server_says_so_and_recovers_in_a_second),
             TEST_OF_ACCEPT(a_lack_that_lasts_is_told_once_a_second),
             TEST_OF_ACCEPT(a_server_can_be_closed_while_it_pauses),
             TEST_OF_ACCEPT(the_handler_that_is_told_may_close_the_server),
             TEST_OF_ACCEPT(the_handler_that_is_told_may_free_the_server),
             TEST_OF_ACCEPT(a_loop_can_be_closed_while_its_server_pauses),
             TEST(opening_and_listening_without_descriptors_are_errors),
             TEST(a_server_that_cannot_listen_on_all_listens_on_none),
             TEST(a_loop_that_cannot_be_made_leaves_nothing),
             TEST(a_run_without_descriptors_is_an_error))
