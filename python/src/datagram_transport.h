/* SPDX-License-Identifier: MIT */
/*
 * A datagram transport: what its files share
 *
 * The socket is lent to a struct rota__datagram, which the loop watches until
 * connection_lost(). Datagrams that the kernel does not take wait in a queue
 * of ours, because an address may be anything that Python's sendto() takes.
 *
 *     OPEN --close, nothing waits; abort; a bug--> LOSING --call_soon--> LOST
 *       `--close--> CLOSING --sent--> LOST
 */
#ifndef ROTA_PYTHON_DATAGRAM_TRANSPORT_H
#define ROTA_PYTHON_DATAGRAM_TRANSPORT_H

#include "transport.h"
#include "transport/datagram.h"

struct core_unsent {
    struct rota__link link;
    PyObject *data; /* bytes */
    PyObject *address;
};

typedef struct {
    CORE_TRANSPORT_HEAD;
    LoopObject *loop;
    struct core_kept kept;
    struct rota__datagram socket;
    PyObject *sock;          /* NULL when it is closed */
    PyObject *protocol;      /* NULL after connection_lost() */
    PyObject *address;       /* the only one to send to, or None */
    PyObject *context;       /* that it receives in */
    PyObject *write_context; /* that the kernel's taking more is told in */
    PyObject *dict;
    PyObject *weakrefs;
    struct rota__handle on_start; /* connection_made() has been called */
    struct rota__handle on_readable;
    struct rota__handle on_writable;
    struct rota__link unsent;
    size_t unsent_size;
    rota_address peer; /* that sent the last one */
    PyObject *peer_object;
    int family;
    int lost; /* asyncio's _conn_lost: also counts writes for nothing */
    size_t high;
    size_t low;
    bool connected;
    bool started;
    bool closing;
    bool paused;
    bool writing_paused;
} DatagramObject;

/* The current exception, an OSError, goes to error_received(). 0, or -1 with
   the exception of that. */
int core_datagram_tell(DatagramObject *self);
/* The current exception ends the transport, as asyncio does it. Of a callback:
   true if the run may go on; of a method: the caller raises what is left. */
bool core_datagram_fatal(DatagramObject *self, const char *message);
/* connection_lost(exc) soon; what waits is dropped. 0, or -1 with an exception:
   the loop is closed. */
int core_datagram_force_close(DatagramObject *self, PyObject *exc);
/* connection_lost(exc), now; NULL with the exception of that. */
PyObject *core_datagram_lose(PyObject *op, PyObject *exc);
/* An exception of a callback that nobody catches; it may end the run. */
void core_datagram_report(DatagramObject *self, const char *message);
void core_datagram_forget_unsent(DatagramObject *self);
/* rota__datagram_events's, and the handles. */
void core_datagram_on_start(struct rota__handle *handle);
void core_datagram_readable(struct rota__datagram *socket);
void core_datagram_on_readable(struct rota__handle *handle);
void core_datagram_writable(struct rota__datagram *socket);
void core_datagram_on_writable(struct rota__handle *handle);

extern PyMethodDef core_datagram_receive_methods[];
extern PyMethodDef core_datagram_send_methods[];

#endif
