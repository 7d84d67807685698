/* SPDX-License-Identifier: MIT */
/*
 * Files that are being sent
 *
 * A parcel is what is still to be sent of a file. Where the system cannot send
 * it by itself, a reader reads it in pieces.
 */
#ifndef ROTA_STREAM_FILE_H
#define ROTA_STREAM_FILE_H

#include "task/task.h"

/* At most as much in one call, so that other tasks have their turn. */
#define ROTA__PARCEL_PIECE ((size_t)1 << 20)
#define ROTA__FILE_PIECE ((size_t)256 << 10)

struct rota__parcel {
    int file;
    bool to_the_end;
    int64_t offset;
    size_t left; /* unless it is to the end */
    size_t sent;
};

/* 0, or -EINVAL for an offset or a count that no file has. */
int rota__parcel_init(struct rota__parcel *parcel, int file, int64_t offset,
                      size_t count);
void rota__parcel_advance(struct rota__parcel *parcel, size_t sent);

static inline size_t rota__parcel_next(const struct rota__parcel *parcel,
                                       size_t most)
{
    return parcel->to_the_end || parcel->left > most ? most : parcel->left;
}

/* Reads with a copy of the fd: a read whose task has gone goes on. */
struct rota__file_reader;

int rota__file_reader_open(struct rota__file_reader **out, rota_loop *loop,
                           int file);
void rota__file_reader_close(struct rota__file_reader *reader);
/*
 * Up to ROTA__FILE_PIECE bytes to *data, the reader's; 0 at the end of the
 * file; or an error. Awaits, unless the system has them at hand.
 */
intptr_t rota__file_reader_read(struct rota__file_reader *reader,
                                struct rota__task *self, int64_t offset,
                                size_t size, const char **data);

#endif
