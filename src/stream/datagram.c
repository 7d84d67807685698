/* SPDX-License-Identifier: MIT */
/*
 * Datagrams for tasks
 *
 * A receive takes what is left of the last batch, then asks the kernel, then
 * parks; one that is cancelled has taken nothing. Sends are one at a time: a
 * sender holds the turn while the kernel takes nothing, and the others queue
 * behind it, so that datagrams leave in the order of asking. `users` counts
 * the tasks inside; an endpoint that is freed while some are there is released
 * by the last to leave.
 */
#include "stream/stream.h"
#include "transport/datagram.h"

struct rota_datagram {
    struct rota__datagram socket;
    struct rota__waiter *receiver; /* the task that waits for one, if any */
    struct rota__waiter *sender;   /* has the turn, and waits for room */
    struct rota__link senders;     /* wait for their turn */
    struct rota__at_close at_close;
    unsigned users;
    bool sending; /* somebody has the turn */
    bool freed;
};

static rota_datagram *datagram_of(struct rota__datagram *socket)
{
    return rota__container_of(socket, rota_datagram, socket);
}

/* It stays there until it has run: nobody may overtake it. */
static void wake(struct rota__waiter *waiter, intptr_t result)
{
    if (waiter && waiter->task->waiting == waiter)
        rota__unpark(waiter, result);
}

static void readable(struct rota__datagram *socket)
{
    wake(datagram_of(socket)->receiver, 0);
}

static void writable(struct rota__datagram *socket)
{
    wake(datagram_of(socket)->sender, 0);
}

static const struct rota__datagram_events events = {
    .readable = readable,
    .writable = writable,
};

/* --- Waiting ------------------------------------------------------------ */

/* 0, or why a task may not use it. */
static int refuse(const rota_datagram *datagram, const struct rota__task *self,
                  const char *function)
{
    if (!self)
        return rota__misuse(rota__running_loop, -ROTA_ENOTASK, function,
                            "wait in a task, not in a callback");
    if (datagram->socket.closed)
        return -ROTA_ECLOSING;
    return rota__misuse(self->loop, -EINVAL, function,
                        "a datagram socket belongs to the loop that opened it");
}

static int check(const rota_datagram *datagram, const struct rota__task *self,
                 const char *function)
{
    if (rota__likely(self && !datagram->socket.closed &&
                     self->loop == datagram->socket.loop))
        return 0;
    return refuse(datagram, self, function);
}

static void release_if_over(rota_datagram *datagram)
{
    if (!datagram->freed || datagram->users > 0)
        return;
    rota__at_close_remove(&datagram->at_close);
    rota__free(datagram);
}

static intptr_t wait_in(rota_datagram *datagram, struct rota__task *self,
                        struct rota__waiter **place)
{
    struct rota__waiter waiter = {0};
    intptr_t err;

    rota__list_init(&waiter.link);
    *place = &waiter;
    datagram->users++;
    err = rota__park(self, &waiter);
    datagram->users--;
    *place = NULL;
    if (rota__unlikely(err == 0 && datagram->socket.closed))
        err = -ROTA_ECLOSING;
    return err;
}

/* --- Receiving ---------------------------------------------------------- */

static intptr_t copy_out(rota_datagram *datagram,
                         const struct rota__packet *packet, void *buf,
                         size_t size, rota_address *from, bool *truncated)
{
    struct rota__batch *batch = rota__datagram_hold(&datagram->socket);

    if (truncated)
        *truncated = packet->truncated || packet->size > size;
    if (size > packet->size)
        size = packet->size;
    if (size > 0)
        memcpy(buf, packet->data, size);
    if (from)
        *from = packet->address;
    rota__datagram_let_go(&datagram->socket, batch);
    return (intptr_t)size;
}

/* In the midst of a call; who receives stays the receiver meanwhile. */
static intptr_t give_way(rota_datagram *datagram, struct rota__task *self,
                         struct rota__waiter **place)
{
    struct rota__waiter waiter = {.task = self};
    intptr_t err;

    if (place)
        *place = &waiter;
    datagram->users++;
    err = rota__yield(self);
    datagram->users--;
    if (place)
        *place = NULL;
    if (err == 0 && datagram->socket.closed)
        err = -ROTA_ECLOSING;
    if (err < 0)
        release_if_over(datagram);
    return err;
}

intptr_t rota_datagram_recv(rota_datagram *datagram, void *buf, size_t size,
                            rota_address *from, bool *truncated)
{
    struct rota__task *self = rota__current();
    struct rota__packet *packet;
    intptr_t err = check(datagram, self, "rota_datagram_recv");

    if (rota__unlikely(err == 0 && datagram->receiver))
        err = -EBUSY;
    if (rota__unlikely(err < 0))
        return err;
    if (rota__task_is_greedy(self))
        err = give_way(datagram, self, &datagram->receiver);
    if (rota__unlikely(err < 0))
        return err;
    while ((err = rota__datagram_take(&datagram->socket, &packet)) == -EAGAIN) {
        err = wait_in(datagram, self, &datagram->receiver);
        if (rota__unlikely(err < 0)) {
            release_if_over(datagram);
            return err;
        }
    }
    if (rota__unlikely(err < 0))
        return err;
    return copy_out(datagram, packet, buf, size, from, truncated);
}

/* --- Sending ------------------------------------------------------------ */

/* Gives the turn to the next; who has it is not counted as waiting. */
static void pass_turn(rota_datagram *datagram)
{
    struct rota__link *next = datagram->senders.next;

    datagram->sending = !rota__list_empty(&datagram->senders);
    if (!datagram->sending)
        return;
    rota__container_of(next, struct rota__turn, waiter.link)->given = true;
    rota__unpark_first(&datagram->senders, 0);
}

static intptr_t get_turn(rota_datagram *datagram, struct rota__task *self)
{
    struct rota__turn turn = {.given = !datagram->sending};
    intptr_t err = 0;

    datagram->sending = true;
    if (!turn.given) {
        datagram->users++;
        err = rota__park_in(self, &turn.waiter, &datagram->senders);
        datagram->users--;
    }
    if (err == 0 && datagram->socket.closed)
        err = -ROTA_ECLOSING;
    if (err < 0 && turn.given)
        pass_turn(datagram);
    return err;
}

static intptr_t send_slowly(rota_datagram *datagram, struct rota__task *self,
                            const void *data, size_t size,
                            const rota_address *to)
{
    struct rota__datagram *socket = &datagram->socket;
    intptr_t n = get_turn(datagram, self);

    if (n == 0) {
        while ((n = rota__datagram_send(socket, data, size, to)) == -EAGAIN) {
            n = wait_in(datagram, self, &datagram->sender);
            if (n < 0)
                break;
        }
        pass_turn(datagram);
    }
    release_if_over(datagram);
    return n;
}

intptr_t rota_datagram_send(rota_datagram *datagram, const void *data,
                            size_t size, const rota_address *to)
{
    struct rota__task *self = rota__current();
    intptr_t n = check(datagram, self, "rota_datagram_send");

    if (rota__likely(n == 0))
        n = rota__datagram_check(&datagram->socket, to);
    if (rota__likely(n == 0) && rota__task_is_greedy(self))
        n = give_way(datagram, self, NULL);
    if (rota__unlikely(n < 0))
        return n;
    if (rota__likely(!datagram->sending))
        n = rota__datagram_send(&datagram->socket, data, size, to);
    else
        n = -EAGAIN;
    if (rota__likely(n != -EAGAIN))
        return n;
    return send_slowly(datagram, self, data, size, to);
}

/* --- Opening and closing ------------------------------------------------ */

static void loop_closes(struct rota__at_close *at_close)
{
    rota_datagram *datagram =
        rota__container_of(at_close, rota_datagram, at_close);

    rota_datagram_close(datagram);
    datagram->users = 0; /* those never run again */
    release_if_over(datagram);
}

int rota_datagram_open(rota_datagram **out,
                       const rota_datagram_options *options)
{
    rota_loop *loop = rota__running_loop;
    rota_datagram *datagram;
    int err;

    if (!loop)
        return -ROTA_ENOLOOP;
    datagram = rota__zalloc(sizeof *datagram);
    if (!datagram)
        return -ENOMEM;
    err = rota__datagram_open(&datagram->socket, loop, options, &events);
    if (err < 0) {
        rota__free(datagram);
        return err;
    }
    rota__list_init(&datagram->senders);
    rota__at_close_add(loop, &datagram->at_close, loop_closes);
    *out = datagram;
    return 0;
}

void rota_datagram_close(rota_datagram *datagram)
{
    if (datagram->socket.closed)
        return;
    rota__datagram_close(&datagram->socket);
    wake(datagram->receiver, -ROTA_ECLOSING);
    wake(datagram->sender, -ROTA_ECLOSING);
    rota__unpark_all(&datagram->senders, -ROTA_ECLOSING);
}

void rota_datagram_free(rota_datagram *datagram)
{
    if (!datagram)
        return;
    rota_datagram_close(datagram);
    datagram->freed = true;
    release_if_over(datagram);
}

/* --- Looking at it ------------------------------------------------------ */

int rota_datagram_local_address(const rota_datagram *datagram,
                                rota_address *out)
{
    return rota__datagram_local(&datagram->socket, out);
}

int rota_datagram_peer_address(const rota_datagram *datagram, rota_address *out)
{
    return rota__datagram_peer(&datagram->socket, out);
}

int rota_datagram_fileno(const rota_datagram *datagram)
{
    return rota__datagram_fileno(&datagram->socket);
}
