/* SPDX-License-Identifier: MIT */
/*
 * The processes of a pool, from inside
 *
 * A worker never returns to what its parent was doing, and nothing of that is
 * done twice: it leaves without the parent's atexit handlers, and its stdout
 * and stderr began empty. They are flushed before each answer, so that what a
 * call has printed is there when its caller goes on.
 */
#include "loop/process_worker.h"
#include <stdio.h>
#include <stdlib.h>

rota__forget_parent *_Atomic rota__forget_tasks;

/* The parent has gone, or wants no more. */
static void leave_if(int err)
{
    if (err < 0)
        rota__fork_leave(EXIT_SUCCESS);
}

static void receive(const struct rota__fork *fork, void *data, size_t size)
{
    struct iovec part = {data, size};

    leave_if(rota__fork_receive(fork, &part, 1, ROTA__FOREVER));
}

/* To stay in step when there is no memory for a block. */
static void skip(const struct rota__fork *fork, size_t size)
{
    char nowhere[4096];

    while (size > 0) {
        size_t part = size < sizeof nowhere ? size : sizeof nowhere;

        receive(fork, nowhere, part);
        size -= part;
    }
}

static void answer(const struct rota__fork *fork, intptr_t result, void *block,
                   size_t size)
{
    struct rota__work_answer answer = {result, size};
    struct iovec parts[] = {{&answer, sizeof answer}, {block, size}};

    fflush(stdout);
    fflush(stderr);
    leave_if(rota__fork_send(fork, parts, 2, ROTA__FOREVER));
}

static void work_on_block(const struct rota__fork *fork,
                          const struct rota__work_request *request)
{
    void *block = rota__alloc(request->size);

    if (!block) {
        skip(fork, request->size);
        answer(fork, -ENOMEM, NULL, 0);
        return;
    }
    receive(fork, block, request->size);
    answer(fork, request->function(block), block, request->size);
    rota__free(block);
}

static void work_once(const struct rota__fork *fork)
{
    struct rota__work_request request;

    receive(fork, &request, sizeof request);
    if (request.size > 0)
        work_on_block(fork, &request);
    else
        answer(fork, request.function(request.arg), NULL, 0);
}

static void forget_parent(void)
{
    rota__forget_parent *forget_tasks = atomic_load(&rota__forget_tasks);

    rota_set_event_loop(NULL);
    if (forget_tasks)
        forget_tasks();
}

void rota__process_work(const struct rota__fork *fork,
                        const rota_process_pool_options *options)
{
    forget_parent();
    if (options->initializer &&
        options->initializer(options->initializer_arg) < 0)
        exit(EXIT_FAILURE);
    answer(fork, 0, NULL, 0);
    for (;;)
        work_once(fork);
}
