/* SPDX-License-Identifier: MIT */
/*
 * The files of Unix sockets
 *
 * A socket file outlives the process that listened on it. One that nobody
 * listens on any more is in the way of the next server, which removes it; a
 * server removes its own when it closes, unless another file has its place.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <sys/stat.h>
#include <unistd.h>

static bool is_socket(const char *path, struct stat *status)
{
    return lstat(path, status) == 0 && S_ISSOCK(status->st_mode);
}

/* Only a refused connection proves that nobody listens. */
static bool is_stale(const char *path)
{
    rota_address address;
    int fd;
    int err;

    if (rota_address_unix(&address, path) < 0)
        return false;
    fd = rota__socket_open(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    err = rota__socket_connect(fd, &address);
    (void)rota__fd_close(fd);
    return err == -ECONNREFUSED;
}

int rota__unix_remove_stale(const char *path)
{
    struct stat status;

    if (!is_socket(path, &status) || !is_stale(path))
        return 0; /* bind() says what is wrong, if something is */
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

void rota__unix_identify(const char *path, unsigned long id[2])
{
    struct stat status;

    id[0] = id[1] = 0;
    if (!is_socket(path, &status))
        return;
    id[0] = (unsigned long)status.st_dev;
    id[1] = (unsigned long)status.st_ino;
}

void rota__unix_remove(const char *path, const unsigned long id[2])
{
    unsigned long now[2];

    rota__unix_identify(path, now);
    if (now[1] != 0 && now[0] == id[0] && now[1] == id[1])
        (void)unlink(path);
}
