/* SPDX-License-Identifier: MIT */
/*
 * Places: sockets that sock_* calls wait for again and again
 *
 * A socket.socket that a call had to wait for stays registered, with edges, so
 * that its next call need not register it, and knows without a system call
 * whether there is anything to be had. It is the same socket as long as the
 * Python object is the same and has the same fd. Whoever else wants the fd
 * simply takes it (ROTA__WEAK), and so does a new one of that number: calls
 * that wait here are woken then, and find another way.
 */
#include "sock.h"

struct sock_place {
    struct rota__watch watch;
    struct rota__link link; /* in loop->places */
    LoopObject *loop;
    PyObject *socket;           /* a weak reference */
    SockCallObject *waiting[2]; /* to read, to write; the loop keeps them */
    bool stream;                /* a short read says that there is no more */
    bool local;                 /* a Unix socket: see watch_writing() */
    bool may_read;
    bool may_write;
    bool hung_up;
};

static void wake(struct sock_place *place, bool writing)
{
    SockCallObject *call = place->waiting[writing];

    if (call && rota__list_empty(&call->on_ready.link))
        rota__ready(place->loop->loop, &call->on_ready);
}

static void free_place(struct sock_place *place)
{
    for (int i = 0; i < 2; i++)
        if (place->waiting[i])
            place->waiting[i]->place = NULL;
    rota__list_remove(&place->link);
    Py_DECREF(place->socket);
    PyMem_Free(place);
}

/* In the middle of polling, or of a registration. */
static void place_ready(struct rota__watch *watch, unsigned events)
{
    struct sock_place *place =
        rota__container_of(watch, struct sock_place, watch);

    if (events & ROTA__HANGUP)
        place->hung_up = true;
    if (events & (ROTA__READABLE | ROTA__HANGUP | ROTA__GONE)) {
        place->may_read = true;
        wake(place, false);
    }
    if (events & (ROTA__WRITABLE | ROTA__HANGUP | ROTA__GONE)) {
        place->may_write = true;
        wake(place, true);
    }
    if (events & ROTA__GONE)
        free_place(place);
}

static struct sock_place *place_at(LoopObject *loop, int fd)
{
    struct rota__watch *watch = rota__poller_find(&loop->loop->poller, fd);

    if (!watch || watch->ready != place_ready)
        return NULL;
    return rota__container_of(watch, struct sock_place, watch);
}

/* --- Making -------------------------------------------------------------- */

static bool is_same(PyObject *weak, PyObject *sock)
{
#if PY_VERSION_HEX >= 0x030d0000
    PyObject *found = NULL;
    bool same = PyWeakref_GetRef(weak, &found) == 1 && found == sock;

    Py_XDECREF(found);
    return same;
#else
    return PyWeakref_GET_OBJECT(weak) == sock;
#endif
}

struct sock_place *core_sock_place_of(const SockCallObject *call, int fd)
{
    struct sock_place *place = place_at(call->loop, fd);

    return place && is_same(place->socket, call->args[0]) ? place : NULL;
}

static struct sock_place *new_place(SockCallObject *call, int fd)
{
    struct sock_place *place = PyMem_Calloc(1, sizeof *place);
    struct rota__fd_kind kind = {0};

    if (!place || rota__fd_kind(fd, &kind) < 0) {
        PyMem_Free(place);
        return NULL;
    }
    place->loop = call->loop;
    place->socket = PyWeakref_NewRef(call->args[0], NULL);
    if (!place->socket) {
        PyMem_Free(place);
        PyErr_Clear();
        return NULL;
    }
    place->watch.fd = fd;
    place->watch.ready = place_ready;
    place->local = kind.local;
    place->stream = kind.type == SOCK_STREAM && !kind.local && !kind.listening;
    place->may_read = place->may_write = true;
    rota__list_push(&call->loop->places, &place->link);
    return place;
}

/*
 * A Unix socket's writer hears of each piece that its peer reads. So one is
 * registered for writing only while somebody waits for that.
 */
static int watch_writing(struct sock_place *place, bool writing)
{
    struct rota__poller *poller = &place->loop->loop->poller;
    unsigned events = ROTA__READABLE | ROTA__EDGE | ROTA__WEAK;

    if (writing || (!place->local && place->watch.events & ROTA__WRITABLE))
        events |= ROTA__WRITABLE;
    return place->watch.events
               ? rota__poller_change(poller, &place->watch, events)
               : rota__poller_add(poller, &place->watch, events);
}

/* --- Waiting ------------------------------------------------------------- */

bool core_sock_place_wait(SockCallObject *call, int fd)
{
    bool writing = call->kind->writing;
    struct rota__poller *poller = &call->loop->loop->poller;
    struct rota__watch *watch = rota__poller_find(poller, fd);
    struct sock_place *place = core_sock_place_of(call, fd);
    bool *ready;

    if (!call->plain || !poller->ops->close_removes)
        return false;
    if (!place && watch && watch->ready != place_ready)
        return false; /* somebody has it who does not give way */
    if (!place)
        place = new_place(call, fd);
    if (!place)
        return false;
    if ((writing || !place->watch.events) &&
        watch_writing(place, writing) < 0) {
        if (!place->watch.events)
            free_place(place);
        return false;
    }
    if (place->waiting[writing])
        core_sock_stop_waiting(place->waiting[writing]);
    ready = writing ? &place->may_write : &place->may_read;
    *ready = false; /* as the call has found */
    place->waiting[writing] = call;
    call->place = place;
    return true;
}

void core_sock_place_leave(SockCallObject *call)
{
    struct sock_place *place = call->place;

    call->place = NULL;
    if (!place)
        return;
    place->waiting[call->kind->writing] = NULL;
    if (call->kind->writing && place->local)
        (void)watch_writing(place, false); /* it only asks for less */
}

SockCallObject *core_sock_place_waiting(LoopObject *loop, int fd, bool writing)
{
    struct sock_place *place = place_at(loop, fd);

    return place ? place->waiting[writing] : NULL;
}

bool core_sock_place_may(const struct sock_place *place, bool writing)
{
    return writing ? place->may_write : place->may_read;
}

void core_sock_place_note(struct sock_place *place, bool writing, intptr_t n,
                          size_t size)
{
    bool empty = n == -EAGAIN;

    if (writing && (empty || (n > 0 && (size_t)n < size)))
        place->may_write = false;
    else if (!writing && (empty || (n > 0 && (size_t)n < size &&
                                    place->stream && !place->hung_up)))
        place->may_read = false;
}

void core_sock_places_free(LoopObject *loop)
{
    while (!rota__list_empty(&loop->places)) {
        struct sock_place *place =
            rota__container_of(loop->places.next, struct sock_place, link);

        rota__poller_remove(&loop->loop->poller, &place->watch);
        free_place(place);
    }
}
