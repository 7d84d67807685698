/* SPDX-License-Identifier: MIT */
/*
 * Files: what the system is asked for, in which order, and what it answers
 *
 * The calls are the system's, but for what a test makes of them.
 */
#define _GNU_SOURCE
#include "folders.h"

#include <dlfcn.h>
#include <sys/uio.h>

#define PASS_ON(result, name, types, ...)                                      \
    do {                                                                       \
        result(*system) types;                                                 \
        void *found = dlsym(RTLD_NEXT, name);                                  \
                                                                               \
        memcpy(&system, &found, sizeof system);                                \
        return system(__VA_ARGS__);                                            \
    } while (0)

/* Set while the pool has nothing to do. */
static struct {
    bool noted;    /* syncs and renames */
    bool old_size; /* who asks for attributes is told what was */
    bool uncached; /* no file system can tell what it has in memory */
    bool held;     /* syncs and seeks wait at the gate */
    int sync_fails;
    int folder_sync_fails;
    int folder_open_fails;
} system_;

static int fails(int error)
{
    errno = error;
    return -1;
}

static bool is_folder(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return S_ISDIR(status.st_mode);
}

static int sync_fails(int fd, const char *word)
{
    bool folder = is_folder(fd);
    int error = folder ? system_.folder_sync_fails : system_.sync_fails;

    if (system_.noted)
        note(folder ? "%s-folder" : "%s", word);
    if (system_.held)
        wait_at_gate();
    if (!folder)
        system_.sync_fails = 0; /* it tells once */
    return error;
}

int fsync(int fd)
{
    int error = sync_fails(fd, "fsync");

    if (error)
        return fails(error);
    PASS_ON(int, "fsync", (int), fd);
}

int fdatasync(int fd)
{
    int error = sync_fails(fd, "fdatasync");

    if (error)
        return fails(error);
    PASS_ON(int, "fdatasync", (int), fd);
}

int rename(const char *from, const char *to)
{
    if (system_.noted)
        note("rename");
    PASS_ON(int, "rename", (const char *, const char *), from, to);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (flags & O_DIRECTORY && system_.folder_open_fails)
        return fails(system_.folder_open_fails);
    PASS_ON(int, "open64", (const char *, int, ...), path, flags, mode);
}

off_t lseek(int fd, off_t offset, int whence)
{
    if (system_.held && whence == SEEK_END)
        wait_at_gate();
    PASS_ON(off_t, "lseek64", (int, off_t, int), fd, offset, whence);
}

#if defined(STATX_SIZE)
int statx(int folder, const char *path, int flags, unsigned mask,
          struct statx *out)
{
    if (system_.old_size) {
        *out = (struct statx){.stx_mode = S_IFREG, .stx_size = 3};
        return 0;
    }
    PASS_ON(int, "statx", (int, const char *, int, unsigned, struct statx *),
            folder, path, flags, mask, out);
}
#endif

ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset,
                int flags)
{
    if (system_.uncached)
        return fails(EOPNOTSUPP);
    PASS_ON(ssize_t, "preadv64v2", (int, const struct iovec *, int, off_t, int),
            fd, parts, count, offset, flags);
}

/* --- On the disk --------------------------------------------------------- */

static intptr_t sync_each(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);

    (void)arg;
    system_.noted = true;
    assert_int_equal(rota_file_write(file, "x", 1), 1);
    assert_noted("");
    assert_int_equal(rota_file_sync(file), 0);
    assert_noted("fsync");
    assert_int_equal(rota_file_datasync(file), 0);
    assert_noted("fdatasync");
    assert_int_equal(rota_write_file("whole", "x", 1, 0600), 0);
    assert_noted("fsync rename fsync-folder");
    rota_file_free(file);
    return 0;
}

static void what_is_synced_is_on_the_disk_in_this_order(void)
{
    in_a_folder(sync_each);
}

static intptr_t fail_around_the_rename(void *arg)
{
    static const int errors[] = {EMFILE, ENFILE, ENOMEM};

    (void)arg;
    put_text("f", "old");
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        system_.folder_open_fails = errors[i];
        assert_int_equal(rota_write_file("f", "new", 3, 0600), -errors[i]);
        assert_text_of_file("f", "old");
        assert_int_equal(entries_in("."), 1);
    }
    system_.folder_open_fails = EACCES; /* it may be written all the same */
    assert_int_equal(rota_write_file("f", "new", 3, 0600), 0);
    assert_text_of_file("f", "new");
    system_.folder_open_fails = 0;
    system_.folder_sync_fails = EIO;
    assert_int_equal(rota_write_file("f", "newer", 5, 0600), -EIO);
    assert_text_of_file("f", "newer");
    assert_int_equal(entries_in("."), 1);
    system_.folder_sync_fails = EINVAL; /* it has no such thing */
    assert_int_equal(rota_write_file("f", "newest", 6, 0600), 0);
    return 0;
}

static void what_can_fail_fails_before_the_new_one_is_there(void)
{
    in_a_folder(fail_around_the_rename);
}

/* --- An error that the system tells once --------------------------------- */

static void cancel_running_sync(rota_file *file)
{
    struct io io = {.file = file};
    rota_task task;

    system_.sync_fails = EIO;
    system_.held = true;
    close_gate();
    task = start(do_sync, &io);
    pass_turns(1);
    see_waiting(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    open_gate();
    pass_jobs();
    system_.held = false;
}

static intptr_t lose_sync(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);

    (void)arg;
    cancel_running_sync(file);
    assert_int_equal(rota_file_sync(file), -EIO);
    assert_int_equal(rota_file_sync(file), 0);
    cancel_running_sync(file);
    assert_int_equal(rota_file_close(file), -EIO);
    rota_file_free(file);
    return 0;
}

static void an_error_of_a_cancelled_sync_is_told_by_the_next(void)
{
    in_a_folder(lose_sync);
}

static intptr_t cancel_told_syncs(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT);
    struct io io = {.file = file};

    (void)arg;
    for (int turns = 0; turns < 4; turns++) {
        rota_task task;
        bool told;

        system_.sync_fails = EIO;
        task = start(do_sync, &io);
        pass_turns(1);
        see_answer();
        pass_turns(turns);
        told = rota_task_cancel(task) == 0;
        assert_int_equal(rota_await(task), told ? -EIO : -ECANCELED);
        assert_int_equal(rota_file_sync(file), told ? 0 : -EIO);
    }
    rota_file_free(file);
    return 0;
}

static void an_error_that_meets_a_cancellation_is_told_by_the_next(void)
{
    in_a_folder(cancel_told_syncs);
}

/* --- Where a file ends --------------------------------------------------- */

static intptr_t do_seek_end(void *file)
{
    return rota_file_seek(file, 0, SEEK_END);
}

static intptr_t seek_and_append(void *arg)
{
    rota_file *file = opened("f", O_RDWR | O_CREAT | O_APPEND);
    struct io io = {.file = file, .data = "abc", .size = 3, .word = "write"};
    rota_task task;

    (void)arg;
    system_.held = true;
    close_gate();
    task = start(do_seek_end, file);
    pass_turns(1);
    see_waiting(1);
    assert_int_equal(rota_task_cancel(task), 1);
    assert_int_equal(rota_await(task), -ECANCELED);
    task = start(do_write, &io);
    pass_turns(3);
    /* The fd's position is the seek's until that is over. */
    assert_true(rota_get_running_loop()->job_count == 1);
    assert_noted("");
    open_gate();
    assert_int_equal(rota_await(task), 3);
    assert_int_equal(rota_file_tell(file), 3);
    system_.held = false;
    rota_file_free(file);
    return 0;
}

static void an_append_waits_for_a_seek_that_was_cancelled(void)
{
    in_a_folder(seek_and_append);
}

static intptr_t read_what_has_grown(void *arg)
{
    char buf[16];
    rota_file *file;

    (void)arg;
    put_text("f", "0123456789");
    file = opened("f", O_RDONLY);
    system_.uncached = true;
    system_.old_size = true;
    assert_int_equal(rota_file_pread(file, buf, 3, 3), 3);
    assert_memory_equal(buf, "345", 3);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 10);
    assert_int_equal(rota_file_read(file, buf, sizeof buf), 0);
    rota_file_free(file);
    return 0;
}

static void a_tail_is_read_though_the_system_remembers_an_older_end(void)
{
    in_a_folder(read_what_has_grown);
}

HARNESS_MAIN(TEST(what_is_synced_is_on_the_disk_in_this_order),
             TEST(what_can_fail_fails_before_the_new_one_is_there),
             TEST(an_error_of_a_cancelled_sync_is_told_by_the_next),
             TEST(an_error_that_meets_a_cancellation_is_told_by_the_next),
             TEST(an_append_waits_for_a_seek_that_was_cancelled),
             TEST(a_tail_is_read_though_the_system_remembers_an_older_end))
