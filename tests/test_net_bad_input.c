/* SPDX-License-Identifier: MIT */
/*
 * Peers that mean harm or know no better: those that never read, those that
 * are slow, that never end, and that talk garbage
 *
 * Time is virtual; memory is counted at rota's allocator.
 */
#define _GNU_SOURCE
#include "answering.h"
#include "tls_pairs.h"

#include <malloc.h>
#include <netinet/tcp.h>

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

/* --- Garbage instead of TLS ----------------------------------------------- */

static rota_tls_context *context;

static intptr_t must_not_be_served(rota_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    fail_msg("garbage has agreed on TLS");
    return 0;
}

static void note_nothing(rota_loop *loop, const rota_exception_context *what,
                         void *arg)
{
    (void)loop;
    (void)what;
    (void)arg;
}

static intptr_t serve_tls_garbage(void *arg)
{
    const rota_server_options options = {.tls = context};
    rota_address address;

    (void)arg;
    rota_set_exception_handler(rota_get_running_loop(), note_nothing, NULL);
    assert_int_equal(rota_start_server_with(&answerer, must_not_be_served, NULL,
                                            "127.0.0.1", 0, &options),
                     0);
    assert_int_equal(rota_server_address(answerer, 0, &address), 0);
    server_port = rota_address_port(&address);
    randomness = 1;
    for (int i = 0; i < 300; i++) {
        talk_garbage();
        pass_turns(2);
    }
    assert_int_equal(rota_sleep(100), 0); /* a handshake has a minute */
    assert_int_equal(rota_server_client_count(answerer), 0);
    end_serving();
    return 0;
}

static void garbage_does_not_agree_on_tls(void)
{
    make_papers();
    context = server_with("server");
    scenario(serve_tls_garbage);
    rota_tls_context_free(context);
    papers_end();
}

static intptr_t answer_in_the_clear(rota_stream *stream, void *arg)
{
    (void)arg;
    return rota_write(stream, "220 hello there, no TLS\r\n", 25) < 0;
}

static intptr_t connect_to_the_clear(void *arg)
{
    const rota_connect_options options = {.tls = context};
    rota_stream *stream;
    rota_address address;

    (void)arg;
    assert_int_equal(
        rota_start_server(&answerer, answer_in_the_clear, NULL, "127.0.0.1", 0),
        0);
    assert_int_equal(rota_server_address(answerer, 0, &address), 0);
    assert_int_equal(rota_open_connection_with(&stream, "127.0.0.1",
                                               rota_address_port(&address),
                                               &options),
                     -ROTA_ETLS);
    end_serving();
    return 0;
}

static void a_server_without_tls_is_an_error(void)
{
    make_papers();
    context = plain_client();
    scenario(connect_to_the_clear);
    rota_tls_context_free(context);
    papers_end();
}

HARNESS_MAIN(TEST(a_peer_that_never_reads_costs_no_memory_and_no_time),
             TEST(a_slow_reader_bounds_what_writes_keep),
             TEST(a_slow_reader_bounds_what_drains_keep),
             TEST(a_line_that_drips_does_not_push_the_timeout_back),
             TEST(a_line_without_end_is_refused_at_the_limit),
             TEST(garbage_gets_an_error_and_others_are_served),
             TEST(urgent_data_does_not_stop_a_reader),
             TEST(garbage_does_not_agree_on_tls),
             TEST(a_server_without_tls_is_an_error))
