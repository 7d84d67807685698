/* SPDX-License-Identifier: MIT */
/*
 * Workers: one server on several threads
 */
#include <pthread.h>
#include <stdatomic.h>
#include "sockets.h"
#include <rota.h>

#define WORKERS 3

static atomic_int port;
static atomic_int ready; /* workers that serve */
static atomic_int stopped;
static atomic_int running; /* connections */
static atomic_int refused;
static atomic_uintptr_t threads[64]; /* that have served one */
static atomic_int thread_count;

static void remember_thread(void)
{
    uintptr_t self = (uintptr_t)pthread_self();

    for (int i = 0; i < atomic_load(&thread_count); i++)
        if (atomic_load(&threads[i]) == self)
            return;
    atomic_store(&threads[atomic_fetch_add(&thread_count, 1)], self);
}

static intptr_t echo(rota_stream *stream, void *arg)
{
    const void *data;
    intptr_t n;

    (void)arg;
    atomic_fetch_add(&running, 1);
    remember_thread();
    while ((n = rota_read_borrowed(stream, &data)) > 0)
        if ((n = rota_write(stream, data, (size_t)n)) < 0)
            break;
    atomic_fetch_sub(&running, 1);
    return n;
}

static int note_start(const rota_address *address, void *arg)
{
    (void)arg;
    atomic_store(&port, rota_address_port(address));
    atomic_fetch_add(&ready, 1);
    return 0;
}

static void note_stop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&stopped, 1);
}

static rota_workers_options three(void)
{
    return (rota_workers_options){
        .workers = WORKERS,
        .started = note_start,
        .stopped = note_stop,
    };
}

static rota_workers_options options;

static intptr_t serve(void *arg)
{
    (void)arg;
    return rota_serve_workers(echo, NULL, "127.0.0.1", 0, &options);
}

static rota_task start_serving(void)
{
    rota_task task;

    assert_int_equal(rota_create_task(&task, serve, NULL), 0);
    while (atomic_load(&ready) < WORKERS)
        assert_int_equal(rota_sleep(0.001), 0);
    return task;
}

/* A worker that has started listens a moment later. */
static rota_stream *connect_to(int number)
{
    rota_stream *stream;
    int err;

    while ((err = rota_open_connection(&stream, "127.0.0.1", number)) ==
           -ECONNREFUSED)
        assert_int_equal(rota_sleep(0.001), 0);
    assert_int_equal(err, 0);
    return stream;
}

static void expect_echo(rota_stream *stream)
{
    char buf[5];

    assert_int_equal(rota_write(stream, "hello", 5), 5);
    assert_int_equal(rota_read_exactly(stream, buf, 5), 5);
    assert_memory_equal(buf, "hello", 5);
}

static intptr_t talk_to_many(void *arg)
{
    rota_stream *streams[64];
    rota_task task = start_serving();

    (void)arg;
    for (int i = 0; i < 64; i++) {
        streams[i] = connect_to(atomic_load(&port));
        expect_echo(streams[i]);
    }
    assert_int_equal(atomic_load(&running), 64);
    for (int i = 0; i < 64; i++)
        rota_stream_free(streams[i]);
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(atomic_load(&stopped), WORKERS);
    assert_int_equal(atomic_load(&running), 0);
    return 0;
}

static void connections_are_spread_over_the_workers(void)
{
    options = three();
    assert_int_equal(rota_run(talk_to_many, NULL), 0);
    /* By a hash of the port: all 64 on one of three is no chance. */
    assert_in_range(atomic_load(&thread_count), 2, WORKERS);
}

static intptr_t cancel_with_clients(void *arg)
{
    rota_task task = start_serving();
    rota_stream *stream = connect_to(atomic_load(&port));
    char buf[1];

    (void)arg;
    expect_echo(stream);
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(rota_read(stream, buf, 1), 0);
    assert_int_equal(atomic_load(&running), 0);
    rota_stream_free(stream);
    assert_int_equal(
        rota_open_connection(&stream, "127.0.0.1", atomic_load(&port)),
        -ECONNREFUSED);
    return 0;
}

static void a_cancel_ends_the_connections_and_waits_for_them(void)
{
    options = three();
    assert_int_equal(rota_run(cancel_with_clients, NULL), 0);
}

static intptr_t end_in_grace(void *arg)
{
    rota_task task = start_serving();
    rota_stream *stream = connect_to(atomic_load(&port));

    (void)arg;
    expect_echo(stream);
    rota_task_cancel(task);
    for (int i = 0; i < 20; i++) {
        expect_echo(stream); /* it goes on */
        assert_int_equal(rota_sleep(0.001), 0);
    }
    assert_false(rota_task_done(task));
    rota_stream_free(stream);
    assert_int_equal(rota_await(task), -ECANCELED);
    return 0;
}

static void connections_may_end_by_themselves_within_the_grace(void)
{
    options = three();
    options.grace = 3600;
    assert_int_equal(rota_run(end_in_grace, NULL), 0);
}

static intptr_t cut_grace_short(void *arg)
{
    rota_task task = start_serving();
    rota_stream *stream = connect_to(atomic_load(&port));
    char buf[1];

    (void)arg;
    expect_echo(stream);
    rota_task_cancel(task);
    assert_int_equal(rota_sleep(0.01), 0);
    assert_false(rota_task_done(task));
    rota_task_cancel(task);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(rota_read(stream, buf, 1), 0);
    rota_stream_free(stream);
    return 0;
}

static void a_second_cancel_ends_the_grace(void)
{
    options = three();
    options.grace = 3600;
    assert_int_equal(rota_run(cut_grace_short, NULL), 0);
}

static int refuse_second(const rota_address *address, void *arg)
{
    (void)address;
    (void)arg;
    return atomic_fetch_add(&refused, 1) == 1 ? -EPERM : 0;
}

static void an_error_of_one_worker_ends_all(void)
{
    options = three();
    options.started = refuse_second;
    assert_int_equal(rota_run(serve, NULL), -EPERM);
}

static intptr_t misuse(void *arg)
{
    rota_workers_options bad = {.workers = -1};

    (void)arg;
    assert_int_equal(rota_serve_workers(NULL, NULL, "127.0.0.1", 0, NULL),
                     -EINVAL);
    assert_int_equal(rota_serve_workers(echo, NULL, "127.0.0.1", 0, &bad),
                     -EINVAL);
    bad = (rota_workers_options){.loop = {.poller = "none"}};
    assert_int_equal(rota_serve_workers(echo, NULL, "127.0.0.1", 0, &bad),
                     -EINVAL);
    bad = (rota_workers_options){.workers = 1, .server.backlog = -1};
    assert_int_equal(rota_serve_workers(echo, NULL, "127.0.0.1", 0, &bad),
                     -EINVAL);
    return 0;
}

static void misuse_gets_an_error(void)
{
    assert_int_equal(rota_serve_workers(echo, NULL, "127.0.0.1", 0, NULL),
                     -ROTA_ENOTASK);
    assert_int_equal(rota_run(misuse, NULL), 0);
}

static intptr_t taken_port(void *arg)
{
    rota_server *server;
    rota_address address;

    (void)arg;
    assert_int_equal(rota_start_server(&server, echo, NULL, "127.0.0.1", 0), 0);
    assert_int_equal(rota_server_address(server, 0, &address), 0);
    assert_int_equal(rota_serve_workers(echo, NULL, "127.0.0.1",
                                        rota_address_port(&address), NULL),
                     -EADDRINUSE);
    rota_server_free(server);
    return 0;
}

static void a_port_that_another_server_has_is_refused(void)
{
    assert_int_equal(rota_run(taken_port, NULL), 0);
}

static intptr_t leave_it(void *arg)
{
    (void)arg;
    (void)start_serving();
    return 0;
}

static void workers_end_with_the_program_that_leaves_them(void)
{
    options = three();
    assert_int_equal(rota_run(leave_it, NULL), 0);
    assert_int_equal(atomic_load(&stopped), WORKERS);
}

/* Without a run that cancels what is left. */
static void workers_end_with_a_loop_that_closes(void)
{
    rota_loop *loop;

    options = three();
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, leave_it, NULL), 0);
    rota_loop_free(loop);
    assert_int_equal(atomic_load(&stopped), WORKERS);
}

static intptr_t leave_it_with_a_client(void *fd)
{
    (void)start_serving();
    *(int *)fd = bare_connect(atomic_load(&port));
    while (atomic_load(&running) == 0)
        assert_int_equal(rota_sleep(0.001), 0);
    return 0;
}

/* Nobody is left who could cancel a second time. */
static void a_loop_that_closes_waits_for_no_grace(void)
{
    rota_loop *loop;
    int fd;

    options = three();
    options.grace = 3600;
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_run_until_complete(loop, leave_it_with_a_client, &fd), 0);
    rota_loop_free(loop);
    assert_int_equal(atomic_load(&stopped), WORKERS);
    close(fd);
}

HARNESS_MAIN(TEST(connections_are_spread_over_the_workers),
             TEST(a_cancel_ends_the_connections_and_waits_for_them),
             TEST(connections_may_end_by_themselves_within_the_grace),
             TEST(a_second_cancel_ends_the_grace),
             TEST(an_error_of_one_worker_ends_all), TEST(misuse_gets_an_error),
             TEST(a_port_that_another_server_has_is_refused),
             TEST(workers_end_with_the_program_that_leaves_them),
             TEST(workers_end_with_a_loop_that_closes),
             TEST(a_loop_that_closes_waits_for_no_grace))
