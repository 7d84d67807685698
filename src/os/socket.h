/* SPDX-License-Identifier: MIT */
/*
 * fds, sockets and names: one wrapper a system call
 *
 * Results as in the system call, or -errno. Every socket that is made here is
 * close-on-exec and non-blocking from birth; a call that a signal interrupts
 * is made again; nothing raises SIGPIPE.
 */
#ifndef ROTA_OS_SOCKET_H
#define ROTA_OS_SOCKET_H

#include "base/base.h"
#include <rota/address.h>
#include <sys/uio.h>

int rota__fd_close(int fd);
/* The same file above the numbers of the standard streams, which somebody may
   still open; or an error, also for one, and then fd is closed. */
int rota__fd_above_2(int fd);
int rota__fd_set_nonblocking(int fd);
int rota__socket_open(int family, int type, int protocol);
int rota__socket_bind(int fd, const rota_address *address);
int rota__socket_listen(int fd, int backlog);
int rota__socket_accept(int fd);
int rota__socket_connect(int fd, const rota_address *address);
/* What became of a connect: 0 or the error of the socket. */
int rota__socket_error(int fd);
/*
 * What kind of fd it is and which way it goes: 0, -EBADF, or -EPERM for one
 * that cannot be waited for (a regular file, a folder).
 */
struct rota__fd_kind {
    bool socket;
    bool local; /* a Unix socket */
    bool listening;
    bool pieces; /* reads end where writes did: a terminal, packets */
    int type;    /* of a socket: SOCK_STREAM... */
    bool readable;
    bool writable;
};
int rota__fd_kind(int fd, struct rota__fd_kind *out);
intptr_t rota__fd_read(int fd, void *buf, size_t size);
/* Never raises SIGPIPE. */
intptr_t rota__pipe_write(int fd, const void *buf, size_t size);
intptr_t rota__pipe_writev(int fd, const struct iovec *parts, int count);
intptr_t rota__socket_sendv(int fd, const struct iovec *parts, int count);
intptr_t rota__socket_recv(int fd, void *buf, size_t size);
/* Of a Unix socket. *more: it has ended where descriptors came along, which
   are dropped, and not because the kernel has no more. */
intptr_t rota__unix_recv(int fd, void *buf, size_t size, bool *more);
intptr_t rota__socket_send(int fd, const void *buf, size_t size);
int rota__socket_shutdown_write(int fd);
/*
 * Datagrams. `data` and `room` are the caller's; the rest is filled in. One
 * from a Unix socket without a name has a family and nothing else.
 */
#define ROTA__PACKETS 8 /* at most, at once */
struct rota__packet {
    char *data;
    size_t room;
    size_t size;
    bool truncated; /* it was longer than `room` */
    rota_address address;
};
/* How many were received, or -errno; *drained: the kernel has no more. */
int rota__socket_receive(int fd, struct rota__packet *packets, int count,
                         bool *drained);
/* `to` NULL: where the socket is connected to. */
intptr_t rota__socket_send_to(int fd, const void *data, size_t size,
                              const rota_address *to);
int rota__socket_broadcast(int fd);
int rota__socket_option(int fd, int level, int name, int value);
/* Small writes leave at once; not every socket can, and that is no error. */
void rota__socket_no_delay(int fd);
/* Sends a reset instead of an orderly end when closed. */
int rota__socket_reset_on_close(int fd);
int rota__socket_local(int fd, rota_address *out);
int rota__socket_peer(int fd, rota_address *out);

/*
 * What getaddrinfo() is asked. `host` NULL: this machine, any of its
 * addresses with AI_PASSIVE among the flags; `service` NULL: port 0; `type` 0:
 * SOCK_STREAM.
 */
struct rota__name_query {
    const char *host;
    const char *service;
    int family;
    int type;
    int flags;
};

/*
 * Blocks. 0 or an error of the resolver (-ROTA_ENONAME...), -EINVAL (flags) or
 * -ENOMEM. The second does not, and gives -ROTA_ENONAME for what is no number.
 */
int rota__getaddrinfo(const struct rota__name_query *query,
                      rota_addresses *out);
int rota__getaddrinfo_literal(const struct rota__name_query *query,
                              rota_addresses *out);
/* The flags for a port that is a number; `passive`: to listen on. */
int rota__port_flags(bool passive);
/* A stream socket's addresses, for the number of a port. */
int rota__resolve_now(const char *host, int port, int family, bool passive,
                      bool literal, rota_addresses *out);

/* Blocks, if ..._asks() of what is wanted; -ENOSPC, -EAFNOSUPPORT. */
#define ROTA__HOST_SIZE 1025
#define ROTA__SERVICE_SIZE 64
int rota__getnameinfo(const rota_address *address, char *host, size_t host_size,
                      char *service, size_t service_size, int flags);
bool rota__getnameinfo_asks(bool host, bool service, int flags);

/* All addresses of a family (AF_INET, AF_INET6). */
void rota__address_any(rota_address *out, int family, int port);
void rota__address_set_port(rota_address *address, int port);
/* Moves all of `more` behind `all`; 0 or -ENOMEM, and `more` is gone. */
int rota__addresses_append(rota_addresses *all, rota_addresses *more);

/* True for errors of accept() that say "no more of something just now". */
bool rota__socket_out_of_resources(int error);

/*
 * fds of others, which may be blocking: these do not block. send: of stream
 * sockets and pipes, the latter unblocked before. `from` may be NULL for
 * accept, whose fds are non-blocking and close-on-exec.
 */
int rota__fd_unblock(int fd);
intptr_t rota__fd_send(int fd, const void *data, size_t size);
intptr_t rota__sock_recv(int fd, void *buf, size_t size);
intptr_t rota__sock_recvfrom(int fd, void *buf, size_t size,
                             rota_address *from);
intptr_t rota__sock_send(int fd, const void *data, size_t size);
intptr_t rota__sock_sendto(int fd, const void *data, size_t size,
                           const rota_address *to);
int rota__sock_accept(int fd, rota_address *from);

/*
 * Sends of a file what `out` takes; 0 at its end. Never raises SIGPIPE. The
 * file may have to be read from a disk; `out` must be non-blocking, and
 * prepare makes it so: -EINVAL for a datagram socket.
 */
int rota__sendfile_prepare(int out);
intptr_t rota__sendfile(int out, int file, int64_t offset, size_t count);
/* True for errors by which the system says that it cannot do this. */
bool rota__sendfile_cannot(intptr_t error);
/* Blocks; the second does not, and gives -EAGAIN when it would, or at the
   end. */
intptr_t rota__file_read(int file, void *buf, size_t size, int64_t offset);
intptr_t rota__file_read_cached(int file, void *buf, size_t size,
                                int64_t offset);
/* False if these bytes, as many as there are, would have to be fetched, as far
   as samples tell; true on systems where nobody can know. */
bool rota__file_is_at_hand(int file, int64_t offset, size_t size);
/* Close-on-exec. */
int rota__fd_copy(int fd);

/* Several sockets behind one port; -EOPNOTSUPP where that cannot be. */
int rota__socket_reuse_port(int fd);

/* The file of a Unix socket: gone if nobody listens on it; which one it is,
   and gone if it is still that one. */
int rota__unix_remove_stale(const char *path);
void rota__unix_identify(const char *path, unsigned long id[2]);
void rota__unix_remove(const char *path, const unsigned long id[2]);

#endif
