/* SPDX-License-Identifier: MIT */
/*
 * The life of a file: opened, closing, closed, freed
 *
 * Tasks come in and leave; a call that its task has left behind counts as one
 * of them. When a file is to be closed and nobody is inside, the pool closes
 * it, because that may write. If there is no memory or thread for that, it is
 * closed here: an fd that nobody wants is never kept.
 */
#include "stream/files.h"

/* --- Closing ------------------------------------------------------------- */

static void release_if_over(rota_file *file)
{
    if (!file->freed || !file->closed || file->users > 0 ||
        file->closing_tasks > 0)
        return;
    rota__at_close_remove(&file->at_close);
    rota__buffer_fini(&file->ahead);
    rota__free(file);
}

static void is_closed(rota_file *file, int err)
{
    file->closed = true;
    if (file->lost == 0)
        file->lost = err;
    rota__unpark_all(&file->closers, 0);
    release_if_over(file);
}

struct close_call {
    struct rota__file_call call;
    rota_file *file;
};

static intptr_t close_fd(struct rota__file_call *call)
{
    struct rota__open_fd *open_fd = call->open_fd;

    call->open_fd = NULL;
    return rota__open_fd_unref(open_fd);
}

static void closed(struct rota__file_call *call)
{
    is_closed(rota__container_of(call, struct close_call, call)->file,
              (int)call->job.result);
}

static int close_on_the_pool(rota_file *file)
{
    struct close_call *self = rota__file_call_new(sizeof *self, 0, close_fd);
    int err;

    if (!self)
        return -ENOMEM;
    self->file = file;
    self->call.done = closed;
    self->call.open_fd = file->open_fd;
    err = rota__file_call_begin(&self->call, file->loop);
    if (err < 0) {
        self->call.open_fd = NULL;
        rota__file_call_free(&self->call);
    }
    return err;
}

/* Others may have the fd too: they go on where the file has ended. */
static void leave_position(rota_file *file)
{
    if (file->open_fd && file->shares && !file->in_order)
        file->open_fd->left_at = file->position;
}

static void close_if_unused(rota_file *file)
{
    struct rota__open_fd *open_fd = file->open_fd;
    int err;

    if (!file->closing || file->users > 0 || !open_fd)
        return;
    leave_position(file);
    err = close_on_the_pool(file);
    file->open_fd = NULL;
    if (err < 0)
        is_closed(file, rota__open_fd_unref(open_fd));
}

static void close_line(struct rota__file_line *line)
{
    rota__queue_close(&line->turn.queue);
    rota__unpark_all(&line->settling, -ROTA_ECLOSING);
}

/* The loop closes first: the fd goes, the handle stays its owner's. */
static void loop_closes(struct rota__at_close *at_close)
{
    rota_file *file = rota__container_of(at_close, rota_file, at_close);

    file->loop = NULL;
    file->closing = true;
    file->closed = true;
    file->users = 0; /* those never run again */
    file->closing_tasks = 0;
    leave_position(file);
    (void)rota__open_fd_unref(file->open_fd);
    file->open_fd = NULL;
    close_line(&file->line);
    close_line(&file->writes);
    rota__unpark_all(&file->closers, -ROTA_ECLOSING);
    release_if_over(file);
}

static int wait_until_closed(rota_file *file, struct rota__task *self)
{
    struct rota__waiter waiter;
    int err = 0;

    file->closing_tasks++;
    if (!file->closed)
        err = (int)rota__park_in(self, &waiter, &file->closers);
    file->closing_tasks--;
    if (err == 0) {
        err = file->lost;
        file->lost = 0;
    }
    release_if_over(file);
    return err;
}

int rota_file_close(rota_file *file)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_file_close", &err);

    if (!self)
        return err;
    if (file->loop && file->loop != self->loop)
        return rota__misuse(self->loop, -EINVAL, "rota_file_close",
                            "a file belongs to the loop that opened it");
    file->closing = true;
    close_if_unused(file);
    return wait_until_closed(file, self);
}

void rota_file_free(rota_file *file)
{
    if (!file)
        return;
    if (file->loop)
        rota__check_thread(file->loop, "rota_file_free");
    file->closing = true;
    file->freed = true;
    if (file->closed)
        release_if_over(file);
    else
        close_if_unused(file);
}

/* --- Inside -------------------------------------------------------------- */

struct rota__file_line *rota__file_line(rota_file *file,
                                        enum rota__file_use use)
{
    return file->in_order && use != ROTA__FILE_MOVES ? &file->writes
                                                     : &file->line;
}

/* Those that a task has left behind come first. */
static int settle(struct rota__file_line *line, struct rota__task *self)
{
    struct rota__waiter waiter;
    int err = 0;

    while (err == 0 && line->unsettled > 0)
        err = (int)rota__park_in(self, &waiter, &line->settling);
    if (err == 0 && rota__task_is_greedy(self))
        err = rota__yield(self);
    return err;
}

static void leave(rota_file *file)
{
    file->users--;
    close_if_unused(file);
}

int rota__file_enter(rota_file *file, struct rota__task **self,
                     enum rota__file_use use, const char *function)
{
    int err = 0;

    *self = rota__waiting_task(function, &err);
    if (!*self)
        return err;
    if (file->closing)
        return -ROTA_ECLOSING;
    if (file->loop != (*self)->loop)
        return rota__misuse((*self)->loop, -EINVAL, function,
                            "a file belongs to the loop that opened it");
    file->users++;
    if (use != ROTA__FILE_AT)
        err = rota_lock_acquire(&rota__file_line(file, use)->turn);
    if (err < 0) {
        leave(file);
        return err;
    }
    err = settle(rota__file_line(file, use), *self);
    if (err < 0)
        rota__file_leave(file, use);
    return err;
}

void rota__file_leave(rota_file *file, enum rota__file_use use)
{
    if (use != ROTA__FILE_AT)
        (void)rota_lock_release(&rota__file_line(file, use)->turn);
    leave(file);
}

void rota__file_left_alone(struct rota__file_call *call)
{
    call->file->users++;
    if (call->changes)
        call->changes->unsettled++;
}

void rota__file_settled(struct rota__file_call *call)
{
    rota_file *file = call->file;

    if (call->changes && --call->changes->unsettled == 0)
        rota__unpark_all(&call->changes->settling, 0);
    leave(file);
}

/* --- Opening ------------------------------------------------------------- */

static void init_line(struct rota__file_line *line)
{
    rota_lock_init(&line->turn);
    rota__list_init(&line->settling);
}

static void adopt(rota_file *file, rota_loop *loop,
                  struct rota__open_fd *open_fd,
                  const struct rota__file_kind *kind)
{
    *file = (rota_file){
        .loop = loop,
        .open_fd = open_fd,
        .position = kind->position,
        .in_order = kind->in_order,
        .append = kind->append,
        .direct = kind->direct,
    };
    init_line(&file->line);
    init_line(&file->writes);
    rota__buffer_init(&file->ahead);
    rota__list_init(&file->closers);
    rota__at_close_add(loop, &file->at_close, loop_closes);
}

struct open_call {
    struct rota__file_call call;
    int flags;
    mode_t mode;
    struct rota__file_kind kind;
    struct rota__file_kind *out;
    char path[];
};

static struct open_call *open_call_of(struct rota__file_call *call)
{
    return rota__container_of(call, struct open_call, call);
}

static intptr_t open_path(struct rota__file_call *call)
{
    struct open_call *self = open_call_of(call);
    int fd = rota__file_open(self->path, self->flags, self->mode);

    call->open_fd->fd = fd;
    return fd < 0 ? fd : rota__file_kind(fd, &self->kind);
}

static void tell_kind(struct rota__file_call *call)
{
    const struct open_call *self = open_call_of(call);

    *self->out = self->kind;
}

static struct open_call *new_open_call(const char *path)
{
    size_t size = strlen(path) + 1;
    struct open_call *self = rota__file_call_new(sizeof *self, size, open_path);

    if (!self)
        return NULL;
    self->call.opens = true;
    self->call.deliver = tell_kind;
    self->call.open_fd = rota__open_fd_new(-1);
    self->call.block = rota__alloc(sizeof(rota_file));
    memcpy(self->path, path, size);
    if (self->call.open_fd && self->call.block)
        return self;
    rota__file_call_free(&self->call);
    return NULL;
}

int rota_file_open(rota_file **file, const char *path, int flags, mode_t mode)
{
    int err = 0;
    struct rota__task *self = rota__waiting_task("rota_file_open", &err);
    struct rota__file_kind kind;
    struct rota__file_wait wait;
    struct open_call *call;

    if (!self)
        return err;
    if (!path)
        return -EINVAL;
    call = new_open_call(path);
    if (!call)
        return -ENOMEM;
    call->flags = flags;
    call->mode = mode;
    call->out = &kind;
    err = (int)rota__file_call_await(&call->call, self, &wait);
    if (err < 0)
        return err;
    adopt(wait.block, self->loop, wait.open_fd, &kind);
    *file = wait.block;
    return 0;
}

int rota_file_open_fd(rota_file **file, int fd)
{
    rota_loop *loop = rota_get_running_loop();
    struct rota__file_kind kind;
    struct rota__open_fd *open_fd;
    rota_file *adopted;
    int err;

    if (!loop)
        return -ROTA_ENOLOOP;
    err = rota__file_kind(fd, &kind);
    if (err < 0)
        return err;
    open_fd = rota__open_fd_new(fd);
    adopted = rota__alloc(sizeof *adopted);
    if (!open_fd || !adopted) {
        rota__free(open_fd);
        rota__free(adopted);
        return -ENOMEM;
    }
    adopt(adopted, loop, open_fd, &kind);
    adopted->shares = true;
    *file = adopted;
    return 0;
}

int rota_file_fileno(const rota_file *file)
{
    return file->open_fd ? file->open_fd->fd : -ROTA_ECLOSING;
}
