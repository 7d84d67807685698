/* SPDX-License-Identifier: MIT */
/*
 * Sockets: plain fds, for tasks
 *
 * Mirrors "Working with socket objects directly" of asyncio's manual. The fd
 * stays the caller's and must not be closed while a task waits for it; between
 * two calls nothing is remembered of it. Each call asks the system first, and
 * waits only if it must.
 *
 * The fds may be blocking: the loop never is. Receiving and sending leave them
 * as they are; connect, accept and sendfile make them non-blocking.
 *
 * One task may wait to read an fd at a time, and one to write. All calls
 * await: -ECANCELED, with nothing lost, -ROTA_ENOTASK. When they have to wait:
 * -EBUSY (another task waits in that direction, or a callback of
 * rota_add_reader() stands there), -EEXIST (the fd is a stream's), -ENOMEM.
 * Besides, what the system says: -EBADF, -ENOTSOCK, -ECONNRESET... None raises
 * SIGPIPE: -EPIPE.
 */
#ifndef ROTA_SOCK_H
#define ROTA_SOCK_H

#include <rota/address.h>
#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Waits until an fd of any kind can be read (written) without blocking, or has
 * ended or failed, so that a read or write would tell. A permission, not a
 * promise: somebody else may be quicker, so keep the fd non-blocking. 0, or
 * -EBADF, -EPERM (a regular file).
 * trio: wait_readable(), wait_writable().
 */
int rota_wait_readable(int fd) ROTA_MUST_USE;
int rota_wait_writable(int fd) ROTA_MUST_USE;

/*
 * Receives up to `size` bytes, or one datagram; 0 at the end. `from` (may be
 * NULL) is told whose it is (size 0 when the system does not say). asyncio:
 * loop.sock_recv(), sock_recv_into(); sock_recvfrom(), sock_recvfrom_into().
 */
intptr_t rota_sock_recv(int fd, void *buf, size_t size) ROTA_MUST_USE;
intptr_t rota_sock_recvfrom(int fd, void *buf, size_t size,
                            rota_address *from) ROTA_MUST_USE;

/*
 * Sends all of it; returns size. When it is cancelled or fails, *sent (may be
 * NULL) says how much has gone. Two tasks that send by one fd mix their bytes.
 * asyncio: loop.sock_sendall().
 */
intptr_t rota_sock_sendall(int fd, const void *data, size_t size,
                           size_t *sent) ROTA_MUST_USE;

/* Sends one datagram; returns size. asyncio: loop.sock_sendto(). */
intptr_t rota_sock_sendto(int fd, const void *data, size_t size,
                          const rota_address *to) ROTA_MUST_USE;

/*
 * Connects. When it is cancelled, the connect goes on in the system: close
 * the fd, or call this again. A Unix socket waits for room in the listener's
 * backlog. -ECONNREFUSED and the others of connect.
 * asyncio: loop.sock_connect(), which looks names up too.
 */
int rota_sock_connect(int fd, const rota_address *address) ROTA_MUST_USE;

/*
 * Accepts a connection: a non-blocking fd, close-on-exec, the caller's.
 * `from` may be NULL. -EINVAL (it does not listen), -EMFILE.
 * asyncio: loop.sock_accept().
 */
int rota_sock_accept(int fd, rota_address *from) ROTA_MUST_USE;

/*
 * Sends `count` bytes of a file from `offset` on, or with count 0 all up to
 * its end, by a stream socket or a pipe; returns how many, which are fewer if
 * the file ends before. Without a copy where the system can (sendfile), else
 * in pieces, which a thread reads unless they are in memory. When it is
 * cancelled or fails, *sent (may be NULL) says how much has gone. -EINVAL (a
 * negative offset, a datagram socket), -ESPIPE (not a file), and the errors of
 * reading.  asyncio: loop.sock_sendfile().
 */
intptr_t rota_sock_sendfile(int fd, int file, int64_t offset, size_t count,
                            size_t *sent) ROTA_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
