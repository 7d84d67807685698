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
 * that move its position take turns, in the order in which they came. A call
 * that changes a file and whose task was cancelled goes before all later ones.
 * Every call that awaits may return, besides its own errors: -ENOMEM, -EAGAIN
 * (no thread), -ECANCELED, -ROTA_ENOTASK, -ROTA_ECLOSING (the file, by now or
 * in the meantime), -EINVAL (a file of another loop).
 *
 * Pipes, terminals, sockets and their like have no positions: they are read
 * and written in order, one who reads beside one who writes, and give -ESPIPE
 * to what wants a position. The loop waits until they can be, with O_NONBLOCK
 * or without; -EBUSY: somebody else waits for that fd, -EEXIST: it is a
 * stream's. What a cancelled read has taken is read by the next one. A
 * cancelled write of which a part is made goes on without its task; what
 * nobody has read when the loop closes is lost.
 *
 * Eight calls that hang in the system (a server that does not answer, a FIFO
 * that opens for nobody) stop all file calls of the loop, and its end.
 */
#ifndef ROTA_FILE_H
#define ROTA_FILE_H

#include <rota/task.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rota_file rota_file;

/*
 * Opens a file; awaits. `flags` and `mode` as of open(); close-on-exec. Free
 * it with rota_file_free(). Cancelled, it may have made the file, or emptied
 * it. A FIFO waits for its other end, and holds a thread meanwhile: open it
 * with O_NONBLOCK. Errors: those of open(), -EINVAL (no path).
 */
int rota_file_open(rota_file **file, const char *path, int flags,
                   mode_t mode) ROTA_MUST_USE;

/*
 * A file over an fd, with its position; the fd is the file's from now on, and
 * on an error still the caller's. The file's position is its own: that of the
 * fd stays until the file is closed, and is moved there then. Others who have
 * the fd too meanwhile (a program that was started with it) write over what
 * the file has written, and it over theirs: share it only with O_APPEND. Does
 * not await. Errors: -EBADF, -ENOMEM, -ROTA_ENOLOOP.
 */
int rota_file_open_fd(rota_file **file, int fd) ROTA_MUST_USE;

/*
 * Reads `size` bytes at the position, which moves: fewer where the file ends
 * (or as many as there are, without positions), 0 at the end. Awaits, unless
 * the system has the bytes at hand. An error leaves the position. Errors:
 * those of read(), -EINVAL (size 0).
 */
intptr_t rota_file_read(rota_file *file, void *buf, size_t size) ROTA_MUST_USE;

/* Reads all from the position to the end into buf[size]; returns how many.
   -ROTA_ELIMIT if there is more: nothing was read then. */
intptr_t rota_file_read_all(rota_file *file, void *buf,
                            size_t size) ROTA_MUST_USE;

/*
 * Writes a copy of all of it at the position, which moves (with O_APPEND at
 * the end); returns size. Errors: those of write(): the position has moved by
 * what was written before. Cancelled, it is made whole, and moves the
 * position, or not at all. An error that the task does not hear of then is
 * told by the next rota_file_sync(), _datasync() or _close().
 */
intptr_t rota_file_write(rota_file *file, const void *data,
                         size_t size) ROTA_MUST_USE;

/* The same at an offset; the position stays, and such calls run side by side.
   -EINVAL: before the beginning. With O_APPEND, Linux writes at the end. */
intptr_t rota_file_pread(rota_file *file, void *buf, size_t size,
                         int64_t offset) ROTA_MUST_USE;
intptr_t rota_file_pwrite(rota_file *file, const void *data, size_t size,
                          int64_t offset) ROTA_MUST_USE;

/* Moves the position, as lseek(), and returns it. Awaits its turn, and the
   system for SEEK_END and what else it has. Errors: -EINVAL (before the
   beginning, another `whence`), -EOVERFLOW, -ENXIO. */
intptr_t rota_file_seek(rota_file *file, int64_t offset,
                        int whence) ROTA_MUST_USE;
/* The position, or -ESPIPE. */
int64_t rota_file_tell(const rota_file *file);

/* Errors: those of fstat(), -EINVAL (no `out`). */
int rota_file_stat(rota_file *file, struct stat *out) ROTA_MUST_USE;
/* Awaits until all that was written is on the disk; the second, only what is
   needed to read it again. Errors: -EIO, -ENOSPC and the others. One that a
   cancelled task does not hear of is told by the next one, or by close. */
int rota_file_sync(rota_file *file) ROTA_MUST_USE;
int rota_file_datasync(rota_file *file) ROTA_MUST_USE;
int rota_file_truncate(rota_file *file, int64_t size) ROTA_MUST_USE;

/* The fd, which stays the file's; for rota_sendfile(), fcntl()... Its own
   position is not the file's, and does not move: give it to a program only
   with O_APPEND. -ROTA_ECLOSING once it is being closed. */
int rota_file_fileno(const rota_file *file);

/*
 * Closes it after what is under way; awaits. It is closed also on an error or
 * when cancelled. Some file systems tell of a lost write only here. Again: 0.
 * The handle is still to be freed.
 */
int rota_file_close(rota_file *file) ROTA_MUST_USE;

/* Closes it if need be, in the background, after what is under way, and gives
   the handle back. NULL is ignored. Also after the loop was closed. */
void rota_file_free(rota_file *file);

/*
 * Calls of the system by the same name, which await. Paths are copied.
 * Cancelled, they are made, or not at all. Errors: the system's; -EINVAL for a
 * NULL.
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

/* An entry of a folder. Its type is DT_REG, DT_DIR... of <dirent.h> (which
   has them with _DEFAULT_SOURCE, and so not for a plain -std=c11), asked of
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

/* Awaits them; give them back with rota_directory_fini(). Errors: those of
   opendir() and readdir(), -EINVAL. */
int rota_readdir(const char *path, rota_directory *directory) ROTA_MUST_USE;
void rota_directory_fini(rota_directory *directory);

/*
 * A whole file: *data, with a zero byte after its *size bytes, is the caller's
 * and to be given to rota_file_data_free(). Errors: those of open() and
 * read(), -EINVAL, -ROTA_ELIMIT if it is larger than `limit` (0: no limit).
 */
int rota_read_file(const char *path, void **data, size_t *size,
                   size_t limit) ROTA_MUST_USE;
void rota_file_data_free(void *data);

/*
 * Writes a whole file anew. It is either the old or the new one, at any moment
 * and after a power cut: a copy of the data is written under another name
 * beside it, with `mode` as of open(), synced and renamed, and the folder
 * synced. A symbolic link is replaced. On an error, or when cancelled before
 * the new one is there, the old one stays and nothing else; but for an error
 * of the folder's sync, -EIO above all: the new one is there then, and after a
 * power cut perhaps the old one. A crash may leave ".rota-*" beside it.
 * Errors: those of open(), write(), fsync() and rename(), -EINVAL.
 */
int rota_write_file(const char *path, const void *data, size_t size,
                    mode_t mode) ROTA_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
