/* SPDX-License-Identifier: MIT */
/*
 * Transports: what sockets, datagrams, pipes and TLS share
 *
 * A transport of ours derives from asyncio's class, whose one slot (_extra)
 * lies behind the object's head. It owns a struct rota__conn (or a datagram),
 * which the loop watches, and the Python socket or file that the fd belongs to:
 * that is closed last, by Python. While the fd is open the loop keeps the
 * transport alive (struct core_kept).
 *
 *     OPEN --close, abort, an error--> CLOSING --(sent; call_soon)--> LOST
 *
 * connection_lost is called once, in a turn of its own, as asyncio does.
 */
#ifndef ROTA_PYTHON_TRANSPORT_H
#define ROTA_PYTHON_TRANSPORT_H

#include "core.h"

/* The head that asyncio's BaseTransport gives to all of them. */
#define CORE_TRANSPORT_HEAD                                                    \
    PyObject_HEAD PyObject *extra /* asyncio's _extra: a dict */

/* Those that stand on a conn have both in this order, somewhere. */
struct core_kept_conn {
    struct core_kept kept;
    struct rota__conn conn; /* lent: Python closes the fd */
};

typedef struct {
    CORE_TRANSPORT_HEAD;
    LoopObject *loop;
    struct core_kept kept;
    struct rota__conn conn;
} CoreConnObject;

/*
 * Begins as asyncio does: connection_made(transport), the waiter's wake-up (a
 * Future, None or NULL), and then on_start, all in the next turn: whoever waits
 * goes on before anything is received. 0, or -1 with an exception.
 */
int core_announce(LoopObject *loop, PyObject *transport, PyObject *protocol,
                  PyObject *waiter, struct rota__handle *on_start);
/* _call_connection_lost(exc or None), soon, in `context` or, if that is NULL,
   in a copy of the current one; 0, or -1 with an exception. */
int core_lose_soon(LoopObject *loop, PyObject *transport, PyObject *context,
                   PyObject *exc);
/* protocol.connection_lost(exc) and then, whatever that raises, file.close();
   both leave their places. None, or NULL with an exception. */
PyObject *core_lose(core_state *state, PyObject **protocol, PyObject **file,
                    PyObject *exc);
/* Takes it out of its place and calls its close(); 0 or -1. */
int core_close_file(core_state *state, PyObject **file);
/* A callback's work: in its context, and by debug mode's clock. */
void core_transport_step(LoopObject *loop, PyObject *transport,
                         PyObject *context, void (*step)(PyObject *transport));
/* Debug mode's line, "%r pauses reading"; 0, or -1 with an exception. */
int core_log(LoopObject *loop, PyObject *transport, const char *text);
/* The arguments of set_write_buffer_limits(); 0, or -1 with an exception. */
int core_parse_limits(LoopObject *loop, PyObject *args, PyObject *named,
                      size_t *to_high, size_t *to_low);

/* The transport that has this fd, borrowed; NULL, with no exception, if none.
 */
PyObject *core_transport_at(LoopObject *loop, int fd);

/*
 * A protocol in C (TLS): called directly instead of by name. Exceptions are
 * the protocol's to handle, but for connection_lost()'s; one that ends the run
 * is current afterwards. All run in a turn of the loop, in the context of the
 * transport's registration.
 */
struct core_protocol_ops {
    /* Room for what comes, at least a byte, or NULL (then the transport ends
       with a MemoryError). */
    char *(*get_buffer)(PyObject *protocol, size_t *size);
    void (*buffer_updated)(PyObject *protocol, size_t size);
    /* True: keep the transport open. */
    bool (*eof_received)(PyObject *protocol);
    /* `exc` may be None. Its exception is left to the caller. */
    void (*connection_lost)(PyObject *protocol, PyObject *exc);
    void (*pause_writing)(PyObject *protocol);
    void (*resume_writing)(PyObject *protocol);
};

/* A type whose objects are such protocols has this as its first slot behind
   the object's head. */
typedef struct {
    PyObject_HEAD const struct core_protocol_ops *ops;
} CoreProtocolObject;

/*
 * For TLS, whose transport is a socket's of ours: true if `op` is one that can
 * be called as below (and not, say, a transport of somebody else's).
 */
bool core_is_socket_transport(core_state *state, PyObject *op);
/* As transport.write() of a bytes object, which is kept until it is sent.
   Nothing fails: an error ends the connection. */
void core_transport_write(PyObject *op, PyObject *bytes);
size_t core_transport_buffered(PyObject *op);

/*
 * A new transport for a connected, non-blocking socket: asyncio's
 * _make_socket_transport. Calls protocol.connection_made and then wakes the
 * waiter (a Future or None), both by call_soon. `peer` is its name, or NULL. A
 * new reference or NULL.
 */
PyObject *core_socket_transport_new(LoopObject *loop, PyObject *sock,
                                    PyObject *protocol, PyObject *waiter,
                                    PyObject *extra, PyObject *server,
                                    const rota_address *peer);

PyType_Spec *core_make_socket_spec(void);
extern PyMethodDef core_socket_methods[];

/* asyncio's own stream classes: stream_feed.c. core_feed(): 1, 0 if the
   ordinary way is to be taken, -1 with an exception. */
bool core_feeds(core_state *state, PyObject *protocol);
int core_feed(core_state *state, PyObject *protocol, const char *data,
              size_t size);

/* TLS, for rota/_tls.py: see ssl_protocol.h. */
extern PyType_Spec core_ssl_room_spec;
extern PyType_Spec core_ssl_protocol_spec;
extern PyType_Spec core_ssl_transport_spec;
extern PyMethodDef core_accept_methods[];

/* Pipes: see pipe_transport.h. */
PyType_Spec *core_make_pipe_spec(bool writer);
extern PyMethodDef core_pipe_methods[];

#endif
