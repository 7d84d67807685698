/* SPDX-License-Identifier: MIT */
/*
 * The inbox: handles from other threads
 *
 * A post pushes its handle on a lock-free stack and makes a system call only
 * when the loop sleeps. The loop takes the whole stack at once and turns it
 * round, so that posts run in the order in which they came.
 *
 * Who sleeps and who posts must not miss each other: the loop says "asleep"
 * before it looks into the inbox for the last time, a post looks at "asleep"
 * after it has pushed, and both with sequential consistency.
 */
#include "loop/loop.h"

static struct rota__handle *next_of(const struct rota__handle *handle)
{
    return (struct rota__handle *)(void *)handle->link.next;
}

void rota__interrupt(rota_loop *loop)
{
    if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false))
        rota__wake_signal(&loop->wake);
}

void rota__post(rota_loop *loop, struct rota__handle *handle)
{
    struct rota__handle *newest =
        atomic_load_explicit(&loop->inbox, memory_order_relaxed);

    do
        handle->link.next = (struct rota__link *)(void *)newest;
    while (!atomic_compare_exchange_weak(&loop->inbox, &newest, handle));
    rota__interrupt(loop);
}

/* Posts that come meanwhile go on top, behind our back. */
void rota__visit_posts(const rota_loop *loop, rota__visitor *visitor, void *arg)
{
    struct rota__handle *handle = atomic_load(&loop->inbox);

    for (; handle; handle = next_of(handle))
        visitor(handle, arg);
}

void rota__take_from_threads(rota_loop *loop)
{
    struct rota__handle *handle;
    struct rota__handle *oldest = NULL;

    if (rota__likely(atomic_load_explicit(&loop->inbox, memory_order_relaxed) ==
                     NULL))
        return;
    handle = atomic_exchange(&loop->inbox, NULL);
    while (handle) {
        struct rota__handle *next = next_of(handle);

        handle->link.next = (struct rota__link *)(void *)oldest;
        oldest = handle;
        handle = next;
    }
    while (oldest) {
        struct rota__handle *next = next_of(oldest);

        rota__ready(loop, oldest);
        oldest = next;
    }
}

static struct rota__message *message_of(struct rota__handle *handle)
{
    return rota__container_of(handle, struct rota__message, handle);
}

static void run_message(struct rota__handle *handle)
{
    message_of(handle)->deliver(message_of(handle), false);
}

void rota__send(rota_loop *loop, struct rota__message *message,
                void (*deliver)(struct rota__message *message, bool dropped))
{
    message->handle.run = run_message;
    message->deliver = deliver;
    rota__post(loop, &message->handle);
}

bool rota__message_drop(struct rota__handle *handle)
{
    if (handle->run != run_message)
        return false;
    message_of(handle)->deliver(message_of(handle), true);
    return true;
}

bool rota__send_if_open(rota_loop *loop, struct rota__message *message,
                        void (*deliver)(struct rota__message *message,
                                        bool dropped))
{
    bool open;

    atomic_fetch_add(&loop->posters, 1);
    open = !atomic_load(&loop->closing);
    if (open)
        rota__send(loop, message, deliver);
    atomic_fetch_sub(&loop->posters, 1);
    return open;
}

/* A matter of a few instructions of another thread. */
void rota__wait_for_posters(const rota_loop *loop)
{
    while (atomic_load(&loop->posters) > 0)
        rota__thread_yield();
}

void rota__drop_messages(rota_loop *loop)
{
    struct rota__link *at;

    rota__wait_for_posters(loop);
    rota__take_from_threads(loop);
    for (at = loop->ready.next; at != &loop->ready;) {
        struct rota__handle *handle =
            rota__container_of(at, struct rota__handle, link);

        at = at->next;
        if (handle->run != run_message)
            continue;
        rota__unready(handle);
        (void)rota__message_drop(handle);
    }
}
