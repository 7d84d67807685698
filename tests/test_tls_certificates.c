/* SPDX-License-Identifier: MIT */
/*
 * TLS: certificates, and which of them are refused with which words
 */
#include "tls_pairs.h"

#define HOUR 3600L

/* A client that trusts "ca" meets a server with this certificate. */
static void expect_refused(const struct paper *paper, const char *host,
                           int error, const char *words)
{
    struct tls_pair pair;

    if (paper)
        paper_make(paper);
    tls_pair_connect(&pair, plain_client(),
                     server_with(paper ? paper->file : "server"), 0);
    pair.client.options.server_name = host;
    tls_pair_shake(&pair);
    expect_refusal(&pair.client, error, words);
    expect_refusal(&pair.server, -ROTA_ETLSALERT, "the peer refuses: ");
    assert_true(rota_is_closing(pair.client.stream));
    assert_int_equal(rota_write(pair.client.stream, "x", 1), -ROTA_ECLOSING);
    tls_pair_close(&pair);
}

static intptr_t be_expired(void *arg)
{
    (void)arg;
    expect_refused(&(struct paper){.file = "old",
                                   .subject = "Old",
                                   .names = "DNS:localhost",
                                   .issuer = "ca",
                                   .until = -HOUR},
                   "localhost", -ROTA_ECERTEXPIRED,
                   "certificate has expired: the certificate of CN=Old "
                   "(depth 0)");
    return 0;
}

static void an_expired_certificate_is_refused(void)
{
    run_tls(be_expired);
}

static intptr_t be_early(void *arg)
{
    (void)arg;
    expect_refused(&(struct paper){.file = "young",
                                   .subject = "Young",
                                   .names = "DNS:localhost",
                                   .issuer = "ca",
                                   .from = HOUR},
                   "localhost", -ROTA_ECERTEXPIRED,
                   "certificate is not yet valid");
    return 0;
}

static void a_certificate_that_is_not_yet_valid_is_refused(void)
{
    run_tls(be_early);
}

static intptr_t be_another(void *arg)
{
    const char *words = "the certificate of CN=localhost is not for ";

    (void)arg;
    expect_refused(NULL, "example.com", -ROTA_ECERTHOST, words);
    expect_refused(NULL, "example.com", -ROTA_ECERTHOST, "example.com");
    expect_refused(NULL, "127.0.0.2", -ROTA_ECERTHOST, "127.0.0.2");
    expect_refused(NULL, "::2", -ROTA_ECERTHOST, words);
    expect_refused(NULL, "a.b.example.org", -ROTA_ECERTHOST, words);
    expect_refused(NULL, "example.org", -ROTA_ECERTHOST, words);
    return 0;
}

static void a_certificate_of_another_host_is_refused(void)
{
    run_tls(be_another);
}

static intptr_t be_of_a_stranger(void *arg)
{
    (void)arg;
    paper_make(&(struct paper){
        .file = "other", .subject = "Stranger", .authority = true});
    expect_refused(&(struct paper){.file = "of-other",
                                   .subject = "Unknown",
                                   .names = "DNS:localhost",
                                   .issuer = "other"},
                   "localhost", -ROTA_ECERTUNKNOWN, "CN=Stranger");
    return 0;
}

static void a_certificate_of_an_unknown_authority_is_refused(void)
{
    run_tls(be_of_a_stranger);
}

static intptr_t be_self_signed(void *arg)
{
    (void)arg;
    expect_refused(&(struct paper){.file = "own",
                                   .subject = "Own",
                                   .names = "DNS:localhost"},
                   "localhost", -ROTA_ECERTUNKNOWN,
                   "self-signed certificate: the certificate of CN=Own");
    return 0;
}

static void a_self_signed_certificate_is_refused(void)
{
    run_tls(be_self_signed);
}

static intptr_t be_issued_by_no_authority(void *arg)
{
    (void)arg;
    expect_refused(&(struct paper){.file = "forged",
                                   .subject = "Forged",
                                   .names = "DNS:localhost",
                                   .issuer = "server"},
                   "localhost", -ROTA_ECERT, "CA certificate");
    return 0;
}

static void a_certificate_issued_by_no_authority_is_refused(void)
{
    run_tls(be_issued_by_no_authority);
}

/* --- What one may be told to accept ------------------------------------- */

static void expect_accepted(const rota_tls_context_options *client,
                            const char *paper, const char *host, bool verified)
{
    rota_tls_info info;
    struct tls_pair pair;

    tls_pair_connect(&pair, context_of(client), server_with(paper), 0);
    pair.client.options.server_name = host;
    tls_pair_shake(&pair);
    if (pair.client.result < 0)
        fail_msg("%s", pair.client.why);
    assert_int_equal(rota_stream_tls_info(pair.client.stream, &info), 0);
    assert_int_equal(info.peer_verified, verified);
    tls_pair_close(&pair);
}

static intptr_t accept_more(void *arg)
{
    const rota_tls_context_options any = {.no_verify = true};
    rota_tls_context_options options = client_options();

    (void)arg;
    paper_make(&(struct paper){.file = "own", .subject = "Own"});
    expect_accepted(&any, "own", "example.com", false);
    expect_accepted(&any, "own", NULL, false);
    options.no_host_check = true;
    expect_accepted(&options, "server", "example.com", true);
    expect_accepted(&options, "server", NULL, true);
    return 0;
}

static void a_client_can_be_told_to_check_less(void)
{
    run_tls(accept_more);
}

static intptr_t trust_one(void *arg)
{
    rota_tls_context_options options = {.ca_file = paper_path("own.pem")};

    (void)arg;
    paper_make(&(struct paper){
        .file = "own", .subject = "Own", .names = "DNS:localhost"});
    expect_accepted(&options, "own", "localhost", true);
    paper_make(&(struct paper){.file = "between",
                               .subject = "Between",
                               .issuer = "ca",
                               .authority = true});
    paper_make(&(struct paper){.file = "leaf",
                               .subject = "Leaf",
                               .names = "DNS:localhost",
                               .issuer = "between"});
    options.ca_file = paper_path("between.pem");
    expect_accepted(&options, "leaf", "localhost", true);
    return 0;
}

static void whom_one_names_as_an_authority_is_one(void)
{
    run_tls(trust_one);
}

static intptr_t ask_the_system(void *arg)
{
    const rota_tls_context_options options = {0};
    struct tls_pair pair;

    (void)arg;
    tls_pair_connect(&pair, context_of(&options), server_with("server"), 0);
    tls_pair_shake(&pair);
    expect_refusal(&pair.client, -ROTA_ECERTUNKNOWN, "certificate");
    tls_pair_close(&pair);
    return 0;
}

static void a_client_of_the_systems_authorities_does_not_know_ours(void)
{
    run_tls(ask_the_system);
}

static intptr_t name_nobody(void *arg)
{
    struct tls_pair pair;

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    pair.client.options.server_name = NULL;
    assert_int_equal(rota_start_tls(pair.client.stream, pair.client.context,
                                    &pair.client.options),
                     -EINVAL);
    pair.client.options.server_name = "";
    assert_int_equal(rota_start_tls(pair.client.stream, pair.client.context,
                                    &pair.client.options),
                     -EINVAL);
    assert_false(rota_is_closing(pair.client.stream));
    say(pair.client.stream, "still in the clear");
    expect_words(pair.server.stream, "still in the clear");
    tls_pair_close(&pair);
    return 0;
}

static void a_client_must_say_whom_it_wants(void)
{
    run_tls(name_nobody);
}

/* --- Certificates of clients -------------------------------------------- */

static rota_tls_context *strict_server(void)
{
    rota_tls_context_options options = server_options("server");

    options.client_certificate = true;
    options.ca_file = paper_path("ca.pem");
    return context_of(&options);
}

static rota_tls_context *client_with(const char *certificate, const char *key)
{
    rota_tls_context_options options = client_options();

    options.certificate = paper_path(certificate);
    options.key = paper_path(key);
    return context_of(&options);
}

static intptr_t show_a_certificate(void *arg)
{
    rota_tls_info info;
    struct tls_pair pair;

    (void)arg;
    tls_pair_open_with(&pair, client_with("client.pem", "client.key"),
                       strict_server());
    assert_int_equal(rota_stream_tls_info(pair.server.stream, &info), 0);
    assert_true(info.peer_verified);
    assert_string_equal(info.peer_subject, "CN=a client");
    assert_true(info.certificate_size > 0);
    tls_pair_close(&pair);
    return 0;
}

static void a_server_that_wants_a_certificate_sees_it(void)
{
    run_tls(show_a_certificate);
}

/* With TLS 1.3 the client is done before the server has looked. */
static void expect_server_refuses(rota_tls_context *client, int error,
                                  const char *words)
{
    struct tls_pair pair;
    char buf[10];

    tls_pair_connect(&pair, client, strict_server(), 0);
    tls_pair_shake(&pair);
    expect_refusal(&pair.server, error, words);
    assert_int_equal(pair.client.result, 0);
    assert_int_equal(rota_read(pair.client.stream, buf, sizeof buf),
                     -ROTA_ETLSALERT);
    assert_int_equal(rota_read(pair.client.stream, buf, sizeof buf),
                     -ROTA_ETLSALERT);
    assert_int_equal(rota_write(pair.client.stream, "x", 1), -ROTA_ETLSALERT);
    tls_pair_close(&pair);
}

static intptr_t show_none(void *arg)
{
    (void)arg;
    expect_server_refuses(plain_client(), -ROTA_ECERT, "no certificate");
    return 0;
}

static void a_client_without_the_certificate_hears_so_in_its_first_read(void)
{
    run_tls(show_none);
}

static intptr_t show_a_bad_one(void *arg)
{
    (void)arg;
    paper_make(&(struct paper){.file = "own", .subject = "Own"});
    expect_server_refuses(client_with("own.pem", "own.key"), -ROTA_ECERTUNKNOWN,
                          "CN=Own");
    paper_make(&(struct paper){
        .file = "old", .subject = "Old", .issuer = "ca", .until = -HOUR});
    expect_server_refuses(client_with("old.pem", "old.key"), -ROTA_ECERTEXPIRED,
                          "expired");
    return 0;
}

static void a_client_with_a_bad_certificate_is_refused(void)
{
    run_tls(show_a_bad_one);
}

static intptr_t resume_with_a_certificate(void *arg)
{
    rota_tls_context *client = client_with("client.pem", "client.key");
    rota_tls_context *server = strict_server();
    rota_tls_session *session;
    rota_tls_info info;
    struct tls_pair pair;

    (void)arg;
    rota__tls_context_ref(client);
    rota__tls_context_ref(server);
    tls_pair_open_with(&pair, client, server);
    say(pair.server.stream, "x");
    expect_words(pair.client.stream, "x");
    assert_int_equal(rota_stream_tls_session(pair.client.stream, &session), 0);
    tls_pair_close(&pair);
    tls_pair_connect(&pair, client, server, 0);
    pair.client.options.session = session;
    tls_pair_shake(&pair);
    assert_int_equal(pair.server.result, 0);
    assert_int_equal(rota_stream_tls_info(pair.server.stream, &info), 0);
    assert_true(info.session_reused);
    assert_true(info.peer_verified);
    assert_string_equal(info.peer_subject, "CN=a client");
    rota_tls_session_free(session);
    tls_pair_close(&pair);
    return 0;
}

static void a_client_that_comes_back_is_still_known(void)
{
    run_tls(resume_with_a_certificate);
}

/* A session of this client's, with a server that goes on with it. */
static rota_tls_session *get_session(rota_tls_context *client,
                                     rota_tls_context *server)
{
    rota_tls_session *session;
    struct tls_pair pair;

    rota__tls_context_ref(server);
    tls_pair_open_with(&pair, client, server);
    say(pair.server.stream, "x");
    expect_words(pair.client.stream, "x");
    assert_int_equal(rota_stream_tls_session(pair.client.stream, &session), 0);
    tls_pair_close(&pair);
    return session;
}

static void go_on(struct tls_pair *pair, rota_tls_context *client,
                  rota_tls_context *server, rota_tls_session *session,
                  const char *host)
{
    rota__tls_context_ref(server);
    tls_pair_connect(pair, client, server, 0);
    pair->client.options.session = session;
    pair->client.options.server_name = host;
    tls_pair_shake(pair);
}

static rota_tls_context *lax_client(bool verifies)
{
    rota_tls_context_options options = client_options();

    options.no_verify = !verifies;
    options.no_host_check = true;
    return context_of(&options);
}

static intptr_t resume_with_less(void *arg)
{
    rota_tls_context *server = server_with("server");
    rota_tls_session *sessions[] = {get_session(plain_client(), server),
                                    get_session(lax_client(true), server),
                                    get_session(lax_client(false), server)};
    rota_tls_context_options other = {.ca_file = paper_path("ca2.pem")};
    struct tls_pair pair;

    (void)arg;
    paper_make(
        &(struct paper){.file = "ca2", .subject = "Other", .authority = true});
    for (int i = 0; i < 2; i++) {
        go_on(&pair, plain_client(), server, sessions[i], "localhost");
        assert_int_equal(pair.client.result, 0);
        tls_pair_close(&pair);
        go_on(&pair, plain_client(), server, sessions[i], "other.net");
        expect_refusal(&pair.client, -ROTA_ECERTHOST, "not for other.net");
        tls_pair_close(&pair);
        go_on(&pair, plain_client(), server, sessions[i], "127.0.0.2");
        expect_refusal(&pair.client, -ROTA_ECERTHOST, "not for 127.0.0.2");
        tls_pair_close(&pair);
        go_on(&pair, context_of(&other), server, sessions[i], "localhost");
        expect_refusal(&pair.client, -ROTA_ECERTUNKNOWN, "CN=Trusted");
        tls_pair_close(&pair);
    }
    go_on(&pair, plain_client(), server, sessions[2], "localhost");
    assert_int_equal(pair.client.result, -ROTA_ECERTUNKNOWN);
    tls_pair_close(&pair);
    for (int i = 0; i < 3; i++)
        rota_tls_session_free(sessions[i]);
    rota_tls_context_free(server);
    return 0;
}

static void a_session_is_verified_as_a_new_one_would_be(void)
{
    run_tls(resume_with_less);
}

HARNESS_MAIN(TEST(an_expired_certificate_is_refused),
             TEST(a_certificate_that_is_not_yet_valid_is_refused),
             TEST(a_certificate_of_another_host_is_refused),
             TEST(a_certificate_of_an_unknown_authority_is_refused),
             TEST(a_self_signed_certificate_is_refused),
             TEST(a_certificate_issued_by_no_authority_is_refused),
             TEST(a_client_can_be_told_to_check_less),
             TEST(whom_one_names_as_an_authority_is_one),
             TEST(a_client_of_the_systems_authorities_does_not_know_ours),
             TEST(a_client_must_say_whom_it_wants),
             TEST(a_server_that_wants_a_certificate_sees_it),
             TEST(a_client_without_the_certificate_hears_so_in_its_first_read),
             TEST(a_client_with_a_bad_certificate_is_refused),
             TEST(a_client_that_comes_back_is_still_known),
             TEST(a_session_is_verified_as_a_new_one_would_be))
