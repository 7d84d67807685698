/* SPDX-License-Identifier: MIT */
/*
 * TLS: transports, both ends of a connection on one loop
 */
#include "tls_pairs.h"
#include "transports.h"

struct end {
    struct ear ear; /* first: it is the protocol's arg */
    int secured;
};

static struct end client, server;
static rota_tls_context *client_context, *server_context;

static void secured(rota_transport *transport, int error, void *arg)
{
    (void)transport;
    assert_int_equal(error, 0);
    ((struct end *)arg)->secured++;
}

static void join_ends(void)
{
    int ends[2];

    make_papers();
    client_context = plain_client();
    server_context = server_with("server");
    client.ear.silent = server.ear.silent = true;
    begin();
    tcp_pair(ends);
    (void)adopt(ends, &client.ear, &ears);
    (void)adopt((int[]){ends[1], ends[0]}, &server.ear, &ears);
    while (!client.ear.made || !server.ear.made)
        turn();
    assert_noted("made made");
}

static void join_encrypted(void)
{
    const rota_tls_options accepting = {.server_side = true};
    const rota_tls_options options = {.server_name = "localhost"};

    join_ends();
    assert_int_equal(rota_transport_start_tls(client.ear.transport,
                                              client_context, &options,
                                              secured),
                     0);
    assert_int_equal(rota_transport_start_tls(client.ear.transport,
                                              client_context, &options,
                                              secured),
                     -EBUSY);
    assert_int_equal(rota_transport_write(client.ear.transport, "x", 1),
                     -EBUSY);
    assert_int_equal(rota_transport_start_tls(server.ear.transport,
                                              server_context, &accepting,
                                              secured),
                     0);
    while (!client.secured || !server.secured)
        turn();
}

static void part_ends(void)
{
    end();
    rota_tls_context_free(client_context);
    rota_tls_context_free(server_context);
    papers_end();
}

static void both_ends_know_what_was_agreed_on(void)
{
    rota_tls_session *session = NULL;
    rota_tls_info info;
    char der[4096];
    intptr_t n;

    join_encrypted();
    assert_int_equal(rota_transport_tls_info(client.ear.transport, &info), 0);
    assert_string_equal(info.server_name, "localhost");
    assert_true(info.peer_verified);
    n = rota_transport_peer_certificate(client.ear.transport, der, sizeof der);
    assert_int_equal(n, info.certificate_size);
    assert_int_equal(der[0], 0x30); /* a sequence, in DER */
    assert_int_equal(
        rota_transport_peer_certificate(server.ear.transport, der, sizeof der),
        0);
    assert_int_equal(rota_transport_write(server.ear.transport, "x", 1), 0);
    while (client.ear.heard == 0)
        turn(); /* the session comes before the first byte */
    assert_int_equal(rota_transport_tls_session(client.ear.transport, &session),
                     0);
    rota_tls_session_free(session);
    part_ends();
    assert_noted("lost:ROTA_ECLOSING lost:ROTA_ECLOSING");
}

static void pause_again(struct ear *ear)
{
    assert_int_equal(rota_transport_pause_reading(ear->transport), 0);
}

static void a_paused_reader_loses_nothing_that_is_decrypted(void)
{
    size_t sum;

    join_encrypted();
    server.ear.then[DATA] = pause_again;
    sum = fill(client.ear.transport);
    while (server.ear.heard < sum) {
        size_t before = server.ear.heard;

        assert_int_equal(rota_transport_resume_reading(server.ear.transport),
                         0);
        while (server.ear.heard == before)
            turn();
        before = server.ear.heard;
        turn();
        assert_int_equal(server.ear.heard, before);
    }
    assert_false(rota_transport_can_write_eof(client.ear.transport));
    assert_int_equal(rota_transport_write_eof(client.ear.transport),
                     -EOPNOTSUPP);
    part_ends();
    assert_noted("lost:ROTA_ECLOSING lost:ROTA_ECLOSING");
}

static void who_is_paused_hears_of_the_end_of_it_before_the_close(void)
{
    size_t sum;

    join_encrypted();
    sum = fill(client.ear.transport);
    assert_int_equal(
        rota_transport_set_write_buffer_limits(client.ear.transport, 100, 10),
        0);
    assert_noted("pause");
    rota_transport_close(client.ear.transport);
    while (!client.ear.lost || !server.ear.lost)
        turn();
    assert_noted("eof lost resume lost");
    assert_int_equal(server.ear.heard, sum);
    part_ends();
}

HARNESS_MAIN(TEST(both_ends_know_what_was_agreed_on),
             TEST(a_paused_reader_loses_nothing_that_is_decrypted),
             TEST(who_is_paused_hears_of_the_end_of_it_before_the_close))
