/* SPDX-License-Identifier: MIT */
/*
 * Parcels: files that are being sent
 *
 * A parcel is what is still to be sent of a file. Where the system cannot send
 * it by itself, a reader reads it in pieces.
 */
#ifndef ROTA_STREAM_PARCEL_H
#define ROTA_STREAM_PARCEL_H

#include "stream/files.h"

/* At most as much in one call, so that other tasks have their turn. */
#define ROTA__PARCEL_PIECE ((size_t)1 << 20)

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

/*
 * Sending one: by the system what it has in memory, if it can send to there at
 * all; else what was read, by a thread if a disk must be asked.
 */
struct rota__sending;

struct rota__sending_ops {
    /* As rota__sendfile(). */
    intptr_t (*send)(struct rota__sending *it, size_t size);
    /* All of it; advances the parcel. 0 or an error. */
    intptr_t (*write)(struct rota__sending *it, const char *data, size_t size);
    /* Until it takes more, and until the others have run; 0 or an error. */
    intptr_t (*wait)(struct rota__sending *it);
    intptr_t (*yield)(struct rota__sending *it);
};

struct rota__file_reader;

struct rota__sending {
    const struct rota__sending_ops *ops;
    struct rota__task *self;
    struct rota__parcel *parcel;
    bool by_system;
    struct rota__file_reader *reader; /* made on demand */
    uint64_t at_hand;                 /* up to there, from where we are */
};

/* 0, also when the file ends before, or an error. */
intptr_t rota__parcel_send(struct rota__sending *it);

#endif
