/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing files
 *
 * Positions are kept here and not in the fd, so that a read is one at an
 * offset, and the position moves when its task has the bytes. What the system
 * has in memory is read at once, in pieces with the others' turns in between,
 * everything else by the pool. A write is copied and made by one call, which
 * ends also if its task has gone; then the position moves all the same.
 *
 * Pipes and terminals have no positions. What is read of them is lost to
 * others, so it goes into file->ahead, from where a task takes it when it
 * runs.
 */
#include "stream/files.h"
#include <unistd.h>

#define DIRECT_ALIGNMENT 4096 /* of memory, for reads without a cache */

static bool is_direct(const rota_file *file)
{
    return file && file->direct;
}

static char *aligned(const rota_file *file, char *room)
{
    size_t over = (uintptr_t)room % DIRECT_ALIGNMENT;

    return is_direct(file) && over > 0 ? room + DIRECT_ALIGNMENT - over : room;
}

static size_t room_for(const rota_file *file, size_t size)
{
    return is_direct(file) ? size + DIRECT_ALIGNMENT : size;
}

static bool no_file_has(int64_t offset, size_t size)
{
    return offset < 0 || size > (size_t)INTPTR_MAX ||
           (uint64_t)size > (uint64_t)(INT64_MAX - offset);
}

/* --- Reading ------------------------------------------------------------- */

struct read_call {
    struct rota__file_call call;
    int64_t offset;
    size_t size;
    char *out; /* the caller's; for its task */
    char *data;
    char room[];
};

static struct read_call *read_call_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct read_call, call);
}

static intptr_t read_once(struct rota__file_call *call)
{
    const struct read_call *self = read_call_of(call);

    return rota__file_read(call->open_fd->fd, self->data, self->size,
                           self->offset);
}

static void copy_out(struct rota__file_call *call)
{
    const struct read_call *self = read_call_of(call);

    if (call->job.result > 0)
        memcpy(self->out, self->data, (size_t)call->job.result);
}

static struct read_call *new_read(struct rota__open_fd *open_fd,
                                  rota_file *file, size_t size,
                                  intptr_t (*work)(struct rota__file_call *))
{
    struct read_call *self =
        rota__file_call_new(sizeof *self, room_for(file, size), work);

    if (!self)
        return NULL;
    self->size = size;
    self->data = aligned(file, self->room);
    rota__file_call_use(&self->call, open_fd, file);
    return self;
}

intptr_t rota__file_read_by_the_pool(struct rota__open_fd *open_fd,
                                     rota_file *file, struct rota__task *self,
                                     char *buf, size_t size, int64_t offset)
{
    struct read_call *call = new_read(open_fd, file, size, read_once);
    struct rota__file_wait wait;

    if (!call)
        return -ENOMEM;
    call->offset = offset;
    call->out = buf;
    call->call.deliver = copy_out;
    return rota__file_call_await(&call->call, self, &wait);
}

/* 0 also when it is not known. */
static intptr_t read_at_once(rota_file *file, char *buf, size_t size,
                             int64_t offset)
{
    intptr_t n;

    if (file->direct)
        return 0;
    n = rota__file_read_cached(file->open_fd->fd, buf, size, offset);
    return n < 0 ? 0 : n;
}

static bool ends_by(const rota_file *file, int64_t offset)
{
    return rota__file_ends_by(file->open_fd->fd, offset);
}

static intptr_t read_at(rota_file *file, struct rota__task *self, char *buf,
                        size_t size, int64_t offset)
{
    size_t done = 0;

    while (done < size) {
        int64_t at = offset + (int64_t)done;
        size_t left = size - done;
        size_t piece = left < ROTA__FILE_PIECE ? left : ROTA__FILE_PIECE;
        intptr_t n = read_at_once(file, buf + done, piece, at);
        bool at_once = n > 0;

        if (!at_once && !ends_by(file, at))
            n = rota__file_read_by_the_pool(file->open_fd, file, self,
                                            buf + done, piece, at);
        if (n <= 0)
            return n < 0 ? n : (intptr_t)done;
        done += (size_t)n;
        if ((size_t)n < piece && ends_by(file, at + n))
            break;
        if (at_once && done < size)
            n = rota__yield(self);
        if (n < 0)
            return n;
    }
    return (intptr_t)done;
}

static intptr_t read_next(struct rota__file_call *call)
{
    const struct read_call *self = read_call_of(call);

    return rota__fd_read(call->open_fd->fd, self->data, self->size);
}

/* There is room for it. */
static void keep_ahead(struct rota__file_call *call)
{
    const struct read_call *self = read_call_of(call);
    intptr_t n = call->job.result;

    if (n > 0)
        (void)rota__buffer_append(&call->file->ahead, self->data, (size_t)n);
}

/* Bytes, which come into file->ahead. */
static intptr_t read_ahead(rota_file *file, struct rota__task *self,
                           size_t size)
{
    size_t piece = size < ROTA__FILE_PIECE ? size : ROTA__FILE_PIECE;
    struct rota__file_wait wait;
    struct read_call *call;

    if (rota__buffer_reserve(&file->ahead, piece) < 0)
        return -ENOMEM;
    call = new_read(file->open_fd, file, piece, read_next);
    if (!call)
        return -ENOMEM;
    call->call.changes = true;
    call->call.done = keep_ahead;
    return rota__file_call_await(&call->call, self, &wait);
}

static intptr_t take_ahead(rota_file *file, char *buf, size_t size)
{
    size_t have = rota__buffer_size(&file->ahead);

    if (size > have)
        size = have;
    if (size > 0)
        memcpy(buf, rota__buffer_data(&file->ahead), size);
    rota__buffer_consume(&file->ahead, size);
    return (intptr_t)size;
}

static intptr_t read_in_order(rota_file *file, struct rota__task *self,
                              char *buf, size_t size)
{
    intptr_t n = (intptr_t)rota__buffer_size(&file->ahead);

    if (n == 0)
        n = read_ahead(file, self, size);
    return n <= 0 ? n : take_ahead(file, buf, size);
}

static intptr_t read_at_position(rota_file *file, struct rota__task *self,
                                 char *buf, size_t size)
{
    intptr_t n;

    if (no_file_has(file->position, size))
        size = (size_t)(INT64_MAX - file->position);
    n = read_at(file, self, buf, size, file->position);
    if (n > 0)
        file->position += n;
    return n;
}

intptr_t rota_file_read(rota_file *file, void *buf, size_t size)
{
    struct rota__task *self;
    intptr_t n;

    if (size == 0 || size > (size_t)INTPTR_MAX)
        return -EINVAL;
    n = rota__file_enter(file, &self, ROTA__FILE_MOVES, "rota_file_read");
    if (n < 0)
        return n;
    n = file->in_order ? read_in_order(file, self, buf, size)
                       : read_at_position(file, self, buf, size);
    rota__file_leave(file, ROTA__FILE_MOVES);
    return n;
}

intptr_t rota_file_pread(rota_file *file, void *buf, size_t size,
                         int64_t offset)
{
    struct rota__task *self;
    intptr_t n;

    if (size == 0 || no_file_has(offset, size))
        return -EINVAL;
    n = rota__file_enter(file, &self, ROTA__FILE_AT, "rota_file_pread");
    if (n < 0)
        return n;
    n = file->in_order ? -ESPIPE : read_at(file, self, buf, size, offset);
    rota__file_leave(file, ROTA__FILE_AT);
    return n;
}

/* --- Reading all --------------------------------------------------------- */

static intptr_t all_in_order(rota_file *file, struct rota__task *self,
                             char *buf, size_t size)
{
    intptr_t n = 1;

    while (n > 0 && rota__buffer_size(&file->ahead) <= size)
        n = read_ahead(file, self, size - rota__buffer_size(&file->ahead) + 1);
    if (n < 0)
        return n;
    return n > 0 ? -ROTA_ELIMIT : take_ahead(file, buf, size);
}

static intptr_t all_from_position(rota_file *file, struct rota__task *self,
                                  char *buf, size_t size)
{
    char one_more;
    intptr_t n = 0;
    intptr_t more = 0;

    if (size > 0)
        n = read_at(file, self, buf, size, file->position);
    if (n == (intptr_t)size)
        more = read_at(file, self, &one_more, 1, file->position + n);
    if (n < 0 || more < 0)
        return n < 0 ? n : more;
    if (more > 0)
        return -ROTA_ELIMIT;
    file->position += n;
    return n;
}

intptr_t rota_file_read_all(rota_file *file, void *buf, size_t size)
{
    struct rota__task *self;
    intptr_t n;

    if (size > (size_t)INTPTR_MAX)
        return -EINVAL;
    n = rota__file_enter(file, &self, ROTA__FILE_MOVES, "rota_file_read_all");
    if (n < 0)
        return n;
    if (file->in_order)
        n = all_in_order(file, self, buf, size);
    else if (no_file_has(file->position, size + 1))
        n = -EINVAL;
    else
        n = all_from_position(file, self, buf, size);
    rota__file_leave(file, ROTA__FILE_MOVES);
    return n;
}

/* --- Writing ------------------------------------------------------------- */

struct write_call {
    struct rota__file_call call;
    bool moves; /* the position */
    int64_t offset;
    int64_t end; /* of a file that is appended to, when it was written */
    size_t size;
    size_t written;
    char *data;
    char room[];
};

static struct write_call *write_call_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct write_call, call);
}

static intptr_t write_data(struct rota__file_call *call)
{
    struct write_call *self = write_call_of(call);
    int fd = call->open_fd->fd;
    int err;

    if (self->offset >= 0) {
        err = rota__file_write_at(fd, self->data, self->size, self->offset,
                                  &self->written);
    } else {
        err = rota__file_write_on(fd, self->data, self->size, &self->written);
        self->end = rota__file_seek(fd, 0, SEEK_CUR);
    }
    return err < 0 ? err : (intptr_t)self->size;
}

static void is_written(struct rota__file_call *call)
{
    const struct write_call *self = write_call_of(call);
    rota_file *file = call->file;

    if (!call->wait && call->job.result < 0)
        file->lost = (int)call->job.result;
    if (!self->moves || file->in_order || self->written == 0)
        return;
    file->position =
        file->append ? self->end : self->offset + (int64_t)self->written;
}

/* An error that its task has not heard of is told by the next sync or close. */
static intptr_t await_write(rota_file *file, struct rota__task *self,
                            struct write_call *call)
{
    struct rota__file_wait wait;
    intptr_t n = rota__file_call_await(&call->call, self, &wait);

    if (n == -ECANCELED && wait.result < 0)
        file->lost = (int)wait.result;
    return n;
}

/* offset < 0: at the end, or as it comes. */
static intptr_t write_out(rota_file *file, struct rota__task *self,
                          const void *data, size_t size, int64_t offset,
                          bool moves)
{
    struct write_call *call =
        rota__file_call_new(sizeof *call, room_for(file, size), write_data);
    int err;

    if (!call)
        return -ENOMEM;
    call->offset = offset;
    call->size = size;
    call->moves = moves;
    call->data = aligned(file, call->room);
    call->call.changes = true;
    call->call.done = is_written;
    err = rota__file_call_copy(&call->call, self, call->data, data, size);
    if (err < 0)
        return err;
    rota__file_call_use(&call->call, file->open_fd, file);
    return await_write(file, self, call);
}

intptr_t rota_file_write(rota_file *file, const void *data, size_t size)
{
    struct rota__task *self;
    int64_t offset;
    intptr_t n =
        rota__file_enter(file, &self, ROTA__FILE_MOVES, "rota_file_write");

    if (n < 0)
        return n;
    offset = file->in_order || file->append ? -1 : file->position;
    if (no_file_has(file->position, size))
        n = -EINVAL;
    else if (size > 0)
        n = write_out(file, self, data, size, offset, true);
    rota__file_leave(file, ROTA__FILE_MOVES);
    return n;
}

intptr_t rota_file_pwrite(rota_file *file, const void *data, size_t size,
                          int64_t offset)
{
    struct rota__task *self;
    intptr_t n;

    if (no_file_has(offset, size))
        return -EINVAL;
    n = rota__file_enter(file, &self, ROTA__FILE_AT, "rota_file_pwrite");
    if (n < 0)
        return n;
    if (file->in_order)
        n = -ESPIPE;
    else if (size > 0)
        n = write_out(file, self, data, size, offset, false);
    rota__file_leave(file, ROTA__FILE_AT);
    return n;
}
