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

/* What a transport has gathered; the loop has some of them to lend. */
struct core_gather {
    struct core_gather *next;
    size_t size;
    int count;
    PyObject *parts[CORE_GATHERED];
};

/* A socket's name, as the system has it; size 0: not known. */
struct core_name {
    unsigned char size;
    char bytes[sizeof(struct sockaddr_in6)];
};

/* asyncio's _FlowControlMixin has slots, too: the loop and, not used, three. */
typedef struct {
    CORE_TRANSPORT_HEAD;
    LoopObject *loop;
    PyObject *spare[3];
    struct core_kept kept;
    struct rota__conn conn;
    PyObject *sock; /* NULL when it is closed */
    PyObject *file; /* the same, for get_extra_info() */
    PyObject *protocol;
    PyObject *server; /* or NULL */
    PyObject *context;
    PyObject *empty_waiter; /* of a sendfile, or NULL */
    PyObject *lost_exception;
    PyObject *dict; /* of attributes that programs set */
    PyObject *weakrefs;
    const struct core_protocol_ops *ops; /* of a protocol in C, or NULL */
    struct rota__handle on_readable;
    struct rota__handle on_lost;
    struct rota__link dirty; /* in loop->dirty while something is gathered */
    struct core_gather *gathered; /* or NULL */
    int lost;        /* asyncio's _conn_lost: also counts writes for nothing */
    size_t expected; /* bytes of the next read, as a guess */
    size_t high;
    size_t low;
    bool extra_full; /* `extra` has all; before that, what the maker gave */
    struct core_name peer;
    struct core_name local;
    bool buffered; /* the protocol is a BufferedProtocol */
    bool feeds;    /* it is asyncio's of streams */
    bool protocol_connected;
    bool paused;
    bool writing_paused;
    bool closing;
    bool eof;   /* write_eof() was called */
    bool ended; /* the peer's end was read, and we stay open */
} SocketTransportObject;

/* The error ends the connection: reported as asyncio does, then closed. Takes
   the current exception; it may end the run. */
void core_socket_fatal(SocketTransportObject *self, const char *message);
/* The same with an error of rota's. */
void core_socket_failed(SocketTransportObject *self, int err,
                        const char *message);
void core_socket_force_close(SocketTransportObject *self, PyObject *exc);
/* 0, or -1 with an exception: the loop is closed. */
int core_socket_close(SocketTransportObject *self);
void core_socket_finalize(PyObject *op);
/* The loop keeps it alive, until its fd is closed or it is paused. */
void core_socket_keep(SocketTransportObject *self);
/* Reads in this turn or the next, if there is something. */
void core_socket_read_soon(SocketTransportObject *self);
void core_socket_readable(struct rota__conn *conn);
void core_socket_on_readable(struct rota__handle *handle);
/* The socket's family, or -1 with an exception. `peer` may be NULL. */
int core_socket_learn_names(SocketTransportObject *self, int fd,
                            PyObject *extra, const rota_address *peer);
PyObject *core_socket_get_extra(PyObject *op, void *closure);
/* Sends what is gathered. */
void core_socket_flush(SocketTransportObject *self);
void core_socket_forget_gathered(SocketTransportObject *self);
size_t core_socket_buffered(const SocketTransportObject *self);
/* conn's events: the kernel takes more, or there is an error. */
void core_socket_writable(struct rota__conn *conn);
void core_socket_drained(struct rota__conn *conn);
void core_socket_closed(struct rota__conn *conn);
/* Debug mode's line "%r <text>". */
void core_socket_log(SocketTransportObject *self, const char *text);

extern PyMethodDef core_socket_close_methods[];
extern PyMethodDef core_socket_write_methods[];
extern PyMethodDef core_socket_info_methods[];

#endif
