/* SPDX-License-Identifier: MIT */
/*
 * A server that answers, for tests of clients that are a nuisance
 *
 * Its protocol is a line with a number, so many bytes, and "ok" for an
 * answer, within a minute. What ends a connection is counted, and is one of
 * the errors that a peer can cause.
 */
#ifndef TESTS_ANSWERING_H
#define TESTS_ANSWERING_H

#include "sockets.h"

#define TICK 0.01

/* A timeout has fired when it should, but for the rounding of doubles. */
static inline void assert_about(double time, double wanted)
{
    if (time < wanted - 1e-9 || time > wanted + 2 * TICK)
        fail_msg("it took %.6f s instead of %.6f", time, wanted);
}

static rota_server *answerer;
static int server_port;
static int answered;
static int refused;
static int timed_out;

static inline intptr_t answer(rota_stream *stream, void *arg)
{
    char line[80];
    char body[1000];
    unsigned long size;
    rota_timeout idle;
    intptr_t n;

    (void)arg;
    rota_timeout_begin(&idle, 60);
    while ((n = rota_read_line(stream, line, sizeof line - 1)) > 0) {
        line[n] = '\0';
        size = strtoul(line, NULL, 10);
        n = size < sizeof body ? rota_read_exactly(stream, body, size)
                               : -EPROTO;
        if (n < 0)
            break;
        n = rota_write(stream, "ok\n", 3);
        if (n < 0)
            break;
        answered++;
    }
    n = rota_timeout_end(&idle, n);
    refused += n < 0;
    timed_out += n == -ETIMEDOUT;
    assert_true(n == 0 || n == -EPROTO || n == -ROTA_ELIMIT ||
                n == -ROTA_EINCOMPLETE || n == -ECONNRESET || n == -EPIPE ||
                n == -ETIMEDOUT);
    return 0;
}

static inline void begin_to_serve(void)
{
    rota_address address;

    answered = refused = timed_out = 0;
    assert_int_equal(rota_start_server(&answerer, answer, NULL, "127.0.0.1", 0),
                     0);
    assert_int_equal(rota_server_address(answerer, 0, &address), 0);
    server_port = rota_address_port(&address);
}

static inline void end_serving(void)
{
    rota_server_close(answerer);
    assert_int_equal(rota_server_wait_closed(answerer), 0);
    rota_server_free(answerer);
}

/* The server is well: somebody is answered. */
static inline void assert_served(void)
{
    rota_stream *stream;
    char buf[8];

    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", server_port),
                     0);
    assert_int_equal(rota_write(stream, "5\nhello", 7), 7);
    assert_int_equal(rota_read_line(stream, buf, sizeof buf), 3);
    rota_stream_free(stream);
}

#endif
