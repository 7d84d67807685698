/* SPDX-License-Identifier: MIT */
/*
 * Calls on the pool that a task awaits
 */
#include "stream/files.h"
#include <unistd.h>

/* --- An fd that many use ------------------------------------------------- */

struct rota__open_fd *rota__open_fd_new(int fd)
{
    struct rota__open_fd *open_fd = rota__alloc(sizeof *open_fd);

    if (open_fd) {
        atomic_init(&open_fd->users, 1);
        open_fd->fd = fd;
        open_fd->left_at = -1;
    }
    return open_fd;
}

int rota__open_fd_unref(struct rota__open_fd *open_fd)
{
    int err = 0;

    if (!open_fd || atomic_fetch_sub(&open_fd->users, 1) > 1)
        return 0;
    if (open_fd->left_at >= 0)
        (void)rota__file_seek(open_fd->fd, open_fd->left_at, SEEK_SET);
    if (open_fd->fd >= 0)
        err = rota__fd_close(open_fd->fd);
    rota__free(open_fd);
    return err;
}

/* --- On the pool --------------------------------------------------------- */

/* It lets go of the fd here: the loop's thread should not close it. */
static intptr_t run(void *arg)
{
    struct rota__file_call *call = arg;
    intptr_t result = call->work(call);

    if (!call->opens || atomic_load(&call->unwanted)) {
        (void)rota__open_fd_unref(call->open_fd);
        call->open_fd = NULL;
    }
    return result;
}

static struct rota__file_call *call_of(struct rota__job *job)
{
    return rota__container_of(job, struct rota__file_call, job);
}

void rota__file_call_free(struct rota__file_call *call)
{
    (void)rota__open_fd_unref(call->open_fd);
    rota__free(call->block);
    rota__free(call);
}

static void release(struct rota__job *job)
{
    rota__file_call_free(call_of(job));
}

/* --- On the loop --------------------------------------------------------- */

static void hand_over(struct rota__file_call *call)
{
    struct rota__file_wait *wait = call->wait;

    if (call->deliver)
        call->deliver(call);
    wait->call = NULL;
    wait->result = call->job.result;
    wait->block = call->block;
    call->block = NULL;
    if (call->opens) {
        wait->open_fd = call->open_fd;
        call->open_fd = NULL;
    }
    rota__unpark(&wait->waiter, 0);
}

static void keep_error(struct rota__file_call *call)
{
    if (!call->wait && call->job.result < 0)
        call->file->lost = (int)call->job.result;
}

/* With the loop goes the task that waits, and perhaps the file. */
static void ended(struct rota__job *job)
{
    struct rota__file_call *call = call_of(job);

    if (job->dropped) {
        if (call->wait)
            call->wait->call = NULL;
        return;
    }
    if (call->done)
        call->done(call);
    if (call->surely)
        keep_error(call);
    if (call->wait)
        hand_over(call);
    else if (call->file)
        rota__file_settled(call);
}

void *rota__file_call_new(size_t size, size_t room,
                          intptr_t (*work)(struct rota__file_call *call))
{
    struct rota__file_call *call = rota__alloc(size + room);

    if (!call)
        return NULL;
    memset(call, 0, size);
    call->job.call.function = run;
    call->job.call.arg = call;
    call->job.ended = ended;
    call->job.release = release;
    call->work = work;
    atomic_init(&call->unwanted, false);
    return call;
}

void rota__file_call_use(struct rota__file_call *call,
                         struct rota__open_fd *open_fd, rota_file *file)
{
    call->file = file;
    call->open_fd = open_fd;
    atomic_fetch_add(&open_fd->users, 1);
}

/* --- Data on its way into a call ----------------------------------------- */

struct copying {
    struct rota__at_close at_close;
    struct rota__file_call *call;
};

static void copying_ends(struct rota__at_close *at_close)
{
    rota__file_call_free(
        rota__container_of(at_close, struct copying, at_close)->call);
}

static int yield_with(struct rota__file_call *call, struct rota__task *self)
{
    struct copying copying = {.call = call};
    int err;

    rota__at_close_add(self->loop, &copying.at_close, copying_ends);
    err = rota__yield(self);
    rota__at_close_remove(&copying.at_close);
    if (err < 0)
        rota__file_call_free(call);
    return err;
}

int rota__file_call_copy(struct rota__file_call *call, struct rota__task *self,
                         char *to, const char *data, size_t size)
{
    int err = 0;

    while (size > ROTA__FILE_PIECE) {
        memcpy(to, data, ROTA__FILE_PIECE);
        to += ROTA__FILE_PIECE;
        data += ROTA__FILE_PIECE;
        size -= ROTA__FILE_PIECE;
        err = yield_with(call, self);
        if (err < 0)
            return err;
    }
    memcpy(to, data, size);
    return 0;
}

/* --- Waiting for one ----------------------------------------------------- */

static void give_up(struct rota__file_wait *wait)
{
    struct rota__file_call *call = wait->call;

    wait->call = NULL;
    if (!call)
        return;
    call->wait = NULL;
    atomic_store(&call->unwanted, true);
    if (!rota__job_cancel(&call->job) && call->file)
        rota__file_left_alone(call);
}

static bool cancel(struct rota__waiter *waiter)
{
    give_up(rota__container_of(waiter, struct rota__file_wait, waiter));
    rota__unpark(waiter, -ECANCELED);
    return true;
}

static void drop(struct rota__file_wait *wait)
{
    (void)rota__open_fd_unref(wait->open_fd);
    rota__free(wait->block);
    wait->open_fd = NULL;
    wait->block = NULL;
}

/* The task does not run again, also if what it waits for has come. */
static void loop_closes(struct rota__at_close *at_close)
{
    drop(rota__container_of(at_close, struct rota__file_wait, at_close));
}

int rota__file_call_begin(struct rota__file_call *call, rota_loop *loop)
{
    return rota__pool_submit(&call->job, loop, ROTA__FILES);
}

intptr_t rota__file_call_await(struct rota__file_call *call,
                               struct rota__task *self,
                               struct rota__file_wait *wait)
{
    intptr_t err;

    *wait = (struct rota__file_wait){.waiter.cancel = cancel, .call = call};
    call->wait = wait;
    err = rota__file_call_begin(call, self->loop);
    if (err < 0) {
        rota__file_call_free(call);
        return err;
    }
    rota__list_init(&wait->waiter.link);
    rota__at_close_add(self->loop, &wait->at_close, loop_closes);
    err = rota__park(self, &wait->waiter);
    rota__at_close_remove(&wait->at_close);
    if (err == 0)
        err = wait->result;
    if (rota_is_error(err))
        drop(wait);
    return err;
}

intptr_t rota__file_await_surely(struct rota__file_call *call,
                                 struct rota__task *self)
{
    rota_file *file = call->file;
    struct rota__file_wait wait;
    intptr_t n;

    call->surely = true;
    n = rota__file_call_await(call, self, &wait);
    if (n == -ECANCELED && wait.result < 0)
        file->lost = (int)wait.result;
    return n;
}
