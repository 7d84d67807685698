/* SPDX-License-Identifier: MIT */
/*
 * Files: cancelled before a call has begun, while it runs, and after it
 */
#define _GNU_SOURCE
#include "folders.h"

static void cancel(rota_task task)
{
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
}

/* A file whose reads are always made by the pool. */
static rota_file *uncached(const char *path, int flags)
{
    rota_file *file = opened(path, flags);

    file->direct = true;
    return file;
}

/* --- Before it has begun ------------------------------------------------- */

static intptr_t cancel_waiting_write(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io io = {.file = file, .data = "lost", .size = 4};
    rota_task task;

    (void)arg;
    hold_files();
    task = start(do_write, &io);
    pass_turns(1);
    assert_true(rota_get_running_loop()->job_count == FILE_THREADS + 1);
    cancel(task);
    assert_true(rota_get_running_loop()->job_count == FILE_THREADS);
    open_gate();
    assert_int_equal(rota_file_tell(file), 0);
    assert_int_equal(rota_file_write(file, "kept", 4), 4);
    assert_text_of_file("f", "kept");
    assert_int_equal(rota_file_sync(file), 0);
    rota_file_free(file);
    return 0;
}

static void a_write_that_has_not_begun_is_never_made(void)
{
    in_a_folder(cancel_waiting_write);
}

static intptr_t cancel_in_the_queue(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io a = {.file = file, .data = "a", .size = 1, .word = "a"};
    struct io b = {.file = file, .data = "b", .size = 1, .word = "b"};
    struct io c = {.file = file, .data = "c", .size = 1, .word = "c"};
    rota_task tasks[3];

    (void)arg;
    hold_files();
    tasks[0] = start(do_write, &a);
    tasks[1] = start(do_write, &b);
    tasks[2] = start(do_write, &c);
    pass_turns(1);
    cancel(tasks[1]);
    open_gate();
    assert_int_equal(rota_await(tasks[0]), 1);
    assert_int_equal(rota_await(tasks[2]), 1);
    assert_noted("b:ECANCELED a:1 c:1");
    assert_text_of_file("f", "ac");
    rota_file_free(file);
    return 0;
}

static void who_is_cancelled_in_the_queue_leaves_it(void)
{
    in_a_folder(cancel_in_the_queue);
}

static intptr_t cancel_waiting_read(void *arg)
{
    char buf[4] = "...";
    struct io io = {.data = buf, .size = 3};
    rota_task task;

    (void)arg;
    put_text("f", "012345");
    io.file = uncached("f", O_RDONLY);
    hold_files();
    task = start(do_read, &io);
    pass_turns(1);
    cancel(task);
    open_gate();
    pass_jobs();
    assert_string_equal(buf, "...");
    assert_int_equal(rota_file_tell(io.file), 0);
    assert_int_equal(rota_file_read(io.file, buf, 3), 3);
    assert_string_equal(buf, "012");
    rota_file_free(io.file);
    return 0;
}

static void a_read_that_was_cancelled_is_still_to_be_read(void)
{
    in_a_folder(cancel_waiting_read);
}

static intptr_t cancel_while_copying(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    size_t size = 10 * ROTA__FILE_PIECE;
    struct io io = {.file = file, .data = calloc(1, size), .size = size};
    rota_task task = start(do_write, &io);

    (void)arg;
    pass_turns(3);
    cancel(task);
    pass_jobs();
    assert_int_equal(size_of("f"), 0);
    assert_int_equal(rota_file_tell(file), 0);
    free(io.data);
    rota_file_free(file);
    return 0;
}

static void a_big_write_is_taken_whole_or_not_at_all(void)
{
    in_a_folder(cancel_while_copying);
}

/* --- When it has begun --------------------------------------------------- */

static intptr_t cancel_made_write(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    char data[] = "made";
    struct io io = {.file = file, .data = data, .size = 4};
    rota_task task = start(do_write, &io);

    (void)arg;
    pass_turns(1);
    memset(data, '-', 4); /* it has a copy */
    see_size("f", 4);
    cancel(task);
    assert_int_equal(rota_file_write(file, "!", 1), 1);
    assert_int_equal(rota_file_tell(file), 5);
    assert_text_of_file("f", "made!");
    assert_int_equal(rota_file_sync(file), 0);
    rota_file_free(file);
    return 0;
}

static void a_write_that_has_begun_is_made_and_the_next_waits_for_it(void)
{
    in_a_folder(cancel_made_write);
}

/* It was told of its end in one of these turns, or has run. */
#define TURNS 4

static void pass_answer(int turns)
{
    see_answer();
    pass_turns(turns);
}

static intptr_t cancel_told_writes(void *arg)
{
    (void)arg;
    for (int turns = 0; turns < TURNS; turns++) {
        rota_file *file = opened("f", O_RDWR | O_CREAT | O_TRUNC);
        struct io io = {.file = file, .data = "made", .size = 4};
        rota_task task = start(do_write, &io);
        int cancelled;

        pass_turns(1);
        pass_answer(turns);
        cancelled = rota_task_cancel(task);
        assert_int_equal(rota_await(task), cancelled == 1 ? -ECANCELED : 4);
        assert_int_equal(rota_file_seek(file, 0, SEEK_CUR), 4);
        assert_text_of_file("f", "made");
        rota_file_free(file);
    }
    return 0;
}

static void a_write_that_was_made_moves_the_position_also_for_nobody(void)
{
    in_a_folder(cancel_told_writes);
}

static void write_too_much(int turns)
{
    static char much[8192];
    rota_file *file = opened("f", O_RDWR | O_CREAT | O_TRUNC);
    struct io io = {.file = file, .data = much, .size = sizeof much};
    rota_task task = start(do_write, &io);
    bool told;

    pass_turns(1);
    pass_answer(turns);
    told = rota_task_cancel(task) == 0;
    assert_int_equal(rota_await(task), told ? -EFBIG : -ECANCELED);
    assert_int_equal(rota_file_seek(file, 0, SEEK_CUR), 4096);
    if (turns % 2 == 0)
        assert_int_equal(rota_file_sync(file), told ? 0 : -EFBIG);
    else
        assert_int_equal(rota_file_close(file), told ? 0 : -EFBIG);
    assert_int_equal(rota_file_close(file), 0);
    rota_file_free(file);
}

static intptr_t lose_errors(void *arg)
{
    const struct rlimit limit = {4096, 4096};

    (void)arg;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int turns = 0; turns < TURNS; turns++)
        write_too_much(turns);
    return 0;
}

static void an_error_that_nobody_heard_is_told_by_sync_or_close(void)
{
    in_a_folder(lose_errors);
}

static intptr_t cancel_told_reads(void *arg)
{
    char buf[8];
    struct io io = {.data = buf, .size = 4};

    (void)arg;
    put_text("f", "01234567");
    for (int turns = 0; turns < TURNS; turns++) {
        rota_task task;
        int cancelled;

        io.file = uncached("f", O_RDONLY);
        task = start(do_read, &io);
        pass_turns(1);
        pass_answer(turns);
        cancelled = rota_task_cancel(task);
        assert_int_equal(rota_await(task), cancelled == 1 ? -ECANCELED : 4);
        assert_int_equal(rota_file_tell(io.file), cancelled == 1 ? 0 : 4);
        rota_file_free(io.file);
        pass_jobs();
    }
    return 0;
}

static void the_position_moves_only_for_who_gets_the_bytes(void)
{
    in_a_folder(cancel_told_reads);
}

/* --- What brings something ----------------------------------------------- */

static intptr_t open_one(void *path)
{
    rota_file *file;
    int err = rota_file_open(&file, path, O_RDWR | O_CREAT, 0600);

    if (err == 0)
        rota_file_free(file);
    return err;
}

static intptr_t list_one(void *path)
{
    rota_directory directory;
    int err = rota_readdir(path, &directory);

    if (err == 0)
        rota_directory_fini(&directory);
    return err;
}

static intptr_t read_one(void *path)
{
    void *data;
    size_t size;
    int err = rota_read_file(path, &data, &size, 0);

    if (err == 0)
        rota_file_data_free(data);
    return err;
}

static intptr_t stat_one(void *path)
{
    struct stat status;

    return rota_stat(path, &status);
}

static intptr_t real_one(void *path)
{
    char buf[4096];
    intptr_t n = rota_realpath(path, buf, sizeof buf);

    return n > 0 ? 0 : n;
}

struct bringer {
    rota_task_function *function;
    char *path;
};

static const struct bringer bringers[] = {
    {open_one, "f"}, {list_one, "."}, {read_one, "f"},
    {stat_one, "f"}, {real_one, "f"},
};

static intptr_t cancel_waiting_ones(void *arg)
{
    (void)arg;
    put_text("f", "something");
    for (size_t i = 0; i < sizeof bringers / sizeof *bringers; i++) {
        rota_task task;

        hold_files();
        task = start(bringers[i].function, bringers[i].path);
        pass_turns(1);
        cancel(task);
        open_gate();
        pass_jobs();
    }
    return 0;
}

static void what_has_not_begun_brings_nothing(void)
{
    in_a_folder(cancel_waiting_ones);
}

/* At whatever moment: the harness counts what is left behind. */
static intptr_t cancel_running_ones(void *arg)
{
    (void)arg;
    put_text("f", "something");
    for (size_t i = 0; i < sizeof bringers / sizeof *bringers; i++) {
        for (int turns = 0; turns < 60; turns++) {
            rota_task task = start(bringers[i].function, bringers[i].path);
            int cancelled;

            for (int j = 0; j <= turns % 6; j++)
                assert_int_equal(rota_sleep(0), 0);
            for (int j = 0; j < turns; j++)
                sched_yield();
            cancelled = rota_task_cancel(task);
            assert_int_equal(rota_await(task), cancelled == 1 ? -ECANCELED : 0);
        }
    }
    return 0;
}

static void what_comes_for_nobody_is_given_back(void)
{
    in_a_folder(cancel_running_ones);
}

static void cancel_told(const struct bringer *bringer, int turns)
{
    rota_task task = start(bringer->function, bringer->path);
    int cancelled;

    pass_turns(1);
    pass_answer(turns);
    cancelled = rota_task_cancel(task);
    assert_int_equal(rota_await(task), cancelled == 1 ? -ECANCELED : 0);
    pass_jobs(); /* a file that is closed again */
}

static intptr_t cancel_answered_ones(void *arg)
{
    (void)arg;
    put_text("f", "something");
    for (size_t i = 0; i < sizeof bringers / sizeof *bringers; i++)
        for (int turns = 0; turns < TURNS; turns++)
            cancel_told(&bringers[i], turns);
    return 0;
}

static void an_answer_that_meets_a_cancellation_is_given_back(void)
{
    in_a_folder(cancel_answered_ones);
}

static intptr_t time_out(void *arg)
{
    rota_timeout limit;
    intptr_t err;

    (void)arg;
    hold_files();
    rota_timeout_begin(&limit, 0);
    err = rota_timeout_end(&limit, stat_one("/"));
    open_gate();
    assert_int_equal(err, -ETIMEDOUT);
    assert_int_equal(stat_one("/"), 0);
    return 0;
}

static void a_timeout_ends_a_call(void)
{
    in_a_folder(time_out);
}

HARNESS_MAIN(TEST(a_write_that_has_not_begun_is_never_made),
             TEST(who_is_cancelled_in_the_queue_leaves_it),
             TEST(a_read_that_was_cancelled_is_still_to_be_read),
             TEST(a_big_write_is_taken_whole_or_not_at_all),
             TEST(a_write_that_has_begun_is_made_and_the_next_waits_for_it),
             TEST(a_write_that_was_made_moves_the_position_also_for_nobody),
             TEST(an_error_that_nobody_heard_is_told_by_sync_or_close),
             TEST(the_position_moves_only_for_who_gets_the_bytes),
             TEST(what_has_not_begun_brings_nothing),
             TEST(what_comes_for_nobody_is_given_back),
             TEST(an_answer_that_meets_a_cancellation_is_given_back),
             TEST(a_timeout_ends_a_call))
