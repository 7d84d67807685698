/* SPDX-License-Identifier: MIT */
/*
 * TLS: contexts, and what they cannot be made of
 */
#include "tls_pairs.h"

#include <pthread.h>

static void expect_no_context(const rota_tls_context_options *options,
                              int error, const char *words)
{
    rota_tls_context *context = NULL;
    char why[ROTA_TLS_MESSAGE];
    int err = rota_tls_context_new(&context, options, why);

    if (err != error || !strstr(why, words))
        fail_msg("%s, \"%s\" instead of %s, \"%s\"", rota_errname(err), why,
                 rota_errname(error), words);
    assert_null(context);
    assert_int_equal(rota_tls_context_new(&context, options, NULL), error);
}

static void a_server_needs_a_certificate(void)
{
    make_papers();
    expect_no_context(&(rota_tls_context_options){.server = true}, -EINVAL,
                      "a server needs a certificate");
    expect_no_context(&(rota_tls_context_options){.key = "x"}, -EINVAL,
                      "a key without a certificate");
    papers_end();
}

static void a_file_that_is_not_there_is_named(void)
{
    rota_tls_context_options options;

    make_papers();
    options = server_options("nobody");
    expect_no_context(&options, -ENOENT, "nobody.pem: No such file");
    options = server_options("server");
    options.key = paper_path("lost.key");
    expect_no_context(&options, -ENOENT, "lost.key: No such file");
    options = client_options();
    options.ca_file = paper_path("lost.pem");
    expect_no_context(&options, -ENOENT, "lost.pem: No such file");
    options.ca_file = paper_path("");
    expect_no_context(&options, -ROTA_ECERT, "no certificate");
    papers_end();
}

static void write_nonsense(const char *file)
{
    FILE *stream = fopen(paper_path(file), "w");

    assert_non_null(stream);
    fputs("no certificate at all\n", stream);
    fclose(stream);
}

static void a_file_with_something_else_in_it_is_refused(void)
{
    rota_tls_context_options options;

    make_papers();
    write_nonsense("nonsense.pem");
    options = server_options("nonsense");
    expect_no_context(&options, -ROTA_ECERT, "nonsense.pem");
    options = server_options("server");
    options.key = paper_path("nonsense.pem");
    expect_no_context(&options, -ROTA_ECERT, "the key in ");
    options = (rota_tls_context_options){.ca_file = paper_path("nonsense.pem")};
    expect_no_context(&options, -ROTA_ECERT, "the authorities in ");
    papers_end();
}

static void a_key_of_another_certificate_is_refused(void)
{
    rota_tls_context_options options;

    make_papers();
    options = server_options("server");
    options.key = paper_path("client.key");
    expect_no_context(&options, -ROTA_ECERT, "key values mismatch");
    papers_end();
}

static void a_key_with_a_password_wants_just_that(void)
{
    rota_tls_context_options options;

    make_papers();
    paper_make(&(struct paper){
        .file = "locked", .subject = "Locked", .password = "open sesame"});
    options = server_options("locked");
    expect_no_context(&options, -ROTA_ECERT, "locked.key");
    options.password = "open barley";
    expect_no_context(&options, -ROTA_ECERT, "locked.key");
    options.password = "open sesame";
    rota_tls_context_free(context_of(&options));
    papers_end();
}

static void append(const char *to, const char *from)
{
    FILE *out = fopen(paper_path(to), "a");
    FILE *in = fopen(paper_path(from), "r");
    int c;

    assert_true(in && out);
    while ((c = getc(in)) != EOF)
        putc(c, out);
    fclose(in);
    fclose(out);
}

static void a_key_may_stand_behind_its_certificate(void)
{
    rota_tls_context_options options;

    make_papers();
    append("both.pem", "server.pem");
    append("both.pem", "server.key");
    options = server_options("both");
    options.key = NULL;
    rota_tls_context_free(context_of(&options));
    papers_end();
}

static void options_that_make_no_sense_are_refused(void)
{
    static char long_name[400];
    const char *lists[] = {
        "",       ",",      "h2,",
        ",h2",    "h2,,h3", "a-name-that-is-longer-than-the-info-has-room",
        long_name};
    rota_tls_context_options options = {.ciphers = "NOTHING"};

    make_papers();
    for (size_t i = 0; i < 198; i++)
        long_name[2 * i] = 'x', long_name[2 * i + 1] = ',';
    long_name[396] = 'x';
    expect_no_context(&options, -EINVAL, "ciphers");
    for (size_t i = 0; i < rota__countof(lists); i++) {
        options = (rota_tls_context_options){.alpn = lists[i]};
        expect_no_context(&options, -EINVAL, "alpn");
    }
    options = (rota_tls_context_options){.minimum_version = 11};
    expect_no_context(&options, -EINVAL, "minimum_version");
    papers_end();
}

static void a_context_that_is_not_to_be_had_for_lack_of_memory_says_so(void)
{
    rota_tls_context *context;

    make_papers();
    harness_fail_allocation(1);
    assert_int_equal(rota_tls_context_new(&context, NULL, NULL), -ENOMEM);
    papers_end();
}

static intptr_t refuse_wrong_sides(void *arg)
{
    struct tls_pair pair;
    const rota_tls_options options = {.server_name = "localhost"};
    const rota_tls_options accepting = {.server_side = true};
    const rota_tls_options hasty = {.server_name = "localhost",
                                    .handshake_timeout = -1};
    const rota_tls_options nowhere = {.server_name = ".org"};

    (void)arg;
    tls_pair_connect(&pair, plain_client(), server_with("server"), 0);
    assert_int_equal(
        rota_start_tls(pair.client.stream, pair.server.context, &options),
        -EINVAL);
    assert_int_equal(
        rota_start_tls(pair.client.stream, pair.client.context, &accepting),
        -EINVAL);
    assert_int_equal(
        rota_start_tls(pair.client.stream, pair.client.context, &hasty),
        -EINVAL);
    assert_int_equal(rota_start_tls(pair.client.stream, NULL, &options),
                     -EINVAL);
    assert_int_equal(
        rota_start_tls(pair.client.stream, pair.client.context, &nowhere),
        -EINVAL);
    tls_pair_shake(&pair);
    assert_int_equal(pair.client.result, 0);
    tls_pair_close(&pair);
    return 0;
}

static void a_context_is_for_one_side_only(void)
{
    run_tls(refuse_wrong_sides);
}

static void a_context_shows_what_openssl_calls_it(void)
{
    rota_tls_context *context;

    make_papers();
    context = plain_client();
    assert_non_null(rota_tls_context_native(context));
    tls_only_12(context); /* uses it */
    rota_tls_context_free(context);
    papers_end();
}

/* --- Threads ------------------------------------------------------------ */

static rota_tls_context *shared_client, *shared_server;

static intptr_t open_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        struct tls_pair pair;

        rota__tls_context_ref(shared_client);
        rota__tls_context_ref(shared_server);
        tls_pair_open_with(&pair, shared_client, shared_server);
        say(pair.client.stream, "hello");
        expect_words(pair.server.stream, "hello");
        tls_pair_close(&pair);
    }
    return 0;
}

static void *run_thread(void *arg)
{
    run(open_many);
    return arg;
}

static void two_threads_share_their_contexts(void)
{
    pthread_t threads[2];

    make_papers();
    shared_client = plain_client();
    shared_server = server_with("server");
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, NULL),
                         0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    rota_tls_context_free(shared_client);
    rota_tls_context_free(shared_server);
    papers_end();
}

HARNESS_MAIN(TEST(a_server_needs_a_certificate),
             TEST(a_file_that_is_not_there_is_named),
             TEST(a_file_with_something_else_in_it_is_refused),
             TEST(a_key_of_another_certificate_is_refused),
             TEST(a_key_with_a_password_wants_just_that),
             TEST(a_key_may_stand_behind_its_certificate),
             TEST(options_that_make_no_sense_are_refused),
             TEST(a_context_that_is_not_to_be_had_for_lack_of_memory_says_so),
             TEST(a_context_is_for_one_side_only),
             TEST(a_context_shows_what_openssl_calls_it),
             TEST(two_threads_share_their_contexts))
