/* SPDX-License-Identifier: MIT */
/*
 * The processes of a pool: what is said to them, and what they do
 *
 *     parent                                    worker
 *                               <-- answer      it is ready
 *     request, [block] -->
 *                               <-- answer, [block]
 *     the end          -->      exits
 *
 * Both are copies of one program: a function is sent as its address.
 */
#ifndef ROTA_LOOP_PROCESS_WORKER_H
#define ROTA_LOOP_PROCESS_WORKER_H

#include "loop/loop.h"
#include "os/fork.h"
#include <rota/pool.h>

struct rota__work_request {
    rota_work_function *function;
    void *arg;
    size_t size; /* of the block that follows; 0: arg itself is meant */
};

struct rota__work_answer {
    intptr_t result;
    size_t size; /* of the block that follows: as it came, or 0 */
};

/* Works until the parent ends the connection. */
_Noreturn void rota__process_work(const struct rota__fork *fork,
                                  const rota_process_pool_options *options);

#endif
