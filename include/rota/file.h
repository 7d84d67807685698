/* SPDX-License-Identifier: MIT */
/*
 * Files: that never block the loop
 *
 * asyncio has no files; its programs send such calls to threads, and so does
 * this, behind calls that await. What is in memory already is read without a
 * thread.
 *
 * A task that is cancelled goes on at once, with nothing lost, as on the
 * network: a read that it did not get is still to be read, a write was taken
 * whole or not at all, and one that was taken is still made, in order.
 *
 * A file belongs to its loop's thread. Any number of tasks may use one; calls
 * that move its position take turns, in the order in which they came.
 * Every call that awaits may return, besides its own errors: -ENOMEM, -EAGAIN
 * (no thread), -ECANCELED, -ROTA_ENOTASK, -ROTA_ECLOSING (the file).
 */
#ifndef ROTA_FILE_H
#define ROTA_FILE_H

#include <rota/task.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_file rota_file;

/*
 * Opens a file; awaits. `flags` and `mode` as of open(); close-on-exec. Free
 * it with rota_file_free(). Errors: those of open(), -EINVAL (no path).
 */
int rota_file_open(rota_file **file, const char *path, int flags,
                   mode_t mode) ROTA_MUST_USE;

/* A file over an fd of a regular file or device, which is the file's from now
   on; on an error still the caller's. Does not await. */
int rota_file_open_fd(rota_file **file, int fd) ROTA_MUST_USE;

/*
 * Reads up to `size` bytes at the position, which moves; 0 at the end. Awaits,
 * unless the system has the bytes at hand. Errors: those of read(), -EINVAL
 * (size 0).
 */
intptr_t rota_file_read(rota_file *file, void *buf, size_t size) ROTA_MUST_USE;

/* Reads all from the position to the end into buf[size]; returns how many.
   -ROTA_ELIMIT if there is more: the position has not moved. */
intptr_t rota_file_read_all(rota_file *file, void *buf,
                            size_t size) ROTA_MUST_USE;

/* Writes all of it at the position, which moves (with O_APPEND at the end);
   returns size. Errors: those of write(): the position has moved by what was
   written before. */
intptr_t rota_file_write(rota_file *file, const void *data,
                         size_t size) ROTA_MUST_USE;

/* The same at an offset; the position stays, and such calls run side by
   side. pread() reads until there are `size` bytes or the file ends. */
intptr_t rota_file_pread(rota_file *file, void *buf, size_t size,
                         int64_t offset) ROTA_MUST_USE;
intptr_t rota_file_pwrite(rota_file *file, const void *data, size_t size,
                          int64_t offset) ROTA_MUST_USE;

/* Moves the position, as lseek(), and returns it. Awaits its turn.
   -EINVAL: before the beginning. */
intptr_t rota_file_seek(rota_file *file, int64_t offset,
                        int whence) ROTA_MUST_USE;
/* The position. */
int64_t rota_file_tell(const rota_file *file);

int rota_file_stat(rota_file *file, struct stat *out) ROTA_MUST_USE;
/* Awaits until all that was written is on the disk; the second, only what is
   needed to read it again. Errors: -EIO, -ENOSPC and the others. */
int rota_file_sync(rota_file *file) ROTA_MUST_USE;
int rota_file_datasync(rota_file *file) ROTA_MUST_USE;
int rota_file_truncate(rota_file *file, int64_t size) ROTA_MUST_USE;

/* The fd, which stays the file's; for rota_sendfile(), fcntl()... */
int rota_file_fileno(const rota_file *file);

/*
 * Closes it after what is under way; awaits. Some file systems tell of a lost
 * write only here. Again: 0. The handle is still to be freed.
 */
int rota_file_close(rota_file *file) ROTA_MUST_USE;

/* Closes it if need be, in the background, and gives the handle back. NULL is
   ignored. Also after the loop was closed. */
void rota_file_free(rota_file *file);

/*
 * Calls of the system by the same name, which await. Paths are copied. Errors:
 * the system's.
 */
int rota_stat(const char *path, struct stat *out) ROTA_MUST_USE;
int rota_lstat(const char *path, struct stat *out) ROTA_MUST_USE;
int rota_access(const char *path, int mode) ROTA_MUST_USE;
int rota_rename(const char *from, const char *to) ROTA_MUST_USE;
int rota_unlink(const char *path) ROTA_MUST_USE;
int rota_link(const char *path, const char *link) ROTA_MUST_USE;
int rota_symlink(const char *target, const char *link) ROTA_MUST_USE;
int rota_mkdir(const char *path, mode_t mode) ROTA_MUST_USE;
int rota_rmdir(const char *path) ROTA_MUST_USE;
int rota_chmod(const char *path, mode_t mode) ROTA_MUST_USE;
int rota_chown(const char *path, uid_t user, gid_t group) ROTA_MUST_USE;
int rota_utimens(const char *path,
                 const struct timespec times[2]) ROTA_MUST_USE;

/* The target into buf[size], with a zero byte; returns its length. -ERANGE if
   there is no room. So does realpath. */
intptr_t rota_readlink(const char *path, char *buf, size_t size) ROTA_MUST_USE;
intptr_t rota_realpath(const char *path, char *buf, size_t size) ROTA_MUST_USE;

/* An entry of a folder. Its type is DT_REG, DT_DIR... of <dirent.h>, asked of
   the file itself where the folder does not know. */
typedef struct rota_directory_entry {
    const char *name;
    ino_t inode;
    unsigned char type;
} rota_directory_entry;

/* All entries of a folder but "." and "..", sorted by name. */
typedef struct rota_directory {
    rota_directory_entry *entries;
    size_t count;
} rota_directory;

/* Awaits them; give them back with rota_directory_fini(). */
int rota_readdir(const char *path, rota_directory *directory) ROTA_MUST_USE;
void rota_directory_fini(rota_directory *directory);

/*
 * A whole file: *data, with a zero byte after its *size bytes, is the caller's
 * and to be given to rota_file_data_free(). -ROTA_ELIMIT if it is larger than
 * `limit` (0: no limit).
 */
int rota_read_file(const char *path, void **data, size_t *size,
                   size_t limit) ROTA_MUST_USE;
void rota_file_data_free(void *data);

/*
 * Writes a whole file anew. It is either the old or the new one, at any
 * moment: it is written under another name beside it, synced and renamed.
 */
int rota_write_file(const char *path, const void *data, size_t size,
                    mode_t mode) ROTA_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
