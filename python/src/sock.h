/* SPDX-License-Identifier: MIT */
/*
 * sock_*: what its files share
 *
 * loop.sock_recv(...) gives a SockCall, which is a coroutine in C. Awaited, it
 * makes the system call at once; only if that would block does it make a
 * Future, wait for the fd, and then try again:
 *
 *     NEW --await: the call is made--> DONE
 *      |                                ^ made, thrown into, closed
 *      `--would block--> WAITING -------'
 *                        ^      `--woken: would block again--.
 *                        `-----------------------------------'
 *
 * What is received is taken in the step that returns it, never before: one who
 * is cancelled has lost nothing.
 */
#ifndef ROTA_PYTHON_SOCK_H
#define ROTA_PYTHON_SOCK_H

#include "core.h"

#define SOCK_MOST_ARGS 3

typedef struct SockCallObject SockCallObject;
struct sock_place;

enum sock_outcome { SOCK_FAILED = -1, SOCK_DONE, SOCK_WOULD_BLOCK };

/* What a method of the loop does. */
struct sock_kind {
    const char *name;
    const char *args[SOCK_MOST_ARGS + 1]; /* their names */
    int needed;                           /* so many must be given */
    bool writing;
    bool any_time; /* nothing is lost if it is made as soon as it can be */
    /* Makes the call: SOCK_DONE and a new reference, or not yet, or an
       exception. */
    enum sock_outcome (*make)(SockCallObject *call, PyObject **out);
    bool apart;     /* its socket is somebody else's soon: it has no place */
    bool no_socket; /* is among its arguments */
    /* NULL, or takes back what was done for one that ends without a result;
       an exception is current, or none. */
    void (*undo)(SockCallObject *call);
};

enum sock_state { SOCK_NEW, SOCK_WAITING, SOCK_OVER };

struct SockCallObject {
    PyObject_HEAD LoopObject *loop;
    const struct sock_kind *kind;
    PyObject *args[SOCK_MOST_ARGS]; /* the socket first; NULL: not given */
    PyObject *future;               /* WAITING */
    PyObject *result;               /* of one made before it was resumed */
    PyObject *error;                /* likewise */
    PyObject *origin;               /* debug mode: where it was made */
    PyObject *weakrefs;
    Py_buffer data; /* to be sent; obj NULL: not held */
    size_t sent;
    struct rota__watcher
        watcher; /* one of these two, while the fd is watched */
    struct sock_place *place;
    struct rota__handle on_ready;
    struct core_kept kept; /* while the fd is watched */
    enum sock_state state;
    bool plain;   /* exactly a socket.socket: the fd may be used directly */
    bool running; /* right now */
    bool woken;
    bool begun; /* a connection */
};

/* A new one, from the arguments of a vectorcall. */
PyObject *core_sock_call_new(LoopObject *loop, const struct sock_kind *kind,
                             PyObject *const *args, Py_ssize_t count,
                             PyObject *names);

/* From SOCK_MOST_ARGS of them, as they are. */
PyObject *core_sock_call_make(LoopObject *loop, const struct sock_kind *kind,
                              PyObject *const *values);
/* sock.name(*args): the socket is args[0], and args[-1] is free. */
enum sock_outcome core_sock_call_method(PyObject *name, PyObject *const *args,
                                        size_t count, PyObject **out);

/* Ends its wait for the fd. The caller has a reference. */
void core_sock_stop_waiting(SockCallObject *call);

/* Waits for the fd in a place of its socket's. False: not this one. */
bool core_sock_place_wait(SockCallObject *call, int fd);
void core_sock_place_leave(SockCallObject *call);
/* The place of the call's socket, or NULL. */
struct sock_place *core_sock_place_of(const SockCallObject *call, int fd);
/* The call that waits there, borrowed, or NULL. */
SockCallObject *core_sock_place_waiting(LoopObject *loop, int fd, bool writing);
/* False if the system call is certain to block. */
bool core_sock_place_may(const struct sock_place *place, bool writing);
/* What it has given, of so many bytes. */
void core_sock_place_note(struct sock_place *place, bool writing, intptr_t n,
                          size_t size);

#endif
