/* SPDX-License-Identifier: MIT */
/*
 * Files: read whole, and written anew
 */
#define _GNU_SOURCE
#include "folders.h"

#define BIG (3 * 1000003)

/* --- Reading ------------------------------------------------------------- */

static void assert_read(const char *path, const char *text)
{
    void *data = NULL;
    size_t size = 77;

    assert_int_equal(rota_read_file(path, &data, &size, 0), 0);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    rota_file_data_free(data);
}

static intptr_t read_small_ones(void *arg)
{
    void *data;
    size_t size;

    (void)arg;
    put_text("f", "0123456789");
    put_text("empty", "");
    assert_read("f", "0123456789");
    assert_read("empty", "");
    assert_int_equal(rota_read_file("f", &data, &size, 9), -ROTA_ELIMIT);
    assert_int_equal(rota_read_file("f", &data, &size, 10), 0);
    assert_int_equal(size, 10);
    rota_file_data_free(data);
    assert_int_equal(rota_read_file("missing", &data, &size, 0), -ENOENT);
    assert_int_equal(rota_read_file(".", &data, &size, 0), -EISDIR);
    assert_int_equal(rota_read_file(NULL, &data, &size, 0), -EINVAL);
    assert_int_equal(rota_read_file("f", NULL, &size, 0), -EINVAL);
    assert_int_equal(rota_read_file("f", &data, NULL, 0), -EINVAL);
    rota_file_data_free(NULL);
    return 0;
}

static void a_file_is_read_whole_and_ends_with_a_zero(void)
{
    in_a_folder(read_small_ones);
}

static intptr_t read_a_big_one(void *arg)
{
    void *data;
    size_t size;

    (void)arg;
    put_bytes("f", BIG);
    assert_int_equal(rota_read_file("f", &data, &size, 0), 0);
    assert_int_equal(size, BIG);
    assert_bytes(data, BIG, 0);
    rota_file_data_free(data);
    return 0;
}

static void a_big_file_is_read_whole(void)
{
    in_a_folder(read_a_big_one);
}

/* It says that it is empty, and is not. */
static intptr_t read_without_a_size(void *arg)
{
    void *data;
    size_t size;

    (void)arg;
    assert_int_equal(rota_read_file("/proc/self/maps", &data, &size, 0), 0);
    assert_true(size > 1000);
    assert_int_equal(strlen(data), size);
    rota_file_data_free(data);
    assert_int_equal(rota_read_file("/proc/self/maps", &data, &size, 100),
                     -ROTA_ELIMIT);
    assert_int_equal(rota_read_file("/dev/zero", &data, &size, 100000),
                     -ROTA_ELIMIT);
    assert_int_equal(rota_read_file("/proc/self/mem", &data, &size, 0), -EIO);
    return 0;
}

static void a_file_whose_size_is_not_known_is_read_whole(void)
{
    in_a_folder(read_without_a_size);
}

/* A read that never ends would hold the end of the loop. */
static intptr_t read_for_ever(void *arg)
{
    void *data;
    size_t size;

    (void)arg;
    return rota_read_file("/dev/zero", &data, &size, 0);
}

static intptr_t stop_reading(void *arg)
{
    rota_task task = start(read_for_ever, NULL);

    (void)arg;
    pass_turns(10);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    pass_jobs();
    return 0;
}

static void a_read_that_nobody_wants_stops(void)
{
    in_a_folder(stop_reading);
}

/* --- Writing ------------------------------------------------------------- */

static intptr_t write_new_ones(void *arg)
{
    char *data = malloc(BIG);
    struct stat status;

    (void)arg;
    (void)umask(022);
    assert_int_equal(rota_write_file("f", "new", 3, 0666), 0);
    assert_text_of_file("f", "new");
    assert_int_equal(stat("f", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
    assert_int_equal(rota_write_file("f", NULL, 0, 0600), 0);
    assert_text_of_file("f", "");
    assert_int_equal(stat("f", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    fill(data, BIG, 0);
    assert_int_equal(rota_write_file("./f", data, BIG, 0600), 0);
    free(data);
    assert_int_equal(size_of("f"), BIG);
    assert_int_equal(entries_in("."), 1);
    return 0;
}

static void a_file_is_written_anew(void)
{
    in_a_folder(write_new_ones);
}

static intptr_t write_beside(void *arg)
{
    int old;
    char text[8] = "";

    (void)arg;
    assert_int_equal(mkdir("d", 0700), 0);
    put_text("d/f", "old");
    old = open("d/f", O_RDONLY);
    assert_int_equal(rota_write_file("d/f", "new", 3, 0600), 0);
    /* Who has it open reads the old one to its end. */
    assert_int_equal(read(old, text, sizeof text), 3);
    assert_string_equal(text, "old");
    close(old);
    assert_text_of_file("d/f", "new");
    assert_int_equal(entries_in("d"), 1);
    return 0;
}

static void who_reads_the_old_one_is_not_disturbed(void)
{
    in_a_folder(write_beside);
}

static intptr_t fail_to_write(void *arg)
{
    const struct rlimit limit = {4096, 4096};
    static char much[8192];
    char long_name[300];

    (void)arg;
    put_text("f", "old");
    assert_int_equal(mkdir("d", 0700), 0);
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(rota_write_file("missing/f", "x", 1, 0600), -ENOENT);
    assert_int_equal(rota_write_file("d", "x", 1, 0600), -EISDIR);
    assert_int_equal(rota_write_file("f/x", "x", 1, 0600), -ENOTDIR);
    assert_int_equal(rota_write_file("", "x", 1, 0600), -ENOENT);
    assert_int_equal(rota_write_file(long_name, "x", 1, 0600), -ENAMETOOLONG);
    assert_int_equal(rota_write_file(NULL, "x", 1, 0600), -EINVAL);
    assert_int_equal(rota_write_file("f", NULL, 1, 0600), -EINVAL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rota_write_file("f", much, sizeof much, 0600), -EFBIG);
    assert_text_of_file("f", "old");
    assert_int_equal(entries_in("."), 2);
    return 0;
}

static void a_write_that_fails_leaves_the_old_one_and_nothing_else(void)
{
    in_a_folder(fail_to_write);
}

static intptr_t write_it(void *arg)
{
    const struct io *io = arg;

    return rota_write_file("f", io->data, io->size, 0600);
}

/* At whatever moment: it is the old or the new one, and nothing is beside. */
static intptr_t cancel_writing(void *arg)
{
    size_t size = 4 * ROTA__FILE_PIECE;
    struct io io = {.data = malloc(size), .size = size};

    (void)arg;
    fill(io.data, size, 0);
    for (int round = 0; round < 40; round++) {
        rota_task task;
        int cancelled;
        intptr_t n;

        put_text("f", "old");
        task = start(write_it, &io);
        for (int i = 0; i < round / 2; i++)
            assert_int_equal(rota_sleep(0), 0);
        cancelled = rota_task_cancel(task);
        n = rota_await(task);
        assert_int_equal(n, cancelled == 1 ? -ECANCELED : 0);
        pass_jobs();
        assert_true(size_of("f") == 3 || size_of("f") == (off_t)size);
        assert_true(n < 0 || size_of("f") == (off_t)size);
        assert_int_equal(entries_in("."), 1);
    }
    free(io.data);
    return 0;
}

static void a_write_that_is_cancelled_leaves_the_old_or_the_new_one(void)
{
    in_a_folder(cancel_writing);
}

static intptr_t cancel_before(void *arg)
{
    struct io io = {.data = "new", .size = 3};
    rota_task task;

    (void)arg;
    put_text("f", "old");
    hold_files();
    task = start(write_it, &io);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    open_gate();
    pass_jobs();
    assert_text_of_file("f", "old");
    assert_int_equal(entries_in("."), 1);
    return 0;
}

static void a_write_that_has_not_begun_leaves_the_old_one(void)
{
    in_a_folder(cancel_before);
}

static intptr_t write_both(void *arg)
{
    struct io a = {.data = "aaaa", .size = 4};
    struct io b = {.data = "bbbb", .size = 4};
    rota_task tasks[20];

    (void)arg;
    for (int i = 0; i < 20; i++)
        tasks[i] = start(write_it, i % 2 ? &a : &b);
    for (int i = 0; i < 20; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    assert_int_equal(size_of("f"), 4);
    assert_int_equal(entries_in("."), 1);
    return 0;
}

static void many_who_write_one_file_leave_one_of_theirs(void)
{
    in_a_folder(write_both);
}

HARNESS_MAIN(TEST(a_file_is_read_whole_and_ends_with_a_zero),
             TEST(a_big_file_is_read_whole),
             TEST(a_file_whose_size_is_not_known_is_read_whole),
             TEST(a_read_that_nobody_wants_stops), TEST(a_file_is_written_anew),
             TEST(who_reads_the_old_one_is_not_disturbed),
             TEST(a_write_that_fails_leaves_the_old_one_and_nothing_else),
             TEST(a_write_that_is_cancelled_leaves_the_old_or_the_new_one),
             TEST(a_write_that_has_not_begun_leaves_the_old_one),
             TEST(many_who_write_one_file_leave_one_of_theirs))
