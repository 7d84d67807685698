/* SPDX-License-Identifier: MIT */
/*
 * Sending files: cancelled, closed, failing, changing
 */
#include "files.h"

/* --- Cancelling, closing, errors ---------------------------------------- */

static intptr_t cancel_each_turn(void *way)
{
    int file = make_file(SIZE);

    for (int turns = 0; turns < 12; turns++) {
        struct scene scene;
        struct sending sending = {.scene = &scene, .file = file};
        struct sink sink = {.wanted = SIZE + 1};
        rota_task task;

        scene_open(&scene, (enum way)(intptr_t)way);
        sink.fd = scene.peer;
        task = start(send_it, &sending);
        for (int i = 0; i < turns; i++) {
            assert_true(sink_take(&sink));
            pass_turns(1);
        }
        if (rota_task_cancel(task) == 1)
            assert_int_equal(rota_await(task), -ECANCELED);
        else
            assert_int_equal(rota_await(task), SIZE);
        scene_end(&scene);
        while (sink_take(&sink))
            pass_turns(1);
        assert_int_equal(sink.size, sending.sent);
        assert_bytes_of_file(sink.data, sink.size, 0);
        free(sink.data);
        close(scene.peer);
    }
    close(file);
    return 0;
}

static void a_cancelled_one_says_how_much_has_gone(void)
{
    each_way(cancel_each_turn);
}

static intptr_t cancel_in_the_queue(void *arg)
{
    struct scene scene;
    struct sending sending = {.scene = &scene, .file = make_file(SIZE)};
    struct sink sink = {0};
    rota_task task;

    (void)arg;
    scene_open(&scene, STREAM);
    sink.fd = scene.peer;
    sink.wanted = pair_fill(&scene.pair, 'q');
    task = start(send_it, &sending);
    pass_turns(2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(sending.sent, 0);
    assert_int_equal(sink_run(&sink), 0);
    pass_turns(2);
    assert_int_equal(rota_write(scene.pair.stream, "z", 1), 1);
    assert_string_equal(bare_hear(scene.peer), "z");
    free(sink.data);
    pair_close(&scene.pair);
    close(sending.file);
    return 0;
}

static void cancelled_before_its_turn_it_has_sent_nothing(void)
{
    run(cancel_in_the_queue);
}

static intptr_t lose_the_peer(void *way)
{
    struct scene scene;
    struct sending sending = {.scene = &scene, .file = make_file(SIZE)};
    rota_task task;
    intptr_t err;

    scene_open(&scene, (enum way)(intptr_t)way);
    task = start(send_it, &sending);
    wait_for_bytes(&scene);
    bare_reset(scene.peer);
    err = rota_await(task);
    assert_true(err == -ECONNRESET || err == -EPIPE);
    assert_true(sending.sent > 0 && sending.sent < SIZE);
    if (by_stream(scene.way)) {
        assert_int_equal(rota_write(scene.pair.stream, "x", 1), err);
        assert_int_equal(
            rota_sendfile(scene.pair.stream, sending.file, 0, 0, NULL), err);
    } else {
        assert_int_equal(send_it(&sending), -EPIPE);
        assert_int_equal(sending.sent, 0);
    }
    scene_end(&scene);
    close(sending.file);
    return 0;
}

static void a_peer_that_goes_is_an_error_and_no_signal(void)
{
    each_way(lose_the_peer);
}

static intptr_t end_meanwhile(void (*end)(rota_stream *stream))
{
    struct scene scene;
    struct sending sending = {.scene = &scene, .file = make_file(SIZE)};
    struct sink sink = {.wanted = SIZE};
    rota_task task;

    scene_open(&scene, STREAM);
    sink.fd = scene.peer;
    task = start(send_it, &sending);
    wait_for_bytes(&scene);
    end(scene.pair.stream);
    if (end == rota_close)
        assert_int_equal(scene_send(&scene, sending.file, 0, 0, NULL),
                         -ROTA_ECLOSING);
    assert_int_equal(rota_await(task), -ROTA_ECLOSING);
    assert_true(sending.sent > 0 && sending.sent < SIZE);
    if (end != rota_abort) {
        while (sink_take(&sink))
            pass_turns(1);
        assert_int_equal(sink.size, sending.sent);
        assert_bytes_of_file(sink.data, sink.size, 0);
    }
    free(sink.data);
    if (end != rota_stream_free)
        rota_stream_free(scene.pair.stream);
    close(scene.peer);
    close(sending.file);
    return 0;
}

static intptr_t end_meanwhile_in_all_ways(void *arg)
{
    (void)arg;
    end_meanwhile(rota_close);
    end_meanwhile(rota_abort);
    return end_meanwhile(rota_stream_free);
}

static void a_stream_that_closes_ends_it(void)
{
    run(end_meanwhile_in_all_ways);
}

static intptr_t refuse(void *way)
{
    struct scene scene;
    size_t sent = 7;
    int file = make_file(100);
    int folder = open("/tmp", O_RDONLY);
    int ends[2];

    scene_open(&scene, (enum way)(intptr_t)way);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(scene_send(&scene, -1, 0, 0, &sent), -EBADF);
    assert_int_equal(sent, 0);
    assert_int_equal(scene_send(&scene, file, -1, 0, NULL), -EINVAL);
    assert_int_equal(scene_send(&scene, file, 0, SIZE_MAX, NULL), -EINVAL);
    assert_int_equal(scene_send(&scene, file, INT64_MAX, 1, NULL), -EINVAL);
    assert_int_equal(scene_send(&scene, folder, 0, 0, NULL), -EISDIR);
    assert_int_equal(scene_send(&scene, ends[0], 0, 0, NULL), -ESPIPE);
    send_and_compare(&scene, file, 0, 0, 100);
    scene_end(&scene);
    close(ends[0]);
    close(ends[1]);
    close(folder);
    close(file);
    close(scene.peer);
    return 0;
}

static void what_cannot_be_sent_is_refused_and_harms_nobody(void)
{
    each_way(refuse);
}

static intptr_t refuse_other_ends(void *arg)
{
    int file = make_file(100);
    struct pair pair;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);

    (void)arg;
    assert_int_equal(rota_sock_sendfile(udp, file, 0, 0, NULL), -EINVAL);
    assert_int_equal(rota_sock_sendfile(-1, file, 0, 0, NULL), -EBADF);
    pair_open(&pair);
    assert_int_equal(rota_write_eof(pair.stream), 0);
    assert_int_equal(rota_sendfile(pair.stream, file, 0, 0, NULL), -EPIPE);
    pair_close(&pair);
    close(udp);
    close(file);
    return 0;
}

static void a_datagram_socket_and_an_ended_stream_take_no_file(void)
{
    run(refuse_other_ends);
}

static intptr_t change_the_file(void *way)
{
    struct scene scene;
    struct sending sending = {
        .scene = &scene, .file = make_file(SIZE), .count = SIZE};
    struct sink sink = {.wanted = SIZE};
    rota_task task;

    scene_open(&scene, (enum way)(intptr_t)way);
    sink.fd = scene.peer;
    task = start(send_it, &sending);
    pass_turns(3);
    assert_int_equal(ftruncate(sending.file, 900000), 0);
    sink.wanted = 900000;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), 900000); /* less than was asked for */
    assert_bytes_of_file(sink.data, sink.size, 0);
    sink.size = 0;
    sending.count = 0;
    task = start(send_it, &sending);
    pass_turns(3);
    assert_int_equal(ftruncate(sending.file, SIZE), 0);
    sink.wanted = SIZE;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), SIZE);
    assert_bytes_of_file(sink.data, 900000, 0);
    assert_int_equal(sink_run_of(&sink, 900000, '\0'), SIZE - 900000);
    free(sink.data);
    scene_end(&scene);
    close(scene.peer);
    close(sending.file);
    return 0;
}

static void a_file_may_shrink_and_grow_meanwhile(void)
{
    each_way(change_the_file);
}

static intptr_t send_without_memory(void *way)
{
    int file = make_file(SIZE);
    int failed = 0;

    for (int nth = 1; failed == nth - 1; nth++) {
        struct scene scene;
        struct sending sending = {.scene = &scene, .file = file};
        struct sink sink = {.wanted = SIZE};
        rota_task task;
        intptr_t n;

        scene_open(&scene, (enum way)(intptr_t)way);
        sink.fd = scene.peer;
        task = start(send_it, &sending);
        harness_fail_allocation(nth);
        while (!rota_task_done(task)) {
            assert_true(sink_take(&sink));
            pass_turns(1);
        }
        harness_fail_allocation(-1);
        n = rota_await(task);
        assert_true(n == SIZE || n == -ENOMEM);
        failed += n < 0;
        scene_end(&scene);
        while (sink_take(&sink))
            pass_turns(1);
        assert_int_equal(sink.size, sending.sent);
        assert_bytes_of_file(sink.data, sink.size, 0);
        free(sink.data);
        close(scene.peer);
    }
    assert_true(failed > 0 || (intptr_t)way == STREAM);
    close(file);
    return 0;
}

static void without_memory_it_fails_and_says_how_much_has_gone(void)
{
    each_way(send_without_memory);
}

/* --- A loop that closes ------------------------------------------------- */

static intptr_t send_for_ever(void *arg)
{
    struct sending *self = arg;

    scene_open(self->scene, self->scene->way);
    return send_it(self);
}

static void close_the_loop(enum way way, int turns)
{
    struct scene scene = {.way = way};
    struct sending sending = {.scene = &scene, .file = make_file(SIZE)};
    rota_loop *loop;
    rota_task task;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(
        rota_loop_create_task(loop, &task, send_for_ever, &sending), 0);
    for (int i = 0; i < turns; i++) {
        rota_loop_stop(loop);
        assert_int_equal(rota_loop_run_forever(loop), 0);
    }
    rota_loop_free(loop);
    scene_end(&scene);
    close(scene.peer);
    close(sending.file);
}

static void a_loop_that_closes_forgets_its_files(void)
{
    for (int way = 0; way < WAYS; way++)
        for (int turns = 3; turns < 8; turns++)
            close_the_loop((enum way)way, turns);
}

HARNESS_MAIN(TEST(a_cancelled_one_says_how_much_has_gone),
             TEST(cancelled_before_its_turn_it_has_sent_nothing),
             TEST(a_peer_that_goes_is_an_error_and_no_signal),
             TEST(a_stream_that_closes_ends_it),
             TEST(what_cannot_be_sent_is_refused_and_harms_nobody),
             TEST(a_datagram_socket_and_an_ended_stream_take_no_file),
             TEST(a_file_may_shrink_and_grow_meanwhile),
             TEST(without_memory_it_fails_and_says_how_much_has_gone),
             TEST(a_loop_that_closes_forgets_its_files))
