/* SPDX-License-Identifier: MIT */
/*
 * Files: closed and freed, by their owner or with their loop, while somebody
 * is inside. The harness counts the descriptors that are left.
 */
#define _GNU_SOURCE
#include "folders.h"

/* --- By the owner -------------------------------------------------------- */

static intptr_t use_a_closed_one(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct stat status;
    char byte;

    (void)arg;
    assert_int_equal(rota_file_close(file), 0);
    assert_int_equal(rota_file_close(file), 0);
    assert_int_equal(rota_file_read(file, &byte, 1), -ROTA_ECLOSING);
    assert_int_equal(rota_file_read_all(file, &byte, 1), -ROTA_ECLOSING);
    assert_int_equal(rota_file_pread(file, &byte, 1, 0), -ROTA_ECLOSING);
    assert_int_equal(rota_file_write(file, "", 1), -ROTA_ECLOSING);
    assert_int_equal(rota_file_pwrite(file, "", 1, 0), -ROTA_ECLOSING);
    assert_int_equal(rota_file_seek(file, 0, SEEK_SET), -ROTA_ECLOSING);
    assert_int_equal(rota_file_stat(file, &status), -ROTA_ECLOSING);
    assert_int_equal(rota_file_sync(file), -ROTA_ECLOSING);
    assert_int_equal(rota_file_datasync(file), -ROTA_ECLOSING);
    assert_int_equal(rota_file_truncate(file, 0), -ROTA_ECLOSING);
    assert_int_equal(rota_file_fileno(file), -ROTA_ECLOSING);
    rota_file_free(file);
    rota_file_free(NULL);
    return 0;
}

static void a_closed_file_refuses_everything(void)
{
    in_a_folder(use_a_closed_one);
}

static intptr_t close_under_way(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io write = {.file = file, .data = "ab", .size = 2, .word = "write"};
    struct io more = {.file = file, .data = "cd", .size = 2, .word = "more"};
    struct io closing = {.file = file, .word = "close"};
    rota_task tasks[4];

    (void)arg;
    hold_files();
    tasks[0] = start(do_write, &write);
    tasks[1] = start(do_write, &more);
    pass_turns(1);
    tasks[2] = start(do_close, &closing);
    tasks[3] = start(do_close, &closing);
    pass_turns(1);
    assert_int_equal(rota_file_write(file, "no", 2), -ROTA_ECLOSING);
    open_gate();
    for (int i = 0; i < 4; i++)
        assert_true(rota_await(tasks[i]) >= 0);
    assert_noted("write:2 more:2 close:0 close:0");
    assert_text_of_file("f", "abcd");
    rota_file_free(file);
    return 0;
}

static void closing_waits_for_what_is_under_way(void)
{
    in_a_folder(close_under_way);
}

static intptr_t free_under_way(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io write = {.file = file, .data = "ab", .size = 2, .word = "write"};
    struct io more = {.file = file, .data = "cd", .size = 2, .word = "more"};
    rota_task tasks[2];

    (void)arg;
    hold_files();
    tasks[0] = start(do_write, &write);
    tasks[1] = start(do_write, &more);
    pass_turns(1);
    rota_file_free(file);
    open_gate();
    assert_int_equal(rota_await(tasks[0]), 2);
    assert_int_equal(rota_await(tasks[1]), 2);
    assert_noted("write:2 more:2");
    assert_text_of_file("f", "abcd");
    return 0;
}

static void a_file_that_is_freed_is_kept_for_who_is_inside(void)
{
    in_a_folder(free_under_way);
}

static intptr_t free_while_closing(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io closing = {.file = file, .word = "close"};
    rota_task task;

    (void)arg;
    hold_files();
    task = start(do_close, &closing);
    pass_turns(1);
    rota_file_free(file);
    open_gate();
    assert_int_equal(rota_await(task), 0);
    assert_noted("close:0");
    return 0;
}

static void a_file_that_is_freed_is_kept_for_who_closes_it(void)
{
    in_a_folder(free_while_closing);
}

static intptr_t cancel_close(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io closing = {.file = file};
    int fd = rota_file_fileno(file);
    rota_task task;

    (void)arg;
    hold_files();
    task = start(do_close, &closing);
    pass_turns(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    open_gate();
    pass_jobs();
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(rota_file_close(file), 0);
    rota_file_free(file);
    return 0;
}

static void a_close_that_was_cancelled_is_made_nevertheless(void)
{
    in_a_folder(cancel_close);
}

/* A number that is another file's by now must not be written to. */
static intptr_t reuse_the_fd(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io write = {.file = file, .data = "mine", .size = 4};
    int fd = rota_file_fileno(file);
    rota_task task;
    int other;

    (void)arg;
    hold_files();
    task = start(do_pwrite, &write);
    pass_turns(1);
    rota_file_free(file);
    other = open("other", O_RDWR | O_CREAT, 0600);
    assert_true(other != fd);
    open_gate();
    assert_int_equal(rota_await(task), 4);
    pass_jobs();
    assert_text_of_file("other", "");
    assert_text_of_file("f", "mine");
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close(other);
    return 0;
}

static void an_fd_is_not_closed_while_a_call_uses_it(void)
{
    in_a_folder(reuse_the_fd);
}

/* --- With the loop ------------------------------------------------------- */

static rota_file *left;

static intptr_t leave_open(void *arg)
{
    (void)arg;
    left = opened("f", O_RDWR | O_CREAT);
    return rota_file_fileno(left);
}

static void a_file_is_closed_with_its_loop_and_freed_by_its_owner(void)
{
    intptr_t fd;

    enter_folder();
    fd = run_virtually(leave_open, NULL);
    assert_true(fd > 2);
    assert_int_equal(fcntl((int)fd, F_GETFD), -1);
    assert_int_equal(rota_file_fileno(left), -ROTA_ECLOSING);
    rota_file_free(left);
    leave_folder();
}

static intptr_t use_the_left(void *arg)
{
    char byte;

    (void)arg;
    assert_int_equal(rota_file_read(left, &byte, 1), -ROTA_ECLOSING);
    assert_int_equal(rota_file_close(left), 0);
    rota_file_free(left);
    return 0;
}

static void a_file_of_a_closed_loop_refuses_everything(void)
{
    enter_folder();
    assert_true(run_virtually(leave_open, NULL) > 2);
    scenario(use_the_left);
    leave_folder();
}

/* A loop that is closed while a task of it waits for a call. */
struct unfinished {
    rota_task_function *function;
    struct io io;
    bool begun; /* it is over, and the loop has not heard of that */
};

static intptr_t begin_unfinished(void *arg)
{
    struct unfinished *self = arg;
    rota_task task;

    self->io.file = opened("f", O_RDWR | O_CREAT);
    self->io.file->direct = true; /* so that the pool makes the reads */
    if (!self->begun)
        hold_files();
    task = start(self->function, &self->io);
    assert_int_equal(rota_detach(task), 0);
    pass_turns(1);
    if (self->begun)
        see_answer();
    return 0;
}

static void *open_the_gate(void *arg)
{
    (void)arg;
    open_gate();
    return NULL;
}

static void close_during(struct unfinished *self)
{
    rota_loop *loop;
    pthread_t opener;

    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    keep_order(loop);
    assert_int_equal(rota_loop_run_until_complete(loop, begin_unfinished, self),
                     0);
    opener = start_thread(open_the_gate, NULL);
    rota_loop_free(loop);
    pthread_join(opener, NULL);
    rota_file_free(self->io.file);
    assert_noted("");
}

static intptr_t open_more(void *arg)
{
    rota_file *file;

    (void)arg;
    return rota_file_open(&file, "more", O_RDWR | O_CREAT, 0600);
}

static intptr_t list_more(void *arg)
{
    rota_directory directory;

    (void)arg;
    return rota_readdir(".", &directory);
}

static intptr_t read_more(void *arg)
{
    void *data;
    size_t size;

    (void)arg;
    return rota_read_file("f", &data, &size, 0);
}

static intptr_t write_more(void *arg)
{
    (void)arg;
    return rota_write_file("whole", "data", 4, 0600);
}

static intptr_t free_it(void *arg)
{
    struct io *io = arg;

    rota_file_free(io->file);
    io->file = NULL;
    return 0;
}

static rota_task_function *const unfinished_ones[] = {
    do_read,   do_write,  do_pread,  do_pwrite,  do_close, do_sync,
    open_more, list_more, read_more, write_more, free_it,
};

static void close_during_each(bool begun)
{
    static char buf[4096];

    enter_folder();
    for (size_t i = 0; i < sizeof unfinished_ones / sizeof *unfinished_ones;
         i++) {
        struct unfinished self = {
            .function = unfinished_ones[i],
            .io = {.data = buf, .size = sizeof buf, .word = "heard"},
            .begun = begun,
        };

        close_during(&self);
    }
    leave_folder();
}

static void a_loop_that_closes_leaves_no_call_that_waits(void)
{
    close_during_each(false);
}

static void a_loop_that_closes_leaves_no_call_that_is_over(void)
{
    close_during_each(true);
}

/* Its task is in the midst of the copy, and its memory is lost with it. */
static intptr_t copy_from_here(void *arg)
{
    static char much[8 * ROTA__FILE_PIECE];
    const struct io *io = arg;

    return rota_file_write(io->file, much, sizeof much);
}

static intptr_t wait_in_line(void *arg)
{
    struct unfinished *self = arg;

    self->io.file = opened("f", O_RDWR | O_CREAT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rota_detach(start(copy_from_here, &self->io)), 0);
    pass_turns(2);
    return 0;
}

static void a_loop_that_closes_leaves_no_copy_and_no_queue(void)
{
    struct unfinished self = {0};
    rota_loop *loop;

    enter_folder();
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    keep_order(loop);
    assert_int_equal(rota_loop_run_until_complete(loop, wait_in_line, &self),
                     0);
    rota_loop_free(loop);
    rota_file_free(self.io.file);
    assert_int_equal(size_of("f"), 0);
    leave_folder();
}

HARNESS_MAIN(TEST(a_closed_file_refuses_everything),
             TEST(closing_waits_for_what_is_under_way),
             TEST(a_file_that_is_freed_is_kept_for_who_is_inside),
             TEST(a_file_that_is_freed_is_kept_for_who_closes_it),
             TEST(a_close_that_was_cancelled_is_made_nevertheless),
             TEST(an_fd_is_not_closed_while_a_call_uses_it),
             TEST(a_file_is_closed_with_its_loop_and_freed_by_its_owner),
             TEST(a_file_of_a_closed_loop_refuses_everything),
             TEST(a_loop_that_closes_leaves_no_call_that_waits),
             TEST(a_loop_that_closes_leaves_no_call_that_is_over),
             TEST(a_loop_that_closes_leaves_no_copy_and_no_queue))
