/* SPDX-License-Identifier: MIT */
/*
 * Sending files: through streams and plain sockets
 */
#include "sockets.h"

#include <sys/stat.h>

#define SIZE 1000003 /* of an ordinary file: no multiple of anything */
#define HIGH_WATER 65536

/* --- Files -------------------------------------------------------------- */

static char byte_at(size_t offset)
{
    return (char)(offset * 7 + offset / 251 + offset / 65537);
}

static int make_file(size_t size)
{
    static char block[65536];
    char path[] = "/tmp/rota-test-XXXXXX";
    int fd = mkstemp(path);
    size_t at = 0;

    assert_true(fd >= 0);
    unlink(path);
    while (at < size) {
        size_t n = size - at < sizeof block ? size - at : sizeof block;

        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(at + i);
        assert_int_equal(write(fd, block, n), n);
        at += n;
    }
    /* Where /tmp is on a disk, it must now be read from there. */
    assert_int_equal(fdatasync(fd), 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return fd;
}

static void assert_bytes_of_file(const char *data, size_t size, size_t offset)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != byte_at(offset + i))
            fail_msg("wrong byte at %zu", offset + i);
}

/* --- Both calls, one test ----------------------------------------------- */

/* Linux sends no file to what appends: it must be read and written. */
enum way { STREAM, SOCK, STREAM_IN_PIECES, SOCK_IN_PIECES, WAYS };

static bool by_stream(enum way way)
{
    return way == STREAM || way == STREAM_IN_PIECES;
}

static void append(enum way way, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (way == STREAM_IN_PIECES || way == SOCK_IN_PIECES)
        assert_int_equal(fcntl(fd, F_SETFL, flags | O_APPEND), 0);
}

struct scene {
    enum way way;
    struct pair pair; /* of a stream */
    int fd;           /* of a plain socket */
    int peer;
};

static void scene_open(struct scene *scene, enum way way)
{
    int fds[2];

    scene->way = way;
    if (by_stream(way)) {
        pair_open_narrow(&scene->pair);
        append(way, rota_stream_fileno(scene->pair.stream));
        scene->peer = scene->pair.peer;
        return;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    append(way, fds[0]);
    scene->fd = fds[0];
    scene->peer = fds[1];
}

/* Our end; the peer's stays, to be read to the end. */
static void scene_end(struct scene *scene)
{
    if (by_stream(scene->way))
        rota_stream_free(scene->pair.stream);
    else
        close(scene->fd);
}

static intptr_t scene_send(struct scene *scene, int file, int64_t offset,
                           size_t count, size_t *sent)
{
    if (by_stream(scene->way))
        return rota_sendfile(scene->pair.stream, file, offset, count, sent);
    return rota_sock_sendfile(scene->fd, file, offset, count, sent);
}

static void each_way(rota_task_function *function)
{
    for (int way = 0; way < WAYS; way++) {
        const rota_loop_options options = {0};

        assert_int_equal(
            rota_run_with(&options, function, (void *)(intptr_t)way), 0);
    }
}

/* A task that sends. */
struct sending {
    struct scene *scene;
    int file;
    int64_t offset;
    size_t count;
    size_t sent;
};

static intptr_t send_it(void *arg)
{
    struct sending *self = arg;

    return scene_send(self->scene, self->file, self->offset, self->count,
                      &self->sent);
}

/* It has begun, and cannot end: bytes have come and are not taken. */
static void wait_for_bytes(const struct scene *scene)
{
    char byte;

    while (recv(scene->peer, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 1)
        pass_turns(1);
}

/* --- The ordinary case -------------------------------------------------- */

static void send_and_compare(struct scene *scene, int file, int64_t offset,
                             size_t count, size_t wanted)
{
    struct sending sending = {scene, file, offset, count, 77};
    struct sink sink = {.fd = scene->peer, .wanted = wanted};
    rota_task task = start(send_it, &sending);

    if (wanted > 0)
        assert_int_equal(sink_run(&sink), 0);
    assert_int_equal(rota_await(task), wanted);
    assert_int_equal(sending.sent, wanted);
    assert_int_equal(sink.size, wanted);
    assert_bytes_of_file(sink.data, wanted, (size_t)offset);
    assert_string_equal(bare_hear(scene->peer), "");
    free(sink.data);
}

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

static void what_was_queued_is_sent_before_the_file(void)
{
    run(send_after_the_queue);
}

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
        assert_int_equal(rota_sendfile(scene.pair.stream, sending.file, 0, 0,
                                       NULL),
                         err);
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
    struct sending sending = {.scene = &scene, .file = make_file(SIZE),
                              .count = SIZE};
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
    assert_int_equal(rota_loop_create_task(loop, &task, send_for_ever, &sending),
                     0);
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

HARNESS_MAIN(
    TEST(a_file_or_a_part_of_it_is_sent),
    TEST_TIMEOUT(sixty_four_mebibytes_go_to_a_slow_reader_without_memory, 100),
    TEST(what_other_tasks_write_comes_before_or_after_the_file),
    TEST(what_was_queued_is_sent_before_the_file),
    TEST(a_cancelled_one_says_how_much_has_gone),
    TEST(cancelled_before_its_turn_it_has_sent_nothing),
    TEST(a_peer_that_goes_is_an_error_and_no_signal),
    TEST(a_stream_that_closes_ends_it),
    TEST(what_cannot_be_sent_is_refused_and_harms_nobody),
    TEST(a_datagram_socket_and_an_ended_stream_take_no_file),
    TEST(a_file_may_shrink_and_grow_meanwhile),
    TEST(a_file_goes_through_a_pipe),
    TEST(a_pipe_that_nobody_reads_raises_no_signal),
    TEST(a_loop_that_closes_forgets_its_files))
