/* SPDX-License-Identifier: MIT */
/*
 * Misuse of transports and datagrams, which debug mode stops
 */
#include <pthread.h>
#include "sockets.h"

static const rota_protocol silent;

static void *write_there(void *transport)
{
    (void)rota_transport_write(transport, "x", 1);
    return NULL;
}

static void *close_there(void *transport)
{
    rota_transport_close(transport);
    return NULL;
}

static void *abort_there(void *transport)
{
    rota_transport_abort(transport);
    return NULL;
}

/* Does it on another thread, with the loop's waiting. */
static intptr_t do_elsewhere(void *function)
{
    rota_transport *transport;
    pthread_t thread;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(rota_connect_accepted_socket(&transport,
                                                  rota_get_running_loop(),
                                                  &silent, NULL, fds[0], NULL),
                     0);
    pass_turns(2);
    assert_int_equal(
        pthread_create(&thread, NULL, *(void *(**)(void *))function, transport),
        0);
    pthread_join(thread, NULL);
    return 0;
}

static void elsewhere(void *(*function)(void *))
{
    (void)run_in_debug_mode(do_elsewhere, &function);
}

static void a_write_on_another_thread_stops(void)
{
    elsewhere(write_there);
}

static void a_close_on_another_thread_stops(void)
{
    elsewhere(close_there);
}

static void an_abort_on_another_thread_stops(void)
{
    elsewhere(abort_there);
}

static void receive(void *datagram)
{
    char byte;

    assert_int_equal(rota_datagram_recv(datagram, &byte, 1, NULL, NULL),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_datagram_send(datagram, &byte, 1, NULL),
                     -ROTA_ENOTASK);
}

static intptr_t receive_in_a_callback(void *arg)
{
    rota_datagram *datagram;

    (void)arg;
    assert_int_equal(rota_datagram_open(&datagram, NULL), 0);
    assert_int_equal(
        rota_call_soon(rota_get_running_loop(), NULL, receive, datagram), 0);
    pass_turns(2);
    rota_datagram_free(datagram);
    return 0;
}

static void a_callback_cannot_wait_for_a_datagram(void)
{
    run(receive_in_a_callback);
}

static void waiting_for_a_datagram_in_a_callback_stops(void)
{
    (void)run_in_debug_mode(receive_in_a_callback, NULL);
}

HARNESS_MAIN(TEST(a_callback_cannot_wait_for_a_datagram),
             TEST_EXPECT_SIGNAL(waiting_for_a_datagram_in_a_callback_stops,
                                SIGABRT, "rota_datagram_recv"),
             TEST_EXPECT_SIGNAL(a_write_on_another_thread_stops, SIGABRT,
                                "rota_transport_write: called from a thread"),
             TEST_EXPECT_SIGNAL(a_close_on_another_thread_stops, SIGABRT,
                                "rota_transport_close: called from a thread"),
             TEST_EXPECT_SIGNAL(an_abort_on_another_thread_stops, SIGABRT,
                                "rota_transport_abort: called from a thread"))
