/* SPDX-License-Identifier: MIT */
/*
 * Files: reading, writing, positions, order
 */
#define _GNU_SOURCE
#include "folders.h"

#define BIG (3 * 1000003) /* no multiple of anything */

/* --- Reading and writing ------------------------------------------------- */

static intptr_t write_then_read(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    char buf[16];

    (void)arg;
    assert_int_equal(rota_file_write(file, "hello ", 6), 6);
    assert_int_equal(rota_file_write(file, "world", 5), 5);
    assert_int_equal(rota_file_write(file, "", 0), 0);
    assert_int_equal(rota_file_tell(file), 11);
    assert_text_of_file("f", "hello world");
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 0);
    assert_int_equal(rota_file_seek(file, 6, SEEK_SET), 6);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 5);
    assert_memory_equal(buf, "world", 5);
    assert_int_equal(rota_file_tell(file), 11);
    assert_int_equal(rota_file_close(file), 0);
    rota_file_free(file);
    return 0;
}

static void what_was_written_is_read_and_the_position_moves(void)
{
    in_a_folder(write_then_read);
}

static intptr_t read_in_parts(void *arg)
{
    rota_file *file;
    char buf[4];

    (void)arg;
    put_text("f", "0123456789");
    file = opened("f", O_RDONLY);
    assert_int_equal(rota_file_read(file, buf, 4), 4);
    assert_memory_equal(buf, "0123", 4);
    assert_int_equal(rota_file_read(file, buf, 4), 4);
    assert_memory_equal(buf, "4567", 4);
    assert_int_equal(rota_file_read(file, buf, 4), 2);
    assert_memory_equal(buf, "89", 2);
    assert_int_equal(rota_file_read(file, buf, 4), 0);
    rota_file_free(file);
    return 0;
}

static void a_read_at_the_end_is_short_and_then_zero(void)
{
    in_a_folder(read_in_parts);
}

static intptr_t read_at_offsets(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    char buf[8];

    (void)arg;
    assert_int_equal(rota_file_pwrite(file, "world", 5, 6), 5);
    assert_int_equal(rota_file_pwrite(file, "hello ", 6, 0), 6);
    assert_int_equal(rota_file_pwrite(file, NULL, 0, 100), 0);
    assert_int_equal(rota_file_tell(file), 0);
    assert_int_equal(rota_file_pread(file, buf, 5, 3), 5);
    assert_memory_equal(buf, "lo wo", 5);
    assert_int_equal(rota_file_pread(file, buf, 8, 8), 3);
    assert_int_equal(rota_file_pread(file, buf, 8, 11), 0);
    assert_int_equal(rota_file_pread(file, buf, 8, 1000), 0);
    assert_int_equal(rota_file_tell(file), 0);
    rota_file_free(file);
    return 0;
}

static void calls_with_an_offset_leave_the_position(void)
{
    in_a_folder(read_at_offsets);
}

static void check_whole(rota_file *file, char *buf)
{
    memset(buf, 0, BIG);
    assert_int_equal(rota_file_pread(file, buf, BIG, 0), BIG);
    assert_bytes(buf, BIG, 0);
}

static intptr_t write_and_read_much(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    char *buf = malloc(BIG);

    (void)arg;
    assert_non_null(buf);
    fill(buf, BIG, 0);
    assert_int_equal(rota_file_write(file, buf, BIG), BIG);
    assert_int_equal(size_of("f"), BIG);
    check_whole(file, buf);
    assert_int_equal(rota_file_sync(file), 0);
    forget_cached("f");
    check_whole(file, buf);
    free(buf);
    rota_file_free(file);
    return 0;
}

static void much_is_written_and_read_whole(void)
{
    in_a_folder(write_and_read_much);
}

static intptr_t read_all_of_it(void *arg)
{
    rota_file *file;
    char buf[16];

    (void)arg;
    put_text("f", "0123456789");
    file = opened("f", O_RDONLY);
    assert_int_equal(rota_file_read_all(file, buf, 9), -ROTA_ELIMIT);
    assert_int_equal(rota_file_tell(file), 0);
    assert_int_equal(rota_file_read_all(file, NULL, 0), -ROTA_ELIMIT);
    assert_int_equal(rota_file_read_all(file, buf, 10), 10);
    assert_int_equal(rota_file_tell(file), 10);
    assert_int_equal(rota_file_read_all(file, buf, 10), 0);
    assert_int_equal(rota_file_read_all(file, NULL, 0), 0);
    assert_int_equal(rota_file_seek(file, 4, SEEK_SET), 4);
    assert_int_equal(rota_file_read_all(file, buf, sizeof buf), 6);
    assert_memory_equal(buf, "456789", 6);
    rota_file_free(file);
    return 0;
}

static void all_is_read_or_the_limit_told(void)
{
    in_a_folder(read_all_of_it);
}

/* --- Positions ----------------------------------------------------------- */

static intptr_t seek_around(void *arg)
{
    rota_file *file;

    (void)arg;
    put_text("f", "0123456789");
    file = opened("f", O_RDONLY);
    assert_int_equal(rota_file_seek(file, 3, SEEK_SET), 3);
    assert_int_equal(rota_file_seek(file, -1, SEEK_CUR), 2);
    assert_int_equal(rota_file_seek(file, -4, SEEK_END), 6);
    assert_int_equal(rota_file_tell(file), 6);
    assert_int_equal(rota_file_seek(file, 5, SEEK_END), 15);
    assert_int_equal(rota_file_seek(file, -16, SEEK_CUR), -EINVAL);
    assert_int_equal(rota_file_seek(file, -1, SEEK_SET), -EINVAL);
    assert_int_equal(rota_file_seek(file, -11, SEEK_END), -EINVAL);
    assert_int_equal(rota_file_seek(file, 0, 77), -EINVAL);
    assert_int_equal(rota_file_seek(file, INT64_MAX, SEEK_CUR), -EOVERFLOW);
    assert_int_equal(rota_file_tell(file), 15);
    rota_file_free(file);
    return 0;
}

static void the_position_can_be_moved_but_not_before_the_beginning(void)
{
    in_a_folder(seek_around);
}

static intptr_t take_over_an_fd(void *arg)
{
    rota_file *file = NULL;
    char buf[4];
    int fd;

    (void)arg;
    put_text("f", "0123456789");
    fd = open("f", O_RDONLY);
    assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
    assert_int_equal(rota_file_open_fd(&file, fd), 0);
    assert_int_equal(rota_file_fileno(file), fd);
    assert_int_equal(rota_file_tell(file), 5);
    assert_int_equal(rota_file_read(file, buf, 4), 4);
    assert_memory_equal(buf, "5678", 4);
    assert_int_equal(rota_file_close(file), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    rota_file_free(file);
    assert_int_equal(rota_file_open_fd(&file, -1), -EBADF);
    return 0;
}

static void an_fd_is_taken_over_with_its_position(void)
{
    in_a_folder(take_over_an_fd);
}

static intptr_t share_an_fd(void *arg)
{
    char text[8] = "";
    rota_file *file;
    int fd;
    int other;

    (void)arg;
    fd = open("f", O_RDWR | O_CREAT, 0600);
    other = dup(fd);
    assert_int_equal(rota_file_open_fd(&file, fd), 0);
    assert_int_equal(rota_file_write(file, "one ", 4), 4);
    assert_int_equal(lseek(other, 0, SEEK_CUR), 0);
    assert_int_equal(rota_file_close(file), 0);
    rota_file_free(file);
    /* Who has the fd too goes on behind it. */
    assert_int_equal(write(other, "two", 3), 3);
    assert_int_equal(pread(other, text, sizeof text, 0), 7);
    assert_string_equal(text, "one two");
    close(other);
    return 0;
}

static void a_shared_fd_is_left_where_the_file_was(void)
{
    in_a_folder(share_an_fd);
}

static void an_fd_needs_a_running_loop(void)
{
    rota_file *file;

    assert_int_equal(rota_file_open_fd(&file, 0), -ROTA_ENOLOOP);
}

#define FAR_AWAY (INT64_C(5) << 30) /* above 4 GiB */

static intptr_t go_far(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct stat status;
    char buf[8];

    (void)arg;
    assert_int_equal(rota_file_pwrite(file, "far", 3, FAR_AWAY), 3);
    assert_int_equal(rota_file_stat(file, &status), 0);
    assert_true(status.st_size == FAR_AWAY + 3);
    assert_true(rota_file_seek(file, -3, SEEK_END) == FAR_AWAY);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 3);
    assert_memory_equal(buf, "far", 3);
    assert_int_equal(rota_file_write(file, "ther", 4), 4);
    assert_true(rota_file_tell(file) == FAR_AWAY + 7);
    assert_int_equal(rota_file_pread(file, buf, sizeof buf, FAR_AWAY), 7);
    assert_memory_equal(buf, "farther", 7);
    assert_int_equal(rota_file_pread(file, buf, 2, FAR_AWAY - 2), 2);
    assert_memory_equal(buf, "\0\0", 2);
    rota_file_free(file);
    return 0;
}

static void offsets_above_four_gibibytes_work(void)
{
    in_a_folder(go_far);
}

/* --- State --------------------------------------------------------------- */

static intptr_t look_and_truncate(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct stat status;

    (void)arg;
    assert_int_equal(rota_file_write(file, "0123456789", 10), 10);
    assert_int_equal(rota_file_stat(file, &status), 0);
    assert_int_equal(status.st_size, 10);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(rota_file_stat(file, NULL), -EINVAL);
    assert_int_equal(rota_file_truncate(file, 4), 0);
    assert_text_of_file("f", "0123");
    assert_int_equal(rota_file_tell(file), 10);
    assert_int_equal(rota_file_truncate(file, -1), -EINVAL);
    assert_int_equal(rota_file_sync(file), 0);
    assert_int_equal(rota_file_datasync(file), 0);
    rota_file_free(file);
    return 0;
}

static void a_file_is_looked_at_cut_and_synced(void)
{
    in_a_folder(look_and_truncate);
}

static intptr_t check_close_on_exec(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);

    (void)arg;
    assert_int_equal(fcntl(rota_file_fileno(file), F_GETFD), FD_CLOEXEC);
    rota_file_free(file);
    return 0;
}

static void a_file_is_not_inherited_by_programs(void)
{
    in_a_folder(check_close_on_exec);
}

/* --- Appending ----------------------------------------------------------- */

#define LINES 50

static intptr_t append_lines(void *name)
{
    rota_file *file = opened("log", O_WRONLY | O_APPEND | O_CREAT);
    char line[40];

    memset(line, *(const char *)name, sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < LINES; i++) {
        assert_int_equal(rota_file_write(file, line, sizeof line), sizeof line);
        assert_true(rota_file_tell(file) % (off_t)sizeof line == 0);
        assert_true(rota_file_tell(file) >= (i + 1) * (off_t)sizeof line);
    }
    rota_file_free(file);
    return 0;
}

static intptr_t append_by_two(void *arg)
{
    rota_task a = start(append_lines, "a");
    rota_task b = start(append_lines, "b");
    char text[2 * LINES * 40];
    int of_a = 0;
    int fd;

    (void)arg;
    assert_int_equal(rota_await(a), 0);
    assert_int_equal(rota_await(b), 0);
    assert_int_equal(size_of("log"), sizeof text);
    fd = open("log", O_RDONLY);
    assert_int_equal(read(fd, text, sizeof text), sizeof text);
    close(fd);
    for (size_t i = 0; i < sizeof text; i += 40) {
        for (size_t j = 1; j < 39; j++)
            assert_true(text[i + j] == text[i]);
        assert_true(text[i + 39] == '\n');
        of_a += text[i] == 'a';
    }
    assert_int_equal(of_a, LINES);
    return 0;
}

static void lines_that_two_append_are_whole(void)
{
    in_a_folder(append_by_two);
}

static intptr_t append_at_the_end(void *arg)
{
    rota_file *file;
    char buf[8];

    (void)arg;
    put_text("f", "0123");
    file = opened("f", O_RDWR | O_APPEND);
    assert_int_equal(rota_file_tell(file), 0);
    assert_int_equal(rota_file_read(file, buf, 2), 2);
    assert_int_equal(rota_file_write(file, "45", 2), 2);
    assert_int_equal(rota_file_tell(file), 6);
    assert_text_of_file("f", "012345");
    rota_file_free(file);
    return 0;
}

static void appending_moves_the_position_to_the_end(void)
{
    in_a_folder(append_at_the_end);
}

/* --- Order --------------------------------------------------------------- */

static intptr_t write_in_turns(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io a = {.file = file, .data = "aa", .size = 2, .word = "a"};
    struct io b = {.file = file, .data = "bbb", .size = 3, .word = "b"};
    struct io c = {.file = file, .data = "c", .size = 1, .word = "c"};
    rota_task tasks[3];

    (void)arg;
    for (int i = 0; i < 10; i++) {
        tasks[0] = start(do_write, &a);
        tasks[1] = start(do_write, &b);
        tasks[2] = start(do_write, &c);
        for (int j = 0; j < 3; j++)
            assert_true(rota_await(tasks[j]) > 0);
        assert_noted("a:2 b:3 c:1");
    }
    assert_text_of_file("f", "aabbbcaabbbcaabbbcaabbbcaabbbc"
                             "aabbbcaabbbcaabbbcaabbbcaabbbc");
    rota_file_free(file);
    return 0;
}

static void writes_of_many_tasks_are_made_in_the_order_of_asking(void)
{
    in_a_folder(write_in_turns);
}

static intptr_t read_in_turns(void *arg)
{
    static char bufs[5][3];
    struct io ios[5];
    rota_task tasks[5];
    rota_file *file;

    (void)arg;
    put_text("f", "0123456789");
    forget_cached("f");
    file = opened("f", O_RDONLY);
    for (int i = 0; i < 5; i++) {
        ios[i] = (struct io){.file = file, .data = bufs[i], .size = 2};
        tasks[i] = start(do_read, &ios[i]);
    }
    for (int i = 0; i < 5; i++)
        assert_int_equal(rota_await(tasks[i]), 2);
    assert_string_equal(bufs[0], "01");
    assert_string_equal(bufs[2], "45");
    assert_string_equal(bufs[4], "89");
    rota_file_free(file);
    return 0;
}

static void reads_of_many_tasks_share_a_position(void)
{
    in_a_folder(read_in_turns);
}

static intptr_t both_offsets_at_once(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io held = {.file = file, .data = "held", .size = 4};
    char buf[4];
    rota_task task;

    (void)arg;
    assert_int_equal(rota_file_pwrite(file, "0123", 4, 0), 4);
    hold_files();
    held.offset = 4;
    task = start(do_pwrite, &held);
    pass_turns(1);
    /* What is at hand is read while the other still waits for a thread. */
    assert_int_equal(rota_file_pread(file, buf, 4, 0), 4);
    assert_memory_equal(buf, "0123", 4);
    assert_int_equal(size_of("f"), 4);
    open_gate();
    assert_int_equal(rota_await(task), 4);
    assert_text_of_file("f", "0123held");
    rota_file_free(file);
    return 0;
}

static void calls_with_an_offset_run_side_by_side(void)
{
    in_a_folder(both_offsets_at_once);
}

HARNESS_MAIN(TEST(what_was_written_is_read_and_the_position_moves),
             TEST(a_read_at_the_end_is_short_and_then_zero),
             TEST(calls_with_an_offset_leave_the_position),
             TEST(much_is_written_and_read_whole),
             TEST(all_is_read_or_the_limit_told),
             TEST(the_position_can_be_moved_but_not_before_the_beginning),
             TEST(an_fd_is_taken_over_with_its_position),
             TEST(a_shared_fd_is_left_where_the_file_was),
             TEST(an_fd_needs_a_running_loop),
             TEST(offsets_above_four_gibibytes_work),
             TEST(a_file_is_looked_at_cut_and_synced),
             TEST(a_file_is_not_inherited_by_programs),
             TEST(lines_that_two_append_are_whole),
             TEST(appending_moves_the_position_to_the_end),
             TEST(writes_of_many_tasks_are_made_in_the_order_of_asking),
             TEST(reads_of_many_tasks_share_a_position),
             TEST(calls_with_an_offset_run_side_by_side))
