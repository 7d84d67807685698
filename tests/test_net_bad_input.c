/* SPDX-License-Identifier: MIT */
/*
 * Peers that mean harm or know no better: silent ones, slow ones, endless
 * ones, those that talk garbage, and those that are gone before we look
 *
 * Time is virtual; memory is counted at rota's allocator.
 */
#define _GNU_SOURCE
#include "sockets.h"

#include <malloc.h>
#include <netinet/tcp.h>

#define TICK 0.01
#define KIB 1024

/* --- How much memory rota has at most ----------------------------------- */

static size_t in_use;
static size_t most;

static void *count(void *block)
{
    in_use += block ? malloc_usable_size(block) : 0;
    most = in_use > most ? in_use : most;
    return block;
}

static void *counted_allocate(void *ctx, size_t size)
{
    return count(harness_allocator.allocate(ctx, size));
}

static void *counted_reallocate(void *ctx, void *block, size_t size)
{
    size_t before = block ? malloc_usable_size(block) : 0;
    void *grown = harness_allocator.reallocate(ctx, block, size);

    in_use -= grown ? before : 0;
    return count(grown);
}

static void counted_release(void *ctx, void *block)
{
    in_use -= block ? malloc_usable_size(block) : 0;
    harness_allocator.release(ctx, block);
}

/* A scenario, and no other thread that allocates. */
static void counted(rota_task_function *function)
{
    const rota_allocator allocator = {
        .allocate = counted_allocate,
        .reallocate = counted_reallocate,
        .release = counted_release,
    };

    assert_int_equal(rota_set_allocator(&allocator), 0);
    scenario(function);
    assert_int_equal(in_use, 0);
}

/* From here on, no more than `more` bytes on top of what there is. */
static size_t memory_limit(size_t more)
{
    most = in_use;
    return in_use + more;
}

#define assert_memory_below(limit) assert_in_range(most, 1, limit)

static void assert_about(double time, double wanted)
{
    if (time < wanted - 1e-9 || time > wanted + 2 * TICK)
        fail_msg("it took %.6f s instead of %.6f", time, wanted);
}

/* --- Peers that do not read --------------------------------------------- */

static char big[8 * KIB * KIB];

static intptr_t write_to_one_who_never_reads(void *arg)
{
    struct pair pair;
    rota_timeout limit;
    size_t bytes;
    double began;
    intptr_t n;

    (void)arg;
    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    bytes = memory_limit(0);
    began = now();
    rota_timeout_begin(&limit, 3600);
    n = rota_write(pair.stream, big, sizeof big);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    assert_about(now() - began, 3600);
    assert_memory_below(bytes + 2 * KIB);
    rota_abort(pair.stream);
    assert_int_equal(rota_wait_closed(pair.stream), 0);
    pair_close(&pair);
    return 0;
}

static void a_peer_that_never_reads_costs_no_memory_and_no_time(void)
{
    counted(write_to_one_who_never_reads);
}

enum { SUM = 2000000 };

static intptr_t write_much_in_little_pieces(void *arg)
{
    struct pair *pair = arg;
    intptr_t n = 0;

    for (size_t sent = 0; n >= 0 && sent < SUM; sent += 1000)
        n = rota_write(pair->stream, big, 1000);
    return n < 0 ? n : 0;
}

static intptr_t nowait_and_drain(void *arg)
{
    struct pair *pair = arg;
    int err = 0;

    for (size_t sent = 0; err == 0 && sent < SUM; sent += 1000) {
        err = rota_write_nowait(pair->stream, big, 1000);
        if (err == 0)
            err = rota_drain(pair->stream);
    }
    return err;
}

/* Takes 3,000 bytes every hundredth of a second, until it has so many. */
static void take_slowly(int fd, size_t wanted)
{
    char some[3000];
    size_t sum = 0;

    while (sum < wanted) {
        ssize_t n = recv(fd, some, sizeof some, MSG_DONTWAIT);

        assert_true(n > 0 || errno == EAGAIN);
        sum += n > 0 ? (size_t)n : 0;
        assert_int_equal(rota_sleep(TICK), 0);
    }
    assert_int_equal(sum, wanted);
}

static intptr_t write_to_a_slow_reader(void *arg)
{
    struct pair pair;
    size_t limit;
    rota_task task;

    pair_open_narrow(&pair);
    task = start((rota_task_function *)arg, &pair);
    pass_turns(2);
    limit = memory_limit(64 * KIB * 2 + 2 * KIB); /* a buffer may double */
    take_slowly(pair.peer, SUM);
    assert_memory_below(limit);
    assert_int_equal(rota_await(task), 0);
    pair_close(&pair);
    return 0;
}

static intptr_t write_slowly(void *arg)
{
    (void)arg;
    return write_to_a_slow_reader((void *)write_much_in_little_pieces);
}

static intptr_t drain_slowly(void *arg)
{
    (void)arg;
    return write_to_a_slow_reader((void *)nowait_and_drain);
}

static void a_slow_reader_bounds_what_writes_keep(void)
{
    counted(write_slowly);
}

static void a_slow_reader_bounds_what_drains_keep(void)
{
    counted(drain_slowly);
}

/* --- Peers that write slowly, or for ever ------------------------------- */

static intptr_t drip(void *arg)
{
    int fd = *(int *)arg;
    int err = 0;

    while (err == 0) {
        bare_say(fd, "x");
        err = rota_sleep(1);
    }
    return err;
}

static intptr_t read_a_line_that_drips(void *arg)
{
    struct pair pair;
    rota_timeout limit;
    rota_task task;
    char line[256];
    double began = now();
    intptr_t n;

    (void)arg;
    pair_open(&pair);
    task = start(drip, &pair.peer);
    rota_timeout_begin(&limit, 59.5);
    n = rota_read_line(pair.stream, line, sizeof line);
    assert_int_equal(rota_timeout_end(&limit, n), -ETIMEDOUT);
    assert_about(now() - began, 59.5);
    assert_int_equal(rota_read(pair.stream, line, sizeof line), 60);
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    pair_close(&pair);
    return 0;
}

static void a_line_that_drips_does_not_push_the_timeout_back(void)
{
    scenario(read_a_line_that_drips);
}

/* Sends until nobody takes any more, without a newline. */
static intptr_t flood(void *arg)
{
    int fd = *(int *)arg;
    int err = 0;

    while (err == 0) {
        while (send(fd, big, sizeof big, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            ;
        err = rota_sleep(0);
    }
    return err;
}

static intptr_t read_a_line_without_end(void *arg)
{
    struct pair pair;
    rota_task task;
    static char line[1024 * KIB];
    size_t limit;

    (void)arg;
    memset(big, 'x', sizeof big);
    pair_open(&pair);
    assert_int_equal(rota_stream_set_limit(pair.stream, 10000), 0);
    limit = memory_limit(64 * KIB);
    task = start(flood, &pair.peer);
    pass_turns(10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rota_read_line(pair.stream, line, sizeof line),
                         -ROTA_ELIMIT);
        assert_int_equal(rota_read_line(pair.stream, line, 100), -ROTA_ELIMIT);
        assert_int_equal(
            rota_read_until(pair.stream, "\r\n\r\n", 4, line, sizeof line),
            -ROTA_ELIMIT);
        assert_memory_below(limit);
        assert_in_range(rota_read(pair.stream, line, 5000), 1, 5000);
        pass_turns(1);
    }
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    pair_close(&pair);
    return 0;
}

static void a_line_without_end_is_refused_at_the_limit(void)
{
    counted(read_a_line_without_end);
}

/* --- Garbage ------------------------------------------------------------- */

static uint64_t randomness;

static unsigned draw(unsigned below)
{
    randomness = randomness * UINT64_C(6364136223846793005) +
                 UINT64_C(1442695040888963407);
    return (unsigned)(randomness >> 33) % below;
}

static rota_server *server;
static int server_port;
static int answered;
static int refused;
static int timed_out;

/* A little protocol: a line with a number, and so many bytes. */
static intptr_t answer(rota_stream *stream, void *arg)
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

static void begin_to_serve(void)
{
    rota_address address;

    answered = refused = timed_out = 0;
    assert_int_equal(rota_start_server(&server, answer, NULL, "127.0.0.1", 0),
                     0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    server_port = rota_address_port(&address);
}

static void end_serving(void)
{
    rota_server_close(server);
    assert_int_equal(rota_server_wait_closed(server), 0);
    rota_server_free(server);
}

/* The server is well: somebody is answered. */
static void assert_served(void)
{
    rota_stream *stream;
    char buf[8];

    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", server_port),
                     0);
    assert_int_equal(rota_write(stream, "5\nhello", 7), 7);
    assert_int_equal(rota_read_line(stream, buf, sizeof buf), 3);
    rota_stream_free(stream);
}

static void talk_garbage(void)
{
    static const char usual[] = "0123456789\n\n\n \r\0\377-";
    char garbage[300];
    int fd = bare_connect(server_port);

    for (unsigned pieces = draw(4); pieces > 0; pieces--) {
        unsigned size = 1 + draw(sizeof garbage - 1);

        for (unsigned i = 0; i < size; i++)
            garbage[i] = draw(4) ? usual[draw(sizeof usual)] : (char)draw(256);
        if (send(fd, garbage, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        pass_turns((int)draw(3));
    }
    switch (draw(3)) {
    case 0:
        bare_reset(fd);
        return;
    case 1:
        shutdown(fd, SHUT_WR);
        break;
    default:
        break;
    }
    close(fd);
}

/* ROTA_TEST_SEED=N: other garbage. */
static intptr_t serve_garbage(void *arg)
{
    const char *wanted = getenv("ROTA_TEST_SEED");
    uint64_t seed = wanted ? strtoull(wanted, NULL, 0) : 1;

    (void)arg;
    printf("ROTA_TEST_SEED=%llu\n", (unsigned long long)seed);
    begin_to_serve();
    randomness = seed;
    for (int i = 0; i < 1000; i++)
        talk_garbage();
    assert_served();
    end_serving();
    assert_true(answered > 1 && refused > 0);
    assert_int_equal(timed_out, 0); /* each end was seen */
    return 0;
}

static void garbage_gets_an_error_and_others_are_served(void)
{
    scenario(serve_garbage);
}

/* An urgent byte stands beside the stream and hides nothing of it. */
static intptr_t read_around_urgent_data(void *arg)
{
    struct pair pair;
    rota_timeout limit;
    char buf[16];
    intptr_t n;

    (void)arg;
    pair_open(&pair);
    assert_int_equal(
        setsockopt(pair.peer, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)),
        0);
    bare_say(pair.peer, "ab");
    assert_int_equal(send(pair.peer, "!", 1, MSG_OOB), 1);
    bare_say(pair.peer, "cd\n");
    rota_timeout_begin(&limit, 1000);
    n = rota_read_line(pair.stream, buf, sizeof buf);
    assert_int_equal(rota_timeout_end(&limit, n), 5);
    assert_memory_equal(buf, "abcd\n", 5);
    pair_close(&pair);
    return 0;
}

static void urgent_data_does_not_stop_a_reader(void)
{
    scenario(read_around_urgent_data);
}

/* --- Peers that are gone before they are looked at ---------------------- */

enum { MANY = 1000, AT_ONCE = 50 };

static intptr_t serve_the_hasty(void *arg)
{
    bool reset = *(bool *)arg;

    begin_to_serve();
    for (int i = 0; i < MANY; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++) {
            int fd = bare_connect(server_port);

            if (reset)
                bare_reset(fd);
            else
                close(fd);
        }
        pass_turns(3);
    }
    assert_served();
    end_serving();
    assert_int_equal(answered, 1);
    return 0;
}

static void those_who_connect_and_close_at_once_harm_nobody(void)
{
    assert_int_equal(run_virtually(serve_the_hasty, &(bool){false}), 0);
}

static void those_who_reset_before_the_accept_harm_nobody(void)
{
    assert_int_equal(run_virtually(serve_the_hasty, &(bool){true}), 0);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * MANY + 100)
        harness_skip("too few descriptors are allowed");
}

/* A thousand that say nothing, or half a line: dropped after the minute that
   the server gives them, while others are served. */
static intptr_t serve_the_silent(void *arg)
{
    static int fds[MANY];
    double began = now();

    (void)arg;
    begin_to_serve();
    for (int i = 0; i < MANY; i++) {
        fds[i] = bare_connect(server_port);
        if (i % 2)
            bare_say(fds[i], "12");
        if (i % AT_ONCE == 0)
            pass_turns(3);
    }
    assert_served();
    while (rota_server_client_count(server) > 0)
        assert_int_equal(rota_sleep(TICK), 0);
    assert_about(now() - began, 60);
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(bare_hear(fds[i]), "EOF");
        close(fds[i]);
    }
    assert_int_equal(timed_out, MANY);
    end_serving();
    return 0;
}

static void a_thousand_silent_connections_are_dropped_on_time(void)
{
    raise_fd_limit();
    scenario(serve_the_silent);
}

static intptr_t close_with_a_full_backlog(void *arg)
{
    int fds[AT_ONCE];

    (void)arg;
    begin_to_serve();
    for (int i = 0; i < AT_ONCE; i++)
        fds[i] = bare_connect(server_port);
    end_serving();
    for (int i = 0; i < AT_ONCE; i++) {
        assert_string_equal(bare_hear(fds[i]), "RESET");
        close(fds[i]);
    }
    assert_int_equal(answered, 0);
    return 0;
}

static void a_server_that_closes_resets_those_it_has_not_accepted(void)
{
    scenario(close_with_a_full_backlog);
}

/* --- No descriptor left -------------------------------------------------- */

static int told;

static void note_exception(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    assert_int_equal(context->error, -EMFILE);
    told++;
}

static intptr_t go_on_without_descriptors(void *arg)
{
    rota_stream *stream;
    rota_stream *none;
    char buf[8];
    int waiting;
    rlim_t before;

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), note_exception, NULL);
    begin_to_serve();
    assert_int_equal(rota_open_connection(&stream, "127.0.0.1", server_port),
                     0);
    pass_turns(3);
    waiting = bare_connect(server_port);
    before = limit_fds(0);
    while (told < 3) { /* the connection that there is goes on */
        assert_int_equal(rota_open_connection(&none, "127.0.0.1", server_port),
                         -EMFILE);
        assert_int_equal(rota_write(stream, "0\n", 2), 2);
        assert_int_equal(rota_read_line(stream, buf, sizeof buf), 3);
        assert_int_equal(rota_sleep(0.1), 0);
    }
    unlimit_fds(before);
    assert_served();
    bare_say(waiting, "0\n");
    assert_int_equal(rota_sleep(2), 0);
    assert_string_equal(bare_hear(waiting), "ok\n");
    close(waiting);
    rota_stream_free(stream);
    end_serving();
    return 0;
}

static void
without_descriptors_old_connections_go_on_and_new_ones_come_later(void)
{
    scenario(go_on_without_descriptors);
}

/* --- Addresses that cannot be used -------------------------------------- */

static int open_error(const char *host, int port)
{
    rota_stream *stream = NULL;
    int err = rota_open_connection(&stream, host, port);

    assert_null(stream);
    return err;
}

static int listen_error(const char *host, int port)
{
    rota_server *none = NULL;
    int err = rota_start_server(&none, answer, NULL, host, port);

    assert_null(none);
    return err;
}

static intptr_t use_the_unusable(void *arg)
{
    int port;
    int listener = bare_listen(&port, 0, 1);

    (void)arg;
    assert_int_equal(open_error("127.0.0.1", 0), -EINVAL);
    assert_int_equal(open_error("127.0.0.1", -1), -EINVAL);
    assert_int_equal(open_error("127.0.0.1", 65536), -EINVAL);
    assert_int_equal(open_error(NULL, port), -EINVAL);
    assert_int_equal(open_error("127.0.0.1", unused_port()), -ECONNREFUSED);
    assert_int_equal(listen_error("127.0.0.1", -1), -EINVAL);
    assert_int_equal(listen_error("127.0.0.1", 65536), -EINVAL);
    assert_int_equal(listen_error("127.0.0.1", port), -EADDRINUSE);
    assert_int_equal(listen_error("192.0.2.1", 0), -EADDRNOTAVAIL);
    close(listener);
    return 0;
}

static void addresses_that_cannot_be_used_are_errors(void)
{
    scenario(use_the_unusable);
}

/* Its SYNs are dropped: nothing is heard, for ever. */
static intptr_t connect_to_a_full_backlog(void *arg)
{
    int fds[4];
    int port;
    int listener = bare_listen(&port, 0, 1);
    rota_timeout limit;
    rota_stream *stream;
    double began = now();
    intptr_t err;

    (void)arg;
    bare_fill_backlog(port, fds, 4);
    rota_timeout_begin(&limit, 0.2);
    err = rota_open_connection(&stream, "127.0.0.1", port);
    assert_int_equal(rota_timeout_end(&limit, err), -ETIMEDOUT);
    assert_about(now() - began, 0.2);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(listener);
    return 0;
}

static void a_connect_that_nobody_answers_times_out(void)
{
    scenario(connect_to_a_full_backlog);
}

#define TEST_OF_FDS(name)                                                      \
    TEST_SKIP_UNDER(name, HARNESS_VALGRIND,                                    \
                    "valgrind has descriptors of its own")

HARNESS_MAIN(
    TEST(a_peer_that_never_reads_costs_no_memory_and_no_time),
    TEST(a_slow_reader_bounds_what_writes_keep),
    TEST(a_slow_reader_bounds_what_drains_keep),
    TEST(a_line_that_drips_does_not_push_the_timeout_back),
    TEST(a_line_without_end_is_refused_at_the_limit),
    TEST(garbage_gets_an_error_and_others_are_served),
    TEST(urgent_data_does_not_stop_a_reader),
    TEST(those_who_connect_and_close_at_once_harm_nobody),
    TEST(those_who_reset_before_the_accept_harm_nobody),
    TEST_OF_FDS(a_thousand_silent_connections_are_dropped_on_time),
    TEST(a_server_that_closes_resets_those_it_has_not_accepted),
    TEST_OF_FDS(
        without_descriptors_old_connections_go_on_and_new_ones_come_later),
    TEST(addresses_that_cannot_be_used_are_errors),
    TEST(a_connect_that_nobody_answers_times_out))
