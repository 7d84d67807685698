/* SPDX-License-Identifier: MIT */
/*
 * Sockets: plain fds, for tasks
 *
 * Mirrors "Working with socket objects directly" of asyncio's manual, for any
 * fd that can be waited for. The fd stays the caller's, must be non-blocking
 * (rota_sock_... set it so at the first wait) and must not be closed while a
 * task waits on it. Each call makes the system call first and waits only if
 * it must. One task may wait to read an fd at a time, and one to write:
 * -EBUSY. An fd of a stream or with a reader gives -EEXIST or -EBUSY.
 *
 * All of them await: -ECANCELED, -ROTA_ENOTASK. -ENOMEM (the loop's note of
 * the fd).
 */
#ifndef ROTA_SOCK_H
#define ROTA_SOCK_H

#include <rota/address.h>
#include <rota/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Waits until the fd can be read (written) without blocking, or has ended or
 * failed. 0, -EBADF, -EPERM (a regular file), -EBUSY, -EEXIST.
 * trio: wait_readable(), wait_writable().
 */
int rota_wait_readable(int fd) ROTA_MUST_USE;
int rota_wait_writable(int fd) ROTA_MUST_USE;

/*
 * Receives up to `size` bytes; 0 at the end. asyncio: loop.sock_recv(),
 * sock_recv_into(), sock_recvfrom(), sock_recvfrom_into().
 */
intptr_t rota_sock_recv(int fd, void *buf, size_t size) ROTA_MUST_USE;
intptr_t rota_sock_recvfrom(int fd, void *buf, size_t size,
                            rota_address *from) ROTA_MUST_USE;

/*
 * Sends all of it; returns size. When it is cancelled or fails, *sent (may be
 * NULL) says how much has gone.  asyncio: loop.sock_sendall().
 */
intptr_t rota_sock_sendall(int fd, const void *data, size_t size,
                           size_t *sent) ROTA_MUST_USE;

/* Sends one datagram; returns size. asyncio: loop.sock_sendto(). */
intptr_t rota_sock_sendto(int fd, const void *data, size_t size,
                          const rota_address *to) ROTA_MUST_USE;

/*
 * Connects. When it is cancelled, the connect goes on in the system: close
 * the fd.  asyncio: loop.sock_connect().
 */
int rota_sock_connect(int fd, const rota_address *address) ROTA_MUST_USE;

/*
 * Accepts a connection: a non-blocking fd, close-on-exec, the caller's.
 * `from` may be NULL.  asyncio: loop.sock_accept().
 */
int rota_sock_accept(int fd, rota_address *from) ROTA_MUST_USE;

/*
 * Sends `count` bytes of a file from `offset` on, or with count 0 all up to
 * its end; returns how many. Without a copy where the system can (sendfile),
 * else in pieces that a thread reads. When it is cancelled or fails, *sent
 * (may be NULL) says how much has gone.  asyncio: loop.sock_sendfile().
 */
intptr_t rota_sock_sendfile(int fd, int file, int64_t offset, size_t count,
                            size_t *sent) ROTA_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
