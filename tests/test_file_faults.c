/* SPDX-License-Identifier: MIT */
/*
 * Files: errors of the system, and no memory, descriptor or thread
 */
#define _GNU_SOURCE
#include "folders.h"

/* --- What the system says ------------------------------------------------ */

static intptr_t fail_to_open(void *arg)
{
    char long_name[300];
    rota_file *file;

    (void)arg;
    put_text("f", "");
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(rota_file_open(&file, NULL, O_RDONLY, 0), -EINVAL);
    assert_int_equal(rota_file_open(&file, "missing", O_RDONLY, 0), -ENOENT);
    assert_int_equal(rota_file_open(&file, "f/x", O_RDONLY, 0), -ENOTDIR);
    assert_int_equal(rota_file_open(&file, ".", O_WRONLY, 0), -EISDIR);
    assert_int_equal(
        rota_file_open(&file, "f", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
    assert_int_equal(rota_file_open(&file, long_name, O_RDONLY, 0),
                     -ENAMETOOLONG);
    return 0;
}

static void errors_of_open_are_told(void)
{
    in_a_folder(fail_to_open);
}

static intptr_t fail_to_read(void *arg)
{
    rota_file *file;
    char buf[8];

    (void)arg;
    put_text("f", "0123");
    file = opened("f", O_WRONLY);
    assert_int_equal(rota_file_read(file, buf, 8), -EBADF);
    assert_int_equal(rota_file_pread(file, buf, 8, 0), -EBADF);
    assert_int_equal(rota_file_read(file, buf, 0), -EINVAL);
    assert_int_equal(rota_file_pread(file, buf, 0, 0), -EINVAL);
    assert_int_equal(rota_file_pread(file, buf, 8, -1), -EINVAL);
    assert_int_equal(rota_file_pread(file, buf, 8, INT64_MAX), -EINVAL);
    assert_int_equal(rota_file_read(file, buf, SIZE_MAX), -EINVAL);
    assert_int_equal(rota_file_read_all(file, buf, SIZE_MAX), -EINVAL);
    rota_file_free(file);
    file = opened(".", O_RDONLY | O_DIRECTORY);
    assert_int_equal(rota_file_read(file, buf, 8), -EISDIR);
    assert_int_equal(rota_file_sync(file), 0); /* of its names */
    rota_file_free(file);
    file = opened("/proc/self/mem", O_RDONLY); /* nothing lies at 0 */
    assert_int_equal(rota_file_read(file, buf, 8), -EIO);
    assert_int_equal(rota_file_tell(file), 0);
    rota_file_free(file);
    return 0;
}

static void errors_of_read_are_told(void)
{
    in_a_folder(fail_to_read);
}

static intptr_t fail_to_write(void *arg)
{
    const struct rlimit limit = {4096, 4096};
    static char much[8192];
    rota_file *file;

    (void)arg;
    put_text("f", "0123");
    file = opened("f", O_RDONLY);
    assert_int_equal(rota_file_write(file, "x", 1), -EBADF);
    assert_int_equal(rota_file_pwrite(file, "x", 1, 0), -EBADF);
    assert_int_equal(rota_file_pwrite(file, "x", 1, -1), -EINVAL);
    assert_int_equal(rota_file_pwrite(file, "x", 1, INT64_MAX), -EINVAL);
    assert_int_equal(rota_file_write(file, "x", SIZE_MAX), -EINVAL);
    assert_int_equal(rota_file_truncate(file, 0), -EINVAL);
    rota_file_free(file);
    file = opened("/dev/full", O_WRONLY);
    assert_int_equal(rota_file_write(file, "x", 1), -ENOSPC);
    assert_int_equal(rota_file_pwrite(file, "x", 1, 0), -ENOSPC);
    assert_int_equal(rota_file_sync(file), -EINVAL);
    rota_file_free(file);
    file = opened("f", O_WRONLY | O_TRUNC);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rota_file_write(file, much, sizeof much), -EFBIG);
    assert_int_equal(rota_file_tell(file), 4096);
    assert_int_equal(size_of("f"), 4096);
    assert_int_equal(rota_file_truncate(file, 8192), -EFBIG);
    assert_int_equal(rota_file_close(file), 0); /* its tasks have heard */
    rota_file_free(file);
    return 0;
}

static void errors_of_write_are_told_with_the_position_after_them(void)
{
    in_a_folder(fail_to_write);
}

static intptr_t use_another_loops(void *file)
{
    char byte;

    keep_order(rota_get_running_loop()); /* debug mode would stop it */
    assert_int_equal(rota_file_read(file, &byte, 1), -EINVAL);
    assert_int_equal(rota_file_close(file), -EINVAL);
    return 0;
}

static rota_file *foreign;

static intptr_t open_foreign(void *arg)
{
    (void)arg;
    foreign = opened("f", O_RDWR | O_CREAT);
    return 0;
}

static void a_file_of_another_loop_is_refused(void)
{
    rota_loop *loop;

    enter_folder();
    assert_int_equal(rota_new_event_loop(&loop, NULL), 0);
    assert_int_equal(rota_loop_run_until_complete(loop, open_foreign, NULL), 0);
    assert_int_equal(run_virtually(use_another_loops, foreign), 0);
    rota_file_free(foreign);
    rota_loop_free(loop);
    leave_folder();
}

/* --- No descriptor ------------------------------------------------------- */

static void take_all_fds(struct rlimit *before)
{
    int next = dup(0);
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    assert_true(next >= 0);
    close(next);
    limit = *before;
    limit.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static intptr_t run_out_of_fds(void *arg)
{
    struct rlimit before;
    rota_directory directory;
    struct stat status;
    rota_file *file;
    void *data;
    size_t size;

    (void)arg;
    put_text("f", "old");
    assert_int_equal(rota_stat("f", &status), 0);
    take_all_fds(&before);
    assert_int_equal(rota_file_open(&file, "f", O_RDONLY, 0), -EMFILE);
    assert_int_equal(rota_readdir(".", &directory), -EMFILE);
    assert_int_equal(rota_read_file("f", &data, &size, 0), -EMFILE);
    assert_int_equal(rota_write_file("f", "new", 3, 0600), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_text_of_file("f", "old");
    assert_int_equal(entries_in("."), 1);
    return 0;
}

static void without_a_descriptor_it_says_so(void)
{
    in_a_folder(run_out_of_fds);
}

/* --- No thread ----------------------------------------------------------- */

static intptr_t run_out_of_threads(void *arg)
{
    struct rlimit before;
    struct rlimit limit;
    struct stat status;
    rota_file *file = NULL;
    int fd;

    (void)arg;
    put_text("f", "old");
    fd = open("f", O_RDWR);
    assert_int_equal(rota_file_open_fd(&file, fd), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(".", 65534, 65534), 0);
        assert_int_equal(setresuid(65534, 65534, 65534), 0);
    }
    assert_int_equal(getrlimit(RLIMIT_NPROC, &before), 0);
    limit = (struct rlimit){1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NPROC, &limit), 0);
    if (rota_stat("f", &status) == 0)
        skip_in_a_folder("threads are not limited here");
    assert_int_equal(rota_stat("f", &status), -EAGAIN);
    assert_int_equal(rota_file_write(file, "x", 1), -EAGAIN);
    assert_int_equal(rota_file_tell(file), 0);
    assert_int_equal(rota_file_sync(file), -EAGAIN);
    /* It is closed all the same. */
    assert_int_equal(rota_file_close(file), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    rota_file_free(file);
    assert_int_equal(setrlimit(RLIMIT_NPROC, &before), 0);
    return 0;
}

static void without_a_thread_it_says_so_and_closes_all_the_same(void)
{
    in_a_folder(run_out_of_threads);
}

/* --- No memory ----------------------------------------------------------- */

static char room[100];

static int open_and_free(void)
{
    rota_file *file;
    int err = rota_file_open(&file, "f", O_RDWR, 0);

    if (err == 0)
        rota_file_free(file);
    return err;
}

static int open_by_fd(void)
{
    int fd = open("f", O_RDONLY);
    rota_file *file;
    int err = rota_file_open_fd(&file, fd);

    if (err == 0)
        rota_file_free(file);
    else
        close(fd);
    return err;
}

static rota_file *shared;

static int error_of(intptr_t n)
{
    return n < 0 ? (int)n : 0;
}

static int read_some(void)
{
    return error_of(rota_file_pread(shared, room, sizeof room, 0));
}

static int write_some(void)
{
    return error_of(rota_file_pwrite(shared, "data", 4, 0));
}

static int write_on(void)
{
    return error_of(rota_file_write(shared, "data", 4));
}

static int look_at_it(void)
{
    struct stat status;

    return rota_file_stat(shared, &status);
}

static int sync_it(void)
{
    int err = rota_file_sync(shared);

    return err < 0 ? err : rota_file_datasync(shared);
}

static int cut_it(void)
{
    return rota_file_truncate(shared, 10);
}

static int go_to_its_end(void)
{
    return error_of(rota_file_seek(shared, 0, SEEK_END));
}

static int look_at_path(void)
{
    struct stat status;

    return rota_stat("f", &status);
}

static int resolve(void)
{
    char real[4096];

    return error_of(rota_realpath(".", real, sizeof real));
}

static int list(void)
{
    rota_directory directory;
    int err = rota_readdir("many", &directory);

    if (err == 0)
        rota_directory_fini(&directory);
    return err;
}

static int read_whole(void)
{
    void *data;
    size_t size;
    int err = rota_read_file("/proc/self/maps", &data, &size, 0);

    if (err == 0)
        rota_file_data_free(data);
    return err;
}

static int write_whole(void)
{
    return rota_write_file("whole", "data", 4, 0600);
}

static int (*const attempts[])(void) = {
    open_and_free, open_by_fd, read_some,  write_some,    write_on,
    look_at_it,    sync_it,    cut_it,     go_to_its_end, look_at_path,
    resolve,       list,       read_whole, write_whole,
};

/* Until it needs no allocation more; what is live stays so. */
static void survive(int (*attempt)(void))
{
    for (long n = 1;; n++) {
        long blocks = harness_live_blocks();
        long made = harness_allocations();
        int err;

        harness_fail_allocation(n);
        err = attempt();
        pass_jobs();
        harness_fail_allocation(-1);
        made = harness_allocations() - made;
        if (err != 0 && err != -ENOMEM)
            fail_msg("allocation %ld: %s", n, rota_errname(err));
        if (harness_live_blocks() != blocks)
            fail_msg("allocation %ld: %ld blocks are left", n,
                     harness_live_blocks() - blocks);
        if (made < n) {
            assert_int_equal(err, 0);
            return;
        }
    }
}

static intptr_t run_out_of_memory(void *arg)
{
    (void)arg;
    put_text("f", "0123456789");
    assert_int_equal(mkdir("many", 0700), 0);
    for (int i = 0; i < 50; i++) {
        char name[32];

        snprintf(name, sizeof name, "many/%d", i);
        put_text(name, "");
    }
    hold_files(); /* so that all threads are there */
    open_gate();
    pass_jobs();
    shared = opened("f", O_RDWR);
    shared->direct = true;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
        survive(attempts[i]);
    assert_int_equal(entries_in("."), 3);
    rota_file_free(shared);
    return 0;
}

static void without_memory_it_says_so_and_leaves_nothing(void)
{
    in_a_folder(run_out_of_memory);
}

static intptr_t fail_to_close(void *arg)
{
    (void)arg;
    for (long n = 1; n < 4; n++) {
        rota_file *file = opened("f", O_RDWR | O_CREAT);
        int fd = rota_file_fileno(file);

        harness_fail_allocation(n);
        assert_int_equal(rota_file_close(file), 0);
        harness_fail_allocation(-1);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        rota_file_free(file);
        file = opened("f", O_RDWR | O_CREAT);
        harness_fail_allocation(n);
        rota_file_free(file);
        harness_fail_allocation(-1);
        pass_jobs();
    }
    return 0;
}

static void a_file_is_closed_also_without_memory(void)
{
    in_a_folder(fail_to_close);
}

static intptr_t fail_in_order(void *arg)
{
    int fds[2];
    rota_file *file;

    (void)arg;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(rota_file_open_fd(&file, fds[0]), 0);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    harness_fail_allocation(1);
    assert_int_equal(rota_file_read(file, room, 2), -ENOMEM);
    harness_fail_allocation(-1);
    assert_int_equal(rota_file_read(file, room, 2), 2);
    assert_memory_equal(room, "ab", 2);
    close(fds[1]);
    rota_file_free(file);
    return 0;
}

static void a_pipe_loses_nothing_for_want_of_memory(void)
{
    in_a_folder(fail_in_order);
}

HARNESS_MAIN(
    TEST(errors_of_open_are_told), TEST(errors_of_read_are_told),
    TEST(errors_of_write_are_told_with_the_position_after_them),
    TEST(a_file_of_another_loop_is_refused),
    TEST_SKIP_UNDER(without_a_descriptor_it_says_so, HARNESS_VALGRIND,
                    "valgrind makes the file and then says that it cannot"),
    TEST(without_a_thread_it_says_so_and_closes_all_the_same),
    TEST(without_memory_it_says_so_and_leaves_nothing),
    TEST(a_file_is_closed_also_without_memory),
    TEST(a_pipe_loses_nothing_for_want_of_memory))
