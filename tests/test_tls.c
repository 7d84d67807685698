/* SPDX-License-Identifier: MIT */
/*
 * TLS: what two ends agree on
 */
#include "tls_pairs.h"

/* --- The handshake ------------------------------------------------------ */

static intptr_t talk(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_open(&pair);
    say(pair.client.stream, "hello");
    expect_words(pair.server.stream, "hello");
    say(pair.server.stream, "hello to you");
    expect_words(pair.client.stream, "hello to you");
    tls_pair_close(&pair);
    return 0;
}

static void two_streams_agree_and_talk(void)
{
    run_tls(talk);
}

static void two_streams_agree_in_every_order_of_their_callbacks(void)
{
    make_papers();
    run_shuffled(talk);
    papers_end();
}

static intptr_t look_at_both(void *arg)
{
    rota_tls_info client, server;
    struct tls_pair pair;
    unsigned char der[4096];
    intptr_t n;

    (void)arg;
    tls_pair_open(&pair);
    assert_int_equal(rota_stream_tls_info(pair.client.stream, &client), 0);
    assert_int_equal(rota_stream_tls_info(pair.server.stream, &server), 0);
    assert_string_equal(client.version, "TLSv1.3");
    assert_non_null(strstr(client.cipher, "TLS_"));
    assert_string_equal(server.version, client.version);
    assert_string_equal(server.cipher, client.cipher);
    assert_string_equal(client.peer_subject, "CN=localhost");
    assert_true(client.peer_verified);
    assert_false(client.session_reused);
    assert_string_equal(client.alpn, "");
    assert_string_equal(server.server_name, "localhost");
    assert_string_equal(server.peer_subject, "");
    assert_false(server.peer_verified);
    assert_int_equal(server.certificate_size, 0);
    n = rota_stream_peer_certificate(pair.client.stream, der, sizeof der);
    assert_int_equal(n, client.certificate_size);
    assert_int_equal(der[0], 0x30);
    assert_int_equal(rota_stream_peer_certificate(pair.client.stream, der, 9),
                     -ENOSPC);
    assert_int_equal(
        rota_stream_peer_certificate(pair.server.stream, der, sizeof der), 0);
    tls_pair_close(&pair);
    return 0;
}

static void a_stream_tells_what_was_agreed_on(void)
{
    run_tls(look_at_both);
}

static intptr_t look_in_the_clear(void *arg)
{
    rota_tls_session *session;
    rota_tls_info info;
    struct pair pair;
    char der[100];

    (void)arg;
    pair_open(&pair);
    assert_int_equal(rota_stream_tls_info(pair.stream, &info), -ENOENT);
    assert_int_equal(rota_stream_peer_certificate(pair.stream, der, 100),
                     -ENOENT);
    assert_int_equal(rota_stream_tls_session(pair.stream, &session), -ENOENT);
    pair_close(&pair);
    return 0;
}

static void a_stream_in_the_clear_has_nothing_to_tell(void)
{
    run(look_in_the_clear);
}

static intptr_t agree_on_12(void *arg)
{
    rota_tls_context *client = plain_client();
    rota_tls_info info;
    struct tls_pair pair;

    (void)arg;
    tls_only_12(client);
    tls_pair_open_with(&pair, client, server_with("server"));
    assert_int_equal(rota_stream_tls_info(pair.server.stream, &info), 0);
    assert_string_equal(info.version, "TLSv1.2");
    assert_string_equal(info.server_name, "localhost");
    say(pair.client.stream, "hello");
    expect_words(pair.server.stream, "hello");
    tls_pair_close(&pair);
    return 0;
}

static void an_older_peer_gets_tls_1_2(void)
{
    run_tls(agree_on_12);
}

static intptr_t insist_on_13(void *arg)
{
    rota_tls_context_options options = server_options("server");
    rota_tls_context *client = plain_client();
    struct tls_pair pair;

    (void)arg;
    options.minimum_version = 13;
    tls_only_12(client);
    tls_pair_connect(&pair, client, context_of(&options), 0);
    tls_pair_shake(&pair);
    expect_refusal(&pair.server, -ROTA_ETLS, "protocol");
    expect_refusal(&pair.client, -ROTA_ETLSALERT, "protocol version");
    tls_pair_close(&pair);
    return 0;
}

static void an_older_peer_is_refused_if_one_wants(void)
{
    run_tls(insist_on_13);
}

static intptr_t have_no_cipher(void *arg)
{
    rota_tls_context_options options = client_options();
    rota_tls_context *client;
    struct tls_pair pair;

    (void)arg;
    options.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"; /* the key is no RSA one */
    client = context_of(&options);
    tls_only_12(client);
    tls_pair_connect(&pair, client, server_with("server"), 0);
    tls_pair_shake(&pair);
    expect_refusal(&pair.server, -ROTA_ETLS, "no shared cipher");
    expect_refusal(&pair.client, -ROTA_ETLSALERT, "handshake failure");
    tls_pair_close(&pair);
    return 0;
}

static void ends_without_a_common_cipher_do_not_agree(void)
{
    run_tls(have_no_cipher);
}

/* --- Names -------------------------------------------------------------- */

static void expect_name_told(const char *name, const char *told)
{
    rota_tls_info info;
    struct tls_pair pair;

    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    pair.client.options.server_name = name;
    tls_pair_shake(&pair);
    if (pair.client.result < 0)
        fail_msg("%s: %s", name, pair.client.why);
    assert_int_equal(rota_stream_tls_info(pair.server.stream, &info), 0);
    assert_string_equal(info.server_name, told);
    tls_pair_close(&pair);
}

static intptr_t use_names(void *arg)
{
    (void)arg;
    expect_name_told("localhost", "localhost");
    expect_name_told("localhost.", "localhost");
    expect_name_told("www.example.org", "www.example.org");
    expect_name_told("127.0.0.1", "");
    expect_name_told("::1", "");
    return 0;
}

static void a_server_is_told_the_name_but_no_address(void)
{
    run_tls(use_names);
}

/* --- ALPN --------------------------------------------------------------- */

static void expect_alpn(const char *of_client, const char *of_server,
                        const char *agreed)
{
    rota_tls_context_options client = client_options();
    rota_tls_context_options server = server_options("server");
    rota_tls_info info;
    struct tls_pair pair;

    client.alpn = of_client;
    server.alpn = of_server;
    tls_pair_open_with(&pair, context_of(&client), context_of(&server));
    assert_int_equal(rota_stream_tls_info(pair.client.stream, &info), 0);
    assert_string_equal(info.alpn, agreed);
    assert_int_equal(rota_stream_tls_info(pair.server.stream, &info), 0);
    assert_string_equal(info.alpn, agreed);
    tls_pair_close(&pair);
}

static intptr_t use_alpn(void *arg)
{
    (void)arg;
    expect_alpn("http/1.1,h2", "h2,http/1.1", "h2");
    expect_alpn("h2,http/1.1", "http/1.1", "http/1.1");
    expect_alpn("h2", "http/1.1", "");
    expect_alpn("h2", NULL, "");
    expect_alpn(NULL, "h2", "");
    return 0;
}

static void the_server_chooses_the_protocol_or_goes_on_without(void)
{
    run_tls(use_alpn);
}

/* --- Sessions ----------------------------------------------------------- */

static rota_tls_session *session_of(struct tls_pair *pair)
{
    rota_tls_session *session;

    say(pair->server.stream, "x"); /* a ticket comes before it */
    expect_words(pair->client.stream, "x");
    assert_int_equal(rota_stream_tls_session(pair->client.stream, &session), 0);
    return session;
}

static void open_again(rota_tls_context *client, rota_tls_context *server,
                       bool reused)
{
    struct tls_pair pair;
    rota_tls_session *session;
    rota_tls_info info;

    rota__tls_context_ref(client);
    rota__tls_context_ref(server);
    tls_pair_open_with(&pair, client, server);
    session = session_of(&pair);
    tls_pair_close(&pair);
    tls_pair_connect(&pair, client, server, 0);
    pair.client.options.session = session;
    tls_pair_shake(&pair);
    assert_int_equal(pair.client.result, 0);
    assert_int_equal(rota_stream_tls_info(pair.client.stream, &info), 0);
    assert_int_equal(info.session_reused, reused);
    assert_true(info.peer_verified);
    assert_string_equal(info.peer_subject, "CN=localhost");
    rota_tls_session_free(session);
    tls_pair_close(&pair);
}

static intptr_t resume(void *arg)
{
    rota_tls_context *client = plain_client();

    (void)arg;
    open_again(plain_client(), server_with("server"), true);
    tls_only_12(client);
    open_again(client, server_with("server"), true);
    return 0;
}

static void a_client_goes_on_with_a_session(void)
{
    run_tls(resume);
}

static intptr_t resume_with_another(void *arg)
{
    rota_tls_context *client = plain_client();
    rota_tls_context *server = server_with("server");
    struct tls_pair pair;
    rota_tls_session *session;

    (void)arg;
    rota__tls_context_ref(client);
    rota__tls_context_ref(server);
    tls_pair_open_with(&pair, client, server);
    session = session_of(&pair);
    tls_pair_close(&pair);
    tls_pair_connect(&pair, client, server, 0);
    pair.client.options.session = session;
    pair.client.options.server_name = "other.example.com";
    tls_pair_shake(&pair);
    expect_refusal(&pair.client, -ROTA_ECERTHOST, "not for other.example.com");
    rota_tls_session_free(session);
    tls_pair_close(&pair);
    return 0;
}

static void a_session_is_no_proof_for_another_host(void)
{
    run_tls(resume_with_another);
}

static intptr_t resume_what_nobody_checked(void *arg)
{
    const rota_tls_context_options careless = {.no_verify = true};
    rota_tls_context *server;
    struct tls_pair pair;
    rota_tls_session *session;

    (void)arg;
    paper_make(&(struct paper){
        .file = "own", .subject = "localhost", .names = "DNS:localhost"});
    server = server_with("own");
    rota__tls_context_ref(server);
    tls_pair_open_with(&pair, context_of(&careless), server);
    session = session_of(&pair);
    tls_pair_close(&pair);
    tls_pair_connect(&pair, plain_client(), server, 0);
    pair.client.options.session = session;
    tls_pair_shake(&pair);
    expect_refusal(&pair.client, -ROTA_ECERTUNKNOWN, "self-signed");
    rota_tls_session_free(session);
    tls_pair_close(&pair);
    return 0;
}

static void a_session_that_nobody_checked_is_no_proof(void)
{
    run_tls(resume_what_nobody_checked);
}

static intptr_t ask_too_early(void *arg)
{
    struct tls_pair pair;
    rota_tls_session *session;

    (void)arg;
    tls_pair_open(&pair);
    assert_int_equal(rota_stream_tls_session(pair.client.stream, &session),
                     -ENOENT);
    assert_int_equal(rota_stream_tls_session(pair.server.stream, &session),
                     -ENOENT);
    rota_tls_session_free(NULL);
    tls_pair_close(&pair);
    return 0;
}

static void a_session_comes_with_the_first_read_only(void)
{
    run_tls(ask_too_early);
}

/* --- By the names of asyncio -------------------------------------------- */

static intptr_t echo_once(rota_stream *stream, void *arg)
{
    char buf[100];
    intptr_t n = rota_read(stream, buf, sizeof buf);

    (void)arg;
    return n > 0 ? rota_write(stream, buf, (size_t)n) : n;
}

static intptr_t serve_and_connect(void *arg)
{
    const rota_server_options serving = {.tls = server_with("server")};
    const rota_connect_options connecting = {.tls = plain_client()};
    rota_server *server;
    rota_stream *stream;
    rota_address address;
    rota_tls_info info;

    (void)arg;
    assert_int_equal(rota_start_server_with(&server, echo_once, NULL,
                                            "127.0.0.1", 0, &serving),
                     0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    rota_tls_context_free(serving.tls); /* the server has its own reference */
    assert_int_equal(rota_open_connection_with(&stream, "127.0.0.1",
                                               rota_address_port(&address),
                                               &connecting),
                     0);
    rota_tls_context_free(connecting.tls);
    say(stream, "over TLS");
    expect_words(stream, "over TLS");
    assert_int_equal(rota_stream_tls_info(stream, &info), 0);
    assert_true(info.peer_verified);
    assert_int_equal(rota_read(stream, info.alpn, 1), 0); /* close_notify */
    rota_stream_free(stream);
    rota_server_close(server);
    assert_int_equal(rota_server_wait_closed(server), 0);
    rota_server_free(server);
    return 0;
}

static void a_server_serves_over_tls_and_a_client_connects(void)
{
    run_tls(serve_and_connect);
}

static void a_build_tells_whether_it_has_tls(void)
{
    rota_tls_context *context;
    char why[ROTA_TLS_MESSAGE];
    int err = rota_tls_context_new(&context, NULL, why);

    assert_int_equal(err, rota_has_tls() ? 0 : -ROTA_ENOTLS);
    if (err == 0)
        rota_tls_context_free(context);
    else
        assert_string_equal(why, rota_strerror(err));
    rota_tls_context_free(NULL);
}

HARNESS_MAIN(TEST(a_build_tells_whether_it_has_tls),
             TEST(two_streams_agree_and_talk),
             TEST(two_streams_agree_in_every_order_of_their_callbacks),
             TEST(a_stream_tells_what_was_agreed_on),
             TEST(a_stream_in_the_clear_has_nothing_to_tell),
             TEST(an_older_peer_gets_tls_1_2),
             TEST(an_older_peer_is_refused_if_one_wants),
             TEST(ends_without_a_common_cipher_do_not_agree),
             TEST(a_server_is_told_the_name_but_no_address),
             TEST(the_server_chooses_the_protocol_or_goes_on_without),
             TEST(a_client_goes_on_with_a_session),
             TEST(a_session_is_no_proof_for_another_host),
             TEST(a_session_that_nobody_checked_is_no_proof),
             TEST(a_session_comes_with_the_first_read_only),
             TEST(a_server_serves_over_tls_and_a_client_connects))
