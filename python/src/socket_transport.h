/* SPDX-License-Identifier: MIT */
/*
 * A stream socket's transport: what its files share
 *
 * What is written in a turn is gathered, by reference if it cannot change, and
 * sent by one system call when the turn is over (core_flush()), or sooner when
 * it is much, when somebody asks how much is buffered, or before the transport
 * closes. What the kernel does not take is copied into conn.out.
 */
#ifndef ROTA_PYTHON_SOCKET_TRANSPORT_H
#define ROTA_PYTHON_SOCKET_TRANSPORT_H

#include "transport.h"
#include <netinet/in.h>

#define CORE_GATHERED ROTA__PARTS_AT_ONCE

typedef struct SocketTransportObject SocketTransportObject;

/* What a transport has gathered; the loop has some of them to lend. */
struct core_gather {
    struct core_gather *next;     /* lent to nobody */
    struct rota__link dirty;      /* in loop->dirty: lent */
    SocketTransportObject *owner; /* to this one */
    size_t size;
    int count;
    PyObject *parts[CORE_GATHERED];
};

/* The names of an IP connection's two ends: here, or at the peer. */
enum core_end { CORE_LOCAL, CORE_PEER, CORE_ENDS };

union core_names {
    struct {
        in_addr_t hosts[CORE_ENDS];
        in_port_t ports[CORE_ENDS];
    } in;
    struct sockaddr_in6 *in6; /* both */
};

/* A server has many of these that do nothing: no byte here is for show. */
struct SocketTransportObject {
    CORE_TRANSPORT_HEAD;
    LoopObject *loop; /* from here on where asyncio's class has four slots */
    PyObject *sock;   /* also when it is closed, for get_extra_info() */
    PyObject *protocol;
    PyObject *context;
    PyObject *write_context; /* of what conn.out has, or NULL */
    struct core_kept kept;
    struct rota__conn conn;
    PyObject *server;       /* or NULL */
    PyObject *empty_waiter; /* of a sendfile, or NULL */
    PyObject *lost_exception;
    PyObject *dict; /* of attributes that programs set */
    PyObject *weakrefs;
    const struct core_protocol_ops *ops; /* of a protocol in C, or NULL */
    struct rota__handle on_readable;
    struct core_gather *gathered; /* or NULL */
    int lost; /* asyncio's _conn_lost: also counts writes for nothing */
    unsigned expected; /* bytes of the next read, as a guess */
    size_t high;
    size_t low;
    union core_names names;
    unsigned char named; /* AF_INET, AF_INET6; 0: they are in `extra`, which
                            before that is what the maker gave */
    bool sock_closed;
    bool buffered; /* the protocol is a BufferedProtocol */
    bool feeds;    /* it is asyncio's of streams */
    bool protocol_connected;
    bool paused;
    bool writing_paused;
    bool closing;
    bool eof;   /* write_eof() was called */
    bool ended; /* the peer's end was read, and we stay open */
};

/* The error ends the connection: reported as asyncio does, then closed. Takes
   the current exception; it may end the run. */
void core_socket_fatal(SocketTransportObject *self, const char *message);
#define CORE_WRITE_FAILED "Fatal write error on socket transport"
/* The same with an error of rota's. */
void core_socket_failed(SocketTransportObject *self, int err,
                        const char *message);
void core_socket_force_close(SocketTransportObject *self, PyObject *exc);
/* 0, or -1 with an exception: the loop is closed. */
int core_socket_close(SocketTransportObject *self);
void core_socket_finalize(PyObject *op);
/* The loop keeps it alive, until its fd is closed or it reads no more. */
void core_socket_keep(SocketTransportObject *self);
/* If it does not read, and nothing is left to send: whoever wants it has it. */
void core_socket_let_go_if_idle(SocketTransportObject *self);
/* Reads in the next turn, where asyncio would, if there is something. */
void core_socket_read_soon(SocketTransportObject *self);
void core_socket_readable(struct rota__conn *conn);
void core_socket_on_readable(struct rota__handle *handle);
/* on_readable's first run. */
void core_socket_start(struct rota__handle *handle);
void core_socket_forget_names(SocketTransportObject *self);
/* The socket's family, or -1 with an exception. `peer` may be NULL. */
int core_socket_learn_names(SocketTransportObject *self, int fd,
                            PyObject *extra, const rota_address *peer);
PyObject *core_socket_get_extra(PyObject *op, void *closure);
/* Sends it when the turn is over, or now; a reference is kept. */
void core_socket_gather(SocketTransportObject *self, PyObject *bytes);
/* Sends now; what the kernel does not take is copied. */
void core_socket_send(SocketTransportObject *self, const char *data,
                      size_t size);
/* Sends what is gathered. */
void core_socket_flush(SocketTransportObject *self);
/* The same, and looks whether the protocol must pause. */
void core_socket_flush_and_look(SocketTransportObject *self);
void core_socket_pause_if_full(SocketTransportObject *self);
void core_socket_forget_gathered(SocketTransportObject *self);
size_t core_socket_buffered(const SocketTransportObject *self);
/* conn's events: the kernel takes more, or there is an error. */
void core_socket_writable(struct rota__conn *conn);
void core_socket_drained(struct rota__conn *conn);
void core_socket_closed(struct rota__conn *conn);
/* A sendfile waits until nothing is buffered; or it fails, if `exc` is NULL
   with asyncio's exception. */
void core_socket_wake_empty_waiter(SocketTransportObject *self);
void core_socket_fail_empty_waiter(SocketTransportObject *self, PyObject *exc);
/* Debug mode's line "%r <text>". */
void core_socket_log(SocketTransportObject *self, const char *text);

/* More than the limit: who writes must hear of it at once. */
static inline void core_socket_flush_if_much(SocketTransportObject *self)
{
    if (rota__unlikely(self->gathered && self->gathered->size > self->high))
        core_socket_flush_and_look(self);
}

extern PyMethodDef core_socket_close_methods[];
extern PyMethodDef core_socket_write_methods[];
extern PyMethodDef core_socket_info_methods[];

#endif
