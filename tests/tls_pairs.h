/* SPDX-License-Identifier: MIT */
/*
 * Pairs of TLS: what the tests of TLS share
 *
 * Both ends of a connection over loopback are streams of one loop, a client
 * and a server; each shakes hands in a task of its own. The test's folder has
 * an authority (ca) and what it has issued: server, for localhost and its
 * addresses, and client.
 */
#ifndef TESTS_TLS_PAIRS_H
#define TESTS_TLS_PAIRS_H

#include "sockets.h"
#include "tls_side.h"

/* --- Runs --------------------------------------------------------------- */

static inline void make_papers(void)
{
    const struct paper papers[] = {
        {.file = "ca", .subject = "Trusted", .authority = true},
        {.file = "server",
         .subject = "localhost",
         .names = "DNS:localhost,DNS:*.example.org,IP:127.0.0.1,IP:::1",
         .issuer = "ca"},
        {.file = "client", .subject = "a client", .issuer = "ca"},
    };

    papers_begin();
    for (size_t i = 0; i < rota__countof(papers); i++)
        paper_make(&papers[i]);
}

static inline void run_tls(rota_task_function *function)
{
    make_papers();
    run(function);
    papers_end();
}

/* In virtual time, where minutes of patience take none. */
static inline void run_tls_virtually(rota_task_function *function)
{
    make_papers();
    assert_int_equal(run_virtually(function, NULL), 0);
    papers_end();
}

/* --- Contexts ----------------------------------------------------------- */

static inline rota_tls_context *
context_of(const rota_tls_context_options *options)
{
    rota_tls_context *context;
    char why[ROTA_TLS_MESSAGE];
    int err = rota_tls_context_new(&context, options, why);

    if (err < 0)
        fail_msg("%s: %s", rota_errname(err), why);
    return context;
}

static inline rota_tls_context_options server_options(const char *paper)
{
    static char pem[100], key[100];

    snprintf(pem, sizeof pem, "%s.pem", paper);
    snprintf(key, sizeof key, "%s.key", paper);
    return (rota_tls_context_options){
        .server = true,
        .certificate = paper_path(pem),
        .key = paper_path(key),
    };
}

static inline rota_tls_context *server_with(const char *paper)
{
    const rota_tls_context_options options = server_options(paper);

    return context_of(&options);
}

static inline rota_tls_context_options client_options(void)
{
    return (rota_tls_context_options){.ca_file = paper_path("ca.pem")};
}

static inline rota_tls_context *plain_client(void)
{
    const rota_tls_context_options options = client_options();

    return context_of(&options);
}

/* --- Pairs -------------------------------------------------------------- */

struct tls_end {
    rota_stream *stream;
    rota_tls_context *context;
    rota_tls_options options;
    char why[ROTA_TLS_MESSAGE];
    int result;
};

struct tls_pair {
    struct tls_end client;
    struct tls_end server;
};

static inline intptr_t shake_hands(void *arg)
{
    struct tls_end *end = arg;

    end->result = rota_start_tls(end->stream, end->context, &end->options);
    return 0;
}

/* Two streams in the clear; the contexts are the pair's from now on. */
static inline void tls_pair_take(struct tls_pair *pair,
                                 rota_tls_context *client,
                                 rota_tls_context *server, const int fds[2])
{
    *pair = (struct tls_pair){
        .client = {.context = client, .options.server_name = "localhost"},
        .server = {.context = server, .options.server_side = true},
    };
    pair->client.options.why = pair->client.why;
    pair->server.options.why = pair->server.why;
    assert_int_equal(rota_open_fd(&pair->client.stream, fds[0]), 0);
    assert_int_equal(rota_open_fd(&pair->server.stream, fds[1]), 0);
}

static inline void tls_pair_connect(struct tls_pair *pair,
                                    rota_tls_context *client,
                                    rota_tls_context *server, int room)
{
    int port;
    int listener = bare_listen(&port, room, 1);
    int fds[2] = {bare_connect(port), accept(listener, NULL, NULL)};

    close(listener);
    for (int i = 0; room && i < 2; i++)
        set_option(fds[i], SO_SNDBUF, room);
    tls_pair_take(pair, client, server, fds);
}

static inline void tls_pair_shake(struct tls_pair *pair)
{
    rota_task tasks[] = {start(shake_hands, &pair->client),
                         start(shake_hands, &pair->server)};

    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(rota_await(tasks[1]), 0);
}

/* Both ends have agreed. */
static inline void tls_pair_open_with(struct tls_pair *pair,
                                      rota_tls_context *client,
                                      rota_tls_context *server)
{
    tls_pair_connect(pair, client, server, 0);
    tls_pair_shake(pair);
    if (pair->client.result < 0 || pair->server.result < 0)
        fail_msg("%s and %s", pair->client.why, pair->server.why);
}

static inline void tls_pair_open(struct tls_pair *pair)
{
    tls_pair_open_with(pair, plain_client(), server_with("server"));
}

/* One whose kernel buffers are soon full. */
static inline void tls_pair_open_narrow(struct tls_pair *pair)
{
    tls_pair_connect(pair, plain_client(), server_with("server"), NARROW);
    tls_pair_shake(pair);
    assert_int_equal(pair->client.result, 0);
    assert_int_equal(pair->server.result, 0);
}

static inline void tls_pair_close(struct tls_pair *pair)
{
    rota_stream_free(pair->client.stream);
    rota_stream_free(pair->server.stream);
    rota_tls_context_free(pair->client.context);
    rota_tls_context_free(pair->server.context);
}

static inline void expect_words(rota_stream *stream, const char *text)
{
    char buf[1024];
    size_t size = strlen(text);

    assert_int_equal(rota_read_exactly(stream, buf, size), size);
    assert_memory_equal(buf, text, size);
}

static inline void say(rota_stream *stream, const char *text)
{
    assert_int_equal(rota_write(stream, text, strlen(text)), strlen(text));
}

/* --- Tasks -------------------------------------------------------------- */

static inline intptr_t read_ten(void *stream)
{
    char buf[10];

    return rota_read_exactly(stream, buf, sizeof buf);
}

struct block {
    rota_stream *stream;
    size_t size;
    char letter;
};

static inline intptr_t write_block(void *arg)
{
    const struct block *block = arg;
    char *data = malloc(block->size);
    intptr_t n;

    memset(data, block->letter, block->size);
    n = rota_write(block->stream, data, block->size);
    free(data);
    return n;
}

/* The end that the test plays itself goes without a word of TLS. */
static inline void cut_off(struct tls_end *end)
{
    rota__conn_drop(&end->stream->conn);
    end->stream->closing = true;
}

/* One that was not agreed on must have said so with these words. */
static inline void expect_refusal(const struct tls_end *end, int error,
                                  const char *words)
{
    if (end->result != error || !strstr(end->why, words))
        fail_msg("%s, \"%s\" instead of %s, \"%s\"", rota_errname(end->result),
                 end->why, rota_errname(error), words);
}

#endif
