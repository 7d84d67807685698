/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing files
 *
 * Positions are kept here and not in the fd, so that a read is one at an
 * offset, and the position moves when its task has the bytes. What the system
 * has in memory is read at once, in pieces with the others' turns in between,
 * everything else by the pool. A write is copied and made by one call, which
 * ends also if its task has gone; then the position moves all the same.
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
    bool once;
    char *out; /* the caller's; for its task */
    char *data;
    char room[];
};

static struct read_call *read_call_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct read_call, call);
}

/* Until the end shows, but for reads without a cache: after a short one those
   have no offset to go on at. */
static intptr_t read_whole(struct rota__file_call *call)
{
    const struct read_call *self = read_call_of(call);
    size_t done = 0;
    intptr_t n = 1;

    while (n > 0 && done < self->size) {
        n = rota__file_read(call->open_fd->fd, self->data + done,
                            self->size - done, self->offset + (int64_t)done);
        if (n > 0)
            done += (size_t)n;
        if (self->once)
            break;
    }
    return n < 0 ? n : (intptr_t)done;
}

static void copy_out(struct rota__file_call *call)
{
    const struct read_call *self = read_call_of(call);

    if (call->job.result > 0)
        memcpy(self->out, self->data, (size_t)call->job.result);
}

intptr_t rota__file_read_by_the_pool(struct rota__open_fd *open_fd,
                                     rota_file *file, struct rota__task *self,
                                     char *buf, size_t size, int64_t offset)
{
    struct read_call *call =
        rota__file_call_new(sizeof *call, room_for(file, size), read_whole);
    struct rota__file_wait wait;

    if (!call)
        return -ENOMEM;
    call->size = size;
    call->data = aligned(file, call->room);
    call->offset = offset;
    call->once = !file || file->direct;
    call->out = buf;
    call->call.deliver = copy_out;
    rota__file_call_use(&call->call, open_fd, file);
    return rota__file_call_await(&call->call, self, &wait);
}

/* 0 is the end, an error that it is not known. */
static intptr_t read_at_once(rota_file *file, char *buf, size_t size,
                             int64_t offset)
{
    return file->direct
               ? -EAGAIN
               : rota__file_read_cached(file->open_fd->fd, buf, size, offset);
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
        bool at_once = n >= 0;

        if (!at_once)
            n = rota__file_read_by_the_pool(file->open_fd, file, self,
                                            buf + done, piece, at);
        if (n <= 0)
            return n < 0 ? n : (intptr_t)done;
        done += (size_t)n;
        if (!at_once && (size_t)n < piece)
            break;
        if (at_once && (size_t)n == piece && done < size)
            n = rota__yield(self);
        if (n < 0)
            return n;
    }
    return (intptr_t)done;
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
    n = file->in_order ? rota__file_read_next(file, self, buf, size)
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
        n = rota__file_read_rest(file, self, buf, size);
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

    if (!self->moves || self->written == 0)
        return;
    file->position =
        file->append ? self->end : self->offset + (int64_t)self->written;
}

/* offset < 0: at the end. */
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
    call->call.changes = &file->line;
    call->call.done = is_written;
    err = rota__file_call_copy(&call->call, self, call->data, data, size);
    if (err < 0)
        return err;
    rota__file_call_use(&call->call, file->open_fd, file);
    return rota__file_await_surely(&call->call, self);
}

intptr_t rota_file_write(rota_file *file, const void *data, size_t size)
{
    struct rota__task *self;
    int64_t offset;
    intptr_t n =
        rota__file_enter(file, &self, ROTA__FILE_WRITES, "rota_file_write");

    if (n < 0)
        return n;
    offset = file->append ? -1 : file->position;
    if (no_file_has(file->position, size))
        n = -EINVAL;
    else if (file->in_order && size > 0)
        n = rota__file_write_next(file, self, data, size);
    else if (size > 0)
        n = write_out(file, self, data, size, offset, true);
    rota__file_leave(file, ROTA__FILE_WRITES);
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
