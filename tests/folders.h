/* SPDX-License-Identifier: MIT */
/*
 * What the tests of files share: a folder of their own, and a held pool
 *
 * Each test works in a new folder, which is the working directory meanwhile,
 * so that its paths are short, and which is removed with all that is in it.
 *
 * A call that is to wait in the pool's queue finds all threads at a gate. One
 * that is to have begun, and perhaps to be over, is seen by what it does while
 * the loop stands still, and so has not heard of its end.
 */
#ifndef TESTS_FOLDERS_H
#define TESTS_FOLDERS_H

#include "executors.h"
#include "held_files.h"
#include "stream/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- A folder ------------------------------------------------------------ */

static inline int remove_one(const char *path, const struct stat *status,
                             int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static char folder_path[] = "/tmp/rota-test-XXXXXX";

static inline void enter_folder(void)
{
    memcpy(folder_path + sizeof folder_path - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder_path));
    assert_int_equal(chdir(folder_path), 0);
}

static inline void leave_folder(void)
{
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(nftw(folder_path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

_Noreturn static inline void skip_in_a_folder(const char *reason)
{
    leave_folder();
    harness_skip(reason);
}

/* Also when the environment asks for debug mode or for another order. */
static inline void keep_order(rota_loop *loop)
{
    loop->keep_order = true;
    loop->debug = false;
}

static inline intptr_t run_in_order(void *function)
{
    keep_order(rota_get_running_loop());
    return ((rota_task_function *)function)(NULL);
}

/* Runs a main task in a folder of its own, in virtual time. */
static inline void in_a_folder(rota_task_function *function)
{
    enter_folder();
    assert_int_equal(run_virtually(run_in_order, (void *)function), 0);
    leave_folder();
}

/* --- Files, without rota ------------------------------------------------- */

static inline void put_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static inline void put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

static inline bool there_is(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

static inline off_t size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? status.st_size : -1;
}

#define assert_text_of_file(path, text)                                        \
    do {                                                                       \
        char text_[4096];                                                      \
        int fd_ = open((path), O_RDONLY);                                      \
        ssize_t n_ = fd_ < 0 ? -1 : read(fd_, text_, sizeof text_ - 1);        \
                                                                               \
        assert_true(n_ >= 0);                                                  \
        text_[n_] = '\0';                                                      \
        close(fd_);                                                            \
        assert_string_equal(text_, (text));                                    \
    } while (0)

static inline int entries_in(const char *path)
{
    DIR *folder = opendir(path);
    int count = -2; /* "." and ".." */

    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static inline char byte_at(size_t offset)
{
    return (char)(offset * 7 + offset / 251 + offset / 65537);
}

static inline void fill(char *data, size_t size, size_t offset)
{
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(offset + i);
}

static inline void assert_bytes(const char *data, size_t size, size_t offset)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != byte_at(offset + i))
            fail_msg("wrong byte at %zu", offset + i);
}

static inline void put_bytes(const char *path, size_t size)
{
    char *data = malloc(size);

    assert_non_null(data);
    fill(data, size, 0);
    put_file(path, data, size);
    free(data);
}

/* The system must ask the disk for it. */
static inline void forget_cached(const char *path)
{
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(fdatasync(fd), 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static inline rota_file *opened(const char *path, int flags)
{
    rota_file *file = NULL;

    assert_int_equal(rota_file_open(&file, path, flags, 0644), 0);
    assert_non_null(file);
    return file;
}

/* Blocks the loop until a write was made, of whose end it has not heard. */
static inline void see_size(const char *path, off_t size)
{
    while (size_of(path) != size)
        sched_yield();
}

/* The same until the only call that is under way is over. */
static inline void see_answer(void)
{
    rota_loop *loop = rota_get_running_loop();

    while (atomic_load(&loop->inbox) == NULL)
        sched_yield();
}

static inline bool has_jobs(void)
{
    return rota_get_running_loop()->job_count > 0;
}

/* Until all that was left behind is over, and heard of. */
static inline void pass_jobs(void)
{
    while (has_jobs())
        assert_int_equal(rota_sleep(0), 0);
}

/* --- A call as the argument of a task ------------------------------------ */

struct io {
    rota_file *file;
    void *data;
    size_t size;
    int64_t offset;
    const char *path;
    const char *word; /* noted when it has come back; or NULL */
};

static inline intptr_t note_result(const struct io *io, intptr_t n)
{
    if (io->word && rota_is_error(n))
        note("%s:%s", io->word, rota_errname(n));
    else if (io->word)
        note("%s:%d", io->word, (int)n);
    return n;
}

static inline intptr_t do_read(void *arg)
{
    const struct io *io = arg;

    return note_result(io, rota_file_read(io->file, io->data, io->size));
}

static inline intptr_t do_write(void *arg)
{
    const struct io *io = arg;

    return note_result(io, rota_file_write(io->file, io->data, io->size));
}

static inline intptr_t do_pread(void *arg)
{
    const struct io *io = arg;

    return note_result(
        io, rota_file_pread(io->file, io->data, io->size, io->offset));
}

static inline intptr_t do_pwrite(void *arg)
{
    const struct io *io = arg;

    return note_result(
        io, rota_file_pwrite(io->file, io->data, io->size, io->offset));
}

static inline intptr_t do_close(void *arg)
{
    const struct io *io = arg;

    return note_result(io, rota_file_close(io->file));
}

static inline intptr_t do_sync(void *arg)
{
    const struct io *io = arg;

    return note_result(io, rota_file_sync(io->file));
}

#endif
