/* SPDX-License-Identifier: MIT */
/*
 * Writing
 *
 * In the ordinary case the kernel takes everything at once and that is all. A
 * writer that has to wait keeps its bytes where they are, in its caller's
 * memory, and sends from there as the kernel takes them; only a rest below
 * the high-water mark (of a pipe: the low one) is copied, so that its task can
 * go on. A cancellation before the first byte takes none; after it, the rest is
 * copied whatever its size, because half of a message must never be sent.
 */
#include "stream/stream.h"

static int check_write(const rota_stream *stream)
{
    if (rota__unlikely(stream->closing))
        return -ROTA_ECLOSING;
    if (rota__unlikely(stream->conn.ended || stream->conn.end_after_out))
        return -EPIPE;
    return stream->conn.error;
}

/* Becomes the one writer, in the order of asking; on an error it has not. */
int rota__stream_get_turn(rota_stream *stream, struct rota__task *self)
{
    struct rota__turn turn = {.given = !stream->writing};
    struct rota__waiter waiter;
    intptr_t err = 0;

    stream->writing = true;
    if (!turn.given)
        err = rota__stream_wait(stream, self, &turn.waiter, &stream->writers);
    if (err == 0)
        err = check_write(stream);
    while (err == 0 && stream->paused) {
        err = rota__stream_wait(stream, self, &waiter, &stream->flow);
        if (err == 0)
            err = check_write(stream);
    }
    if (err < 0 && turn.given)
        rota__stream_release_writer(stream);
    return (int)err;
}

/* What is still to be sent; `skip` bytes of the first part are. */
struct rest {
    const struct iovec *parts;
    int count;
    size_t skip;
    size_t size;
    bool begun; /* some of it is sent: all of it must be */
};

static void advance(struct rest *rest, size_t n)
{
    rest->begun |= n > 0;
    rest->size -= n;
    n += rest->skip;
    while (rest->count > 0 && n >= rest->parts->iov_len) {
        n -= rest->parts->iov_len;
        rest->parts++;
        rest->count--;
    }
    rest->skip = n;
}

static int send_some(rota_stream *stream, struct rest *rest)
{
    const struct iovec *first = rest->parts;
    intptr_t n;

    if (rest->count > 1 && rest->skip == 0)
        n = rota__conn_writev(&stream->conn, first, rest->count);
    else
        n = rota__conn_write(&stream->conn,
                             (const char *)first->iov_base + rest->skip,
                             first->iov_len - rest->skip);
    if (n < 0)
        return (int)n;
    advance(rest, (size_t)n);
    return 0;
}

static int keep_rest(rota_stream *stream, struct rest *rest)
{
    struct rota__conn *conn = &stream->conn;
    int err = 0;

    if (rest->count > 1 && !conn->filter) /* all of the parts or none */
        err = rota__buffer_reserve(&conn->out, rest->size);
    while (err == 0 && rest->count > 0) {
        size_t size = rest->parts->iov_len - rest->skip;

        err = rota__conn_queue(
            conn, (const char *)rest->parts->iov_base + rest->skip, size);
        if (err == 0)
            advance(rest, size);
    }
    if (err < 0 && rest->begun)
        rota__conn_fail(conn, err); /* no half of a message */
    rota__stream_update_paused(stream);
    return err;
}

/* What rota_read_borrowed() has lent does not outlive a wait. */
static bool is_borrowed(const rota_stream *stream, const struct rest *rest)
{
    const char *scratch = stream->conn.loop->scratch;

    for (int i = 0; scratch && i < rest->count; i++) {
        const char *data = rest->parts[i].iov_base;

        if (data >= scratch && data < scratch + ROTA__SCRATCH)
            return true;
    }
    return false;
}

/* A pipe is as small as the high-water mark: who fills it waits for it, which
   costs less than a copy of each pipeful. */
static size_t most_to_keep(const rota_stream *stream)
{
    return stream->conn.pipe ? stream->low : stream->high;
}

static bool may_keep(const rota_stream *stream, const struct rest *rest)
{
    return rota__buffer_size(&stream->conn.out) + rest->size <=
               most_to_keep(stream) ||
           is_borrowed(stream, rest);
}

static int send_all(rota_stream *stream, struct rota__task *self,
                    struct rest *rest)
{
    struct rota__waiter waiter;
    intptr_t err;

    for (;;) {
        err = send_some(stream, rest);
        if (err < 0 || rest->size == 0)
            return (int)err;
        if (stream->conn.may_write &&
            stream->conn.out.start == stream->conn.out.end)
            continue; /* the kernel took a part only, and may take more */
        if (may_keep(stream, rest))
            return keep_rest(stream, rest);
        err = rota__stream_wait(stream, self, &waiter, &stream->flow);
        if (err == 0 && stream->closing)
            err = -ROTA_ECLOSING; /* after it was woken: the fd may be gone */
        if (err < 0)
            break;
    }
    if (rest->begun && stream->conn.error == 0 && !stream->conn.closed) {
        int kept = keep_rest(stream, rest);

        return kept < 0 ? kept : err == -ECANCELED ? -ECANCELED : 0;
    }
    return (int)err;
}

static intptr_t write_in_turn(rota_stream *stream, struct rota__task *self,
                              struct rest *rest, bool my_turn)
{
    size_t size = rest->size;
    int err = my_turn ? 0 : rota__stream_get_turn(stream, self);

    if (err == 0) {
        stream->writing = true;
        err = send_all(stream, self, rest);
        rota__stream_release_writer(stream);
    }
    return err < 0 ? err : (intptr_t)size;
}

/* --- A borrowed write that must wait for its turn: of a copy ------------- */

struct copy {
    struct rota__at_close at_close;
    void *memory;
};

static void free_copy(struct rota__at_close *at_close)
{
    rota__free(rota__container_of(at_close, struct copy, at_close)->memory);
}

static void gather(char *to, const struct rest *rest)
{
    for (int i = 0; i < rest->count; i++) {
        const struct iovec *part = &rest->parts[i];

        if (part->iov_len > 0)
            memcpy(to, part->iov_base, part->iov_len);
        to += part->iov_len;
    }
}

static intptr_t write_copy(rota_stream *stream, struct rota__task *self,
                           struct rest *rest)
{
    rota_loop *loop = self->loop;
    struct copy copy = {.memory = rota__alloc(rest->size)};
    struct iovec part = {copy.memory, rest->size};
    struct rest whole = {&part, 1, 0, rest->size, rest->begun};
    intptr_t n;

    if (!copy.memory)
        return -ENOMEM;
    gather(copy.memory, rest);
    rota__at_close_add(loop, &copy.at_close, free_copy);
    n = write_in_turn(stream, self, &whole, false);
    rota__at_close_remove(&copy.at_close);
    rota__free(copy.memory);
    return n;
}

static ROTA__SLOW intptr_t write_slowly(rota_stream *stream,
                                        struct rota__task *self,
                                        struct rest *rest, size_t taken,
                                        bool my_turn)
{
    intptr_t n;

    if (!my_turn && is_borrowed(stream, rest))
        n = write_copy(stream, self, rest);
    else
        n = write_in_turn(stream, self, rest, my_turn);
    rota__stream_leave(stream);
    return n < 0 ? n : n + (intptr_t)taken;
}

/* --- The calls ---------------------------------------------------------- */

/* What is borrowed would not outlive giving way. */
static inline intptr_t begin(rota_stream *stream, struct rota__task *self,
                             const struct rest *rest, const char *function)
{
    intptr_t err = rota__stream_check(stream, self, function);

    if (rota__unlikely(err < 0))
        return err;
    if (rota__task_is_greedy(self) && !is_borrowed(stream, rest))
        err = rota__stream_give_way(stream, self, false);
    if (rota__likely(err == 0))
        return check_write(stream);
    rota__stream_leave(stream);
    return err;
}

intptr_t rota_write(rota_stream *stream, const void *data, size_t size)
{
    struct rota__task *self = rota__current();
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct rest rest = {&part, 1, 0, size, false};
    intptr_t n = begin(stream, self, &rest, "rota_write");
    bool my_turn;

    if (rota__unlikely(n < 0 || size == 0))
        return n;
    my_turn = !stream->writing && !stream->paused;
    if (rota__likely(my_turn)) {
        n = rota__conn_write(&stream->conn, data, size);
        if (rota__likely(n == (intptr_t)size || n < 0))
            return n;
        advance(&rest, (size_t)n);
    }
    return write_slowly(stream, self, &rest, (size_t)n, my_turn);
}

intptr_t rota_writelines(rota_stream *stream, const struct iovec *parts,
                         int count)
{
    struct rota__task *self = rota__current();
    intptr_t size = rota__parts_size(parts, count);
    struct rest rest = {parts, count, 0, (size_t)size, false};
    intptr_t n = size;

    if (size >= 0)
        n = begin(stream, self, &rest, "rota_writelines");
    if (n < 0 || size == 0)
        return n;
    advance(&rest, 0); /* past empty parts */
    return write_slowly(stream, self, &rest, 0,
                        !stream->writing && !stream->paused);
}

int rota_write_nowait(rota_stream *stream, const void *data, size_t size)
{
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct rest rest = {&part, 1, 0, size, false};
    int err = check_write(stream);

    rota__stream_check_thread(stream, "rota_write_nowait");
    if (err < 0 || size == 0)
        return err;
    if (stream->writing)
        return -EBUSY;
    err = send_some(stream, &rest);
    if (err == 0 && rest.size > 0)
        err = keep_rest(stream, &rest);
    return err;
}

int rota_drain(rota_stream *stream)
{
    struct rota__task *self = rota__current();
    struct rota__waiter waiter;
    intptr_t err = rota__stream_check(stream, self, "rota_drain");

    if (err == 0)
        err = stream->conn.error;
    while (err == 0 && stream->paused) {
        err = rota__stream_wait(stream, self, &waiter, &stream->flow);
        if (err == 0)
            err = stream->closing ? -ROTA_ECLOSING : stream->conn.error;
    }
    rota__stream_leave(stream);
    return (int)err;
}

int rota_stream_set_write_buffer_limits(rota_stream *stream, size_t high,
                                        size_t low)
{
    if (low > high)
        return -EINVAL;
    stream->high = high;
    stream->low = low;
    rota__stream_update_paused(stream);
    if (!stream->paused)
        rota__unpark_all(&stream->flow, 0);
    return 0;
}

size_t rota_stream_write_buffer_size(const rota_stream *stream)
{
    return rota__buffer_size(&stream->conn.out);
}

int rota_write_eof(rota_stream *stream)
{
    if (stream->closing)
        return -ROTA_ECLOSING;
    if (stream->writing)
        return -EBUSY;
    if (stream->conn.pipe && stream->conn.error == 0) {
        rota_close(stream); /* it has no direction that could end alone */
        return 0;
    }
    return rota__conn_write_eof(&stream->conn);
}
