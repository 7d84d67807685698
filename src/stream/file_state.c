/* SPDX-License-Identifier: MIT */
/*
 * Files: position, size, and what is on the disk
 */
#include "stream/files.h"
#include <unistd.h>

struct state_call {
    struct rota__file_call call;
    int64_t number; /* what it is asked with, and what it answers */
    int whence;
    struct stat status;
    struct stat *out; /* the caller's; for its task */
    int64_t *answer;
};

static struct state_call *state_call_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct state_call, call);
}

static struct state_call *new_call(rota_file *file,
                                   intptr_t (*work)(struct rota__file_call *))
{
    struct state_call *self = rota__file_call_new(sizeof *self, 0, work);

    if (self)
        rota__file_call_use(&self->call, file->open_fd, file);
    return self;
}

/* --- The position -------------------------------------------------------- */

static intptr_t ask_position(struct rota__file_call *call)
{
    struct state_call *self = state_call_of(call);

    self->number =
        rota__file_seek(call->open_fd->fd, self->number, self->whence);
    return self->number < 0 ? (intptr_t)self->number : 0;
}

static void tell_position(struct rota__file_call *call)
{
    *state_call_of(call)->answer = state_call_of(call)->number;
}

/* What the system must be asked: from the end, and holes. */
static int64_t seek_on_the_pool(rota_file *file, struct rota__task *self,
                                int64_t offset, int whence)
{
    struct state_call *call = new_call(file, ask_position);
    struct rota__file_wait wait;
    int64_t position = 0;
    intptr_t err;

    if (!call)
        return -ENOMEM;
    call->number = offset;
    call->whence = whence;
    call->answer = &position;
    call->call.changes = &file->line; /* where the fd stands */
    call->call.deliver = tell_position;
    err = rota__file_call_await(&call->call, self, &wait);
    return err < 0 ? err : position;
}

static int64_t seek_to(rota_file *file, struct rota__task *self, int64_t offset,
                       int whence)
{
    int64_t from = whence == SEEK_CUR ? file->position : 0;

    if (file->in_order)
        return -ESPIPE;
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return seek_on_the_pool(file, self, offset, whence);
    if (offset > INT64_MAX - from)
        return -EOVERFLOW;
    return offset < -from ? -EINVAL : from + offset;
}

intptr_t rota_file_seek(rota_file *file, int64_t offset, int whence)
{
    struct rota__task *self;
    int64_t position =
        rota__file_enter(file, &self, ROTA__FILE_MOVES, "rota_file_seek");

    if (position < 0)
        return (intptr_t)position;
    position = seek_to(file, self, offset, whence);
    if ((intptr_t)position != position)
        position = -EOVERFLOW;
    if (position >= 0)
        file->position = position;
    rota__file_leave(file, ROTA__FILE_MOVES);
    return (intptr_t)position;
}

int64_t rota_file_tell(const rota_file *file)
{
    return file->in_order ? -ESPIPE : file->position;
}

/* --- Size, and what is on the disk --------------------------------------- */

static intptr_t ask_stat(struct rota__file_call *call)
{
    return rota__file_stat(call->open_fd->fd, &state_call_of(call)->status);
}

static void tell_stat(struct rota__file_call *call)
{
    *state_call_of(call)->out = state_call_of(call)->status;
}

int rota_file_stat(rota_file *file, struct stat *out)
{
    struct rota__task *self;
    struct rota__file_wait wait;
    struct state_call *call;
    int err =
        out ? rota__file_enter(file, &self, ROTA__FILE_AT, "rota_file_stat")
            : -EINVAL;

    if (err < 0)
        return err;
    call = new_call(file, ask_stat);
    if (call) {
        call->out = out;
        call->call.deliver = tell_stat;
        err = (int)rota__file_call_await(&call->call, self, &wait);
    }
    rota__file_leave(file, ROTA__FILE_AT);
    return call ? err : -ENOMEM;
}

static intptr_t sync_all(struct rota__file_call *call)
{
    return rota__file_sync(call->open_fd->fd);
}

static intptr_t sync_data(struct rota__file_call *call)
{
    return rota__file_datasync(call->open_fd->fd);
}

/* Errors of writes that nobody waited for are told here. */
static int take_lost(rota_file *file, int err)
{
    if (err == 0) {
        err = file->lost;
        file->lost = 0;
    }
    return err;
}

static int sync_by(rota_file *file, intptr_t (*work)(struct rota__file_call *),
                   const char *function)
{
    struct rota__task *self;
    struct state_call *call;
    int err = rota__file_enter(file, &self, ROTA__FILE_AT, function);

    if (err < 0)
        return err;
    call = new_call(file, work);
    if (call)
        err = (int)rota__file_await_surely(&call->call, self);
    else
        err = -ENOMEM;
    err = take_lost(file, err);
    rota__file_leave(file, ROTA__FILE_AT);
    return err;
}

int rota_file_sync(rota_file *file)
{
    return sync_by(file, sync_all, "rota_file_sync");
}

int rota_file_datasync(rota_file *file)
{
    return sync_by(file, sync_data, "rota_file_datasync");
}

static intptr_t set_size(struct rota__file_call *call)
{
    return rota__file_truncate(call->open_fd->fd, state_call_of(call)->number);
}

int rota_file_truncate(rota_file *file, int64_t size)
{
    struct rota__task *self;
    struct rota__file_wait wait;
    struct state_call *call;
    int err =
        rota__file_enter(file, &self, ROTA__FILE_AT, "rota_file_truncate");

    if (err < 0)
        return err;
    call = new_call(file, set_size);
    if (call) {
        call->number = size;
        call->call.changes = rota__file_line(file, ROTA__FILE_AT);
        err = (int)rota__file_call_await(&call->call, self, &wait);
    }
    rota__file_leave(file, ROTA__FILE_AT);
    return call ? err : -ENOMEM;
}
