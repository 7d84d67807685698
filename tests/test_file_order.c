/* SPDX-License-Identifier: MIT */
/*
 * Files without positions: pipes, FIFOs, terminals
 */
#define _GNU_SOURCE
#include "folders.h"

struct ends {
    rota_file *out; /* reads */
    rota_file *in;  /* writes */
};

static void open_pipe(struct ends *ends)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(rota_file_open_fd(&ends->out, fds[0]), 0);
    assert_int_equal(rota_file_open_fd(&ends->in, fds[1]), 0);
}

static void free_pipe(struct ends *ends)
{
    rota_file_free(ends->in);
    rota_file_free(ends->out);
}

static intptr_t pass_bytes(void *arg)
{
    struct ends ends;
    struct stat status;
    char buf[16];

    (void)arg;
    open_pipe(&ends);
    assert_int_equal(rota_file_write(ends.in, "hello", 5), 5);
    assert_int_equal(rota_file_read(ends.out, buf, sizeof buf), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(rota_file_pread(ends.out, buf, 1, 0), -ESPIPE);
    assert_int_equal(rota_file_pwrite(ends.in, buf, 1, 0), -ESPIPE);
    assert_int_equal(rota_file_seek(ends.out, 0, SEEK_SET), -ESPIPE);
    assert_int_equal(rota_file_tell(ends.out), -ESPIPE);
    assert_int_equal(rota_file_stat(ends.out, &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    free_pipe(&ends);
    return 0;
}

static void a_pipe_is_read_and_written_but_has_no_positions(void)
{
    in_a_folder(pass_bytes);
}

static intptr_t wait_for_bytes(void *arg)
{
    char buf[4] = "";
    struct io io = {.data = buf, .size = 3};
    struct ends ends;
    rota_task task;

    (void)arg;
    open_pipe(&ends);
    io.file = ends.out;
    task = start(do_read, &io);
    pass_turns(100); /* the loop goes on */
    assert_string_equal(buf, "");
    assert_int_equal(write(rota_file_fileno(ends.in), "abc", 3), 3);
    assert_int_equal(rota_await(task), 3);
    assert_string_equal(buf, "abc");
    free_pipe(&ends);
    return 0;
}

static void a_read_that_has_to_wait_does_not_hold_the_loop(void)
{
    in_a_folder(wait_for_bytes);
}

static intptr_t cancel_read(void *arg)
{
    char buf[4] = "";
    struct io io = {.data = buf, .size = 3};
    struct ends ends;
    rota_task task;

    (void)arg;
    open_pipe(&ends);
    io.file = ends.out;
    task = start(do_read, &io);
    pass_turns(10);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    assert_int_equal(write(rota_file_fileno(ends.in), "abcdef", 6), 6);
    /* It takes "abc", or nothing if it had not begun. */
    assert_int_equal(rota_file_read(ends.out, buf, 2), 2);
    assert_string_equal(buf, "ab");
    assert_true(rota_file_read(ends.out, buf, 1) == 1);
    assert_true(buf[0] == 'c');
    assert_int_equal(rota_file_read(ends.out, buf, 3), 3);
    assert_string_equal(buf, "def");
    free_pipe(&ends);
    return 0;
}

static void what_a_cancelled_read_took_is_read_by_the_next(void)
{
    in_a_folder(cancel_read);
}

static intptr_t cancel_write(void *arg)
{
    size_t size = 200000; /* more than the pipe takes at once */
    char *data = malloc(size);
    struct io io = {.data = data, .size = size};
    struct ends ends;
    size_t seen = 0;
    rota_task task;
    rota_task next;
    struct io more = {.data = "!", .size = 1, .word = "next"};

    (void)arg;
    open_pipe(&ends);
    fill(data, size, 0);
    io.file = ends.in;
    more.file = ends.in;
    task = start(do_write, &io);
    while (seen == 0) {
        char byte;

        assert_int_equal(rota_file_read(ends.out, &byte, 1), 1);
        assert_true(byte == byte_at(seen++));
    }
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    memset(data, 0, size);
    next = start(do_write, &more);
    pass_turns(10);
    assert_noted(""); /* it waits for the one that goes on alone */
    while (seen < size) {
        intptr_t n = rota_file_read(ends.out, data, size - seen);

        assert_true(n > 0);
        assert_bytes(data, (size_t)n, seen);
        seen += (size_t)n;
    }
    assert_int_equal(rota_await(next), 1);
    assert_int_equal(rota_file_read(ends.out, data, size), 1);
    assert_true(data[0] == '!');
    assert_noted("next:1");
    free(data);
    free_pipe(&ends);
    return 0;
}

static void a_cancelled_write_goes_on_to_its_end_before_the_next(void)
{
    in_a_folder(cancel_write);
}

static intptr_t read_to_the_end(void *arg)
{
    char buf[16];
    struct ends ends;

    (void)arg;
    open_pipe(&ends);
    assert_int_equal(rota_file_write(ends.in, "0123456789", 10), 10);
    assert_int_equal(rota_file_close(ends.in), 0);
    assert_int_equal(rota_file_read_all(ends.out, buf, 9), -ROTA_ELIMIT);
    assert_int_equal(rota_file_read_all(ends.out, buf, 16), 10);
    assert_memory_equal(buf, "0123456789", 10);
    assert_int_equal(rota_file_read(ends.out, buf, 16), 0);
    assert_int_equal(rota_file_read_all(ends.out, buf, 0), 0);
    free_pipe(&ends);
    return 0;
}

static void all_of_a_pipe_is_read_and_nothing_lost_above_the_limit(void)
{
    in_a_folder(read_to_the_end);
}

static intptr_t write_to_nobody(void *arg)
{
    struct ends ends;

    (void)arg;
    open_pipe(&ends);
    assert_int_equal(rota_file_close(ends.out), 0);
    assert_int_equal(rota_file_write(ends.in, "x", 1), -EPIPE);
    free_pipe(&ends);
    return 0;
}

static void a_pipe_that_nobody_reads_is_an_error_and_no_signal(void)
{
    in_a_folder(write_to_nobody);
}

/* --- FIFOs --------------------------------------------------------------- */

static intptr_t open_fifo(void *flags)
{
    rota_file *file;
    char byte = '.';
    int err = rota_file_open(&file, "fifo", (int)(intptr_t)flags, 0);

    if (err < 0)
        return err;
    if ((intptr_t)flags == O_RDONLY)
        assert_int_equal(rota_file_read(file, &byte, 1), 1);
    else
        assert_int_equal(rota_file_write(file, "x", 1), 1);
    rota_file_free(file);
    return byte;
}

static intptr_t meet_in_a_fifo(void *arg)
{
    rota_task reader;
    rota_task writer;

    (void)arg;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    reader = start(open_fifo, (void *)(intptr_t)O_RDONLY);
    pass_turns(100); /* the loop goes on while it waits for a writer */
    writer = start(open_fifo, (void *)(intptr_t)O_WRONLY);
    assert_int_equal(rota_await(reader), 'x');
    assert_int_equal(rota_await(writer), '.');
    return 0;
}

static void opening_a_fifo_does_not_hold_the_loop(void)
{
    in_a_folder(meet_in_a_fifo);
}

static intptr_t give_a_fifo_up(void *arg)
{
    rota_task reader;
    int fd;

    (void)arg;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    reader = start(open_fifo, (void *)(intptr_t)O_RDONLY);
    /* A writer that does not wait finds none until the thread is there. */
    while ((fd = open("fifo", O_WRONLY | O_NONBLOCK)) < 0)
        pass_turns(1);
    close(fd);
    assert_int_equal(rota_task_cancel(reader), 1);
    assert_int_equal(rota_await(reader), -ECANCELED);
    pass_jobs();
    return 0;
}

static void a_fifo_that_opens_for_nobody_is_closed_again(void)
{
    in_a_folder(give_a_fifo_up);
}

/* --- Terminals ----------------------------------------------------------- */

static intptr_t read_a_terminal(void *arg)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    rota_file *file;
    char buf[32];

    (void)arg;
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        skip_in_a_folder("no terminals here");
    assert_int_equal(
        rota_file_open(&file, ptsname(master), O_RDWR | O_NOCTTY, 0), 0);
    assert_int_equal(rota_file_tell(file), -ESPIPE);
    assert_int_equal(write(master, "line\nmore\n", 10), 10);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 5);
    assert_memory_equal(buf, "line\n", 5);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 5);
    assert_memory_equal(buf, "more\n", 5);
    rota_file_free(file);
    pass_jobs();
    close(master);
    return 0;
}

static void a_terminal_is_read_by_lines(void)
{
    in_a_folder(read_a_terminal);
}

HARNESS_MAIN(TEST(a_pipe_is_read_and_written_but_has_no_positions),
             TEST(a_read_that_has_to_wait_does_not_hold_the_loop),
             TEST(what_a_cancelled_read_took_is_read_by_the_next),
             TEST(a_cancelled_write_goes_on_to_its_end_before_the_next),
             TEST(all_of_a_pipe_is_read_and_nothing_lost_above_the_limit),
             TEST(a_pipe_that_nobody_reads_is_an_error_and_no_signal),
             TEST(opening_a_fifo_does_not_hold_the_loop),
             TEST(a_fifo_that_opens_for_nobody_is_closed_again),
             TEST(a_terminal_is_read_by_lines))
