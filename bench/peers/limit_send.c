/* SPDX-License-Identifier: MIT */
/*
 * The bare limit: long transfers, by send and by sendfile
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limit.h"
#include "peer.h"

enum { CHUNK = 65536 };

struct transfer {
    struct limit_connection connection;
    int fd;
    off_t sent;
};

static off_t wanted; /* bytes a connection */
static int file;

static void *transfer_made(int fd)
{
    struct transfer *transfer = peer_alloc(1, sizeof *transfer);

    transfer->fd = fd;
    return transfer;
}

/* After a send that took `took`: goes on when the socket is full. */
static uint32_t waits(struct transfer *transfer, ssize_t took)
{
    if (took < 0 && errno == EAGAIN)
        return EPOLLOUT;
    close(transfer->fd);
    free(transfer);
    return 0;
}

static uint32_t write_ready(void *connection)
{
    static char chunk[CHUNK];
    struct transfer *transfer = connection;
    ssize_t took = 0;

    while (transfer->sent < wanted) {
        off_t left = wanted - transfer->sent;

        took = send(transfer->fd, chunk, left < CHUNK ? (size_t)left : CHUNK,
                    MSG_NOSIGNAL);
        if (took < 0)
            break;
        transfer->sent += took;
    }
    return waits(transfer, took);
}

static uint32_t sendfile_ready(void *connection)
{
    struct transfer *transfer = connection;
    ssize_t took = 0;

    while (transfer->sent < wanted) {
        took = sendfile(transfer->fd, file, &transfer->sent,
                        (size_t)(wanted - transfer->sent));
        if (took <= 0)
            break;
    }
    return waits(transfer, took);
}

void limit_write(const char *port, const char *bytes)
{
    static const struct limit_service service = {transfer_made, write_ready,
                                                 EPOLLOUT};

    peer_check(bytes != NULL, "how many bytes?");
    wanted = atol(bytes);
    limit_serve(peer_listen(atoi(port)), &service);
}

void limit_sendfile(const char *port, const char *path)
{
    static const struct limit_service service = {transfer_made, sendfile_ready,
                                                 EPOLLOUT};
    struct stat about;

    peer_check(path != NULL, "which file?");
    file = open(path, O_RDONLY | O_CLOEXEC);
    peer_check(file >= 0 && fstat(file, &about) == 0, "cannot open the file");
    wanted = about.st_size;
    limit_serve(peer_listen(atoi(port)), &service);
}
