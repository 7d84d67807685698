/* SPDX-License-Identifier: MIT */
/*
 * Files without positions: pipes, terminals and their like
 *
 * Nobody knows when a byte comes, or room for one: the loop waits for that, as
 * for a stream, and no thread. Then the system is asked for what it can do at
 * once. Of a terminal it cannot say: such calls are made by the pool, once the
 * loop has seen that they can.
 *
 * What is read is lost to others, so it goes into file->ahead, from where a
 * task takes it when it runs. A write whose task goes away in its midst goes
 * on without it, on the loop.
 */
#include "stream/files.h"

/* 0 when it can; -EPERM: this is not known of such an fd. */
static int wait_until_ready(const rota_file *file, struct rota__task *self,
                            bool writing)
{
    return rota__wait_for_fd(self, file->open_fd->fd, writing);
}

/* --- Reading ------------------------------------------------------------- */

struct next_read {
    struct rota__file_call call;
    size_t size;
    char data[];
};

static struct next_read *next_read_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct next_read, call);
}

static intptr_t read_next(struct rota__file_call *call)
{
    struct next_read *self = next_read_of(call);

    return rota__fd_read(call->open_fd->fd, self->data, self->size);
}

/* There is room for it. */
static void keep_ahead(struct rota__file_call *call)
{
    const struct next_read *self = next_read_of(call);
    intptr_t n = call->job.result;

    if (n > 0)
        (void)rota__buffer_append(&call->file->ahead, self->data, (size_t)n);
}

static intptr_t read_by_the_pool(rota_file *file, struct rota__task *self,
                                 size_t size)
{
    struct rota__file_wait wait;
    struct next_read *call = rota__file_call_new(sizeof *call, size, read_next);

    if (!call)
        return -ENOMEM;
    call->size = size;
    call->call.changes = &file->line;
    call->call.done = keep_ahead;
    rota__file_call_use(&call->call, file->open_fd, file);
    return rota__file_call_await(&call->call, self, &wait);
}

static intptr_t read_at_once(rota_file *file, size_t size)
{
    struct rota__buffer *ahead = &file->ahead;
    intptr_t n =
        rota__fd_read_now(file->open_fd->fd, ahead->memory + ahead->end, size);

    if (n > 0)
        rota__buffer_filled(ahead, (size_t)n);
    return n;
}

/* Bytes, which come into file->ahead. */
static intptr_t read_ahead(rota_file *file, struct rota__task *self,
                           size_t size)
{
    size_t piece = size < ROTA__FILE_PIECE ? size : ROTA__FILE_PIECE;
    intptr_t n = -EAGAIN;

    if (rota__buffer_reserve(&file->ahead, piece) < 0)
        return -ENOMEM;
    while (n == -EAGAIN) {
        bool by_the_pool;
        int err;

        n = read_at_once(file, piece);
        if (n != -EAGAIN && n != -EOPNOTSUPP)
            return n;
        by_the_pool = n == -EOPNOTSUPP;
        err = wait_until_ready(file, self, false);
        if (err < 0 && err != -EPERM)
            return err;
        if (by_the_pool || err == -EPERM)
            n = read_by_the_pool(file, self, piece);
        if (err == -EPERM)
            return n;
    }
    return n;
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

intptr_t rota__file_read_next(rota_file *file, struct rota__task *self,
                              char *buf, size_t size)
{
    intptr_t n = (intptr_t)rota__buffer_size(&file->ahead);

    if (n == 0)
        n = read_ahead(file, self, size);
    return n <= 0 ? n : take_ahead(file, buf, size);
}

intptr_t rota__file_read_rest(rota_file *file, struct rota__task *self,
                              char *buf, size_t size)
{
    intptr_t n = 1;

    while (n > 0 && rota__buffer_size(&file->ahead) <= size) {
        n = read_ahead(file, self, size - rota__buffer_size(&file->ahead) + 1);
        if (n > 0 && rota__yield(self) < 0)
            n = -ECANCELED;
    }
    if (n < 0)
        return n;
    return n > 0 ? -ROTA_ELIMIT : take_ahead(file, buf, size);
}

/* --- Writing ------------------------------------------------------------- */

struct next_write {
    struct rota__file_call call; /* its own only when the pool makes it */
    struct rota__at_close at_close;
    struct rota__watcher watcher; /* these when it goes on alone */
    struct rota__handle handle;
    size_t size;
    size_t done;
    char data[];
};

static intptr_t write_the_rest(struct rota__file_call *call)
{
    struct next_write *self = rota__container_of(call, struct next_write, call);
    size_t written;
    int err = rota__file_write_on(call->open_fd->fd, self->data + self->done,
                                  self->size - self->done, &written);

    return err < 0 ? err : (intptr_t)self->size;
}

static void loop_closes(struct rota__at_close *at_close)
{
    struct next_write *self =
        rota__container_of(at_close, struct next_write, at_close);

    rota__watcher_end(&self->watcher);
    rota__unready(&self->handle);
    rota__file_call_free(&self->call);
}

/* How much more of it the system has taken, or an error. */
static intptr_t write_at_once(struct next_write *self, const rota_file *file)
{
    size_t left = self->size - self->done;
    intptr_t n =
        rota__fd_write_now(file->open_fd->fd, self->data + self->done,
                           left < ROTA__FILE_PIECE ? left : ROTA__FILE_PIECE);

    if (n > 0)
        self->done += (size_t)n;
    return n;
}

static void end_alone(struct next_write *self, int err)
{
    rota__at_close_remove(&self->at_close);
    if (err < 0)
        self->call.file->lost = err;
    rota__file_settled(&self->call);
    rota__file_call_free(&self->call);
}

static void wait_alone(struct next_write *self)
{
    const rota_file *file = self->call.file;
    int err = rota__watcher_begin(file->loop, &self->watcher, file->open_fd->fd,
                                  true);

    if (err < 0)
        end_alone(self, err);
}

static void write_alone(struct rota__handle *handle)
{
    struct next_write *self =
        rota__container_of(handle, struct next_write, handle);
    intptr_t n;

    rota__watcher_end(&self->watcher);
    n = write_at_once(self, self->call.file);
    if (n < 0 && n != -EAGAIN)
        end_alone(self, (int)n);
    else if (self->done == self->size)
        end_alone(self, 0);
    else
        wait_alone(self);
}

static void there_is_room(struct rota__watcher *watcher)
{
    struct next_write *self =
        rota__container_of(watcher, struct next_write, watcher);

    rota__ready(self->call.file->loop, &self->handle);
}

/* Its task is gone, and a part of it written. */
static void go_on_alone(struct next_write *self, rota_file *file)
{
    self->call.file = file;
    self->call.changes = &file->writes;
    self->watcher.wake = there_is_room;
    self->handle.run = write_alone;
    rota__file_left_alone(&self->call);
    rota__at_close_add(file->loop, &self->at_close, loop_closes);
    wait_alone(self);
}

static int wait_for_room(struct next_write *self, rota_file *file,
                         struct rota__task *task)
{
    int err;

    rota__at_close_add(file->loop, &self->at_close, loop_closes);
    err = wait_until_ready(file, task, true);
    rota__at_close_remove(&self->at_close);
    return err;
}

/* All of it at once, piece by piece; or an error. */
static intptr_t write_pieces(struct next_write *self, rota_file *file,
                             struct rota__task *task)
{
    while (self->done < self->size) {
        intptr_t n = write_at_once(self, file);
        int err = 0;

        if (n < 0 && n != -EAGAIN && n != -EOPNOTSUPP)
            return n;
        if (self->done < self->size)
            err = wait_for_room(self, file, task);
        if (err < 0 && err != -EPERM)
            return err;
        if (n == -EOPNOTSUPP || err == -EPERM)
            return -EOPNOTSUPP;
    }
    return (intptr_t)self->size;
}

intptr_t rota__file_write_next(rota_file *file, struct rota__task *self,
                               const char *data, size_t size)
{
    struct next_write *call =
        rota__file_call_new(sizeof *call, size, write_the_rest);
    intptr_t n;

    if (!call)
        return -ENOMEM;
    call->size = size;
    rota__list_init(&call->handle.link);
    n = rota__file_call_copy(&call->call, self, call->data, data, size);
    if (n < 0)
        return n;
    n = write_pieces(call, file, self);
    if (n == -EOPNOTSUPP) {
        call->call.changes = &file->writes;
        rota__file_call_use(&call->call, file->open_fd, file);
        return rota__file_await_surely(&call->call, self);
    }
    if (n == -ECANCELED && call->done > 0)
        go_on_alone(call, file);
    else
        rota__file_call_free(&call->call);
    return n;
}
