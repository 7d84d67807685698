/* SPDX-License-Identifier: MIT */
/*
 * Files and folders: one wrapper a system call
 *
 * All of these may block, for as long as a disk, a server or another program
 * takes: they are for threads, but where it says otherwise. Results as in the
 * system call, or -errno; a call that a signal interrupts is made again.
 */
#ifndef ROTA_OS_FILES_H
#define ROTA_OS_FILES_H

#include "base/base.h"
#include <rota/file.h>
#include <stdatomic.h>

/* --- Of an fd ------------------------------------------------------------ */

/* Close-on-exec. */
int rota__file_open(const char *path, int flags, mode_t mode);

/* What its flags and its position are; does not block. */
struct rota__file_kind {
    bool in_order; /* a pipe, a terminal: it has no positions */
    bool append;
    bool direct; /* no cache: reads and writes are of whole pages */
    int64_t position;
};
int rota__file_kind(int fd, struct rota__file_kind *out);

/* One read or write in order that does not block: -EAGAIN if it would,
   -EOPNOTSUPP if the system cannot do that with this fd. */
intptr_t rota__fd_read_now(int fd, char *buf, size_t size);
intptr_t rota__fd_write_now(int fd, const char *data, size_t size);

/* See os/socket.h for a read that does not block, and for rota__file_read(),
   which may read less than there is. */

/* Write all of it: 0, or the error that came after *written bytes. The second
   where the fd stands, or at the end of a file that is appended to; it blocks
   also where O_NONBLOCK is set. */
int rota__file_write_at(int fd, const char *data, size_t size, int64_t offset,
                        size_t *written);
int rota__file_write_on(int fd, const char *data, size_t size, size_t *written);

/* Moves the fd's own position, as lseek(). */
int64_t rota__file_seek(int fd, int64_t offset, int whence);
int rota__file_stat(int fd, struct stat *out);
int rota__file_sync(int fd);
int rota__file_datasync(int fd);
int rota__file_truncate(int fd, int64_t size);

/* --- Of a path ----------------------------------------------------------- */

int rota__path_stat(const char *path, struct stat *out);
int rota__path_lstat(const char *path, struct stat *out);
int rota__path_access(const char *path, int mode);
int rota__path_rename(const char *from, const char *to);
int rota__path_unlink(const char *path);
int rota__path_link(const char *path, const char *link);
int rota__path_symlink(const char *target, const char *link);
int rota__path_mkdir(const char *path, mode_t mode);
int rota__path_rmdir(const char *path);
int rota__path_chmod(const char *path, mode_t mode);
int rota__path_chown(const char *path, uid_t user, gid_t group);
int rota__path_utimens(const char *path, const struct timespec times[2]);
/* A text with a zero byte into buf[size], and its length; -ERANGE. No text is
   longer than the room that is named here. */
#define ROTA__PATH_ROOM 4096
intptr_t rota__path_readlink(const char *path, char *buf, size_t size);
intptr_t rota__path_realpath(const char *path, char *buf, size_t size);

/*
 * How many entries a folder has, without "." and ".."; *out is one block, to
 * be given back with rota__free(): the entries, sorted by name, and behind
 * them the names. *stop is looked at now and then; -ECANCELED.
 */
intptr_t rota__path_readdir(const char *path, rota_directory_entry **out,
                            atomic_bool *stop);
/* For the second, which sees to it that the names in the folder are on the
   disk. 0 with -1 if there is no permission. */
int rota__folder_open(const char *path, int *fd);
/* 0 also on a file system that does not know it. */
int rota__folder_sync(int fd);

#endif
