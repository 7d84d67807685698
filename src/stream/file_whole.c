/* SPDX-License-Identifier: MIT */
/*
 * Whole files, by one call each
 *
 * A file is written under a name that nobody uses, beside the one that it is
 * to have, and renamed when the disk has it. Until then everything can be
 * taken back: on an error, and also when nobody wants it any more, the new
 * name is removed and the old file is as it was.
 */
#include "stream/files.h"
#include <fcntl.h>
#include <stdio.h>

/* --- Reading ------------------------------------------------------------- */

struct whole_read {
    struct rota__file_call call;
    size_t limit; /* 0: none */
    char path[];
};

static struct whole_read *whole_read_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct whole_read, call);
}

/* How much to make room for first: one byte more shows that it ends. */
static int expected_size(int fd, size_t limit, size_t *out)
{
    struct stat status;
    int err = rota__file_stat(fd, &status);

    *out = 4096;
    if (err < 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
        return err;
    if (limit > 0 && (uint64_t)status.st_size > limit)
        return -ROTA_ELIMIT;
    if ((uint64_t)status.st_size >= (uint64_t)INTPTR_MAX)
        return -EFBIG;
    *out = (size_t)status.st_size + 1;
    return 0;
}

/* Room for what comes and for a zero byte. */
static int make_room(char **data, size_t *room, size_t used, size_t expected)
{
    size_t size = *room == 0 ? expected + 1 : *room * 2;
    char *grown;

    if (used + 1 < *room)
        return 0;
    grown = rota__realloc(*data, size);
    if (!grown)
        return -ENOMEM;
    *data = grown;
    *room = size;
    return 0;
}

static intptr_t read_piece(struct rota__file_call *call, int fd, char *to,
                           size_t room)
{
    if (atomic_load(&call->unwanted))
        return -ECANCELED;
    return rota__fd_read(fd, to,
                         room < ROTA__FILE_PIECE ? room : ROTA__FILE_PIECE);
}

static intptr_t read_to_the_end(struct rota__file_call *call, int fd)
{
    size_t limit = whole_read_of(call)->limit;
    char *data = NULL;
    size_t size = 0;
    size_t room = 0;
    size_t expected = 0;
    intptr_t n = expected_size(fd, limit, &expected);

    while (n >= 0) {
        n = make_room(&data, &room, size, expected);
        if (n == 0)
            n = read_piece(call, fd, data + size, room - size - 1);
        if (n == 0)
            break;
        if (n > 0)
            size += (size_t)n;
        if (limit > 0 && size > limit)
            n = -ROTA_ELIMIT;
    }
    call->block = data;
    if (n == 0)
        data[size] = '\0';
    return n < 0 ? n : (intptr_t)size;
}

static intptr_t read_whole(struct rota__file_call *call)
{
    int fd = rota__file_open(whole_read_of(call)->path, O_RDONLY, 0);
    intptr_t n;

    if (fd < 0)
        return fd;
    n = read_to_the_end(call, fd);
    (void)rota__fd_close(fd);
    return n;
}

int rota_read_file(const char *path, void **data, size_t *size, size_t limit)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_read_file", &err);
    struct rota__file_wait wait;
    struct whole_read *call;
    intptr_t n;

    if (!self)
        return err;
    if (!path || !data || !size)
        return -EINVAL;
    call = rota__file_call_new(sizeof *call, strlen(path) + 1, read_whole);
    if (!call)
        return -ENOMEM;
    call->limit = limit;
    memcpy(call->path, path, strlen(path) + 1);
    n = rota__file_call_await(&call->call, self, &wait);
    if (n < 0)
        return (int)n;
    *data = wait.block;
    *size = (size_t)n;
    return 0;
}

void rota_file_data_free(void *data)
{
    rota__free(data);
}

/* --- Writing ------------------------------------------------------------- */

#define NAME_ROOM 32 /* of ".rota-" and 16 digits */
#define TRIES 100

struct whole_write {
    struct rota__file_call call;
    mode_t mode;
    size_t size;
    char *path; /* copies, behind it */
    char *new_path;
    char *data;
    char room[];
};

static struct whole_write *whole_write_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct whole_write, call);
}

/* The length of the folder's part of a path, with its last slash. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Others who are as quick are told apart by O_EXCL. */
static int open_beside(struct whole_write *self)
{
    size_t folder = folder_length(self->path);
    uint64_t random = (uint64_t)rota__clock_now() ^ (uintptr_t)self;
    int fd = -EEXIST;

    for (int i = 0; i < TRIES && fd == -EEXIST; i++) {
        snprintf(self->new_path + folder, NAME_ROOM, ".rota-%016llx",
                 (unsigned long long)rota__random(&random));
        fd = rota__file_open(self->new_path, O_WRONLY | O_CREAT | O_EXCL,
                             self->mode);
    }
    return fd;
}

static int write_and_sync(struct rota__file_call *call, int fd)
{
    const struct whole_write *self = whole_write_of(call);
    size_t done = 0;
    int err = 0;
    int closed;

    while (err == 0 && done < self->size) {
        size_t left = self->size - done;
        size_t written;

        if (left > ROTA__FILE_PIECE)
            left = ROTA__FILE_PIECE;
        err = rota__file_write_on(fd, self->data + done, left, &written);
        done += written;
        if (err == 0 && atomic_load(&call->unwanted))
            err = -ECANCELED;
    }
    if (err == 0)
        err = rota__file_sync(fd);
    closed = rota__fd_close(fd);
    return err == 0 ? closed : err;
}

static int open_folder(const struct whole_write *self, int *fd)
{
    size_t length = folder_length(self->path);
    char first = self->path[length];
    int err;

    self->path[length] = '\0';
    err = rota__folder_open(length > 0 ? self->path : ".", fd);
    self->path[length] = first;
    return err;
}

/* The folder is opened while all can be taken back. */
static int put_in_place(const struct whole_write *self)
{
    int folder = -1;
    int err = open_folder(self, &folder);

    if (err == 0)
        err = rota__path_rename(self->new_path, self->path);
    if (err < 0)
        (void)rota__path_unlink(self->new_path);
    if (folder >= 0 && err == 0)
        err = rota__folder_sync(folder);
    if (folder >= 0)
        (void)rota__fd_close(folder);
    return err;
}

static intptr_t write_whole(struct rota__file_call *call)
{
    struct whole_write *self = whole_write_of(call);
    int fd = open_beside(self);
    int err;

    if (fd < 0)
        return fd;
    err = write_and_sync(call, fd);
    if (err == 0 && atomic_load(&call->unwanted))
        err = -ECANCELED;
    if (err == 0)
        return put_in_place(self);
    (void)rota__path_unlink(self->new_path);
    return err;
}

static struct whole_write *new_whole_write(const char *path, size_t size)
{
    size_t length = strlen(path) + 1;
    size_t folder = folder_length(path);
    struct whole_write *self;

    if (size > (size_t)INTPTR_MAX / 2)
        return NULL;
    self = rota__file_call_new(sizeof *self, length + folder + NAME_ROOM + size,
                               write_whole);
    if (!self)
        return NULL;
    self->size = size;
    self->path = memcpy(self->room, path, length);
    self->new_path = memcpy(self->room + length, path, folder);
    self->data = self->new_path + folder + NAME_ROOM;
    return self;
}

int rota_write_file(const char *path, const void *data, size_t size,
                    mode_t mode)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_write_file", &err);
    struct rota__file_wait wait;
    struct whole_write *call;

    if (!self)
        return err;
    if (!path || (!data && size > 0))
        return -EINVAL;
    call = new_whole_write(path, size);
    if (!call)
        return -ENOMEM;
    call->mode = mode;
    if (size > 0)
        err = rota__file_call_copy(&call->call, self, call->data, data, size);
    if (err < 0)
        return err;
    return (int)rota__file_call_await(&call->call, self, &wait);
}
