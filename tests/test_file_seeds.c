/* SPDX-License-Identifier: MIT */
/*
 * Files: many tasks, cancelled at any moment, in many orders
 *
 * What must hold in all of them: a record is written once and whole or not at
 * all, one that its task knows of is there, and the bytes of a pipe come once
 * and in order. When the threads are quick is theirs to decide, so a seed does
 * not replay a run; the rules hold all the same.
 */
#define _GNU_SOURCE
#include "folders.h"
#include "base/base.h"

#define SEEDS 20
#define RECORD 16
#define WRITERS 8
#define RECORDS 12

static uint64_t luck;

static int upto(int most)
{
    return (int)(rota__random(&luck) % (unsigned)(most + 1));
}

static void each_seed(rota_task_function *function)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const rota_loop_options options = {.seed = seed, .virtual_clock = true};

        luck = seed;
        enter_folder();
        assert_int_equal(rota_run_with(&options, function, NULL), 0);
        leave_folder();
    }
}

static int pass_some_turns(int most)
{
    int err = 0;

    for (int i = upto(most); err == 0 && i > 0; i--)
        err = rota_sleep(0);
    return err;
}

/* Cancels one again and again until it has ended. */
static void disturb(const rota_task *tasks, int count)
{
    for (int i = 0; i < 3 * count; i++) {
        assert_int_equal(pass_some_turns(4), 0);
        (void)rota_task_cancel(tasks[upto(count - 1)]);
    }
}

/* --- Records ------------------------------------------------------------- */

static rota_file *shared;
static bool known[WRITERS][RECORDS]; /* its task has heard that it is there */

static intptr_t write_records(void *arg)
{
    int writer = (int)(intptr_t)arg;

    for (int i = 0; i < RECORDS; i++) {
        char record[RECORD + 1];
        intptr_t n;

        snprintf(record, sizeof record, "%05d %09d", writer, i);
        record[RECORD - 1] = '\n';
        n = rota_file_write(shared, record, RECORD);
        known[writer][i] = n == RECORD;
        assert_true(n == RECORD || n == -ECANCELED);
    }
    return 0;
}

static void check_records(void)
{
    static char text[WRITERS * RECORDS * RECORD];
    static int seen[WRITERS][RECORDS];
    int last[WRITERS];
    intptr_t size;

    memset(seen, 0, sizeof seen);
    memset(last, -1, sizeof last);
    size = rota_file_pread(shared, text, sizeof text, 0);
    assert_true(size >= 0 && size % RECORD == 0);
    assert_int_equal(rota_file_seek(shared, 0, SEEK_CUR), size);
    for (intptr_t at = 0; at < size; at += RECORD) {
        int writer = atoi(text + at);
        int i = atoi(text + at + 6);

        assert_true(i > last[writer]); /* each one's own stay in order */
        last[writer] = i;
        seen[writer][i]++;
    }
    for (int writer = 0; writer < WRITERS; writer++)
        for (int i = 0; i < RECORDS; i++)
            assert_true(seen[writer][i] == 1 ||
                        (seen[writer][i] == 0 && !known[writer][i]));
}

static intptr_t write_and_cancel(void *arg)
{
    rota_task tasks[WRITERS];

    (void)arg;
    memset(known, 0, sizeof known);
    shared = opened("f", O_RDWR | O_CREAT);
    for (intptr_t i = 0; i < WRITERS; i++)
        tasks[i] = start(write_records, (void *)i);
    disturb(tasks, WRITERS);
    for (int i = 0; i < WRITERS; i++)
        assert_true(rota_await(tasks[i]) <= 0);
    check_records();
    rota_file_free(shared);
    return 0;
}

static void records_are_written_once_and_in_order_or_not_at_all(void)
{
    each_seed(write_and_cancel);
}

/* --- A pipe -------------------------------------------------------------- */

#define READERS 4
#define BYTES 4000

static rota_file *out;
static size_t read_so_far;

static intptr_t read_pieces(void *arg)
{
    intptr_t n = 1;

    (void)arg;
    while (n != 0) {
        char buf[64];

        n = rota_file_read(out, buf, 1 + (size_t)upto(62));
        if (n == -ECANCELED)
            continue;
        assert_true(n >= 0);
        assert_bytes(buf, (size_t)n, read_so_far);
        read_so_far += (size_t)n;
    }
    return 0;
}

static intptr_t write_pieces(void *arg)
{
    rota_file *in = arg;
    char buf[64];

    for (size_t at = 0; at < BYTES;) {
        size_t size = 1 + (size_t)upto(62);

        if (size > BYTES - at)
            size = BYTES - at;
        fill(buf, size, at);
        assert_int_equal(rota_file_write(in, buf, size), size);
        at += size;
    }
    return rota_file_close(in);
}

static intptr_t read_and_cancel(void *arg)
{
    rota_task readers[READERS];
    rota_task writer;
    rota_file *in;
    int fds[2];

    (void)arg;
    read_so_far = 0;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(rota_file_open_fd(&out, fds[0]), 0);
    assert_int_equal(rota_file_open_fd(&in, fds[1]), 0);
    writer = start(write_pieces, in);
    for (int i = 0; i < READERS; i++)
        readers[i] = start(read_pieces, NULL);
    disturb(readers, READERS);
    assert_int_equal(rota_await(writer), 0);
    for (int i = 0; i < READERS; i++)
        assert_true(rota_await(readers[i]) <= 0);
    assert_int_equal(read_so_far, BYTES);
    rota_file_free(out);
    rota_file_free(in);
    return 0;
}

static void bytes_of_a_pipe_come_once_and_in_order(void)
{
    each_seed(read_and_cancel);
}

/* --- Anything ------------------------------------------------------------ */

/* Cancelled or not. */
static void may_end(intptr_t n)
{
    assert_true(n >= 0 || n == -ECANCELED);
}

static intptr_t do_anything(void *arg)
{
    rota_directory directory;
    struct stat status;
    char buf[256];
    rota_file *file;
    size_t size;
    void *data;

    (void)arg;
    for (int i = 0; i < 10; i++) {
        may_end(rota_write_file("a", "whole", 5, 0600));
        if (rota_read_file("a", &data, &size, 0) == 0) {
            assert_true(size == 5);
            rota_file_data_free(data);
        }
        if (rota_readdir(".", &directory) == 0)
            rota_directory_fini(&directory);
        if (rota_file_open(&file, "b", O_RDWR | O_CREAT, 0600) == 0) {
            may_end(rota_file_pwrite(file, buf, 0, 0));
            may_end(rota_file_truncate(file, upto(100)));
            may_end(rota_file_pread(file, buf, sizeof buf, 0));
            may_end(rota_file_stat(file, &status));
            if (upto(1))
                may_end(rota_file_close(file));
            rota_file_free(file);
        }
    }
    return 0;
}

static intptr_t cancel_anything(void *arg)
{
    rota_task tasks[6];

    (void)arg;
    for (int i = 0; i < 6; i++)
        tasks[i] = start(do_anything, NULL);
    disturb(tasks, 6);
    for (int i = 0; i < 6; i++)
        assert_true(rota_await(tasks[i]) <= 0);
    pass_jobs();
    assert_true(size_of("a") <= 0 || size_of("a") == 5);
    assert_int_equal(entries_in("."), there_is("a") + there_is("b"));
    return 0;
}

static void whatever_is_cancelled_leaves_nothing(void)
{
    each_seed(cancel_anything);
}

HARNESS_MAIN(TEST(records_are_written_once_and_in_order_or_not_at_all),
             TEST(bytes_of_a_pipe_come_once_and_in_order),
             TEST(whatever_is_cancelled_leaves_nothing))
