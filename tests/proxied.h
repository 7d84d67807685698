/* SPDX-License-Identifier: MIT */
/*
 * Two ends and a proxy between them
 *
 * A meeting is a server, a client that reaches it through the fault proxy,
 * and what each of the two does there: a function over an `end`, which is a
 * connection of any kind. Time is virtual. The proxy is stepped by a task
 * that sleeps in between, so each step finds all others waiting; when nothing
 * moves it sleeps longer, up to TICK, which is how late a thing may come.
 *
 * The kinds of connection are a table, kinds[]; ON_EACH_KIND makes a test of
 * each.
 */
#ifndef TESTS_PROXIED_H
#define TESTS_PROXIED_H

#include "fault_proxy.h"
#include "tls_pairs.h"

#define TICK 0.01
#define LONG 10000.0 /* what must not pass */
#define MIB 1048576

struct end;
struct meeting;

struct kind {
    bool resets; /* Unix sockets have no resets */
    void (*begin)(void);
    void (*end)(void);
    int (*serve)(rota_server **server, rota_client_connected *client,
                 void *arg);
    int (*open)(rota_stream **stream, const rota_address *address);
};

typedef intptr_t end_function(rota_stream *stream, struct meeting *meeting);

struct meeting {
    struct fault_plan plan;
    end_function *client;
    end_function *server;
    size_t bytes; /* the two may use it as they like */
    intptr_t client_result;
    intptr_t server_result;
    double began;
    double took; /* by the client */
    struct fault_proxy *proxy;
    rota_server *listener;
};

/* --- Kinds -------------------------------------------------------------- */

static rota_tls_context *tls_of_clients;
static rota_tls_context *tls_of_servers;

static inline void no_papers(void)
{
}

static inline void tls_begin(void)
{
    make_papers();
    tls_of_clients = plain_client();
    tls_of_servers = server_with("server");
}

static inline void tls_end(void)
{
    rota_tls_context_free(tls_of_clients);
    rota_tls_context_free(tls_of_servers);
    papers_end();
}

/* A loopback address of our own: nobody else's tests connect to it. */
static inline const char *own_host(void)
{
    static char host[32];
    unsigned long pid = (unsigned long)getpid();

    snprintf(host, sizeof host, "127.%lu.%lu.%lu", 1 + pid / 63504 % 254,
             1 + pid / 252 % 252, 1 + pid % 252);
    return host;
}

static inline int serve_tcp(rota_server **server, rota_client_connected *client,
                            void *arg)
{
    return rota_start_server(server, client, arg, own_host(), 0);
}

static inline int open_tcp(rota_stream **stream, const rota_address *address)
{
    return rota_open_connection(stream, own_host(), rota_address_port(address));
}

static inline const char *unix_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "@rota-proxied-%ld", (long)getpid());
    return name;
}

static inline int serve_unix(rota_server **server,
                             rota_client_connected *client, void *arg)
{
    return rota_start_unix_server(server, client, arg, unix_name(), NULL);
}

static inline int open_unix(rota_stream **stream, const rota_address *address)
{
    char name[128];

    assert_int_equal(rota_address_path(address, name, sizeof name), 0);
    return rota_open_unix_connection(stream, name, NULL);
}

static inline int serve_tls(rota_server **server, rota_client_connected *client,
                            void *arg)
{
    const rota_server_options options = {.tls = tls_of_servers,
                                         .handshake_timeout = LONG,
                                         .shutdown_timeout = LONG};

    return rota_start_server_with(server, client, arg, own_host(), 0, &options);
}

static inline int open_tls(rota_stream **stream, const rota_address *address)
{
    const rota_connect_options options = {
        .tls = tls_of_clients,
        .tls_options = {.server_name = "localhost",
                        .handshake_timeout = LONG,
                        .shutdown_timeout = LONG}};

    return rota_open_connection_with(stream, own_host(),
                                     rota_address_port(address), &options);
}

static const struct kind tcp = {true, no_papers, no_papers, serve_tcp,
                                open_tcp};
static const struct kind a_unix_socket = {false, no_papers, no_papers,
                                          serve_unix, open_unix};
static const struct kind tls = {true, tls_begin, tls_end, serve_tls, open_tls};

static const struct kind *kind_now = &tcp;

/* A test of a kind of connection; of each socket; of each kind. */
#define OVER(test, kind)                                                       \
    static void test##_over_##kind(void)                                       \
    {                                                                          \
        kind_now = &kind;                                                      \
        kind_now->begin();                                                     \
        test();                                                                \
        kind_now->end();                                                       \
    }
#define OVER_SOCKETS(test) OVER(test, tcp) OVER(test, a_unix_socket)
#define OVER_EACH(test) OVER_SOCKETS(test) OVER(test, tls)
#define TESTS_OVER_SOCKETS(test)                                               \
    TEST(test##_over_tcp), TEST(test##_over_a_unix_socket)
#define TESTS_OVER_EACH(test) TESTS_OVER_SOCKETS(test), TEST(test##_over_tls)

/* --- Meeting ------------------------------------------------------------ */

static inline intptr_t run_proxy(void *arg)
{
    struct meeting *meeting = arg;
    double pause = 1e-6;
    int err = 0;

    while (err == 0) {
        bool moved = fault_proxy_step(meeting->proxy, now());

        pause = moved ? 1e-6 : fmin(2 * pause, TICK);
        err = rota_sleep(pause);
    }
    return err;
}

static inline void meeting_narrow(const struct meeting *meeting,
                                  const rota_stream *stream)
{
    if (meeting->plan.room > 0)
        set_option(rota_stream_fileno(stream), SO_SNDBUF, meeting->plan.room);
}

static inline intptr_t run_server_end(rota_stream *stream, void *arg)
{
    struct meeting *meeting = arg;

    meeting_narrow(meeting, stream);
    meeting->server_result = meeting->server(stream, meeting);
    return 0;
}

static inline void meeting_begin(struct meeting *meeting, rota_task *task)
{
    rota_address address;

    assert_int_equal(
        kind_now->serve(&meeting->listener, run_server_end, meeting), 0);
    assert_int_equal(rota_server_address(meeting->listener, 0, &address), 0);
    meeting->proxy = fault_proxy_open(&address, &meeting->plan);
    *task = start(run_proxy, meeting);
    meeting->began = now();
}

/* Once the server's end has returned. */
static inline void meeting_end(struct meeting *meeting, rota_task task)
{
    rota_server_close(meeting->listener);
    assert_int_equal(rota_server_wait_closed(meeting->listener), 0);
    rota_server_free(meeting->listener);
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    fault_proxy_close(meeting->proxy);
}

/* One connection; the client may close it or leave that to us. One that is
   reset at once has only a result. */
static inline void meeting_connect(struct meeting *meeting)
{
    rota_address address;
    rota_stream *stream = NULL;

    fault_proxy_address(meeting->proxy, &address);
    meeting->client_result = kind_now->open(&stream, &address);
    if (meeting->client_result == 0)
        meeting_narrow(meeting, stream);
    if (meeting->client_result == 0)
        meeting->client_result = meeting->client(stream, meeting);
    meeting->took = now() - meeting->began;
    rota_stream_free(stream);
    do
        assert_int_equal(rota_sleep(TICK), 0);
    while (rota_server_client_count(meeting->listener) > 0);
}

static inline intptr_t meet_in_a_task(void *arg)
{
    rota_task task;

    meeting_begin(arg, &task);
    meeting_connect(arg);
    meeting_end(arg, task);
    return 0;
}

static inline void in_virtual_time(rota_task_function *function, void *arg)
{
    const rota_loop_options options = {.virtual_clock = true,
                                       .stack_size = 262144};

    assert_int_equal(rota_run_with(&options, function, arg), 0);
}

static inline void meet(struct meeting *meeting)
{
    in_virtual_time(meet_in_a_task, meeting);
}

/* Fewer bytes where each is dear. */
static inline size_t scaled(size_t bytes)
{
    return harness_slowness() > 3 ? bytes / 8 : bytes;
}

/* --- What is said ------------------------------------------------------- */

/* The bytes of a long story: no two places look alike for long. */
static inline unsigned char story_byte(size_t i)
{
    return (unsigned char)((i * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static inline void story(char *out, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (char)story_byte(from + i);
}

static inline void assert_story(const char *heard, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)heard[i] != story_byte(from + i))
            fail_msg("byte %zu is another", from + i);
}

/* Tells bytes [0, size) in pieces of 1 to 40,000 bytes; 0 or an error. */
static inline intptr_t tell(rota_stream *stream, size_t size)
{
    char piece[40000];
    uint64_t random = size + 1;

    for (size_t sent = 0; sent < size;) {
        size_t n;
        intptr_t err;

        random = random * UINT64_C(6364136223846793005) + 1;
        n = 1 + (size_t)(random >> 33) % sizeof piece;
        n = n < size - sent ? n : size - sent;
        story(piece, sent, n);
        err = rota_write(stream, piece, n);
        if (err < 0)
            return err;
        assert_int_equal(err, n);
        sent += n;
    }
    return 0;
}

/* Hears up to `size` bytes; how many, or the error. *heard in any case. */
static inline intptr_t hear(rota_stream *stream, size_t size, size_t *heard)
{
    char piece[30000];

    *heard = 0;
    while (*heard < size) {
        size_t room =
            size - *heard < sizeof piece ? size - *heard : sizeof piece;
        intptr_t n = rota_read(stream, piece, room);

        if (n <= 0)
            return n < 0 ? n : (intptr_t)*heard;
        assert_story(piece, *heard, (size_t)n);
        *heard += (size_t)n;
    }
    return (intptr_t)*heard;
}

/* A timeout has fired when it should: not before, but for the
   rounding of doubles, and not much later. */
static inline void assert_about(double time, double wanted)
{
    if (time < wanted - 1e-9 || time > wanted + 2 * TICK)
        fail_msg("it took %.6f s instead of %.6f", time, wanted);
}

#endif
