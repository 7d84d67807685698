/* SPDX-License-Identifier: MIT */
/*
 * Datagrams: one wrapper a system call
 *
 * Where the system can, one call receives several. Fewer than there was room
 * for says that no more have come, so that nobody must ask to hear "try
 * again". (An error that comes in the midst of a batch is kept for the next
 * call, and reported by the poller.) Where the system cannot, each call
 * receives one, and that is not known.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include <stdatomic.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* A sender without a name has no address; its family is known all the same. */
static void take_note(struct rota__packet *packet, size_t size,
                      const struct msghdr *header)
{
    packet->size = size;
    packet->truncated = (header->msg_flags & MSG_TRUNC) != 0;
    packet->address.size = header->msg_namelen;
    if (header->msg_namelen == 0) {
        packet->address.storage.ss_family = AF_UNIX;
        packet->address.size = sizeof(sa_family_t);
    }
}

static struct msghdr header_for(struct rota__packet *packet, struct iovec *part)
{
    *part = (struct iovec){packet->data, packet->room};
    return (struct msghdr){
        .msg_name = &packet->address.storage,
        .msg_namelen = sizeof packet->address.storage,
        .msg_iov = part,
        .msg_iovlen = 1,
    };
}

static int receive_one(int fd, struct rota__packet *packet)
{
    struct iovec part;
    struct msghdr header;
    ssize_t n;

    do {
        header = header_for(packet, &part);
        n = recvmsg(fd, &header, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    take_note(packet, (size_t)n, &header);
    return 1;
}

#if defined(__linux__)
static int receive_many(int fd, struct rota__packet *packets, int count)
{
    struct mmsghdr headers[ROTA__PACKETS];
    struct iovec parts[ROTA__PACKETS];
    int n;

    for (int i = 0; i < count; i++)
        headers[i].msg_hdr = header_for(&packets[i], &parts[i]);
    do
        n = recvmmsg(fd, headers, (unsigned)count, 0, NULL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++)
        take_note(&packets[i], headers[i].msg_len, &headers[i].msg_hdr);
    return n;
}

int rota__socket_receive(int fd, struct rota__packet *packets, int count,
                         bool *drained)
{
    static atomic_bool refused;
    int n = -ENOSYS;

    *drained = false;
    if (!atomic_load_explicit(&refused, memory_order_relaxed))
        n = receive_many(fd, packets, count);
    if (rota__likely(n != -ENOSYS)) {
        *drained = n < count && (n > 0 || n == -EAGAIN);
        return n;
    }
    atomic_store_explicit(&refused, true, memory_order_relaxed);
    n = receive_one(fd, packets);
    *drained = n == -EAGAIN;
    return n;
}
#else
int rota__socket_receive(int fd, struct rota__packet *packets, int count,
                         bool *drained)
{
    int n = receive_one(fd, packets);

    (void)count;
    *drained = n == -EAGAIN;
    return n;
}
#endif

intptr_t rota__socket_send_to(int fd, const void *data, size_t size,
                              const rota_address *to)
{
    const struct sockaddr *name = to ? (const void *)&to->storage : NULL;
    ssize_t n;

    do
        n = sendto(fd, data, size, MSG_NOSIGNAL, name, to ? to->size : 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int rota__socket_broadcast(int fd)
{
    return rota__socket_option(fd, SOL_SOCKET, SO_BROADCAST, 1);
}
