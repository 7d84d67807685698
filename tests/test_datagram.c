/* SPDX-License-Identifier: MIT */
/*
 * Datagram transports: what a protocol is told
 */
#include "datagrams.h"

/* --- The life of an endpoint -------------------------------------------- */

static intptr_t live(void *arg)
{
    struct end end = {.echo = true};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local = open_v4(&end);

    (void)arg;
    assert_noted("");
    bare_tell_text(fd, &local, "hello");
    await_that(end.received == 1);
    assert_true(rota_address_equal(&end.from, &peer));
    assert_string_equal(bare_told(fd), "hello");
    rota_datagram_transport_close(end.transport);
    assert_noted("made <hello>");
    assert_true(rota_datagram_transport_is_closing(end.transport));
    assert_int_equal(send_text(&end, "late", &peer), -ROTA_ECLOSING);
    rota_datagram_transport_close(end.transport);
    rota_datagram_transport_abort(end.transport);
    settle();
    assert_noted("lost()");
    close(fd);
    return 0;
}

static void an_endpoint_is_made_receives_and_is_lost(void)
{
    scenario(live);
}

static intptr_t use_after_the_end(void *arg)
{
    struct end end = {0};
    rota_address address = open_v4(&end);

    (void)arg;
    rota_datagram_transport_ref(end.transport);
    assert_int_equal(
        rota_datagram_transport_peer_address(end.transport, &address),
        -ENOTCONN);
    assert_true(rota_datagram_transport_fileno(end.transport) > 2);
    close_end(&end);
    assert_int_equal(rota_datagram_transport_fileno(end.transport),
                     -ROTA_ECLOSING);
    assert_int_equal(
        rota_datagram_transport_local_address(end.transport, &address),
        -ROTA_ECLOSING);
    assert_int_equal(
        rota_datagram_transport_peer_address(end.transport, &address),
        -ROTA_ECLOSING);
    assert_int_equal(send_text(&end, "x", &address), -ROTA_ECLOSING);
    assert_int_equal(
        rota_datagram_transport_get_write_buffer_size(end.transport), 0);
    rota_datagram_transport_abort(end.transport);
    rota_datagram_transport_unref(end.transport);
    return 0;
}

static void a_reference_keeps_the_handle_usable(void)
{
    scenario(use_after_the_end);
}

static intptr_t leave_open(void *arg)
{
    struct end *ends = arg;
    rota_address local = open_v4(&ends[0]);

    (void)open_v4(&ends[1]);
    rota_datagram_transport_ref(ends[1].transport);
    (void)open_to(&ends[2], &local);
    settle();
    rota_datagram_transport_close(ends[2].transport);
    return 0;
}

static void a_loop_that_closes_ends_its_endpoints(void)
{
    static struct end ends[3];
    rota_loop *loop = new_virtual_loop();

    assert_int_equal(rota_loop_run_until_complete(loop, leave_open, ends), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    rota_loop_free(loop);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ends[i].lost, 1);
    assert_true(rota_datagram_transport_is_closing(ends[1].transport));
    assert_int_equal(send_text(&ends[1], "x", NULL), -ROTA_ECLOSING);
    rota_datagram_transport_close(ends[1].transport);
    rota_datagram_transport_abort(ends[1].transport);
    rota_datagram_transport_unref(ends[1].transport);
    assert_noted("made made made lost() lost(ROTA_ECLOSING) "
                 "lost(ROTA_ECLOSING)");
}

static void what_cannot_be_made_is_an_error(void)
{
    rota_datagram_transport *none = NULL;
    rota_address v4 = local_v4(0);
    rota_address v6;
    rota_address taken;
    int fd = bare_udp(&taken);
    rota_loop *loop = new_virtual_loop();

    assert_int_equal(rota_address_parse(&v6, "::1", 9), 0);
    assert_int_equal(
        rota_create_datagram_endpoint(&none, loop, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(rota_create_datagram_endpoint(
                         &none, loop, &protocol, NULL,
                         &(rota_datagram_options){.local = &v4, .remote = &v6}),
                     -EINVAL);
    assert_int_equal(
        rota_create_datagram_endpoint(
            &none, loop, &protocol, NULL,
            &(rota_datagram_options){.local = &v4, .family = AF_INET6}),
        -EINVAL);
    assert_int_equal(rota_create_datagram_endpoint(
                         &none, loop, &protocol, NULL,
                         &(rota_datagram_options){.local = &taken}),
                     -EADDRINUSE);
    loop->debug = false; /* it would stop there */
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(
        rota_create_datagram_endpoint(&none, loop, &protocol, NULL, NULL),
        -ROTA_ECLOSED);
    rota_loop_free(loop);
    assert_null(none);
    close(fd);
}

static intptr_t share_a_port(void *arg)
{
    struct end ends[2] = {{.quiet = true}, {.quiet = true}};
    rota_address local = local_v4(0);
    rota_datagram_options options = {.local = &local, .reuse_port = true};
    rota_address peer;
    int fd = bare_udp(&peer);

    (void)arg;
    open_with(&ends[0], &options);
    assert_int_equal(
        rota_datagram_transport_local_address(ends[0].transport, &local), 0);
    open_with(&ends[1], &options);
    bare_tell_text(fd, &local, "x");
    await_that(ends[0].received + ends[1].received == 1);
    close_end(&ends[0]);
    bare_tell_text(fd, &local, "x");
    await_that(ends[1].received > 0);
    close_end(&ends[1]);
    close(fd);
    return 0;
}

static void two_endpoints_can_share_a_port(void)
{
    scenario(share_a_port);
}

static rota_context_var variable = ROTA_CONTEXT_VAR("variable", NULL);

static void note_variable(struct end *end)
{
    (void)end;
    note("%s", (const char *)rota_context_var_get(&variable));
}

static intptr_t use_context(void *arg)
{
    struct end end = {.act = note_variable};
    rota_address peer;
    int fd = bare_udp(&peer);
    rota_address local;

    (void)arg;
    assert_int_equal(rota_context_var_set(&variable, "then", NULL), 0);
    local = open_v4(&end);
    assert_int_equal(rota_context_var_set(&variable, "now", NULL), 0);
    bare_tell_text(fd, &local, "x");
    await_that(end.received);
    close_end(&end);
    assert_noted("made <x> then lost()");
    close(fd);
    return 0;
}

static void callbacks_run_in_the_context_of_the_making(void)
{
    scenario(use_context);
}

/* Asks for another one when the loop takes it away. */
static void lose_and_ask(rota_datagram_transport *transport, int error,
                         void *arg)
{
    static const rota_datagram_protocol silent;

    note("%s %s", rota_errname(error),
         (const char *)rota_context_var_get(&variable));
    assert_int_equal(
        rota_create_datagram_endpoint(&transport, arg, &silent, NULL, NULL),
        -ROTA_ECLOSED);
}

static intptr_t make_in_context(void *loop)
{
    static const rota_datagram_protocol asking = {
        .connection_lost = lose_and_ask,
    };
    rota_datagram_transport *transport;

    assert_int_equal(rota_context_var_set(&variable, "then", NULL), 0);
    return rota_create_datagram_endpoint(&transport, loop, &asking, loop, NULL);
}

static void the_end_with_the_loop_is_in_the_context_and_makes_no_other(void)
{
    rota_loop *loop = new_virtual_loop();
    rota_context *context;

    assert_int_equal(rota_copy_context(&context), 0);
    assert_int_equal(rota_context_run(context, make_in_context, loop), 0);
    rota_context_free(context);
    rota_loop_free(loop);
    assert_noted("ROTA_ECLOSING then");
}

/* --- Where datagrams go ------------------------------------------------- */

static intptr_t be_connected(void *arg)
{
    struct end end = {0};
    rota_address peer, stranger, found;
    int fd = bare_udp(&peer);
    int other = bare_udp(&stranger);
    rota_address local = open_to(&end, &peer);

    (void)arg;
    assert_int_equal(
        rota_datagram_transport_peer_address(end.transport, &found), 0);
    assert_true(rota_address_equal(&found, &peer));
    assert_int_equal(send_text(&end, "a", NULL), 0);
    assert_int_equal(send_text(&end, "b", &peer), 0);
    assert_int_equal(send_text(&end, "c", &stranger), -EISCONN);
    assert_string_equal(bare_told(fd), "a");
    assert_string_equal(bare_told(fd), "b");
    assert_string_equal(bare_told(fd), "(none)");
    bare_tell_text(other, &local, "not for you");
    bare_tell_text(fd, &local, "for you");
    settle();
    close_end(&end);
    assert_noted("made <for you> lost()");
    close(fd);
    close(other);
    return 0;
}

static void a_connected_endpoint_knows_its_remote_address_only(void)
{
    scenario(be_connected);
}

static intptr_t send_nowhere(void *arg)
{
    struct end end = {0};
    rota_address nothing = {.size = sizeof(sa_family_t)};

    (void)arg;
    (void)open_v4(&end);
    nothing.storage.ss_family = AF_UNIX;
    assert_int_equal(send_text(&end, "x", NULL), -EDESTADDRREQ);
    assert_int_equal(send_text(&end, "x", &nothing), -EDESTADDRREQ);
    assert_int_equal(end.errors, 0);
    close_end(&end);
    return 0;
}

static void a_send_without_an_address_is_an_error(void)
{
    scenario(send_nowhere);
}

static intptr_t send_without_a_port(void *arg)
{
    struct end end = {0};
    rota_address peer;
    rota_address found;
    int fd = bare_udp(&peer);

    (void)arg;
    open_with(&end, NULL);
    assert_int_equal(send_text(&end, "x", &peer), 0);
    assert_string_equal(bare_told(fd), "x");
    assert_int_equal(
        rota_datagram_transport_local_address(end.transport, &found), 0);
    assert_true(rota_address_port(&found) > 0);
    found = local_v4(rota_address_port(&found));
    bare_tell_text(fd, &found, "y");
    await_that(end.received);
    close_end(&end);
    close(fd);
    return 0;
}

static void an_endpoint_without_an_address_gets_one_with_its_first_send(void)
{
    scenario(send_without_a_port);
}

static intptr_t use_ipv6(void *arg)
{
    struct end ends[2] = {{0}, {.echo = true}};
    rota_address local;

    (void)arg;
    assert_int_equal(rota_address_parse(&local, "::1", 0), 0);
    open_with(&ends[1], &(rota_datagram_options){.local = &local});
    assert_int_equal(
        rota_datagram_transport_local_address(ends[1].transport, &local), 0);
    (void)open_to(&ends[0], &local);
    assert_int_equal(send_text(&ends[0], "six", NULL), 0);
    await_that(ends[0].received);
    assert_true(rota_address_equal(&ends[0].from, &local));
    close_end(&ends[0]);
    close_end(&ends[1]);
    return 0;
}

static void ipv6_has_datagrams_too(void)
{
    rota_address any;
    int fd;

    assert_int_equal(rota_address_parse(&any, "::1", 0), 0);
    fd = bare_bind(&any);
    if (fd < 0)
        harness_skip("there is no IPv6 here");
    close(fd);
    scenario(use_ipv6);
}

static intptr_t use_unix(void *arg)
{
    struct end end = {0};
    rota_address local = unix_address("end");
    rota_address named = unix_address("named");
    int fd = bare_bind(&named);
    int nameless = socket(AF_UNIX, SOCK_DGRAM, 0);
    char path[100];

    (void)arg;
    open_with(&end, &(rota_datagram_options){.local = &local});
    bare_tell_text(fd, &local, "named");
    await_that(end.received == 1);
    assert_true(rota_address_equal(&end.from, &named));
    assert_int_equal(send_text(&end, "back", &end.from), 0);
    assert_string_equal(bare_told(fd), "back");
    bare_tell_text(nameless, &local, "nameless");
    await_that(end.received == 2);
    assert_int_equal(rota_address_path(&end.from, path, sizeof path), 0);
    assert_string_equal(path, "");
    assert_int_equal(send_text(&end, "x", &end.from), -EDESTADDRREQ);
    close_end(&end);
    assert_noted("made <named> <nameless> lost()");
    close(fd);
    close(nameless);
    unix_unlink(&local);
    unix_unlink(&named);
    return 0;
}

static void unix_sockets_have_datagrams_too(void)
{
    scenario(use_unix);
}

static intptr_t bind_again(void *arg)
{
    rota_address address = unix_address("again");
    rota_datagram_options options = {.local = &address};
    rota_datagram_transport *none;
    struct end ends[2] = {{0}, {0}};

    (void)arg;
    open_with(&ends[0], &options);
    assert_int_equal(rota_create_datagram_endpoint(&none,
                                                   rota_get_running_loop(),
                                                   &protocol, NULL, &options),
                     -EADDRINUSE);
    close_end(&ends[0]);
    open_with(&ends[1], &options);
    close_end(&ends[1]);
    unix_unlink(&address);
    return 0;
}

static void the_file_of_a_unix_socket_is_replaced_when_nobody_has_it(void)
{
    scenario(bind_again);
}

static intptr_t shout(void *arg)
{
    struct end ends[3] = {{0}, {0}, {0}};
    rota_address local, everybody;
    int port;

    (void)arg;
    assert_int_equal(rota_address_parse(&local, "0.0.0.0", 0), 0);
    open_with(&ends[0], &(rota_datagram_options){.local = &local});
    assert_int_equal(
        rota_datagram_transport_local_address(ends[0].transport, &local), 0);
    port = rota_address_port(&local);
    assert_int_equal(rota_address_parse(&everybody, "127.255.255.255", port),
                     0);
    open_with(&ends[1], &(rota_datagram_options){.broadcast = true});
    open_with(&ends[2], NULL);
    assert_int_equal(send_text(&ends[2], "x", &everybody), 0);
    assert_int_equal(ends[2].last_error, -EACCES);
    assert_int_equal(send_text(&ends[1], "all", &everybody), 0);
    assert_int_equal(ends[1].errors, 0);
    settle();
    assert_noted("EACCES made made made <all>");
    for (int i = 0; i < 3; i++)
        close_end(&ends[i]);
    return 0;
}

static void to_broadcast_one_must_ask_for_it(void)
{
    scenario(shout);
}

HARNESS_MAIN(TEST(an_endpoint_is_made_receives_and_is_lost),
             TEST(a_reference_keeps_the_handle_usable),
             TEST(a_loop_that_closes_ends_its_endpoints),
             TEST(what_cannot_be_made_is_an_error),
             TEST(two_endpoints_can_share_a_port),
             TEST(callbacks_run_in_the_context_of_the_making),
             TEST(the_end_with_the_loop_is_in_the_context_and_makes_no_other),
             TEST(a_connected_endpoint_knows_its_remote_address_only),
             TEST(a_send_without_an_address_is_an_error),
             TEST(an_endpoint_without_an_address_gets_one_with_its_first_send),
             TEST(ipv6_has_datagrams_too),
             TEST(unix_sockets_have_datagrams_too),
             TEST(the_file_of_a_unix_socket_is_replaced_when_nobody_has_it),
             TEST(to_broadcast_one_must_ask_for_it))
