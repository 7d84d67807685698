/* SPDX-License-Identifier: MIT */
/*
 * Files: calls on the pool that a task awaits
 *
 *     new --await--> on the pool --ended--> deliver() --> the task
 *                        `--- the task is cancelled --> unwanted --> freed
 *
 * A call has memory of its own: what it works on is copied into it, and what
 * it brings is handed over on the loop's thread, while the task still stands
 * there. So a task that is cancelled goes on at once, and the call ends and
 * frees itself when it can. An fd belongs to all calls that use it; the last
 * one closes it.
 */
#ifndef ROTA_STREAM_FILES_H
#define ROTA_STREAM_FILES_H

#include "loop/job.h"
#include "task/task.h"
#include <rota/file.h>

/* As much is copied, or read from the cache, before others have their turn. */
#define ROTA__FILE_PIECE ((size_t)256 << 10)

struct rota__open_fd {
    atomic_uint users; /* the file, and each of its calls */
    int fd;            /* or -1 */
    int64_t left_at;   /* its own position when it is closed; -1: any */
};

/* NULL: no memory. */
struct rota__open_fd *rota__open_fd_new(int fd);
/* Any thread; the last one closes it and gets the result. NULL is ignored. */
int rota__open_fd_unref(struct rota__open_fd *open_fd);

struct rota__file_call {
    struct rota__job job;
    /* On a thread of the pool; its result is the call's. */
    intptr_t (*work)(struct rota__file_call *call);
    /* On the loop's thread, unless the loop was closed before: it has ended,
       whether or not somebody waits; and then, to who waits. NULL: nothing. */
    void (*done)(struct rota__file_call *call);
    void (*deliver)(struct rota__file_call *call);
    struct rota__file_wait *wait; /* or NULL */
    atomic_bool unwanted;         /* nobody will wait any more */
    bool surely;                  /* its error is told, if not now then later */
    bool opens;      /* open_fd is what it brings, and not what it works on */
    rota_file *file; /* or NULL */
    struct rota__file_line *changes; /* later calls there wait for it; NULL */
    struct rota__open_fd *open_fd;
    void *block; /* of memory, that it brings */
};

/* On the stack of the task that waits. */
struct rota__file_wait {
    struct rota__waiter waiter;
    struct rota__at_close at_close;
    struct rota__file_call *call; /* until it has ended */
    intptr_t result;
    struct rota__open_fd *open_fd; /* what it has brought: the task's */
    void *block;
};

/* A struct of `size` bytes that begins with a call, all zero, and `room` more
   behind it; NULL: no memory. It is freed by rota__file_call_await(). */
void *rota__file_call_new(size_t size, size_t room,
                          intptr_t (*work)(struct rota__file_call *call));
void rota__file_call_free(struct rota__file_call *call);
/* It works on this fd, which perhaps is a file's. */
void rota__file_call_use(struct rota__file_call *call,
                         struct rota__open_fd *open_fd, rota_file *file);
/* Copies the caller's data into a call that has not begun, others having their
   turn in between: 0, or -ECANCELED and the call is gone. */
int rota__file_call_copy(struct rota__file_call *call, struct rota__task *self,
                         char *to, const char *data, size_t size);
/* Its result, or -ECANCELED, -EAGAIN, -ENOMEM: then it has brought nothing. */
intptr_t rota__file_call_await(struct rota__file_call *call,
                               struct rota__task *self,
                               struct rota__file_wait *wait);
/* For one that nobody waits for; on an error it is still the caller's. */
int rota__file_call_begin(struct rota__file_call *call, rota_loop *loop);

/* Who comes after whom. */
struct rota__file_line {
    rota_lock turn;             /* of calls that move the position */
    struct rota__link settling; /* tasks that wait for such calls: */
    unsigned unsettled; /* calls that change it and that nobody waits for */
};

struct rota_file {
    rota_loop *loop; /* NULL once it is closed */
    struct rota__at_close at_close;
    struct rota__open_fd *open_fd; /* NULL once it is being closed */
    struct rota__file_line line;
    struct rota__file_line writes; /* in order: no read holds them up */
    int64_t position;
    struct rota__buffer ahead; /* read in order, and taken by nobody yet */
    unsigned users; /* tasks inside, and calls that nobody waits for */
    struct rota__link closers;
    unsigned closing_tasks; /* that wait for its end */
    int lost; /* the error of a call that nobody waited for, or of the close */
    bool in_order; /* it has no positions */
    bool shares;   /* its fd's position is perhaps another's too */
    bool append;
    bool direct;
    bool closing;
    bool closed;
    bool freed;
};

/*
 * A task comes in, and leaves; between them the file stays open. One that
 * moves the position has its turn.
 */
enum rota__file_use { ROTA__FILE_AT, ROTA__FILE_MOVES, ROTA__FILE_WRITES };
struct rota__file_line *rota__file_line(rota_file *file,
                                        enum rota__file_use use);
int rota__file_enter(rota_file *file, struct rota__task **self,
                     enum rota__file_use use, const char *function);
void rota__file_leave(rota_file *file, enum rota__file_use use);
/* A call goes on alone, and has ended. */
void rota__file_left_alone(struct rota__file_call *call);
void rota__file_settled(struct rota__file_call *call);

/* rota__file_call_await() of a call whose error must not get lost: if its task
   does not hear of it, the next sync or close tells it. */
intptr_t rota__file_await_surely(struct rota__file_call *call,
                                 struct rota__task *self);

/* Of files that have no positions; the caller has the turn. */
intptr_t rota__file_read_next(rota_file *file, struct rota__task *self,
                              char *buf, size_t size);
intptr_t rota__file_read_rest(rota_file *file, struct rota__task *self,
                              char *buf, size_t size);
intptr_t rota__file_write_next(rota_file *file, struct rota__task *self,
                               const char *data, size_t size);

/* One read of up to `size` bytes at an offset; `file` NULL: of no file that
   must be told. */
intptr_t rota__file_read_by_the_pool(struct rota__open_fd *open_fd,
                                     rota_file *file, struct rota__task *self,
                                     char *buf, size_t size, int64_t offset);

#endif
