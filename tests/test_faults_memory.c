/* SPDX-License-Identifier: MIT */
/*
 * Bad input and faults: the n-th allocation fails, for every n
 *
 * Each scenario is run with its first allocation refused, then with its
 * second, and so on until it needs no more. Each time it must say -ENOMEM or
 * succeed all the same, and leave nothing.
 */
#include "sockets.h"

static bool told; /* the exception handler of a lack of memory */

static void note_exception(rota_loop *loop,
                           const rota_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    assert_int_equal(context->error, -ENOMEM);
    told = true;
}

static intptr_t with_handler(rota_task_function *function, void *arg)
{
    rota_set_exception_handler(rota_get_running_loop(), note_exception, NULL);
    return function(arg);
}

static intptr_t run_scenario(void *function)
{
    return with_handler((rota_task_function *)function, NULL);
}

/* How often it was run with a refusal; the blocks that are live stay so. */
static long survive(int (*attempt)(void))
{
    for (long n = 1;; n++) {
        long blocks = harness_live_blocks();
        long made = harness_allocations();
        int result;

        told = false;
        harness_fail_allocation(n);
        result = attempt();
        harness_fail_allocation(-1);
        made = harness_allocations() - made;
        if (result != 0 && result != -ENOMEM)
            fail_msg("allocation %ld of %ld: %s", n, made,
                     rota_errname(result));
        if (harness_live_blocks() != blocks)
            fail_msg("allocation %ld of %ld: %ld blocks are left", n, made,
                     harness_live_blocks() - blocks);
        if (made < n) {
            assert_int_equal(result, 0);
            return n - 1;
        }
    }
}

static int in_a_run(rota_task_function *function)
{
    return (int)rota_run(run_scenario, (void *)function);
}

/* --- Tasks -------------------------------------------------------------- */

static intptr_t make_tasks(void *arg)
{
    rota_task tasks[150];
    int count = 0;
    int err = 0;

    (void)arg;
    while (err == 0 && count < 150) {
        const rota_task_options options = {.stack_size = 65536};

        err = count % 50 ? rota_create_task(&tasks[count], return_arg, NULL)
                         : rota_create_task_with(&tasks[count], &options,
                                                 return_arg, NULL);
        count += err == 0;
    }
    if (rota_gather(tasks, (size_t)count, NULL, true) < 0)
        return -EIO;
    return err;
}

static int tasks(void)
{
    return in_a_run(make_tasks);
}

static intptr_t use_scopes(void *arg)
{
    rota_task_group group;
    rota_timeout timeouts[20];
    int begun = 0;
    intptr_t err = 0;

    (void)arg;
    while (err == 0 && begun < 20) {
        err = rota_timeout_begin(&timeouts[begun], 1000 - begun);
        begun += err == 0;
    }
    if (rota_task_group_begin(&group) < 0)
        return -EIO;
    for (int i = 0; i < 100 && err == 0; i++)
        err = rota_task_group_create_task(&group, return_arg, NULL, NULL);
    err = rota_task_group_end(&group, err);
    while (begun-- > 0)
        err = rota_timeout_end(&timeouts[begun], err);
    if (err == 0)
        err = rota_sleep(0.0001);
    return err;
}

static int scopes(void)
{
    return in_a_run(use_scopes);
}

static int scopes_in_debug_mode(void)
{
    const rota_loop_options options = {.debug = true};

    return (int)rota_run_with(&options, run_scenario, (void *)use_scopes);
}

static void a_lack_of_memory_for_tasks_is_survived(void)
{
    assert_in_range(survive(tasks), 3, 1000);
    assert_in_range(survive(scopes), 3, 1000);
    assert_in_range(survive(scopes_in_debug_mode), 23, 1000);
}

static intptr_t make_giants(void *arg)
{
    const size_t sizes[] = {(size_t)1 << 62, SIZE_MAX / 2, SIZE_MAX};

    (void)arg;
    for (size_t i = 0; i < rota__countof(sizes); i++) {
        const rota_task_options options = {.stack_size = sizes[i]};
        rota_task task;

        assert_int_equal(
            rota_create_task_with(&task, &options, return_arg, NULL), -ENOMEM);
    }
    return rota_await(start(return_arg, NULL));
}

static void a_stack_that_is_not_to_be_had_is_an_error(void)
{
    run(make_giants);
}

/* --- Callbacks, timers, futures, watches -------------------------------- */

static int calls;

static void count_call(void *arg)
{
    (void)arg;
    calls++;
}

static intptr_t call_back(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    int wanted = 0;
    int err = 0;

    (void)arg;
    calls = 0;
    for (int i = 0; i < 30 && err == 0; i++) {
        err = rota_call_soon(loop, NULL, count_call, NULL);
        wanted += err == 0;
        if (err == 0)
            err = rota_call_later(loop, NULL, 1e-5 * i, count_call, NULL);
        wanted += err == 0;
        if (err == 0)
            err = rota_call_soon_threadsafe(loop, NULL, count_call, NULL);
        wanted += err == 0;
    }
    while (calls < wanted)
        assert_int_equal(rota_sleep(0.0001), 0);
    return err;
}

static int callbacks(void)
{
    return in_a_run(call_back);
}

static void a_lack_of_memory_for_callbacks_and_timers_is_survived(void)
{
    assert_in_range(survive(callbacks), 60, 1000);
}

static void future_is_done(rota_future *future, void *arg)
{
    (void)future;
    count_call(arg);
}

static intptr_t use_futures(void *arg)
{
    rota_future future;
    intptr_t result;
    int wanted = 0;
    int err = 0;

    (void)arg;
    calls = 0;
    rota_future_init(&future, rota_get_running_loop());
    while (err == 0 && wanted < 5) {
        err =
            rota_future_add_done_callback(&future, NULL, future_is_done, NULL);
        wanted += err == 0;
    }
    assert_int_equal(rota_future_set_result(&future, 9), 0);
    assert_int_equal(rota_await_future(&future, &result), 0);
    assert_int_equal(result, 9);
    pass_turns(2);
    assert_int_equal(calls, wanted);
    rota_future_fini(&future);
    return err;
}

static int futures(void)
{
    return in_a_run(use_futures);
}

static void a_lack_of_memory_for_futures_is_survived(void)
{
    assert_in_range(survive(futures), 5, 1000);
}

static intptr_t watch_fds(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    int ends[40];
    int err = 0;

    (void)arg;
    calls = 0;
    for (int i = 0; i < 40; i += 2) {
        assert_int_equal(pipe(&ends[i]), 0);
        if (err == 0)
            err = rota_add_reader(loop, ends[i], count_call, NULL);
        if (err == 0)
            err = rota_add_writer(loop, ends[i + 1], count_call, NULL);
    }
    while (err == 0 && calls < 20)
        pass_turns(1);
    for (int i = 0; i < 40; i += 2) {
        (void)rota_remove_reader(loop, ends[i]);
        (void)rota_remove_writer(loop, ends[i + 1]);
        close(ends[i]);
        close(ends[i + 1]);
    }
    return err;
}

static int watches(void)
{
    return in_a_run(watch_fds);
}

static void a_lack_of_memory_for_watches_is_survived(void)
{
    assert_in_range(survive(watches), 20, 1000);
}

/* --- Streams and servers ------------------------------------------------ */

static intptr_t echo(rota_stream *stream, void *arg)
{
    char line[64];
    intptr_t n;

    (void)arg;
    while ((n = rota_read_line(stream, line, sizeof line)) > 0)
        if ((n = rota_write(stream, line, (size_t)n)) < 0)
            break;
    return n;
}

/* A connection that the server could not serve ends early. */
static intptr_t explain(intptr_t result)
{
    bool ended = result == -ROTA_EINCOMPLETE || result == -ECONNRESET ||
                 result == -EPIPE;

    return told && ended ? -ENOMEM : result;
}

static intptr_t talk(const char *host, int port)
{
    rota_stream *stream;
    char buf[16];
    intptr_t n = rota_open_connection(&stream, host, port);

    if (n < 0)
        return n;
    n = rota_write(stream, "hello\nworld\n", 12);
    if (n >= 0)
        n = rota_read_exactly(stream, buf, 12);
    if (n >= 0)
        assert_memory_equal(buf, "hello\nworld\n", 12);
    if (n >= 0)
        n = rota_write_eof(stream);
    if (n >= 0)
        n = rota_read_line(stream, buf, sizeof buf);
    rota_stream_free(stream);
    return explain(n);
}

static intptr_t talk_to_a_server(const char *host)
{
    rota_server *server;
    rota_address address;
    intptr_t err = rota_start_server(&server, echo, NULL, host, 0);

    if (err < 0)
        return err;
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    err = talk(host, rota_address_port(&address));
    rota_server_close(server);
    assert_int_equal(rota_server_wait_closed(server), 0);
    rota_server_free(server);
    return err;
}

static intptr_t talk_by_address(void *arg)
{
    (void)arg;
    return talk_to_a_server("127.0.0.1");
}

static intptr_t talk_by_name(void *arg)
{
    (void)arg;
    return talk_to_a_server("localhost");
}

static int by_address(void)
{
    return in_a_run(talk_by_address);
}

static int by_name(void)
{
    return in_a_run(talk_by_name);
}

static void a_lack_of_memory_in_a_server_and_its_client_is_survived(void)
{
    assert_in_range(survive(by_address), 8, 1000);
}

static void a_lack_of_memory_in_a_look_up_is_survived(void)
{
    assert_in_range(survive(by_name), 10, 1000);
}

static char big[400000];

struct transfer {
    struct pair pair;
    intptr_t result;
};

static intptr_t write_big(void *arg)
{
    struct transfer *transfer = arg;

    transfer->result = rota_write(transfer->pair.stream, big, sizeof big);
    if (transfer->result >= 0)
        transfer->result = rota_write_nowait(transfer->pair.stream, big, 100);
    rota_close(transfer->pair.stream);
    return 0;
}

/* A message is whole, or the connection ends: nothing follows a half. */
static intptr_t write_slowly(void *arg)
{
    struct transfer transfer = {0};
    struct sink sink = {.wanted = SIZE_MAX};
    intptr_t err;
    rota_task task;
    int port;
    int listener = bare_listen(&port, NARROW, 1);

    (void)arg;
    err = rota_open_connection(&transfer.pair.stream, "127.0.0.1", port);
    sink.fd = err < 0 ? -1 : accept(listener, NULL, NULL);
    close(listener);
    if (err < 0)
        return err;
    set_option(transfer.pair.stream->conn.watch.fd, SO_SNDBUF, NARROW);
    err = rota_create_task(&task, write_big, &transfer);
    if (err == 0) {
        assert_int_equal(sink_run(&sink), 0);
        assert_int_equal(rota_await(task), 0);
        err = transfer.result;
    }
    assert_true(err < 0 || sink.size == sizeof big + 100);
    free(sink.data);
    close(sink.fd);
    rota_stream_free(transfer.pair.stream);
    return err;
}

static int slow_writes(void)
{
    return in_a_run(write_slowly);
}

static void a_lack_of_memory_in_a_slow_write_is_survived(void)
{
    assert_in_range(survive(slow_writes), 8, 1000);
}

/* --- Loops -------------------------------------------------------------- */

static int bare_loop(void)
{
    rota_loop *loop;
    int err = rota_new_event_loop(&loop, NULL);

    if (err < 0)
        return err;
    rota_loop_stop(loop);
    err = rota_loop_run_forever(loop);
    rota_loop_free(loop);
    return err;
}

static void a_lack_of_memory_for_a_loop_is_survived(void)
{
    assert_in_range(survive(bare_loop), 2, 100);
}

static intptr_t sleep_in_disorder(void *arg)
{
    (void)arg;
    return make_tasks(NULL);
}

static int seeded(void)
{
    const rota_loop_options options = {.seed = 7, .virtual_clock = true};

    return (int)rota_run_with(&options, run_scenario,
                              (void *)sleep_in_disorder);
}

static void a_lack_of_memory_for_a_shuffle_only_keeps_the_order(void)
{
    assert_in_range(survive(seeded), 4, 1000);
}

HARNESS_MAIN(TEST(a_lack_of_memory_for_tasks_is_survived),
             TEST(a_stack_that_is_not_to_be_had_is_an_error),
             TEST(a_lack_of_memory_for_callbacks_and_timers_is_survived),
             TEST(a_lack_of_memory_for_futures_is_survived),
             TEST(a_lack_of_memory_for_watches_is_survived),
             TEST(a_lack_of_memory_in_a_server_and_its_client_is_survived),
             TEST(a_lack_of_memory_in_a_look_up_is_survived),
             TEST(a_lack_of_memory_in_a_slow_write_is_survived),
             TEST(a_lack_of_memory_for_a_loop_is_survived),
             TEST(a_lack_of_memory_for_a_shuffle_only_keeps_the_order))
