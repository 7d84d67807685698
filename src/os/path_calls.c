/* SPDX-License-Identifier: MIT */
/*
 * Files: what is done with a path
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int error_of(int result)
{
    return result < 0 ? -errno : 0;
}

int rota__path_stat(const char *path, struct stat *out)
{
    return error_of(stat(path, out));
}

int rota__path_lstat(const char *path, struct stat *out)
{
    return error_of(lstat(path, out));
}

int rota__path_access(const char *path, int mode)
{
    return error_of(access(path, mode));
}

int rota__path_rename(const char *from, const char *to)
{
    return error_of(rename(from, to));
}

int rota__path_unlink(const char *path)
{
    return error_of(unlink(path));
}

int rota__path_link(const char *path, const char *name)
{
    return error_of(link(path, name));
}

int rota__path_symlink(const char *target, const char *name)
{
    return error_of(symlink(target, name));
}

int rota__path_mkdir(const char *path, mode_t mode)
{
    return error_of(mkdir(path, mode));
}

int rota__path_rmdir(const char *path)
{
    return error_of(rmdir(path));
}

int rota__path_chmod(const char *path, mode_t mode)
{
    return error_of(chmod(path, mode));
}

int rota__path_chown(const char *path, uid_t user, gid_t group)
{
    return error_of(chown(path, user, group));
}

int rota__path_utimens(const char *path, const struct timespec times[2])
{
    return error_of(utimensat(AT_FDCWD, path, times, 0));
}

/* The system fills the buffer and says no more when the target is longer. */
intptr_t rota__path_readlink(const char *path, char *buf, size_t size)
{
    ssize_t n;

    if (size == 0)
        return -ERANGE;
    n = readlink(path, buf, size);
    if (n < 0)
        return -errno;
    if ((size_t)n == size)
        return -ERANGE;
    buf[n] = '\0';
    return n;
}

intptr_t rota__path_realpath(const char *path, char *buf, size_t size)
{
    char real[PATH_MAX];
    size_t length;

    if (!realpath(path, real))
        return -errno;
    length = strlen(real);
    if (length >= size)
        return -ERANGE;
    memcpy(buf, real, length + 1);
    return (intptr_t)length;
}

int rota__folder_open(const char *path, int *fd)
{
    int err = rota__file_open(path, O_RDONLY | O_DIRECTORY, 0);

    *fd = err < 0 ? -1 : err;
    return err >= 0 || err == -EACCES ? 0 : err;
}

int rota__folder_sync(int fd)
{
    int err = rota__file_sync(fd);

    return err == -EINVAL || err == -ENOTSUP ? 0 : err;
}
