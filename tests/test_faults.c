/* SPDX-License-Identifier: MIT */
/*
 * Bad input and faults: misuse has an answer, and every wait can be ended
 */
#define _GNU_SOURCE
#include "sockets.h"
#include "resolver.h"

static char big[1000000];

/* --- Every kind of wait ------------------------------------------------- */

/* How the waits are ended. */
static enum { CANCEL_LATER, CANCEL_BEFORE, TIME_LIMIT } way;
static bool parking;
static rota_timeout limit;

/* What follows is the wait. */
static void park(void)
{
    parking = true;
    if (way == CANCEL_BEFORE)
        assert_int_equal(rota_task_cancel(rota_current_task()), 1);
    else if (way == TIME_LIMIT)
        assert_int_equal(rota_timeout_begin(&limit, 0.001), 0);
}

static intptr_t parked(intptr_t result)
{
    return way == TIME_LIMIT ? rota_timeout_end(&limit, result) : result;
}

static intptr_t in_sleep(void)
{
    park();
    return parked(rota_sleep(1e9));
}

static intptr_t in_await(void)
{
    rota_task child = start(sleep_for_ever, NULL);

    park();
    return parked(rota_await(child));
}

static intptr_t in_gather(void)
{
    rota_task children[3];

    for (int i = 0; i < 3; i++)
        children[i] = start(sleep_for_ever, NULL);
    park();
    return parked(rota_gather(children, 3, NULL, false));
}

static intptr_t in_shield(void)
{
    rota_task child = start(sleep_for_ever, NULL);
    intptr_t result;

    park();
    result = parked(rota_shield(child));
    assert_int_equal(rota_task_cancel(child), 1);
    assert_int_equal(rota_await(child), -ECANCELED);
    return result;
}

static intptr_t in_wait_for(void)
{
    rota_task child = start(sleep_for_ever, NULL);

    park();
    return parked(rota_wait_for(child, 1e6));
}

static intptr_t in_group(void)
{
    rota_task_group group;

    park();
    assert_int_equal(rota_task_group_begin(&group), 0);
    assert_int_equal(
        rota_task_group_create_task(&group, sleep_for_ever, NULL, NULL), 0);
    return parked(rota_task_group_end(&group, 0));
}

static intptr_t in_future(void)
{
    rota_future future;
    intptr_t result;

    rota_future_init(&future, rota_get_running_loop());
    park();
    result = parked(rota_await_future(&future, NULL));
    assert_true(rota_future_cancelled(&future));
    rota_future_fini(&future);
    return result;
}

static intptr_t in_read(void)
{
    struct pair pair;
    char buf[16];
    intptr_t n;

    pair_open(&pair);
    park();
    n = parked(rota_read(pair.stream, buf, sizeof buf));
    pair_close(&pair);
    return n;
}

static intptr_t in_read_exactly(void)
{
    struct pair pair;
    char buf[16];
    intptr_t n;

    pair_open(&pair);
    bare_say(pair.peer, "half");
    park();
    n = parked(rota_read_exactly(pair.stream, buf, 8));
    assert_int_equal(rota_read(pair.stream, buf, sizeof buf), 4);
    pair_close(&pair);
    return n;
}

static intptr_t in_read_line(void)
{
    struct pair pair;
    char buf[16];
    intptr_t n;

    pair_open(&pair);
    bare_say(pair.peer, "half");
    park();
    n = parked(rota_read_line(pair.stream, buf, sizeof buf));
    assert_int_equal(rota_read(pair.stream, buf, sizeof buf), 4);
    pair_close(&pair);
    return n;
}

static intptr_t in_write(void)
{
    struct pair pair;
    intptr_t n;

    pair_open_narrow(&pair);
    park();
    n = parked(rota_write(pair.stream, big, sizeof big));
    assert_in_range(rota_stream_write_buffer_size(pair.stream), 1, sizeof big);
    pair_close(&pair);
    return n;
}

static intptr_t in_write_behind_others(void)
{
    struct pair pair;
    size_t queued;
    intptr_t n;

    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    queued = rota_stream_write_buffer_size(pair.stream);
    park();
    n = parked(rota_write(pair.stream, big, sizeof big));
    assert_int_equal(rota_stream_write_buffer_size(pair.stream), queued);
    pair_close(&pair);
    return n;
}

static intptr_t in_drain(void)
{
    struct pair pair;
    intptr_t n;

    pair_open_narrow(&pair);
    assert_int_equal(rota_write_nowait(pair.stream, big, sizeof big), 0);
    park();
    n = parked(rota_drain(pair.stream));
    pair_close(&pair);
    return n;
}

static intptr_t in_wait_closed(void)
{
    struct pair pair;
    intptr_t n;

    pair_open_narrow(&pair);
    pair_fill(&pair, 'a');
    rota_close(pair.stream);
    park();
    n = parked(rota_wait_closed(pair.stream));
    pair_close(&pair);
    return n;
}

static intptr_t in_connect(void)
{
    rota_stream *stream;
    int listener, backlog[4], port;
    intptr_t n;

    listener = bare_listen(&port, 0, 0);
    bare_fill_backlog(port, backlog, 4);
    park();
    n = parked(rota_open_connection(&stream, "127.0.0.1", port));
    for (int i = 0; i < 4; i++)
        close(backlog[i]);
    close(listener);
    return n;
}

static intptr_t in_look_up(void)
{
    rota_stream *stream;

    park();
    return parked(rota_open_connection(&stream, "slow.test", 9));
}

static intptr_t end_at_once(rota_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    return 0;
}

static intptr_t in_start_server(void)
{
    rota_server *server;

    park();
    return parked(
        rota_start_server(&server, end_at_once, NULL, "slow.test", 0));
}

static rota_server *serve(void)
{
    rota_server *server;

    assert_int_equal(
        rota_start_server(&server, end_at_once, NULL, "127.0.0.1", 0), 0);
    return server;
}

static intptr_t in_serve_forever(void)
{
    rota_server *server = serve();

    park();
    return parked(rota_serve_forever(server));
}

static intptr_t in_server_wait_closed(void)
{
    rota_server *server = serve();
    intptr_t n;

    park();
    n = parked(rota_server_wait_closed(server));
    rota_server_free(server);
    return n;
}

static const struct wait {
    const char *name;
    intptr_t (*in)(void);
    bool looks_up; /* a thread that is at work holds a virtual clock */
} waits[] = {
    {"sleep", in_sleep, false},
    {"await", in_await, false},
    {"gather", in_gather, false},
    {"shield", in_shield, false},
    {"wait_for", in_wait_for, false},
    {"group", in_group, false},
    {"future", in_future, false},
    {"read", in_read, false},
    {"read_exactly", in_read_exactly, false},
    {"read_line", in_read_line, false},
    {"write", in_write, false},
    {"write behind others", in_write_behind_others, false},
    {"drain", in_drain, false},
    {"wait_closed", in_wait_closed, false},
    {"connect", in_connect, false},
    {"look-up", in_look_up, true},
    {"start_server", in_start_server, true},
    {"serve_forever", in_serve_forever, false},
    {"server_wait_closed", in_server_wait_closed, false},
};

static intptr_t wait_in(void *arg)
{
    return ((const struct wait *)arg)->in();
}

static void end_wait(const struct wait *wait)
{
    intptr_t expected = way == TIME_LIMIT ? -ETIMEDOUT : -ECANCELED;
    rota_task task = start(wait_in, (void *)(uintptr_t)wait);
    intptr_t result;

    for (parking = false; !parking;)
        pass_turns(1);
    if (way == CANCEL_LATER) {
        pass_turns(3);
        if (rota_task_done(task))
            fail_msg("%s does not wait", wait->name);
        assert_int_equal(rota_task_cancel(task), 1);
    }
    result = rota_await(task);
    if (result != expected)
        fail_msg("%s gives %s", wait->name, rota_errname(result));
}

static intptr_t end_all_waits(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < rota__countof(waits); i++)
        if (!waits[i].looks_up || way != TIME_LIMIT ||
            !harness_under(HARNESS_SIM))
            end_wait(&waits[i]);
    resolver_let_go();
    return 0;
}

static void a_cancel_ends_every_kind_of_wait(void)
{
    way = CANCEL_LATER;
    run(end_all_waits);
}

static void a_cancel_that_came_before_ends_every_kind_of_wait(void)
{
    way = CANCEL_BEFORE;
    run(end_all_waits);
}

static void a_timeout_ends_every_kind_of_wait(void)
{
    way = TIME_LIMIT;
    run(end_all_waits);
}

/* --- A closed loop ------------------------------------------------------ */

static void never(void *arg)
{
    (void)arg;
    fail_msg("a closed loop has run something");
}

static void a_closed_loop_refuses_everything(void)
{
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    rota_set_debug(loop, false);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_int_equal(rota_loop_close(loop), 0);
    assert_true(rota_loop_is_closed(loop));
    assert_int_equal(rota_call_soon(loop, NULL, never, NULL), -ROTA_ECLOSED);
    assert_int_equal(rota_call_soon_threadsafe(loop, NULL, never, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_call_later(loop, NULL, 1, never, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_call_at(loop, NULL, 1, never, NULL), -ROTA_ECLOSED);
    assert_int_equal(rota_add_reader(loop, 0, never, NULL), -ROTA_ECLOSED);
    assert_int_equal(rota_remove_writer(loop, 0), -ROTA_ECLOSED);
    assert_int_equal(rota_loop_run_forever(loop), -ROTA_ECLOSED);
    assert_int_equal(rota_loop_run_until_complete(loop, return_arg, NULL),
                     -ROTA_ECLOSED);
    assert_int_equal(rota_loop_create_task(loop, &task, return_arg, NULL),
                     -ROTA_ECLOSED);
    rota_loop_free(loop);
}

/* --- Runs that nest ----------------------------------------------------- */

static intptr_t run_again(void *arg)
{
    rota_loop *loop = rota_get_running_loop();
    rota_loop *other = NULL;

    (void)arg;
    rota_set_debug(loop, false);
    assert_int_equal(rota_run(return_arg, NULL), -ROTA_ERUNNING);
    assert_int_equal(rota_loop_run_forever(loop), -ROTA_ERUNNING);
    assert_int_equal(rota_loop_run_until_complete(loop, return_arg, NULL),
                     -ROTA_ERUNNING);
    assert_int_equal(rota_loop_close(loop), -ROTA_ERUNNING);
    assert_int_equal(rota_new_event_loop(&other, NULL), 0);
    rota_set_debug(other, false);
    assert_int_equal(rota_loop_run_forever(other), -ROTA_ERUNNING);
    rota_loop_free(other);
    return rota_sleep(0);
}

static void a_run_inside_a_run_is_an_error_and_the_outer_one_goes_on(void)
{
    run(run_again);
}

static intptr_t run_in_debug(void *arg)
{
    (void)arg;
    return rota_run(return_arg, NULL);
}

static void a_nested_run_names_the_fix_in_debug_mode(void)
{
    const rota_loop_options options = {.debug = true};

    rota_run_with(&options, run_in_debug, NULL);
}

/* --- A foreign thread --------------------------------------------------- */

static void *call_from_elsewhere(void *loop)
{
    assert_int_equal(rota_call_soon(loop, NULL, never, NULL), -ROTA_ETHREAD);
    return NULL;
}

static intptr_t call_by_a_thread(void *arg)
{
    pthread_t thread;

    (void)arg;
    assert_int_equal(pthread_create(&thread, NULL, call_from_elsewhere,
                                    rota_get_running_loop()),
                     0);
    pthread_join(thread, NULL);
    return 0;
}

static void a_call_from_a_foreign_thread_names_the_fix_in_debug_mode(void)
{
    const rota_loop_options options = {.debug = true};

    rota_run_with(&options, call_by_a_thread, NULL);
}

/* --- Tasks that are ended twice ----------------------------------------- */

static intptr_t end_twice(void *arg)
{
    rota_task task = start(return_arg, (void *)3);
    intptr_t result;

    rota_set_debug(rota_get_running_loop(), arg != NULL);
    assert_int_equal(rota_await(task), 3);
    assert_int_equal(rota_await(task), -ROTA_EAWAITED);
    assert_int_equal(rota_detach(task), -ROTA_EAWAITED);
    assert_int_equal(rota_gather(&task, 1, &result, true), -ROTA_EAWAITED);
    assert_int_equal(rota_wait_for(task, 1), -ROTA_EAWAITED);
    assert_int_equal(rota_shield(task), -ROTA_EAWAITED);
    assert_int_equal(rota_task_cancel(task), -ROTA_EAWAITED);
    assert_int_equal(rota_await((rota_task){0}), -EINVAL);
    assert_int_equal(rota_await(rota_current_task()), -EDEADLK);
    return 0;
}

static void a_task_that_was_ended_is_refused_everywhere(void)
{
    run(end_twice);
}

static void a_second_await_names_the_fix_in_debug_mode(void)
{
    rota_run(end_twice, (void *)1);
}

/* --- Bad arguments ------------------------------------------------------ */

static intptr_t give_bad_arguments(void *arg)
{
    rota_task task;
    rota_stream *stream;

    (void)arg;
    assert_int_equal(rota_create_task(&task, NULL, NULL), -EINVAL);
    assert_int_equal(rota_create_task(NULL, return_arg, NULL), -EINVAL);
    assert_int_equal(rota_sleep((double)NAN), -EINVAL);
    assert_int_equal(rota_open_connection(&stream, NULL, 1), -EINVAL);
    assert_int_equal(rota_call_soon(rota_get_running_loop(), NULL, NULL, NULL),
                     -EINVAL);
    return 0;
}

static void bad_arguments_are_refused(void)
{
    rota_loop_options options = {.poller = "no such poller"};
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, &options), -EINVAL);
    assert_int_equal(rota_run_with(&options, return_arg, NULL), -EINVAL);
    assert_int_equal(rota_run(NULL, NULL), -EINVAL);
    assert_int_equal(rota_create_task(&task, return_arg, NULL), -ROTA_ENOLOOP);
    assert_int_equal(rota_sleep(0), -ROTA_ENOTASK);
    assert_int_equal(rota_await((rota_task){0}), -ROTA_ENOTASK);
    run(give_bad_arguments);
}

HARNESS_MAIN(
    TEST(a_cancel_ends_every_kind_of_wait),
    TEST(a_cancel_that_came_before_ends_every_kind_of_wait),
    TEST(a_timeout_ends_every_kind_of_wait),
    TEST(a_closed_loop_refuses_everything),
    TEST(a_run_inside_a_run_is_an_error_and_the_outer_one_goes_on),
    TEST_EXPECT_SIGNAL(a_nested_run_names_the_fix_in_debug_mode, SIGABRT,
                       "create a task on the running loop and await it"),
    TEST_EXPECT_SIGNAL(a_call_from_a_foreign_thread_names_the_fix_in_debug_mode,
                       SIGABRT, "use rota_call_soon_threadsafe"),
    TEST(a_task_that_was_ended_is_refused_everywhere),
    TEST_EXPECT_SIGNAL(a_second_await_names_the_fix_in_debug_mode, SIGABRT,
                       "a task is ended once"),
    TEST(bad_arguments_are_refused))
