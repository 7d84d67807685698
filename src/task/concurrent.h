/* SPDX-License-Identifier: MIT */
/*
 * A future between threads, from inside
 *
 * It is part of what it is the future of: a task that another thread has asked
 * for, a call that an executor has. Whoever needs it holds a reference.
 */
#ifndef ROTA_TASK_CONCURRENT_H
#define ROTA_TASK_CONCURRENT_H

#include "task/task.h"
#include <rota/concurrent.h>

struct rota__concurrent_ops {
    /* rota_concurrent_future_cancel(). */
    bool (*cancel)(rota_concurrent_future *future);
    void (*free)(rota_concurrent_future *future);
};

struct rota_concurrent_future {
    const struct rota__concurrent_ops *ops;
    rota_loop *loop;      /* on which it comes about, or NULL */
    rota_future *wrapper; /* of any loop, under the lock */
    struct rota__future_waiter wrapper_done;
    atomic_uint references;
    pthread_mutex_t lock;
    pthread_cond_t news;
    intptr_t result;
    bool done;
    bool cancelled;
};

/* With two references: the caller's, and that of what is under way. */
int rota__concurrent_init(rota_concurrent_future *future,
                          const struct rota__concurrent_ops *ops,
                          rota_loop *loop);
void rota__concurrent_ref(rota_concurrent_future *future);
void rota__concurrent_unref(rota_concurrent_future *future);
/* False if it was done: a cancellation came first. */
bool rota__concurrent_finish(rota_concurrent_future *future, intptr_t result,
                             bool cancelled);

#endif
