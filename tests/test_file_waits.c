/* SPDX-License-Identifier: MIT */
/*
 * Files without positions: who waits for bytes or for room holds no thread
 */
#define _GNU_SOURCE
#include "folders.h"

#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#define MANY (2 * FILE_THREADS)

static rota_file *over(int fd)
{
    rota_file *file = NULL;

    assert_true(fd >= 0);
    assert_int_equal(rota_file_open_fd(&file, fd), 0);
    return file;
}

static int fill_pipe(int fd)
{
    static char zeros[65536];
    int flags = fcntl(fd, F_GETFL);
    int size = 0;
    ssize_t n;

    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while ((n = write(fd, zeros, sizeof zeros)) > 0)
        size += (int)n;
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
    return size;
}

static void empty_pipe(int fd, int size)
{
    static char room[65536];

    while (size > 0) {
        ssize_t n = read(fd, room,
                         size < (int)sizeof room ? (size_t)size : sizeof room);

        assert_true(n > 0);
        size -= (int)n;
    }
}

/* --- Many ---------------------------------------------------------------- */

static intptr_t wait_in_many_reads(void *arg)
{
    char bytes[MANY];
    struct io ios[MANY];
    rota_task tasks[MANY];
    int fds[MANY][2];
    struct stat status;

    (void)arg;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(pipe(fds[i]), 0);
        ios[i] =
            (struct io){.file = over(fds[i][0]), .data = &bytes[i], .size = 1};
        tasks[i] = start(do_read, &ios[i]);
    }
    pass_turns(3);
    assert_int_equal(rota_stat(".", &status), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(write(fds[i][1], "x", 1), 1);
        close(fds[i][1]);
        assert_int_equal(rota_await(tasks[i]), 1);
        rota_file_free(ios[i].file);
    }
    return 0;
}

static void reads_that_wait_hold_no_thread(void)
{
    in_a_folder(wait_in_many_reads);
}

static intptr_t wait_in_many_writes(void *arg)
{
    struct io ios[MANY];
    rota_task tasks[MANY];
    int fds[MANY][2];
    int sizes[MANY];
    struct stat status;

    (void)arg;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(pipe(fds[i]), 0);
        sizes[i] = fill_pipe(fds[i][1]);
        ios[i] = (struct io){.file = over(fds[i][1]), .data = "abc", .size = 3};
        tasks[i] = start(do_write, &ios[i]);
    }
    pass_turns(3);
    assert_int_equal(rota_stat(".", &status), 0);
    for (int i = 0; i < MANY; i++) {
        char text[4] = "";

        empty_pipe(fds[i][0], sizes[i]);
        assert_int_equal(rota_await(tasks[i]), 3);
        assert_int_equal(read(fds[i][0], text, 3), 3);
        assert_string_equal(text, "abc");
        close(fds[i][0]);
        rota_file_free(ios[i].file);
    }
    return 0;
}

static void writes_that_wait_hold_no_thread(void)
{
    in_a_folder(wait_in_many_writes);
}

/* --- The end of the loop ------------------------------------------------- */

static int left_fds[4];
static rota_file *left_files[2];

static intptr_t leave_read_and_write(void *cancelled)
{
    static char much[300000];
    static struct io ios[2];
    struct stat status;
    rota_task tasks[2];

    assert_int_equal(pipe(left_fds), 0);
    assert_int_equal(pipe(left_fds + 2), 0);
    left_files[0] = over(left_fds[0]);
    left_files[1] = over(left_fds[3]);
    ios[0] = (struct io){.file = left_files[0], .data = much, .size = 1};
    ios[1] =
        (struct io){.file = left_files[1], .data = much, .size = sizeof much};
    tasks[0] = start(do_read, &ios[0]);
    tasks[1] = start(do_write, &ios[1]);
    pass_turns(5);
    assert_int_equal(rota_stat(".", &status), 0); /* both have begun */
    for (int i = 0; i < 2; i++) {
        if (cancelled) {
            assert_int_equal(rota_task_cancel(tasks[i]), 1);
            assert_int_equal(rota_await(tasks[i]), -ECANCELED);
        } else {
            assert_int_equal(rota_detach(tasks[i]), 0);
        }
    }
    return 0;
}

static void end_the_left(void)
{
    for (int i = 0; i < 2; i++)
        rota_file_free(left_files[i]);
    close(left_fds[1]);
    close(left_fds[2]);
}

static void a_run_ends_though_nothing_comes_and_nobody_reads(void)
{
    assert_int_equal(run_virtually(leave_read_and_write, "cancelled"), 0);
    end_the_left();
    assert_int_equal(run_virtually(leave_read_and_write, NULL), 0);
    end_the_left();
}

static void a_loop_is_freed_though_nothing_comes_and_nobody_reads(void)
{
    rota_loop *loop;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
        assert_int_equal(rota_loop_run_until_complete(
                             loop, leave_read_and_write, i ? "yes" : NULL),
                         0);
        rota_loop_free(loop);
        end_the_left();
    }
}

static intptr_t write_unread(void *arg)
{
    static char data[200001];
    struct io io = {.data = data, .size = sizeof data};
    int fds[2];
    rota_task task;

    (void)arg;
    assert_int_equal(pipe(fds), 0);
    io.file = over(fds[1]);
    task = start(do_write, &io);
    pass_turns(5);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    close(fds[0]); /* the rest has nowhere to go */
    assert_int_equal(rota_file_close(io.file), -EPIPE);
    rota_file_free(io.file);
    return 0;
}

static void an_error_of_a_write_left_alone_is_told_by_close(void)
{
    in_a_folder(write_unread);
}

/* --- Both directions ----------------------------------------------------- */

/* A terminal hands over what was written to it in pieces of its own. */
static void read_all(int fd, char *buf, ssize_t size)
{
    for (ssize_t n; size > 0; buf += n, size -= n) {
        n = read(fd, buf, (size_t)size);
        assert_true(n > 0);
    }
}

static void write_beside_a_read(int fd, int peer)
{
    char buf[8] = "";
    struct io io = {.file = over(fd), .data = buf, .size = 2};
    rota_task task = start(do_read, &io);

    pass_turns(3);
    assert_int_equal(rota_file_write(io.file, "to", 2), 2);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(rota_file_write(io.file, "!", 1), 1);
    read_all(peer, buf, 3);
    assert_memory_equal(buf, "to!", 3);
    assert_int_equal(write(peer, "a\n", 2), 2);
    assert_int_equal(rota_file_read(io.file, buf, 2), 2);
    assert_memory_equal(buf, "a\n", 2);
    rota_file_free(io.file);
}

static int open_terminal(int *end)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        skip_in_a_folder("no terminals here");
    *end = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(*end >= 0);
    return master;
}

static intptr_t write_while_reading(void *arg)
{
    int fds[2];
    int master;

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    write_beside_a_read(fds[0], fds[1]);
    close(fds[1]);
    master = open_terminal(&fds[0]);
    write_beside_a_read(fds[0], master);
    pass_jobs();
    close(master);
    return 0;
}

static void a_read_that_waits_does_not_hold_writes_up(void)
{
    in_a_folder(write_while_reading);
}

/* Both see a line, and one of them gets it: the other's thread waits. */
static intptr_t read_one_line_by_two(void *arg)
{
    char bufs[2][8] = {"", ""};
    struct io ios[2];
    rota_task tasks[2];
    int fd;
    int master = open_terminal(&fd);
    int late;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        ios[i] = (struct io){.data = bufs[i], .size = 8};
        ios[i].file = over(i == 0 ? fd : dup(fd));
        tasks[i] = start(do_read, &ios[i]);
    }
    pass_turns(3);
    assert_int_equal(write(master, "one\n", 4), 4);
    while (!rota_task_done(tasks[0]) && !rota_task_done(tasks[1]))
        pass_turns(1);
    late = rota_task_done(tasks[0]) ? 1 : 0;
    assert_int_equal(rota_await(tasks[1 - late]), 4);
    assert_int_equal(rota_task_cancel(tasks[late]), 1);
    assert_int_equal(rota_await(tasks[late]), -ECANCELED);
    assert_int_equal(rota_file_write(ios[late].file, "!", 1), 1);
    assert_int_equal(write(master, "two\n", 4), 4);
    assert_int_equal(rota_file_read(ios[late].file, bufs[0], 8), 4);
    assert_memory_equal(bufs[0], "two\n", 4);
    rota_file_free(ios[0].file);
    rota_file_free(ios[1].file);
    pass_jobs();
    close(master);
    return 0;
}

static void a_cancelled_read_of_a_thread_does_not_hold_writes_up(void)
{
    in_a_folder(read_one_line_by_two);
}

/* --- What came for a cancelled read -------------------------------------- */

/* At whatever moment. */
static intptr_t cancel_reads(void *arg)
{
    int fd;
    int master = open_terminal(&fd);
    rota_file *file = over(fd);

    (void)arg;
    for (int round = 0; round < 60; round++) {
        char buf[8] = "";
        struct io io = {.file = file, .data = buf, .size = 8};
        rota_task task = start(do_read, &io);
        bool told;

        pass_turns(1);
        assert_int_equal(write(master, "abc\n", 4), 4);
        pass_turns(round % 6);
        for (int i = 0; i < round; i++)
            sched_yield();
        pass_turns(round % 3);
        told = rota_task_cancel(task) == 0;
        assert_int_equal(rota_await(task), told ? 4 : -ECANCELED);
        if (!told)
            assert_int_equal(rota_file_read(file, buf, 8), 4);
        assert_string_equal(buf, "abc\n");
    }
    rota_file_free(file);
    pass_jobs();
    close(master);
    return 0;
}

static void what_a_thread_read_for_nobody_is_read_by_the_next(void)
{
    in_a_folder(cancel_reads);
}

/* --- Fds of other kinds -------------------------------------------------- */

static intptr_t read_a_counter(void *flags)
{
    uint64_t count = 0;
    int fd = eventfd(0, (int)(intptr_t)flags);
    struct io io = {.file = over(fd), .data = &count, .size = sizeof count};
    rota_task task = start(do_read, &io);

    assert_int_equal(rota_file_tell(io.file), -ESPIPE);
    pass_turns(3);
    assert_int_equal(write(fd, &(uint64_t){7}, sizeof(uint64_t)), 8);
    assert_int_equal(rota_await(task), 8);
    assert_int_equal(count, 7);
    rota_file_free(io.file);
    return 0;
}

static intptr_t read_notes(void *flags)
{
    char buf[1000];
    int fd = inotify_init1((int)(intptr_t)flags);
    struct io io = {.file = over(fd), .data = buf, .size = sizeof buf};
    rota_task task = start(do_read, &io);

    assert_int_equal(rota_file_tell(io.file), -ESPIPE);
    assert_true(inotify_add_watch(fd, ".", IN_CREATE) >= 0);
    pass_turns(3);
    put_text("f", "");
    assert_true(rota_await(task) > 0);
    assert_int_equal(((struct inotify_event *)(void *)buf)->mask, IN_CREATE);
    assert_int_equal(unlink("f"), 0);
    rota_file_free(io.file);
    return 0;
}

static intptr_t read_each_kind(void *arg)
{
    (void)arg;
    assert_int_equal(read_a_counter(NULL), 0);
    assert_int_equal(read_a_counter((void *)(intptr_t)EFD_NONBLOCK), 0);
    assert_int_equal(read_notes(NULL), 0);
    return read_notes((void *)(intptr_t)IN_NONBLOCK);
}

static void an_fd_that_only_seems_to_have_positions_is_read_in_order(void)
{
    in_a_folder(read_each_kind);
}

static intptr_t use_without_blocking(void *arg)
{
    static char much[200000];
    char byte = '.';
    int fds[2];
    struct io out = {.data = &byte, .size = 1};
    struct io in = {.data = much, .size = sizeof much};
    rota_task tasks[2];
    size_t seen = 0;

    (void)arg;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    out.file = over(fds[0]);
    in.file = over(fds[1]);
    tasks[0] = start(do_read, &out);
    pass_turns(3);
    fill(much, sizeof much, 0);
    tasks[1] = start(do_write, &in);
    assert_int_equal(rota_await(tasks[0]), 1);
    assert_true(byte == byte_at(seen++));
    while (seen < sizeof much) {
        char buf[5000];
        intptr_t n = rota_file_read(out.file, buf, sizeof buf);

        assert_true(n > 0);
        assert_bytes(buf, (size_t)n, seen);
        seen += (size_t)n;
    }
    assert_int_equal(rota_await(tasks[1]), sizeof much);
    rota_file_free(in.file);
    rota_file_free(out.file);
    return 0;
}

static void an_fd_that_does_not_block_is_waited_for(void)
{
    in_a_folder(use_without_blocking);
}

static intptr_t wait_readable(void *arg)
{
    return rota_wait_readable(*(int *)arg);
}

static intptr_t wait_beside(void *arg)
{
    int fds[2];
    rota_file *file;
    rota_task task;
    char byte;

    (void)arg;
    assert_int_equal(pipe(fds), 0);
    file = over(fds[0]);
    task = start(wait_readable, &fds[0]);
    pass_turns(1);
    assert_int_equal(rota_file_read(file, &byte, 1), -EBUSY);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(rota_await(task), 0);
    assert_int_equal(rota_file_read(file, &byte, 1), 1);
    close(fds[1]);
    rota_file_free(file);
    return 0;
}

static void an_fd_that_another_waits_for_is_busy(void)
{
    in_a_folder(wait_beside);
}

HARNESS_MAIN(TEST(reads_that_wait_hold_no_thread),
             TEST(writes_that_wait_hold_no_thread),
             TEST(a_run_ends_though_nothing_comes_and_nobody_reads),
             TEST(a_loop_is_freed_though_nothing_comes_and_nobody_reads),
             TEST(an_error_of_a_write_left_alone_is_told_by_close),
             TEST(a_read_that_waits_does_not_hold_writes_up),
             TEST(a_cancelled_read_of_a_thread_does_not_hold_writes_up),
             TEST(what_a_thread_read_for_nobody_is_read_by_the_next),
             TEST(an_fd_that_only_seems_to_have_positions_is_read_in_order),
             TEST(an_fd_that_does_not_block_is_waited_for),
             TEST(an_fd_that_another_waits_for_is_busy))
