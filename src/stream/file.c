/* SPDX-License-Identifier: MIT */
/*
 * Reading files that are being sent
 *
 * A read of a disk cannot be interrupted. What the system has in memory is
 * read at once, everything else on the pool. A reader whose task has gone, or
 * whose loop closes, is freed by the end of its job.
 */
#include "stream/file.h"
#include "loop/job.h"

/* On the stack of the task that waits. */
struct reading {
    struct rota__waiter waiter;
    struct rota__file_reader *reader;
};

struct rota__file_reader {
    struct rota__job job;
    struct rota__at_close at_close;
    rota_loop *loop;
    struct reading *reading; /* or NULL: nobody waits */
    int file;
    int64_t offset;
    size_t size;
    bool busy; /* the job is under way */
    bool left; /* nobody wants it any more */
    char data[];
};

int rota__parcel_init(struct rota__parcel *parcel, int file, int64_t offset,
                      size_t count)
{
    *parcel = (struct rota__parcel){
        .file = file,
        .to_the_end = count == 0,
        .offset = offset,
        .left = count,
    };
    return offset < 0 || count > (size_t)INTPTR_MAX ||
                   (uint64_t)count > (uint64_t)(INT64_MAX - offset)
               ? -EINVAL
               : 0;
}

void rota__parcel_advance(struct rota__parcel *parcel, size_t sent)
{
    parcel->offset += (int64_t)sent;
    parcel->sent += sent;
    if (!parcel->to_the_end)
        parcel->left -= sent;
}

static struct rota__file_reader *reader_of(struct rota__job *job)
{
    return rota__container_of(job, struct rota__file_reader, job);
}

static void free_reader(struct rota__file_reader *reader)
{
    rota__at_close_remove(&reader->at_close);
    (void)rota__fd_close(reader->file);
    rota__free(reader);
}

static void wake(struct rota__file_reader *reader, intptr_t result)
{
    struct reading *reading = reader->reading;

    reader->reading = NULL;
    if (reading)
        rota__unpark(&reading->waiter, result);
}

/* On a thread of the pool. */
static intptr_t read_piece(void *arg)
{
    struct rota__file_reader *reader = arg;

    return rota__file_read(reader->file, reader->data, reader->size,
                           reader->offset);
}

static void piece_is_read(struct rota__job *job)
{
    struct rota__file_reader *reader = reader_of(job);

    reader->busy = false;
    wake(reader, job->dropped ? -ROTA_ECLOSED : job->result);
}

static void let_go(struct rota__job *job)
{
    struct rota__file_reader *reader = reader_of(job);

    if (reader->left || job->dropped)
        free_reader(reader);
}

static void loop_closes(struct rota__at_close *at_close)
{
    struct rota__file_reader *reader =
        rota__container_of(at_close, struct rota__file_reader, at_close);

    wake(reader, -ROTA_ECLOSED);
    rota__file_reader_close(reader);
}

int rota__file_reader_open(struct rota__file_reader **out, rota_loop *loop,
                           int file)
{
    struct rota__file_reader *reader;
    int copy = rota__fd_copy(file);

    if (copy < 0)
        return copy;
    reader = rota__alloc(sizeof *reader + ROTA__FILE_PIECE);
    if (!reader) {
        (void)rota__fd_close(copy);
        return -ENOMEM;
    }
    *reader = (struct rota__file_reader){
        .job.call.function = read_piece,
        .job.ended = piece_is_read,
        .job.release = let_go,
        .loop = loop,
        .file = copy,
    };
    reader->job.call.arg = reader;
    rota__at_close_add(loop, &reader->at_close, loop_closes);
    *out = reader;
    return 0;
}

void rota__file_reader_close(struct rota__file_reader *reader)
{
    reader->left = true;
    if (reader->busy)
        (void)rota__job_cancel(&reader->job);
    else
        free_reader(reader);
}

static bool cancel_read(struct rota__waiter *waiter)
{
    wake(rota__container_of(waiter, struct reading, waiter)->reader,
         -ECANCELED);
    return true;
}

static intptr_t read_on_the_pool(struct rota__file_reader *reader,
                                 struct rota__task *self)
{
    struct reading reading = {.waiter.cancel = cancel_read, .reader = reader};
    intptr_t err = rota__pool_submit(&reader->job, reader->loop, ROTA__FILES);

    if (err < 0)
        return err;
    reader->busy = true;
    reader->reading = &reading;
    rota__list_init(&reading.waiter.link);
    return rota__park(self, &reading.waiter);
}

intptr_t rota__file_reader_read(struct rota__file_reader *reader,
                                struct rota__task *self, int64_t offset,
                                size_t size, const char **data)
{
    intptr_t n =
        rota__file_read_cached(reader->file, reader->data, size, offset);

    *data = reader->data;
    if (n > 0)
        return n;
    reader->offset = offset;
    reader->size = size;
    return read_on_the_pool(reader, self);
}
