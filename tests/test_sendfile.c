/* SPDX-License-Identifier: MIT */
/*
 * Sending files: through streams, plain sockets and pipes
 */
#include "files.h"

/* --- The ordinary case -------------------------------------------------- */

static intptr_t send_parts(void *way)
{
    struct scene scene;
    int file = make_file(SIZE);
    off_t before = lseek(file, 0, SEEK_CUR);

    scene_open(&scene, (enum way)(intptr_t)way);
    send_and_compare(&scene, file, 0, 0, SIZE);
    send_and_compare(&scene, file, 0, SIZE, SIZE);
    send_and_compare(&scene, file, 123457, 400000, 400000);
    send_and_compare(&scene, file, 123457, 0, SIZE - 123457);
    send_and_compare(&scene, file, SIZE - 5, 1000, 5);
    send_and_compare(&scene, file, SIZE, 0, 0);
    send_and_compare(&scene, file, SIZE + 100, 10, 0);
    send_and_compare(&scene, file, 5, 1, 1);
    assert_int_equal(lseek(file, 0, SEEK_CUR), before);
    scene_end(&scene);
    close(scene.peer);
    close(file);
    return 0;
}

static void a_file_or_a_part_of_it_is_sent(void)
{
    each_way(send_parts);
}

#define HUGE ((size_t)64 << 20)

struct checking {
    int fd;
    size_t got;
};

/* Takes its time, and keeps nothing. */
static intptr_t check_slowly(void *arg)
{
    struct checking *self = arg;
    static char buf[100000];
    ssize_t n;

    for (;;) {
        n = recv(self->fd, buf, 1000 + self->got % 99000, MSG_DONTWAIT);
        if (n == 0)
            return 0;
        if (n > 0) {
            assert_bytes_of_file(buf, (size_t)n, self->got);
            self->got += (size_t)n;
        }
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    }
}

static intptr_t send_huge(void *way)
{
    struct scene scene;
    struct sending sending = {.scene = &scene, .file = make_file(HUGE)};
    struct checking checking = {0};
    long before;
    rota_task tasks[2];

    scene_open(&scene, (enum way)(intptr_t)way);
    checking.fd = scene.peer;
    tasks[0] = start(check_slowly, &checking);
    before = harness_live_blocks();
    tasks[1] = start(send_it, &sending);
    while (checking.got < HUGE) {
        assert_true(harness_live_blocks() <= before + 8);
        if (by_stream(scene.way))
            assert_int_equal(rota_stream_write_buffer_size(scene.pair.stream),
                             0);
        pass_turns(1);
    }
    assert_int_equal(rota_await(tasks[1]), HUGE);
    scene_end(&scene);
    assert_int_equal(rota_await(tasks[0]), 0);
    assert_int_equal(checking.got, HUGE);
    close(scene.peer);
    close(sending.file);
    return 0;
}

static void sixty_four_mebibytes_go_to_a_slow_reader_without_memory(void)
{
    each_way(send_huge);
}

/* --- Between writes ----------------------------------------------------- */

struct letters {
    rota_stream *stream;
    char letter;
};

static intptr_t write_letters(void *arg)
{
    struct letters *self = arg;
    char *data = malloc(3 * HIGH_WATER);
    intptr_t n;

    memset(data, self->letter, 3 * HIGH_WATER);
    n = rota_write(self->stream, data, 3 * HIGH_WATER);
    free(data);
    return n;
}

static intptr_t send_between_writes(void *arg)
{
    struct scene scene;
    struct letters before = {.letter = 'a'};
    struct letters after = {.letter = 'z'};
    struct sending sending = {.scene = &scene, .file = make_file(SIZE)};
    struct sink sink = {.wanted = SIZE + 6 * HIGH_WATER};
    rota_task tasks[3];

    (void)arg;
    scene_open(&scene, STREAM);
    sink.fd = scene.peer;
    before.stream = after.stream = scene.pair.stream;
    tasks[0] = start(write_letters, &before);
    pass_turns(1);
    tasks[1] = start(send_it, &sending);
    pass_turns(1);
    tasks[2] = start(write_letters, &after);
    pass_turns(1);
    assert_int_equal(rota_write_nowait(before.stream, "x", 1), -EBUSY);
    assert_int_equal(rota_write_eof(before.stream), -EBUSY);
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(tasks[0]), 3 * HIGH_WATER);
    assert_int_equal(rota_await(tasks[1]), SIZE);
    assert_int_equal(rota_await(tasks[2]), 3 * HIGH_WATER);
    assert_int_equal(sink_run_of(&sink, 0, 'a'), 3 * HIGH_WATER);
    assert_bytes_of_file(sink.data + 3 * HIGH_WATER, SIZE, 0);
    assert_int_equal(sink_run_of(&sink, 3 * HIGH_WATER + SIZE, 'z'),
                     3 * HIGH_WATER);
    free(sink.data);
    pair_close(&scene.pair);
    close(sending.file);
    return 0;
}

static void what_other_tasks_write_comes_before_or_after_the_file(void)
{
    run(send_between_writes);
}

static intptr_t send_after_the_queue(void *arg)
{
    struct scene scene;
    struct sending sending = {.scene = &scene, .file = make_file(SIZE)};
    struct sink sink = {0};
    rota_task task;
    size_t queued;

    (void)arg;
    scene_open(&scene, STREAM);
    sink.fd = scene.peer;
    queued = pair_fill(&scene.pair, 'q');
    task = start(send_it, &sending);
    pass_turns(2);
    assert_int_equal(sending.sent, 0);
    sink.wanted = queued + SIZE;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), SIZE);
    assert_int_equal(sink_run_of(&sink, 0, 'q'), queued);
    assert_bytes_of_file(sink.data + queued, SIZE, 0);
    free(sink.data);
    pair_close(&scene.pair);
    close(sending.file);
    return 0;
}

/* The task runs after the poller's report and before the queue is sent. */
static intptr_t send_before_the_queue_has_moved(void *arg)
{
    struct scene scene;
    struct sending sending = {.scene = &scene, .file = make_file(SIZE)};
    struct sink sink = {.wanted = SIZE_MAX};
    rota_task task;
    size_t queued;

    (void)arg;
    scene_open(&scene, STREAM);
    sink.fd = scene.peer;
    queued = pair_fill(&scene.pair, 'q');
    assert_true(sink_take(&sink));
    assert_true(sink.size < queued);
    task = start(send_it, &sending);
    sink.wanted = queued + SIZE;
    assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), SIZE);
    assert_int_equal(sink_run_of(&sink, 0, 'q'), queued);
    assert_bytes_of_file(sink.data + queued, SIZE, 0);
    free(sink.data);
    pair_close(&scene.pair);
    close(sending.file);
    return 0;
}

static void what_was_queued_is_sent_before_the_file(void)
{
    run(send_after_the_queue);
    run(send_before_the_queue_has_moved);
}

/* --- Not to a socket ---------------------------------------------------- */

struct draining {
    int fd;
    char *data;
    size_t size;
};

static intptr_t drain(void *arg)
{
    struct draining *self = arg;
    ssize_t n;

    self->data = malloc(SIZE + 1);
    assert_int_equal(fcntl(self->fd, F_SETFL, O_NONBLOCK), 0);
    while ((n = read(self->fd, self->data + self->size,
                     SIZE + 1 - self->size)) != 0) {
        if (n > 0)
            self->size += (size_t)n;
        else if (rota_wait_readable(self->fd) < 0)
            return -ECANCELED;
    }
    return 0;
}

static intptr_t send_to_a_pipe(void *way)
{
    struct draining draining = {0};
    int file = make_file(SIZE);
    rota_stream *stream;
    rota_task task;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    draining.fd = ends[0];
    task = start(drain, &draining);
    if (by_stream((enum way)(intptr_t)way)) {
        assert_int_equal(rota_open_fd(&stream, ends[1]), 0);
        assert_int_equal(rota_sendfile(stream, file, 0, 0, NULL), SIZE);
        rota_stream_free(stream);
    } else {
        assert_int_equal(rota_sock_sendfile(ends[1], file, 0, 0, NULL), SIZE);
        close(ends[1]);
    }
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(draining.size, SIZE);
    assert_bytes_of_file(draining.data, SIZE, 0);
    free(draining.data);
    close(ends[0]);
    close(file);
    return 0;
}

static void a_file_goes_through_a_pipe(void)
{
    each_way(send_to_a_pipe);
}

static intptr_t send_to_a_pipe_that_nobody_reads(void *way)
{
    size_t sent = 7;
    int file = make_file(SIZE);
    rota_stream *stream;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    if (by_stream((enum way)(intptr_t)way)) {
        assert_int_equal(rota_open_fd(&stream, ends[1]), 0);
        assert_int_equal(rota_sendfile(stream, file, 0, 0, &sent), -EPIPE);
        rota_stream_free(stream);
    } else {
        assert_int_equal(rota_sock_sendfile(ends[1], file, 0, 0, &sent),
                         -EPIPE);
        close(ends[1]);
    }
    assert_int_equal(sent, 0);
    close(file);
    return 0;
}

static void a_pipe_that_nobody_reads_raises_no_signal(void)
{
    each_way(send_to_a_pipe_that_nobody_reads);
}

/* --- With others -------------------------------------------------------- */

static intptr_t count_turns(void *counter)
{
    for (;;) {
        if (rota_sleep(0) < 0)
            return -ECANCELED;
        ++*(int *)counter;
    }
}

/* To one that always takes all of it. */
static intptr_t send_to_the_bin(void *arg)
{
    int bin = open("/dev/null", O_WRONLY);
    int file = make_file(HUGE);
    int turns = 0;
    rota_task task = start(count_turns, &turns);

    (void)arg;
    assert_int_equal(rota_sock_sendfile(bin, file, 0, 0, NULL), HUGE);
    assert_true(turns >= 32);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    close(bin);
    close(file);
    return 0;
}

static void others_run_meanwhile(void)
{
    run(send_to_the_bin);
}

HARNESS_MAIN(
    TEST(a_file_or_a_part_of_it_is_sent),
    TEST_TIMEOUT(sixty_four_mebibytes_go_to_a_slow_reader_without_memory, 100),
    TEST(what_other_tasks_write_comes_before_or_after_the_file),
    TEST(what_was_queued_is_sent_before_the_file),
    TEST(a_file_goes_through_a_pipe),
    TEST(a_pipe_that_nobody_reads_raises_no_signal), TEST(others_run_meanwhile))
