/* SPDX-License-Identifier: MIT */
/*
 * Plain sockets, for tasks
 *
 * Each call asks the system first, and waits only if it must. Between two
 * waits nothing is remembered of the fd.
 */
#include "stream/parcel.h"
#include <rota/sock.h>

/* So much of one write, so that other tasks have their turn. */
#define PIECE ((size_t)1 << 20)

/* Seconds between two attempts to get into a backlog that is full. */
#define FIRST_PAUSE 0.001
#define LONGEST_PAUSE 0.05

/* The running task, which has had its turn; or NULL and an error. */
static struct rota__task *caller(const char *function, int *err)
{
    struct rota__task *self = rota__waiting_task(function, err);

    if (self && rota__task_is_greedy(self))
        *err = rota__yield(self);
    return *err < 0 ? NULL : self;
}

intptr_t rota_sock_recv(int fd, void *buf, size_t size)
{
    int err = 0;
    struct rota__task *self = caller("rota_sock_recv", &err);
    intptr_t n = err;

    while (err == 0 && (n = rota__sock_recv(fd, buf, size)) == -EAGAIN)
        n = err = rota__wait_for_fd(self, fd, false);
    return n;
}

intptr_t rota_sock_recvfrom(int fd, void *buf, size_t size, rota_address *from)
{
    int err = 0;
    struct rota__task *self = caller("rota_sock_recvfrom", &err);
    intptr_t n = err;

    while (err == 0 &&
           (n = rota__sock_recvfrom(fd, buf, size, from)) == -EAGAIN)
        n = err = rota__wait_for_fd(self, fd, false);
    return n;
}

typedef intptr_t send_function(int fd, const void *data, size_t size);

static intptr_t send_all(struct rota__task *self, int fd, send_function *send,
                         const char *data, size_t size, size_t *sent)
{
    while (*sent < size) {
        size_t left = size - *sent;
        size_t piece = left < PIECE ? left : PIECE;
        intptr_t n = send(fd, data + *sent, piece);

        if (n > 0)
            *sent += (size_t)n;
        if (n == -EAGAIN)
            n = rota__wait_for_fd(self, fd, true);
        else if ((size_t)n == piece && piece < left)
            n = rota__yield(self);
        if (n < 0)
            return n;
    }
    return 0;
}

intptr_t rota_sock_sendall(int fd, const void *data, size_t size, size_t *sent)
{
    int err = 0;
    struct rota__task *self = caller("rota_sock_sendall", &err);
    size_t all = 0;
    intptr_t n = err;

    if (self)
        n = send_all(self, fd, rota__sock_send, data, size, &all);
    if (sent)
        *sent = all;
    return n < 0 ? n : (intptr_t)size;
}

intptr_t rota_sock_sendto(int fd, const void *data, size_t size,
                          const rota_address *to)
{
    int err = 0;
    struct rota__task *self = caller("rota_sock_sendto", &err);
    intptr_t n = err;

    while (err == 0 && (n = rota__sock_sendto(fd, data, size, to)) == -EAGAIN)
        n = err = rota__wait_for_fd(self, fd, true);
    return n;
}

/* A Unix socket cannot stand in a backlog that is full, but asks again. */
static int begin_to_connect(int fd, const rota_address *address)
{
    double pause = FIRST_PAUSE;
    int err;

    while ((err = rota__socket_connect(fd, address)) == -EAGAIN &&
           address->storage.ss_family == AF_UNIX) {
        err = rota_sleep(pause);
        if (err < 0)
            return err;
        if (pause < LONGEST_PAUSE)
            pause *= 2;
    }
    return err;
}

/* One that was cancelled may be asked for again: it goes on. */
int rota_sock_connect(int fd, const rota_address *address)
{
    int err = 0;
    struct rota__task *self = caller("rota_sock_connect", &err);

    if (!self)
        return err;
    err = rota__fd_unblock(fd);
    if (err == 0)
        err = begin_to_connect(fd, address);
    if (err != -EINPROGRESS && err != -EALREADY)
        return err;
    err = rota__wait_for_fd(self, fd, true);
    return err < 0 ? err : rota__socket_error(fd);
}

int rota_sock_accept(int fd, rota_address *from)
{
    int err = 0;
    struct rota__task *self = caller("rota_sock_accept", &err);
    int peer = err;

    if (err == 0)
        err = peer = rota__fd_unblock(fd);
    while (err == 0) {
        peer = rota__sock_accept(fd, from);
        if (peer == -EAGAIN)
            peer = err = rota__wait_for_fd(self, fd, false);
        else if (peer != -ECONNABORTED) /* gone before we came: the next */
            break;
    }
    return peer;
}

/* --- Files -------------------------------------------------------------- */

struct sock_sending {
    struct rota__sending sending;
    int fd;
};

static int sock_of(struct rota__sending *it)
{
    return rota__container_of(it, struct sock_sending, sending)->fd;
}

static intptr_t send_piece(struct rota__sending *it, size_t size)
{
    return rota__sendfile(sock_of(it), it->parcel->file, it->parcel->offset,
                          size);
}

static intptr_t write_piece(struct rota__sending *it, const char *data,
                            size_t size)
{
    size_t sent = 0;
    intptr_t err =
        send_all(it->self, sock_of(it), rota__fd_send, data, size, &sent);

    rota__parcel_advance(it->parcel, sent);
    return err;
}

static intptr_t wait_for_room(struct rota__sending *it)
{
    return rota__wait_for_fd(it->self, sock_of(it), true);
}

static intptr_t let_others_run(struct rota__sending *it)
{
    return rota__yield(it->self);
}

static const struct rota__sending_ops ops = {send_piece, write_piece,
                                             wait_for_room, let_others_run};

static intptr_t send_file(struct rota__task *self, int fd,
                          struct rota__parcel *parcel)
{
    struct sock_sending it = {
        .sending = {.ops = &ops,
                    .self = self,
                    .parcel = parcel,
                    .by_system = true},
        .fd = fd,
    };
    intptr_t err = rota__sendfile_prepare(fd);

    return err < 0 ? err : rota__parcel_send(&it.sending);
}

intptr_t rota_sock_sendfile(int fd, int file, int64_t offset, size_t count,
                            size_t *sent)
{
    int err = 0;
    struct rota__task *self = caller("rota_sock_sendfile", &err);
    struct rota__parcel parcel;
    intptr_t n = rota__parcel_init(&parcel, file, offset, count);

    if (n == 0)
        n = self ? send_file(self, fd, &parcel) : err;
    if (sent)
        *sent = parcel.sent;
    return n < 0 ? n : (intptr_t)parcel.sent;
}
