/* SPDX-License-Identifier: MIT */
/*
 * Files: the loop is never held, by one call or by many
 */
#define _GNU_SOURCE
#include "folders.h"

#define BIG (3 * 1000003) /* no multiple of anything */

/* Where the system can say what it has at hand. */
static void need_cached_reads(void)
{
    char byte;
    int fd;

    put_text("probe", "x");
    fd = open("probe", O_RDONLY);
    if (rota__file_read_cached(fd, &byte, 1, 0) != 1)
        skip_in_a_folder("the system does not tell what it has in memory");
    close(fd);
}

static intptr_t read_at_hand(void *arg)
{
    rota_file *file = NULL;
    char buf[100];

    (void)arg;
    need_cached_reads();
    put_text("f", "0123456789");
    assert_int_equal(rota_file_open_fd(&file, open("f", O_RDONLY)), 0);
    assert_int_equal(rota_file_read(file, buf, 5), 5);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 5);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 0);
    assert_int_equal(rota_file_pread(file, buf, sizeof buf, 2), 8);
    assert_int_equal(rota_file_seek(file, 0, SEEK_SET), 0);
    assert_int_equal(rota_file_read_all(file, buf, sizeof buf), 10);
    assert_null(rota_get_running_loop()->pools[ROTA__FILES]);
    rota_file_free(file);
    return 0;
}

static void what_is_in_memory_is_read_without_a_thread(void)
{
    in_a_folder(read_at_hand);
}

static bool reading;

static intptr_t count_turns(void *count)
{
    while (reading) {
        ++*(int *)count;
        if (rota_sleep(0) < 0)
            return -ECANCELED;
    }
    return 0;
}

static intptr_t read_much_at_hand(void *arg)
{
    rota_file *file = NULL;
    char *buf = malloc(BIG);
    int turns = 0;
    rota_task other;

    (void)arg;
    need_cached_reads();
    put_bytes("f", BIG);
    assert_int_equal(rota_file_open_fd(&file, open("f", O_RDONLY)), 0);
    reading = true;
    other = start(count_turns, &turns);
    assert_int_equal(rota_file_read(file, buf, BIG), BIG);
    reading = false;
    assert_bytes(buf, BIG, 0);
    assert_int_equal(rota_await(other), 0);
    assert_true(turns >= (int)(BIG / ROTA__FILE_PIECE));
    free(buf);
    rota_file_free(file);
    return 0;
}

static void a_big_read_lets_the_others_run(void)
{
    in_a_folder(read_much_at_hand);
}

static intptr_t read_again_and_again(void *arg)
{
    rota_file *file = NULL;
    int turns = 0;
    rota_task other;
    char byte;

    (void)arg;
    need_cached_reads();
    put_text("f", "0123456789");
    assert_int_equal(rota_file_open_fd(&file, open("f", O_RDONLY)), 0);
    reading = true;
    other = start(count_turns, &turns);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rota_file_pread(file, &byte, 1, i % 10), 1);
    reading = false;
    assert_int_equal(rota_await(other), 0);
    assert_true(turns >= 10);
    rota_file_free(file);
    return 0;
}

static void many_small_reads_let_the_others_run(void)
{
    in_a_folder(read_again_and_again);
}

static intptr_t write_much_beside(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    char *data = malloc(BIG);
    int turns = 0;
    rota_task other;

    (void)arg;
    fill(data, BIG, 0);
    reading = true;
    other = start(count_turns, &turns);
    assert_int_equal(rota_file_write(file, data, BIG), BIG);
    reading = false;
    assert_int_equal(rota_await(other), 0);
    assert_true(turns >= (int)(BIG / ROTA__FILE_PIECE));
    free(data);
    rota_file_free(file);
    return 0;
}

static void a_big_write_lets_the_others_run(void)
{
    in_a_folder(write_much_beside);
}

static intptr_t expect_no_jump(void *arg)
{
    rota_timer_handle timer;
    rota_file *file;
    double begin = now();

    (void)arg;
    assert_int_equal(rota_call_later(rota_get_running_loop(), &timer, 1e-9,
                                     note_callback, "timer"),
                     0);
    file = opened("f", O_RDWR | O_CREAT);
    assert_int_equal(rota_file_write(file, "x", 1), 1);
    assert_int_equal(rota_file_sync(file), 0);
    assert_true(now() == begin);
    assert_noted("");
    assert_int_equal(rota_sleep(1), 0);
    assert_noted("timer");
    rota_file_free(file);
    return 0;
}

static void virtual_time_stands_still_while_a_file_is_worked_on(void)
{
    in_a_folder(expect_no_jump);
}

/* --- Many ---------------------------------------------------------------- */

#define TASKS 50
#define READS 200

static intptr_t read_many(void *arg)
{
    rota_file *file = arg;
    char buf[512];

    for (size_t i = 0; i < READS; i++) {
        size_t offset = i * 4099 % (BIG - sizeof buf);

        assert_int_equal(
            rota_file_pread(file, buf, sizeof buf, (int64_t)offset),
            sizeof buf);
        assert_bytes(buf, sizeof buf, offset);
    }
    return 0;
}

static intptr_t ten_thousand_reads(void *direct)
{
    rota_file *file;
    rota_task tasks[TASKS];

    put_bytes("f", BIG);
    forget_cached("f");
    file = opened("f", O_RDONLY);
    file->direct = direct != NULL; /* so that the pool makes each of them */
    for (int i = 0; i < TASKS; i++)
        tasks[i] = start(read_many, file);
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(rota_await(tasks[i]), 0);
    rota_file_free(file);
    return 0;
}

static void ten_thousand_reads_of_fifty_tasks_are_right(void)
{
    in_a_folder(ten_thousand_reads);
}

static intptr_t ten_thousand_jobs(void *arg)
{
    (void)arg;
    return ten_thousand_reads("by the pool");
}

static void ten_thousand_reads_by_the_pool_are_right(void)
{
    in_a_folder(ten_thousand_jobs);
}

static intptr_t read_without_a_cache(void *arg)
{
    static char room[3 * 4096];
    rota_file *file = NULL;
    int err;

    (void)arg;
    put_bytes("f", 5000);
    forget_cached("f");
    err = rota_file_open(&file, "f", O_RDONLY | O_DIRECT, 0);
    if (err == -EINVAL)
        skip_in_a_folder("the file system has nothing but its cache");
    assert_int_equal(err, 0);
    /* Wherever the caller's memory lies. */
    assert_int_equal(rota_file_read(file, room + 1, 8192), 5000);
    assert_bytes(room + 1, 5000, 0);
    rota_file_free(file);
    return 0;
}

static void a_file_is_read_past_the_cache(void)
{
    in_a_folder(read_without_a_cache);
}

HARNESS_MAIN(TEST(what_is_in_memory_is_read_without_a_thread),
             TEST(a_big_read_lets_the_others_run),
             TEST(many_small_reads_let_the_others_run),
             TEST(a_big_write_lets_the_others_run),
             TEST(virtual_time_stands_still_while_a_file_is_worked_on),
             TEST(ten_thousand_reads_of_fifty_tasks_are_right),
             TEST(ten_thousand_reads_by_the_pool_are_right),
             TEST(a_file_is_read_past_the_cache))
