/* SPDX-License-Identifier: MIT */
/*
 * Sending files, to wherever
 *
 * The system would wait for the disk in the midst of a sendfile(), and the
 * loop with it. So it sends only what it has in memory. Everything else is
 * read by the pool, which has a copy of the fd: a read whose task has gone goes
 * on. By then the system has read ahead, and the next piece is at hand.
 */
#include "stream/parcel.h"

struct rota__file_reader {
    struct rota__at_close at_close;
    struct rota__open_fd *open_fd;
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

static void close_reader(struct rota__file_reader *reader)
{
    rota__at_close_remove(&reader->at_close);
    (void)rota__open_fd_unref(reader->open_fd);
    rota__free(reader);
}

static void loop_closes(struct rota__at_close *at_close)
{
    close_reader(
        rota__container_of(at_close, struct rota__file_reader, at_close));
}

static int open_reader(struct rota__file_reader **out, rota_loop *loop,
                       int file)
{
    struct rota__file_reader *reader;
    struct rota__open_fd *open_fd;
    int copy = rota__fd_copy(file);

    if (copy < 0)
        return copy;
    open_fd = rota__open_fd_new(copy);
    reader = rota__alloc(sizeof *reader + ROTA__FILE_PIECE);
    if (!open_fd || !reader) {
        rota__free(reader);
        rota__free(open_fd);
        (void)rota__fd_close(copy);
        return -ENOMEM;
    }
    reader->open_fd = open_fd;
    rota__at_close_add(loop, &reader->at_close, loop_closes);
    *out = reader;
    return 0;
}

/* Bytes, which are the reader's, 0 at the end of the file, or an error. */
static intptr_t read_piece(struct rota__sending *it, const char **data)
{
    size_t size = rota__parcel_next(it->parcel, ROTA__FILE_PIECE);
    int64_t offset = it->parcel->offset;
    struct rota__file_reader *reader;
    intptr_t n = 0;

    if (!it->reader)
        n = open_reader(&it->reader, it->self->loop, it->parcel->file);
    if (n < 0)
        return n;
    reader = it->reader;
    *data = reader->data;
    n = rota__file_read_cached(reader->open_fd->fd, reader->data, size, offset);
    if (n > 0)
        return n;
    return rota__file_read_by_the_pool(reader->open_fd, NULL, it->self,
                                       reader->data, size, offset);
}

/* These two: 0 at the end of the file, an error, or above 0. */
static intptr_t read_and_write(struct rota__sending *it)
{
    const char *data;
    intptr_t n = read_piece(it, &data);
    intptr_t err = n > 0 ? it->ops->write(it, data, (size_t)n) : n;

    if (err == 0 && n > 0)
        err = it->ops->yield(it);
    return err < 0 ? err : n;
}

static intptr_t send_by_the_system(struct rota__sending *it, size_t size)
{
    intptr_t n = it->ops->send(it, size);
    intptr_t err = 0;

    if (n > 0)
        rota__parcel_advance(it->parcel, (size_t)n);
    if (n == -EAGAIN)
        err = it->ops->wait(it);
    else if (rota__sendfile_cannot(n))
        it->by_system = false;
    else if (n <= 0)
        return n;
    else if ((size_t)n == size)
        err = it->ops->yield(it);
    return err < 0 ? err : 1;
}

static bool is_at_hand(struct rota__sending *it, size_t size)
{
    uint64_t end = (uint64_t)it->parcel->offset + size;

    if (end > it->at_hand &&
        rota__file_is_at_hand(it->parcel->file, it->parcel->offset, size))
        it->at_hand = end;
    return end <= it->at_hand;
}

static size_t next_piece(const struct rota__sending *it)
{
    return rota__parcel_next(it->parcel, ROTA__PARCEL_PIECE);
}

intptr_t rota__parcel_send(struct rota__sending *it)
{
    intptr_t n = 1;

    for (size_t size = next_piece(it); n > 0 && size > 0; size = next_piece(it))
        n = it->by_system && is_at_hand(it, size) ? send_by_the_system(it, size)
                                                  : read_and_write(it);
    if (it->reader)
        close_reader(it->reader);
    return n < 0 ? n : 0;
}
